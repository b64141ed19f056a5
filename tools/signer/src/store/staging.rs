//! Where a repository in a directory keeps an object until it is complete: in a directory beside
//! it, which only the publisher's user may enter. A web server of another user cannot serve it.
//!
//! ```text
//! <directory>/.upload-<random>/lock    locked as long as the publisher lives
//!                             /...     the object, which gets its name by a rename
//! ```
//! A publisher that is killed leaves the directory. The next one removes it, once nobody holds the
//! lock and it is older than [`ABANDONED`].

use std::fs::{self, DirEntry, File};
use std::io::{Result as IoResult, Write};
use std::path::Path;

use tempfile::{NamedTempFile, TempDir};

use super::contract::Body;
use crate::files::{dir_of, open_lock, open_regular, sync_dir_of};
use crate::limits::ABANDONED;
use crate::{Failure, Result};

const PREFIX: &str = ".upload-";
const LOCK: &str = "lock";

/// A private directory beside an object.
struct Staging {
    // Before `dir`: Windows removes no directory that contains an open file.
    _lock: File,
    dir: TempDir,
}

impl Staging {
    fn beside(path: &Path) -> Result<Self> {
        let parent = dir_of(path);
        let create = || -> IoResult<Staging> {
            let mut builder = tempfile::Builder::new();
            builder.prefix(PREFIX);
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
            let dir = builder.tempdir_in(parent)?;
            let lock = open_lock(&dir.path().join(LOCK))?;
            // Nobody removes a directory whose lock cannot be taken, as on some network file systems.
            drop(fs4::FileExt::try_lock(&lock));
            Ok(Staging { _lock: lock, dir })
        };
        create().map_err(Failure::io("create a directory in", parent))
    }
}

/// Removes what killed publishers left in a repository. A failure is not an error: what remains is
/// private, and the next publisher tries again.
pub(super) fn remove_abandoned(repository: &Path) {
    let entries = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten();
    let inside = entries(repository).filter(|entry| !is_staging(entry)).map(|entry| entry.path());
    // The repository itself was made in a directory beside it.
    let places = inside.chain([repository.to_owned(), dir_of(repository).to_owned()]);
    for entry in places.flat_map(|dir| entries(&dir)).filter(is_staging) {
        let modified = entry.metadata().and_then(|found| found.modified());
        let is_old = modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age >= ABANDONED));
        let is_free =
            || open_lock(&entry.path().join(LOCK)).is_ok_and(|lock| fs4::FileExt::try_lock(&lock).is_ok());
        if is_old && is_free() {
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

/// Whether an entry of a repository's directory is such a directory.
pub(super) fn is_staging(entry: &DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with(PREFIX)
        && entry.file_type().is_ok_and(|kind| kind.is_dir())
}

/// An object that is complete and durable, and does not have its name yet.
pub(super) struct Staged {
    // Before `_staging`, which removes the directory.
    file: NamedTempFile,
    _staging: Staging,
}

impl Staged {
    /// Writes the object that is to get the name `path`. Everybody may read it, whatever the umask.
    pub(super) fn write(path: &Path, body: Body<'_>) -> Result<Self> {
        let staging = Staging::beside(path)?;
        let write = || -> IoResult<NamedTempFile> {
            let mut file = NamedTempFile::new_in(staging.dir.path())?;
            match body {
                Body::Bytes(bytes) => file.write_all(bytes)?,
                Body::File(from) => drop(std::io::copy(&mut open_regular(from)?, &mut file)?),
            }
            #[cfg(unix)]
            file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        let file = write().map_err(Failure::io("write", path))?;
        Ok(Staged { file, _staging: staging })
    }

    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Gives it its name, unless something has that name.
    pub(super) fn create(self, path: &Path) -> IoResult<()> {
        self.file.persist_noclobber(path).map(drop).map_err(|failed| failed.error)
    }

    /// Gives it its name. What had that name is replaced.
    pub(super) fn replace(self, path: &Path) -> IoResult<()> {
        let (mut file, mut tries) = (self.file, 0);
        loop {
            match file.persist(path) {
                Err(failed) if is_of_the_moment(&failed.error) && tries < 10 => {
                    tries += 1;
                    std::thread::sleep(std::time::Duration::from_millis(100));
                    file = failed.file;
                }
                done => return done.map(drop).map_err(|failed| failed.error),
            }
        }
    }
}

/// On Windows a reader or a virus scanner may have the file open that is replaced: ERROR_ACCESS_DENIED,
/// ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION.
fn is_of_the_moment(error: &std::io::Error) -> bool {
    cfg!(windows) && matches!(error.raw_os_error(), Some(5 | 32 | 33))
}

/// Makes a directory that everybody may read, whatever the umask, and those above it. It gets its
/// name when it has its mode: a publisher that is killed in between leaves no directory that readers
/// may not enter.
pub(super) fn create_public_dir(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        create_public_dir(above)?;
    }
    let staging = Staging::beside(path)?;
    let new = staging.dir.path().join("new");
    let create = || -> IoResult<()> {
        fs::create_dir(&new)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let inherited = fs::metadata(&new)?.permissions().mode() & 0o7000; // setgid
            fs::set_permissions(&new, fs::Permissions::from_mode(inherited | 0o755))?;
        }
        match name_dir(&new, path) {
            Err(_) if path.is_dir() => Ok(()), // another publisher, or another thread, was faster
            named => named,
        }
    };
    create().map_err(Failure::io("create", path))?;
    sync_dir_of(path)
}

/// Gives a directory a name that must not exist. A plain rename on Unix would replace an empty directory of
/// this name, and another publisher that is creating the first file in it would find it removed.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn name_dir(new: &Path, path: &Path) -> IoResult<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    let is_unknown =
        |errno: &Errno| [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP].contains(errno);
    match renameat_with(CWD, new, CWD, path, RenameFlags::NOREPLACE) {
        // To this file system, or to the system.
        Err(errno) if is_unknown(&errno) => fs::rename(new, path),
        named => Ok(named?),
    }
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn name_dir(new: &Path, path: &Path) -> IoResult<()> {
    fs::rename(new, path)
}

#[cfg(all(test, any(target_os = "linux", target_vendor = "apple")))]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_another_publisher_is_not_replaced_while_it_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let (new, path) = (dir.path().join("new"), dir.path().join("blobs"));
        fs::create_dir(&new).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(name_dir(&new, &path).is_err());
        assert!(new.is_dir() && path.is_dir());
        fs::remove_dir(&path).unwrap();
        name_dir(&new, &path).unwrap();
        assert!(!new.exists() && path.is_dir());
    }
}
