//! Promise: secret keys are read by their owner, from where nobody else sees them, and are never told.

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
fn a_key_that_others_can_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    let mode = |name: &str| std::fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777;
    for role in ["root", "release", "timestamp"] {
        assert_eq!(mode(&format!("keys/{role}.key")), 0o600);
    }
    assert_eq!(mode("keys"), 0o700);
    std::fs::set_permissions(desk.path("keys/release.key"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let output = desk.release("1.0.0", &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("can be read or written by others (mode 640)"), "{}", stderr(&output));
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
    let mut arguments = vec![
        "release",
        "--repo",
        "repo",
        "--root",
        "root.json",
        "--version",
        "1.1.0",
        "--artifact",
        &artifact,
    ];
    arguments.extend(["--key", "env:NOBODY_SET_THIS"]);
    desk.fails(2, "is not set", &arguments);
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
    desk.fails(2, "under a name that is neither", &public("awskms:release"));
}

#[test]
fn no_secret_is_told() {
    let desk = Desk::new();
    let secret = desk.read("keys/release.key").lines().nth(1).unwrap().to_owned();
    let artifact = desk.build("1.0.0");
    let release = |key: &str| {
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
        arguments.extend(["--key", key]);
        desk.signer(&arguments)
    };
    // The key itself where its place belongs, a damaged key, a key of another shape, and a good one.
    desk.write("damaged.key", format!("untrusted comment: x\n{}A\n", &secret[..secret.len() - 1]));
    desk.write("garbage.key", format!("{secret}\n"));
    for name in ["damaged.key", "garbage.key"] {
        #[cfg(unix)]
        std::fs::set_permissions(desk.path(name), std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
    }
    let whole = desk.read("keys/release.key");
    let (dollar, inside) = (format!("env:{secret}"), format!("env:{whole}"));
    let pasted = [secret.as_str(), &whole, &dollar, &inside, &secret[..100]];
    for key in pasted.into_iter().chain(["damaged.key", "garbage.key", "keys/release.key"]) {
        let output = release(key);
        let said = format!("{}{}", stderr(&output), String::from_utf8_lossy(&output.stdout));
        assert!(!said.contains(&secret[20..60]), "{said}");
        assert_eq!(output.status.code() != Some(2), key == "keys/release.key", "{said}");
    }
}

#[test]
fn a_password_protects_and_a_wrong_one_is_told() {
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
    let wrong = sign("battery staple");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("the password is wrong"), "{}", stderr(&wrong));
    assert!(!stderr(&wrong).contains("battery"));
    assert!(sign("correct horse").status.success());
    desk.fails(2, "no terminal to ask at", &["root", "sign", "root.json", "--key", "my.key"]);
}
