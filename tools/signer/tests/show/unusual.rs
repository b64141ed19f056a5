//! What is unusual about a release, and what expires soon.

use serde_json::Value;

use crate::support::{Desk, stderr};
use crate::{KEYS, REPO, answer, prepare};

/// The words of these notices.
fn words(notices: &Value) -> Vec<&str> {
    notices.as_array().unwrap().iter().map(|notice| notice["what"].as_str().unwrap()).collect()
}

#[test]
fn what_is_unusual_is_said() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    desk.released("1.1.0", &["--min-version", "1.0.0"]);
    for (more, what, says) in [
        (&[][..], &[][..], &["nothing unusual"][..]),
        (&["--expires-in", "400d", "--version-expires-in", "60d"], &[], &["nothing unusual"]),
        (
            &["--expires-in", "401d", "--version-expires-in", "61d"],
            &["manifest-lifetime", "version-lifetime"],
            &[
                "the manifest is valid for 401 days, more than 400",
                "VERSION is valid for 61 days, more than 60",
            ],
        ),
        (&["--rollout", "0"], &["rollout-0"], &["rollout 0: no installation updates to it"]),
        (&["--critical"], &["critical"], &["critical: all installations update at once"]),
        (
            &["--min-version", "1.1.0"],
            &["min-version"],
            &["minimum version 1.1.0: lower versions are not installed", "; the published release has 1.0.0"],
        ),
        (&["--min-version", "1.0.0"], &["min-version"], &["; the published release has the same"]),
        (&["--retract", "1.1.0", "--retract", "1.0.0"], &[], &["nothing unusual"]),
        (
            &["--retract", "1.1.0", "--retract", "1.1.1"],
            &["retracts-unpublished"],
            &["it takes back 1.1.1, which was never published on stable"],
        ),
    ] {
        drop(std::fs::remove_dir_all(desk.path("folder")));
        prepare(&desk, "1.2.0", "folder", more);
        let show = [&["show", "folder"][..], &REPO].concat();
        assert_eq!(words(&answer(&desk, 0, &show)["unusual"]), what, "{more:?}");
        let text = desk.ok(&show);
        for part in says {
            assert!(text.contains(part), "{more:?}: `{part}` is not in:\n{text}");
        }
    }
}

/// Another channel's release, and a manifest that no root of the chain signed, do not count as published.
#[test]
fn only_what_was_published_on_the_channel_may_be_retracted_without_a_word() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    desk.released("1.5.0", &["--channel", "beta"]);
    prepare(&desk, "1.6.0", "unsigned", &[]);
    let text = desk.read("unsigned/manifest.json");
    let digest = relatch::trust::Digest::of(text.as_bytes());
    desk.write(&format!("repo/manifests/{digest}.json"), &text);
    desk.write(&format!("repo/manifests/{digest}.json.minisig"), desk.read("root.json.minisig"));
    prepare(&desk, "1.1.0", "folder", &["--retract", "1.0.0", "--retract", "1.5.0", "--retract", "1.6.0"]);
    let shown = answer(&desk, 0, &[&["show", "folder"][..], &REPO].concat());
    let texts: Vec<_> =
        shown["unusual"].as_array().unwrap().iter().map(|n| n["text"].as_str().unwrap()).collect();
    assert_eq!(
        texts,
        ["1.5.0", "1.6.0"].map(|v| format!("it takes back {v}, which was never published on stable"))
    );
}

/// The folder says itself which keys must sign it; the repository knows better.
#[test]
fn another_root_than_the_newest_is_said() {
    let desk = Desk::new();
    prepare(&desk, "1.0.0", "folder", &[]);
    desk.ok(&["root", "renew", "root.json", "--out", "root2.json"]);
    desk.ok(&["root", "sign", "root2.json", "--key", "keys/root.key"]);
    desk.ok(&[&["root", "publish", "root2.json"][..], &REPO].concat());
    let show = [&["show", "folder"][..], &REPO].concat();
    assert_eq!(words(&answer(&desk, 0, &show)["unusual"]), ["other-root"]);
    assert!(desk.ok(&show).contains("root.json of the folder is root 1, and differs from root 2"));
}

/// A manifest within 60 days, a root within 90: said by `show` and `verify`, which succeed.
#[test]
fn what_expires_soon_is_warned_about() {
    for (root, release, what) in [
        ("730d", "180d", &[][..]),
        ("91d", "61d", &[]),
        ("91d", "60d", &["manifest-expires-soon"]),
        ("90d", "61d", &["root-expires-soon"]),
        ("10d", "10d", &["manifest-expires-soon", "root-expires-soon"]),
    ] {
        let desk = Desk::bare();
        let init = ["init", "--product", "widget", "--no-password", "--keys", "keys", "--expires-in", root];
        desk.ok(&[&init[..], &REPO].concat());
        desk.released("1.0.0", &["--expires-in", release]);
        for command in [&["show"][..], &["verify"], &["verify", "--channel", "stable"]] {
            let arguments = [command, &REPO].concat();
            let shown = answer(&desk, 0, &arguments);
            let mut words = words(&shown["warnings"]);
            words.sort_unstable();
            assert_eq!(words, what, "{command:?} {root} {release}");
            let output = desk.signer(&arguments);
            let text = String::from_utf8(output.stdout.clone()).unwrap();
            assert_eq!(text.matches("\n  warning: ").count(), what.len(), "{text} {}", stderr(&output));
        }
    }
}

/// Of two, one is renewed by `signer renew`.
#[test]
fn a_renewed_release_is_not_warned_about() {
    let desk = Desk::new();
    desk.released("1.0.0", &["--expires-in", "20d"]);
    assert!(desk.ok(&[&["verify"][..], &REPO].concat()).contains("renew it with `signer renew`"));
    desk.ok(&[&["renew"][..], &REPO, &KEYS].concat());
    assert!(!desk.ok(&[&["verify"][..], &REPO].concat()).contains("warning"));
}
