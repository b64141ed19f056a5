//! The paths of an installed executable.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::dir::OpenDir;
use super::journal::Kept;
use super::names;
use super::privileges::refuse_raised_privileges;
use crate::error::{Error, Local, Result, io};
use crate::escape::Printable;
use crate::platform;

/// An executable's path and the directory `.<exe>.relatch/` beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    executable: PathBuf,
    dir: PathBuf,
    was_replaced: bool,
}

impl Installation {
    /// The installation of the running process.
    ///
    /// A process may run from inside `.<exe>.relatch/`: a person started the previous executable by
    /// hand, or another process swapped it out after it started. Either way its installation is
    /// that of `<exe>`, and it is [`Installation::was_replaced`].
    ///
    /// # Errors
    /// [`crate::Local::Io`] if the system does not know which file runs, for example after it was
    /// deleted; [`crate::Local::RaisedPrivileges`].
    pub fn of_running() -> Result<Self> {
        refuse_raised_privileges()?;
        let path = std::env::current_exe()
            .map_err(io("find the running executable", Path::new("/proc/self/exe")))?;
        let found = resolved(path.clone(), platform::canonicalize);
        let path = found.map_err(io("find", &path))?;
        if let Some(executable) = executable_of(&path) {
            return Ok(Installation { was_replaced: true, ..Installation::beside(executable) });
        }
        Installation::at(&path)
    }

    /// The installation of the executable at `path`. Symbolic links are resolved once, and stay.
    ///
    /// # Errors
    /// [`crate::Local::Io`] if there is no such file; [`crate::Local::IsDirectory`];
    /// [`crate::Local::DanglingLink`].
    pub fn at(path: &Path) -> Result<Self> {
        let executable = match platform::canonicalize(path) {
            // A crash between the two renames of a swap may have left nothing at the path. The
            // files beside it show whether it did.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let installation = Installation::for_new(path).map_err(|why| match why {
                    Error::Local(Local::DanglingLink { .. }) => why,
                    _ => io("find", path)(error),
                })?;
                // A swap that was under way may have put it there since.
                return if installation.is_missing_executable()? || exists(&installation.executable)? {
                    Ok(installation)
                } else {
                    Err(io("find", path)(std::io::ErrorKind::NotFound.into()))
                };
            }
            found => found.map_err(io("find", path))?,
        };
        if std::fs::metadata(&executable).map_err(io("look at", &executable))?.is_dir() {
            let file = installed_in(&executable);
            return Err(Local::IsDirectory { path: executable, file }.into());
        }
        Ok(Installation::beside(executable_of(&executable).unwrap_or(executable)))
    }

    /// The installation of an executable that does not exist yet, in a directory that does.
    ///
    /// # Errors
    /// [`Error::Usage`] if the path does not end in a file name; [`crate::Local::Io`] if there is
    /// no such directory; [`crate::Local::IsDirectory`]; [`crate::Local::DanglingLink`].
    pub fn for_new(path: &Path) -> Result<Self> {
        if exists(path)? {
            return Installation::at(path);
        }
        match std::fs::read_link(path) {
            Ok(target) => return Err(Local::DanglingLink { path: path.into(), target }.into()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            // Another process put a file there meanwhile, which is looked at again under the lock.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => {}
            Err(error) => return Err(io("read the link", path)(error)),
        }
        let name = path
            .file_name()
            .ok_or_else(|| Error::usage(format!("{} names no file", Printable(path.display()))))?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let parent = platform::canonicalize(parent).map_err(io("find the directory", parent))?;
        Ok(Installation::beside(parent.join(name)))
    }

    fn beside(executable: PathBuf) -> Self {
        let dir = executable.with_file_name(names::private_dir(executable.file_name().unwrap_or_default()));
        Installation { executable, dir, was_replaced: false }
    }

    /// Whether there is a state and no executable. Asked by path, before a directory is opened:
    /// recovery looks again, under the lock.
    ///
    /// # Errors
    /// [`crate::Local::Io`] if the system does not report it.
    pub(crate) fn is_missing_executable(&self) -> Result<bool> {
        Ok(!exists(&self.executable)? && exists(&self.dir.join(names::JOURNAL))?)
    }

    /// The path that people run.
    pub fn executable(&self) -> &Path {
        &self.executable
    }

    /// The executable's name in its directory.
    pub(super) fn file_name(&self) -> &OsStr {
        self.executable.file_name().unwrap_or_default()
    }

    /// `.<exe>.relatch`, which may not exist yet.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The path of a kept executable.
    pub(crate) fn kept(&self, kept: &Kept) -> PathBuf {
        self.dir.join(names::file_of(&kept.file))
    }

    /// The executable that the last update replaced.
    pub fn previous(&self) -> PathBuf {
        self.dir.join(names::PREVIOUS_FILE)
    }

    /// Whether the running process is not the one at [`Installation::executable`].
    pub fn was_replaced(&self) -> bool {
        self.was_replaced
    }
}

/// Whether a path leads to something. An error of looking is no answer.
fn exists(path: &Path) -> Result<bool> {
    path.try_exists().map_err(io("look at", path))
}

/// An executable that was installed in a directory, for the advice.
fn installed_in(dir: &Path) -> Option<PathBuf> {
    let names = OpenDir::open(dir).and_then(|dir| dir.names()).ok()?;
    let executables = names.iter().filter_map(|name| names::executable_of(name));
    executables.map(|name| dir.join(name)).filter(|path| path.is_file()).min()
}

/// The real path of the running executable. Linux reports it. macOS reports the path that it was
/// started by, which may be a symbolic link or contain `..`. For an executable that was removed
/// since, the reported path is all that is known.
fn resolved(
    path: PathBuf,
    canonicalize: impl Fn(&Path) -> std::io::Result<PathBuf>,
) -> std::io::Result<PathBuf> {
    match canonicalize(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(path),
        found => found,
    }
}

/// `dir/<exe>` for a path `dir/.<exe>.relatch/anything`.
fn executable_of(path: &Path) -> Option<PathBuf> {
    let dir = path.parent()?;
    names::executable_of(dir.file_name()?).map(|executable| dir.with_file_name(executable))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The executable whose private directory a process runs from, by the path that it was started
    /// by.
    fn replaced_from(path: &str, real: Option<&str>) -> Option<PathBuf> {
        let found = resolved(path.into(), |_| {
            real.map(PathBuf::from).ok_or_else(|| std::io::ErrorKind::NotFound.into())
        });
        executable_of(&found.unwrap())
    }

    #[test]
    fn a_path_that_cannot_be_resolved_is_not_believed() {
        for kind in [std::io::ErrorKind::PermissionDenied, std::io::ErrorKind::Other] {
            let found = resolved("/opt/bin/../tool".into(), |_| Err(kind.into()));
            assert_eq!(found.unwrap_err().kind(), kind);
        }
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_resolved_before_it_is_believed() {
        let tool = Some(PathBuf::from("/opt/bin/tool"));
        let previous = "/opt/bin/.tool.relatch/previous";
        assert_eq!(replaced_from(previous, Some(previous)), tool);
        // By a link or by `..` into the directory, and out of it.
        assert_eq!(replaced_from("/usr/bin/rescue", Some(previous)), tool);
        assert_eq!(replaced_from("/opt/bin/.tool.relatch/x/../previous", Some(previous)), tool);
        assert_eq!(replaced_from("/tmp/.tool.relatch/link", Some("/opt/bin/tool")), None);
        assert_eq!(replaced_from("/opt/bin/.tool.relatch/../tool", Some("/opt/bin/tool")), None);
        // Removed since it started: Linux appends a word to the path.
        assert_eq!(replaced_from("/opt/bin/.tool.relatch/previous (deleted)", None), tool);
    }
}
