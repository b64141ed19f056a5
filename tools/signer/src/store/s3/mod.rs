//! A repository in a bucket (SPEC section 8.2).
//!
//! ```text
//! environment what AWS's own tools would take from it
//! bucket      where the repository is
//! requests    what is asked of it
//! failed      what it means when that fails
//! conditions  what the server does with conditions of writes
//! lock        what is done where they are worth nothing
//! immutable   objects that are written once
//! upload      blobs, in parts where they are large
//! swap        VERSION
//! ```

mod bucket;
mod conditions;
mod environment;
mod failed;
mod immutable;
mod lock;
mod requests;
mod swap;
mod upload;

use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_credential_types::Credentials;
use relatch::source::{Fetcher, Https, Object};
use relatch::trust::Name;

pub use lock::LockTimes;

use self::bucket::Bucket;
use self::conditions::{Conditions, probe};
use self::failed::Failed;
use self::lock::{LOCK, Lock, Wait};
use self::upload::Uploads;
use super::{Content, Put, Server, Store, listed};
use crate::progress::Progress;
use crate::{Failure, Result};

/// A repository below `s3://bucket/prefix`.
pub struct S3Store {
    bucket: Bucket,
    uploads: Uploads,
    times: LockTimes,
    /// Found out before the first write, once.
    conditions: Mutex<Option<Conditions>>,
    remarks: Mutex<Vec<String>>,
}

impl S3Store {
    /// Publishes below `s3://bucket/prefix`, with the credentials that AWS's own tools would find.
    ///
    /// # Errors
    /// For what is no address. Whether the bucket exists shows when it is read.
    pub fn open(location: &str, server: &Server) -> Result<Self> {
        Bucket::open(location, server, None).map(S3Store::of)
    }

    /// The same with a key pair that the caller has.
    ///
    /// # Errors
    /// As [`S3Store::open`].
    pub fn open_with(location: &str, server: &Server, access_key: &str, secret_key: &str) -> Result<Self> {
        let keys = Credentials::new(access_key, secret_key, None, None, "caller");
        Bucket::open(location, server, Some(keys)).map(S3Store::of)
    }

    fn of(bucket: Bucket) -> Self {
        S3Store {
            bucket,
            uploads: Uploads::new(),
            times: LockTimes::default(),
            conditions: Mutex::default(),
            remarks: Mutex::default(),
        }
    }

    /// The same with other times for the lock object. All publishers of a repository must have the same.
    pub fn with_lock_times(self, times: LockTimes) -> Self {
        S3Store { times, ..self }
    }

    /// What the server does with conditions; asked once.
    fn conditions(&self) -> Result<Conditions> {
        let mut known = locked(&self.conditions);
        if let Some(conditions) = *known {
            return Ok(conditions);
        }
        let found = probe(&self.bucket).map_err(|failed| self.bucket.failure(failed))?;
        *known = Some(found.conditions);
        let mut remarks = locked(&self.remarks);
        remarks.push(found.conditions.told().into());
        if let Some((keys, failed)) = found.left {
            let why = self.bucket.failure(failed);
            remarks.push(format!(
                "the probe's objects were not removed, and may be: {}: {why}",
                keys.join(", ")
            ));
        }
        Ok(found.conditions)
    }

    /// Does what must not be done by two at a time; again where `work` finds the lock lost.
    fn locked<T>(
        &self,
        object: &Object,
        progress: &dyn Progress,
        go_on: impl Fn() -> Result<()>,
        work: impl Fn(&Lock<'_>) -> Result<Option<T>>,
    ) -> Result<T> {
        let mut wait = Wait::new(&self.bucket, object, self.times);
        loop {
            let lock = wait.take(progress, &go_on)?;
            let done = work(&lock);
            locked(&self.remarks).extend(lock.release());
            match done {
                Ok(None) => wait.refuse_late()?,
                Ok(Some(done)) => return Ok(done),
                Err(failure) => return Err(failure),
            }
        }
    }

    fn key(&self, object: &Object) -> String {
        self.bucket.address.key_of(object)
    }

    fn asked<T>(&self, answer: std::result::Result<T, Failed>) -> Result<T> {
        answer.map_err(|failed| self.bucket.failure(failed))
    }
}

/// As much of `VERSION` as is ever read.
const VERSION_LIMIT: u64 = relatch::limits::VERSION_FILE.0 + 1;

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

    fn remarks(&self) -> Vec<String> {
        [locked(&self.remarks).clone(), self.uploads.left()].concat()
    }

    fn put_new(&self, object: &Object, content: Content<'_>, progress: &dyn Progress) -> Result<Put> {
        match (object, content) {
            (Object::Blob(_), content) => self.put_blob(object, content, progress),
            (_, Content::Bytes(bytes)) => self.put_document(object, bytes, progress),
            (_, Content::File(_)) => {
                Err(Failure::usage(format!("{object} is no blob: it is put from memory")))
            }
        }
    }

    fn read(&self, object: &Object) -> Result<Option<Vec<u8>>> {
        let got = self.bucket.get(&self.key(object), VERSION_LIMIT);
        Ok(self.asked(got)?.map(|got| got.bytes))
    }

    fn swap(
        &self,
        object: &Object,
        expected: Option<&[u8]>,
        new: &[u8],
        progress: &dyn Progress,
    ) -> Result<()> {
        match self.conditions()? {
            Conditions::Atomic => self.swap_conditionally(object, expected, new),
            Conditions::NotAtomic | Conditions::Ignored => {
                let go_on = || self.refuse_other(object, expected);
                self.locked(object, progress, go_on, |lock| self.swap_locked(lock, object, expected, new))
            }
        }
    }

    fn list(&self) -> Result<Vec<Object>> {
        let mut objects = Vec::new();
        for dir in ["manifests", "blobs"] {
            let below = self.bucket.address.key_of(format_args!("{dir}/"));
            let (names, dirs) = self.asked(self.bucket.names_below(&below))?;
            // A lock is a publisher's, and ends by itself.
            for name in names.iter().chain(&dirs).filter(|name| !name.starts_with(LOCK)) {
                objects.extend(listed(dir, name)?);
            }
        }
        Ok(objects)
    }

    fn channels(&self) -> Result<Vec<Name>> {
        let (_, dirs) = self.asked(self.bucket.names_below(&self.bucket.address.key_of("")))?;
        let mut channels = Vec::new();
        for dir in dirs {
            let dir = dir.trim_end_matches('/');
            let version = self.bucket.address.key_of(format_args!("{dir}/VERSION"));
            if self.asked(self.bucket.head(&version))?.is_some() {
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

/// What a thread that panicked left is as good as what it found.
fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
