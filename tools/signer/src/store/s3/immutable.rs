//! Objects that never change: written whole, once, and never over others.

use std::thread;
use std::time::Duration;

use relatch::source::Object;
use relatch::trust::Digest;

use super::S3Store;
use super::conditions::Conditions;
use super::failed::{Failed, Kind};
use super::lock::Lock;
use super::requests::{Condition, Kept};
use super::upload::{Uploaded, uploaded};
use crate::progress::Progress;
use crate::store::{Content, Put, Store as _, refuse_other_digest};
use crate::{Failure, Result};

/// Tries where somebody else writes the same object at the same moment.
const CONFLICTS: u32 = 4;
/// The first wait between them.
const CONFLICT: Duration = Duration::from_millis(100);

impl S3Store {
    pub(super) fn put_blob(
        &self,
        object: &Object,
        content: Content<'_>,
        progress: &dyn Progress,
    ) -> Result<Put> {
        let condition = match self.conditions()? {
            Conditions::Atomic => Condition::Absent,
            // Whoever else writes it writes the same bytes: their hash is the name.
            Conditions::NotAtomic | Conditions::Ignored => Condition::None,
        };
        if let Some(size) = self.asked(self.bucket.head(&self.key(object)))? {
            return self.compare_blob(object, content, size);
        }
        let mut tries = 1;
        loop {
            let uploaded = match content {
                Content::File(path) => self.uploads.put(&self.bucket, (object, path), condition, progress)?,
                Content::Bytes(bytes) => {
                    refuse_other_digest(object, || Ok(Digest::of(bytes)))?;
                    uploaded(self.write(object, bytes, condition), &self.bucket)?
                }
            };
            let Uploaded::Unknown(failed) = uploaded else { return Ok(Put::Created) };
            match self.asked(self.bucket.head(&self.key(object)))? {
                Some(size) => return self.compare_blob(object, content, size),
                // Somebody else is about to write the same bytes, and may yet fail.
                None if failed.kind == Kind::Conflict && tries < CONFLICTS => {
                    thread::sleep(CONFLICT * tries);
                    tries += 1;
                }
                None => return Err(self.bucket.failure(failed)),
            }
        }
    }

    /// A blob that is there must be the one that was to be put.
    fn compare_blob(&self, object: &Object, content: Content<'_>, size: u64) -> Result<Put> {
        let wanted = match content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File(path) => std::fs::metadata(path).map_err(Failure::io("compare", path))?.len(),
        };
        if wanted != size {
            return Err(Failure::Occupied { object: object.clone() });
        }
        match crate::verify::check_name(&self.source(), object, size) {
            Ok(()) => Ok(Put::Existed),
            Err(Failure::Client(relatch::Error::Refused(_))) => {
                Err(Failure::Occupied { object: object.clone() })
            }
            Err(failure) => Err(failure),
        }
    }

    pub(super) fn put_document(&self, object: &Object, bytes: &[u8], progress: &dyn Progress) -> Result<Put> {
        refuse_other_digest(object, || Ok(Digest::of(bytes)))?;
        match self.conditions()? {
            Conditions::Atomic => match self.write(object, bytes, Condition::Absent) {
                Ok(()) => Ok(Put::Created),
                Err(failed) if failed.kind == Kind::Precondition => self.compare(object, bytes),
                Err(failed) => Err(self.bucket.failure(failed)),
            },
            _ if matches!(object, Object::Manifest(_)) => self.put_if_absent(object, bytes),
            // It never changes, so that no lock is needed to look at it.
            _ if self.read_limited(object, bytes.len())?.is_some() => self.compare(object, bytes),
            // These are not named by their own hash: what is there first, stays.
            _ => self.locked(object, progress, || Ok(()), |lock| self.put_locked(lock, object, bytes)),
        }
    }

    fn put_if_absent(&self, object: &Object, bytes: &[u8]) -> Result<Put> {
        if self.read_limited(object, bytes.len())?.is_some() {
            return self.compare(object, bytes);
        }
        self.asked(self.write(object, bytes, Condition::None))?;
        Ok(Put::Created)
    }

    fn put_locked(&self, lock: &Lock<'_>, object: &Object, bytes: &[u8]) -> Result<Option<Put>> {
        if self.read_limited(object, bytes.len())?.is_some() {
            return self.compare(object, bytes).map(Some);
        }
        if !lock.is_held()? {
            return Ok(None);
        }
        let put = self.bucket.put_once(&self.key(object), bytes.to_vec(), Kept::of(object), Condition::None);
        match put {
            Ok(_) => Ok(Some(Put::Created)),
            Err(failed) => match self.read_limited(object, bytes.len())? {
                Some(_) if failed.is_ambiguous() => self.compare(object, bytes).map(Some),
                _ => Err(self.bucket.failure(failed)),
            },
        }
    }

    fn compare(&self, object: &Object, bytes: &[u8]) -> Result<Put> {
        match self.read_limited(object, bytes.len())? {
            Some(there) if there == bytes => Ok(Put::Existed),
            _ => Err(Failure::Occupied { object: object.clone() }),
        }
    }

    /// As much of an object as tells it from one of `length` bytes.
    fn read_limited(&self, object: &Object, length: usize) -> Result<Option<Vec<u8>>> {
        let got = self.bucket.get(&self.key(object), length as u64 + 1);
        Ok(self.asked(got)?.map(|got| got.bytes))
    }

    /// Writes a document; again where somebody else writes it at the same moment.
    pub(super) fn write(
        &self,
        object: &Object,
        bytes: &[u8],
        condition: Condition<'_>,
    ) -> std::result::Result<(), Failed> {
        let mut tries = 1;
        loop {
            match self.bucket.put(&self.key(object), bytes.to_vec(), Kept::of(object), condition) {
                Err(failed) if failed.kind == Kind::Conflict && tries < CONFLICTS => {
                    thread::sleep(CONFLICT * tries);
                    tries += 1;
                }
                put => return put.map(drop),
            }
        }
    }
}
