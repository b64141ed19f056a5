//! Promise: a release that could not update itself afterwards is not installed, and one that is
//! only unusual is, with a word.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use relatch::source::Dir;
use serde_json::{Value, json};
use support::scene::Warnings;
#[cfg(unix)]
use support::tool::edit_record;
use support::tool::{run, stderr, stdout};
use support::{Key, Repository, Tool, executable_such};

struct Scene {
    repository: Repository,
    tool: Tool,
}

impl Scene {
    /// 1.0.0 of a tool that carries this root of the repository, and has checked once.
    fn carrying(mut repository: Repository, root: u64) -> Self {
        let fields = json!({"root": document(&repository, root), "interval": 0});
        let bytes = executable_such(&repository, "1.0.0", fields);
        repository.release("1.0.0", &bytes);
        let scene = Scene { repository, tool: Tool::copied(&bytes) };
        assert_eq!(scene.start(), ("1.0.0".into(), String::new()));
        scene
    }

    fn new() -> Self {
        Scene::carrying(Repository::new(), 1)
    }

    /// 1.1.0 whose configuration has these fields.
    fn release(&mut self, version: &str, fields: Value) {
        let bytes = executable_such(&self.repository, version, fields);
        self.repository.release(version, &bytes);
    }

    /// Which version a start ends with, and what it tells.
    fn start(&self) -> (String, String) {
        let output = self.tool.run(&[]);
        (stdout(&output).split(' ').nth(1).unwrap_or_default().into(), stderr(&output))
    }

    /// It is refused, as a verdict that is remembered.
    #[track_caller]
    fn refused(&self, why: &str) {
        let record = self.refused_now(why);
        assert!(record["failed_probe"].is_string(), "{record}");
    }

    /// It is refused. The result is what is recorded of it.
    #[track_caller]
    fn refused_now(&self, why: &str) -> Value {
        let (version, told) = self.start();
        assert!(
            told.contains("version 1.1.0 could not update itself afterwards: ") && told.contains(why),
            "{told}"
        );
        assert_eq!(version, "1.0.0");
        let record = self.tool.record("cache");
        // Whoever asks for it gets the same answer, by the exit code of a refusal.
        let output = self.tool.run(&["--update"]);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        assert_eq!(self.tool.strays(), [""; 0]);
        record
    }

    #[track_caller]
    fn installed(&self, warning: &str) {
        let (version, told) = self.start();
        assert_eq!(version, "1.1.0", "{told}");
        match warning {
            "" => assert!(!told.contains("from 1.1.0 on"), "{told}"),
            warning => assert_eq!(told.matches(warning).count(), 1, "{told}"),
        }
    }
}

fn document(repository: &Repository, number: u64) -> String {
    std::fs::read_to_string(repository.dir.path().join(format!("root/{number}.json"))).unwrap()
}

/// Of other keys, with the same number.
fn other_root() -> String {
    document(&Repository::with_keys(&[41], &[42], &[43], [1, 1, 1]), 1)
}

#[test]
fn a_release_with_another_root_is_refused() {
    let mut scene = Scene::new();
    scene.release("1.1.0", json!({"root": other_root()}));
    scene.refused("which is not of the chain with root 1");
    // It did not keep the next one from coming.
    scene.release("1.1.1", json!({}));
    assert_eq!(scene.start().0, "1.1.1");
}

#[test]
fn a_release_whose_root_is_no_root_is_refused() {
    let mut scene = Scene::new();
    scene.release("1.1.0", json!({"root": "{}"}));
    let (version, told) = scene.start();
    assert!(version == "1.0.0" && told.contains("1.1.0 does not run on this machine"), "{told}");
}

#[test]
fn a_release_that_cannot_read_its_own_address_is_refused() {
    for address in ["ftp://example.com/x", "https://", ""] {
        let mut scene = Scene::new();
        scene.release("1.1.0", json!({"repository": address}));
        scene.refused("it cannot read its own repository ");
    }
}

#[test]
fn repositories_move_and_that_is_told_once() {
    let mut scene = Scene::new();
    scene.release("1.1.0", json!({"repository": "https://new.example.com/widget"}));
    scene.installed("from 1.1.0 on, this program is updated from https://new.example.com/widget, not from ");
    let mut scene = Scene::new();
    scene.release("1.1.0", json!({"channel": "beta"}));
    scene.installed("from 1.1.0 on, this program is updated on the channel beta, not on stable");
    let mut scene = Scene::new();
    scene.release("1.1.0", json!({}));
    scene.installed("");
}

/// The chain has three roots with other keys each.
fn rotated() -> Repository {
    let mut repository = Repository::new();
    for seed in [51, 52] {
        repository.rotate(|repository| repository.root_keys = vec![Key::new(seed)]);
    }
    repository
}

#[test]
fn a_root_of_the_same_chain_is_as_good() {
    for carried in 1..=3 {
        for released in 1..=3 {
            let mut scene = Scene::carrying(rotated(), carried);
            let root = document(&scene.repository, released);
            scene.release("1.1.0", json!({"root": root}));
            scene.installed("");
        }
    }
}

/// The root of the release is older than any that this client has verified, and the repository must
/// prove the way.
#[test]
fn an_older_root_that_does_not_connect_is_refused() {
    // Another root 1 than that of the repository.
    let mut scene = Scene::carrying(rotated(), 3);
    scene.release("1.1.0", json!({"root": other_root()}));
    scene.refused("root/1.json of the repository is ");

    let mut scene = Scene::carrying(rotated(), 3);
    let root = document(&scene.repository, 1);
    scene.release("1.1.0", json!({"root": root}));
    std::fs::remove_file(scene.repository.dir.path().join("root/1.json")).unwrap();
    // Which may be so for a moment.
    let record = scene.refused_now("the repository has no root/1.json");
    assert_eq!((&record["failed_probe"], &record["unfinished_probe"]["count"]), (&Value::Null, &json!(1)));

    // A chain of its own, up to the same number.
    let mut scene = Scene::carrying(rotated(), 3);
    let mut other = Repository::with_keys(&[41], &[42], &[43], [1, 1, 1]);
    other.rotate(|repository| repository.root_keys = vec![Key::new(44)]);
    for file in ["root/1.json", "root/2.json", "root/2.json.minisig"] {
        std::fs::copy(other.dir.path().join(file), scene.repository.dir.path().join(file)).unwrap();
    }
    scene.release("1.1.0", json!({"root": document(&other, 1)}));
    scene.refused("the chain from there to root 3 does not verify: ");
    assert_eq!(scene.tool.record("floors")["domains"][0]["lineage"]["first"], 3);
}

/// A directory is not readable for a moment, as a server may be.
#[test]
#[cfg(unix)]
fn a_repository_that_cannot_be_reached_is_no_verdict() {
    let mut scene = Scene::carrying(rotated(), 3);
    let root = document(&scene.repository, 1);
    scene.release("1.1.0", json!({"root": root.as_str()}));
    let first = scene.repository.dir.path().join("root/1.json");
    std::fs::remove_file(&first).unwrap();
    std::os::unix::fs::symlink("1.json", &first).unwrap();
    let (version, told) = scene.start();
    let unknown = "not updated: whether version 1.1.0 could update itself afterwards is unknown: ";
    assert!(version == "1.0.0" && told.contains(unknown) && told.contains("root/1.json"), "{told}");
    assert!(!told.contains("no check for updates"), "{told}");
    let record = scene.tool.record("cache");
    assert_eq!((&record["failed_probe"], &record["unfinished_probe"]["count"]), (&Value::Null, &json!(1)));
    assert_eq!(scene.tool.run(&["--update"]).status.code(), Some(4));
    std::fs::remove_file(&first).unwrap();
    std::fs::write(&first, root).unwrap();
    edit_record(&scene.tool.site_dir().join("cache"), |cache| {
        cache["unfinished_probe"]["at"] = 1.into();
        cache["failure"] = Value::Null;
    });
    scene.installed("");
}

/// A publisher who publishes the release before its root.
#[test]
fn a_root_that_is_not_published_yet_is_waited_for() {
    let mut scene = Scene::new();
    let mut later = rotated();
    later.seq = 0;
    scene.release("1.1.0", json!({"root": document(&later, 2)}));
    let (version, told) = scene.start();
    assert!(told.contains("it carries root 2, and the repository has no root after 1 yet"), "{told}");
    assert_eq!((version.as_str(), &scene.tool.record("cache")["failed_probe"]), ("1.0.0", &Value::Null));
}

/// The address is compared with the recorded one, and not with a mirror's.
#[test]
fn a_mirror_is_not_another_address() {
    for (address, warnings) in [(None, 0), (Some("https://new.example.com/widget"), 1)] {
        let mut repository = Repository::new();
        let bytes = executable_such(&repository, "1.0.0", json!({}));
        repository.release("1.0.0", &bytes);
        let tool = Tool::installed(&repository);
        let recorded = repository.location();
        let fields = json!({"repository": address.unwrap_or(&recorded)});
        let bytes = executable_such(&repository, "1.1.0", fields);
        repository.release("1.1.0", &bytes);
        let mirror = repository.dir.path().join("..").join(repository.dir.path().file_name().unwrap());
        let told = Warnings::default();
        let mut updater = tool.updater().source(Dir::new(mirror)).reporter(told.clone());
        assert_ne!(updater.location(), recorded);
        updater.update(false).unwrap();
        let told = told.take();
        assert_eq!(told.len(), warnings, "{told:?}");
        assert!(told.iter().all(|warning| warning.ends_with(&format!(", not from {recorded}"))), "{told:?}");
    }
}

/// `relatch` installs no dead end either, and notices one later.
#[test]
fn what_relatch_installs_goes_on_as_well() {
    let mut repository = Repository::new();
    let good = executable_such(&repository, "1.0.0", json!({}));
    repository.release("1.0.0", &good);
    let tool = Tool::installed(&repository);
    let bad = executable_such(&repository, "1.1.0", json!({"root": other_root()}));
    repository.release("1.1.0", &bad);
    let refused = tool.updater().update(false).unwrap_err();
    assert!(matches!(refused, relatch::Error::Refused(relatch::Refusal::DeadEnd { .. })), "{refused}");
    let absent = Tool::absent();
    let refused = support::tool::install(&repository, &absent.path).unwrap_err();
    assert!(matches!(refused, relatch::Error::Refused(relatch::Refusal::DeadEnd { .. })), "{refused}");
    assert!(!absent.path.exists() && !absent.site_dir().exists());
    drop(run(&mut tool.command()));
}
