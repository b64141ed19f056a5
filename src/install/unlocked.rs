//! Questions about an installation that are answered without a lock, and what is recorded without
//! one.

use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use super::Installation;
use super::digest::digest_of;
use super::dir::{Entry, OpenDir};
use super::directories::UnlockedDirectories;
use super::journal::Journal;
use super::lock::Lock;
use super::names;
use super::records::{CacheFile, Records};
use super::rollback::{self, Goal};
use super::settings::Settings;
use super::user_dir::{Absent, open_user_dir};
use crate::check::Cache;
use crate::error::{Error, Local, Result, io};
use crate::escape::Printable;
use crate::trust::{Digest, Identity, Name, Refusal, Version};

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
    /// What going there would bring back.
    pub(crate) fn next(&self, goal: Goal<'_>) -> Option<Version> {
        let (journal, records) = self.journal.as_ref().zip(self.records.as_ref())?;
        rollback::next(journal, records, goal)
    }

    /// The kept versions that the publisher does not let come back, and why.
    pub(crate) fn refused(&self) -> Vec<(Version, Refusal)> {
        let read = self.journal.as_ref().zip(self.records.as_ref());
        read.map(|(journal, records)| rollback::refused(journal, records)).unwrap_or_default()
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

    /// Whether this user may change anything here. Not if the user may not even look.
    ///
    /// # Errors
    /// [`Local::Io`] if the system does not report it; [`Local::UnsafeSite`].
    pub(crate) fn is_writable(&self) -> Result<bool> {
        match UnlockedDirectories::open(self) {
            Err(Error::Local(Local::Io { error, .. })) if error.kind() == ErrorKind::PermissionDenied => {
                Ok(false)
            }
            opened => opened?.is_writable().map_err(io("look at", self.dir())),
        }
    }

    /// Why this user cannot change anything here, for a reason that the owner does not have; `None`
    /// if the user can, as far as that is known before it is tried.
    ///
    /// # Errors
    /// As from [`Installation::is_writable`].
    pub(crate) fn why_not_changed(&self) -> Result<Option<Error>> {
        let opened = UnlockedDirectories::open(self)?;
        for checked in [opened.check_safe(), opened.ensure_may_change()] {
            match checked {
                Err(why) if why.is_about_this_user() => return Ok(Some(why)),
                // The update reports it.
                Err(Error::Local(Local::UnsafeSite { .. })) => {}
                checked => checked?,
            }
        }
        Ok(None)
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

    /// Changes the record of the last check, without a lock: it may be lost, or replace a newer
    /// one, and the next check finds it again. Where this user may not write beside the executable,
    /// or other users may, it is in the user's own directory.
    ///
    /// # Errors
    /// [`Local::Io`]: there is no place for it.
    pub(crate) fn note<T>(
        &self,
        identity: &Identity,
        anchor: Digest,
        change: impl FnOnce(&mut Cache) -> T,
    ) -> Result<T> {
        let dir = match self.safe_private_dir()? {
            Some(dir) => dir,
            None => self.user_dir()?,
        };
        self.note_in(&dir, identity, anchor, change)
    }

    /// The same, never beside the executable.
    ///
    /// # Errors
    /// As from [`Installation::note`].
    pub(crate) fn note_for_user<T>(
        &self,
        identity: &Identity,
        anchor: Digest,
        change: impl FnOnce(&mut Cache) -> T,
    ) -> Result<T> {
        let dir = self.user_dir()?;
        self.note_in(&dir, identity, anchor, change)
    }

    fn user_dir(&self) -> Result<Rc<OpenDir>> {
        let denied = || io("write in", self.dir())(ErrorKind::PermissionDenied.into());
        open_user_dir(self, Absent::Create)?.ok_or_else(denied)
    }

    fn note_in<T>(
        &self,
        dir: &OpenDir,
        identity: &Identity,
        anchor: Digest,
        change: impl FnOnce(&mut Cache) -> T,
    ) -> Result<T> {
        // What a check beside the executable found is not hidden by a record that only tells of a
        // failure.
        let beside = || UnlockedDirectories::open(self).ok()?.private().and_then(CacheFile::load);
        let there = CacheFile::load(dir).or_else(beside);
        let about = there.as_ref().and_then(|file| file.about(identity, anchor));
        let mut cache = about.cloned().unwrap_or_default();
        let result = change(&mut cache);
        CacheFile::of(identity, anchor, cache).save(dir)?;
        Ok(result)
    }

    /// The directory beside the executable, created if it does not exist; `None` if this user may
    /// not write there, or others may.
    fn safe_private_dir(&self) -> Result<Option<Rc<OpenDir>>> {
        let mut opened = match UnlockedDirectories::open(self) {
            // A file or a link is in its place, or it cannot be opened: that is what is recorded.
            Err(Error::Local(Local::UnsafeSite { .. } | Local::Io { .. })) => return Ok(None),
            opened => opened?,
        };
        if opened.check_safe().is_err() || !opened.is_writable().map_err(io("look at", self.dir()))? {
            return Ok(None);
        }
        match opened.ensure_private() {
            // The reason is what is to be recorded.
            Err(Error::Local(Local::CannotUpdate { .. } | Local::UnsafeSite { .. })) => Ok(None),
            Ok(Some(private)) if opened.was_made() && !Lock::is_possible(&private, self.executable()) => {
                // Nothing is left where no update will ever be.
                opened.remove_made();
                Ok(None)
            }
            found => found,
        }
    }

    /// The hash of the executable.
    pub(crate) fn digest(&self) -> Result<Digest> {
        let opened = UnlockedDirectories::open(self)?;
        let mut file = opened.executable().open().map_err(io("open", self.executable()))?;
        let (_, found) = digest_of(&mut file).map_err(io("read", self.executable()))?;
        Ok(found)
    }

    /// The error if this user may not read what is recorded beside the executable.
    pub(crate) fn ensure_records_readable(&self) -> Result<()> {
        self.ensure_readable(&UnlockedDirectories::open(self)?)
    }

    fn ensure_readable(&self, opened: &UnlockedDirectories) -> Result<()> {
        match opened.is_closed() {
            true => Err(io("read", self.dir())(ErrorKind::PermissionDenied.into())),
            false => Ok(()),
        }
    }

    /// How `relatch` updates this executable.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let opened = UnlockedDirectories::open(self)?;
        self.ensure_readable(&opened)?;
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
            if !self.is_missing_executable()? {
                return Ok(());
            }
            let interrupted = is_swapping(&UnlockedDirectories::open(self)?)?;
            if !interrupted || moment == MOMENTS {
                return Err(Local::NoExecutable { path: self.executable().into(), interrupted }.into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Whether a swap is in progress, or was interrupted.
fn is_swapping(opened: &UnlockedDirectories) -> Result<bool> {
    let Some(private) = opened.private() else { return Ok(false) };
    let backup = Entry::new(private, names::BACKUP);
    if backup.exists().map_err(io("look at", &backup.path()))? {
        return Ok(true);
    }
    match Journal::load(private) {
        // A damaged one does not say so, and is reported by the operation.
        Err(Error::Refused(_)) => Ok(false),
        loaded => Ok(loaded?.is_some_and(|journal| journal.pending().is_some())),
    }
}
