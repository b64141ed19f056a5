//! One operation on an installation: the lock, the records, and the changes to the files.
#![doc = include_str!("system_calls.md")]

use std::rc::Rc;
use std::time::Duration;

use super::directories::{Directories, UnlockedDirectories};
use super::first_install::{Existing, first_install};
use super::installation::Installation;
use super::journal::{Installed, Journal, Swap, Under};
use super::lock::{Lock, Locked};
use super::records::Records;
use super::rollback::{Goal, Skipped, Travelled};
use super::settings::Settings;
use super::stage::Staged;
use super::swap::{self, Entering, Finished, Replaced, Swapped};
use super::{clean_up, digest, identity, names, rollback, trial};
use crate::error::{Error, Local, Result, io};
use crate::report::Reporter;
use crate::trust::{Digest, Name, Refusal, Version};

/// What is recorded beside an executable, as this process read it and changes it.
#[derive(Debug)]
struct Recorded {
    journal: Journal,
    /// `None` if there is no journal, or a damaged one.
    on_disk: Option<Journal>,
    records: Records,
    /// Why the journal is damaged. It is not changed until a verified check replaces it.
    damaged: Option<Refusal>,
}

/// Steps 1 and 2 are done: the lock is held, and no swap is incomplete. The lock is released when
/// this value is dropped.
#[must_use]
#[derive(Debug)]
pub(crate) struct Session {
    locked: Locked,
    /// Held by a process that uses the network for this executable.
    staging: Option<Lock>,
    recorded: Recorded,
    /// The swap that this session completed first.
    finished: Option<Finished>,
}

/// A session that has released `lock`, to use the network: a rollback must not wait for that. It
/// holds `staging`, so that no other process changes `floors` and `root`, or downloads.
#[must_use]
#[derive(Debug)]
pub(crate) struct Paused {
    directories: Directories,
    staging: Option<Lock>,
    recorded: Recorded,
}

/// A rollback that is on the disk.
#[must_use]
#[derive(Debug)]
pub(crate) enum Returned {
    /// By this call, or by an earlier one that had no record yet.
    Now { from: Version, to: Version, swapped: Box<Swapped>, skipped: Vec<Skipped> },
    /// Before. Nothing was changed.
    Already { installed: Version },
}

impl Session {
    /// Steps 1 and 2 for a rollback.
    ///
    /// # Errors
    /// [`Local::NothingToRollBack`] if there is no journal.
    pub(crate) fn begin_rollback(
        installation: &Installation,
        wait: Duration,
        reporter: &mut dyn Reporter,
    ) -> Result<Self> {
        let session = Session::lock(open(installation)?, None, None, wait, reporter)?; // 2
        installation.ensure_executable()?;
        Ok(session)
    }

    /// The same for an update of this product, which is going to use the network.
    pub(crate) fn begin_update(
        installation: &Installation,
        product: &Name,
        wait: Duration,
        reporter: &mut dyn Reporter,
    ) -> Result<Self> {
        let session = Session::lock_to_fetch(open(installation)?, product, wait, reporter)?; // 2
        installation.ensure_executable()?;
        Ok(session)
    }

    /// The same for an executable that may not exist yet.
    pub(crate) fn begin_first_install(
        installation: &Installation,
        product: &Name,
        wait: Duration,
        reporter: &mut dyn Reporter,
    ) -> Result<Self> {
        let opened = UnlockedDirectories::open(installation)?;
        opened.check_safe_for_new()?; // 1
        Session::lock_to_fetch(opened, product, wait, reporter) // 2
    }

    fn lock_to_fetch(
        opened: UnlockedDirectories,
        product: &Name,
        wait: Duration,
        reporter: &mut dyn Reporter,
    ) -> Result<Self> {
        let (directories, staging) = Lock::staging(opened, wait)?;
        let opened = directories.into_unlocked();
        let mut session = Session::lock(opened, Some(staging), Some(product), wait, reporter)?;
        // Nothing is decided from a record that is not on the disk.
        match session.finished.as_mut().and_then(|finished| finished.swapped.warning.take()) {
            Some(error) => Err(error),
            None => Ok(session),
        }
    }

    fn lock(
        opened: UnlockedDirectories,
        staging: Option<Lock>,
        product: Option<&Name>,
        wait: Duration,
        reporter: &mut dyn Reporter,
    ) -> Result<Self> {
        let locked = Locked::take(opened, wait)?;
        let (on_disk, damaged) = match (Journal::load(locked.private()), product) {
            (Ok(journal), _) => (journal, None),
            (Err(Error::Refused(why)), Some(_)) => (None, Some(why)),
            (Err(error), _) => return Err(error),
        };
        let journal = match (&on_disk, product) {
            (Some(journal), _) => journal.clone(),
            (None, Some(product)) => Journal::new(product)?,
            (None, None) => {
                let path = locked.installation().executable().to_path_buf();
                return Err(Local::NothingToRollBack { path }.into());
            }
        };
        let product = product.unwrap_or(journal.product());
        journal.ensure_product(product)?;
        let mut records = Records::load(Some(locked.share_private()), product)?;
        if damaged.is_some() {
            // Only a check that verified a release replaces it, and a 304 verifies none.
            records.forget_validator();
        }
        for why in damaged.iter().chain(records.damaged()) {
            reporter.warn(&format!("{why}; the next successful check or install replaces it"));
        }
        let recorded = Recorded { journal, on_disk, records, damaged };
        let mut session = Session { locked, staging, recorded, finished: None };
        if session.recorded.damaged.is_none() {
            // Before recovery, which may record that this executable has left the path.
            session.note_confirmed();
            let before = session.recorded.journal.clone();
            let finished = swap::recover(&session.locked, &mut session.recorded.journal)?;
            if session.recorded.journal != before {
                session.recorded.on_disk = session.recorded.on_disk.map(|_| session.recorded.journal.clone());
            }
            session.finished(finished);
            session.note_confirmed();
            // A swap whose commit failed may have its old executable under a staged name.
            if session.recorded.journal.pending().is_none() {
                for kept in session.recorded.journal.kept().iter().filter(|kept| names::is_kept(&kept.file)) {
                    let file = session.locked.file(names::file_of(&kept.file));
                    if let Err(error) = swap::remove_privileges(file) {
                        reporter.warn(&error.to_string());
                    }
                }
                session.clean_up();
            }
        }
        Ok(session)
    }

    /// What is installed is known to work by its trial. It is saved with the next change.
    fn note_confirmed(&mut self) {
        if let Some(blake3) = self.working() {
            self.recorded.journal.confirmed(blake3);
        }
    }

    /// Takes over a swap that was complete and not recorded.
    fn finished(&mut self, finished: Option<Finished>) {
        let Some(finished) = finished else { return };
        if let Some(from) = finished.swap.from.as_ref().filter(|_| finished.swap.rollback) {
            self.recorded.records.rolled_back(from, &finished.swap.to);
        }
        self.finished = Some(finished);
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.recorded.journal
    }

    pub(crate) fn records(&mut self) -> &mut Records {
        &mut self.recorded.records
    }

    /// Writes the journal durably, unless the disk has it. A damaged one stays until a verified
    /// check has replaced it.
    pub(crate) fn save_journal(&mut self) -> Result<()> {
        if self.recorded.is_unsaved() {
            self.recorded.journal.save(self.locked.private())?;
            self.recorded.on_disk = Some(self.recorded.journal.clone());
            // Not that of an executable that a rollback put there without a record.
            let (private, installed) = (self.locked.private(), self.journal().installed());
            let is_over = |trial: trial::Trial| {
                installed.is_some_and(|installed| installed.confirmed && installed.blake3 == trial.blake3)
            };
            if trial::load(private).is_some_and(is_over) {
                trial::end(private);
            }
        }
        Ok(())
    }

    /// The hash of an executable that is known to work by its trial.
    fn working(&self) -> Option<Digest> {
        let trial = trial::load(self.locked.private())?;
        trial.is_confirmed().then_some(trial.blake3)
    }

    /// Begins the trial of an executable that was there before the first record, so that it is
    /// known whether there is a way back to it.
    pub(crate) fn begin_first_trial(&self, version: &Version) -> Result<()> {
        let private = self.locked.private();
        if self.journal().installed().is_some() || trial::load(private).is_some() {
            return Ok(());
        }
        let path = self.locked.installation().executable();
        let mut file = self.locked.executable().open().map_err(io("open", path))?;
        let (_, found) = digest::digest_of(&mut file).map_err(io("read", path))?;
        trial::begin(private, found, version)
    }

    /// Begins the trial of what was just put at the path, unless it is known to work. Best effort:
    /// without it, nothing is counted.
    fn begin_trial(&self) {
        let private = self.locked.private();
        match self.journal().installed() {
            Some(installed) if !installed.confirmed => {
                drop(trial::begin(private, installed.blake3, &installed.version));
            }
            _ => trial::end(private),
        }
    }

    /// Persists the settings with which `relatch` updates this executable.
    pub(crate) fn save_settings(&self, settings: &Settings) -> Result<()> {
        settings.save(self.locked.private())
    }

    /// Whether the file at the path is this recorded executable.
    pub(crate) fn holds(&self, installed: &Installed) -> Result<bool> {
        let path = self.locked.installation().executable();
        let mut file = self.locked.executable().open().map_err(io("open", path))?;
        let (_, found) = digest::digest_of(&mut file).map_err(io("read", path))?;
        Ok(found == installed.blake3)
    }

    /// A file that is not the recorded executable is at the path. If it is the kept one, a rollback
    /// put it there and could not record that; else a person did.
    pub(crate) fn note_other_executable(&mut self) -> Result<()> {
        if !self.recover_rollback()? {
            self.recorded.journal.replaced_by_hand();
        }
        Ok(())
    }

    /// Records a rollback that was complete and not recorded. The result is whether there was one.
    pub(crate) fn recover_rollback(&mut self) -> Result<bool> {
        match swap::recover_rollback(&self.locked, &mut self.recorded.journal)? {
            None => Ok(false),
            Some(Finished { swapped: Swapped { warning: Some(error), .. }, .. }) => Err(error),
            finished => {
                self.finished(finished);
                self.recorded.on_disk = Some(self.recorded.journal.clone());
                Ok(true)
            }
        }
    }

    /// Swaps an executable in (SPEC step 12); the old one is kept, with others, `keep` in all.
    /// `replaced` counts if the journal has another hash than the file. `is_tried` is whether its first
    /// starts are recorded by the library in it.
    pub(crate) fn swap(
        &mut self,
        entering: Entering,
        replaced: Replaced<'_>,
        under: Under,
        keep: usize,
        is_tried: bool,
    ) -> Result<Swapped> {
        let replaced = Replaced { working: self.working(), ..replaced };
        let Recorded { journal, .. } = &mut self.recorded;
        let swapped = swap::swap_in(&self.locked, journal, entering, replaced, under, keep)?;
        if is_tried {
            self.begin_trial();
        }
        if swapped.warning.is_none() {
            self.clean_up(); // what is not kept any more
        }
        Ok(swapped)
    }

    fn clean_up(&self) {
        clean_up::clean_up(&self.locked, self.staging.as_ref(), &self.recorded.journal);
    }

    /// Goes to a kept executable (SPEC section 6). If this session first completed a rollback that
    /// had been interrupted, that is the one that was asked for.
    pub(crate) fn travel(&mut self, running: Option<&Version>, goal: Goal<'_>) -> Result<Returned> {
        let mut finished = self.finished.take();
        loop {
            match finished {
                Some(Finished { swap, swapped }) if swap.rollback && goal.is_met_by(&swap.to.version) => {
                    return Ok(returned(swap, swapped, Vec::new()));
                }
                // The executable of before that update has not got its place yet.
                Some(Finished { swapped: Swapped { warning: Some(error), .. }, .. })
                    if self.recorded.journal.pending().is_some() =>
                {
                    return Err(error);
                }
                _ => {}
            }
            if let Some(why) = self.recorded.records.damaged() {
                return Err(why.clone().into());
            }
            let Recorded { journal, records, .. } = &mut self.recorded;
            match rollback::travel(&self.locked, journal, records, running, goal)? {
                Travelled::Already(installed) => return Ok(Returned::Already { installed }),
                Travelled::Now(Finished { swap, swapped }, skipped) => {
                    if let Some(from) = &swap.from {
                        records.rolled_back(from, &swap.to);
                        if let Goal::Working(now) = goal {
                            journal.left_for_failing(&from.version, now);
                            drop(journal.save(self.locked.private())); // else it is a person's hold
                        }
                    }
                    // Without a record, only its trial says that what has left the path works.
                    if swapped.warning.is_none() && trial::load(self.locked.private()).is_some() {
                        self.begin_trial();
                    }
                    return Ok(returned(swap, swapped, skipped));
                }
                Travelled::Earlier(earlier) => {
                    self.finished(Some(earlier));
                    finished = self.finished.take();
                }
            }
        }
    }

    /// Ends all holds. The result is the versions.
    pub(crate) fn end_holds(&mut self) -> Result<Vec<Version>> {
        let held = self.recorded.journal.held();
        self.recorded.journal.holds_ended();
        self.save_journal()?;
        self.recorded.records.holds_ended();
        Ok(held)
    }

    /// Whether the publisher marked the release that was accepted last as critical.
    pub(crate) fn is_critical(&self) -> bool {
        let last = self.recorded.records.last_memory();
        last.is_some_and(|(_, memory)| memory.is_critical())
    }

    /// What a rollback returns to, if it returns to anything.
    pub(crate) fn next_back(&self) -> Option<Version> {
        let Recorded { journal, records, .. } = &self.recorded;
        rollback::next_back(journal, records).0
    }

    /// Moves a verified executable to its path for the first time, and records it.
    pub(crate) fn first_install(
        &mut self,
        staged: Staged,
        under: Under,
        existing: Existing,
        is_tried: bool,
    ) -> Result<Swapped> {
        let installed = first_install(&self.locked, &mut self.recorded.journal, staged, under, existing)?;
        if is_tried {
            self.begin_trial();
        }
        // Nothing is cleaned up while there is no executable. What an earlier install left goes
        // now.
        self.clean_up();
        Ok(installed)
    }

    /// Releases the lock.
    pub(crate) fn pause(self) -> Paused {
        let Session { locked, staging, recorded, .. } = self;
        Paused { directories: locked.unlock(), staging, recorded }
    }

    /// Ends the session of a failed first install, and removes the directory that it created. What
    /// the check recorded is removed while the lock is still held.
    pub(crate) fn remove_directory(self) {
        let path = self.locked.installation().dir().to_path_buf();
        if !self.locked.is_current().unwrap_or(false) {
            return; // another process put its own there
        }
        clean_up::empty(self.locked.private());
        drop(std::fs::remove_dir(&path));
        // On Windows, the name of an open file remains until it is closed, and the lock file is
        // still open.
        drop(self);
        drop(std::fs::remove_dir(&path));
    }
}

fn returned(swap: Swap, swapped: Swapped, skipped: Vec<Skipped>) -> Returned {
    let to = swap.to.version;
    let from = swap.from.map_or_else(|| to.clone(), |from| from.version);
    Returned::Now { from, to, swapped: Box::new(swapped), skipped }
}

/// Step 1.
fn open(installation: &Installation) -> Result<UnlockedDirectories> {
    let opened = UnlockedDirectories::open(installation)?;
    opened.check_safe()?;
    Ok(opened)
}

impl Paused {
    /// SPEC step 1: the file at the path is this tool. The result is its hash.
    ///
    /// # Errors
    /// [`Local::NotTheTool`]; [`Local::ChangedMeanwhile`].
    pub(crate) fn ensure_answers(&self, product: &Name, running: &Version) -> Result<Digest> {
        identity::ensure_answers(&self.directories, self.recorded.journal.installed(), product, running)
    }

    /// The hash of the file at the path, which is the recorded one.
    ///
    /// # Errors
    /// [`Local::ChangedMeanwhile`].
    pub(crate) fn ensure_recorded(&self) -> Result<Digest> {
        let found = self.digest()?;
        match self.recorded.journal.installed() {
            Some(installed) if installed.blake3 == found => Ok(found),
            _ => {
                Err(Local::ChangedMeanwhile { path: self.directories.installation().executable().into() }
                    .into())
            }
        }
    }

    /// The hash of the file at the path.
    pub(crate) fn digest(&self) -> Result<Digest> {
        let path = self.directories.installation().executable();
        let mut file = self.directories.executable().open().map_err(io("open", path))?;
        let (_, found) = digest::digest_of(&mut file).map_err(io("read", path))?;
        Ok(found)
    }

    /// The versions that are kept.
    pub(crate) fn kept_versions(&self) -> Vec<Version> {
        self.recorded.journal.kept().iter().map(|kept| kept.executable.version.clone()).collect()
    }

    /// Whether an executable with this hash is kept.
    pub(crate) fn is_kept(&self, blake3: Digest) -> bool {
        self.recorded.journal.kept_with(blake3).is_some()
    }

    /// The directories, for staging a file.
    pub(crate) fn directories(&self) -> &Directories {
        &self.directories
    }

    pub(crate) fn records(&mut self) -> &mut Records {
        &mut self.recorded.records
    }

    /// What a check reads and saves.
    pub(crate) fn for_check(&mut self) -> (&mut Records, &Journal) {
        (&mut self.recorded.records, &self.recorded.journal)
    }

    /// The damaged files may be replaced, because a release was verified.
    pub(crate) fn verified(&mut self) {
        self.recorded.verified();
    }

    /// Whether the journal is the one that was read, as far as can be known without the lock: if
    /// not, a download would be in vain.
    ///
    /// # Errors
    /// [`Local::ChangedMeanwhile`].
    pub(crate) fn ensure_current(&self) -> Result<()> {
        self.recorded.ensure_current(&self.directories)
    }

    /// Takes the lock again.
    ///
    /// # Errors
    /// [`Local::ChangedMeanwhile`] if another process swapped executables since; [`Local::Busy`].
    pub(crate) fn resume(self, wait: Duration) -> Result<Session> {
        let Paused { directories, staging, recorded } = self;
        let private = directories.share_private();
        let locked = Locked::take(directories.into_unlocked(), wait)?;
        if !Rc::ptr_eq(&private, &locked.share_private()) {
            // It was removed and made again: `staging` and the records were of the other one.
            let path = locked.installation().executable().into();
            return Err(Local::ChangedMeanwhile { path }.into());
        }
        recorded.ensure_current(&locked)?;
        Ok(Session { locked, staging, recorded, finished: None })
    }

    /// Writes the journal as [`Session::save_journal`] does.
    pub(crate) fn save_journal(self, wait: Duration) -> Result<Paused> {
        if !self.recorded.is_unsaved() {
            return Ok(self);
        }
        let mut session = self.resume(wait)?;
        session.save_journal()?;
        Ok(session.pause())
    }
}

impl Recorded {
    fn verified(&mut self) {
        self.damaged = None;
        self.records.verified();
    }

    fn ensure_current(&self, directories: &Directories) -> Result<()> {
        let on_disk = match Journal::load(directories.private()) {
            Err(Error::Refused(_)) => None,
            loaded => loaded?,
        };
        if on_disk == self.on_disk {
            return Ok(());
        }
        Err(Local::ChangedMeanwhile { path: directories.installation().executable().into() }.into())
    }

    fn is_unsaved(&self) -> bool {
        self.damaged.is_none() && self.on_disk.as_ref() != Some(&self.journal)
    }
}
