//! `VERSION`: replaced only where it still is what the publisher has seen.

use relatch::source::Object;

use super::failed::{Asked, Failed, Kind};
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
                None => {
                    let (action, key) = ("s3:GetObject", self.key(object));
                    let why = "the answer has no entity tag to compare with".into();
                    return self.asked(Err(Asked { action, key: &key }.failed_as(Kind::Other, why)));
                }
            },
            (None, None) => Condition::Absent,
            _ => return lost(),
        };
        let Err(failed) = self.write(object, new, condition) else { return Ok(()) };
        // It failed, or it was done by a try whose answer was lost.
        self.become_of(object, (expected, new), Err(failed))
    }

    /// Compare-and-swap under the lock object.
    pub(super) fn swap_locked(
        &self,
        lock: &Lock<'_>,
        object: &Object,
        expected: Option<&[u8]>,
        new: &[u8],
    ) -> Result<Option<()>> {
        self.refuse_other(object, expected)?;
        if !lock.is_held()? {
            return Ok(None);
        }
        let put = self.bucket.put_once(&self.key(object), new.to_vec(), Kept::of(object), Condition::None);
        lock.settle();
        self.become_of(object, (expected, new), put.map(drop)).map(Some)
    }

    /// What became of a write, by what is there: the new bytes, the ones before, or somebody else's.
    fn become_of(
        &self,
        object: &Object,
        (expected, new): (Option<&[u8]>, &[u8]),
        put: std::result::Result<(), Failed>,
    ) -> Result<()> {
        match (self.read(object), put) {
            (Ok(there), _) if there.as_deref() == Some(new) => Ok(()),
            (Ok(there), put) if there.as_deref() == expected => {
                let (action, key) = ("s3:PutObject", self.key(object));
                let unseen = || "it was answered, and what was there before still is".into();
                let failed = put.err().unwrap_or_else(|| Asked { action, key: &key }.failed_as(Kind::Busy, unseen()));
                Err(self.bucket.failure(failed))
            }
            (Ok(_), _) => Err(Failure::LostRace { object: object.clone() }),
            (Err(why), put) => Err(Failure::Unfinished {
                done: match put.map_err(|failed| self.bucket.failure(failed)) {
                    Ok(()) => format!("{object} is written, and what is there now is not known"),
                    Err(failed) => format!("whether {object} was written is not known: {failed}; and then"),
                },
                why: why.into(),
                next: "Clients see the old or the new release, whole. Look which with `signer show`, before anything is released again."
                    .into(),
            }),
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
