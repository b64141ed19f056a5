//! Composes the steps of SPEC section 5. Only this room sees all others.
//!
//! ```text
//! budget     how long all of them may take
//! examine    3 roots, 4 VERSION, 5 time, 6 manifest, 7 floors, 8 decision
//! here       1 and 2 (a session of install/), 9 download, 10 hash, 11 probe, 12 swap
//! first      the same for an executable that is not there yet
//! told       what is answered
//! ```

mod budget;
mod examine;
mod first;
mod told;

use std::path::Path;
use std::time::{Duration, Instant};

pub(crate) use budget::Budget;
pub use first::Install;
pub use told::{Checked, Outcome, RolledBack, Status};

use crate::clock::{Clock, SystemClock};
use crate::error::{Error, Local, Result};
use crate::install::{Directories, Download, Installation, Loaded, Probe, Session, Staged, Standing, State};
use crate::limits;
use crate::policy::{Decision, Selected};
use crate::report::{Quiet, Reporter};
use crate::source::{Fetcher, Source};
use crate::trust::{Epoch, Identity, Name, Root, Times, Verified, Version};

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
        let root = Verified::<Root>::anchor(anchor)?;
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

    /// [`Updater::check`] at another pace.
    pub(crate) fn check_at(&mut self, pace: &Budget, now: bool) -> Result<Checked> {
        self.site.ensure_executable()?;
        let mut session = self.begin(pace.lock_wait)?;
        let examined = self.examine(&mut session, pace.deadline, now)?;
        Ok(match examined.decision {
            Decision::Nothing(reason) => Checked::Nothing(reason),
            Decision::Update(selected) => {
                let (notes, critical) = examined.details.unwrap_or_default();
                Checked::Update { from: examined.installed, to: selected.version().clone(), notes, critical }
            }
        })
    }

    /// [`Updater::update`] at another pace; `starting` is told before anything is downloaded.
    pub(crate) fn update_at(
        &mut self,
        pace: &Budget,
        now: bool,
        starting: impl FnOnce(&Version, &Version),
    ) -> Result<Outcome> {
        let mut session = self.begin(pace.lock_wait)?;
        let examined = self.examine(&mut session, pace.deadline, now)?;
        let selected = match examined.decision {
            Decision::Nothing(reason) => return Ok(Outcome::Nothing(reason)),
            Decision::Update(selected) => selected,
        };
        let (from, to) = (examined.installed, selected.version().clone());
        if !pace.retry_failed && session.state.unable == session.state.floors.manifest {
            let why = "it was tried before; an explicit update tries it again".into();
            return Err(Local::CannotRun { version: to, why }.into());
        }
        // Whatever stops it from here on, a closed terminal included, the next start does not take for a check that found nothing to do.
        session.state.failed = self.clock.now();
        session.save()?;
        starting(&from, &to);
        self.install(session, pace, &selected, &from, &examined.root)?;
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
        let installed = state.as_ref().and_then(|state| state.installed.as_ref());
        let installed = running.cloned().or(installed.map(|copy| copy.version.clone()));
        Ok(match state {
            None => Status {
                product: None,
                channel: None,
                installed,
                previous: None,
                held: Vec::new(),
                min_version: None,
                standing: None,
                checked: 0,
                failed: 0,
                rollout: None,
                damaged,
            },
            Some(state) => Status {
                product: Some(state.product),
                channel: Some(state.channel),
                installed,
                previous: state.previous.map(|copy| copy.version),
                held: state.held,
                min_version: state.min_version,
                standing: Some(state.standing),
                checked: state.checked,
                failed: state.failed,
                rollout: Some(state.rollout),
                damaged,
            },
        })
    }

    /// What is recorded, for the start-up check.
    pub(crate) fn recorded(&self) -> Result<Loaded> {
        self.site.recorded(Some(&self.identity))
    }

    /// The two clocks, given what was seen.
    pub(crate) fn times(&self, state: &State, root: &Root) -> Times {
        let system = self.clock.now();
        Times { system, now: system.max(state.floors.issued).max(root.issued) }
    }

    /// Remembers that a check failed, so that the next starts do not wait for a network that is not there.
    pub(crate) fn record_failure(&mut self) -> Result<()> {
        let mut session = self.begin(Duration::ZERO)?;
        session.state.failed = self.clock.now();
        session.save()
    }

    fn begin(&mut self, lock_wait: Duration) -> Result<Session> {
        let session = Session::begin(&self.site, Some(&self.identity), lock_wait, &mut *self.reporter)?;
        // With an identity there is always a state, a new one if need be.
        session.ok_or_else(|| Local::NothingToRollBack { path: self.site.executable().into() }.into())
    }

    /// Steps 9 to 12. The lock is not held while downloading: a person who goes back does not wait for that.
    fn install(
        &mut self,
        session: Session,
        pace: &Budget,
        selected: &Selected,
        from: &Version,
        root: &Verified<Root>,
    ) -> Result<()> {
        let staging = session.into_staging(pace.lock_wait)?;
        let deadline = pace.download.map(|limit| Instant::now() + limit);
        let staged = self.stage(staging.directories(), selected, deadline)?; // 9, 10
        let runs = self.probe.run(&staged, &self.identity.product); // 11
        let mut session = self.begin(limits::LOCK_WAIT)?; // 2
        let state = &mut session.state;
        if !state.same_basis(&staging.decided_from) {
            return Err(Local::ChangedMeanwhile { path: self.site.executable().into() }.into());
        }
        match runs {
            Ok(()) => {}
            Err(error) => {
                if error.is_verdict() {
                    state.unable = state.floors.manifest;
                }
                state.failed = 0; // tried again after the interval, not sooner: that costs a download and a probe
                session.save()?;
                return Err(error.into_error(staged.version()));
            }
        }
        (state.standing, state.unable, state.failed) = (Standing::Current, None, 0);
        state.judged = Some(staged.version().clone());
        let running = (from, self.anchor_epoch);
        session.swap(staged, running, root.epoch) // 12
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
