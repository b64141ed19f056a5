//! Reads the objects that a check requires from a source.

use std::time::Instant;

use crate::check::{Answer, Wanted};
use crate::error::{Error, Result};
use crate::source::Fetcher;
use crate::trust::Refusal;

impl Fetcher {
    /// Reads an object that a check requires. An object that cannot be read is an [`Answer`] as
    /// well.
    ///
    /// # Errors
    /// [`Error::Local`] and [`Error::Usage`], if the request could not be made.
    pub fn answer(&self, wanted: &Wanted, deadline: Instant) -> Result<Answer> {
        let Wanted { object, limit, if_none_match } = wanted;
        let found = match if_none_match {
            Some(etag) => self.fetch_if_none_match(object, etag, *limit, deadline),
            None => self.fetch_with_etag(object, *limit, deadline).map(Some),
        };
        match found {
            Ok(Some((bytes, etag))) => Ok(Answer::Found(bytes, etag)),
            Ok(None) => Ok(Answer::NotModified),
            Err(Error::Unavailable(why)) => Ok(why.into()),
            Err(Error::Refused(Refusal::Oversized { .. })) => Ok(Answer::Oversized),
            Err(error) => Err(error),
        }
    }
}
