//! The inputs and outputs of a check: the objects that it requires, the answers, and the result.

use super::decide::{Candidate, Decision};
use super::memory::Memory;
use crate::limits::ByteLimit;
use crate::object::Object;
use crate::source::{Etag, Unavailable};
use crate::trust::{Fetched, Leniency, Manifest, Refusal, Timestamp, Verified};

/// What the check requires next.
#[derive(Debug)]
#[must_use]
pub enum Want {
    /// This object.
    Object(Wanted),
    /// Nothing: [`super::Check::into_verdict`] returns the result.
    Done,
}

/// An object to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub object: Object,
    /// The largest size that is accepted.
    pub limit: ByteLimit,
    /// If the object still has this entity tag, it need not be read.
    pub if_none_match: Option<Etag>,
}

/// The answer to a [`Wanted`] object. It is not trusted.
pub enum Answer {
    /// The object, with its entity tag if the source has entity tags.
    Found(Fetched, Option<Etag>),
    /// The object still has the entity tag of [`Wanted::if_none_match`].
    NotModified,
    /// The object does not exist, or the source does not reveal whether it does.
    Absent(Unavailable),
    /// The object cannot be read.
    Unreachable(Unavailable),
    /// It is larger than [`Wanted::limit`].
    Oversized,
}

impl From<Unavailable> for Answer {
    fn from(why: Unavailable) -> Self {
        if why.may_be_absent() { Answer::Absent(why) } else { Answer::Unreachable(why) }
    }
}

/// A verified root, which must be persisted before another object is read.
#[derive(Debug)]
#[must_use]
pub struct NewRoot {
    /// The canonical document.
    pub document: Vec<u8>,
    /// Its signatures.
    pub signatures: Vec<u8>,
}

/// The purpose of a check.
#[derive(Debug)]
pub enum Purpose {
    /// A client's check, which decides what to install.
    Client(Candidate),
    /// A publisher's check of its own repository. It makes no decision.
    Publisher(Option<Leniency>),
}

/// A verified release.
pub struct Release {
    /// `VERSION`.
    pub timestamp: Verified<Timestamp>,
    /// The manifest; `None` if it was accepted before and the release is installed.
    pub manifest: Option<Verified<Manifest>>,
    /// The signatures of the manifest, as they were read; empty if there is no manifest.
    pub signatures: Vec<u8>,
    pub(super) etag: Option<Etag>,
}

/// The result of a check.
#[must_use]
pub struct Verdict {
    /// What to remember from now on.
    pub memory: Memory,
    /// The decision (step 8), or the reason why the accepted release must not be installed.
    pub decision: Result<Decision, Refusal>,
    /// The release; `None` if `VERSION` was not modified since it was accepted.
    pub release: Option<Release>,
}
