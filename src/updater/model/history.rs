//! What the invariants remember that no file of an installation has to say.

use std::collections::BTreeSet;

use super::disk::Disk;
use super::forge::RELEASES;
use super::steps::{Answer, Paused, Ran, Step, Weather};

/// A state of the model.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) disk: Disk,
    pub(super) paused: Option<Paused>,
    pub(super) history: History,
}

/// What happened so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct History {
    /// Versions that a person left by a rollback, until a person wants them again.
    pub(super) held: BTreeSet<u8>,
    /// Versions that an accepted release withdrew.
    pub(super) withdrawn: BTreeSet<u8>,
    /// The versions that are known to work, and the one of them that was at the path last.
    confirmed: BTreeSet<u8>,
    pub(super) last_confirmed: Option<u8>,
    /// The highest floor that was ever on the disk.
    floor: (u64, u8),
    /// Where a rollback leads that was interrupted. It is asked for again.
    pub(super) asked: Option<(Step, u8)>,
    /// Whether somebody put another executable there.
    pub(super) by_hand: bool,
    /// The invariants that the last step broke.
    pub(super) broken: BTreeSet<Broken>,
}

/// An invariant about a step. Those about a disk are in `mod.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Broken {
    /// A version that was held or withdrawn came back by itself.
    ReturnedByItself,
    /// A person was led to a version that is held, withdrawn or below the floor.
    Forbidden,
    FloorFell,
    BothSwapped,
    /// A rollback that was asked for twice is not the same as once.
    RolledBackTwice,
    /// A step that failed left another executable.
    FailedHalfway,
    /// What is no swap changed the executable.
    Unasked,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Completed,
    /// Its process died before it could change the next name.
    Killed,
    /// It waits for its download.
    Paused,
}

impl State {
    /// The state after a step that left this disk.
    pub(super) fn after(&self, step: Step, weather: Weather, ran: &Ran, end: End, disk: &Disk) -> State {
        let mut history = self.history.clone();
        history.broken.clear();
        let (before, now) = (self.disk.runnable(), disk.runnable());
        history.see_floor(disk);
        if let (Some(before), Some(now)) = (before, now) {
            if before != now {
                history.see_swap(step, before, now);
                // The names tell of one exchange with a kept executable, and not of two in a row: if
                // the disk takes no record of either, a rollback is worth more than its hold.
                if weather != Weather::Good && self.disk.has_unrecorded_exchange(now) {
                    history.hold_what_is_recorded(disk);
                }
            }
            if matches!(step, Step::ByHand(_)) {
                // Nothing but the names told of a rollback.
                history.hold_what_is_recorded(disk);
            }
            if let (End::Completed, Answer::Failed(_), true) = (end, &ran.answer, before != now) {
                history.broken.insert(Broken::FailedHalfway);
            }
        }
        history.see_repetition(step, weather, ran, end, now);
        if step == Step::Confirm && end == End::Completed && ran.answer == Answer::Done {
            history.confirmed.extend(now);
            history.last_confirmed = now;
        }
        if step == Step::EndHolds && disk.versions("held").is_empty() {
            history.held.clear();
        }
        if ran.intruded || (ran.overtook && end == End::Completed) {
            history.broken.insert(Broken::BothSwapped);
        }
        // What is downloaded again later is on trial again.
        history.confirmed.retain(|version| disk.has(*version));
        State { disk: disk.clone(), paused: self.paused_after(step, end), history }
    }

    fn paused_after(&self, step: Step, end: End) -> Option<Paused> {
        match (step, end, &self.paused) {
            (Step::Update(release), End::Paused, _) => {
                Some(Paused { began: self.disk.clone(), release, others: 0 })
            }
            (Step::Finish | Step::Die, ..) => None,
            (_, _, paused) => paused.clone().map(|paused| Paused { others: paused.others + 1, ..paused }),
        }
    }
}

impl History {
    fn see_floor(&mut self, disk: &Disk) {
        let floor = disk.floor();
        if floor.0 < self.floor.0 || floor.1 < self.floor.1 {
            self.broken.insert(Broken::FloorFell);
        }
        if floor.0 > self.floor.0 {
            let release = &RELEASES[usize::try_from(floor.0).unwrap() - 1];
            self.withdrawn.remove(&release.version);
            self.withdrawn.extend(release.retracts);
        }
        self.floor = (self.floor.0.max(floor.0), self.floor.1.max(floor.1));
    }

    fn hold_what_is_recorded(&mut self, disk: &Disk) {
        let recorded = disk.versions("held");
        self.held.retain(|held| recorded.contains(held));
    }

    fn see_swap(&mut self, step: Step, before: u8, now: u8) {
        let is_forbidden = self.withdrawn.contains(&now) || now < self.floor.1;
        match step {
            Step::Update(_) | Step::Finish | Step::Start => {
                if is_forbidden || self.held.contains(&now) {
                    self.broken.insert(Broken::ReturnedByItself);
                }
            }
            Step::Back { .. } | Step::BackTo(_) => {
                // Nobody asked for what is held, unless by its version.
                if self.held.contains(&now) && matches!(step, Step::Back { .. }) {
                    self.broken.insert(Broken::Forbidden);
                }
                self.held.insert(before);
            }
            Step::ForwardTo(_) => {}
            Step::ByHand(_) => {
                if self.last_confirmed == Some(before) {
                    self.last_confirmed = None; // who overwrites it, loses it
                }
                self.confirmed.remove(&now);
                self.by_hand = true;
            }
            Step::EndHolds | Step::Confirm | Step::Panic | Step::Week | Step::Die => {
                self.broken.insert(Broken::Unasked);
            }
        }
        if is_forbidden && matches!(step, Step::Back { .. } | Step::BackTo(_) | Step::ForwardTo(_)) {
            self.broken.insert(Broken::Forbidden);
        }
        self.held.remove(&now);
        if self.confirmed.contains(&now) {
            self.last_confirmed = Some(now);
        }
    }

    /// Asked for twice, a rollback is the one that was asked for, whatever interrupted it.
    fn see_repetition(&mut self, step: Step, weather: Weather, ran: &Ran, end: End, now: Option<u8>) {
        let is_back = matches!(step, Step::Back { .. } | Step::BackTo(_));
        let has_succeeded = matches!(ran.answer, Answer::Now | Answer::Already);
        let asked = self.asked.take();
        if let (Some((asked, to)), End::Completed) = (asked, end) {
            if asked == step && has_succeeded && now != Some(to) {
                self.broken.insert(Broken::RolledBackTwice);
            }
        }
        if !is_back {
            return;
        }
        match end {
            End::Killed if has_succeeded => self.asked = ran.after.runnable().map(|to| (step, to)),
            End::Completed => {
                // What a full disk did not take is recorded by the second one.
                let is_same = |(disk, answer): &(Disk, Answer)| match weather {
                    Weather::Good => *disk == ran.after && *answer == Answer::Already,
                    Weather::Full | Weather::Fault(_) => disk.runnable() == now,
                };
                if has_succeeded && !ran.again.as_ref().is_some_and(is_same) {
                    self.broken.insert(Broken::RolledBackTwice);
                }
            }
            _ => {}
        }
    }
}
