//! Questions about an installation that are answered without a lock, and what is recorded without one.

use std::rc::Rc;
use std::time::Duration;

use super::Installation;
use super::dir::OpenDir;
use super::directories::UnlockedDirectories;
use super::journal::Journal;
use super::records::{CacheFile, Records};
use super::rollback::ensure_may_return;
use super::settings::Settings;
use super::user_dir::open_user_dir;
use crate::check::Cache;
use crate::error::{Error, Local, Result};
use crate::escape::Printable;
use crate::trust::{Digest, Identity, Name, Refusal};

/// The product of a place without a journal: no check succeeded yet, or the journal is damaged.
fn recorded_product(private: &OpenDir) -> Option<Name> {
    CacheFile::load(private).map(|file| file.product().clone())
}

/// What is recorded beside an executable.
pub(crate) struct Recorded {
    pub(crate) journal: Option<Journal>,
    pub(crate) records: Option<Records>,
    /// Why a file is damaged.
    pub(crate) damaged: Option<Refusal>,
}

impl Recorded {
    /// Why the publisher does not let the previous executable come back.
    pub(crate) fn why_not_back(&self) -> Option<Refusal> {
        let (journal, records) = (self.journal.as_ref()?, self.records.as_ref()?);
        ensure_may_return(journal.previous()?, journal.installed(), records).err()
    }
}

impl Installation {
    /// SPEC step 1.
    ///
    /// # Errors
    /// [`Local::UnsafeSite`], with the reason.
    pub fn check_safe(&self) -> Result<()> {
        UnlockedDirectories::open(self)?.check_safe()
    }

    /// SPEC step 1 for a first install, where there is no executable yet.
    pub(crate) fn check_safe_for_new(&self) -> Result<()> {
        UnlockedDirectories::open(self)?.check_safe_for_new()
    }

    /// Whether this user may change anything here.
    pub(crate) fn is_writable(&self) -> bool {
        UnlockedDirectories::open(self).is_ok_and(|opened| opened.is_writable())
    }

    /// What is recorded beside the executable. Without `product`, of whatever product it is.
    ///
    /// # Errors
    /// [`Refusal::StateOfOther`].
    pub(crate) fn recorded(&self, product: Option<&Name>) -> Result<Recorded> {
        let opened = UnlockedDirectories::open(self)?;
        let (journal, damaged) = match opened.private().map_or(Ok(None), Journal::load) {
            Ok(journal) => (journal, None),
            Err(Error::Refused(why)) => (None, Some(why)),
            Err(other) => return Err(other),
        };
        if let (Some(journal), Some(product)) = (&journal, product) {
            journal.ensure_product(product)?;
        }
        let of_journal = journal.as_ref().map(Journal::product);
        let product = product.or(of_journal).cloned().or_else(|| opened.private().and_then(recorded_product));
        let load = |product| Records::load(opened.share_private(), &product);
        let records = product.map(load).transpose()?;
        let damaged = damaged.or_else(|| records.as_ref().and_then(|records| records.damaged().cloned()));
        Ok(Recorded { journal, records, damaged })
    }

    /// The last check of a program of this identity and anchor, and nothing else.
    pub(crate) fn last_check(&self, identity: &Identity, anchor: Digest) -> Result<Option<Cache>> {
        let opened = UnlockedDirectories::open(self)?;
        let file = opened.private().and_then(CacheFile::load);
        Ok(file.and_then(|file| file.about(identity, anchor).cloned()))
    }

    /// Changes the record of the last check, without a lock: it may be lost, or replace a newer one, and the
    /// next check finds it again. Where this user may not write
    /// beside the executable, or others may, it is in the user's own directory.
    ///
    /// # Errors
    /// [`Local::Io`] and [`Local::UnsafeSite`]: there is no place for it.
    pub(crate) fn note<T>(
        &self,
        identity: &Identity,
        anchor: Digest,
        change: impl FnOnce(&mut Cache) -> T,
    ) -> Result<T> {
        let dir = match self.safe_private_dir()? {
            Some(dir) => dir,
            None => open_user_dir(self)?.ok_or_else(|| self.no_place())?,
        };
        // What a check beside the executable found is not hidden by a record that only tells of a failure.
        let beside = || UnlockedDirectories::open(self).ok()?.private().and_then(CacheFile::load);
        let there = CacheFile::load(&dir).or_else(beside);
        let about = there.as_ref().and_then(|file| file.about(identity, anchor));
        let mut cache = about.cloned().unwrap_or_default();
        let result = change(&mut cache);
        CacheFile::of(identity, anchor, cache).save(&dir)?;
        Ok(result)
    }

    /// The directory beside the executable, created if it does not exist; `None` if this user may not
    /// write there, or others may.
    fn safe_private_dir(&self) -> Result<Option<Rc<OpenDir>>> {
        let mut opened = UnlockedDirectories::open(self)?;
        if opened.check_safe().is_err() || !opened.is_writable() {
            return Ok(None);
        }
        opened.ensure_private()
    }

    fn no_place(&self) -> Error {
        let why = "you may not write there, and have no directory of your own for state".into();
        Local::UnsafeSite { path: self.dir().into(), why }.into()
    }

    /// How `relatch` updates this executable.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let opened = UnlockedDirectories::open(self)?;
        let settings = opened.private().map_or(Ok(None), Settings::load)?;
        settings.ok_or_else(|| {
            let why = format!("there are no settings in {}", Printable(self.dir().display()));
            Local::NotInstalled { path: self.executable().into(), why }.into()
        })
    }

    /// The error if there is a journal and no executable. On Windows a swap that is under way has a
    /// moment without one: this waits until it is over.
    pub(crate) fn ensure_executable(&self) -> Result<()> {
        const MOMENTS: u32 = 100;
        for moment in 0..=MOMENTS {
            if !self.is_missing_executable() {
                return Ok(());
            }
            let recorded = UnlockedDirectories::open(self)
                .and_then(|opened| opened.private().map_or(Ok(None), Journal::load));
            let interrupted = matches!(recorded, Ok(Some(journal)) if journal.pending().is_some());
            if !interrupted || moment == MOMENTS {
                return Err(Local::NoExecutable { path: self.executable().into(), interrupted }.into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}
