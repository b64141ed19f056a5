//! Promise: with write access to the repository and no key, nobody makes a publisher build on an old release. What was
//! published counts by the state file and by the signed manifests; what verifies under no root counts for nothing.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod support;

use std::time::{SystemTime, UNIX_EPOCH};

use relatch::Outcome;
use relatch::trust::Digest;
use support::{Desk, stderr};

const REPO: [&str; 4] = ["--repo", "repo", "--root", "root.json"];
const CLOCK: [&str; 2] = ["--key", "keys/timestamp.key"];
const STATE: [&str; 2] = ["--state", "state"];

fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Desk {
    fn refresh(&self, more: &[&str]) -> Vec<String> {
        [&["refresh"][..], &REPO, &CLOCK, more].concat().into_iter().map(str::to_owned).collect()
    }

    fn renew(&self, more: &[&str]) -> Vec<String> {
        let keys = if more.contains(&"--out") {
            &[][..]
        } else {
            &["--key", "keys/release.key", CLOCK[0], CLOCK[1]]
        };
        [&["renew"][..], &REPO, keys, more].concat().into_iter().map(str::to_owned).collect()
    }

    fn refreshed(&self, more: &[&str]) -> String {
        self.ok(&strs(&self.refresh(more)))
    }

    /// Refused with all of this, and the repository and the state file are as they were.
    #[track_caller]
    fn refuses(&self, says: &[&str], arguments: &[&str]) {
        let before = (self.repository(), std::fs::read(self.path("state")).ok());
        let output = self.signer(arguments);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {}", stderr(&output));
        for part in says {
            assert!(stderr(&output).contains(part), "{arguments:?}: `{part}` is not in: {}", stderr(&output));
        }
        assert!((self.repository(), std::fs::read(self.path("state")).ok()) == before, "{arguments:?}");
    }

    fn release_of(&self, version: &str, more: &[&str]) -> Vec<String> {
        let artifact = self.build(version);
        let release = ["release", "--version", version, "--artifact", &artifact, "--key", "keys/release.key"];
        [&release[..], &CLOCK, &REPO, more].concat().into_iter().map(str::to_owned).collect()
    }

    /// Every command that builds on what is published, and `verify`, refuse and say this.
    #[track_caller]
    fn all_refuse(&self, says: &[&str], more: &[&str]) {
        let artifact = self.build("1.0.9");
        let prepare = ["prepare", "--version", "1.0.9", "--artifact", &artifact, "--out", "not-made"];
        let mut calls = vec![
            self.release_of("1.0.9", more),
            self.refresh(more),
            self.refresh(&[more, &["--revive"]].concat()),
            self.renew(more),
            self.renew(&[more, &["--out", "not-made"]].concat()),
        ];
        for call in [&prepare[..], &["verify"], &["verify", "--channel", "stable"]] {
            calls.push([call, &REPO, more].concat().into_iter().map(str::to_owned).collect());
        }
        if self.path("folder").exists() {
            calls.push(
                [&["publish", "folder"][..], &REPO, more].concat().into_iter().map(str::to_owned).collect(),
            );
        }
        for call in calls {
            self.refuses(says, &strs(&call));
        }
        assert!(!self.path("not-made").exists());
    }

    /// The hash of the manifest that VERSION names.
    fn named(&self) -> String {
        let version = self.read("repo/stable/VERSION");
        version.split("\"manifest\":\"").nth(1).unwrap()[..64].to_owned()
    }

    fn prepared(&self, version: &str) {
        let artifact = self.build(version);
        let prepare = ["prepare", "--version", version, "--artifact", &artifact, "--out", "folder"];
        self.ok(&[&prepare[..], &REPO].concat());
        self.ok(&["sign", "folder", "--key", "keys/release.key", "--key", "keys/timestamp.key"]);
    }

    /// Releases 1.0.1 to 1.0.3, and VERSION of each.
    fn three(&self, more: &[&str]) -> [String; 3] {
        ["1.0.1", "1.0.2", "1.0.3"].map(|version| {
            self.released(version, more);
            self.read("repo/stable/VERSION")
        })
    }
}

fn strs(text: &[String]) -> Vec<&str> {
    text.iter().map(String::as_str).collect()
}

/// Fault 1, as it was seen: whoever can write to the bucket puts the first VERSION back.
#[test]
fn a_version_that_was_put_back_is_neither_refreshed_nor_built_on() {
    let desk = Desk::new();
    let [first, _, third] = desk.three(&[]);
    let mut client = desk.client("widget").unwrap();
    let named = desk.named();
    desk.prepared("1.0.9");
    desk.write("repo/stable/VERSION", &first);
    let says =
        ["is signed and in the repository (version 1.0.3, manifest ", &named, "but VERSION names release"];
    desk.all_refuse(&says, &[]);
    desk.all_refuse(&["an attacker put an old VERSION back", "--finish", "--abandon"], &[]);
    // The release that it names is refused where it is not the highest.
    let second = desk.path("repo/manifests").read_dir().unwrap().map(|entry| entry.unwrap().file_name());
    let second = second.filter_map(|name| name.to_str()?.strip_suffix(".json").map(str::to_owned));
    let second = second.into_iter().find(|hash| !first.contains(hash) && !third.contains(hash)).unwrap();
    let finish = desk.refresh(&["--finish", &second, "--rollout", "100"]);
    desk.refuses(&["(version 1.0.3, manifest "], &strs(&finish));
    // By name, and then all is as it was.
    desk.refreshed(&["--finish", &named, "--rollout", "100"]);
    assert_eq!(desk.named(), named);
    assert!(matches!(client.update(false), Ok(Outcome::Nothing(_))));
    desk.ok(&[&["verify"][..], &REPO].concat());
    desk.released("1.0.4", &[]);
    assert!(matches!(client.update(false), Ok(Outcome::Updated { .. })));
}

#[test]
fn a_version_that_was_deleted_is_no_first_release() {
    let desk = Desk::new();
    desk.three(&[]);
    let (named, seq) = (desk.named(), desk.seq());
    desk.prepared("1.0.9");
    std::fs::remove_file(desk.path("repo/stable/VERSION")).unwrap();
    desk.all_refuse(&["(version 1.0.3, manifest ", &named, "but there is no valid VERSION"], &[]);
    // Without the release, by its name: its number is not used again.
    desk.refuses(
        &["(version 1.0.3, manifest "],
        &strs(&desk.release_of("1.0.4", &["--abandon", &"0".repeat(64)])),
    );
    desk.released("1.0.4", &["--abandon", &named]);
    assert!(desk.seq() > seq);
    desk.ok(&[&["verify"][..], &REPO].concat());
}

/// The manifests may go, too: then the state file alone knows.
#[test]
fn what_the_state_file_has_seen_counts_without_the_repository() {
    let desk = Desk::new();
    let [first, _, third] = desk.three(&STATE);
    let (named, seq) = (desk.named(), desk.seq());
    let later = {
        desk.refreshed(&STATE);
        desk.read("repo/stable/VERSION")
    };
    let kept = ["repo/manifests", "folder"].map(|dir| desk.path(dir));
    desk.prepared("1.0.9");
    let manifests: Vec<_> = kept[0].read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    let contents: Vec<_> = manifests.iter().map(|path| std::fs::read(path).unwrap()).collect();
    let says = ["state has seen release ", "of stable published (version 1.0.3, manifest ", &named];
    for manifest in manifests.iter().filter(|path| {
        !first.contains(path.file_name().unwrap().to_str().unwrap().split('.').next().unwrap())
    }) {
        std::fs::remove_file(manifest).unwrap();
    }
    desk.write("repo/stable/VERSION", &first);
    desk.all_refuse(&says, &STATE);
    std::fs::remove_file(desk.path("repo/stable/VERSION")).unwrap();
    desk.all_refuse(&says, &STATE);
    // An older VERSION of the same release.
    for (path, content) in manifests.iter().zip(contents) {
        std::fs::write(path, content).unwrap();
    }
    desk.write("repo/stable/VERSION", &third);
    desk.all_refuse(&says, &STATE);
    desk.ok(&[&["verify"][..], &REPO].concat()); // without the file, nothing is known of it
    desk.write("repo/stable/VERSION", &later);
    desk.ok(&[&["verify"][..], &REPO, &STATE].concat());
    desk.released("1.0.4", &STATE);
    assert!(desk.seq() > seq);
}

#[test]
fn the_state_file_is_raised_by_a_publication_and_by_verify() {
    let desk = Desk::new();
    let verify = [&["verify"][..], &REPO, &STATE].concat();
    let output = desk.signer(&verify);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && told.contains("state does not exist: this is its first run"));
    std::fs::remove_file(desk.path("state")).unwrap(); // it has seen the root
    let failed = desk.release("1.0.0", &["--state", "state", "--min-version", "2.0.0"]);
    assert!(!failed.status.success());
    desk.released("1.0.0", &STATE);
    let root = Digest::of(desk.read("root.json").as_bytes());
    let version = desk.read("repo/stable/VERSION");
    let issued = version.split("\"issued\":").nth(1).unwrap().split(',').next().unwrap();
    let expected = format!(
        "{{\"type\":\"relatch-publisher/1\",\"roots\":[{{\"product\":\"widget\",\"version\":1,\"epoch\":1,\"blake3\":\"{root}\"}}],\
         \"releases\":[{{\"product\":\"widget\",\"channel\":\"stable\",\"epoch\":1,\"seq\":{},\"issued\":{issued},\
         \"version\":\"1.0.0\",\"manifest\":\"{}\"}}]}}\n",
        desk.seq(),
        desk.named()
    );
    assert_eq!(desk.read("state"), expected);
    // What another publisher published is taken over when it is read.
    desk.released("1.0.1", &[]);
    desk.ok(&verify);
    assert!(desk.read("state").contains(&desk.named()));
    desk.released("1.0.2", &[]);
    desk.ok(&[&verify[..], &["--channel", "stable"]].concat());
    assert!(desk.read("state").contains(&desk.named()));
    desk.released("1.0.3", &[]);
    desk.refreshed(&STATE);
    assert!(desk.read("state").contains(&desk.named()));
    // A second channel, and nothing is lost of the first.
    let before = desk.read("state");
    desk.released("7", &["--state", "state", "--channel", "beta"]);
    let after = desk.read("state");
    assert!(
        after.contains("\"channel\":\"beta\"")
            && after.contains(
                &before[before.find("{\"product\":\"widget\",\"channel\"").unwrap()..before.len() - 3]
            ),
        "{after}"
    );
}

/// A folder that is prepared, signed and published by several people counts as one that is released at once.
#[test]
fn a_folder_is_prepared_and_published_with_the_state_file() {
    let desk = Desk::new();
    desk.released("1.0.0", &STATE);
    let artifact = desk.build("1.1.0");
    let prepare = ["prepare", "--version", "1.1.0", "--artifact", &artifact, "--out", "folder"];
    desk.ok(&[&prepare[..], &REPO, &STATE].concat());
    assert!(desk.read("state").contains(&desk.named()));
    desk.ok(&["sign", "folder", "--key", "keys/release.key", "--key", "keys/timestamp.key"]);
    let told = desk.ok(&[&["--json", "publish", "folder"][..], &REPO, &STATE].concat());
    assert!(
        told.contains("\"finished\":false,\"abandoned\":null,\"state\":\"state\",\"warnings\":[]"),
        "{told}"
    );
    assert!(desk.read("state").contains(&desk.named()) && desk.read("state").contains("\"1.1.0\""));
    desk.ok(&[&["verify"][..], &REPO, &STATE].concat());
}

#[test]
fn a_damaged_state_file_is_refused() {
    let desk = Desk::new();
    desk.released("1.0.0", &STATE);
    let good = desk.read("state");
    let newer = good.replace("relatch-publisher/1", "relatch-publisher/2");
    for (what, content, says) in [
        ("empty", String::new(), "the state file state is damaged"),
        ("no JSON", "garbage".into(), "the state file state is damaged"),
        (
            "another type",
            good.replace("relatch-publisher/1", "relatch-state/1"),
            "the state file state is damaged",
        ),
        ("a space", good.replace(",\"roots\"", ", \"roots\""), "its bytes differ from its canonical form"),
        ("no newline", good.trim_end().into(), "its bytes differ from its canonical form"),
        (
            "an unknown field",
            good.replace("}]}\n", "}],\"more\":1}\n"),
            "its bytes differ from its canonical form",
        ),
        ("too long", format!("{good}{}", " ".repeat(300_000)), "has more than 262144 bytes"),
        ("newer", newer, "has the type relatch-publisher/2, and this signer reads relatch-publisher/1"),
    ] {
        println!("{what}");
        desk.write("state", content);
        desk.all_refuse(&[says], &STATE);
    }
    desk.write("state", &good);
    desk.ok(&[&["verify"][..], &REPO, &STATE].concat());
}

/// A repository that lost its newest root, or has another one.
#[test]
fn a_root_below_the_one_that_was_seen_is_refused() {
    let desk = Desk::new();
    desk.released("1.0.0", &STATE);
    desk.ok(&["root", "renew", "root.json", "--out", "root2.json"]);
    desk.ok(&["root", "sign", "root2.json", "--key", "keys/root.key"]);
    desk.ok(&[&["root", "publish", "root2.json"][..], &REPO].concat());
    desk.refreshed(&STATE);
    desk.prepared("1.0.8");
    for file in ["2.json", "2.json.minisig"] {
        std::fs::rename(desk.path(&format!("repo/root/{file}")), desk.path(&format!("kept-{file}"))).unwrap();
    }
    desk.all_refuse(
        &["the newest root in the repository is root 1 of epoch 1, but state has seen root 2"],
        &STATE,
    );
    // Another root 2, signed by the same keys.
    desk.ok(&["root", "renew", "root.json", "--expires-in", "700d", "--out", "other.json"]);
    desk.ok(&["root", "sign", "other.json", "--key", "keys/root.key"]);
    desk.ok(&[&["root", "publish", "other.json"][..], &REPO].concat());
    desk.all_refuse(&["root 2 in the repository is ", "but state has seen "], &STATE);
}

/// Killed between the manifest and VERSION: the same call finishes, another one is refused.
#[test]
fn a_release_that_was_killed_before_version_is_finished_by_the_same_call() {
    for state in [&[][..], &STATE] {
        let desk = Desk::new();
        desk.released("1.0.0", state);
        let old = desk.read("repo/stable/VERSION");
        desk.released("1.1.0", &["--critical"]);
        let (killed, version) = (desk.named(), desk.read("repo/stable/VERSION"));
        desk.write("repo/stable/VERSION", &old);
        let manifests = || desk.path("repo/manifests").read_dir().unwrap().count();
        let before = manifests();
        // Other inputs, or another executable.
        let says = ["(version 1.1.0, manifest ", &killed];
        desk.refuses(&says, &strs(&desk.release_of("1.1.0", state)));
        desk.refuses(&says, &strs(&desk.release_of("1.2.0", &[state, &["--critical"]].concat())));
        let call = desk.release_of("1.1.0", &[state, &["--critical"]].concat());
        desk.write("build-1.1.0", "#!/bin/sh\necho another\n");
        desk.refuses(&says, &strs(&call));
        // The same.
        desk.released("1.1.0", &[state, &["--critical", "--rollout", "20"]].concat());
        assert_eq!((desk.named(), manifests()), (killed, before));
        assert_ne!(desk.read("repo/stable/VERSION"), version);
        assert!(desk.read("repo/stable/VERSION").contains("\"rollout\":20"));
        desk.ok(&[&["verify"][..], &REPO, state].concat());
        assert!(desk.client("widget").is_ok());
    }
}

/// A folder that was made before is not published over an abandoned release with a higher number.
#[test]
fn an_abandoned_release_stays_below_the_next_one() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    let old = desk.read("repo/stable/VERSION");
    let artifact = desk.build("1.0.9");
    let low = (desk.seq() + 1).to_string();
    let prepare =
        ["prepare", "--version", "1.0.9", "--artifact", &artifact, "--out", "folder", "--seq", &low];
    desk.ok(&[&prepare[..], &REPO].concat());
    desk.ok(&["sign", "folder", "--key", "keys/release.key", "--key", "keys/timestamp.key"]);
    let high = (desk.seq() + 1000).to_string();
    desk.released("1.1.0", &["--seq", &high]);
    let lost = desk.named();
    desk.write("repo/stable/VERSION", &old);
    let publish = [&["publish", "folder"][..], &REPO].concat();
    desk.refuses(&["(version 1.1.0, manifest ", &lost], &publish);
    desk.refuses(
        &[&format!("release {low}, issued "), "is not above release"],
        &[&publish[..], &["--abandon", &lost]].concat(),
    );
    std::fs::remove_dir_all(desk.path("folder")).unwrap();
    desk.ok(
        &[
            &[
                "prepare",
                "--version",
                "1.0.9",
                "--artifact",
                &artifact,
                "--out",
                "folder",
                "--abandon",
                &lost,
            ][..],
            &REPO,
        ]
        .concat(),
    );
    desk.ok(&["sign", "folder", "--key", "keys/release.key", "--key", "keys/timestamp.key"]);
    desk.refuses(&["(version 1.1.0, manifest "], &publish);
    desk.ok(&[&publish[..], &["--abandon", &lost]].concat());
    assert_eq!(desk.seq(), desk.seq().max(high.parse::<u64>().unwrap() + 1));
    desk.released("1.0.10", &[]);
}

/// It may be an old one that somebody put back, and only a person can tell.
#[test]
fn an_expired_version_is_not_refreshed_unless_a_person_revives_it() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    desk.expire_version();
    let says = [
        "version 1.0.0, and expired on",
        "An attacker who controls the bucket may have put an old VERSION back",
        "--revive",
    ];
    desk.refuses(&says, &strs(&desk.refresh(&[])));
    desk.refreshed(&["--revive"]);
    desk.ok(&[&["verify"][..], &REPO].concat());
    // A release replaces it.
    desk.released("1.0.1", &[]);
    desk.expire_version();
    desk.released("1.0.2", &[]);
}

#[test]
fn a_release_has_the_time_as_its_number_and_never_a_lower_one() {
    let desk = Desk::new();
    let before = unix_time();
    desk.released("1.0.0", &[]);
    assert!((before..=unix_time()).contains(&desk.seq()), "{}", desk.seq());
    let first = desk.seq();
    desk.released("1.0.1", &[]);
    desk.released("1.0.2", &[]);
    assert!(desk.seq() >= first + 2);
    desk.released("1.0.3", &["--seq", "9007199254740990"]);
    desk.released("1.0.4", &[]);
    assert_eq!(desk.seq(), 9_007_199_254_740_991);
    let says =
        ["after release 9007199254740991 there is no higher number", "signer root renew --raise-epoch"];
    desk.refuses(&says, &strs(&desk.release_of("1.0.5", &[])));
}

/// Nobody signed that VERSION is of an older epoch: nothing is believed of it.
#[test]
fn a_version_of_an_older_epoch_must_verify_under_a_root_of_that_epoch() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    let old = desk.read("repo/stable/VERSION");
    desk.ok(&["root", "renew", "root.json", "--raise-epoch", "--out", "root2.json"]);
    desk.ok(&["root", "sign", "root2.json", "--key", "keys/root.key"]);
    desk.ok(&[&["root", "publish", "root2.json", "--revoke-release"][..], &REPO].concat());
    let forged = old.replace("1.0.0", "1.9.0");
    desk.write("repo/stable/VERSION", &forged);
    desk.prepared_refuses(&["VERSION is signed by 0 of the 1 timestamp keys"]);
    desk.write("repo/stable/VERSION", &old);
    desk.released("0.9.0", &[]); // a new count, of versions too
    assert!(desk.read("repo/stable/VERSION").contains("\"epoch\":2"));
    // The new root as the only one that is given: the older epoch's root is not in its chain.
    desk.write("repo/stable/VERSION", &old);
    std::fs::remove_dir_all(desk.path("repo/manifests")).unwrap();
    let mut release = desk.release_of("1.1.0", &[]);
    let root = release.iter().position(|argument| argument == "root.json").unwrap();
    release[root] = "root2.json".into();
    desk.refuses(
        &[
            "VERSION has the epoch 1, but the trusted root has 2",
            "give --root the root that tools carried before",
        ],
        &strs(&release),
    );
}

impl Desk {
    #[track_caller]
    fn prepared_refuses(&self, says: &[&str]) {
        self.refuses(says, &strs(&self.release_of("1.1.0", &[])));
        self.refuses(says, &strs(&self.refresh(&[])));
    }
}

/// Fault 49: without --channel, nothing was looked at, and all was well.
#[test]
fn verify_without_a_channel_misses_what_is_gone() {
    let desk = Desk::new();
    let verify = [&["verify"][..], &REPO].concat();
    assert!(desk.ok(&verify).contains("channels: 0"));
    desk.released("1.0.0", &STATE);
    std::fs::remove_file(desk.path("repo/stable/VERSION")).unwrap();
    desk.refuses(&["(version 1.0.0, manifest ", "but there is no valid VERSION"], &verify);
    // Under a newer epoch: it counts for no channel, but something was published.
    desk.ok(&["root", "renew", "root.json", "--raise-epoch", "--out", "root2.json"]);
    desk.ok(&["root", "sign", "root2.json", "--key", "keys/root.key"]);
    desk.ok(&[&["root", "publish", "root2.json", "--revoke-release"][..], &REPO].concat());
    desk.refuses(&["no channel has a VERSION, but manifest "], &verify);
    // Only the state file knows.
    for name in ["root/2.json", "root/2.json.minisig"] {
        std::fs::remove_file(desk.path(&format!("repo/{name}"))).unwrap();
    }
    std::fs::remove_dir_all(desk.path("repo/manifests")).unwrap();
    desk.ok(&verify);
    desk.refuses(&["state has seen release "], &[&verify[..], &STATE].concat());
}
