//! Promise: an executable is had in the cheapest stored form that can be used here, and what a release lacks for this machine is no error.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests are tests")]

mod support;

use relatch::Finding;
use relatch::source::Object;
use relatch::trust::Digest;
use relatch::{Error, Outcome, Refusal};
use serde_json::{Value, json};
use support::scene::without_state;
use support::tool::install_plain;
use support::{Scene, fake};

/// Some 100 kB that hardly compress; all versions have most of it in common.
fn large(version: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for count in 0..3000_u32 {
        bytes.extend_from_slice(Digest::of(&count.to_le_bytes()).to_string().as_bytes());
    }
    bytes.extend_from_slice(&fake(version));
    bytes
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

fn patch(from: &[u8], to: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = zstd::stream::write::Encoder::with_ref_prefix(Vec::new(), 3, from).unwrap();
    encoder.window_log(20).unwrap();
    encoder.write_all(to).unwrap();
    encoder.finish().unwrap()
}

/// Release 1.1.0 of this executable, stored in these forms alone: encoding, `from`, blob.
fn publish_stored(scene: &mut Scene, executable: &[u8], forms: &[(&str, Option<Digest>, &[u8])]) {
    let mut draft = scene.repository.draft("1.1.0", executable);
    draft.blobs = forms.iter().map(|(.., blob)| blob.to_vec()).collect();
    let stored: Vec<Value> = forms
        .iter()
        .map(|(encoding, from, blob)| {
            let from = from.map(|from| from.to_string());
            json!({"encoding": encoding, "from": from, "size": blob.len(), "blake3": Digest::of(blob).to_string()})
        })
        .collect();
    draft.manifest["artifacts"][0]["stored"] = stored.into();
    scene.repository.publish(&draft);
}

#[test]
fn a_compressed_form_is_decoded() {
    let good = fake("1.1.0");
    let mut scene = Scene::new();
    publish_stored(&mut scene, &good, &[("zstd", None, &zstd(&good))]);
    scene.updates_to("zstd", "1.1.0", &good);
}

#[test]
fn a_patch_is_used_where_it_fits_and_passed_over_where_it_does_not() {
    let (old, good) = (large("1.0.0"), large("1.1.0"));
    let small = patch(&old, &good);
    assert!(small.len() < 2000, "a patch of {} bytes", small.len());
    let scene = || {
        let mut repository = support::Repository::new();
        let first = repository.release("1.0.0", &old);
        let tool = support::Tool::installed_plain(&repository);
        Scene { repository, tool, first }
    };
    let missing = |scene: &Scene, blob: &[u8]| {
        std::fs::remove_file(scene.repository.path(&Object::Blob(Digest::of(blob)))).unwrap();
    };
    let (here, elsewhere) = (Some(Digest::of(&old)), Some(Digest::of(b"never installed here")));

    let mut used = scene();
    publish_stored(&mut used, &good, &[("identity", None, &good), ("zstd-patch", here, &small)]);
    missing(&used, &good); // so that nothing but the patch can be had
    used.updates_to("patch", "1.1.0", &good);

    let mut passed = scene();
    publish_stored(&mut passed, &good, &[("identity", None, &good), ("zstd-patch", elsewhere, &small)]);
    missing(&passed, &small);
    passed.updates_to("patch from another", "1.1.0", &good);

    let mut without = scene();
    publish_stored(&mut without, &good, &[("identity", None, &good), ("zstd-patch", here, &small)]);
    missing(&without, &small);
    without.updates_to("absent patch", "1.1.0", &good);
}

#[test]
fn an_encoding_of_the_future_is_passed_over() {
    let good = fake("1.1.0");
    let mut scene = Scene::new();
    let other = Some(Digest::of(b"x"));
    let forms: &[(&str, _, &[u8])] = &[
        ("brotli", None, b"?"),
        ("identity", None, &good),
        ("zz-patch", None, b"?"),
        ("zz-patch", other, b"?"),
    ];
    publish_stored(&mut scene, &good, forms);
    scene.updates_to("some unknown", "1.1.0", &good);
}

#[test]
fn a_release_without_this_target_is_no_error() {
    for (name, artifacts) in [("other targets", true), ("no targets", false)] {
        let mut scene = Scene::new();
        let mut draft = scene.repository.draft("1.1.0", &fake("1.1.0"));
        draft.manifest["artifacts"][0]["target"] = "tes".into();
        if !artifacts {
            draft.manifest["artifacts"] = json!([]);
        }
        scene.repository.publish(&draft);
        let before = without_state(scene.tool.snapshot());
        let answer = scene.tool.updater().update(true);
        assert!(
            matches!(&answer, Ok(Outcome::Nothing(Finding::NoTarget { version, target }))
                if version.to_string() == "1.1.0" && target.as_ref().is_some_and(|target| target.as_str() == "test")),
            "{name}: {answer:?}"
        );
        assert_eq!(without_state(scene.tool.snapshot()), before, "{name}");
        // The floors advanced: what was current before is a downgrade now.
        scene.repository.publish(&scene.first);
        scene.refused(name, |refusal| matches!(refusal, Refusal::Downgrade { .. }));
        scene.heals(name);
    }
}

/// Whoever installs again over what is there is bound by what was seen there.
#[test]
fn an_installation_anew_keeps_to_the_lowest_version_that_was_signed() {
    let mut scene = Scene::new();
    let mut draft = scene.repository.draft("1.1.0", &fake("1.1.0"));
    draft.manifest["min_version"] = "1.1.0".into();
    scene.repository.publish(&draft);
    scene.updates_to("with a floor", "1.1.0", &fake("1.1.0"));
    let refused = |scene: &Scene, is: fn(&Refusal) -> bool| {
        let before = without_state(scene.tool.snapshot());
        match install_plain(&scene.repository, &scene.tool.path, true) {
            Err(Error::Refused(refusal)) => assert!(is(&refusal), "refused, but as {refusal:?}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(without_state(scene.tool.snapshot()), before, "the disk changed");
    };
    scene.repository.release("1.0.9", &fake("1.0.9"));
    refused(&scene, |refusal| {
        matches!(refusal, Refusal::BelowFloor { floor, found }
            if (floor.to_string(), found.to_string()) == ("1.1.0".into(), "1.0.9".into()))
    });
    scene.repository.release("2", &fake("2"));
    refused(&scene, |refusal| matches!(refusal, Refusal::VersionSchemeChanged { .. }));
    // At the floor itself nothing is wrong.
    scene.repository.release("1.1.0", &fake("1.1.0 again"));
    install_plain(&scene.repository, &scene.tool.path, true).unwrap();
    assert_eq!(std::fs::read(&scene.tool.path).unwrap(), fake("1.1.0 again"));
}
