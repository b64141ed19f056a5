//! Exit codes of `show` and `verify`: 0, 2 usage, 3 refused, 4 absent or not reached, 5 this machine (SPEC 10.3).

use crate::support::{Desk, stderr};
use crate::{REPO, answer, prepare};

const SHOW: &[&str] = &["show"];
const VERIFY: &[&str] = &["verify", "--channel", "stable"];

/// Shows what it found, says what is wrong with it, and fails with this code.
fn shown(desk: &Desk, code: i32, says: &[&str]) {
    let arguments = [SHOW, &REPO].concat();
    let output = desk.signer(&arguments);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text} {}", stderr(&output));
    for part in says {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    assert_eq!(stderr(&output), "");
    let shown = answer(desk, code, &arguments);
    assert_eq!(shown["result"], "release");
    assert_eq!(shown["problem"]["exit_code"], code);
    assert_eq!(shown["problem"]["result"], "error");
}

fn fails(desk: &Desk, code: i32, says: &str, arguments: &[&str]) {
    let output = desk.signer(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
    assert!(stderr(&output).contains(says), "{arguments:?}: `{says}` is not in: {}", stderr(&output));
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

#[test]
fn nothing_is_published() {
    let desk = Desk::new();
    shown(&desk, 4, &["root     1, epoch 1", "problem: nothing is published on stable", "signer release"]);
    fails(&desk, 4, "has no stable/VERSION", &[VERIFY, &REPO].concat());
    // A repository that is not there.
    let nowhere = ["--repo", "nowhere", "--root", "root.json"];
    fails(&desk, 4, "from nowhere", &[&["verify"][..], &nowhere].concat());
    fails(&desk, 4, "from nowhere", &[VERIFY, &nowhere].concat());
    fails(&desk, 4, "from nowhere", &[SHOW, &nowhere].concat());
    assert!(!desk.path("nowhere").exists());
}

#[test]
fn what_has_expired_is_shown_and_refused() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    desk.expire_version();
    let advice = "Renew VERSION with `signer refresh`";
    let says = ["  1.0.0 on stable, release ", "VERSION  EXPIRED on", "problem: VERSION expired at", advice];
    shown(&desk, 3, &says);
    fails(&desk, 3, "VERSION expired at", &[VERIFY, &REPO].concat());
    fails(&desk, 3, "VERSION expired at", &[&["verify"][..], &REPO].concat());

    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    desk.expire_manifest();
    let says = ["release  EXPIRED on", "problem: the manifest expired at", "signer renew"];
    shown(&desk, 3, &says);
    fails(&desk, 3, "the manifest expired at", &[VERIFY, &REPO].concat());
}

#[test]
fn what_does_not_verify_is_refused() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    let version = desk.read("repo/stable/VERSION");
    desk.write("repo/stable/VERSION", version.replace("\"rollout\":100", "\"rollout\":10"));
    for command in [SHOW, VERIFY, &["verify"]] {
        fails(&desk, 3, "VERSION is signed by 0 of the 1 timestamp keys", &[command, &REPO].concat());
    }
    desk.write("repo/stable/VERSION", &version);
    // Another product's root: nothing of it counts.
    let other = Desk::bare();
    let init = ["init", "--product", "gadget", "--no-password", "--keys", "keys"];
    other.ok(&[&init[..], &REPO].concat());
    desk.write("other.json", other.read("root.json"));
    for command in [SHOW, &["verify"]] {
        let arguments = [command, &["--repo", "repo", "--root", "other.json"]].concat();
        fails(&desk, 3, "differs from the one given with --root", &arguments);
    }
    // A manifest that is not there any more: told, with the version that VERSION names.
    std::fs::remove_dir_all(desk.path("repo/manifests")).unwrap();
    shown(&desk, 4, &["VERSION on stable names 1.0.0, which does not verify", "problem: ", "manifests/"]);
    fails(&desk, 4, "manifests/", &[VERIFY, &REPO].concat());
}

#[test]
fn what_cannot_be_reached() {
    let desk = Desk::new();
    for command in [SHOW, VERIFY, &["verify"]] {
        let arguments = [command, &["--repo", "https://127.0.0.1:1/demo", "--root", "root.json"]].concat();
        fails(&desk, 4, "127.0.0.1", &arguments);
        assert_eq!(answer(&desk, 4, &arguments)["cause"], "unavailable");
    }
}

#[test]
fn damaged_folders_and_calls() {
    let desk = Desk::new();
    prepare(&desk, "1.0.0", "folder", &[]);
    for (code, says, arguments) in [
        (2, "give a release folder", &["show"][..]),
        (2, "is not a release folder: it has no VERSION", &["show", "keys"]),
        (2, "is not a release folder", &["show", "nowhere"]),
        (2, "--channel", &["show", "folder", "--channel", "beta"]),
        (2, "not `http:`", &["show", "--repo", "http://example.com", "--root", "root.json"]),
        (2, "require s3://", &["verify", "--repo", "https://e.com", "--root", "root.json", "--region", "x"]),
        (
            2,
            "cannot publish to `https:`",
            &["renew", "--repo", "https://e.com", "--root", "root.json", "--out", "x"],
        ),
        (5, "no-root.json", &["show", "--repo", "repo", "--root", "no-root.json"]),
        (5, "no-root.json", &["verify", "--repo", "repo", "--root", "no-root.json"]),
        (3, "is not a canonical document", &["verify", "--repo", "repo", "--root", "keys/root.pub"]),
    ] {
        let output = desk.signer(arguments);
        let told = stderr(&output);
        if arguments != ["show"] {
            assert!(told.contains(says), "{arguments:?}: `{says}` is not in: {told}");
        }
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
    }
    std::fs::remove_file(desk.path("folder/manifest.json")).unwrap();
    fails(&desk, 5, "manifest.json", &["show", "folder"]);
}
