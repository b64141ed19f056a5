//! Where a repository is published. S3 will be another of these.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use relatch::source::{Bounded, Dir, Object, Source};
use relatch::trust::{Digest, Name};

use crate::{Failure, Result};

/// What is put: small documents from memory, executables from files.
#[derive(Debug, Clone, Copy)]
pub enum Content<'a> {
    /// A document.
    Bytes(&'a [u8]),
    /// A blob.
    File(&'a Path),
}

/// Whether an immutable object had to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is there now.
    Created,
    /// It was there already, with the same content.
    Existed,
}

/// A repository to publish to. All that clients rely on is here: immutable objects are written whole and once, and `VERSION` changes
/// only from what the publisher has seen.
pub trait Store: Send + Sync {
    /// Where clients of the same machine would read it.
    fn source(&self) -> Bounded;

    /// Writes an immutable object, only if it is absent.
    ///
    /// # Errors
    /// [`Failure::Occupied`] where other content is there.
    fn put_new(&self, object: &Object, content: Content<'_>) -> Result<Put>;

    /// The bytes of `VERSION`, for [`Store::swap`]; `None` where there is none.
    fn read(&self, object: &Object) -> Result<Option<Vec<u8>>>;

    /// Replaces `VERSION`, only if it still is `expected`.
    ///
    /// # Errors
    /// [`Failure::LostRace`] where it is not.
    fn swap(&self, object: &Object, expected: Option<&[u8]>, new: &[u8]) -> Result<()>;

    /// All manifests and blobs that are there, for a check of the whole.
    ///
    /// # Errors
    /// [`Failure::Refused`] for what is no object of a repository.
    fn list(&self) -> Result<Vec<Object>>;

    /// The channels that have a `VERSION`.
    fn channels(&self) -> Result<Vec<Name>>;

    /// The address for people.
    fn location(&self) -> String;
}

/// The store that an address names: a directory, which is made if it does not exist.
///
/// # Errors
/// [`Failure::Client`] for an address of another kind.
pub fn from_location(location: &str) -> Result<Arc<dyn Store>> {
    if location.contains("://") {
        return Err(Failure::usage(format!(
            "cannot publish to {location}: this version of signer publishes to directories"
        )));
    }
    Ok(Arc::new(DirStore::new(location)))
}

/// What files are called while they are written.
const UPLOAD: &str = ".upload-";
/// How long a publisher waits for another one on the same file system.
const LOCK_WAIT: Duration = Duration::from_secs(60);

/// A repository in a directory.
pub struct DirStore {
    path: PathBuf,
}

impl DirStore {
    /// Publishes below `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        DirStore { path: path.into() }
    }

    fn prepare(&self, object: &Object) -> Result<PathBuf> {
        let path = self.path.join(object.to_string());
        let dir = path.parent().unwrap_or(&self.path);
        fs::create_dir_all(dir).map_err(Failure::io("create", dir))?;
        Ok(path)
    }

    /// A whole, durable file under a temporary name beside `path`.
    fn write_beside(path: &Path, content: Content<'_>) -> Result<tempfile::NamedTempFile> {
        let dir = path.parent().unwrap_or(Path::new("."));
        let write = || -> std::io::Result<tempfile::NamedTempFile> {
            let mut file = tempfile::Builder::new().prefix(UPLOAD).tempfile_in(dir)?;
            match content {
                Content::Bytes(bytes) => file.write_all(bytes)?,
                Content::File(from) => drop(std::io::copy(&mut File::open(from)?, &mut file)?),
            }
            #[cfg(unix)]
            file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        write().map_err(Failure::io("write", path))
    }
}

fn sync_dir_of(path: &Path) -> Result<()> {
    if cfg!(unix) {
        let dir = path.parent().unwrap_or(Path::new("."));
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(Failure::io("synchronise", dir))?;
    }
    Ok(())
}

/// What is named by its hash must have it: a file may have changed since it was checked.
fn refuse_other_content(object: &Object, written: &Path) -> Result<()> {
    let (Object::Blob(expected) | Object::Manifest(expected)) = object else { return Ok(()) };
    let found = digest_of(Content::File(written)).map_err(Failure::io("read", written))?;
    if found == *expected {
        return Ok(());
    }
    Err(relatch::Refusal::BlobDigest { object: object.clone(), expected: *expected, found }.into())
}

/// The hash of what is to be put.
fn digest_of(content: Content<'_>) -> std::io::Result<Digest> {
    match content {
        Content::Bytes(bytes) => Ok(Digest::of(bytes)),
        Content::File(path) => {
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(File::open(path)?)?;
            Ok(hasher.finalize().into())
        }
    }
}

impl Store for DirStore {
    fn source(&self) -> Bounded {
        Bounded::new(Dir::new(&self.path))
    }

    fn put_new(&self, object: &Object, content: Content<'_>) -> Result<Put> {
        let path = self.prepare(object)?;
        if !path.exists() {
            let file = DirStore::write_beside(&path, content)?;
            refuse_other_content(object, file.path())?;
            match file.persist_noclobber(&path) {
                Ok(_) => return sync_dir_of(&path).map(|()| Put::Created),
                Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Failure::io("create", &path)(error.error)),
            }
        }
        let compare = || Ok(digest_of(content)? == digest_of(Content::File(&path))?);
        match compare() {
            Ok(true) => Ok(Put::Existed),
            Ok(false) => Err(Failure::Occupied { object: object.clone() }),
            Err(error) => Err(Failure::io("compare", &path)(error)),
        }
    }

    fn read(&self, object: &Object) -> Result<Option<Vec<u8>>> {
        let path = self.path.join(object.to_string());
        let limit = relatch::limits::VERSION_FILE.0 + 1;
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
            Ok(_) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::io("read", &path)(error)),
        }
    }

    /// Publishers on one file system exclude each other by a lock file; readers see the old object or the new one.
    fn swap(&self, object: &Object, expected: Option<&[u8]>, new: &[u8]) -> Result<()> {
        let path = self.prepare(object)?;
        let lock_path = path.with_file_name(".lock");
        let lock = File::create(&lock_path).map_err(Failure::io("open", &lock_path))?;
        let until = Instant::now() + LOCK_WAIT;
        while let Err(error) = fs4::FileExt::try_lock(&lock) {
            match error {
                fs4::TryLockError::Error(error) => return Err(Failure::io("lock", &lock_path)(error)),
                fs4::TryLockError::WouldBlock if Instant::now() >= until => {
                    let path = lock_path;
                    return Err(Failure::Client(relatch::Machine::Busy { path, waited: LOCK_WAIT }.into()));
                }
                fs4::TryLockError::WouldBlock => std::thread::sleep(Duration::from_millis(50)),
            }
        }
        if self.read(object)?.as_deref() != expected {
            return Err(Failure::LostRace { object: object.clone() });
        }
        let file = DirStore::write_beside(&path, Content::Bytes(new))?;
        file.persist(&path).map_err(|error| Failure::io("replace", &path)(error.error))?;
        sync_dir_of(&path)
    }

    fn list(&self) -> Result<Vec<Object>> {
        let mut objects = Vec::new();
        for (dir, suffix) in [("manifests", ".json"), ("blobs", "")] {
            let dir_path = self.path.join(dir);
            let entries = match fs::read_dir(&dir_path) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(Failure::io("list", &dir_path)(error)),
            };
            for entry in entries {
                let entry = entry.map_err(Failure::io("list", &dir_path))?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let is_upload = name.starts_with(UPLOAD); // of a publisher that was killed
                if is_upload || (dir == "manifests" && name.ends_with(".json.minisig")) {
                    continue;
                }
                let Some(Ok(digest)) = name.strip_suffix(suffix).map(str::parse::<Digest>) else {
                    return Err(Failure::refused(
                        format!("{dir}/{} is no object of a repository", name.escape_debug()),
                        "No client reads it. Look where it comes from, and remove it.",
                    ));
                };
                objects.push(if dir == "blobs" { Object::Blob(digest) } else { Object::Manifest(digest) });
            }
        }
        Ok(objects)
    }

    fn channels(&self) -> Result<Vec<Name>> {
        let mut channels = Vec::new();
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(channels),
            entries => entries.map_err(Failure::io("list", &self.path))?,
        };
        for entry in entries {
            let entry = entry.map_err(Failure::io("list", &self.path))?;
            if !entry.path().join("VERSION").exists() {
                continue;
            }
            channels.push(entry.file_name().to_string_lossy().parse().map_err(Failure::usage)?);
        }
        channels.sort();
        Ok(channels)
    }

    fn location(&self) -> String {
        Dir::new(&self.path).location()
    }
}
