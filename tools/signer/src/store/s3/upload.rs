//! Uploads blobs: small ones in one request, large ones in parts. The hash of the content must
//! match the name.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use relatch::source::Object;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::bucket::Bucket;
use super::request_error::{ErrorClass, RequestContext, RequestError};
use super::requests::{ObjectHeaders, WriteCondition};
use crate::aws::excerpt;
use crate::files::open_regular;
use crate::limits::{BODIES_IN_FLIGHT, PART, PARTS, WHOLE_BODY};
use crate::progress::Progress;
use crate::store::contract::ensure_digest;
use crate::{Failure, Result};

/// Uploads one blob per call. Bounds the bodies in flight of all calls together.
pub(super) struct Uploads {
    bodies: Arc<Semaphore>,
    /// Incomplete uploads that could not be aborted, and why.
    leftovers: Mutex<Vec<String>>,
}

/// The outcome of an upload.
pub(super) enum UploadOutcome {
    Created,
    /// The object may exist; a read of it decides.
    Unknown(RequestError),
}

impl Uploads {
    pub(super) fn new() -> Self {
        Uploads { bodies: Arc::new(Semaphore::new(BODIES_IN_FLIGHT)), leftovers: Mutex::default() }
    }

    /// Incomplete uploads that could not be aborted, one line each.
    pub(super) fn leftovers(&self) -> Vec<String> {
        self.locked_leftovers().clone()
    }

    /// Ignores poisoning: the list is complete even if a thread panicked while it held the mutex.
    fn locked_leftovers(&self) -> MutexGuard<'_, Vec<String>> {
        self.leftovers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Uploads a file as the object.
    ///
    /// # Errors
    /// [`relatch::Refusal::BlobDigest`] if the file does not have the object's hash;
    /// [`Failure::Storage`]; I/O errors of reading.
    pub(super) fn put(
        &self,
        bucket: &Bucket,
        (object, path): (&Object, &Path),
        condition: WriteCondition<'_>,
        progress: &dyn Progress,
    ) -> Result<UploadOutcome> {
        let unreadable = || Failure::io("read", path);
        let file = open_regular(path).map_err(unreadable())?;
        let size = file.metadata().map_err(unreadable())?.len();
        if size > WHOLE_BODY {
            return self.put_in_parts(bucket, (object, path, file, size), condition, progress);
        }
        let _permit = bucket.wait(self.bodies.acquire());
        let mut bytes = Vec::new();
        file.take(WHOLE_BODY + 1).read_to_end(&mut bytes).map_err(unreadable())?;
        ensure_digest(object, || Ok(relatch::trust::Digest::of(&bytes)))?;
        let put = bucket.put(&bucket.address.key_of(object), bytes, ObjectHeaders::of(object), condition);
        upload_outcome(put.map(drop), bucket)
    }

    fn put_in_parts(
        &self,
        bucket: &Bucket,
        (object, path, file, size): (&Object, &Path, File, u64),
        condition: WriteCondition<'_>,
        progress: &dyn Progress,
    ) -> Result<UploadOutcome> {
        let part_size = PART.max(size.div_ceil(PARTS));
        let key = bucket.address.key_of(object);
        let mut upload = Upload::begin(bucket, &key, ObjectHeaders::of(object), part_size)
            .map_err(|failed| bucket.failure(failed))?;
        let sent = self.send_parts(bucket, &mut upload, (object, path, file), progress);
        let ended = match sent {
            Err(failure) => Err(failure),
            Ok(()) => upload_outcome(upload.complete(bucket, condition), bucket),
        };
        if !matches!(ended, Ok(UploadOutcome::Created)) {
            self.locked_leftovers().extend(upload.abort(bucket));
        }
        ended
    }

    /// Reads and hashes the file, and sends each part as soon as fewer than [`BODIES_IN_FLIGHT`]
    /// bodies are in flight.
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
            if !progress.should_continue() {
                break Err(Failure::usage(format!(
                    "the upload of {object} was stopped: another upload has failed"
                )));
            }
            let closed = |_| Failure::usage("no further uploads are possible");
            let permit = bucket.wait(Arc::clone(&self.bodies).acquire_owned()).map_err(closed)?;
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
                let _until_sent = permit;
                part.await
            });
            sending.push((sent, length));
            if let Err(failed) = upload.collect(bucket, &mut sending, progress, Collect::Finished) {
                break Err(failed);
            }
        };
        let collected = read.and_then(|()| upload.collect(bucket, &mut sending, progress, Collect::All));
        for (sent, _) in sending {
            sent.abort(); // after a failure
        }
        collected?;
        ensure_digest(object, || Ok(hasher.finalize().into()))
    }
}

/// Classifies the result of an upload. A failed condition, a conflicting writer, and an upload that
/// does not exist when it is completed may all mean that an earlier attempt succeeded and its
/// answer was lost.
pub(super) fn upload_outcome(
    put: std::result::Result<(), RequestError>,
    bucket: &Bucket,
) -> Result<UploadOutcome> {
    match put {
        Ok(()) => Ok(UploadOutcome::Created),
        Err(failed) => match failed.class {
            ErrorClass::Precondition | ErrorClass::Conflict | ErrorClass::Absent => {
                Ok(UploadOutcome::Unknown(failed))
            }
            _ if failed.is_ambiguous() => Ok(UploadOutcome::Unknown(failed)),
            _ => Err(bucket.failure(failed)),
        },
    }
}

/// A multipart upload in progress. Readers do not see the object before the upload is completed.
struct Upload<'a> {
    client: Client,
    bucket: String,
    key: &'a str,
    id: String,
    part_size: u64,
    checksum: Option<ChecksumAlgorithm>,
    done: Vec<CompletedPart>,
}

type PartResult = std::result::Result<CompletedPart, RequestError>;

/// The parts that [`Upload::collect`] waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Collect {
    /// None: only takes those that are complete.
    Finished,
    All,
}

impl<'a> Upload<'a> {
    fn begin(
        bucket: &Bucket,
        key: &'a str,
        headers: ObjectHeaders,
        part_size: u64,
    ) -> std::result::Result<Self, RequestError> {
        let context = RequestContext { action: "s3:PutObject", key };
        let checksum = bucket.checksums.then_some(ChecksumAlgorithm::Crc32);
        let request = bucket.client.create_multipart_upload().bucket(bucket.address.bucket()).key(key);
        let request = request.cache_control(headers.cache_control).content_type(headers.content_type);
        let answer = bucket.wait(request.set_checksum_algorithm(checksum.clone()).send());
        let id = answer.map_err(|error| context.error(&error))?.upload_id;
        let id =
            id.ok_or_else(|| context.error_of(ErrorClass::Other, "the answer has no upload id".into()))?;
        let (client, bucket) = (bucket.client_for(part_size), bucket.address.bucket().to_owned());
        Ok(Upload { client, bucket, key, id, part_size, checksum, done: Vec::new() })
    }

    fn part(&self, number: i32, bytes: Vec<u8>) -> impl Future<Output = PartResult> + Send + use<> {
        let request = self.client.upload_part().bucket(&self.bucket).key(self.key).upload_id(&self.id);
        let request = request.part_number(number).set_checksum_algorithm(self.checksum.clone());
        let request = request.body(ByteStream::from(bytes));
        let key = self.key.to_owned();
        async move {
            let context = RequestContext { action: "s3:PutObject", key: &key };
            let answer = request.send().await.map_err(|error| context.error(&error))?;
            Ok(CompletedPart::builder()
                .part_number(number)
                .set_e_tag(answer.e_tag)
                .set_checksum_crc32(answer.checksum_crc32)
                .build())
        }
    }

    /// Takes the results of parts that were sent.
    fn collect(
        &mut self,
        bucket: &Bucket,
        sending: &mut Vec<(JoinHandle<PartResult>, u64)>,
        progress: &dyn Progress,
        which: Collect,
    ) -> Result<()> {
        while let Some(at) = sending.iter().position(|(sent, _)| which == Collect::All || sent.is_finished())
        {
            let (sent, length) = sending.remove(at);
            let part = bucket.wait(sent).unwrap_or_else(|error| {
                let context = RequestContext { action: "s3:PutObject", key: self.key };
                Err(context.error_of(ErrorClass::Other, excerpt(&error.to_string())))
            });
            self.done.push(part.map_err(|failed| bucket.failure(failed))?);
            progress.advance(length);
        }
        Ok(())
    }

    fn complete(
        &mut self,
        bucket: &Bucket,
        condition: WriteCondition<'_>,
    ) -> std::result::Result<(), RequestError> {
        let mut parts = std::mem::take(&mut self.done);
        parts.sort_by_key(|part| part.part_number);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let send = |if_none_match: Option<&str>| {
            let request = self.client.complete_multipart_upload().bucket(&self.bucket).key(self.key);
            let request = request.upload_id(&self.id).multipart_upload(parts.clone());
            let answer = bucket.wait(request.set_if_none_match(if_none_match.map(str::to_owned)).send());
            let context = RequestContext { action: "s3:PutObject", key: self.key };
            answer.map(drop).map_err(|error| context.error(&error))
        };
        if !matches!(condition, WriteCondition::Absent) {
            return send(None);
        }
        match send(Some("*")) {
            // Some servers support the condition only for whole objects. The name is the hash of
            // the content, so that an unconditional write can only write the same bytes.
            Err(failed) if failed.class == ErrorClass::Unsupported => send(None),
            sent => sent,
        }
    }

    /// Removes the parts. If that fails they cost storage until a lifecycle rule removes them, but
    /// no reader sees them.
    fn abort(self, bucket: &Bucket) -> Option<String> {
        let request = self.client.abort_multipart_upload().bucket(&self.bucket).key(self.key);
        let answer = bucket.wait(request.upload_id(&self.id).send());
        let context = RequestContext { action: "s3:AbortMultipartUpload", key: self.key };
        let failed = answer.map_err(|error| context.error(&error)).err()?;
        if failed.class == ErrorClass::Absent {
            return None;
        }
        Some(format!("an incomplete upload could not be removed: {}", bucket.failure(failed)))
    }
}
