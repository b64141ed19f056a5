//! Objects in a directory too, so that a story in a shell can look at them: `BUCKET/KEY` holds the bytes, `.metadata/BUCKET/KEY` the rest.
//!
//! Which objects there are is read at the start. Their bytes are read each time, so that a story can change them as an attacker would.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::objects::{Metadata, Object};
use crate::store::Bucket;

/// Where the metadata is: no bucket can have this name.
const METADATA: &str = ".metadata";

pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    /// What there is of a bucket.
    pub(crate) fn load(&self, bucket: &str) -> io::Result<Bucket> {
        let top = self.0.join(bucket);
        std::fs::create_dir_all(&top)?;
        let mut objects = Bucket::new();
        let mut directories = vec![top.clone()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    directories.push(entry.path());
                } else if kind.is_file()
                    && let Some(key) = key(&top, &entry.path())
                {
                    objects.insert(key.clone(), Arc::new(self.read(bucket, &key, &entry.path())?));
                }
            }
        }
        Ok(objects)
    }

    /// A file that came here by other ways has no metadata, or that of other bytes.
    fn read(&self, bucket: &str, key: &str, path: &Path) -> io::Result<Object> {
        let bytes = std::fs::read(path)?;
        let plain = Metadata::of(&bytes);
        let metadata = std::fs::read(self.0.join(METADATA).join(bucket).join(key))
            .ok()
            .and_then(|json| serde_json::from_slice::<Metadata>(&json).ok())
            .filter(|kept| kept.md5 == plain.md5);
        Ok(Object { bytes: bytes.into(), metadata: metadata.unwrap_or(plain) })
    }

    /// The object as it lies there now.
    pub(crate) fn current(&self, bucket: &str, key: &str) -> io::Result<Option<Arc<Object>>> {
        let (path, _) = self.paths(bucket, key)?;
        match self.read(bucket, key, &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            object => object.map(|object| Some(Arc::new(object))),
        }
    }

    pub(crate) fn write(&self, bucket: &str, key: &str, object: &Object) -> io::Result<()> {
        let (path, metadata_path) = self.paths(bucket, key)?;
        replace(&path, &object.bytes)?;
        replace(&metadata_path, &serde_json::to_vec_pretty(&object.metadata)?)
    }

    pub(crate) fn remove(&self, bucket: &str, key: &str) -> io::Result<()> {
        let (path, metadata_path) = self.paths(bucket, key)?;
        std::fs::remove_file(path)?;
        std::fs::remove_file(metadata_path).or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })
    }

    /// S3 knows keys that no file system does: `a` beside `a/b` fails when it is written, these here.
    fn paths(&self, bucket: &str, key: &str) -> io::Result<(PathBuf, PathBuf)> {
        let is_plain = !key.is_empty()
            && key.split('/').all(|part| {
                let mut components = Path::new(part).components();
                matches!((components.next(), components.next()), (Some(Component::Normal(_)), None))
            });
        if !is_plain {
            let message = format!("the key {key:?} cannot be the name of a file");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok((self.0.join(bucket).join(key), self.0.join(METADATA).join(bucket).join(key)))
    }
}

/// The key of a file.
fn key(top: &Path, path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path.strip_prefix(top).ok()?.iter().map(|part| part.to_str()).collect();
    Some(parts?.join("/"))
}

/// Whoever looks sees the file before or after.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent)?;
    let file = tempfile::NamedTempFile::new_in(parent)?;
    std::fs::write(file.path(), bytes)?;
    file.persist(path)?;
    Ok(())
}
