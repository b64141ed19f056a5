//! The stored form of an executable is exactly what was signed, and decodes to exactly what was signed.

use std::io::Write;

use relatch::source::Object;
use relatch::trust::Digest;
use serde_json::{Value, json};

use crate::attack::Attack;
use crate::stage::Stage;

/// The next release, and then something else in the place of its blob.
#[rustfmt::skip]
pub fn altered() -> Vec<Attack> {
    fn put(stage: &mut Stage, change: impl Fn(&mut Vec<u8>)) {
        stage.publish(|_, _| {});
        let mut bytes = stage.payload();
        let blob = Object::Blob(Digest::of(&bytes));
        change(&mut bytes);
        stage.repository.write(&blob, bytes);
    }
    macro_rules! row {
        ($step:literal, $name:literal, $change:expr, $outcome:expr) => {{
            let change: fn(&mut Vec<u8>) = $change;
            Attack::new($step, concat!("a blob: ", $name), move |stage| put(stage, change), $outcome)
        }};
    }
    vec![
        row!("9", "empty", |bytes| bytes.clear(), refused_later!(Short { found: 0, .. })),
        row!("9", "one byte", |bytes| bytes.truncate(1), refused_later!(Short { found: 1, .. })),
        row!("9", "half of it", |bytes| bytes.truncate(bytes.len() / 2), refused_later!(Short { .. })),
        row!("9", "one byte short", |bytes| bytes.truncate(bytes.len() - 1),
            refused_later!(Short { expected, found, .. } if *found == *expected - 1)),
        row!("9", "one byte long", |bytes| bytes.push(b'\n'), refused_later!(Long { .. })),
        row!("9", "much too long", |bytes| *bytes = bytes.repeat(100_000), refused_later!(Long { .. })),
        row!("9", "first byte altered", |bytes| bytes[0] ^= 1, refused_later!(BlobDigest { expected, found, .. } if expected != found)),
        row!("9", "last byte altered", |bytes| *bytes.last_mut().unwrap() ^= 0x80, refused_later!(BlobDigest { .. })),
        row!("9", "zeros", |bytes| bytes.fill(0), refused_later!(BlobDigest { .. })),
        Attack::new("9", "a blob: absent", |stage| {
            stage.publish(|_, _| {});
            let blob = Object::Blob(Digest::of(&stage.payload()));
            std::fs::remove_file(stage.repository.path(&blob)).unwrap();
        }, unavailable_later!(Absent { object: Object::Blob(_), .. })),
    ]
}

table!(blobs_that_are_not_what_was_signed, altered());

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

fn patch(from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::with_ref_prefix(Vec::new(), 3, from).unwrap();
    encoder.window_log(22).unwrap();
    encoder.write_all(to).unwrap();
    encoder.finish().unwrap()
}

/// The next release, stored in these forms alone: encoding, `from`, blob.
fn publish_stored(stage: &mut Stage, forms: &[(&str, Option<Digest>, Vec<u8>)]) {
    stage.publish(|draft, _| {
        draft.blobs = forms.iter().map(|(.., blob)| blob.clone()).collect();
        let stored = forms.iter().map(|(encoding, from, blob)| {
            let from = from.map(|from| from.to_string());
            json!({"encoding": encoding, "from": from, "size": blob.len(), "blake3": Digest::of(blob).to_string()})
        });
        draft.manifest["artifacts"][0]["stored"] = stored.collect::<Vec<Value>>().into();
    });
}

/// A bomb: half a gibibyte of zeros in a few dozen kilobytes.
fn bomb() -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..512 {
        encoder.write_all(&[0; 1 << 20]).unwrap();
    }
    encoder.finish().unwrap()
}

/// Signed by those who may, with the hash that was signed: a mistake, or a stolen threshold that hopes for the decoder.
#[rustfmt::skip]
pub fn undecodable() -> Vec<Attack> {
    /// The frame of the payload, changed, and signed so.
    fn framed(stage: &mut Stage, change: impl Fn(Vec<u8>, Vec<u8>) -> Vec<u8>) {
        let payload = stage.payload();
        let blob = change(payload.clone(), zstd(&payload));
        publish_stored(stage, &[("zstd", None, blob)]);
    }
    macro_rules! row {
        ($name:literal, $change:expr) => { row!($name, $change, Undecodable { .. }) };
        ($name:literal, $change:expr, $($pattern:tt)+) => {{
            let change: fn(Vec<u8>, Vec<u8>) -> Vec<u8> = $change;
            Attack::new("9", concat!("a frame: ", $name), move |stage| framed(stage, change), refused_later!($($pattern)+))
        }};
    }
    vec![
        row!("a byte behind it", |_, frame| [&frame[..], b"\0"].concat()),
        row!("a second frame", |_, frame| [&frame[..], &frame].concat()),
        row!("an empty second frame", |_, frame| [&frame[..], &zstd(b"")].concat()),
        row!("a skippable frame behind", |_, frame| [&frame[..], &[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0], b"skip"].concat()),
        row!("a skippable frame before", |_, frame| [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0], &b"skip"[..], &frame].concat()),
        row!("a byte too few inside", |payload, _| zstd(&payload[..payload.len() - 1])),
        row!("a byte too much inside", |payload, _| zstd(&[&payload[..], b"x"].concat()), Undecodable { why, .. } if why.contains("goes on after")),
        row!("nothing inside", |_, _| zstd(b"")),
        row!("another of the same size inside", |payload, _| zstd(&vec![b'x'; payload.len()])),
        row!("cut short", |_, frame| frame[..frame.len() - 1].to_vec()),
        row!("its magic number alone", |_, frame| frame[..4].to_vec()),
        row!("a damaged header", |_, mut frame| { frame[5] ^= 0xff; frame }),
        row!("none at all", |payload, _| payload),
        row!("gzip", |_, _| b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0".to_vec()),
        row!("a bomb", |_, _| bomb(), Undecodable { why, .. } if why.contains("goes on after")),
        Attack::new("9", "a frame: altered on its way never reaches the decoder", |stage| {
            let frame = zstd(&stage.payload());
            publish_stored(stage, &[("zstd", None, frame.clone())]);
            let altered = frame.iter().enumerate().map(|(at, byte)| if at == 0 { byte ^ 1 } else { *byte }).collect::<Vec<_>>();
            stage.repository.write(&Object::Blob(Digest::of(&frame)), altered);
        }, refused_later!(BlobDigest { .. })),
        Attack::new("9", "a patch: to another executable", |stage| {
            let installed = std::fs::read(&stage.tool.path).unwrap();
            let other = vec![b'x'; stage.payload().len()];
            publish_stored(stage, &[("zstd-patch", Some(Digest::of(&installed)), patch(&installed, &other))]);
        }, refused_later!(Undecodable { .. })),
        Attack::new("9", "a patch: a plain frame in its place, with a byte too much", |stage| {
            let installed = Digest::of(&std::fs::read(&stage.tool.path).unwrap());
            let long = zstd(&[&stage.payload()[..], b"x"].concat());
            publish_stored(stage, &[("zstd-patch", Some(installed), long)]);
        }, refused_later!(Undecodable { why, .. } if why.contains("goes on after"))),
        Attack::new("9", "a patch: from what was never here alone", |stage| {
            let payload = stage.payload();
            publish_stored(stage, &[("zstd-patch", Some(Digest::of(b"elsewhere")), patch(b"elsewhere", &payload))]);
        }, refused_later!(NoUsableForm { offered } if offered == "zstd-patch")),
        Attack::new("9", "forms of the future alone", |stage| {
            publish_stored(stage, &[("brotli", None, b"?".to_vec()), ("xz", None, b"?".to_vec())]);
        }, refused_later!(NoUsableForm { offered } if offered == "brotli, xz")),
    ]
}

table!(forms_that_do_not_decode_to_what_was_signed, undecodable());
