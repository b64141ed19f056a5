//! A repository that somebody changed: whoever can write there, or another product's publisher. `signer` neither believes what it finds
//! nor puts it right by signing over it.

use std::path::{Path, PathBuf};
use std::process::Command;

use relatch::trust::Digest;

use crate::folders::{flip, replace, replace_text, rewrite};
use crate::scene::Scene;
use crate::table::{harmless, refused, row};
use crate::unix::{make_fifo, symlink};

/// A file of the repository; `manifest`, `signatures` and `blob` are those of the release that is published.
fn object(scene: &Scene, name: &str) -> PathBuf {
    let version = scene.desk.read("repo/stable/VERSION");
    let field =
        |text: &str, name: &str| text.split(&format!("\"{name}\":\"")).nth(1).unwrap()[..64].to_owned();
    let manifest = format!("repo/manifests/{}.json", field(&version, "manifest"));
    match name {
        "manifest" => scene.desk.path(&manifest),
        "signatures" => scene.desk.path(&format!("{manifest}.minisig")),
        "blob" => scene.desk.path(&format!("repo/blobs/{}", field(&scene.desk.read(&manifest), "blake3"))),
        _ => scene.desk.path("repo").join(name),
    }
}

/// Changed by this, then a release is made, or whatever is asked for.
fn after<'a>(
    name: &'a str,
    change: impl Fn(&Path) + 'a,
    next: impl Fn(&Scene) -> Command + 'a,
) -> impl Fn(&Scene) -> Command + 'a {
    move |scene| {
        change(&object(scene, name));
        next(scene)
    }
}

fn release(scene: &Scene) -> Command {
    scene.release("1.2.0", &[])
}

fn refresh(scene: &Scene) -> Command {
    scene.at_repo(&["refresh", "--key", "keys/clock.key"])
}

fn publish(scene: &Scene) -> Command {
    scene.at_repo(&["publish", "signed"])
}

#[test]
pub fn version() {
    let timestamp = "VERSION is signed by 0 of the 1 timestamp keys that it requires";
    let who = "--root is another repository's root, or the repository was changed";
    let object = "VERSION";
    for (what, next) in
        [("a release", release as fn(&Scene) -> Command), ("a refresh", refresh), ("a folder", publish)]
    {
        let at = |damage: &str| format!("{damage}, then {what}");
        let of = |change: fn(&Path)| after("stable/VERSION", change, next);
        refused(&[
            row(at("a bit of its first line"), "4c", of(|path| flip(path, |_| 0)), 3, &[timestamp, who]),
            row(
                at("another number"),
                "4c",
                of(|path| rewrite(path, |bytes| replace_text(bytes, "\"seq\":2", "\"seq\":1"))),
                3,
                &[timestamp, who],
            ),
            row(
                at("a longer life"),
                "4c",
                of(|path| rewrite(path, |bytes| replace_text(bytes, "\"expires\":1", "\"expires\":2"))),
                3,
                &[timestamp],
            ),
            row(
                at("a signature that is none"),
                "4b",
                of(|path| flip(path, |size| size - 3)),
                3,
                &["the signatures of VERSION are not in the strict minisign form"],
            ),
            row(
                at("without signatures"),
                "4b",
                of(|path| {
                    rewrite(path, |bytes| {
                        let end = bytes.iter().rposition(|b| *b == b'}').unwrap();
                        bytes.truncate(end + 2);
                    })
                }),
                3,
                &["there is no signature"],
            ),
            row(
                at("empty"),
                "4a",
                of(|path| rewrite(path, Vec::clear)),
                3,
                &["it has fewer than two lines", "publish a release with --seq"],
            ),
            row(
                at("garbage"),
                "4b",
                of(|path| rewrite(path, |bytes| *bytes = b"<html>\n<body>\nno such bucket".to_vec())),
                3,
                &[object],
            ),
            row(
                at("too large"),
                "4a",
                of(|path| rewrite(path, |bytes| bytes.resize(9000, b'\n'))),
                3,
                &["VERSION is larger than 8192 bytes"],
            ),
            row(
                at("without end"),
                "10.1",
                of(|path| replace(path, |path| symlink("/dev/zero", path).unwrap())),
                5,
                &["cannot read repo/stable/VERSION", "it is not a regular file"],
            )
            .on_unix(),
            row(
                at("a pipe"),
                "10.1",
                of(|path| replace(path, make_fifo)),
                5,
                &["cannot read repo/stable/VERSION", "it is not a regular file"],
            )
            .on_unix(),
        ]);
    }
}

#[test]
pub fn roots() {
    let of = |name: &'static str, change: fn(&Path)| after(name, change, release);
    refused(&[
        row(
            "the newest one taken away",
            "6j",
            of("root/2.json", |path| replace(path, |_| ())),
            3,
            &[
                "the manifest requires root 2, but the newest trusted root is 1",
                "The repository or the folder was changed",
            ],
        ),
        row(
            "the newest one another",
            "3b",
            of("root/2.json", |path| {
                rewrite(path, |bytes| replace_text(bytes, "\"threshold\":2", "\"threshold\":1"))
            }),
            3,
            &["root 2 is signed by 0 of the 2 root keys", "the repository was changed"],
        ),
        row(
            "its signatures taken away",
            "3",
            of("root/2.json.minisig", |path| replace(path, |_| ())),
            4,
            &["repo has no root/2.json.minisig"],
        ),
        row(
            "its signatures damaged",
            "3a",
            of("root/2.json.minisig", |path| flip(path, |size| size - 3)),
            3,
            &["the signatures of root 2 are not in the strict minisign form"],
        ),
        row(
            "one more that nobody signed",
            "3f",
            |s| {
                s.desk.write("repo/root/3.json", s.bytes("root2.json"));
                s.desk.write("repo/root/3.json.minisig", s.bytes("root2.json.minisig"));
                release(s)
            },
            3,
            &["root 3 was requested, but the document is root 2"],
        ),
        row(
            "one more that is none",
            "3a",
            |s| {
                s.desk.write("repo/root/3.json", "{}");
                s.desk.write("repo/root/3.json.minisig", "");
                release(s)
            },
            3,
            &["the signatures of root 3"],
        ),
        row(
            "the first one another",
            "2",
            of("root/1.json", |path| rewrite(path, |bytes| bytes.push(b'\n'))),
            3,
            &[
                "root 1 in the repository differs from the one given with --root",
                "belongs to another product",
            ],
        ),
        row(
            "the first one another, then a refresh",
            "2",
            after("root/1.json", |path| flip(path, |_| 40), refresh),
            3,
            &["root 1 in the repository differs"],
        ),
        row(
            "the first one another, then a root",
            "2",
            after(
                "root/1.json",
                |path| flip(path, |_| 40),
                |s| {
                    s.forge_root(&["root-a", "root-b"], |_| ());
                    s.at_repo(&["root", "publish", "next.json"])
                },
            ),
            3,
            &["root 1 in the repository differs"],
        ),
    ]);
}

#[test]
pub fn the_release_that_is_published() {
    let changed =
        |name: &'static str, change: fn(&Path), next: fn(&Scene) -> Command| after(name, change, next);
    let verify = "the published release does not verify under root 2: ";
    refused(&[
        row(
            "its manifest changed, then a refresh",
            "6a",
            changed(
                "manifest",
                |path| rewrite(path, |bytes| replace_text(bytes, "\"critical\":false", "\"critical\":true")),
                refresh,
            ),
            3,
            &[verify, "has the blake3 hash", "Publish a release first"],
        ),
        row(
            "its manifest gone, then a refresh",
            "6",
            changed("manifest", |path| replace(path, |_| ()), refresh),
            3,
            &[verify, "repo has no manifests/"],
        ),
        row(
            "its signatures cut short, then a refresh",
            "6c",
            changed("signatures", |path| rewrite(path, |bytes| bytes.truncate(bytes.len() / 2)), refresh),
            3,
            &[verify, "1 of the 2 release keys"],
        ),
        row(
            "its blob changed, then a refresh",
            "9",
            changed("blob", |path| flip(path, |_| 9), refresh),
            3,
            &["blobs/", "has the blake3 hash", "signer verify"],
        ),
        row(
            "its blob gone, then a refresh",
            "9",
            changed("blob", |path| replace(path, |_| ()), refresh),
            4,
            &["repo has no blobs/"],
        ),
        row(
            "its blob without end, then a refresh",
            "9",
            changed("blob", |path| replace(path, |path| symlink("/dev/zero", path).unwrap()), refresh),
            4,
            &["blobs/"],
        )
        .on_unix(),
    ]);
    // A release replaces it, and its number and version still count.
    harmless(&[row(
        "its manifest gone, then a release",
        "8",
        changed(
            "manifest",
            |path| {
                drop(
                    std::fs::remove_file(path.with_extension("json.minisig"))
                        .and_then(|()| std::fs::remove_file(path)),
                )
            },
            release,
        ),
        0,
        &["as release "],
    )]);
    refused(&[row(
        "its manifest gone, then the same version",
        "8b",
        changed("manifest", |path| replace(path, |_| ()), |s| s.release("1.1.0", &[])),
        3,
        &["version 1.1.0 is not higher than 1.1.0"],
    )]);
}

#[test]
pub fn what_is_to_be_written_is_there_already() {
    let digest = |scene: &Scene, file: &str| Digest::of(&scene.bytes(file));
    let occupied = "already exists with different content";
    refused(&[
        row(
            "other signatures of the manifest",
            "8",
            |s| {
                let there = format!("repo/manifests/{}.json.minisig", digest(s, "signed/manifest.json"));
                s.desk.write(&there, s.bytes("root2.json.minisig"));
                // What is there before them is not taken back: a rerun finds it.
                s.desk.write(&format!("repo/blobs/{}", digest(s, "build-1.2.0")), s.bytes("build-1.2.0"));
                publish(s)
            },
            3,
            &["manifests/", occupied, "remove the object if it does not verify"],
        ),
        row(
            "another blob of that name",
            "8",
            |s| {
                s.desk.write(&format!("repo/blobs/{}", digest(s, "build-1.2.0")), "evil");
                publish(s)
            },
            3,
            &["blobs/", occupied],
        ),
        row(
            "a blob of that name without end",
            "8",
            |s| {
                symlink("/dev/zero", s.desk.path(&format!("repo/blobs/{}", digest(s, "build-1.2.0"))))
                    .unwrap();
                publish(s)
            },
            5,
            &["blobs/", "it is not a regular file"],
        )
        .on_unix(),
    ]);
}

/// `root/` belongs to one product; the chain of another would go on where this one's ends.
#[test]
pub fn another_products() {
    let other = |scene: &Scene| {
        for command in [
            &[
                "init",
                "--product",
                "gadget",
                "--no-password",
                "--keys",
                "other",
                "--repo",
                "theirs",
                "--root",
                "other.json",
            ][..],
            &[
                "prepare",
                "--version",
                "9.9.9",
                "--artifact",
                "test=build-1.2.0",
                "--out",
                "f",
                "--repo",
                "theirs",
                "--root",
                "other.json",
            ],
            &["sign", "f", "--key", "other/release.key", "--key", "other/timestamp.key"],
        ] {
            scene.desk.ok(command);
        }
    };
    let differs = [
        "root 1 in the repository differs from the one given with --root",
        "Each product needs a place of its own",
    ];
    let of = [
        "--version",
        "9.9.9",
        "--artifact",
        "test=build-1.2.0",
        "--key",
        "other/release.key",
        "--key",
        "other/timestamp.key",
    ];
    let into = |channel: &'static str| {
        move |scene: &Scene| {
            other(scene);
            let release = ["release", "--channel", channel, "--repo", "repo", "--root", "other.json"];
            scene.command(&[&release[..], &of].concat())
        }
    };
    refused(&[
        row("a release on the same channel", "2", into("stable"), 3, &differs),
        row("a release on another channel", "2", into("beta"), 3, &differs),
        row(
            "their folder",
            "2",
            |s| {
                other(s);
                s.command(&["publish", "f", "--repo", "repo", "--root", "other.json"])
            },
            3,
            &differs,
        ),
        row(
            "their folder with our root",
            "4c",
            |s| {
                other(s);
                s.at_repo(&["publish", "f"])
            },
            3,
            &["VERSION is signed by 0 of the 1 timestamp keys", "--root is another repository's root"],
        ),
        row(
            "their root",
            "2",
            |s| {
                other(s);
                s.command(&["root", "publish", "other.json", "--repo", "repo", "--root", "other.json"])
            },
            3,
            &["root/1.json", "already exists with different content"],
        ),
        row(
            "nowhere",
            "8",
            |s| s.command(&["publish", "signed", "--repo", "nowhere", "--root", "root.json"]),
            4,
            &["nowhere", "for a directory, check that it exists"],
        ),
        row(
            "an address of a kind that nobody can publish to",
            "10.1",
            |s| s.command(&["publish", "signed", "--repo", "https://example.com/x", "--root", "root.json"]),
            2,
            &["cannot publish to `https:`", "directories"],
        ),
    ]);
}
