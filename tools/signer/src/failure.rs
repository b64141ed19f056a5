//! Why something was not signed or not published, and what to do next.

use std::path::Path;
use std::time::Duration;

use relatch::source::Object;
use relatch::{Error, Local, Printable, Refusal, Unavailable};

use crate::custody::SECRET_BEGINS;

/// What every fallible function of this tool returns.
pub type Result<T> = std::result::Result<T, Failure>;

/// Nothing was published that a client would refuse.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// What the client's own code says.
    #[error(transparent)]
    Client(#[from] Error),
    /// A secret key that cannot be used.
    #[error("the secret key {name} {why}")]
    Key {
        /// Where it came from; never what it is.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// A key in AWS KMS that did not sign.
    #[cfg(feature = "kms")]
    #[error("the key {name} in AWS KMS {cause}")]
    Kms {
        /// What it is called.
        name: crate::kms::KmsName,
        /// Why not.
        cause: crate::kms::Cause,
    },
    /// What was asked for would be refused by every client, or makes no sense.
    #[error("{what}")]
    Refused {
        /// What, with both values.
        what: String,
        /// What to do instead.
        advice: &'static str,
    },
    /// Somebody else published between reading and writing.
    #[error("{object} was changed by somebody else since it was read")]
    LostRace {
        /// The object that was raced for.
        object: Object,
    },
    /// A server did not do what was asked.
    #[error("{what}")]
    Storage {
        /// What was asked, and the server's words.
        what: String,
        /// The likely cause, and what to do.
        advice: String,
    },
    /// Another publisher holds the lock object of a server without conditional writes.
    #[error("{key} was locked by {by} {} s ago, and still after waiting {} s", age.as_secs(), waited.as_secs())]
    Locked {
        /// The lock object.
        key: String,
        /// What it says of its holder.
        by: String,
        /// How old it is by the server's clock.
        age: Duration,
        /// How long this publisher waited.
        waited: Duration,
    },
    /// A part of the work is done, and the rest is not.
    #[error("{done}: {why}")]
    Unfinished {
        /// What is done.
        done: String,
        /// Why the rest is not.
        why: Box<Failure>,
        /// What to do.
        next: String,
    },
    /// An immutable object is there with other content.
    #[error("{object} is already there with other content")]
    Occupied {
        /// The object.
        object: Object,
    },
}

impl Failure {
    /// A refusal of this tool's own.
    pub fn refused(what: impl Into<String>, advice: &'static str) -> Self {
        Failure::Refused { what: what.into(), advice }
    }

    /// Usage that clap cannot see.
    pub fn usage(what: impl Into<String>) -> Self {
        Failure::Client(Error::Usage { what: what.into() })
    }

    /// An I/O error; `action` completes "cannot ...".
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
        let path = path.to_path_buf();
        move |error| Failure::Client(Error::Local(Local::Io { action, path, error }))
    }

    /// What to do next.
    pub fn advice(&self) -> &str {
        match self {
            Failure::Client(Error::Refused(refusal)) => publisher_advice(refusal),
            Failure::Client(Error::Unavailable(why)) => match why {
                Unavailable::Credentials { .. } => {
                    "Give this process AWS credentials: a role by OIDC in CI, AWS_PROFILE (after `aws sso login`), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. If it has some: are they of this server and this day, and is this machine's clock right?"
                }
                Unavailable::Unreachable { .. } => {
                    "The network is down, a proxy is in the way, --endpoint is wrong, the server's CA is one of your own (name it with SSL_CERT_FILE), or a directory is missing. What is published is whole; a rerun finishes."
                }
                _ => Error::Unavailable(why.clone()).advice(),
            },
            Failure::Client(error) => error.advice(),
            Failure::Key { .. } => {
                "Name a minisign secret key file, `env:VARIABLE`, `-` for standard input, or `awskms:KEY`; give its password if it has one."
            }
            #[cfg(feature = "kms")]
            Failure::Kms { cause, .. } => cause.advice(),
            Failure::Refused { advice, .. } => advice,
            Failure::LostRace { .. } => {
                "Nothing is torn: clients see the other release. Look at it with `signer show`, then prepare the release again."
            }
            Failure::Storage { advice, .. } => advice,
            Failure::Unfinished { next, .. } => next,
            Failure::Locked { .. } => {
                "Wait for the other publisher to finish. If there is none, something keeps this object fresh: look at it, remove it, and try again."
            }
            Failure::Occupied { .. } => {
                "Somebody put it there, or changed it. Run `signer verify`; remove the object if it does not verify."
            }
        }
    }

    /// The exit code, as relatch's tools have them.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Client(error) => error.exit_code(),
            Failure::Key { .. } => 2,
            #[cfg(feature = "kms")]
            Failure::Kms { cause, .. } => cause.exit_code(),
            Failure::Refused { .. } | Failure::Occupied { .. } => 3,
            Failure::Unfinished { why, .. } => why.exit_code(),
            Failure::LostRace { .. } | Failure::Storage { .. } | Failure::Locked { .. } => 4,
        }
    }
}

/// What a client's refusal means to the one who publishes.
fn publisher_advice(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Threshold { .. } => {
            "Let more key holders sign: `signer sign`, or `signer root sign` for a root. If they have, --root is another repository's root, or somebody changed the repository."
        }
        Refusal::SelfThreshold { .. } => {
            "The holders of the root keys that the new root names must sign it, too: `signer root sign`."
        }
        Refusal::Expired { .. } => {
            "VERSION is renewed by `signer refresh`, a manifest by publishing a release again, a root by `signer root renew`."
        }
        Refusal::Equivocation { .. } | Refusal::Downgrade { .. } | Refusal::OlderIssue { .. } => {
            "Somebody published meanwhile, or --seq is too low. Look with `signer show`, then prepare the release again."
        }
        Refusal::NotYetValid { .. } => {
            "This machine's clock is behind the one that it was made on. Set it and try again."
        }
        Refusal::WrongProduct { .. } | Refusal::WrongChannel { .. } => {
            "Is --root the root of this repository?"
        }
        Refusal::Malformed { .. }
        | Refusal::WeakKey { .. }
        | Refusal::UnknownType { .. }
        | Refusal::OtherDocument { .. } => {
            "Check the arguments and the file that is named; every client would refuse this document. A published VERSION that was destroyed is replaced by a release with --seq."
        }
        _ => {
            "Somebody changed the repository or the folder since it was made. `signer verify` says what else; publish again what is wrong."
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure::Client(refusal.into())
    }
}

/// [`Printable`], but for the ends of its lines: a text that cannot drive a terminal. What looks like a secret key that somebody gave in
/// the wrong place is left out.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if SECRET_BEGINS.iter().any(|begin| rest.starts_with(begin)) {
            safe.push_str("(a secret key)");
            let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
            rest = rest.trim_start_matches(is_base64);
            continue;
        }
        match c {
            '\n' => safe.push(c),
            c => safe.push_str(&Printable(c).to_string()),
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    safe
}
