//! A check by a user who cannot change anything beside the executable. What it remembers is in the
//! user's own directory.

use std::rc::Rc;
use std::time::Duration;

use super::Installation;
use super::dir::OpenDir;
use super::directories::UnlockedDirectories;
use super::journal::Journal;
use super::lock::Lock;
use super::records::Records;
use super::unlocked::Recorded;
use super::user_dir::{Absent, open_user_dir};
use crate::error::Result;
use crate::trust::Name;

/// What a user who changes nothing may know: the journal beside the executable, and the higher of
/// the floors there and of the user's own.
#[derive(Debug)]
pub(crate) struct Observation {
    /// `None` if nothing was recorded, or if it is damaged.
    pub(crate) journal: Option<Journal>,
    pub(crate) records: Records,
    /// Held for a check, if the user has a place for state.
    _lock: Option<Lock>,
}

impl Observation {
    /// Step 1, and the records of both places, for a check.
    ///
    /// # Errors
    /// [`crate::Local::UnsafeSite`]; [`crate::Local::Busy`] if another process of this user checks;
    /// [`crate::Refusal::StateOfOther`].
    pub(crate) fn begin(installation: &Installation, product: &Name, wait: Duration) -> Result<Self> {
        match UnlockedDirectories::open(installation)?.check_safe() {
            // Nothing is changed there. Anyone who can replace the records can replace the program.
            Err(why) if why.is_about_this_user() => {}
            checked => checked?, // 1
        }
        let own = open_user_dir(installation, Absent::Create)?;
        let lock = match &own {
            Some(dir) => Lock::of_user(dir, installation.executable(), wait)?,
            None => None,
        };
        Ok(Observation { _lock: lock, ..Observation::of(installation, product, own)? })
    }

    /// The records of both places, to read.
    ///
    /// # Errors
    /// As from [`Observation::begin`].
    pub(crate) fn read(installation: &Installation, product: &Name) -> Result<Self> {
        Observation::of(installation, product, open_user_dir(installation, Absent::Leave)?)
    }

    fn of(installation: &Installation, product: &Name, own: Option<Rc<OpenDir>>) -> Result<Self> {
        let Recorded { journal, records: beside, .. } = installation.recorded(Some(product))?;
        let mut records = Records::load(own, product)?;
        // A damaged file of the user's own: these floors protect against a network, not against
        // this user, who can start another program.
        records.verified();
        if let Some(beside) = &beside {
            records.raise_to(beside);
        }
        Ok(Observation { journal, records, _lock: None })
    }
}
