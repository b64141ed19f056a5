//! Secret key files whose text is wrong, and keys in places where they do not belong.

use crate::key_file::KeyFile;
use crate::keys::{SIGN, changed, detached, of, text};
use crate::scene::{PASSWORD, Scene};
use crate::support::stderr;
use crate::table::{harmless, refused, row};
use crate::unix::{make_fifo, set_mode, symlink};

#[test]
fn text_forms() {
    let two = "bad.key is not a minisign key: it must have two lines";
    let first = "bad.key is not a minisign key: its first line is not an untrusted comment";
    let base64 = "bad.key is not a minisign key: its second line is not base64";
    let advice = "Name a minisign secret key file";
    let second = |change: fn(&str) -> String| {
        text(move |key| {
            let (comment, line) = key.trim_end().split_once('\n').unwrap();
            format!("{comment}\n{}\n", change(line))
        })
    };
    refused(&[
        row("empty", "7", text(|_| String::new()), 2, &[two, advice]),
        row("one line", "7", text(|key| key.lines().nth(1).unwrap().into()), 2, &[two, advice]),
        row("a third line", "7", text(|key| format!("{key}\n")), 2, &[two, advice]),
        row("bytes after it", "7", text(|key| format!("{key}x")), 2, &[two, advice]),
        row("an empty line before it", "7", text(|key| format!("\n{key}")), 2, &[two, advice]),
        row("a byte order mark", "7", text(|key| format!("\u{feff}{key}")), 2, &[first, advice]),
        row("another comment", "7", text(|key| key.replace("untrusted", "trusted")), 2, &[first, advice]),
        row("URL-safe base64", "7", second(|_| "-_".repeat(106)), 2, &[base64, advice]),
        row("no padding", "7", second(|line| line.trim_end_matches('=').into()), 2, &[base64, advice]),
        row("a space in it", "7", second(|line| line.replacen('A', " ", 1)), 2, &[base64, advice]),
        row(
            "three bytes more",
            "7",
            second(|line| format!("AAAA{line}")),
            2,
            &["it has 161 bytes, not 158", advice],
        ),
        row(
            "three bytes fewer",
            "7",
            second(|line| line[4..].into()),
            2,
            &["it has 155 bytes, not 158", advice],
        ),
        row("a public key", "7", |s| of(s, s.bytes("keys/ci.pub")), 2, &["it has 42 bytes, not 158", advice]),
        row("a signature", "7", |s| of(s, s.bytes("root2.json.minisig")), 2, &[two, advice]),
        row(
            "a PEM key",
            "7",
            |s| of(s, "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n"),
            2,
            &[two, advice],
        ),
        row(
            "no text",
            "7",
            |s| of(s, [0xff; 270]),
            2,
            &["bad.key is not a minisign key: it is not UTF-8", advice],
        ),
        row(
            "huge",
            "7",
            |s| of(s, vec![b'x'; 10_000_000]),
            2,
            &["bad.key is not a minisign key: it has more than 4096 bytes", advice],
        ),
        row(
            "a key, and much after it",
            "7",
            text(|key| format!("{key}{}", "\n".repeat(5000))),
            2,
            &["more than 4096 bytes", advice],
        ),
    ]);
    let release = |change: fn(String) -> String| {
        move |s: &Scene| {
            text(change)(s);
            s.release_by(&["human", "clock"], "1.2.0", &["--key", "bad.key"])
        }
    };
    harmless(&[
        row(
            "CRLF, as an editor on Windows leaves it",
            "7",
            release(|key| key.replace('\n', "\r\n")),
            0,
            &["published widget 1.2.0"],
        ),
        row(
            "without the last newline",
            "7",
            release(|key| key.trim_end().into()),
            0,
            &["published widget 1.2.0"],
        ),
    ]);
}

#[test]
fn places() {
    let missing = "Check the path";
    let no_file = "it is neither a file nor a pipe";
    let at = |key: &'static str| move |s: &Scene| s.command(&["sign", "unsigned", "--key", key]);
    refused(&[
        row("missing", "7", at("nowhere.key"), 5, &["cannot open the secret key nowhere.key", missing]),
        row("a directory", "7", at("keys"), 5, &["cannot open the secret key keys", no_file]),
        row(
            "a device without end",
            "7",
            at("/dev/zero"),
            5,
            &["cannot open the secret key /dev/zero", no_file],
        )
        .on_unix(),
        row(
            "a link to nothing",
            "7",
            |s| {
                symlink("nowhere", s.desk.path("bad.key")).unwrap();
                s.command(&SIGN)
            },
            5,
            &["cannot open the secret key bad.key", missing],
        )
        .on_unix(),
        row(
            "a name that drives a terminal",
            "7",
            at("a\u{1b}]0;x\u{7}\u{202e}"),
            5,
            &["the secret key a\\u{1b}]0;x\\u{7}\\u{202e}"],
        ),
        row(
            "a variable that is not set",
            "7",
            at("env:NOBODY_SET_THIS"),
            2,
            &["in $NOBODY_SET_THIS is not set, or is not UTF-8"],
        ),
        row(
            "a variable that holds something else",
            "7",
            |s| {
                let mut c = at("env:SOMETHING")(s);
                c.env("SOMETHING", "else");
                c
            },
            2,
            &["in $SOMETHING is not a minisign key: it must have two lines"],
        ),
        row("standard input that is empty", "7", at("-"), 2, &["on standard input is not a minisign key"]),
        row(
            "standard input without end",
            "7",
            |s| {
                let mut c = at("-")(s);
                c.stdin(std::fs::File::open("/dev/zero").unwrap());
                c
            },
            2,
            &["on standard input is not a minisign key: it has more than 4096 bytes"],
        )
        .on_unix(),
        row(
            "standard input for two keys",
            "7",
            |s| s.command(&["sign", "unsigned", "--key", "-", "--key", "-"]),
            2,
            &["`-` may be given once"],
        ),
    ]);
    for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o660, 0o666, 0o777] {
        let others = format!(
            "the secret key bad.key can be read or written by other users (mode {mode:o}); run `chmod 600` on it, and replace the key"
        );
        let open = |s: &Scene| {
            text(|key| key)(s);
            set_mode(&s.desk.path("bad.key"), mode);
            s.command(&SIGN)
        };
        refused(&[row(format!("mode {mode:o}"), "7", open, 2, &[&others]).on_unix()]);
    }
    harmless(&[
        row(
            "a link to a key",
            "7",
            |s| {
                symlink("keys/ci.key", s.desk.path("bad.key")).unwrap();
                s.release_by(&["human", "clock"], "1.2.0", &["--key", "bad.key"])
            },
            0,
            &["published widget 1.2.0"],
        )
        .on_unix(),
        row(
            "a pipe for its owner",
            "7",
            |s| {
                make_fifo(&s.desk.path("pipe"));
                set_mode(&s.desk.path("pipe"), 0o600);
                let write = s.desk.path("pipe");
                let key = s.bytes("keys/ci.key");
                std::thread::spawn(move || std::fs::write(write, key));
                s.release_by(&["human", "clock"], "1.2.0", &["--key", "pipe"])
            },
            0,
            &["published widget 1.2.0"],
        )
        .on_unix(),
    ]);
}

/// The key itself, where something else belongs: it is not told back to the terminal or the log of a CI.
#[test]
fn pasted() {
    let line = |s: &Scene| s.desk.read("keys/ci.key").lines().nth(1).unwrap().to_owned();
    let given = "seems to be the key itself instead of its location. It is in your shell's history now: replace the key, and name the location of the new one";
    let as_key = |make: fn(&str, &str) -> String| {
        move |s: &Scene| {
            s.command(&["sign", "unsigned", "--key", &make(&line(s), &s.desk.read("keys/ci.key"))])
        }
    };
    refused(&[
        row("as the key", "7", as_key(|line, _| line.into()), 2, &[given]),
        row("its whole file", "7", as_key(|_, file| file.into()), 2, &[given]),
        row("as the variable", "7", as_key(|line, _| format!("env:{line}")), 2, &[given]),
        row("a part of it", "7", as_key(|line, _| line[..100].into()), 2, &[given]),
        row("its file as the variable", "7", as_key(|_, file| format!("env:{file}")), 2, &[given]),
        row(
            "as a folder",
            "7",
            |s| s.command(&["sign", &line(s), "--key", "keys/ci.key"]),
            2,
            &["(a secret key) is not a release folder"],
        ),
        row(
            "as an argument that nobody expects",
            "7",
            |s| s.command(&["verify", &line(s)]),
            2,
            &["unexpected argument '(a secret key)'"],
        ),
        row("as a version", "7", |s| s.release(&line(s), &[]), 2, &["--version"]),
        row(
            "as a path",
            "7",
            |s| s.release("1.2.0", &["--notes", &line(s)]),
            5,
            &["cannot open (a secret key)"],
        ),
        row(
            "as a password's variable",
            "7",
            |s| {
                let c = changed(|file| file.encrypt(PASSWORD))(s);
                let mut c = detached(&c);
                c.args(["--password-env", &line(s)]);
                c
            },
            2,
            &["the variable that --password-env names is not set"],
        ),
        row(
            "encrypted",
            "7",
            |s| {
                let mut file = KeyFile::parse(&s.desk.read("keys/ci.key"));
                file.encrypt(PASSWORD);
                let text = file.to_text();
                s.command(&["verify", text.lines().nth(1).unwrap()])
            },
            2,
            &["unexpected argument '(a secret key)'"],
        ),
    ]);
}

/// Every prefix of a key file, and every byte of it changed: refused, or it is the same key: the comment says nothing.
#[test]
fn every_length_and_every_byte() {
    let scene = Scene::new();
    let key = scene.bytes("keys/ci.key");
    let comment = "untrusted comment: ".len()..key.iter().position(|byte| *byte == b'\n').unwrap();
    // Salt and limits of scrypt, which a key without a password has no use for.
    let unused = comment.end + 1 + 8..comment.end + 1 + 72;
    let public = scene.public("ci");
    let before = crate::scene::tree(&scene.desk.path("unsigned"));
    let mut tried = 0;
    let mut sign = |name: String, content: &[u8], is_the_same: bool| {
        tried += 1;
        let output = crate::scene::run(&mut of(&scene, content));
        scene.told_safely(&name, &output);
        let told = String::from_utf8(output.stdout.clone()).unwrap();
        if is_the_same {
            assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
            assert!(told.contains(&format!("signed by 1 of 2 release keys\n    {public}")), "{name}: {told}");
            std::fs::remove_file(scene.desk.path("unsigned/manifest.json.minisig")).unwrap();
        } else {
            assert_eq!(output.status.code(), Some(2), "{name}: {}", stderr(&output));
            // After what would have been signed, the error.
            let told = stderr(&output);
            let (_, error) = told.split_once("\nnext: signer sign unsigned --key KEY\n").expect(&name);
            assert!(error.starts_with("signer: the secret key bad.key "), "{name}: {told}");
        }
        assert_eq!(crate::scene::tree(&scene.desk.path("unsigned")), before, "{name}");
    };
    // The same code everywhere, and on Windows a process takes its time: there, every 13th.
    let step = if cfg!(windows) { 13 } else { 1 };
    for length in (0..key.len()).step_by(step) {
        sign(format!("cut to {length} bytes"), &key[..length], length == key.len() - 1);
    }
    for at in (0..key.len()).step_by(step) {
        for bit in [0x01, 0x20] {
            let mut changed = key.clone();
            changed[at] ^= bit;
            let still_base64 = changed[at].is_ascii_alphanumeric() || matches!(changed[at], b'+' | b'/');
            let same = comment.contains(&at) || unused.contains(&at) && still_base64;
            sign(format!("byte {at} with {bit:#04x} flipped"), &changed, same);
        }
    }
    assert_eq!(tried, 3 * key.len().div_ceil(step));
}
