//! Who signs: too few, the same one twice, strangers, those whose role was taken away, and those who cannot.

use std::sync::Barrier;

use relatch::trust::PublicKey;
use signer::folder::Folder;
use signer::key::SecretKey;
use signer::root::RootFile;
use signer::signing::{KeyId, SigningKey};
use signer::{Failure, Result};

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
pub fn of_a_release() {
    let missing = "Give each missing key with --key";
    let release = "1 of the 2 release keys that must sign have signed";
    let role = "has neither the release nor the timestamp role in root 2";
    refused(&[
        row("one of two", "6c", |s| s.release_by(&["ci", "clock"], "1.2.0", &[]), 3, &[release, missing]),
        row(
            "the same twice",
            "6c",
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
        row("a revoked key", "6c", |s| s.release_by(&["ci", "old", "clock"], "1.2.0", &[]), 3, &[role]),
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
pub fn of_a_folder() {
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
        row("the same twice", "6c", |s| publish_by(s, &["ci", "ci", "clock"]), 3, &[few]),
        row(
            "one twice, by hand",
            "6c",
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
            "6c",
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
            "6c",
            |s| {
                std::fs::copy(s.desk.path("root.json"), s.desk.path("unsigned/root.json")).unwrap();
                publish_by(s, &["ci", "old", "clock"])
            },
            3,
            &[
                "the manifest is signed by 1 of the 2 release keys that it requires",
                "More key holders must sign",
            ],
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

/// On a disk that takes 512 bytes of a file: one signature, and neither two nor `VERSION` with one.
#[cfg(unix)] // by a limit that a shell sets
fn on_a_small_disk(scene: &Scene, arguments: &[&str]) -> std::process::Command {
    crate::scene::in_a_shell("trap '' XFSZ; ulimit -f 1", &scene.command(arguments))
}

/// The first of them can sign and be written; what comes after it cannot.
#[cfg(unix)]
#[test]
fn all_or_none_where_the_disk_is_full() {
    let root = ["--key", "keys/root-a.key", "--key", "keys/root-b.key"];
    refused(&[
        row(
            "the manifest's signature, then VERSION",
            "10.1",
            |s| on_a_small_disk(s, &["sign", "unsigned", "--key", "keys/ci.key", "--key", "keys/clock.key"]),
            5,
            &["cannot write unsigned/VERSION: File too large"],
        ),
        row(
            "two signatures of a manifest",
            "10.1",
            |s| on_a_small_disk(s, &["sign", "unsigned", "--key", "keys/ci.key", "--key", "keys/human.key"]),
            5,
            &["cannot write unsigned/manifest.json.minisig: File too large"],
        ),
        row(
            "two signatures of a root",
            "8",
            |s| {
                std::fs::remove_file(s.desk.path("root2.json.minisig")).unwrap();
                on_a_small_disk(s, &[&["root", "sign", "root2.json"][..], &root].concat())
            },
            5,
            &["cannot write root2.json.minisig: File too large"],
        ),
    ]);
}

/// What a key does when it is to sign a message.
pub type Does<'a> = &'a dyn Fn(&SecretKey, &[u8]) -> Result<[u8; 64]>;

/// A key that has the role, and does something else than to sign, or something besides.
pub struct Odd<'a>(pub &'a SecretKey, pub Does<'a>);

impl SigningKey for Odd<'_> {
    fn public(&self) -> PublicKey {
        self.0.public()
    }

    fn id(&self) -> KeyId {
        self.0.id()
    }

    fn ed25519(&self, message: &[u8]) -> Result<[u8; 64]> {
        (self.1)(self.0, message)
    }
}

/// It signs, after something else has happened.
fn after(event: impl Fn()) -> impl Fn(&SecretKey, &[u8]) -> Result<[u8; 64]> {
    move |key, message| {
        event();
        key.ed25519(message)
    }
}

#[test]
fn who_signs_meanwhile_loses_no_signature() {
    let scene = Scene::new();
    std::fs::remove_file(scene.desk.path("root2.json.minisig")).unwrap();
    let [ci, human, clock] = ["ci", "human", "clock"].map(|name| scene.key(name));
    let [root_a, root_b] = ["root-a", "root-b"].map(|name| scene.key(name));
    let folder = || Folder::open(&scene.desk.path("unsigned")).unwrap();
    // The other one has the same keys, too: each signs once.
    let others = || folder().sign(&[&human, &clock, &ci]).unwrap();
    folder().sign(&[&Odd(&ci, &after(others)), &clock]).unwrap();
    let told = scene.desk.ok(&["show", "unsigned"]);
    assert!(
        told.contains("signed by 2 of 2 release keys") && told.contains("signed by 1 of 1 timestamp"),
        "{told}"
    );
    assert_eq!(scene.desk.read("unsigned/manifest.json.minisig").lines().count(), 2 * 4);
    assert_eq!(scene.desk.read("unsigned/VERSION").lines().count(), 2 + 4);

    let root = || RootFile::new(&scene.desk.path("root2.json"));
    let others = || root().sign(&[&root_b, &root_a], None).unwrap();
    root().sign(&[&Odd(&root_a, &after(others))], None).unwrap();
    assert!(scene.desk.ok(&["root", "show", "root2.json"]).contains("signed by 2 of its own root keys"));
    assert_eq!(scene.desk.read("root2.json.minisig").lines().count(), 2 * 4);
}

#[test]
fn of_those_who_sign_at_the_same_moment_each_stays() {
    let scene = Scene::new();
    let [ci, human, clock] = ["ci", "human", "clock"].map(|name| scene.key(name));
    let [root_a, root_b] = ["root-a", "root-b"].map(|name| scene.key(name));
    let version = scene.bytes("unsigned/VERSION");
    for round in 0..20 {
        for signatures in ["root2.json.minisig", "unsigned/manifest.json.minisig"] {
            drop(std::fs::remove_file(scene.desk.path(signatures)));
        }
        scene.desk.write("unsigned/VERSION", &version);
        let start = Barrier::new(5);
        std::thread::scope(|scope| {
            for key in [&ci, &human, &clock] {
                scope.spawn(|| {
                    let folder = Folder::open(&scene.desk.path("unsigned")).unwrap();
                    start.wait();
                    folder.sign(&[key]).unwrap();
                });
            }
            for key in [&root_a, &root_b] {
                scope.spawn(|| {
                    start.wait();
                    RootFile::new(&scene.desk.path("root2.json")).sign(&[key], None).unwrap();
                });
            }
        });
        let lines = |name: &str| scene.desk.read(name).lines().count();
        let all = ["unsigned/manifest.json.minisig", "unsigned/VERSION", "root2.json.minisig"].map(lines);
        assert_eq!(all, [2 * 4, 2 + 4, 2 * 4], "round {round}");
    }
}

#[test]
fn what_becomes_another_meanwhile_is_not_signed() {
    let scene = Scene::new();
    std::fs::remove_file(scene.desk.path("root2.json.minisig")).unwrap();
    let (ci, clock, root_a) = (scene.key("ci"), scene.key("clock"), scene.key("root-a"));
    let before = scene.tree();
    let another = |good: &[u8]| {
        // Issued at another second.
        let text = String::from_utf8(good.to_vec()).unwrap();
        let last = text.find("\"issued\":").unwrap() + "\"issued\":".len() + 9;
        let mut changed = good.to_vec();
        changed[last] = if changed[last] == b'0' { b'1' } else { changed[last] - 1 };
        changed
    };
    let half = |_: &[u8]| b"untrusted comment: by somebody who is still writing\nRUQ".to_vec();
    type Change<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;
    let rows: [(&str, Change<'_>); 6] = [
        ("unsigned/manifest.json", &another),
        ("unsigned/VERSION", &another),
        ("unsigned/root.json", &another),
        ("unsigned/manifest.json.minisig", &half),
        ("root2.json", &another),
        ("root2.json.minisig", &half),
    ];
    for (name, change) in rows {
        let path = scene.desk.path(name);
        let good = std::fs::read(&path).ok();
        let meanwhile = || std::fs::write(&path, change(good.as_deref().unwrap_or_default())).unwrap();
        let failure = if name.starts_with("root2") {
            RootFile::new(&scene.desk.path("root2.json")).sign(&[&Odd(&root_a, &after(meanwhile))], None)
        } else {
            Folder::open(&scene.desk.path("unsigned")).unwrap().sign(&[&Odd(&ci, &after(meanwhile)), &clock])
        };
        assert!(matches!(failure, Err(Failure::Refused { .. })), "{name}: {failure:?}");
        match &good {
            Some(good) => std::fs::write(&path, good).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        assert_eq!(scene.tree(), before, "{name}");
    }
}

/// Keys that are asked before it have signed by then; `signer::kms` does the same to the program.
#[test]
fn all_or_none_where_a_key_fails() {
    let scene = Scene::new();
    std::fs::remove_file(scene.desk.path("root2.json.minisig")).unwrap();
    let [ci, human, clock] = ["ci", "human", "clock"].map(|name| scene.key(name));
    let [root_a, root_b] = ["root-a", "root-b"].map(|name| scene.key(name));
    let failures: [(Does<'_>, &str); 2] = [
        (&|_, _| Err(Failure::usage("it is denied")), "it is denied"),
        (&|_, _| Ok([1; 64]), "a new signature does not verify with the key"),
    ];
    let before = scene.tree();
    for (fails, says) in failures {
        let folder = Folder::open(&scene.desk.path("unsigned")).unwrap();
        for keys in [&[&ci as &dyn SigningKey, &Odd(&human, fails)][..], &[&ci, &human, &Odd(&clock, fails)]]
        {
            let failure = folder.sign(keys).unwrap_err();
            assert!(failure.to_string().contains(says), "{failure}");
            assert_eq!(scene.tree(), before);
        }
        let root = RootFile::new(&scene.desk.path("root2.json"));
        let failure = root.sign(&[&root_a, &Odd(&root_b, fails)], None).unwrap_err();
        assert!(failure.to_string().contains(says), "{failure}");
        assert_eq!(scene.tree(), before);
    }
    // The same keys, when all of them sign.
    Folder::open(&scene.desk.path("unsigned")).unwrap().sign(&[&ci, &human, &clock]).unwrap();
    RootFile::new(&scene.desk.path("root2.json")).sign(&[&root_a, &root_b], None).unwrap();
    assert!(scene.desk.ok(&["show", "unsigned"]).contains("signed by 2 of 2 release keys"));
    assert!(scene.desk.ok(&["root", "show", "root2.json"]).contains("signed by 2 of its own root keys"));
}
