//! The executables and the notes of a release.

use std::process::Command;

use crate::scene::Scene;
use crate::table::{harmless, refused, row};
use crate::unix::{make_fifo, symlink};

/// A release of one executable, at a path where something was put.
fn of(scene: &Scene, path: &str) -> Command {
    let artifact = format!("test={path}");
    let release = ["release", "--version", "1.2.0", "--artifact", &artifact];
    let keys = ["--key", "keys/ci.key", "--key", "keys/human.key", "--key", "keys/clock.key"];
    scene.at_repo(&[&release[..], &keys].concat())
}

fn with_notes(scene: &Scene, notes: impl AsRef<[u8]>) -> Command {
    scene.desk.write("notes", notes);
    scene.release("1.2.0", &["--notes", "notes"])
}

#[test]
pub fn executables() {
    let no_file = "it is not a regular file, but a ";
    refused(&[
        row(
            "two for one target",
            "8",
            |s| s.release("1.2.0", &["--artifact", "test=build-1.1.0"]),
            3,
            &["two executables for test", "Name each target once"],
        ),
        row(
            "one that was left out",
            "8",
            |s| {
                s.at_repo(&["prepare", "--version", "1.2.0", "--artifact", "other=build-1.2.0", "--out", "f"])
            },
            3,
            &["has test and this one has not", "--drop-targets"],
        ),
        row(
            "none",
            "3.7",
            |s| s.at_repo(&["prepare", "--version", "1.2.0", "--out", "f"]),
            2,
            &["--artifact"],
        ),
        row(
            "without a target",
            "3.7",
            |s| s.release("1.2.0", &["--artifact", "build-1.2.0"]),
            2,
            &["TARGET=PATH"],
        ),
        row("missing", "8", |s| of(s, "missing"), 5, &["cannot open missing", "Check the path"]),
        row(
            "empty",
            "8",
            |s| {
                s.desk.write("empty", "");
                of(s, "empty")
            },
            3,
            &["empty is empty", "Name the executable that the build produced"],
        ),
        row("a directory", "8", |s| of(s, "keys"), 5, &["cannot open keys", no_file]),
        row(
            "a link to nothing",
            "8",
            |s| {
                symlink("nothing", s.desk.path("link")).unwrap();
                of(s, "link")
            },
            5,
            &["cannot open link", "Check the path"],
        )
        .on_unix(),
        row(
            "a link to itself",
            "8",
            |s| {
                symlink("link", s.desk.path("link")).unwrap();
                of(s, "link")
            },
            5,
            &["cannot open link"],
        )
        .on_unix(),
        row(
            "a pipe that nobody writes to",
            "8",
            |s| {
                make_fifo(&s.desk.path("pipe"));
                of(s, "pipe")
            },
            5,
            &[
                "cannot open pipe",
                "it is not a regular file, but a pipe",
                "Only a secret key may come from a pipe",
            ],
        )
        .on_unix(),
        row("a device without end", "8", |s| of(s, "/dev/zero"), 5, &["cannot open /dev/zero", no_file])
            .on_unix(),
        row(
            "a name that drives a terminal",
            "8",
            |s| of(s, "a\u{1b}[31m\u{202e}b"),
            5,
            &["cannot open a\\u{1b}[31m\\u{202e}b"],
        ),
    ]);
}

#[cfg(unix)]
#[test]
pub fn unreadable() {
    use crate::unix::set_mode;
    let scene = Scene::new();
    set_mode(&scene.desk.path("build-1.2.0"), 0o000);
    if std::fs::read(scene.desk.path("build-1.2.0")).is_ok() {
        println!("skipped: root reads everything");
        return;
    }
    let lock_up = |s: &Scene| {
        s.desk.write("mine", "x");
        set_mode(&s.desk.path("mine"), 0o000);
        of(s, "mine")
    };
    refused(&[row(
        "an executable that may not be read",
        "8",
        lock_up,
        5,
        &["cannot open mine", "Permission denied"],
    )]);
}

#[test]
pub fn notes() {
    let correct = "Correct the call";
    refused(&[
        row(
            "drive a terminal",
            "3.4",
            |s| with_notes(s, "hear\u{1b}[31mye"),
            2,
            &["notes: ", "U+001B", correct],
        ),
        row("read backwards", "3.4", |s| with_notes(s, "hear\u{202e}ye"), 2, &["notes: ", "U+202E", correct]),
        row(
            "hold what nobody sees",
            "3.4",
            |s| with_notes(s, "hear\u{200b}ye"),
            2,
            &["notes: ", "U+200B", correct],
        ),
        row(
            "hold a carriage return",
            "3.4",
            |s| with_notes(s, "hear\r\nye"),
            2,
            &["notes: ", "U+000D", correct],
        ),
        row("hold a nul", "3.4", |s| with_notes(s, "hear\0ye"), 2, &["notes: ", "U+0000", correct]),
        row("are no text", "3.4", |s| with_notes(s, b"hear\xffye"), 2, &["notes is not UTF-8", correct]),
        row(
            "too long to be read",
            "6",
            |s| with_notes(s, "x".repeat(66_000)),
            3,
            &["notes is larger than the 65536 bytes that a client accepts", "Shorten the notes"],
        ),
        row(
            "too long for a manifest",
            "6",
            |s| with_notes(s, "x".repeat(65_536)),
            3,
            &["65536 bytes", "Shorten the notes"],
        ),
        row(
            "without end",
            "8",
            |s| s.release("1.2.0", &["--notes", "/dev/zero"]),
            5,
            &["cannot open /dev/zero", "it is not a regular file, but a device"],
        )
        .on_unix(),
        row(
            "from a pipe that nobody writes to",
            "8",
            |s| {
                make_fifo(&s.desk.path("pipe"));
                s.release("1.2.0", &["--notes", "pipe"])
            },
            5,
            &["cannot open pipe", "it is not a regular file, but a pipe"],
        )
        .on_unix(),
        row("missing", "8", |s| s.release("1.2.0", &["--notes", "nowhere"]), 5, &["cannot open nowhere"]),
    ]);
    harmless(&[row(
        "in any language",
        "3.4",
        |s| with_notes(s, "größer, 更快 и 👍\n\n- نص\n"),
        0,
        &["published widget 1.2.0"],
    )]);
}
