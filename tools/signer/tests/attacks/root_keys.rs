//! Keys and thresholds that no root may have, and public key files.

use base64ct::{Base64, Encoding};
use relatch::trust::{Key, Root};

use crate::roots::{BOTH, forged, to_sign};
use crate::scene::Scene;
use crate::table::{refused, row};
use crate::unix::make_fifo;

#[test]
pub fn thresholds() {
    let count = "it must be from 1 to the number of keys";
    let renew = |threshold: &'static str| {
        move |s: &Scene| {
            s.command(&["root", "renew", "root2.json", "--threshold", threshold, "--out", "next.json"])
        }
    };
    let both = |change: fn(&mut Root)| forged(&BOTH, move |_, root| change(root));
    refused(&[
        row("0", "3c", renew("release=0"), 3, &["role release has threshold 0 of 2 keys", count]),
        row(
            "above the number of keys",
            "3c",
            renew("root=3"),
            3,
            &["role root has threshold 3 of 2 keys", count],
        ),
        row(
            "far above it",
            "3c",
            renew("root=4294967295"),
            3,
            &["role root has threshold 4294967295 of 2 keys", count],
        ),
        row("above what fits", "3.6", renew("root=4294967296"), 2, &["`4294967296` is not a number"]),
        row("negative", "3.6", renew("root=-1"), 2, &["`-1` is not a number"]),
        row(
            "of no role",
            "3.6",
            renew("admin=1"),
            2,
            &["`admin` is not a role; the roles are root, release and timestamp"],
        ),
        row(
            "0, signed",
            "3c",
            both(|root| root.roles.release.threshold = 0),
            3,
            &["role release has threshold 0 of 2 keys", count],
        ),
        row(
            "above the number of keys, signed",
            "3c",
            both(|root| root.roles.timestamp.threshold = 2),
            3,
            &["role timestamp has threshold 2 of 1 keys", count],
        ),
        row(
            "a key that the last one leaves",
            "3c",
            |s| {
                s.command(&[
                    "root",
                    "remove",
                    "root2.json",
                    "--role",
                    "timestamp",
                    "--key",
                    "keys/clock.pub",
                    "--out",
                    "next.json",
                ])
            },
            3,
            &["role timestamp has threshold 1 of 0 keys", count],
        ),
        row(
            "a key twice in a role",
            "3c",
            both(|root| {
                let twin = root.roles.release.keys[0].clone();
                root.roles.release.keys.insert(0, twin);
            }),
            3,
            &["the keys of role release are not sorted, or have a duplicate"],
        ),
        row(
            "a key that is not listed",
            "3c",
            both(|root| {
                root.keys.remove(0);
            }),
            3,
            &["which is not in `keys`"],
        ),
        row(
            "upper-case hex",
            "3c",
            both(|root| root.keys[0].public.make_ascii_uppercase()),
            3,
            &["every client would refuse"],
        ),
    ]);
}

/// Keys for which anybody can sign, and two spellings of one key.
#[test]
pub fn weak_keys() {
    let order_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
    let zero = "0".repeat(64);
    let one = format!("01{}", "0".repeat(62));
    let p_plus_1 = format!("ee{}7f", "f".repeat(60));
    let p_plus_3 = format!("f0{}7f", "f".repeat(60));
    let minus_zero = format!("01{}80", "0".repeat(60));
    let off_curve = format!("02{}", "0".repeat(62));
    let (small, spelt, off) = ("small order", "canonical", "not a point of the curve");
    for (name, hex, why) in [
        ("of order 4", zero.as_str(), small),
        ("the neutral element", &one, small),
        ("of order 8", order_8, small),
        ("the neutral element, spelt otherwise", &p_plus_1, spelt),
        ("y = 3, spelt otherwise", &p_plus_3, spelt),
        ("x = -0", &minus_zero, spelt),
        ("no point", &off_curve, off),
    ] {
        let bytes: Vec<u8> =
            (0..64).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let public = |s: &Scene| {
            let line = Base64::encode_string(&[&b"Ed"[..], &[7; 8], &bytes].concat());
            s.desk.write("weak.pub", format!("untrusted comment: x\n{line}\n"));
        };
        let rooted = |root: &mut Root| {
            root.keys.push(Key { alg: "ed25519".parse().unwrap(), public: hex.into() });
            root.keys.sort_by(|a, b| a.public.cmp(&b.public));
        };
        refused(&[
            row(
                format!("{name}, in a public key file"),
                "3.2",
                |s| {
                    public(s);
                    s.command(&[
                        "root",
                        "add",
                        "root2.json",
                        "--role",
                        "release",
                        "--key",
                        "weak.pub",
                        "--out",
                        "next.json",
                    ])
                },
                2,
                &["weak.pub: the key is", why, "Correct the call"],
            ),
            row(
                format!("{name}, in a first root"),
                "3.2",
                |s| {
                    public(s);
                    s.command(&[
                        "root",
                        "new",
                        "--product",
                        "p",
                        "--root-key",
                        "weak.pub",
                        "--release-key",
                        "weak.pub",
                        "--timestamp-key",
                        "weak.pub",
                        "--out",
                        "next.json",
                    ])
                },
                2,
                &["weak.pub: the key is", why],
            ),
            row(format!("{name}, in a root to sign"), "3d", to_sign(|_, root| rooted(root)), 3, &[hex, why]),
            row(
                format!("{name}, in a root to publish"),
                "3d",
                forged(&BOTH, |_, root| rooted(root)),
                3,
                &[hex, why, "every client would refuse"],
            ),
        ]);
    }
}

#[test]
pub fn public_key_files() {
    let of = |content: Vec<u8>| {
        move |s: &Scene| {
            s.desk.write("bad.pub", &content);
            s.command(&[
                "root",
                "add",
                "root2.json",
                "--role",
                "release",
                "--key",
                "bad.pub",
                "--out",
                "next.json",
            ])
        }
    };
    let text = |text: &str| of(text.as_bytes().to_vec());
    let good = "RWQHBwcHBwcHB9dafGEPLNWMvpqVeGQv5VUuT8HSlxaqe4RGlw8gV8Hh";
    let call = "Correct the call";
    refused(&[
        row(
            "a secret key",
            "7",
            |s| {
                s.command(&[
                    "root",
                    "add",
                    "root2.json",
                    "--role",
                    "release",
                    "--key",
                    "keys/stranger.key",
                    "--out",
                    "next.json",
                ])
            },
            2,
            &["keys/stranger.key: ", call],
        ),
        row("empty", "3.2", text(""), 2, &["bad.pub: ", call]),
        row("one line", "3.2", text(&format!("{good}\n")), 2, &["bad.pub: ", call]),
        row(
            "a third line",
            "3.2",
            text(&format!("untrusted comment: x\n{good}\n{good}\n")),
            2,
            &["bad.pub: ", call],
        ),
        row("another comment", "3.2", text(&format!("comment: x\n{good}\n")), 2, &["bad.pub: ", call]),
        row(
            "a byte order mark",
            "3.2",
            text(&format!("\u{feff}untrusted comment: x\n{good}\n")),
            2,
            &["bad.pub: ", call],
        ),
        row("no base64", "3.2", text("untrusted comment: x\n!!!!\n"), 2, &["bad.pub: ", call]),
        row(
            "a byte less",
            "3.2",
            text(&format!("untrusted comment: x\n{}\n", Base64::encode_string(&[7; 41]))),
            2,
            &["bad.pub: ", call],
        ),
        row(
            "of another kind",
            "3.2",
            text(&format!("untrusted comment: x\n{}\n", Base64::encode_string(&[7; 42]))),
            2,
            &["bad.pub: ", call],
        ),
        row(
            "no text",
            "3.2",
            of(vec![0xff; 60]),
            2,
            &["bad.pub: not a minisign public key", "it is not UTF-8"],
        ),
        row(
            "too long",
            "3.2",
            of(vec![b'x'; 3000]),
            2,
            &["bad.pub: not a minisign public key", "more than 2048 bytes"],
        ),
        row(
            "without end",
            "3.2",
            |s| {
                s.command(&[
                    "root",
                    "add",
                    "root2.json",
                    "--role",
                    "release",
                    "--key",
                    "/dev/zero",
                    "--out",
                    "next.json",
                ])
            },
            5,
            &["cannot open the public key /dev/zero", "it is not a regular file, but a device"],
        )
        .on_unix(),
        row(
            "a pipe that nobody writes to",
            "3.2",
            |s| {
                make_fifo(&s.desk.path("pipe"));
                s.command(&[
                    "root",
                    "add",
                    "root2.json",
                    "--role",
                    "release",
                    "--key",
                    "pipe",
                    "--out",
                    "n.json",
                ])
            },
            5,
            &["cannot open the public key pipe", "it is not a regular file, but a pipe"],
        )
        .on_unix(),
        row(
            "missing",
            "3.2",
            |s| {
                s.command(&[
                    "root",
                    "add",
                    "root2.json",
                    "--role",
                    "release",
                    "--key",
                    "no.pub",
                    "--out",
                    "next.json",
                ])
            },
            5,
            &["cannot open the public key no.pub", "Check the path"],
        ),
    ]);
}
