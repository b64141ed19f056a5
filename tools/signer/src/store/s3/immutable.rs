//! Immutable objects: written once, as a whole, and never over another object.

use std::thread;

use relatch::source::Object;
use relatch::trust::Digest;

use super::conditions::ConditionalWrites;
use super::lock::LockObject;
use super::request_error::{ErrorClass, RequestError};
use super::requests::{ObjectHeaders, WriteCondition};
use super::store::S3Store;
use super::upload::{UploadOutcome, upload_outcome};
use crate::limits::{CONFLICT_ATTEMPTS, CONFLICT_BACKOFF};
use crate::progress::Progress;
use crate::store::contract::{Body, Put, Store as _, ensure_digest};
use crate::{Failure, Result};

impl S3Store {
    /// Writes a blob, in parts if it is large.
    ///
    /// # Errors
    /// [`Failure::Occupied`] if it exists with different content; [`Failure::Storage`].
    pub(super) fn put_blob(&self, object: &Object, body: Body<'_>, progress: &dyn Progress) -> Result<Put> {
        let condition = match self.conditions()? {
            ConditionalWrites::Atomic => WriteCondition::Absent,
            // Any other publisher writes the same bytes: their hash is the name.
            ConditionalWrites::NotAtomic | ConditionalWrites::Ignored => WriteCondition::None,
        };
        if let Some(size) = self.with_advice(self.bucket.head(&self.key(object)))? {
            return self.compare_blob(object, body, size);
        }
        let mut attempts = 1;
        loop {
            let outcome = match body {
                Body::File(path) => self.uploads.put(&self.bucket, (object, path), condition, progress)?,
                Body::Bytes(bytes) => {
                    ensure_digest(object, || Ok(Digest::of(bytes)))?;
                    upload_outcome(self.write(object, bytes, condition), &self.bucket)?
                }
            };
            let UploadOutcome::Unknown(failed) = outcome else { return Ok(Put::Created) };
            match self.with_advice(self.bucket.head(&self.key(object)))? {
                Some(size) => return self.compare_blob(object, body, size),
                // Another publisher is writing the same bytes, and may still fail.
                None if failed.class == ErrorClass::Conflict && attempts < CONFLICT_ATTEMPTS => {
                    thread::sleep(CONFLICT_BACKOFF * attempts);
                    attempts += 1;
                }
                None => return Err(self.bucket.failure(failed)),
            }
        }
    }

    /// Checks that an existing blob has the content that was to be written.
    fn compare_blob(&self, object: &Object, body: Body<'_>, size: u64) -> Result<Put> {
        let expected = match body {
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::File(path) => std::fs::metadata(path).map_err(Failure::io("compare", path))?.len(),
        };
        if expected != size {
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

    /// Writes a document.
    ///
    /// # Errors
    /// [`Failure::Occupied`] if it exists with different content; [`Failure::Storage`].
    pub(super) fn put_document(&self, object: &Object, bytes: &[u8], progress: &dyn Progress) -> Result<Put> {
        ensure_digest(object, || Ok(Digest::of(bytes)))?;
        match self.conditions()? {
            ConditionalWrites::Atomic => match self.write(object, bytes, WriteCondition::Absent) {
                Ok(()) => Ok(Put::Created),
                Err(failed) if failed.class == ErrorClass::Precondition => self.compare(object, bytes),
                Err(failed) => Err(self.bucket.failure(failed)),
            },
            _ if matches!(object, Object::Manifest(_)) => self.put_if_absent(object, bytes),
            // It never changes, so that it can be read without the lock.
            _ if self.read_limited(object, bytes.len())?.is_some() => self.compare(object, bytes),
            // Its name is not its hash, so that publishers may write different bytes: the first
            // write must win.
            _ => self.under_lock(object, progress, || Ok(()), |lock| self.put_locked(lock, object, bytes)),
        }
    }

    fn put_if_absent(&self, object: &Object, bytes: &[u8]) -> Result<Put> {
        if self.read_limited(object, bytes.len())?.is_some() {
            return self.compare(object, bytes);
        }
        self.with_advice(self.write(object, bytes, WriteCondition::None))?;
        Ok(Put::Created)
    }

    fn put_locked(&self, lock: &LockObject<'_>, object: &Object, bytes: &[u8]) -> Result<Option<Put>> {
        if self.read_limited(object, bytes.len())?.is_some() {
            return self.compare(object, bytes).map(Some);
        }
        if !lock.is_held()? {
            return Ok(None);
        }
        let put = self.bucket.put_once(
            &self.key(object),
            bytes.to_vec(),
            ObjectHeaders::of(object),
            WriteCondition::None,
        );
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
            Some(found) if found == bytes => Ok(Put::Existed),
            _ => Err(Failure::Occupied { object: object.clone() }),
        }
    }

    /// Enough bytes of an object to compare it with one of `length` bytes.
    fn read_limited(&self, object: &Object, length: usize) -> Result<Option<Vec<u8>>> {
        let got = self.bucket.get(&self.key(object), length as u64 + 1);
        Ok(self.with_advice(got)?.map(|got| got.bytes))
    }

    /// Writes a document, and retries if another publisher writes it at the same time.
    pub(super) fn write(
        &self,
        object: &Object,
        bytes: &[u8],
        condition: WriteCondition<'_>,
    ) -> std::result::Result<(), RequestError> {
        let mut attempts = 1;
        loop {
            match self.bucket.put(&self.key(object), bytes.to_vec(), ObjectHeaders::of(object), condition) {
                Err(failed) if failed.class == ErrorClass::Conflict && attempts < CONFLICT_ATTEMPTS => {
                    thread::sleep(CONFLICT_BACKOFF * attempts);
                    attempts += 1;
                }
                put => return put.map(drop),
            }
        }
    }
}
