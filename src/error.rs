//! One error, grouped by cause: attack, publisher, environment, this machine, caller.
//!
//! Every error says what happened with both values; [`Error::advice`] says the likely causes and what to do next. No error can drive a
//! terminal: what others say is escaped where it enters an error, names of files and addresses where it is shown.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::source::Object;
use crate::trust::{Digest, DocumentKind, Epoch, Name, Seq, Version, is_invisible};

/// What every fallible function of this library returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was not done. The disk is as it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something was there and is not to be trusted: an attack, or a mistake of the publisher.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The repository cannot be reached, or does not have what was asked for.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// This machine cannot do it: permissions, disk, another process, an executable that does not run here.
    #[error(transparent)]
    Machine(#[from] Machine),
    /// The caller asked for something that makes no sense.
    #[error("{}", Printable(what))]
    Caller {
        /// What was asked and what would be right.
        what: String,
    },
}

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
    OwnThreshold { document: DocumentKind, needed: u32, valid: u32 },
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
    TwoVersions { line: String, object: Version },
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
    TwoManifests { seq: Seq, seen: Digest, found: Digest },
    #[error("{document} expired at {expires}; checked at {now}", expires = Utc(*expires), now = Utc(*now))]
    Expired { document: DocumentKind, expires: u64, now: u64 },
    #[error("{document} was issued at {issued}, but this machine's clock says {clock}", issued = Utc(*issued), clock = Utc(*clock))]
    FromTheFuture { document: DocumentKind, issued: u64, clock: u64 },
    #[error(
        "the offered version {found} and {known} do not compare: one is a build number, the other is SemVer"
    )]
    KindChanged { known: Version, found: Version },
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
    /// Whether asking again soon may help: lost connections and overloaded servers, not what is absent or forbidden.
    pub fn is_transient(&self) -> bool {
        match self {
            Unavailable::Status { status, .. } => *status == 429 || *status >= 500,
            Unavailable::Unreachable { retryable, .. } => *retryable,
            _ => false,
        }
    }
}

/// Why this machine cannot do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the message of each variant names its fields")]
pub enum Machine {
    #[error("cannot {action} {}: {}", Shown(path), Printable(source))]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{} is not a safe place to update: {}", Shown(path), Printable(why))]
    UnsafeSite { path: PathBuf, why: String },
    #[error("another process is updating {} (waited {})", Shown(path), Seconds(*waited))]
    Busy { path: PathBuf, waited: Duration },
    #[error("there is no executable at {}{}", Shown(path), if *interrupted { ": an update or a rollback was interrupted" } else { "" })]
    NoExecutable { path: PathBuf, interrupted: bool },
    #[error("{} was changed by somebody else meanwhile", Shown(path))]
    ChangedMeanwhile { path: PathBuf },
    #[error("version {version} does not run on this machine: {why}")]
    CannotRun { version: Version, why: String },
    #[error("{} already exists", Shown(path))]
    Exists { path: PathBuf },
    #[error("there is no previous version to go back to beside {}", Shown(path))]
    NothingToRollBack { path: PathBuf },
    #[error("relatch did not install {}: {}", Shown(path), Printable(why))]
    NotInstalled { path: PathBuf, why: String },
}

/// What a cause means to the one who reads the error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Not trustworthy: an attack, or a publisher's mistake. Exit code 3.
    Refused,
    /// The repository cannot be reached or read. Exit code 4.
    Unavailable,
    /// This machine: permissions, disk, cannot run. Exit code 5.
    Machine,
    /// Usage. Exit code 2.
    Caller,
}

impl Error {
    pub(crate) fn caller(what: impl Into<String>) -> Self {
        Error::Caller { what: what.into() }
    }

    /// The group that this error belongs to.
    pub fn cause(&self) -> Cause {
        match self {
            Error::Refused(_) => Cause::Refused,
            Error::Unavailable(_) => Cause::Unavailable,
            Error::Machine(_) => Cause::Machine,
            Error::Caller { .. } => Cause::Caller,
        }
    }

    /// Whether the repository could not be asked for news; as opposed to news that could not be fetched.
    pub(crate) fn is_offline(&self) -> bool {
        let Error::Unavailable(why) = self else { return false };
        !matches!(
            why,
            Unavailable::Absent { object: Object::Blob(_), .. }
                | Unavailable::Forbidden { object: Object::Blob(_), .. }
                | Unavailable::Status { object: Object::Blob(_), .. }
                | Unavailable::Unreachable { object: Object::Blob(_), .. }
                | Unavailable::TooSlow { object: Object::Blob(_), .. }
        )
    }

    /// The process exit code that the group has in all of relatch's tools (SPEC section 10).
    pub fn exit_code(&self) -> u8 {
        match self.cause() {
            Cause::Caller => 2,
            Cause::Refused => 3,
            Cause::Unavailable => 4,
            Cause::Machine => 5,
        }
    }

    /// The likely causes, and what to do next.
    pub fn advice(&self) -> &'static str {
        match self {
            Error::Refused(refusal) => refusal.advice(),
            Error::Unavailable(Unavailable::Absent { object: Object::VersionFile(_), .. }) => {
                "Nothing was ever published on this channel, or the repository's address is wrong: compare it with the publisher's."
            }
            Error::Unavailable(Unavailable::Absent { .. }) => {
                "The repository is incomplete: an upload was cut short, or objects were deleted. The publisher can run `signer verify` and publish again."
            }
            Error::Unavailable(Unavailable::Forbidden { .. }) => {
                "The server wants credentials, or the object does not exist (S3 says 403 for both). Check the address and who may read it."
            }
            Error::Unavailable(Unavailable::Credentials { .. }) => {
                "Give credentials that may read the bucket in one of the places named, or name a profile in the address (?profile=NAME). A public bucket is read by its https URL and needs none."
            }
            Error::Unavailable(Unavailable::Status { code: Some(_), .. }) => {
                "The bucket, region or endpoint of the address is wrong, or the service has a fault. Compare the address with the publisher's; try again later."
            }
            Error::Unavailable(_) => {
                "The network is down, a proxy is in the way, the server is, or a directory is missing or not mounted. Try again later."
            }
            Error::Machine(machine) => machine.advice(),
            Error::Caller { .. } => "Correct the call and try again; nothing was changed.",
        }
    }
}

impl Refusal {
    fn advice(&self) -> &'static str {
        match self {
            Refusal::Threshold { .. } => {
                "Either somebody changed the repository, or this installation is so old that the keys were changed since by more steps than it can follow. \
                 Ask the publisher; if the keys are the right ones, install again."
            }
            Refusal::OwnThreshold { .. } => {
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
            Refusal::TwoManifests { .. } => {
                "This must never happen: a timestamp key signed two different releases under one number. Tell the publisher at once; the key may be stolen."
            }
            Refusal::Expired { .. } => {
                "Nobody renewed it: the publisher has neither refreshed nor released in time, somebody withholds news, or this machine's clock is ahead."
            }
            Refusal::FromTheFuture { .. } => {
                "This machine's clock is behind, or the publisher's was ahead. Set the clock and try again."
            }
            Refusal::KindChanged { .. } => {
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

impl Machine {
    fn advice(&self) -> &'static str {
        match self {
            Machine::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::PermissionDenied => {
                    "The one who runs this may not write there. Run it as the owner, or install the tool in a directory of your own."
                }
                std::io::ErrorKind::StorageFull => {
                    "The disk is full. Make room and try again; what is installed goes on working."
                }
                std::io::ErrorKind::NotFound => "There is no such file or directory. Check the path.",
                _ => "Nothing was changed. Check the disk and the directory's permissions, then try again.",
            },
            Machine::UnsafeSite { .. } if cfg!(windows) => {
                "Others could put their own program there. Change that, or install the tool in a directory of your own, such as one in %LOCALAPPDATA%\\Programs."
            }
            Machine::UnsafeSite { .. } => {
                "Others could put their own program there. Install the tool in a directory that only its owner can write to."
            }
            Machine::Busy { .. } => "Wait for it to finish, then try again.",
            Machine::NoExecutable { interrupted: true, .. } => {
                "Run `relatch update` with this path, which first puts the executable back. For a tool that updates itself run `relatch rollback` instead, or the previous executable in the directory beside it with --rollback: they do so too, and then go back a version."
            }
            Machine::NoExecutable { .. } => "It was removed. Install it again with `relatch install`.",
            Machine::ChangedMeanwhile { .. } => "Start the tool again.",
            Machine::CannotRun { .. } => {
                "The release was built for another system, lacks something that is not installed here, is another build than its number says, or does not call relatch first thing in main. What is installed stays; tell the publisher."
            }
            Machine::Exists { .. } => "Choose another path, or replace it with --force.",
            Machine::NothingToRollBack { .. } => {
                "Only an update leaves a previous version. Install the version that you want instead."
            }
            Machine::NotInstalled { .. } => {
                "If the tool updates itself, use its own --update. Else install it again: `relatch install --force`."
            }
        }
    }
}

/// Shows what came from outside so that it cannot drive a terminal: control characters, newline among them, and those of the table of SPEC
/// section 3.4, which notes may not hold either, are escaped, as in `\u{1b}`.
#[derive(Debug, Clone, Copy)]
pub struct Printable<T>(pub T);

impl<T: fmt::Display> fmt::Display for Printable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|c| match is_invisible(c) {
            true => write!(self.0, "{}", c.escape_default()),
            false => self.0.write_char(c),
        })
    }
}

/// A path for people.
pub(crate) struct Shown<'a>(pub(crate) &'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printable(self.0.display()).fmt(f)
    }
}

/// What others say: stricter than [`Printable`], as nobody needs more of it than letters and ASCII, and cut at 200 characters.
pub(crate) fn printable(text: &str) -> String {
    let mut told = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == 200 {
            told.push('…');
            break;
        }
        // Letters that show nothing: the fillers of Hangul.
        let is_blank = matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}');
        if c == ' ' || c.is_ascii_graphic() || (c.is_alphanumeric() && !is_blank && !is_invisible(c)) {
            told.push(c);
        } else {
            told.extend(c.escape_default());
        }
    }
    told
}

/// Turns an I/O error into [`Machine::Io`]; `action` completes "cannot ...".
pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Machine::Io { action, path, source }.into()
}

/// Seconds since 1970 as `2026-11-23T05:30:00Z` (RFC 3339), which people and machines read alike.
pub struct Utc(pub u64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Days to a civil date: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
        let (days, seconds) = (self.0 / 86_400, self.0 % 86_400);
        let z = days + 719_468;
        let era = z / 146_097;
        let doe = z % 146_097;
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = doy - (153 * mp + 2) / 5 + 1;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + u64::from(month <= 2);
        let (h, m, s) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}Z")
    }
}

/// What a server calls its refusal, where it calls it anything.
struct InBrackets<'a>(&'a Option<String>);

impl fmt::Display for InBrackets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |text| write!(f, " ({text})"))
    }
}

/// To a tenth: what is left of a deadline is a number of nanoseconds.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", (self.0.as_secs_f64() * 10.0).round() / 10.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_told_to_a_tenth() {
        for (nanoseconds, text) in
            [(0, "0 s"), (1_498_446_232, "1.5 s"), (5_000_000_000, "5 s"), (19_960_000_000, "20 s")]
        {
            assert_eq!(Seconds(Duration::from_nanos(nanoseconds)).to_string(), text);
        }
    }

    #[test]
    fn times_read_as_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Utc(seconds).to_string(), text);
        }
    }

    #[test]
    fn text_from_outside_cannot_drive_a_terminal() {
        assert_eq!(printable("a\x1b[2J\u{202e}é\n"), "a\\u{1b}[2J\\u{202e}é\\n");
        assert_eq!(Printable(Path::new("/e\u{301}/🎉\u{9b}").display()).to_string(), "/e\u{301}/🎉\\u{9b}");
        // Words of servers hold nothing that is not seen, and nothing that paints over other lines.
        assert_eq!(printable("a\u{3164}b\u{fe0f}c\u{301}d\u{a0}"), "a\\u{3164}b\\u{fe0f}c\\u{301}d\\u{a0}");
        assert!(printable(&"x".repeat(5000)).chars().count() == 201);
    }
}
