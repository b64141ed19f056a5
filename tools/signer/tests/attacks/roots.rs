//! Root documents that no client would take, by their signatures, numbers and times.

use std::process::Command;

use relatch::trust::{Document, Epoch, Root};
use signer::repository::now;

use crate::forge::DAY;
use crate::scene::Scene;
use crate::table::{harmless, refused, row};
use crate::unix::make_fifo;

pub const BOTH: [&str; 2] = ["root-a", "root-b"];

/// Root 3 with a change, signed by these, is to be published.
pub fn forged<'a>(
    keys: &'a [&'a str],
    change: impl Fn(&Scene, &mut Root) + 'a,
) -> impl Fn(&Scene) -> Command + 'a {
    move |scene| {
        scene.forge_root(keys, |root| change(scene, root));
        scene.at_repo(&["root", "publish", "next.json"])
    }
}

/// The same is to be signed by `signer`.
pub fn to_sign<'a>(change: impl Fn(&Scene, &mut Root) + 'a) -> impl Fn(&Scene) -> Command + 'a {
    move |scene| {
        scene.forge_root(&[], |root| change(scene, root));
        std::fs::remove_file(scene.desk.path("next.json.minisig")).unwrap();
        scene.command(&["root", "sign", "next.json", "--key", "keys/root-a.key", "--key", "keys/root-b.key"])
    }
}

#[test]
pub fn who_must_sign() {
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
            "3b",
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
            &[
                "root 3 is signed by 0 of the 1 root keys of its own list",
                "that the new root names must sign it",
            ],
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
            &["the signatures of root 3 are not in the strict minisign form"],
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
pub fn what_it_follows() {
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
            &["this root 2 does not follow root 2", "Begin with the published root"],
        ),
        row(
            "the first number, for other content",
            "3f",
            both(|root| root.version = 1),
            3,
            &["root 1 differs from the one given with --root", "Publish the one that they carry"],
        ),
        row("number 0", "3c", both(|root| root.version = 0), 3, &["`version` must be at least 1"]),
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
            "3c",
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
            "3",
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
            "8",
            |s| s.at_repo(&["root", "publish", "/dev/zero"]),
            5,
            &["cannot open /dev/zero", "it is not a regular file, but a device"],
        )
        .on_unix(),
        row(
            "in a pipe that nobody writes to",
            "8",
            |s| {
                make_fifo(&s.desk.path("pipe"));
                s.at_repo(&["root", "publish", "pipe"])
            },
            5,
            &["cannot open pipe", "it is not a regular file, but a pipe"],
        )
        .on_unix(),
        row(
            "named with --root, in a pipe that nobody writes to",
            "8",
            |s| {
                make_fifo(&s.desk.path("pipe"));
                s.command(&["publish", "signed", "--repo", "repo", "--root", "pipe"])
            },
            5,
            &["cannot open pipe", "it is not a regular file, but a pipe"],
        )
        .on_unix(),
        row(
            "signed with the newline at its end, which is not part of it",
            "3e",
            |s| {
                let text = [s.bytes("root2.json"), b"\n".to_vec()].concat();
                s.forge_root_text(&BOTH, &text);
                s.at_repo(&["root", "publish", "next.json"])
            },
            3,
            &["root 2 is signed by 0 of the 2 root keys of its own list"],
        ),
        row(
            "a newline before it",
            "3c",
            |s| {
                let text = [b"\n".to_vec(), s.bytes("root2.json")].concat();
                s.forge_root_text(&BOTH, &text);
                s.at_repo(&["root", "publish", "next.json"])
            },
            3,
            &["its bytes differ from its canonical form"],
        ),
        row(
            "a manifest",
            "3c",
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
pub fn what_it_takes_away() {
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
    let revokes =
        ["under root 3 this does not verify any more: the release on stable: ", "give --revoke-release"];
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
pub fn the_first_one() {
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
