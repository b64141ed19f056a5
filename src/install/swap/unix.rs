//! The swap on Unix. The only calls that std does not have come from rustix.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{CWD, Gid, RenameFlags, Uid, XattrFlags};
use rustix::io::Errno;

use super::super::{Site, durable};
use crate::error::{Result, io as io_error};

/// Before the probe: for the one who updates only. What others may do is carried over after it.
pub(super) fn make_executable(file: &File) -> io::Result<()> {
    file.set_permissions(fs::Permissions::from_mode(0o700))
}

/// Content and attributes reach the disk before the file gets its name.
pub(super) fn sync_staged(file: &File) -> io::Result<()> {
    file.sync_all()
}

/// Exchanges two names atomically; `false` where this system or file system cannot.
pub(super) fn exchange(a: &Path, b: &Path) -> io::Result<bool> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    match rustix::fs::renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE) {
        Ok(()) => return Ok(true),
        // An old kernel, a seccomp filter, or a file system without it.
        Err(Errno::NOSYS | Errno::INVAL | Errno::NOTSUP | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(false)
}

/// Renames over a name; there is no moment without the name.
pub(super) fn replace(_: &Site, from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// A second file with the same content and attributes. A hard link would not do: a later rename between two links of one inode succeeds
/// and does nothing.
pub(super) fn keep_copy(_: &Site, from: &Path, to: &Path) -> Result<()> {
    let mut source = File::open(from).map_err(io_error("open", from))?;
    let mut copy = durable::create_private(to).map_err(io_error("create", to))?;
    io::copy(&mut source, &mut copy).map_err(io_error("copy the executable to", to))?;
    carry_over(&source, &copy, from)?;
    copy.sync_all().map_err(io_error("synchronise", to))
}

/// Gives the new file the owner, mode and extended attributes (capabilities, security labels, ACLs) of the old one, or refuses.
pub(super) fn carry_over(old: &File, new: &File, path: &Path) -> Result<()> {
    let (meta, fresh) = (
        old.metadata().map_err(io_error("look at", path))?,
        new.metadata().map_err(io_error("look at", path))?,
    );
    if (meta.uid(), meta.gid()) != (fresh.uid(), fresh.gid()) {
        // Owner first: changing it clears set-user-id bits and capabilities.
        let owner = (Some(Uid::from_raw(meta.uid())), Some(Gid::from_raw(meta.gid())));
        rustix::fs::fchown(new, owner.0, owner.1).map_err(|error| {
            super::cannot_carry(path, &format!("owner {}:{}", meta.uid(), meta.gid()), error.into())
        })?;
    }
    new.set_permissions(fs::Permissions::from_mode(meta.mode() & 0o7777))
        .map_err(|error| super::cannot_carry(path, "mode", error))?;
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    carry_attributes(old, new, path)?;
    Ok(())
}

/// Linux limits names and each value to 64 KiB (xattr(7)); a larger one is refused, not cut.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn carry_attributes(old: &File, new: &File, path: &Path) -> Result<()> {
    const LIMIT: usize = 64 * 1024;
    let mut names = vec![0u8; LIMIT];
    let length = match rustix::fs::flistxattr(old, &mut names[..]) {
        Ok(length) => length,
        Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(()),
        Err(error) => return Err(super::cannot_carry(path, "extended attributes", error.into())),
    };
    let names = names.get(..length).unwrap_or_default();
    let mut value = vec![0u8; LIMIT];
    for name in names.split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let refuse = |error: Errno| {
            let what = format!("attribute {}", crate::error::printable(&String::from_utf8_lossy(name)));
            super::cannot_carry(path, &what, error.into())
        };
        let length = rustix::fs::fgetxattr(old, name, &mut value[..]).map_err(refuse)?;
        let content = value.get(..length).unwrap_or_default();
        let mut existing = vec![0u8; LIMIT];
        let same = rustix::fs::fgetxattr(new, name, &mut existing[..])
            .is_ok_and(|n| existing.get(..n) == Some(content));
        if !same {
            rustix::fs::fsetxattr(new, name, content, XattrFlags::empty()).map_err(refuse)?;
        }
    }
    Ok(())
}
