//! Keys change by a threshold of the old *and* of the new ones, one number at a time, and never back.

use relatch::source::Object;
use relatch::trust::DocumentKind;
use relatch::{Error, Refusal};
use serde_json::{Value, json};

use crate::attack::{Attack, Outcome};
use crate::stage::Stage;
use crate::support::scene::keys;
use crate::support::tool::install_plain;
use crate::support::{Key, Repository, now};

const DAY: u64 = 24 * 60 * 60;

/// Root keys by seed and the threshold of them.
type Keys = (&'static [u8], u32);

/// Root 2 with these keys, signed by those.
fn rotate(stage: &mut Stage, new: Keys, signers: &[Key]) {
    stage.repository.root_keys = keys(new.0);
    stage.repository.thresholds[0] = new.1;
    stage.repository.root_version = 2;
    let root = stage.repository.root();
    stage.repository.write_root(2, &root, signers);
}

type Rotation = (&'static str, Keys, Keys, &'static [u8], Result<(), (&'static str, u32, u32)>);

/// Every shape of a rotation: old keys, new keys, who signed; and where too few did, how many were needed and how many were valid: of the
/// old ones (3b), or else of the new ones (3e).
#[rustfmt::skip]
pub const ROTATIONS: &[Rotation] = &[
        ("nothing changes", (&[1], 1), (&[1], 1), &[1], Ok(())),
        ("not signed by a key of it", (&[1], 1), (&[1], 1), &[9], Err(("3b", 1, 0))),
        ("a key is added", (&[1], 1), (&[1, 4], 1), &[1], Ok(())),
        ("a key is added by itself", (&[1], 1), (&[1, 4], 1), &[4], Err(("3b", 1, 0))),
        ("a key is removed", (&[1, 4], 1), (&[1], 1), &[1], Ok(())),
        ("a key is removed, signed by it alone", (&[1, 4], 1), (&[1], 1), &[4], Err(("3e", 1, 0))),
        ("a key is replaced", (&[1], 1), (&[4], 1), &[1, 4], Ok(())),
        ("a key is replaced, by the old alone", (&[1], 1), (&[4], 1), &[1], Err(("3e", 1, 0))),
        ("a key is replaced, by the new alone", (&[1], 1), (&[4], 1), &[4], Err(("3b", 1, 0))),
        ("all keys are replaced", (&[1, 4, 5], 2), (&[6, 7, 8], 2), &[1, 4, 6, 7], Ok(())),
        ("all keys are replaced, old one short", (&[1, 4, 5], 2), (&[6, 7, 8], 2), &[1, 6, 7, 8], Err(("3b", 2, 1))),
        ("all keys are replaced, new one short", (&[1, 4, 5], 2), (&[6, 7, 8], 2), &[1, 4, 5, 6], Err(("3e", 2, 1))),
        ("the threshold is raised", (&[1, 4], 1), (&[1, 4], 2), &[1, 4], Ok(())),
        ("the threshold is raised, by the old one", (&[1, 4], 1), (&[1, 4], 2), &[1], Err(("3e", 2, 1))),
        ("the threshold is lowered", (&[1, 4], 2), (&[1, 4], 1), &[1, 4], Ok(())),
        ("the threshold is lowered, by the new one", (&[1, 4], 2), (&[1, 4], 1), &[1], Err(("3b", 2, 1))),
        ("keys and threshold grow", (&[1], 1), (&[1, 4, 5], 3), &[1, 4, 5], Ok(())),
        ("keys and threshold grow, one short", (&[1], 1), (&[1, 4, 5], 3), &[1, 4], Err(("3e", 3, 2))),
        ("other two of three", (&[1, 4, 5], 2), (&[1, 4, 5], 2), &[4, 5], Ok(())),
        ("one key signs twice", (&[1, 4], 2), (&[1, 4], 2), &[1, 1], Err(("3b", 2, 1))),
        ("one key signs for two", (&[1, 4, 5], 2), (&[1, 4, 5], 2), &[4, 4, 4, 9], Err(("3b", 2, 1))),
        ("strangers sign as well", (&[1, 4], 2), (&[1, 4], 2), &[9, 1, 10, 4, 11], Ok(())),
        // The release key (20) has no say in roots, and neither has the timestamp key (30).
        ("keys of other roles", (&[1], 1), (&[1], 1), &[20, 30], Err(("3b", 1, 0))),
];

#[test]
fn rotations() {
    for (name, old, new, signers, answer) in ROTATIONS {
        let (old, new, signers) = (*old, *new, *signers);
        let (step, outcome) = match *answer {
            Ok(()) => ("3", Outcome::Harmless),
            Err((step, needed, valid)) => (step, too_few(step, needed, valid)),
        };
        let mut stage = Stage::of(Repository::with_keys(old.0, &[20], &[30], [old.1, 1, 1]));
        stage.suffers(&Attack::new(
            step,
            format!("root 2: {name}"),
            move |stage| {
                rotate(stage, new, &keys(signers));
                stage.publish(|_, _| {});
            },
            outcome,
        ));
        if answer.is_err() {
            assert_eq!(stage.root_on_disk(), 1, "{name}");
            rotate(&mut stage, new, &keys(&[old.0, new.0].concat()));
            stage.heals(name);
        }
        assert_eq!(stage.root_on_disk(), 2, "{name}");
    }
}

/// Of the keys of root 1 (3b), or of its own (3e).
fn too_few(step: &str, needed: u32, valid: u32) -> Outcome {
    let document = DocumentKind::Root(2);
    let expected = match step {
        "3b" => Refusal::Threshold { document, needed, valid },
        _ => Refusal::SelfThreshold { document, needed, valid },
    };
    Outcome::Refused(crate::attack::Answer {
        pattern: format!("{expected:?}"),
        is: Box::new(move |error| crate::attack::is_refusal(error, |refusal| *refusal == expected)),
    })
}

/// Minisign's key ids are labels: a second one makes no second signer, and two keys under one are two.
#[test]
fn one_key_under_two_ids_is_one_signer() {
    let mut stage = Stage::of(Repository::with_keys(&[1, 4], &[20], &[30], [2, 1, 1]));
    let new: Keys = (&[1, 4], 2);
    stage.suffers(&Attack::new(
        "3b",
        "root 2: one key under two ids",
        move |stage| {
            rotate(stage, new, &[Key::new(1), Key { id: Key::new(4).id, ..Key::new(1) }]);
            stage.publish(|_, _| {});
        },
        too_few("3b", 2, 1),
    ));
    stage.suffers(&Attack::new(
        "3",
        "root 2: two keys under one id",
        move |stage| {
            rotate(stage, new, &[Key::new(1), Key { id: Key::new(1).id, ..Key::new(4) }]);
            stage.publish(|_, _| {});
        },
        Outcome::Harmless,
    ));
    assert_eq!(stage.root_on_disk(), 2);
}

/// Root 2 with one change, signed as it should be by the one root key.
#[rustfmt::skip]
pub fn wrong_roots() -> Vec<Attack> {
    const ROOT_2: DocumentKind = DocumentKind::Root(2);
    macro_rules! row {
        ($step:literal, $name:literal, $change:expr, $($pattern:tt)+) => {{
            let change: fn(&mut Value) = $change;
            Attack::new($step, concat!("root 2: ", $name), move |stage| {
                stage.publish(|_, _| {});
                stage.repository.root_version = 2;
                let mut root = stage.repository.root();
                change(&mut root);
                stage.repository.write_root(2, &root, &stage.repository.root_keys);
            }, refused!($($pattern)+))
        }};
    }
    fn hex(seed: u8) -> Value {
        Key::new(seed).hex().into()
    }
    fn timestamp(root: &mut Value) -> &mut Value {
        &mut root["roles"]["timestamp"]
    }
    fn in_both(root: &mut Value, role: &str, public: &str) {
        let keys = root["keys"].as_array_mut().unwrap();
        keys.push(json!({"alg": "ed25519", "public": public}));
        keys.sort_by_key(|key| key["public"].as_str().unwrap().to_owned());
        let held = root["roles"][role]["keys"].as_array_mut().unwrap();
        held.push(public.into());
        held.sort_by_key(|key| key.as_str().unwrap().to_owned());
    }
    let mut rows = vec![
        row!("3f", "skipped number", |root| root["version"] = 3.into(), RootNumber { expected: 2, found: 3 }),
        row!("3f", "repeated number", |root| root["version"] = 1.into(), RootNumber { expected: 2, found: 1 }),
        row!("3f", "the highest number", |root| root["version"] = ((1_u64 << 53) - 1).into(), RootNumber { expected: 2, .. }),
        row!("3c", "number 0", |root| root["version"] = 0.into(), Malformed { document: ROOT_2, why } if why.contains("version")),
        row!("3h", "lower epoch", |root| root["epoch"] = 1.into(),
            EpochLowered { version: 2, trusted, found } if (trusted.get(), found.get()) == (2, 1)),
        row!("3g", "of another product", |root| root["product"] = "gadget".into(),
            WrongProduct { document: ROOT_2, expected, found } if expected.as_str() == "widget" && found.as_str() == "gadget"),
        row!("3i", "issued more than a day ahead", |root| root["issued"] = (now() + DAY + 3600).into(),
            NotYetValid { document: ROOT_2, issued, clock } if *issued > *clock + DAY),
        row!("3c", "expires when issued", |root| root["expires"] = root["issued"].clone(),
            Malformed { document: ROOT_2, why } if why.contains("expires")),
        row!("3c", "type of the future", |root| root["type"] = "relatch-root/2".into(),
            UnknownType { document: ROOT_2, found } if found == "relatch-root/2"),
        row!("3c", "a manifest", |root| root["type"] = "relatch-manifest/1".into(),
            OtherDocument { document: ROOT_2, found } if found == "relatch-manifest/1"),
        row!("3c", "threshold 0", |root| timestamp(root)["threshold"] = 0.into(),
            Malformed { document: ROOT_2, why } if why.contains("threshold 0")),
        row!("3c", "root threshold 0", |root| root["roles"]["root"]["threshold"] = 0.into(),
            Malformed { document: ROOT_2, why } if why.contains("threshold 0")),
        row!("3c", "threshold above the keys", |root| timestamp(root)["threshold"] = 2.into(),
            Malformed { document: ROOT_2, why } if why.contains("threshold 2 of 1")),
        row!("3c", "threshold 2^32", |root| timestamp(root)["threshold"] = (1_u64 << 32).into(), Malformed { document: ROOT_2, .. }),
        row!("3c", "no keys in a role", |root| *timestamp(root) = json!({"keys": [], "threshold": 1}),
            Malformed { document: ROOT_2, why } if why.contains("threshold 1 of 0")),
        row!("3c", "a key twice in a role", |root| *timestamp(root) = json!({"keys": [hex(3), hex(3)], "threshold": 2}),
            Malformed { document: ROOT_2, why } if why.contains("timestamp")),
        row!("3c", "keys of a role unsorted", |root| {
            let mut keys = [Key::new(1).hex(), Key::new(3).hex()];
            keys.sort();
            keys.reverse();
            *timestamp(root) = json!({"keys": keys, "threshold": 1});
        }, Malformed { document: ROOT_2, why } if why.contains("timestamp")),
        row!("3c", "a role's key that is not listed", |root| timestamp(root)["keys"] = json!([hex(9)]),
            Malformed { document: ROOT_2, why } if why.contains("not in `keys`")),
        row!("3c", "a role's key with an escape sequence", |root| timestamp(root)["keys"] = json!(["\u{1b}[2J"]),
            Malformed { document: ROOT_2, why } if why.contains("not in `keys`")),
        row!("3c", "keys unsorted", |root| root["keys"].as_array_mut().unwrap().reverse(),
            Malformed { document: ROOT_2, why } if why.contains("keys")),
        row!("3c", "a key listed twice", |root| {
            let first = root["keys"][0].clone();
            root["keys"].as_array_mut().unwrap().insert(0, first);
        }, Malformed { document: ROOT_2, why } if why.contains("keys")),
        row!("3c", "a key in upper case", |root| {
            let upper = root["keys"][0]["public"].as_str().unwrap().to_uppercase();
            root["keys"].as_array_mut().unwrap().insert(0, json!({"alg": "ed25519", "public": upper}));
        }, Malformed { document: ROOT_2, why } if why.contains("lower-case hex")),
        row!("3c", "an algorithm with an escape sequence", |root| root["keys"][0]["alg"] = "\u{1b}[2J".into(),
            Malformed { document: ROOT_2, why } if why.contains("is not a name")),
        row!("3c", "a product that is a path", |root| root["product"] = "../widget".into(),
            Malformed { document: ROOT_2, why } if why.contains("is not a name")),
        row!("3c", "unknown field", |root| root["x"] = 1.into(), Malformed { document: ROOT_2, .. }),
        row!("3c", "unknown role", |root| root["roles"]["mirror"] = root["roles"]["root"].clone(), Malformed { document: ROOT_2, .. }),
        row!("3c", "missing role", |root| drop(root["roles"].as_object_mut().unwrap().remove("timestamp")), Malformed { document: ROOT_2, .. }),
    ];
    for (weak, public, because) in weak_keys() {
        for role in ["root", "release", "timestamp"] {
            let public = public.clone();
            let told = public.clone();
            let answer = crate::attack::Answer {
                pattern: format!("WeakKey {{ document: Root(2), why: {because:?} .. }}"),
                is: Box::new(move |error| matches!(error, Error::Refused(Refusal::WeakKey { document: ROOT_2, public, why })
                    if *public == told && why.contains(because))),
            };
            rows.push(Attack::new("3d", format!("root 2: {weak} as a key of role {role}"), move |stage| {
                stage.publish(|_, _| {});
                stage.repository.root_version = 2;
                let mut root = stage.repository.root();
                in_both(&mut root, role, &public);
                stage.repository.write_root(2, &root, &stage.repository.root_keys);
            }, Outcome::Refused(answer)));
        }
    }
    rows
}

table!(roots_that_say_something_wrong, wrong_roots());

/// An old root in the place of the next one: signed by those who may sign it, and all right but for its number.
#[test]
fn older_roots_as_the_next_one() {
    let mut stage = Stage::new();
    stage.repository.rotate(|_| {});
    stage.repository.rotate(|_| {});
    stage.heals("root 3");
    assert_eq!(stage.root_on_disk(), 3);
    for (older, answer) in [
        (1, refused!(RootNumber { expected: 4, found: 1 })),
        (2, refused!(RootNumber { expected: 4, found: 2 })),
        (3, refused!(RootNumber { expected: 4, found: 3 })),
    ] {
        let replay = move |stage: &mut Stage| {
            stage.publish(|_, _| {});
            for (from, to) in [
                (Object::Root(older), Object::Root(4)),
                (Object::RootSignatures(older), Object::RootSignatures(4)),
            ] {
                let content = std::fs::read(stage.repository.path(&from)).unwrap();
                stage.repository.write(&to, content);
            }
        };
        stage.suffers(&Attack::new("3f", format!("root {older} as root 4"), replay, answer));
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

/// The root that a person gives at the first install is looked at in the same way.
#[test]
fn a_weak_key_in_the_first_root_installs_nothing() {
    let mut repository = Repository::new();
    repository.release("1.0.0", b"#!/bin/sh\n");
    for (name, weak, _) in weak_keys() {
        let mut root = repository.root();
        root["keys"] = json!([{"alg": "ed25519", "public": weak}]);
        for role in ["root", "release", "timestamp"] {
            root["roles"][role]["keys"] = json!([weak]);
        }
        repository.write_root(1, &root, &repository.root_keys);
        let dir = tempfile::tempdir().unwrap();
        let answer = install_plain(&repository, &dir.path().canonicalize().unwrap().join("widget"), false);
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
    fn with_key(repository: &Repository, role: &str, public: &str) -> Value {
        let mut root = repository.root();
        let keys = root["keys"].as_array_mut().unwrap();
        keys.push(json!({"alg": "ed448", "public": public}));
        keys.sort_by_key(|key| key["public"].as_str().unwrap().to_owned());
        let held = root["roles"][role]["keys"].as_array_mut().unwrap();
        held.push(public.into());
        held.sort_by_key(|key| key.as_str().unwrap().to_owned());
        root
    }
    for (role, step, outcome) in [
        ("root", "3b", refused!(Threshold { document: DocumentKind::Root(3), needed: 1, valid: 0 })),
        ("release", "6c", refused!(Threshold { document: DocumentKind::Manifest, needed: 1, valid: 0 })),
        ("timestamp", "4c", refused!(Threshold { document: DocumentKind::Timestamp, needed: 1, valid: 0 })),
    ] {
        let mut stage = Stage::new();
        stage.repository.root_version = 2;
        let root = with_key(&stage.repository, role, &Key::new(9).hex());
        stage.repository.write_root(2, &root, &stage.repository.root_keys);
        stage.heals("such a key is there");
        assert_eq!(stage.root_on_disk(), 2, "{role}");
        let name = format!("signed by a key of role {role} of an unknown algorithm alone");
        stage.suffers(&Attack::new(
            step,
            name,
            move |stage| {
                let other = Key::new(9);
                let mut draft = stage.draft();
                match role {
                    "root" => {
                        stage.repository.root_version = 3;
                        let root = with_key(&stage.repository, role, &other.hex());
                        stage.repository.write_root(3, &root, std::slice::from_ref(&other));
                    }
                    "release" => draft.release_keys = vec![other.clone()],
                    _ => draft.timestamp_keys = vec![other.clone()],
                }
                stage.repository.publish(&draft);
            },
            outcome,
        ));
    }
}

/// Two of three means two different ones, for manifests and for `VERSION`.
#[test]
fn thresholds() {
    let rows: [(&str, &'static [u8], Option<u32>); 8] = [
        ("none of three", &[], None),
        ("one", &[11], Some(1)),
        ("one twice", &[11, 11], Some(1)),
        ("one and a stranger", &[11, 99], Some(1)),
        ("first two", &[11, 12], Some(2)),
        ("last two", &[12, 13], Some(2)),
        ("all", &[13, 12, 11], Some(3)),
        ("two among strangers", &[98, 13, 99, 11], Some(2)),
    ];
    for document in [DocumentKind::Manifest, DocumentKind::Timestamp] {
        let is_manifest = document == DocumentKind::Manifest;
        let mut stage = Stage::of(match is_manifest {
            true => Repository::with_keys(&[1], &[11, 12, 13], &[3], [1, 2, 1]),
            false => Repository::with_keys(&[1], &[2], &[11, 12, 13], [1, 1, 2]),
        });
        for (name, signers, valid) in rows {
            let (step, outcome) = match (valid, is_manifest) {
                (None, true) => {
                    ("6b", refused!(SignatureForm { document: DocumentKind::Manifest, line: 1, .. }))
                }
                (None, false) => {
                    ("4b", refused!(SignatureForm { document: DocumentKind::Timestamp, line: 1, .. }))
                }
                (Some(1), true) => {
                    ("6c", refused!(Threshold { document: DocumentKind::Manifest, needed: 2, valid: 1 }))
                }
                (Some(1), false) => {
                    ("4c", refused!(Threshold { document: DocumentKind::Timestamp, needed: 2, valid: 1 }))
                }
                (Some(_), true) => ("6c", Outcome::Harmless),
                (Some(_), false) => ("4c", Outcome::Harmless),
            };
            let sign = move |stage: &mut Stage| {
                stage.publish(|draft, _| match is_manifest {
                    true => draft.release_keys = keys(signers),
                    false => draft.timestamp_keys = keys(signers),
                });
            };
            stage.suffers(&Attack::new(step, format!("{document} by {name}"), sign, outcome));
        }
    }
}
