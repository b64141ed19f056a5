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
    host: String,
    lease: Duration,
}

/// Where the lock for an object lies.
fn key_for(bucket: &Bucket, object: &Object) -> String {
    match object {
        Object::VersionFile(channel) => bucket.address.key_of(format_args!("{channel}/{LOCK}")),
        Object::Root(_) | Object::RootSignatures(_) => bucket.address.key_of(format_args!("root/{LOCK}")),
        // One for each: publishers of different releases need not wait for each other here.
        Object::Manifest(digest) | Object::ManifestSignatures(digest) | Object::Blob(digest) => {
            bucket.address.key_of(format_args!("manifests/{LOCK}-{digest}"))
        }
    }
}

impl<'a> Lock<'a> {
    /// Takes the lock for writing `object`, or waits for it as long as `go_on` sees a reason to.
    ///
    /// # Errors
    /// [`Failure::Locked`] where others hold it for too long.
    pub(super) fn take(
        bucket: &'a Bucket,
        object: &Object,
        times: LockTimes,
        progress: &dyn Progress,
        go_on: impl Fn() -> Result<()>,
    ) -> Result<Self> {
        let key = key_for(bucket, object);
        let until = Instant::now() + times.patience;
        let mut told = String::new();
        let mut lost = Duration::ZERO;
        loop {
            go_on()?;
            let token = bucket.token();
            let since = Instant::now();
            let (by, age, wait) = match current(bucket, &key)? {
                Some((holder, age)) if age < holder.lease => {
                    let rest = holder.lease - age;
                    if told != holder.token {
                        progress.waiting(&format!(
                            "waiting for another publisher, {}, whose lock {key} is {} s old; if it was killed, the lock ends in {} s",
                            holder.told(),
                            age.as_secs(),
                            rest.as_secs()
                        ));
                        told = holder.token.clone();
                    }
                    (holder.told(), age, rest.min(times.settle / 2))
                }
                _ => {
                    let lock = Lock { bucket, key: key.clone(), token, times, since };
                    if lock.try_take()? {
                        return Ok(lock);
                    }
                    // Of those who lose to each other, not all should come back at once.
                    lost += times.settle.mul_f64(bucket.jitter());
                    ("others at the same moment".into(), Duration::ZERO, lost)
                }
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let key = format!("{key} in {}", bucket.address);
                return Err(Failure::Locked { key, by, age, waited: times.patience });
            }
            thread::sleep(wait.min(left).max(AT_LEAST));
        }
    }

    /// Writes the token and looks, after a while, whose is there.
    fn try_take(&self) -> Result<bool> {
        let lease = self.times.lease.as_secs();
        let text = json!({ "holder": self.token, "host": host(), "lease": lease }).to_string() + "\n";
        let put = self.bucket.put_once(&self.key, text.into_bytes(), Kept::PRIVATE, Condition::None);
        match put {
            Err(failed) if !failed.is_ambiguous() => return Err(self.bucket.failure(failed)),
            // It may have been written over another's lock that was taken in between, or be written yet.
            _ if self.since.elapsed() > self.times.settle => {
                thread::sleep(self.times.settle);
                self.remove().map_err(|failed| self.bucket.failure(failed))?;
                return Ok(false);
            }
            _ => {}
        }
        thread::sleep(self.times.settle);
        self.is_held()
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
            Some((holder, _)) if holder.token == self.token => self.bucket.delete(&self.key),
            _ => Ok(()),
        }
    }
}

impl Holder {
    fn told(&self) -> String {
        format!("{} on {}", self.token, self.host)
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
    let holder = Holder { token: text("holder"), host: text("host"), lease: lease.min(LONGEST) };
    // Without a date it counts as new, and ends when somebody removes it.
    Ok(Some((holder, Duration::from_secs(got.age.unwrap_or(0)))))
}

/// The name of this machine, for those who wait.
fn host() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|name| !name.is_empty());
    let file = || std::fs::read_to_string("/etc/hostname").ok().map(|name| name.trim().to_owned());
    let name = variable("HOSTNAME").or_else(|| variable("COMPUTERNAME")).or_else(file);
    name.unwrap_or_default().chars().take(64).collect()
}
