//! One operation on an installation: the lock, the records, and the changes to the files.
#![doc = include_str!("system_calls.md")]

use std::rc::Rc;
use std::time::Duration;

use super::directories::UnlockedDirectories;
use super::events::{self, Happened};
use super::first_install::{Existing, first_install};
use super::installation::Installation;
use super::journal::{Installed, Journal, Swap, Under};
use super::lock::{Lock, Locked};
use super::paused::{Paused, Recorded};
use super::records::Records;
use super::rollback::{Goal, Skipped, Travelled};
use super::settings::Settings;
use super::stage::Staged;
use super::swap::{self, Entering, Finished, Replaced, Swapped};
use super::{clean_up, digest, names, repair, rollback, trial};
use crate::clock::{Clock as _, SystemClock};
use crate::error::{Error, Local, Result, io};
use crate::escape::Printable;
use crate::limits;
use crate::report::Reporter;
use crate::trust::{Digest, Name, Version};

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

    /// Steps 1 and 2 to mend what can be mended. There may be no executable.
    ///
    /// # Errors
    /// [`Local::NothingToRollBack`] if there is no journal.
    pub(crate) fn begin_repair(installation: &Installation, reporter: &mut dyn Reporter) -> Result<Self> {
        Session::lock(open(installation)?, None, None, limits::LOCK_WAIT, reporter)
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
            // Before recovery, which may record that this executable has left the path. It is saved
            // with the next change.
            if let Some(blake3) = session.working() {
                session.recorded.journal.confirmed(blake3);
            }
            let before = session.recorded.journal.clone();
            let finished = swap::recover(&session.locked, &mut session.recorded.journal)?;
            if session.recorded.journal != before {
                session.recorded.on_disk = session.recorded.on_disk.map(|_| session.recorded.journal.clone());
            }
            session.finished(finished);
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
        session.recorded.journal.holds_over(SystemClock.now()); // saved with the next change
        Ok(session)
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
        let is_begun = trial::load(private).is_some_and(|trial| trial.version == *version);
        if self.journal().installed().is_some() || is_begun {
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
        let updated = Happened::Updated { from: replaced.version.clone(), to: entering.version().clone() };
        let Recorded { journal, .. } = &mut self.recorded;
        let swapped = swap::swap_in(&self.locked, journal, entering, replaced, under, keep)?;
        self.record(updated);
        if is_tried {
            self.begin_trial();
        }
        if swapped.warning.is_none() {
            self.clean_up(); // what is not kept any more
        }
        Ok(swapped)
    }

    /// Records an event, for people.
    pub(crate) fn record(&self, what: Happened) {
        events::record(self.locked.private(), what);
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
                    return Ok(self.returned(swap, swapped, Vec::new(), goal));
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
                Travelled::Already(installed) => {
                    if !matches!(goal, Goal::ForwardTo(_)) && journal.hold_taken_over() {
                        self.save_journal()?;
                    }
                    return Ok(Returned::Already { installed });
                }
                Travelled::Now(Finished { swap, swapped }, skipped) => {
                    if let Some(from) = &swap.from {
                        match swap.rollback {
                            true => records.rolled_back(from, &swap.to),
                            false => records.went_forward(from, &swap.to),
                        }
                    }
                    // Without a record, only its trial says that what has left the path works.
                    let is_tried =
                        trial::load(self.locked.private()).is_some() || self.journal().knows_confirmed();
                    if is_tried && swapped.warning.is_none() {
                        self.begin_trial();
                    }
                    return Ok(self.returned(swap, swapped, skipped, goal));
                }
                Travelled::Earlier(earlier) => {
                    self.finished(Some(earlier));
                    finished = self.finished.take();
                }
            }
        }
    }

    fn returned(&self, swap: Swap, swapped: Swapped, skipped: Vec<Skipped>, goal: Goal<'_>) -> Returned {
        let to = swap.to.version;
        let from = swap.from.map_or_else(|| to.clone(), |from| from.version);
        let (left, came) = (from.clone(), to.clone());
        self.record(match goal {
            Goal::ForwardTo(_) => Happened::Forward { from: left, to: came },
            _ => Happened::Returned { from: left, to: came, by_itself: matches!(goal, Goal::Working { .. }) },
        });
        Returned::Now { from, to, swapped: Box::new(swapped), skipped }
    }

    /// Mends what can be mended without a repository. The result is what was done, a line each.
    pub(crate) fn repair(&mut self) -> Result<Vec<String>> {
        // Nobody knows what may come back.
        if let Some(why) = self.recorded.records.damaged() {
            return Err(why.clone().into());
        }
        let mut done = Vec::new();
        if let Some(Finished { swap, swapped }) = self.finished.take() {
            if let Some(error) = swapped.warning {
                return Err(error);
            }
            done.push(format!("completed what had been interrupted: {} is installed", swap.to.version));
        }
        if let Some(path) = self.recover_rollback()?.then(|| self.locked.installation().executable()) {
            done.push(format!("recorded the rollback at {}", Printable(path.display())));
        }
        let Recorded { journal, records, .. } = &mut self.recorded;
        done.extend(repair::repair(&self.locked, journal, records)?);
        self.clean_up();
        done.iter().for_each(|what| self.record(Happened::Repaired { what: what.clone() }));
        Ok(done)
    }

    /// Ends all holds. The result is the versions.
    pub(crate) fn end_holds(&mut self) -> Result<Vec<Version>> {
        self.recover_rollback()?; // which may have left one on hold
        let held = self.recorded.journal.held();
        self.recorded.journal.holds_ended();
        self.save_journal()?;
        self.recorded.records.holds_ended();
        if !held.is_empty() {
            self.record(Happened::HoldsEnded { versions: held.clone() });
        }
        Ok(held)
    }

    /// Whether the publisher marked the release that is installed as critical.
    pub(crate) fn is_critical(&self) -> bool {
        self.journal().installed().is_some_and(|installed| installed.critical)
    }

    /// What a rollback returns to, if it returns to anything.
    pub(crate) fn next_back(&self) -> Option<Version> {
        let Recorded { journal, records, .. } = &self.recorded;
        rollback::next(journal, records, Goal::Back)
    }

    /// Moves a verified executable to its path for the first time, and records it.
    pub(crate) fn first_install(
        &mut self,
        staged: Staged,
        under: Under,
        existing: Existing,
        is_tried: bool,
    ) -> Result<Swapped> {
        let version = staged.version().clone();
        let installed = first_install(&self.locked, &mut self.recorded.journal, staged, under, existing)?;
        self.record(Happened::Installed { version });
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

impl Paused {
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

/// Step 1.
fn open(installation: &Installation) -> Result<UnlockedDirectories> {
    let opened = UnlockedDirectories::open(installation)?;
    opened.check_safe()?;
    Ok(opened)
}
