//! Promise: what is wrong in any one way is refused for that reason, leaves the disk byte for byte as it was, and does not stand in the
//! way of the next good release.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests are tests")]

#[path = "../support/mod.rs"]
mod support;

use relatch::policy::Reason;
use relatch::source::Object;
use relatch::trust::{Digest, DocumentKind};
use relatch::{Error, Outcome, Refusal, Unavailable};
use serde_json::{Value, json};
use support::minisign::{Block, sign_all};
use support::scene::{Stopped, without_state};
use support::tool::install_plain;
use support::{Draft, Key, Scene, fake, now};

const DAY: u64 = 24 * 60 * 60;

struct Row {
    name: &'static str,
    /// Changes release 1.1.0 (epoch 2, number 7) before it is signed; the scene's tool has 1.0.0 (number 6).
    change: fn(&mut Draft, &Scene),
    is: fn(&Refusal) -> bool,
}

macro_rules! row {
    ($name:literal, $change:expr, $($pattern:tt)+) => {
        Row { name: $name, change: $change, is: |refusal| matches!(refusal, $($pattern)+) }
    };
}

mod blobs;
mod documents;
mod signatures;
mod times;

fn draft(scene: &mut Scene) -> Draft {
    scene.repository.draft("1.1.0", &fake("1.1.0"))
}

fn all_refused(rows: &[Row]) {
    for row in rows {
        let mut scene = Scene::new();
        let mut draft = draft(&mut scene);
        (row.change)(&mut draft, &scene);
        scene.repository.publish(&draft);
        scene.refused(row.name, row.is);
        scene.heals(row.name);
    }
}

/// The control of every table here: the untouched draft installs.
#[test]
fn the_release_that_the_tables_change_is_good() {
    let mut scene = Scene::new();
    let draft = draft(&mut scene);
    assert_eq!((draft.version["seq"].as_u64(), draft.version["epoch"].as_u64()), (Some(7), Some(2)));
    scene.repository.publish(&draft);
    scene.updates_to("untouched", "1.1.0", &fake("1.1.0"));
}

#[test]
fn a_wrong_field_of_version_has_its_own_refusal() {
    use DocumentKind::Version;
    all_refused(&[
        row!("product", |draft, _| draft.version["product"] = "gadget".into(),
            Refusal::WrongProduct { document: Version, expected, found }
            if expected.as_str() == "widget" && found.as_str() == "gadget"),
        row!("channel", |draft, _| draft.version["channel"] = "beta".into(),
            Refusal::WrongChannel { document: Version, expected, found }
            if expected.as_str() == "stable" && found.as_str() == "beta"),
        row!("lower epoch", |draft, _| draft.version["epoch"] = 1.into(),
            Refusal::WrongEpoch { document: Version, expected, found } if (expected.get(), found.get()) == (2, 1)),
        row!("higher epoch", |draft, _| draft.version["epoch"] = 3.into(),
            Refusal::WrongEpoch { document: Version, expected, found } if (expected.get(), found.get()) == (2, 3)),
        row!("lower seq", |draft, _| {
                draft.version["seq"] = 5.into();
                draft.manifest["seq"] = 5.into();
            },
            Refusal::Downgrade { epoch, seq, found_epoch, found_seq }
            if (epoch.get(), seq.get(), found_epoch.get(), found_seq.get()) == (2, 6, 2, 5)),
        row!("same seq, other manifest", |draft, _| {
                draft.version["seq"] = 6.into();
                draft.manifest["seq"] = 6.into();
            },
            Refusal::TwoManifests { seq, seen, found } if seq.get() == 6 && seen != found),
        row!("same seq, same manifest, issued before", |draft, scene| {
                *draft = scene.first.clone();
                draft.version["issued"] = (draft.version["issued"].as_u64().unwrap() - 1).into();
            },
            Refusal::OlderIssue { seq, seen, found } if seq.get() == 6 && *seen == *found + 1),
        row!("expired", |draft, _| draft.version["expires"] = (now() - 1).into(),
            Refusal::Expired { document: Version, expires, now } if expires < now),
        row!("issued more than a day ahead", |draft, _| draft.version["issued"] = (now() + DAY + 60).into(),
            Refusal::FromTheFuture { document: Version, issued, clock } if *issued > *clock + DAY),
        row!("another kind of version", |draft, _| {
                draft.version["version"] = "41".into();
                draft.manifest["version"] = "41".into();
            },
            Refusal::KindChanged { known, found } if known.to_string() == "1.0.0" && found.to_string() == "41"),
        row!("first line of another version", |draft, _| draft.first_line = Some("1.0.9".into()),
            Refusal::TwoVersions { line, object } if line == "1.0.9" && object.to_string() == "1.1.0"),
        row!("first line with a space", |draft, _| draft.first_line = Some("1.1.0 ".into()),
            Refusal::TwoVersions { line, .. } if line == "1.1.0 "),
        row!(
            "first line with a carriage return",
            |draft, _| draft.first_line = Some("1.1.0\r".into()),
            Refusal::TwoVersions { .. }
        ),
        row!(
            "empty first line",
            |draft, _| draft.first_line = Some(String::new()),
            Refusal::TwoVersions { .. }
        ),
        row!("type of the future", |draft, _| draft.version["type"] = "relatch-version/2".into(),
            Refusal::UnknownType { document: Version, found } if found == "relatch-version/2"),
        row!("type that never was", |draft, _| draft.version["type"] = "gadget/1".into(),
            Refusal::UnknownType { document: Version, found } if found == "gadget/1"),
        row!("a manifest as VERSION", |draft, _| draft.version = draft.manifest.clone(),
            Refusal::OtherDocument { document: Version, found } if found == "relatch-manifest/1"),
        row!("a root as VERSION", |draft, scene| draft.version = scene.repository.root(),
            Refusal::OtherDocument { document: Version, found } if found == "relatch-root/1"),
        row!(
            "signed by the release key",
            |draft, _| draft.timestamp_keys = draft.release_keys.clone(),
            Refusal::Threshold { document: Version, needed: 1, valid: 0 }
        ),
        row!(
            "signed by the root key",
            |draft, scene| draft.timestamp_keys = scene.repository.root_keys.clone(),
            Refusal::Threshold { document: Version, needed: 1, valid: 0 }
        ),
    ]);
}

#[test]
fn a_wrong_field_of_the_manifest_has_its_own_refusal() {
    use DocumentKind::Manifest;
    all_refused(&[
        row!("product", |draft, _| draft.manifest["product"] = "gadget".into(),
            Refusal::WrongProduct { document: Manifest, expected, found }
            if expected.as_str() == "widget" && found.as_str() == "gadget"),
        row!("channel", |draft, _| draft.manifest["channel"] = "beta".into(),
            Refusal::WrongChannel { document: Manifest, expected, found }
            if expected.as_str() == "stable" && found.as_str() == "beta"),
        row!("lower epoch", |draft, _| draft.manifest["epoch"] = 1.into(),
            Refusal::WrongEpoch { document: Manifest, expected, found } if (expected.get(), found.get()) == (2, 1)),
        row!("higher epoch", |draft, _| draft.manifest["epoch"] = 3.into(),
            Refusal::WrongEpoch { document: Manifest, expected, found } if (expected.get(), found.get()) == (2, 3)),
        row!("lower seq", |draft, _| draft.manifest["seq"] = 6.into(),
            Refusal::WrongSeq { document: Manifest, expected, found } if (expected.get(), found.get()) == (7, 6)),
        row!("higher seq", |draft, _| draft.manifest["seq"] = 8.into(),
            Refusal::WrongSeq { document: Manifest, expected, found } if (expected.get(), found.get()) == (7, 8)),
        row!("an old release relabelled", |draft, _| draft.manifest["version"] = "1.0.1".into(),
            Refusal::WrongVersion { document: Manifest, expected, found }
            if expected.to_string() == "1.1.0" && found.to_string() == "1.0.1"),
        row!(
            "root ahead",
            |draft, _| draft.manifest["root_version"] = 2.into(),
            Refusal::RootAhead { document: Manifest, needed: 2, trusted: 1 }
        ),
        row!("expired", |draft, _| draft.manifest["expires"] = (now() - 1).into(),
            Refusal::Expired { document: Manifest, expires, now } if expires < now),
        row!("issued more than a day ahead", |draft, _| draft.manifest["issued"] = (now() + DAY + 60).into(),
            Refusal::FromTheFuture { document: Manifest, issued, clock } if *issued > *clock + DAY),
        row!("type of the future", |draft, _| draft.manifest["type"] = "relatch-manifest/2".into(),
            Refusal::UnknownType { document: Manifest, found } if found == "relatch-manifest/2"),
        row!("VERSION as manifest", |draft, _| draft.manifest = draft.version.clone(),
            Refusal::OtherDocument { document: Manifest, found } if found == "relatch-version/1"),
        row!("a root as manifest", |draft, scene| draft.manifest = scene.repository.root(),
            Refusal::OtherDocument { document: Manifest, found } if found == "relatch-root/1"),
        row!(
            "signed by the timestamp key",
            |draft, _| draft.release_keys = draft.timestamp_keys.clone(),
            Refusal::Threshold { document: Manifest, needed: 1, valid: 0 }
        ),
        row!(
            "signed by the root key",
            |draft, scene| draft.release_keys = scene.repository.root_keys.clone(),
            Refusal::Threshold { document: Manifest, needed: 1, valid: 0 }
        ),
    ]);
}

/// The small case, one key for all: a document of another role is still not the one that was asked for.
#[test]
fn one_key_for_all_roles_does_not_mix_the_roles() {
    use DocumentKind::{Manifest, Version};
    let scene = || {
        let mut scene = Scene::of(support::Repository::with_keys(&[1], &[1], &[1], [1, 1, 1]));
        let draft = draft(&mut scene);
        (scene, draft)
    };
    let (mut one, mut draft) = scene();
    draft.version = draft.manifest.clone();
    one.repository.publish(&draft);
    one.refused("manifest as VERSION", |refusal| {
        matches!(refusal, Refusal::OtherDocument { document: Version, .. })
    });
    one.heals("manifest as VERSION");
    let (mut other, mut draft) = scene();
    draft.manifest = draft.version.clone();
    other.repository.publish(&draft);
    other.refused("VERSION as manifest", |refusal| {
        matches!(refusal, Refusal::OtherDocument { document: Manifest, .. })
    });
    other.heals("VERSION as manifest");
}

#[test]
fn a_manifest_with_another_hash_than_version_names_is_refused() {
    let mut scene = Scene::new();
    let mut draft = draft(&mut scene);
    scene.repository.publish(&draft);
    let named = scene.repository.current_manifest();
    draft.manifest["notes"] = "another, signed as well".into();
    let other = draft.manifest.to_string();
    scene.repository.write(&Object::Manifest(named), &other);
    let signatures = sign_all(&draft.release_keys, other.as_bytes());
    scene.repository.write(&Object::ManifestSignatures(named), signatures);
    scene.refused("other manifest in its place", |refusal| {
        matches!(refusal, Refusal::WrongDigest { document: DocumentKind::Manifest, expected, found }
            if *expected == named && *found == Digest::of(other.as_bytes()))
    });
    scene.heals("other manifest in its place");
}

fn publish_version(scene: &Scene, signed: &[u8], signatures: &str) {
    std::fs::write(scene.repository.version_path(), [signed, signatures.as_bytes()].concat()).unwrap();
}

fn absent(scene: &Scene, missing: &Object) {
    let before = without_state(scene.tool.snapshot());
    let answer = scene.tool.updater().update(false);
    assert!(
        matches!(&answer, Err(Error::Unavailable(Unavailable::Absent { object, .. })) if object == missing),
        "{missing}: {answer:?}"
    );
    assert_eq!(without_state(scene.tool.snapshot()), before, "{missing}");
}
