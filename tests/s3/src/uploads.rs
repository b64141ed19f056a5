//! Multipart uploads that are under way.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{CompletedPart, ETag};
use s3s::{S3Result, s3_error};

use crate::checksum::{self, Checksums, hex};
use crate::objects::{Metadata, Object};

/// AWS's: no part but the last may be shorter.
const SHORTEST_PART: usize = 5 << 20;

/// An upload, and the parts that came so far.
pub(crate) struct Upload {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) initiated: SystemTime,
    /// Of the object to be.
    pub(crate) metadata: Metadata,
    pub(crate) parts: BTreeMap<i32, Part>,
}

#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) bytes: Bytes,
    pub(crate) etag: ETag,
    pub(crate) checksums: Checksums,
    pub(crate) written: SystemTime,
}

#[derive(Default)]
pub(crate) struct Uploads(Mutex<BTreeMap<String, Upload>>);

impl Uploads {
    pub(crate) fn create(&self, bucket: &str, key: &str, metadata: Metadata) -> S3Result<String> {
        let random = getrandom::u64().map_err(|error| s3_error!(InternalError, "no randomness: {error}"))?;
        let id = format!("upload-{random:016x}");
        let upload = Upload {
            bucket: bucket.into(),
            key: key.into(),
            initiated: SystemTime::now(),
            metadata,
            parts: BTreeMap::new(),
        };
        self.lock().insert(id.clone(), upload);
        Ok(id)
    }

    /// Looks at an upload, or changes it.
    pub(crate) fn with<T>(
        &self,
        id: &str,
        bucket: &str,
        key: &str,
        act: impl FnOnce(&mut Upload) -> S3Result<T>,
    ) -> S3Result<T> {
        match self.lock().get_mut(id) {
            Some(upload) if upload.bucket == bucket && upload.key == key => act(upload),
            _ => Err(s3_error!(
                NoSuchUpload,
                "The specified multipart upload does not exist. The upload ID might be invalid, or the multipart upload might \
                 have been aborted or completed."
            )),
        }
    }

    pub(crate) fn remove(&self, id: &str) {
        self.lock().remove(id);
    }

    /// Id, key and begin of all uploads to a bucket.
    pub(crate) fn list(&self, bucket: &str, prefix: &str) -> Vec<(String, String, SystemTime)> {
        let uploads = self.lock();
        let here =
            uploads.iter().filter(|(_, upload)| upload.bucket == bucket && upload.key.starts_with(prefix));
        here.map(|(id, upload)| (id.clone(), upload.key.clone(), upload.initiated)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Upload>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    /// What there is to put together, and of which parts; cheap, as bytes are shared.
    pub(crate) fn choose(&self, wanted: &[CompletedPart]) -> S3Result<(Vec<Part>, Metadata)> {
        if wanted.is_empty() {
            return Err(s3_error!(InvalidRequest, "You must specify at least one part"));
        }
        if !wanted.is_sorted_by(|a, b| a.part_number < b.part_number) {
            return Err(s3_error!(InvalidPartOrder, "The list of parts was not in ascending order."));
        }
        let mut parts = Vec::with_capacity(wanted.len());
        for (position, wanted_part) in wanted.iter().enumerate() {
            let number = wanted_part.part_number.unwrap_or_default();
            let part = self.parts.get(&number).filter(|part| part.is(wanted_part)).ok_or_else(|| {
                s3_error!(
                    InvalidPart,
                    "One or more of the specified parts could not be found: part {number}."
                )
            })?;
            if part.bytes.len() < SHORTEST_PART && position + 1 < wanted.len() {
                return Err(s3_error!(EntityTooSmall, "Part {number} has {} bytes.", part.bytes.len()));
            }
            parts.push(part.clone());
        }
        Ok((parts, self.metadata.clone()))
    }
}

impl Part {
    /// Whether this is the part that the client means.
    fn is(&self, wanted: &CompletedPart) -> bool {
        let same = |wanted: &Option<String>, own: &Option<String>| wanted.is_none() || wanted == own;
        wanted.e_tag.as_ref().is_some_and(|etag| *etag == self.etag)
            && same(&wanted.checksum_crc32, &self.checksums.crc32)
            && same(&wanted.checksum_crc32c, &self.checksums.crc32c)
            && same(&wanted.checksum_crc64nvme, &self.checksums.crc64nvme)
            && same(&wanted.checksum_sha1, &self.checksums.sha1)
            && same(&wanted.checksum_sha256, &self.checksums.sha256)
    }
}

/// The object of these parts.
pub(crate) fn assemble(parts: &[Part], metadata: Metadata) -> Object {
    let mut md5 = Md5::new();
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.bytes.len()).sum());
    for part in parts {
        md5.update(Md5::checksum(&part.bytes).as_ref());
        bytes.extend_from_slice(&part.bytes);
    }
    let metadata = Metadata {
        etag: format!("\"{}-{}\"", hex(md5.finalize().as_ref()), parts.len()),
        md5: checksum::md5(&bytes),
        size: bytes.len() as u64,
        last_modified: SystemTime::now(),
        ..metadata
    };
    Object { bytes: bytes.into(), metadata }
}
