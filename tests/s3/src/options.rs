//! What a server is like.

use std::net::SocketAddr;

use crate::conditions::Conditions;
use crate::credentials::Credentials;

/// What a server is like. [`Options::default`] is a bucket `test` as AWS would serve it, over plain HTTP, for
/// [`Credentials::for_tests`].
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) address: SocketAddr,
    pub(crate) buckets: Vec<String>,
    pub(crate) credentials: Vec<Credentials>,
    pub(crate) region: String,
    pub(crate) conditions: Conditions,
    pub(crate) anonymous_read: bool,
    pub(crate) listing_forbidden: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            buckets: Vec::new(),
            credentials: Vec::new(),
            region: "eu-test-1".into(),
            conditions: Conditions::default(),
            anonymous_read: false,
            listing_forbidden: false,
        }
    }
}

impl Options {
    /// The default.
    pub fn new() -> Self {
        Options::default()
    }

    /// Serves there instead of on a port of the system's choice.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Another bucket. The first is the one that [`crate::Server::put`] and the like mean; without any there is `test`.
    pub fn bucket(mut self, name: &str) -> Self {
        self.buckets.push(name.into());
        self
    }

    /// Another key pair. The first is the one that [`crate::Server::credentials`] gives; without any there is
    /// [`Credentials::for_tests`].
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials.push(credentials);
        self
    }

    /// Where the buckets are said to be.
    pub fn region(mut self, region: &str) -> Self {
        self.region = region.into();
        self
    }

    /// What conditions of writes are worth.
    pub fn conditions(mut self, conditions: Conditions) -> Self {
        self.conditions = conditions;
        self
    }

    /// GET and HEAD of objects need no signature: a public bucket.
    pub fn anonymous_read(mut self, allowed: bool) -> Self {
        self.anonymous_read = allowed;
        self
    }

    /// Nobody has `s3:ListBucket`: lists are refused, and an absent key is answered 403.
    pub fn listing_forbidden(mut self, forbidden: bool) -> Self {
        self.listing_forbidden = forbidden;
        self
    }
}
