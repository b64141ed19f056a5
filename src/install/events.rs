//! The last events of an installation (SPEC section 4.4), for a person who asks what happened: one
//! line of JSON each, the newest last. Nothing is decided by them and nothing is flushed; a line
//! that cannot be read counts as none, and one that cannot be written is lost.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};

use serde::{Deserialize, Serialize};

use super::dir::{Entry, OpenDir, file_size_limit};
use super::directories::UnlockedDirectories;
use super::{Installation, durable, names};
use crate::check::Finding;
use crate::clock::{Clock as _, SystemClock};
use crate::error::{Cause, Error};
use crate::limits;
use crate::trust::{Digest, Version};

/// Something that happened to an installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When, in Unix seconds of the system clock.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub what: Happened,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Happened {
    /// A first install.
    Installed {
        /// What was installed.
        version: Version,
    },
    /// A check found something else than the one before it.
    Checked {
        /// What it found.
        found: Finding,
    },
    /// An update.
    Updated {
        /// The version that was replaced.
        from: Version,
        /// The version that was installed.
        to: Version,
    },
    /// A return to a kept version.
    Returned {
        /// The version that was left.
        from: Version,
        /// The version that came back.
        to: Version,
        /// Whether it happened by itself, because `from` failed in its first starts.
        by_itself: bool,
    },
    /// An update to a kept version, without a network.
    Forward {
        /// The version that was left.
        from: Version,
        /// The version that came back.
        to: Version,
    },
    /// A person ended all holds.
    HoldsEnded {
        /// The versions that were on hold.
        versions: Vec<Version>,
    },
    /// A check or an update failed otherwise than the one before it.
    Failed {
        /// The error.
        why: String,
        /// Whether something was refused as not trustworthy.
        refused: bool,
        /// What is the same for as long as nothing changes: not times and measurements.
        key: Digest,
    },
    /// `relatch doctor --repair`.
    Repaired {
        /// What was mended.
        what: String,
    },
}

impl Happened {
    /// A check or an update failed.
    pub(crate) fn failed(error: &Error) -> Self {
        let why = error.to_string().chars().take(limits::FAILURE / 4).collect();
        let key = Digest::of(error.timeless().as_bytes());
        Happened::Failed { why, refused: error.cause() == Cause::Refused, key }
    }

    /// Whether it says no more than the last one of its kind.
    fn repeats(&self, before: &[Event]) -> bool {
        let kind = std::mem::discriminant(self);
        let last = before.iter().rev().find(|event| std::mem::discriminant(&event.what) == kind);
        match (self, last.map(|last| &last.what)) {
            (Happened::Failed { key, .. }, Some(Happened::Failed { key: before, .. })) => key == before,
            (Happened::Checked { found }, Some(Happened::Checked { found: before })) => found == before,
            _ => false,
        }
    }
}

/// Records an event. Best effort.
pub(super) fn record(private: &OpenDir, what: Happened) {
    let before = load(private);
    if what.repeats(&before) {
        return;
    }
    let event = Event { at: SystemClock.now(), what };
    let Some(line) = line(&event) else { return };
    let entry = Entry::new(private, names::EVENTS);
    let appended = match entry.open_to_append() {
        Ok(file) if has_room(&file, &line) => append(file, &line).is_ok(),
        Ok(_) => false,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(_) => return, // another user's, or no file
    };
    if !appended {
        // The first one, or the file is full: the newest events stay, up to half of its size.
        let mut room = (limits::EVENTS.0 / 2) as usize;
        let mut lines: Vec<_> = before.iter().rev().filter_map(self::line).collect();
        lines.insert(0, line);
        let fits = |line: &&String| {
            room = room.saturating_sub(line.len());
            room > 0
        };
        let lines: Vec<_> = lines.iter().take_while(fits).map(String::as_str).collect();
        let content: String = lines.into_iter().rev().collect();
        drop(durable::replace_unflushed(private, names::EVENTS, content.as_bytes()));
    }
}

fn line(event: &Event) -> Option<String> {
    let mut line = serde_json::to_string(event).ok()?;
    line.push('\n');
    (line.len() <= limits::EVENT).then_some(line)
}

fn has_room(file: &File, line: &str) -> bool {
    let most = limits::EVENTS.0.min(file_size_limit());
    file.metadata().is_ok_and(|found| found.len() + line.len() as u64 <= most)
}

/// In one call: several processes append.
fn append(mut file: File, line: &str) -> std::io::Result<()> {
    file.write_all(line.as_bytes())
}

/// The events that can be read, the newest last.
fn load(private: &OpenDir) -> Vec<Event> {
    let mut bytes = Vec::new();
    let Ok(file) = Entry::new(private, names::EVENTS).open() else { return Vec::new() };
    // Several processes may append at once.
    if file.take(2 * limits::EVENTS.0).read_to_end(&mut bytes).is_err() {
        return Vec::new();
    }
    bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

impl Installation {
    /// The last events, the newest last.
    pub(crate) fn events(&self) -> Vec<Event> {
        let opened = UnlockedDirectories::open(self).ok();
        opened.and_then(|opened| opened.private().map(load)).unwrap_or_default()
    }

    /// Records an event, if this user may: nothing is made for it.
    pub(crate) fn record(&self, what: Happened) {
        let Ok(opened) = UnlockedDirectories::open(self) else { return };
        if opened.check_safe().is_ok() && opened.is_writable().unwrap_or(false) {
            if let Some(private) = opened.private() {
                record(private, what);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn updated(number: usize) -> Happened {
        let version = |patch: usize| format!("1.0.{patch}").parse().unwrap();
        Happened::Updated { from: version(number), to: version(number + 1) }
    }

    #[test]
    fn the_log_is_bounded_and_keeps_the_newest() {
        let temporary = tempfile::tempdir().unwrap();
        let path = crate::platform::canonicalize(temporary.path()).unwrap();
        let dir = OpenDir::open(&path).unwrap();
        const MANY: usize = 3000;
        for number in 0..MANY {
            record(&dir, updated(number));
            if number % 100 == 0 {
                let length = std::fs::metadata(path.join(names::EVENTS)).unwrap().len();
                assert!(length <= limits::EVENTS.0, "{length}");
            }
        }
        let found = load(&dir);
        assert!(found.len() >= 200, "{}", found.len());
        assert_eq!(found.last().unwrap().what, updated(MANY - 1));
        let numbers: Vec<_> = found.iter().map(|event| event.what.clone()).collect();
        let expected: Vec<_> = (MANY - found.len()..MANY).map(updated).collect();
        assert_eq!(numbers, expected, "one after the other");
    }

    #[test]
    fn what_is_the_same_is_recorded_once_and_damage_is_passed_over() {
        let temporary = tempfile::tempdir().unwrap();
        let path = crate::platform::canonicalize(temporary.path()).unwrap();
        let dir = OpenDir::open(&path).unwrap();
        let failed = |why: &str| Happened::failed(&Error::usage(why));
        for what in [failed("a"), failed("a"), updated(1), failed("a"), failed("b"), failed("a")] {
            record(&dir, what);
        }
        let text = std::fs::read_to_string(path.join(names::EVENTS)).unwrap();
        std::fs::write(path.join(names::EVENTS), format!("x\n\u{0}{{\n{text}{{\"at\":1,\"event\":\"la"))
            .unwrap();
        let found: Vec<_> = load(&dir).into_iter().map(|event| event.what).collect();
        assert_eq!(found, [failed("a"), updated(1), failed("b"), failed("a")]);
        // A later version of relatch may have other events.
        std::fs::write(path.join(names::EVENTS), "{\"at\":1,\"event\":\"later\",\"x\":2}\n").unwrap();
        assert_eq!(load(&dir), []);
    }

    /// As a repository can cause them.
    #[test]
    fn long_events_do_not_push_out_the_newest() {
        let temporary = tempfile::tempdir().unwrap();
        let path = crate::platform::canonicalize(temporary.path()).unwrap();
        let dir = OpenDir::open(&path).unwrap();
        for number in 0..400 {
            record(&dir, Happened::Repaired { what: format!("{number} {}", "x".repeat(limits::EVENT / 2)) });
            let length = std::fs::metadata(path.join(names::EVENTS)).unwrap().len();
            assert!(length <= limits::EVENTS.0, "{length}");
            let last = load(&dir).pop().unwrap().what;
            let is_last = |what: &str| what.starts_with(&format!("{number} "));
            assert!(matches!(&last, Happened::Repaired { what } if is_last(what)), "{number}");
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_not_recorded() {
        let temporary = tempfile::tempdir().unwrap();
        let path = crate::platform::canonicalize(temporary.path()).unwrap();
        let dir = OpenDir::open(&path).unwrap();
        record(&dir, Happened::Repaired { what: "x".repeat(limits::EVENT) });
        assert!(!path.join(names::EVENTS).exists());
    }
}
