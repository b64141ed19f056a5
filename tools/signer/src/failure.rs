//! Why signing or publishing failed, and what to do next.
//!
//! The text of a failure contains the text of its cause. `source()` therefore returns no cause.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use relatch::source::Object;
use relatch::trust::Name;
use relatch::{Error, Local, Refusal, Unavailable};

/// The result of every fallible function of this tool.
pub type Result<T> = std::result::Result<T, Failure>;

/// A failure. Nothing that a client would refuse was published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// An error of the client's own code.
    #[error(transparent)]
    Client(#[from] Error),
    /// A secret key cannot be used.
    #[error("the secret key {name} {why}")]
    Key {
        /// Where it was read from; never its content.
        name: String,
        /// The reason; completes the sentence.
        why: String,
    },
    /// A key in AWS KMS did not sign.
    #[cfg(feature = "kms")]
    #[error("the key {name} in AWS KMS {cause}")]
    Kms {
        /// Its name in KMS.
        name: crate::kms::name::KmsName,
        /// The reason; completes the sentence.
        cause: crate::kms::error::KmsError,
    },
    /// Every client would refuse the result, or the request is contradictory.
    #[error("{what}")]
    Refused {
        /// The fact, with both values.
        what: String,
        /// What to do instead.
        advice: Cow<'static, str>,
    },
    /// A channel without a release.
    #[error("nothing is published on {channel}")]
    NothingPublished {
        /// The channel.
        channel: relatch::trust::Name,
    },
    /// Another publisher wrote between this publisher's read and its write.
    #[error("{object} was changed by another publisher after it was read")]
    LostRace {
        /// The object that both wanted to write.
        object: Object,
    },
    /// The release of one channel was refused. A product may have several.
    #[error("channel {channel}: {why}")]
    OnChannel {
        /// The channel.
        channel: Name,
        /// The refusal.
        why: Box<Failure>,
    },
    /// A server did not do what was requested.
    #[error("{what}")]
    Storage {
        /// The request, and the server's answer.
        what: String,
        /// The likely cause, and what to do.
        advice: String,
    },
    /// Another publisher holds the lock object of a server without conditional writes.
    #[error(
        "{key} was locked by {by} {} s ago, and is still locked after {} s of waiting",
        age.as_secs(),
        waited.as_secs()
    )]
    Locked {
        /// The lock object.
        key: String,
        /// The holder that it names.
        by: String,
        /// Its age by the server's clock.
        age: Duration,
        /// How long this publisher waited.
        waited: Duration,
    },
    /// One part of the work is done, another one failed.
    #[error("{done}: {why}")]
    Unfinished {
        /// The part that is done.
        done: String,
        /// Why the rest is not done. Part of the message, and thus not the `source()`.
        why: Box<Failure>,
        /// What to do.
        next: String,
    },
    /// An immutable object exists with different content.
    #[error("{object} already exists with different content")]
    Occupied {
        /// The object.
        object: Object,
    },
}

impl Failure {
    /// A refusal by this tool's own rules.
    pub fn refused(what: impl Into<String>, advice: impl Into<Cow<'static, str>>) -> Self {
        Failure::Refused { what: what.into(), advice: advice.into() }
    }

    /// A usage error that the argument parser cannot detect.
    pub fn usage(what: impl Into<String>) -> Self {
        Failure::Client(Error::Usage { what: what.into() })
    }

    /// An I/O error; `action` completes "cannot ...".
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Failure {
        let path = path.to_path_buf();
        move |error| Failure::Client(Error::Local(Local::Io { action, path, error }))
    }

    /// A refusal with the channel that it concerns. Other failures are unchanged.
    #[must_use]
    pub fn on(self, channel: &Name) -> Self {
        match self {
            Failure::Refused { .. } | Failure::Client(Error::Refused(_)) => {
                Failure::OnChannel { channel: channel.clone(), why: self.into() }
            }
            other => other,
        }
    }

    /// What to do next.
    pub fn advice(&self) -> Cow<'_, str> {
        let advice = match self {
            Failure::Client(Error::Refused(refusal)) => publisher_advice(refusal),
            Failure::Client(Error::Unavailable(why)) => match why {
                Unavailable::Credentials { .. } => {
                    "Give this process AWS credentials: a role by OIDC in CI, AWS_PROFILE (after \
                     `aws sso login`), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. If it has \
                     credentials, check that they belong to this server and have not expired, and \
                     that the system clock is correct."
                }
                Unavailable::Unreachable { .. } => {
                    "Check the network, the proxy and --endpoint; for a directory, check that it \
                     exists. If the server's CA is internal, name it with SSL_CERT_FILE. Published \
                     releases are intact; run the same command again to finish."
                }
                _ => return Error::Unavailable(why.clone()).advice(),
            },
            Failure::Client(Error::Local(Local::Io { error, .. }))
                if error.kind() == ErrorKind::InvalidInput && error.raw_os_error().is_none() =>
            {
                "Only a secret key may come from a pipe: write the content to a file, and name that. If \
                 you did not name this one, the folder or the repository was changed."
            }
            Failure::Client(error) => return error.advice(),
            Failure::Key { .. } => {
                "Name a minisign secret key file, `env:VARIABLE`, `-` for standard input, or \
                 `awskms:KEY`. If the key has a password, provide it."
            }
            #[cfg(feature = "kms")]
            Failure::Kms { cause, .. } => cause.advice(),
            Failure::Refused { advice, .. } => advice,
            Failure::NothingPublished { .. } => {
                "Publish a release with `signer release`. If one was published before, its VERSION was \
                 removed, or --repo or --channel names another place."
            }
            Failure::LostRace { .. } => {
                "Nothing was overwritten: clients see the other release. Inspect it with `signer \
                 show`, then prepare the release again."
            }
            Failure::Storage { advice, .. } => advice,
            Failure::OnChannel { why, .. } => return why.advice(),
            Failure::Unfinished { next, .. } => next,
            Failure::Locked { .. } => {
                "Wait for the other publisher to finish. If there is none, something keeps \
                 rewriting this object: find out what, remove the object, and try again."
            }
            Failure::Occupied { .. } => {
                "The object was written or changed by another program or person. Run `signer \
                 verify`, and remove the object if it does not verify."
            }
        };
        advice.into()
    }

    /// The exit code, as for all relatch tools.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Client(error) => error.exit_code(),
            Failure::Key { .. } => 2,
            #[cfg(feature = "kms")]
            Failure::Kms { cause, .. } => cause.exit_code(),
            Failure::Refused { .. } | Failure::Occupied { .. } => 3,
            Failure::OnChannel { why, .. } | Failure::Unfinished { why, .. } => why.exit_code(),
            Failure::NothingPublished { .. }
            | Failure::LostRace { .. }
            | Failure::Storage { .. }
            | Failure::Locked { .. } => 4,
        }
    }
}

/// What a client's refusal means for the publisher.
fn publisher_advice(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Threshold { .. } => {
            "More key holders must sign: `signer sign`, or `signer root sign` for a root. If \
             enough have signed, then --root is another repository's root, or the repository was \
             changed."
        }
        Refusal::SelfThreshold { .. } => {
            "The holders of the root keys that the new root names must sign it too: `signer root \
             sign`."
        }
        Refusal::Expired { .. } => {
            "Renew VERSION with `signer refresh` (with --revive, after you compared it with what you \
             published last), a manifest with `signer renew` or a new release, a root with `signer root \
             renew`."
        }
        Refusal::Equivocation { .. } | Refusal::Downgrade { .. } | Refusal::OlderIssue { .. } => {
            "Another release was published in the meantime, or --seq is too low. Inspect the \
             published release with `signer show`, then prepare this one again."
        }
        Refusal::NotYetValid { .. } => {
            "This machine's clock is behind the clock of the machine that issued the document. Set \
             the clock that is wrong, and try again."
        }
        Refusal::WrongProduct { .. } | Refusal::WrongChannel { .. } => {
            "Check that --root is the root of this repository."
        }
        Refusal::WrongEpoch { expected, found, .. } if found < expected => {
            "If the epoch was raised, give --root the root that tools carried before: the VERSION of \
             an older epoch is replaced only if a root of that epoch verifies it. Otherwise the \
             repository was changed: replace VERSION with --seq, or with `signer publish --repair`."
        }
        Refusal::Malformed { .. }
        | Refusal::WeakKey { .. }
        | Refusal::UnknownType { .. }
        | Refusal::OtherDocument { .. } => {
            "Check the arguments and the named file: every client would refuse this document. To \
             replace a damaged published VERSION, publish a release with --seq."
        }
        _ => {
            "The repository or the folder was changed after it was made. Run `signer verify` to \
             find other damage, and publish the damaged parts again."
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure::Client(refusal.into())
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn a_printed_cause_is_not_the_source_too() {
        let cause = Failure::usage("the cause");
        let failure = Failure::Unfinished { done: "a part".into(), why: cause.into(), next: String::new() };
        assert_eq!(failure.to_string(), "a part: the cause");
        assert!(failure.source().is_none());
        let io = Failure::io("read", Path::new("file"))(std::io::Error::other("the disk"));
        assert_eq!(io.to_string(), "cannot read file: the disk");
        assert!(io.source().is_none());
    }
}
