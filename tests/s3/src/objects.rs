//! A test's own way to the objects, past signatures, rights and faults.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use s3s::dto::ETag;
use serde::{Deserialize, Serialize};

use crate::checksum::{Checksums, md5};
use crate::store::Store;

/// What is known of an object besides its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// As in the header, quotes included: the MD5, or that of the parts' MD5s and their number.
    pub etag: String,
    /// In hexadecimal, of the whole, which the ETag of a multipart upload is not.
    pub md5: String,
    /// In bytes.
    pub size: u64,
    /// When it was written.
    pub last_modified: SystemTime,
    /// The header of that name, as sent on PUT.
    pub content_type: Option<String>,
    /// The header of that name, as sent on PUT.
    pub cache_control: Option<String>,
    /// The header of that name, as sent on PUT.
    pub content_encoding: Option<String>,
    /// The header of that name, as sent on PUT.
    pub content_disposition: Option<String>,
    /// `x-amz-storage-class`, as sent on PUT.
    pub storage_class: Option<String>,
    /// `x-amz-server-side-encryption`, as sent on PUT.
    pub server_side_encryption: Option<String>,
    /// `x-amz-meta-*`, by the name behind that.
    pub user: BTreeMap<String, String>,
    /// `x-amz-checksum-*`, as sent on PUT and found right.
    pub checksums: Checksums,
}

impl Metadata {
    /// Of `bytes` that were put now, with no headers.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let md5 = md5(bytes);
        Metadata {
            etag: format!("\"{md5}\""),
            md5,
            size: bytes.len() as u64,
            last_modified: SystemTime::now(),
            content_type: None,
            cache_control: None,
            content_encoding: None,
            content_disposition: None,
            storage_class: None,
            server_side_encryption: None,
            user: BTreeMap::new(),
            checksums: Checksums::default(),
        }
    }

    pub(crate) fn etag(&self) -> ETag {
        ETag::Strong(self.etag.trim_matches('"').into())
    }
}

/// An object. One that is being sent stays what it is when it is overwritten.
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    pub(crate) metadata: Metadata,
}

/// Why a test's own write must succeed.
const WRITABLE: &str = "the bucket was made with the server, and its directory, if any, takes the key";

/// The objects of one bucket; a clone is another way to the same.
#[derive(Clone)]
pub struct Objects {
    pub(crate) store: Arc<Store>,
    pub(crate) bucket: String,
}

impl Objects {
    /// Writes an object, whatever there is.
    pub fn put(&self, key: &str, bytes: impl Into<Vec<u8>>) {
        let bytes: Vec<u8> = bytes.into();
        let metadata = Metadata::of(&bytes);
        let object = Object { bytes: bytes.into(), metadata };
        self.store.write(&self.bucket, key, object, None).expect(WRITABLE);
    }

    /// The bytes of an object.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.store.get(&self.bucket, key).ok().flatten().map(|object| object.bytes.to_vec())
    }

    /// What is known of an object.
    pub fn metadata(&self, key: &str) -> Option<Metadata> {
        self.store.get(&self.bucket, key).ok().flatten().map(|object| object.metadata.clone())
    }

    /// All keys that begin so, in order.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        self.store.keys(&self.bucket, prefix)
    }

    /// Removes an object; whether there was one.
    pub fn delete(&self, key: &str) -> bool {
        self.store.remove(&self.bucket, key, None).expect(WRITABLE)
    }
}
