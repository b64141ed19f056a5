//! Promise: `--rollback` brings the previous executable back at once and without a network, only if it is the recorded one and may
//! still run, and what was left is not installed again.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use relatch::install::Installation;
use relatch::{Error, Local, Refusal, Updater};
use serde_json::json;
use support::damage::{fifo, symlink};
use support::tool::{run, stderr, stdout};
use support::{Repository, Tool, executable, executable_such};

/// 1.1.0, updated from 1.0.0. Each start checks.
fn updated() -> (Repository, Tool) {
    let mut repository = Repository::new();
    let bytes = |version: &str| executable_such(&repository, version, json!({"interval": 0}));
    let (old, new) = (bytes("1.0.0"), bytes("1.1.0"));
    let tool = Tool::copied(&old);
    repository.release("1.1.0", &new);
    let output = tool.run(&["--update"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(tool.version(), "1.1.0");
    (repository, tool)
}

fn site(tool: &Tool) -> Installation {
    Installation::at(&tool.path).unwrap()
}

fn roll_back(tool: &Tool) -> Output {
    tool.run(&["--rollback"])
}

#[track_caller]
fn assert_rolled_back(tool: &Tool, to: &str) {
    let output = roll_back(tool);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(tool.version(), to);
    assert_eq!(tool.strays(), [""; 0]);
}

/// By the exit code, by the cause, and the disk is as it was.
#[track_caller]
fn assert_refused(tool: &Tool, code: i32, is_cause: impl FnOnce(&Error) -> bool) {
    let before = tool.snapshot();
    let output = roll_back(tool);
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
    assert_eq!(stdout(&output), "");
    assert_eq!(tool.snapshot(), before);
    let error = Updater::rollback(&site(tool), None).unwrap_err();
    assert!(is_cause(&error), "{error:?}");
    assert_eq!(tool.snapshot(), before);
}

#[test]
fn back_and_forward_again_without_a_network() {
    let (repository, tool) = updated();
    std::fs::remove_dir_all(repository.dir.path()).unwrap();
    let old = tool.snapshot().previous().clone();
    assert_rolled_back(&tool, "1.0.0");
    assert_eq!(tool.status().held.iter().map(|held| held.version.to_string()).collect::<Vec<_>>(), ["1.1.0"]);
    // Twice is once.
    let before = tool.snapshot();
    let output = roll_back(&tool);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("1.0.0 is installed already; nothing was changed"), "{output:?}");
    assert!(stdout(&output).contains("forward again: --update=1.1.0"), "{output:?}");
    assert_eq!(tool.snapshot(), before);
    let output = tool.run(&["--update=1.1.0"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!((tool.version(), tool.status().held), ("1.1.0".into(), Vec::new()));
    assert_rolled_back(&tool, "1.0.0");
    assert_eq!(*tool.snapshot().executable(), old);
}

#[test]
fn what_was_left_is_not_installed_again_until_a_higher_version_comes() {
    let (mut repository, tool) = updated();
    assert_rolled_back(&tool, "1.0.0");
    let stays = |why: &str| {
        for arguments in [&["x"][..], &["--update"], &["--update=now"]] {
            let output = tool.run(arguments);
            assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
            assert_eq!(tool.version(), "1.0.0", "{why}");
        }
    };
    stays("the same release");
    let bytes = executable_such(&repository, "1.1.0", json!({"interval": 0}));
    repository.release("1.1.0", &bytes);
    stays("a later seq");
    let bytes = executable_such(&repository, "1.1.0", json!({"interval": 1}));
    repository.release("1.1.0", &bytes);
    stays("other bytes");
    let bytes = executable_such(&repository, "1.1.0", json!({"interval": 1}));
    let mut draft = repository.draft("1.1.0", &bytes);
    draft.manifest["critical"] = true.into();
    repository.publish(&draft);
    stays("critical");
    let output = tool.run(&["--update"]);
    assert!(stdout(&output).contains("1.1.0 is on hold"), "{}", stdout(&output));

    let bytes = executable(&repository, "1.1.1");
    repository.release("1.1.1", &bytes);
    assert_eq!(stdout(&tool.run(&["x"])), "widget 1.1.1 x\n");
    assert_rolled_back(&tool, "1.0.0");
}

#[test]
fn a_retracted_version_is_left_for_the_lower_one_that_is_named() {
    let (mut repository, tool) = updated();
    let bytes = executable_such(&repository, "1.0.0", json!({"interval": 0}));
    let mut draft = repository.draft("1.0.0", &bytes);
    draft.manifest["retracts"] = json!(["1.1.0"]);
    repository.publish(&draft);
    let output = tool.run(&["x"]);
    assert_eq!(stdout(&output), "widget 1.0.0 x\n", "{}", stderr(&output));
    assert_eq!(tool.version(), "1.0.0");
    let output = tool.run(&["x"]);
    assert_eq!(stdout(&output), "widget 1.0.0 x\n", "{}", stderr(&output));
    assert_eq!(tool.strays(), [""; 0]);
}

#[test]
fn the_highest_release_seen_is_not_forgotten() {
    let (repository, tool) = updated();
    let stale = std::fs::read(repository.version_path()).unwrap();
    let mut repository = repository;
    let bytes = executable(&repository, "1.2.0");
    repository.release("1.2.0", &bytes);
    assert_eq!(stdout(&tool.run(&["x"])), "widget 1.2.0 x\n");
    assert_rolled_back(&tool, "1.1.0");
    std::fs::write(repository.version_path(), stale).unwrap();
    let output = tool.run(&["--update"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert_eq!(tool.version(), "1.1.0");
}

#[test]
fn an_altered_previous_executable_does_not_come_back() {
    let (_repository, tool) = updated();
    let path = tool.previous();
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_refused(&tool, 3, |error| matches!(error, Error::Refused(Refusal::PreviousAltered { .. })));
    assert_eq!(tool.version(), "1.1.0");
}

#[test]
fn nothing_to_go_back_to_is_said() {
    let (_repository, tool) = updated();
    std::fs::remove_file(tool.previous()).unwrap();
    assert_refused(&tool, 5, |error| matches!(error, Error::Local(Local::NothingToRollBack { .. })));

    // Checked, but never updated.
    let mut repository = Repository::new();
    let bytes = executable(&repository, "1.0.0");
    repository.release("1.0.0", &bytes);
    let tool = Tool::copied(&bytes);
    assert_eq!(stdout(&tool.run(&["x"])), "widget 1.0.0 x\n");
    assert_refused(&tool, 5, |error| matches!(error, Error::Local(Local::NothingToRollBack { .. })));
}

#[test]
fn a_version_below_the_lowest_that_is_signed_does_not_come_back() {
    let (mut repository, tool) = updated();
    let bytes = executable_such(&repository, "1.1.0", json!({"interval": 0}));
    let mut draft = repository.draft("1.1.0", &bytes);
    draft.manifest["min_version"] = "1.0.1".into();
    repository.publish(&draft);
    assert_eq!(tool.run(&["--update"]).status.code(), Some(0));
    assert_refused(&tool, 3, |error| matches!(error, Error::Refused(Refusal::BelowFloor { .. })));
}

#[test]
fn a_version_of_another_epoch_does_not_come_back() {
    let (mut repository, tool) = updated();
    repository.rotate(|repository| (repository.epoch, repository.seq) = (2, 0));
    let bytes = executable_such(&repository, "1.1.0", json!({"interval": 0}));
    repository.release("1.1.0", &bytes);
    let output = tool.run(&["--update"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_refused(&tool, 3, |error| matches!(error, Error::Refused(Refusal::PreviousEpoch { .. })));
}

/// Nobody recorded under which epoch it came: it is the one of the root that it carries, not the one that its first update found.
#[test]
fn a_first_download_of_another_epoch_does_not_come_back() {
    let mut repository = Repository::new();
    let old = executable_such(&repository, "1.0.0", json!({"interval": 0}));
    let tool = Tool::copied(&old);
    repository.rotate(|repository| repository.epoch = 2);
    let new = executable_such(&repository, "1.1.0", json!({"interval": 0}));
    repository.release("1.1.0", &new);
    let output = tool.run(&["--update"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(tool.version(), "1.1.0");
    assert_refused(&tool, 3, |error| matches!(error, Error::Refused(Refusal::PreviousEpoch { .. })));
}

#[test]
fn the_previous_executable_can_do_it_when_the_new_one_cannot_even_start() {
    for content in [&b"not an executable"[..], b"", b"#!/nonexistent\n"] {
        let (_repository, tool) = updated();
        std::fs::write(&tool.path, content).unwrap();
        let before = tool.snapshot();
        let previous = tool.previous();
        let output = run(Command::new(&previous).arg("--rollback"));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(tool.version(), "1.0.0");
        assert_eq!(tool.snapshot().executable(), before.previous());
        let output = tool.run(&["x"]);
        assert_eq!(stdout(&output), "widget 1.0.0 x\n", "1.1.0 is held: {}", stderr(&output));
    }
}

#[test]
fn damaged_records_are_no_licence_to_go_back() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [Damage; 4] = [
        |bytes: &mut Vec<u8>| bytes[20] ^= 1,
        |bytes: &mut Vec<u8>| bytes.truncate(100),
        |bytes: &mut Vec<u8>| bytes.clear(),
        |bytes: &mut Vec<u8>| bytes.extend(vec![b'x'; 5_000_000]),
    ];
    for (name, damage) in damages.iter().flat_map(|damage| [("journal", damage), ("floors", damage)]) {
        let (_repository, tool) = updated();
        let path = tool.site_dir().join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        assert_refused(&tool, 3, |error| matches!(error, Error::Refused(Refusal::StateDamaged { .. })));
        // It is reported, does not stop the tool, and a verified check heals it.
        let output = tool.run(&["x"]);
        assert_eq!(stdout(&output), "widget 1.1.0 x\n");
        assert!(stderr(&output).contains("check or install replaces it"), "{}", stderr(&output));
        let output = tool.run(&["x"]);
        assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("widget 1.1.0 x\n", ""));
    }
}

fn lock(tool: &Tool) -> File {
    let file = File::open(tool.site_dir().join("lock")).unwrap();
    fs4::FileExt::lock(&file).unwrap();
    file
}

fn wait(path: &Path) -> std::process::Child {
    Command::new(path).arg("--rollback").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_rollback_waits_for_another_process() {
    let (_repository, tool) = updated();
    let held = lock(&tool);
    let mut rollback = wait(&tool.path);
    std::thread::sleep(Duration::from_millis(700));
    assert!(rollback.try_wait().unwrap().is_none(), "it did not wait");
    assert_eq!(tool.status().next_back.unwrap().to_string(), "1.0.0");
    drop(held);
    let output = rollback.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(tool.version(), "1.0.0");
}

#[test]
fn a_rollback_waits_as_long_as_it_says_and_not_for_ever() {
    let (_repository, tool) = updated();
    let held = lock(&tool);
    let before = tool.snapshot();
    let started = Instant::now();
    let output = roll_back(&tool);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let waited = started.elapsed();
    assert!(stderr(&output).contains("another process"), "{}", stderr(&output));
    assert!(stderr(&output).contains("(waited 10 s)"), "{}", stderr(&output));
    assert!((Duration::from_secs(10)..Duration::from_secs(60)).contains(&waited), "{waited:?}");
    assert_eq!(tool.snapshot(), before);
    drop(held);
}

/// A command that must end, within a time that is long for any machine.
fn output_in_time(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            child.kill().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

/// Whatever lies there, it is not the recorded executable, and nothing of it is read, run or put at the path.
#[test]
fn something_else_under_the_name_of_the_previous_executable_is_none() {
    type Put = fn(&Path) -> std::io::Result<()>;
    let put: [(&str, Put); 5] = [
        ("a directory", |path| std::fs::create_dir(path)),
        ("a link to a directory", |path| symlink(path.parent().unwrap(), path)),
        ("a link to nothing", |path| symlink(Path::new("nothing"), path)),
        ("a FIFO", fifo),
        ("a link to the right bytes", |path| {
            let elsewhere = path.with_file_name("new-elsewhere");
            std::fs::rename(path.with_file_name("was"), &elsewhere)?;
            symlink(&elsewhere, path)
        }),
    ];
    for (name, put) in put {
        let (_repository, tool) = updated();
        let (previous, journal) = (tool.previous(), tool.site_dir().join("journal"));
        let before = (tool.digest(), std::fs::read(&journal).unwrap());
        std::fs::rename(&previous, tool.site_dir().join("was")).unwrap();
        if let Err(error) = put(&previous) {
            assert_ne!(std::env::consts::FAMILY, "unix", "{name}: {error}");
            println!("skipped: {name}: {error}");
            continue;
        }
        let is = std::fs::symlink_metadata(&previous).unwrap().file_type();
        let output = output_in_time(tool.command().arg("--rollback"));
        assert_eq!(output.status.code(), Some(5), "{name}: {}", stderr(&output));
        let error = Updater::rollback(&site(&tool), None).unwrap_err();
        assert!(matches!(error, Error::Local(Local::NothingToRollBack { .. })), "{name}: {error:?}");
        assert_eq!((tool.digest(), std::fs::read(&journal).unwrap()), before, "{name}");
        assert_eq!(std::fs::symlink_metadata(&previous).unwrap().file_type(), is, "{name}");
    }
}
