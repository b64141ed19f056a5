//! Checks, updates and rollbacks of one installed executable.

use std::path::Path;
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::outcome::{Checked, Outcome, RolledBack, Status};
use crate::check::{Decision, Memory, Selected};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, Local, Result};
use crate::install::{
    Directories, Download, Installation, Installed, Journal, Observation, Probe, Recorded, Session, Staged,
    Under,
};
use crate::limits;
use crate::report::{Quiet, Reporter};
use crate::source::{Fetcher, Source};
use crate::trust::{Digest, Epoch, Identity, Name, TrustAnchor, Version};

/// Updates one installed executable.
///
/// [`crate::Startup::updater`] creates the updater of the running tool, and
/// [`Updater::of_installed`] that of an executable that [`crate::Install`] installed.
pub struct Updater {
    pub(super) installation: Installation,
    pub(super) identity: Identity,
    pub(super) target: Name,
    /// The version at the path, if the running program knows it.
    pub(super) running: Option<Version>,
    pub(super) anchor: Vec<u8>,
    pub(super) anchor_epoch: Epoch,
    pub(super) source: Fetcher,
    pub(super) probe: Probe,
    pub(super) clock: Box<dyn Clock>,
    pub(super) reporter: Box<dyn Reporter>,
}

impl Updater {
    pub(crate) fn new(
        installation: Installation,
        identity: Identity,
        target: Name,
        running: Option<Version>,
        anchor: &[u8],
        source: Fetcher,
        probe: Probe,
    ) -> Result<Self> {
        // An invalid root, or the root of another product, is a mistake of the tool's author. It is
        // reported now, so that the author sees it before the first release.
        let root = TrustAnchor::new(anchor)?;
        if root.product != identity.product {
            return Err(Error::usage(format!(
                "the root document is for the product {}, but this is {}",
                root.product, identity.product
            )));
        }
        let (clock, reporter) = (Box::new(SystemClock), Box::new(Quiet));
        Ok(Updater {
            installation,
            identity,
            target,
            running,
            anchor: anchor.to_vec(),
            anchor_epoch: root.epoch,
            source,
            probe,
            clock,
            reporter,
        })
    }

    /// The updater of the executable that [`crate::Install`] installed at `path`.
    ///
    /// # Errors
    /// [`Local::NotInstalled`] if there are no settings beside the executable.
    pub fn of_installed(path: &Path) -> Result<Self> {
        let installation = Installation::at(path)?;
        let settings = installation.settings()?;
        let source = settings.source()?;
        let identity = Identity { product: settings.product, channel: settings.channel };
        Updater::new(
            installation,
            identity,
            settings.target,
            None,
            settings.root.as_bytes(),
            source,
            settings.probe,
        )
    }

    /// Sets the version at the path, which a running tool knows. Use this only for an executable
    /// that contains the root document of its settings. The recorded hash is then not compared with
    /// the file, and an absent or damaged state is not an error: the next check writes a new one.
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.running = Some(version);
        self
    }

    /// Uses this clock instead of the system's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Reads from this source instead of the recorded address, for example from a mirror. No
    /// document is trusted because of its source.
    #[must_use]
    pub fn source(mut self, source: impl Source) -> Self {
        self.source = Fetcher::new(source);
        self
    }

    /// Reports progress and warnings. By default nothing is reported.
    #[must_use]
    pub fn reporter(mut self, reporter: impl Reporter + 'static) -> Self {
        self.reporter = Box::new(reporter);
        self
    }

    /// The paths of the executable and of its state.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// The address of the repository.
    pub fn location(&self) -> String {
        self.source.location()
    }

    /// Steps 1 to 8: what [`Updater::update`] would do now. The rollback guard moves as in an
    /// update. `now` ignores a staged rollout.
    ///
    /// # Errors
    /// See [`Error`]; the executable is unchanged. [`Local::NoExecutable`] if it does not exist: a
    /// check does not restore it, but an update does after an interrupted swap.
    pub fn check(&mut self, now: bool) -> Result<Checked> {
        self.check_at(&Budget::explicit(), now)
    }

    /// Steps 1 to 12. `now` ignores a staged rollout.
    ///
    /// # Errors
    /// See [`Error`]; the executable is unchanged.
    pub fn update(&mut self, now: bool) -> Result<Outcome> {
        self.update_at(&Budget::explicit(), now, |_, _| {})
    }

    /// [`Updater::check`] with another budget.
    pub(crate) fn check_at(&mut self, budget: &Budget, now: bool) -> Result<Checked> {
        self.installation.ensure_executable()?;
        let mut session = self.begin(budget.lock_wait)?;
        self.note_replacement(&mut session)?;
        let from = self.installed(&session)?;
        let mut checked = self.run_update_check(&mut session, &from, budget.deadline, now)?;
        Ok(match checked.decision {
            Decision::Nothing(finding) => Checked::Nothing(finding),
            Decision::Update(selected) => {
                checked.memory.succeeded();
                session.records.save_cache(&self.identity, self.anchor_digest(), checked.memory.cache())?;
                let (notes, critical) = checked.details.unwrap_or_default();
                Checked::Update { from, to: selected.version().clone(), notes, critical }
            }
        })
    }

    /// [`Updater::update`] with another budget. `starting` is called before the download.
    pub(crate) fn update_at(
        &mut self,
        budget: &Budget,
        now: bool,
        starting: impl FnOnce(&Version, &Version),
    ) -> Result<Outcome> {
        let mut session = self.begin(budget.lock_wait)?;
        self.note_replacement(&mut session)?;
        let from = self.installed(&session)?;
        let mut checked = self.run_update_check(&mut session, &from, budget.deadline, now)?;
        let selected = match checked.decision {
            Decision::Nothing(finding) => return Ok(Outcome::Nothing(finding)),
            Decision::Update(selected) => selected,
        };
        let to = selected.version().clone();
        let withdrawn = checked.memory.is_retracted(&from);
        if !budget.retry_failed && checked.memory.is_failed_probe() {
            let why = "it failed before; an explicit update tries it again".into();
            return Err(Local::CannotRun { version: to, why }.into());
        }
        // Whatever ends the update from here on, a closed terminal included, the next start does not
        // take it for a check that found nothing to do.
        checked.memory.update_began(self.clock.now(), &to);
        session.records.save_cache(&self.identity, self.anchor_digest(), checked.memory.cache())?;
        starting(&from, &to);
        let returns = self.install(session, budget, &selected, &from, (&checked.memory, checked.under))?;
        Ok(Outcome::Updated { from, to, withdrawn, returns })
    }

    /// Restores the previous executable (SPEC section 6), without a network. `running` is the
    /// version at the path, for an executable that was never updated.
    ///
    /// # Errors
    /// [`Local::NothingToRollBack`], [`Local::Busy`], [`crate::Refusal::PreviousAltered`],
    /// [`crate::Refusal::PreviousDomain`], [`crate::Refusal::BelowFloor`], [`crate::Refusal::Retracted`],
    /// [`crate::Refusal::PreviousEpoch`], [`crate::Refusal::StateDamaged`]; nothing is changed.
    pub fn rollback(installation: &Installation, running: Option<&Version>) -> Result<RolledBack> {
        let nothing = || Local::NothingToRollBack { path: installation.executable().into() };
        // If this directory does not exist, there was never an update. A rollback must not create
        // it.
        if !installation.dir().is_dir() {
            return Err(nothing().into());
        }
        let session = Session::begin(installation, None, limits::LOCK_WAIT, &mut Quiet)?;
        let (from, to) = session.ok_or_else(nothing)?.rollback(running)?;
        Ok(RolledBack { from, to })
    }

    /// The recorded state of an installation. It uses no network and takes no lock.
    ///
    /// # Errors
    /// [`Local::Io`] and [`Local::NoExecutable`].
    pub fn status(installation: &Installation, running: Option<&Version>) -> Result<Status> {
        installation.ensure_executable()?;
        let recorded = installation.recorded(None)?;
        let previous_refused = recorded.why_not_back().map(|why| why.to_string());
        let Recorded { journal, records, damaged } = recorded;
        let damaged = damaged.map(|why| why.to_string());
        let last = records.as_ref().and_then(|records| records.last_memory());
        let (channel, memory) = last.unzip();
        let cache = memory.as_ref().map(Memory::cache);
        let failure = cache.and_then(|cache| cache.failure());
        let journal = journal.as_ref();
        let recorded = |installed: &Installed| installed.version.clone();
        Ok(Status {
            product: records.as_ref().map(|records| records.product().clone()),
            channel,
            installed: running.cloned().or(journal.and_then(Journal::installed).map(recorded)),
            previous: journal.and_then(Journal::previous).map(recorded),
            previous_refused,
            held: journal.map(Journal::held).unwrap_or_default(),
            min_version: memory.as_ref().and_then(|memory| memory.min_version().cloned()),
            finding: cache.map(|cache| cache.finding().clone()),
            checked: cache.and_then(|cache| cache.checked()).unwrap_or_default(),
            failed: failure.map_or(0, |failure| failure.at),
            failure: failure.map(|failure| failure.text.clone()),
            rollout: journal.map(Journal::rollout),
            damaged,
        })
    }

    /// Steps 3 to 8 for a user who may not write beside the executable. What is remembered is in the user's
    /// own directory; the executable and everything beside it are only read.
    pub(crate) fn observe(&mut self, budget: &Budget) -> Result<(Journal, Memory)> {
        let product = self.identity.product.clone();
        let mut seen = Observation::begin(&self.installation, &product, budget.lock_wait)?;
        let journal = match seen.journal.take() {
            Some(journal) => journal,
            None => Journal::new(&product)?,
        };
        let running = self.running.clone();
        let verdict =
            self.run_check(&mut seen.records, &journal, running.as_ref(), budget.deadline, false)?;
        seen.records.save(&self.identity, self.anchor_digest(), &verdict.memory)?;
        verdict.decision.map(drop)?;
        Ok((journal, verdict.memory))
    }

    /// The hash of the root that the tool contains.
    pub(super) fn anchor_digest(&self) -> Digest {
        TrustAnchor::digest(&self.anchor)
    }

    fn begin(&mut self, lock_wait: Duration) -> Result<Session> {
        let product = Some(&self.identity.product);
        let session = Session::begin(&self.installation, product, lock_wait, &mut *self.reporter)?;
        // With a product, a session always has a journal, if necessary a new one.
        session.ok_or_else(|| Local::NothingToRollBack { path: self.installation.executable().into() }.into())
    }

    /// Steps 9 to 12. The lock is not held during the download, so that a rollback need not wait
    /// for it. The result is whether a rollback returns to `from`.
    fn install(
        &mut self,
        session: Session,
        budget: &Budget,
        selected: &Selected,
        from: &Version,
        (decided_from, under): (&Memory, Under),
    ) -> Result<bool> {
        let anchor = self.anchor_digest();
        let staging = session.into_staging(budget.lock_wait)?;
        let deadline = budget.download.map(|limit| Instant::now() + limit);
        let staged = self.stage(staging.directories(), selected, deadline)?; // 9, 10
        let runs = self.probe.run(&staged, &self.identity.product); // 11
        let mut session = self.begin(limits::LOCK_WAIT)?; // 2
        let memory = session.records.memory(&self.identity, anchor);
        let is_same = |memory: &Memory| memory.same_basis(decided_from);
        let Some(mut memory) = memory.filter(is_same).filter(|_| session.journal == staging.decided_from)
        else {
            return Err(Local::ChangedMeanwhile { path: self.installation.executable().into() }.into());
        };
        if let Err(error) = runs {
            if error.is_verdict() {
                memory.probe_failed();
                session.records.save_cache(&self.identity, anchor, memory.cache())?;
            }
            return Err(error.into_error(staged.version()));
        }
        memory.about_to_install(staged.version(), staged.blake3());
        session.records.save_cache(&self.identity, anchor, memory.cache())?;
        let carried = Under { epoch: self.anchor_epoch, ..under };
        session.swap(staged, (from, carried), under)?; // 12
        memory.succeeded();
        // If this fails, the next check finds it again.
        drop(session.records.save_cache(&self.identity, anchor, memory.cache()));
        Ok(session.may_return())
    }

    pub(super) fn stage(
        &mut self,
        directories: &Directories,
        selected: &Selected,
        deadline: Option<Instant>,
    ) -> Result<Staged> {
        let (reporter, version) = (&mut self.reporter, selected.version());
        let mut progress = |done, total| reporter.downloading(version, done, total);
        let mut from = Download { source: &self.source, deadline, progress: &mut progress };
        Staged::download(directories, selected.artifact(), version, &mut from)
    }
}
