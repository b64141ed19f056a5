//! The few requests that publishing consists of: bounded, blocking, and with errors that name the
//! request.

use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use relatch::source::Object;

use super::bucket::Bucket;
use super::request_error::{ErrorClass, RequestContext, RequestError};
use crate::aws::chain;
use crate::limits::{S3_PAGES, S3_SMALL_OBJECT};

/// A small object, read into memory.
pub(super) struct SmallObject {
    pub(super) bytes: Vec<u8>,
    pub(super) etag: Option<String>,
    /// Seconds since it was written, by the server's clock only.
    pub(super) age: Option<u64>,
}

/// The condition of a write.
#[derive(Debug, Clone, Copy)]
pub(super) enum WriteCondition<'a> {
    None,
    /// Only if the object does not exist.
    Absent,
    /// Only if the object has this entity tag.
    Matches(&'a str),
}

/// The headers that an object is stored with.
#[derive(Debug, Clone, Copy)]
pub(super) struct ObjectHeaders {
    pub(super) cache_control: &'static str,
    pub(super) content_type: &'static str,
}

impl ObjectHeaders {
    /// For objects that only publishers read.
    pub(super) const PRIVATE: ObjectHeaders =
        ObjectHeaders { cache_control: "no-store", content_type: "application/json" };

    /// `VERSION` may be cached, but must be revalidated each time. All other objects never change.
    pub(super) fn of(object: &Object) -> Self {
        const TEXT: &str = "text/plain; charset=utf-8";
        let cache_control = match object {
            Object::Version(_) => "no-cache",
            _ => "public, max-age=31536000, immutable",
        };
        let content_type = match object {
            Object::Version(_) | Object::RootSignatures(_) | Object::ManifestSignatures(_) => TEXT,
            Object::Root(_) | Object::Manifest(_) => "application/json",
            Object::Blob(_) => "application/octet-stream",
        };
        ObjectHeaders { cache_control, content_type }
    }
}

impl Bucket {
    /// The first `limit` bytes of a small object; `None` if it does not exist.
    pub(super) fn get(&self, key: &str, limit: u64) -> Result<Option<SmallObject>, RequestError> {
        let context = RequestContext { action: "s3:GetObject", key };
        let date = ServerDate::default();
        let request = self.client.get_object().bucket(self.address.bucket()).key(key);
        let request = request.customize().interceptor(date.clone()).send();
        let read = async {
            let answer = match request.await {
                Err(error) => return none_if_absent(context.error(&error)),
                Ok(answer) => answer,
            };
            let (etag, modified) = (answer.e_tag, answer.last_modified);
            let mut body = answer.body;
            let mut bytes = Vec::new();
            while (bytes.len() as u64) < limit {
                let chunk = match body.next().await {
                    None => break,
                    Some(chunk) => chunk,
                };
                let chunk =
                    chunk.map_err(|error| context.error_of(ErrorClass::Unreachable, chain(&error)))?;
                bytes.extend_from_slice(&chunk);
            }
            bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            let age = modified.zip(date.read()).map(|(modified, now)| now.saturating_sub(modified.secs()));
            Ok(Some(SmallObject { bytes, etag, age: age.map(|age| u64::try_from(age).unwrap_or(0)) }))
        };
        self.wait(async {
            let late = || {
                let seconds = S3_SMALL_OBJECT.as_secs();
                context.error_of(ErrorClass::Unreachable, format!("the answer took longer than {seconds} s"))
            };
            tokio::time::timeout(S3_SMALL_OBJECT, read).await.unwrap_or_else(|_| Err(late()))
        })
    }

    /// The size of an object; `None` if it does not exist.
    pub(super) fn head(&self, key: &str) -> Result<Option<u64>, RequestError> {
        let request = self.client.head_object().bucket(self.address.bucket()).key(key).send();
        match self.wait(request) {
            Ok(answer) => Ok(Some(answer.content_length.and_then(|size| size.try_into().ok()).unwrap_or(0))),
            Err(error) => none_if_absent(RequestContext { action: "s3:GetObject", key }.error(&error)),
        }
    }

    /// The server's clock in Unix seconds, by its answer to a request for this object; `None` if
    /// the answer has no date.
    pub(super) fn date(&self, key: &str) -> Result<Option<u64>, RequestError> {
        let date = ServerDate::default();
        let request = self.client.head_object().bucket(self.address.bucket()).key(key);
        let answer = self.wait(request.customize().interceptor(date.clone()).send());
        match (date.read(), answer) {
            (None, Err(error)) => Err(RequestContext { action: "s3:GetObject", key }.error(&error)),
            (date, _) => Ok(date.and_then(|seconds| seconds.try_into().ok())),
        }
    }

    /// Writes a small object, and returns its entity tag.
    pub(super) fn put(
        &self,
        key: &str,
        bytes: Vec<u8>,
        headers: ObjectHeaders,
        condition: WriteCondition<'_>,
    ) -> Result<Option<String>, RequestError> {
        self.put_by(&self.client_for(bytes.len() as u64), key, bytes, headers, condition)
    }

    /// The same without retries.
    pub(super) fn put_once(
        &self,
        key: &str,
        bytes: Vec<u8>,
        headers: ObjectHeaders,
        condition: WriteCondition<'_>,
    ) -> Result<Option<String>, RequestError> {
        self.put_by(&self.once, key, bytes, headers, condition)
    }

    fn put_by(
        &self,
        client: &Client,
        key: &str,
        bytes: Vec<u8>,
        headers: ObjectHeaders,
        condition: WriteCondition<'_>,
    ) -> Result<Option<String>, RequestError> {
        let (if_match, if_none_match) = match condition {
            WriteCondition::None => (None, None),
            WriteCondition::Absent => (None, Some("*".to_owned())),
            WriteCondition::Matches(etag) => (Some(etag.to_owned()), None),
        };
        let request =
            client.put_object().bucket(self.address.bucket()).key(key).body(ByteStream::from(bytes));
        let request = request.cache_control(headers.cache_control).content_type(headers.content_type);
        let request = request.set_if_match(if_match).set_if_none_match(if_none_match);
        let answer = self.wait(request.send());
        answer
            .map(|answer| answer.e_tag)
            .map_err(|error| RequestContext { action: "s3:PutObject", key }.error(&error))
    }

    /// Removes an object.
    pub(super) fn delete(&self, key: &str) -> Result<(), RequestError> {
        self.delete_by(&self.client, key)
    }

    /// The same without retries.
    pub(super) fn delete_once(&self, key: &str) -> Result<(), RequestError> {
        self.delete_by(&self.once, key)
    }

    fn delete_by(&self, client: &Client, key: &str) -> Result<(), RequestError> {
        let request = client.delete_object().bucket(self.address.bucket()).key(key).send();
        self.wait(request)
            .map(drop)
            .map_err(|error| RequestContext { action: "s3:DeleteObject", key }.error(&error))
    }

    /// The names directly below `dir`, which is empty or ends in a slash: objects, and directories
    /// with their slash.
    pub(super) fn names_below(&self, dir: &str) -> Result<(Vec<String>, Vec<String>), RequestError> {
        let context = RequestContext { action: "s3:ListBucket", key: dir };
        let request = self.client.list_objects_v2().bucket(self.address.bucket()).prefix(dir).delimiter("/");
        let mut pages = request.into_paginator().send();
        let (mut objects, mut dirs) = (Vec::new(), Vec::new());
        let below = |name: Option<String>| name.and_then(|name| name.strip_prefix(dir).map(str::to_owned));
        for _ in 0..S3_PAGES {
            let Some(page) = self.wait(pages.next()) else { return Ok((objects, dirs)) };
            let page = page.map_err(|error| context.error(&error))?;
            objects
                .extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| below(object.key)));
            let prefixes = page.common_prefixes.unwrap_or_default().into_iter();
            dirs.extend(prefixes.filter_map(|found| below(found.prefix)));
        }
        Err(context.error_of(ErrorClass::Other, format!("the list has more than {} names", S3_PAGES * 1000)))
    }
}

fn none_if_absent<T>(failed: RequestError) -> Result<Option<T>, RequestError> {
    if failed.class == ErrorClass::Absent { Ok(None) } else { Err(failed) }
}

/// The server's clock, from the `Date` header of its last answer, which the SDK's outputs do not
/// contain.
#[derive(Debug, Clone, Default)]
struct ServerDate(Arc<Mutex<Option<i64>>>);

impl ServerDate {
    fn read(&self) -> Option<i64> {
        self.0.lock().ok().and_then(|date| *date)
    }
}

impl Intercept for ServerDate {
    fn name(&self) -> &'static str {
        "ServerDate"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
        if let Ok(mut known) = self.0.lock() {
            *known = date.map(|date| date.secs());
        }
        Ok(())
    }
}
