//! The server, as tests see it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::backend::S3Backend;
use crate::credentials::{Credentials, Keyring};
use crate::directory::Directory;
use crate::faults::{Effect, Fault, When};
use crate::front::Front;
use crate::hold::Hold;
use crate::listening::Listening;
use crate::log::Request;
use crate::objects::{Metadata, Objects};
use crate::options::Options;
use crate::store::Store;

/// An S3 server on loopback; gone when dropped, connections included.
pub struct Server {
    options: Options,
    store: Arc<Store>,
    pub(crate) keyring: Arc<Keyring>,
    front: Arc<Front<S3Backend>>,
    listening: Listening,
}

impl Server {
    /// Serves from now on.
    ///
    /// # Panics
    /// Where it cannot listen.
    pub fn start(options: Options) -> Self {
        Server::try_start(options).unwrap_or_else(|error| panic!("the S3 server does not start: {error}"))
    }

    /// Serves from now on, if it can.
    pub fn try_start(mut options: Options) -> io::Result<Self> {
        if options.buckets.is_empty() {
            options.buckets.push("test".into());
        }
        if options.credentials.is_empty() {
            options.credentials.push(Credentials::for_tests());
        }
        if let Some(name) = options.buckets.iter().find(|name| !s3s::path::check_bucket_name(name)) {
            let message = format!("{name:?} cannot be the name of a bucket");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let directory = options.directory.clone().map(Directory);
        let store = Arc::new(Store::new(&options.buckets, directory)?);
        let keyring = Arc::new(Keyring::default());
        for credentials in &options.credentials {
            keyring.add(credentials.clone());
        }
        let front = Arc::new(Front::new(S3Backend::new(&options, &store, &keyring)));
        let listening = Listening::start(options.address, options.tls.clone(), Arc::clone(&front))?;
        Ok(Server { options, store, keyring, front, listening })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.listening.address
    }

    /// The URL to give to clients, without a bucket.
    pub fn endpoint(&self) -> String {
        self.endpoint_of(&self.address().ip().to_string())
    }

    /// The URL to give to clients that find `host` on loopback by means of their own.
    pub fn endpoint_of(&self, host: &str) -> String {
        let scheme = if self.options.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{host}:{}", self.address().port())
    }

    /// What AWS's own tools read from the environment, for a child process.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let credentials = self.credentials();
        let mut environment = vec![
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_REGION", self.region().into()),
            ("AWS_ACCESS_KEY_ID", credentials.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", credentials.secret_key.clone()),
        ];
        environment.extend(credentials.session_token.clone().map(|token| ("AWS_SESSION_TOKEN", token)));
        environment
    }

    /// The name of the first bucket.
    pub fn bucket(&self) -> &str {
        self.options.buckets.first().expect("try_start saw to it")
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.options.region
    }

    /// The first key pair.
    pub fn credentials(&self) -> &Credentials {
        self.options.credentials.first().expect("try_start saw to it")
    }

    /// Accepts this pair too, from now on.
    pub fn accept(&self, credentials: Credentials) {
        self.keyring.add(credentials);
    }

    /// Refuses that pair from now on.
    pub fn revoke(&self, access_key: &str) {
        self.keyring.remove(access_key);
    }

    /// All requests since the start or the last [`Server::clear_requests`], in the order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.front.log.requests()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.front.log.clear();
    }

    /// The fault befalls the requests that are meant, from now on.
    pub fn fault(&self, when: When, fault: Fault) {
        self.front.fault(when, fault);
    }

    /// From now on the server's clock is that many seconds ahead, or behind, in the `Date` of its answers.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.front.ahead.store(seconds, std::sync::atomic::Ordering::SeqCst);
    }

    /// Holds the requests that are meant, from now on, until the test lets them go.
    pub fn hold(&self, when: When) -> Hold {
        self.front.faults.hold(when)
    }

    /// Runs this before each request that is meant is served, from now on. It may wait, and may change objects (by a clone of
    /// [`Server::objects`]).
    pub fn run(&self, when: When, act: impl Fn(&Request) + Send + Sync + 'static) {
        self.front.faults.add(when, Effect::Run(Arc::new(act)));
    }

    /// From now on nothing befalls requests; those that are held or stalled stay so.
    pub fn clear_faults(&self) {
        self.front.faults.clear();
    }

    /// The objects of the first bucket.
    pub fn objects(&self) -> Objects {
        self.objects_of(self.bucket())
    }

    /// The objects of that bucket.
    pub fn objects_of(&self, bucket: &str) -> Objects {
        Objects { store: Arc::clone(&self.store), bucket: bucket.into() }
    }

    /// [`Objects::put`] in the first bucket.
    pub fn put(&self, key: &str, bytes: impl Into<Vec<u8>>) {
        self.objects().put(key, bytes);
    }

    /// [`Objects::get`] in the first bucket.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.objects().get(key)
    }

    /// [`Objects::metadata`] in the first bucket.
    pub fn metadata(&self, key: &str) -> Option<Metadata> {
        self.objects().metadata(key)
    }

    /// [`Objects::keys`] in the first bucket.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        self.objects().keys(prefix)
    }

    /// [`Objects::delete`] in the first bucket.
    pub fn delete(&self, key: &str) -> bool {
        self.objects().delete(key)
    }
}
