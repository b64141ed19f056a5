//! Promise: what is published verifies and reaches clients, whoever signed where; what a client would refuse is in tests/attacks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod support;

use relatch::Finding;
use relatch::trust::Digest;
use relatch::{Error, Outcome, Refusal};
use support::{Desk, stderr};

#[test]
fn a_release_reaches_a_client_and_the_next_one_too() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    let mut client = desk.client("widget").unwrap();
    desk.released("1.1.0", &[]);
    assert!(matches!(client.update(false), Ok(Outcome::Updated { .. })));
    assert_eq!(desk.read("widget"), desk.read("build-1.1.0"));
    let shown = desk.ok(&["show", "--repo", "repo", "--root", "root.json"]);
    assert!(shown.contains("1.1.0 on stable, release "), "{shown}");
    desk.ok(&["verify", "--repo", "repo", "--root", "root.json"]);
    assert_eq!(desk.read("repo/stable/VERSION").lines().next(), Some("1.1.0"));
}

/// A frame without a window descriptor has the whole executable as its window, which no client has memory for (SPEC section 3.7).
#[test]
fn an_executable_above_the_largest_window_is_stored_with_a_smaller_one() {
    const SIZE: u64 = (128 << 20) + 1;
    let desk = Desk::new();
    std::fs::File::create(desk.path("large")).unwrap().set_len(SIZE).unwrap();
    let release = ["release", "--repo", "repo", "--root", "root.json", "--version", "1.0.0", "--level", "1"];
    let keys = ["--key", "keys/release.key", "--key", "keys/timestamp.key", "--artifact", "test=large"];
    desk.ok(&[&release[..], &keys].concat());
    let blobs: Vec<_> =
        std::fs::read_dir(desk.path("repo/blobs")).unwrap().map(|entry| entry.unwrap()).collect();
    let frame = blobs.iter().find(|blob| blob.metadata().unwrap().len() < SIZE).unwrap();
    let frame = std::fs::read(frame.path()).unwrap();
    assert_eq!(frame[..4], [0x28, 0xb5, 0x2f, 0xfd]);
    assert_eq!(frame[4] & 0x20, 0, "not a single segment");
    assert_eq!(frame[5] >> 3, 13, "2^(10 + 13): 8 MiB");
    // The client takes the smallest form: this one.
    desk.client("widget").unwrap();
    assert_eq!(std::fs::metadata(desk.path("widget")).unwrap().len(), SIZE);
}

#[test]
fn build_numbers_grow_like_versions() {
    let desk = Desk::new();
    desk.released("9", &[]);
    let mut client = desk.client("widget").unwrap();
    desk.released("10", &[]);
    assert!(matches!(client.update(false), Ok(Outcome::Updated { .. })));
    assert!(!desk.release("9", &[]).status.success());
}

#[test]
fn prepared_here_signed_there_published_elsewhere() {
    let desk = Desk::bare();
    for name in ["root-a", "root-b", "ci", "human", "rebuilder", "clock"] {
        desk.ok(&["keygen", "--no-password", "--out", &format!("{name}.key")]);
    }
    let mut new =
        vec!["root", "new", "--product", "widget", "--out", "root.json", "--timestamp-key", "clock.pub"];
    new.extend(["--root-key", "root-a.pub", "--root-key", "root-b.pub", "--threshold", "root=2"]);
    new.extend(["--release-key", "ci.pub", "--release-key", "human.pub", "--release-key", "rebuilder.pub"]);
    new.extend(["--threshold", "release=2"]);
    desk.ok(&new);
    let repo = ["--repo", "repo", "--root", "root.json"];
    let publish_root = [&["root", "publish", "root.json"][..], &repo].concat();
    desk.ok(&["root", "sign", "root.json", "--key", "root-a.key"]);
    desk.ok(&["root", "sign", "root.json", "--key", "root-b.key"]);
    desk.ok(&publish_root);

    let artifact = desk.build("1.0.0");
    let prepare =
        [&["prepare", "--version", "1.0.0", "--artifact", &artifact, "--out", "folder"][..], &repo].concat();
    desk.ok(&prepare);
    let publish = [&["publish", "folder"][..], &repo].concat();
    desk.ok(&["sign", "folder", "--key", "clock.key"]);
    desk.ok(&["sign", "folder", "--key", "ci.key"]);
    desk.ok(&["sign", "folder", "--key", "ci.key"]); // twice is once
    desk.ok(&["sign", "folder", "--key", "human.key"]);
    desk.ok(&publish);
    desk.ok(&publish); // a rerun finds everything there
    assert!(desk.client("widget").is_ok());
}

#[test]
fn racing_publishers_leave_one_whole_release() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    let first = desk.seq();
    let mut children = Vec::new();
    for number in 1..=4 {
        let version = format!("1.{number}.0");
        let artifact = desk.build(&version);
        let mut arguments = vec![
            "release",
            "--repo",
            "repo",
            "--root",
            "root.json",
            "--version",
            &version,
            "--artifact",
            &artifact,
        ];
        arguments.extend(["--key", "keys/release.key", "--key", "keys/timestamp.key"]);
        children.push(
            desk.command(&arguments)
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap(),
        );
    }
    let mut won = 0_u64;
    for child in children {
        let output = child.wait_with_output().unwrap();
        won += u64::from(output.status.success());
        // Lost before or at the swap: by then another one's release is there.
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 3 | 4)), "{}", stderr(&output));
    }
    assert!(won >= 1);
    assert!(desk.seq() > first);
    // Who lost between its manifest and VERSION may have left a manifest with a higher number. It is named, and goes by its name.
    let verify = ["verify", "--repo", "repo", "--root", "root.json"];
    let verified = desk.signer(&verify);
    if !verified.status.success() {
        let told = stderr(&verified);
        let left = told.split("--abandon ").nth(1).unwrap_or_else(|| panic!("{told}"));
        desk.released("2.0.0", &["--abandon", &left[..64]]);
        desk.ok(&verify);
    }
}

#[test]
fn a_rerun_finishes_what_a_crash_left() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    let version = desk.read("repo/stable/VERSION");
    let repo = ["--repo", "repo", "--root", "root.json"];
    let artifact = desk.build("1.1.0");
    desk.ok(
        &[&["prepare", "--version", "1.1.0", "--artifact", &artifact, "--out", "folder"][..], &repo].concat()
    );
    desk.ok(&["sign", "folder", "--key", "keys/release.key", "--key", "keys/timestamp.key"]);
    let publish = [&["publish", "folder"][..], &repo].concat();
    let before = desk.repository();
    desk.ok(&publish);
    let after = desk.repository();
    // Killed after any number of objects, in the order of their upload: VERSION is always the last.
    let new: Vec<_> = after.keys().filter(|path| !before.contains_key(*path)).collect();
    for keep in 0..new.len() {
        for path in new.iter().skip(keep) {
            drop(std::fs::remove_file(path));
        }
        desk.write("repo/stable/VERSION", &version);
        assert!(desk.ok(&["show", "--repo", "repo", "--root", "root.json"]).contains("1.0.0 on stable"));
        desk.ok(&publish);
        assert_eq!(desk.repository(), after);
    }
}

#[test]
fn signatures_that_an_earlier_try_left_must_do_before_version_names_them() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    let repo = ["--repo", "repo", "--root", "root.json"];
    let artifact = desk.build("1.1.0");
    desk.ok(
        &[&["prepare", "--version", "1.1.0", "--artifact", &artifact, "--out", "folder"][..], &repo].concat()
    );
    desk.ok(&["sign", "folder", "--key", "keys/release.key", "--key", "keys/timestamp.key"]);
    let digest = Digest::of(&std::fs::read(desk.path("folder/manifest.json")).unwrap());
    let there = format!("repo/manifests/{digest}.json.minisig");
    // Somebody put another signature text there: it is well-formed, and for something else.
    let signatures = desk.read("folder/manifest.json.minisig");
    let version = desk.read("repo/stable/VERSION");
    desk.write(&there, version.split_inclusive('\n').skip(2).collect::<String>());
    desk.fails(3, "already exists with different content", &[&["publish", "folder"][..], &repo].concat());
    assert_eq!(desk.read("repo/stable/VERSION"), version);
    // The same signature twice counts once and is enough.
    desk.write(&there, format!("{signatures}{signatures}"));
    desk.ok(&[&["publish", "folder"][..], &repo].concat());
    desk.ok(&[&["verify"][..], &repo].concat());
}

#[test]
fn refresh_renews_and_changes_the_rollout_without_a_release_key() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    desk.released("1.1.0", &["--rollout", "0"]);
    let mut old = desk.client("old").unwrap(); // a first install takes the current release
    assert!(matches!(old.update(false), Ok(Outcome::Nothing(Finding::Current))));
    let refresh = ["refresh", "--repo", "repo", "--root", "root.json", "--key", "keys/timestamp.key"];
    let before = desk.read("repo/stable/VERSION");
    desk.ok(&refresh);
    desk.ok(&refresh);
    assert_ne!(desk.read("repo/stable/VERSION"), before);
    assert!(desk.read("repo/stable/VERSION").contains("\"rollout\":0"));
    desk.ok(&[&refresh[..], &["--rollout", "100"]].concat());
    assert!(desk.read("repo/stable/VERSION").contains("\"rollout\":100"));
    // An older VERSION is a replay now.
    desk.client("new").unwrap();
    let current = desk.read("repo/stable/VERSION");
    desk.write("repo/stable/VERSION", before);
    let replayed = relatch::Updater::of_installed(&desk.path("new")).unwrap().update(false);
    assert!(matches!(replayed, Err(Error::Refused(Refusal::OlderIssue { .. }))), "{replayed:?}");
    desk.write("repo/stable/VERSION", current);
    // Signed elsewhere.
    desk.ok(&["refresh", "--repo", "repo", "--root", "root.json", "--out", "folder"]);
    desk.ok(&["sign", "folder", "--key", "keys/timestamp.key"]);
    desk.ok(&["publish", "folder", "--repo", "repo", "--root", "root.json"]);
}

#[test]
fn a_release_is_taken_back() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    desk.released("1.1.0", &[]);
    let mut client = desk.client("widget").unwrap();
    desk.released("1.0.0", &["--retract", "1.1.0"]);
    let outcome = client.update(false);
    assert!(matches!(outcome, Ok(Outcome::Updated { .. })), "{outcome:?}");
    assert_eq!(desk.read("widget"), desk.read("build-1.0.0"));
}

#[test]
fn a_destroyed_version_is_repaired_by_the_one_who_knows_its_number() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    let mut client = desk.client("widget").unwrap();
    desk.write("repo/stable/VERSION", "garbage");
    assert!(!desk.release("1.1.0", &[]).status.success());
    // The manifest of 1.0.0 shows that there was a release: it goes on by name only.
    let destroyed = desk.release("1.1.0", &["--seq", "9007199254740000"]);
    assert_eq!(destroyed.status.code(), Some(3), "{}", stderr(&destroyed));
    let told = stderr(&destroyed);
    let left = &told.split("--abandon ").nth(1).unwrap()[..64];
    desk.released("1.1.0", &["--seq", "9007199254740000", "--abandon", left]);
    assert!(matches!(client.update(false), Ok(Outcome::Updated { .. })));
}

#[test]
fn verify_finds_what_was_changed() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    desk.released("1.1.0", &[]);
    let verify = ["verify", "--repo", "repo", "--root", "root.json"];
    for path in desk.repository().into_keys() {
        let content = std::fs::read(&path).unwrap();
        let name = path.strip_prefix(desk.path("repo")).unwrap().display().to_string();
        let mut changed = content.clone();
        let at = changed.len().saturating_sub(9); // in a signature, the last one that counts
        changed[at] ^= 1;
        std::fs::write(&path, &changed).unwrap();
        let output = desk.signer(&verify);
        assert_eq!(output.status.code(), Some(3), "{name}: {}", stderr(&output));
        std::fs::write(&path, content).unwrap();
    }
    desk.ok(&verify);
    desk.write("repo/blobs/letter", "to my love");
    desk.fails(3, "is not an object of a repository", &verify);
}
