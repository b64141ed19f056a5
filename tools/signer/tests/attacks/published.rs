//! Documents in the repository that are signed by all who must, and that say what no client would take: by a program that looks at nothing,
//! a thief of keys, or for another channel. `signer` builds nothing on them, and does not sign them again.

use std::process::Command;

use relatch::trust::{Digest, Document, Manifest, Timestamp, Version};
use signer::repository::now;

use crate::folders::{flip, replace_text, rewrite};
use crate::forge::DAY;
use crate::scene::Scene;
use crate::table::{Row, harmless, refused, row};

type Change = fn(&mut Manifest, &mut Timestamp);

fn release(scene: &Scene) -> Command {
    scene.release("1.3.0", &[])
}

fn refresh(scene: &Scene) -> Command {
    scene.at_repo(&["refresh", "--key", "keys/clock.key"])
}

/// Release 3 with this change is there; then this is asked for.
fn there(
    name: &str,
    step: &'static str,
    change: Change,
    next: fn(&Scene) -> Command,
    says: &'static [&'static str],
) -> Row<'static> {
    row(
        name,
        step,
        move |s| {
            s.forge(change);
            s.put_published();
            next(s)
        },
        3,
        says,
    )
}

fn other(version: &str) -> Version {
    version.parse().unwrap()
}

#[test]
pub fn version() {
    let future: Change = |_, v| (v.issued, v.expires) = (now() + 2 * DAY, now() + 9 * DAY);
    for (what, next) in [("a release", release as fn(&Scene) -> Command), ("a refresh", refresh)] {
        println!("then {what}");
        let of = |name, step, change, says| there(name, step, change, next, says);
        refused(&[
            of("a rollout of 101", "4d", |_, v| v.rollout = 101, &["`rollout` is 101, above 100"]),
            of(
                "another product",
                "4e",
                |_, v| v.product = "gadget".parse().unwrap(),
                &[
                    "VERSION is for the product gadget, not for widget",
                    "Check that --root is the root of this repository",
                ],
            ),
            of(
                "another channel",
                "4f",
                |_, v| v.channel = "beta".parse().unwrap(),
                &[
                    "VERSION is for the channel beta, not for stable",
                    "Check that --root is the root of this repository",
                ],
            ),
            of(
                "another epoch",
                "4g",
                |_, v| v.epoch = 9.try_into().unwrap(),
                &["VERSION has the epoch 9, but the trusted root has 1"],
            ),
            of("from the future", "5", future, &["VERSION was issued at", "this machine's clock says"]),
            row(
                "its first line another version",
                "4d",
                |s| {
                    let mut text = s.desk.read("signed/VERSION").into_bytes();
                    replace_text(&mut text, "1.2.0\n{", "9.9.9\n{");
                    let lines = text.split_inclusive(|b| *b == b'\n').take(2).flatten().copied();
                    s.forge_texts(&s.bytes("signed/manifest.json"), &lines.collect::<Vec<_>>());
                    s.put_published();
                    next(s)
                },
                3,
                &["VERSION has 9.9.9 in its first line and 1.2.0 in its signed object"],
            ),
        ]);
    }
    // Who publishes next replaces what has expired.
    harmless(&[row(
        "expired",
        "5",
        |s| {
            s.forge(|_, v| (v.issued, v.expires) = (now() - 3 * DAY, now() - DAY));
            s.put_published();
            release(s)
        },
        0,
        &["published widget 1.3.0 as release "],
    )]);
}

#[test]
pub fn manifest() {
    let of = |name, step, change, says| there(name, step, change, refresh, says);
    refused(&[
        of(
            "another product",
            "6e",
            |m, _| m.product = "gadget".parse().unwrap(),
            &[
                "the published release does not verify under root 2: the manifest is for the product gadget, not for widget",
            ],
        ),
        of(
            "another channel",
            "6f",
            |m, _| m.channel = "beta".parse().unwrap(),
            &["the manifest is for the channel beta, not for stable"],
        ),
        of("another epoch", "6g", |m, _| m.epoch = 9.try_into().unwrap(), &["the manifest has the epoch 9"]),
        of(
            "another number",
            "6h",
            |m, _| m.seq = 9.try_into().unwrap(),
            &["the manifest has the sequence number 9, but VERSION names 3"],
        ),
        of(
            "another version",
            "6i",
            |m, _| m.version = other("1.2.1"),
            &["the manifest is of version 1.2.1, but VERSION names 1.2.0"],
        ),
        of(
            "of a root that is not there",
            "6j",
            |m, _| m.root_version = 3,
            &["the manifest requires root 3, but the newest trusted root is 2"],
        ),
        of(
            "from the future",
            "6k",
            |m, _| (m.issued, m.expires) = (now() + 2 * DAY, now() + 9 * DAY),
            &["the manifest was issued at", "this machine's clock says"],
        ),
        of(
            "expired",
            "6k",
            |m, _| (m.issued, m.expires) = (now() - 3 * DAY, now() - DAY),
            &["the manifest expired at", "a manifest with `signer renew`"],
        ),
        row(
            "with a space at its end",
            "6d",
            |s| {
                let text = [&s.bytes("signed/manifest.json")[..], b" "].concat();
                let raw = s.bytes("signed/VERSION");
                let (signed, _) = Timestamp::split(&raw).unwrap();
                let mut version =
                    Timestamp::from_canonical(signed[..].split(|b| *b == b'\n').nth(1).unwrap()).unwrap();
                version.manifest = Digest::of(&text);
                s.forge_texts(&text, &version.to_signed());
                s.put_published();
                refresh(s)
            },
            3,
            &["the manifest is not a canonical document"],
        ),
        row(
            "with signatures of no form",
            "6b",
            |s| {
                rewrite(&s.desk.path("signed/manifest.json.minisig"), |text| text.push(b'\n'));
                s.put_published();
                refresh(s)
            },
            3,
            &["the signatures of the manifest are not in the strict minisign form"],
        ),
    ]);
}

/// Two refreshes in the wrong order: the one that was made first would take back the later one.
#[test]
pub fn an_older_refresh() {
    refused(&[row(
        "made first and published last",
        "4h",
        |s| {
            s.desk.ok(&["refresh", "--out", "older", "--repo", "repo", "--root", "root.json"]);
            s.desk.ok(&["sign", "older", "--key", "keys/clock.key"]);
            for _ in 0..2 {
                s.desk.ok(&["refresh", "--repo", "repo", "--root", "root.json", "--key", "keys/clock.key"]);
            }
            s.at_repo(&["publish", "older"])
        },
        3,
        &[
            "VERSION of release 2 was issued at",
            "was seen before",
            "Another release was published in the meantime",
        ],
    )]);
}

/// Signed by all who must, and refused by clients: no publisher builds on it, and `verify` says so.
#[test]
pub fn roots_that_clients_refuse() {
    type Next = fn(&Scene) -> Command;
    let verify: Next = |s| s.at_repo(&["verify"]);
    let channel: Next = |s| s.at_repo(&["verify", "--channel", "stable"]);
    let put = |times: (u64, u64), next: Next| {
        move |s: &Scene| {
            s.forge_root(&["root-a", "root-b"], |root| (root.issued, root.expires) = times);
            s.desk.write("repo/root/3.json", s.bytes("next.json"));
            s.desk.write("repo/root/3.json.minisig", s.bytes("next.json.minisig"));
            next(s)
        }
    };
    for (what, next) in [
        ("a release", release as Next),
        ("a refresh", refresh),
        ("a folder", |s| s.at_repo(&["publish", "signed"])),
        ("verify", verify),
        ("verify of a channel", channel),
    ] {
        let future = (now() + 2 * DAY, now() + 9 * DAY);
        refused(&[
            row(
                format!("from the future, then {what}"),
                "3i",
                put(future, next),
                3,
                &["root 3 was issued at", "this machine's clock says"],
            ),
            row(
                format!("expired, then {what}"),
                "5",
                put((now() - 3 * DAY, now() - DAY), next),
                3,
                &["root 3 expired at", "signer root renew"],
            ),
            row(
                format!("forked, then {what}"),
                "2",
                |s| {
                    flip(&s.desk.path("repo/root/1.json"), |_| 40);
                    next(s)
                },
                3,
                &["root 1 in the repository differs from the one given with --root"],
            ),
        ]);
    }
    // The next root ends that, if it is one that clients take.
    harmless(&[row(
        "expired, then the next root",
        "5",
        |s| {
            put((now() - 3 * DAY, now() - DAY), verify)(s);
            s.forge_root(&["root-a", "root-b"], |root| root.version = 4);
            s.at_repo(&["root", "publish", "next.json"])
        },
        0,
        &["published root 4"],
    )]);
}
