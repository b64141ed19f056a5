//! S3's operations over the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use crate::access::MayTellAbsent;
use crate::body;
use crate::checksum::{Checksums, check_md5, checksums_of};
use crate::conditions::{Conditions, Precondition};
use crate::list;
use crate::objects::{Metadata, Object};
use crate::store::Store;
use crate::uploads::Uploads;

/// Between the check and the write of [`Conditions::Racy`], at most: who races comes within it, also where the machine is busy.
const GAP: Duration = Duration::from_millis(300);
const POLL: Duration = Duration::from_millis(5);

/// Those between check and write, by bucket and key.
#[derive(Default)]
pub(crate) struct Gaps(Mutex<HashMap<(String, String), Gap>>);

#[derive(Clone, Copy, Default)]
struct Gap {
    waiting: usize,
    /// How many were there so far.
    came: u64,
}

impl Gaps {
    /// Waits until somebody else has passed the same check, or for [`GAP`]; not at all where somebody waits for that.
    async fn wait(&self, bucket: &str, key: &str) {
        let place = (bucket.to_owned(), key.to_owned());
        let at = |change: fn(&mut Gap)| {
            let mut gaps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let gap = gaps.entry(place.clone()).or_default();
            change(gap);
            *gap
        };
        let mine = at(|gap| gap.came += 1);
        if mine.waiting > 0 {
            return;
        }
        at(|gap| gap.waiting += 1);
        for _ in 0..GAP.as_millis() / POLL.as_millis() {
            if at(|_| {}).came > mine.came {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        at(|gap| gap.waiting -= 1);
    }
}

pub(crate) struct Operations {
    pub(crate) store: Arc<Store>,
    pub(crate) uploads: Uploads,
    pub(crate) conditions: Conditions,
    pub(crate) gaps: Gaps,
    pub(crate) region: String,
}

impl Operations {
    /// Writes as well as the conditions of this store are.
    pub(crate) async fn write(
        &self,
        bucket: &str,
        key: &str,
        object: Object,
        condition: Precondition,
    ) -> S3Result<()> {
        match self.conditions {
            Conditions::Atomic => self.store.write(bucket, key, object, Some(&condition)),
            Conditions::Ignored => self.store.write(bucket, key, object, None),
            Conditions::Racy => {
                self.store.check(bucket, key, &condition)?;
                if condition.is_any() {
                    self.gaps.wait(bucket, key).await;
                }
                self.store.write(bucket, key, object, None)
            }
        }
    }

    fn read<T>(&self, request: &S3Request<T>, bucket: &str, key: &str) -> S3Result<Arc<Object>> {
        match (self.store.get(bucket, key)?, request.extensions.get()) {
            (Some(object), _) => Ok(object),
            (None, Some(MayTellAbsent(true))) => {
                Err(s3_error!(NoSuchKey, "The specified key does not exist."))
            }
            (None, _) => Err(s3_error!(AccessDenied, "Access Denied: no right to list, and no such key")),
        }
    }
}

#[async_trait::async_trait]
impl S3 for Operations {
    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        self.store.exists(&request.input.bucket)?;
        let bucket_region = Some(self.region.clone());
        Ok(S3Response::new(HeadBucketOutput { bucket_region, ..Default::default() }))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.store.exists(&request.input.bucket)?;
        let location_constraint = Some(BucketLocationConstraint::from(self.region.clone()));
        Ok(S3Response::new(GetBucketLocationOutput { location_constraint }))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let trailers = request.trailing_headers;
        let input = request.input;
        self.store.exists(&input.bucket)?;
        let bytes = body::read(input.body).await?;
        check_md5(input.content_md5.as_deref(), &bytes)?;
        let checksums = checksums_of!(input).with_trailers(trailers.as_ref());
        checksums.check(&bytes)?;
        let metadata = Metadata {
            content_type: input.content_type,
            cache_control: input.cache_control,
            content_encoding: input.content_encoding,
            content_disposition: input.content_disposition,
            storage_class: input.storage_class.map(|class| class.as_str().into()),
            server_side_encryption: input.server_side_encryption.map(|method| method.as_str().into()),
            user: input.metadata.unwrap_or_default().into_iter().collect(),
            checksums: checksums.clone(),
            ..Metadata::of(&bytes)
        };
        let output = PutObjectOutput {
            e_tag: Some(metadata.etag()),
            checksum_crc32: checksums.crc32,
            checksum_crc32c: checksums.crc32c,
            checksum_crc64nvme: checksums.crc64nvme,
            checksum_sha1: checksums.sha1,
            checksum_sha256: checksums.sha256,
            ..Default::default()
        };
        let condition = Precondition { if_match: input.if_match, if_none_match: input.if_none_match };
        self.write(&input.bucket, &input.key, Object { bytes, metadata }, condition).await?;
        Ok(S3Response::new(output))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let object = self.read(&request, &request.input.bucket, &request.input.key)?;
        let input = request.input;
        let metadata = object.metadata.clone();
        let condition = Precondition { if_match: input.if_match, if_none_match: input.if_none_match };
        condition.check_read(&metadata)?;
        let range = input.range.map(|range| range.check(metadata.size)).transpose()?;
        let checksums = match (&range, input.checksum_mode) {
            (None, Some(mode)) if mode.as_str() == ChecksumMode::ENABLED => metadata.checksums.clone(),
            _ => Checksums::default(),
        };
        let (bytes, content_range) = match range {
            None => (object.bytes.clone(), None),
            Some(range) => {
                let header = format!("bytes {}-{}/{}", range.start, range.end - 1, metadata.size);
                // Of a length that is in memory.
                (object.bytes.slice(range.start as usize..range.end as usize), Some(header))
            }
        };
        Ok(S3Response::new(GetObjectOutput {
            accept_ranges: Some("bytes".into()),
            content_length: Some(bytes.len() as i64),
            content_range,
            body: Some(body::send(bytes)),
            e_tag: Some(metadata.etag()),
            last_modified: Some(metadata.last_modified.into()),
            content_type: Some(metadata.content_type.unwrap_or_else(|| "binary/octet-stream".into())),
            cache_control: metadata.cache_control,
            content_encoding: metadata.content_encoding,
            content_disposition: metadata.content_disposition,
            storage_class: metadata.storage_class.map(StorageClass::from),
            server_side_encryption: metadata.server_side_encryption.map(ServerSideEncryption::from),
            metadata: Some(metadata.user.into_iter().collect()),
            checksum_crc32: checksums.crc32,
            checksum_crc32c: checksums.crc32c,
            checksum_crc64nvme: checksums.crc64nvme,
            checksum_sha1: checksums.sha1,
            checksum_sha256: checksums.sha256,
            ..Default::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let object = self.read(&request, &request.input.bucket, &request.input.key)?;
        let input = request.input;
        let metadata = object.metadata.clone();
        let condition = Precondition { if_match: input.if_match, if_none_match: input.if_none_match };
        condition.check_read(&metadata)?;
        let checksums = match input.checksum_mode {
            Some(mode) if mode.as_str() == ChecksumMode::ENABLED => metadata.checksums.clone(),
            _ => Checksums::default(),
        };
        Ok(S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".into()),
            content_length: Some(metadata.size as i64),
            e_tag: Some(metadata.etag()),
            last_modified: Some(metadata.last_modified.into()),
            content_type: Some(metadata.content_type.unwrap_or_else(|| "binary/octet-stream".into())),
            cache_control: metadata.cache_control,
            content_encoding: metadata.content_encoding,
            content_disposition: metadata.content_disposition,
            storage_class: metadata.storage_class.map(StorageClass::from),
            server_side_encryption: metadata.server_side_encryption.map(ServerSideEncryption::from),
            metadata: Some(metadata.user.into_iter().collect()),
            checksum_crc32: checksums.crc32,
            checksum_crc32c: checksums.crc32c,
            checksum_crc64nvme: checksums.crc64nvme,
            checksum_sha1: checksums.sha1,
            checksum_sha256: checksums.sha256,
            ..Default::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        let condition = Precondition { if_match: input.if_match, if_none_match: None };
        let condition = (self.conditions != Conditions::Ignored).then_some(&condition);
        self.store.remove(&input.bucket, &input.key, condition)?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = request.input;
        let mut deleted = Vec::new();
        for object in input.delete.objects {
            self.store.remove(&input.bucket, &object.key, None)?;
            deleted.push(DeletedObject { key: Some(object.key), ..Default::default() });
        }
        let quiet = input.delete.quiet.unwrap_or_default();
        let deleted = (!quiet).then_some(deleted);
        Ok(S3Response::new(DeleteObjectsOutput { deleted, ..Default::default() }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        let delimiter = input.delimiter.clone().unwrap_or_default();
        let after = input.continuation_token.as_deref().or(input.start_after.as_deref());
        let page = list::page(&self.store, &input.bucket, &prefix, &delimiter, after, input.max_keys)?;
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(prefix),
            delimiter: input.delimiter,
            start_after: input.start_after,
            continuation_token: input.continuation_token,
            max_keys: Some(page.most as i32),
            key_count: Some((page.objects.len() + page.prefixes.len()) as i32),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next,
            contents: Some(page.objects.into_iter().map(listed).collect()),
            common_prefixes: Some(
                page.prefixes.into_iter().map(|prefix| CommonPrefix { prefix: Some(prefix) }).collect(),
            ),
            ..Default::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.create_upload(request).map(S3Response::new)
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        self.add_part(request).await.map(S3Response::new)
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.complete_upload(request).await.map(S3Response::new)
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.abort_upload(request).map(S3Response::new)
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        self.parts_of_upload(request).map(S3Response::new)
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        self.uploads_under_way(request).map(S3Response::new)
    }
}

fn listed((key, object): (String, Arc<Object>)) -> s3s::dto::Object {
    s3s::dto::Object {
        key: Some(key),
        e_tag: Some(object.metadata.etag()),
        size: Some(object.metadata.size as i64),
        last_modified: Some(object.metadata.last_modified.into()),
        storage_class: object.metadata.storage_class.clone().map(ObjectStorageClass::from),
        ..Default::default()
    }
}
