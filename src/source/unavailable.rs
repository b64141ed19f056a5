//! Why an object could not be read.

use std::fmt;
use std::time::Duration;

use crate::clock::Seconds;
use crate::escape::Printable;
use crate::object::Object;

/// Why an object could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the message of each variant names its fields")]
pub enum Unavailable {
    #[error("{} has no {object}", Printable(location))]
    Absent { location: String, object: Object },
    #[error("{} refuses access to {object}{}", Printable(location), InBrackets(code))]
    Forbidden { location: String, object: Object, code: Option<String> },
    #[error("{} wants credentials: {why}", Printable(location))]
    Credentials { location: String, why: String },
    #[error("{} answered {status} for {object}{}", Printable(location), InBrackets(code))]
    Status { location: String, object: Object, status: u16, code: Option<String> },
    #[error("{} cannot be read: {why} (asked for {object})", Printable(location))]
    Unreachable { location: String, object: Object, why: String, retryable: bool },
    #[error("{} did not deliver {object} within {}", Printable(location), Seconds(*limit))]
    TooSlow { location: String, object: Object, limit: Duration },
}

impl Unavailable {
    /// Whether the object may not exist. S3 answers 403 to a reader without the right to list, for an
    /// object that does not exist as for one that this reader may not read.
    pub fn may_be_absent(&self) -> bool {
        matches!(self, Unavailable::Absent { .. } | Unavailable::Forbidden { .. })
    }

    /// Whether asking again soon may help: lost connections and overloaded servers, not what is absent or forbidden.
    pub fn is_transient(&self) -> bool {
        match self {
            Unavailable::Status { status, .. } => *status == 429 || *status >= 500,
            Unavailable::Unreachable { retryable, .. } => *retryable,
            _ => false,
        }
    }
}

/// What a server calls its refusal, where it calls it anything.
struct InBrackets<'a>(&'a Option<String>);

impl fmt::Display for InBrackets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |text| write!(f, " ({text})"))
    }
}
