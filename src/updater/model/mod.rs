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
//! A probe starts no program, because the executables are a few bytes: it answers for them. A
//! power cut is not in the model, because a file system in memory has none (`tests/crash`).

mod disk;
mod forge;
mod history;
mod steps;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use stateright::{Checker, HasDiscoveries, Model, Property};

use disk::Disk;
use history::{Broken, End, History, State};
use steps::{Answer, Paused, Ran, Step, Weather, World, possible, run};

/// What is explored.
#[derive(Debug, Clone)]
struct Explored {
    world: World,
    /// The releases that are served.
    releases: &'static [usize],
    /// What may be put at the path by hand, and how often.
    by_hand: &'static [u8],
    times_by_hand: u8,
    /// How many other processes do something while one downloads.
    others: u8,
    /// Whether versions are found to work, or fail.
    trials: bool,
    /// Whether the disk may be full, and whether any single call may fail.
    full: bool,
    faults: bool,
    depth: Option<usize>,
    /// What came of a step depends on nothing else.
    known: Known,
}

/// What came of the steps that were run.
#[derive(Clone, Default)]
struct Known(Arc<Mutex<HashMap<Run, Arc<Ran>>>>);

/// What a run depends on.
type Run = (Disk, Option<Paused>, Step, Weather);

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} runs", self.0.lock().unwrap().len())
    }
}

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
        let may_replace = state.history.by_hand < self.times_by_hand;
        let by_hand = if may_replace { self.by_hand } else { &[] };
        let others = state.paused.as_ref().map(|paused| paused.others);
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
                (Step::Confirm | Step::Panic | Step::Start, _) if !self.trials => continue,
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
        vec![
            Property::always("an executable that runs is at the path", |_, state: &State| {
                state.disk.runnable().is_some()
            }),
            Property::always("what is held or withdrawn does not come back by itself", |_, state: &State| {
                keeps(state, Broken::ReturnedByItself) && keeps(state, Broken::Unasked)
            }),
            Property::always("no way leads to what is withdrawn or below the floor", |_, state: &State| {
                keeps(state, Broken::Forbidden)
            }),
            Property::always("no floor falls", |_, state: &State| keeps(state, Broken::FloorFell)),
            Property::always("two processes never both swap", |_, state: &State| keeps(state, Broken::BothSwapped)),
            Property::always("the last confirmed version is not lost", |_, state: &State| {
                state.history.last_confirmed.is_none_or(|version| state.disk.has(version))
            }),
            Property::always("a rollback asked for twice is one", |_, state: &State| {
                keeps(state, Broken::RolledBackTwice)
            }),
            Property::always("what fails changes no executable", |_, state: &State| {
                keeps(state, Broken::FailedHalfway)
            }),
            // Else the others would say little.
            Property::sometimes("a version is held", |_, state: &State| !state.history.held.is_empty()),
            Property::sometimes("a version is withdrawn", |_, state: &State| !state.history.withdrawn.is_empty()),
            Property::sometimes("a version is confirmed and not at the path", |_, state: &State| {
                state.history.last_confirmed.is_some_and(|last| state.disk.runnable() != Some(last))
            }),
            Property::sometimes("a rollback was interrupted", |_, state: &State| state.history.asked.is_some()),
            Property::sometimes("a version was left for failing", |_, state: &State| state.disk.has_weak_hold()),
            Property::sometimes("an update waits while others act", |_, state: &State| {
                state.paused.as_ref().is_some_and(|paused| paused.others > 0)
            }),
        ]
    }
}

fn explore(explored: &Explored) {
    let begun = std::time::Instant::now();
    let mut checker = explored.clone().checker().threads(2).finish_when(HasDiscoveries::AnyFailures);
    if let Some(depth) = explored.depth {
        checker = checker.target_max_depth(depth);
    }
    let checker = checker.spawn_bfs().join();
    println!(
        "{} states, {} transitions, depth {}, {:?}: {explored:?}",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        begun.elapsed()
    );
    for (name, path) in checker.discoveries() {
        if matches!(checker.model().property(name).expectation, stateright::Expectation::Always) {
            for (at, transition) in path.into_actions().iter().enumerate() {
                println!("{at}. {transition:?}");
            }
        }
    }
    checker.assert_properties();
}

#[test]
fn every_order_of_operations_and_crashes() {
    let world = World { exchanges: true, links: true, keep: 2 };
    let get = |name: &str| std::env::var(name).ok().map(|it| it.parse::<usize>().unwrap());
    let explored = Explored {
        world: World { keep: get("KEEP").unwrap_or(2), exchanges: get("EX").unwrap_or(1) == 1, ..world },
        releases: &[0, 1, 2, 3][get("FROM").unwrap_or(0)..get("TO").unwrap_or(4)],
        by_hand: &[1, 3],
        times_by_hand: get("HAND").unwrap_or(0) as u8,
        others: get("OTHERS").unwrap_or(0) as u8,
        trials: get("TRIALS").unwrap_or(0) == 1,
        full: get("FULL").unwrap_or(0) == 1,
        faults: get("FAULTS").unwrap_or(0) == 1,
        depth: get("DEPTH"),
        known: Known::default(),
    };
    explore(&explored);
}
