//! The objects, in memory. Its lock is never held while a body travels; only a directory is written under it.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3s::{S3Error, S3Result, s3_error};

use crate::conditions::Precondition;
use crate::directory::Directory;
use crate::objects::Object;

pub(crate) type Bucket = BTreeMap<String, Arc<Object>>;

pub(crate) struct Store {
    buckets: Mutex<BTreeMap<String, Bucket>>,
    directory: Option<Directory>,
}

impl Store {
    pub(crate) fn new(names: &[String], directory: Option<Directory>) -> io::Result<Self> {
        let mut buckets = BTreeMap::new();
        for name in names {
            let objects = directory.as_ref().map(|directory| directory.load(name)).transpose()?;
            buckets.insert(name.clone(), objects.unwrap_or_default());
        }
        Ok(Store { buckets: Mutex::new(buckets), directory })
    }

    /// Writes, if the condition holds at that moment.
    pub(crate) fn write(
        &self,
        bucket: &str,
        key: &str,
        object: Object,
        condition: Option<&Precondition>,
    ) -> S3Result<()> {
        self.with(bucket, |objects| {
            if let Some(condition) = condition {
                condition.check_write(objects.get(key).map(|object| object.metadata.etag()).as_ref())?;
            }
            if let Some(directory) = &self.directory {
                directory.write(bucket, key, &object).map_err(disk)?;
            }
            objects.insert(key.into(), Arc::new(object));
            Ok(())
        })
    }

    /// Whether the condition of a write would hold now.
    pub(crate) fn check(&self, bucket: &str, key: &str, condition: &Precondition) -> S3Result<()> {
        let object = self.get(bucket, key)?;
        condition.check_write(object.map(|object| object.metadata.etag()).as_ref())
    }

    pub(crate) fn get(&self, bucket: &str, key: &str) -> S3Result<Option<Arc<Object>>> {
        self.with(bucket, |objects| Ok(objects.get(key).cloned()))
    }

    /// Removes, if the condition holds at that moment; whether there was one.
    pub(crate) fn remove(&self, bucket: &str, key: &str, condition: Option<&Precondition>) -> S3Result<bool> {
        self.with(bucket, |objects| {
            if let Some(condition) = condition {
                condition.check_write(objects.get(key).map(|object| object.metadata.etag()).as_ref())?;
            }
            let existed = objects.remove(key).is_some();
            match &self.directory {
                Some(directory) if existed => directory.remove(bucket, key).map_err(disk)?,
                _ => {}
            }
            Ok(existed)
        })
    }

    pub(crate) fn keys(&self, bucket: &str, prefix: &str) -> Vec<String> {
        self.after(bucket, prefix, None)
            .map(|objects| objects.into_iter().map(|(key, _)| key).collect())
            .unwrap_or_default()
    }

    /// The objects whose keys begin with `prefix` and come behind `after`.
    pub(crate) fn after(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&str>,
    ) -> S3Result<Vec<(String, Arc<Object>)>> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        self.with(bucket, |objects| {
            Ok(objects
                .range::<str, _>((start, Bound::Unbounded))
                .take_while(|(key, _)| key.starts_with(prefix))
                .map(|(key, object)| (key.clone(), Arc::clone(object)))
                .collect())
        })
    }

    pub(crate) fn exists(&self, bucket: &str) -> S3Result<()> {
        self.with(bucket, |_| Ok(()))
    }

    fn with<T>(&self, bucket: &str, act: impl FnOnce(&mut Bucket) -> S3Result<T>) -> S3Result<T> {
        match self.lock().get_mut(bucket) {
            Some(objects) => act(objects),
            None => Err(s3_error!(NoSuchBucket, "The specified bucket does not exist")),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Bucket>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn disk(error: io::Error) -> S3Error {
    if error.kind() == io::ErrorKind::InvalidInput {
        return s3_error!(InvalidArgument, "{error}");
    }
    s3_error!(InternalError, "The directory does not take it: {error}")
}
