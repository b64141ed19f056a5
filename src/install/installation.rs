//! Where an executable is installed, and whether that place is safe to change.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::names;
use crate::error::{Error, Result, io};
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
            return Ok(Installation { was_replaced: true, ..Installation::beside(executable) });
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
                let installation = Installation::for_new(path).map_err(|_| io("find", path)(error))?;
                // It may have been put there since, by a swap that was under way.
                return if installation.is_missing_executable() || installation.executable.exists() {
                    Ok(installation)
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
        let dir = executable.with_file_name(names::private_dir(executable.file_name().unwrap_or_default()));
        Installation { executable, dir, was_replaced: false }
    }

    /// Whether there is a state and no executable. Asked by path, before a directory is opened: recovery
    /// looks again, under the lock.
    pub(crate) fn is_missing_executable(&self) -> bool {
        !self.executable.exists() && self.dir.join(names::STATE).exists()
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

    /// Where the executable before the last update or rollback is kept.
    pub fn previous(&self) -> PathBuf {
        self.dir.join(names::PREVIOUS_FILE)
    }

    /// Whether the running process is not the one at [`Installation::executable`].
    pub fn was_replaced(&self) -> bool {
        self.was_replaced
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
    names::executable_of(dir.file_name()?).map(|executable| dir.with_file_name(executable))
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
