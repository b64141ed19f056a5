//! The swap on Unix: what the new file gets from the old one, and the way without an exchange of
//! names.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Gid, Uid};
#[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
use rustix::io::Errno;

use super::super::dir::Entry;
use super::super::directories::Directories;
use super::super::durable;
#[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
use super::attributes::{self, Files, System, Which};
use crate::error::{Error, Local, Result, io as io_error};

/// Content and attributes reach the disk before the file gets its name.
pub(super) fn sync_staged(file: &File) -> io::Result<()> {
    durable::sync(file)
}

/// Renames over a name; there is no moment without the name.
pub(super) fn replace(_: &Directories, from: Entry<'_>, to: Entry<'_>) -> io::Result<()> {
    from.rename(to)
}

/// A second file with the same content and attributes. A hard link is no copy: a later rename
/// between two links of one inode succeeds and does nothing.
pub(super) fn keep_copy(_: &Directories, from: Entry<'_>, to: Entry<'_>) -> Result<()> {
    let mut source = from.open().map_err(io_error("open", &from.path()))?;
    let mut copy = to.create().map_err(io_error("create", &to.path()))?;
    io::copy(&mut source, &mut copy).map_err(io_error("copy the executable to", &to.path()))?;
    copy_metadata(&source, &copy, &from.path())?;
    durable::sync(&copy).map_err(io_error("synchronise", &to.path()))
}

/// Gives the new file the owner, the mode and those attributes of the old one that are on the list
/// of [`attributes`], or refuses.
pub(super) fn copy_metadata(old: &File, new: &File, path: &Path) -> Result<()> {
    let (meta, fresh) = (
        old.metadata().map_err(io_error("look at", path))?,
        new.metadata().map_err(io_error("look at", path))?,
    );
    if (meta.uid(), meta.gid()) != (fresh.uid(), fresh.gid()) {
        // Owner first: changing it clears set-user-id bits and capabilities.
        let owner = (Some(Uid::from_raw(meta.uid())), Some(Gid::from_raw(meta.gid())));
        rustix::fs::fchown(new, owner.0, owner.1).map_err(|error| {
            cannot_carry(path, &format!("owner {}:{}", meta.uid(), meta.gid()), error.into())
        })?;
    }
    new.set_permissions(fs::Permissions::from_mode(meta.mode() & 0o7777))
        .map_err(|error| cannot_carry(path, "mode", error))?;
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
    attributes::copy_metadata(Pair::SYSTEM, &Pair { old, new })
        .map_err(|(what, error)| cannot_carry(path, &what, error))?;
    Ok(())
}

/// A part that must stay with an executable cannot be given to its successor.
fn cannot_carry(path: &Path, what: &str, error: io::Error) -> Error {
    let why = format!("its {what} cannot be carried over to the new version: {error}");
    Local::UnsafeSite { path: path.into(), why }.into()
}

/// Linux limits the names and each value to 64 KiB (xattr(7)). A larger one is an error, and is not
/// cut.
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
