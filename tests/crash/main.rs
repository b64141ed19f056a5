//! Promise: wherever a process is killed, and whatever call the disk refuses, an executable that
//! runs is at its path, as the old or the new version, and the next command finishes or undoes what
//! was begun and leaves nothing lying about.
//!
//! strace kills the process at the n-th call of one kind. The calls are first counted in a run
//! without a fault, from the first one that touches the tool's own directory. The short form takes
//! some of each kind, evenly, with the first and the last; `RELATCH_TEST_LONG=1` takes them all,
//! which is some minutes.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod calls;
mod recovery;
#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use relatch::trust::Digest;
use serde_json::{Value, json};
use support::strace::{calls_of_main, is_available, traced};
use support::tool::{run, stderr, stdout};
use support::{PRODUCT, Repository, Tool, executable_such};
use tempfile::TempDir;

/// Everything around a swap that changes the disk, and what opens files for it.
const CALLS: [&str; 22] = [
    "openat",
    "write",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "link",
    "linkat",
    "mkdir",
    "mkdirat",
    "chmod",
    "fchmod",
    "fchmodat",
    "fchown",
    "fsetxattr",
    "ftruncate",
    "flock",
    "copy_file_range",
    "sendfile",
];

/// Names cannot be exchanged: the swap copies and renames.
const NO_EXCHANGE: &str = "renameat2:error=EINVAL";

fn is_long() -> bool {
    std::env::var_os("RELATCH_TEST_LONG").is_some()
}

/// An installed tool as a directory to copy, before the command that is to be disturbed.
struct Scene {
    repository: Repository,
    tool: Tool,
    work: TempDir,
    old: Digest,
    new: Digest,
}

/// A copy of it.
struct Place {
    dir: PathBuf,
    path: PathBuf,
}

impl Scene {
    /// 1.0.0, of which 1.1.0 is the newer release. Each start checks.
    fn outdated() -> Self {
        Scene::with_interval(0)
    }

    fn with_interval(seconds: u64) -> Self {
        let mut repository = Repository::new();
        let bytes = |version: &str| executable_such(&repository, version, json!({"interval": seconds}));
        let (old, new) = (bytes("1.0.0"), bytes("1.1.0"));
        repository.release("1.0.0", &old);
        let tool = Tool::copied(&old);
        assert!(tool.run(&["--update"]).status.success());
        repository.release("1.1.0", &new);
        let work = tempfile::tempdir().unwrap();
        Scene { repository, tool, work, old: Digest::of(&old), new: Digest::of(&new) }
    }

    /// The same, released under a root that the tool has not heard of.
    fn outdated_under_a_new_root() -> Self {
        let mut scene = Scene::outdated();
        scene.repository.rotate(|_| {});
        let new = executable_such(&scene.repository, "1.1.0", json!({"interval": 0}));
        scene.repository.release("1.1.0", &new);
        scene
    }

    /// 1.1.0, updated from 1.0.0.
    fn updated() -> Self {
        let scene = Scene::outdated();
        assert!(scene.tool.run(&["--update"]).status.success());
        scene
    }

    /// A fresh copy, made by another process: this one never holds a descriptor that would keep the
    /// executable busy.
    fn place(&self) -> Place {
        let dir = self.work.path().join("place");
        drop(std::fs::remove_dir_all(&dir));
        let copied = Command::new("cp").arg("-a").arg(self.tool.dir.path()).arg(&dir).status();
        assert!(copied.unwrap().success());
        Place { path: dir.join(PRODUCT), dir }
    }

    fn log(&self) -> PathBuf {
        self.work.path().join("log")
    }

    /// The calls of an undisturbed run, and which of them are to be disturbed: name and number.
    fn points(&self, argument: &str, always: &[String], each: usize) -> Vec<(String, usize)> {
        let place = self.place();
        let output = run(traced(&place.path, &CALLS, always, &self.log()).arg(argument));
        assert!(output.status.success(), "{}", stderr(&output));
        let mut points = Vec::new();
        for (name, calls) in calls_of_main(&self.log()) {
            if always.iter().any(|injection| injection.starts_with(&format!("{name}:"))) {
                continue;
            }
            // Before its own directory is touched, nothing is at stake.
            let first = calls.iter().position(|call| name != "openat" || call.contains(".relatch"));
            let Some(first) = first else { continue };
            let numbers: Vec<usize> = (first + 1..=calls.len()).collect();
            let count = if is_long() { numbers.len() } else { each.min(numbers.len()) };
            let chosen = (0..count).map(|i| numbers[i * (numbers.len() - 1) / (count - 1).max(1)]);
            points.extend(chosen.map(|number| (name.clone(), number)));
        }
        let kinds: Vec<_> = points.iter().map(|(name, _)| name.as_str()).collect();
        for needed in ["openat", "write", "fsync"] {
            assert!(kinds.contains(&needed), "{kinds:?}");
        }
        assert!(kinds.iter().any(|kind| kind.starts_with("rename")), "{kinds:?}");
        points
    }

    fn disturbed(&self, place: &Place, argument: &str, injections: &[String], names: &[&str]) -> Output {
        run(traced(&place.path, names, injections, &self.log()).arg(argument))
    }

    /// Kills a command at this call. The result is `false` if it came to its end all the same.
    fn is_killed(&self, place: &Place, argument: &str, always: &[String], name: &str, number: usize) -> bool {
        let kill = format!("{name}:signal=KILL:when={number}");
        let injections = [always, &[kill]].concat();
        !self.disturbed(place, argument, &injections, &[name, "renameat2"]).status.success()
    }

    /// An executable that runs is at the path; its version, which is what its bytes say.
    fn assert_runs(&self, place: &Place, when: &str) -> String {
        let found = Digest::of(&std::fs::read(&place.path).unwrap());
        let version = if found == self.old { "1.0.0" } else { "1.1.0" };
        assert!(found == self.old || found == self.new, "{when}: another executable is at the path");
        let output = place.run("--no-update");
        assert_eq!(stdout(&output), format!("widget {version} --no-update\n"), "{when}: {}", stderr(&output));
        version.into()
    }
}

impl Place {
    fn run(&self, argument: &str) -> Output {
        run(Command::new(&self.path).arg(argument).env_remove("CI").env_remove("RELATCH_NO_UPDATE"))
    }

    fn succeeds(&self, argument: &str, when: &str) {
        let output = self.run(argument);
        assert!(output.status.success(), "{when}, then {argument}: {}", stderr(&output));
    }

    /// A record, whose hash is right.
    fn record(&self, name: &str, when: &str) -> Value {
        let text = std::fs::read_to_string(self.dir.join(format!(".{PRODUCT}.relatch")).join(name)).unwrap();
        let (line, hash) = text.trim_end().split_once('\n').unwrap();
        assert_eq!(hash, Digest::of(line.as_bytes()).to_string(), "{when}: {name}");
        serde_json::from_str(line).unwrap()
    }

    /// What was accepted: epoch and number. The floors know the root that lies beside them.
    fn accepted(&self, when: &str) -> (u64, u64) {
        for name in ["journal", "cache"] {
            self.record(name, when);
        }
        let domain = &self.record("floors", when)["domains"][0];
        if let Ok(root) = std::fs::read(self.dir.join(format!(".{PRODUCT}.relatch/root"))) {
            let document = root.split(|byte| *byte == b'\n').next().unwrap();
            let hash = Value::from(Digest::of(document).to_string());
            assert!(domain["lineage"]["hashes"].as_array().unwrap().contains(&hash), "{when}: {domain}");
        }
        let floors = domain["epochs"].as_array().unwrap().last().unwrap();
        (floors["epoch"].as_u64().unwrap(), floors["channels"][0]["seq"].as_u64().unwrap())
    }

    fn assert_no_strays(&self, when: &str) {
        let dir = self.dir.join(format!(".{PRODUCT}.relatch"));
        for entry in std::fs::read_dir(dir).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let expected =
                ["journal", "floors", "cache", "root", "lock", "staging", "previous", "trial", "events"];
            assert!(expected.contains(&name.as_str()), "{when}: {name} is left");
        }
    }
}

/// Kills an update at each point; every second time a plain start comes next, else `--rollback`
/// does where there is something to undo.
fn kill_updates(scene: fn() -> Scene, always: &[String], each: usize) {
    if !is_available() {
        return;
    }
    let scene = scene();
    let (mut killed, mut seen_old, mut seen_new) = (0, false, false);
    for (name, number) in scene.points("--update", always, each) {
        let when = format!("update killed at {name} {number} {always:?}");
        let place = scene.place();
        killed += usize::from(scene.is_killed(&place, "--update", always, &name, number));
        let accepted = place.accepted(&when);
        let version = scene.assert_runs(&place, &when);
        assert!(version == "1.0.0" || accepted > (1, 1), "{when}: {accepted:?} was forgotten");
        seen_old |= version == "1.0.0";
        seen_new |= version == "1.1.0";
        if version == "1.1.0" && killed % 2 == 0 {
            // The swap is done, and so it can be undone.
            place.succeeds("--rollback", &when);
            assert_eq!(scene.assert_runs(&place, &when), "1.0.0", "{when}");
        } else {
            place.succeeds("--update", &when);
            place.assert_no_strays(&when);
            assert_eq!(scene.assert_runs(&place, &when), "1.1.0", "{when}");
            place.succeeds("--rollback", &when);
        }
        place.assert_no_strays(&when);
        assert_eq!(scene.assert_runs(&place, &when), "1.0.0", "{when}");
        place.succeeds("x", &when);
        assert_eq!(scene.assert_runs(&place, &when), "1.0.0", "{when}: 1.1.0 is held");
        assert!(place.accepted(&when) >= accepted, "{when}: {accepted:?} was forgotten");
    }
    assert!(killed > 10 && seen_old && seen_new, "{killed} kills, before and after the swap");
    drop(scene.repository);
}

/// Kills a rollback at each point.
fn kill_rollbacks(always: &[String], each: usize) {
    if !is_available() {
        return;
    }
    let scene = Scene::updated();
    let (mut killed, mut seen_old, mut seen_new) = (0, false, false);
    for (name, number) in scene.points("--rollback", always, each) {
        let when = format!("rollback killed at {name} {number} {always:?}");
        let place = scene.place();
        killed += usize::from(scene.is_killed(&place, "--rollback", always, &name, number));
        let version = scene.assert_runs(&place, &when);
        seen_old |= version == "1.0.0";
        seen_new |= version == "1.1.0";
        if killed % 2 == 0 {
            // What was left is held, although the command did not come to its end; what was not
            // left is current.
            place.succeeds("--update", &when);
            place.assert_no_strays(&when);
            assert_eq!(scene.assert_runs(&place, &when), version, "{when}");
        }
        // Whether it happened, and whether it was recorded: twice is once.
        place.succeeds("--rollback", &when);
        place.assert_no_strays(&when);
        assert_eq!(scene.assert_runs(&place, &when), "1.0.0", "{when}, then again: {version} before");
        place.succeeds("--update=1.1.0", &when);
        assert_eq!(scene.assert_runs(&place, &when), "1.1.0", "{when}, then forward");
    }
    assert!(killed > 10 && seen_old && seen_new, "{killed} kills, before and after the swap");
}

#[test]
fn a_killed_update_leaves_a_tool_that_runs() {
    kill_updates(Scene::outdated, &[], 12);
}

#[test]
fn a_killed_update_by_copy_leaves_a_tool_that_runs() {
    kill_updates(Scene::outdated, &[NO_EXCHANGE.into()], 12);
}

/// Floors, root, journal and cache are written one after another, and each as a whole.
#[test]
fn a_killed_update_under_a_new_root_leaves_a_tool_that_runs() {
    kill_updates(Scene::outdated_under_a_new_root, &[], 12);
}

/// The cache says that an update began: that is no reason to wait for the interval.
#[test]
fn a_start_that_was_killed_before_the_exchange_is_made_up_for_by_the_next() {
    if !is_available() {
        return;
    }
    let scene = Scene::with_interval(3600);
    let place = scene.place();
    let cache = place.dir.join(format!(".{PRODUCT}.relatch/cache"));
    std::fs::remove_file(&cache).unwrap();
    let injection = "renameat2:signal=KILL:when=1".to_owned();
    let output = scene.disturbed(&place, "x", &[injection], &["renameat2"]);
    assert!(!output.status.success(), "{}", stdout(&output));
    let when = "killed before the exchange";
    assert_eq!(scene.assert_runs(&place, when), "1.0.0");
    let mut record = place.record("cache", when);
    assert_eq!(record["about"]["version"], "1.0.0", "it is the version at the path");
    // The retry time after an update that did not end, and not the interval.
    record["failure"]["at"] = (record["failure"]["at"].as_u64().unwrap() - 301).into();
    let line = record.to_string();
    std::fs::write(&cache, format!("{line}\n{}\n", Digest::of(line.as_bytes()))).unwrap();
    let output = place.run("x");
    assert_eq!(stdout(&output), "widget 1.1.0 x\n", "{}", stderr(&output));
}

#[test]
fn a_killed_rollback_leaves_a_tool_that_runs() {
    kill_rollbacks(&[], 12);
}

#[test]
fn a_killed_rollback_by_copy_leaves_a_tool_that_runs() {
    kill_rollbacks(&[NO_EXCHANGE.into()], 12);
}

/// Whether a fault hit what a process says, and not what it does. `log` is strace's.
fn hit_stdout(log: &Path) -> bool {
    let log = std::fs::read_to_string(log).unwrap();
    log.lines().any(|line| line.contains("(INJECTED)") && line.contains("write(1,"))
}

/// A start goes on as the old or the new version when a call fails, once or from then on.
fn fail_calls(always: &[String], each: usize) {
    if !is_available() {
        return;
    }
    let scene = Scene::outdated();
    let mut stayed_old = 0;
    for (name, number) in scene.points("x", always, each) {
        if !["write", "fsync", "fdatasync", "rename", "renameat", "renameat2", "copy_file_range", "sendfile"]
            .contains(&name.as_str())
        {
            continue;
        }
        for (error, onwards) in [("ENOSPC", ""), ("EIO", "+")] {
            let when = format!("{error} at {name} {number}{onwards} {always:?}");
            let place = scene.place();
            let mut injections = always.to_vec();
            injections.push(format!("{name}:error={error}:when={number}{onwards}"));
            let output = scene.disturbed(&place, "x", &injections, &[&name, "renameat2"]);
            let version = scene.assert_runs(&place, &when);
            if !hit_stdout(&scene.log()) {
                let said = stdout(&output);
                assert!(output.status.success(), "{when}: {}", stderr(&output));
                assert!(["widget 1.0.0 x\n", "widget 1.1.0 x\n"].contains(&said.as_str()), "{when}: {said}");
            }
            stayed_old += usize::from(version == "1.0.0");
            place.succeeds("--update", &when);
            place.assert_no_strays(&when);
            assert_eq!(scene.assert_runs(&place, &when), "1.1.0", "{when}");
            place.succeeds("--rollback", &when);
            assert_eq!(scene.assert_runs(&place, &when), "1.0.0", "{when}");
        }
    }
    assert!(stayed_old > 5, "{stayed_old} updates failed");
}

#[test]
fn a_full_or_broken_disk_leaves_a_tool_that_runs() {
    fail_calls(&[], 6);
}

#[test]
fn a_full_or_broken_disk_leaves_a_tool_that_runs_without_exchange() {
    fail_calls(&[NO_EXCHANGE.into()], 6);
}
