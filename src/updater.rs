//! Composes the steps of SPEC section 5. The only file that sees all rooms.

mod first;

pub use first::Install;

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::clock::{Clock, SystemClock};
use crate::error::{Error, Machine, Refusal, Result, Unavailable, Utc};
use crate::install::{self, Loaded, Lock, Probe, Settings, Site, Staged, Standing, State};
use crate::limits;
use crate::policy::{self, Decision, Installed, Reason, Selected};
use crate::report::{Quiet, Reporter};
use crate::source::{Bounded, Object, Source};
use crate::trust::{
    Document as _, Identity, Manifest, Name, Notes, Root, Times, Verified, Version, VersionFile,
};

/// Updates one installed executable.
///
/// Made by [`crate::Startup::updater`] for the tool that runs, and by [`Updater::of_installed`] for an executable that
/// [`Install`] put there.
pub struct Updater {
    site: Site,
    identity: Identity,
    target: Name,
    /// The version at the path, where the running program knows it.
    running: Option<Version>,
    anchor: Vec<u8>,
    source: Bounded,
    probe: Probe,
    clock: Box<dyn Clock>,
    reporter: Box<dyn Reporter>,
}

/// What a check found.
#[derive(Debug)]
pub enum Checked {
    /// This version is to be installed.
    Update {
        /// What is installed.
        from: Version,
        /// What is offered.
        to: Version,
        /// What the publisher says about it.
        notes: Notes,
        /// Whether the publisher marked it critical.
        critical: bool,
    },
    /// Nothing is to be done, and why.
    Nothing(Reason),
}

/// What an update did.
#[derive(Debug)]
pub enum Outcome {
    /// The executable at the path is now another one.
    Updated {
        /// The version that is now `previous`.
        from: Version,
        /// The version that is installed.
        to: Version,
    },
    /// Nothing was to be done, and why.
    Nothing(Reason),
}

/// What a rollback did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolledBack {
    /// The version that was left and is held now.
    pub from: Version,
    /// The version that is back.
    pub to: Version,
}

/// What is known without a network.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The product; `None` where nothing was ever recorded.
    pub product: Option<Name>,
    /// The channel.
    pub channel: Option<Name>,
    /// The version at the path, as far as it is known.
    pub installed: Option<Version>,
    /// The version that a rollback brings back.
    pub previous: Option<Version>,
    /// Versions that a person left by a rollback.
    pub held: Vec<Version>,
    /// The lowest version that may run under `Require`, be installed, or come back.
    pub min_version: Option<Version>,
    /// What the last check found.
    pub standing: Option<Standing>,
    /// When a check last succeeded, in Unix seconds; 0 for never.
    pub checked: u64,
    /// When a check or an update last failed, if it did since, in Unix seconds; 0 for not.
    pub failed: u64,
    /// This installation's place in rollouts, 0 to 99.
    pub rollout: Option<u8>,
    /// Why the recorded state cannot be read, where it cannot.
    pub damaged: Option<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Updated { from, to } => write!(f, "updated {from} to {to}; --rollback goes back"),
            Outcome::Nothing(reason) => write!(f, "nothing to do: {reason}"),
        }
    }
}

impl fmt::Display for RolledBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RolledBack { from, to } = self;
        let way = if to.compare(from).is_ok_and(std::cmp::Ordering::is_gt) { "forward" } else { "back" };
        write!(
            f,
            "{way} to {to}; {from} is held and is not installed again (--rollback once more returns to it)"
        )
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn or<T: fmt::Display>(value: &Option<T>, none: &str) -> String {
            value.as_ref().map_or_else(|| none.to_owned(), T::to_string)
        }
        writeln!(f, "version {}", or(&self.installed, "unknown"))?;
        writeln!(f, "  channel    {}", or(&self.channel, "(none recorded)"))?;
        let checked = if self.checked == 0 { "never".into() } else { Utc(self.checked).to_string() };
        writeln!(f, "  checked    {checked}")?;
        if self.failed != 0 {
            writeln!(f, "  failed     {}, since then", Utc(self.failed))?;
        }
        writeln!(f, "  found      {}", self.standing.as_ref().unwrap_or(&Standing::Unknown))?;
        writeln!(f, "  previous   {}", or(&self.previous, "(none; nothing to roll back to)"))?;
        let held: Vec<_> = self.held.iter().map(Version::to_string).collect();
        write!(f, "  held       {}", if held.is_empty() { "(none)".into() } else { held.join(", ") })?;
        if let Some(damaged) = &self.damaged {
            write!(f, "\n  damaged    {damaged}")?;
        }
        Ok(())
    }
}

/// How long an update may take, and how much it tries.
pub(crate) struct Pace {
    pub(crate) lock_wait: Duration,
    /// For everything before a download.
    pub(crate) deadline: Instant,
    /// For a download.
    pub(crate) download: Option<Duration>,
    /// Whether a release that did not run here is tried again.
    pub(crate) tries_again: bool,
}

impl Pace {
    /// A person asked for it and waits.
    fn explicit() -> Self {
        let deadline = Instant::now() + limits::CHECK;
        Pace { lock_wait: limits::LOCK_WAIT, deadline, download: None, tries_again: true }
    }
}

/// Steps 1 and 2: the lock is held and nothing is half done.
struct Session {
    lock: Lock,
    state: State,
    /// The file is kept as it is until a verified check replaces it.
    damaged: Option<Refusal>,
}

impl Session {
    /// Steps 1 and 2 for an executable that is there.
    fn begin(
        site: &Site,
        identity: Option<&Identity>,
        wait: Duration,
        reporter: &mut dyn Reporter,
    ) -> Result<Option<Self>> {
        if site.has_gap() {
            // Only where names cannot be exchanged: a crash left nothing at the path, and recovery puts it there.
            site.check_safe_for_new()?;
            drop(Session::open(site, identity, wait, reporter)?);
        }
        site.check_safe()?; // 1
        Session::open(site, identity, wait, reporter) // 2
    }

    fn open(
        site: &Site,
        identity: Option<&Identity>,
        wait: Duration,
        reporter: &mut dyn Reporter,
    ) -> Result<Option<Self>> {
        let lock = Lock::take(site, wait)?;
        let (mut state, damaged) = match (State::load(site, identity)?, identity) {
            (Loaded::Present(state), _) => (*state, None),
            (Loaded::Absent, Some(identity)) => (State::new(identity)?, None),
            (Loaded::Damaged(why), Some(identity)) => {
                reporter.warn(&format!(
                    "{why}; it is written anew by the next successful check, or by installing again"
                ));
                (State::new(identity)?, Some(why))
            }
            (Loaded::Absent, None) => return Ok(None),
            (Loaded::Damaged(why), None) => return Err(why.into()),
        };
        if damaged.is_none() {
            install::recover(site, &mut state)?;
            install::clean_up(site);
        }
        Ok(Some(Session { lock, state, damaged }))
    }

    fn save(&self, site: &Site) -> Result<()> {
        if self.damaged.is_none() { self.state.save(site) } else { Ok(()) }
    }
}

/// Steps 3 to 8.
struct Examined {
    decision: Decision,
    installed: Version,
    root: Verified<Root>,
    /// Notes and whether it is critical, where a manifest was read.
    details: Option<(Notes, bool)>,
}

impl Updater {
    pub(crate) fn new(
        site: Site,
        identity: Identity,
        target: Name,
        running: Option<Version>,
        anchor: &[u8],
        source: Bounded,
        probe: Probe,
    ) -> Result<Self> {
        // A program that carries another product's root, or none, is a mistake to be told at once and not at the first release.
        let root = Verified::<Root>::anchor(anchor)?;
        if root.product != identity.product {
            return Err(Error::caller(format!(
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
            source,
            probe,
            clock,
            reporter,
        })
    }

    /// The updater of an executable that [`Install`] put at `path`.
    ///
    /// # Errors
    /// [`Machine::NotInstalled`] where there are no settings beside it.
    pub fn of_installed(path: &Path) -> Result<Self> {
        let site = Site::at(path)?;
        let settings = Settings::load(&site)?;
        let source = settings.source()?;
        let identity = Identity { product: settings.product, channel: settings.channel };
        Updater::new(site, identity, settings.target, None, settings.root.as_bytes(), source, settings.probe)
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
        self.source = Bounded::new(source);
        self
    }

    /// Tells what happens on the way.
    #[must_use]
    pub fn reporter(mut self, reporter: impl Reporter + 'static) -> Self {
        self.reporter = Box::new(reporter);
        self
    }

    /// Where the executable and its state lie.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The address of the repository.
    pub fn location(&self) -> String {
        self.source.location()
    }

    /// Steps 1 to 8: what an [`Updater::update`] would do now. It moves the floors as an update does. `now` passes a staged rollout.
    ///
    /// # Errors
    /// See [`Error`]; the executable is as it was.
    pub fn check(&mut self, now: bool) -> Result<Checked> {
        self.check_at(&Pace::explicit(), now)
    }

    /// Steps 1 to 12. `now` passes a staged rollout.
    ///
    /// # Errors
    /// See [`Error`]; the executable is as it was.
    pub fn update(&mut self, now: bool) -> Result<Outcome> {
        self.update_at(&Pace::explicit(), now, |_, _| {})
    }

    /// [`Updater::check`] at another pace.
    pub(crate) fn check_at(&mut self, pace: &Pace, now: bool) -> Result<Checked> {
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
        pace: &Pace,
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
        if !pace.tries_again && session.state.unable == session.state.floors.manifest {
            let why = "it was tried before; an explicit update tries it again".into();
            return Err(Machine::CannotRun { version: to, why }.into());
        }
        // Whatever stops it from here on, a closed terminal included, the next start does not take for a check that found nothing to do.
        session.state.failed = self.clock.now();
        session.save(&self.site)?;
        starting(&from, &to);
        self.install(session, pace, &selected, &from, &examined.root)?;
        Ok(Outcome::Updated { from, to })
    }

    /// Brings the previous executable back; see SPEC section 6. No network.
    ///
    /// # Errors
    /// [`Machine::NothingToRollBack`], [`Refusal::PreviousAltered`], [`Refusal::BelowFloor`], [`Refusal::PreviousEpoch`],
    /// [`Machine::Busy`]; everything is as it was.
    pub fn rollback(site: &Site, running: Option<&Version>) -> Result<RolledBack> {
        let nothing = || Machine::NothingToRollBack { path: site.executable().into() };
        // Without a site directory there was never an update, and asking must not make one.
        if !site.dir().is_dir() {
            return Err(nothing().into());
        }
        let session = Session::begin(site, None, limits::LOCK_WAIT, &mut Quiet)?;
        let Session { lock, mut state, .. } = session.ok_or_else(nothing)?;
        let (from, to) = install::rollback(site, &mut state, running, &lock)?;
        Ok(RolledBack { from, to })
    }

    /// What is recorded beside an executable. No network, no lock.
    ///
    /// # Errors
    /// [`Machine::Io`], and [`Refusal::StateTooNew`].
    pub fn status(site: &Site, running: Option<&Version>) -> Result<Status> {
        let (state, damaged) = match State::load(site, None)? {
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
        State::load(&self.site, Some(&self.identity))
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
        session.save(&self.site)
    }

    fn begin(&mut self, lock_wait: Duration) -> Result<Session> {
        let session = Session::begin(&self.site, Some(&self.identity), lock_wait, &mut *self.reporter)?;
        // With an identity there is always a state, a new one if need be.
        session.ok_or_else(|| Machine::NothingToRollBack { path: self.site.executable().into() }.into())
    }

    /// Steps 3 to 8.
    fn examine(&mut self, session: &mut Session, deadline: Instant, now: bool) -> Result<Examined> {
        let installed = self.installed(session)?;
        let mut root = self.load_root()?;
        let system = self.clock.now();
        let must_walk = session.state.root_version > root.version;
        let mut walked = false;
        if must_walk || system.abs_diff(session.state.root_walked) >= limits::ROOT_INTERVAL {
            root = self.walk(session, root, deadline)?;
            walked = true;
        }
        let first = self.release(session, &root, Some(&installed), deadline);
        let settled = walked
            || match &first {
                Ok(release) => {
                    matches!(release.decide(session, self, &installed, now), Ok(Decision::Nothing(_)))
                }
                Err(error) => !matches!(error, Error::Refused(_)),
            };
        if settled {
            return self.accept(session, &first?, &installed, now, root);
        }
        let before = root.version;
        match (self.walk(session, root, deadline), first) {
            (Ok(root), first) if root.version == before => {
                self.accept(session, &first?, &installed, now, root)
            }
            (Ok(root), _) => {
                let release = self.release(session, &root, Some(&installed), deadline)?;
                self.accept(session, &release, &installed, now, root)
            }
            // What was refused stays refused; that newer roots cannot be had is the lesser news.
            (Err(Error::Unavailable(_)), Err(refused)) => Err(refused),
            (Err(error), _) => Err(error),
        }
    }

    /// Steps 7 and 8.
    fn accept(
        &mut self,
        session: &mut Session,
        release: &Release,
        installed: &Version,
        now: bool,
        root: Verified<Root>,
    ) -> Result<Examined> {
        let state = &mut session.state;
        match &release.manifest {
            Some(manifest) => state.advance(&release.version, manifest),
            None => state.refresh(&release.version),
        }
        state.trust(&root);
        state.checked = self.clock.now();
        state.failed = 0;
        // The state is whole again: what was damaged is replaced by what was just verified.
        session.damaged = None;
        let decision = release.decide(session, self, installed, now);
        session.state.judged = Some(installed.clone());
        session.state.standing = match &decision {
            Ok(Decision::Nothing(reason)) => reason.into(),
            Ok(Decision::Update(selected)) => Standing::Outdated { version: selected.version().clone() },
            Err(_) => Standing::Outdated { version: release.version.version.clone() },
        };
        session.save(&self.site)?;
        let details = release.manifest.as_ref().map(|manifest| (manifest.notes.clone(), manifest.critical));
        Ok(Examined { decision: decision?, installed: installed.clone(), root, details })
    }

    /// Which version is at the path.
    fn installed(&self, session: &mut Session) -> Result<Version> {
        match (&self.running, &session.state.installed) {
            (None, Some(recorded)) if self.site.holds(recorded)? => Ok(recorded.version.clone()),
            (None, Some(recorded)) => {
                let why = format!("the file there is not the {} that was installed", recorded.version);
                Err(Machine::NotInstalled { path: self.site.executable().into(), why }.into())
            }
            (None, None) => {
                let why = "there is no readable record of its version".into();
                Err(Machine::NotInstalled { path: self.site.executable().into(), why }.into())
            }
            (Some(running), Some(recorded)) if *running != recorded.version => {
                if self.site.holds(recorded)? {
                    // The path was swapped after this process started: it is not the one to judge what is there.
                    return Err(Machine::ChangedMeanwhile { path: self.site.executable().into() }.into());
                }
                session.state.installed = None; // somebody installed another version by hand
                Ok(running.clone())
            }
            (Some(running), _) => Ok(running.clone()),
        }
    }

    fn load_root(&mut self) -> Result<Verified<Root>> {
        match install::load_root(&self.site, Verified::<Root>::anchor(&self.anchor)?) {
            Ok(root) => Ok(root),
            // The chain is walked again from the root that the tool carries, and must reach as far as it did before.
            Err(Error::Refused(why)) => {
                self.reporter.warn(&format!("the recorded root is damaged ({why}); it is fetched again"));
                Ok(Verified::<Root>::anchor(&self.anchor)?)
            }
            Err(other) => Err(other),
        }
    }

    /// Step 3.
    fn walk(
        &mut self,
        session: &mut Session,
        mut root: Verified<Root>,
        deadline: Instant,
    ) -> Result<Verified<Root>> {
        for _ in 0..limits::NEW_ROOTS {
            let Some(document) = self.next_root(&root, deadline)? else {
                return self.walked(session, root);
            };
            let signatures =
                self.source.fetch(&Object::RootSignatures(root.version + 1), limits::SIGNATURES, deadline)?;
            let next = root.next(&document, &signatures)?;
            next.check_issued(&self.times(&session.state, &root))?;
            install::save_root(&self.site, &next, &signatures)?;
            session.state.trust(&next);
            session.save(&self.site)?;
            root = next;
        }
        match self.next_root(&root, deadline)? {
            None => self.walked(session, root),
            Some(_) => Err(Refusal::TooManyRoots { limit: limits::NEW_ROOTS, trusted: root.version }.into()),
        }
    }

    fn walked(&self, session: &mut Session, root: Verified<Root>) -> Result<Verified<Root>> {
        let needed = session.state.root_version;
        if root.version < needed {
            let document = root.kind();
            return Err(Refusal::RootAhead { document, needed, trusted: root.version }.into());
        }
        session.state.root_walked = self.clock.now();
        Ok(root)
    }

    /// The root after this one, if there is one. S3 answers 403 for what is not there to a reader who may not list.
    fn next_root(&self, root: &Root, deadline: Instant) -> Result<Option<crate::trust::Fetched>> {
        match self.source.fetch(&Object::Root(root.version + 1), limits::ROOT, deadline) {
            Ok(document) => Ok(Some(document)),
            Err(Error::Unavailable(Unavailable::Absent { .. } | Unavailable::Forbidden { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Steps 3 (expiry) to 6.
    fn release(
        &self,
        session: &Session,
        root: &Verified<Root>,
        installed: Option<&Version>,
        deadline: Instant,
    ) -> Result<Release> {
        let times = self.times(&session.state, root);
        root.check_unexpired(&times)?; // 3
        let object = Object::VersionFile(self.identity.channel.clone());
        let fetched = self.source.fetch(&object, limits::VERSION_FILE, deadline)?;
        let version =
            Verified::<VersionFile>::check(&fetched, root, &self.identity, &session.state.floors, &times)?; // 4, 5
        if let Some(installed) = installed.filter(|installed| !version.version.same_kind(installed)) {
            let (known, found) = (installed.clone(), version.version.clone());
            return Err(Refusal::KindChanged { known, found }.into());
        }
        // The same manifest was verified before and everything that it says was taken; it is not fetched again to learn nothing.
        if Some(&version.version) == installed && session.state.floors.manifest == Some(version.manifest) {
            return Ok(Release { version, manifest: None });
        }
        let document = self.source.fetch(&Object::Manifest(version.manifest), limits::MANIFEST, deadline)?;
        let signatures = Object::ManifestSignatures(version.manifest);
        let signatures = self.source.fetch(&signatures, limits::SIGNATURES, deadline)?;
        let manifest =
            Verified::<Manifest>::check(&document, &signatures, &version, root, &self.identity, &times)?; // 6
        Ok(Release { version, manifest: Some(manifest) })
    }

    /// Steps 9 to 12. The lock is not held while downloading: a person who goes back does not wait for that.
    fn install(
        &mut self,
        session: Session,
        pace: &Pace,
        selected: &Selected,
        from: &Version,
        root: &Verified<Root>,
    ) -> Result<()> {
        let Session { lock, state: decided_from, .. } = session;
        drop(lock);
        let _staging = Lock::staging(&self.site, pace.lock_wait)?;
        let deadline = pace.download.map(|limit| Instant::now() + limit);
        let staged = self.stage(selected, deadline)?; // 9, 10
        let runs = self.probe.run(&staged, &self.identity.product); // 11
        let mut session = self.begin(limits::LOCK_WAIT)?; // 2
        let state = &mut session.state;
        if !state.is_same_ground(&decided_from) {
            return Err(Machine::ChangedMeanwhile { path: self.site.executable().into() }.into());
        }
        match runs {
            Ok(()) => {}
            Err(error) => {
                if error.is_verdict() {
                    state.unable = state.floors.manifest;
                    session.save(&self.site)?;
                }
                return Err(error.told(staged.version()));
            }
        }
        (state.standing, state.unable, state.failed) = (Standing::Current, None, 0);
        state.judged = Some(staged.version().clone());
        install::swap_in(&self.site, state, staged, from, root.epoch, &session.lock) // 12
    }

    fn stage(&mut self, selected: &Selected, deadline: Option<Instant>) -> Result<Staged> {
        let (reporter, version) = (&mut self.reporter, selected.version());
        let mut progress = |done, total| reporter.downloading(version, done, total);
        let mut from = install::Download { source: &self.source, deadline, progress: &mut progress };
        Staged::download(&self.site, selected.artifact(), version, &mut from)
    }
}

/// What the repository offers, verified. Without a manifest where it is the one that is installed.
struct Release {
    version: Verified<VersionFile>,
    manifest: Option<Verified<Manifest>>,
}

impl Release {
    fn decide(
        &self,
        session: &Session,
        updater: &Updater,
        installed: &Version,
        now: bool,
    ) -> Result<Decision> {
        let Some(manifest) = &self.manifest else { return Ok(Decision::Nothing(Reason::Current)) };
        let installed = Installed { version: installed, target: &updater.target, state: &session.state };
        Ok(policy::decide(&installed, &self.version, manifest, now)?)
    }
}
