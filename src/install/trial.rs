//! The trial of a version that nobody knows to work yet (SPEC step 13): a text to which each of its
//! first starts appends a line or two. Nothing is flushed, and a damaged line is none.
//!
//! ```text
//! relatch-trial/1 <hash of the executable> <version>
//! start <run>            a process began
//! end <run>              it came to its end, whatever its exit code
//! panic <run>            a panic left its main function, or aborted it
//! crash <run>            its parent saw that it crashed
//! confirmed              the tool said that it works
//! hinted                 a person was told that it may be failing
//! ```
//! `<run>` names a process: its number, when it started, and which boot and namespace the two are
//! of.

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};

use super::dir::{Entry, OpenDir, file_size_limit};
use super::directories::UnlockedDirectories;
use super::{Installation, durable, names};
use crate::error::Result;
use crate::limits;
use crate::trust::{Digest, Version};

const KIND: &str = "relatch-trial/1";

/// A process, by a name that no other one has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run(String);

impl Run {
    /// `None` for anything else, as what is left of two lines if the disk had no room for the first.
    fn parse(text: &str) -> Option<Self> {
        let is_part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (text.split('.').count() == 3 && text.split('.').all(is_part)).then(|| Run(text.to_owned()))
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A process counts once.
fn add(runs: &mut Vec<Run>, run: Run) {
    if !runs.contains(&run) {
        runs.push(run);
    }
}

/// What is recorded of the first starts of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trial {
    pub(crate) blake3: Digest,
    pub(crate) version: Version,
    started: Vec<Run>,
    ended: Vec<Run>,
    failed: Vec<Run>,
    /// The tool said so.
    said: bool,
    pub(crate) hinted: bool,
}

impl Trial {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let mut head = lines.next()?.split(' ');
        let (kind, blake3, version) = (head.next()?, head.next()?.parse().ok()?, head.next()?.parse().ok()?);
        if kind != KIND {
            return None;
        }
        let (started, ended, failed) = (Vec::new(), Vec::new(), Vec::new());
        let mut trial = Trial { blake3, version, started, ended, failed, said: false, hinted: false };
        for line in lines {
            let (word, run) = line.split_once(' ').unwrap_or((line, ""));
            match (word, Run::parse(run)) {
                ("start", Some(run)) => add(&mut trial.started, run),
                ("end", Some(run)) => add(&mut trial.ended, run),
                ("panic" | "crash", Some(run)) => add(&mut trial.failed, run),
                _ if line == "confirmed" => trial.said = true,
                _ if line == "hinted" => trial.hinted = true,
                _ => {}
            }
        }
        Some(trial)
    }

    /// How many runs ended without a failure.
    pub(crate) fn good(&self) -> usize {
        self.ended.iter().filter(|run| !self.failed.contains(run)).count()
    }

    /// How many runs failed.
    pub(crate) fn failures(&self) -> usize {
        self.failed.len()
    }

    /// Whether the version is known to work.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.said || self.good() >= limits::CONFIRMING_RUNS
    }

    /// Whether the version has failed so often that it is left. A version that is confirmed is not.
    pub(crate) fn is_failed(&self) -> bool {
        !self.is_confirmed() && self.failures() >= limits::FAILING_RUNS
    }

    /// Whether a further start is recorded.
    pub(crate) fn is_open(&self) -> bool {
        !self.is_confirmed() && self.started.len() < limits::TRIAL_RUNS
    }

    /// The run of this process, if it began at this time or later, and neither ended nor failed.
    #[cfg(any(not(unix), test))]
    fn open_run(&self, process: u32, since: u64) -> Option<&Run> {
        let is_open = |run: &&Run| !self.ended.contains(run) && !self.failed.contains(run);
        self.started.iter().rev().filter(is_open).find(|run| {
            let mut parts = run.0.split('.').map(|part| part.parse::<u64>().ok());
            parts.next() == Some(Some(process.into())) && parts.next().flatten() >= Some(since)
        })
    }

    /// Whether a process of this machine, since it was started, began and is gone without an end:
    /// it crashed, was killed, or became another program.
    pub(crate) fn has_vanished(&self, is_alive: impl Fn(&Run) -> Option<bool>) -> bool {
        let open = self.started.iter().filter(|run| !self.ended.contains(run) && !self.failed.contains(run));
        open.into_iter().any(|run| is_alive(run) == Some(false))
    }
}

/// Where this process records its run.
#[derive(Debug)]
pub(crate) struct TrialFile {
    file: File,
}

impl TrialFile {
    /// Whether a further start is recorded: as many as begin at once must find room for their ends.
    pub(crate) fn has_room_for_start(&self) -> bool {
        self.file.metadata().is_ok_and(|found| found.len() < limits::TRIAL.0 / 2)
    }

    /// Best effort: what is not recorded is not counted. Nothing is allocated, as the process may be
    /// ending.
    pub(crate) fn append(&mut self, line: fmt::Arguments<'_>) {
        let mut text = [0; 128];
        let size = text.len();
        let mut rest = text.as_mut_slice();
        if writeln!(rest, "{line}").is_ok() {
            let written = size - rest.len();
            // A longer one would get this process killed (SIGXFSZ).
            let most = limits::TRIAL.0.min(file_size_limit());
            if !self.file.metadata().is_ok_and(|found| found.len() + written as u64 <= most) {
                return;
            }
            // One call: several processes append to it. What is not written at once never is.
            drop(self.file.write(text.get(..written).unwrap_or_default()));
        }
    }
}

impl Installation {
    /// The trial of what is at the path, and where to record a run of it. `None` if there is none,
    /// if this user may not record anything there, or if other users may.
    pub(crate) fn trial(&self) -> Option<(Trial, TrialFile)> {
        let opened = UnlockedDirectories::open(self).ok()?;
        let entry = Entry::new(opened.private()?, names::TRIAL);
        // Most starts end here.
        if !entry.exists().ok()? || opened.check_safe().is_err() {
            return None;
        }
        let file = entry.open_to_append().ok()?;
        Some((read(&file)?, TrialFile { file }))
    }

    /// The trial, for people.
    pub(crate) fn read_trial(&self) -> Option<Trial> {
        load(UnlockedDirectories::open(self).ok()?.private()?)
    }

    /// Records that a child of this process crashed, if it recorded that it is a run of a trial,
    /// and did not come to its end: a tool may exit with the code of another program that crashed.
    #[cfg(not(unix))]
    pub(crate) fn record_crash(&self, process: u32, since: u64) {
        let Some((trial, mut file)) = self.trial() else { return };
        if let Some(run) = trial.open_run(process, since) {
            file.append(format_args!("crash {run}"));
        }
    }
}

/// `None` if there is none.
pub(super) fn load(private: &OpenDir) -> Option<Trial> {
    read(&Entry::new(private, names::TRIAL).open().ok()?)
}

fn read(file: &File) -> Option<Trial> {
    let mut text = String::new();
    file.take(limits::TRIAL.0).read_to_string(&mut text).ok()?;
    Trial::parse(&text)
}

/// Begins the trial of a version, in the place of an earlier one.
pub(super) fn begin(private: &OpenDir, blake3: Digest, version: &Version) -> Result<()> {
    durable::replace_unflushed(private, names::TRIAL, format!("{KIND} {blake3} {version}\n").as_bytes())
}

/// Ends a trial. If the file cannot be removed, it is about another executable.
pub(super) fn end(private: &OpenDir) {
    durable::remove(Entry::new(private, names::TRIAL));
}

/// The name of this process; `None` if the system does not tell.
#[cfg(target_os = "linux")]
pub(crate) fn this_run() -> Option<Run> {
    let id = std::process::id();
    Some(Run(format!("{id}.{}.{}", start_of(id)?, epoch()?)))
}

/// Whether a process is there; `None` if it is of another boot or namespace.
#[cfg(target_os = "linux")]
pub(crate) fn is_alive(run: &Run) -> Option<bool> {
    let mut parts = run.0.split('.');
    let (id, start, of) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
    if of != epoch()? {
        return None;
    }
    Some(start_of(id).is_some_and(|found| found == start))
}

/// When a process started, in ticks since the boot (proc_pid_stat(5), field 22).
#[cfg(target_os = "linux")]
fn start_of(id: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The second field is a name in parentheses, which may contain some.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(19).map(str::to_owned)
}

/// The boot, and the namespace of process numbers.
#[cfg(target_os = "linux")]
fn epoch() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let hash = Digest::of(format!("{boot}{}", space.display()).as_bytes()).to_string();
    hash.get(..16).map(str::to_owned)
}

/// The number and the time: an earlier process may have had the number.
#[cfg(not(target_os = "linux"))]
pub(crate) fn this_run() -> Option<Run> {
    use crate::clock::Clock;
    Some(Run(format!("{}.{}.0", std::process::id(), crate::clock::SystemClock.now())))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn is_alive(_: &Run) -> Option<bool> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(lines: &str) -> Trial {
        let head = format!("{KIND} {} 1.1.0", Digest::of(b""));
        Trial::parse(&format!("{head}\n{lines}")).unwrap()
    }

    #[test]
    fn a_process_counts_once() {
        let twice =
            trial("start 1.1.a\nstart 1.1.a\npanic 1.1.a\npanic 1.1.a\ncrash 1.1.a\nend 1.1.a\nend 1.1.a\n");
        assert_eq!((twice.failures(), twice.good(), twice.started.len()), (1, 0, 1));
        let three = trial("panic 1.1.a\ncrash 1.2.a\npanic 2.1.a\nend 3.1.a\n");
        assert!(three.is_failed() && three.good() == 1);
    }

    #[test]
    fn a_damaged_line_counts_for_nothing() {
        let torn = [
            "panic 1.1.a", // not whole
            "panic\n",
            "panic \n",
            "panic 1.1\n",
            "panic 1.1.\n",
            "panic 1.1.a \n",
            "panic 1.1.a.b\n",
            "panic 1.1.apanic 2.1.a\n",
            "papanic 2.1.a\n",
            "panic 1.1start 2.1.a\n",
            "end 1.1panic 2.1.a\n",
            " panic 1.1.a\n",
            "panic 1.1.a\r\n",
            "confirmed start 1.1.a\n",
            "hinted \n",
        ];
        for line in torn {
            assert_eq!(trial(line), trial(""), "{line}");
            let more = trial(&format!("start 9.9.a\n{line}"));
            assert_eq!(more, trial("start 9.9.a\n"), "{line}");
        }
    }

    /// Not one that ended, panicked, or had the number before.
    #[test]
    fn a_crash_is_of_a_run_that_did_not_end() {
        let runs = "start 7.100.0\nstart 7.200.0\nstart 8.200.0\nend 8.200.0\nstart 9.200.0\npanic 9.200.0\n";
        let open = |process, since| trial(runs).open_run(process, since).map(Run::to_string);
        assert_eq!(open(7, 200).as_deref(), Some("7.200.0"));
        assert_eq!([open(7, 201), open(8, 200), open(9, 200), open(77, 0)], [const { None }; 4]);
    }

    /// Several processes append at the same time: each line is whole.
    #[test]
    fn a_line_is_written_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trial");
        std::fs::write(&path, format!("{KIND} {} 1.1.0\n", Digest::of(b""))).unwrap();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let file = File::options().append(true).open(&path).unwrap();
                scope.spawn(move || {
                    let mut file = TrialFile { file };
                    for time in 0..100 {
                        file.append(format_args!("end {number}.{time}.0123456789abcdef"));
                    }
                });
            }
        });
        let found = Trial::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(found.good(), 800);
    }
}
