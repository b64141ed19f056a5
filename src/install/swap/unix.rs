//! The swap on Unix. The only calls that std does not have come from rustix.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{CWD, Gid, RenameFlags, Uid};
use rustix::io::Errno;

use super::super::{Installation, durable};
#[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
use super::attributes::{self, Files, System, Which};
use crate::error::{Result, io as io_error};

/// Before the probe: for the one who updates only. What others may do is carried over after it.
pub(super) fn make_executable(file: &File) -> io::Result<()> {
    file.set_permissions(fs::Permissions::from_mode(0o700))
}

/// Content and attributes reach the disk before the file gets its name.
pub(super) fn sync_staged(file: &File) -> io::Result<()> {
    durable::sync(file)
}

/// Exchanges two names atomically; `false` where this system or file system cannot.
pub(super) fn exchange(a: &Path, b: &Path) -> io::Result<bool> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    match rustix::fs::renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE) {
        Ok(()) => return Ok(true),
        Err(errno) if cannot_exchange(errno) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(false)
}

/// An old kernel, a seccomp filter, or a file system without it.
fn cannot_exchange(errno: Errno) -> bool {
    [Errno::NOSYS, Errno::INVAL, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::PERM].contains(&errno)
}

/// Renames over a name; there is no moment without the name.
pub(super) fn replace(_: &Installation, from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// A second file with the same content and attributes. A hard link would not do: a later rename between two links of one inode succeeds
/// and does nothing.
pub(super) fn keep_copy(_: &Installation, from: &Path, to: &Path) -> Result<()> {
    let mut source = File::open(from).map_err(io_error("open", from))?;
    let mut copy = durable::create_private(to).map_err(io_error("create", to))?;
    io::copy(&mut source, &mut copy).map_err(io_error("copy the executable to", to))?;
    copy_metadata(&source, &copy, from)?;
    durable::sync(&copy).map_err(io_error("synchronise", to))
}

/// Gives the new file the owner, the mode and those attributes of the old one that are on the list of [`attributes`], or refuses.
pub(super) fn copy_metadata(old: &File, new: &File, path: &Path) -> Result<()> {
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
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
    attributes::copy_metadata(Pair::SYSTEM, &Pair { old, new })
        .map_err(|(what, error)| super::cannot_carry(path, &what, error))?;
    Ok(())
}

/// Linux limits names and each value to 64 KiB (xattr(7)); what is larger is not read, and never cut.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
const LIMIT: usize = 64 * 1024;

/// The two files of a swap, as [`attributes`] asks about them.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
struct Pair<'a> {
    old: &'a File,
    new: &'a File,
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
impl Pair<'_> {
    const SYSTEM: System = if cfg!(target_os = "macos") { System::Apple } else { System::Linux };

    fn get(&self, of: Which) -> &File {
        match of {
            Which::Old => self.old,
            Which::New => self.new,
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
impl Files for Pair<'_> {
    #[cfg(target_os = "macos")]
    type Acl = Vec<exacl::AclEntry>;
    #[cfg(not(target_os = "macos"))]
    type Acl = ();

    fn names(&self) -> Result<Vec<u8>, Errno> {
        let mut names = vec![0; LIMIT];
        let length = rustix::fs::flistxattr(self.old, &mut names[..])?;
        names.truncate(length);
        Ok(names)
    }

    fn value(&self, of: Which, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let mut value = vec![0; LIMIT];
        let length = rustix::fs::fgetxattr(self.get(of), name, &mut value[..])?;
        value.truncate(length);
        Ok(value)
    }

    fn set(&self, name: &[u8], value: &[u8]) -> Result<(), Errno> {
        rustix::fs::fsetxattr(self.new, name, value, rustix::fs::XattrFlags::empty())
    }

    fn remove(&self, name: &[u8]) -> Result<(), Errno> {
        rustix::fs::fremovexattr(self.new, name)
    }

    /// By path, which the system knows of a descriptor: acl_get_fd(3) has no safe form.
    #[cfg(target_os = "macos")]
    fn acl(&self, of: Which) -> io::Result<Self::Acl> {
        const ENOTSUP: &str = "(os error 45)"; // of which exacl keeps the text alone
        exacl::getfacl(path_of(self.get(of))?, None).map_err(|error| {
            match error.to_string().ends_with(ENOTSUP) {
                true => io::ErrorKind::Unsupported.into(),
                false => error,
            }
        })
    }

    #[cfg(target_os = "macos")]
    fn set_acl(&self, acl: &Self::Acl) -> io::Result<()> {
        exacl::setfacl(&[path_of(self.new)?], acl, None)
    }

    #[cfg(target_os = "macos")]
    fn flags(&self, of: Which) -> io::Result<u32> {
        Ok(std::os::macos::fs::MetadataExt::st_flags(&self.get(of).metadata()?))
    }

    #[cfg(not(target_os = "macos"))]
    fn acl(&self, _: Which) -> io::Result<Self::Acl> {
        Ok(()) // one of the extended attributes
    }

    #[cfg(not(target_os = "macos"))]
    fn set_acl(&self, (): &Self::Acl) -> io::Result<()> {
        Ok(())
    }

    #[cfg(not(target_os = "macos"))]
    fn flags(&self, _: Which) -> io::Result<u32> {
        Ok(0) // those of chattr(1) are another call's, and are not carried over
    }
}

#[cfg(target_os = "macos")]
fn path_of(file: &File) -> io::Result<std::path::PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    Ok(std::ffi::OsString::from_vec(rustix::fs::getpath(file)?.into_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_names_cannot_be_exchanged_the_other_way_is_taken() {
        // ENOTSUP is what macOS answers on a file system without RENAME_SWAP.
        for errno in [Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL, Errno::PERM] {
            assert!(cannot_exchange(errno), "{errno:?}");
        }
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::ROFS, Errno::IO, Errno::NOSPC, Errno::XDEV] {
            assert!(!cannot_exchange(errno), "{errno:?}");
        }
    }
}
