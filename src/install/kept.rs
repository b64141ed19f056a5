//! Opening a kept executable.

use std::fs::File;
use std::io::ErrorKind;

use super::digest::digest_of;
use super::dir::{Entry, OpenDir};
use super::directories::UnlockedDirectories;
use super::journal::Kept;
use super::{Installation, names};
use crate::error::{Error, Local, Result, io};
use crate::regular_file;
use crate::trust::Refusal;

impl Installation {
    /// Why a kept executable is none any more; `None` if it can come back, or if this user may not
    /// read it.
    pub(crate) fn lost(&self, kept: &Kept) -> Result<Option<String>> {
        let opened = UnlockedDirectories::open(self)?;
        let Some(private) = opened.private() else { return Ok(None) };
        match open_kept(private, kept) {
            Ok(Some(_)) => Ok(None),
            Ok(None) => Ok(Some("its file is gone".into())),
            Err(Error::Refused(why)) => Ok(Some(why.to_string())),
            Err(Error::Local(Local::Io { error, .. })) if error.kind() == ErrorKind::PermissionDenied => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether anybody may run the file at the path.
    pub(crate) fn is_executable(&self) -> Result<bool> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let path = self.executable();
            let found = std::fs::metadata(path).map_err(io("look at", path))?;
            Ok(found.permissions().mode() & 0o111 != 0)
        }
        #[cfg(not(unix))]
        Ok(true)
    }
}

/// A kept executable, by the descriptor over which its recorded hash was found; `None` if there is
/// no such file. The exchange would put a symbolic link at the path as a link: anything but a file
/// is no executable.
///
/// # Errors
/// [`Refusal::PreviousAltered`].
pub(super) fn open_kept(private: &OpenDir, kept: &Kept) -> Result<Option<File>> {
    if !names::is_kept(&kept.file) {
        return Ok(None); // a record is input
    }
    let entry = Entry::new(private, names::file_of(&kept.file));
    let path = entry.path();
    let mut file = match entry.open() {
        Err(error) if error.kind() == ErrorKind::NotFound || regular_file::is_not_regular(&error) => {
            return Ok(None);
        }
        opened => opened.map_err(io("open", &path))?,
    };
    let (_, found) = digest_of(&mut file).map_err(io("read", &path))?;
    if found != kept.executable.blake3 {
        return Err(Refusal::PreviousAltered { expected: kept.executable.blake3, found }.into());
    }
    Ok(Some(file))
}
