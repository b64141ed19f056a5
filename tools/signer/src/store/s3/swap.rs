//! `VERSION`: replaced only where it still is what the publisher has seen.

use relatch::source::Object;

use super::failed::Kind;
use super::lock::Lock;
use super::requests::{Condition, Kept};
use super::{S3Store, VERSION_LIMIT};
use crate::store::Store as _;
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
        // The tag must be that of the very bytes that are compared.
        let got = self.asked(self.bucket.get(&self.key(object), VERSION_LIMIT))?;
        let condition = match (&got, expected) {
            (Some(got), Some(expected)) if got.bytes == expected => match &got.etag {
                Some(etag) => Condition::Matches(etag),
                None => return lost(),
            },
            (None, None) => Condition::Absent,
            _ => return lost(),
        };
        let Err(failed) = self.write(object, new, condition) else { return Ok(()) };
        // It failed, or it was done by a try whose answer was lost.
        let there = self.read(object)?;
        let is_refusal = matches!(failed.kind, Kind::Precondition | Kind::Conflict | Kind::Absent);
        match there.as_deref() {
            there if there == Some(new) => Ok(()),
            there if there == expected && !is_refusal => Err(self.bucket.failure(failed)),
            _ => lost(),
        }
    }

    /// Compare-and-swap under the lock object.
    pub(super) fn swap_locked(
        &self,
        lock: &Lock<'_>,
        object: &Object,
        expected: Option<&[u8]>,
        new: &[u8],
    ) -> Result<()> {
        let lost = || Err(Failure::LostRace { object: object.clone() });
        self.refuse_other(object, expected)?;
        if !lock.is_held()? {
            return lost();
        }
        let put = self.bucket.put_once(&self.key(object), new.to_vec(), Kept::of(object), Condition::None);
        lock.settle();
        match (self.read(object)?.as_deref(), put) {
            (there, _) if there == Some(new) => Ok(()),
            (there, Err(failed)) if there == expected => Err(self.bucket.failure(failed)),
            _ => lost(),
        }
    }

    /// Whether there still is what the publisher has seen.
    pub(super) fn refuse_other(&self, object: &Object, expected: Option<&[u8]>) -> Result<()> {
        match self.read(object)?.as_deref() == expected {
            true => Ok(()),
            false => Err(Failure::LostRace { object: object.clone() }),
        }
    }
}
