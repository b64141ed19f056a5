//! One installation that lives through a whole table: a real executable, its repository as a directory and behind a real TLS server.
//!
//! The attacker's executables leave a mark when they are run. None ever may.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use relatch::source::{Https, Object};
use relatch::{Checked, Error, Outcome as Done, Unavailable, Updater};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::attack::{Answer, Attack, Because, Outcome, is_of, is_unavailable, object_of};
use crate::disk::{Disk, FAILED, Parts, VERIFIED};
use crate::support::printed::drives;
use crate::support::proxy::without_proxy;
use crate::support::scene::Stopped;
use crate::support::server::{Authority, Server};
use crate::support::tool::{run, stderr, stdout};
use crate::support::{Draft, Knobs, Repository, Snapshot, Tool, executable_such};

/// In which a check ends, whatever is done: twice its limit, for busy machines. Most attacks here would last for ever.
const AT_MOST: Duration = Duration::from_secs(40);
/// In which what was given up has ended. What it disproves never ends.
const LETS_GO: Duration = Duration::from_secs(60);

/// All that a start tells of a repository that is out of reach.
const OFFLINE: &str = "widget: no check for updates: the repository cannot be reached\n";

pub struct Stage {
    pub repository: Repository,
    pub server: Server,
    pub tool: Tool,
    /// The release that is installed, as it was published.
    pub current: Draft,
    /// What the client takes for the time, where it is not the time.
    pub clock: Option<u64>,
    /// Number of the version that comes next. An attack that makes it unfit takes a higher one.
    pub number: u64,
    installed: String,
    pub authority: Authority,
    /// Starts have the deadline that they have in practice, and must end in this time.
    pub hurry: Option<Duration>,
    /// No request may come to the server.
    pub unheard: bool,
    files: TempDir,
    /// The steps of which an attack was played under Require as well.
    required: BTreeSet<&'static str>,
    /// Home, temporary and working directories of starts.
    elsewhere: TempDir,
    /// Whether what is attacked is a good release, which must install all the same.
    harmless: bool,
}

/// Where the same repository is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Directory,
    Tls,
}

impl Stage {
    /// Epoch 2 and release number 6, so that there is something lower; installed, and updated once, so that there is something previous.
    pub fn new() -> Self {
        Stage::of(Repository::with_a_past())
    }

    pub fn of(mut repository: Repository) -> Self {
        without_proxy();
        let files = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        let server = Server::tls(&repository, &authority, "127.0.0.1");
        let first = executable_for(&repository, &server, &files, &authority, "1.0.0");
        let current = repository.release("1.0.0", &first);
        let tool = Tool::installed(&repository);
        let mut stage = Stage {
            repository,
            server,
            tool,
            current,
            clock: None,
            number: 1,
            installed: "1.0.0".into(),
            authority,
            hurry: None,
            unheard: false,
            files,
            required: BTreeSet::new(),
            elsewhere: tempfile::tempdir().unwrap(),
            harmless: false,
        };
        stage.heals("the stage");
        // Something to lose in each field.
        stage.tool.edit("journal", |journal| journal["held"] = json!([{"version": "0.5.0"}]));
        stage
    }

    /// The version that is installed.
    pub fn installed(&self) -> String {
        self.installed.clone()
    }

    /// The next one.
    pub fn next(&self) -> String {
        format!("1.0.{}", self.number)
    }

    /// The next release, well-formed: the attacker's executable, or where an attack should be harmless a good one.
    pub fn draft(&mut self) -> Draft {
        let version = self.next();
        let executable = if self.harmless { self.executable(&version) } else { self.payload() };
        self.repository.draft(&version, &executable)
    }

    /// The next release with a change, signed as it should be.
    pub fn publish(&mut self, change: impl FnOnce(&mut Draft, &Stage)) {
        let mut draft = self.draft();
        change(&mut draft, self);
        self.repository.publish(&draft);
    }

    /// A real executable of this version of the tool, which checks at each start.
    pub fn executable(&self, version: &str) -> Vec<u8> {
        executable_for(&self.repository, &self.server, &self.files, &self.authority, version)
    }

    /// What an attacker would have run. It is small, and on Windows no program: there the tables show what is refused, and that the disk
    /// stays as it was, and [`Stage::running_payload`] alone leaves a mark.
    pub fn payload(&self) -> Vec<u8> {
        format!("#!/bin/sh\n: > '{}'\n", self.mark().display()).into_bytes()
    }

    /// The same as a program of this system.
    pub fn running_payload(&self) -> Vec<u8> {
        if cfg!(unix) {
            return self.payload();
        }
        executable_such(&self.repository, "999.0.0", json!({"mark": self.mark()}))
    }

    /// Whether an attacker's executable was ever run.
    pub fn mark(&self) -> PathBuf {
        self.files.path().join("executed")
    }

    pub fn https(&self) -> Https {
        Https::new(&self.server.url).unwrap().ca_file(&self.authority.write(self.files.path())).unwrap()
    }

    pub fn updater(&self, from: From) -> Updater {
        let updater = match from {
            From::Directory => self.tool.updater(),
            From::Tls => self.tool.updater().source(self.https()),
        };
        match self.clock {
            None => updater,
            Some(time) => updater.clock(Stopped(time)),
        }
    }

    /// Does it, looks at what comes of it, and heals.
    pub fn suffers(&mut self, attack: &Attack) {
        println!("{}", attack.line());
        let name = &attack.name;
        let knobs = self.repository.knobs();
        self.harmless = matches!(attack.outcome, Outcome::Harmless);
        (attack.act)(self);
        self.harmless = false;
        match &attack.outcome {
            Outcome::Refused(answer) => self.is_refused(attack, answer, [&[], FAILED]),
            Outcome::RefusedLater(answer) | Outcome::UnavailableLater(answer) => {
                self.is_refused(attack, answer, [VERIFIED, VERIFIED]);
            }
            Outcome::Unavailable(answer) => self.is_refused(attack, answer, [&[], FAILED]),
            Outcome::Nothing(because) => self.is_passed_over(attack, because),
            Outcome::Harmless => self.is_taken(attack),
        }
        let is_harmless = matches!(attack.outcome, Outcome::Harmless);
        self.ends((!is_harmless).then_some(knobs));
        if !is_harmless {
            self.heals(name);
        }
    }

    /// What an attack turned is turned back; also the repository, to these.
    pub fn ends(&mut self, knobs: Option<Knobs>) {
        self.server.behave();
        (self.clock, self.hurry, self.unheard) = (None, None, false);
        if let Some(knobs) = knobs {
            self.repository.restore(knobs);
        }
    }

    /// From the directory, over TLS, and by a start of the tool: the same answer, and nothing of it stays, but of the state what an update
    /// and what a start may change.
    fn is_refused(&mut self, attack: &Attack, answer: &Answer, [by_update, by_start]: [Parts; 2]) {
        let name = &attack.name;
        // Whatever was told before was told yesterday.
        self.tool.edit("cache", |cache| {
            if let Some(shown) = cache.pointer_mut("/failure/shown") {
                *shown = Value::Null;
            }
        });
        let before = Disk::of(&self.tool);
        let (mut said, mut is_offline) = (String::new(), false);
        for from in attack.from {
            let started = Instant::now();
            match self.updater(*from).update(false) {
                Err(error) => {
                    is_offline = is_unavailable(&error, |why| {
                        matches!(why, Unavailable::Unreachable { .. } | Unavailable::TooSlow { .. })
                            && !matches!(object_of(why), Some(Object::Blob(_)))
                    });
                    // Of what cannot be had the reason may be another each time: which of two ends broke first.
                    said = match &error {
                        Error::Unavailable(_) if self.hurry.is_some() => String::new(),
                        Error::Unavailable(why) => object_of(why).unwrap().to_string(),
                        error => without_the_moment(&error.to_string()),
                    };
                    self.tells(name, answer, &error);
                    assert!(is_of(attack.step, &error), "{name}: not of step {}: {error:?}", attack.step);
                }
                Ok(done) => panic!("{name}: from {from:?}: {done:?}"),
            }
            assert!(started.elapsed() < AT_MOST, "{name}: {from:?}: {:?}", started.elapsed());
            self.lets_go(name);
            self.is_unchanged(&format!("{name}: {from:?}"), &before, by_update);
        }
        match self.clock {
            None => {
                let mut told = self.runs(name, &self.installed);
                if is_offline {
                    assert_eq!(told, OFFLINE, "{name}");
                    // More than that is for whoever asks.
                    told = stdout(&self.tool.run(&["--update-status"]));
                }
                let is_told = without_the_moment(&told).contains(&said);
                assert!(is_told, "{name}: a start told nothing of {said}, or something else: {told}");
            }
            Some(_) => assert_eq!(self.tool.version(), self.installed, "{name}"), // a start has the true time
        }
        self.is_unchanged(&format!("{name}: a start"), &before, by_start);
        if self.clock.is_none() && self.hurry.is_none() && self.required.insert(attack.step) {
            self.does_not_start(attack);
            self.is_unchanged(&format!("{name}: a start under Require"), &before, by_start);
        }
        if self.unheard {
            assert_eq!(self.server.requests(), [""; 0], "{name}");
        }
    }

    /// What must not run outdated does not run.
    fn does_not_start(&self, attack: &Attack) {
        let output = run(self.tool.command().env("TEST_POLICY", "require").arg("x"));
        let (name, told) = (&attack.name, stderr(&output));
        let is_refused = matches!(attack.outcome, Outcome::Refused(_) | Outcome::RefusedLater(_));
        assert_eq!(output.status.code(), Some(if is_refused { 3 } else { 4 }), "{name}: {told}");
        assert_eq!(stdout(&output), "", "{name}: {told}");
        assert!(told.contains("widget: not started: "), "{name}: {told}");
    }

    /// The same, where there is nothing to do.
    fn is_passed_over(&self, attack: &Attack, because: &Because) {
        let name = &attack.name;
        let before = Disk::of(&self.tool);
        for from in attack.from {
            match self.updater(*from).update(false) {
                Ok(Done::Nothing(reason)) if (because.is)(&reason) => {}
                other => panic!("{name}: from {from:?}: expected {}, but it is {other:?}", because.pattern),
            }
            self.is_unchanged(&format!("{name}: {from:?}"), &before, VERIFIED);
        }
        self.runs(name, &self.installed);
        self.is_unchanged(&format!("{name}: a start"), &before, VERIFIED);
    }

    fn is_unchanged(&self, name: &str, before: &Disk, but: Parts) {
        assert_eq!(Disk::of(&self.tool).but(but), before.clone().but(but), "{name}: the disk changed");
        assert!(!self.mark().exists(), "{name}: the attacker's executable was run");
    }

    /// What was given up does not go on in the background.
    pub fn lets_go(&self, name: &str) {
        let given_up = Instant::now();
        while self.server.connections() > 0 {
            assert!(given_up.elapsed() < LETS_GO, "{name}: {} connections stay", self.server.connections());
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn tells(&self, name: &str, answer: &Answer, error: &Error) {
        assert!((answer.is)(error), "{name}: expected {}, but it is {error:?}", answer.pattern);
        for text in [error.to_string(), error.advice().into()] {
            assert!(drives(&text).is_none() && !text.contains('\n'), "{name}: {text:?}");
        }
    }

    /// A start runs this version in the end, with its arguments, and tells nothing that drives a terminal. What it tells.
    pub fn runs(&self, name: &str, version: &str) -> String {
        let mut command = self.tool.command();
        command.env_remove("XDG_STATE_HOME");
        for (at, variable) in [("home", "HOME"), ("tmp", "TMPDIR"), ("work", "PWD")] {
            let dir = self.elsewhere.path().join(at);
            std::fs::create_dir_all(&dir).unwrap();
            command.env(variable, &dir).current_dir(dir);
        }
        if self.hurry.is_some() {
            command.env("TEST_DEADLINE_MS", "1500"); // limits::STARTUP_CHECK
        }
        let started = Instant::now();
        let output = run(command.arg("x"));
        let (told, took) = (stderr(&output), started.elapsed());
        assert!(took < self.hurry.unwrap_or(AT_MOST), "{name}: a start took {took:?}: {told}");
        assert_eq!(stdout(&output), format!("widget {version} x\n"), "{name}: {told}");
        assert_eq!(output.status.code(), Some(0), "{name}: {told}");
        assert_eq!(drives(&told), None, "{name}: {told:?}");
        assert_eq!(self.tool.strays(), [""; 0], "{name}");
        for at in ["home", "tmp", "work"] {
            let left = std::fs::read_dir(self.elsewhere.path().join(at)).unwrap().count();
            assert_eq!(left, 0, "{name}: something lies in the directory {at}");
        }
        told
    }

    /// From the directory and over TLS it is what a check finds, and a start installs it.
    fn is_taken(&mut self, attack: &Attack) {
        for from in attack.from {
            match self.updater(*from).check(false) {
                Ok(Checked::Update { to, .. }) if to.to_string() == self.next() => {}
                other => panic!("{}: from {from:?}: {other:?}", attack.name),
            }
        }
        self.updates(&attack.name);
    }

    /// A release that is there installs at a start of the tool, and what ran before is kept.
    fn updates(&mut self, name: &str) {
        let before = std::fs::read(&self.tool.path).unwrap();
        self.runs(name, &self.next());
        let previous = std::fs::read(self.tool.previous()).unwrap();
        assert!(previous == before, "{name}: another previous executable");
        assert!(!self.mark().exists(), "{name}: the attacker's executable was run");
        (self.installed, self.number) = (self.next(), self.number + 1);
        self.repository.forget_blobs_but(&std::fs::read(&self.tool.path).unwrap());
    }

    /// The next good release installs, whatever was refused before.
    pub fn heals(&mut self, name: &str) {
        let version = self.next();
        let executable = self.executable(&version);
        self.current = self.repository.release(&version, &executable);
        self.updates(name);
    }

    /// The number of the root beside the executable; 1 is the one that was given.
    pub fn root_on_disk(&self) -> u64 {
        self.tool.root_on_disk()
    }

    /// As [`Stage::suffers`], for what is done thousands of times: from the directory, and without a good release after each.
    pub fn refuses(&self, name: &str, answer: &Answer, before: &Snapshot) {
        match self.tool.updater().update(false) {
            Err(error) => self.tells(name, answer, &error),
            Ok(Done::Nothing(reason)) => panic!("{name}: nothing to do: {reason:?}"),
            Ok(done) => panic!("{name}: {done:?}"),
        }
        assert_eq!(self.tool.glance(), *before, "{name}: the disk changed");
    }
}

fn executable_for(
    repository: &Repository,
    server: &Server,
    files: &TempDir,
    authority: &Authority,
    version: &str,
) -> Vec<u8> {
    let ca_file = authority.write(files.path());
    // The deadline is no part of these promises: a busy machine must not turn a refusal into a failure.
    let fields = json!({"repository": server.url, "ca_file": ca_file, "interval": 0, "deadline_ms": 20_000});
    executable_such(repository, version, fields)
}

/// Parts of the table, each on a stage of its own, at the same time: where much is waiting.
pub fn together<R: FnOnce() -> Vec<Attack> + Send>(tables: impl IntoIterator<Item = R>) {
    without_proxy();
    // Installed one after another; what then waits, waits together.
    let to_install = &Mutex::new(());
    thread::scope(|scope| {
        let play = move |rows: R| {
            let turn = to_install.lock().unwrap();
            let mut stage = Stage::new();
            drop(turn);
            rows().iter().for_each(|attack| stage.suffers(attack));
        };
        let played: Vec<_> = tables.into_iter().map(|rows| scope.spawn(move || play(rows))).collect();
        for thread in played {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
}

/// What two checks of the same, one after another, tell alike.
fn without_the_moment(text: &str) -> String {
    let mut text = text.to_owned();
    for clock in ["checked at ", "clock says "] {
        while let Some(at) = text.find(clock) {
            let end = at + clock.len() + "2026-11-23T05:30:00Z".len();
            text.replace_range(at..end.min(text.len()), "");
        }
    }
    text
}
