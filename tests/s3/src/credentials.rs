//! Who may sign, and what for.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// A key pair that the server accepts.
#[derive(Clone)]
pub struct Credentials {
    /// The public half, sent with each request.
    pub access_key: String,
    /// The secret half.
    pub secret_key: String,
    /// Without it as `x-amz-security-token`, signed, a request is refused.
    pub session_token: Option<String>,
    /// From then on requests are refused.
    pub expires: Option<SystemTime>,
    /// What a request may do.
    pub rights: Rights,
}

impl Credentials {
    /// A pair with all rights.
    pub fn new(access_key: &str, secret_key: &str) -> Self {
        Credentials {
            access_key: access_key.into(),
            secret_key: secret_key.into(),
            session_token: None,
            expires: None,
            rights: Rights::ALL,
        }
    }

    /// The pair of a server that was told no other.
    pub fn for_tests() -> Self {
        Credentials::new("TESTACCESSKEY", "test-secret-key-of-no-value")
    }

    /// A pair that may read and list and nothing else.
    pub fn read_only() -> Self {
        Credentials::new("TESTREADONLYKEY", "test-secret-key-for-reading").rights(Rights::READ)
    }

    /// Asks for this session token.
    pub fn session_token(mut self, token: &str) -> Self {
        self.session_token = Some(token.into());
        self
    }

    /// May do this and no more.
    pub fn rights(mut self, rights: Rights) -> Self {
        self.rights = rights;
        self
    }

    /// Is refused from then on.
    pub fn expires(mut self, at: SystemTime) -> Self {
        self.expires = Some(at);
        self
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// What a policy allows, as far as tests tell policies apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// `s3:GetObject`.
    pub read: bool,
    /// `s3:PutObject`, multipart uploads included.
    pub write: bool,
    /// `s3:DeleteObject`.
    pub delete: bool,
    /// `s3:ListBucket`; without it an absent key is answered 403, as AWS does.
    pub list: bool,
}

impl Rights {
    /// Everything.
    pub const ALL: Rights = Rights { read: true, write: true, delete: true, list: true };
    /// Read and list.
    pub const READ: Rights = Rights { read: true, write: false, delete: false, list: true };
    /// Nothing; a base to add to.
    pub const NONE: Rights = Rights { read: false, write: false, delete: false, list: false };

    /// Whether this S3 operation may be done.
    pub(crate) fn allow(self, operation: &str) -> bool {
        match operation {
            "GetObject" | "HeadObject" => self.read,
            "PutObject"
            | "CreateMultipartUpload"
            | "UploadPart"
            | "CompleteMultipartUpload"
            | "AbortMultipartUpload"
            | "ListParts" => self.write,
            "DeleteObject" | "DeleteObjects" => self.delete,
            "ListObjects" | "ListObjectsV2" | "HeadBucket" | "ListMultipartUploads" => self.list,
            _ => self == Rights::ALL,
        }
    }
}

/// All pairs that are accepted at the moment.
#[derive(Default)]
pub(crate) struct Keyring(Mutex<HashMap<String, Credentials>>);

impl Keyring {
    pub(crate) fn add(&self, credentials: Credentials) {
        self.lock().insert(credentials.access_key.clone(), credentials);
    }

    pub(crate) fn remove(&self, access_key: &str) {
        self.lock().remove(access_key);
    }

    pub(crate) fn get(&self, access_key: &str) -> Option<Credentials> {
        self.lock().get(access_key).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Credentials>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
