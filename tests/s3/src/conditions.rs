//! `If-Match` and `If-None-Match`: on reads always, on writes as well as the store in question does.

use s3s::dto::{ETag, ETagCondition};
use s3s::{S3Result, s3_error};

/// What the conditions of a write are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conditions {
    /// Checked under the lock under which the object is written, as AWS does: of racing creates exactly one wins.
    #[default]
    Atomic,
    /// Not looked at, as Garage 2.5: a create overwrites.
    Ignored,
    /// Checked, and the object written a tenth of a second later: of creates that race in it all win.
    Racy,
}

/// The conditions of one request.
#[derive(Clone, Default)]
pub(crate) struct Precondition {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
}

/// What a read is answered with.
pub(crate) enum Read {
    Object,
    NotModified,
}

impl Precondition {
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

    /// For a read of the object with this ETag.
    pub(crate) fn check_read(&self, etag: &ETag) -> S3Result<Read> {
        if self.if_match.as_ref().is_some_and(|condition| !matches(condition, etag)) {
            return Err(failed());
        }
        match &self.if_none_match {
            Some(condition) if matches(condition, etag) => Ok(Read::NotModified),
            _ => Ok(Read::Object),
        }
    }
}

fn matches(condition: &ETagCondition, etag: &ETag) -> bool {
    condition.is_any() || condition.as_etag().is_some_and(|wanted| wanted.weak_cmp(etag))
}

fn failed() -> s3s::S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}
