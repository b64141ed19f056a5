//! What happens to an installation, by the code itself, and what lay on the disk before each call
//! by which it changed a name: that is what a process leaves that dies there.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use fs4::FileExt;

use super::disk::{Disk, Stage, TOOL};
use super::forge::{self, FORGED, Served, identity, version, version_of};
use crate::clock::Clock;
use crate::error::{Error, Local};
use crate::install::{Probe, ProbeAnswer, Session, moment, stand_in};
use crate::limits;
use crate::report::Quiet;
use crate::source::Fetcher;
use crate::trust::{TrustAnchor, Version};
use crate::updater::{Budget, Outcome, RolledBack, Updater};

/// What the system and the tool are like.
#[derive(Debug, Clone, Copy)]
pub(super) struct World {
    /// Whether two names can be exchanged, and whether a file can have two.
    pub(super) exchanges: bool,
    pub(super) links: bool,
    /// How many executables are kept.
    pub(super) keep: usize,
}

/// What happens next. Each is of its own process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    /// An automatic update, while the repository serves this release.
    Update(usize),
    /// What a person asks for. `known` is whether the tool at the path does it, which knows its
    /// version, and not another program.
    Back {
        known: bool,
    },
    BackTo(u8),
    ForwardTo(u8),
    EndHolds,
    /// The tool says that it works, or has panicked so often that it is left.
    Confirm,
    Panic,
    /// The tool starts.
    Start,
    /// Somebody puts the executable of this version at the path.
    ByHand(u8),
    /// The hold of a version that was left for failing is over.
    Week,
    /// The update that waits for its download goes on, or its process dies.
    Finish,
    Die,
}

/// Whether the disk takes what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Weather {
    Good,
    /// No file can be created.
    Full,
    /// This call fails, and no other one.
    Fault(usize),
}

/// An update that has released `lock` to download.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Paused {
    /// What it found when it began.
    pub(super) began: Disk,
    pub(super) release: usize,
    /// How many other processes have done something since.
    pub(super) others: u8,
}

/// What a step says that it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Updated,
    Nothing,
    Now,
    Already,
    Done,
    Failed(String),
}

/// What came of a step.
#[derive(Debug)]
pub(super) struct Ran {
    /// What a process leaves that dies in it.
    pub(super) killed: Vec<Disk>,
    /// What lay there when it released `lock` to download.
    pub(super) paused: Option<Disk>,
    pub(super) after: Disk,
    pub(super) answer: Answer,
    /// How many calls it made that change a name.
    pub(super) calls: usize,
    /// What a second process could do which it must not.
    pub(super) intruded: bool,
    /// Whether it swapped, although the journal was another one since it had released `lock`.
    pub(super) overtook: bool,
    /// What came of the same step again.
    pub(super) again: Option<(Disk, Answer)>,
}

/// What a run has left after each of its calls.
struct Log {
    stage: Rc<Stage>,
    world: World,
    weather: Weather,
    /// What lay there before the call that was seen last, and the names of that call.
    now: Disk,
    names: Vec<String>,
    /// Files that it has created: it may write to them without a call that is seen.
    created: BTreeSet<String>,
    seen: Vec<Disk>,
    calls: usize,
    intruded: bool,
}

impl Log {
    /// From now on, of what lies there. What was seen before is another process's.
    fn begin(&mut self, weather: Weather) {
        self.weather = weather;
        self.now = self.stage.raw();
        self.seen = vec![self.now.clone()];
        self.calls = 0;
    }

    fn see(&mut self, call: &str, names: &[&OsStr]) -> io::Result<()> {
        self.note();
        self.names = names.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        if call == "create" {
            self.created.extend(self.names.iter().cloned());
        }
        let at = self.calls;
        self.calls += 1;
        let is_guarded = self.weather == Weather::Good && self.names.iter().any(|name| is_guarded(name));
        self.intruded |= is_guarded && !is_busy(&self.stage, false);
        match (call, self.weather) {
            (_, Weather::Fault(fault)) if fault == at => Err(io::ErrorKind::Other.into()),
            ("create", Weather::Full) => Err(io::ErrorKind::StorageFull.into()),
            ("exchange", _) if !self.world.exchanges => Err(io::ErrorKind::Unsupported.into()),
            ("link", _) if !self.world.links => Err(io::ErrorKind::PermissionDenied.into()),
            _ => Ok(()),
        }
    }

    fn note(&mut self) {
        let mut names = std::mem::take(&mut self.names);
        names.extend(self.created.iter().cloned());
        self.stage.refresh(&mut self.now, &names);
        if self.seen.last() != Some(&self.now) {
            self.seen.push(self.now.clone());
        }
    }
}

/// Whether only the holder of `lock` may change this file.
fn is_guarded(name: &str) -> bool {
    matches!(name, TOOL | "journal" | "previous" | "leaving") || name.starts_with("kept-")
}

/// Whether another process cannot begin; `fetching` is whether it would use the network.
fn is_busy(stage: &Stage, fetching: bool) -> bool {
    let begun = match fetching {
        true => Session::begin_update(&stage.installation, &identity().product, Duration::ZERO, &mut Quiet),
        false => Session::begin_rollback(&stage.installation, Duration::ZERO, &mut Quiet),
    };
    matches!(begun, Err(Error::Local(Local::Busy { .. })))
}

struct Clocked;

impl Clock for Clocked {
    fn now(&self) -> u64 {
        FORGED.now + 60
    }
}

thread_local! {
    static STAGE: Rc<Stage> = Rc::new(Stage::new());
}

/// Runs a step on a disk. `paused` is an update of another process, or the one that goes on.
pub(super) fn run(world: World, disk: &Disk, paused: Option<&Paused>, step: Step, weather: Weather) -> Ran {
    stand_in::answers(answer_of);
    let stage = STAGE.with(Rc::clone);
    let log = Rc::new(RefCell::new(Log {
        stage: stage.clone(),
        world,
        weather: Weather::Good,
        now: disk.clone(),
        names: Vec::new(),
        created: BTreeSet::new(),
        seen: Vec::new(),
        calls: 0,
        intruded: false,
    }));
    let (overtook, pause) = (Cell::new(false), RefCell::new(None));
    let watched = |act: &dyn Fn() -> Answer| {
        let log = log.clone();
        moment::watched(move |call, names| log.borrow_mut().see(call, names), act)
    };
    let answer = match (step, paused) {
        (Step::Finish, Some(paused)) => {
            stage.put(&paused.began);
            let starting = || {
                let before = stage.raw().canonical();
                stage.put(disk);
                overtook.set(before.journal() != disk.journal());
                log.borrow_mut().begin(weather);
            };
            watched(&|| update(world, &stage, paused.release, starting))
        }
        (Step::Update(release), None) => {
            stage.put(disk);
            log.borrow_mut().begin(weather);
            let starting = || {
                log.borrow_mut().intruded |= !is_busy(&stage, true);
                *pause.borrow_mut() = Some(stage.raw().canonical());
            };
            watched(&|| update(world, &stage, release, starting))
        }
        (step, paused) => {
            stage.put(disk);
            log.borrow_mut().begin(weather);
            let _staging = paused.map(|_| hold_staging(&stage));
            watched(&|| other(&stage, step))
        }
    };
    log.borrow_mut().note();
    let after = stage.raw().canonical();
    let has_returned = matches!(answer, Answer::Now | Answer::Already) && step != Step::Finish;
    let again = has_returned.then(|| {
        let _staging = paused.map(|_| hold_staging(&stage));
        let answer = other(&stage, step);
        (stage.raw().canonical(), answer)
    });
    let mut log = log.borrow_mut();
    let killed = canonical(log.seen.drain(..));
    Ran {
        killed,
        paused: pause.into_inner(),
        after,
        overtook: overtook.get() && answer == Answer::Updated,
        answer,
        calls: log.calls,
        intruded: log.intruded,
        again,
    }
}

/// Each once.
fn canonical(seen: impl Iterator<Item = Disk>) -> Vec<Disk> {
    let mut distinct: Vec<Disk> = Vec::new();
    for disk in seen.map(Disk::canonical) {
        if !distinct.contains(&disk) {
            distinct.push(disk);
        }
    }
    distinct
}

/// As the process of an update has it.
fn hold_staging(stage: &Stage) -> std::fs::File {
    let mut options = std::fs::OpenOptions::new();
    let path = stage.installation.dir().join("staging");
    let file = options.create(true).truncate(false).write(true).open(path).unwrap();
    FileExt::try_lock(&file).unwrap();
    file
}

fn update(world: World, stage: &Stage, release: usize, starting: impl FnOnce()) -> Answer {
    let (installation, running) = (stage.installation.clone(), Some(running(stage)));
    let (target, source) = (forge::TARGET.parse().unwrap(), Fetcher::new(Served(release)));
    let mut updater =
        Updater::new(installation, identity(), target, running, &FORGED.anchor, source, Probe::Library)
            .unwrap()
            .keep(world.keep)
            .clock(Clocked);
    let deadline = Instant::now() + limits::CHECK;
    let budget = Budget { lock_wait: Duration::ZERO, deadline, download: None, retry_failed: false };
    match updater.update_at(&budget, false, |_, _| starting()) {
        Ok(Outcome::Updated { .. }) => Answer::Updated,
        Ok(Outcome::Nothing(_)) => Answer::Nothing,
        Err(error) => Answer::Failed(error.to_string()),
    }
}

/// The version of the file at the path, which a process that was started from there carries.
fn running(stage: &Stage) -> Version {
    version(version_of(&std::fs::read(stage.installation.executable()).unwrap()).unwrap())
}

fn other(stage: &Stage, step: Step) -> Answer {
    let installation = &stage.installation;
    let travelled = |travelled: crate::Result<RolledBack>| match travelled {
        Ok(RolledBack::Now { .. }) => Answer::Now,
        Ok(RolledBack::Already { .. }) => Answer::Already,
        Err(error) => Answer::Failed(error.to_string()),
    };
    match step {
        Step::Back { known } => {
            let running = known.then(|| running(stage));
            travelled(Updater::rollback(installation, running.as_ref()))
        }
        Step::BackTo(to) => {
            travelled(Updater::rollback_to(installation, Some(&running(stage)), &version(to)))
        }
        Step::ForwardTo(to) => travelled(Updater::forward(installation, Some(&running(stage)), &version(to))),
        Step::EndHolds => match Updater::end_holds(installation) {
            Ok(_) => Answer::Done,
            Err(error) => Answer::Failed(error.to_string()),
        },
        Step::Confirm | Step::Panic | Step::Start => {
            // As in startup/trial.rs, which speaks of the process that runs.
            let running = running(stage);
            let Some((trial, mut file)) = installation.trial().filter(|(trial, _)| trial.version == running)
            else {
                return Answer::Nothing;
            };
            match step {
                Step::Confirm if trial.is_open() => file.append(format_args!("confirmed")),
                Step::Panic if trial.is_open() => {
                    (1..=3).for_each(|run| file.append(format_args!("panic {run}.1.a")))
                }
                Step::Start if trial.is_failed() => {
                    return match Updater::leave_failing(installation, &running, trial.blake3) {
                        Ok(_) => Answer::Done,
                        Err(error) => Answer::Failed(error.to_string()),
                    };
                }
                _ => return Answer::Nothing,
            }
            Answer::Done
        }
        Step::ByHand(version) => {
            stage.put_by_hand(&forge::executable(version));
            Answer::Done
        }
        Step::Week => {
            stage.put(&stage.raw().canonical().after_weak_holds());
            Answer::Done
        }
        Step::Update(_) | Step::Finish | Step::Die => panic!("{step:?} is not run here"),
    }
}

/// The executable of a version says what it is.
fn answer_of(file: &std::fs::File) -> ProbeAnswer {
    use std::os::unix::fs::FileExt as _;
    let mut content = [0; 16];
    let read = file.read_at(&mut content, 0).unwrap();
    let version = version(version_of(&content[..read]).unwrap());
    let (target, root) = (forge::TARGET.parse().unwrap(), TrustAnchor::digest(&FORGED.anchor));
    let crate::trust::Identity { product, channel } = identity();
    let address = "/repository".into();
    ProbeAnswer { product, version, channel, target, root, root_version: 1, address, readable: true }
}

/// The steps that may change something from here.
pub(super) fn possible(
    disk: &Disk,
    paused: Option<&Paused>,
    releases: &[usize],
    by_hand: &[u8],
) -> Vec<Step> {
    // Else an invariant is broken already.
    let Some(at_path) = disk.runnable() else { return Vec::new() };
    let mut steps = vec![Step::Back { known: true }, Step::Back { known: false }];
    if paused.is_none() {
        steps.extend(releases.iter().copied().map(Step::Update));
    } else {
        steps.extend([Step::Finish, Step::Die]);
    }
    let kept: BTreeSet<_> = disk.versions("kept").into_iter().filter(|kept| *kept != at_path).collect();
    for kept in kept {
        steps.push(if kept < at_path { Step::BackTo(kept) } else { Step::ForwardTo(kept) });
    }
    if !disk.versions("held").is_empty() {
        steps.push(Step::EndHolds);
    }
    if disk.has_weak_hold() {
        steps.push(Step::Week);
    }
    if disk.has_private() {
        steps.extend([Step::Confirm, Step::Panic, Step::Start]);
    }
    steps.extend(by_hand.iter().filter(|version| **version != at_path).map(|version| Step::ByHand(*version)));
    steps
}
