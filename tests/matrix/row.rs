//! One fault at one point: what is promised then.

use std::fmt;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use relatch::trust::Digest;

use super::operation::{Kind, Operation};
use super::point::{Point, strace};
use super::scene::{NEW, OLD, Place, Scene};
use super::support::tool::{run, stderr, stdout};

/// `KILL` is a signal; the others are what a call returns.
pub const FAULTS: [&str; 8] = ["KILL", "EIO", "ENOSPC", "EROFS", "EXDEV", "EACCES", "EMFILE", "EINTR"];

/// A run that takes as long as this does not end.
const HANGS: Duration = Duration::from_secs(60);

#[derive(Clone, Copy)]
pub struct Row<'a> {
    pub operation: &'a Operation,
    pub point: &'a Point,
    pub fault: &'static str,
}

/// What the disturbed run did.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Outcome {
    /// It succeeded.
    Done,
    /// It failed, and everything is as before.
    Failed,
    /// It was killed, and what it began is at the path.
    KilledAfter,
    /// It was killed, and everything at the path is as before.
    KilledBefore,
    /// It did not come to this call.
    Missed,
}

pub struct Result {
    pub outcome: Outcome,
    pub faults: Vec<String>,
    pub took: Duration,
    /// What both runs said, for a row that is repeated.
    pub said: String,
}

impl fmt::Display for Row<'_> {
    /// As `RELATCH_MATRIX` takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.point.file.as_deref().map(|file| {
            // The repository and the hashes in it have other names each time.
            let dir = file.parent().and_then(std::path::Path::file_name).unwrap_or_default();
            let ending = file.extension().map(|ending| format!(".{}", ending.to_string_lossy()));
            format!("[{}/*{}]", dir.to_string_lossy(), ending.unwrap_or_default())
        });
        let Row { operation, point, fault } = self;
        write!(f, "{}: {}{}#{} {fault}", operation.name, point.name, file.unwrap_or_default(), point.number)
    }
}

impl Row<'_> {
    /// The options of strace for this fault.
    pub fn options(&self) -> Vec<String> {
        let Point { file, name, number, .. } = self.point;
        let what = if self.fault == "KILL" { "signal=KILL".into() } else { format!("error={}", self.fault) };
        let mut options = Vec::new();
        let mut traced = vec![format!("?{name}"), "execve".to_owned()];
        for always in self.operation.always {
            traced.push(format!("?{}", always.split(':').next().unwrap_or_default()));
            options.extend(["-e".to_owned(), format!("inject={always}")]);
        }
        if let Some(file) = file {
            options.extend(["-f".to_owned(), "-P".to_owned(), file.to_string_lossy().into_owned()]);
        }
        options.extend(["-e".to_owned(), format!("trace={}", traced.join(","))]);
        options.extend(["-e".to_owned(), format!("inject={name}:{what}:when={number}")]);
        options
    }

    /// Disturbs the operation, and looks at what it left; then repeats it undisturbed.
    pub fn check(&self, scene: &Scene, worker: usize) -> Result {
        let place = scene.place(self.operation, worker);
        let began = Instant::now();
        let mut command = strace(&place.log, &self.options(), &self.operation.command(scene, &place));
        let output = limited(scene, &mut command);
        let took = began.elapsed();
        let log = String::from_utf8_lossy(&std::fs::read(&place.log).unwrap_or_default()).into_owned();
        let mut of = Checked::new(self.operation, scene, &place);
        let outcome = of.first(self, &output, &log, took);
        let second = of.second(outcome);
        let said = [Some(&output), second.as_ref()].into_iter().flatten().map(|output| {
            format!("{}\n  out: {}\n  err: {}", output.status, stdout(output).trim(), stderr(output).trim())
        });
        Result { outcome, took, said: said.collect::<Vec<_>>().join("\n"), faults: of.faults }
    }
}

pub fn limited(scene: &Scene, command: &mut Command) -> Output {
    scene.environment(command);
    run(command)
}

/// What is promised of an operation that something disturbed.
pub struct Checked<'a> {
    operation: &'a Operation,
    scene: &'a Scene,
    place: &'a Place,
    pub faults: Vec<String>,
}

impl<'a> Checked<'a> {
    pub fn new(operation: &'a Operation, scene: &'a Scene, place: &'a Place) -> Self {
        Checked { operation, scene, place, faults: Vec::new() }
    }

    pub fn fault(&mut self, what: impl Into<String>) {
        self.faults.push(what.into());
    }

    fn kind(&self) -> Kind {
        self.operation.kind
    }

    /// What is at the path before the operation, and after it.
    pub fn before_and_after(&self) -> (Option<Digest>, Option<Digest>) {
        let (old, new) = (Some(self.scene.old), Some(self.scene.new));
        match self.kind() {
            Kind::Install => (None, new),
            Kind::Update | Kind::UpdateBeside | Kind::UpdateKept | Kind::Forward | Kind::StartUpdate => {
                (old, new)
            }
            Kind::Rollback => (new, old),
            Kind::StartCurrent => (new, new),
        }
    }

    fn kept_after(&self) -> Vec<Digest> {
        match self.kind() {
            Kind::Install => Vec::new(),
            Kind::Update | Kind::UpdateKept | Kind::Forward | Kind::StartUpdate | Kind::StartCurrent => {
                vec![self.scene.old]
            }
            Kind::UpdateBeside => vec![self.scene.old, self.scene.oldest],
            Kind::Rollback => vec![self.scene.new],
        }
    }

    /// What is at the path, which is one of the two.
    pub fn at_path(&mut self, when: &str) -> Option<Digest> {
        let (before, after) = self.before_and_after();
        match self.place.at_path() {
            Ok(found) if found == before || found == after => found,
            Ok(found) => {
                self.fault(format!("{when}: at the path is {found:?}"));
                None
            }
            Err(error) => {
                self.fault(format!("{when}: {error}"));
                None
            }
        }
    }

    /// The disturbed run.
    fn first(&mut self, row: &Row<'_>, output: &Output, log: &str, took: Duration) -> Outcome {
        let (before, after) = self.before_and_after();
        let found = self.at_path("disturbed");
        if took >= HANGS {
            self.fault("it does not end");
        }
        if output.status.code() == Some(101) || stderr(output).contains("panicked") {
            self.fault(format!("it panics: {}", stderr(output).lines().last().unwrap_or_default()));
        }
        for name in ["journal", "floors", "cache"] {
            self.faults.extend(self.place.record(name).err());
        }
        // What was accepted before stays accepted, and so is what is at the path.
        let accepted = self.place.accepted();
        let least = match (self.kind(), found == Some(self.scene.new)) {
            (Kind::Install, false) => 0,
            (Kind::Rollback | Kind::Forward | Kind::UpdateKept, _) | (_, true) => 2,
            _ => 1,
        };
        if accepted < least {
            self.fault(format!("release {accepted} is the last one that was accepted, and not {least}"));
        }
        let cache = self.place.record("cache").ok().flatten().unwrap_or_default();
        if !cache["failed_probe"].is_null() {
            self.fault("a fault of the machine is recorded as a verdict on the release");
        }
        if log.contains("killed by SIGKILL") {
            return if found == after && before != after {
                Outcome::KilledAfter
            } else {
                Outcome::KilledBefore
            };
        }
        let call = format!("{}(", row.point.name);
        let is_hit = log.lines().any(|line| line.contains("(INJECTED)") && line.contains(&call));
        // The main thread has made fewer such calls than in the clean run, and has restarted: the
        // loader of another program is hit.
        let before = log.lines().take_while(|line| !line.contains("(INJECTED)"));
        let has_restarted = before.filter(|line| line.contains("execve(")).count() > 1;
        if is_hit && has_restarted && row.point.file.is_none() {
            return Outcome::Missed;
        }
        let succeeded = output.status.success();
        if self.kind().is_start() {
            self.started(row, output, found);
        } else if succeeded && found != after {
            self.fault(format!("it reports success, and at the path is {found:?}"));
        } else if !succeeded {
            self.failed(row, output, found);
        }
        match () {
            () if !is_hit => Outcome::Missed,
            () if succeeded && found == after => Outcome::Done,
            () => Outcome::Failed,
        }
    }

    /// A start runs, whatever became of the update.
    fn started(&mut self, row: &Row<'_>, output: &Output, found: Option<Digest>) {
        let (before, after) = self.before_and_after();
        let versions = match (self.kind(), found == after) {
            (Kind::StartCurrent, _) => &[NEW][..],
            (_, true) => &[OLD, NEW][..],
            (_, false) => &[OLD][..],
        };
        let said = stdout(output);
        if !versions.iter().any(|version| said == format!("widget {version} x\n")) || !output.status.success()
        {
            self.fault(format!("the tool does not run: {}, {said:?}", output.status));
        }
        // Whoever may not write there does not update, and hears nothing of it.
        let is_answer = row.point.name == "faccessat" && ["EACCES", "EROFS"].contains(&row.fault);
        if before != after && found == before && stderr(output).is_empty() && !is_answer {
            self.fault("it does not update, and does not say why");
        }
    }

    fn failed(&mut self, row: &Row<'_>, output: &Output, found: Option<Digest>) {
        let (before, after) = self.before_and_after();
        if found == after && before != after && !row.point.makes_durable {
            self.fault("it reports a failure, and is done");
        }
        if found == after && before != after && stderr(output).contains("Nothing was changed") {
            self.fault("it says that nothing was changed, and it was");
        }
        match output.status.code() {
            Some(4 | 5 | 101) => {}
            _ => self.fault(format!("a fault of the machine ends with {}", output.status)),
        }
        if stderr(output).trim().is_empty() {
            self.fault("it fails without a word");
        }
    }

    /// The undisturbed run.
    pub fn second(&mut self, outcome: Outcome) -> Option<Output> {
        let (_, after) = self.before_and_after();
        let operation = self.operation;
        let found = self.place.at_path().ok().flatten();
        let is_done = outcome == Outcome::Done
            // Killed after its last step.
            || after.is_some_and(|after| found == Some(after) && self.place.records(after));
        let command = match self.kind() {
            Kind::Install if found.is_some() => operation.update(self.scene, self.place),
            Kind::Rollback if is_done => operation.update(self.scene, self.place), // what was left is held
            // A start does not try at once what could not be tried; a person who asks does.
            Kind::StartUpdate if !is_done => operation.update(self.scene, self.place),
            _ => operation.command(self.scene, self.place),
        };
        let output = limited(
            self.scene,
            Command::new("timeout")
                .args(["--signal=KILL", "60"])
                .arg(command.get_program())
                .args(command.get_args()),
        );
        let found = self.at_path("repeated");
        if !output.status.success() {
            self.fault(format!("repeated: {}: {}", output.status, stderr(&output).trim()));
        } else if found != after {
            self.fault(format!("repeated: at the path is {found:?}"));
        }
        if found == after {
            let kept = self.kept_after();
            self.faults
                .extend(self.place.inconsistencies(&kept).iter().map(|what| format!("repeated: {what}")));
        }
        if self.kind() == Kind::Rollback && found == after && !self.place.holds(NEW) {
            self.fault("repeated: the version that was left is not held");
        }
        Some(output)
    }
}
