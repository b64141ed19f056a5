//! The few requests that publishing is made of: bounded, waited for, and with a failure that says what it was.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{ByteStream, DateTime, DateTimeFormat};
use relatch::source::Object;

use super::bucket::Bucket;
use super::failed::{Asked, Failed, Kind};
use crate::aws::chain;

/// How long a small object may take, with all tries.
const SMALL_OBJECT: Duration = Duration::from_secs(60);
/// Pages of a list, of a thousand names each.
const PAGES: usize = 1000;

/// A small object as it was read.
pub(super) struct Got {
    pub(super) bytes: Vec<u8>,
    pub(super) etag: Option<String>,
    /// Seconds between its writing and its reading, by the server's clock alone.
    pub(super) age: Option<u64>,
}

/// Under which condition an object is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Condition<'a> {
    None,
    /// Only where there is none.
    Absent,
    /// Only over this one.
    Matches(&'a str),
}

/// How an object is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) cache: &'static str,
    pub(super) content: &'static str,
}

impl Kept {
    /// For objects that concern publishers alone.
    pub(super) const PRIVATE: Kept = Kept { cache: "no-store", content: "application/json" };

    /// All but `VERSION` never change. `VERSION` may be kept, and is asked for again each time.
    pub(super) fn of(object: &Object) -> Self {
        const TEXT: &str = "text/plain; charset=utf-8";
        let cache = match object {
            Object::Version(_) => "no-cache",
            _ => "public, max-age=31536000, immutable",
        };
        let content = match object {
            Object::Version(_) | Object::RootSignatures(_) | Object::ManifestSignatures(_) => TEXT,
            Object::Root(_) | Object::Manifest(_) => "application/json",
            Object::Blob(_) => "application/octet-stream",
        };
        Kept { cache, content }
    }
}

impl Bucket {
    /// A small object, up to `limit` bytes of it; `None` where there is none.
    pub(super) fn get(&self, key: &str, limit: u64) -> Result<Option<Got>, Failed> {
        let asked = Asked { action: "s3:GetObject", key };
        let date = Date::default();
        let request = self.client.get_object().bucket(self.address.bucket()).key(key);
        let request = request.customize().interceptor(date.clone()).send();
        let read = async {
            let answer = match request.await {
                Err(error) => return none_where_absent(asked.failed(&error)),
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
                let chunk = chunk.map_err(|error| asked.failed_as(Kind::Unreachable, chain(&error)))?;
                bytes.extend_from_slice(&chunk);
            }
            bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            let age = modified.zip(date.read()).map(|(modified, now)| now.saturating_sub(modified.secs()));
            Ok(Some(Got { bytes, etag, age: age.map(|age| u64::try_from(age).unwrap_or(0)) }))
        };
        self.wait(async {
            let late =
                || asked.failed_as(Kind::Unreachable, format!("no end within {} s", SMALL_OBJECT.as_secs()));
            tokio::time::timeout(SMALL_OBJECT, read).await.unwrap_or_else(|_| Err(late()))
        })
    }

    /// The size of an object; `None` where there is none.
    pub(super) fn head(&self, key: &str) -> Result<Option<u64>, Failed> {
        let request = self.client.head_object().bucket(self.address.bucket()).key(key).send();
        match self.wait(request) {
            Ok(answer) => Ok(Some(answer.content_length.and_then(|size| size.try_into().ok()).unwrap_or(0))),
            Err(error) => none_where_absent(Asked { action: "s3:GetObject", key }.failed(&error)),
        }
    }

    /// Writes a small object. The entity tag that it got.
    pub(super) fn put(
        &self,
        key: &str,
        bytes: Vec<u8>,
        kept: Kept,
        condition: Condition<'_>,
    ) -> Result<Option<String>, Failed> {
        self.put_by(&self.client_for(bytes.len() as u64), key, bytes, kept, condition)
    }

    /// The same with one try only.
    pub(super) fn put_once(
        &self,
        key: &str,
        bytes: Vec<u8>,
        kept: Kept,
        condition: Condition<'_>,
    ) -> Result<Option<String>, Failed> {
        self.put_by(&self.once, key, bytes, kept, condition)
    }

    fn put_by(
        &self,
        client: &Client,
        key: &str,
        bytes: Vec<u8>,
        kept: Kept,
        condition: Condition<'_>,
    ) -> Result<Option<String>, Failed> {
        let (if_match, if_none_match) = match condition {
            Condition::None => (None, None),
            Condition::Absent => (None, Some("*".to_owned())),
            Condition::Matches(etag) => (Some(etag.to_owned()), None),
        };
        let request =
            client.put_object().bucket(self.address.bucket()).key(key).body(ByteStream::from(bytes));
        let request = request.cache_control(kept.cache).content_type(kept.content);
        let request = request.set_if_match(if_match).set_if_none_match(if_none_match);
        let answer = self.wait(request.send());
        answer
            .map(|answer| answer.e_tag)
            .map_err(|error| Asked { action: "s3:PutObject", key }.failed(&error))
    }

    /// Removes an object.
    pub(super) fn delete(&self, key: &str) -> Result<(), Failed> {
        self.delete_by(&self.client, key)
    }

    /// The same with one try only.
    pub(super) fn delete_once(&self, key: &str) -> Result<(), Failed> {
        self.delete_by(&self.once, key)
    }

    fn delete_by(&self, client: &Client, key: &str) -> Result<(), Failed> {
        let request = client.delete_object().bucket(self.address.bucket()).key(key).send();
        self.wait(request).map(drop).map_err(|error| Asked { action: "s3:DeleteObject", key }.failed(&error))
    }

    /// The names directly below `dir` (empty, or with a slash at its end): objects, and what stands before the next slash.
    pub(super) fn names_below(&self, dir: &str) -> Result<(Vec<String>, Vec<String>), Failed> {
        let asked = Asked { action: "s3:ListBucket", key: dir };
        let request = self.client.list_objects_v2().bucket(self.address.bucket()).prefix(dir).delimiter("/");
        let mut pages = request.into_paginator().send();
        let (mut objects, mut dirs) = (Vec::new(), Vec::new());
        let below = |name: Option<String>| name.and_then(|name| name.strip_prefix(dir).map(str::to_owned));
        for _ in 0..PAGES {
            let Some(page) = self.wait(pages.next()) else { return Ok((objects, dirs)) };
            let page = page.map_err(|error| asked.failed(&error))?;
            objects
                .extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| below(object.key)));
            let prefixes = page.common_prefixes.unwrap_or_default().into_iter();
            dirs.extend(prefixes.filter_map(|found| below(found.prefix)));
        }
        Err(asked.failed_as(Kind::Other, format!("there are more than {} objects", PAGES * 1000)))
    }
}

fn none_where_absent<T>(failed: Failed) -> Result<Option<T>, Failed> {
    if failed.kind == Kind::Absent { Ok(None) } else { Err(failed) }
}

/// The server's clock, from the `Date` of its last answer: what the SDK's outputs do not tell.
#[derive(Debug, Clone, Default)]
struct Date(Arc<Mutex<Option<i64>>>);

impl Date {
    fn read(&self) -> Option<i64> {
        self.0.lock().ok().and_then(|date| *date)
    }
}

impl Intercept for Date {
    fn name(&self) -> &'static str {
        "Date"
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
