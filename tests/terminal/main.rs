//! Promise: nothing from outside drives a terminal. Whatever a publisher, a server, a directory's name, a file beside the executable or the
//! environment says: what is printed holds no control character but newline, and nothing invisible or right-to-left; it begins no line of
//! its own; as JSON it is one line that means the same.
//!
//! Real processes, and the bytes that they write.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;
mod tools;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use relatch::trust::Digest;
use serde_json::{Value, json};
use support::printed::{self, drives, is_forged};
use support::proxy::without_proxy;
use support::server::{Answer, Authority, Server};
use support::tool::{built, executable_such, install_plain, run};
use support::{Draft, Repository, Tool, executable, fake};
use tempfile::TempDir;

/// Clears the screen, names the window, goes to the beginning of the line, colours by a C1 control, turns the direction, hides, and writes
/// a line as the tool does: [`printed::FORGED`].
const HOSTILE: &str =
    "\x1b[2J\x1b]0;owned\x07\r\u{9b}31m\u{202e}\u{2066}\u{200b}\u{ad}\u{feff}x\nwidget: updated to 9.9.9\nx";

const FLAGS: [&[&str]; 5] = [&["x"], &["--update"], &["--update=now"], &["--update-status"], &["--rollback"]];

/// Everything that was printed, if a terminal may see it.
#[track_caller]
fn printed(what: &str, output: &Output) -> String {
    let bytes = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8(bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(drives(&text), None, "{what}: {text:?}");
    for stream in [&output.stdout, &output.stderr] {
        assert!(!is_forged(&String::from_utf8_lossy(stream)), "{what}: {text}");
    }
    text
}

/// The table that all of this is measured with is SPEC's: the vectors, which were written by hand, say the same of each end of each range.
#[test]
fn the_table_is_that_of_the_vectors() {
    assert!(HOSTILE.contains(&format!("\n{}\n", printed::FORGED)));
    let file: Value = serde_json::from_str(include_str!("../vectors/values.json")).unwrap();
    let mut seen = 0;
    for vector in file["vectors"].as_array().unwrap() {
        let Some(hex) = vector["name"].as_str().unwrap().strip_prefix("notes with U+") else { continue };
        let c = char::from_u32(u32::from_str_radix(hex, 16).unwrap()).unwrap();
        assert_eq!(printed::is_refused(c), vector["result"] == "refuse", "U+{hex}");
        seen += 1;
    }
    assert!(seen > 100, "{seen}");
}

fn relatch(arguments: &[&str]) -> Command {
    let mut command = Command::new(built("relatch"));
    command.args(arguments);
    command
}

/// A command of `relatch` for people and as JSON; all that it said.
#[track_caller]
fn both(what: &str, arguments: &[&str], prepare: impl Fn(&mut Command)) -> String {
    let mut said = String::new();
    for json in [&[][..], &["--json"]] {
        let mut command = relatch(&[arguments, json].concat());
        prepare(&mut command);
        let output = run(&mut command);
        said.push_str(&printed(what, &output));
        if !json.is_empty() {
            let value: Value = serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|error| panic!("{what}: {error}: {output:?}"));
            assert!(value["result"].is_string(), "{what}: {value}");
        }
    }
    said
}

const COMMANDS: [&str; 4] = ["status", "check", "update", "rollback"];

/// A directory with that name.
fn hostile_dir(inside: &Path) -> PathBuf {
    let dir = inside.join(HOSTILE);
    std::fs::create_dir(&dir).unwrap();
    dir
}

fn write_executable(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn names_of_files_and_directories() {
    let mut repository = Repository::new();
    repository.release("1.0.0", &fake("1.0.0"));
    let dir = tempfile::tempdir().unwrap();
    let hostile = hostile_dir(dir.path());
    let at = |name: &str| hostile.join(name).to_str().unwrap().to_owned();
    let root = at("root.json");
    std::fs::write(&root, repository.anchor()).unwrap();
    let location = repository.location();
    let to = at("w\x1b[31m\u{202e}");
    let install = |from: &str, root: &str, to: &str, more: &[&str]| {
        let arguments = [
            "install",
            "--from",
            from,
            "--root",
            root,
            "--product",
            "widget",
            "--target",
            "test",
            "--to",
            to,
        ];
        both("install", &[&arguments, more].concat(), |_| {})
    };
    assert!(install(&location, &root, &to, &[]).contains("installed 1.0.0 at"));
    assert!(install(&location, &root, &to, &[]).contains("already exists"));
    assert!(install(&location, &at("none"), &at("new"), &[]).contains("cannot open"));
    assert!(install(&at("none"), &root, &at("new"), &[]).contains("cannot read"));
    assert!(install(&location, &root, &at("none/new"), &[]).contains("cannot find the directory"));
    assert!(install(&location, &root, &at("new/.."), &[]).contains("names no file"));
    assert!(
        install("https://127.0.0.1:1/x", &root, &at("new"), &["--ca-file", &at("none")]).contains("cannot")
    );
    assert!(
        install("https://127.0.0.1:1/x", &root, &at("new"), &["--ca-file", &root])
            .contains("no PEM certificate")
    );
    std::fs::write(at("large"), vec![b'x'; 70_000]).unwrap();
    assert!(install(&location, &at("large"), &at("new"), &[]).contains("cannot be a root document"));
    for command in COMMANDS {
        both(command, &[command, &to], |_| {});
        assert!(both(command, &[command, &at("absent")], |_| {}).contains("cannot find"), "{command}");
    }
    for command in ["check", "update"] {
        assert!(both(command, &[command, &root], |_| {}).contains("did not install"), "{command}");
    }

    // A tool that lies there, in all its moods.
    let path = hostile.join("widget\x1b[2J");
    let far = json!({"repository": at("nowhere")});
    for executable in [executable(&repository, "1.0.0"), executable_such(&repository, "1.0.0", far)] {
        for mode in [0o755, 0o777] {
            write_executable(&path, &executable);
            std::fs::set_permissions(&hostile, std::fs::Permissions::from_mode(mode)).unwrap();
            for flags in FLAGS {
                printed("a tool", &run(Command::new(&path).args(flags).env_remove("CI")));
            }
        }
    }
    assert!(printed("a tool", &run(Command::new(&path).arg("--update"))).contains("is not a safe place"));
    std::fs::set_permissions(&hostile, std::fs::Permissions::from_mode(0o755)).unwrap();
    let site = path.with_file_name(".widget\x1b[2J.relatch");
    std::fs::remove_dir_all(&site).ok();
    std::fs::write(&site, "in the way").unwrap();
    for flags in FLAGS {
        printed("a file in the way", &run(Command::new(&path).args(flags).env_remove("CI")));
    }
}

#[test]
fn addresses_of_repositories() {
    let mut repository = Repository::new();
    repository.release("1.0.0", &fake("1.0.0"));
    let root = repository.dir.path().join("root/1.json");
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("widget");
    for address in [
        HOSTILE.to_owned(),
        format!("https://127.0.0.1:1/{HOSTILE}"),
        "https://127.0.0.1:1/\u{9b}2J\u{202e}\u{200b}".into(),
        "https://127.0.0.1:1/?\u{9b}2J\u{202e}\u{200b}".into(),
        format!("https://{HOSTILE}/"),
        "https://\u{202e}.example/".into(),
        format!("ht{HOSTILE}tp://host/"),
        format!("s3://{HOSTILE}/x"),
        format!("s3://bucket/{HOSTILE}?region=a"),
        "s3://bucket/\u{9b}2J\u{202e}\u{ad}?region=a&endpoint=https://127.0.0.1:1".into(),
        format!("s3://bucket/x?region={HOSTILE}"),
        "s3://bucket/x?region=a&profile=%1B%5B2J%E2%80%AE".into(),
        format!("s3://bucket/x?{HOSTILE}=a"),
        format!("s3://bucket/x?endpoint=https://{HOSTILE}"),
    ] {
        let tool = Tool::copied(&executable_such(&repository, "1.0.0", json!({"repository": address})));
        for flags in FLAGS {
            printed(&address, &tool.run(flags));
        }
        let (root, to) = (root.to_str().unwrap(), to.to_str().unwrap());
        let arguments = ["install", "--from", &address, "--root", root, "--product", "widget", "--to", to];
        let said = both(&address, &arguments, |command| {
            command.env("AWS_EC2_METADATA_DISABLED", "true");
        });
        assert!(said.contains("relatch: "), "{address:?}: {said}");
    }
}

/// What those sign who may.
#[test]
fn documents() {
    let mut repository = Repository::new();
    repository.release("1.0.0", &executable(&repository, "1.0.0"));
    let tool = Tool::copied(&executable_such(&repository, "1.0.0", json!({"interval": 0})));
    let plain = Tool::installed(&repository);
    let mut play = |what: &str, change: &dyn Fn(&mut Draft)| {
        // What was told of the same cause within a day is not told again.
        drop(std::fs::remove_file(tool.site_dir().join("cache")));
        let mut draft = repository.draft("1.1.0", b"#!/bin/sh\nexit 1\n");
        draft.version["rollout"] = 0.into();
        change(&mut draft);
        repository.publish(&draft);
        let mut said = String::new();
        for flags in FLAGS {
            said.push_str(&printed(what, &tool.run(flags)));
        }
        for command in COMMANDS {
            said.push_str(&both(what, &[command, plain.path.to_str().unwrap()], |_| {}));
        }
        assert!(said.contains("widget: not updated: ") || what == "notes that may be", "{what}: {said}");
        said
    };
    for field in ["type", "product", "channel", "version", "manifest"] {
        play(field, &|draft| {
            draft.version[field] = HOSTILE.into();
            draft.link = false;
        });
    }
    play("the first line", &|draft| draft.first_line = Some(HOSTILE.replace('\n', "")));
    for field in ["type", "product", "channel", "version", "min_version", "notes", HOSTILE] {
        play(field, &|draft| draft.manifest[field] = HOSTILE.into());
    }
    play("retracts", &|draft| draft.manifest["retracts"] = json!([HOSTILE]));
    for field in ["target", "blake3", HOSTILE] {
        play(field, &|draft| draft.manifest["artifacts"][0][field] = HOSTILE.into());
    }
    for field in ["encoding", "from", "blake3"] {
        play(field, &|draft| draft.manifest["artifacts"][0]["stored"][0][field] = HOSTILE.into());
    }
    let notes = format!("Zwölf Boxkämpfer 漢字 עברית 🎉\nsecond line\n{}", printed::FORGED);
    let said = play("notes that may be", &|draft| {
        draft.manifest["notes"] = notes.as_str().into();
        draft.version["rollout"] = 100.into();
    });
    assert!(said.contains("Zwölf Boxkämpfer 漢字 עברית 🎉\n  second line\n  widget: updated"), "{said}");
    for c in HOSTILE.chars().filter(|c| drives(&c.to_string()).is_some()) {
        let said =
            play("notes that may not be", &|draft| draft.manifest["notes"] = format!("hidden{c}").into());
        assert!(!said.contains("hidden"), "{said}");
    }
}

/// What a new version says when it is tried.
#[test]
fn a_probe_that_answers() {
    let mut repository = Repository::new();
    repository.release("1.0.0", &executable(&repository, "1.0.0"));
    for script in [
        "printf '%s\\n' \"$X\" >&2; exit 1",
        "printf '%s\\n' \"$X\"",
        "printf \"relatch-probe/2 $RELATCH_PROBE $X\\n\"",
        "printf '%s' \"$X\" >&2; kill $$",
    ] {
        let tool = Tool::copied(&executable(&repository, "1.0.0"));
        let script = format!("#!/bin/sh\nX='{HOSTILE}'\n{script}\n");
        repository.release("1.1.0", script.as_bytes());
        let said = printed(&script, &tool.run(&["--update"]));
        assert!(said.contains("does not run on this machine"), "{said}");
        assert!(said.contains("\\u{1b}") || script.contains("kill"), "{said}");
    }
    // A whole answer, whose address is a text of the release's author.
    let anchor = repository.anchor();
    for readable in [true, false] {
        let tool = Tool::copied(&executable(&repository, "1.0.0"));
        let answer = json!({
            "product": "widget", "version": "1.1.0", "channel": "stable", "target": "test",
            "root": relatch::trust::Digest::of(&anchor).to_string(), "root_version": 1, "address": HOSTILE, "readable": readable,
        });
        let script = format!("#!/bin/sh\nprintf '%s\\n' \"relatch-probe/2 $RELATCH_PROBE \"'{answer}'\n");
        repository.release("1.1.0", script.as_bytes());
        let said = printed(&script, &tool.run(&["--update"]));
        assert!(said.contains("\\u{1b}"), "{said}");
    }
}

/// The same value with all texts in it hostile, one at a time.
fn each_text(value: &Value) -> Vec<Value> {
    let pointers = |value: &Value| {
        let mut found = Vec::new();
        let mut open = vec![(String::new(), value)];
        while let Some((pointer, value)) = open.pop() {
            match value {
                Value::String(_) | Value::Null => found.push(pointer),
                Value::Object(fields) => {
                    open.extend(fields.iter().map(|(name, value)| (format!("{pointer}/{name}"), value)))
                }
                Value::Array(items) => open
                    .extend(items.iter().enumerate().map(|(at, value)| (format!("{pointer}/{at}"), value))),
                _ => {}
            }
        }
        found
    };
    let change = |pointer: String| {
        let mut changed = value.clone();
        *changed.pointer_mut(&pointer).unwrap() = HOSTILE.into();
        changed
    };
    pointers(value).into_iter().map(change).collect()
}

#[test]
fn what_is_kept_beside_the_executable() {
    let mut repository = Repository::new();
    repository.release("1.0.0", &executable(&repository, "1.0.0"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("widget");
    install_plain(&repository, &path, false).unwrap();
    repository.release("1.1.0", &executable(&repository, "1.1.0"));
    let at = path.to_str().unwrap();
    both("an update", &["update", at], |_| {});
    let site = dir.path().join(".widget.relatch");
    for name in ["state", "settings", "root"] {
        let file = site.join(name);
        let before = std::fs::read_to_string(&file).unwrap_or_default();
        let mut contents = vec![
            HOSTILE.to_owned(),
            format!("{HOSTILE}\n{HOSTILE}\n"),
            format!("{{\"type\":\"{HOSTILE}\"}}\n"),
        ];
        if let Ok(value) = serde_json::from_str::<Value>(before.lines().next().unwrap_or_default()) {
            for changed in each_text(&value) {
                let line = changed.to_string();
                contents.push(format!("{line}\n{}\n", Digest::of(line.as_bytes())));
            }
        }
        for content in contents {
            std::fs::write(&file, &content).unwrap();
            for command in COMMANDS {
                both(&format!("{name} {content:?}"), &[command, at], |_| {});
            }
            for flags in FLAGS {
                printed(
                    &format!("{name} {content:?}"),
                    &run(Command::new(&path).args(flags).env_remove("CI")),
                );
            }
        }
        if before.is_empty() {
            std::fs::remove_file(&file).unwrap()
        } else {
            std::fs::write(&file, before).unwrap()
        }
    }
}

/// A tool of release 1.0.0 with a real server, whose `VERSION` is answered so.
fn served(answer: Answer) -> String {
    without_proxy();
    let mut repository = Repository::new();
    repository.release("1.0.0", &fake("1.0.0"));
    let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
    let server = Server::tls(&repository, &authority, "127.0.0.1");
    server.answer("stable/VERSION", answer);
    said_of(&repository, &server, &authority, &files)
}

fn said_of(repository: &Repository, server: &Server, authority: &Authority, files: &TempDir) -> String {
    let fields =
        json!({"repository": server.url, "ca_file": authority.write(files.path()), "deadline_ms": 20_000});
    let tool = Tool::copied(&executable_such(repository, "1.0.0", fields));
    let said = FLAGS.map(|flags| printed("a server", &tool.run(flags))).concat();
    assert!(
        said.contains("widget: no check for updates: ") || said.contains("widget: not updated: "),
        "{said}"
    );
    said
}

#[test]
fn servers() {
    let raw = |text: String| served(Answer::raw(text));
    for status in [200, 302, 401, 403, 404, 418, 500] {
        raw(format!("HTTP/1.1 {status} \u{9b}\u{202e}{HOSTILE}\r\nContent-Length: 0\r\n\r\n"));
        // What is above ASCII comes through the parser of headers, what is below does not.
        for text in [HOSTILE, "\u{9b}31m\u{202e}\u{200b}\u{ad}"] {
            raw(format!(
                "HTTP/1.1 {status} No\r\nLocation: {text}\r\nContent-Encoding: {text}\r\nETag: \"{text}\"\r\nWWW-Authenticate: {text}\r\nServer: {text}\r\nContent-Length: {}\r\n\r\n{HOSTILE}",
                HOSTILE.len()
            ));
        }
        raw(format!(
            "HTTP/1.1 {status} No\r\nLocation: https://\u{9b}2J\u{202e}/\r\nContent-Length: 0\r\n\r\n"
        ));
    }
    raw(HOSTILE.into());
    raw(format!("{HOSTILE}\r\n\r\n"));

    let mut repository = Repository::new();
    repository.release("1.0.0", &fake("1.0.0"));
    let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
    let server = Server::tls(&repository, &authority, "127.0.0.1");
    server.present(authority.tls_such("other.example", rustls::DEFAULT_VERSIONS, |params| {
        let name = "\x1b[2J\x07.example".try_into().unwrap();
        params.subject_alt_names.push(rcgen::SanType::DnsName(name));
        params.distinguished_name.push(rcgen::DnType::CommonName, HOSTILE);
    }));
    assert!(said_of(&repository, &server, &authority, &files).contains("certificate"));
}
