//! Signatures have one form, and count for what they sign.

use blake2::{Blake2b512, Digest as _};
use ed25519_dalek::Signer as _;
use relatch::source::Object;
use relatch::trust::DocumentKind;

use crate::attack::{Attack, Outcome};
use crate::stage::Stage;
use crate::support::Key;
use crate::support::minisign::Block;

/// Which of the three documents carries the signature text.
#[derive(Clone, Copy)]
pub enum Carrier {
    Version,
    Manifest,
    Root,
}

impl Carrier {
    pub fn name(self) -> &'static str {
        match self {
            Carrier::Version => "VERSION",
            Carrier::Manifest => "manifest",
            Carrier::Root => "root",
        }
    }

    /// The steps of the form and of the threshold.
    pub fn steps(self) -> (&'static str, &'static str) {
        match self {
            Carrier::Version => ("4b", "4c"),
            Carrier::Manifest => ("6b", "6c"),
            Carrier::Root => ("3a", "3b"),
        }
    }

    /// The next release, with this document signed so by the key that may. A root is a new one.
    pub fn signed(self, stage: &mut Stage, text: impl Fn(&Key, &[u8]) -> Vec<u8>) {
        let draft = stage.draft();
        stage.repository.publish(&draft);
        let repository = &mut stage.repository;
        match self {
            Carrier::Version => {
                let signed = repository.version_lines();
                let signatures = text(&draft.timestamp_keys[0], &signed);
                std::fs::write(repository.version_path(), [signed, signatures].concat()).unwrap();
            }
            Carrier::Manifest => {
                let signatures = text(&draft.release_keys[0], draft.manifest.to_string().as_bytes());
                repository.write(&Object::ManifestSignatures(repository.current_manifest()), signatures);
            }
            Carrier::Root => {
                repository.root_version += 1;
                let document = repository.root().to_string();
                let signatures = text(&repository.root_keys[0], document.as_bytes());
                repository.write(&Object::Root(repository.root_version), document);
                repository.write(&Object::RootSignatures(repository.root_version), signatures);
            }
        }
    }

    /// Nobody who may has signed it.
    pub fn unsigned(self) -> Outcome {
        match self {
            Carrier::Version => {
                refused!(Threshold { document: DocumentKind::Timestamp, needed: 1, valid: 0 })
            }
            Carrier::Manifest => {
                refused!(Threshold { document: DocumentKind::Manifest, needed: 1, valid: 0 })
            }
            Carrier::Root => {
                refused!(Threshold { document: DocumentKind::Root(_), needed: 1, valid: 0 })
            }
        }
    }
}

struct Row {
    name: &'static str,
    /// Makes the signature text of a message from its key.
    text: fn(&Key, &[u8]) -> Vec<u8>,
    answer: Form,
}

enum Form {
    Good,
    /// Refused whole, at this line of the signature text.
    Bad(usize),
    /// Of good form; nobody who may has signed.
    Nobody,
}

pub fn lines(key: &Key, message: &[u8], change: fn(&mut Vec<String>)) -> String {
    let mut lines: Vec<String> = key.sign(message).lines().map(String::from).collect();
    change(&mut lines);
    lines.iter().map(|line| format!("{line}\n")).collect()
}

pub fn block(key: &Key, message: &[u8], change: impl FnOnce(&mut Block)) -> String {
    let mut block = key.block(message);
    change(&mut block);
    block.to_text()
}

/// With this signature in the first place, and a global signature over it that is right.
pub fn with_signature(key: &Key, message: &[u8], change: impl FnOnce(&mut [u8; 64])) -> String {
    block(key, message, |block| {
        change(&mut block.signature);
        let global = [&block.signature[..], block.trusted.as_bytes()].concat();
        block.global = key.signing.sign(&global).to_bytes();
    })
}

/// With this label, a signature over these bytes in the first place, and a global signature over it that is right.
fn over(key: &Key, algorithm: [u8; 2], bytes: &[u8]) -> String {
    block(key, bytes, |block| {
        block.algorithm = algorithm;
        block.signature = key.signing.sign(bytes).to_bytes();
        let global = [&block.signature[..], block.trusted.as_bytes()].concat();
        block.global = key.signing.sign(&global).to_bytes();
    })
}

/// Signed as minisign did before it hashed first: a valid legacy signature.
fn legacy(key: &Key, message: &[u8]) -> String {
    over(key, *b"Ed", message)
}

/// Validly signed, with this trusted comment.
fn commented(key: &Key, message: &[u8], comment: &str) -> String {
    block(key, message, |block| {
        block.trusted = comment.into();
        block.global = key.signing.sign(&[&block.signature[..], comment.as_bytes()].concat()).to_bytes();
    })
}

/// The last digit before the padding, with one of its unused bits set.
fn stray_bit(line: &mut String) {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = line.trim_end_matches('=').len();
    let value = DIGITS.find(&line[digits - 1..digits]).unwrap();
    assert_eq!(value % 2, 0);
    line.replace_range(digits - 1..digits, &DIGITS[value + 1..value + 2]);
}

fn url_safe(line: &str) -> String {
    line.replace('+', "-").replace('/', "_")
}

/// S + L, where the signature has S: the same point equation holds, and every strict verifier refuses it.
fn plus_order(signature: &mut [u8; 64]) {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, add) in signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
}

fn stranger() -> Key {
    Key::new(99)
}

const UNTRUSTED: usize = "untrusted comment: ".len();
const TRUSTED: usize = "trusted comment: ".len();

macro_rules! forms {
    ($($name:literal, $answer:expr, $text:expr;)+) => {
        vec![$(Row { name: $name, text: |key, message| Vec::from($text(key, message)), answer: $answer }),+]
    };
}

#[rustfmt::skip]
fn forms() -> Vec<Row> {
    use Form::{Bad, Good, Nobody};
    fn f<T: Into<Vec<u8>>>(text: fn(&Key, &[u8]) -> T) -> fn(&Key, &[u8]) -> T { text }
    forms![
        "as it should be", Good, f(|key, message| key.sign(message));
        "nothing", Bad(1), f(|_, _| String::new());
        "an empty line", Bad(1), f(|_, _| "\n");
        "no text", Bad(1), f(|_, _| b"\xff\xfe");
        "legacy", Bad(2), f(legacy);
        "legacy mark on a good one", Bad(2), f(|key, message| block(key, message, |b| b.algorithm = *b"Ed"));
        "another algorithm", Bad(2), f(|key, message| block(key, message, |b| b.algorithm = *b"eD"));
        "legacy, with the mark of a prehashed one", Nobody, f(|key, message| over(key, *b"ED", message));
        "over half of the hash", Nobody, f(|key, message| over(key, *b"ED", &Blake2b512::digest(message)[..32]));
        "over the other half of the hash", Nobody, f(|key, message| over(key, *b"ED", &Blake2b512::digest(message)[32..]));
        "over the hash of the hash", Nobody, f(|key, message| key.sign(&Blake2b512::digest(message)));
        "CRLF", Bad(1), f(|key, message| key.sign(message).replace('\n', "\r\n"));
        "CR after the signature", Bad(2), f(|key, message| lines(key, message, |lines| lines[1].push('\r')));
        "CR after the trusted comment", Bad(3), f(|key, message| lines(key, message, |lines| lines[2].push('\r')));
        "CR at the end", Bad(4), f(|key, message| lines(key, message, |lines| lines[3].push('\r')));
        "byte order mark", Bad(1), f(|key, message| format!("\u{feff}{}", key.sign(message)));
        "blank line before", Bad(1), f(|key, message| format!("\n{}", key.sign(message)));
        "fifth line", Bad(5), f(|key, message| format!("{}more\n", key.sign(message)));
        "blank fifth line", Bad(5), f(|key, message| format!("{}\n", key.sign(message)));
        "text after the last newline", Bad(5), f(|key, message| format!("{}more", key.sign(message)));
        "no newline at the end", Bad(4), f(|key, message| key.sign(message).trim_end().to_owned());
        "three lines", Bad(1), f(|key, message| lines(key, message, |lines| drop(lines.pop())));
        "space after the signature", Bad(2), f(|key, message| lines(key, message, |lines| lines[1].push(' ')));
        "space before the signature", Bad(2), f(|key, message| lines(key, message, |lines| lines[1].insert(0, ' ')));
        "URL-safe digits", Bad(2), f(|key, message| {
            let slashes = Key { id: [0xff; 8], ..key.clone() }; // so that there are some
            lines(&slashes, message, |lines| {
                assert!(lines[1].contains('/'));
                lines[1] = url_safe(&lines[1]);
            })
        });
        "URL-safe digits in the global signature", Bad(4), f(|key, message| {
            // Among some signatures there is one with such digits.
            let mut texts = (0..64).map(|number| commented(key, message, &number.to_string()));
            let text = texts.find(|text| text.lines().nth(3).unwrap().contains(['+', '/'])).unwrap();
            let (first, global) = text.trim_end().rsplit_once('\n').unwrap();
            format!("{first}\n{}\n", url_safe(global))
        });
        "unpadded signature", Bad(2), f(|key, message| lines(key, message, |lines| lines[1] = lines[1].replace('=', "")));
        "unpadded global signature", Bad(4), f(|key, message| lines(key, message, |lines| lines[3] = lines[3].replace('=', "")));
        "padding too much", Bad(2), f(|key, message| lines(key, message, |lines| lines[1].push('=')));
        "padding too much at the global signature", Bad(4), f(|key, message| lines(key, message, |lines| lines[3].push('=')));
        "stray bit in the signature", Bad(2), f(|key, message| lines(key, message, |lines| stray_bit(&mut lines[1])));
        "stray bit in the global signature", Bad(4), f(|key, message| lines(key, message, |lines| stray_bit(&mut lines[3])));
        "short signature", Bad(2), f(|key, message| lines(key, message, |lines| lines[1].truncate(96)));
        "short global signature", Bad(4), f(|key, message| lines(key, message, |lines| lines[3].truncate(84)));
        "lines swapped", Bad(1), f(|key, message| lines(key, message, |lines| lines.swap(0, 2)));
        "other words for the untrusted comment", Bad(1), f(|key, message| {
            lines(key, message, |lines| lines[0] = lines[0].replace("untrusted comment: ", "Untrusted comment: "))
        });
        "no space after the trusted comment's words", Bad(3), f(|key, message| {
            lines(key, message, |lines| lines[2] = lines[2].replace("comment: ", "comment:"))
        });
        "untrusted comment of 1024 bytes", Good, f(|key, message| {
            block(key, message, |block| block.untrusted = "x".repeat(1024 - UNTRUSTED))
        });
        "untrusted comment of 1025 bytes", Bad(1), f(|key, message| {
            block(key, message, |block| block.untrusted = "x".repeat(1025 - UNTRUSTED))
        });
        "trusted comment of 1024 bytes", Good, f(|key, message| commented(key, message, &"x".repeat(1024 - TRUSTED)));
        "trusted comment of 1025 bytes", Bad(3), f(|key, message| commented(key, message, &"x".repeat(1025 - TRUSTED)));
        "trusted comment that begins like one", Good, f(|key, message| commented(key, message, "trusted comment: x"));
        "empty comments", Good, f(|key, message| commented(key, message, "").replace("signature of a test key", ""));
        "tab in the untrusted comment", Good, f(|key, message| block(key, message, |block| block.untrusted = "a\tb".into()));
        "escape in the untrusted comment", Bad(1), f(|key, message| {
            block(key, message, |block| block.untrusted = "\x1b[2J".into())
        });
        "NUL in the untrusted comment", Bad(1), f(|key, message| block(key, message, |block| block.untrusted = "\0".into()));
        "DEL in the trusted comment", Bad(3), f(|key, message| commented(key, message, "\x7f"));
        "escape in the trusted comment", Bad(3), f(|key, message| commented(key, message, "\x1b[2J"));
        "letters beyond ASCII in the untrusted comment", Bad(1), f(|key, message| {
            block(key, message, |block| block.untrusted = "é".into())
        });
        "letters beyond ASCII in the trusted comment", Bad(3), f(|key, message| commented(key, message, "é"));
        "another untrusted comment", Good, f(|key, message| block(key, message, |block| block.untrusted = "other".into()));
        "trusted comment changed", Nobody, f(|key, message| block(key, message, |block| block.trusted = "timestamp:2".into()));
        "trusted comment extended", Nobody, f(|key, message| block(key, message, |block| block.trusted.push('x')));
        "trusted comment shortened", Nobody, f(|key, message| block(key, message, |block| block.trusted.truncate(9)));
        "trusted comment and global signature of another file", Nobody, f(|key, message| {
            block(key, message, |block| {
                let other = key.block(b"another file");
                (block.trusted, block.global) = (other.trusted, other.global);
            })
        });
        "S + L in the signature", Nobody, f(|key, message| with_signature(key, message, plus_order));
        "S + L in the global signature", Nobody, f(|key, message| block(key, message, |block| plus_order(&mut block.global)));
        "zeros", Nobody, f(|key, message| block(key, message, |block| (block.signature, block.global) = ([0; 64], [0; 64])));
        "signature of another message", Nobody, f(|key, _| key.sign(b"another message"));
        "another key id", Good, f(|key, message| block(key, message, |block| block.id = [0xee; 8]));
        "a stranger under the trusted key's id", Nobody, f(|key, message| Key { id: key.id, ..stranger() }.sign(message));
        "a stranger", Nobody, f(|_, message| stranger().sign(message));
        "a stranger before", Good, f(|key, message| stranger().sign(message) + &key.sign(message));
        "a stranger behind", Good, f(|key, message| key.sign(message) + &stranger().sign(message));
        "one that does not verify before", Good, f(|key, message| key.sign(b"other") + &key.sign(message));
        "one that does not verify behind", Good, f(|key, message| key.sign(message) + &key.sign(b"other"));
        "a weak point behind", Good, f(|key, message| {
            key.sign(message) + &block(key, message, |block| block.signature[..32].fill(0))
        });
        "one of bad form before", Bad(2), f(|key, message| {
            block(&stranger(), message, |block| block.algorithm = *b"Ed") + &key.sign(message)
        });
        "one of bad form behind", Bad(6), f(|key, message| {
            key.sign(message) + &block(&stranger(), message, |block| block.algorithm = *b"Ed")
        });
        "a good one of legacy form behind", Bad(6), f(|key, message| key.sign(message) + &legacy(key, message));
        "a blank line between", Bad(5), f(|key, message| key.sign(message) + "\n" + &key.sign(message));
    ]
}

pub fn attacks(carrier: Carrier) -> Vec<Attack> {
    let (form, threshold) = carrier.steps();
    let attack = |Row { name, text, answer }| {
        let (step, outcome) = match answer {
            Form::Good => (threshold, Outcome::Harmless),
            Form::Nobody => (threshold, carrier.unsigned()),
            Form::Bad(1) => (form, refused!(SignatureForm { line: 1, .. })),
            Form::Bad(2) => (form, refused!(SignatureForm { line: 2, .. })),
            Form::Bad(3) => (form, refused!(SignatureForm { line: 3, .. })),
            Form::Bad(4) => (form, refused!(SignatureForm { line: 4, .. })),
            Form::Bad(5) => (form, refused!(SignatureForm { line: 5, .. })),
            Form::Bad(_) => (form, refused!(SignatureForm { line: 6, .. })),
        };
        let name = format!("signature of {}: {name}", carrier.name());
        Attack::new(step, name, move |stage| carrier.signed(stage, text), outcome)
    };
    forms().into_iter().map(attack).collect()
}

table!(version, attacks(Carrier::Version));
table!(manifest, attacks(Carrier::Manifest));
table!(root, attacks(Carrier::Root));
