//! A repository in an S3 bucket that wants credentials.
//!
//! Reading is one signed GET. The SDK would cost each start some 40 ms and 10 MiB for it.

mod address;
mod answer;
mod credentials;
mod place;
mod sign;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use ureq::Body;
use ureq::http::{Request, Response};

use self::address::DEFAULT_REGION;
use self::answer::Answer;
use self::place::{Configured, Place};
use self::sign::{Scope, can_be_signed, sign};
use super::Unavailable;
use super::http::{Client, Session, headers_for, opened};
use super::{Cancellation, Etag, Object, Opened, Source};
use crate::error::Result;
use crate::escape::Words;
use crate::limits;

pub use self::address::S3Address;
pub use self::credentials::{Credentials, ProvideCredentials};

/// For `fuzz/`: every parser of what others say when they are asked for credentials or for an object.
#[cfg(fuzzing)]
pub(crate) fn fuzzing_credentials(content: &[u8]) -> usize {
    drop(answer::code_in(str::from_utf8(content).unwrap_or_default()));
    credentials::fuzzing(content)
}

/// Reads objects of a bucket with signed requests: AWS's S3, and what other vendors serve in the same way.
///
/// A bucket that everybody may read needs none of this: [`super::Https`] reads it.
///
/// What the address leaves open comes from the environment (`AWS_REGION`, `AWS_DEFAULT_REGION`, `AWS_ENDPOINT_URL_S3`,
/// `AWS_ENDPOINT_URL`) and then from the profile (`region`, `endpoint_url`). Credentials come, in this order, from
/// - the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`);
/// - the profile of the address, of `AWS_PROFILE`, or `default`, in AWS's shared files: keys, `credential_process`, a web identity, a role
///   with `source_profile` or `credential_source`;
/// - a web identity (`AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`);
/// - the container (`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `_FULL_URI`);
/// - the machine (EC2 instance metadata, version 2).
///
/// Where the address names a profile, they come from this one alone. All of it is read when the first object is, and within the deadline
/// of the check: a `credential_process` or a role that takes longer than the 1.5 s of a start needs [`crate::Startup::deadline`].
///
/// Needs rustc 1.94.1, as AWS's crates do.
#[derive(Clone)]
pub struct S3 {
    address: S3Address,
    tls: Client,
    access: Access,
    place: Arc<OnceLock<Result<Place, String>>>,
    learned: Arc<Mutex<Learned>>,
}

#[derive(Clone)]
enum Access {
    Lean,
    Own(Arc<dyn ProvideCredentials>),
    #[cfg(feature = "s3-sdk")]
    Sdk(Arc<credentials::Sdk>),
}

/// What this process knows better than at its start.
#[derive(Default)]
struct Learned {
    /// Where the bucket is, by its own word.
    region: Option<String>,
    /// How far the server's clock is ahead of this machine's.
    skew: Skew,
    credentials: Option<Held>,
}

#[derive(Clone, Copy, Default)]
struct Skew {
    ahead: Duration,
    behind: Duration,
}

struct Held {
    credentials: Credentials,
    since: Instant,
}

/// What one request was made with.
struct Asked {
    credentials: Credentials,
    region: String,
    time: SystemTime,
}

impl S3 {
    /// A repository in a bucket: `s3://bucket/prefix?region=eu-central-1`. Name the region: where a wrong one is assumed, each process asks
    /// twice. Nothing is read before an object is asked for.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] where the address is not of the form of SPEC section 10.1.
    pub fn new(address: &str) -> Result<Self> {
        Ok(S3::at(address.parse()?))
    }

    /// The same by an address in parts.
    pub fn at(address: S3Address) -> Self {
        S3 {
            address,
            tls: Client::default(),
            access: Access::Lean,
            place: Arc::default(),
            learned: Arc::default(),
        }
    }

    /// The same with the whole chain of AWS's `aws-config`: SSO and whatever else AWS adds to it; without `aws login`, and through no
    /// proxy. It costs each process that reads a repository a few milliseconds and 5 MiB more, an executable 6 MiB, and on a machine
    /// without credentials some seconds, which is more than the deadline of a start-up check.
    #[cfg(feature = "s3-sdk")]
    pub fn with_sdk_chain(address: S3Address) -> Self {
        let sdk = credentials::Sdk::new(&address);
        S3 { access: Access::Sdk(Arc::new(sdk)), ..S3::at(address) }
    }

    /// The same with credentials of your own. Nothing else is asked for any.
    pub fn credentials(self, provider: impl ProvideCredentials) -> Self {
        S3 { access: Access::Own(Arc::new(provider)), learned: Arc::default(), ..self }
    }

    /// The same with further certificate authorities, from a PEM file: for an endpoint with an internal CA. They count for the token
    /// service and an `https:` address of a container, too, but not for what AWS's SDK asks itself (feature `s3-sdk`).
    ///
    /// # Errors
    /// [`crate::Error::Local`] where it is no regular file that can be read, [`crate::Error::Usage`] where it holds no certificate or is
    /// larger than [`limits::CA_FILE`](crate::limits::CA_FILE).
    pub fn ca_file(self, path: &Path) -> Result<Self> {
        Ok(S3 { tls: Client::with_ca_file(path)?, place: Arc::default(), ..self })
    }

    fn place(&self) -> Result<&Place, String> {
        let found = self.place.get_or_init(|| {
            let configured = match &self.access {
                Access::Lean | Access::Own(_) => Configured::by_profile(self.address.profile()),
                #[cfg(feature = "s3-sdk")]
                Access::Sdk(sdk) => sdk.configured()?,
            };
            Place::find(&self.address, &self.tls, configured)
        });
        found.as_ref().map_err(Clone::clone)
    }

    /// What to ask with next.
    fn prepare(&self, place: &Place, cancellation: &Cancellation) -> Result<Asked, Unavailable> {
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        let time = learned.skew.of(SystemTime::now());
        let region =
            learned.region.as_deref().or(place.address.region()).unwrap_or(DEFAULT_REGION).to_owned();
        if let Some(held) =
            learned.credentials.as_ref().filter(|held| held.is_fresh(time, held.since.elapsed()))
        {
            return Ok(Asked { credentials: held.credentials.clone(), region, time });
        }
        let fetched = match &self.access {
            _ if cancellation.is_cancelled() => Err("nobody waits for them any more".into()),
            Access::Lean => place.chain(cancellation).credentials(),
            Access::Own(own) => own.credentials().map_err(|why| Words(why).to_string()),
            #[cfg(feature = "s3-sdk")]
            Access::Sdk(sdk) => sdk.credentials(),
        };
        let credentials =
            fetched.map_err(|why| Unavailable::Credentials { location: self.location(), why })?;
        learned.credentials = Some(Held { credentials: credentials.clone(), since: Instant::now() });
        let time = learned.skew.of(SystemTime::now()); // asking for them may have taken a while
        Ok(Asked { credentials, region, time })
    }

    fn ask(
        &self,
        place: &Place,
        session: &Session,
        asked: &Asked,
        object: &Object,
        known: Option<&Etag>,
    ) -> Result<Response<Body>, Unavailable> {
        let failed = |why: String, retryable| Unavailable::Unreachable {
            location: self.location(),
            object: object.clone(),
            why: Words(why).to_string(),
            retryable,
        };
        let address = place.address.clone().with_region(&asked.region);
        let url = address.map_err(|error| failed(error.to_string(), false))?.url_of(object);
        let scope = Scope { service: "s3", region: &asked.region, time: asked.time };
        let signed = sign("GET", &url, &[], b"", &asked.credentials, &scope)
            .map_err(|why| Unavailable::Credentials { location: self.location(), why })?;
        let mut request = Request::get(url);
        for (name, value) in headers_for(object, known) {
            request = request.header(name, value);
        }
        for (name, value) in signed {
            request = request.header(name, value);
        }
        let request = request.body(()).map_err(|_| Unavailable::Credentials {
            location: self.location(),
            why: "these credentials make no request: they hold what no header can".into(),
        })?;
        session.send(request).map_err(|error| failed(error.why, error.transient))
    }

    /// Learns from an answer what would make another one of the next request; `false` where there is nothing, or it did not help before.
    fn learn(&self, answer: &Answer, asked: &Asked, done: &mut Done) -> bool {
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(region), 301 | 307 | 400, false) = (&answer.region, answer.status, done.region) {
            if *region != asked.region {
                learned.region = Some(region.clone());
                done.region = true;
                return true;
            }
        }
        if let (Some(time), 403, false) = (answer.time.filter(can_be_signed), answer.status, done.clock) {
            if Skew::between(asked.time, time).size() > limits::CLOCK_SKEW {
                learned.skew = Skew::between(SystemTime::now(), time);
                done.clock = true;
                return true;
            }
        }
        let has_expired = answer.is("ExpiredToken") || answer.is("TokenRefreshRequired");
        if has_expired && !done.credentials {
            learned.credentials = None;
            done.credentials = true;
            return true;
        }
        false
    }
}

/// What was learned for this object already: each thing once.
#[derive(Default)]
struct Done {
    region: bool,
    clock: bool,
    credentials: bool,
}

impl Skew {
    fn between(ours: SystemTime, theirs: SystemTime) -> Self {
        let ahead = theirs.duration_since(ours).unwrap_or_default();
        let behind = ours.duration_since(theirs).unwrap_or_default();
        Skew { ahead, behind }
    }

    fn size(self) -> Duration {
        self.ahead.max(self.behind)
    }

    fn of(self, ours: SystemTime) -> SystemTime {
        ours.checked_add(self.ahead).and_then(|time| time.checked_sub(self.behind)).unwrap_or(ours)
    }
}

impl Held {
    /// What had nearly expired when it came is not asked for again with each object. `held` is for how long it has been here.
    fn is_fresh(&self, now: SystemTime, held: Duration) -> bool {
        let margin = limits::CREDENTIALS_EXPIRE;
        let lasts = |at: SystemTime| at.duration_since(now).is_ok_and(|left| left > margin);
        self.credentials.expiry().is_none_or(lasts) || held < margin
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
        let place = self.place().map_err(|why| Unavailable::Unreachable {
            location: self.location(),
            object: object.clone(),
            why,
            retryable: false,
        })?;
        let session = place.client.during(cancellation);
        let mut done = Done::default();
        loop {
            let asked = self.prepare(place, cancellation)?;
            let response = self.ask(place, &session, &asked, object, known)?;
            let status = response.status().as_u16();
            if status == 200 || (status == 304 && known.is_some()) {
                return opened(response, session, self.location(), object, known.is_some());
            }
            let answer = Answer::read(response);
            if !self.learn(&answer, &asked, &mut done) {
                return Err(answer.told(self.location(), object, asked.credentials.origin()));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_asked_for_again_before_they_end() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let second = Duration::from_secs(1);
        let held = |left: Option<u64>| Held {
            credentials: match left {
                Some(left) => Credentials::new("A", "S", None).expiring(now + second * left as u32),
                None => Credentials::new("A", "S", None),
            },
            since: Instant::now(),
        };
        let long_ago = second * 3600;
        for (left, for_long, expected) in [
            (None, long_ago, true),
            (Some(61), long_ago, true),
            (Some(60), long_ago, false),
            (Some(0), long_ago, false),
            (Some(30), second * 59, true),
            (Some(30), second * 60, false),
        ] {
            assert_eq!(held(left).is_fresh(now, for_long), expected, "{left:?} {for_long:?}");
        }
        assert!(!held(Some(30)).is_fresh(now + second * 31, second * 61));
    }
}
