//! Where an executable is installed, and whether that place is safe to change.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Local, Result, io};
use crate::escape::Printable;
use crate::platform;

/// An executable's path and the directory `.<exe>.relatch/` beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    executable: PathBuf,
    dir: PathBuf,
    displaced: bool,
}

impl Installation {
    /// The site of the running process.
    ///
    /// A process may find itself inside `.<exe>.relatch/`: started there by a person in need, or swapped out by another process after
    /// it started. Either way its site is the one of `<exe>`, and it is [`Installation::was_replaced`].
    ///
    /// # Errors
    /// [`Local::Io`] where the system does not say which file runs, as after it was deleted.
    pub fn of_running() -> Result<Self> {
        let path = std::env::current_exe()
            .map_err(io("find the running executable", Path::new("/proc/self/exe")))?;
        let path = resolved(path, platform::canonicalize);
        if let Some(executable) = executable_of(&path) {
            return Ok(Installation { displaced: true, ..Installation::beside(executable) });
        }
        Installation::at(&path)
    }

    /// The site of an executable at `path`; symbolic links are resolved once, and stay.
    ///
    /// # Errors
    /// [`Local::Io`] where there is no such file.
    pub fn at(path: &Path) -> Result<Self> {
        let executable = match platform::canonicalize(path) {
            // A crash between the two renames of a swap may have left nothing at the path; what is beside it knows.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let site = Installation::for_new(path).map_err(|_| io("find", path)(error))?;
                // It may have been put there since, by a swap that was under way.
                return if site.is_missing_executable() || site.executable.exists() {
                    Ok(site)
                } else {
                    Err(io("find", path)(std::io::ErrorKind::NotFound.into()))
                };
            }
            found => found.map_err(io("find", path))?,
        };
        Ok(Installation::beside(executable_of(&executable).unwrap_or(executable)))
    }

    /// The site of an executable that does not exist yet, in a directory that does.
    ///
    /// # Errors
    /// [`Error::Usage`] for a path that ends in no file name; [`Local::Io`] where there is no such directory.
    pub fn for_new(path: &Path) -> Result<Self> {
        if path.exists() {
            return Installation::at(path);
        }
        let name = path
            .file_name()
            .ok_or_else(|| Error::usage(format!("{} names no file", Printable(path.display()))))?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let parent = platform::canonicalize(parent).map_err(io("find the directory", parent))?;
        Ok(Installation::beside(parent.join(name)))
    }

    fn beside(executable: PathBuf) -> Self {
        let mut name = std::ffi::OsString::from(".");
        name.push(executable.file_name().unwrap_or_default());
        name.push(".relatch");
        let dir = executable.with_file_name(name);
        Installation { executable, dir, displaced: false }
    }

    /// Whether there is a state and no executable.
    pub(crate) fn is_missing_executable(&self) -> bool {
        !self.executable.exists() && self.dir.join("state").exists()
    }

    /// The error where there is a state and no executable. A swap that is under way is waited for: on Windows it has a moment without one.
    pub(crate) fn ensure_executable(&self) -> Result<()> {
        const MOMENTS: u32 = 100;
        for moment in 0..=MOMENTS {
            if !self.is_missing_executable() {
                return Ok(());
            }
            let recorded = super::State::load(self, None);
            let interrupted =
                matches!(recorded, Ok(super::Loaded::Present(state)) if state.record.pending().is_some());
            if !interrupted || moment == MOMENTS {
                return Err(Local::NoExecutable { path: self.executable.clone(), interrupted }.into());
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Ok(())
    }

    /// Whether this user may change anything here.
    pub(crate) fn is_writable(&self) -> bool {
        let place = if self.dir.exists() { &self.dir } else { self.executable.parent().unwrap_or(&self.dir) };
        #[cfg(unix)]
        return rustix::fs::access(place, rustix::fs::Access::WRITE_OK).is_ok();
        #[cfg(windows)]
        return platform::windows::may_add_files(place);
        #[cfg(not(any(unix, windows)))]
        return fs::metadata(place).is_ok_and(|meta| !meta.permissions().readonly());
    }

    /// The path that people run.
    pub fn executable(&self) -> &Path {
        &self.executable
    }

    /// `.<exe>.relatch`, which may not exist yet.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the executable before the last update or rollback is kept.
    pub fn previous(&self) -> PathBuf {
        self.dir.join(super::swap::PREVIOUS_FILE)
    }

    /// Whether the running process is not the one at [`Installation::executable`].
    pub fn was_replaced(&self) -> bool {
        self.displaced
    }

    /// SPEC step 1.
    ///
    /// # Errors
    /// [`Local::UnsafeSite`], with the reason.
    pub fn check_safe(&self) -> Result<()> {
        refuse_raised_privileges(&self.executable)?;
        let meta = fs::symlink_metadata(&self.executable).map_err(io("look at", &self.executable))?;
        if !meta.is_file() {
            return Err(unsafe_site(&self.executable, "it is not a regular file"));
        }
        self.check_safe_for_new()
    }

    /// SPEC step 1 for a first install, where there is no executable yet.
    pub(crate) fn check_safe_for_new(&self) -> Result<()> {
        refuse_raised_privileges(&self.executable)?;
        let parent = self.executable.parent().unwrap_or(Path::new("/"));
        refuse_writable_by_others(parent)?;
        match fs::symlink_metadata(&self.dir) {
            Ok(meta) if !meta.is_dir() => Err(unsafe_site(&self.dir, "it is not a directory")),
            Ok(_) => refuse_writable_by_others(&self.dir),
            Err(_) => Ok(()),
        }
    }

    /// Whether the file at the path is this recorded copy.
    pub(crate) fn holds(&self, copy: &super::Installed) -> Result<bool> {
        let mut file = fs::File::open(&self.executable).map_err(io("open", &self.executable))?;
        let (_, found) = super::stage::digest_of(&mut file).map_err(io("read", &self.executable))?;
        Ok(found == copy.blake3)
    }

    /// Makes `.<exe>.relatch`, under the same owner as everything else this process makes.
    pub(super) fn make_dir(&self) -> Result<()> {
        #[cfg_attr(not(unix), allow(unused_mut, reason = "there is no mode to set"))]
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o755);
        match builder.create(&self.dir) {
            Ok(()) => super::durable::sync_dir(self.executable.parent().unwrap_or(Path::new("/"))),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(io("create", &self.dir)(error)),
        }
    }
}

/// Where the running executable really lies. Linux says so; macOS repeats the path that it was started by, which may be a symbolic link or
/// hold `..`. Of what was removed since, that is all there is to know.
fn resolved(path: PathBuf, canonicalize: impl Fn(&Path) -> std::io::Result<PathBuf>) -> PathBuf {
    canonicalize(&path).unwrap_or(path)
}

/// `dir/<exe>` for a path `dir/.<exe>.relatch/anything`.
fn executable_of(path: &Path) -> Option<PathBuf> {
    let dir = path.parent()?;
    let name = dir.file_name()?.to_str()?;
    let executable = name.strip_prefix('.')?.strip_suffix(".relatch")?;
    (!executable.is_empty()).then(|| dir.with_file_name(executable))
}

fn unsafe_site(path: &Path, why: impl Into<String>) -> Error {
    Local::UnsafeSite { path: path.into(), why: why.into() }.into()
}

/// A set-user-id program would let its caller choose environment, working directory and descriptors of an update done as somebody else.
#[cfg(unix)]
fn refuse_raised_privileges(executable: &Path) -> Result<()> {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    if getuid() != geteuid() || getgid() != getegid() {
        let why = format!("it runs as user {} for user {}", geteuid().as_raw(), getuid().as_raw());
        return Err(unsafe_site(executable, why));
    }
    if is_at_secure() {
        return Err(unsafe_site(executable, "the system started it with raised privileges (AT_SECURE)"));
    }
    Ok(())
}

/// Linux tells a program with file capabilities or a changed security label through the auxiliary vector (getauxval(3)).
#[cfg(unix)]
fn is_at_secure() -> bool {
    const AT_SECURE: usize = 23;
    const WORD: usize = size_of::<usize>();
    // A program that was started with raised privileges may not read its own vector: that it may not is the answer.
    let vector = match fs::read("/proc/self/auxv") {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return true,
        read => read.unwrap_or_default(),
    };
    let word = |bytes: &[u8]| bytes.first_chunk().map(|word: &[u8; WORD]| usize::from_ne_bytes(*word));
    vector.chunks_exact(2 * WORD).any(|entry| {
        word(entry) == Some(AT_SECURE) && entry.get(WORD..).and_then(word).is_some_and(|value| value != 0)
    })
}

#[cfg(unix)]
fn refuse_writable_by_others(dir: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::metadata(dir).map_err(io("look at", dir))?;
    let user = rustix::process::geteuid().as_raw();
    if meta.mode() & 0o002 != 0 {
        return Err(unsafe_site(dir, format!("everybody may write there (mode {:o})", meta.mode() & 0o7777)));
    }
    if meta.uid() != user && meta.uid() != 0 {
        let why = format!("it belongs to user {}, who is neither you (user {user}) nor root", meta.uid());
        return Err(unsafe_site(dir, why));
    }
    Ok(())
}

/// Windows does not start a program as somebody else by a mark on its file: it has no set-user-id bit and no file capabilities. Whoever runs
/// elevated has agreed to that for this very start.
#[cfg(not(unix))]
fn refuse_raised_privileges(_: &Path) -> Result<()> {
    Ok(())
}

#[cfg(windows)]
fn refuse_writable_by_others(dir: &Path) -> Result<()> {
    use platform::windows::{current_user, security_of_dir};
    let security = security_of_dir(dir).map_err(io("read the access control list of", dir))?;
    let user = current_user().map_err(io("find out the current user for", dir))?;
    match security.stranger_in_directory(&user) {
        None => Ok(()),
        Some(stranger) => Err(unsafe_site(dir, platform::access::why_unsafe(dir, &stranger))),
    }
}

#[cfg(not(any(unix, windows)))]
fn refuse_writable_by_others(_: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a process finds itself, by the path that it was started by.
    fn displaced_from(path: &str, real: Option<&str>) -> Option<PathBuf> {
        executable_of(&resolved(path.into(), |_| {
            real.map(PathBuf::from).ok_or_else(|| std::io::ErrorKind::NotFound.into())
        }))
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_resolved_before_it_is_believed() {
        let tool = Some(PathBuf::from("/opt/bin/tool"));
        let previous = "/opt/bin/.tool.relatch/previous";
        assert_eq!(displaced_from(previous, Some(previous)), tool);
        // By a link or by way of `..` into the directory, and out of it.
        assert_eq!(displaced_from("/usr/bin/rescue", Some(previous)), tool);
        assert_eq!(displaced_from("/opt/bin/.tool.relatch/x/../previous", Some(previous)), tool);
        assert_eq!(displaced_from("/tmp/.tool.relatch/link", Some("/opt/bin/tool")), None);
        assert_eq!(displaced_from("/opt/bin/.tool.relatch/../tool", Some("/opt/bin/tool")), None);
        // Removed since it started: Linux adds a word to the path.
        assert_eq!(displaced_from("/opt/bin/.tool.relatch/previous (deleted)", None), tool);
    }
}
