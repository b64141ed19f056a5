//! Every limit, whose value it is, and why. An overrun is an error, never a truncation.
//!
//! SPEC section 9 lists the same numbers; a second implementation needs those of the first part there, the times are this client's.

use std::time::Duration;

/// An upper bound on the bytes of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteLimit(pub u64);

/// `VERSION` with its signatures: two short lines and room for some twenty signatures of about 330 bytes.
pub const VERSION_FILE: ByteLimit = ByteLimit(8 * 1024);
/// A detached `.minisig` text: room for some twenty signatures.
pub const SIGNATURES: ByteLimit = ByteLimit(8 * 1024);
/// A root document: room for some two hundred keys.
pub const ROOT: ByteLimit = ByteLimit(64 * 1024);
/// A manifest: room for some eighty targets with three stored forms each, or long notes.
pub const MANIFEST: ByteLimit = ByteLimit(64 * 1024);
/// The client's own state and settings: a few hundred bytes each, unless somebody else wrote them.
pub const STATE: ByteLimit = ByteLimit(64 * 1024);
/// An entity tag: S3's have some forty bytes, nobody's has more than a hash or two.
pub const ETAG: usize = 256;
/// A comment line of a signature: what minisign itself accepts.
pub const COMMENT_LINE: usize = 1024;
/// A version: longer ones are no names that people use.
pub const VERSION_BYTES: usize = 128;
/// Integers of signed documents stay below 2^53, so that every JSON reader reads the same number.
pub const INTEGER: u64 = 1 << 53;
/// New roots walked in one check; the next check goes on where this one stopped.
pub const NEW_ROOTS: usize = 32;
/// The same for a publisher, who reads the whole chain: a root a week for eighty years.
pub const PUBLISHED_ROOTS: usize = 4096;
/// The largest window that a zstd frame may ask for, as a power of two: 128 MiB.
pub const ZSTD_WINDOW_LOG: u32 = 27;
/// The largest executable for which a patch is used: applying one holds the old executable in memory, and a window as large as the new.
pub const PATCH_SIZE: u64 = 64 * 1024 * 1024;
/// Holds remembered; each is one version that a person left by a rollback.
pub const HOLDS: usize = 16;

/// A signed `issued` may be this far ahead of the system clock, in seconds: a day, for clocks and time zones set wrong.
pub const FUTURE: u64 = 24 * 60 * 60;
/// The root chain is asked for news at most this often, in seconds, unless something is to be installed or does not verify.
pub const ROOT_INTERVAL: u64 = 24 * 60 * 60;

/// A file of certificate authorities: a distribution's whole bundle has a quarter of a MiB.
pub const CA_FILE: ByteLimit = ByteLimit(4 * 1024 * 1024);

/// From nothing to a connection: DNS, TCP, TLS.
pub const CONNECT: Duration = Duration::from_secs(5);
/// From a request to the first byte of its answer.
pub const FIRST_BYTE: Duration = Duration::from_secs(5);
/// The window over which a download must keep [`MINIMUM_RATE`].
pub const RATE_WINDOW: Duration = Duration::from_secs(10);
/// Bytes a second below which a download is given up: slower than any modem, faster than a tarpit.
pub const MINIMUM_RATE: u64 = 1024;
/// Everything of an explicit check, downloads not counted.
pub const CHECK: Duration = Duration::from_secs(20);
/// Everything of a start-up check, downloads not counted: what a person at a prompt does not mind.
pub const STARTUP_CHECK: Duration = Duration::from_millis(1500);
/// How long a start-up check counts; starts within it touch no network.
pub const STARTUP_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// After a failed start-up check the next one waits this long: being offline must not cost each start its deadline.
pub const STARTUP_RETRY: Duration = Duration::from_secs(5 * 60);
/// A download that a start began, all in all: who waits for longer at a prompt has stopped it. An explicit update has no such limit.
pub const STARTUP_DOWNLOAD: Duration = Duration::from_secs(5 * 60);
/// How long an explicit command waits for another process to finish.
pub const LOCK_WAIT: Duration = Duration::from_secs(10);
/// How long a staged executable may take to answer the probe: a cold disk and a virus scanner included.
pub const PROBE: Duration = Duration::from_secs(10);

/// To the address where a machine or container would learn its credentials: it is one hop away, or not there.
pub const METADATA_CONNECT: Duration = Duration::from_millis(250);
/// All requests there together: machines that have no such address must not wait for it.
pub const METADATA: Duration = Duration::from_secs(1);
/// One request to AWS's token service, all in all.
pub const TOKEN_SERVICE: Duration = Duration::from_secs(5);
/// How long a `credential_process` may take: it asks a service of its own, or a key store.
pub const CREDENTIAL_PROCESS: Duration = Duration::from_secs(10);
/// Credentials as a service or program hands them out, and a token in a file: a few KiB.
pub const CREDENTIALS: ByteLimit = ByteLimit(64 * 1024);
/// AWS's shared files; large companies generate them with thousands of profiles.
pub const SHARED_FILE: ByteLimit = ByteLimit(4 * 1024 * 1024);
/// What S3 says of an error: a refused signature is told with all that was signed, in hexadecimal digits too.
pub const S3_ERROR: ByteLimit = ByteLimit(16 * 1024);
/// Credentials are fetched again when no more than this is left of them.
pub const CREDENTIALS_EXPIRE: Duration = Duration::from_secs(60);
/// S3 refuses signatures that are 15 minutes old; a clock that is off by more than this is not ours to sign with.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
