//! A repository in a directory: renames, and a lock file beside `VERSION`.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;

use relatch::source::{Dir, Fetcher, Object, Source as _};
use relatch::trust::{Digest, Name};

use super::contract::{Body, Put, Store, StoreClock, digest_of, ensure_digest, listed, manifests_among};
use super::staging::{Staged, create_public_dir, is_staging, remove_abandoned};
use crate::files::{dir_of, lock, open_lock, open_regular, sync_dir_of};
use crate::limits::VERSION_READ;
use crate::progress::Progress;
use crate::{Failure, Result};

/// A repository in a directory.
pub struct DirStore {
    path: PathBuf,
}

impl DirStore {
    /// A repository at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        DirStore { path: path.into() }
    }

    /// The path of an object. Creates its directory.
    fn path_of(&self, object: &Object) -> Result<PathBuf> {
        let path = relatch::platform::join(&self.path, &object.to_string());
        create_public_dir(dir_of(&path))?;
        Ok(path)
    }
}

impl Store for DirStore {
    fn source(&self) -> Fetcher {
        Fetcher::new(Dir::new(&self.path))
    }

    /// The modification time of a new file, which the file server sets, if there is one. The file
    /// has no name where the system can do that; it is never served.
    fn clock(&self) -> Result<Option<StoreClock>> {
        let modified = || -> std::io::Result<std::time::SystemTime> {
            let mut file = tempfile::tempfile_in(&self.path)?;
            file.write_all(b"clock")?;
            file.sync_all()?;
            file.metadata()?.modified()
        };
        match modified() {
            Ok(modified) => {
                let now = modified.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
                let advice = "The directory is on a file server, or a clock was just changed. Compare \
                              both with a third clock, and set the wrong one.";
                Ok(Some(StoreClock { now, advice }))
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(Failure::io("write a temporary file in", &self.path)(error)),
        }
    }

    fn prepare(&self) -> Result<()> {
        remove_abandoned(&self.path);
        Ok(())
    }

    fn put_new(&self, object: &Object, body: Body<'_>, _: &dyn Progress) -> Result<Put> {
        let path = self.path_of(object)?;
        if !path.exists() {
            let staged = Staged::write(&path, body)?;
            let written = || digest_of(Body::File(staged.path())).map_err(Failure::io("read", staged.path()));
            ensure_digest(object, written)?;
            match staged.create(&path) {
                Ok(()) => return sync_dir_of(&path).map(|()| Put::Created),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Failure::io("create", &path)(error)),
            }
        }
        let compare = || Ok(digest_of(body)? == digest_of(Body::File(&path))?);
        match compare() {
            Ok(true) => Ok(Put::Existed),
            Ok(false) => Err(Failure::Occupied { object: object.clone() }),
            Err(error) => Err(Failure::io("compare", &path)(error)),
        }
    }

    fn read(&self, object: &Object) -> Result<Option<Vec<u8>>> {
        let path = relatch::platform::join(&self.path, &object.to_string());
        let mut bytes = Vec::new();
        match open_regular(&path).and_then(|file| file.take(VERSION_READ).read_to_end(&mut bytes)) {
            Ok(_) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::io("read", &path)(error)),
        }
    }

    /// A lock file excludes other publishers on the same file system. Readers see the old object or
    /// the new one, because it is replaced by a rename.
    fn swap(&self, object: &Object, expected: Option<&[u8]>, new: &[u8], _: &dyn Progress) -> Result<()> {
        let path = self.path_of(object)?;
        let lock_path = path.with_file_name(".lock");
        let lock_file = open_lock(&lock_path).map_err(Failure::io("open", &lock_path))?;
        lock(&lock_file, &lock_path)?;
        if self.read(object)?.as_deref() != expected {
            return Err(Failure::LostRace { object: object.clone() });
        }
        let staged = Staged::write(&path, Body::Bytes(new))?;
        staged.replace(&path).map_err(Failure::io("replace", &path))?;
        sync_dir_of(&path)
    }

    fn list(&self) -> Result<Vec<Object>> {
        let mut objects = Vec::new();
        for dir in ["manifests", "blobs"] {
            let dir_path = self.path.join(dir);
            let entries = match fs::read_dir(&dir_path) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(Failure::io("list", &dir_path)(error)),
            };
            for entry in entries {
                let entry = entry.map_err(Failure::io("list", &dir_path))?;
                if !is_staging(&entry) {
                    objects.extend(listed(dir, &entry.file_name().to_string_lossy())?);
                }
            }
        }
        Ok(objects)
    }

    fn manifests(&self) -> Result<Option<Vec<Digest>>> {
        let dir = self.path.join("manifests");
        let names = match fs::read_dir(&dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Some(Vec::new())),
            entries => entries
                .and_then(|entries| {
                    entries.map(|entry| Ok(entry?.file_name())).collect::<std::io::Result<Vec<_>>>()
                })
                .map_err(Failure::io("list", &dir))?,
        };
        Ok(Some(manifests_among(names.iter().filter_map(|name| name.to_str()))))
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
