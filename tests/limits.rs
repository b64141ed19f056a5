//! Promise: every limit of a document holds to the byte. At its value the release installs; one above it is refused, and nothing is
//! cut off to make it fit.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests are tests")]

mod support;

use relatch::limits::{self, ByteLimit};
use relatch::source::Object;
use relatch::trust::{Digest, DocumentKind};
use relatch::{Error, Outcome, Refusal};
use serde_json::{Value, json};
use support::scene::{Stopped, Warnings};
use support::{Draft, Key, Repository, Scene, Tool, fake, now};

const MAX: u64 = (1 << 53) - 1;
const DAY: u64 = 24 * 60 * 60;

/// The numbers of the format, which other implementations share: no test below would notice if they moved.
#[test]
fn the_limits_are_those_of_the_format() {
    assert_eq!(limits::VERSION_FILE, ByteLimit(8 * 1024));
    assert_eq!(limits::SIGNATURES, ByteLimit(8 * 1024));
    assert_eq!(limits::ROOT, ByteLimit(64 * 1024));
    assert_eq!(limits::MANIFEST, ByteLimit(64 * 1024));
    assert_eq!(limits::COMMENT_LINE, 1024);
    assert_eq!(limits::VERSION_BYTES, 128);
    assert_eq!(limits::INTEGER, 1 << 53);
    assert_eq!(limits::NEW_ROOTS, 32);
    assert_eq!(limits::ZSTD_WINDOW_LOG, 27);
    assert_eq!(limits::FUTURE, 24 * 60 * 60);
}

/// A signature text of exactly `size` bytes: the good one, then well-formed ones of a stranger with long comments.
fn padded(good: &str, message: &[u8], size: usize) -> String {
    const COMMENT: usize = 1024 - "untrusted comment: ".len();
    let mut block = Key::new(99).block(message);
    block.untrusted = String::new();
    let (smallest, mut text) = (block.to_text().len(), good.to_owned());
    let mut blocks = (size - good.len()).div_ceil(smallest + COMMENT);
    let mut comments = size - good.len() - blocks * smallest;
    while blocks > 0 {
        block.untrusted = "x".repeat(comments.div_ceil(blocks));
        comments -= block.untrusted.len();
        blocks -= 1;
        text += &block.to_text();
    }
    assert_eq!(text.len(), size);
    text
}

/// Installs at the limit, is refused one above it as too large, and installs what comes next.
fn holds(name: &str, limit: ByteLimit, publish: impl Fn(&mut Scene, usize) -> Object) {
    assert!(usize::try_from(limit.0).is_ok());
    let limit = limit.0 as usize;
    let mut at = Scene::new();
    publish(&mut at, limit);
    at.updates_to(name, "1.1.0", &fake("1.1.0"));
    at.heals(name);
    let mut above = Scene::new();
    let too_large = publish(&mut above, limit + 1);
    assert_eq!(
        std::fs::metadata(above.repository.path(&too_large)).unwrap().len(),
        limit as u64 + 1,
        "{name}"
    );
    above.refused(name, |refusal| {
        matches!(refusal, Refusal::Oversized { object, limit: told } if *object == too_large && *told == limit as u64)
    });
    if let Object::Root(_) | Object::RootSignatures(_) = too_large {
        let root = above.repository.root();
        above.repository.write_root(2, &root, &above.repository.root_keys);
    }
    above.heals(name);
}

#[test]
fn version() {
    holds("VERSION", limits::VERSION_FILE, |scene, size| {
        let mut draft = scene.repository.draft("1.1.0", &fake("1.1.0"));
        scene.repository.publish(&draft);
        draft.version["manifest"] = scene.repository.current_manifest().to_string().into();
        let signed = format!("1.1.0\n{}\n", draft.version);
        let good = draft.timestamp_keys[0].sign(signed.as_bytes());
        let object = Object::Version(scene.repository.channel.parse().unwrap());
        let text = format!("{signed}{}", padded(&good, signed.as_bytes(), size - signed.len()));
        scene.repository.write(&object, text);
        object
    });
}

#[test]
fn manifest() {
    holds("manifest", limits::MANIFEST, |scene, size| {
        let mut draft = scene.repository.draft("1.1.0", &fake("1.1.0"));
        let rest = size - draft.manifest.to_string().len();
        draft.manifest["notes"] = "n".repeat(rest).into();
        scene.repository.publish(&draft);
        Object::Manifest(scene.repository.current_manifest())
    });
}

#[test]
fn signatures_of_a_manifest() {
    holds("signatures of a manifest", limits::SIGNATURES, |scene, size| {
        let draft = scene.repository.release("1.1.0", &fake("1.1.0"));
        let message = draft.manifest.to_string().into_bytes();
        let object = Object::ManifestSignatures(scene.repository.current_manifest());
        scene.repository.write(&object, padded(&draft.release_keys[0].sign(&message), &message, size));
        object
    });
}

/// Root 2 of exactly this size: keys of algorithms that do not exist yet, with names of the length that is missing.
fn large_root(scene: &mut Scene, size: usize) -> Vec<u8> {
    const NAME: usize = 64;
    scene.repository.root_version = 2;
    let mut root = scene.repository.root();
    let smallest = r#",{"alg":"","public":""}"#.len() + 64;
    let rest = size - root.to_string().len();
    let mut count = rest.div_ceil(smallest + NAME);
    let mut names = rest - count * smallest;
    let keys = root["keys"].as_array_mut().unwrap();
    while count > 0 {
        let name = "x".repeat(names.div_ceil(count));
        names -= name.len();
        count -= 1;
        keys.push(json!({"alg": name, "public": Digest::of(&count.to_le_bytes()).to_string()}));
    }
    keys.sort_by_key(|key| key["public"].as_str().unwrap().to_owned());
    let bytes = root.to_string().into_bytes();
    assert_eq!(bytes.len(), size);
    bytes
}

#[test]
fn root() {
    holds("root", limits::ROOT, |scene, size| {
        let root = large_root(scene, size);
        scene.repository.write(&Object::RootSignatures(2), scene.repository.root_keys[0].sign(&root));
        scene.repository.write(&Object::Root(2), root);
        scene.repository.release("1.1.0", &fake("1.1.0"));
        Object::Root(2)
    });
}

#[test]
fn signatures_of_a_root() {
    holds("signatures of a root", limits::SIGNATURES, |scene, size| {
        scene.repository.root_version = 2;
        let root = scene.repository.root().to_string().into_bytes();
        let signatures = padded(&scene.repository.root_keys[0].sign(&root), &root, size);
        scene.repository.write(&Object::Root(2), root);
        scene.repository.write(&Object::RootSignatures(2), signatures);
        scene.repository.release("1.1.0", &fake("1.1.0"));
        Object::RootSignatures(2)
    });
}

/// What was accepted is also what can be read back: the largest root with the most signatures is not a damaged one.
#[test]
fn the_largest_root_is_remembered() {
    let mut scene = Scene::new();
    let root = large_root(&mut scene, 64 * 1024);
    let signatures = padded(&scene.repository.root_keys[0].sign(&root), &root, 8 * 1024);
    scene.repository.write(&Object::Root(2), root);
    scene.repository.write(&Object::RootSignatures(2), signatures);
    scene.repository.release("1.1.0", &fake("1.1.0"));
    scene.updates_to("largest root", "1.1.0", &fake("1.1.0"));
    assert_eq!(scene.root_on_disk(), 2);
    let warnings = Warnings::default();
    let again = scene.tool.updater().reporter(warnings.clone()).update(false);
    assert!(matches!(again, Ok(Outcome::Nothing(_))), "{again:?}");
    assert_eq!(warnings.take(), [""; 0]);
}

fn roots(count: u64) -> Scene {
    let mut scene = Scene::new();
    for _ in 0..count {
        scene.repository.rotate(|_| {});
    }
    scene.repository.release("1.1.0", &fake("1.1.0"));
    scene
}

#[test]
fn thirty_two_new_roots_are_walked_at_once() {
    let scene = roots(32);
    scene.updates_to("32 roots", "1.1.0", &fake("1.1.0"));
    assert_eq!(scene.root_on_disk(), 33);
}

#[test]
fn one_more_root_ends_the_check_and_the_next_check_goes_on_there() {
    let scene = roots(33);
    let mut before = scene.tool.snapshot();
    let answer = scene.tool.updater().update(false);
    assert!(
        matches!(answer, Err(relatch::Error::Refused(Refusal::TooManyRoots { limit: 32, trusted: 33 }))),
        "{answer:?}"
    );
    assert_eq!(scene.root_on_disk(), 33);
    let mut after = scene.tool.snapshot();
    for snapshot in [&mut before, &mut after] {
        snapshot.0.retain(|name, _| !name.ends_with("/root") && !name.ends_with("/floors"));
    }
    assert_eq!(after, before);
    for number in 1..=33 {
        std::fs::remove_file(scene.repository.path(&Object::Root(number))).unwrap(); // none of these is asked for again
    }
    scene.updates_to("the next check", "1.1.0", &fake("1.1.0"));
    assert_eq!(scene.root_on_disk(), 34);
}

/// Twice as many as one check walks: three checks, each from where the one before stopped.
#[test]
fn any_number_of_roots_is_reached_in_the_end() {
    let scene = roots(66);
    for trusted in [33, 65] {
        let answer = scene.tool.updater().update(false);
        assert!(
            matches!(&answer, Err(relatch::Error::Refused(Refusal::TooManyRoots { limit: 32, trusted: at })) if *at == trusted),
            "{answer:?}"
        );
        assert_eq!(scene.root_on_disk(), trusted);
    }
    scene.updates_to("66 roots", "1.1.0", &fake("1.1.0"));
    assert_eq!(scene.root_on_disk(), 67);
}

/// Release 1.1.0 with a change.
fn published(change: impl FnOnce(&mut Draft)) -> Scene {
    let mut scene = Scene::new();
    let mut draft = scene.repository.draft("1.1.0", &fake("1.1.0"));
    change(&mut draft);
    scene.repository.publish(&draft);
    scene
}

fn malformed(name: &str, mut scene: Scene, kind: DocumentKind, because: &str) {
    scene.refused(name, |refusal| {
        matches!(refusal, Refusal::Malformed { document, why } if *document == kind && why.contains(because))
    });
    scene.heals(name);
}

#[test]
fn versions() {
    let semver = |bytes: usize| format!("1.1.0-{}", "a".repeat(bytes - 6));
    let scene = published(|draft| {
        draft.version["version"] = semver(128).into();
        draft.manifest["version"] = semver(128).into();
    });
    scene.updates_to("128 bytes", &semver(128), &fake("1.1.0"));
    let scene = published(|draft| draft.version["version"] = semver(129).into());
    malformed("129 bytes in VERSION", scene, DocumentKind::Timestamp, "128 bytes");
    let scene = published(|draft| draft.manifest["version"] = semver(129).into());
    malformed("129 bytes in the manifest", scene, DocumentKind::Manifest, "128 bytes");
    let scene = published(|draft| draft.manifest["min_version"] = semver(129).into());
    malformed("129 bytes in min_version", scene, DocumentKind::Manifest, "128 bytes");
    let scene = published(|draft| draft.manifest["retracts"] = json!([semver(128)]));
    scene.updates_to("128 bytes in retracts", "1.1.0", &fake("1.1.0"));
    let scene = published(|draft| draft.manifest["retracts"] = json!([semver(129)]));
    malformed("129 bytes in retracts", scene, DocumentKind::Manifest, "128 bytes");
}

/// Numbers in versions are below 2^64; the scene is of a product that counts builds.
#[test]
fn build_numbers() {
    for (version, good) in [("18446744073709551615", true), ("18446744073709551616", false)] {
        let mut repository = Repository::new();
        let first = repository.release("1", &fake("1"));
        let mut scene = Scene { tool: Tool::installed_plain(&repository), repository, first };
        scene.repository.release(version, &fake("2"));
        if good {
            scene.updates_to(version, version, &fake("2"));
        } else {
            scene.refused(version, |refusal| {
                matches!(refusal, Refusal::Malformed { document: DocumentKind::Timestamp, why } if why.contains("2^64"))
            });
            scene.repository.release("3", &fake("3"));
            scene.updates_to(version, "3", &fake("3"));
        }
    }
}

#[test]
fn names() {
    let name = |length: usize| "n".repeat(length);
    let mut repository = Repository::new();
    repository.channel = name(64);
    Scene::of(repository).heals("channel of 64");
    assert!(name(65).parse::<relatch::trust::Name>().is_err());
    assert!("".parse::<relatch::trust::Name>().is_err());

    let other = |draft: &mut Draft, target: String| {
        let mut artifact = draft.manifest["artifacts"][0].clone();
        artifact["target"] = target.into();
        draft.manifest["artifacts"].as_array_mut().unwrap().insert(0, artifact);
    };
    let stored = |draft: &mut Draft, encoding: String| {
        let mut form = draft.manifest["artifacts"][0]["stored"][0].clone();
        form["encoding"] = encoding.into();
        draft.manifest["artifacts"][0]["stored"].as_array_mut().unwrap().push(form);
    };
    published(|draft| other(draft, name(64))).updates_to("target of 64", "1.1.0", &fake("1.1.0"));
    published(|draft| stored(draft, name(64))).updates_to("encoding of 64", "1.1.0", &fake("1.1.0"));
    use DocumentKind::{Manifest, Timestamp};
    malformed("target of 65", published(|draft| other(draft, name(65))), Manifest, "name");
    malformed("encoding of 65", published(|draft| stored(draft, name(65))), Manifest, "name");
    malformed("empty target", published(|draft| other(draft, name(0))), Manifest, "name");
    malformed(
        "product of 65",
        published(|draft| draft.version["product"] = name(65).into()),
        Timestamp,
        "name",
    );
    malformed(
        "channel of 65",
        published(|draft| draft.manifest["channel"] = name(65).into()),
        Manifest,
        "name",
    );
}

#[test]
fn integers() {
    /// An artifact that this tool does not take, so that only its number matters.
    fn other(draft: &mut Draft) -> &mut Value {
        let mut artifact = draft.manifest["artifacts"][0].clone();
        artifact["target"] = "other".into();
        artifact["stored"][0]["encoding"] = "zstd".into();
        let artifacts = draft.manifest["artifacts"].as_array_mut().unwrap();
        artifacts.insert(0, artifact);
        &mut artifacts[0]
    }
    use DocumentKind::{Manifest, Timestamp};
    type Set = fn(&mut Draft, u64);
    let rows: [(&str, DocumentKind, Set); 5] = [
        ("expires of VERSION", Timestamp, |draft, number| draft.version["expires"] = number.into()),
        ("expires of the manifest", Manifest, |draft, number| draft.manifest["expires"] = number.into()),
        ("seq", Timestamp, |draft, number| {
            draft.version["seq"] = number.into();
            draft.manifest["seq"] = number.into();
        }),
        ("size", Manifest, |draft, number| other(draft)["size"] = number.into()),
        ("stored size", Manifest, |draft, number| other(draft)["stored"][0]["size"] = number.into()),
    ];
    for (name, kind, set) in rows {
        published(|draft| set(draft, MAX)).updates_to(name, "1.1.0", &fake("1.1.0"));
        malformed(name, published(|draft| set(draft, MAX + 1)), kind, "2^53");
    }
    // Below the limit these are read, and refused for what they say.
    type Is = fn(&Refusal) -> bool;
    let rows: [(&str, DocumentKind, Set, Is); 5] = [
        (
            "root_version",
            Manifest,
            |draft, number| draft.manifest["root_version"] = number.into(),
            |refusal| matches!(refusal, Refusal::RootAhead { needed: MAX, trusted: 1, .. }),
        ),
        (
            "seq of the manifest",
            Manifest,
            |draft, number| draft.manifest["seq"] = number.into(),
            |refusal| matches!(refusal, Refusal::WrongSeq { found, .. } if found.get() == MAX),
        ),
        (
            "epoch of VERSION",
            Timestamp,
            |draft, number| draft.version["epoch"] = number.into(),
            |refusal| matches!(refusal, Refusal::WrongEpoch { document: Timestamp, found, .. } if found.get() == MAX),
        ),
        (
            "epoch of the manifest",
            Manifest,
            |draft, number| draft.manifest["epoch"] = number.into(),
            |refusal| matches!(refusal, Refusal::WrongEpoch { document: Manifest, found, .. } if found.get() == MAX),
        ),
        (
            "issued of VERSION",
            Timestamp,
            |draft, number| {
                draft.version["issued"] = number.into();
                draft.version["expires"] = MAX.into();
            },
            |refusal| matches!(refusal, Refusal::Malformed { why, .. } if why.contains("expires")),
        ),
    ];
    for (name, kind, set, is) in rows {
        let mut scene = published(|draft| set(draft, MAX));
        scene.refused(name, is);
        scene.heals(name);
        malformed(name, published(|draft| set(draft, MAX + 1)), kind, "2^53");
    }
}

/// The window that a frame asks for is memory: 128 MiB, and not a byte more.
#[test]
fn window_of_a_frame() {
    /// RFC 8878: a frame without a content size, one raw block. The descriptor is five bits of exponent and three of mantissa.
    fn frame(exponent: u8, mantissa: u8, content: &[u8]) -> Vec<u8> {
        let block = (content.len() as u32) << 3 | 1;
        let header = [0x28, 0xb5, 0x2f, 0xfd, 0, exponent << 3 | mantissa];
        [&header[..], &block.to_le_bytes()[..3], content].concat()
    }
    let executable = fake("1.1.0");
    let publish = |blob: &[u8]| {
        let blob = blob.to_vec();
        published(move |draft| {
            draft.manifest["artifacts"][0]["stored"] = json!([
                {"encoding": "zstd", "from": null, "size": blob.len(), "blake3": Digest::of(&blob).to_string()}
            ]);
            draft.blobs = vec![blob];
        })
    };
    publish(&frame(17, 0, &executable)).updates_to("2^27", "1.1.0", &executable);
    for (name, exponent, mantissa) in [("2^27 and an eighth", 17, 1), ("2^28", 18, 0), ("the most", 31, 7)] {
        let mut scene = publish(&frame(exponent, mantissa, &executable));
        scene.refused_with_floors(name, |refusal| matches!(refusal, Refusal::Undecodable { .. }));
        scene.heals(name);
    }
}

/// Times are compared with a clock that stands still, at the second.
#[test]
fn times_hold_to_the_second() {
    let later = |draft: &mut Draft, field: &str, at: u64| {
        draft.version[field] = at.into();
        draft.manifest[field] = at.into();
    };
    type Is = fn(&Refusal) -> bool;
    let expired: Is = |refusal| matches!(refusal, Refusal::Expired { document: DocumentKind::Timestamp, .. });
    let future: Is =
        |refusal| matches!(refusal, Refusal::NotYetValid { document: DocumentKind::Timestamp, .. });
    let at = now() + 1000;
    for (name, field, time, refused) in [
        ("a second before it expires", "expires", at + 1, None),
        ("when it expires", "expires", at, Some(expired)),
        ("a day ahead", "issued", at + DAY, None),
        ("a day and a second ahead", "issued", at + DAY + 1, Some(future)),
    ] {
        let mut scene = Scene::new();
        let mut draft = scene.repository.draft("1.1.0", &fake("1.1.0"));
        later(&mut draft, field, time);
        scene.repository.publish(&draft);
        let before = scene.tool.snapshot();
        let answer = scene.tool.updater().clock(Stopped(at)).update(false);
        match refused {
            None => assert!(matches!(answer, Ok(Outcome::Updated { .. })), "{name}: {answer:?}"),
            Some(is) => {
                assert!(matches!(&answer, Err(Error::Refused(why)) if is(why)), "{name}: {answer:?}");
                assert_eq!(scene.tool.snapshot(), before, "{name}");
            }
        }
    }
}
