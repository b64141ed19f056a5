//! Blobs: small ones in one request, large ones in parts, and none with other content than its name says.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use relatch::source::Object;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::bucket::Bucket;
use super::failed::{Asked, Failed, Kind};
use super::locked;
use super::requests::{Condition, Kept};
use crate::aws::printable;
use crate::files::open_regular;
use crate::progress::Progress;
use crate::store::refuse_other_digest;
use crate::{Failure, Result};

/// The size of a part, and of what is read into memory at once.
const PART: u64 = 8 * 1024 * 1024;
/// From more than this on, in parts.
pub(super) const WHOLE: u64 = 16 * 1024 * 1024;
/// Parts of one upload that S3 accepts.
const PARTS: u64 = 10_000;
/// Bodies that are on their way at a time, of all blobs together: this and [`WHOLE`] bound the memory.
pub(super) const IN_FLIGHT: usize = 4;

/// Uploads one blob at each call, and few bodies at a time in all.
pub(super) struct Uploads {
    bodies: Arc<Semaphore>,
    /// Parts that nobody completes and that could not be removed, and why.
    left: Mutex<Vec<String>>,
}

/// What became of an upload.
pub(super) enum Uploaded {
    Created,
    /// Something may be there: who looks knows.
    Unknown(Failed),
}

impl Uploads {
    pub(super) fn new() -> Self {
        Uploads { bodies: Arc::new(Semaphore::new(IN_FLIGHT)), left: Mutex::default() }
    }

    /// What is left of uploads, a line each.
    pub(super) fn left(&self) -> Vec<String> {
        locked(&self.left).clone()
    }

    /// Uploads a file as the object, if its bytes have the object's hash.
    pub(super) fn put(
        &self,
        bucket: &Bucket,
        (object, path): (&Object, &Path),
        condition: Condition<'_>,
        progress: &dyn Progress,
    ) -> Result<Uploaded> {
        let unread = || Failure::io("read", path);
        let file = open_regular(path).map_err(unread())?;
        let size = file.metadata().map_err(unread())?.len();
        if size > WHOLE {
            return self.put_in_parts(bucket, (object, path, file, size), condition, progress);
        }
        let _one_of_few = bucket.wait(self.bodies.acquire());
        let mut bytes = Vec::new();
        file.take(WHOLE + 1).read_to_end(&mut bytes).map_err(unread())?;
        refuse_other_digest(object, || Ok(relatch::trust::Digest::of(&bytes)))?;
        let put = bucket.put(&bucket.address.key_of(object), bytes, Kept::of(object), condition);
        uploaded(put.map(drop), bucket)
    }

    fn put_in_parts(
        &self,
        bucket: &Bucket,
        (object, path, file, size): (&Object, &Path, File, u64),
        condition: Condition<'_>,
        progress: &dyn Progress,
    ) -> Result<Uploaded> {
        let part_size = PART.max(size.div_ceil(PARTS));
        let key = bucket.address.key_of(object);
        let mut upload = Upload::begin(bucket, &key, Kept::of(object), part_size)
            .map_err(|failed| bucket.failure(failed))?;
        let sent = self.send_parts(bucket, &mut upload, (object, path, file), progress);
        let ended = match sent {
            Err(failure) => Err(failure),
            Ok(()) => uploaded(upload.complete(bucket, condition), bucket),
        };
        if !matches!(ended, Ok(Uploaded::Created)) {
            locked(&self.left).extend(upload.abort(bucket));
        }
        ended
    }

    /// Reads and hashes the file, and sends each part as soon as fewer than [`IN_FLIGHT`] bodies are on their way.
    fn send_parts(
        &self,
        bucket: &Bucket,
        upload: &mut Upload<'_>,
        (object, path, mut file): (&Object, &Path, File),
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut hasher = blake3::Hasher::new();
        let mut sending = Vec::new();
        let mut number = 0;
        let read = loop {
            if !progress.goes_on() {
                break Err(Failure::usage(format!(
                    "{object} is not needed any more: another upload has failed"
                )));
            }
            let closed = |_| Failure::usage("uploads have ended");
            let slot = bucket.wait(Arc::clone(&self.bodies).acquire_owned()).map_err(closed)?;
            let mut bytes = Vec::new();
            match (&mut file).take(upload.part_size).read_to_end(&mut bytes) {
                Err(error) => break Err(Failure::io("read", path)(error)),
                Ok(0) => break Ok(()),
                Ok(_) => {}
            }
            hasher.update(&bytes);
            number += 1;
            let length = bytes.len() as u64;
            let part = upload.part(number, bytes);
            let sent = bucket.runtime().spawn(async move {
                let _until_sent = slot;
                part.await
            });
            sending.push((sent, length));
            if let Err(failed) = upload.collect(bucket, &mut sending, progress, false) {
                break Err(failed);
            }
        };
        let collected = read.and_then(|()| upload.collect(bucket, &mut sending, progress, true));
        for (sent, _) in sending {
            sent.abort(); // what is left after a failure
        }
        collected?;
        refuse_other_digest(object, || Ok(hasher.finalize().into()))
    }
}

/// A condition that does not hold, another writer, and an upload that is gone when it is to be completed: all of these can come from a try
/// whose answer was lost.
pub(super) fn uploaded(put: std::result::Result<(), Failed>, bucket: &Bucket) -> Result<Uploaded> {
    match put {
        Ok(()) => Ok(Uploaded::Created),
        Err(failed) => match failed.kind {
            Kind::Precondition | Kind::Conflict | Kind::Absent => Ok(Uploaded::Unknown(failed)),
            _ if failed.is_ambiguous() => Ok(Uploaded::Unknown(failed)),
            _ => Err(bucket.failure(failed)),
        },
    }
}

/// A multipart upload that was begun: until it is completed, no reader sees anything of it.
struct Upload<'a> {
    client: Client,
    bucket: String,
    key: &'a str,
    id: String,
    part_size: u64,
    checksum: Option<ChecksumAlgorithm>,
    done: Vec<CompletedPart>,
}

type Part = std::result::Result<CompletedPart, Failed>;

impl<'a> Upload<'a> {
    fn begin(bucket: &Bucket, key: &'a str, kept: Kept, part_size: u64) -> std::result::Result<Self, Failed> {
        let asked = Asked { action: "s3:PutObject", key };
        let checksum = bucket.checksums.then_some(ChecksumAlgorithm::Crc32);
        let request = bucket.client.create_multipart_upload().bucket(bucket.address.bucket()).key(key);
        let request = request.cache_control(kept.cache).content_type(kept.content);
        let answer = bucket.wait(request.set_checksum_algorithm(checksum.clone()).send());
        let id = answer.map_err(|error| asked.failed(&error))?.upload_id;
        let id = id.ok_or_else(|| asked.failed_as(Kind::Other, "the upload got no identifier".into()))?;
        let (client, bucket) = (bucket.client_for(part_size), bucket.address.bucket().to_owned());
        Ok(Upload { client, bucket, key, id, part_size, checksum, done: Vec::new() })
    }

    fn part(&self, number: i32, bytes: Vec<u8>) -> impl Future<Output = Part> + Send + use<> {
        let request = self.client.upload_part().bucket(&self.bucket).key(self.key).upload_id(&self.id);
        let request = request.part_number(number).set_checksum_algorithm(self.checksum.clone());
        let request = request.body(ByteStream::from(bytes));
        let key = self.key.to_owned();
        async move {
            let asked = Asked { action: "s3:PutObject", key: &key };
            let answer = request.send().await.map_err(|error| asked.failed(&error))?;
            Ok(CompletedPart::builder()
                .part_number(number)
                .set_e_tag(answer.e_tag)
                .set_checksum_crc32(answer.checksum_crc32)
                .build())
        }
    }

    /// Takes the parts that have been sent, or waits for `all`.
    fn collect(
        &mut self,
        bucket: &Bucket,
        sending: &mut Vec<(JoinHandle<Part>, u64)>,
        progress: &dyn Progress,
        all: bool,
    ) -> Result<()> {
        while let Some(at) = sending.iter().position(|(sent, _)| all || sent.is_finished()) {
            let (sent, length) = sending.remove(at);
            let part = bucket.wait(sent).unwrap_or_else(|error| {
                let asked = Asked { action: "s3:PutObject", key: self.key };
                Err(asked.failed_as(Kind::Other, printable(&error.to_string())))
            });
            self.done.push(part.map_err(|failed| bucket.failure(failed))?);
            progress.advance(length);
        }
        Ok(())
    }

    fn complete(&mut self, bucket: &Bucket, condition: Condition<'_>) -> std::result::Result<(), Failed> {
        let mut parts = std::mem::take(&mut self.done);
        parts.sort_by_key(|part| part.part_number);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let send = |if_none_match: Option<&str>| {
            let request = self.client.complete_multipart_upload().bucket(&self.bucket).key(self.key);
            let request = request.upload_id(&self.id).multipart_upload(parts.clone());
            let answer = bucket.wait(request.set_if_none_match(if_none_match.map(str::to_owned)).send());
            let asked = Asked { action: "s3:PutObject", key: self.key };
            answer.map(drop).map_err(|error| asked.failed(&error))
        };
        if !matches!(condition, Condition::Absent) {
            return send(None);
        }
        match send(Some("*")) {
            // Honoured for whole objects only. The name says the content: a second write writes the same.
            Err(failed) if failed.kind == Kind::Unsupported => send(None),
            sent => sent,
        }
    }

    /// What is left of an upload that nobody aborts costs storage until a lifecycle rule ends it, and harms nobody.
    fn abort(self, bucket: &Bucket) -> Option<String> {
        let request = self.client.abort_multipart_upload().bucket(&self.bucket).key(self.key);
        let answer = bucket.wait(request.upload_id(&self.id).send());
        let asked = Asked { action: "s3:AbortMultipartUpload", key: self.key };
        let failed = answer.map_err(|error| asked.failed(&error)).err()?;
        if failed.kind == Kind::Absent {
            return None;
        }
        Some(format!("an upload that was not completed was not removed, either: {}", bucket.failure(failed)))
    }
}
