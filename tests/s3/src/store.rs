//! The objects, in memory. Its lock is never held while a body travels.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3s::{S3Result, s3_error};

use crate::conditions::Precondition;
use crate::objects::Object;

type Bucket = BTreeMap<String, Arc<Object>>;

#[derive(Default)]
pub(crate) struct Store {
    buckets: Mutex<BTreeMap<String, Bucket>>,
}

impl Store {
    pub(crate) fn new(buckets: &[String]) -> Self {
        let buckets = buckets.iter().map(|name| (name.clone(), Bucket::new())).collect();
        Store { buckets: Mutex::new(buckets) }
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
            Ok(objects.remove(key).is_some())
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
