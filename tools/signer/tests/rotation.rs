//! Promise: keys come and go by roots that old and new keys sign, and a thief's work ends with an epoch.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod support;

use relatch::policy::Reason;
use relatch::{Error, Outcome, Refusal};
use support::{Desk, stderr};

const REPO: [&str; 4] = ["--repo", "repo", "--root", "root.json"];

#[test]
fn a_new_release_key_takes_over_from_the_old_one() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    let mut client = desk.client("widget").unwrap();
    desk.ok(&["keygen", "--no-password", "--out", "new.key"]);
    desk.ok(&["root", "add", "root.json", "--role", "release", "--key", "new.pub", "--out", "root2.json"]);
    desk.ok(&["root", "remove", "root2.json", "--role", "release", "--key", "keys/release.pub"]);
    let publish = [&["root", "publish", "root2.json"][..], &REPO].concat();
    desk.fails(3, "root 2 is not signed", &publish);
    desk.fails(3, "does not have the root role", &["root", "sign", "root2.json", "--key", "new.key"]);
    desk.ok(&["root", "sign", "root2.json", "--key", "keys/root.key"]);
    desk.fails(2, "is signed and cannot be changed", &["root", "remove", "root2.json", "--key", "new.pub"]);
    desk.ok(&publish);
    desk.ok(&publish);

    let output = desk.release("1.1.0", &[]); // with the old key
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    // VERSION still names a manifest that only the old key signed: no client takes it any more, and the publisher must repair.
    let artifact = desk.build("1.1.0");
    let mut release = vec![
        "release",
        "--version",
        "1.1.0",
        "--artifact",
        &artifact,
        "--key",
        "new.key",
        "--key",
        "keys/timestamp.key",
    ];
    release.extend(REPO);
    release.extend(["--seq", "2"]);
    desk.ok(&release);
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
    desk.ok(&[&["root", "publish", "root2.json"][..], &REPO].concat());
    let artifact = desk.build("1.0.2");
    let mut release =
        vec!["release", "--version", "1.0.2", "--artifact", &artifact, "--key", "keys/release2.key"];
    release.extend(["--key", "keys/timestamp.key"]);
    release.extend(REPO);
    desk.ok(&release);
    let outcome = client.update(false);
    assert!(matches!(outcome, Ok(Outcome::Updated { .. })), "{outcome:?}");
    assert!(matches!(client.update(false), Ok(Outcome::Nothing(Reason::Current))));
    // What came under the old epoch does not come back.
    let back = relatch::Updater::rollback(client.site(), None);
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

#[test]
fn thresholds_that_cannot_be_met_are_refused() {
    let desk = Desk::new();
    for threshold in ["release=0", "release=2", "root=9"] {
        desk.fails(
            3,
            "it must be from 1 to the number of keys",
            &[
                "root",
                "remove",
                "root.json",
                "--key",
                "keys/release.pub",
                "--role",
                "release",
                "--threshold",
                threshold,
                "--out",
                "next.json",
            ],
        );
        assert!(!desk.path("next.json").exists());
    }
}
