//! Downgrade, freeze and mix: what was once right, is right for somebody else, or will be.

use relatch::source::Object;
use relatch::trust::{Digest, DocumentKind};
use serde_json::{Value, json};

use crate::attack::Attack;
use crate::stage::Stage;
use crate::support::minisign::sign_all;
use crate::support::{Draft, Repository, now};
use DocumentKind::{Manifest, Timestamp};

const DAY: u64 = 24 * 60 * 60;

macro_rules! row {
    ($step:literal, $name:literal, $change:expr, $outcome:expr) => {{
        let change: fn(&mut Draft, &Stage) = $change;
        Attack::new($step, $name, move |stage| stage.publish(change), $outcome)
    }};
}

/// A field of both documents.
fn both(draft: &mut Draft, field: &str, value: impl Into<Value>) {
    let value = value.into();
    draft.version[field] = value.clone();
    draft.manifest[field] = value;
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// Each of these is signed as it should be, by a publisher's mistake or by whoever holds the keys of another product or channel.
#[rustfmt::skip]
pub fn for_others() -> Vec<Attack> {
    vec![
        row!("4e", "VERSION of another product", |draft, _| draft.version["product"] = "gadget".into(),
            refused!(WrongProduct { document: Timestamp, expected, found } if expected.as_str() == "widget" && found.as_str() == "gadget")),
        row!("4e", "VERSION of a product that is the beginning of this one", |draft, _| draft.version["product"] = "widge".into(),
            refused!(WrongProduct { document: Timestamp, .. })),
        row!("4f", "VERSION of another channel", |draft, _| draft.version["channel"] = "beta".into(),
            refused!(WrongChannel { document: Timestamp, expected, found } if expected.as_str() == "stable" && found.as_str() == "beta")),
        row!("4g", "VERSION of a lower epoch", |draft, _| draft.version["epoch"] = 1.into(),
            refused!(WrongEpoch { document: Timestamp, expected, found } if (expected.get(), found.get()) == (2, 1))),
        row!("4g", "VERSION of a higher epoch", |draft, _| draft.version["epoch"] = 3.into(),
            refused!(WrongEpoch { document: Timestamp, expected, found } if (expected.get(), found.get()) == (2, 3))),
        row!("5-6", "VERSION of another kind of version", |draft, _| both(draft, "version", "41"),
            refused!(VersionSchemeChanged { known, found } if known.to_string().contains('.') && found.to_string() == "41")),
        row!("4d", "a manifest as VERSION", |draft, _| draft.version = draft.manifest.clone(),
            refused!(OtherDocument { document: Timestamp, found } if found == "relatch-manifest/1")),
        row!("4d", "a root as VERSION", |draft, stage| draft.version = stage.repository.root(),
            refused!(OtherDocument { document: Timestamp, found } if found == "relatch-root/1")),
        row!("4c", "VERSION by the release key", |draft, _| draft.timestamp_keys = draft.release_keys.clone(),
            refused!(Threshold { document: Timestamp, needed: 1, valid: 0 })),
        row!("4c", "VERSION by the root key", |draft, stage| draft.timestamp_keys = stage.repository.root_keys.clone(),
            refused!(Threshold { document: Timestamp, needed: 1, valid: 0 })),
        row!("6d", "VERSION as a manifest", |draft, _| draft.manifest = draft.version.clone(),
            refused!(OtherDocument { document: Manifest, found } if found == "relatch-version/1")),
        row!("6d", "a root as a manifest", |draft, stage| draft.manifest = stage.repository.root(),
            refused!(OtherDocument { document: Manifest, found } if found == "relatch-root/1")),
        row!("6c", "a manifest by the timestamp key", |draft, _| draft.release_keys = draft.timestamp_keys.clone(),
            refused!(Threshold { document: Manifest, needed: 1, valid: 0 })),
        row!("6c", "a manifest by the root key", |draft, stage| draft.release_keys = stage.repository.root_keys.clone(),
            refused!(Threshold { document: Manifest, needed: 1, valid: 0 })),
        row!("6e", "a manifest of another product", |draft, _| draft.manifest["product"] = "gadget".into(),
            refused!(WrongProduct { document: Manifest, expected, found } if expected.as_str() == "widget" && found.as_str() == "gadget")),
        row!("6f", "a manifest of another channel", |draft, _| draft.manifest["channel"] = "beta".into(),
            refused!(WrongChannel { document: Manifest, expected, found } if expected.as_str() == "stable" && found.as_str() == "beta")),
        row!("6g", "a manifest of a lower epoch", |draft, _| draft.manifest["epoch"] = 1.into(),
            refused!(WrongEpoch { document: Manifest, expected, found } if (expected.get(), found.get()) == (2, 1))),
        row!("6g", "a manifest of a higher epoch", |draft, _| draft.manifest["epoch"] = 3.into(),
            refused!(WrongEpoch { document: Manifest, expected, found } if (expected.get(), found.get()) == (2, 3))),
        row!("6h", "a manifest of a lower number", |draft, _| draft.manifest["seq"] = (number(&draft.manifest["seq"]) - 1).into(),
            refused!(WrongSeq { document: Manifest, expected, found } if found.get() + 1 == expected.get())),
        row!("6h", "a manifest of a higher number", |draft, _| draft.manifest["seq"] = (number(&draft.manifest["seq"]) + 1).into(),
            refused!(WrongSeq { document: Manifest, expected, found } if found.get() == expected.get() + 1)),
        row!("6i", "an old release relabelled", |draft, _| draft.manifest["version"] = "0.9.0".into(),
            refused!(WrongVersion { document: Manifest, found, .. } if found.to_string() == "0.9.0")),
        row!("6i", "a release relabelled by a pre-release", |draft, stage| {
                let version = format!("{}-rc.1", stage.next());
                draft.manifest["version"] = version.into();
            },
            refused!(WrongVersion { document: Manifest, .. })),
        row!("6j", "a manifest that needs a root which is not there", |draft, _| draft.manifest["root_version"] = 2.into(),
            refused!(RootAhead { document: Manifest, needed: 2, trusted: 1 })),
    ]
}

table!(documents_for_others, for_others());

#[rustfmt::skip]
pub fn downgrades() -> Vec<Attack> {
    vec![
        row!("4h", "a lower number", |draft, stage| both(draft, "seq", number(&stage.current.version["seq"]) - 1),
            refused!(Downgrade { epoch, seq, found_epoch, found_seq } if epoch == found_epoch && found_seq.get() + 1 == seq.get())),
        row!("4h", "the lowest number", |draft, _| both(draft, "seq", 1), refused!(Downgrade { found_seq, .. } if found_seq.get() == 1)),
        row!("4i", "the same number with another manifest", |draft, stage| both(draft, "seq", number(&stage.current.version["seq"])),
            refused!(Equivocation { seen, found, .. } if seen != found)),
        row!("4h", "the installed release, issued a second before", |draft, stage| {
                *draft = stage.current.clone();
                draft.version["issued"] = (number(&draft.version["issued"]) - 1).into();
            },
            refused!(OlderIssue { seen, found, .. } if *seen == *found + 1)),
        Attack::new("4h", "VERSION of the release before, replayed", |stage| {
            // What the tool was offered before its current release: kept by the attacker, and well signed.
            let before = std::fs::read(stage.repository.version_path()).unwrap();
            stage.heals("a release goes by");
            std::fs::write(stage.repository.version_path(), before).unwrap();
        }, refused!(Downgrade { found_seq, seq, .. } if found_seq < seq)),
        Attack::new("4h", "the installed VERSION, after one that was issued later", |stage| {
            let before = std::fs::read(stage.repository.version_path()).unwrap();
            stage.current.version["issued"] = (number(&stage.current.version["issued"]) + 1).into();
            let renewed = stage.current.clone();
            stage.repository.publish(&renewed);
            stage.runs("a renewal is seen", &stage.installed());
            std::fs::write(stage.repository.version_path(), before).unwrap();
        }, refused!(OlderIssue { .. })),
        Attack::new("8d", "a version below the signed floor, under a higher number", |stage| {
            // A release that this tool does not take says how low it may go.
            let floor = format!("1.0.{}", stage.number + 1);
            stage.publish(|draft, _| {
                both(draft, "version", floor.as_str());
                draft.manifest["min_version"] = floor.as_str().into();
                draft.version["rollout"] = 0.into();
            });
            stage.runs("the floor is seen", &stage.installed());
            stage.publish(|_, _| {});
            stage.number += 1; // what comes next is at the floor
        }, refused_later!(BelowFloor { floor, found } if floor.to_string() != found.to_string())),
    ]
}

table!(downgrades_are_refused, downgrades());

#[rustfmt::skip]
pub fn ages() -> Vec<Attack> {
    let mut rows = Vec::new();
    for (name, at) in [("a second ago", 1), ("a year ago", 365 * DAY)] {
        rows.push(Attack::new("5", format!("VERSION that expired {name}"), move |stage| {
            stage.publish(|draft, _| lives(&mut draft.version, now() - 366 * DAY, now() - at));
        }, refused!(Expired { document: Timestamp, expires, now } if expires < now)));
        rows.push(Attack::new("6k", format!("a manifest that expired {name}"), move |stage| {
            stage.publish(|draft, _| lives(&mut draft.manifest, now() - 366 * DAY, now() - at));
        }, refused!(Expired { document: Manifest, expires, now } if expires < now)));
    }
    rows.extend([
        Attack::new("5", "VERSION issued more than a day ahead", |stage| {
            stage.publish(|draft, _| draft.version["issued"] = (now() + DAY + 3600).into());
        }, refused!(NotYetValid { document: Timestamp, issued, clock } if *issued > *clock + DAY)),
        Attack::new("6k", "a manifest issued more than a day ahead", |stage| {
            stage.publish(|draft, _| draft.manifest["issued"] = (now() + DAY + 3600).into());
        }, refused!(NotYetValid { document: Manifest, issued, clock } if *issued > *clock + DAY)),
        // What was valid at the time that the clock tells: signed times that were seen count for more.
        Attack::new("5", "a clock set back a year, with a VERSION that had not expired then", |stage| {
            stage.publish(|draft, _| lives(&mut draft.version, now() - 366 * DAY, now() - 364 * DAY));
            stage.clock = Some(now() - 365 * DAY);
        }, refused!(Expired { document: Timestamp, expires, now } if *now > *expires + 363 * DAY)),
        Attack::new("6k", "a clock set back a year, with a manifest that had not expired then", |stage| {
            stage.publish(|draft, _| {
                lives(&mut draft.version, now() - 366 * DAY, now() + DAY);
                lives(&mut draft.manifest, now() - 366 * DAY, now() - 364 * DAY);
            });
            stage.clock = Some(now() - 365 * DAY);
        }, refused!(Expired { document: Manifest, expires, now } if *now > *expires + 363 * DAY)),
        Attack::new("5", "a clock set back a year, with what is current", |stage| {
            stage.publish(|_, _| {});
            stage.clock = Some(now() - 365 * DAY);
        }, refused!(NotYetValid { document: Timestamp, issued, clock } if issued > clock)),
        // No time of the system's is kept: the good release afterwards installs by the true one.
        Attack::new("5", "a clock ten years ahead, and then right again: a root of a year", |stage| {
            stage.publish(|_, _| {});
            stage.clock = Some(now() + 3650 * DAY);
        }, refused!(Expired { document: DocumentKind::Root(1), now, expires } if now > expires)),
    ]);
    rows
}

fn lives(document: &mut Value, issued: u64, expires: u64) {
    (document["issued"], document["expires"]) = (issued.into(), expires.into());
}

table!(what_has_expired_or_is_not_yet, ages());

/// Two releases that are right in themselves, A and B, and their parts exchanged.
#[rustfmt::skip]
pub fn mixes() -> Vec<Attack> {
    /// Publishes A, then B, and returns both hashes of manifests; `VERSION` names B's.
    fn two(stage: &mut Stage) -> (Draft, Draft, Digest, Digest) {
        let a = stage.draft();
        stage.repository.publish(&a);
        let of_a = stage.repository.current_manifest();
        let mut b = stage.draft();
        // Another executable of the same size.
        let other: Vec<u8> = b.blobs[0].iter().map(|byte| if *byte == b':' { b'.' } else { *byte }).collect();
        let digest = Digest::of(&other).to_string();
        b.manifest["artifacts"][0]["blake3"] = digest.clone().into();
        b.manifest["artifacts"][0]["stored"][0]["blake3"] = digest.into();
        b.blobs = vec![other];
        stage.repository.publish(&b);
        let of_b = stage.repository.current_manifest();
        assert_ne!(of_a, of_b);
        (a, b, of_a, of_b)
    }
    fn copy(stage: &Stage, from: Object, to: Object) {
        std::fs::copy(stage.repository.path(&from), stage.repository.path(&to)).unwrap();
    }
    vec![
        Attack::new(
            "6c",
            "signatures of manifest A under manifest B",
            |stage| {
                let (.., a, b) = two(stage);
                copy(stage, Object::ManifestSignatures(a), Object::ManifestSignatures(b));
            },
            refused!(Threshold { document: Manifest, needed: 1, valid: 0 }),
        ),
        Attack::new(
            "6a",
            "manifest A, with its signatures, in the place of B",
            |stage| {
                let (.., a, b) = two(stage);
                copy(stage, Object::Manifest(a), Object::Manifest(b));
                copy(stage, Object::ManifestSignatures(a), Object::ManifestSignatures(b));
            },
            refused!(WrongDigest { document: Manifest, expected, found } if expected != found),
        ),
        Attack::new(
            "9",
            "blob A in the place of B",
            |stage| {
                let (a, b, ..) = two(stage);
                copy(stage, Object::Blob(Digest::of(&a.blobs[0])), Object::Blob(Digest::of(&b.blobs[0])));
            },
            refused_later!(BlobDigest { expected, found, .. } if expected != found),
        ),
        Attack::new(
            "6h",
            "VERSION B that names manifest A",
            |stage| {
                let (_, mut b, of_a, _) = two(stage);
                b.version["manifest"] = of_a.to_string().into();
                b.link = false;
                stage.repository.publish(&b);
            },
            refused!(WrongSeq { document: Manifest, expected, found } if expected > found),
        ),
        Attack::new(
            "4c",
            "lines of VERSION B with the signature of A",
            |stage| {
                let (a, ..) = two(stage);
                let of_b = stage.repository.version_lines();
                stage.repository.publish(&a);
                let of_a = stage.repository.version_lines();
                let signatures = sign_all(&a.timestamp_keys, &of_a);
                std::fs::write(stage.repository.version_path(), [of_b, signatures.into()].concat()).unwrap();
            },
            refused!(Threshold { document: Timestamp, needed: 1, valid: 0 }),
        ),
        Attack::new(
            "6c",
            "VERSION over a manifest, in the place of its signatures",
            |stage| {
                let (.., of_b) = two(stage);
                let version = std::fs::read_to_string(stage.repository.version_path()).unwrap();
                let signatures: String = version.split_inclusive('\n').skip(2).collect();
                stage.repository.write(&Object::ManifestSignatures(of_b), signatures);
            },
            refused!(Threshold { document: Manifest, needed: 1, valid: 0 }),
        ),
    ]
}

table!(mixes_of_two_releases, mixes());

/// The small case, one key for all: a document of another role is still not the one that was asked for.
#[test]
fn one_key_for_all_roles_does_not_mix_the_roles() {
    let mut stage = Stage::of(Repository::with_keys(&[1], &[1], &[1], [1, 1, 1]));
    stage.suffers(&row!(
        "4d",
        "a manifest as VERSION, by the one key",
        |draft, _| draft.version = draft.manifest.clone(),
        refused!(OtherDocument { document: Timestamp, .. })
    ));
    stage.suffers(&row!(
        "6d",
        "VERSION as a manifest, by the one key",
        |draft, _| draft.manifest = draft.version.clone(),
        refused!(OtherDocument { document: Manifest, .. })
    ));
    stage.suffers(&row!(
        "6d",
        "a root as a manifest, by the one key",
        |draft, stage| draft.manifest = stage.repository.root(),
        refused!(OtherDocument { document: Manifest, .. })
    ));
    type Document = fn(&Draft) -> Value;
    let documents: [(&str, Document); 2] = [
        ("a manifest as the next root, by the one key", |draft| draft.manifest.clone()),
        ("VERSION as the next root, by the one key", |draft| draft.version.clone()),
    ];
    for (name, document) in documents {
        stage.suffers(&Attack::new(
            "3c",
            name,
            move |stage| {
                let draft = stage.draft();
                stage.repository.publish(&draft);
                stage.repository.write_root(2, &document(&draft), &stage.repository.root_keys);
            },
            refused!(OtherDocument { document: DocumentKind::Root(2), .. }),
        ));
    }
    stage.suffers(&row!(
        "4d",
        "a root as VERSION, by the one key",
        |draft, stage| draft.version = stage.repository.root(),
        refused!(OtherDocument { document: Timestamp, .. })
    ));
}

#[rustfmt::skip]
pub fn withheld() -> Vec<Attack> {
    fn remove(stage: &mut Stage, object: fn(&Stage) -> Object) {
        stage.publish(|_, _| {});
        std::fs::remove_file(stage.repository.path(&object(stage))).unwrap();
    }
    vec![
        Attack::new("4", "VERSION is withheld", |stage| {
            remove(stage, |stage| Object::Version(stage.repository.channel.parse().unwrap()));
        }, unavailable!(Absent { object: Object::Version(_), .. })),
        Attack::new("6", "a manifest is withheld", |stage| {
            remove(stage, |stage| Object::Manifest(stage.repository.current_manifest()));
        }, unavailable!(Absent { object: Object::Manifest(_), .. })),
        Attack::new("6", "the signatures of a manifest are withheld", |stage| {
            remove(stage, |stage| Object::ManifestSignatures(stage.repository.current_manifest()));
        }, unavailable!(Absent { object: Object::ManifestSignatures(_), .. })),
        Attack::new("3", "the signatures of the next root are withheld", |stage| {
            stage.publish(|_, _| {});
            stage.repository.rotate(|_| {});
            let signatures = Object::RootSignatures(stage.repository.root_version);
            std::fs::remove_file(stage.repository.path(&signatures)).unwrap();
        }, unavailable!(Absent { object: Object::RootSignatures(_), .. })),
    ]
}

table!(what_is_withheld, withheld());

/// What is right, and nothing that this tool would install: no error.
#[rustfmt::skip]
pub fn passed_over() -> Vec<Attack> {
    let mut rows = vec![
        row!("8b", "a lower version under a higher number", |draft, _| both(draft, "version", "0.9.0"), nothing!(Current)),
        row!("8b", "a lower version under a higher number, that retracts another one", |draft, _| {
            both(draft, "version", "0.9.0");
            draft.manifest["retracts"] = json!(["0.9.1"]);
        }, nothing!(Current)),
        row!("8b", "a lower version that is critical", |draft, _| {
            both(draft, "version", "0.9.0");
            draft.manifest["critical"] = true.into();
        }, nothing!(Current)),
        row!("8b", "a pre-release of the installed version", |draft, stage| both(draft, "version", format!("{}-rc.1", stage.installed())), nothing!(Current)),
        row!("8b", "the installed version with another executable", |draft, stage| both(draft, "version", stage.installed()), nothing!(Current)),
    ];
    for target in ["tes", "test2", "test.", "test-musl", "x86_64-unknown-linux-gnu"] {
        rows.push(Attack::new("8a", format!("a release for {target}"), move |stage| {
            stage.publish(|draft, _| draft.manifest["artifacts"][0]["target"] = target.into());
        }, nothing!(NoTarget { target: Some(target), .. } if target.as_str() == "test")));
    }
    rows
}

table!(releases_that_are_passed_over, passed_over());

/// All documents but one expire so late that the clock meets that one. When it is right again, all is well.
#[test]
fn a_clock_that_was_ten_years_ahead() {
    const YEARS: u64 = 3650 * DAY;
    let repository = Repository::with_a_past();
    let mut root = repository.root();
    root["expires"] = (now() + 2 * YEARS).into();
    repository.write_root(1, &root, &repository.root_keys);
    let mut stage = Stage::of(repository);
    stage.suffers(&Attack::new(
        "5",
        "a clock ten years ahead, and a VERSION of a week",
        |stage| {
            stage.publish(|draft, _| draft.manifest["expires"] = (now() + 2 * YEARS).into());
            stage.clock = Some(now() + YEARS);
        },
        refused!(Expired { document: Timestamp, expires, now } if now > expires),
    ));
    stage.suffers(&Attack::new(
        "6k",
        "a clock ten years ahead, and a manifest of some months",
        |stage| {
            stage.publish(|draft, _| draft.version["expires"] = (now() + 2 * YEARS).into());
            stage.clock = Some(now() + YEARS);
        },
        refused!(Expired { document: Manifest, expires, now } if now > expires),
    ));
}
