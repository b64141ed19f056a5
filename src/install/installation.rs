//! The paths of an installed executable.

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
    /// The installation of the running process.
    ///
    /// A process may run from inside `.<exe>.relatch/`: a person started the previous executable by
    /// hand, or another process swapped it out after it started. Either way its installation is
    /// that of `<exe>`, and it is [`Installation::was_replaced`].
    ///
    /// # Errors
    /// [`crate::Local::Io`] if the system does not know which file runs, for example after it was
    /// deleted.
    pub fn of_running() -> Result<Self> {
        let path = std::env::current_exe()
            .map_err(io("find the running executable", Path::new("/proc/self/exe")))?;
        let path = resolved(path, platform::canonicalize);
        if let Some(executable) = executable_of(&path) {
            return Ok(Installation { was_replaced: true, ..Installation::beside(executable) });
        }
        Installation::at(&path)
    }

    /// The installation of the executable at `path`. Symbolic links are resolved once, and stay.
    ///
    /// # Errors
    /// [`crate::Local::Io`] if there is no such file.
    pub fn at(path: &Path) -> Result<Self> {
        let executable = match platform::canonicalize(path) {
            // A crash between the two renames of a swap may have left nothing at the path. The
            // files beside it show whether it did.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let installation = Installation::for_new(path).map_err(|_| io("find", path)(error))?;
                // A swap that was under way may have put it there since.
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

    /// The installation of an executable that does not exist yet, in a directory that does.
    ///
    /// # Errors
    /// [`Error::Usage`] if the path does not end in a file name; [`crate::Local::Io`] if there is
    /// no such directory.
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

    /// Whether there is a state and no executable. Asked by path, before a directory is opened:
    /// recovery looks again, under the lock.
    pub(crate) fn is_missing_executable(&self) -> bool {
        !self.executable.exists() && self.dir.join(names::JOURNAL).exists()
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

    /// The executable before the last update or rollback.
    pub fn previous(&self) -> PathBuf {
        self.dir.join(names::PREVIOUS_FILE)
    }

    /// Whether the running process is not the one at [`Installation::executable`].
    pub fn was_replaced(&self) -> bool {
        self.was_replaced
    }
}

/// The real path of the running executable. Linux reports it. macOS reports the path that it was
/// started by, which may be a symbolic link or contain `..`. For an executable that was removed
/// since, the reported path is all that is known.
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

    /// The executable whose private directory a process runs from, by the path that it was started
    /// by.
    fn replaced_from(path: &str, real: Option<&str>) -> Option<PathBuf> {
        executable_of(&resolved(path.into(), |_| {
            real.map(PathBuf::from).ok_or_else(|| std::io::ErrorKind::NotFound.into())
        }))
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
