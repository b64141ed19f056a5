//! A repository in a private S3 bucket.
//!
//! A read is one signed GET. AWS's SDK would add some 40 ms to each start and 10 MiB to the
//! executable.
//!
//! ```text
//! mod (S3)         the source
//! endpoint         where requests are sent
//! hints            what responses teach: the region, the server's clock, expired credentials
//! error_response   S3's error responses
//! credentials      the search for credentials
//! sign             AWS Signature Version 4
//! address, access_key, region, percent, xml    the values and formats of the above
//! ```

mod access_key;
mod address;
mod credentials;
mod endpoint;
mod error_response;
mod hints;
mod percent;
mod region;
mod sign;
mod xml;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Instant, SystemTime};

use ureq::Body;
use ureq::http::{Request, Response};

use self::credentials::Defaults;
use self::endpoint::Endpoint;
use self::error_response::ErrorResponse;
use self::hints::{Attempt, CachedCredentials, Hints, Used};
use self::region::DEFAULT_REGION;
use self::sign::{Scope, sign};
use super::cancellation::Cancellation;
use super::etag::Etag;
use super::http::{Client, ReadClient};
use super::http_get::{headers_for, opened};
use super::unavailable::Unavailable;
use super::{Opened, Source};
use crate::error::Result;
use crate::escape::Message;
use crate::object::Object;

pub use self::access_key::Credentials;
pub use self::address::S3Address;
pub use self::credentials::ProvideCredentials;

/// For `fuzz/`: the parsers of S3's errors and of credentials in every format.
#[cfg(fuzzing)]
pub(crate) fn fuzzing_credentials(content: &[u8]) -> usize {
    drop(xml::code_in(str::from_utf8(content).unwrap_or_default()));
    credentials::fuzzing(content)
}

/// Reads objects of a bucket with signed requests, at AWS or at another vendor with the same
/// protocol.
///
/// A public bucket needs no signed requests: [`super::Https`] reads it.
///
/// What the address does not name comes from the environment (`AWS_REGION`, `AWS_DEFAULT_REGION`,
/// `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`) and then from the profile (`region`, `endpoint_url`).
/// Credentials come from the first of these:
/// - the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`);
/// - the profile that the address names, that of `AWS_PROFILE`, or `default`, in AWS's shared
///   files: keys, `credential_process`, a web identity, or a role with `source_profile` or
///   `credential_source`;
/// - a web identity (`AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`);
/// - the container (`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `_FULL_URI`);
/// - the machine (EC2 instance metadata, version 2).
///
/// If the address names a profile, credentials come from that profile only. All of this is read
/// with the first object, within the deadline of the check. A `credential_process` or a role that
/// takes longer than the 1.5 s of a start needs [`Startup::deadline`](crate::Startup::deadline).
///
/// Requires rustc 1.94.1, as AWS's crates do.
#[derive(Clone)]
pub struct S3 {
    address: S3Address,
    tls: Client,
    credentials: CredentialSource,
    endpoint: Arc<OnceLock<Result<Endpoint, String>>>,
    hints: Arc<Mutex<Hints>>,
}

#[derive(Clone)]
enum CredentialSource {
    Builtin,
    Custom(Arc<dyn ProvideCredentials>),
    #[cfg(feature = "s3-sdk")]
    Sdk(Arc<credentials::Sdk>),
}

impl S3 {
    /// A repository in a bucket: `s3://bucket/prefix?region=eu-central-1`.
    ///
    /// Name the region: with a wrong default, each process sends its first request twice. Nothing
    /// is read before the first object.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) if the address does not have the form of SPEC section
    /// 10.1.
    pub fn new(address: &str) -> Result<Self> {
        Ok(S3::at(address.parse()?))
    }

    /// [`S3::new`] with a parsed address.
    pub fn at(address: S3Address) -> Self {
        S3 {
            address,
            tls: Client::default(),
            credentials: CredentialSource::Builtin,
            endpoint: Arc::default(),
            hints: Arc::default(),
        }
    }

    /// [`S3::at`] with the credential chain of AWS's crate `aws-config`: SSO, and everything that
    /// AWS adds to it. `aws login` and proxies are not supported.
    ///
    /// It costs each process that reads a repository a few milliseconds and 5 MiB of memory, and
    /// the executable 6 MiB. On a machine without credentials it takes some seconds, which is
    /// longer than the deadline of a start-up check.
    #[cfg(feature = "s3-sdk")]
    pub fn with_sdk_chain(address: S3Address) -> Self {
        let sdk = credentials::Sdk::new(&address);
        S3 { credentials: CredentialSource::Sdk(Arc::new(sdk)), ..S3::at(address) }
    }

    /// Uses credentials of your own, and no others.
    pub fn credentials(self, provider: impl ProvideCredentials) -> Self {
        let credentials = CredentialSource::Custom(Arc::new(provider));
        S3 { credentials, hints: Arc::default(), ..self }
    }

    /// Trusts the certificate authorities of a PEM file as well, for an endpoint with an internal
    /// CA. They also apply to the token service and to an `https:` address of a container, but not
    /// to the requests of AWS's SDK (feature `s3-sdk`).
    ///
    /// # Errors
    /// [`Error::Local`](crate::Error::Local) if it is not a readable regular file;
    /// [`Error::Usage`](crate::Error::Usage) if it contains no certificate or is larger than
    /// [`limits::CA_FILE`](crate::limits::CA_FILE).
    pub fn ca_file(self, path: &Path) -> Result<Self> {
        Ok(S3 { tls: Client::with_ca_file(path)?, endpoint: Arc::default(), ..self })
    }

    fn endpoint(&self) -> Result<&Endpoint, String> {
        let endpoint = self.endpoint.get_or_init(|| {
            let defaults = match &self.credentials {
                CredentialSource::Builtin | CredentialSource::Custom(_) => {
                    Defaults::of_profile(self.address.profile())
                }
                #[cfg(feature = "s3-sdk")]
                CredentialSource::Sdk(sdk) => sdk.defaults()?,
            };
            Endpoint::resolve(&self.address, &self.tls, defaults)
        });
        endpoint.as_ref().map_err(Clone::clone)
    }

    fn hints(&self) -> MutexGuard<'_, Hints> {
        self.hints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The inputs of the next request. Obtains credentials if there are none, or if they expire.
    fn next_attempt(&self, endpoint: &Endpoint, cancellation: &Cancellation) -> Result<Attempt, Unavailable> {
        let mut hints = self.hints();
        let time = hints.skew.apply(SystemTime::now());
        let region = hints.region.as_deref().or(endpoint.address.region()).unwrap_or(DEFAULT_REGION);
        let region = region.to_owned();
        let cached = hints.credentials.as_ref();
        if let Some(cached) = cached.filter(|cached| cached.is_fresh(time, cached.since.elapsed())) {
            return Ok(Attempt { credentials: cached.credentials.clone(), region, time });
        }
        let obtained = match &self.credentials {
            _ if cancellation.is_cancelled() => Err("the read was cancelled".into()),
            CredentialSource::Builtin => endpoint.chain(cancellation).credentials(),
            CredentialSource::Custom(custom) => custom.credentials().map_err(|why| Message(why).to_string()),
            #[cfg(feature = "s3-sdk")]
            CredentialSource::Sdk(sdk) => sdk.credentials(),
        };
        let credentials = obtained.map_err(|why| self.requires_credentials(why))?;
        hints.credentials =
            Some(CachedCredentials { credentials: credentials.clone(), since: Instant::now() });
        // After obtaining the credentials, which may take a while.
        let time = hints.skew.apply(SystemTime::now());
        Ok(Attempt { credentials, region, time })
    }

    fn send(
        &self,
        endpoint: &Endpoint,
        client: &ReadClient,
        attempt: &Attempt,
        object: &Object,
        known: Option<&Etag>,
    ) -> Result<Response<Body>, Unavailable> {
        let address = endpoint.address.clone().with_region(&attempt.region);
        let address = address.map_err(|error| Unavailable::permanent(self.location(), object, error))?;
        let url = address.url_of(object);
        let scope = Scope { service: "s3", region: &attempt.region, time: attempt.time };
        let signed = sign("GET", &url, &[], b"", &attempt.credentials, &scope)
            .map_err(|why| self.requires_credentials(why))?;
        let mut request = Request::get(url);
        for (name, value) in headers_for(object, known) {
            request = request.header(name, value);
        }
        for (name, value) in signed {
            request = request.header(name, value);
        }
        let request = request.body(()).map_err(|_| {
            self.requires_credentials("these contain characters invalid in HTTP headers".into())
        })?;
        client.send(request).map_err(|error| error.into_unavailable(self.location(), object))
    }

    fn requires_credentials(&self, why: String) -> Unavailable {
        Unavailable::Credentials { location: self.location(), why }
    }
}

impl Source for S3 {
    fn open(&self, object: &Object, known: Option<&Etag>) -> Result<Opened, Unavailable> {
        self.open_cancellable(object, known, &Cancellation::default())
    }

    fn open_cancellable(
        &self,
        object: &Object,
        known: Option<&Etag>,
        cancellation: &Cancellation,
    ) -> Result<Opened, Unavailable> {
        // Its parts were escaped, and it is not cut: the reason is at its end.
        let unusable = |why| {
            let (location, object) = (self.location(), object.clone());
            Unavailable::Unreachable { location, object, why, retryable: false }
        };
        let endpoint = self.endpoint().map_err(unusable)?;
        let client = endpoint.client.for_read(cancellation);
        let mut used = Used::default();
        loop {
            let attempt = self.next_attempt(endpoint, cancellation)?;
            let response = self.send(endpoint, &client, &attempt, object, known)?;
            let status = response.status().as_u16();
            if status == 200 || (status == 304 && known.is_some()) {
                return opened(response, client, self.location(), object, known);
            }
            let response = ErrorResponse::read(response);
            if !self.hints().learn(&response, &attempt, &mut used) {
                let origin = attempt.credentials.origin();
                return Err(response.into_unavailable(self.location(), object, origin));
            }
        }
    }

    fn location(&self) -> String {
        self.address.to_string()
    }
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("S3").field(&self.location()).finish()
    }
}
