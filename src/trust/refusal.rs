//! What is refused as not trustworthy, by which check, and what the reader of the error can do.

use super::{Digest, DocumentKind, Epoch, Name, Seq, Version};
use crate::clock::Utc;
use crate::object::Object;

/// What was refused as not trustworthy, and by which step of SPEC section 5.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the message of each variant names its fields")]
pub enum Refusal {
    #[error("{object} is larger than {limit} bytes, the most such an object may have")]
    Oversized { object: Object, limit: u64 },
    #[error("the signatures of {document} are not of the strict minisign form: line {line}: {why}")]
    SignatureForm { document: DocumentKind, line: usize, why: &'static str },
    #[error("{document} is signed by {valid} of the {needed} {document_role} keys that it needs", document_role = document.role())]
    Threshold { document: DocumentKind, needed: u32, valid: u32 },
    #[error("{document} is signed by {valid} of the {needed} root keys of its own list that it needs")]
    SelfThreshold { document: DocumentKind, needed: u32, valid: u32 },
    #[error("{document} is not a canonical document: {why}")]
    Malformed { document: DocumentKind, why: String },
    #[error("{document} has the type {found}, which this program is too old to read")]
    UnknownType { document: DocumentKind, found: String },
    #[error("{document} is a document of another kind, {found}")]
    OtherDocument { document: DocumentKind, found: String },
    #[error("{document} holds the key {public}, which is {why}")]
    WeakKey { document: DocumentKind, public: String, why: &'static str },
    #[error("{document} is for the product {found}, not for {expected}")]
    WrongProduct { document: DocumentKind, expected: Name, found: Name },
    #[error("{document} is for the channel {found}, not for {expected}")]
    WrongChannel { document: DocumentKind, expected: Name, found: Name },
    #[error("{document} has the epoch {found}, but the trusted root has {expected}")]
    WrongEpoch { document: DocumentKind, expected: Epoch, found: Epoch },
    #[error("{document} has the sequence number {found}, but VERSION names {expected}")]
    WrongSeq { document: DocumentKind, expected: Seq, found: Seq },
    #[error("{document} is of version {found}, but VERSION names {expected}")]
    WrongVersion { document: DocumentKind, expected: Version, found: Version },
    #[error("{document} has the blake3 hash {found}, but VERSION names {expected}")]
    WrongDigest { document: DocumentKind, expected: Digest, found: Digest },
    #[error("VERSION says {line} in its first line and {object} in its signed object")]
    VersionLineMismatch { line: String, object: Version },
    #[error("{document} needs root {needed}, but the newest root that can be trusted is {trusted}")]
    RootAhead { document: DocumentKind, needed: u64, trusted: u64 },
    #[error("root {expected} was asked for and the document says it is root {found}")]
    RootNumber { expected: u64, found: u64 },
    #[error("root {version} lowers the epoch from {trusted} to {found}")]
    EpochLowered { version: u64, trusted: Epoch, found: Epoch },
    #[error("there are more than {limit} new roots after root {trusted}")]
    TooManyRoots { limit: usize, trusted: u64 },
    #[error(
        "VERSION has epoch {found_epoch} and sequence number {found_seq}, but epoch {epoch} and number {seq} were seen before"
    )]
    Downgrade { epoch: Epoch, seq: Seq, found_epoch: Epoch, found_seq: Seq },
    #[error("VERSION of release {seq} was issued at {found}, but one issued at {seen} was seen before", found = Utc(*found), seen = Utc(*seen))]
    OlderIssue { seq: Seq, seen: u64, found: u64 },
    #[error("two different manifests are signed as release {seq}: {seen} was seen before, now it is {found}")]
    Equivocation { seq: Seq, seen: Digest, found: Digest },
    #[error("{document} expired at {expires}; checked at {now}", expires = Utc(*expires), now = Utc(*now))]
    Expired { document: DocumentKind, expires: u64, now: u64 },
    #[error("{document} was issued at {issued}, but this machine's clock says {clock}", issued = Utc(*issued), clock = Utc(*clock))]
    NotYetValid { document: DocumentKind, issued: u64, clock: u64 },
    #[error(
        "the offered version {found} and {known} do not compare: one is a build number, the other is SemVer"
    )]
    VersionSchemeChanged { known: Version, found: Version },
    #[error("version {found} is below {floor}, the lowest that the publisher lets run")]
    BelowFloor { floor: Version, found: Version },
    #[error("{object} has {found} bytes or fewer, but {expected} are signed")]
    Short { object: Object, expected: u64, found: u64 },
    #[error("{object} goes on after the {expected} bytes that are signed")]
    Long { object: Object, expected: u64 },
    #[error("{object} has the blake3 hash {found}, but {expected} is signed")]
    BlobDigest { object: Object, expected: Digest, found: Digest },
    #[error("{object} has the signed hash, but cannot be decoded to the signed executable: {why}")]
    Undecodable { object: Object, why: String },
    #[error("no stored form of this executable can be used by this program: {offered}")]
    NoUsableForm { offered: String },
    #[error("the previous executable has the blake3 hash {found}, but {expected} was recorded")]
    PreviousAltered { expected: Digest, found: Digest },
    #[error("the previous executable is of epoch {previous}, but the trusted epoch is {trusted}")]
    PreviousEpoch { previous: Epoch, trusted: Epoch },
    #[error("the running version {running} may not run: {why}")]
    Outdated { running: Version, why: String },
    #[error("the recorded state is damaged: {why}")]
    StateDamaged { why: String },
    #[error("the recorded state has the type {found}, written by a newer version of relatch")]
    StateTooNew { found: String },
    #[error("the recorded state is for {found}, but this is {expected}")]
    StateOfOther { expected: String, found: String },
}

impl Refusal {
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Refusal::Threshold { .. } => {
                "Either somebody changed the repository, or this installation is so old that the keys were changed since by more steps than it can follow. \
                 Ask the publisher; if the keys are the right ones, install again."
            }
            Refusal::SelfThreshold { .. } => {
                "The root keys that were trusted before have signed it, and too few of those that it names itself: most likely the publisher's mistake. Tell the publisher."
            }
            Refusal::UnknownType { .. } | Refusal::StateTooNew { .. } => {
                "A newer relatch wrote it. Install a newer version of this tool by hand."
            }
            Refusal::OtherDocument { .. }
            | Refusal::WrongProduct { .. }
            | Refusal::WrongChannel { .. }
            | Refusal::StateOfOther { .. } => {
                "The address points to another product's or channel's repository, or somebody put signed documents where they do not belong."
            }
            Refusal::Downgrade { .. } | Refusal::OlderIssue { .. } => {
                "A stale cache between here and the repository answers with an old object, or somebody replays one. It passes by itself when the cache expires; if it stays, tell the publisher."
            }
            Refusal::Equivocation { .. } => {
                "This must never happen: a timestamp key signed two different releases under one number. Tell the publisher at once; the key may be stolen."
            }
            Refusal::Expired { .. } => {
                "Nobody renewed it: the publisher has neither refreshed nor released in time, somebody withholds news, or this machine's clock is ahead."
            }
            Refusal::NotYetValid { .. } => {
                "This machine's clock is behind, or the publisher's was ahead. Set the clock and try again."
            }
            Refusal::VersionSchemeChanged { .. } => {
                "The publisher changed from build numbers to SemVer or back; such a change needs a new product or channel. Ask the publisher."
            }
            Refusal::RootAhead { .. } | Refusal::TooManyRoots { .. } => {
                "The repository has newer roots than this check could reach. Try again; if it stays, the publisher must publish the missing root documents."
            }
            Refusal::PreviousAltered { .. } => {
                "The previous executable was changed after it was set aside: by a disk fault or by somebody with access to this directory. Install again instead."
            }
            Refusal::BelowFloor { .. } => {
                "The publisher has signed that versions this old must not run any more. Update instead, or install again."
            }
            Refusal::PreviousEpoch { .. } => {
                "The publisher's keys were changed after a theft, and nobody knows whether this executable is from before it. Update instead; or if it is the version that you left by a rollback, install it again by hand."
            }
            Refusal::Outdated { .. } => {
                "This tool runs in its current version only. Bring the machine online and run it with --update to see what is in the way; a target or version that is missing is for the publisher to release."
            }
            Refusal::StateDamaged { .. } => {
                "A disk fault, or somebody wrote to the file. A successful check writes it anew; --rollback needs it and is not possible until the next update."
            }
            Refusal::NoUsableForm { .. } => {
                "This tool is too old for that release. Install a newer version by hand."
            }
            _ => {
                "Somebody changed the object on its way, or the publisher made a mistake. Nothing of it was used; tell the publisher, who can run `signer verify`."
            }
        }
    }
}
