//! Opening a kept executable.

use std::fs::File;
use std::io::ErrorKind;

use super::digest::digest_of;
use super::journal::Kept;
use super::lock::Locked;
use super::names;
use crate::error::{Result, io};
use crate::regular_file;
use crate::trust::Refusal;

/// A kept executable, by the descriptor over which its recorded hash was found; `None` if there is
/// no such file. The exchange would put a symbolic link at the path as a link: anything but a file
/// is no executable.
///
/// # Errors
/// [`Refusal::PreviousAltered`].
pub(super) fn open_kept(locked: &Locked, kept: &Kept) -> Result<Option<File>> {
    let entry = locked.file(names::file_of(&kept.file));
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
