//! Stored forms with the hash that is signed and another content: a faulty packer, or a thief of keys who hopes for the decoder.

use std::io::Write;
use std::process::Command;

use relatch::trust::{Digest, Manifest, Stored};

use crate::scene::Scene;
use crate::table::{harmless, refused, row};

/// Of the executable and of its frame, or of the old and the new executable, makes what lies there in place of the frame or patch.
type Make = fn(&[u8], &[u8]) -> Vec<u8>;

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// RFC 8878: a frame without a content size and with a window of 2^(10 + exponent), one raw block.
fn frame_with_window(exponent: u8, content: &[u8]) -> Vec<u8> {
    let block = (content.len() as u32) << 3 | 1;
    let header = [0x28, 0xb5, 0x2f, 0xfd, 0, exponent << 3];
    [&header[..], &block.to_le_bytes()[..3], content].concat()
}

fn patch(from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::with_ref_prefix(Vec::new(), 3, from).unwrap();
    encoder.write_all(to).unwrap();
    encoder.finish().unwrap()
}

/// Half a gibibyte of zeros in a few dozen kilobytes.
fn bomb() -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..512 {
        encoder.write_all(&[0; 1 << 20]).unwrap();
    }
    encoder.finish().unwrap()
}

const SKIPPABLE: &[u8] = b"\x50\x2a\x4d\x18\x04\0\0\0skip";

/// What no client decodes to the executable.
#[rustfmt::skip]
const FRAMES: &[(&str, Make, &str)] = &[
    ("a byte behind it", |_, frame| [frame, b"\0"].concat(), "something follows the zstd frame"),
    ("a second frame", |_, frame| [frame, frame].concat(), "something follows the zstd frame"),
    ("an empty second frame", |_, frame| [frame, &zstd(b"")].concat(), "something follows the zstd frame"),
    ("a skippable frame behind it", |_, frame| [frame, SKIPPABLE].concat(), "something follows the zstd frame"),
    ("a skippable frame before it", |_, frame| [SKIPPABLE, frame].concat(), "cannot be decoded"),
    ("a window of 256 MiB", |payload, _| frame_with_window(18, payload), "too much memory"),
    ("a bomb", |_, _| bomb(), "it goes on after the 21 bytes that are signed"),
    ("a byte too many inside", |payload, _| zstd(&[payload, b"x"].concat()), "it goes on after the 21 bytes that are signed"),
    ("a byte too few inside", |payload, _| zstd(&payload[1..]), "20 bytes with the hash"),
    ("nothing inside", |_, _| zstd(b""), "0 bytes with the hash"),
    ("another executable of that size inside", |payload, _| zstd(&vec![b'x'; payload.len()]), "21 bytes with the hash"),
    ("cut short", |_, frame| frame[..frame.len() - 1].to_vec(), "incomplete frame"),
    ("a damaged header", |_, frame| [&frame[..4], &[frame[4] | 8], &frame[5..]].concat(), "cannot be decoded"),
    ("no frame at all", |payload, _| payload.to_vec(), "cannot be decoded"),
    ("gzip", |_, _| b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0".to_vec(), "cannot be decoded"),
];

const CANNOT: &str = "has the signed hash, but cannot be decoded to the signed executable: ";

/// `signed` with these forms besides the executable itself, or in its place: encoding, what it starts from, blob. All who must have signed
/// it.
fn store(scene: &Scene, instead: bool, forms: &[(&str, Option<Digest>, Vec<u8>)]) {
    let stored = forms.iter().map(|(encoding, from, blob)| {
        let blake3 = Digest::of(blob);
        scene.desk.write(&format!("signed/blobs/{blake3}"), blob);
        Stored { encoding: encoding.parse().unwrap(), from: *from, size: blob.len() as u64, blake3 }
    });
    let stored: Vec<_> = stored.collect();
    scene.forge(|manifest: &mut Manifest, _| {
        let all = &mut manifest.artifacts[0].stored;
        assert!(all.iter().all(|form| form.encoding.as_str() == "identity"), "a tiny one: {all:?}");
        if instead {
            all.clear();
        }
        all.extend(stored);
    });
}

fn framed(make: Make) -> impl Fn(&Scene) {
    move |scene| {
        let payload = scene.bytes("build-1.2.0");
        store(scene, false, &[("zstd", None, make(&payload, &zstd(&payload)))]);
    }
}

fn publish(scene: &Scene) -> Command {
    scene.at_repo(&["publish", "signed"])
}

/// By all who must, after their signatures were taken away: else there would be nothing to sign.
fn sign(scene: &Scene) -> Command {
    let object = scene.desk.read("signed/VERSION");
    scene.desk.write("signed/VERSION", object.split_inclusive('\n').take(2).collect::<String>());
    std::fs::remove_file(scene.desk.path("signed/manifest.json.minisig")).unwrap();
    let keys = ["ci", "human", "clock"].map(|name| format!("keys/{name}.key"));
    let mut arguments = vec!["sign", "signed"];
    arguments.extend(keys.iter().flat_map(|path| ["--key", path.as_str()]));
    scene.command(&arguments)
}

/// Its blobs lie in the repository already and no more in the folder, as after a try that was broken off.
fn publish_uploaded(scene: &Scene) -> Command {
    for blob in std::fs::read_dir(scene.desk.path("signed/blobs")).unwrap() {
        let blob = blob.unwrap();
        std::fs::rename(blob.path(), scene.desk.path("repo/blobs").join(blob.file_name())).unwrap();
    }
    publish(scene)
}

/// It is what is published, by a program that looked at nothing; now `VERSION` is to be signed again.
fn refresh(scene: &Scene) -> Command {
    scene.put_published();
    scene.at_repo(&["refresh", "--key", "keys/clock.key"])
}

/// What is asked of `signer` then.
type Next = fn(&Scene) -> Command;

const ALL: [(&str, Next); 4] = [
    ("signed", sign),
    ("published", publish),
    ("published, and in the repository already", publish_uploaded),
    ("refreshed", refresh),
];

#[test]
pub fn frames() {
    for (name, make, why) in FRAMES {
        let forge = framed(*make);
        for (what, next) in &ALL[..2] {
            refused(&[row(
                format!("{name}: {what}"),
                "9",
                |s| {
                    forge(s);
                    next(s)
                },
                3,
                &["blobs/", CANNOT, why, "publish the damaged parts again"],
            )]);
        }
    }
    let [(behind, make, why), ..] = FRAMES else { unreachable!() };
    let forge = framed(*make);
    for (what, next) in &ALL[2..] {
        refused(&[row(
            format!("{behind}: {what}"),
            "9",
            |s| {
                forge(s);
                next(s)
            },
            3,
            &["blobs/", CANNOT, why],
        )]);
    }
    harmless(&[row(
        "a frame, and one with a window of 128 MiB",
        "3.7",
        |s| {
            let payload = s.bytes("build-1.2.0");
            store(s, true, &[("zstd", None, frame_with_window(17, &payload))]);
            assert!(crate::scene::run(&mut sign(s)).status.success());
            publish(s)
        },
        0,
        &["published widget 1.2.0"],
    )]);
}

/// `signer sign` asks no repository, and what a patch starts from lies there alone.
#[test]
pub fn patches() {
    let patched = |scene: &Scene, make: Make| {
        let [old, new] = ["build-1.1.0", "build-1.2.0"].map(|name| scene.bytes(name));
        store(scene, false, &[("zstd-patch", Some(Digest::of(&old)), make(&old, &new))]);
    };
    let rows: [(&str, Make, &str); 5] = [
        ("to another executable", |old, new| patch(old, &vec![b'x'; new.len()]), "21 bytes with the hash"),
        ("a byte too many", |old, new| patch(old, &[new, b"x"].concat()), "it goes on after the 21 bytes"),
        ("a byte behind it", |old, new| [&patch(old, new)[..], b"\0"].concat(), "something follows"),
        ("a bomb", |_, _| bomb(), "it goes on after the 21 bytes"),
        ("no patch at all", |_, new| new.to_vec(), "Unknown frame descriptor"),
    ];
    for (name, make, why) in rows {
        for (what, next) in &ALL[1..] {
            refused(&[row(
                format!("a patch: {name}: {what}"),
                "9",
                |s| {
                    patched(s, make);
                    next(s)
                },
                3,
                &["blobs/", CANNOT, why],
            )]);
        }
    }
    harmless(&[row(
        "a patch, from the release before and from what is not there any more",
        "3.7",
        |s| {
            let [old, new] = ["build-1.1.0", "build-1.2.0"].map(|name| s.bytes(name));
            let mut froms = [&old[..], b"of long ago"];
            froms.sort_by_key(|from| Digest::of(from).to_string());
            let forms = froms.map(|from| ("zstd-patch", Some(Digest::of(from)), patch(from, &new)));
            store(s, false, &forms);
            assert!(crate::scene::run(&mut sign(s)).status.success());
            publish(s)
        },
        0,
        &["published widget 1.2.0"],
    )]);
}

/// No client of today installs it, or none that has nothing yet.
#[test]
pub fn no_usable_form() {
    let none = "no stored form of this executable can be used by this program: ";
    for (what, next) in ALL.into_iter().filter(|(what, _)| *what != "refreshed") {
        refused(&[
            row(
                format!("encodings of the future alone: {what}"),
                "9",
                |s| {
                    store(s, true, &[("brotli", None, b"?".to_vec()), ("xz", None, b"?!".to_vec())]);
                    next(s)
                },
                3,
                &[none, "brotli, xz"],
            ),
            row(
                format!("a patch alone: {what}"),
                "9",
                |s| {
                    let [old, new] = ["build-1.1.0", "build-1.2.0"].map(|name| s.bytes(name));
                    store(s, true, &[("zstd-patch", Some(Digest::of(&old)), patch(&old, &new))]);
                    next(s)
                },
                3,
                &[none, "zstd-patch"],
            ),
        ]);
    }
    harmless(&[row(
        "an encoding of the future beside it",
        "3.7",
        |s| {
            store(s, false, &[("xz", None, b"?".to_vec())]);
            publish(s)
        },
        0,
        &["published widget 1.2.0"],
    )]);
}
