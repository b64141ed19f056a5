//! `If-Match` and `If-None-Match`: on reads always, on writes as well as the store in question does.

use hyper::HeaderMap;
use hyper::header::{CACHE_CONTROL, ETAG};
use s3s::dto::{ETag, ETagCondition};
use s3s::{S3Error, S3Result, s3_error};

use crate::objects::Metadata;

/// What the conditions of a write are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conditions {
    /// Checked under the lock under which the object is written, as AWS does: of racing creates exactly one wins.
    #[default]
    Atomic,
    /// Not looked at, as Garage 2.5: a create overwrites.
    Ignored,
    /// Checked, and the object written when another one has been checked as well, or a moment later: of creates that race in it all win.
    Racy,
}

/// The conditions of one request.
#[derive(Clone, Default)]
pub(crate) struct Precondition {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
}

impl Precondition {
    /// Whether there is a condition at all.
    pub(crate) fn is_any(&self) -> bool {
        self.if_match.is_some() || self.if_none_match.is_some()
    }

    /// For a write over the object with this ETag.
    pub(crate) fn check_write(&self, existing: Option<&ETag>) -> S3Result<()> {
        match (&self.if_match, existing) {
            (None, _) => {}
            (Some(_), None) => {
                return Err(s3_error!(NoSuchKey, "The specified key does not exist."));
            }
            (Some(condition), Some(etag)) if matches(condition, etag) => {}
            (Some(_), Some(_)) => return Err(failed()),
        }
        match (&self.if_none_match, existing) {
            (Some(condition), Some(etag)) if matches(condition, etag) => Err(failed()),
            _ => Ok(()),
        }
    }

    /// For a read of the object with this metadata. That it is not modified is an error to s3s, whose body [`crate::backend`] removes.
    pub(crate) fn check_read(&self, metadata: &Metadata) -> S3Result<()> {
        let etag = metadata.etag();
        if self.if_match.as_ref().is_some_and(|condition| !matches(condition, &etag)) {
            return Err(failed());
        }
        if self.if_none_match.as_ref().is_none_or(|condition| !matches(condition, &etag)) {
            return Ok(());
        }
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, etag.to_http_header().map_err(S3Error::internal_error)?);
        if let Some(control) = &metadata.cache_control {
            headers.insert(CACHE_CONTROL, control.parse().map_err(S3Error::internal_error)?);
        }
        let mut unmodified = s3_error!(NotModified);
        unmodified.set_headers(headers);
        Err(unmodified)
    }
}

fn matches(condition: &ETagCondition, etag: &ETag) -> bool {
    condition.is_any() || condition.as_etag().is_some_and(|wanted| wanted.weak_cmp(etag))
}

fn failed() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}
