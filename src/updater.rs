//! Composes the steps of SPEC section 5. Only this room sees all others.
//!
//! ```text
//! session    1 safe place, 2 lock, state, recovery
//! here       3 to 8 by driving a `Check`; 9 download, 10 hash, 11 probe, 12 swap
//! fetch      from what a check wants to what a source has
//! first      the same for an executable that does not exist yet
//! outcome    what is answered
//! ```

mod budget;
mod fetch;
mod first;
mod outcome;

use std::path::Path;
use std::time::{Duration, Instant};

pub(crate) use budget::Budget;
pub use first::Install;
pub use outcome::{Checked, Outcome, RolledBack, Status};

use crate::check::{Candidate, Check, Decision, Purpose, Selected, Verdict, Want};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, Local, Result};
use crate::install::{Directories, Download, Installation, Installed, Loaded, Probe, Session, Staged, State};
use crate::limits;
use crate::report::{Quiet, Reporter};
use crate::source::{Fetcher, Source};
use crate::trust::{Epoch, Identity, Name, Roots, TrustAnchor, Version};

/// Updates one installed executable.
///
/// Made by [`crate::Startup::updater`] for the tool that runs, and by [`Updater::of_installed`] for an executable that
/// [`Install`] put there.
pub struct Updater {
    site: Installation,
    identity: Identity,
    target: Name,
    /// The version at the path, where the running program knows it.
    running: Option<Version>,
    anchor: Vec<u8>,
    anchor_epoch: Epoch,
    source: Fetcher,
    probe: Probe,
    clock: Box<dyn Clock>,
    reporter: Box<dyn Reporter>,
}

impl Updater {
    pub(crate) fn new(
        site: Installation,
        identity: Identity,
        target: Name,
        running: Option<Version>,
        anchor: &[u8],
        source: Fetcher,
        probe: Probe,
    ) -> Result<Self> {
        // A program that carries another product's root, or none, is a mistake to be told at once and not at the first release.
        let root = TrustAnchor::new(anchor)?;
        if root.product != identity.product {
            return Err(Error::usage(format!(
                "the root document is for the product {}, but this is {}",
                root.product, identity.product
            )));
        }
        let (clock, reporter) = (Box::new(SystemClock), Box::new(Quiet));
        Ok(Updater {
            site,
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

    /// The updater of an executable that [`Install`] put at `path`.
    ///
    /// # Errors
    /// [`Local::NotInstalled`] where there are no settings beside it.
    pub fn of_installed(path: &Path) -> Result<Self> {
        let site = Installation::at(path)?;
        let settings = site.settings()?;
        let source = settings.source()?;
        let identity = Identity { product: settings.product, channel: settings.channel };
        Updater::new(site, identity, settings.target, None, settings.root.as_bytes(), source, settings.probe)
    }

    /// Says which version is at the path, as a tool says it of itself: only for an executable that carries the root document of its
    /// settings. The record is then not asked whether these are the bytes that were installed, and a state that is absent or damaged is no
    /// error: the next check writes it anew.
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.running = Some(version);
        self
    }

    /// Tells the time by another clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Reads from another source than the recorded address names: a mirror, or one of your own. It is trusted for nothing.
    #[must_use]
    pub fn source(mut self, source: impl Source) -> Self {
        self.source = Fetcher::new(source);
        self
    }

    /// Tells what happens on the way.
    #[must_use]
    pub fn reporter(mut self, reporter: impl Reporter + 'static) -> Self {
        self.reporter = Box::new(reporter);
        self
    }

    /// Where the executable and its state lie.
    pub fn site(&self) -> &Installation {
        &self.site
    }

    /// The address of the repository.
    pub fn location(&self) -> String {
        self.source.location()
    }

    /// Steps 1 to 8: what an [`Updater::update`] would do now. It moves the floors as an update does. `now` passes a staged rollout.
    ///
    /// # Errors
    /// See [`Error`]; the executable is as it was. [`Local::NoExecutable`] where there is none: an update puts it back, a check does not.
    pub fn check(&mut self, now: bool) -> Result<Checked> {
        self.check_at(&Budget::explicit(), now)
    }

    /// Steps 1 to 12. `now` passes a staged rollout.
    ///
    /// # Errors
    /// See [`Error`]; the executable is as it was.
    pub fn update(&mut self, now: bool) -> Result<Outcome> {
        self.update_at(&Budget::explicit(), now, |_, _| {})
    }

    /// [`Updater::check`] within another budget.
    pub(crate) fn check_at(&mut self, budget: &Budget, now: bool) -> Result<Checked> {
        self.site.ensure_executable()?;
        let mut session = self.begin(budget.lock_wait)?;
        self.note_replacement(&mut session)?;
        let from = self.installed(&session)?;
        let checked = self.run_check(&mut session, Some(from.clone()), budget.deadline, now)?;
        Ok(match checked.decision {
            Decision::Nothing(finding) => Checked::Nothing(finding),
            Decision::Update(selected) => {
                let (notes, critical) = checked.details.unwrap_or_default();
                Checked::Update { from, to: selected.version().clone(), notes, critical }
            }
        })
    }

    /// [`Updater::update`] within another budget; `starting` is called before anything is downloaded.
    pub(crate) fn update_at(
        &mut self,
        budget: &Budget,
        now: bool,
        starting: impl FnOnce(&Version, &Version),
    ) -> Result<Outcome> {
        let mut session = self.begin(budget.lock_wait)?;
        self.note_replacement(&mut session)?;
        let from = self.installed(&session)?;
        let checked = self.run_check(&mut session, Some(from.clone()), budget.deadline, now)?;
        let selected = match checked.decision {
            Decision::Nothing(finding) => return Ok(Outcome::Nothing(finding)),
            Decision::Update(selected) => selected,
        };
        let to = selected.version().clone();
        if !budget.retry_failed && session.state.memory.is_failed_probe() {
            let why = "it was tried before; an explicit update tries it again".into();
            return Err(Local::CannotRun { version: to, why }.into());
        }
        // Whatever ends the update from here on, a closed terminal included, the next start does not
        // take it for a check that found nothing to do.
        session.state.memory.check_failed(self.clock.now());
        session.save()?;
        starting(&from, &to);
        self.install(session, budget, &selected, &from, checked.epoch)?;
        Ok(Outcome::Updated { from, to })
    }

    /// Brings the previous executable back; see SPEC section 6. No network.
    ///
    /// # Errors
    /// [`Local::NothingToRollBack`], [`crate::Refusal::PreviousAltered`], [`crate::Refusal::BelowFloor`], [`crate::Refusal::PreviousEpoch`],
    /// [`Local::Busy`]; everything is as it was.
    pub fn rollback(site: &Installation, running: Option<&Version>) -> Result<RolledBack> {
        let nothing = || Local::NothingToRollBack { path: site.executable().into() };
        // Without a site directory there was never an update, and asking must not make one.
        if !site.dir().is_dir() {
            return Err(nothing().into());
        }
        let session = Session::begin(site, None, limits::LOCK_WAIT, &mut Quiet)?;
        let (from, to) = session.ok_or_else(nothing)?.rollback(running)?;
        Ok(RolledBack { from, to })
    }

    /// What is recorded beside an executable. No network, no lock.
    ///
    /// # Errors
    /// [`Local::Io`], [`Local::NoExecutable`], and [`crate::Refusal::StateTooNew`].
    pub fn status(site: &Installation, running: Option<&Version>) -> Result<Status> {
        site.ensure_executable()?;
        let (state, damaged) = match site.recorded(None)? {
            Loaded::Present(state) => (Some(*state), None),
            Loaded::Absent => (None, None),
            Loaded::Damaged(why) => (None, Some(why.to_string())),
        };
        let Some(State { product, channel, memory, record }) = state else {
            return Ok(Status { installed: running.cloned(), damaged, ..Status::default() });
        };
        let recorded = |installed: &Installed| installed.version.clone();
        Ok(Status {
            product: Some(product),
            channel: Some(channel),
            installed: running.cloned().or(record.installed().map(recorded)),
            previous: record.previous().map(recorded),
            held: record.held().to_vec(),
            min_version: memory.min_version().cloned(),
            finding: Some(memory.finding().clone()),
            checked: memory.checked().unwrap_or_default(),
            failed: memory.failed().unwrap_or_default(),
            rollout: Some(memory.rollout()),
            damaged,
        })
    }

    /// What is recorded, for the start-up check.
    pub(crate) fn recorded(&self) -> Result<Loaded> {
        self.site.recorded(Some(&self.identity))
    }

    /// Remembers that a check failed, so that the next starts do not wait for a network that is not there.
    pub(crate) fn record_failure(&mut self) -> Result<()> {
        let mut session = self.begin(Duration::ZERO)?;
        session.state.memory.check_failed(self.clock.now());
        session.save()
    }

    fn begin(&mut self, lock_wait: Duration) -> Result<Session> {
        let session = Session::begin(&self.site, Some(&self.identity), lock_wait, &mut *self.reporter)?;
        // With an identity there is always a state, a new one if need be.
        session.ok_or_else(|| Local::NothingToRollBack { path: self.site.executable().into() }.into())
    }

    /// Steps 3 to 8: from the newest root that was trusted to a decision. `installed` is `None` for a
    /// first install. What the check remembers is saved where something was installed.
    fn run_check(
        &mut self,
        session: &mut Session,
        installed: Option<Version>,
        deadline: Instant,
        now: bool,
    ) -> Result<CheckResult> {
        let is_first = installed.is_none();
        let held = session.state.record.held().to_vec();
        let candidate = Candidate { target: self.target.clone(), installed, held, now };
        let start = self.load_roots(session)?;
        let mut check = Check::new(
            &start,
            self.identity.clone(),
            &self.source.location(),
            session.state.memory.clone(),
            Purpose::Client(candidate),
            self.clock.now(),
        );
        while let Want::Object(wanted) = check.want() {
            let answer = self.source.answer(&wanted, deadline)?;
            if let Some(root) = check.supply(answer, self.clock.now()) {
                session.save_root(&root)?;
                session.state.memory = check.memory().clone();
                session.save()?;
            }
        }
        let epoch = check.roots().epoch;
        let Verdict { memory, decision, release } = check.into_verdict()?;
        session.state.memory = memory;
        let manifest = release.as_ref().and_then(|release| release.manifest.as_ref());
        let details = manifest.map(|manifest| (manifest.notes.clone(), manifest.critical));
        if !is_first {
            if release.is_some() {
                // What was damaged is replaced by what was just verified.
                session.damaged = None;
            }
            session.save()?;
        }
        Ok(CheckResult { decision: decision?, epoch, details })
    }

    /// The newest root that was persisted, or the one that the tool carries.
    fn load_roots(&mut self, session: &Session) -> Result<Roots> {
        let anchor = || TrustAnchor::new(&self.anchor);
        match session.load_root(anchor()?) {
            Ok(roots) => Ok(roots),
            // The chain is read again from the root that the tool carries, and must reach as far as it
            // did before.
            Err(Error::Refused(why)) => {
                self.reporter.warn(&format!("the recorded root is damaged ({why}); it is fetched again"));
                Ok(anchor()?.into())
            }
            Err(other) => Err(other),
        }
    }

    /// Records that another version than the recorded one was put at the path by hand.
    fn note_replacement(&self, session: &mut Session) -> Result<()> {
        let (Some(running), Some(recorded)) = (&self.running, session.state.record.installed()) else {
            return Ok(());
        };
        if *running == recorded.version {
            return Ok(());
        }
        if session.holds(recorded)? {
            // The path was swapped after this process started: this process is not the one to decide
            // about the executable that is there.
            return Err(Local::ChangedMeanwhile { path: self.site.executable().into() }.into());
        }
        session.state.record.replaced_by_hand();
        Ok(())
    }

    /// Which version is at the path.
    fn installed(&self, session: &Session) -> Result<Version> {
        let not_installed =
            |why: String| Local::NotInstalled { path: self.site.executable().into(), why }.into();
        match (&self.running, session.state.record.installed()) {
            (Some(running), _) => Ok(running.clone()),
            (None, Some(recorded)) if session.holds(recorded)? => Ok(recorded.version.clone()),
            (None, Some(recorded)) => Err(not_installed(format!(
                "the file there is not the {} that was installed",
                recorded.version
            ))),
            (None, None) => Err(not_installed("there is no readable record of its version".into())),
        }
    }

    /// Steps 9 to 12. The lock is not held while downloading: a rollback does not wait for that.
    fn install(
        &mut self,
        session: Session,
        budget: &Budget,
        selected: &Selected,
        from: &Version,
        epoch: Epoch,
    ) -> Result<()> {
        let staging = session.into_staging(budget.lock_wait)?;
        let deadline = budget.download.map(|limit| Instant::now() + limit);
        let staged = self.stage(staging.directories(), selected, deadline)?; // 9, 10
        let runs = self.probe.run(&staged, &self.identity.product); // 11
        let mut session = self.begin(limits::LOCK_WAIT)?; // 2
        let state = &mut session.state;
        if !state.same_basis(&staging.decided_from) {
            return Err(Local::ChangedMeanwhile { path: self.site.executable().into() }.into());
        }
        if let Err(error) = runs {
            match error.is_verdict() {
                true => state.memory.probe_failed(),
                false => state.memory.probe_inconclusive(),
            }
            session.save()?;
            return Err(error.into_error(staged.version()));
        }
        state.memory.about_to_install(staged.version());
        let running = (from, self.anchor_epoch);
        session.swap(staged, running, epoch) // 12
    }

    fn stage(
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

/// How steps 3 to 8 ended.
struct CheckResult {
    decision: Decision,
    /// The epoch of the newest root.
    epoch: Epoch,
    /// Notes, and whether the release is critical, where a manifest was read.
    details: Option<(crate::trust::Notes, bool)>,
}
