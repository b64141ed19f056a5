//! Promise: what is installed, kept, held and by whom, who signed it, what happened last and what is
//! odd can be asked for without a network, and asking changes nothing. What can be mended without
//! trusting the repository is mended by one command.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use relatch::install::{Event, Happened, Installation};
use relatch::{Error, Local, Refusal, Status, Updater};
use serde_json::{Value, json};
use support::tool::{stderr, stdout};
use support::{Repository, Tool, executable_such};

struct Scene {
    repository: Repository,
    tool: Tool,
    fields: Value,
}

impl Scene {
    /// Updated through these versions.
    fn new(versions: &[&str]) -> Self {
        let repository = Repository::new();
        let fields = json!({"interval": 3600});
        let tool = Tool::copied(&executable_such(&repository, versions[0], fields.clone()));
        let mut scene = Scene { repository, tool, fields };
        for version in &versions[1..] {
            scene.release(version);
            let output = scene.tool.run(&["--update"]);
            assert!(output.status.success(), "{}", stderr(&output));
        }
        scene
    }

    fn release(&mut self, version: &str) {
        let bytes = executable_such(&self.repository, version, self.fields.clone());
        self.repository.release(version, &bytes);
    }

    fn installation(&self) -> Installation {
        Installation::at(&self.tool.path).unwrap()
    }

    /// Asked without a change.
    fn status(&self) -> Status {
        let before = self.tool.everything();
        let status = Updater::status(&self.installation(), None).unwrap();
        assert_eq!(self.tool.everything(), before);
        status
    }

    fn odd(&self) -> Vec<String> {
        self.status()
            .oddities
            .into_iter()
            .map(|oddity| format!("{}; {}", oddity.what, oddity.repair))
            .collect()
    }

    fn repaired(&self) -> Vec<String> {
        Updater::repair(&self.installation()).unwrap()
    }

    fn events(&self) -> Vec<String> {
        self.status().events.iter().map(|event| event.what.to_string()).collect()
    }
}

#[test]
fn a_status_tells_the_whole_story() {
    let mut scene = Scene::new(&["1.0.0", "1.1.0"]);
    assert!(scene.tool.run(&["confirm"]).status.success());
    scene.release("1.2.0");
    assert!(scene.tool.run(&["--update"]).status.success());
    assert!(scene.tool.run(&["--rollback"]).status.success());
    let output = scene.tool.run(&["--update-status"]);
    let text = stdout(&output);
    for part in [
        "version 1.1.0, by a rollback",
        &format!("signed by  {}", scene.repository.root()["roles"]["release"]["keys"][0].as_str().unwrap()),
        "held       1.2.0, by a person",
        "next start checks nothing before ",
        "updated 1.0.0 to 1.1.0",
        "updated 1.1.0 to 1.2.0",
        "back to 1.1.0 from 1.2.0",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!((output.status.code(), scene.odd()), (Some(0), vec![]));
    assert_eq!(scene.status().kept.iter().map(|kept| kept.confirmed).collect::<Vec<_>>(), [false, false]);
    assert!(scene.tool.run(&["--unhold"]).status.success());
    assert_eq!(scene.events().last().unwrap(), "ended the hold of 1.2.0");
    assert!(scene.tool.run(&["--update=1.2.0"]).status.success());
    assert_eq!(scene.events().last().unwrap(), "forward to 1.2.0, which was kept, from 1.1.0");
    // Which version is on trial, and by whom another one is held.
    for _ in 0..3 {
        assert_eq!(scene.tool.run(&["panic"]).status.code(), Some(101));
    }
    let status = scene.status();
    let trial = status.trial.unwrap();
    assert_eq!((trial.good, trial.failed), (0, 3));
    assert_eq!(status.next_start.unwrap(), "leaves 1.2.0, which failed in its first starts, for 1.1.0");
    assert_eq!(stdout(&scene.tool.run(&["x"])), "widget 1.1.0 x\n");
    let status = scene.status();
    assert!(status.held[0].until.is_some() && status.returned);
    assert!(status.held[0].to_string().ends_with(": it failed in its first starts"), "{}", status.held[0]);
    assert!(scene.events().last().unwrap().starts_with("back to 1.1.0 by itself"), "{:?}", scene.events());
}

/// Each failure once, and once more after another one.
#[test]
fn failures_are_recorded_and_not_repeated() {
    let mut scene = Scene::new(&["1.0.0", "1.1.0"]);
    let broken = json!({"interval": 3600, "broken": "exit 9"});
    let bytes = executable_such(&scene.repository, "1.2.0", broken);
    scene.repository.release("1.2.0", &bytes);
    for _ in 0..3 {
        assert_eq!(scene.tool.run(&["--update"]).status.code(), Some(5));
    }
    let failed = |events: &[Event]| {
        events.iter().filter(|event| matches!(event.what, Happened::Failed { .. })).count()
    };
    assert_eq!(failed(&scene.status().events), 1);
    std::fs::write(scene.repository.version_path(), "x").unwrap();
    for _ in 0..2 {
        assert_eq!(scene.tool.run(&["--update"]).status.code(), Some(3));
    }
    let events = scene.status().events;
    assert_eq!(failed(&events), 2);
    assert!(matches!(events.last().unwrap().what, Happened::Failed { refused: true, .. }));
}

#[test]
fn a_log_that_is_damaged_or_no_file_hinders_nothing() {
    let mut scene = Scene::new(&["1.0.0", "1.1.0"]);
    let log = scene.tool.site_dir().join("events");
    std::fs::write(&log, [0xff; 4096]).unwrap();
    scene.release("1.2.0");
    assert!(scene.tool.run(&["--update"]).status.success());
    assert_eq!(scene.events().last().unwrap(), "updated 1.1.0 to 1.2.0");
    std::fs::remove_file(&log).unwrap();
    std::fs::create_dir(&log).unwrap();
    scene.release("1.3.0");
    assert!(scene.tool.run(&["--update"]).status.success());
    assert_eq!((scene.tool.version().as_str(), scene.events()), ("1.3.0", vec![]));
}

#[test]
fn an_executable_that_is_gone_is_put_back_from_what_is_kept() {
    let scene = Scene::new(&["1.0.0", "1.1.0", "1.2.0"]);
    // 1.1.0 is kept, and a person went back from it: the one before it comes first.
    assert!(scene.tool.run(&["--rollback"]).status.success());
    assert!(scene.tool.run(&["--rollback=1.0.0"]).status.success());
    assert!(scene.tool.run(&["--update=1.2.0"]).status.success());
    std::fs::remove_file(&scene.tool.path).unwrap();
    let status = scene.status();
    assert!(status.problem.as_ref().unwrap().contains("there is no executable at"), "{status}");
    assert_eq!((status.exit_code(), scene.odd().len()), (5, 1));
    assert!(scene.odd()[0].contains("`relatch doctor --repair`"), "{:?}", scene.odd());
    let done = scene.repaired();
    assert!(done.len() == 1 && done[0].starts_with("put 1.0.0 back at "), "{done:?}");
    assert_eq!(scene.tool.version(), "1.0.0");
    let status = scene.status();
    assert_eq!((status.installed.unwrap().to_string(), status.problem), ("1.0.0".into(), None));
    assert!(status.kept.iter().all(|kept| kept.version.to_string() != "1.0.0"));
    assert!(status.held.iter().any(|held| held.version.to_string() == "1.1.0"), "it stays on hold");
    assert_eq!((scene.repaired(), scene.odd()), (vec![], vec![]));
    assert_eq!(scene.tool.strays(), [""; 0]);
}

/// Nothing is put back whose bytes are not the recorded ones, or that the publisher withdrew.
#[test]
fn what_may_not_come_back_is_not_put_back() {
    let scene = Scene::new(&["1.0.0", "1.1.0"]);
    std::fs::write(scene.tool.previous(), "another").unwrap();
    std::fs::remove_file(&scene.tool.path).unwrap();
    let done = scene.repaired();
    assert!(done.len() == 1 && done[0].starts_with("1.0.0 is not kept any more"), "{done:?}");
    assert!(!scene.tool.path.exists());

    let mut scene = Scene::new(&["1.0.0", "1.1.0"]);
    let bytes = executable_such(&scene.repository, "1.2.0", scene.fields.clone());
    let mut draft = scene.repository.draft("1.2.0", &bytes);
    draft.manifest["retracts"] = json!(["1.1.0"]);
    scene.repository.publish(&draft);
    assert!(scene.tool.run(&["--update"]).status.success());
    let refused: Vec<_> = scene.status().kept.into_iter().map(|kept| kept.refused).collect();
    assert!(refused[0].as_ref().unwrap().contains("withdrew version 1.1.0"), "{refused:?}");
    assert_eq!(refused[1], None);
    std::fs::remove_file(&scene.tool.path).unwrap();
    let done = scene.repaired();
    assert!(done.len() == 1 && done[0].starts_with("put 1.0.0 back at "), "{done:?}");
}

#[test]
fn a_kept_version_that_was_changed_is_named_and_forgotten() {
    let scene = Scene::new(&["1.0.0", "1.1.0", "1.2.0"]);
    let (altered, gone) = (scene.tool.previous(), scene.status().kept[1].path.clone());
    std::fs::write(&altered, "another").unwrap();
    std::fs::remove_file(&gone).unwrap();
    let odd = scene.odd();
    assert!(odd.len() == 2 && odd[0].contains("the kept version 1.1.0 cannot come back"), "{odd:?}");
    assert!(odd[1].contains("the kept version 1.0.0 cannot come back: its file is gone"), "{odd:?}");
    let done = scene.repaired();
    assert_eq!(done.len(), 2, "{done:?}");
    assert_eq!((scene.status().kept, scene.odd(), scene.repaired()), (vec![], vec![], vec![]));
    assert_eq!(stdout(&scene.tool.run(&["x"])), "widget 1.2.0 x\n");
}

#[test]
#[cfg(unix)]
fn a_mode_that_lets_nobody_run_it_is_mended() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new(&["1.0.0", "1.1.0"]);
    let mode = || std::fs::metadata(&scene.tool.path).unwrap().permissions().mode() & 0o7777;
    let before = mode();
    std::fs::set_permissions(&scene.tool.path, std::fs::Permissions::from_mode(before & 0o666)).unwrap();
    assert!(scene.odd()[0].contains("nobody may run the file"), "{:?}", scene.odd());
    assert_eq!(scene.repaired().len(), 1);
    assert_eq!(mode(), before);
    // Not of another file.
    std::fs::write(&scene.tool.path, "another").unwrap();
    std::fs::set_permissions(&scene.tool.path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!((scene.repaired(), mode()), (vec![], 0o644));
}

#[test]
fn what_was_interrupted_is_completed() {
    let scene = Scene::new(&["1.0.0", "1.1.0"]);
    // The exchange of an update is done, and nothing after it.
    scene.tool.edit("journal", |journal| {
        let (from, to) = (journal["kept"][0].clone(), journal["installed"].clone());
        let file = "new-0123456789abcdef";
        journal["installed"] = from.clone();
        journal["kept"] = json!([]);
        journal["pending"] = json!({"file": file, "from": from, "to": to, "rollback": false});
    });
    std::fs::rename(scene.tool.previous(), scene.tool.site_dir().join("new-0123456789abcdef")).unwrap();
    assert!(scene.odd()[0].contains("an update was interrupted"), "{:?}", scene.odd());
    assert_eq!(scene.repaired(), ["completed what had been interrupted: 1.1.0 is installed"]);
    assert_eq!((scene.odd(), scene.tool.version().as_str()), (vec![], "1.1.0"));
    assert_eq!(scene.status().next_back.unwrap().to_string(), "1.0.0");
}

/// Whoever can damage the records must not be able to have them forgotten.
#[test]
fn damaged_records_are_not_repaired() {
    for name in ["journal", "floors"] {
        let scene = Scene::new(&["1.0.0", "1.1.0"]);
        std::fs::write(scene.tool.site_dir().join(name), "x").unwrap();
        assert!(scene.odd()[0].contains("the next check that succeeds"), "{:?}", scene.odd());
        let before = scene.tool.everything();
        let repaired = Updater::repair(&scene.installation());
        let refused = matches!(repaired, Err(Error::Refused(Refusal::StateDamaged { .. })));
        assert!(refused, "{repaired:?}");
        assert_eq!(scene.tool.everything(), before, "{name}");
        // Nor is anything put back of which nobody knows whether it may come back.
        std::fs::remove_file(&scene.tool.path).unwrap();
        assert!(matches!(Updater::repair(&scene.installation()), Err(Error::Refused(_))), "{name}");
        assert!(
            !scene.tool.path.exists() && !scene.odd().iter().any(|odd| odd.contains("--repair")),
            "{name}"
        );
    }
    let repository = Repository::new();
    let tool = Tool::copied(&executable_such(&repository, "1.0.0", json!({})));
    let repaired = Updater::repair(&Installation::at(&tool.path).unwrap());
    assert!(matches!(repaired, Err(Error::Local(Local::NotInstalled { .. }))), "{repaired:?}");
}
