//! Who signs: too few, the same one twice, strangers, and those whose role was taken away.

use crate::scene::Scene;
use crate::table::{harmless, refused, row};

fn sign(scene: &Scene, keys: &[&str]) -> std::process::Command {
    let paths: Vec<String> = keys.iter().map(|name| format!("keys/{name}.key")).collect();
    let mut arguments = vec!["sign", "unsigned"];
    arguments.extend(paths.iter().flat_map(|path| ["--key", path.as_str()]));
    scene.command(&arguments)
}

/// Published after these have signed it.
fn publish_by(scene: &Scene, keys: &[&str]) -> std::process::Command {
    assert!(crate::scene::run(&mut sign(scene, keys)).status.success());
    scene.at_repo(&["publish", "unsigned"])
}

/// What the holder of the key may, without asking `signer`: a signature below those that are there.
fn add_signature(scene: &Scene, key: &str) {
    scene.forge_signatures("signed", &[key], &[]);
}

#[test]
fn of_a_release() {
    let missing = "Give each missing key with --key";
    let release = "1 of the 2 release keys that must sign have signed";
    let role = "has neither the release nor the timestamp role in root 2";
    refused(&[
        row("one of two", "6c", |s| s.release_by(&["ci", "clock"], "1.2.0", &[]), 3, &[release, missing]),
        row(
            "the same twice",
            "3.1",
            |s| s.release_by(&["ci", "ci", "clock"], "1.2.0", &[]),
            3,
            &[release, missing],
        ),
        row(
            "no timestamp key",
            "4c",
            |s| s.release_by(&["ci", "human"], "1.2.0", &[]),
            3,
            &["0 of the 1 timestamp keys that must sign have signed", missing],
        ),
        row(
            "the timestamp key alone",
            "6c",
            |s| s.release_by(&["clock"], "1.2.0", &[]),
            3,
            &["0 of the 2 release keys that must sign have signed"],
        ),
        row(
            "a stranger",
            "6c",
            |s| s.release_by(&["ci", "stranger", "clock"], "1.2.0", &[]),
            3,
            &[role, "Nothing was signed"],
        ),
        row(
            "a key of another role",
            "6c",
            |s| s.release_by(&["ci", "root-a", "clock"], "1.2.0", &[]),
            3,
            &[role, "signer root add"],
        ),
        row("a revoked key", "7", |s| s.release_by(&["ci", "old", "clock"], "1.2.0", &[]), 3, &[role]),
        row("no key", "7", |s| s.release_by(&[], "1.2.0", &[]), 2, &["--key <KEY>"]),
        row(
            "a release key for a refresh",
            "4c",
            |s| s.at_repo(&["refresh", "--key", "keys/ci.key"]),
            3,
            &["0 of the 1 timestamp keys that must sign have signed"],
        ),
        row(
            "a stranger for a refresh",
            "4c",
            |s| s.at_repo(&["refresh", "--key", "keys/stranger.key"]),
            3,
            &[role],
        ),
    ]);
}

#[test]
fn of_a_folder() {
    let role = "has neither the release nor the timestamp role in root 2";
    let few = "1 of the 2 release keys that must sign have signed";
    refused(&[
        row(
            "a stranger after a right one: all or none",
            "6c",
            |s| sign(s, &["ci", "stranger"]),
            3,
            &[role, "Nothing was signed"],
        ),
        row(
            "nobody has signed",
            "6c",
            |s| s.at_repo(&["publish", "unsigned"]),
            3,
            &["0 of the 2 release keys that must sign have signed", "signer sign"],
        ),
        row("one of two", "6c", |s| publish_by(s, &["ci", "clock"]), 3, &[few]),
        row("the same twice", "3.1", |s| publish_by(s, &["ci", "ci", "clock"]), 3, &[few]),
        row(
            "one twice, by hand",
            "3.1",
            |s| {
                publish_by(s, &["ci", "clock"]);
                s.forge_signatures("unsigned", &["ci"], &[]);
                s.at_repo(&["publish", "unsigned"])
            },
            3,
            &[few],
        ),
        row(
            "a revoked key as the second, by hand",
            "7",
            |s| {
                publish_by(s, &["ci", "clock"]);
                s.forge_signatures("unsigned", &["old"], &[]);
                s.at_repo(&["publish", "unsigned"])
            },
            3,
            &[few],
        ),
        row(
            "a revoked key as the second, and the root of the time when it was none",
            "7",
            |s| {
                std::fs::copy(s.desk.path("root.json"), s.desk.path("unsigned/root.json")).unwrap();
                publish_by(s, &["ci", "old", "clock"])
            },
            3,
            &["the manifest is signed by 1 of the 2 release keys that it needs", "Let more key holders sign"],
        ),
        row(
            "the release key under VERSION",
            "4c",
            |s| {
                publish_by(s, &["ci", "human"]);
                s.forge_signatures("unsigned", &[], &["human"]);
                s.at_repo(&["publish", "unsigned"])
            },
            3,
            &["0 of the 1 timestamp keys that must sign have signed"],
        ),
    ]);
    harmless(&[
        row(
            "a stranger's signature beside enough others",
            "3.1",
            |s| {
                add_signature(s, "stranger");
                s.at_repo(&["publish", "signed"])
            },
            0,
            &["published widget 1.2.0"],
        ),
        row(
            "a revoked key's beside enough others",
            "3.1",
            |s| {
                add_signature(s, "old");
                s.at_repo(&["publish", "signed"])
            },
            0,
            &["published widget 1.2.0"],
        ),
    ]);
}
