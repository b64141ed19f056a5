//! Every limit, with the reason for its value. Exceeding one is an error, never a truncation.
//!
//! SPEC section 9 lists the same numbers. The limits of its first table are part of the format; the
//! others are the choice of this client.

use std::time::Duration;

/// The maximum size of one object, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteLimit(pub u64);

/// `VERSION` with its signatures: two short lines, and some twenty signatures of about 330 bytes.
pub const VERSION_FILE: ByteLimit = ByteLimit(8 * 1024);
/// A detached `.minisig` text: some twenty signatures.
pub const SIGNATURES: ByteLimit = ByteLimit(8 * 1024);
/// A root document: some two hundred keys.
pub const ROOT: ByteLimit = ByteLimit(64 * 1024);
/// A manifest: some eighty targets with three stored forms each, or long notes.
pub const MANIFEST: ByteLimit = ByteLimit(64 * 1024);
/// What the client records of an executable, what a check found, and settings. The client writes a few
/// hundred bytes of each.
pub const STATE: ByteLimit = ByteLimit(64 * 1024);
/// `/etc/passwd`, of which messages take names of users. Most have a few kilobytes.
#[cfg(unix)]
pub(crate) const PASSWD: ByteLimit = ByteLimit(1024 * 1024);
/// What was accepted: some seventy bytes for each root, three hundred for each channel, and what was
/// withdrawn.
pub const FLOORS: ByteLimit = ByteLimit(4 * 1024 * 1024);
/// An entity tag, in bytes. S3's have some forty; other servers' contain at most a hash or two.
pub const ETAG: usize = 256;
/// A comment line of a signature, in bytes: minisign's own limit.
pub const COMMENT_LINE: usize = 1024;
/// A version, in bytes. Versions in use are far shorter.
pub const VERSION_BYTES: usize = 128;
/// Integers in signed documents are below 2^53, so that every JSON parser reads the same number.
pub const INTEGER: u64 = 1 << 53;
/// New roots that one check follows. The next check continues from there.
pub const NEW_ROOTS: usize = 32;
/// The same for a publisher, who reads the whole chain: a root a week for eighty years.
pub const PUBLISHED_ROOTS: usize = 4096;
/// The largest window of a zstd frame, as a power of two: 128 MiB.
pub const ZSTD_WINDOW_LOG: u32 = 27;
/// The largest executable to which a patch is applied, in bytes. Applying one needs memory for the
/// old executable and for a window as large as the new one.
pub const PATCH_SIZE: u64 = 64 * 1024 * 1024;
/// Roots of one trust domain whose hashes are kept: one a week, for twenty years.
pub const LINEAGE: usize = 1024;
/// Trust domains that are kept. A new one begins only where a program with other root keys is put in
/// the place of this one.
pub const DOMAINS: usize = 16;
/// Channels whose floors are kept. A tool follows one or two.
pub const CHANNELS: usize = 64;
/// Withdrawn versions that are remembered. Only one that is installed or kept matters.
pub const RETRACTED: usize = 256;
/// The text of a failure that is kept, in bytes.
pub const FAILURE: usize = 2048;
/// Versions on hold. Each rollback by a user adds one.
pub const HOLDS: usize = 16;
/// Executables that are kept beside the installed one, unless the tool says otherwise: after two
/// bad releases in a row there is still a good one.
pub const KEPT: usize = 2;
/// The most that a tool may keep.
pub const MOST_KEPT: usize = 16;

/// Runs that ended without a panic: after so many a version is known to work.
pub const CONFIRMING_RUNS: usize = 5;
/// Runs that a panic ended: after so many a version that is not known to work is left.
pub const FAILING_RUNS: usize = 3;
/// The keys that are recorded as signers of an executable: for people.
pub const SIGNERS: usize = 8;
/// Starts of a version that are recorded until it is known to work.
pub const TRIAL_RUNS: usize = 20;
/// The record of the last events: months of them.
pub const EVENTS: ByteLimit = ByteLimit(64 * 1024);
/// An event with the text of an error, in bytes.
pub const EVENT: usize = 4 * 1024;
/// The record of these starts: a line of at most 64 bytes for each begin and end.
pub const TRIAL: ByteLimit = ByteLimit(8 * 1024);
/// How long a version stays on hold that was left because it failed.
pub const AUTOMATIC_HOLD: Duration = Duration::from_secs(7 * 24 * 3600);

/// How far a signed `issued` may be ahead of the system clock, in seconds: a day, for wrong clocks
/// and time zones.
pub const FUTURE: u64 = 24 * 60 * 60;
/// The time between two messages about a failure that has not changed, or about an expiry, in
/// seconds.
pub const REMINDER: u64 = 24 * 60 * 60;
/// How long before an expiry a start warns of it under `Require`, in seconds. A publisher renews `VERSION`
/// every week, so that this much is left only if it was not renewed three times.
pub const EXPIRY_WARNING: u64 = 7 * 24 * 60 * 60;
/// The time between two requests for a new root, in seconds. A check also requests one before it
/// installs a release, and after a document that does not verify.
pub const ROOT_INTERVAL: u64 = 24 * 60 * 60;

/// A file of certificate authorities. A Linux distribution's whole bundle has a quarter of a MiB.
pub const CA_FILE: ByteLimit = ByteLimit(4 * 1024 * 1024);

/// To resolve a host name, and again to connect.
pub const CONNECT: Duration = Duration::from_secs(5);
/// From a request to the first byte of its response.
pub const FIRST_BYTE: Duration = Duration::from_secs(5);
/// The window over which a download must keep [`MINIMUM_RATE`].
pub const RATE_WINDOW: Duration = Duration::from_secs(10);
/// The minimum rate of a download, in bytes per second: slower than any modem, faster than a
/// tarpit.
pub const MINIMUM_RATE: u64 = 1024;
/// An explicit check as a whole, without downloads.
pub const CHECK: Duration = Duration::from_secs(20);
/// A start-up check as a whole, without downloads: a delay that is acceptable at a prompt.
pub const STARTUP_CHECK: Duration = Duration::from_millis(1500);
/// How long a start-up check is valid. Starts within this time use no network.
pub const STARTUP_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// The time from a failed start-up check to the next one, so that an offline machine does not wait
/// for the deadline at each start.
pub const STARTUP_RETRY: Duration = Duration::from_secs(5 * 60);
/// The longest time from a probe that failed for a reason that may pass to the next download of
/// that release by a start. It doubles from [`STARTUP_RETRY`], so that a release that hangs costs a
/// week some ten downloads at first, and one at last.
pub const PROBE_RETRY: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Probes in a row that crash as from lack of memory, until that is a verdict on the release.
pub const PROBE_CRASHES: u32 = 3;
/// A download during a start as a whole. A user at a prompt would not wait for longer. An explicit
/// update has no such limit.
pub const STARTUP_DOWNLOAD: Duration = Duration::from_secs(5 * 60);
/// How long an explicit command waits for the lock of another process.
pub const LOCK_WAIT: Duration = Duration::from_secs(10);
/// How long a staged executable may take to answer the probe, with a cold disk and a virus scanner.
pub const PROBE: Duration = Duration::from_secs(10);

/// To connect to the credential service of a machine or container, which is one hop away or absent.
pub const METADATA_CONNECT: Duration = Duration::from_millis(250);
/// All requests to that service together, so that machines without one do not wait for it.
pub const METADATA: Duration = Duration::from_secs(1);
/// One request to AWS's token service as a whole.
pub const TOKEN_SERVICE: Duration = Duration::from_secs(5);
/// How long a `credential_process` may take. It may query a remote service or a key store.
pub const CREDENTIAL_PROCESS: Duration = Duration::from_secs(10);
/// The credentials that a service or a program returns, and a token in a file: a few KiB.
pub const CREDENTIALS: ByteLimit = ByteLimit(64 * 1024);
/// Each of AWS's shared files. Large companies generate them with thousands of profiles.
pub const SHARED_FILE: ByteLimit = ByteLimit(4 * 1024 * 1024);
/// An error response of S3. For an invalid signature it contains the signed text, also as
/// hexadecimal digits.
pub const S3_ERROR: ByteLimit = ByteLimit(16 * 1024);
/// Credentials that expire within this time are requested again.
pub const CREDENTIALS_EXPIRE: Duration = Duration::from_secs(60);
/// The largest difference between this machine's clock and S3's before requests are signed with
/// S3's time. S3 refuses signatures that are 15 minutes old.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
