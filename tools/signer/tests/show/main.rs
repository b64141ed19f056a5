//! Promise: `signer show`, `sign` and `verify` tell a person and a script all that is signed, what is unusual about it and what expires
//! soon; they fail as SPEC 10.3 says; and every command answers with one line of JSON.
//!
//! ```text
//! folder   a release folder: its fields, its signatures, the difference to the published release
//! unusual  what is unusual, and what expires soon
//! exits    the exit codes of show and verify
//! json     the answer of each command
//! renew    the published release, signed again
//! roots    a root document with white space after it
//! second   the second verification before a publication
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

#[path = "../support/mod.rs"]
mod support;

mod exits;
mod folder;
mod json;
mod renew;
mod roots;
mod second;
mod unusual;

use serde_json::Value;
use support::{Desk, stderr};

const REPO: [&str; 4] = ["--repo", "repo", "--root", "root.json"];
const KEYS: [&str; 4] = ["--key", "keys/release.key", "--key", "keys/timestamp.key"];

/// The one line of JSON that a command prints.
fn answer(desk: &Desk, code: i32, arguments: &[&str]) -> Value {
    let output = desk.signer(&[&["--json"], arguments].concat());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {} {output:?}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with('\n') && text.matches('\n').count() == 1, "{text}");
    assert!(text.trim_end().bytes().all(|byte| matches!(byte, b' '..=b'~')), "{text}");
    serde_json::from_str(&text).unwrap()
}

/// A folder with a release of one executable for `test`.
fn prepare(desk: &Desk, version: &str, folder: &str, more: &[&str]) {
    let artifact = desk.build(version);
    let prepare = ["prepare", "--version", version, "--artifact", &artifact, "--out", folder];
    desk.ok(&[&prepare[..], &REPO, more].concat());
}

/// A document of a folder.
fn manifest(desk: &Desk, folder: &str) -> Value {
    serde_json::from_str(&desk.read(&format!("{folder}/manifest.json"))).unwrap()
}

fn timestamp(desk: &Desk, folder: &str) -> Value {
    serde_json::from_str(desk.read(&format!("{folder}/VERSION")).lines().nth(1).unwrap()).unwrap()
}
