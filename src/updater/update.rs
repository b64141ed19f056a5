//! Checks, updates and rollbacks of one installed executable.

use std::path::Path;
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::outcome::{Checked, Outcome, RolledBack, Status};
use crate::check::{Decision, Memory, Selected};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, Local, Result, io};
use crate::install::{
    AtPath, Directories, Download, Installation, Installed, Journal, Observation, Paused, Probe, Recorded,
    Replaced, Returned, Session, Staged, Succession, Swapped, Under, ensure_is_mapped,
};
use crate::limits;
use crate::report::{Quiet, Reporter};
use crate::source::{Fetcher, Source};
use crate::trust::{Digest, Epoch, Identity, Name, TrustAnchor, Version};

/// The root that a tool carries.
///
/// # Errors
/// An invalid root, or the root of another product, is a mistake of the tool's author.
pub(crate) fn carried_root(document: &[u8], product: &Name) -> Result<TrustAnchor> {
    let root = TrustAnchor::new(document)?;
    if root.product != *product {
        let of = &root.product;
        return Err(Error::usage(format!(
            "the root document is for the product {of}, but this is {product}"
        )));
    }
    Ok(root)
}

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
    /// The address that the tool carries, or that was recorded: not that of a mirror.
    pub(super) address: String,
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
        // It is reported now, so that the author sees it before the first release.
        let root = carried_root(anchor, &identity.product)?;
        let (clock, reporter) = (Box::new(SystemClock), Box::new(Quiet));
        let address = source.location();
        Ok(Updater {
            installation,
            identity,
            target,
            running,
            anchor: anchor.to_vec(),
            anchor_epoch: root.epoch,
            source,
            address,
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
        let (paused, from) = self.begin(budget.lock_wait)?;
        let (mut paused, mut checked) = self.run_update_check(paused, &from, budget, now)?;
        Ok(match checked.decision {
            Decision::Nothing(finding) => Checked::Nothing(finding),
            Decision::Update(selected) => {
                checked.memory.succeeded();
                self.save_cache(&mut paused, &checked.memory)?;
                let (notes, critical) = checked.details.unwrap_or_default();
                Checked::Update { from, to: selected.version().clone(), notes, critical }
            }
        })
    }

    /// [`Updater::update`] with another budget. `starting` is called when the download begins.
    pub(crate) fn update_at(
        &mut self,
        budget: &Budget,
        now: bool,
        starting: impl FnOnce(&Version, &Version),
    ) -> Result<Outcome> {
        let (paused, from) = self.begin(budget.lock_wait)?;
        let (mut paused, mut checked) = self.run_update_check(paused, &from, budget, now)?;
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
        if !budget.retry_failed && checked.memory.is_probe_put_off(self.clock.now()) {
            let why = "it could not be tried before; a later start tries it again, and an explicit \
                       update does so now";
            return Err(Local::CannotRunNow { version: to, why: why.into() }.into());
        }
        // Whatever ends the update from here on, a closed terminal included, the next start does not
        // take it for a check that found nothing to do.
        checked.memory.update_began(self.clock.now(), &to);
        self.save_cache(&mut paused, &checked.memory)?;
        let decided = (checked.memory, checked.under);
        let starting = || starting(&from, &to);
        let returns = self.install(paused, budget, &selected, &from, decided, starting)?;
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
        ensure_is_mapped(installation)?;
        // If this directory does not exist, there was never an update. A rollback must not create
        // it.
        match std::fs::metadata(installation.dir()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Local::NothingToRollBack { path: installation.executable().into() }.into());
            }
            Err(error) => return Err(io("look at", installation.dir())(error)),
            Ok(_) => {}
        }
        let mut session = Session::begin_rollback(installation, limits::LOCK_WAIT, &mut Quiet)?;
        let Returned { from, to, swapped } = session.rollback(running)?;
        let warning = warning_of(&swapped, &to);
        Ok(RolledBack { from, to, warning })
    }

    /// What is at the path, and what is recorded of it. It uses no network and takes no lock.
    /// `running` is the version at the path, if the caller knows it.
    ///
    /// # Errors
    /// [`Local::Io`]; [`Local::NoExecutable`]; [`Local::NotInstalled`] if neither a record nor
    /// `running` tells what the file is.
    pub fn status(installation: &Installation, running: Option<&Version>) -> Result<Status> {
        ensure_is_mapped(installation)?;
        installation.ensure_executable()?;
        let recorded = installation.recorded(None)?;
        if running.is_none() && recorded.journal.is_none() && recorded.damaged.is_none() {
            installation.ensure_records_readable()?;
            let why = "nothing is recorded beside it".into();
            return Err(Local::NotInstalled { path: installation.executable().into(), why }.into());
        }
        let previous_refused = recorded.why_not_back().map(|why| why.to_string());
        let found = installation.digest()?;
        let Recorded { journal, records, damaged } = recorded;
        let damaged = damaged.map(|why| why.to_string());
        let last = records.as_ref().and_then(|records| records.last_memory());
        let (channel, memory) = last.unzip();
        let cache = memory.as_ref().map(Memory::cache);
        let failure = cache.and_then(|cache| cache.failure());
        let journal = journal.as_ref();
        let at_path = journal.map_or(AtPath::Other, |journal| journal.at_path(found));
        let version = |installed: &Installed| installed.version.clone();
        Ok(Status {
            product: records.as_ref().map(|records| records.product().clone()),
            channel,
            installed: at_path.known().map(version).or(running.cloned()),
            problem: problem(&at_path, journal.and_then(Journal::installed), found, running),
            previous: journal.and_then(Journal::previous).map(version),
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
        ensure_is_mapped(&self.installation)?;
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

    /// Steps 1 and 2, and the version at the path. The lock is released again.
    fn begin(&mut self, wait: Duration) -> Result<(Paused, Version)> {
        ensure_is_mapped(&self.installation)?; // 1, before anything is made there
        let product = &self.identity.product;
        let mut session = Session::begin_update(&self.installation, product, wait, &mut *self.reporter)?;
        self.note_replacement(&mut session)?;
        let from = self.installed(&session)?;
        Ok((session.pause(), from))
    }

    fn save_cache(&self, paused: &mut Paused, memory: &Memory) -> Result<()> {
        paused.records().save_cache(&self.identity, self.anchor_digest(), memory.cache())
    }

    /// Steps 9 to 12. The result is whether a rollback returns to `from`.
    fn install(
        &mut self,
        mut paused: Paused,
        budget: &Budget,
        selected: &Selected,
        from: &Version,
        (mut memory, under): (Memory, Under),
        starting: impl FnOnce(),
    ) -> Result<bool> {
        paused.ensure_current()?;
        // Each time before a download: what is in the way may be gone.
        paused.directories().preflight(selected.artifact(), Some(&self.probe), Succession::Swap)?;
        let product = &self.identity.product;
        let answered = match (&self.running, &self.probe) {
            (Some(running), Probe::Library) => paused.ensure_answers(product, running)?, // 1
            (Some(_), _) => paused.digest()?,
            (None, _) => paused.ensure_recorded()?,
        };
        let answered = Some(answered);
        starting();
        let deadline = budget.download.map(|limit| Instant::now() + limit);
        let staged = self.stage(paused.directories(), selected, deadline)?; // 9, 10
        if let Err(unfit) = self.ensure_fit(&staged, &memory) {
            let unfit = unfit.recorded(&mut memory, self.clock.now()); // 11
            self.save_cache(&mut paused, &memory)?;
            return Err(unfit.into_error(staged.version()));
        }
        let (version, blake3) = (staged.version().clone(), staged.blake3());
        let mut session = paused.resume(limits::LOCK_WAIT)?; // 2
        let carried = Under { epoch: self.anchor_epoch, ..under };
        let replaced = Replaced { version: from, under: carried, answered };
        let swapped = session.swap(staged, replaced, under)?; // 12
        if let Some(warning) = warning_of(&swapped, &version) {
            self.reporter.warn(&warning);
        }
        memory.installed(&version, blake3);
        // If this fails, the next check finds it again.
        drop(session.records().save_cache(&self.identity, self.anchor_digest(), memory.cache()));
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

/// The swap succeeded, and something after it did not.
pub(super) fn warning_of(swapped: &Swapped, version: &Version) -> Option<String> {
    match (&swapped.warning, &swapped.privileges) {
        (Some(error), _) => Some(format!(
            "{version} is installed, but this is not recorded, or may not survive a power cut: {error}; the \
             next update or rollback records it"
        )),
        (None, Some(error)) => Some(format!(
            "{version} is installed, but the version before it can still be run with its privileges: {error}; \
             the next update or rollback takes them from it"
        )),
        (None, None) => None,
    }
}

/// What is wrong with the file at the path.
fn problem(
    at: &AtPath<'_>,
    installed: Option<&Installed>,
    found: Digest,
    running: Option<&Version>,
) -> Option<String> {
    match (at, installed) {
        (AtPath::Interrupted(_), _) => {
            Some("an update was interrupted; the next start, update or rollback completes it".into())
        }
        (AtPath::Kept(kept), _) if running.is_none() => Some(format!(
            "the file is the previous version {}: a rollback could not be recorded, which the next update or \
             rollback does, or a person put it back",
            kept.version
        )),
        (AtPath::Other, Some(installed)) if running.is_none() => Some(format!(
            "the file is not the version {} that was installed: its hash is {found}, and {} is recorded",
            installed.version, installed.blake3
        )),
        (AtPath::Other | AtPath::Installed(_) | AtPath::Kept(_), _) => None,
    }
}
