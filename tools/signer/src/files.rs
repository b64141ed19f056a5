//! Files: bounded reads that do not block, and atomic replacement.
//!
//! Another user may have made a release folder or a repository, and may still write to it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use fs4::TryLockError;
#[cfg(not(windows))]
use relatch::Error;
use relatch::limits::ByteLimit;
use relatch::source::Object;
use relatch::trust::Digest;
use relatch::{Local, Printable, Refusal};
use tempfile::NamedTempFile;

use crate::limits::{LOCK_WAIT, POLL, REPLACE_WAIT};
use crate::{Failure, Result};

/// The users who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Every user who can read files in that directory.
    Public,
    /// Only the user who makes it.
    Owner,
}

/// The prefix of the names of files that are not complete.
pub const UNFINISHED: &str = ".unfinished-";

/// Writes a file that must not exist yet: a complete and durable one, or none. Half a key would be
/// of no use, and in the way of a rerun.
///
/// # Errors
/// [`Failure::Client`] if it exists, or if the disk fails.
pub fn write_new(path: &Path, content: &[u8], readers: Readers) -> Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .make_in(dir_of(path), |unfinished| create_new(unfinished, readers))
        .map_err(Failure::io("create", path))?;
    let written = file.as_file_mut().write_all(content).and_then(|()| file.as_file().sync_all());
    written.map_err(Failure::io("write", path))?;
    // Closed first: Windows renames no file that is open and not shared.
    let unfinished = file.into_temp_path();
    unfinished.persist_noclobber(path).map_err(|failed| Failure::io("create", path)(failed.error))?;
    sync_dir_of(path)
}

fn create_new(path: &Path, readers: Readers) -> std::io::Result<File> {
    #[cfg(windows)]
    if readers == Readers::Owner {
        return relatch::platform::windows::create_private(path);
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        let mode = if readers == Readers::Owner { 0o600 } else { 0o644 };
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    }
    options.open(path)
}

/// The next content of a file, complete and durable under a temporary name beside it. Dropping it
/// removes it and leaves the file unchanged.
#[must_use]
pub(crate) struct PendingFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl PendingFile {
    /// Writes the temporary file, with the permissions of the file that it will replace.
    pub(crate) fn write(path: &Path, content: &[u8]) -> Result<Self> {
        let write = || -> std::io::Result<NamedTempFile> {
            let mut new = tempfile::Builder::new();
            new.prefix(UNFINISHED);
            #[cfg(unix)]
            let before_umask: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
            #[cfg(unix)]
            new.permissions(before_umask);
            let mut file = new.tempfile_in(dir_of(path))?;
            match std::fs::metadata(path) {
                Ok(old) => file.as_file().set_permissions(old.permissions())?,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            file.write_all(content)?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        Ok(PendingFile { file: write().map_err(Failure::io("write", path))?, path: path.into() })
    }

    /// Replaces the file atomically.
    pub(crate) fn replace(self) -> Result<()> {
        let PendingFile { mut file, path } = self;
        let until = Instant::now() + REPLACE_WAIT;
        while let Err(failed) = file.persist(&path) {
            // On Windows, a process that has the file open for reading can prevent its replacement.
            let is_read = cfg!(windows) && failed.error.kind() == ErrorKind::PermissionDenied;
            if !is_read || Instant::now() >= until {
                return Err(Failure::io("replace", &path)(failed.error));
            }
            file = failed.file;
            std::thread::sleep(POLL);
        }
        sync_dir_of(&path)
    }
}

/// Makes the name of a file durable: fsync of its directory.
pub(crate) fn sync_dir_of(path: &Path) -> Result<()> {
    if cfg!(unix) {
        let dir = dir_of(path);
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(Failure::io("synchronise", dir))?;
    }
    Ok(())
}

/// Locks an open file, waiting for at most [`LOCK_WAIT`]. The system releases the lock when the
/// file is closed.
pub(crate) fn lock(file: &File, path: &Path) -> Result<()> {
    let until = Instant::now() + LOCK_WAIT;
    while let Err(error) = fs4::FileExt::try_lock(file) {
        match error {
            TryLockError::Error(error) => return Err(Failure::io("lock", path)(error)),
            TryLockError::WouldBlock if Instant::now() >= until => {
                return Err(Failure::Client(Local::Busy { path: path.into(), waited: LOCK_WAIT }.into()));
            }
            TryLockError::WouldBlock => std::thread::sleep(POLL),
        }
    }
    Ok(())
}

/// Locks a directory, so that only one process at a time adds to its files. No lock file is needed.
/// `None` if directories cannot be locked, as on some network file systems.
#[cfg(not(windows))]
pub fn lock_dir(dir: &Path) -> Result<Option<File>> {
    let Ok(file) = File::open(dir) else { return Ok(None) };
    match lock(&file, dir) {
        Ok(()) => Ok(Some(file)),
        Err(Failure::Client(Error::Local(Local::Io { .. }))) => Ok(None),
        Err(busy) => Err(busy),
    }
}

/// Locks a directory on Windows, where directories themselves cannot be locked: opens a file in it
/// without sharing. The system removes the file when it is closed, even if this process is killed.
#[cfg(windows)]
pub fn lock_dir(dir: &Path) -> Result<Option<File>> {
    use std::os::windows::fs::OpenOptionsExt;
    const GENERIC_WRITE_AND_DELETE: u32 = 0x4000_0000 | 0x0001_0000;
    const FILE_FLAG_DELETE_ON_CLOSE: u32 = 0x0400_0000;
    // While the file is being removed, but also if this user may not write to the directory.
    const ERROR_ACCESS_DENIED: i32 = 5;
    const ERROR_SHARING_VIOLATION: i32 = 32;
    let mut options = OpenOptions::new();
    options.write(true).create(true).share_mode(0);
    options.access_mode(GENERIC_WRITE_AND_DELETE).custom_flags(FILE_FLAG_DELETE_ON_CLOSE);
    let began = Instant::now();
    loop {
        let error = match options.open(dir.join(".unfinished-lock")) {
            Ok(file) => return Ok(Some(file)),
            Err(error) => error,
        };
        match error.raw_os_error() {
            Some(ERROR_SHARING_VIOLATION) if began.elapsed() >= LOCK_WAIT => {
                return Err(Failure::Client(Local::Busy { path: dir.into(), waited: LOCK_WAIT }.into()));
            }
            Some(ERROR_SHARING_VIOLATION) => {}
            Some(ERROR_ACCESS_DENIED) if began.elapsed() < REPLACE_WAIT => {}
            _ => return Ok(None),
        }
        std::thread::sleep(POLL);
    }
}

/// The directory that contains a file.
pub(crate) fn dir_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Reads a regular file of at most the size that a client accepts.
///
/// # Errors
/// [`Failure::Refused`] if it is larger; [`Failure::Client`] if it cannot be read, or is not a
/// regular file.
pub fn read_limited(path: &Path, limit: ByteLimit) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)
        .map_err(Failure::io("open", path))?
        .take(limit.0 + 1)
        .read_to_end(&mut bytes)
        .map_err(Failure::io("read", path))?;
    if bytes.len() as u64 > limit.0 {
        let path = Printable(path.display());
        let what = format!("{path} is larger than the {} bytes that a client accepts", limit.0);
        return Err(Failure::refused(what, "Shorten the notes, or use fewer keys or targets."));
    }
    Ok(bytes)
}

/// Opens a regular file. Another user may have made the folder or the repository that it is in, and
/// a build may leave anything at the path of an executable. Opening a FIFO blocks until its other
/// end is opened, and reading a device may never end. The type is checked before opening, because
/// opening some devices has side effects, and again after, because another process can replace the
/// file in between.
///
/// # Errors
/// If it cannot be opened, or is not a regular file.
pub fn open_regular(path: &Path) -> std::io::Result<File> {
    ensure_regular(&std::fs::metadata(path)?)?;
    let file = open_at_once(OpenOptions::new().read(true), path)?;
    ensure_regular(&file.metadata()?)?;
    Ok(file)
}

/// Opens the lock file of a repository, and makes it if it does not exist. As [`open_regular`], it
/// does not wait for the other end of a FIFO.
pub(crate) fn open_lock(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
    match std::fs::metadata(path) {
        Ok(found) => ensure_regular(&found)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let file = open_at_once(&mut options, path)?;
    ensure_regular(&file.metadata()?)?;
    Ok(file)
}

fn ensure_regular(found: &std::fs::Metadata) -> std::io::Result<()> {
    let kind = match found {
        found if found.is_file() => return Ok(()),
        found if found.is_dir() => "a directory",
        found if is_pipe(found) => "a pipe",
        _ => "a device or a socket",
    };
    Err(std::io::Error::new(ErrorKind::InvalidInput, format!("it is not a regular file, but {kind}")))
}

/// Opens a file that the caller named: a regular file or a pipe, such as a shell's `<(...)`. It
/// waits for the writer of a pipe only if the name led to a pipe from the start, not if another
/// process replaced a file with a pipe in the meantime.
pub(crate) fn open_given(path: &Path) -> std::io::Result<File> {
    let refused = || std::io::Error::new(ErrorKind::InvalidInput, "it is neither a file nor a pipe");
    let named = std::fs::metadata(path)?;
    let named_a_pipe = is_pipe(&named);
    if !named.is_file() && !named_a_pipe {
        return Err(refused());
    }
    let file =
        if named_a_pipe { File::open(path)? } else { open_at_once(OpenOptions::new().read(true), path)? };
    let opened = file.metadata()?;
    if opened.is_file() || (named_a_pipe && is_pipe(&opened)) { Ok(file) } else { Err(refused()) }
}

#[cfg(unix)]
fn is_pipe(meta: &std::fs::Metadata) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&meta.file_type())
}

#[cfg(not(unix))]
fn is_pipe(_: &std::fs::Metadata) -> bool {
    false
}

/// Checks that a blob of the folder is still the one that was signed.
///
/// # Errors
/// [`Refusal::BlobDigest`] if it is not; [`Failure::Client`] if it cannot be read.
pub(crate) fn check_file(path: &Path, expected: Digest) -> Result<()> {
    let mut hasher = blake3::Hasher::new();
    let read = open_regular(path).and_then(|file| hasher.update_reader(file).map(|_| ()));
    read.map_err(Failure::io("read", path))?;
    let found = Digest::from(hasher.finalize());
    if found == expected {
        return Ok(());
    }
    Err(Refusal::BlobDigest { object: Object::Blob(expected), expected, found }.into())
}

/// Opens without blocking: opening a pipe would otherwise wait for its other end. Regular files are
/// opened as usual.
fn open_at_once(options: &mut OpenOptions, path: &Path) -> std::io::Result<File> {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.bits() as i32);
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if opening blocks.
    #[cfg(unix)]
    fn at_once<T: Send + 'static>(path: &Path, open: fn(&Path) -> T) -> T {
        let (sender, receiver) = std::sync::mpsc::channel();
        let path = path.to_owned();
        std::thread::spawn(move || drop(sender.send(open(&path))));
        receiver.recv_timeout(std::time::Duration::from_secs(30)).unwrap()
    }

    #[cfg(unix)]
    #[test]
    fn opening_does_not_wait_for_the_writer_of_a_pipe_that_replaced_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("VERSION");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        // As if the pipe had replaced the file between the check and the opening.
        let reading = |path: &Path| open_at_once(OpenOptions::new().read(true), path);
        assert!(is_pipe(&at_once(&pipe, reading).unwrap().metadata().unwrap()));
        for open in [open_regular, open_lock] {
            let error = at_once(&pipe, open).unwrap_err();
            assert_eq!(error.to_string(), "it is not a regular file, but a pipe");
        }
        // A pipe that the caller named is read, even if its writer comes late.
        let (to, write) = (pipe.clone(), |to: PathBuf| std::fs::write(to, "late"));
        let writer = std::thread::spawn(move || write(to));
        let mut text = String::new();
        open_given(&pipe).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "late");
        writer.join().unwrap().unwrap();
        assert_eq!(open_given(dir.path()).unwrap_err().to_string(), "it is neither a file nor a pipe");
    }

    #[test]
    fn a_pending_file_replaces_the_whole_file_or_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("VERSION");
        std::fs::write(&path, "old").unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o664)).unwrap();
        let names = || std::fs::read_dir(dir.path()).unwrap().count();
        drop(PendingFile::write(&path, b"never").unwrap());
        assert_eq!((std::fs::read(&path).unwrap(), names()), (b"old".to_vec(), 1));
        PendingFile::write(&path, b"new").unwrap().replace().unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), names()), (b"new".to_vec(), 1));
        #[cfg(unix)]
        {
            let mode =
                std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
            assert_eq!(mode & 0o777, 0o664);
        }
    }
}
