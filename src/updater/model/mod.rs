//! What an installation can come to, explored to the end: every order of updates, rollbacks, holds,
//! trials and interventions by hand, each by one or two processes, and each ended by a crash before
//! any call that changes a name.
//!
//! ```text
//! forge     a repository in memory, whose releases an attacker serves in any order
//! disk      what lies in the two directories, without what differs in each run
//! steps     runs the code on such a disk, and sees each call
//! history   what the invariants remember
//! ```
//!
//! `stateright` has the states and the order in which they are visited. What leads from one to the
//! next is the code of this crate, in a directory: nothing of it is written a second time here. Of
//! what a process remembers, a state has what the disk had when that process read it; the code
//! reads it again.
//!
//! Two things are known not to hold, and are left out. Where a crash left an exchange without its
//! record, and the disk takes no record of it and of the next one either, the names tell of one of
//! the two: a hold, or what a trial found, can be lost. And so it can where somebody puts another
//! executable at the path between a crash and the next process.
//!
//! A probe starts no program, because the executables are a few bytes: it answers for them. A
//! power cut is not in the model, because a file system in memory has none (`tests/crash`).

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod disk;
mod forge;
mod history;
mod steps;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};

use disk::Disk;
use forge::RELEASES;
use history::{Broken, End, History, State};
use steps::{Answer, Paused, Ran, Step, Weather, World, possible, run};

/// What is explored.
#[derive(Clone)]
struct Explored {
    world: World,
    /// The releases that are served.
    releases: &'static [usize],
    /// The versions one of which may be put at the path by hand, once.
    by_hand: &'static [u8],
    /// How many other processes do something while one downloads.
    others: u8,
    trials: Trials,
    /// Whether the disk may be full, and whether any single call may fail.
    full: bool,
    faults: bool,
    /// What came of a step depends on nothing else.
    known: Known,
}

/// What comes of the first starts of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trials {
    /// Nothing is known.
    Open,
    /// It may be found to work.
    Confirmed,
    /// Or to fail.
    Decided,
}

/// What came of the steps that were run.
#[derive(Clone, Default)]
struct Known(Arc<Mutex<HashMap<Run, Arc<Ran>>>>);

/// What a run depends on.
type Run = (Disk, Option<Paused>, Step, Weather);

/// A step, how it ended, and what it led to.
#[derive(Clone, PartialEq)]
struct Transition {
    step: Step,
    weather: Weather,
    end: End,
    answer: Answer,
    to: Arc<State>,
}

impl fmt::Debug for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Transition { step, weather, end, answer, to } = self;
        write!(f, "{step:?} {weather:?} {end:?} {answer:?}\n    {:?}\n    {:?}", to.disk, to.history)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.disk)
    }
}

impl Explored {
    fn run(&self, state: &State, step: Step, weather: Weather) -> Arc<Ran> {
        let key = (state.disk.clone(), state.paused.clone(), step, weather);
        if let Some(known) = self.known.0.lock().unwrap().get(&key) {
            return known.clone();
        }
        let ran = Arc::new(run(self.world, &state.disk, state.paused.as_ref(), step, weather));
        self.known.0.lock().unwrap().insert(key, ran.clone());
        ran
    }

    fn add(&self, state: &State, step: Step, weather: Weather, transitions: &mut Vec<Transition>) -> usize {
        let ran = self.run(state, step, weather);
        let mut add = |end, disk| {
            let to = Arc::new(state.after(step, weather, &ran, end, disk));
            if *to != *state {
                transitions.push(Transition { step, weather, end, answer: ran.answer.clone(), to });
            }
        };
        add(End::Completed, &ran.after);
        ran.killed.iter().filter(|disk| **disk != ran.after).for_each(|disk| add(End::Killed, disk));
        if self.others > 0 {
            ran.paused.iter().for_each(|disk| add(End::Paused, disk));
        }
        ran.calls
    }
}

impl Model for Explored {
    type State = State;
    type Action = Transition;

    fn init_states(&self) -> Vec<State> {
        let disk = Disk::by_hand(&forge::executable(1));
        vec![State { disk, paused: None, history: History::default() }]
    }

    fn actions(&self, state: &State, transitions: &mut Vec<Transition>) {
        let by_hand = if state.history.by_hand { &[] } else { self.by_hand };
        let others = state.paused.as_ref().map(|paused| paused.others);
        // In the other worlds, to keep these smaller. Of what was put there by hand it knows nothing.
        let has_other_program = self.by_hand.is_empty() && self.trials == Trials::Open;
        for step in possible(&state.disk, state.paused.as_ref(), self.releases, by_hand) {
            match (step, others) {
                // Without others it is the rest of that update, and has been seen.
                (Step::Finish | Step::Die, Some(0)) => continue,
                (Step::Finish, _) => {}
                (Step::Die, _) => {
                    let to = Arc::new(State { paused: None, ..state.clone() });
                    let (weather, end, answer) = (Weather::Good, End::Killed, Answer::Done);
                    transitions.push(Transition { step, weather, end, answer, to });
                    continue;
                }
                (_, Some(others)) if others >= self.others => continue,
                (Step::Back { known: false }, _) if !has_other_program => continue,
                (Step::Confirm, _) if self.trials == Trials::Open => continue,
                (Step::Panic | Step::Start, _) if self.trials != Trials::Decided => continue,
                _ => {}
            }
            let calls = self.add(state, step, Weather::Good, transitions);
            if self.full && calls > 0 {
                self.add(state, step, Weather::Full, transitions);
            }
            if self.faults {
                for fault in 0..calls {
                    self.add(state, step, Weather::Fault(fault), transitions);
                }
            }
        }
    }

    fn next_state(&self, _: &State, transition: Transition) -> Option<State> {
        Some((*transition.to).clone())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn keeps(state: &State, broken: Broken) -> bool {
            !state.history.broken.contains(&broken)
        }
        let mut properties = vec![
            Property::always("an executable that runs is at the path", |_, state: &State| {
                state.disk.runnable().is_some()
            }),
            Property::always("what is held or withdrawn does not come back by itself", |_, state: &State| {
                keeps(state, Broken::ReturnedByItself) && keeps(state, Broken::Unasked)
            }),
            Property::always(
                "no rollback leads to what is held, withdrawn or below the floor",
                |_, state: &State| keeps(state, Broken::Forbidden),
            ),
            Property::always("no floor falls", |_, state: &State| keeps(state, Broken::FloorFell)),
            Property::always("two processes never both swap", |_, state: &State| {
                keeps(state, Broken::BothSwapped)
            }),
            Property::always("the last confirmed version is not lost", |_, state: &State| {
                state.history.last_confirmed.is_none_or(|version| state.disk.has(version))
            }),
            Property::always("a rollback asked for twice is one", |_, state: &State| {
                keeps(state, Broken::RolledBackTwice)
            }),
            Property::always("what fails changes no executable", |_, state: &State| {
                keeps(state, Broken::FailedHalfway)
            }),
        ];
        // Else the others would say little.
        let is_withdrawn = self.releases.iter().any(|release| !RELEASES[*release].retracts.is_empty());
        let expected: [(bool, Property<Self>); 6] = [
            (
                true,
                Property::sometimes("a version is held", |_, state: &State| !state.history.held.is_empty()),
            ),
            (
                true,
                Property::sometimes("a rollback was interrupted", |_, state: &State| {
                    state.history.asked.is_some()
                }),
            ),
            (
                is_withdrawn,
                Property::sometimes("a version is withdrawn", |_, state: &State| {
                    !state.history.withdrawn.is_empty()
                }),
            ),
            (
                self.trials != Trials::Open,
                Property::sometimes("a version is confirmed and not at the path", |_, state: &State| {
                    state.history.last_confirmed.is_some_and(|last| state.disk.runnable() != Some(last))
                }),
            ),
            (
                self.trials == Trials::Decided,
                Property::sometimes("a version was left for failing", |_, state: &State| {
                    state.disk.has_weak_hold()
                }),
            ),
            (
                self.others > 0,
                Property::sometimes("an update waits while others act", |_, state: &State| {
                    state.paused.as_ref().is_some_and(|paused| paused.others > 0)
                }),
            ),
        ];
        properties.extend(expected.into_iter().filter(|(is_expected, _)| *is_expected).map(|(_, it)| it));
        properties
    }
}

/// Explores all of it, and prints how much that was.
fn explore(name: &str, explored: Explored) {
    let begun = Instant::now();
    let checker = explored.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!(
        "{name}: {} states, {} transitions by {} runs, {} deep, {:.1} s",
        checker.unique_state_count(),
        checker.state_count(),
        checker.model().known.0.lock().unwrap().len(),
        checker.max_depth(),
        begun.elapsed().as_secs_f32(),
    );
    for (property, path) in checker.discoveries() {
        if checker.model().property(property).expectation == Expectation::Always {
            let steps: Vec<_> = path.into_actions().iter().map(|it| format!("{it:#?}")).collect();
            panic!("{name}: {property}: broken by\n{}", steps.join("\n"));
        }
    }
    checker.assert_properties();
}

/// A small world: two releases, one executable is kept, and nothing goes wrong but crashes.
fn small() -> Explored {
    Explored {
        world: World { exchanges: true, links: true, keep: 1 },
        releases: &[0, 1],
        by_hand: &[],
        others: 0,
        trials: Trials::Open,
        full: false,
        faults: false,
        known: Known::default(),
    }
}

/// Every release.
const ALL: &[usize] = &[0, 1, 2, 3];

/// `RELATCH_TEST_LONG=1` explores larger worlds (ARCHITECTURE.md).
fn is_long() -> bool {
    std::env::var_os("RELATCH_TEST_LONG").is_some()
}

#[test]
fn crashes_and_trials() {
    explore("crashes and trials", Explored { trials: Trials::Decided, ..small() });
    if is_long() {
        let world = World { keep: 2, ..small().world };
        explore("the same, two kept", Explored { world, trials: Trials::Decided, ..small() });
    }
}

#[test]
fn two_processes() {
    explore("two processes, a full disk", Explored { others: 1, full: true, ..small() });
    if is_long() {
        let larger = Explored { others: 2, trials: Trials::Decided, ..small() };
        explore("three processes and trials", larger);
    }
}

#[test]
fn retraction() {
    explore("retraction", Explored { releases: &[1, 2, 3], ..small() });
    if is_long() {
        let world = World { keep: 2, ..small().world };
        explore("all releases, two kept", Explored { world, releases: ALL, ..small() });
        explore("all releases and trials", Explored { releases: ALL, trials: Trials::Decided, ..small() });
    }
}

#[test]
fn names_that_cannot_be_exchanged() {
    let world = World { exchanges: false, links: false, keep: 1 };
    explore("no exchange, no links", Explored { world, trials: Trials::Confirmed, ..small() });
    if is_long() {
        let world = World { exchanges: false, ..small().world };
        explore("no exchange, trials", Explored { world, trials: Trials::Decided, ..small() });
        let larger = Explored { world, faults: true, releases: &[1, 2, 3], ..small() };
        explore("no exchange, retraction, any call fails", larger);
        let world = World { exchanges: false, links: false, keep: 2 };
        explore("no exchange, no links, two kept", Explored { world, ..small() });
    }
}

#[test]
fn by_hand() {
    explore("by hand", Explored { by_hand: &[1, 3], ..small() });
    if is_long() {
        explore("by hand, two processes", Explored { by_hand: &[1, 2, 3, 4], others: 1, ..small() });
    }
}

#[test]
fn calls_that_fail() {
    explore("any call fails", Explored { faults: true, releases: &[0], ..small() });
    if is_long() {
        explore("any call fails, two releases", Explored { faults: true, ..small() });
    }
}
