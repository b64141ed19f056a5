//! The swap on Windows, where a running executable can be renamed, and neither replaced nor
//! removed.
//!
//! Between the two renames of a swap there is no executable at the path; the next recovery puts one
//! there.

use std::fs::File;
use std::io;
use std::path::Path;

use super::super::dir::Entry;
use super::super::directories::Directories;
use super::super::random::random_suffix;
use super::super::{durable, names};
use crate::error::{Result, io as io_error};

/// Staging flushed the content over the handle that wrote it. This handle is read-only, and
/// FlushFileBuffers requires write access; no attribute has been set since.
pub(super) fn sync_staged(_: &File) -> io::Result<()> {
    Ok(())
}

/// The executable itself is renamed away: that is the copy.
pub(super) fn keep_copy(directories: &Directories, from: Entry<'_>, to: Entry<'_>) -> Result<()> {
    replace(directories, from, to).map_err(io_error("rename away", &from.path()))
}

/// Renames over a name. If a process still runs the file that has it, that file is first renamed to
/// `old-<16 hex>`. The clean-up under a later lock removes it when its last process has ended. So
/// there is one such file for each old version that still runs.
pub(super) fn replace(directories: &Directories, from: Entry<'_>, to: Entry<'_>) -> io::Result<()> {
    let Err(error) = from.rename(to) else { return Ok(()) };
    if !to.exists().unwrap_or(false) {
        return durable::rename(from, to);
    }
    let Ok(suffix) = random_suffix() else { return Err(error) };
    let aside = format!("{}{suffix}", names::OLD);
    let aside = directories.file(&aside);
    durable::rename(to, aside)?;
    match durable::rename(from, to) {
        Ok(()) => durable::remove(aside),
        Err(error) => {
            durable::rename(aside, to)?;
            return Err(error);
        }
    }
    Ok(())
}

/// A file that is made in a directory inherits that directory's access list, as the old executable
/// did.
pub(super) fn copy_metadata(_: &File, _: &File, _: &Path) -> Result<bool> {
    Ok(false)
}

/// There are no such rights.
pub(super) fn remove_privileges(_: &File) -> io::Result<()> {
    Ok(())
}
