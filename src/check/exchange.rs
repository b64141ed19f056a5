//! What a check asks for, what it is given, and how it ends.

use super::decide::{Candidate, Decision};
use super::memory::{CacheValidator, Memory};
use crate::limits::ByteLimit;
use crate::object::Object;
use crate::source::{Etag, Unavailable};
use crate::trust::{Digest, Fetched, Leniency, Manifest, Refusal, Timestamp, Verified};

/// What the machine waits for.
#[derive(Debug)]
#[must_use]
pub enum Want {
    /// This object.
    Object(Wanted),
    /// Nothing: [`Check::into_verdict`] has the result.
    Done,
}

/// An object to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub object: Object,
    /// The most bytes that it may have.
    pub limit: ByteLimit,
    /// It need not be read where it still has this entity tag.
    pub if_none_match: Option<Etag>,
}

/// What was found. Nothing of it is trusted.
pub enum Answer {
    /// The object, with its entity tag where the source has one.
    Found(Fetched, Option<Etag>),
    /// It still has the entity tag of [`Wanted::if_none_match`].
    NotModified,
    /// It does not exist, as far as this reader is told.
    Absent(Unavailable),
    /// It cannot be read.
    Unreachable(Unavailable),
    /// It is larger than [`Wanted::limit`].
    Oversized,
}

impl From<Unavailable> for Answer {
    fn from(why: Unavailable) -> Self {
        if why.may_be_absent() { Answer::Absent(why) } else { Answer::Unreachable(why) }
    }
}

/// A root that was verified, to be persisted before anything else is read.
#[derive(Debug)]
#[must_use]
pub struct NewRoot {
    /// The canonical document.
    pub document: Vec<u8>,
    /// Its signatures.
    pub signatures: Vec<u8>,
}

/// What a check is for.
#[derive(Debug)]
pub enum Purpose {
    /// A client decides what to install.
    Client(Candidate),
    /// A publisher reads what it published, and decides nothing.
    Publisher(Option<Leniency>),
}

/// A release that was verified.
pub struct Release {
    /// `VERSION`.
    pub timestamp: Verified<Timestamp>,
    /// Its manifest; `None` where it was accepted before and the release is installed.
    pub manifest: Option<Verified<Manifest>>,
    /// The signatures of the manifest, as they were read; empty without a manifest.
    pub signatures: Vec<u8>,
    pub(super) etag: Option<Etag>,
}

/// How a check ended.
#[must_use]
pub struct Verdict {
    /// What to remember from now on.
    pub memory: Memory,
    /// What to do (step 8), or why the accepted release must not be installed.
    pub decision: Result<Decision, Refusal>,
    /// The release; `None` where `VERSION` was not modified since it was accepted.
    pub release: Option<Release>,
}

impl Release {
    /// How to ask whether it is still the current one, for as long as all of it is valid.
    pub(super) fn validator(&self, location: Digest) -> Option<CacheValidator> {
        let of_manifest = self.manifest.as_ref().map_or(u64::MAX, |manifest| manifest.expires);
        let until = self.timestamp.expires.min(of_manifest);
        self.etag.clone().map(|etag| CacheValidator { location, etag, until })
    }
}
