//! An executable is exactly what was signed, in whatever form it is stored.

use super::*;

#[test]
fn an_executable_is_exactly_what_was_signed() {
    let good = fake("1.1.0");
    let digest = Digest::of(&good);
    let size = good.len() as u64;
    type Is = fn(&Refusal, &Object, u64) -> bool;
    let short: Is = |refusal, blob, size| {
        matches!(refusal, Refusal::Short { object, expected, found }
            if object == blob && *expected == size && *found < size)
    };
    let long: Is = |refusal, blob, size| matches!(refusal, Refusal::Long { object, expected } if object == blob && *expected == size);
    let other: Is = |refusal, blob, _| matches!(refusal, Refusal::BlobDigest { object, expected, found } if object == blob && expected != found);
    let altered = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    for (name, bytes, is) in [
        ("empty", Vec::new(), short),
        ("one byte short", good[..good.len() - 1].to_vec(), short),
        ("one byte long", [&good[..], b"\n"].concat(), long),
        ("much too long", good.repeat(100_000), long),
        ("first byte altered", altered(0), other),
        ("last byte altered", altered(good.len() - 1), other),
        ("another of the same size", fake("6.6.6"), other),
    ] {
        let mut scene = Scene::new();
        scene.repository.release("1.1.0", &good);
        let blob = Object::Blob(digest);
        scene.repository.write(&blob, bytes);
        scene.refused_with_floors(name, |refusal| is(refusal, &blob, size));
        // The same release installs as soon as its blob is right.
        scene.repository.write(&blob, &good);
        scene.updates_to(name, "1.1.0", &good);
        scene.heals(name);
    }
    let mut scene = Scene::new();
    scene.repository.release("1.1.0", &good);
    std::fs::remove_file(scene.repository.path(&Object::Blob(digest))).unwrap();
    absent(&scene, &Object::Blob(digest));
    scene.heals("absent");
}

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
fn a_compressed_form_decodes_to_what_was_signed_or_is_refused() {
    let good = fake("1.1.0");
    let frame = zstd(&good);
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], b"skip"].concat();
    let mut damaged = frame.clone();
    damaged[5] ^= 0xff;
    for (name, blob) in [
        ("a byte after the frame", [&frame[..], b"\0"].concat()),
        ("a second frame", [&frame[..], &frame].concat()),
        ("an empty second frame", [&frame[..], &zstd(b"")].concat()),
        ("a skippable frame behind", [&frame[..], &skippable].concat()),
        ("a byte too few inside", zstd(&good[..good.len() - 1])),
        ("nothing inside", zstd(b"")),
        ("another of the same size inside", zstd(&fake("6.6.6"))),
        ("a truncated frame", frame[..frame.len() - 1].to_vec()),
        ("the magic number alone", frame[..4].to_vec()),
        ("a damaged header", damaged),
        ("no frame at all", good.clone()),
    ] {
        let mut scene = Scene::new();
        publish_stored(&mut scene, &good, &[("zstd", None, &blob)]);
        scene.refused_with_floors(name, |refusal| {
            matches!(refusal, Refusal::Undecodable { object: Object::Blob(digest), .. } if *digest == Digest::of(&blob))
        });
        scene.heals(name);
    }
    // Too much is told when it comes, not when all of it is on the disk.
    for (name, blob) in
        [("a byte too much inside", zstd(&[&good[..], b"x"].concat())), ("a bomb", zstd(&vec![0; 64 << 20]))]
    {
        let mut scene = Scene::new();
        publish_stored(&mut scene, &good, &[("zstd", None, &blob)]);
        scene.refused_with_floors(name, |refusal| {
            matches!(refusal, Refusal::Undecodable { object: Object::Blob(digest), why }
                if *digest == Digest::of(&blob) && why.contains("goes on after"))
        });
        scene.heals(name);
    }
    let mut scene = Scene::new();
    publish_stored(&mut scene, &good, &[("zstd", None, &frame)]);
    scene.updates_to("zstd", "1.1.0", &good);
}

/// No decoder sees bytes whose hash was not checked: what is altered on its way is told as that, not as a fault of the frame.
#[test]
fn an_altered_frame_never_reaches_the_decoder() {
    let good = fake("1.1.0");
    let frame = zstd(&good);
    let mut scene = Scene::new();
    publish_stored(&mut scene, &good, &[("zstd", None, &frame)]);
    let mut altered = frame.clone();
    altered[0] ^= 1;
    scene.repository.write(&Object::Blob(Digest::of(&frame)), altered);
    scene.refused_with_floors("altered", |refusal| matches!(refusal, Refusal::BlobDigest { .. }));
    scene.heals("altered");
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

    let mut wrong = scene();
    publish_stored(&mut wrong, &good, &[("zstd-patch", here, &patch(&old, &large("6.6.6")))]);
    wrong.refused_with_floors("patch to another", |refusal| matches!(refusal, Refusal::Undecodable { .. }));
    wrong.heals("patch to another");

    let mut unusable = scene();
    publish_stored(&mut unusable, &good, &[("zstd-patch", elsewhere, &small)]);
    unusable.refused_with_floors(
        "only a patch from another",
        |refusal| matches!(refusal, Refusal::NoUsableForm { offered } if offered == "zstd-patch"),
    );
    unusable.heals("only a patch from another");
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

    let mut scene = Scene::new();
    publish_stored(&mut scene, &good, &[("brotli", None, b"?"), ("xz", None, b"?")]);
    scene.refused_with_floors(
        "all unknown",
        |refusal| matches!(refusal, Refusal::NoUsableForm { offered } if offered == "brotli, xz"),
    );
    scene.heals("all unknown");
}

#[test]
fn a_release_without_this_target_is_no_error() {
    for (name, artifacts) in [("other targets", true), ("no targets", false)] {
        let mut scene = Scene::new();
        let mut draft = draft(&mut scene);
        draft.manifest["artifacts"][0]["target"] = "tes".into();
        if !artifacts {
            draft.manifest["artifacts"] = json!([]);
        }
        scene.repository.publish(&draft);
        let before = without_state(scene.tool.snapshot());
        let answer = scene.tool.updater().update(true);
        assert!(
            matches!(&answer, Ok(Outcome::Nothing(Reason::NoTarget { version, target }))
                if version.to_string() == "1.1.0" && target.as_str() == "test"),
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
    let mut draft = draft(&mut scene);
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
    refused(&scene, |refusal| matches!(refusal, Refusal::KindChanged { .. }));
    // At the floor itself nothing is wrong.
    scene.repository.release("1.1.0", &fake("1.1.0 again"));
    install_plain(&scene.repository, &scene.tool.path, true).unwrap();
    assert_eq!(std::fs::read(&scene.tool.path).unwrap(), fake("1.1.0 again"));
}
