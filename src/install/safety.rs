//! Whether it is safe to update in a directory, and for this process to do so (SPEC step 1).

#[cfg(unix)]
use std::fs::Metadata;
#[cfg(unix)]
use std::os::unix::fs::MetadataExt;
use std::path::Path;
#[cfg(unix)]
use std::path::PathBuf;

use super::dir::OpenDir;
#[cfg(unix)]
use super::users::user_of;
#[cfg(any(unix, windows))]
use crate::error::io;
use crate::error::{Error, Local, Result};
#[cfg(unix)]
use crate::obstacle::Place;
use crate::obstacle::UnsafeReason;

pub(super) fn unsafe_site(path: &Path, why: UnsafeReason) -> Error {
    Local::UnsafeSite { path: path.into(), why }.into()
}

/// Checks the open directory, not its path: the path could lead to another directory by the time a
/// file is created in it.
#[cfg(unix)]
pub(super) fn refuse_writable_by_others(dir: &OpenDir) -> Result<()> {
    let meta = dir.metadata().map_err(io("look at", dir.path()))?;
    let user = rustix::process::geteuid();
    if user.is_root() {
        return refuse_for_root(dir, &meta);
    }
    refuse_world_writable(dir.path(), &meta, Place::Directory)?;
    if meta.uid() != user.as_raw() && meta.uid() != 0 {
        let (owner, user) = (user_of(meta.uid()), user.as_raw());
        return Err(unsafe_site(dir.path(), UnsafeReason::ForeignOwner { owner, user }));
    }
    Ok(())
}

/// Root runs what an update puts in place, and tries it before: no other user may change a name on
/// the way to it, as in the StrictModes of sshd. All places are named at once.
#[cfg(unix)]
fn refuse_for_root(dir: &OpenDir, meta: &Metadata) -> Result<()> {
    let mut found = Vec::new();
    found.extend(why_unsafe_for_root(meta, Place::Directory).map(|why| (dir.path().to_owned(), why)));
    add_above_for_root(dir, meta, &mut found)?;
    let mut found = found.into_iter();
    let Some((path, first)) = found.next() else { return Ok(()) };
    let others: Vec<_> = found.collect();
    let why = match others.is_empty() {
        true => first,
        false => UnsafeReason::Several { first: Box::new(first), others },
    };
    Err(unsafe_site(&path, why))
}

#[cfg(unix)]
fn why_unsafe_for_root(meta: &Metadata, place: Place) -> Option<UnsafeReason> {
    let (mode, owner) = (meta.mode() & 0o7777, meta.uid());
    if owner != 0 && !(place == Place::Ancestor && is_outside_of_namespace(owner)) {
        return Some(UnsafeReason::NotOfRoot { owner: user_of(owner), place });
    }
    // In a sticky directory such as /tmp another user cannot rename what is root's.
    if place == Place::Ancestor && mode & 0o1000 != 0 {
        return None;
    }
    if mode & 0o002 != 0 {
        return Some(UnsafeReason::WritableByAll { mode, place });
    }
    // With a POSIX ACL these bits are its mask.
    (mode & 0o020 != 0).then(|| UnsafeReason::WritableByGroup { mode, group: meta.gid(), place })
}

/// Every directory above, by descriptors: `..` leads to the one that it is in now.
#[cfg(unix)]
fn add_above_for_root(
    dir: &OpenDir,
    meta: &Metadata,
    unsafe_places: &mut Vec<(PathBuf, UnsafeReason)>,
) -> Result<()> {
    let mut names = dir.path().ancestors().skip(1);
    let mut below = (meta.dev(), meta.ino());
    let mut opened = dir.open_above().map_err(io("open the directory above", dir.path()))?;
    loop {
        let path = names.next().unwrap_or(Path::new("/"));
        let meta = opened.metadata().map_err(io("look at", path))?;
        if (meta.dev(), meta.ino()) == below {
            return Ok(()); // the root
        }
        unsafe_places.extend(why_unsafe_for_root(&meta, Place::Ancestor).map(|why| (path.to_owned(), why)));
        opened = opened.open_above().map_err(io("open the directory above", path))?;
        below = (meta.dev(), meta.ino());
    }
}

/// Whether this is the number that stands for users outside of this user namespace, such as the
/// real root who owns `/`. Who they are cannot be seen from here.
#[cfg(unix)]
fn is_outside_of_namespace(user: u32) -> bool {
    const OVERFLOW: u32 = 65534; // Linux; /proc/sys/kernel/overflowuid changes it for the whole machine
    let Ok(map) = std::fs::read_to_string("/proc/self/uid_map") else { return false };
    let is_mapped = map.lines().any(|line| {
        let mut fields = line.split_whitespace().map(str::parse::<u64>);
        match (fields.next(), fields.next(), fields.next()) {
            (Some(Ok(first)), _, Some(Ok(count))) => {
                (first..first.saturating_add(count)).contains(&user.into())
            }
            _ => true,
        }
    });
    user == OVERFLOW && !is_mapped
}

#[cfg(unix)]
fn refuse_world_writable(path: &Path, meta: &Metadata, place: Place) -> Result<()> {
    let mode = meta.mode() & 0o7777;
    if mode & 0o002 != 0 {
        return Err(unsafe_site(path, UnsafeReason::WritableByAll { mode, place }));
    }
    Ok(())
}

/// Refuses `.<exe>.relatch/` if it is owned neither by the owner of the executable nor by one of
/// these users, who could replace the executable anyway.
#[cfg(unix)]
pub(super) fn refuse_foreign(private: &OpenDir, trusted: &[u32], executable: u32) -> Result<()> {
    let meta = private.metadata().map_err(io("look at", private.path()))?;
    if rustix::process::geteuid().is_root() {
        let why = why_unsafe_for_root(&meta, Place::Records);
        return why.map_or(Ok(()), |why| Err(unsafe_site(private.path(), why)));
    }
    refuse_world_writable(private.path(), &meta, Place::Records)?;
    if meta.uid() == executable || trusted.contains(&meta.uid()) {
        return Ok(());
    }
    let (owner, executable) = (user_of(meta.uid()), user_of(executable));
    Err(unsafe_site(private.path(), UnsafeReason::ForeignPrivateOwner { owner, executable }))
}

#[cfg(windows)]
pub(super) fn refuse_writable_by_others(dir: &OpenDir) -> Result<()> {
    use crate::platform::access::why_unsafe;
    use crate::platform::windows::{current_user, security_of};
    let security = security_of(dir.handle()).map_err(io("read the access control list of", dir.path()))?;
    let user = current_user().map_err(io("find out the current user for", dir.path()))?;
    match security.stranger_in_directory(&user) {
        None => Ok(()),
        Some(stranger) => {
            let why = UnsafeReason::AccessList(why_unsafe(dir.path(), &stranger));
            Err(unsafe_site(dir.path(), why))
        }
    }
}

#[cfg(not(any(unix, windows)))]
pub(super) fn refuse_writable_by_others(_: &OpenDir) -> Result<()> {
    Ok(())
}
