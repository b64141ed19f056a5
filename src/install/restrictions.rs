//! What the system forbids here, as an error that names the reason.

use std::ffi::OsStr;
use std::path::Path;

use super::dir::{OpenDir, Restrictions, file_size_limit};
use crate::error::{Error, Local, Result, io};
use crate::obstacle::Obstacle;

/// The error if this process may not write a file of this size.
pub(super) fn refuse_size(path: &Path, needed: u64) -> Result<()> {
    let limit = file_size_limit();
    match needed > limit {
        true => Err(cannot_update(path, Obstacle::FileSizeLimit { needed, limit })),
        false => Ok(()),
    }
}

/// The error if the file of this name cannot be replaced. There may be none.
pub(super) fn refuse_restricted(dir: &OpenDir, name: &OsStr) -> Result<()> {
    let path = dir.path().join(name);
    let found = dir.restrictions(name).map_err(io("look at", &path))?;
    refuse(&path, found)
}

/// The error if no name in a directory can be changed. The directory itself may be a mount point.
pub(super) fn refuse_restricted_dir(dir: &OpenDir) -> Result<()> {
    let found = dir.restrictions(OsStr::new(".")).map_err(io("look at", dir.path()))?;
    refuse(dir.path(), Restrictions { mount_point: false, ..found })
}

fn refuse(path: &Path, found: Restrictions) -> Result<()> {
    let why = match found {
        Restrictions { immutable: true, .. } => Obstacle::Immutable,
        Restrictions { append_only: true, .. } => Obstacle::AppendOnly,
        Restrictions { mount_point: true, .. } => Obstacle::MountPoint,
        _ => return Ok(()),
    };
    Err(cannot_update(path, why))
}

/// The error if a directory can be searched and not read.
pub(super) fn refuse_unreadable(dir: &OpenDir) -> Result<()> {
    #[cfg(unix)]
    if dir.readable().is_err() {
        use std::os::unix::fs::MetadataExt;
        let found = dir.metadata().map_err(io("look at", dir.path()))?;
        let is_owner = found.uid() == rustix::process::geteuid().as_raw();
        let why = Obstacle::NotReadable { mode: found.mode() & 0o7777, is_owner };
        return Err(cannot_update(dir.path(), why));
    }
    let _ = dir;
    Ok(())
}

pub(super) fn cannot_update(path: &Path, why: Obstacle) -> Error {
    Local::CannotUpdate { path: path.into(), why }.into()
}
