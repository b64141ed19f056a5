//! The lock object: mutual exclusion of publishers on a server without a working compare-and-swap
//! (SPEC section 8.2).
//!
//! It does not depend on the wall clocks of publishers. The server's clock gives the age of a lock;
//! all other durations are measured locally.

use std::thread;
use std::time::{Duration, Instant};

use relatch::source::Object;
use serde_json::{Value, json};

use super::bucket::Bucket;
use super::request_error::RequestError;
use super::requests::{ObjectHeaders, WriteCondition};
use crate::aws::excerpt;
use crate::limits::{LOCK_LEASE, LOCK_LONGEST_LEASE, LOCK_OBJECT, LOCK_PATIENCE, LOCK_POLL, LOCK_SETTLE};
use crate::progress::Progress;
use crate::{Failure, Result};

/// The durations of the lock protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockTimes {
    /// Earlier writes have taken effect after this long. A publisher whose own write takes longer
    /// does not get the lock.
    pub settle: Duration,
    /// The lock of a publisher that was killed ends after this long.
    pub lease: Duration,
    /// A publisher waits for other publishers for this long.
    pub patience: Duration,
}

impl Default for LockTimes {
    fn default() -> Self {
        LockTimes { settle: LOCK_SETTLE, lease: LOCK_LEASE, patience: LOCK_PATIENCE }
    }
}

/// The prefix of the names of lock objects.
pub(super) const LOCK: &str = ".lock";

/// A lock object that this publisher has written.
pub(super) struct LockObject<'a> {
    bucket: &'a Bucket,
    key: String,
    token: String,
    times: LockTimes,
    since: Instant,
}

/// The content of a lock object.
struct LockHolder {
    token: String,
    lease: Duration,
}

/// The outcome of an attempt to take the lock.
enum Acquisition {
    Held,
    /// Another publisher wrote the lock object at the same time.
    Overtaken,
    /// The server took too long to write the lock object: this long.
    Slow(Duration),
}

/// The key of the lock object for an object.
fn key_for(bucket: &Bucket, object: &Object) -> String {
    match object {
        Object::Version(channel) => bucket.address.key_of(format_args!("{channel}/{LOCK}")),
        // One lock per manifest: publishers of different releases need not wait for each other
        // here.
        Object::ManifestSignatures(digest) => {
            bucket.address.key_of(format_args!("manifests/{LOCK}-{digest}"))
        }
        _ => bucket.address.key_of(format_args!("root/{LOCK}")),
    }
}

/// A publisher that waits for a lock.
pub(super) struct LockWait<'a> {
    bucket: &'a Bucket,
    key: String,
    times: LockTimes,
    until: Instant,
    /// The holder that was last reported to the user.
    reported: String,
    /// The pause after a lost race. It differs between publishers, so that they do not collide
    /// again.
    pause: Duration,
}

impl<'a> LockWait<'a> {
    /// For a write of `object`.
    pub(super) fn new(bucket: &'a Bucket, object: &Object, times: LockTimes) -> Self {
        let until = Instant::now() + times.patience;
        let key = key_for(bucket, object);
        LockWait { bucket, key, times, until, reported: String::new(), pause: Duration::ZERO }
    }

    /// Takes the lock. Calls `precondition` before each attempt, and stops with its error.
    ///
    /// # Errors
    /// [`Failure::Locked`] if other publishers hold it for too long; [`Failure::Storage`] if the
    /// server is too slow for locks.
    pub(super) fn take(
        &mut self,
        progress: &dyn Progress,
        precondition: impl Fn() -> Result<()>,
    ) -> Result<LockObject<'a>> {
        let (bucket, times) = (self.bucket, self.times);
        loop {
            precondition()?;
            let token = bucket.token();
            let since = Instant::now();
            let (failure, wait) = match current(bucket, &self.key)? {
                Some((holder, age)) if age < holder.lease => {
                    let rest = holder.lease - age;
                    if self.reported != holder.token {
                        progress.waiting(&format!(
                            "waiting for publisher {}, whose lock {} is {} s old; if that \
                             publisher was killed, the lock ends in {} s",
                            holder.token,
                            self.key,
                            age.as_secs(),
                            rest.as_secs()
                        ));
                        self.reported = holder.token.clone();
                    }
                    (self.locked_by(holder.token, age), rest.min(times.settle / 2))
                }
                _ => {
                    let lock = LockObject { bucket, key: self.key.clone(), token, times, since };
                    let failure = match lock.try_take()? {
                        Acquisition::Held => return Ok(lock),
                        Acquisition::Overtaken => self.locked_by_others(),
                        Acquisition::Slow(took) => self.too_slow(took),
                    };
                    self.pause += times.settle.mul_f64(bucket.jitter());
                    (failure, self.pause)
                }
            };
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(failure);
            }
            thread::sleep(wait.min(left).max(LOCK_POLL));
        }
    }

    /// Checks, after the lock was lost, that there is time left to take it again.
    ///
    /// # Errors
    /// [`Failure::Locked`] if there is not.
    pub(super) fn ensure_time_left(&self) -> Result<()> {
        if Instant::now() < self.until { Ok(()) } else { Err(self.locked_by_others()) }
    }

    fn locked_by_others(&self) -> Failure {
        self.locked_by("another publisher at the same time".into(), Duration::ZERO)
    }

    fn locked_by(&self, by: String, age: Duration) -> Failure {
        let key = format!("{} in {}", self.key, self.bucket.address);
        Failure::Locked { key, by, age, waited: self.times.patience }
    }

    fn too_slow(&self, took: Duration) -> Failure {
        Failure::Storage {
            what: format!(
                "the server took {:.1} s to write the lock {} in {}; the limit is {:.1} s (gave up \
                 after {} s)",
                took.as_secs_f64(),
                self.key,
                self.bucket.address,
                self.times.settle.as_secs_f64(),
                self.times.patience.as_secs()
            ),
            advice: "Without working conditional writes, mutual exclusion requires a fast server. \
                 Publish from a machine closer to it, or when its load is lower."
                .into(),
        }
    }
}

impl LockObject<'_> {
    /// Writes the token, waits until earlier writes have taken effect, and checks whose token is
    /// stored.
    fn try_take(&self) -> Result<Acquisition> {
        let lease = self.times.lease.as_secs();
        let text = json!({ "holder": self.token, "lease": lease }).to_string() + "\n";
        let put =
            self.bucket.put_once(&self.key, text.into_bytes(), ObjectHeaders::PRIVATE, WriteCondition::None);
        match put {
            Err(failed) if !failed.is_ambiguous() => return Err(self.bucket.failure(failed)),
            // It may have overwritten the lock of another publisher, taken in between, or may still
            // be written later.
            _ if self.since.elapsed() > self.times.settle => {
                let took = self.since.elapsed();
                thread::sleep(self.times.settle);
                return match self.remove() {
                    Err(failed) if !failed.is_ambiguous() => Err(self.bucket.failure(failed)),
                    _ => Ok(Acquisition::Slow(took)),
                };
            }
            _ => {}
        }
        thread::sleep(self.times.settle);
        Ok(if self.is_held()? { Acquisition::Held } else { Acquisition::Overtaken })
    }

    /// Whether the lock is still this publisher's, with enough of its lease left for the next
    /// request.
    pub(super) fn is_held(&self) -> Result<bool> {
        let current = current(self.bucket, &self.key)?;
        Ok(current.is_some_and(|(holder, _)| holder.token == self.token)
            && self.since.elapsed() < self.times.lease / 2)
    }

    /// Waits until earlier writes have taken effect.
    pub(super) fn settle(&self) {
        thread::sleep(self.times.settle);
    }

    /// Removes the lock object if it is still this publisher's. Returns a remark if that fails: the
    /// lock then ends with its lease.
    pub(super) fn release(self) -> Option<String> {
        let why = self.remove().err()?;
        let lease = self.times.lease.as_secs();
        let why = self.bucket.failure(why);
        Some(format!("the lock object {} could not be removed, and expires after {lease} s: {why}", self.key))
    }

    fn remove(&self) -> std::result::Result<(), RequestError> {
        match read(self.bucket, &self.key)? {
            // No retry: a second attempt could remove the lock of the next holder.
            Some((holder, _)) if holder.token == self.token => self.bucket.delete_once(&self.key),
            _ => Ok(()),
        }
    }
}

fn current(bucket: &Bucket, key: &str) -> Result<Option<(LockHolder, Duration)>> {
    read(bucket, key).map_err(|failed| bucket.failure(failed))
}

/// The stored lock and its age. A malformed one counts as the lock of another publisher.
fn read(bucket: &Bucket, key: &str) -> std::result::Result<Option<(LockHolder, Duration)>, RequestError> {
    let Some(got) = bucket.get(key, LOCK_OBJECT)? else { return Ok(None) };
    let value: Value = serde_json::from_slice(&got.bytes).unwrap_or_default();
    let text = |name: &str| excerpt(value.get(name).and_then(Value::as_str).unwrap_or("unknown"));
    let lease = value.get("lease").and_then(Value::as_u64).map_or(LOCK_LONGEST_LEASE, Duration::from_secs);
    let holder = LockHolder { token: text("holder"), lease: lease.min(LOCK_LONGEST_LEASE) };
    // Without a date its age is unknown: it counts as new, and must be removed by hand.
    Ok(Some((holder, Duration::from_secs(got.age.unwrap_or(0)))))
}
