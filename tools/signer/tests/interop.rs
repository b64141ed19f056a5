//! Promise: stock minisign verifies what signer signs, and signer reads keys that stock minisign made; and the other way round.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use support::{Desk, password_turn, stderr};

/// Runs stock minisign with this on its standard input; `None` where it is not installed.
fn minisign(desk: &Desk, arguments: &[&str], input: &str) -> Option<bool> {
    let mut command = Command::new("minisign");
    command
        .args(arguments)
        .current_dir(desk.dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else {
        println!("skipped: minisign is not installed");
        return None;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Some(child.wait().unwrap().success())
}

/// A root whose keys are all this one, not signed yet.
fn root_of(desk: &Desk, public: &str) {
    let mut new = vec!["root", "new", "--product", "widget", "--out", "root.json"];
    for role in ["--root-key", "--release-key", "--timestamp-key"] {
        new.extend([role, public]);
    }
    desk.ok(&new);
}

const PUBLISH: [&str; 7] = ["root", "publish", "root.json", "--repo", "repo", "--root", "root.json"];

#[test]
fn minisign_makes_the_key_and_signer_signs() {
    let desk = Desk::bare();
    let Some(made) = minisign(&desk, &["-G", "-W", "-p", "my.pub", "-s", "my.key"], "") else { return };
    assert!(made);
    root_of(&desk, "my.pub");
    desk.ok(&["root", "sign", "root.json", "--key", "my.key"]);
    desk.ok(&PUBLISH);
    assert_eq!(minisign(&desk, &["-V", "-p", "my.pub", "-m", "root.json"], ""), Some(true));
    let artifact = desk.build("1.0.0");
    desk.ok(&[
        "release",
        "--repo",
        "repo",
        "--root",
        "root.json",
        "--version",
        "1.0.0",
        "--artifact",
        &artifact,
        "--key",
        "my.key",
    ]);
    let manifests = std::fs::read_dir(desk.path("repo/manifests")).unwrap();
    let manifest = manifests
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "json"))
        .unwrap();
    assert_eq!(minisign(&desk, &["-V", "-p", "my.pub", "-m", manifest.to_str().unwrap()], ""), Some(true));
    // The two lines of VERSION, with the signature that follows them.
    let version = desk.read("repo/stable/VERSION");
    let lines: Vec<&str> = version.split_inclusive('\n').collect();
    desk.write("lines", lines[..2].concat());
    desk.write("lines.minisig", lines[2..].concat());
    assert_eq!(minisign(&desk, &["-V", "-p", "my.pub", "-m", "lines"], ""), Some(true));
    desk.write("lines", "1.0.1\n");
    assert_eq!(minisign(&desk, &["-V", "-p", "my.pub", "-m", "lines"], ""), Some(false));
}

#[test]
fn minisign_encrypts_the_key_and_signer_decrypts_it() {
    let _turn = password_turn();
    let desk = Desk::bare();
    let Some(made) = minisign(&desk, &["-G", "-p", "my.pub", "-s", "my.key"], "pass word\npass word\n")
    else {
        return;
    };
    assert!(made);
    root_of(&desk, "my.pub");
    let sign = desk
        .command(&["root", "sign", "root.json", "--key", "my.key"])
        .env("SIGNER_PASSWORD", "pass word")
        .output()
        .unwrap();
    assert!(sign.status.success(), "{}", stderr(&sign));
    assert_eq!(minisign(&desk, &["-V", "-p", "my.pub", "-m", "root.json"], ""), Some(true));
}

#[test]
fn signer_makes_the_key_and_minisign_signs() {
    let desk = Desk::bare();
    desk.ok(&["keygen", "--no-password", "--out", "my.key"]);
    root_of(&desk, "my.pub");
    let Some(signed) = minisign(&desk, &["-S", "-s", "my.key", "-m", "root.json", "-t", "by hand"], "")
    else {
        return;
    };
    assert!(signed);
    desk.ok(&PUBLISH);
}

#[test]
fn signer_encrypts_the_key_and_minisign_decrypts_it() {
    let _turn = password_turn();
    let desk = Desk::bare();
    let keygen =
        desk.command(&["keygen", "--out", "my.key"]).env("SIGNER_PASSWORD", "pass word").output().unwrap();
    assert!(keygen.status.success(), "{}", stderr(&keygen));
    root_of(&desk, "my.pub");
    let Some(signed) = minisign(&desk, &["-S", "-s", "my.key", "-m", "root.json"], "pass word\n") else {
        return;
    };
    assert!(signed);
    desk.ok(&PUBLISH);
}

#[test]
fn the_legacy_form_of_minisign_is_refused() {
    let desk = Desk::bare();
    let Some(made) = minisign(&desk, &["-G", "-W", "-p", "my.pub", "-s", "my.key"], "") else { return };
    assert!(made);
    root_of(&desk, "my.pub");
    assert_eq!(minisign(&desk, &["-S", "-l", "-s", "my.key", "-m", "root.json"], ""), Some(true));
    desk.fails(3, "legacy form is refused", &PUBLISH);
}
