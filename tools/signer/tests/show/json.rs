//! Each command answers with one JSON object on one line.

use serde_json::Value;

use crate::support::Desk;
use crate::{KEYS, REPO, answer};

/// The names of the fields, sorted.
fn fields(answer: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// The whole story, each step by its JSON; the table in docs/SPEC.md section 10.4 has the same names.
#[test]
fn every_command_answers_with_the_fields_that_the_specification_lists() {
    let desk = Desk::bare();
    let artifact = desk.build("1.0.0");
    let spec = include_str!("../../../../docs/SPEC.md");
    let run = |result: &str, arguments: &[&str]| {
        let answer = answer(&desk, 0, arguments);
        assert_eq!(answer["result"], result, "{arguments:?}");
        let cells = |line: &'static str| line.split('|').map(str::trim).collect::<Vec<&str>>();
        let is_row = |cells: &Vec<&str>| cells.get(2) == Some(&&*format!("`{result}`"));
        let row = spec.lines().filter(|line| line.starts_with('|')).map(cells).find(is_row);
        let listed = row.unwrap_or_else(|| panic!("SPEC has no row for {result}"))[3];
        let mut listed: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
        listed.push("result");
        listed.sort_unstable();
        assert_eq!(fields(&answer), listed, "{arguments:?}");
        answer
    };
    let init = ["init", "--product", "widget", "--no-password", "--keys", "keys"];
    run("initialized", &[&init[..], &REPO].concat());
    run("key-created", &["keygen", "--no-password", "--out", "new.key"]);
    let written = run("public-key-written", &["public", "--key", "new.key", "--out", "copy.pub"]);
    assert_eq!(written["public_key"].as_str().unwrap().len(), 64);
    let key = ["--role", "release", "--key", "new.pub"];
    run("root", &[&["root", "add", "root.json", "--out", "root2.json"][..], &key].concat());
    run("root", &[&["root", "remove", "root2.json"][..], &key].concat());
    run("root", &["root", "renew", "root2.json"]);
    let signed = run("root", &["root", "sign", "root2.json", "--key", "keys/root.key"]);
    assert_eq!(signed["signed_by"].as_array().unwrap().len(), 1);
    assert_eq!(signed["root"]["version"], 2);
    run("root", &["root", "show", "root2.json"]);
    run("root-published", &[&["root", "publish", "root2.json"][..], &REPO].concat());
    let new = ["root", "new", "--product", "widget", "--out", "other.json", "--root-key", "new.pub"];
    run("root", &[&new[..], &["--release-key", "new.pub", "--timestamp-key", "new.pub"]].concat());
    let release = ["release", "--version", "1.0.0", "--artifact", &artifact];
    let published = run("published", &[&release[..], &REPO, &KEYS].concat());
    assert_eq!(published["access"]["is"], "local");
    assert_eq!(published["release"]["timestamp"]["version"], "1.0.0");
    let prepare = ["prepare", "--version", "1.1.0", "--artifact", &artifact, "--out", "folder"];
    run("folder", &[&prepare[..], &REPO].concat());
    run("folder", &[&["sign", "folder"][..], &KEYS].concat());
    run("folder", &["show", "folder"]);
    run("published", &[&["publish", "folder"][..], &REPO].concat());
    run("refreshed", &[&["refresh"][..], &REPO, &KEYS[2..]].concat());
    run("folder", &[&["refresh", "--out", "refresh"][..], &REPO].concat());
    run("renewed", &[&["renew"][..], &REPO, &KEYS].concat());
    run("folder", &[&["renew", "--out", "renewal"][..], &REPO].concat());
    let shown = run("release", &[&["show"][..], &REPO].concat());
    assert_eq!((&shown["problem"], &shown["version"]), (&Value::Null, &"1.1.0".into()));
    run("verified", &[&["verify"][..], &REPO].concat());
    run("verified", &[&["verify", "--channel", "stable"][..], &REPO].concat());
}

/// An error is an object, too, on stdout; `relatch` prints the same fields. A usage error is clap's, on stderr.
#[test]
fn errors_are_objects_too() {
    let desk = Desk::new();
    for (code, cause, arguments) in [
        (2, "usage", &["show", "nowhere\u{1b}\n\u{202e}é"][..]),
        (2, "usage", &["root", "sign", "root.json", "--key", "keys/root.pub"]),
        (3, "refused", &["root", "show", "keys/root.pub"]),
        (4, "unavailable", &["verify", "--repo", "nowhere", "--root", "root.json"]),
        (5, "machine", &["show", "--repo", "repo", "--root", "nowhere"]),
    ] {
        let error = answer(&desk, code, arguments);
        assert_eq!(fields(&error), ["advice", "cause", "error", "exit_code", "result"], "{arguments:?}");
        assert_eq!((&error["result"], &error["cause"]), (&"error".into(), &cause.into()), "{arguments:?}");
        assert_eq!(error["exit_code"], code);
        assert!(!error["advice"].as_str().unwrap().is_empty());
    }
    let output = desk.signer(&["--json", "nonsense"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
}

/// A secret key in the wrong place is not repeated in JSON either.
#[test]
fn a_secret_key_is_not_repeated() {
    let desk = Desk::new();
    let key = desk.read("keys/root.key").lines().nth(1).unwrap().to_owned();
    let error = answer(&desk, 2, &["show", &key]);
    assert!(error["error"].as_str().unwrap().contains("(a secret key)"), "{error}");
    assert!(!error.to_string().contains(&key[8..]), "{error}");
}
