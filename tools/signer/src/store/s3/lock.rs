//! The lock object: how publishers exclude each other on a server without a working compare-and-swap (SPEC section 8.2).
//!
//! No machine's clock has a part in it. How old a lock is, the server says; everything else is counted from here.

use std::thread;
use std::time::{Duration, Instant};

use relatch::source::Object;
use serde_json::{Value, json};

use super::bucket::Bucket;
use super::failed::Failed;
use super::requests::{Condition, Kept};
use crate::aws::printable;
use crate::progress::Progress;
use crate::{Failure, Result};

/// How long the parts of the lock take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockTimes {
    /// After this, writes that were sent before have taken effect. A write that takes longer gets no lock.
    pub settle: Duration,
    /// After this, a lock whose publisher was killed ends.
    pub lease: Duration,
    /// As long a publisher waits for others.
    pub patience: Duration,
}

impl Default for LockTimes {
    fn default() -> Self {
        LockTimes {
            settle: Duration::from_secs(2),
            lease: Duration::from_secs(60),
            patience: Duration::from_secs(180),
        }
    }
}

/// What the names of lock objects begin with.
pub(super) const LOCK: &str = ".lock";
/// Between two looks at a lock.
const AT_LEAST: Duration = Duration::from_millis(20);
/// The most that a lock object may have.
const LIMIT: u64 = 1024;
/// The longest lease that another's lock is given, whatever it says.
const LONGEST: Duration = Duration::from_secs(600);

/// A lock that is held.
pub(super) struct Lock<'a> {
    bucket: &'a Bucket,
    key: String,
    token: String,
    times: LockTimes,
    since: Instant,
}

/// Whose lock an object is.
struct Holder {
    token: String,
    lease: Duration,
}

/// What became of an attempt.
enum Attempt {
    Held,
    /// Others wrote at the same moment.
    Overtaken,
    /// So long the server took to write the token.
    Slow(Duration),
}

/// Where the lock for an object lies.
fn key_for(bucket: &Bucket, object: &Object) -> String {
    match object {
        Object::Version(channel) => bucket.address.key_of(format_args!("{channel}/{LOCK}")),
        // One for each: publishers of different releases need not wait for each other here.
        Object::ManifestSignatures(digest) => {
            bucket.address.key_of(format_args!("manifests/{LOCK}-{digest}"))
        }
        _ => bucket.address.key_of(format_args!("root/{LOCK}")),
    }
}

/// A publisher that waits for a lock.
pub(super) struct Wait<'a> {
    bucket: &'a Bucket,
    key: String,
    times: LockTimes,
    until: Instant,
    /// The holder that was told of last.
    told: String,
    /// Of those who lose to each other, not all should come back at once: as long this one waits.
    lost: Duration,
}

impl<'a> Wait<'a> {
    /// For writing `object`.
    pub(super) fn new(bucket: &'a Bucket, object: &Object, times: LockTimes) -> Self {
        let until = Instant::now() + times.patience;
        let key = key_for(bucket, object);
        Wait { bucket, key, times, until, told: String::new(), lost: Duration::ZERO }
    }

    /// Takes the lock, or waits for it as long as `go_on` sees a reason to.
    ///
    /// # Errors
    /// [`Failure::Locked`] where others hold it for too long; [`Failure::Storage`] where the server is too slow for locks.
    pub(super) fn take(
        &mut self,
        progress: &dyn Progress,
        go_on: impl Fn() -> Result<()>,
    ) -> Result<Lock<'a>> {
        let (bucket, times) = (self.bucket, self.times);
        loop {
            go_on()?;
            let token = bucket.token();
            let since = Instant::now();
            let (failure, wait) = match current(bucket, &self.key)? {
                Some((holder, age)) if age < holder.lease => {
                    let rest = holder.lease - age;
                    if self.told != holder.token {
                        progress.waiting(&format!(
                            "waiting for another publisher, {}, whose lock {} is {} s old; if it was killed, the lock ends in {} s",
                            holder.token,
                            self.key,
                            age.as_secs(),
                            rest.as_secs()
                        ));
                        self.told = holder.token.clone();
                    }
                    (self.locked_by(holder.token, age), rest.min(times.settle / 2))
                }
                _ => {
                    let lock = Lock { bucket, key: self.key.clone(), token, times, since };
                    let failure = match lock.try_take()? {
                        Attempt::Held => return Ok(lock),
                        Attempt::Overtaken => self.locked_by_others(),
                        Attempt::Slow(took) => self.too_slow(took),
                    };
                    self.lost += times.settle.mul_f64(bucket.jitter());
                    (failure, self.lost)
                }
            };
            let left = self.until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(failure);
            }
            thread::sleep(wait.min(left).max(AT_LEAST));
        }
    }

    /// For one who had the lock and lost it.
    ///
    /// # Errors
    /// [`Failure::Locked`] where it is too late to take it again.
    pub(super) fn refuse_late(&self) -> Result<()> {
        if Instant::now() < self.until { Ok(()) } else { Err(self.locked_by_others()) }
    }

    fn locked_by_others(&self) -> Failure {
        self.locked_by("others at the same moment".into(), Duration::ZERO)
    }

    fn locked_by(&self, by: String, age: Duration) -> Failure {
        let key = format!("{} in {}", self.key, self.bucket.address);
        Failure::Locked { key, by, age, waited: self.times.patience }
    }

    fn too_slow(&self, took: Duration) -> Failure {
        Failure::Storage {
            what: format!(
                "the server took {:.1} s to write the lock {} in {}; more than the {:.1} s within which it must, also after {} s of tries",
                took.as_secs_f64(),
                self.key,
                self.bucket.address,
                self.times.settle.as_secs_f64(),
                self.times.patience.as_secs()
            ),
            advice: "Without working conditional writes only a quick server tells publishers apart. Publish from nearer to it, or when it has less to do.".into(),
        }
    }
}

impl Lock<'_> {
    /// Writes the token and looks, after a while, whose is there.
    fn try_take(&self) -> Result<Attempt> {
        let lease = self.times.lease.as_secs();
        let text = json!({ "holder": self.token, "lease": lease }).to_string() + "\n";
        let put = self.bucket.put_once(&self.key, text.into_bytes(), Kept::PRIVATE, Condition::None);
        match put {
            Err(failed) if !failed.is_ambiguous() => return Err(self.bucket.failure(failed)),
            // It may have been written over another's lock that was taken in between, or be written yet.
            _ if self.since.elapsed() > self.times.settle => {
                let took = self.since.elapsed();
                thread::sleep(self.times.settle);
                return match self.remove() {
                    Err(failed) if !failed.is_ambiguous() => Err(self.bucket.failure(failed)),
                    _ => Ok(Attempt::Slow(took)),
                };
            }
            _ => {}
        }
        thread::sleep(self.times.settle);
        Ok(if self.is_held()? { Attempt::Held } else { Attempt::Overtaken })
    }

    /// Whether it is still this publisher's, with enough of its lease left for the request that follows.
    pub(super) fn is_held(&self) -> Result<bool> {
        let current = current(self.bucket, &self.key)?;
        Ok(current.is_some_and(|(holder, _)| holder.token == self.token)
            && self.since.elapsed() < self.times.lease / 2)
    }

    /// Waits until what was written before has taken effect everywhere.
    pub(super) fn settle(&self) {
        thread::sleep(self.times.settle);
    }

    /// Gives it back, if it is still this publisher's. What cannot be removed ends with its lease.
    pub(super) fn release(self) -> Option<String> {
        let why = self.remove().err()?;
        let lease = self.times.lease.as_secs();
        let why = self.bucket.failure(why);
        Some(format!(
            "the lock object {} was not removed and ends by itself after {lease} s: {why}",
            self.key
        ))
    }

    fn remove(&self) -> std::result::Result<(), Failed> {
        match read(self.bucket, &self.key)? {
            // Not twice: the second time it could be the next holder's.
            Some((holder, _)) if holder.token == self.token => self.bucket.delete_once(&self.key),
            _ => Ok(()),
        }
    }
}

fn current(bucket: &Bucket, key: &str) -> Result<Option<(Holder, Duration)>> {
    read(bucket, key).map_err(|failed| bucket.failure(failed))
}

/// The lock that is there and how old it is. One that cannot be read is somebody's, too.
fn read(bucket: &Bucket, key: &str) -> std::result::Result<Option<(Holder, Duration)>, Failed> {
    let Some(got) = bucket.get(key, LIMIT)? else { return Ok(None) };
    let value: Value = serde_json::from_slice(&got.bytes).unwrap_or_default();
    let text = |name: &str| printable(value.get(name).and_then(Value::as_str).unwrap_or("unknown"));
    let lease = value.get("lease").and_then(Value::as_u64).map_or(LONGEST, Duration::from_secs);
    let holder = Holder { token: text("holder"), lease: lease.min(LONGEST) };
    // Without a date it counts as new, and ends when somebody removes it.
    Ok(Some((holder, Duration::from_secs(got.age.unwrap_or(0)))))
}
