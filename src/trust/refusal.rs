//! The reasons to refuse something as not trustworthy, each with advice to the user.

use super::{Digest, DocumentKind, Epoch, Name, Seq, Version};
use crate::clock::Utc;
use crate::escape::Printable;
use crate::object::Object;

/// The reason why something is not trusted: an attack, or a mistake of the publisher (SPEC
/// section 5).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the message of each variant names its fields")]
pub enum Refusal {
    #[error("{object} is larger than {limit} bytes, the limit for such an object")]
    Oversized { object: Object, limit: u64 },
    #[error("the signatures of {document} are not in the strict minisign form: line {line}: {why}")]
    SignatureForm { document: DocumentKind, line: usize, why: &'static str },
    #[error("{document} is signed by {valid} of the {needed} {document_role} keys that it requires", document_role = document.role())]
    Threshold { document: DocumentKind, needed: u32, valid: u32 },
    #[error("{document} is signed by {valid} of the {needed} root keys of its own list that it requires")]
    SelfThreshold { document: DocumentKind, needed: u32, valid: u32 },
    #[error("{document} is not a canonical document: {why}")]
    Malformed { document: DocumentKind, why: String },
    #[error("{document} has the type {found}, which this program is too old to read")]
    UnknownType { document: DocumentKind, found: String },
    #[error("{document} is a document of another kind, {found}")]
    OtherDocument { document: DocumentKind, found: String },
    #[error("{document} contains the key {public}, which is {why}")]
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
    #[error("VERSION has {line} in its first line and {object} in its signed object")]
    VersionLineMismatch { line: String, object: Version },
    #[error("{document} requires root {needed}, but the newest trusted root is {trusted}")]
    RootAhead { document: DocumentKind, needed: u64, trusted: u64 },
    #[error("root {expected} was requested, but the document is root {found}")]
    RootNumber { expected: u64, found: u64 },
    #[error("root {version} lowers the epoch from {trusted} to {found}")]
    EpochLowered { version: u64, trusted: Epoch, found: Epoch },
    #[error("root {number} is {found}, but {known} was verified as root {number} before")]
    RootEquivocation { number: u64, known: Digest, found: Digest },
    #[error("root {number} of this program is {found}, which is not of the chain with root {number} {known}")]
    RootForked { number: u64, known: Digest, found: Digest },
    #[error(
        "it cannot be determined whether root {carried} ({root}), which this program carries, is of the chain \
         that was verified here up to root {recorded}: the repository has no root after {reached}"
    )]
    RootUndetermined { carried: u64, root: Digest, recorded: u64, reached: u64 },
    #[error("version {version} could not update itself afterwards: {}", Printable(why))]
    DeadEnd { version: Version, why: String },
    #[error("there are more than {limit} new roots after root {trusted}")]
    TooManyRoots { limit: usize, trusted: u64 },
    #[error(
        "VERSION has epoch {found_epoch} and sequence number {found_seq}, but epoch {epoch} and \
         number {seq} were seen before"
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
        "the offered version {found} and {known} do not compare: one is a build number, the other \
         is SemVer"
    )]
    VersionSchemeChanged { known: Version, found: Version },
    #[error("version {found} is below {floor}, the lowest that the publisher allows")]
    BelowFloor { floor: Version, found: Version },
    #[error("{object} ended after {found} bytes, but {expected} are signed")]
    Short { object: Object, expected: u64, found: u64 },
    #[error("{object} continues after the {expected} signed bytes")]
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
    #[error(
        "the previous executable was installed under the root keys of another trust domain, {previous}, not of {trusted}"
    )]
    PreviousDomain { previous: Digest, trusted: Digest },
    #[error("the publisher withdrew version {version}")]
    Retracted { version: Version },
    #[error(
        "{domains} trust domains are recorded, which is the limit, and this program carries root keys of another one"
    )]
    TooManyDomains { domains: usize },
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
    /// The likely causes, and what to do next.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Refusal::Threshold { .. } => {
                "Either an attacker changed the repository, or this installation is so old that it \
                 cannot follow the changes of keys since. Ask the publisher; if the keys are \
                 right, install again."
            }
            Refusal::SelfThreshold { .. } => {
                "The root keys that were trusted before signed it, but too few of the root keys \
                 that it lists: most likely a mistake of the publisher. Report it to the publisher."
            }
            Refusal::UnknownType { .. } | Refusal::StateTooNew { .. } => {
                "A newer version of relatch wrote it. Install a newer version of this tool by hand."
            }
            Refusal::OtherDocument { .. }
            | Refusal::WrongProduct { .. }
            | Refusal::WrongChannel { .. }
            | Refusal::StateOfOther { .. } => {
                "Either the address is that of another product or channel, or an attacker moved \
                 signed documents. Compare the address with the publisher's."
            }
            Refusal::Downgrade { .. } | Refusal::OlderIssue { .. } => {
                "A stale cache between this machine and the repository returned an old object, or \
                 an attacker replays one. A cache corrects itself when it expires; if the error \
                 stays, report it to the publisher."
            }
            Refusal::Equivocation { .. } => {
                "A timestamp key signed two different releases under one number, which no \
                 publisher does: the key may be stolen. Report it to the publisher at once."
            }
            Refusal::Expired { .. } => {
                "The publisher did not renew it in time, an attacker withholds newer documents, or \
                 this machine's clock is ahead. Check the clock; if it is right, report it to the \
                 publisher."
            }
            Refusal::NotYetValid { .. } => {
                "This machine's clock is behind, or the publisher's was ahead. Set the clock and \
                 try again."
            }
            Refusal::VersionSchemeChanged { .. } => {
                "The publisher changed from build numbers to SemVer or back, which requires a new \
                 product or channel. Ask the publisher."
            }
            Refusal::RootAhead { .. } | Refusal::TooManyRoots { .. } => {
                "The repository has newer roots than this check could reach. Try again; if the \
                 error stays, the publisher must publish the missing root documents."
            }
            Refusal::RootEquivocation { .. } => {
                "The root keys signed two different roots of one number, which no publisher does: the \
                 keys may be stolen. Report it to the publisher at once."
            }
            Refusal::RootForked { .. } => {
                "The product has new root keys, or this program is not the publisher's. Compare the \
                 hash of its root with the publisher's."
            }
            Refusal::RootUndetermined { .. } => {
                "The publisher has not published all root documents yet, an attacker withholds them, or \
                 the product has new root keys. Try again later. If the publisher confirms new root \
                 keys, delete `floors` and `root` in the directory of this tool, and check again."
            }
            Refusal::DeadEnd { .. } => {
                "The installed version stays. The publisher built the release with another root \
                 document, or without the feature that its address requires. Report the error to \
                 the publisher, who can build it as the installed one was built."
            }
            Refusal::PreviousDomain { .. } => {
                "The product has new root keys since. If that executable is to run again, install it by hand."
            }
            Refusal::Retracted { .. } => "It must not run any more. Update to the current release instead.",
            Refusal::TooManyDomains { .. } => {
                "Programs with ever new root keys were put in this place. If that is right, delete `floors` \
                 in the directory of this tool: what was accepted before is then forgotten."
            }
            Refusal::PreviousAltered { .. } => {
                "The previous executable changed after it was set aside: a disk fault, or a person \
                 with access to this directory. Install again instead."
            }
            Refusal::BelowFloor { .. } => {
                "The publisher signed that versions this old must not run any more. Update \
                 instead, or install again."
            }
            Refusal::PreviousEpoch { .. } => {
                "The publisher replaced stolen keys, and this executable may be from the time \
                 before that. Update instead; or if it is the version that you rolled back from, \
                 install it again by hand."
            }
            Refusal::Outdated { .. } => {
                "This tool runs in its current version only. Connect the machine to the network \
                 and run the tool with --update to see what fails; a missing version or target is \
                 for the publisher to release."
            }
            Refusal::StateDamaged { .. } => {
                "A disk fault, or another program wrote to the file. The next successful check \
                 replaces it; --rollback requires it and is not possible until then."
            }
            Refusal::NoUsableForm { .. } => {
                "This tool is too old for that release. Install a newer version by hand."
            }
            _ => {
                "An attacker changed the object on its way, or the publisher made a mistake. \
                 Nothing of it was used. Report it to the publisher, who can run `signer verify`."
            }
        }
    }
}
