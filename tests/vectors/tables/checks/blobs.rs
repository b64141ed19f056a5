//! Steps 9 and 10. The frames are made by hand, block by block (RFC 8878), and by zstd 1.5.4 where a vector says so: no other version of
//! an encoder may change a vector.

use base64ct::{Base64, Encoding as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::release::{EPOCH, Release, blake3, executable};
use super::Case;
use super::kept::ANCHOR;
use crate::file::{content, padded};

pub fn cases() -> Vec<Value> {
    let mut cases = whole();
    cases.extend(frames());
    cases.extend(patches());
    cases.extend(forms());
    cases
}

fn good() -> Vec<u8> {
    executable("1.4.0")
}

/// The blob that is stored as it is.
fn whole() -> Vec<Value> {
    let path = format!("blobs/{}", blake3(&good()));
    let there =
        |name: &str, comment: &str, bytes: &[u8]| Case::new(name, comment).object(&path, content(bytes));
    let reason = |reason: &str| json!({"reason": reason});
    let altered = |at: usize| {
        let mut bytes = good();
        bytes[at] ^= 1;
        bytes
    };
    vec![
        there("control", "as it was signed", &good()).installs(),
        Case::new("absent", "there is no other form").absent(&path).unavailable_late(&path),
        there("empty", "short", b"").refuse_late("9", reason("short")),
        there("a byte short", "short", &good()[..23]).refuse_late("9", reason("short")),
        there("a byte long", "reading stops at the first byte too many", &[&good()[..], b"\n"].concat())
            .refuse_late("9", reason("long")),
        there("first byte altered", "another hash", &altered(0)).refuse_late("9", reason("hash")),
        there("last byte altered", "another hash", &altered(23)).refuse_late("9", reason("hash")),
        there("another of the same size", "another hash", &executable("6.6.6"))
            .refuse_late("9", reason("hash")),
    ]
}

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// A window of 1 KiB, no content size, no checksum, no dictionary.
const PLAIN: [u8; 2] = [0, 0];

enum Block<'a> {
    Raw(&'a [u8]),
    /// A byte, repeated.
    Rle(u8, u32),
}

fn frame(header: &[u8], blocks: &[Block]) -> Vec<u8> {
    let mut frame = [&MAGIC[..], header].concat();
    for (at, block) in blocks.iter().enumerate() {
        let last = u32::from(at + 1 == blocks.len());
        let (kind, size, bytes) = match block {
            Block::Raw(bytes) => (0, bytes.len() as u32, bytes.to_vec()),
            Block::Rle(byte, size) => (1, *size, vec![*byte]),
        };
        frame.extend(&(last | kind << 1 | size << 3).to_le_bytes()[..3]);
        frame.extend(bytes);
    }
    frame
}

/// `zstd -19 --check` of the control's executable: raw block and checksum.
const CHECKED: &str = "KLUv/SQYwQAAdGhlIGV4ZWN1dGFibGUgb2YgMS40LjAKTGKNuA==";

/// More than the largest window.
const ABOVE: usize = (128 << 20) + 1;

fn frames() -> Vec<Value> {
    let case = |name: &str, comment: &str, blob: &[u8]| {
        let blob = blob.to_vec();
        Case::new(format!("zstd: {name}"), comment)
            .release(move |release| release.stored(&[("zstd", None, &blob)]))
    };
    let good = good();
    let raw = frame(&PLAIN, &[Block::Raw(&good)]);
    let checked = Base64::decode_vec(CHECKED).unwrap();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = checked.clone();
        change(&mut frame);
        frame
    };
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], b"skip"].concat();
    let empty = frame(&PLAIN, &[Block::Raw(b"")]);
    let window = |descriptor: u8| frame(&[0, descriptor], &[Block::Raw(&good)]);
    let mut reserved_block = raw.clone();
    reserved_block[6] |= 0b110;
    let bomb = frame(&[0, 0x38], &zeros(64 << 20));
    let single_segment = frame(&[&[0xa0][..], &(ABOVE as u32).to_le_bytes()].concat(), &zeros(ABOVE));
    let undecodable = |case: Case| case.refuse_late("9", json!({"reason": "undecodable"}));
    let long = |case: Case| case.refuse_late("9", json!({"reason": "output-long"}));
    let other = |case: Case| case.refuse_late("10", json!({}));
    let zeros = vec![0; 24];
    let behind = |more: &[u8]| [&raw[..], more].concat();
    vec![
        case("raw block", "a frame by hand", &raw).installs(),
        case("checksum", "made by zstd 1.5.4", &checked).installs(),
        case(
            "two blocks",
            "12 bytes each",
            &frame(&PLAIN, &[Block::Raw(&good[..12]), Block::Raw(&good[12..])]),
        )
        .installs(),
        case(
            "empty last block",
            "as an encoder ends a stream",
            &frame(&PLAIN, &[Block::Raw(&good), Block::Raw(b"")]),
        )
        .installs(),
        case("repeated byte", "an executable of 24 zeros", &frame(&PLAIN, &[Block::Rle(0, 24)]))
            .release(|release| release.executable(&[0; 24]))
            .installs_bytes(&zeros),
        case("window of 128 MiB", "the largest", &window(17 << 3)).installs(),
        undecodable(case("window of 144 MiB", "the next one", &window(17 << 3 | 1))),
        undecodable(case("window of 256 MiB", "too large", &window(18 << 3))),
        undecodable(
            case(
                "a window of 128 MiB and a byte, as content size",
                "it has no other window",
                &single_segment,
            )
            .release(|release| release.executable(&vec![0; ABOVE])),
        ),
        undecodable(case("window of 3.75 TiB", "the largest of the format", &window(0xff))),
        undecodable(case("a byte behind", "exactly one frame", &behind(b"\0"))),
        undecodable(case("a newline behind", "exactly one frame", &behind(b"\n"))),
        undecodable(case("a second frame", "exactly one frame", &behind(&raw))),
        undecodable(case("an empty second frame", "exactly one frame", &behind(&empty))),
        undecodable(case("a skippable frame behind", "exactly one frame", &behind(&skippable))),
        undecodable(case("a skippable frame before", "exactly one frame", &[&skippable[..], &raw].concat())),
        undecodable(case("a byte too few", "cut", &raw[..raw.len() - 1])),
        undecodable(case(
            "cut before the last block",
            "cut",
            &frame(&PLAIN, &[Block::Raw(&good), Block::Raw(b"")])[..raw.len()],
        )),
        undecodable(case("magic number alone", "cut", &MAGIC)),
        undecodable(case("no frame at all", "the executable itself", &good)),
        undecodable(case("wrong checksum", "a bit of it", &with(&|frame| *frame.last_mut().unwrap() ^= 1))),
        undecodable(case("checksum missing", "announced and not there", &checked[..checked.len() - 4])),
        undecodable(case("content size too large", "one more than there is", &with(&|frame| frame[5] += 1))),
        undecodable(case("reserved block type", "of no known meaning", &reserved_block)),
        undecodable(case("reserved bit", "must be 0", &with(&|frame| frame[4] |= 8))),
        undecodable(case("a dictionary", "there is none", &frame(&[1, 0, 7], &[Block::Raw(&good)]))),
        long(case(
            "a byte too much inside",
            "output stops at the first byte too many",
            &frame(&PLAIN, &[Block::Raw(&good), Block::Raw(b"!")]),
        )),
        long(case("64 MiB inside", "a bomb of 2 KiB", &bomb)),
        other(case(
            "a byte too few inside",
            "a good frame of other bytes",
            &frame(&PLAIN, &[Block::Raw(&good[..23])]),
        )),
        other(case("nothing inside", "a good frame of no bytes", &empty)),
        other(case(
            "another of the same size inside",
            "a good frame of other bytes",
            &frame(&PLAIN, &[Block::Raw(&executable("6.6.6"))]),
        )),
        Case::new("zstd: altered", "no decoder sees bytes of another hash")
            .release(|release| release.stored(&[("zstd", None, &raw)]))
            .object(format!("blobs/{}", blake3(&raw)), content(&[&[0][..], &raw[1..]].concat()))
            .refuse_late("9", json!({"reason": "hash"})),
    ]
}

/// The largest executable for which a patch is used.
const LARGEST: usize = 64 << 20;

/// Blocks of zeros, so many in all.
fn zeros(count: usize) -> Vec<Block<'static>> {
    let whole = (0..count / BLOCK).map(|_| Block::Rle(0, BLOCK as u32));
    whole.chain((!count.is_multiple_of(BLOCK)).then_some(Block::Rle(0, (count % BLOCK) as u32))).collect()
}

/// The most that a block may hold.
const BLOCK: usize = 128 << 10;

/// Sixteen lines that do not compress, and the same with one more: what the patch was made of.
fn old_and_new() -> (Vec<u8>, Vec<u8>) {
    let line = |n: usize| base16ct::lower::encode_string(&Sha256::digest(n.to_string())) + "\n";
    let (first, second): (String, String) = ((0..8).map(line).collect(), (8..16).map(line).collect());
    let old = format!("{first}{second}the executable of 1.3.0\n");
    (old.into(), format!("{first}changed\n{second}the executable of 1.4.0\n").into())
}

/// `zstd -19 --patch-from=old new`, zstd 1.5.4.
const PATCH: &str = "KLUv/WQwA8UAAGA1Y2hhbmdlZDQuMAoCABpmyJURWKHKVyvfhfc=";

fn patches() -> Vec<Value> {
    let (old, new) = old_and_new();
    let patch = Base64::decode_vec(PATCH).unwrap();
    let (here, elsewhere) = (blake3(&old), blake3(b"never installed here"));
    let case = |name: &str, comment: &str, forms: &[(&str, Option<&str>, &[u8])]| {
        let copy = json!({"version": "1.3.0", "blake3": here, "epoch": EPOCH, "domain": ANCHOR});
        Case::new(format!("patch: {name}"), comment)
            .client("executable", content(&old))
            .journal("installed", copy)
            .release(|release| {
                release.executable(&new);
                release.stored(forms);
            })
    };
    let blob = |bytes: &[u8]| format!("blobs/{}", blake3(bytes));
    let cut = &patch[..patch.len() - 1];
    let raw = frame(&[0, 0x38], &[Block::Raw(&new)]);
    let identity = ("identity", None, &new[..]);
    let like_dictionary = [&[0x37, 0xa4, 0x30, 0xec][..], &old].concat();
    let large = |name: &str, from: usize, to: usize| {
        let old = b"o".repeat(from);
        let blob = frame(&[0, 0x38], &zeros(to));
        Case::new(format!("patch: {name}"), "the limit is of both; the frame does not use the prefix")
            .client("executable", padded("", "o", from, ""))
            .journal(
                "installed",
                json!({"version": "1.3.0", "blake3": blake3(&old), "epoch": EPOCH, "domain": ANCHOR}),
            )
            .release(|release| {
                release.executable(&vec![0; to]);
                release.stored(&[("zstd-patch", Some(&blake3(&old)), &blob)]);
            })
    };
    vec![
        case(
            "alone",
            "made by zstd 1.5.4 of the executable at the path",
            &[("zstd-patch", Some(&here), &patch)],
        )
        .installs_bytes(&new),
        case(
            "the smallest form is taken",
            "the others are absent",
            &[identity, ("zstd", None, &raw), ("zstd-patch", Some(&here), &patch)],
        )
        .absent(blob(&new))
        .absent(blob(&raw))
        .installs_bytes(&new),
        case(
            "of another executable",
            "passed over, though it is the smallest; it is absent",
            &[identity, ("zstd-patch", Some(&elsewhere), &patch)],
        )
        .absent(blob(&patch))
        .installs_bytes(&new),
        case(
            "of another executable alone",
            "there is no usable form",
            &[("zstd-patch", Some(&elsewhere), &patch)],
        )
        .refuse_late("9", json!({"reason": "no-form"})),
        case("absent", "passed over for the next", &[identity, ("zstd-patch", Some(&here), &patch)])
            .absent(blob(&patch))
            .installs_bytes(&new),
        case(
            "wrong",
            "there and wrong: no other form is tried",
            &[identity, ("zstd-patch", Some(&here), cut)],
        )
        .refuse_late("9", json!({"reason": "undecodable"})),
        case(
            "altered",
            "there and wrong: no other form is tried",
            &[identity, ("zstd-patch", Some(&here), &patch)],
        )
        .object(blob(&patch), content(&[cut, &[0]].concat()))
        .refuse_late("9", json!({"reason": "hash"})),
        case(
            "to another executable",
            "what comes out has another size and hash",
            &[("zstd-patch", Some(&here), &frame(&PLAIN, &[Block::Raw(b"another executable")]))],
        )
        .refuse_late("10", json!({})),
        case(
            "that needs nothing",
            "a frame that does not use the prefix is good, too",
            &[("zstd-patch", Some(&here), &raw)],
        )
        .installs_bytes(&new),
        case(
            "of an executable that begins like a dictionary",
            "the magic number of a zstd dictionary: it is a prefix all the same",
            &[("zstd-patch", Some(&blake3(&like_dictionary)), &patch)],
        )
        .client("executable", content(&like_dictionary))
        .journal(
            "installed",
            json!({"version": "1.3.0", "blake3": blake3(&like_dictionary), "epoch": EPOCH, "domain": ANCHOR}),
        )
        .installs_bytes(&new),
        large("from and to 64 MiB", LARGEST, LARGEST).installs_content(padded("", "\0", LARGEST, "")),
        large("from a byte more than 64 MiB", LARGEST + 1, LARGEST)
            .refuse_late("9", json!({"reason": "no-form"})),
        large("to a byte more than 64 MiB", LARGEST, LARGEST + 1)
            .refuse_late("9", json!({"reason": "no-form"})),
        case("as zstd", "without the prefix it cannot be decoded", &[("zstd", None, &patch)])
            .refuse_late("9", json!({"reason": "undecodable"})),
    ]
}

fn forms() -> Vec<Value> {
    let good = good();
    let raw = frame(&PLAIN, &[Block::Raw(&good)]);
    let case = |name: &str, comment: &str, forms: &[(&str, Option<&str>, &[u8])]| {
        Case::new(format!("forms: {name}"), comment).release(|release: &mut Release| release.stored(forms))
    };
    let blob = |bytes: &[u8]| format!("blobs/{}", blake3(bytes));
    let from = blake3(b"any");
    let (identity, garbage) = (("identity", None, &good[..]), vec![b'?'; 24]);
    vec![
        case(
            "unknown ones",
            "passed over",
            &[("brotli", None, b"?"), identity, ("zz-patch", None, b"?"), ("zz-patch", Some(&from), b"?")],
        )
        .installs(),
        case("unknown ones alone", "there is no usable form", &[("brotli", None, b"?"), ("xz", None, b"?")])
            .refuse_late("9", json!({"reason": "no-form"})),
        case(
            "a larger one is wrong",
            "nobody looks at it",
            &[identity, ("zstd", None, &[&raw[..], b"?"].concat())],
        )
        .installs(),
        case(
            "two of one size",
            "in the manifest's order: the second is wrong",
            &[identity, ("zstd", None, &garbage)],
        )
        .installs(),
        case("the smaller is absent", "the next is taken", &[identity, ("zstd", None, &raw)])
            .absent(blob(&good))
            .installs(),
        case("all are absent", "the smallest is told", &[identity, ("zstd", None, &raw)])
            .absent(blob(&good))
            .absent(blob(&raw))
            .unavailable_late(blob(&good)),
    ]
}
