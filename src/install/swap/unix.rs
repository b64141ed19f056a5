//! The swap on Unix: what the new file gets from the old one, and the way without an exchange of
//! names.

#[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
use std::cell::Cell;
use std::fs::{self, File, Metadata};
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
use crate::obstacle::{CarryFailure, Obstacle};

/// Content and attributes reach the disk before the file gets its name.
pub(super) fn sync_staged(file: &File) -> io::Result<()> {
    durable::sync(file)
}

/// Renames over a name; there is no moment without the name.
pub(super) fn replace(_: &Directories, from: Entry<'_>, to: Entry<'_>) -> io::Result<()> {
    from.rename(to)
}

/// Keeps the executable under a second name, which needs no room on a full disk. Where that is not
/// possible, it is copied: on a file system without links, and for a file of another user (sysctl
/// `fs.protected_hardlinks`).
pub(super) fn keep_copy(_: &Directories, from: Entry<'_>, to: Entry<'_>) -> Result<()> {
    match from.link(to) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {}
        linked => return linked.map_err(io_error("create", &to.path())),
    }
    let mut source = from.open().map_err(io_error("open", &from.path()))?;
    let mut copy = to.create().map_err(io_error("create", &to.path()))?;
    io::copy(&mut source, &mut copy).map_err(io_error("copy the executable to", &to.path()))?;
    copy_metadata(&source, &copy, &from.path())?;
    durable::sync(&copy).map_err(io_error("synchronise", &to.path()))
}

/// The permissions of a mode, without the set-user-id, set-group-id and sticky bits.
const PERMISSIONS: u32 = 0o777;
const SET_ID: u32 = 0o6000;

/// Gives the new file the owner, the mode and those attributes of the old one that are on the list
/// of [`attributes`], takes a set-id bit or a capability from it that the old one has not, or
/// refuses. Only what differs is written: twice is once, and on a full disk nothing may be needed.
/// The result is whether anything was written.
///
/// The order: a change of the owner clears set-id bits and capabilities, and an ACL sets
/// permissions. So the owner is first, and set-id bits are last.
pub(super) fn copy_metadata(old: &File, new: &File, path: &Path) -> Result<bool> {
    let look = |file: &File| file.metadata().map_err(io_error("look at", path));
    let (wanted, mut found) = (look(old)?, look(new)?);
    let mut is_changed = false;
    if (wanted.uid(), wanted.gid()) != (found.uid(), found.gid()) {
        let owner = (Some(Uid::from_raw(wanted.uid())), Some(Gid::from_raw(wanted.gid())));
        rustix::fs::fchown(new, owner.0, owner.1).map_err(|error| {
            cannot_carry(path, &format!("owner {}:{}", wanted.uid(), wanted.gid()), error.into())
        })?;
        (found, is_changed) = (look(new)?, true);
    }
    let bits = |meta: &Metadata| meta.mode() & 0o7777;
    let chmod = |mode| {
        let set = new.set_permissions(fs::Permissions::from_mode(mode));
        set.map_err(|error| cannot_carry(path, &format!("mode {mode:o}"), error))
    };
    if (bits(&wanted) ^ bits(&found)) & PERMISSIONS != 0 {
        chmod(bits(&wanted) & PERMISSIONS)?;
        is_changed = true;
    }
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "macos"))]
    {
        let pair = Pair { old, new, is_changed: Cell::new(false) };
        attributes::copy_metadata(Pair::SYSTEM, &pair)
            .map_err(|(what, error)| cannot_carry(path, &what, error))?;
        is_changed |= pair.is_changed.get();
    }
    if bits(&look(new)?) != bits(&wanted) {
        chmod(bits(&wanted))?;
        is_changed = true;
        // Linux clears the set-group-id bit in silence if the caller is not in the file's group,
        // and some file systems accept every mode and store none.
        let stored = bits(&look(new)?);
        if stored != bits(&wanted) {
            let why = Obstacle::CannotCarry {
                what: format!("mode {:o}", bits(&wanted)),
                error: format!("the system stored the mode {stored:o}"),
                failure: CarryFailure::Dropped,
            };
            return Err(Local::CannotUpdate { path: path.into(), why }.into());
        }
    }
    Ok(is_changed)
}

/// Takes from the file that leaves the path what gives its program the rights of another user.
/// Nothing is written if it has no such thing.
pub(super) fn remove_privileges(file: &File) -> io::Result<()> {
    let mode = file.metadata()?.mode() & 0o7777;
    if mode & SET_ID != 0 {
        file.set_permissions(fs::Permissions::from_mode(mode & !SET_ID))?;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    match rustix::fs::fgetxattr(file, attributes::CAPABILITY, &mut [0_u8; 64][..]) {
        Err(Errno::NODATA | Errno::NOTSUP | Errno::NOSYS) => {}
        Ok(_) | Err(Errno::RANGE) => rustix::fs::fremovexattr(file, attributes::CAPABILITY)?,
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// A part that must stay with an executable cannot be given to the one that replaces it.
fn cannot_carry(path: &Path, what: &str, error: io::Error) -> Error {
    use rustix::io::Errno;
    let failure = match Errno::from_io_error(&error) {
        Some(Errno::NOSPC | Errno::DQUOT) => CarryFailure::NoSpace,
        Some(Errno::ROFS) => CarryFailure::ReadOnly,
        Some(Errno::IO) => CarryFailure::Disk,
        Some(Errno::INVAL | Errno::OVERFLOW) if what.starts_with("owner") => CarryFailure::UnknownId,
        Some(Errno::PERM | Errno::ACCESS) => match rustix::process::geteuid().is_root() {
            true => CarryFailure::NotPermittedToRoot,
            false => CarryFailure::NotPermitted,
        },
        _ => CarryFailure::Other,
    };
    let why = Obstacle::CannotCarry { what: what.into(), error: error.to_string(), failure };
    Local::CannotUpdate { path: path.into(), why }.into()
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
    is_changed: Cell<bool>,
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
        rustix::fs::fsetxattr(self.new, name, value, rustix::fs::XattrFlags::empty())?;
        self.is_changed.set(true);
        Ok(())
    }

    fn remove(&self, name: &[u8]) -> Result<(), Errno> {
        rustix::fs::fremovexattr(self.new, name)?;
        self.is_changed.set(true);
        Ok(())
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
        exacl::setfacl(&[path_of(self.new)?], acl, None)?;
        self.is_changed.set(true);
        Ok(())
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
