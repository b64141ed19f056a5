//! Promise: keys change by a threshold of the old *and* of the new ones, one number at a time, and never back; and what the client
//! remembers of it may be damaged, but is then reported and made whole by a verified check, never believed and never taken as leave.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests are tests")]

#[path = "../support/mod.rs"]
mod support;

mod damage;

use std::path::Path;

use relatch::policy::Reason;
use relatch::source::Object;
use relatch::trust::DocumentKind;
use relatch::{Error, Machine, Outcome, Refusal, Updater};
use serde_json::{Value, json};
use support::minisign::sign_all;
use support::scene::{Stopped, Warnings, keys};
use support::tool::{install_plain, stderr};
use support::{Key, Repository, Scene, Tool, executable, executable_such, fake, now};

const DAY: u64 = 24 * 60 * 60;
const ROOT_2: DocumentKind = DocumentKind::Root(2);

/// Root keys by seed and the threshold of them.
type Keys = (&'static [u8], u32);

struct Rotation {
    name: &'static str,
    old: Keys,
    new: Keys,
    signers: &'static [u8],
    /// `Err((needed, valid))`: too few of the old ones, or else of the new ones, have signed.
    answer: Result<(), (u32, u32)>,
}

#[test]
fn a_root_needs_a_threshold_of_the_old_and_of_the_new_keys() {
    let rotation = |name, old, new, signers, answer| Rotation { name, old, new, signers, answer };
    for Rotation { name, old, new, signers, answer } in [
        rotation("nothing changes", (&[1], 1), (&[1], 1), &[1], Ok(())),
        rotation("not signed", (&[1], 1), (&[1], 1), &[9], Err((1, 0))),
        rotation("a key is added", (&[1], 1), (&[1, 4], 1), &[1], Ok(())),
        rotation("a key is added by itself", (&[1], 1), (&[1, 4], 1), &[4], Err((1, 0))),
        rotation("a key is removed", (&[1, 4], 1), (&[1], 1), &[1], Ok(())),
        rotation("a key is removed, signed by it alone", (&[1, 4], 1), (&[1], 1), &[4], Err((1, 0))),
        rotation("a key is replaced", (&[1], 1), (&[4], 1), &[1, 4], Ok(())),
        rotation("a key is replaced, by the old alone", (&[1], 1), (&[4], 1), &[1], Err((1, 0))),
        rotation("a key is replaced, by the new alone", (&[1], 1), (&[4], 1), &[4], Err((1, 0))),
        rotation("all keys are replaced", (&[1, 4, 5], 2), (&[6, 7, 8], 2), &[1, 4, 6, 7], Ok(())),
        rotation(
            "all keys are replaced, old one short",
            (&[1, 4, 5], 2),
            (&[6, 7, 8], 2),
            &[1, 6, 7, 8],
            Err((2, 1)),
        ),
        rotation(
            "all keys are replaced, new one short",
            (&[1, 4, 5], 2),
            (&[6, 7, 8], 2),
            &[1, 4, 5, 6],
            Err((2, 1)),
        ),
        rotation("the threshold is raised", (&[1, 4], 1), (&[1, 4], 2), &[1, 4], Ok(())),
        rotation("the threshold is raised, by the old one", (&[1, 4], 1), (&[1, 4], 2), &[1], Err((2, 1))),
        rotation("the threshold is lowered", (&[1, 4], 2), (&[1, 4], 1), &[1, 4], Ok(())),
        rotation("the threshold is lowered, by the new one", (&[1, 4], 2), (&[1, 4], 1), &[1], Err((2, 1))),
        rotation("keys and threshold grow", (&[1], 1), (&[1, 4, 5], 3), &[1, 4, 5], Ok(())),
        rotation("keys and threshold grow, one short", (&[1], 1), (&[1, 4, 5], 3), &[1, 4], Err((3, 2))),
        rotation("other two of three", (&[1, 4, 5], 2), (&[1, 4, 5], 2), &[4, 5], Ok(())),
        rotation("one key signs twice", (&[1, 4], 2), (&[1, 4], 2), &[1, 1], Err((2, 1))),
        rotation("one key signs for two", (&[1, 4, 5], 2), (&[1, 4, 5], 2), &[4, 4, 4, 9], Err((2, 1))),
        rotation("strangers sign as well", (&[1, 4], 2), (&[1, 4], 2), &[9, 1, 10, 4, 11], Ok(())),
        // The release key (20) has no say in roots, and neither has the timestamp key (30).
        rotation("keys of other roles", (&[1], 1), (&[1], 1), &[20, 30], Err((1, 0))),
    ] {
        let mut scene = Scene::of(Repository::with_keys(old.0, &[20], &[30], [old.1, 1, 1]));
        scene.repository.root_keys = keys(new.0);
        scene.repository.thresholds[0] = new.1;
        scene.repository.root_version = 2;
        let root = scene.repository.root();
        scene.repository.write_root(2, &root, &keys(signers));
        scene.repository.release("1.1.0", &fake("1.1.0"));
        if let Err(expected) = answer {
            scene.refused(name, |refusal| {
                matches!(refusal, Refusal::Threshold { document: ROOT_2, needed, valid } if (*needed, *valid) == expected)
            });
            assert_eq!(scene.root_on_disk(), 1, "{name}");
            scene.repository.write_root(2, &root, &keys(&[old.0, new.0].concat()));
        }
        scene.updates_to(name, "1.1.0", &fake("1.1.0"));
        assert_eq!(scene.root_on_disk(), 2, "{name}");
        scene.is_current(name);
    }
}

/// Minisign's key ids are labels: a second one makes no second signer.
#[test]
fn one_key_under_two_ids_is_one_signer() {
    let mut scene = Scene::of(Repository::with_keys(&[1, 4], &[20], &[30], [2, 1, 1]));
    scene.repository.root_version = 2;
    let root = scene.repository.root();
    let (one, other) = (Key::new(1), Key { id: Key::new(4).id, ..Key::new(1) });
    scene.repository.write_root(2, &root, &[one, other]);
    scene.repository.release("1.1.0", &fake("1.1.0"));
    scene.refused("two ids", |refusal| {
        matches!(refusal, Refusal::Threshold { document: ROOT_2, needed: 2, valid: 1 })
    });
    // Both keys under one id are two signers.
    scene.repository.write_root(2, &root, &[Key::new(1), Key { id: Key::new(1).id, ..Key::new(4) }]);
    scene.updates_to("one id", "1.1.0", &fake("1.1.0"));
}

/// Root 2 with one change, signed as it should be by the one root key.
#[test]
fn a_root_that_says_something_wrong_is_refused_for_that() {
    struct Row(&'static str, fn(&mut Value), fn(&Refusal) -> bool);
    macro_rules! row {
        ($name:literal, $change:expr, $($pattern:tt)+) => {
            Row($name, $change, |refusal| matches!(refusal, $($pattern)+))
        };
    }
    fn hex(seed: u8) -> Value {
        Key::new(seed).hex().into()
    }
    fn timestamp(root: &mut Value) -> &mut Value {
        &mut root["roles"]["timestamp"]
    }
    let rows = [
        row!(
            "skipped number",
            |root| root["version"] = 3.into(),
            Refusal::RootNumber { expected: 2, found: 3 }
        ),
        row!(
            "repeated number",
            |root| root["version"] = 1.into(),
            Refusal::RootNumber { expected: 2, found: 1 }
        ),
        row!("number 0", |root| root["version"] = 0.into(),
            Refusal::Malformed { document: ROOT_2, why } if why.contains("version")),
        row!("lower epoch", |root| root["epoch"] = 1.into(),
            Refusal::EpochLowered { version: 2, trusted, found } if (trusted.get(), found.get()) == (2, 1)),
        row!("other product", |root| root["product"] = "gadget".into(),
            Refusal::WrongProduct { document: ROOT_2, expected, found }
            if expected.as_str() == "widget" && found.as_str() == "gadget"),
        row!("issued more than a day ahead", |root| root["issued"] = (now() + DAY + 60).into(),
            Refusal::FromTheFuture { document: ROOT_2, issued, clock } if *issued > *clock + DAY),
        row!("expires when issued", |root| root["expires"] = root["issued"].clone(),
            Refusal::Malformed { document: ROOT_2, why } if why.contains("expires")),
        row!("type of the future", |root| root["type"] = "relatch-root/2".into(),
            Refusal::UnknownType { document: ROOT_2, found } if found == "relatch-root/2"),
        row!("a manifest", |root| root["type"] = "relatch-manifest/1".into(),
            Refusal::OtherDocument { document: ROOT_2, found } if found == "relatch-manifest/1"),
        row!("threshold 0", |root| timestamp(root)["threshold"] = 0.into(),
            Refusal::Malformed { document: ROOT_2, why } if why.contains("threshold 0")),
        row!("root threshold 0", |root| root["roles"]["root"]["threshold"] = 0.into(),
            Refusal::Malformed { document: ROOT_2, why } if why.contains("threshold 0")),
        row!("threshold above the keys", |root| timestamp(root)["threshold"] = 2.into(),
            Refusal::Malformed { document: ROOT_2, why } if why.contains("threshold 2 of 1")),
        row!("a key twice in a role", |root| *timestamp(root) = json!({"keys": [hex(3), hex(3)], "threshold": 2}),
            Refusal::Malformed { document: ROOT_2, why } if why.contains("timestamp")),
        row!("keys of a role unsorted", |root| {
            let mut keys = [Key::new(1).hex(), Key::new(3).hex()];
            keys.sort();
            keys.reverse();
            *timestamp(root) = json!({"keys": keys, "threshold": 1});
        }, Refusal::Malformed { document: ROOT_2, why } if why.contains("timestamp")),
        row!("a role's key that is not listed", |root| timestamp(root)["keys"] = json!([hex(9)]),
            Refusal::Malformed { document: ROOT_2, why } if why.contains("not in `keys`")),
        row!("keys unsorted", |root| root["keys"].as_array_mut().unwrap().reverse(),
            Refusal::Malformed { document: ROOT_2, why } if why.contains("keys")),
        row!("a key listed twice", |root| {
            let first = root["keys"][0].clone();
            root["keys"].as_array_mut().unwrap().insert(0, first);
        }, Refusal::Malformed { document: ROOT_2, why } if why.contains("keys")),
        row!("a key in upper case", |root| {
            let upper = root["keys"][0]["public"].as_str().unwrap().to_uppercase();
            root["keys"].as_array_mut().unwrap().insert(0, json!({"alg": "ed25519", "public": upper}));
        }, Refusal::Malformed { document: ROOT_2, why } if why.contains("lower-case hex")),
        row!("unknown field", |root| root["x"] = 1.into(), Refusal::Malformed { document: ROOT_2, .. }),
        row!(
            "unknown role",
            |root| root["roles"]["mirror"] = root["roles"]["root"].clone(),
            Refusal::Malformed { document: ROOT_2, .. }
        ),
        row!(
            "missing role",
            |root| drop(root["roles"].as_object_mut().unwrap().remove("timestamp")),
            Refusal::Malformed { document: ROOT_2, .. }
        ),
    ];
    for Row(name, change, is) in rows {
        let mut scene = Scene::new();
        scene.repository.root_version = 2;
        let good = scene.repository.root();
        let mut root = good.clone();
        change(&mut root);
        scene.repository.write_root(2, &root, &scene.repository.root_keys);
        scene.repository.release("1.1.0", &fake("1.1.0"));
        scene.refused(name, is);
        assert_eq!(scene.root_on_disk(), 1, "{name}");
        scene.repository.write_root(2, &good, &scene.repository.root_keys);
        scene.updates_to(name, "1.1.0", &fake("1.1.0"));
        assert_eq!(scene.root_on_disk(), 2, "{name}");
    }
}

/// Bytes that are no key to trust, and why. All are of 32 bytes, little-endian y with the sign of x on top.
fn weak_keys() -> Vec<(&'static str, String, &'static str)> {
    let y = |first: u8, rest: u8, last: u8| {
        let mut bytes = [rest; 32];
        (bytes[0], bytes[31]) = (first, last);
        base16ct::lower::encode_string(&bytes)
    };
    vec![
        ("the neutral point", y(1, 0, 0), "small order"),
        ("order 2", y(0xec, 0xff, 0x7f), "small order"),
        ("order 4", y(0, 0, 0), "small order"),
        ("order 4, the other", y(0, 0, 0x80), "small order"),
        ("order 8", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05".into(), "small order"),
        (
            "order 8, the other",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a".into(),
            "small order",
        ),
        ("p for 0", y(0xed, 0xff, 0x7f), "canonical"),
        ("p + 1 for 1", y(0xee, 0xff, 0x7f), "canonical"),
        ("p + 3 for 3, a point of large order", y(0xf0, 0xff, 0x7f), "canonical"),
        ("the neutral point with a sign", y(1, 0, 0x80), "canonical"),
        ("off the curve", y(2, 0, 0), "curve"),
        ("a byte short", "00".repeat(31), "64 hex digits"),
        ("a byte long", "00".repeat(33), "64 hex digits"),
    ]
}

/// Root 1 with `public` as one more key of a role, at threshold 1.
fn with_key(repository: &Repository, role: &str, alg: &str, public: &str) -> Value {
    let mut root = repository.root();
    let keys = root["keys"].as_array_mut().unwrap();
    keys.push(json!({"alg": alg, "public": public}));
    keys.sort_by_key(|key| key["public"].as_str().unwrap().to_owned());
    let held = root["roles"][role]["keys"].as_array_mut().unwrap();
    held.push(public.into());
    held.sort_by_key(|key| key.as_str().unwrap().to_owned());
    root
}

#[test]
fn a_weak_key_is_refused_in_any_role_and_in_the_first_root() {
    for role in ["root", "release", "timestamp"] {
        let mut scene = Scene::new();
        scene.repository.root_version = 2;
        scene.repository.release("1.1.0", &fake("1.1.0"));
        for (name, weak, because) in weak_keys() {
            let root = with_key(&scene.repository, role, "ed25519", &weak);
            scene.repository.write_root(2, &root, &scene.repository.root_keys);
            scene.refused(&format!("{name} for {role}"), |refusal| {
                matches!(refusal, Refusal::WeakKey { document: ROOT_2, public, why } if *public == weak && why.contains(because))
            });
        }
        let root = scene.repository.root();
        scene.repository.write_root(2, &root, &scene.repository.root_keys);
        scene.updates_to(role, "1.1.0", &fake("1.1.0"));
    }
    let mut repository = Repository::new();
    repository.release("1.0.0", &fake("1.0.0"));
    for (name, weak, _) in weak_keys() {
        let root = with_key(&repository, "timestamp", "ed25519", &weak);
        repository.write_root(1, &root, &repository.root_keys);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("widget");
        let answer = install_plain(&repository, &path, false);
        assert!(
            matches!(&answer, Err(Error::Refused(Refusal::WeakKey { document: DocumentKind::Root(1), public, .. })) if *public == weak),
            "{name}: {answer:?}"
        );
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "{name}: something was left behind");
    }
}

/// A key of an algorithm that does not exist yet parses, is remembered, and never counts, whatever bytes it has.
#[test]
fn a_key_of_an_unknown_algorithm_never_counts() {
    let other = Key::new(9);
    for (role, document) in [
        ("root", DocumentKind::Root(3)),
        ("release", DocumentKind::Manifest),
        ("timestamp", DocumentKind::Version),
    ] {
        let mut scene = Scene::new();
        scene.repository.root_version = 2;
        let root = with_key(&scene.repository, role, "ed448", &other.hex());
        scene.repository.write_root(2, &root, &scene.repository.root_keys);
        scene.repository.release("1.1.0", &fake("1.1.0"));
        scene.updates_to(role, "1.1.0", &fake("1.1.0"));
        assert_eq!(scene.root_on_disk(), 2, "{role}");

        let mut draft = scene.repository.draft("1.2.0", &fake("1.2.0"));
        match role {
            "root" => {
                scene.repository.root_version = 3;
                let root = with_key(&scene.repository, role, "ed448", &other.hex());
                scene.repository.write_root(3, &root, std::slice::from_ref(&other));
            }
            "release" => draft.release_keys = vec![other.clone()],
            _ => draft.timestamp_keys = vec![other.clone()],
        }
        scene.repository.publish(&draft);
        scene.refused(role, |refusal| {
            matches!(refusal, Refusal::Threshold { document: told, needed: 1, valid: 0 } if *told == document)
        });
        if role == "root" {
            let root = scene.repository.root();
            scene.repository.write_root(3, &root, &scene.repository.root_keys);
        }
        scene.heals(role);
    }
}

/// A number that is not there ends the chain: what comes after it is never read.
#[test]
fn a_root_behind_a_gap_is_not_read() {
    let mut scene = Scene::new();
    scene.repository.root_version = 3;
    scene.repository.release_keys = keys(&[7]);
    let root = scene.repository.root();
    scene.repository.write_root(3, &root, &scene.repository.root_keys);
    scene.repository.release("1.1.0", &fake("1.1.0")); // by the key of root 3
    scene.refused("behind a gap", |refusal| {
        matches!(refusal, Refusal::Threshold { document: DocumentKind::Manifest, needed: 1, valid: 0 })
    });
    assert_eq!(scene.root_on_disk(), 1);
    let mut root = scene.repository.root();
    root["version"] = 2.into();
    scene.repository.write_root(2, &root, &scene.repository.root_keys);
    scene.updates_to("without the gap", "1.1.0", &fake("1.1.0"));
    assert_eq!(scene.root_on_disk(), 3);
}

#[test]
fn only_the_last_root_must_be_unexpired() {
    let mut scene = Scene::new();
    for number in 2..=3 {
        scene.repository.root_version = number;
        let mut root = scene.repository.root();
        root["issued"] = (now() - 10 * DAY).into();
        root["expires"] = (now() - DAY).into();
        scene.repository.write_root(number, &root, &scene.repository.root_keys);
    }
    scene.repository.release("1.1.0", &fake("1.1.0"));
    let before = scene.tool.snapshot();
    for _ in 0..2 {
        let answer = scene.tool.updater().update(false);
        assert!(
            matches!(answer, Err(Error::Refused(Refusal::Expired { document: DocumentKind::Root(3), expires, now }))
                if expires < now),
            "{answer:?}"
        );
        assert_eq!(scene.root_on_disk(), 3, "verified roots stay");
        assert_eq!(scene.tool.snapshot().0["widget"], before.0["widget"]);
    }
    scene.repository.rotate(|_| {});
    scene.updates_to("a fresh root after expired ones", "1.1.0", &fake("1.1.0"));
    assert_eq!(scene.root_on_disk(), 4);
}

/// The first root counts as well, when no other follows it.
#[test]
fn an_expired_first_root_installs_nothing() {
    let mut scene = Scene::new();
    scene.repository.release("1.1.0", &fake("1.1.0"));
    let before = scene.tool.snapshot();
    let far = now() + 400 * DAY;
    let answer = scene.tool.updater().clock(Stopped(far)).update(false);
    assert!(
        matches!(answer, Err(Error::Refused(Refusal::Expired { document: DocumentKind::Root(1), now, .. })) if now == far),
        "{answer:?}"
    );
    assert_eq!(scene.tool.snapshot(), before);
    scene.heals("expired first root");
}

#[test]
fn a_revoked_key_installs_no_more() {
    type Revoke = fn(&mut Repository);
    let rows: [(&str, DocumentKind, Revoke); 2] = [
        ("release", DocumentKind::Manifest, |repository| repository.release_keys = keys(&[7])),
        ("timestamp", DocumentKind::Version, |repository| repository.timestamp_keys = keys(&[7])),
    ];
    for (name, document, revoke) in rows {
        // The release of the revoked key is there before the client has heard of the new root.
        let mut scene = Scene::new();
        let stolen = scene.repository.draft("1.1.0", &fake("1.1.0"));
        scene.repository.rotate(revoke);
        scene.repository.publish(&stolen);
        let executable = scene.tool.snapshot().0["widget"].clone();
        let answer = scene.tool.updater().update(true);
        assert!(
            matches!(&answer, Err(Error::Refused(Refusal::Threshold { document: told, needed: 1, valid: 0 })) if *told == document),
            "{name}: {answer:?}"
        );
        assert_eq!(scene.root_on_disk(), 2, "{name}");
        assert_eq!(scene.tool.snapshot().0["widget"], executable, "{name}");
        scene.refused(name, |refusal| matches!(refusal, Refusal::Threshold { .. }));
        scene.heals(name);
    }
}

/// With both keys a thief can burn all numbers of an epoch. The next epoch begins at 1 again, and the keys are worth nothing there.
#[test]
fn a_stolen_key_that_signed_the_largest_number_is_ended_by_a_higher_epoch() {
    const LAST: u64 = (1 << 53) - 1;
    let mut scene = Scene::new();
    let mut burnt = scene.repository.draft("1.0.0", &fake("1.0.0"));
    for document in [&mut burnt.manifest, &mut burnt.version] {
        document["seq"] = LAST.into();
        document["min_version"] = Value::Null;
    }
    burnt.version.as_object_mut().unwrap().remove("min_version");
    burnt.manifest["min_version"] = "1.0.0".into();
    scene.repository.publish(&burnt);
    scene.is_current("burnt");
    scene.repository.release("1.1.0", &fake("1.1.0"));
    scene.refused("after the largest number", |refusal| {
        matches!(refusal, Refusal::Downgrade { seq, found_seq, .. } if seq.get() == LAST && found_seq.get() == 8)
    });
    // New keys alone do not help: within the epoch the number stays the highest seen.
    scene.repository.rotate(|repository| {
        repository.release_keys = keys(&[7]);
        repository.timestamp_keys = keys(&[8]);
    });
    scene.repository.release("1.1.0", &fake("1.1.0"));
    let answer = scene.tool.updater().update(false);
    assert!(matches!(answer, Err(Error::Refused(Refusal::Downgrade { .. }))), "{answer:?}");
    scene.repository.rotate(|repository| repository.epoch = 3);
    scene.repository.seq = 0;
    scene.repository.release("1.1.0", &fake("1.1.0"));
    scene.updates_to("a higher epoch", "1.1.0", &fake("1.1.0"));
    assert_eq!(scene.root_on_disk(), 3);
    // What was signed in the old epoch does not come back, by whatever keys.
    burnt.release_keys = scene.repository.release_keys.clone();
    burnt.timestamp_keys = scene.repository.timestamp_keys.clone();
    scene.repository.publish(&burnt);
    scene.refused("the old epoch", |refusal| {
        matches!(refusal, Refusal::WrongEpoch { document: DocumentKind::Version, expected, found }
            if (expected.get(), found.get()) == (3, 2))
    });
    scene.heals("the old epoch");
}

/// Numbers start again under a higher epoch, and are counted there.
#[test]
fn numbers_count_within_the_new_epoch() {
    let mut scene = Scene::new();
    scene.repository.rotate(|repository| repository.epoch = 3);
    scene.repository.seq = 0;
    let first = scene.repository.release("1.1.0", &fake("1.1.0"));
    scene.updates_to("first of the epoch", "1.1.0", &fake("1.1.0"));
    scene.repository.release("1.2.0", &fake("1.2.0"));
    scene.updates_to("second of the epoch", "1.2.0", &fake("1.2.0"));
    scene.repository.publish(&first);
    scene.refused("first again", |refusal| {
        matches!(refusal, Refusal::Downgrade { epoch, seq, found_epoch, found_seq }
            if (epoch.get(), seq.get(), found_epoch.get(), found_seq.get()) == (3, 2, 3, 1))
    });
    scene.heals("first again");
}

#[test]
fn two_of_three_means_two_different_ones() {
    let rows: [(&str, &[u8], bool); 8] = [
        ("none", &[], false),
        ("one", &[11], false),
        ("one twice", &[11, 11], false),
        ("one and a stranger", &[11, 99], false),
        ("first two", &[11, 12], true),
        ("last two", &[12, 13], true),
        ("all", &[13, 12, 11], true),
        ("two among strangers", &[98, 13, 99, 11], true),
    ];
    for (name, signers, good) in rows {
        for document in [DocumentKind::Manifest, DocumentKind::Version] {
            let name = format!("{document}: {name}");
            let mut scene = Scene::of(match document {
                DocumentKind::Manifest => Repository::with_keys(&[1], &[11, 12, 13], &[3], [1, 2, 1]),
                _ => Repository::with_keys(&[1], &[2], &[11, 12, 13], [1, 1, 2]),
            });
            let mut draft = scene.repository.draft("1.1.0", &fake("1.1.0"));
            match document {
                DocumentKind::Manifest => draft.release_keys = keys(signers),
                _ => draft.timestamp_keys = keys(signers),
            }
            scene.repository.publish(&draft);
            if good {
                scene.updates_to(&name, "1.1.0", &fake("1.1.0"));
            } else if signers.is_empty() {
                scene.refused(&name, |refusal| {
                    matches!(refusal, Refusal::SignatureForm { document: told, line: 1, .. } if *told == document)
                });
            } else {
                scene.refused(&name, |refusal| {
                    matches!(refusal, Refusal::Threshold { document: told, needed: 2, valid: 1 } if *told == document)
                });
            }
            scene.heals(&name);
        }
    }
}

/// Within the day after a walk nothing asks for roots, unless something is to be installed or does not verify.
#[test]
fn the_chain_is_walked_daily_and_before_anything_is_installed() {
    let mut scene = Scene::new();
    scene.repository.rotate(|repository| repository.release_keys.push(Key::new(7)));
    scene.is_current("nothing to install");
    assert_eq!(scene.root_on_disk(), 1);
    let answer = scene.tool.updater().clock(Stopped(now() + DAY + 60)).update(false);
    assert!(matches!(answer, Ok(Outcome::Nothing(Reason::Current))), "{answer:?}");
    assert_eq!(scene.root_on_disk(), 2);
}
