//! Promise: a version that panics again and again in its first starts is left for the last one that
//! is known to work. Nothing else makes a tool go back by itself, and outside of the first starts
//! nothing is written.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::process::Output;

use serde_json::{Value, json};
use support::tool::{run, stderr, stdout};
use support::{Repository, Tool, executable_such};

struct Scene {
    repository: Repository,
    tool: Tool,
    fields: Value,
}

impl Scene {
    /// 1.0.0 is known to work, and 1.1.0 is installed.
    fn new(more: Value) -> Self {
        let mut repository = Repository::new();
        let mut fields = json!({"interval": 3600});
        for (name, value) in more.as_object().unwrap() {
            fields[name] = value.clone();
        }
        let bytes = executable_such(&repository, "1.0.0", fields.clone());
        repository.release("1.0.0", &bytes);
        let tool = Tool::copied(&bytes);
        assert!(tool.run(&["--update"]).status.success());
        assert!(tool.run(&["confirm"]).status.success());
        let mut scene = Scene { repository, tool, fields };
        scene.update("1.1.0");
        scene
    }

    fn update(&mut self, version: &str) {
        let bytes = executable_such(&self.repository, version, self.fields.clone());
        self.repository.release(version, &bytes);
        let output = self.tool.run(&["--update"]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(self.tool.version(), version);
    }

    fn fails(&self) -> Output {
        let output = self.tool.run(&["panic"]);
        assert_eq!(output.status.code(), Some(101), "{}", stderr(&output));
        output
    }

    fn trial(&self) -> Option<String> {
        std::fs::read_to_string(self.tool.site_dir().join("trial")).ok()
    }
}

#[test]
fn a_version_that_panics_three_times_is_left_for_the_last_one_that_works() {
    let mut scene = Scene::new(json!({}));
    for _ in 0..3 {
        let output = scene.fails();
        // The former hook still says it.
        assert!(stderr(&output).contains("this version fails"), "{}", stderr(&output));
    }
    let output = scene.tool.run(&["deploy", "x"]);
    assert_eq!(stdout(&output), "widget 1.0.0 deploy x\n");
    let expected = "widget: 1.1.0 failed in 3 of its first starts; back to 1.0.0 (`widget --update=1.1.0` tries it again)\n";
    assert_eq!(stderr(&output), expected);
    // It stays so.
    let output = scene.tool.run(&["--update"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(scene.tool.version(), "1.1.0", "a person asked for it");
    for _ in 0..3 {
        scene.fails();
    }
    assert_eq!(stdout(&scene.tool.run(&["x"])), "widget 1.0.0 x\n");
    scene.tool.edit("cache", |cache| cache["checked"] = Value::Null);
    let output = scene.tool.run(&["x"]);
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("widget 1.0.0 x\n", ""));
    // The next release ends it.
    let bytes = executable_such(&scene.repository, "1.2.0", scene.fields.clone());
    scene.repository.release("1.2.0", &bytes);
    scene.tool.edit("cache", |cache| cache["checked"] = Value::Null);
    assert_eq!(stdout(&scene.tool.run(&["x"])), "widget 1.2.0 x\n");
}

/// Each of these five times, and then twice a panic: it is not left.
#[test]
fn whatever_else_ends_a_run_is_no_failure() {
    let calls: [&[&str]; 9] = [
        &["x"],
        &["exit", "0"],
        &["exit", "1"],
        &["exit", "2"],
        &["exit", "101"],
        &["exit", "130"],
        &["exit", "143"],
        &["caught"],
        &["thread"],
    ];
    for call in calls {
        let scene = Scene::new(json!({}));
        for _ in 0..4 {
            scene.tool.run(call);
        }
        let trial = scene.trial().unwrap();
        assert_eq!(trial.lines().filter(|line| line.starts_with("end ")).count(), 4, "{call:?}: {trial}");
        assert!(!trial.contains("panic"), "{call:?}: {trial}");
        assert_eq!(scene.tool.version(), "1.1.0", "{call:?}");
    }
    #[cfg(unix)]
    for script in [
        "\"$0\" talk | head -n 1",
        "\"$0\" become true",
        "\"$0\" wait /no/such & kill -INT $!; kill -KILL $!; wait",
        "\"$0\" abort",
    ] {
        let scene = Scene::new(json!({}));
        for _ in 0..5 {
            let mut shell = std::process::Command::new("sh");
            shell.args(["-c", script]).arg(&scene.tool.path).env_remove("CI").env_remove("RELATCH_NO_UPDATE");
            run(&mut shell);
        }
        let trial = scene.trial().unwrap();
        assert!(!trial.contains("panic"), "{script}: {trial}");
        assert_eq!(scene.tool.version(), "1.1.0", "{script}");
    }
}

/// Five runs that ended, or a word of the tool: from then on nothing is written, and nothing is left.
#[test]
fn a_version_that_is_known_to_work_is_not_left() {
    for confirm in [&["x", "x", "x", "x", "x"][..], &["confirm"]] {
        let scene = Scene::new(json!({}));
        for argument in confirm {
            assert!(scene.tool.run(&[argument]).status.success());
        }
        let before = scene.tool.everything();
        for _ in 0..4 {
            scene.fails();
        }
        assert_eq!(stdout(&scene.tool.run(&["x"])), "widget 1.1.0 x\n", "{confirm:?}");
        assert_eq!(scene.tool.everything(), before, "{confirm:?}");
    }
}

/// It is kept, whatever comes after it.
#[test]
fn the_last_version_that_works_is_not_dropped() {
    let mut scene = Scene::new(json!({}));
    for version in ["1.2.0", "1.3.0", "1.4.0"] {
        scene.update(version);
    }
    let kept: Vec<_> = scene.tool.status().kept.iter().map(|kept| kept.version.to_string()).collect();
    assert_eq!(kept, ["1.3.0", "1.0.0"]);
    for _ in 0..3 {
        scene.fails();
    }
    assert_eq!(stdout(&scene.tool.run(&["x"])), "widget 1.0.0 x\n");
}

/// One that began and did not end makes one start say so, once.
#[test]
#[cfg(target_os = "linux")]
fn what_looks_like_a_crash_is_worth_one_hint() {
    let scene = Scene::new(json!({}));
    assert_eq!(stderr(&scene.tool.run(&["x"])), "");
    scene.tool.run(&["abort"]);
    let expected = "widget: 1.1.0 may be failing here; `widget --rollback` returns to 1.0.0\n";
    assert_eq!(stderr(&scene.tool.run(&["x"])), expected);
    scene.tool.run(&["abort"]);
    assert_eq!(stderr(&scene.tool.run(&["x"])), "");
}

/// The hook that was there before says it, and nothing else is said.
#[test]
fn a_trial_changes_no_output() {
    let scene = Scene::new(json!({}));
    let said = |arguments: &[&str], skipped: bool| {
        let mut command = scene.tool.command();
        if skipped {
            command.env("RELATCH_NO_UPDATE", "1");
        }
        let output = run(command.args(arguments).env("RUST_BACKTRACE", "1"));
        // Threads are numbered, and addresses chosen.
        let said = stderr(&output).replace(|c: char| c.is_ascii_hexdigit(), "");
        (output.status.code(), stdout(&output), said)
    };
    let calls: [&[&str]; 5] = [
        &["panic"],
        &["caught"],
        &["thread"],
        &["end", "fatal hook: calls"],
        &["end", "fatal hook: replaces"],
    ];
    for call in calls {
        assert_eq!(said(call, false), said(call, true), "{call:?}");
    }
    assert!(said(&["panic"], false).2.contains("this vrsion ils"), "of the hexadecimal digits");
    assert_eq!(scene.tool.version(), "1.1.0");
}

/// Nor is a version left that has failed.
#[test]
fn where_the_check_is_skipped_nothing_is_recorded() {
    let scene = Scene::new(json!({}));
    for _ in 0..3 {
        scene.fails();
    }
    let before = scene.tool.snapshot();
    for arguments in [&["panic"][..], &["x"], &["abort"]] {
        for (name, value) in [("RELATCH_NO_UPDATE", "1"), ("CI", "true"), ("TEST_POLICY", "off")] {
            let output = run(scene.tool.command().args(arguments).env(name, value));
            assert!(!stderr(&output).contains("back to"), "{}", stderr(&output));
            assert_eq!(scene.tool.snapshot(), before, "{arguments:?} {name}");
        }
    }
}

/// Nobody may record anything there, and nothing else changes.
#[test]
#[cfg(target_os = "linux")]
fn in_a_place_that_is_read_only_it_runs() {
    let scene = Scene::new(json!({}));
    let read_only = |arguments: &str| {
        let script = format!(
            "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\" && cd / && exec \"$0\" {arguments}"
        );
        let mut command = std::process::Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]).arg(&scene.tool.path).arg(scene.tool.dir.path());
        run(command.env_remove("CI").env_remove("RELATCH_NO_UPDATE"))
    };
    if !stdout(&read_only("x")).contains("widget") {
        println!("skipped: nothing can be mounted here");
        return;
    }
    let before = scene.tool.snapshot();
    for _ in 0..4 {
        let output = read_only("panic");
        assert_eq!(output.status.code(), Some(101), "{}", stderr(&output));
    }
    assert_eq!((scene.tool.snapshot(), scene.tool.version().as_str()), (before, "1.1.0"));
    for _ in 0..3 {
        scene.fails();
    }
    let output = read_only("x");
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("widget 1.1.0 x\n", ""));
}

/// Its bytes did not fail.
#[test]
fn another_build_of_the_version_is_not_left() {
    let scene = Scene::new(json!({}));
    for _ in 0..3 {
        scene.fails();
    }
    let mut fields = scene.fields.clone();
    fields["interval"] = 3601.into();
    std::fs::write(&scene.tool.path, executable_such(&scene.repository, "1.1.0", fields)).unwrap();
    let output = scene.tool.run(&["x"]);
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("widget 1.1.0 x\n", ""));
}

/// It runs, and may turn out to work: its failures are no reason to leave it later.
#[test]
fn a_critical_version_is_not_left_and_can_prove_itself() {
    let mut scene = Scene::new(json!({}));
    let bytes = executable_such(&scene.repository, "1.2.0", scene.fields.clone());
    let mut draft = scene.repository.draft("1.2.0", &bytes);
    draft.manifest["critical"] = true.into();
    scene.repository.publish(&draft);
    assert!(scene.tool.run(&["--update"]).status.success());
    for _ in 0..4 {
        scene.fails();
    }
    assert_eq!(stdout(&scene.tool.run(&["x"])), "widget 1.2.0 x\n");
    assert!(scene.tool.run(&["confirm"]).status.success());
    // Whatever is released after it.
    scene
        .repository
        .release("1.3.0", &executable_such(&scene.repository, "1.3.0", json!({"broken": "exit 9"})));
    assert!(!scene.tool.run(&["--update"]).status.success());
    assert_eq!(stdout(&scene.tool.run(&["x"])), "widget 1.2.0 x\n");
    assert!(scene.tool.status().trial.is_none());
}

/// A person who goes back once more from what was left for failing holds it.
#[test]
fn a_rollback_after_a_return_makes_the_hold_a_persons() {
    let scene = Scene::new(json!({}));
    for _ in 0..3 {
        scene.fails();
    }
    assert_eq!(stdout(&scene.tool.run(&["x"])), "widget 1.0.0 x\n");
    assert!(scene.tool.status().held[0].until.is_some());
    assert!(stdout(&scene.tool.run(&["--rollback"])).contains("1.0.0 is installed already"));
    assert_eq!(scene.tool.status().held[0].until, None);
}

/// One that ended by itself is none: for a rollback, for the status, and for the sixteen.
#[test]
fn a_hold_that_is_over_is_gone() {
    let scene = Scene::new(json!({}));
    for _ in 0..3 {
        scene.fails();
    }
    assert_eq!(stdout(&scene.tool.run(&["x"])), "widget 1.0.0 x\n");
    scene.tool.edit("journal", |journal| journal["held"][0]["until"] = 1.into());
    assert_eq!(scene.tool.status().held, []);
    assert!(scene.tool.run(&["--unhold"]).status.success());
    assert!(!scene.tool.status().events.last().unwrap().what.to_string().contains("hold"));
    assert!(scene.tool.run(&["--update"]).status.success());
    assert_eq!(scene.tool.version(), "1.1.0");
    assert_eq!(scene.tool.record("journal")["held"], json!([]));
}

/// What only counts stops nothing.
#[test]
fn a_directory_in_the_place_of_the_trial_stops_no_update() {
    let mut repository = Repository::new();
    let bytes = |repository: &Repository, version: &str| executable_such(repository, version, json!({}));
    let tool = Tool::copied(&bytes(&repository, "1.0.0"));
    std::fs::create_dir_all(tool.site_dir().join("trial")).unwrap();
    let new = bytes(&repository, "1.1.0");
    repository.release("1.1.0", &new);
    assert!(tool.run(&["--update"]).status.success());
    assert_eq!(tool.version(), "1.1.0");
}
