//! Promise: however many processes start at once, each runs, one of them updates, and nothing is left half done.
//!
//! `RELATCH_TEST_LONG=1` repeats each race fifty times.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use relatch::trust::Digest;
use serde_json::json;
use support::server::{Answer, Server};
use support::tool::{run, stderr, stdout};
use support::{Repository, Tool, executable_such};

const PROCESSES: usize = 20;

fn rounds() -> usize {
    if std::env::var_os("RELATCH_TEST_LONG").is_some() { 50 } else { 5 }
}

/// Each start checks.
fn version(repository: &Repository, version: &str) -> Vec<u8> {
    executable_such(repository, version, json!({"interval": 0, "deadline_ms": 10_000}))
}

fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    for _ in 0..1000 {
        match command.spawn() {
            Err(error) if is_of_the_moment(&error) => std::thread::sleep(Duration::from_millis(10)),
            child => return child.unwrap(),
        }
    }
    panic!("it cannot be started");
}

/// Another test forks while it holds a writable descriptor. On Windows, where nothing is at the path between the two renames of a swap, the
/// file is not found (wine: ERROR_MOD_NOT_FOUND).
fn is_of_the_moment(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::ExecutableFileBusy
        || (cfg!(windows) && matches!(error.raw_os_error(), Some(2 | 126)))
}

/// Every process ends well and ran as the old or the new version.
fn assert_all_ran(children: Vec<Child>) {
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let said = stdout(&output);
        assert!(["widget 1.0.0 x\n", "widget 1.1.0 x\n"].contains(&said.as_str()), "{said}");
        assert!(!stderr(&output).contains("not updated"), "{}", stderr(&output));
    }
}

fn starts(tool: &Tool) -> Vec<Child> {
    (0..PROCESSES)
        .map(|_| {
            let mut command = tool.command();
            command.arg("x");
            start(command)
        })
        .collect()
}

#[test]
fn of_twenty_starts_at_once_one_updates() {
    let mut repository = Repository::new();
    let (old, new) = (version(&repository, "1.0.0"), version(&repository, "1.1.0"));
    repository.release("1.1.0", &new);
    for _ in 0..rounds() {
        let tool = Tool::copied(&old);
        assert_all_ran(starts(&tool));
        assert_eq!(tool.digest(), Digest::of(&new));
        // A second swap would have made the new one the previous one.
        let previous = std::fs::read(tool.previous()).unwrap();
        assert_eq!(Digest::of(&previous), Digest::of(&old));
        let status = tool.status();
        assert_eq!(status.installed.unwrap().to_string(), "1.1.0");
        assert_eq!(status.next_back.unwrap().to_string(), "1.0.0");
        assert_eq!(tool.strays(), [""; 0]);
        assert_eq!(stdout(&run(tool.command().arg("x"))), "widget 1.1.0 x\n");
    }
}

#[test]
fn a_rollback_among_twenty_starts_wins() {
    let mut repository = Repository::new();
    let (old, new) = (version(&repository, "1.0.0"), version(&repository, "1.1.0"));
    repository.release("1.1.0", &new);
    for _ in 0..rounds() {
        let tool = Tool::copied(&old);
        assert_eq!(stdout(&tool.run(&["x"])), "widget 1.1.0 x\n");
        let mut children = starts(&tool);
        let mut command = tool.command();
        command.arg("--rollback");
        let rollback = start(command);
        children.extend(starts(&tool));
        let output = rollback.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_all_ran(children);
        assert_eq!(tool.digest(), Digest::of(&old));
        assert_eq!(tool.strays(), [""; 0]);
        assert_eq!(tool.status().held.len(), 1);
        assert_eq!(stdout(&run(tool.command().arg("x"))), "widget 1.0.0 x\n");
    }
}

/// While an update waits for the answer to this request, a person goes back.
#[track_caller]
fn assert_goes_back_during(request: impl Fn(&[u8]) -> String) {
    let mut repository = Repository::new();
    let server = Server::plain(&repository);
    let fields = json!({"repository": server.url, "plain": true});
    let bytes = |repository: &Repository, version: &str| executable_such(repository, version, fields.clone());
    let (first, second) = (bytes(&repository, "1.0.0"), bytes(&repository, "1.1.0"));
    let tool = Tool::copied(&first);
    repository.release("1.1.0", &second);
    assert_eq!(tool.run(&["--update"]).status.code(), Some(0));

    let third = bytes(&repository, "1.2.0");
    repository.release("1.2.0", &third);
    let go_on = Arc::new(AtomicBool::new(false));
    let request = request(&third);
    server.answer(&request, Answer::Wait(Arc::clone(&go_on)));
    let before = server.count(&request);
    let mut command = tool.command();
    command.arg("--update");
    let mut update = start(command);
    while server.count(&request) == before {
        assert!(update.try_wait().unwrap().is_none(), "it ended before it asked");
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = tool.run(&["--rollback"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(update.try_wait().unwrap().is_none(), "it waited for the network");
    assert_eq!(tool.digest(), Digest::of(&first));

    // What the update decided was about another executable than the one that is there now.
    go_on.store(true, Ordering::SeqCst);
    let output = update.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert_eq!(tool.digest(), Digest::of(&first));
    assert_eq!(tool.strays(), [""; 0]);
    assert_eq!(tool.status().installed.unwrap().to_string(), "1.0.0");
    assert_eq!(tool.run(&["--update=1.1.0"]).status.code(), Some(0));
    assert_eq!(tool.digest(), Digest::of(&second));
}

#[test]
fn a_rollback_does_not_wait_for_a_download_and_is_not_undone_by_it() {
    assert_goes_back_during(|third| format!("blobs/{}", Digest::of(third)));
}

#[test]
fn a_rollback_does_not_wait_for_a_check_and_is_not_undone_by_it() {
    assert_goes_back_during(|_| "stable/VERSION".into());
}
