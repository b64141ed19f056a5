//! Checks, updates and rollbacks of one installed executable.

use std::path::Path;
use std::time::{Duration, Instant};

use super::budget::{Asked, Budget};
use super::outcome::{Checked, Forward, Outcome};
use crate::check::{Decision, Memory, Selected};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, Local, Result};
use crate::install::{
    Directories, Download, Entering, Happened, Installation, Journal, Observation, Paused, Probe, Replaced,
    Session, Staged, Succession, Swapped, Under, ensure_is_mapped,
};
use crate::limits;
use crate::report::{Quiet, Reporter};
use crate::source::{Fetcher, Source};
use crate::trust::{Digest, Epoch, Identity, Name, Refusal, TrustAnchor, Version};

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
    /// How many executables are kept beside the installed one.
    pub(super) keep: usize,
    /// The only version to update to, whether it is on hold or not.
    pub(super) wanted: Option<Version>,
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
            keep: limits::KEPT,
            wanted: None,
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

    /// Keeps this many executables beside the installed one, at least 1 and at most 16. Default: 2.
    /// Each takes the room of an executable.
    #[must_use]
    pub fn keep(mut self, count: usize) -> Self {
        self.keep = count.clamp(1, limits::MOST_KEPT);
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

    /// Goes forward to this version: to a kept executable, without a network, else to the newest
    /// release if that is this one. It is on hold no longer, and a staged rollout is ignored.
    ///
    /// # Errors
    /// [`Local::NotKept`] if it is neither; [`Local::KeptIsOlder`]; see [`Error`].
    pub fn update_to(&mut self, version: &Version) -> Result<Forward> {
        let why = match Updater::forward(&self.installation, self.running.as_ref(), version) {
            Err(
                why @ (Error::Local(Local::NotKept { .. } | Local::NothingToRollBack { .. })
                | Error::Refused(Refusal::PreviousAltered { .. })),
            ) => why,
            kept => return kept.map(Forward::Kept),
        };
        self.wanted = Some(version.clone());
        let released = self.update(true);
        self.wanted = None;
        match released {
            Err(Error::Local(Local::NotKept { .. })) if matches!(why, Error::Refused(_)) => Err(why),
            released => released.map(Forward::Released),
        }
    }

    /// [`Updater::check`] with another budget.
    pub(crate) fn check_at(&mut self, budget: &Budget, now: bool) -> Result<Checked> {
        self.checked(budget, now).inspect_err(|error| record_failure(&self.installation, error))
    }

    fn checked(&mut self, budget: &Budget, now: bool) -> Result<Checked> {
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
        self.updated(budget, now, starting).inspect_err(|error| record_failure(&self.installation, error))
    }

    fn updated(
        &mut self,
        budget: &Budget,
        now: bool,
        starting: impl FnOnce(&Version, &Version),
    ) -> Result<Outcome> {
        let (paused, from) = self.begin(budget.lock_wait)?;
        let (mut paused, mut checked) = self.run_update_check(paused, &from, budget, now)?;
        let selected = match checked.decision {
            Decision::Nothing(finding) => {
                self.ensure_wanted(finding.version().unwrap_or(&from), &paused)?;
                return Ok(Outcome::Nothing(finding));
            }
            Decision::Update(selected) => selected,
        };
        let to = selected.version().clone();
        self.ensure_wanted(&to, &paused)?;
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
            self.run_check(&mut seen.records, &journal, running.as_ref(), budget.deadline, Asked::default())?;
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
        if let (Some(running), Probe::Library) = (&self.running, &self.probe) {
            drop(session.begin_first_trial(running)); // else nothing is counted
        }
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
        // Bytes that are kept have been there before, and need neither room nor a probe.
        let blake3 = selected.artifact().blake3;
        let is_kept = paused.is_kept(blake3);
        if !is_kept {
            // Each time before a download: what is in the way may be gone.
            paused.directories().preflight(selected.artifact(), Some(&self.probe), Succession::Swap)?;
        }
        let product = &self.identity.product;
        let answered = match (&self.running, &self.probe) {
            (Some(running), Probe::Library) => paused.ensure_answers(product, running)?, // 1
            (Some(_), _) => paused.digest()?,
            (None, _) => paused.ensure_recorded()?,
        };
        let answered = Some(answered);
        starting();
        let version = selected.version().clone();
        let entering = match is_kept {
            true => Entering::Kept(version.clone(), blake3),
            false => {
                let deadline = budget.download.map(|limit| Instant::now() + limit);
                let staged = self.stage(paused.directories(), selected, deadline)?; // 9, 10
                if let Err(unfit) = self.ensure_fit(&staged, &memory) {
                    let unfit = unfit.recorded(&mut memory, self.clock.now()); // 11
                    self.save_cache(&mut paused, &memory)?;
                    return Err(unfit.into_error(staged.version()));
                }
                Entering::Staged(staged)
            }
        };
        let mut session = paused.resume(limits::LOCK_WAIT)?; // 2
        let carried = Under::roots(self.anchor_epoch, under.domain);
        let replaced = Replaced { version: from, under: carried, answered, working: None };
        let is_tried = self.probe == Probe::Library;
        let swapped = session.swap(entering, replaced, under, self.keep, is_tried)?; // 12
        if let Some(warning) = warning_of(&swapped, &version) {
            self.reporter.warn(&warning);
        }
        memory.installed(&version, blake3);
        // If this fails, the next check finds it again.
        drop(session.records().save_cache(&self.identity, self.anchor_digest(), memory.cache()));
        Ok(session.next_back().is_some())
    }

    /// The error if a person named another version than this one.
    fn ensure_wanted(&self, released: &Version, paused: &Paused) -> Result<()> {
        match &self.wanted {
            Some(wanted) if wanted != released => {
                let (path, kept) = (self.installation.executable().into(), paused.kept_versions());
                Err(Local::NotKept { path, version: wanted.clone(), kept }.into())
            }
            _ => Ok(()),
        }
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

/// Records a failure for people. That another process was there first is none.
fn record_failure(installation: &Installation, error: &Error) {
    if !matches!(
        error,
        Error::Local(Local::Busy { .. } | Local::ChangedMeanwhile { .. }) | Error::Usage { .. }
    ) {
        installation.record(Happened::failed(error));
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
