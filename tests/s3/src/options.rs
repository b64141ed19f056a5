//! What a server is like.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::conditions::Conditions;
use crate::credentials::Credentials;
use crate::host::Domains;
use crate::region::WrongRegion;
use crate::tls::Authority;

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
    pub(crate) anonymous_list: bool,
    pub(crate) listing_forbidden: bool,
    pub(crate) wrong_region: WrongRegion,
    pub(crate) domain: Option<String>,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    pub(crate) directory: Option<PathBuf>,
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
            anonymous_list: false,
            listing_forbidden: false,
            wrong_region: WrongRegion::default(),
            domain: None,
            tls: None,
            directory: None,
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

    /// Neither does a list of them, where objects can be read so.
    pub fn anonymous_list(mut self, allowed: bool) -> Self {
        self.anonymous_list = allowed;
        self
    }

    /// Nobody has `s3:ListBucket`: lists are refused, and an absent key is answered 403.
    pub fn listing_forbidden(mut self, forbidden: bool) -> Self {
        self.listing_forbidden = forbidden;
        self
    }

    /// What a request that was signed for another region is answered with.
    pub fn wrong_region(mut self, answer: WrongRegion) -> Self {
        self.wrong_region = answer;
        self
    }

    /// Serves `BUCKET.domain` besides `domain/BUCKET`; the port of a `Host` does not matter. No resolver knows the domain: a client
    /// connects to [`crate::Server::address`] by a resolver of its own or by a proxy. Below `localhost` it is always so.
    pub fn domain(mut self, domain: &str) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// HTTPS, with a certificate for 127.0.0.1, ::1, `localhost`, the domain (so call that first), and the hosts one label below the two.
    pub fn https(mut self, authority: &Authority) -> Self {
        self.tls = Some(authority.server_config(&self.domains().names()));
        self
    }

    /// HTTPS with a certificate for these names and no others.
    pub fn https_as(mut self, authority: &Authority, names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).into()).collect();
        self.tls = Some(authority.server_config(&names));
        self
    }

    /// HTTPS of the test's own making.
    pub fn tls(mut self, config: Arc<rustls::ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Keeps the objects there too: `BUCKET/KEY`. It is read at the start and then only written.
    pub fn directory(mut self, path: PathBuf) -> Self {
        self.directory = Some(path);
        self
    }

    pub(crate) fn domains(&self) -> Domains {
        Domains::new(self.domain.as_deref())
    }
}
