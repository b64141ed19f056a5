//! Texts of the wrong form.

use base64ct::{Base64, Base64Unpadded, Base64Url, Encoding as _};
use serde_json::Value;

use super::{MESSAGE, changed, vector};
use crate::file::{content, padded};
use crate::minisign::Key;

pub fn refused() -> Vec<Value> {
    let key = &Key::new(1);
    let good = key.sign(MESSAGE);
    let lines: Vec<&str> = good.lines().collect();
    let with = |at: usize, line: &str| {
        let mut lines = lines.clone();
        lines[at] = line;
        lines.join("\n") + "\n"
    };
    let base64 = |at: usize| Base64::decode_vec(lines[at]).unwrap();
    let text = |text: String| Value::from(text);
    // The last digit before the padding has bits that belong to no byte; the good one has them zero.
    let stray = |line: &str, padding: &str| {
        let body = line.strip_suffix(padding).unwrap();
        let (start, last) = body.split_at(body.len() - 1);
        let next = char::from(last.as_bytes()[0] + 1);
        format!("{start}{next}{padding}")
    };
    let mut not_utf8 = good.clone().into_bytes();
    not_utf8[25] = 0xff;
    let cases = [
        ("empty", "no bytes at all", text(String::new()), 1),
        ("a newline alone", "no block", text("\n".into()), 1),
        ("no newline at the end", "each line ends with LF", text(good.trim_end().into()), 4),
        (
            "a digit in place of the last newline",
            "each line ends with LF",
            text(format!("{}A", good.trim_end())),
            4,
        ),
        ("0x1f in a comment", "a control character", text(with(0, "untrusted comment: \u{1f}")), 1),
        ("an empty line behind", "the number of lines is a multiple of four", text(good.clone() + "\n"), 5),
        ("an empty line before", "nothing but blocks", text("\n".to_owned() + &good), 1),
        ("an empty line between", "nothing but blocks", text(format!("{good}\n{good}")), 5),
        ("three lines", "a block has four", text(lines[..3].join("\n") + "\n"), 1),
        ("five lines", "one more than a block", text(good.clone() + "untrusted comment: x\n"), 5),
        ("a good block before a bad one", "refused whole", text(good.clone() + &with(1, "x")), 6),
        ("a bad block before a good one", "refused whole", text(with(3, "x") + &good), 4),
        ("CRLF", "CR is no byte of a comment", text(good.replace('\n', "\r\n")), 1),
        ("CR behind the signature", "no white space in base64", text(with(1, &format!("{}\r", lines[1]))), 2),
        ("byte order mark", "a comment line begins with its prefix", text("\u{feff}".to_owned() + &good), 1),
        ("not UTF-8", "a byte above 0x7e in a comment", content(&not_utf8), 1),
        (
            "a letter above ASCII",
            "a byte above 0x7e in a comment",
            text(with(0, "untrusted comment: \u{e9}")),
            1,
        ),
        (
            "escape in the untrusted comment",
            "a control character",
            text(with(0, "untrusted comment: \u{1b}[2J")),
            1,
        ),
        (
            "escape in the trusted comment",
            "a control character",
            text(with(2, "trusted comment: \u{1b}[2J")),
            3,
        ),
        ("NUL in a comment", "a control character", text(with(0, "untrusted comment: \0")), 1),
        ("DEL in a comment", "0x7f is above 0x7e", text(with(0, "untrusted comment: \u{7f}")), 1),
        (
            "untrusted comment without a space",
            "the prefix ends with one",
            text(with(0, "untrusted comment:x")),
            1,
        ),
        ("untrusted comment in capitals", "the prefix is exact", text(with(0, "Untrusted comment: x")), 1),
        (
            "trusted comment in capitals",
            "the prefix is exact",
            text(with(2, &lines[2].replacen('t', "T", 1))),
            3,
        ),
        (
            "comments exchanged",
            "each where it belongs",
            text([lines[2], lines[1], lines[0], lines[3]].join("\n") + "\n"),
            1,
        ),
        ("two untrusted comments", "the third line is the trusted one", text(with(2, lines[0])), 3),
        (
            "signatures exchanged",
            "74 bytes, then 64",
            text([lines[0], lines[3], lines[2], lines[1]].join("\n") + "\n"),
            2,
        ),
        (
            "untrusted comment line of 1025 bytes",
            "one too many",
            padded("untrusted comment: ", "u", 1025 - 19, &good[good.find('\n').unwrap()..]),
            1,
        ),
        (
            "trusted comment line of 1025 bytes",
            "one too many",
            padded(
                &format!("{}\n{}\ntrusted comment: ", lines[0], lines[1]),
                "t",
                1025 - 17,
                &format!("\n{}\n", lines[3]),
            ),
            3,
        ),
        (
            "legacy form",
            "`Ed` signs the message and not its hash",
            text(changed(key, |block| {
                block.algorithm = *b"Ed";
                block.signature = ed25519_dalek::Signer::sign(&key.signing, MESSAGE).to_bytes();
                let sealed = [&block.signature[..], block.trusted.as_bytes()].concat();
                block.global = ed25519_dalek::Signer::sign(&key.signing, &sealed).to_bytes();
            })),
            2,
        ),
        (
            "labelled as legacy",
            "a good signature under the other label",
            text(changed(key, |block| block.algorithm = *b"Ed")),
            2,
        ),
        ("unknown algorithm", "neither", text(changed(key, |block| block.algorithm = *b"EE")), 2),
        ("73 bytes", "one too few", text(with(1, &Base64::encode_string(&base64(1)[..73]))), 2),
        (
            "75 bytes",
            "one too many",
            text(with(1, &Base64::encode_string(&[&base64(1)[..], &[0]].concat()))),
            2,
        ),
        ("63 bytes", "one too few", text(with(3, &Base64::encode_string(&base64(3)[..63]))), 4),
        (
            "65 bytes",
            "one too many",
            text(with(3, &Base64::encode_string(&[&base64(3)[..], &[0]].concat()))),
            4,
        ),
        ("no signature", "the line is empty", text(with(1, "")), 2),
        ("no global signature", "the line is empty", text(with(3, "")), 4),
        (
            "no padding",
            "74 bytes are padded by one `=`",
            text(with(1, &Base64Unpadded::encode_string(&base64(1)))),
            2,
        ),
        (
            "no padding of the global signature",
            "64 bytes are padded by two `=`",
            text(with(3, &Base64Unpadded::encode_string(&base64(3)))),
            4,
        ),
        ("padding too long", "one `=` too many", text(with(1, &format!("{}=", lines[1]))), 2),
        (
            "URL-safe alphabet",
            "`-` and `_` are not of the standard alphabet",
            text(with(1, &{
                let url = Base64Url::encode_string(&[&base64(1)[..10], &[0xff; 64]].concat());
                assert!(url.contains('_'));
                url
            })),
            2,
        ),
        (
            "stray bits",
            "the last digit has bits that belong to no byte",
            text(with(1, &stray(lines[1], "="))),
            2,
        ),
        (
            "stray bits in the global signature",
            "the last digit has bits that belong to no byte",
            text(with(3, &stray(lines[3], "=="))),
            4,
        ),
        ("space before", "no white space in base64", text(with(1, &format!(" {}", lines[1]))), 2),
        ("space behind", "no white space in base64", text(with(3, &format!("{} ", lines[3]))), 4),
        (
            "a public key in its place",
            "another minisign file",
            text(format!(
                "untrusted comment: minisign public key\n{}\n",
                Base64::encode_string(
                    &[&b"Ed"[..], &key.id, key.signing.verifying_key().as_bytes()].concat()
                )
            )),
            1,
        ),
    ];
    cases.into_iter().map(|(name, comment, text, line)| refuse(name, comment, text, line)).collect()
}

fn refuse(name: &str, comment: &str, text: Value, line: usize) -> Value {
    let mut vector = vector(name, comment, text, &[Key::new(1).hex()]);
    (vector["result"], vector["line"]) = ("refuse".into(), line.into());
    vector
}
