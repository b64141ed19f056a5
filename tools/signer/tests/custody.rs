//! Promise: secret keys are made for their owner alone, and read from where nobody else sees them; what is wrong with one is in
//! tests/attacks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod support;

use support::{Desk, stderr};

#[cfg(unix)]
#[test]
fn new_keys_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    let mode = |name: &str| std::fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777;
    for role in ["root", "release", "timestamp"] {
        assert_eq!(mode(&format!("keys/{role}.key")), 0o600);
    }
    assert_eq!(mode("keys"), 0o700);
}

#[test]
fn secrets_do_not_lie_in_a_work_tree() {
    let desk = Desk::bare();
    let git = |arguments: &[&str]| {
        std::process::Command::new("git").args(arguments).current_dir(desk.dir.path()).output()
    };
    if git(&["init", "-q"]).is_err() {
        println!("skipped: git is not installed");
        return;
    }
    desk.fails(3, "inside a git work tree", &["keygen", "--no-password", "--out", "my.key"]);
    assert!(!desk.path("my.key").exists() && !desk.path("my.pub").exists());
    desk.write(".gitignore", "*.key\n");
    desk.ok(&["keygen", "--no-password", "--out", "my.key"]);
    desk.fails(2, "already exists", &["keygen", "--no-password", "--out", "my.key"]);
}

#[test]
fn a_key_from_a_variable_or_from_standard_input() {
    let desk = Desk::new();
    let artifact = desk.build("1.0.0");
    let mut arguments = vec![
        "release",
        "--repo",
        "repo",
        "--root",
        "root.json",
        "--version",
        "1.0.0",
        "--artifact",
        &artifact,
    ];
    arguments.extend(["--key", "env:RELEASE_KEY", "--key", "-"]);
    let key = desk.read("keys/release.key");
    let mut child = desk
        .command(&arguments)
        .env("RELEASE_KEY", key.trim_end())
        .stdin(std::fs::File::open(desk.path("keys/timestamp.key")).unwrap())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_public_half_of_a_key() {
    let desk = Desk::new();
    desk.ok(&["public", "--key", "keys/release.key", "--out", "again.pub"]);
    assert_eq!(desk.read("again.pub"), desk.read("keys/release.pub"));
    desk.fails(5, "again.pub", &["public", "--key", "keys/root.key", "--out", "again.pub"]);
    assert_eq!(desk.read("again.pub"), desk.read("keys/release.pub"));
}

#[cfg(not(feature = "kms"))]
#[test]
fn a_key_in_kms_needs_the_feature() {
    let desk = Desk::bare();
    let public = |key| ["public", "--key", key, "--out", "x.pub"];
    desk.fails(2, "built without the feature `kms`", &public("awskms:alias/release"));
    desk.fails(2, "has an invalid KMS name: it is neither", &public("awskms:release"));
}

#[test]
fn a_new_key_with_a_password_signs() {
    let desk = Desk::bare();
    let keygen = desk
        .command(&["keygen", "--out", "my.key"])
        .env("SIGNER_PASSWORD", "correct horse")
        .output()
        .unwrap();
    assert!(keygen.status.success(), "{}", stderr(&keygen));
    desk.ok(&["keygen", "--no-password", "--out", "plain.key"]);
    let mut new = vec!["root", "new", "--product", "widget", "--out", "root.json", "--root-key", "my.pub"];
    new.extend(["--release-key", "plain.pub", "--timestamp-key", "plain.pub"]);
    desk.ok(&new);
    let sign = |password: &str| {
        desk.command(&["root", "sign", "root.json", "--key", "my.key"])
            .env("SIGNER_PASSWORD", password)
            .output()
            .unwrap()
    };
    assert!(sign("correct horse").status.success());
}
