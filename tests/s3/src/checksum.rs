//! The checksums that a client may send with an object.

use base64ct::{Base64, Encoding};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::{S3Result, TrailingHeaders, s3_error};
use serde::{Deserialize, Serialize};

/// The checksums of any of s3s's inputs.
macro_rules! checksums_of {
    ($input:expr) => {
        $crate::checksum::Checksums {
            crc32: $input.checksum_crc32,
            crc32c: $input.checksum_crc32c,
            crc64nvme: $input.checksum_crc64nvme,
            sha1: $input.checksum_sha1,
            sha256: $input.checksum_sha256,
        }
    };
}
pub(crate) use checksums_of;

/// In Base64, as in the headers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksums {
    /// `x-amz-checksum-crc32`.
    pub crc32: Option<String>,
    /// `x-amz-checksum-crc32c`.
    pub crc32c: Option<String>,
    /// `x-amz-checksum-crc64nvme`.
    pub crc64nvme: Option<String>,
    /// `x-amz-checksum-sha1`.
    pub sha1: Option<String>,
    /// `x-amz-checksum-sha256`.
    pub sha256: Option<String>,
}

impl Checksums {
    /// With those that came behind an aws-chunked body.
    pub(crate) fn with_trailers(mut self, trailers: Option<&TrailingHeaders>) -> Self {
        let Some(trailers) = trailers else { return self };
        let _ = trailers.read(|headers| {
            let text =
                |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            self.crc32 = self.crc32.take().or_else(|| text("x-amz-checksum-crc32"));
            self.crc32c = self.crc32c.take().or_else(|| text("x-amz-checksum-crc32c"));
            self.crc64nvme = self.crc64nvme.take().or_else(|| text("x-amz-checksum-crc64nvme"));
            self.sha1 = self.sha1.take().or_else(|| text("x-amz-checksum-sha1"));
            self.sha256 = self.sha256.take().or_else(|| text("x-amz-checksum-sha256"));
        });
        self
    }

    /// That each is the one of `bytes`.
    pub(crate) fn check(&self, bytes: &[u8]) -> S3Result<()> {
        let mut hasher = ChecksumHasher {
            crc32: self.crc32.is_some().then(Crc32::new),
            crc32c: self.crc32c.is_some().then(Crc32c::new),
            crc64nvme: self.crc64nvme.is_some().then(Crc64Nvme::new),
            sha1: self.sha1.is_some().then(Sha1::new),
            sha256: self.sha256.is_some().then(Sha256::new),
        };
        hasher.update(bytes);
        let found = hasher.finalize();
        let found = Checksums {
            crc32: found.checksum_crc32,
            crc32c: found.checksum_crc32c,
            crc64nvme: found.checksum_crc64nvme,
            sha1: found.checksum_sha1,
            sha256: found.checksum_sha256,
        };
        if *self != found {
            return Err(s3_error!(
                BadDigest,
                "the checksum is not that of the body: {self:?}, found {found:?}"
            ));
        }
        Ok(())
    }
}

/// That `Content-MD5` is right, where it was sent.
pub(crate) fn check_md5(content_md5: Option<&str>, bytes: &[u8]) -> S3Result<()> {
    match content_md5 {
        Some(sent) if sent != Base64::encode_string(Md5::checksum(bytes).as_ref()) => {
            Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."))
        }
        _ => Ok(()),
    }
}

/// In hexadecimal.
pub(crate) fn md5(bytes: &[u8]) -> String {
    hex(Md5::checksum(bytes).as_ref())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
