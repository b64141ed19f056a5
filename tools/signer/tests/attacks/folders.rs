//! A prepared folder that somebody changed, before it is signed and after.

use std::path::{Path, PathBuf};
use std::process::Command;

use relatch::trust::Digest;
use signer::repository::now;

use crate::forge::DAY;
use crate::scene::Scene;
use crate::table::{Row, harmless, refused, row};
use crate::unix::{make_fifo, symlink};

const NO_FILE: &str = "it is not a regular file";
const CHANGED: &str = "The folder was changed";
const DAMAGED: &str = "The file was changed or damaged";

fn sign(scene: &Scene) -> Command {
    scene.command(&[
        "sign",
        "signed",
        "--key",
        "keys/ci.key",
        "--key",
        "keys/human.key",
        "--key",
        "keys/clock.key",
    ])
}

fn publish(scene: &Scene) -> Command {
    scene.at_repo(&["publish", "signed"])
}

/// A file of the folder; the one blob for `blobs`.
fn file(scene: &Scene, name: &str) -> PathBuf {
    let path = scene.desk.path("signed").join(name);
    if name != "blobs" {
        return path;
    }
    std::fs::read_dir(path).unwrap().next().unwrap().unwrap().path()
}

pub fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

pub fn flip(path: &Path, at: impl FnOnce(usize) -> usize) {
    rewrite(path, |bytes| {
        let at = at(bytes.len());
        bytes[at] ^= 1;
    });
}

pub fn replace(path: &Path, by: impl FnOnce(&Path)) {
    std::fs::remove_file(path).unwrap();
    by(path);
}

type Damage = (&'static str, fn(&Path));

/// The step that it is about, and what is told of it.
type Told = (&'static str, &'static str, fn(&Path), &'static [&'static str]);

/// Damaged so, then signed or published.
fn damaged(name: &str, make: fn(&Path), next: fn(&Scene) -> Command) -> impl Fn(&Scene) -> Command {
    move |scene| {
        make(&file(scene, name));
        next(scene)
    }
}

/// What is told of each file, whole but wrong.
#[test]
pub fn a_file_with_other_bytes() {
    let damages: [Damage; 6] = [
        ("its first bit flipped", |path| flip(path, |_| 0)),
        ("a bit near its end flipped", |path| flip(path, |size| size - 3)),
        ("its newline gone", |path| rewrite(path, |bytes| bytes.truncate(bytes.len() - 1))),
        ("cut short", |path| rewrite(path, |bytes| bytes.truncate(bytes.len() / 2 + 1))),
        ("empty", |path| rewrite(path, Vec::clear)),
        ("a byte longer", |path| rewrite(path, |bytes| bytes.push(b' '))),
    ];
    for (name, spec, says) in [
        (
            "manifest.json",
            "6d",
            &["the manifest is not a canonical document", "every client would refuse"][..],
        ),
        ("manifest.json.minisig", "6b", &["signed/manifest.json.minisig: line ", DAMAGED]),
        ("root.json", "3c", &["the root is not a canonical document", "every client would refuse"]),
        ("blobs", "9", &["has the blake3 hash", "is signed", "publish the damaged parts again"]),
    ] {
        for (damage, make) in damages {
            refused(&[
                row(format!("{name}: {damage}, then signed"), spec, damaged(name, make, sign), 3, says),
                row(format!("{name}: {damage}, then published"), spec, damaged(name, make, publish), 3, says),
            ]);
        }
    }
}

/// The object with its signatures in one file says which part is wrong.
#[test]
pub fn a_version_with_other_bytes() {
    let damages: [Told; 8] = [
        (
            "its first line",
            "4d",
            |path| flip(path, |_| 0),
            &["the first line of VERSION is not the version in its second line", "Prepare the release again"],
        ),
        ("its object", "4d", |path| flip(path, |_| 9), &["VERSION", "every client would refuse"]),
        (
            "its number",
            "6h",
            |path| rewrite(path, |bytes| replace_text(bytes, "\"seq\":3", "\"seq\":9")),
            &["do not belong together", CHANGED],
        ),
        (
            "a signature's form",
            "4b",
            |path| flip(path, |size| size - 3),
            &["signed/VERSION: line 6: not the standard base64", DAMAGED],
        ),
        (
            "a signature's newline",
            "4b",
            |path| rewrite(path, |bytes| bytes.truncate(bytes.len() - 1)),
            &["signed/VERSION: line 6: no newline", DAMAGED],
        ),
        (
            "a byte more",
            "4b",
            |path| rewrite(path, |bytes| bytes.push(b' ')),
            &["signed/VERSION: line ", DAMAGED],
        ),
        ("one line", "4a", |path| rewrite(path, |bytes| bytes.truncate(6)), &["it has fewer than two lines"]),
        ("empty", "4a", |path| rewrite(path, Vec::clear), &["it has fewer than two lines"]),
    ];
    for (damage, step, make, says) in damages {
        refused(&[
            row(format!("VERSION: {damage}, then signed"), step, damaged("VERSION", make, sign), 3, says),
            row(
                format!("VERSION: {damage}, then published"),
                step,
                damaged("VERSION", make, publish),
                3,
                says,
            ),
        ]);
    }
}

pub fn replace_text(bytes: &mut Vec<u8>, from: &str, to: &str) {
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(text.contains(from), "{text}");
    *bytes = text.replace(from, to).into_bytes();
}

/// Whoever made the folder may have put something there that blocks or never ends.
#[test]
pub fn a_file_that_is_none() {
    let damages: [Damage; 3] = [
        ("without end", |path| replace(path, |path| symlink("/dev/zero", path).unwrap())),
        ("a pipe", |path| replace(path, make_fifo)),
        ("a directory", |path| replace(path, |path| std::fs::create_dir(path).unwrap())),
    ];
    for (name, code, says) in [
        ("manifest.json", 5, &["cannot open signed/manifest.json", NO_FILE][..]),
        ("manifest.json.minisig", 5, &["cannot open signed/manifest.json.minisig", NO_FILE]),
        ("root.json", 5, &["cannot open signed/root.json", NO_FILE]),
        ("blobs", 5, &["cannot read signed/blobs/", NO_FILE]),
        ("VERSION", 2, &["signed is not a release folder: it has no VERSION", "Correct the call"]),
    ] {
        for (damage, make) in damages {
            let played = |row: Row<'static>| if damage == "a directory" { row } else { row.on_unix() };
            let then = |what: &str, next| {
                row(format!("{name}: {damage}, then {what}"), "10.1", damaged(name, make, next), code, says)
            };
            refused(&[then("signed", sign as fn(&Scene) -> Command), then("published", publish)].map(played));
        }
    }
}

#[test]
pub fn a_file_that_is_missing() {
    let without = |name: &'static str, next: fn(&Scene) -> Command| {
        move |scene: &Scene| {
            replace(&file(scene, name), |_| ());
            next(scene)
        }
    };
    let path = "Check the path";
    refused(&[
        row(
            "the manifest, signed",
            "3.7",
            without("manifest.json", sign),
            5,
            &["cannot open signed/manifest.json", path],
        ),
        row(
            "the manifest, published",
            "3.7",
            without("manifest.json", publish),
            5,
            &["cannot open signed/manifest.json", path],
        ),
        row(
            "the root, published",
            "3.6",
            without("root.json", publish),
            5,
            &["cannot open signed/root.json", path],
        ),
        row("VERSION, published", "3.8", without("VERSION", publish), 2, &["it has no VERSION"]),
        row(
            "the signatures, published",
            "6c",
            without("manifest.json.minisig", publish),
            3,
            &["0 of the 2 release keys", "signer sign"],
        ),
        row("a blob, published", "8", without("blobs", publish), 4, &["repo has no blobs/", "publish again"]),
        row(
            "the folder, published",
            "8",
            |s| s.at_repo(&["publish", "nowhere"]),
            2,
            &["nowhere is not a release folder"],
        ),
        row(
            "the folder, signed",
            "8",
            |s| s.command(&["sign", "nowhere", "--key", "keys/ci.key"]),
            2,
            &["nowhere is not a release folder"],
        ),
    ]);
}

/// Documents that belong together, from whoever could change the folder; some of them even signed by all who must.
#[test]
pub fn documents_edited_after_signing() {
    let edited = |scene: &Scene| {
        // Manifest and VERSION are made to fit each other again; the signatures are the old ones.
        let kept = ["manifest.json.minisig", "VERSION"].map(|name| scene.bytes(&format!("signed/{name}")));
        scene.forge(|manifest, _| manifest.critical = true);
        scene.desk.write("signed/manifest.json.minisig", &kept[0]);
        rewrite(&file(scene, "VERSION"), |bytes| {
            let old = String::from_utf8(kept[1].clone()).unwrap();
            let new = String::from_utf8(bytes.clone()).unwrap();
            let lines: Vec<&str> =
                new.split_inclusive('\n').take(2).chain(old.split_inclusive('\n').skip(2)).collect();
            *bytes = lines.concat().into_bytes();
        });
        publish(scene)
    };
    let forged = |change: fn(&mut relatch::trust::Manifest, &mut relatch::trust::Timestamp)| {
        move |scene: &Scene| {
            scene.forge(change);
            publish(scene)
        }
    };
    let forged_to_sign = |change: fn(&mut relatch::trust::Manifest, &mut relatch::trust::Timestamp)| {
        move |scene: &Scene| {
            scene.forge(change);
            sign(scene)
        }
    };
    let clock = "or of the machine that prepared the folder, is wrong";
    refused(&[
        row(
            "another release under the old signatures",
            "6c",
            edited,
            3,
            &["0 of the 2 release keys", "the documents or signatures were changed afterwards"],
        ),
        row(
            "manifest from the future, signed",
            "6k",
            forged_to_sign(|m, _| m.issued = now() + 2 * DAY),
            3,
            &["the manifest of this folder was issued at", "but it is now", clock],
        ),
        row(
            "VERSION from the future, signed",
            "5",
            forged_to_sign(|_, v| v.issued = now() + 2 * DAY),
            3,
            &["VERSION of this folder was issued at", clock],
        ),
        row(
            "manifest from the future",
            "6k",
            forged(|m, _| m.issued = now() + 2 * DAY),
            3,
            &["the manifest of this folder was issued at", clock],
        ),
        row(
            "manifest expired, signed",
            "6k",
            forged_to_sign(|m, _| (m.issued, m.expires) = (now() - 3 * DAY, now() - DAY)),
            3,
            &["the manifest of this folder expired at", "The folder is too old"],
        ),
        row(
            "VERSION expired",
            "5",
            forged(|_, v| (v.issued, v.expires) = (now() - 3 * DAY, now() - DAY)),
            3,
            &["VERSION of this folder expired at", "The folder is too old"],
        ),
        row(
            "expires before it is issued",
            "6d",
            forged(|m, _| m.expires = m.issued),
            3,
            &["`expires` is not after `issued`"],
        ),
        row(
            "another product",
            "6e",
            forged(|m, v| (m.product, v.product) = ("gadget".parse().unwrap(), "gadget".parse().unwrap())),
            3,
            &["do not belong together", CHANGED],
        ),
        row(
            "another channel in the manifest alone",
            "6f",
            forged(|m, _| m.channel = "beta".parse().unwrap()),
            3,
            &["do not belong together"],
        ),
        row(
            "another epoch",
            "6g",
            forged(|m, v| (m.epoch, v.epoch) = (9.try_into().unwrap(), 9.try_into().unwrap())),
            3,
            &["do not belong together"],
        ),
        row(
            "another number in the manifest alone",
            "6h",
            forged(|m, _| m.seq = 9.try_into().unwrap()),
            3,
            &["do not belong together"],
        ),
        row(
            "another version in the manifest alone",
            "6i",
            forged(|m, _| m.version = "1.3.0".parse().unwrap()),
            3,
            &["do not belong together"],
        ),
        row(
            "a root that is not there",
            "6j",
            forged(|m, _| m.root_version = 3),
            3,
            &["requires root 3, but the newest trusted root is 2"],
        ),
        row(
            "a number that is taken",
            "4i",
            forged(|m, v| (m.seq, v.seq) = (2.try_into().unwrap(), 2.try_into().unwrap())),
            3,
            &["two different manifests are signed as release 2"],
        ),
        row(
            "a lower number",
            "4h",
            forged(|m, v| (m.seq, v.seq) = (1.try_into().unwrap(), 1.try_into().unwrap())),
            3,
            &["sequence number 1, but epoch 1 and number 2 were seen"],
        ),
        row(
            "a lower version",
            "8b",
            forged(|m, v| (m.version, v.version) = ("1.0.9".parse().unwrap(), "1.0.9".parse().unwrap())),
            3,
            &["version 1.0.9 is not higher than 1.1.0", "signer verify"],
        ),
        row(
            "back below the lowest version that may run",
            "8d",
            forged(|m, v| {
                (m.version, v.version) = ("1.0.4".parse().unwrap(), "1.0.4".parse().unwrap());
                m.retracts = vec!["1.1.0".parse().unwrap()];
            }),
            3,
            &["version 1.0.4 is below 1.0.5"],
        ),
        row("rollout above 100", "4d", forged(|_, v| v.rollout = 101), 3, &["`rollout` is 101, above 100"]),
        row(
            "a blob of another size",
            "9",
            forged(|m, _| {
                let a = &mut m.artifacts[0];
                a.size += 1;
                a.stored[0].size += 1;
            }),
            3,
            &["blobs/"],
        ),
        row(
            "an executable without blobs",
            "6d",
            forged(|m, _| m.artifacts[0].stored.clear()),
            3,
            &["every client would refuse"],
        ),
        row(
            "two executables for one target",
            "6d",
            forged(|m, _| {
                let twin = m.artifacts[0].clone();
                m.artifacts.push(twin);
            }),
            3,
            &["every client would refuse"],
        ),
    ]);
}

#[test]
fn what_does_not_matter() {
    harmless(&[
        row(
            "a file that nobody asked for",
            "8",
            |s| {
                s.desk.write("signed/blobs/letter", "x");
                s.desk.write("signed/evil", "x");
                publish(s)
            },
            0,
            &["published widget 1.2.0"],
        ),
        row(
            "an executable that was built anew since",
            "9",
            |s| {
                let prepared = s.bytes("build-1.2.0");
                s.desk.write("build-1.2.0", "changed since it was hashed");
                let output = crate::scene::run(&mut publish(s));
                assert!(output.status.success(), "{output:?}");
                s.desk.ok(&["verify", "--repo", "repo", "--root", "root.json"]);
                assert_eq!(
                    std::fs::read(s.desk.path("repo/blobs").join(Digest::of(&prepared).to_string())).unwrap(),
                    prepared
                );
                s.desk.write("build-1.2.0", prepared);
                publish(s) // again: all of it is there
            },
            0,
            &["published widget 1.2.0", "0 objects written"],
        ),
        row(
            "another untrusted comment",
            "3.1",
            |s| {
                rewrite(&file(s, "VERSION"), |bytes| {
                    replace_text(bytes, "signature from key", "signature of a key")
                });
                publish(s)
            },
            0,
            &["published widget 1.2.0"],
        ),
        row(
            "a blob that is a link to the same bytes",
            "9",
            |s| {
                let blob = file(s, "blobs");
                replace(&blob, |blob| symlink(s.desk.path("build-1.2.0"), blob).unwrap());
                publish(s)
            },
            0,
            &["published widget 1.2.0"],
        )
        .on_unix(),
    ]);
}
