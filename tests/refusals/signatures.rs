//! Signatures have one form, and count for what they sign.

use super::*;

struct Signed {
    name: &'static str,
    /// Makes the signature text of a message from its key.
    text: fn(&Key, &[u8]) -> String,
    answer: Answer,
}

enum Answer {
    Good,
    /// Refused whole, at this line of the signature text.
    Form(usize),
    /// Of good form; nobody who may has signed.
    Nobody,
}

/// Each way to sign, for each of the three documents.
#[test]
fn signatures_have_one_form() {
    fn lines(key: &Key, message: &[u8], change: fn(&mut Vec<String>)) -> String {
        let mut lines: Vec<String> = key.sign(message).lines().map(String::from).collect();
        change(&mut lines);
        lines.iter().map(|line| format!("{line}\n")).collect()
    }
    fn block(key: &Key, message: &[u8], change: fn(&mut Block)) -> String {
        let mut block = key.block(message);
        change(&mut block);
        block.to_text()
    }
    /// Signed as minisign did before it hashed first: a valid legacy signature.
    fn legacy(key: &Key, message: &[u8]) -> String {
        use ed25519_dalek::Signer as _;
        let mut block = key.block(message);
        block.algorithm = *b"Ed";
        block.signature = key.signing.sign(message).to_bytes();
        block.global =
            key.signing.sign(&[&block.signature[..], block.trusted.as_bytes()].concat()).to_bytes();
        block.to_text()
    }
    /// Validly signed, with this trusted comment.
    fn commented(key: &Key, message: &[u8], comment: &str) -> String {
        use ed25519_dalek::Signer as _;
        let mut block = key.block(message);
        block.trusted = comment.into();
        block.global = key.signing.sign(&[&block.signature[..], comment.as_bytes()].concat()).to_bytes();
        block.to_text()
    }
    /// The last digit before the padding, with one of its unused bits set.
    fn stray_bit(line: &mut String) {
        const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digits = line.trim_end_matches('=').len();
        let value = DIGITS.find(&line[digits - 1..digits]).unwrap();
        assert_eq!(value % 2, 0);
        line.replace_range(digits - 1..digits, &DIGITS[value + 1..value + 2]);
    }
    /// S + L, where the signature has S: the same point equation holds, and every strict verifier refuses it.
    fn plus_order(key: &Key, message: &[u8]) -> String {
        use ed25519_dalek::Signer as _;
        const ORDER: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut block = key.block(message);
        let mut carry = 0;
        for (byte, add) in block.signature[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
        }
        block.global =
            key.signing.sign(&[&block.signature[..], block.trusted.as_bytes()].concat()).to_bytes();
        block.to_text()
    }
    const UNTRUSTED: usize = "untrusted comment: ".len();
    const TRUSTED: usize = "trusted comment: ".len();
    fn stranger() -> Key {
        Key::new(99)
    }
    use Answer::{Form, Good, Nobody};
    macro_rules! signed {
        ($($name:literal, $answer:expr, $text:expr;)+) => {
            [$(Signed { name: $name, text: $text, answer: $answer }),+]
        };
    }
    let rows = signed![
        "as it should be", Good, |key, message| key.sign(message);
        "nothing", Form(1), |_, _| String::new();
        "an empty line", Form(1), |_, _| "\n".into();
        "legacy", Form(2), legacy;
        "legacy mark on a good one", Form(2), |key, message| block(key, message, |b| b.algorithm = *b"Ed");
        "another algorithm", Form(2), |key, message| block(key, message, |b| b.algorithm = *b"eD");
        "CRLF", Form(1), |key, message| key.sign(message).replace('\n', "\r\n");
        "CR after the signature", Form(2), |key, message| lines(key, message, |lines| lines[1].push('\r'));
        "CR after the trusted comment", Form(3), |key, message| lines(key, message, |lines| lines[2].push('\r'));
        "CR at the end", Form(4), |key, message| lines(key, message, |lines| lines[3].push('\r'));
        "byte order mark", Form(1), |key, message| format!("\u{feff}{}", key.sign(message));
        "blank line before", Form(1), |key, message| format!("\n{}", key.sign(message));
        "fifth line", Form(5), |key, message| format!("{}more\n", key.sign(message));
        "blank fifth line", Form(5), |key, message| format!("{}\n", key.sign(message));
        "text after the last newline", Form(5), |key, message| format!("{}more", key.sign(message));
        "no newline at the end", Form(4), |key, message| key.sign(message).trim_end().into();
        "three lines", Form(1), |key, message| lines(key, message, |lines| drop(lines.pop()));
        "space after the signature", Form(2), |key, message| lines(key, message, |lines| lines[1].push(' '));
        "space before the signature", Form(2), |key, message| lines(key, message, |lines| lines[1].insert(0, ' '));
        "URL-safe digits", Form(2), |key, message| {
            let slashes = Key { id: [0xff; 8], ..key.clone() }; // so that there are some
            lines(&slashes, message, |lines| {
                assert!(lines[1].contains('/'));
                lines[1] = lines[1].replace('+', "-").replace('/', "_");
            })
        };
        "unpadded signature", Form(2), |key, message| lines(key, message, |lines| lines[1] = lines[1].replace('=', ""));
        "unpadded global signature", Form(4), |key, message| lines(key, message, |lines| lines[3] = lines[3].replace('=', ""));
        "padding too much", Form(2), |key, message| lines(key, message, |lines| lines[1].push('='));
        "stray bit in the signature", Form(2), |key, message| lines(key, message, |lines| stray_bit(&mut lines[1]));
        "stray bit in the global signature", Form(4), |key, message| lines(key, message, |lines| stray_bit(&mut lines[3]));
        "short signature", Form(2), |key, message| lines(key, message, |lines| lines[1].truncate(96));
        "short global signature", Form(4), |key, message| lines(key, message, |lines| lines[3].truncate(84));
        "lines swapped", Form(1), |key, message| lines(key, message, |lines| lines.swap(0, 2));
        "other words for the untrusted comment", Form(1), |key, message| {
            lines(key, message, |lines| lines[0] = lines[0].replace("untrusted comment: ", "Untrusted comment: "))
        };
        "no space after the trusted comment's words", Form(3), |key, message| {
            lines(key, message, |lines| lines[2] = lines[2].replace("comment: ", "comment:"))
        };
        "untrusted comment of 1024 bytes", Good, |key, message| {
            block(key, message, |block| block.untrusted = "x".repeat(1024 - UNTRUSTED))
        };
        "untrusted comment of 1025 bytes", Form(1), |key, message| {
            block(key, message, |block| block.untrusted = "x".repeat(1025 - UNTRUSTED))
        };
        "trusted comment of 1024 bytes", Good, |key, message| commented(key, message, &"x".repeat(1024 - TRUSTED));
        "trusted comment of 1025 bytes", Form(3), |key, message| commented(key, message, &"x".repeat(1025 - TRUSTED));
        "empty comments", Good, |key, message| {
            commented(key, message, "").replace("signature of a test key", "")
        };
        "tab in the untrusted comment", Good, |key, message| block(key, message, |block| block.untrusted = "a\tb".into());
        "escape in the untrusted comment", Form(1), |key, message| {
            block(key, message, |block| block.untrusted = "\x1b[2J".into())
        };
        "NUL in the untrusted comment", Form(1), |key, message| block(key, message, |block| block.untrusted = "\0".into());
        "DEL in the trusted comment", Form(3), |key, message| commented(key, message, "\x7f");
        "escape in the trusted comment", Form(3), |key, message| commented(key, message, "\x1b[2J");
        "letters beyond ASCII in the untrusted comment", Form(1), |key, message| {
            block(key, message, |block| block.untrusted = "é".into())
        };
        "letters beyond ASCII in the trusted comment", Form(3), |key, message| commented(key, message, "é");
        "another untrusted comment", Good, |key, message| block(key, message, |block| block.untrusted = "other".into());
        "trusted comment altered", Nobody, |key, message| block(key, message, |block| block.trusted.push('x'));
        "signature altered", Nobody, |key, message| block(key, message, |block| block.signature[40] ^= 1);
        "global signature altered", Nobody, |key, message| block(key, message, |block| block.global[40] ^= 1);
        "S + L", Nobody, plus_order;
        "signature of another message", Nobody, |key, _| key.sign(b"another message");
        "another key id", Good, |key, message| block(key, message, |block| block.id = [0xee; 8]);
        "a stranger under the right key id", Nobody, |key, message| Key { id: key.id, ..stranger() }.sign(message);
        "a stranger", Nobody, |_, message| stranger().sign(message);
        "a stranger before", Good, |key, message| stranger().sign(message) + &key.sign(message);
        "a stranger behind", Good, |key, message| key.sign(message) + &stranger().sign(message);
        "one that does not verify before", Good, |key, message| key.sign(b"other") + &key.sign(message);
        "one that does not verify behind", Good, |key, message| key.sign(message) + &key.sign(b"other");
        "a weak point behind", Good, |key, message| {
            key.sign(message) + &block(key, message, |block| block.signature[..32].fill(0))
        };
        "a bad one of bad form before", Form(2), |key, message| {
            block(&stranger(), message, |block| block.algorithm = *b"Ed") + &key.sign(message)
        };
        "a bad one of bad form behind", Form(6), |key, message| {
            key.sign(message) + &block(&stranger(), message, |block| block.algorithm = *b"Ed")
        };
        "a good one of legacy form behind", Form(6), |key, message| key.sign(message) + &legacy(key, message);
        "a blank line between", Form(5), |key, message| key.sign(message) + "\n" + &key.sign(message);
    ];
    let root = DocumentKind::Root(2);
    let sign = |scene: &mut Scene, draft: &Draft, kind, row: &Signed| match kind {
        DocumentKind::Version => {
            let mut pointer = draft.version.clone();
            pointer["manifest"] = scene.repository.current_manifest().to_string().into();
            let signed = format!("1.1.0\n{pointer}\n").into_bytes();
            publish_version(scene, &signed, &(row.text)(&draft.timestamp_keys[0], &signed));
        }
        DocumentKind::Manifest => {
            let signatures = (row.text)(&draft.release_keys[0], draft.manifest.to_string().as_bytes());
            scene
                .repository
                .write(&Object::ManifestSignatures(scene.repository.current_manifest()), signatures);
        }
        DocumentKind::Root(_) => {
            scene.repository.root_version = 2;
            let document = scene.repository.root().to_string();
            let signatures = (row.text)(&scene.repository.root_keys[0], document.as_bytes());
            scene.repository.write(&Object::Root(2), document);
            scene.repository.write(&Object::RootSignatures(2), signatures);
        }
    };
    for kind in [DocumentKind::Version, DocumentKind::Manifest, root] {
        let mut scene = Scene::new();
        let draft = draft(&mut scene);
        scene.repository.publish(&draft);
        for row in &rows {
            let name = format!("{kind}: {}", row.name);
            match row.answer {
                Good => {
                    let mut other = Scene::new();
                    let draft = other.repository.draft("1.1.0", &fake("1.1.0"));
                    other.repository.publish(&draft);
                    sign(&mut other, &draft, kind, row);
                    other.updates_to(&name, "1.1.0", &fake("1.1.0"));
                    assert_eq!(other.root_on_disk(), if kind == root { 2 } else { 1 }, "{name}");
                }
                Form(at) => {
                    sign(&mut scene, &draft, kind, row);
                    scene.refused(&name, |refusal| {
                        matches!(refusal, Refusal::SignatureForm { document, line, .. }
                            if (*document, *line) == (kind, at))
                    });
                }
                Nobody => {
                    sign(&mut scene, &draft, kind, row);
                    scene.refused(&name, |refusal| {
                        matches!(refusal, Refusal::Threshold { document, needed: 1, valid: 0 } if *document == kind)
                    });
                }
            }
        }
        let Some(good) = rows.first() else { panic!("no rows") };
        sign(&mut scene, &draft, kind, good);
        scene.updates_to("signed as it should be in the end", "1.1.0", &fake("1.1.0"));
    }
}

#[test]
fn signatures_that_are_not_text_or_not_there_are_told() {
    let mut scene = Scene::new();
    let draft = draft(&mut scene);
    scene.repository.publish(&draft);
    let object = Object::ManifestSignatures(scene.repository.current_manifest());
    scene.repository.write(&object, b"\xff\xfe");
    scene.refused("not text", |refusal| {
        matches!(refusal, Refusal::SignatureForm { document: DocumentKind::Manifest, line: 1, .. })
    });
    for object in [
        object,
        Object::Manifest(scene.repository.current_manifest()),
        Object::VersionFile("stable".parse().unwrap()),
    ] {
        std::fs::remove_file(scene.repository.path(&object)).unwrap();
        absent(&scene, &object);
    }
    scene.heals("not there");
}
