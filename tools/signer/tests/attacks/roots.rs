//! Root documents and public keys that no client would take.

use std::process::Command;

use base64ct::{Base64, Encoding};
use relatch::trust::{Document, Epoch, Root};
use signer::repository::now;

use crate::forge::DAY;
use crate::scene::Scene;
use crate::table::{harmless, refused, row};

const BOTH: [&str; 2] = ["root-a", "root-b"];

/// Root 3 with a change, signed by these, is to be published.
fn forged<'a>(
    keys: &'a [&'a str],
    change: impl Fn(&Scene, &mut Root) + 'a,
) -> impl Fn(&Scene) -> Command + 'a {
    move |scene| {
        scene.forge_root(keys, |root| change(scene, root));
        scene.at_repo(&["root", "publish", "next.json"])
    }
}

/// The same is to be signed by `signer`.
fn to_sign<'a>(change: impl Fn(&Scene, &mut Root) + 'a) -> impl Fn(&Scene) -> Command + 'a {
    move |scene| {
        scene.forge_root(&[], |root| change(scene, root));
        std::fs::remove_file(scene.desk.path("next.json.minisig")).unwrap();
        scene.command(&["root", "sign", "next.json", "--key", "keys/root-a.key", "--key", "keys/root-b.key"])
    }
}

#[test]
fn who_must_sign() {
    let let_more = "signer root sign";
    let add = |name: &'static str| {
        move |scene: &Scene, root: &mut Root| {
            let public = scene.public(name);
            root.roles.root.keys = vec![public.clone()];
            root.roles.root.threshold = 1;
            root.keys.push(relatch::trust::Key { alg: "ed25519".parse().unwrap(), public });
            root.keys.sort_by(|a, b| a.public.cmp(&b.public));
        }
    };
    refused(&[
        row(
            "nobody",
            "3b",
            |s| {
                s.forge_root(&[], |_| ());
                std::fs::remove_file(s.desk.path("next.json.minisig")).unwrap();
                s.at_repo(&["root", "publish", "next.json"])
            },
            3,
            &["root 3 is not signed", let_more],
        ),
        row(
            "one of two",
            "3b",
            forged(&["root-a"], |_, _| ()),
            3,
            &["root 3 is signed by 1 of the 2 root keys", let_more],
        ),
        row(
            "the same twice",
            "3.1",
            forged(&["root-a", "root-a"], |_, _| ()),
            3,
            &["root 3 is signed by 1 of the 2 root keys"],
        ),
        row(
            "keys of another role",
            "3b",
            forged(&["ci", "human"], |_, _| ()),
            3,
            &["root 3 is signed by 0 of the 2 root keys"],
        ),
        row(
            "the new keys alone",
            "3b",
            forged(&["stranger"], add("stranger")),
            3,
            &["root 3 is signed by 0 of the 2 root keys"],
        ),
        row(
            "the old keys alone",
            "3e",
            forged(&BOTH, add("stranger")),
            3,
            &["root 3 is signed by 0 of the 1 root keys"],
        ),
        row(
            "a signature of another root",
            "3b",
            |s| {
                s.forge_root(&[], |_| ());
                s.desk.write("next.json.minisig", s.bytes("root2.json.minisig"));
                s.at_repo(&["root", "publish", "next.json"])
            },
            3,
            &["root 3 is signed by 0 of the 2 root keys"],
        ),
        row(
            "signatures of no form",
            "3a",
            |s| {
                s.forge_root(&BOTH, |_| ());
                s.desk.write("next.json.minisig", "x\n");
                s.at_repo(&["root", "publish", "next.json"])
            },
            3,
            &["the signatures of root 3 are not of the strict minisign form"],
        ),
        row(
            "a stranger, asked to",
            "7",
            |s| {
                s.forge_root(&BOTH, |_| ());
                s.command(&["root", "sign", "next.json", "--key", "keys/stranger.key"])
            },
            3,
            &["does not have the root role in root 3", "--previous"],
        ),
        row(
            "a stranger after a right one: all or none",
            "7",
            |s| {
                to_sign(|_, _| ())(s);
                s.command(&[
                    "root",
                    "sign",
                    "next.json",
                    "--key",
                    "keys/root-a.key",
                    "--key",
                    "keys/stranger.key",
                ])
            },
            3,
            &["does not have the root role in root 3"],
        ),
    ]);
}

#[test]
fn what_it_follows() {
    let both = |change: fn(&mut Root)| forged(&BOTH, move |_, root| change(root));
    refused(&[
        row(
            "a number skipped",
            "3f",
            both(|root| root.version = 4),
            3,
            &["this root 4 does not follow root 2, which is published", "those in between first"],
        ),
        row(
            "a number again, for other content",
            "3f",
            both(|root| root.version = 2),
            3,
            &["this root 2 does not follow root 2", "Begin with the one that is published"],
        ),
        row(
            "the first number, for other content",
            "3f",
            both(|root| root.version = 1),
            3,
            &["root 1 differs from the one given with --root", "Publish the one that they carry"],
        ),
        row("number 0", "3.4", both(|root| root.version = 0), 3, &["`version` must be at least 1"]),
        row(
            "another product's",
            "3g",
            both(|root| root.product = "gadget".parse().unwrap()),
            3,
            &["root 3 is for the product gadget, not for widget"],
        ),
        row(
            "expired",
            "5",
            both(|root| (root.issued, root.expires) = (now() - 3 * DAY, now() - DAY)),
            3,
            &["root 3 expired at", "signer root renew"],
        ),
        row(
            "from the future",
            "3i",
            both(|root| (root.issued, root.expires) = (now() + 2 * DAY, now() + 9 * DAY)),
            3,
            &["root 3 was issued at", "this machine's clock says"],
        ),
        row(
            "expires before it is issued",
            "3.4",
            both(|root| root.expires = root.issued),
            3,
            &["`expires` is not after `issued`"],
        ),
        row(
            "expired, to be signed",
            "5",
            to_sign(|_, root| (root.issued, root.expires) = (now() - 3 * DAY, now() - DAY)),
            3,
            &["root 3 expired at", "signer root renew"],
        ),
        row(
            "from the future, to be signed",
            "3i",
            to_sign(|_, root| (root.issued, root.expires) = (now() + 2 * DAY, now() + 9 * DAY)),
            3,
            &["root 3 was issued at"],
        ),
        row(
            "too large",
            "9",
            |s| {
                s.forge_root(&BOTH, |_| ());
                s.desk.write("next.json", vec![b' '; 65_537]);
                s.at_repo(&["root", "publish", "next.json"])
            },
            3,
            &["next.json is larger than the 65536 bytes", "use fewer keys"],
        ),
        row(
            "without end",
            "9",
            |s| s.at_repo(&["root", "publish", "/dev/zero"]),
            3,
            &["/dev/zero is larger than the 65536 bytes"],
        ),
        row(
            "a newline at its end",
            "3.3",
            |s| {
                let text = [s.bytes("root2.json"), b"\n".to_vec()].concat();
                s.forge_root_text(&BOTH, &text);
                s.at_repo(&["root", "publish", "next.json"])
            },
            3,
            &["its bytes differ from its canonical form"],
        ),
        row(
            "a manifest",
            "3.3",
            |s| {
                s.forge_root_text(&BOTH, &s.bytes("signed/manifest.json"));
                s.at_repo(&["root", "publish", "next.json"])
            },
            3,
            &["is a document of another kind, relatch-manifest/1"],
        ),
    ]);
    // The epoch was raised, and is to be lowered again.
    refused(&[row(
        "an epoch lowered",
        "3h",
        |s| {
            s.forge_root(&BOTH, |root| root.epoch = Epoch::try_from(2).unwrap());
            s.desk.ok(&[
                "root",
                "publish",
                "next.json",
                "--repo",
                "repo",
                "--root",
                "root.json",
                "--revoke-release",
            ]);
            s.forge_root(&BOTH, |root| root.version = 4);
            s.at_repo(&["root", "publish", "next.json"])
        },
        3,
        &["root 4 lowers the epoch from 2 to 1"],
    )]);
}

#[test]
fn what_it_takes_away() {
    let without = |role: &'static str, key: &'static str| {
        move |s: &Scene| {
            let public = format!("keys/{key}.pub");
            s.desk.ok(&[
                "root",
                "add",
                "root2.json",
                "--role",
                role,
                "--key",
                "keys/stranger.pub",
                "--out",
                "next.json",
            ]);
            s.desk.ok(&["root", "remove", "next.json", "--role", role, "--key", &public]);
            s.desk.ok(&["root", "sign", "next.json", "--key", "keys/root-a.key", "--key", "keys/root-b.key"]);
            s.at_repo(&["root", "publish", "next.json"])
        }
    };
    let revokes = ["under root 3 the release on stable does not verify any more", "give --revoke-release"];
    refused(&[
        row("a release key that is needed", "8.3", without("release", "ci"), 3, &revokes),
        row("the timestamp key", "8.3", without("timestamp", "clock"), 3, &revokes),
        row(
            "what the old epoch signed",
            "8.3",
            |s| {
                s.forge_root(&BOTH, |root| root.epoch = Epoch::try_from(2).unwrap());
                s.at_repo(&["root", "publish", "next.json"])
            },
            3,
            &revokes,
        ),
    ]);
}

/// A root that expired before anybody published it.
#[test]
fn the_first_one() {
    let expired = |scene: &Scene| {
        let mut root = Root::from_canonical(&scene.bytes("root.json")).unwrap();
        (root.issued, root.expires) = (now() - 3 * DAY, now() - DAY);
        scene.forge_root_text(&BOTH, &root.to_canonical());
        std::fs::create_dir(scene.desk.path("fresh")).unwrap();
    };
    refused(&[
        row(
            "expired",
            "5",
            |s| {
                expired(s);
                s.command(&["root", "publish", "next.json", "--repo", "fresh", "--root", "next.json"])
            },
            3,
            &["root 1 expired at", "signer root renew"],
        ),
        row(
            "expired, then a release",
            "5",
            |s| {
                expired(s);
                s.command(&[
                    "release",
                    "--version",
                    "1.0.0",
                    "--artifact",
                    "test=build-1.2.0",
                    "--repo",
                    "fresh",
                    "--root",
                    "next.json",
                    "--key",
                    "keys/ci.key",
                    "--key",
                    "keys/human.key",
                    "--key",
                    "keys/clock.key",
                ])
            },
            3,
            &["root 1 expired at"],
        ),
    ]);
}

#[test]
fn thresholds() {
    let count = "it must be from 1 to the number of keys";
    let renew = |threshold: &'static str| {
        move |s: &Scene| {
            s.command(&["root", "renew", "root2.json", "--threshold", threshold, "--out", "next.json"])
        }
    };
    let both = |change: fn(&mut Root)| forged(&BOTH, move |_, root| change(root));
    refused(&[
        row("0", "3.6", renew("release=0"), 3, &["role release has threshold 0 of 2 keys", count]),
        row(
            "above the number of keys",
            "3.6",
            renew("root=3"),
            3,
            &["role root has threshold 3 of 2 keys", count],
        ),
        row(
            "far above it",
            "3.6",
            renew("root=4294967295"),
            3,
            &["role root has threshold 4294967295 of 2 keys", count],
        ),
        row("above what fits", "3.6", renew("root=4294967296"), 2, &["`4294967296` is not a number"]),
        row("negative", "3.6", renew("root=-1"), 2, &["`-1` is not a number"]),
        row("of no role", "3.6", renew("admin=1"), 2, &["`admin` is not a role: root, release or timestamp"]),
        row(
            "0, signed",
            "3.6",
            both(|root| root.roles.release.threshold = 0),
            3,
            &["role release has threshold 0 of 2 keys", count],
        ),
        row(
            "above the number of keys, signed",
            "3.6",
            both(|root| root.roles.timestamp.threshold = 2),
            3,
            &["role timestamp has threshold 2 of 1 keys", count],
        ),
        row(
            "a key that the last one leaves",
            "3.6",
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
            "3.6",
            both(|root| {
                let twin = root.roles.release.keys[0].clone();
                root.roles.release.keys.insert(0, twin);
            }),
            3,
            &["the keys of role release are not sorted, each once"],
        ),
        row(
            "a key that is not listed",
            "3.6",
            both(|root| {
                root.keys.remove(0);
            }),
            3,
            &["which is not in `keys`"],
        ),
        row(
            "upper-case hex",
            "3.2",
            both(|root| root.keys[0].public.make_ascii_uppercase()),
            3,
            &["every client would refuse"],
        ),
    ]);
}

/// Keys for which anybody can sign, and two spellings of one key.
#[test]
fn weak_keys() {
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
            root.keys.push(relatch::trust::Key { alg: "ed25519".parse().unwrap(), public: hex.into() });
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
fn public_key_files() {
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
        row("no text", "3.2", of(vec![0xff; 60]), 2, &["bad.pub: it is no public key", "it is not text"]),
        row(
            "too long",
            "3.2",
            of(vec![b'x'; 3000]),
            2,
            &["bad.pub: it is no public key", "more than 2048 bytes"],
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
            2,
            &["/dev/zero: it is no public key", "more than 2048 bytes"],
        ),
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

#[test]
fn what_is_right() {
    harmless(&[
        row("both root keys", "3", forged(&BOTH, |_, _| ()), 0, &["published root 3"]),
        row(
            "the same root again",
            "8",
            |s| s.at_repo(&["root", "publish", "root2.json"]),
            0,
            &["published root 2"],
        ),
        row(
            "a stranger's signature beside them",
            "3.1",
            forged(&["root-a", "stranger", "root-b"], |_, _| ()),
            0,
            &["published root 3"],
        ),
    ]);
}
