//! Promise: a rollback is idempotent and there is a way back from two bad releases in a row. What
//! cannot come back is passed over and named. Forward is a command of its own, and bytes that are
//! kept are not downloaded.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::process::{Command, Output};

use relatch::trust::Digest;
use serde_json::{Value, json};
use support::server::Server;
use support::tool::{run, stderr, stdout};
use support::{Repository, Tool, executable_such};

/// A tool that was updated through these versions, from a server that counts.
struct Scene {
    repository: Repository,
    server: Server,
    tool: Tool,
    fields: Value,
}

impl Scene {
    fn new(versions: &[&str], more: Value) -> Self {
        let repository = Repository::new();
        let server = Server::plain(&repository);
        let mut fields = json!({"repository": server.url, "plain": true, "interval": 3600});
        for (name, value) in more.as_object().unwrap() {
            fields[name] = value.clone();
        }
        let tool = Tool::copied(&executable_such(&repository, versions[0], fields.clone()));
        let mut scene = Scene { repository, server, tool, fields };
        for version in &versions[1..] {
            scene.release(version);
            scene.says(&["--update"], 0, &format!("to {version}"));
        }
        scene
    }

    fn bytes(&self, version: &str) -> Vec<u8> {
        executable_such(&self.repository, version, self.fields.clone())
    }

    fn release(&mut self, version: &str) {
        let bytes = self.bytes(version);
        self.repository.release(version, &bytes);
    }

    /// What a command prints, in one text.
    #[track_caller]
    fn says(&self, arguments: &[&str], code: i32, part: &str) -> String {
        said(self.tool.run(arguments), code, part)
    }

    fn kept(&self) -> Vec<String> {
        self.tool.status().kept.iter().map(|kept| kept.version.to_string()).collect()
    }

    fn held(&self) -> Vec<String> {
        self.tool.status().held.iter().map(|held| held.version.to_string()).collect()
    }

    /// What is recorded as kept is there, and nothing else.
    #[track_caller]
    fn is(&self, version: &str, kept: &[&str], held: &[&str]) {
        assert_eq!(
            (self.tool.version().as_str(), self.kept(), self.held()),
            (version, owned(kept), owned(held))
        );
        for kept in self.tool.status().kept {
            let found = Digest::of(&std::fs::read(&kept.path).unwrap());
            assert_eq!(found, Digest::of(&self.bytes(&kept.version.to_string())), "{}", kept.version);
        }
        assert_eq!(self.tool.strays(), [""; 0]);
    }

    fn blobs(&self) -> usize {
        self.server.requests().iter().filter(|path| path.contains("/blobs/")).count()
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn said(output: Output, code: i32, part: &str) -> String {
    let said = format!("{}{}", stdout(&output), stderr(&output));
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(part), "{part}: {said}");
    said
}

#[test]
fn there_is_a_way_back_from_two_bad_releases_in_a_row() {
    let scene = Scene::new(&["1.0.0", "1.1.0", "1.2.0"], json!({}));
    scene.is("1.2.0", &["1.1.0", "1.0.0"], &[]);
    scene.says(&["--rollback"], 0, "back to 1.1.0; 1.2.0 is on hold");
    scene.is("1.1.0", &["1.2.0", "1.0.0"], &["1.2.0"]);
    // A configuration tool runs it again, and again.
    let before = scene.tool.snapshot();
    for _ in 0..2 {
        let said = scene.says(&["--rollback"], 0, "1.1.0 is installed already; nothing was changed");
        assert!(said.contains("one step further back: --rollback=1.0.0"), "{said}");
        assert!(said.contains("forward again: --update=1.2.0"), "{said}");
    }
    assert_eq!(scene.tool.snapshot(), before);
    // 1.1.0 is as bad.
    scene.says(&["--rollback=1.0.0"], 0, "back to 1.0.0; 1.1.0 is on hold");
    scene.is("1.0.0", &["1.1.0", "1.2.0"], &["1.2.0", "1.1.0"]);
    scene.says(&["--rollback=1.0.0"], 0, "1.0.0 is installed already");
    scene.says(&["--rollback"], 0, "1.0.0 is installed already");
    scene.says(&["--update"], 0, "1.2.0 is on hold");
    scene.is("1.0.0", &["1.1.0", "1.2.0"], &["1.2.0", "1.1.0"]);
}

#[test]
fn forward_is_a_command_of_its_own_and_needs_no_network() {
    let mut scene = Scene::new(&["1.0.0", "1.1.0", "1.2.0"], json!({}));
    scene.says(&["--rollback=1.0.0"], 0, "back to 1.0.0");
    scene.is("1.0.0", &["1.2.0", "1.1.0"], &["1.2.0"]);
    scene.server.forget();
    scene.says(&["--update=1.1.0"], 0, "forward to 1.1.0, which was kept; --rollback goes back");
    scene.is("1.1.0", &["1.0.0", "1.2.0"], &["1.2.0"]);
    scene.says(&["--update=1.2.0"], 0, "forward to 1.2.0");
    scene.is("1.2.0", &["1.1.0", "1.0.0"], &[]);
    scene.says(&["--update=1.2.0"], 0, "1.2.0 is installed already");
    assert_eq!(scene.server.requests(), [""; 0]);
    // The wrong way round, and to nowhere.
    let before = scene.tool.snapshot();
    let said = scene.says(&["--update=1.0.0"], 5, "1.0.0 is older than 1.2.0, which is installed");
    assert!(said.contains("`--rollback=1.0.0` goes back to it"), "{said}");
    scene.says(&["--rollback=0.9.0"], 5, "0.9.0 is not kept beside");
    scene.says(&["--rollback=x y"], 2, "x y");
    scene.says(&["--update=0.9.0"], 5, "version 0.9.0 is not kept beside");
    assert_eq!(scene.tool.snapshot().executable(), before.executable());
    // One that is not kept and released, on hold or not.
    scene.release("1.3.0");
    scene.says(&["--update=1.4.0"], 5, "version 1.4.0 is not kept beside");
    scene.is("1.2.0", &["1.1.0", "1.0.0"], &[]);
    scene.tool.edit("journal", |journal| journal["held"] = json!([{"version": "1.3.0"}]));
    scene.says(&["--update"], 0, "1.3.0 is on hold");
    scene.says(&["--update=1.3.0"], 0, "updated 1.2.0 to 1.3.0");
    scene.is("1.3.0", &["1.2.0", "1.1.0"], &[]);
}

#[test]
fn an_ended_hold_and_a_retraction_take_what_is_kept_without_a_download() {
    let mut scene = Scene::new(&["1.0.0", "1.1.0", "1.2.0"], json!({}));
    scene.says(&["--rollback"], 0, "back to 1.1.0");
    scene.server.forget();
    scene.says(&["--unhold"], 0, "1.2.0 may be installed again; the next check does it");
    scene.says(&["--unhold"], 0, "no version is on hold");
    let output = scene.tool.run(&["x"]);
    assert_eq!(stdout(&output), "widget 1.2.0 x\n", "{}", stderr(&output));
    scene.is("1.2.0", &["1.1.0", "1.0.0"], &[]);
    assert!(!scene.server.requests().is_empty());
    assert_eq!(scene.blobs(), 0);
    // The publisher withdraws it in favour of one that is kept.
    let bytes = scene.bytes("1.0.0");
    let mut draft = scene.repository.draft("1.0.0", &bytes);
    draft.manifest["retracts"] = json!(["1.1.0", "1.2.0"]);
    scene.repository.publish(&draft);
    scene.server.forget();
    scene.says(&["--update"], 0, "replaced 1.2.0 by 1.0.0: the publisher withdrew 1.2.0");
    scene.is("1.0.0", &["1.2.0", "1.1.0"], &[]);
    assert_eq!(scene.blobs(), 0);
    for version in ["1.1.0", "1.2.0"] {
        scene.says(&[&format!("--update={version}")], 3, "withdrew");
    }
    let before = scene.tool.snapshot();
    scene.says(&["--rollback"], 3, "withdrew");
    assert_eq!(scene.tool.snapshot(), before);
}

/// Bytes that are kept and damaged are not taken, whoever asks for them.
#[test]
fn what_cannot_come_back_is_passed_over_and_named() {
    let scene = Scene::new(&["1.0.0", "1.1.0", "1.2.0"], json!({}));
    std::fs::write(&scene.tool.status().kept[0].path, "another").unwrap();
    let said = scene.says(&["--rollback"], 0, "back to 1.0.0; 1.2.0 is on hold");
    assert!(said.contains("passed over 1.1.0: "), "{said}");
    assert_eq!(scene.tool.version(), "1.0.0");
    scene.says(&["--update=1.1.0"], 3, "");
    let damaged = scene.tool.status().kept.into_iter().find(|kept| kept.version.to_string() == "1.1.0");
    assert_eq!(std::fs::read(damaged.unwrap().path).unwrap(), b"another");
    assert_eq!(scene.tool.version(), "1.0.0");
}

/// By whichever file a person finds, whatever its name.
#[test]
fn every_kept_file_goes_back_when_it_is_started() {
    for number in 0..2 {
        let scene = Scene::new(&["1.0.0", "1.1.0", "1.2.0"], json!({}));
        let kept = scene.tool.status().kept[number].path.clone();
        let output = run(Command::new(&kept).arg("--rollback").env_remove("CI"));
        said(output, 0, "back to 1.1.0; 1.2.0 is on hold");
        scene.is("1.1.0", &["1.2.0", "1.0.0"], &["1.2.0"]);
    }
}

#[test]
fn as_many_are_kept_as_the_tool_says() {
    let versions = ["1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0"];
    for (keep, kept) in [
        (json!(null), &["1.3.0", "1.2.0"][..]),
        (json!(0), &["1.3.0"]),
        (json!(1), &["1.3.0"]),
        (json!(3), &["1.3.0", "1.2.0", "1.1.0"]),
        (json!(100), &["1.3.0", "1.2.0", "1.1.0", "1.0.0"]),
    ] {
        let scene = Scene::new(&versions, json!({ "keep": keep }));
        scene.is("1.4.0", kept, &[]);
        let files = std::fs::read_dir(scene.tool.site_dir()).unwrap();
        let files = files.filter(|entry| entry.as_ref().unwrap().metadata().unwrap().len() > 100_000).count();
        assert_eq!(files, kept.len());
    }
}

/// Nobody runs the bad version by a word too many.
#[test]
fn a_flag_with_other_words_behind_it_is_an_error_and_runs_nothing() {
    for policy in ["auto", "off", "require"] {
        let scene = Scene::new(&["1.0.0", "1.1.0"], json!({ "policy": policy }));
        let before = scene.tool.snapshot();
        for flag in
            ["--rollback", "--rollback=1.0.0", "--update", "--update=now", "--unhold", "--update-status"]
        {
            let output = scene.tool.run(&[flag, "list"]);
            assert_eq!(stdout(&output), "", "{policy} {flag}");
            said(output, 2, &format!("{flag} stands alone"));
        }
        assert_eq!(scene.tool.snapshot(), before, "{policy}");
        // Not as the first word: that is the tool's own.
        for words in [&["deploy", "--rollback"][..], &["--", "--rollback"], &["--verbose", "--update"]] {
            let output = scene.tool.run(words);
            assert_eq!(stdout(&output), format!("widget 1.1.0 {}\n", words.join(" ")), "{policy}");
        }
    }
}

fn spoil(damage: &str, file: &std::path::Path) {
    match damage {
        "gone" => std::fs::remove_file(file).unwrap(),
        _ => std::fs::write(file, "another").unwrap(),
    }
}

/// A record says that the bytes are kept, and they are not: they are downloaded.
#[test]
fn what_is_kept_no_more_is_downloaded() {
    for damage in ["altered", "gone"] {
        let mut scene = Scene::new(&["1.0.0", "1.1.0"], json!({}));
        let kept = scene.tool.status().kept[0].path.clone();
        spoil(damage, &kept);
        let mut draft = scene.repository.draft("1.0.0", &scene.bytes("1.0.0"));
        draft.manifest["retracts"] = json!(["1.1.0"]);
        scene.repository.publish(&draft);
        let before = scene.blobs();
        scene.says(&["--update"], 0, "replaced 1.1.0 by 1.0.0");
        assert_eq!((scene.tool.version().as_str(), scene.blobs()), ("1.0.0", before + 1), "{damage}");

        let scene = Scene::new(&["1.0.0", "1.1.0"], json!({}));
        scene.says(&["--rollback"], 0, "back to 1.0.0");
        let kept = scene.tool.status().kept[0].path.clone();
        spoil(damage, &kept);
        let before = scene.blobs();
        scene.says(&["--update=1.1.0"], 0, "to 1.1.0");
        assert_eq!((scene.tool.version().as_str(), scene.blobs()), ("1.1.0", before + 1), "{damage}");
    }
}

/// A version that is named is installed, or it is an error.
#[test]
fn a_version_that_cannot_be_had_is_an_error() {
    let scene = Scene::new(&["1.0.0", "1.1.0"], json!({}));
    let before = scene.tool.snapshot();
    for version in ["9.9.9", "0.9.0", "1.0.5"] {
        scene.says(&[&format!("--update={version}")], 5, &format!("version {version} is not kept"));
    }
    scene.says(&["--update=1.1.0"], 0, "1.1.0 is installed already");
    assert_eq!(scene.tool.snapshot().executable(), before.executable());
}

/// A hold tells nothing of how the installed version came to the path.
#[test]
fn what_an_install_put_there_is_left_by_a_rollback() {
    let mut scene = Scene::new(&["0.9.0", "1.0.0", "1.1.0"], json!({}));
    scene.says(&["--rollback"], 0, "back to 1.0.0");
    // A person puts the version on hold back, and updates.
    std::fs::write(&scene.tool.path, scene.bytes("1.1.0")).unwrap();
    scene.release("1.2.0");
    scene.says(&["--update"], 0, "to 1.2.0");
    assert!(!scene.tool.status().returned);
    let said = scene.says(&["--rollback"], 0, "back to 0.9.0; 1.2.0 is on hold");
    assert!(said.contains("passed over 1.1.0: "), "{said}");
    // That it is held no more changes nothing of that.
    scene.says(&["--unhold"], 0, "may be installed again");
    scene.says(&["--rollback"], 0, "0.9.0 is installed already; nothing was changed");
}

#[test]
fn a_flag_that_is_not_right_is_no_run() {
    let scene = Scene::new(&["1.0.0"], json!({}));
    for flag in ["--unhold=1.0.0", "--update-status=x", "--rollback=", "--update=", "--rollback=x y"] {
        let said = scene.says(&[flag], 2, "nothing was changed");
        assert!(!said.contains("widget 1.0.0"), "{said}");
    }
}
