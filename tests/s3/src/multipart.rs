//! S3's operations on multipart uploads.

use std::time::SystemTime;

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use crate::body;
use crate::checksum::{Checksums, check_md5, checksums_of};
use crate::conditions::Precondition;
use crate::objects::Metadata;
use crate::s3::Operations;
use crate::uploads::{self, Part};

/// AWS's.
const MOST_PARTS: i32 = 10_000;

impl Operations {
    pub(crate) fn create_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<CreateMultipartUploadOutput> {
        let input = request.input;
        self.store.exists(&input.bucket)?;
        let metadata = Metadata {
            content_type: input.content_type,
            cache_control: input.cache_control,
            content_encoding: input.content_encoding,
            content_disposition: input.content_disposition,
            storage_class: input.storage_class.map(|class| class.as_str().into()),
            server_side_encryption: input.server_side_encryption.map(|method| method.as_str().into()),
            user: input.metadata.unwrap_or_default().into_iter().collect(),
            ..Metadata::of(&[])
        };
        let upload_id = self.uploads.create(&input.bucket, &input.key, metadata)?;
        Ok(CreateMultipartUploadOutput {
            upload_id: Some(upload_id),
            bucket: Some(input.bucket),
            key: Some(input.key),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: input.checksum_type,
            ..Default::default()
        })
    }

    pub(crate) async fn add_part(&self, request: S3Request<UploadPartInput>) -> S3Result<UploadPartOutput> {
        let trailers = request.trailing_headers;
        let input = request.input;
        if !(1..=MOST_PARTS).contains(&input.part_number) {
            return Err(s3_error!(
                InvalidArgument,
                "Part number must be an integer between 1 and 10000, inclusive"
            ));
        }
        self.uploads.with(&input.upload_id, &input.bucket, &input.key, |_| Ok(()))?;
        let bytes = body::read(input.body).await?;
        check_md5(input.content_md5.as_deref(), &bytes)?;
        let checksums = checksums_of!(input).with_trailers(trailers.as_ref());
        checksums.check(&bytes)?;
        let etag = Metadata::of(&bytes).etag();
        let part =
            Part { bytes, etag: etag.clone(), checksums: checksums.clone(), written: SystemTime::now() };
        self.uploads.with(&input.upload_id, &input.bucket, &input.key, |upload| {
            upload.parts.insert(input.part_number, part);
            Ok(())
        })?;
        Ok(UploadPartOutput {
            e_tag: Some(etag),
            checksum_crc32: checksums.crc32,
            checksum_crc32c: checksums.crc32c,
            checksum_crc64nvme: checksums.crc64nvme,
            checksum_sha1: checksums.sha1,
            checksum_sha256: checksums.sha256,
            ..Default::default()
        })
    }

    /// An upload whose condition fails stays, to be aborted or completed again.
    pub(crate) async fn complete_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        let input = request.input;
        let wanted = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let (parts, metadata) = self
            .uploads
            .with(&input.upload_id, &input.bucket, &input.key, |upload| upload.choose(&wanted))?;
        let mut object = uploads::assemble(&parts, metadata);
        if input.checksum_type.is_some_and(|kind| kind.as_str() == ChecksumType::FULL_OBJECT) {
            let checksums: Checksums = checksums_of!(input);
            checksums.check(&object.bytes)?;
            object.metadata.checksums = checksums;
        }
        let etag = object.metadata.etag();
        let condition = Precondition { if_match: input.if_match, if_none_match: input.if_none_match };
        self.write(&input.bucket, &input.key, object, condition).await?;
        self.uploads.remove(&input.upload_id);
        Ok(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(etag),
            ..Default::default()
        })
    }

    pub(crate) fn abort_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<AbortMultipartUploadOutput> {
        let input = request.input;
        self.uploads.with(&input.upload_id, &input.bucket, &input.key, |_| Ok(()))?;
        self.uploads.remove(&input.upload_id);
        Ok(AbortMultipartUploadOutput::default())
    }

    pub(crate) fn parts_of_upload(&self, request: S3Request<ListPartsInput>) -> S3Result<ListPartsOutput> {
        let input = request.input;
        let parts = self.uploads.with(&input.upload_id, &input.bucket, &input.key, |upload| {
            Ok(upload.parts.iter().map(|(number, part)| listed(*number, part)).collect())
        })?;
        Ok(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            parts: Some(parts),
            is_truncated: Some(false),
            ..Default::default()
        })
    }

    pub(crate) fn uploads_under_way(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<ListMultipartUploadsOutput> {
        let input = request.input;
        self.store.exists(&input.bucket)?;
        let uploads = self.uploads.list(&input.bucket, input.prefix.as_deref().unwrap_or_default());
        let uploads = uploads.into_iter().map(|(id, key, initiated)| MultipartUpload {
            upload_id: Some(id),
            key: Some(key),
            initiated: Some(initiated.into()),
            ..Default::default()
        });
        Ok(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: input.prefix,
            uploads: Some(uploads.collect()),
            is_truncated: Some(false),
            ..Default::default()
        })
    }
}

fn listed(number: i32, part: &Part) -> s3s::dto::Part {
    s3s::dto::Part {
        part_number: Some(number),
        size: Some(part.bytes.len() as i64),
        e_tag: Some(part.etag.clone()),
        last_modified: Some(part.written.into()),
        ..Default::default()
    }
}
