//! `keys.json`: SPEC section 3.2.

use base64ct::{Base64, Encoding as _};
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::scalar::Scalar;
use serde_json::{Value, json};

use crate::file::File;
use crate::minisign::Key;

pub fn file() -> File {
    File {
        name: "keys",
        about: "Ed25519 public keys: as documents hold them, and as minisign's files hold them.",
        spec: "section 3.2",
        fields: vec![
            ("name", "unique in this file"),
            ("comment", "what the vector is for"),
            ("hex", "a key as a document holds it"),
            (
                "minisign",
                "instead: the text of a minisign public key file; publishers' tools read it, clients do not",
            ),
            ("result", "\"accept\" or \"refuse\""),
            ("key", "for \"accept\": the key in hex"),
            (
                "reason",
                "for \"refuse\": \"form\", \"no-point\", \"not-canonical\" or \"small-order\"; the first that applies, in this order",
            ),
        ],
        base: None,
        vectors: keys().into_iter().chain(files()).collect(),
    }
}

fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

fn keys() -> Vec<Value> {
    let accept = |name: String, comment: &str, key: String| json!({"name": name, "comment": comment, "hex": key, "result": "accept", "key": key});
    let refuse = |name: String, comment: &str, key: String, reason: &str| json!({"name": name, "comment": comment, "hex": key, "result": "refuse", "reason": reason});
    let good = Key::new(1).hex();
    let mut vectors: Vec<Value> = (1..=3)
        .map(|seed| {
            accept(
                format!("seed {seed}"),
                &format!("the secret key is 32 bytes of {seed:02x}"),
                Key::new(seed).hex(),
            )
        })
        .collect();
    let base = ED25519_BASEPOINT_POINT;
    vectors.push(accept(
        "base point".into(),
        "its secret scalar is 1, but it is not of small order",
        hex(&base.compress().0),
    ));
    for (order, torsion) in [(8, EIGHT_TORSION[1]), (4, EIGHT_TORSION[2]), (2, EIGHT_TORSION[4])] {
        let key = base * Scalar::from(7u8) + torsion;
        vectors.push(accept(
            format!("with a part of order {order}"),
            "not of small order; what it means for signatures stands in signatures.json",
            hex(&key.compress().0),
        ));
    }
    // The eight points of small order, by their encodings: of order 1, 2, 4 (two) and 8 (four).
    for (at, point) in EIGHT_TORSION.iter().enumerate() {
        let comment = "canonical, and anybody can sign for it";
        vectors.push(refuse(format!("small order {at}"), comment, hex(&point.compress().0), "small-order"));
    }
    // y of 2^255-19 and above: what 32 bytes have room for, with and without the sign bit.
    for n in 0..19u8 {
        for sign in [0, 0x80] {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (0xed + n, 0x7f | sign);
            let (comment, reason) = match CompressedEdwardsY(bytes).decompress() {
                Some(_) => ("a second spelling of a point: y is not below 2^255-19", "not-canonical"),
                None => ("y is not below 2^255-19, and no x belongs to it either", "no-point"),
            };
            let sign = if sign == 0 { "" } else { ", negative" };
            vectors.push(refuse(format!("y = p + {n}{sign}"), comment, hex(&bytes), reason));
        }
    }
    for (name, y) in [("1", EIGHT_TORSION[0]), ("-1", EIGHT_TORSION[4])] {
        let mut bytes = y.compress().0;
        bytes[31] |= 0x80;
        let comment = "x is 0 and has no sign";
        vectors.push(refuse(format!("y = {name}, negative"), comment, hex(&bytes), "not-canonical"));
    }
    let mut off_curve = 0;
    for y in 2..20u8 {
        let mut bytes = [0; 32];
        bytes[0] = y;
        if CompressedEdwardsY(bytes).decompress().is_none() && off_curve < 4 {
            off_curve += 1;
            vectors.push(refuse(format!("y = {y}"), "no x belongs to this y", hex(&bytes), "no-point"));
        }
    }
    for (name, comment, key) in [
        ("empty", "64 digits", String::new()),
        ("62 digits", "64 digits", good[..62].into()),
        ("63 digits", "64 digits", good[..63].into()),
        ("66 digits", "64 digits", format!("{good}00")),
        ("upper case", "one spelling", good.to_uppercase()),
        ("one digit in upper case", "one spelling", good.replacen('a', "A", 1)),
        ("0x", "digits only", format!("0x{}", &good[2..])),
        ("a letter that is no digit", "digits only", format!("g{}", &good[1..])),
        ("a space behind", "digits only", format!("{good} ")),
        ("a newline behind", "digits only", format!("{good}\n")),
        ("base64", "digits only", Base64::encode_string(Key::new(1).signing.verifying_key().as_bytes())),
    ] {
        vectors.push(refuse(name.into(), comment, key, "form"));
    }
    vectors
}

fn files() -> Vec<Value> {
    let key = Key::new(1);
    let line = |label: &[u8], bytes: &[u8]| Base64::encode_string(&[label, &key.id, bytes].concat());
    let (public, good) = (key.signing.verifying_key(), line(b"Ed", key.signing.verifying_key().as_bytes()));
    let small_order = line(b"Ed", &EIGHT_TORSION[1].compress().0);
    let comment = "untrusted comment: minisign public key";
    let case = |name: &str, about: &str, text: String, reason: Option<&str>| {
        let mut vector = json!({"name": format!("file: {name}"), "comment": about, "minisign": text});
        match reason {
            None => (vector["result"], vector["key"]) = ("accept".into(), key.hex().into()),
            Some(reason) => (vector["result"], vector["reason"]) = ("refuse".into(), reason.into()),
        }
        vector
    };
    let form = Some("form");
    vec![
        case("good", "as minisign writes it", format!("{comment}\n{good}\n"), None),
        case("empty comment", "nothing after the prefix", format!("untrusted comment: \n{good}\n"), None),
        case("no newline at the end", "as some editors leave it", format!("{comment}\n{good}"), None),
        case(
            "CRLF",
            "as some editors and version control leave it",
            format!("{comment}\r\n{good}\r\n"),
            None,
        ),
        case(
            "one CRLF, no newline at the end",
            "each line has its own end",
            format!("{comment}\r\n{good}"),
            None,
        ),
        case("a comment in Unicode", "nobody signs it", format!("{comment} \u{e9}\u{1f511}\n{good}\n"), None),
        case("CR behind the key", "no end of a line", format!("{comment}\n{good}\r"), form),
        case("CR alone", "no end of a line", format!("{comment}\r{good}\r"), form),
        case("an empty line behind", "two lines", format!("{comment}\n{good}\n\n"), form),
        case("an empty line before", "two lines", format!("\n{comment}\n{good}\n"), form),
        case("a space before the key", "no white space in base64", format!("{comment}\n {good}\n"), form),
        case("a byte order mark", "the prefix is exact", format!("\u{feff}{comment}\n{good}\n"), form),
        case(
            "comment line of 1024 bytes",
            "the longest, prefix included and CRLF not",
            format!("untrusted comment: {}\r\n{good}\r\n", "x".repeat(1024 - 19)),
            None,
        ),
        case("empty", "two lines", String::new(), form),
        case("key alone", "two lines", format!("{good}\n"), form),
        case("three lines", "two lines", format!("{comment}\n{good}\n{good}\n"), form),
        case("a trusted comment", "the prefix is exact", format!("trusted comment: x\n{good}\n"), form),
        case(
            "comment too long",
            "1025 bytes",
            format!("untrusted comment: {}\n{good}\n", "x".repeat(1025 - 19)),
            form,
        ),
        case(
            "label of a signature",
            "`Ed`",
            format!("{comment}\n{}\n", line(b"ED", public.as_bytes())),
            form,
        ),
        case("41 bytes", "42 bytes", format!("{comment}\n{}\n", line(b"Ed", &public.as_bytes()[..31])), form),
        case(
            "43 bytes",
            "42 bytes",
            format!("{comment}\n{}\n", line(b"Ed", &[public.as_bytes(), &[0][..]].concat())),
            form,
        ),
        case("space behind", "no white space in base64", format!("{comment}\n{good} \n"), form),
        case(
            "of small order",
            "refused where it is loaded",
            format!("{comment}\n{small_order}\n"),
            Some("small-order"),
        ),
    ]
}
