//! The swap on Windows, where a running executable can be renamed away but neither replaced nor removed.
//!
//! Between the two renames there is no executable at the path; [`close_gap`] runs under the next lock and puts one there.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::super::Site;
use crate::error::{Result, io as io_error};

pub(super) fn make_executable(_: &File) -> io::Result<()> {
    Ok(()) // every file can be run
}

/// Staging flushed the content over the handle that wrote it. This handle is read-only, and FlushFileBuffers requires write access; no
/// attribute has been set since.
pub(super) fn sync_staged(_: &File) -> io::Result<()> {
    Ok(())
}

/// There is no exchange of names.
pub(super) fn exchange(_: &Path, _: &Path) -> io::Result<bool> {
    Ok(false)
}

/// The executable itself is renamed away: that is the copy.
pub(super) fn keep_copy(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(io_error("rename away", from))
}

pub(super) fn replace(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Puts the new executable, or else the old one, at a path where a crash left none.
pub(super) fn close_gap(site: &Site, new: &Path, leaving: &Path) -> Result<()> {
    if site.executable().exists() {
        return Ok(());
    }
    fs::rename(new, site.executable())
        .or_else(|_| fs::rename(leaving, site.executable()))
        .map_err(io_error("put an executable at", site.executable()))
}

/// A file made in a directory inherits that directory's ACL, as the old executable did.
pub(super) fn carry_over(_: &File, _: &File, _: &Path) -> Result<()> {
    Ok(())
}
