//! What is asked for: versions, numbers, names, times, promises about other versions.

use crate::table::{harmless, refused, row};

const LONG: &str = concat!(
    "1.2.0-", // 129 bytes
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
);
const NAME_OF_65: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
pub fn versions() {
    let higher = "Use a higher version, or retract the published one with --retract";
    let kind = "start a new channel for the new kind";
    let neither = "is not a version: neither SemVer (1.2.3, 1.2.3-rc.1) nor a build number (41)";
    let zero = "is not a version: a build number has no leading zero and is from 1 to 2^64-1";
    refused(&[
        row(
            "equal",
            "8b",
            |s| s.release("1.1.0", &[]),
            3,
            &["version 1.1.0 is not higher than 1.1.0", higher],
        ),
        row(
            "lower",
            "8b",
            |s| s.release("1.0.9", &[]),
            3,
            &["version 1.0.9 is not higher than 1.1.0", higher],
        ),
        row(
            "pre-release of the published one",
            "8b",
            |s| s.release("1.1.0-rc.1", &[]),
            3,
            &["1.1.0-rc.1 is not higher", higher],
        ),
        row(
            "other kind",
            "5-6",
            |s| s.release("7", &[]),
            3,
            &["1.1.0 is published, and 7 is of the other kind", kind],
        ),
        row(
            "build metadata",
            "3.4",
            |s| s.release("1.2.0+ci.7", &[]),
            2,
            &["`1.2.0+ci.7`", "build metadata"],
        ),
        row("leading zero", "3.4", |s| s.release("1.02.0", &[]), 2, &["`1.02.0`", neither]),
        row("leading zero of a build number", "3.4", |s| s.release("012", &[]), 2, &["`012`", zero]),
        row("build number 0", "3.4", |s| s.release("0", &[]), 2, &["`0`", zero]),
        row(
            "build number 2^64",
            "3.4",
            |s| s.release("18446744073709551616", &[]),
            2,
            &["`18446744073709551616`", zero],
        ),
        row("too long", "3.4", |s| s.release(LONG, &[]), 2, &["longer than 128 bytes"]),
        row("empty", "3.4", |s| s.release("", &[]), 2, &["--version"]),
        row("a letter before it", "3.4", |s| s.release("v1.2.0", &[]), 2, &["`v1.2.0`", neither]),
        row(
            "that drives a terminal",
            "3.4",
            |s| s.release("1.\u{1b}[2J2.0", &[]),
            2,
            &["`1.\\u{1b}[2J2.0`", neither],
        ),
        row(
            "that reads backwards",
            "3.4",
            |s| s.release("1.2.\u{202e}0", &[]),
            2,
            &["`1.2.\\u{202e}0`", neither],
        ),
        row("with a second line", "3.8", |s| s.release("1.2.0\n{}", &[]), 2, &["`1.2.0\\n{}`", neither]),
    ]);
}

#[test]
pub fn numbers() {
    let look = "--seq is too low. Inspect the published release with `signer show`";
    refused(&[
        row(
            "number equal",
            "4i",
            |s| s.release("1.2.0", &["--seq", "2"]),
            3,
            &["two different manifests are signed as release 2", look],
        ),
        row(
            "number lower",
            "4h",
            |s| s.release("1.2.0", &["--seq", "1"]),
            3,
            &["epoch 1 and sequence number 1, but epoch 1 and number 2 were seen", look],
        ),
        row(
            "number 0",
            "3.4",
            |s| s.release("1.2.0", &["--seq", "0"]),
            2,
            &["--seq must be at least 1", "Correct the call"],
        ),
        row(
            "number 2^53",
            "3.3",
            |s| s.release("1.2.0", &["--seq", "9007199254740992"]),
            2,
            &["--seq 9007199254740992 is not below 2^53"],
        ),
        row(
            "number 2^64",
            "3.3",
            |s| s.release("1.2.0", &["--seq", "18446744073709551616"]),
            2,
            &["18446744073709551616"],
        ),
        row("rollout 101", "4d", |s| s.release("1.2.0", &["--rollout", "101"]), 2, &["'101'", "0..=100"]),
        row(
            "rollout 101 of a refresh",
            "4d",
            |s| s.at_repo(&["refresh", "--key", "keys/clock.key", "--rollout", "101"]),
            2,
            &["'101'", "0..=100"],
        ),
        row("rollout 256", "4d", |s| s.release("1.2.0", &["--rollout", "256"]), 2, &["'256'", "0..=100"]),
    ]);
}

#[test]
pub fn times() {
    let use_ = "is not a valid period: use one second to a hundred years, such as 90d";
    refused(&[
        row(
            "manifest valid for nothing",
            "5",
            |s| s.release("1.2.0", &["--expires-in", "0s"]),
            2,
            &["0 s", use_],
        ),
        row(
            "VERSION valid for nothing",
            "5",
            |s| s.release("1.2.0", &["--version-expires-in", "0s"]),
            2,
            &["0 s", use_],
        ),
        row("less than a second", "5", |s| s.release("1.2.0", &["--expires-in", "999ms"]), 2, &["0 s", use_]),
        row("in the past", "5", |s| s.release("1.2.0", &["--expires-in=-1d"]), 2, &["--expires-in"]),
        row(
            "for ever",
            "3.3",
            |s| s.release("1.2.0", &["--expires-in", "101years"]),
            2,
            &["s is not a valid period"],
        ),
        row(
            "a refresh valid for nothing",
            "5",
            |s| s.at_repo(&["refresh", "--key", "keys/clock.key", "--version-expires-in", "0s"]),
            2,
            &["0 s", use_],
        ),
        row(
            "a root valid for nothing",
            "3.6",
            |s| s.command(&["root", "renew", "root2.json", "--out", "next.json", "--expires-in", "0s"]),
            2,
            &["0 s", use_],
        ),
    ]);
}

#[test]
pub fn names() {
    let form = "is not a name: up to 64 of a-z, 0-9, `.`, `_` and `-`, beginning with a letter or digit";
    let bad = [
        ("upper case", "Stable", "`Stable`"),
        ("traversal", "../escape", "`../escape`"),
        ("two dots", "..", "`..`"),
        ("hidden", ".hidden", "`.hidden`"),
        ("absolute", "/etc", "`/etc`"),
        ("empty", "", "``"),
        ("65 bytes", NAME_OF_65, NAME_OF_65),
        ("a lookalike letter", "st\u{430}ble", "`st"), // Cyrillic
        ("drives a terminal", "a\u{1b}[31mb", "`a\\u{1b}[31mb`"),
        ("a newline", "a\nb", "`a\\nb`"),
        ("a backspace", "a\u{8}b", "`a\\u{8}b`"),
        ("reads backwards", "a\u{202e}b", "`a\\u{202e}b`"),
        ("a backslash", "a\\b", "a"),
        ("a space", "a b", "`a b`"),
    ];
    for (what, name, shown) in bad {
        let says = [shown, form];
        let target = format!("{name}=build-1.2.0");
        refused(&[
            row(format!("channel: {what}"), "3.4", |s| s.release("1.2.0", &["--channel", name]), 2, &says),
            row(format!("target: {what}"), "3.4", |s| s.release("1.2.0", &["--artifact", &target]), 2, &says),
            row(
                format!("product: {what}"),
                "3.4",
                |s| {
                    s.command(&[
                        "init",
                        "--product",
                        name,
                        "--no-password",
                        "--keys",
                        "k",
                        "--repo",
                        "r",
                        "--root",
                        "r.json",
                    ])
                },
                2,
                &says,
            ),
        ]);
    }
}

#[test]
pub fn promises_about_other_versions() {
    let check = "every client would refuse this document";
    refused(&[
        row(
            "min_version above version",
            "6d",
            |s| s.release("1.2.0", &["--min-version", "1.2.1"]),
            3,
            &["`min_version` is above `version`", check],
        ),
        row(
            "min_version of the other kind",
            "6d",
            |s| s.release("1.2.0", &["--min-version", "4"]),
            3,
            &["the version scheme of `version`", check],
        ),
        row(
            "min_version that is none",
            "3.4",
            |s| s.release("1.2.0", &["--min-version", "1.x"]),
            2,
            &["`1.x` is not a version"],
        ),
        row(
            "takes itself back",
            "6d",
            |s| s.release("1.2.0", &["--retract", "1.2.0"]),
            3,
            &["`retracts` names `version` itself", check],
        ),
        row(
            "takes back the other kind",
            "6d",
            |s| s.release("1.2.0", &["--retract", "4"]),
            3,
            &["the version scheme of `version`", check],
        ),
        row(
            "goes back below the lowest version that may run",
            "8d",
            |s| s.release("1.0.4", &["--retract", "1.1.0"]),
            3,
            &[
                "version 1.0.4 is below 1.0.5",
                "a higher version, or remove the limit with a root of a higher epoch",
            ],
        ),
        row(
            "goes back below it, prepared only",
            "8d",
            |s| {
                s.at_repo(&[
                    "prepare",
                    "--version",
                    "1.0.4",
                    "--retract",
                    "1.1.0",
                    "--artifact",
                    "test=build-1.2.0",
                    "--out",
                    "f",
                ])
            },
            3,
            &["version 1.0.4 is below 1.0.5"],
        ),
    ]);
    harmless(&[
        row(
            "takes several back, in any order and one twice",
            "3.3",
            |s| {
                s.release(
                    "1.2.0",
                    &[
                        "--retract",
                        "1.1.0",
                        "--retract",
                        "1.0.10",
                        "--retract",
                        "1.0.9",
                        "--retract",
                        "1.1.0",
                    ],
                )
            },
            0,
            &["published widget 1.2.0 as release "],
        ),
        row(
            "goes back to the lowest version that may run",
            "8d",
            |s| s.release("1.0.5", &["--retract", "1.1.0"]),
            0,
            &["published widget 1.0.5"],
        ),
    ]);
}
