//! Whom the requests are signed as.
//!
//! The lean chain here is some 800 lines and not a crate. `reqsign-aws-core` 3.2, the well-kept one, was weighed: it takes 20 crates more,
//! does not follow `source_profile`, splits `credential_process` at every blank, sends the container's token to any host, answers
//! "nothing" where a file cannot be read (so that no error could name what was looked at), and wipes nothing. Signing is AWS's own
//! `aws-sigv4`, XML is read by `roxmltree`, JSON by `serde_json`.

mod chain;
mod container;
mod document;
mod files;
mod instance;
mod process;
mod profile;
#[cfg(feature = "s3-sdk")]
mod sdk;
mod sts;

use std::fmt;
use std::time::SystemTime;

pub(super) use chain::Chain;
pub(super) use files::SharedFiles;
pub(super) use profile::name as profile_name;
#[cfg(feature = "s3-sdk")]
pub(super) use sdk::Sdk;
pub(super) use sts::TokenService;

/// How many of the parsers took it for credentials or a profile. Nearly every text is a command.
#[cfg(fuzzing)]
pub(super) fn fuzzing(content: &[u8]) -> usize {
    let text = str::from_utf8(content).unwrap_or_default();
    let document = document::read(content, "a fuzzer").is_some();
    let answer = sts::credentials_in(text, "a fuzzer").is_some();
    for escapes in [true, false] {
        drop(process::words(text, escapes));
    }
    usize::from(document) + usize::from(answer) + SharedFiles::of(text, text).len()
}

/// Where credentials come from: implement it for a source of your own.
pub trait ProvideCredentials: Send + Sync + 'static {
    /// Credentials that are valid now. It is asked again when these expire, or when S3 says that they have.
    ///
    /// It may take as long as a check may: whoever waits stops waiting at the deadline.
    ///
    /// # Errors
    /// Why there are none, for a person, without secrets.
    fn credentials(&self) -> Result<Credentials, String>;
}

/// An access key. `Debug` does not show it, and it is wiped from memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    key: aws_credential_types::Credentials,
    /// For people.
    origin: &'static str,
}

impl Credentials {
    /// A key pair; temporary ones have a session token.
    pub fn new(access_key_id: &str, secret_access_key: &str, session_token: Option<&str>) -> Self {
        Credentials::of(access_key_id, secret_access_key, session_token, None, "this program")
    }

    /// The same, valid until then.
    pub fn expiring(mut self, at: SystemTime) -> Self {
        *self.key.expiry_mut() = Some(at);
        self
    }

    fn of(
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

    /// As the signer takes them.
    pub(super) fn for_signing(&self) -> &aws_credential_types::Credentials {
        &self.key
    }

    pub(super) fn expiry(&self) -> Option<SystemTime> {
        self.key.expiry()
    }

    /// Where they come from.
    pub(super) fn origin(&self) -> &'static str {
        self.origin
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// Why a source gave none.
enum Missing {
    /// It is not there, or not set up: the next one may be.
    Here(String),
    /// It was meant, and failed.
    Failed(String),
}

type Sought = Result<Credentials, Missing>;

impl Missing {
    /// Of a source that somebody named: that it is not there is a failure.
    fn failed(self) -> Missing {
        let (Missing::Here(why) | Missing::Failed(why)) = self;
        Missing::Failed(why)
    }
}

/// A variable of the environment, if it is set to anything.
pub(super) fn var(name: &str) -> Option<String> {
    let value = std::env::var(name).ok()?;
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}
