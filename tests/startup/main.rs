//! Promise: a start runs the newest release that this machine can have, keeps its deadline whatever the network does, stays silent
//! where there is nothing to tell, and never fails the tool, unless the tool requires to be current.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod auto;
mod failures;
mod grace;
#[cfg(target_os = "linux")]
mod loader;
#[cfg(unix)]
mod observer;
#[cfg(unix)] // of Windows: tests/windows/safety.rs
mod places;
mod probe;
mod require;

use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::server::{Answer, Server};
use support::tool::{run, stderr, stdout};
use support::{Key, Repository, Tool, executable, executable_such, now};

/// All that a start tells of a repository that is out of reach.
const OFFLINE: &str = "widget: no check for updates: the repository cannot be reached\n";

/// A repository with the release 1.0.0.
fn repository() -> Repository {
    repository_of(json!({}))
}

fn repository_of(fields: Value) -> Repository {
    let mut repository = Repository::new();
    let bytes = executable_such(&repository, "1.0.0", fields);
    repository.release("1.0.0", &bytes);
    repository
}

/// 1.0.0 of the tool with these fields of its configuration, copied to a directory of its own.
fn tool(repository: &Repository, fields: Value) -> Tool {
    Tool::copied(&executable_such(repository, "1.0.0", fields))
}

/// A newer release whose executable has the same fields.
fn release(repository: &mut Repository, version: &str, fields: Value) {
    let bytes = executable_such(repository, version, fields);
    repository.release(version, &bytes);
}

#[track_caller]
fn assert_runs(output: &Output, expected: &str) {
    assert_eq!(stdout(output), expected, "{}", stderr(output));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
}

/// It did not start: nothing on stdout, the reason on stderr.
#[track_caller]
fn assert_refuses(output: &Output, code: i32) {
    assert_eq!(stdout(output), "", "{}", stderr(output));
    assert_eq!(output.status.code(), Some(code), "{}", stderr(output));
    assert!(stderr(output).contains("not started"), "{}", stderr(output));
}

fn go_offline(repository: &Repository) {
    std::fs::rename(repository.dir.path(), repository.dir.path().with_extension("away")).unwrap();
}

fn come_back(repository: &Repository) {
    std::fs::rename(repository.dir.path().with_extension("away"), repository.dir.path()).unwrap();
}
