//! Why an object could not be read.

use std::fmt;
use std::time::Duration;

use crate::clock::Seconds;
use crate::escape::{Printable, Words};
use crate::object::Object;

/// Why an object could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the message of each variant names its fields")]
pub enum Unavailable {
    /// The repository does not have the object (404 or 410 over HTTP).
    #[error("{} has no {object}", Printable(location))]
    Absent { location: String, object: Object },
    /// The server denies access (403). S3 also answers 403 for a missing object if the client may
    /// not list the bucket.
    #[error("{} refuses access to {object}{}", Printable(location), InBrackets(code))]
    Forbidden { location: String, object: Object, code: Option<String> },
    /// No credentials were found, or the server rejects them.
    #[error("{} requires credentials: {why}", Printable(location))]
    Credentials { location: String, why: String },
    /// Any other HTTP status.
    #[error("{} answered {status} for {object}{}", Printable(location), InBrackets(code))]
    Status { location: String, object: Object, status: u16, code: Option<String> },
    /// No usable response: network, TLS, a malformed response, or an I/O error of a directory.
    #[error("cannot read {object} from {}: {why}", Printable(location))]
    Unreachable { location: String, object: Object, why: String, retryable: bool },
    /// The deadline has passed, or the data rate fell below [`crate::limits::MINIMUM_RATE`].
    #[error("{} did not deliver {object} within {}", Printable(location), Seconds(*limit))]
    TooSlow { location: String, object: Object, limit: Duration },
}

impl Unavailable {
    /// Whether the object may not exist. S3 answers 403 to a reader without the right to list, for an
    /// object that does not exist as for one that this reader may not read.
    pub fn may_be_absent(&self) -> bool {
        matches!(self, Unavailable::Absent { .. } | Unavailable::Forbidden { .. })
    }

    /// Whether another request soon may succeed: lost connections and overloaded servers, but not
    /// objects that are absent or forbidden.
    pub fn is_transient(&self) -> bool {
        match self {
            Unavailable::Status { status, .. } => *status == 429 || *status >= 500,
            Unavailable::Unreachable { retryable, .. } => *retryable,
            _ => false,
        }
    }

    /// A failure that may not occur again, such as a lost connection.
    pub(super) fn transient(location: String, object: &Object, why: impl fmt::Display) -> Self {
        let why = Words(why).to_string();
        Unavailable::Unreachable { location, object: object.clone(), why, retryable: true }
    }

    /// A failure that another request would not change.
    pub(super) fn permanent(location: String, object: &Object, why: impl fmt::Display) -> Self {
        let why = Words(why).to_string();
        Unavailable::Unreachable { location, object: object.clone(), why, retryable: false }
    }
}

/// The server's name for the error, if it has one.
struct InBrackets<'a>(&'a Option<String>);

impl fmt::Display for InBrackets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |text| write!(f, " ({text})"))
    }
}
