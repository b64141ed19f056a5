//! Every bound of `signer` on sizes, counts and waits, and its reason. Exceeding one is an error,
//! never a truncation, unless the comment says otherwise.
//!
//! SPEC section 9 lists those that matter to operators. Bounds on signed documents are the client's:
//! see [`relatch::limits`].

use std::time::Duration;

/// A secret key file has about 270 bytes. A much larger input is not a key file.
pub const KEY_FILE: u64 = 4096;
/// A public key file has a comment line of at most 1024 bytes and 56 characters of base64.
pub const PUBLIC_KEY_FILE: u64 = 2048;
/// A `--key` longer than this is not a path, but probably the key itself, pasted by mistake.
pub const KEY_ARGUMENT: usize = 200;
/// log2(N) of scrypt, and its p: libsodium's "sensitive" parameters. A key file that requires more
/// memory or time is invalid, or was made to exhaust this machine.
pub const SCRYPT_LOG_N: u8 = 20;
/// See [`SCRYPT_LOG_N`].
pub const SCRYPT_P: u32 = 16;

/// A validity: from one second to a hundred years, so that `expires` stays an integer that every
/// document can hold.
pub const VALIDITY: std::ops::RangeInclusive<u64> = 1..=3_153_600_000;
/// A manifest that is valid for longer is reported as unusual: a release that nobody renews stays
/// installable for longer than a year.
pub const MANIFEST_LIFETIME: u64 = 400 * DAY;
/// A `VERSION` that is valid for longer is reported as unusual: for as long, an attacker can
/// withhold the next one.
pub const VERSION_LIFETIME: u64 = 60 * DAY;
/// A manifest that expires within this time is warned about: a third of its default validity.
pub const MANIFEST_WARNING: u64 = 60 * DAY;
/// A root that expires within this time is warned about: its key holders must come together.
pub const ROOT_WARNING: u64 = 90 * DAY;
/// In seconds.
const DAY: u64 = 86_400;
/// The window of plain zstd blobs, as a power of two: 8 MiB, so that a client's memory does not
/// grow with the executable.
pub const PLAIN_WINDOW_LOG: u32 = 23;
/// Bytes that are copied and hashed at a time: enough to make the number of system calls
/// irrelevant.
pub const COPY_BUFFER: usize = 256 * 1024;

/// How far this machine's clock and the store's own may be apart: enough for clocks that are set by
/// NTP, and for a slow answer. A new `seq` is at least the time, so a clock that is ahead would use
/// up numbers.
pub const CLOCKS_APART: u64 = 300;
/// The state file: some thousand channels and epochs of 250 bytes each.
pub const STATE_FILE: u64 = 256 * 1024;
/// Manifests that are read to find one that `VERSION` should name: ten a day for a year. If there
/// are more, only the state file detects a `VERSION` that was rolled back, and signer says so.
pub const LISTED_MANIFESTS: usize = 4000;
/// Manifests that are read at the same time: small objects, so that latency decides.
pub const LISTING_READERS: usize = 16;
/// How long reading these manifests may take.
pub const LISTING: Duration = Duration::from_secs(120);

/// How long to wait for another process that writes to the same folder or repository. It only
/// writes small files under this lock.
pub const LOCK_WAIT: Duration = Duration::from_secs(60);
/// How long to retry the replacement of a file that another process has open, which Windows denies.
pub const REPLACE_WAIT: Duration = Duration::from_secs(5);
/// Between two tries to take a lock or to replace a file: not noticeable, and cheap.
pub const POLL: Duration = Duration::from_millis(20);
/// The age from which the directory of a publisher that does not hold its lock any more is removed.
/// A publisher takes the lock at once, unless it is suspended just then.
pub const ABANDONED: Duration = Duration::from_secs(3600);

/// To connect to an AWS service, including DNS and TLS: the client's own limit.
pub const CONNECT: Duration = relatch::limits::CONNECT;
/// The body of an answer of an AWS service. A page of a list has some hundred kilobytes, every
/// other answer less. Blobs are read by the client's code, which has its own limits.
pub const ANSWER_BODY: usize = 8 * 1024 * 1024;
/// Characters of an AWS error that are printed; an ellipsis replaces the rest. AWS names the caller, the
/// action and the resource in one long sentence, with the reason at the end. With the longest names
/// that AWS accepts, and the encoded message of a denial, it has some 3,000.
pub const AWS_MESSAGE: usize = 4096;

/// One attempt of a request to KMS.
pub const KMS_ATTEMPT: Duration = Duration::from_secs(10);
/// One KMS operation, including credentials, all attempts, and the pauses between them.
pub const KMS_OPERATION: Duration = Duration::from_secs(30);

/// Credentials for S3: all attempts of all services that take part.
pub const S3_CREDENTIALS: Duration = Duration::from_secs(60);
/// One attempt of a small S3 request.
pub const S3_ATTEMPT: Duration = Duration::from_secs(30);
/// Attempts of one S3 request. The SDK waits up to 1, 2 and 4 s between them.
pub const S3_ATTEMPTS: u32 = 4;
/// The first pause before a blob is read again after a lost connection, 429 or 5xx; it doubles.
pub const READ_BACKOFF: Duration = Duration::from_millis(500);
/// Reading a small object, including all attempts.
pub const S3_SMALL_OBJECT: Duration = Duration::from_secs(60);
/// A body up to this size gets no more time than an empty one.
pub const S3_SMALL_BODY: u64 = 128 * 1024;
/// Bytes per second of all bodies together below which an upload counts as stuck.
pub const S3_MINIMUM_RATE: u64 = 64 * 1024;
/// Pages of one list, of 1000 names each: more objects than a repository has in many years.
pub const S3_PAGES: usize = 1000;
/// Bytes of `VERSION` that are read to compare it: one more than a valid one has, so that a longer
/// one differs.
pub const VERSION_READ: u64 = relatch::limits::VERSION_FILE.0 + 1;

/// The size of a part of a multipart upload, unless that would need more than [`PARTS`].
pub const PART: u64 = 8 * 1024 * 1024;
/// A larger blob is uploaded in parts.
pub const WHOLE_BODY: u64 = 16 * 1024 * 1024;
/// The number of parts that S3 accepts for one upload.
pub const PARTS: u64 = 10_000;
/// Bodies in flight at a time, of all blobs together. With [`WHOLE_BODY`], this bounds the memory.
pub const BODIES_IN_FLIGHT: usize = 4;

/// Writers that race for one key when the conditional writes of a server are probed.
pub const PROBE_RACERS: usize = 8;
/// Races to create an object, and as many to replace one. A server without atomicity may pass one
/// by luck.
pub const PROBE_RACES: usize = 2;
/// Attempts of the probe if the server does not answer, or if a race is inconclusive.
pub const PROBE_ATTEMPTS: usize = 4;
/// The first pause between them; it doubles.
pub const PROBE_BACKOFF: Duration = Duration::from_millis(500);

/// Attempts of a write if another publisher writes the same object at the same time (409).
pub const CONFLICT_ATTEMPTS: u32 = 4;
/// The first pause between them; it grows by this much each time.
pub const CONFLICT_BACKOFF: Duration = Duration::from_millis(100);

/// How long earlier writes take to become visible on a server without working conditional writes. A
/// publisher whose own write takes longer does not get the lock.
pub const LOCK_SETTLE: Duration = Duration::from_secs(2);
/// The lock of a publisher that was killed ends after this long. Half of it is left for the
/// requests made under the lock.
pub const LOCK_LEASE: Duration = Duration::from_secs(60);
/// How long a publisher waits for other publishers: three leases.
pub const LOCK_PATIENCE: Duration = Duration::from_secs(180);
/// The longest lease that another publisher's lock is granted, whatever it claims.
pub const LOCK_LONGEST_LEASE: Duration = Duration::from_secs(600);
/// Bytes of a lock object that are read: it has about 50.
pub const LOCK_OBJECT: u64 = 1024;
/// The shortest pause between two reads of a lock object.
pub const LOCK_POLL: Duration = Duration::from_millis(20);

/// Blobs that are uploaded at the same time. More do not make one connection's bandwidth larger, and each
/// holds a part in memory.
pub const UPLOADS: usize = 4;
