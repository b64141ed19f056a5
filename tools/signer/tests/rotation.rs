//! Promise: keys come and go by roots that old and new keys sign, and a thief's work ends with an epoch.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod support;

use relatch::Finding;
use relatch::{Error, Outcome, Refusal};
use support::{Desk, stderr};

const REPO: [&str; 4] = ["--repo", "repo", "--root", "root.json"];

#[test]
fn a_new_release_key_takes_over_from_the_old_one() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    let mut client = desk.client("widget").unwrap();
    desk.ok(&["keygen", "--no-password", "--out", "new.key"]);
    // Add, release, remove: at no time is there a release that does not verify.
    desk.ok(&["root", "add", "root.json", "--role", "release", "--key", "new.pub", "--out", "root2.json"]);
    let publish = |file: &str| {
        [&["root", "publish", file][..], &REPO].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let publish = |file: &str| desk.signer(&publish(file).iter().map(String::as_str).collect::<Vec<_>>());
    assert!(stderr(&publish("root2.json")).contains("root 2 is not signed"));
    desk.fails(3, "does not have the root role", &["root", "sign", "root2.json", "--key", "new.key"]);
    desk.ok(&["root", "sign", "root2.json", "--key", "keys/root.key"]);
    desk.fails(2, "is signed and cannot be changed", &["root", "remove", "root2.json", "--key", "new.pub"]);
    assert!(publish("root2.json").status.success());
    assert!(publish("root2.json").status.success());
    desk.ok(&[
        "root",
        "remove",
        "root2.json",
        "--role",
        "release",
        "--key",
        "keys/release.pub",
        "--out",
        "root3.json",
    ]);
    desk.ok(&["root", "sign", "root3.json", "--key", "keys/root.key"]);
    let early = publish("root3.json");
    assert_eq!(early.status.code(), Some(3));
    assert!(stderr(&early).contains("does not verify any more"), "{}", stderr(&early));
    let artifact = desk.build("1.1.0");
    let mut release = vec!["release", "--version", "1.1.0", "--artifact", &artifact];
    release.extend(["--key", "new.key", "--key", "keys/timestamp.key"]);
    release.extend(REPO);
    desk.ok(&release);
    assert!(publish("root3.json").status.success());
    assert!(matches!(client.update(false), Ok(Outcome::Updated { .. })));
    let output = desk.release("1.2.0", &[]); // with the old key
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    desk.ok(&[&["verify"][..], &REPO].concat());
}

#[test]
fn a_revoked_release_is_followed_by_another_without_guessing_its_number() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    let mut client = desk.client("widget").unwrap();
    desk.ok(&["keygen", "--no-password", "--out", "new.key"]);
    desk.ok(&["root", "add", "root.json", "--role", "release", "--key", "new.pub", "--out", "root2.json"]);
    desk.ok(&["root", "remove", "root2.json", "--role", "release", "--key", "keys/release.pub"]);
    desk.ok(&["root", "sign", "root2.json", "--key", "keys/root.key"]);
    desk.ok(&[&["root", "publish", "root2.json", "--revoke-release"][..], &REPO].concat());
    let shown = desk.signer(&[&["show"][..], &REPO].concat());
    assert_eq!(shown.status.code(), Some(3), "clients refuse it: {}", stderr(&shown));
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("VERSION on stable names 1.0.0, which does not verify under this root"), "{text}");
    // What was published still counts: neither its number nor its version is used again.
    let release = |version: &str, more: &[&str]| {
        let artifact = desk.build(version);
        let mut release = vec!["release", "--version", version, "--artifact", &artifact];
        release.extend(["--key", "new.key", "--key", "keys/timestamp.key"]);
        release.extend(REPO);
        release.extend(more);
        desk.signer(&release)
    };
    for (version, more) in [("0.9.0", &[][..]), ("0.9.0", &["--seq", "1"]), ("1.1.0", &["--seq", "1"])] {
        assert_eq!(release(version, more).status.code(), Some(3), "{version} {more:?}");
    }
    assert!(release("1.1.0", &[]).status.success());
    assert!(matches!(client.update(false), Ok(Outcome::Updated { .. })));
}

#[test]
fn root_keys_change_only_when_the_old_ones_agree() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    desk.ok(&["keygen", "--no-password", "--out", "new.key"]);
    desk.ok(&["root", "add", "root.json", "--role", "root", "--key", "new.pub", "--out", "root2.json"]);
    desk.ok(&["root", "remove", "root2.json", "--role", "root", "--key", "keys/root.pub"]);
    let publish = [&["root", "publish", "root2.json"][..], &REPO].concat();
    desk.ok(&["root", "sign", "root2.json", "--key", "new.key"]);
    desk.fails(3, "0 of the 1 root keys", &publish);
    desk.ok(&["root", "sign", "root2.json", "--key", "keys/root.key", "--previous", "root.json"]);
    desk.ok(&publish);
    let shown = desk.ok(&[&["show"][..], &REPO].concat());
    assert!(shown.contains("root     2"), "{shown}");
}

#[test]
fn a_stolen_key_that_signed_a_huge_number_bricks_nobody() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    let mut client = desk.client("widget").unwrap();
    desk.released("1.0.1", &["--seq", "9007199254740990"]); // the thief
    assert!(matches!(client.update(false), Ok(Outcome::Updated { .. })));

    desk.ok(&["keygen", "--no-password", "--out", "keys/release2.key"]);
    desk.ok(&[
        "root",
        "add",
        "root.json",
        "--role",
        "release",
        "--key",
        "keys/release2.pub",
        "--out",
        "root2.json",
        "--raise-epoch",
    ]);
    desk.ok(&["root", "remove", "root2.json", "--key", "keys/release.pub"]);
    desk.ok(&["root", "sign", "root2.json", "--key", "keys/root.key"]);
    desk.ok(&[&["root", "publish", "root2.json", "--revoke-release"][..], &REPO].concat());
    let artifact = desk.build("1.0.2");
    let mut release =
        vec!["release", "--version", "1.0.2", "--artifact", &artifact, "--key", "keys/release2.key"];
    release.extend(["--key", "keys/timestamp.key"]);
    release.extend(REPO);
    desk.ok(&release);
    let outcome = client.update(false);
    assert!(matches!(outcome, Ok(Outcome::Updated { .. })), "{outcome:?}");
    assert!(matches!(client.update(false), Ok(Outcome::Nothing(Finding::Current))));
    // What came under the old epoch does not come back.
    let back = relatch::Updater::rollback(client.installation(), None);
    assert!(matches!(back, Err(Error::Refused(Refusal::PreviousEpoch { .. }))), "{back:?}");
}

#[test]
fn a_root_is_renewed_before_it_expires() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    desk.ok(&["root", "renew", "root.json", "--expires-in", "1000d", "--out", "root2.json"]);
    desk.ok(&["root", "sign", "root2.json", "--key", "keys/root.key"]);
    desk.ok(&[&["root", "publish", "root2.json"][..], &REPO].concat());
    let shown = desk.ok(&[&["show"][..], &REPO].concat());
    assert!(
        shown.contains("root     2") && (shown.contains(" 999 days") || shown.contains(" 1000 days")),
        "{shown}"
    );
}
