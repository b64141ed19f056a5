//! What survives a power cut.
//!
//! A small file is replaced by: create a new name exclusively, write, fsync the file, rename over
//! the old name, fsync the directory. At each moment the name leads to the whole old or the whole
//! new content. An executable is written once, fsynced, and only then named (swap/).

use std::fs::File;
use std::io::{ErrorKind, Read, Write};

use super::dir::{Entry, OpenDir, set_mode};
use super::names;
use super::random::random_suffix;
use super::restrictions::{refuse_restricted_dir, refuse_size};
use crate::error::{Result, io};
use crate::escape::Printable;
use crate::limits::ByteLimit;
use crate::regular_file;
use crate::trust::Refusal;

/// Replaces a small file durably: a new file, fsync, rename, fsync of the directory.
pub(super) fn replace(dir: &OpenDir, name: &str, content: &[u8]) -> Result<()> {
    put(dir, name, content, sync)?;
    sync_dir(dir)
}

/// Replaces a small file that nothing depends on. No reader sees a part of it; after a power cut it may
/// be damaged.
pub(super) fn replace_unflushed(dir: &OpenDir, name: &str, content: &[u8]) -> Result<()> {
    put(dir, name, content, |_| Ok(()))
}

fn put(
    dir: &OpenDir,
    name: &str,
    content: &[u8],
    flush: impl FnOnce(&File) -> std::io::Result<()>,
) -> Result<()> {
    refuse_size(&Entry::new(dir, name).path(), content.len() as u64)?;
    let (mut file, new) = create_new(dir, names::WRITE)?;
    let (new, named) = (Entry::new(dir, &new), Entry::new(dir, name));
    let written = file.write_all(content).and_then(|()| make_readable(&file)).and_then(|()| flush(&file));
    // Windows renames no open file.
    drop(file);
    let renamed = written.and_then(|()| rename(new, named));
    if let Err(error) = renamed {
        remove(new);
        return Err(io("write", &named.path())(error));
    }
    Ok(())
}

/// A new private file with a random name that begins with `prefix`.
pub(super) fn create_new(dir: &OpenDir, prefix: &str) -> Result<(File, String)> {
    let name = format!("{prefix}{}", random_suffix()?);
    let entry = Entry::new(dir, &name);
    match entry.create() {
        Ok(file) => Ok((file, name)),
        Err(error) => {
            refuse_restricted_dir(dir)?;
            Err(io("create", &entry.path())(error))
        }
    }
}

/// Renames, also over an existing file. On Windows a virus scanner may hold a file for a moment
/// after it was written or run.
pub(super) fn rename(from: Entry<'_>, to: Entry<'_>) -> std::io::Result<()> {
    let mut tries = 0;
    loop {
        match from.rename(to) {
            Err(error) if is_of_the_moment(&error, cfg!(windows)) && tries < TRIES => {
                tries += 1;
                std::thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
}

/// A second in all: scanners need less, and processes wait longer for a lock.
const TRIES: u32 = 10;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION. They may also be permanent.
fn is_of_the_moment(error: &std::io::Error, windows: bool) -> bool {
    windows && matches!(error.raw_os_error(), Some(5 | 32 | 33))
}

/// Makes the content and the attributes of a file survive a power cut.
///
/// On Apple's systems std calls `fcntl(F_FULLFSYNC)` here, which flushes the drive's own cache too;
/// fsync(2) there does not. A file system that does not know that call, such as SMB's and some in
/// user space, gets fsync(2).
pub(super) fn sync(file: &File) -> std::io::Result<()> {
    #[cfg(target_vendor = "apple")]
    return or_plainly(file.sync_all(), || Ok(rustix::fs::fsync(file)?));
    #[cfg(not(target_vendor = "apple"))]
    file.sync_all()
}

/// The plain flush if the full one is not known here. Any other failure stays one.
#[cfg(unix)]
fn or_plainly(full: std::io::Result<()>, plain: impl FnOnce() -> std::io::Result<()>) -> std::io::Result<()> {
    use rustix::io::Errno;
    let unknown = [Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOTTY, Errno::INVAL, Errno::NOSYS];
    match full {
        Err(error) if Errno::from_io_error(&error).is_some_and(|errno| unknown.contains(&errno)) => plain(),
        done => done,
    }
}

/// Makes the names in a directory survive a power cut. The caller has held the directory open since
/// before it changed them.
pub(super) fn sync_dir(dir: &OpenDir) -> Result<()> {
    #[cfg(unix)]
    match dir.readable() {
        // Some file systems have no such call for directories. Their names are as durable as they
        // make them.
        Ok(file) => or_plainly(sync(file), || Ok(())).map_err(io("synchronise", dir.path()))?,
        // A directory that this user may change and not read has no descriptor that could be
        // flushed. An update is refused there, and a rollback or a recovery is not.
        Err(_) => rustix::fs::sync(),
    }
    #[cfg(not(unix))] // Windows has no such call and needs none: NTFS journals names.
    let _ = dir;
    Ok(())
}

/// Reads a small file whole; `None` if there is none. Anything that is not a regular file is
/// damaged, and is replaced or reported like a damaged file. A directory is an error, because no
/// file can be renamed over it.
pub(super) fn read(dir: &OpenDir, name: &str, limit: ByteLimit) -> Result<Option<Vec<u8>>> {
    let entry = Entry::new(dir, name);
    let path = entry.path();
    let damaged = |why: String| Refusal::StateDamaged { why };
    let mut content = Vec::new();
    match entry.open_following_links().and_then(|file| file.take(limit.0 + 1).read_to_end(&mut content)) {
        Ok(_) if content.len() as u64 > limit.0 => {
            Err(damaged(format!("{} has more than {} bytes", Printable(path.display()), limit.0)).into())
        }
        Ok(_) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if regular_file::is_not_regular(&error) && !entry.is_dir().unwrap_or(false) => {
            Err(damaged(format!("{} is no regular file", Printable(path.display()))).into())
        }
        Err(error) => Err(io("read", &path)(error)),
    }
}

/// Removes a file that is no longer needed. A failure is no error: the next clean-up tries again.
pub(super) fn remove(file: Entry<'_>) {
    drop(file.remove());
}

/// Every user who may run the tool may read the state; it holds no secrets.
fn make_readable(file: &File) -> std::io::Result<()> {
    set_mode(file, 0o644)
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_file_system_without_the_full_flush_gets_the_plain_one() {
        let plain = || Err(Errno::IO.into()); // shows that it was called
        for errno in [Errno::NOTSUP, Errno::NOTTY, Errno::INVAL, Errno::NOSYS] {
            assert!(or_plainly(Err(errno.into()), || Ok(())).is_ok(), "{errno:?}");
            let error = or_plainly(Err(errno.into()), plain).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(Errno::IO.raw_os_error()), "{errno:?}");
        }
        // What was written may be lost: no other call can repair that.
        for errno in [Errno::IO, Errno::NOSPC, Errno::DQUOT] {
            let error = or_plainly(Err(errno.into()), || Ok(())).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(errno.raw_os_error()));
        }
        assert!(or_plainly(Ok(()), plain).is_ok());
    }
}
