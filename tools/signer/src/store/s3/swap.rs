//! `VERSION`: replaced only if it is still the one that the publisher has read.

use relatch::source::Object;

use super::lock::LockObject;
use super::request_error::{ErrorClass, RequestContext, RequestError};
use super::requests::{ObjectHeaders, WriteCondition};
use super::store::S3Store;
use crate::limits::VERSION_READ;
use crate::store::contract::Store as _;
use crate::{Failure, Result};

impl S3Store {
    /// Compare-and-swap by the server.
    pub(super) fn swap_conditionally(
        &self,
        object: &Object,
        expected: Option<&[u8]>,
        new: &[u8],
    ) -> Result<()> {
        let lost = || Err(Failure::LostRace { object: object.clone() });
        // The entity tag must belong to the bytes that are compared, so both come from one answer.
        let got = self.with_advice(self.bucket.get(&self.key(object), VERSION_READ))?;
        let condition = match (&got, expected) {
            (Some(got), Some(expected)) if got.bytes == expected => match &got.etag {
                Some(etag) => WriteCondition::Matches(etag),
                None => {
                    let (action, key) = ("s3:GetObject", self.key(object));
                    let why = "the answer has no entity tag".into();
                    return self.with_advice(Err(
                        RequestContext { action, key: &key }.error_of(ErrorClass::Other, why)
                    ));
                }
            },
            (None, None) => WriteCondition::Absent,
            _ => return lost(),
        };
        let Err(failed) = self.write(object, new, condition) else { return Ok(()) };
        // The write failed, or an earlier attempt succeeded and its answer was lost.
        self.outcome_of_write(object, (expected, new), Err(failed))
    }

    /// Compare-and-swap under the lock object.
    pub(super) fn swap_locked(
        &self,
        lock: &LockObject<'_>,
        object: &Object,
        expected: Option<&[u8]>,
        new: &[u8],
    ) -> Result<Option<()>> {
        self.ensure_unchanged(object, expected)?;
        if !lock.is_held()? {
            return Ok(None);
        }
        let put = self.bucket.put_once(
            &self.key(object),
            new.to_vec(),
            ObjectHeaders::of(object),
            WriteCondition::None,
        );
        lock.settle();
        self.outcome_of_write(object, (expected, new), put.map(drop)).map(Some)
    }

    /// Whether a write took effect, by what is stored now: the new bytes, the old ones, or those of
    /// another publisher.
    fn outcome_of_write(
        &self,
        object: &Object,
        (expected, new): (Option<&[u8]>, &[u8]),
        put: std::result::Result<(), RequestError>,
    ) -> Result<()> {
        match (self.read(object), put) {
            (Ok(found), _) if found.as_deref() == Some(new) => Ok(()),
            (Ok(found), put) if found.as_deref() == expected => {
                let (action, key) = ("s3:PutObject", self.key(object));
                let without_effect = || {
                    let why = "the server confirmed the write, but the object is unchanged".into();
                    RequestContext { action, key: &key }.error_of(ErrorClass::Busy, why)
                };
                Err(self.bucket.failure(put.err().unwrap_or_else(without_effect)))
            }
            (Ok(_), _) => Err(Failure::LostRace { object: object.clone() }),
            (Err(why), put) => Err(Failure::Unfinished {
                done: match put.map_err(|failed| self.bucket.failure(failed)) {
                    Ok(()) => format!("{object} was written, but reading it back failed"),
                    Err(failed) => {
                        format!(
                            "it is unknown whether {object} was written: {failed}; reading it back \
                             failed"
                        )
                    }
                },
                why: why.into(),
                next: "Clients see either the old or the new release, and it is complete. Check \
                     which one with `signer show` before you publish again."
                    .into(),
            }),
        }
    }

    /// Refuses to continue if `VERSION` is no longer the one that the publisher has read.
    pub(super) fn ensure_unchanged(&self, object: &Object, expected: Option<&[u8]>) -> Result<()> {
        match self.read(object)?.as_deref() == expected {
            true => Ok(()),
            false => Err(Failure::LostRace { object: object.clone() }),
        }
    }
}
