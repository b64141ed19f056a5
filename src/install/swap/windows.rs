//! The swap on Windows, where a running executable can be renamed, and neither replaced nor removed.
//!
//! Between the two renames of a swap there is no executable at the path; the next recovery puts one there.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::super::{Installation, durable, random};
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
pub(super) fn keep_copy(site: &Installation, from: &Path, to: &Path) -> Result<()> {
    replace(site, from, to).map_err(io_error("rename away", from))
}

/// Renames over a name. Where a process still runs what is there, that file is renamed to `old-<16 hex>` first, and removed when its last
/// process has ended: by the clean-up under some later lock. So there is one of these for each old version that still runs, and no more.
pub(super) fn replace(site: &Installation, from: &Path, to: &Path) -> io::Result<()> {
    let Err(error) = fs::rename(from, to) else { return Ok(()) };
    if !to.exists() {
        return durable::rename(from, to);
    }
    let Ok(number) = random() else { return Err(error) };
    let aside = site.dir().join(format!("old-{:016x}", u64::from_le_bytes(number)));
    durable::rename(to, &aside)?;
    match durable::rename(from, to) {
        Ok(()) => durable::remove(&aside),
        Err(error) => {
            durable::rename(&aside, to)?;
            return Err(error);
        }
    }
    Ok(())
}

/// A file made in a directory inherits that directory's ACL, as the old executable did.
pub(super) fn copy_metadata(_: &File, _: &File, _: &Path) -> Result<()> {
    Ok(())
}
