//! A bucket as a [`Store`].

use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_credential_types::Credentials;
use relatch::source::{Fetcher, Https, Object};
use relatch::trust::{Digest, Name};

use super::bucket::Bucket;
use super::conditions::{ConditionalWrites, probe};
use super::lock::{LOCK, LockObject, LockTimes, LockWait};
use super::request_error::{ErrorClass, RequestError};
use super::upload::Uploads;
use crate::limits::VERSION_READ;
use crate::progress::Progress;
use crate::store::contract::{Body, Put, Store, StoreClock, listed, manifests_among};
use crate::store::options::S3Options;
use crate::{Failure, Result};

/// A repository below `s3://bucket/prefix`.
pub struct S3Store {
    pub(super) bucket: Bucket,
    pub(super) uploads: Uploads,
    pub(super) times: LockTimes,
    /// Probed once, before the first write.
    pub(super) conditions: Mutex<Option<ConditionalWrites>>,
    pub(super) remarks: Mutex<Vec<String>>,
}

impl S3Store {
    /// A repository at `s3://bucket/prefix`, with the credentials that AWS's own tools would find.
    ///
    /// # Errors
    /// For an invalid address. The first read shows whether the bucket exists.
    pub fn open(location: &str, options: &S3Options) -> Result<Self> {
        Bucket::open(location, options, None).map(S3Store::of)
    }

    /// The same with the caller's key pair.
    ///
    /// # Errors
    /// As [`S3Store::open`].
    pub fn open_with(
        location: &str,
        options: &S3Options,
        access_key: &str,
        secret_key: &str,
    ) -> Result<Self> {
        let keys = Credentials::new(access_key, secret_key, None, None, "caller");
        Bucket::open(location, options, Some(keys)).map(S3Store::of)
    }

    pub(super) fn of(bucket: Bucket) -> Self {
        S3Store {
            bucket,
            uploads: Uploads::new(),
            times: LockTimes::default(),
            conditions: Mutex::default(),
            remarks: Mutex::default(),
        }
    }

    /// The same store with other times for the lock object. All publishers of a repository must use
    /// the same times.
    pub fn with_lock_times(self, times: LockTimes) -> Self {
        S3Store { times, ..self }
    }

    /// How the server treats conditional writes. The first call probes it.
    pub(super) fn conditions(&self) -> Result<ConditionalWrites> {
        let mut known = lock_mutex(&self.conditions);
        if let Some(conditions) = *known {
            return Ok(conditions);
        }
        let result = probe(&self.bucket).map_err(|failed| self.bucket.failure(failed))?;
        *known = Some(result.conditions);
        let mut remarks = lock_mutex(&self.remarks);
        remarks.push(result.conditions.remark().into());
        if let Some((keys, failed)) = result.leftover {
            let why = self.bucket.failure(failed);
            let keys = keys.join(", ");
            remarks.push(format!("the objects of the probe could not be removed; remove {keys}: {why}"));
        }
        Ok(result.conditions)
    }

    /// Runs `work` under the lock object, and again if `work` returns `None` because the lock was
    /// lost.
    pub(super) fn under_lock<T>(
        &self,
        object: &Object,
        progress: &dyn Progress,
        precondition: impl Fn() -> Result<()>,
        work: impl Fn(&LockObject<'_>) -> Result<Option<T>>,
    ) -> Result<T> {
        let mut wait = LockWait::new(&self.bucket, object, self.times);
        loop {
            let lock = wait.take(progress, &precondition)?;
            let done = work(&lock);
            lock_mutex(&self.remarks).extend(lock.release());
            match done {
                Ok(None) => wait.ensure_time_left()?,
                Ok(Some(done)) => return Ok(done),
                Err(failure) => return Err(failure),
            }
        }
    }

    pub(super) fn key(&self, object: &Object) -> String {
        self.bucket.address.key_of(object)
    }

    /// Adds the address of the bucket and advice to an error.
    pub(super) fn with_advice<T>(&self, answer: std::result::Result<T, RequestError>) -> Result<T> {
        answer.map_err(|failed| self.bucket.failure(failed))
    }
}

impl Store for S3Store {
    fn source(&self) -> Fetcher {
        self.bucket.source.clone()
    }

    fn public_source(&self) -> Option<Fetcher> {
        let base = self.bucket.address.url_of("");
        let https =
            if base.starts_with("http:") { Https::plain_on_loopback(&base) } else { Https::new(&base) };
        https.ok().map(Fetcher::new)
    }

    fn prepare(&self) -> Result<()> {
        self.conditions().map(drop)
    }

    /// The `Date` of an answer, whatever the answer is.
    fn clock(&self) -> Result<Option<StoreClock>> {
        let date = self.with_advice(self.bucket.date(&self.key(&Object::Root(1))))?;
        let advice = match self.bucket.address.endpoint() {
            None => "Set this machine's clock: that of AWS is right.",
            Some(_) => {
                "Look at this machine's clock first, then at the server's: compare both with a third \
                 clock, and set the wrong one."
            }
        };
        Ok(date.map(|now| StoreClock { now, advice }))
    }

    fn remarks(&self) -> Vec<String> {
        [lock_mutex(&self.remarks).clone(), self.uploads.leftovers()].concat()
    }

    fn put_new(&self, object: &Object, body: Body<'_>, progress: &dyn Progress) -> Result<Put> {
        match (object, body) {
            (Object::Blob(_), body) => self.put_blob(object, body, progress),
            (_, Body::Bytes(bytes)) => self.put_document(object, bytes, progress),
            (_, Body::File(_)) => {
                Err(Failure::usage(format!("{object} is not a blob: it must be written from memory")))
            }
        }
    }

    fn read(&self, object: &Object) -> Result<Option<Vec<u8>>> {
        let got = self.bucket.get(&self.key(object), VERSION_READ);
        Ok(self.with_advice(got)?.map(|got| got.bytes))
    }

    fn swap(
        &self,
        object: &Object,
        expected: Option<&[u8]>,
        new: &[u8],
        progress: &dyn Progress,
    ) -> Result<()> {
        match self.conditions()? {
            ConditionalWrites::Atomic => self.swap_conditionally(object, expected, new),
            ConditionalWrites::NotAtomic | ConditionalWrites::Ignored => {
                let precondition = || self.ensure_unchanged(object, expected);
                let swap = |lock: &LockObject<'_>| self.swap_locked(lock, object, expected, new);
                self.under_lock(object, progress, precondition, swap)
            }
        }
    }

    fn list(&self) -> Result<Vec<Object>> {
        let mut objects = Vec::new();
        for dir in ["manifests", "blobs"] {
            let below = self.bucket.address.key_of(format_args!("{dir}/"));
            let (names, dirs) = self.with_advice(self.bucket.names_below(&below))?;
            // Lock objects expire by themselves.
            for name in names.iter().chain(&dirs).filter(|name| !name.starts_with(LOCK)) {
                objects.extend(listed(dir, name)?);
            }
        }
        Ok(objects)
    }

    fn manifests(&self) -> Result<Option<Vec<Digest>>> {
        match self.bucket.names_below(&self.bucket.address.key_of("manifests/")) {
            Ok((names, _)) => Ok(Some(manifests_among(names.iter().map(String::as_str)))),
            Err(failed) if failed.class == ErrorClass::Denied => Ok(None),
            Err(failed) => Err(self.bucket.failure(failed)),
        }
    }

    fn channels(&self) -> Result<Vec<Name>> {
        let (_, dirs) = self.with_advice(self.bucket.names_below(&self.bucket.address.key_of("")))?;
        let mut channels = Vec::new();
        for dir in dirs {
            let dir = dir.trim_end_matches('/');
            let version = self.bucket.address.key_of(format_args!("{dir}/VERSION"));
            if self.with_advice(self.bucket.head(&version))?.is_some() {
                channels.push(dir.parse().map_err(Failure::usage)?);
            }
        }
        channels.sort();
        Ok(channels)
    }

    fn location(&self) -> String {
        self.bucket.address.to_string()
    }
}

/// Ignores poisoning: the values are complete even if a thread panicked while it held the mutex.
fn lock_mutex<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
