//! The key that requests are signed with.

use std::fmt;
use std::time::SystemTime;

/// An access key: an ID, a secret and, for temporary credentials, a session token and an expiry.
///
/// `Debug` does not show it, and it is wiped from memory when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    key: aws_credential_types::Credentials,
    /// For messages; completes "the credentials from ...".
    origin: &'static str,
}

impl Credentials {
    /// A key pair. Temporary credentials also have a session token.
    pub fn new(access_key_id: &str, secret_access_key: &str, session_token: Option<&str>) -> Self {
        Credentials::of(access_key_id, secret_access_key, session_token, None, "this program")
    }

    /// The same credentials, valid until `at`.
    pub fn expiring(mut self, at: SystemTime) -> Self {
        *self.key.expiry_mut() = Some(at);
        self
    }

    pub(super) fn of(
        access_key_id: &str,
        secret_access_key: &str,
        session_token: Option<&str>,
        expires: Option<SystemTime>,
        origin: &'static str,
    ) -> Self {
        let token = session_token.map(str::to_owned);
        let (id, secret) = (access_key_id, secret_access_key);
        let key = aws_credential_types::Credentials::new(id, secret, token, expires, origin);
        Credentials { key, origin }
    }

    /// From AWS's SDK.
    #[cfg(feature = "s3-sdk")]
    pub(super) fn of_sdk(key: aws_credential_types::Credentials) -> Self {
        Credentials { key, origin: "AWS's SDK" }
    }

    /// In the form that AWS's signing crate takes.
    pub(super) fn for_signing(&self) -> &aws_credential_types::Credentials {
        &self.key
    }

    pub(super) fn expiry(&self) -> Option<SystemTime> {
        self.key.expiry()
    }

    pub(super) fn origin(&self) -> &'static str {
        self.origin
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}
