//! Promise: nothing from outside drives a terminal. Whatever a publisher, a server, a directory's name, a file beside the executable or the
//! environment says: what is printed holds no control character but newline, and nothing invisible or right-to-left; as JSON it is one line
//! that means the same.
//!
//! Real processes, and the bytes that they write.
#![cfg(all(unix, feature = "https"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use relatch::trust::Digest;
use serde_json::{Value, json};
use support::server::{Answer, Authority, Server, without_proxy};
use support::tool::{built, config, executable_such, executable_with, install_plain, run};
use support::{Draft, Repository, Tool, executable, fake};
use tempfile::TempDir;

/// Clears the screen, names the window, goes to the beginning of the line, colours by a C1 control, turns the direction, and hides.
const HOSTILE: &str = "\x1b[2J\x1b]0;owned\x07\r\u{9b}31m\u{202e}\u{2066}\u{200b}\u{ad}\u{feff}x";

const FLAGS: [&[&str]; 5] = [&["x"], &["--update"], &["--update=now"], &["--update-status"], &["--rollback"]];

/// What may not be printed, but newline.
fn drives(text: &str) -> Option<char> {
    text.chars().find(|c| {
        (c.is_control() && *c != '\n')
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{10ffff}')
    })
}

/// Everything that was printed, if a terminal may see it.
#[track_caller]
fn printed(what: &str, output: &Output) -> String {
    let bytes = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8(bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(drives(&text), None, "{what}: {text:?}");
    text
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
    assert!(install(&at("none"), &root, &at("new"), &[]).contains("cannot find"));
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
    assert!(install(&location, &at("large"), &at("new"), &[]).contains("is no root document"));
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
    let notes = "Zwölf Boxkämpfer 漢字 עברית 🎉\nsecond line";
    let said = play("notes that may be", &|draft| {
        draft.manifest["notes"] = notes.into();
        draft.version["rollout"] = 100.into();
    });
    assert!(said.contains("Zwölf Boxkämpfer 漢字 עברית 🎉\n  second line"), "{said}");
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
        "printf \"relatch-probe/1 $RELATCH_PROBE $X\\n\"",
        "printf '%s' \"$X\" >&2; kill $$",
    ] {
        let tool = Tool::copied(&executable(&repository, "1.0.0"));
        let script = format!("#!/bin/sh\nX='{HOSTILE}'\n{script}\n");
        repository.release("1.1.0", script.as_bytes());
        let said = printed(&script, &tool.run(&["--update"]));
        assert!(said.contains("does not run on this machine"), "{said}");
        assert!(said.contains("\\u{1b}") || script.contains("kill"), "{said}");
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

/// S3's words, the environment's, and those of AWS's files.
#[test]
fn buckets_and_the_environment() {
    without_proxy();
    let mut repository = Repository::new();
    repository.release("1.0.0", &fake("1.0.0"));
    let root = repository.dir.path().join("root/1.json");
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("widget");
    let server = Server::plain(&repository);
    let endpoint = server.url.trim_end_matches("/base");
    let install = |address: &str, variables: &[(&str, &str)]| {
        let (root, to) = (root.to_str().unwrap(), to.to_str().unwrap());
        let arguments = [
            "install",
            "--from",
            address,
            "--root",
            root,
            "--product",
            "widget",
            "--target",
            "test",
            "--to",
            to,
        ];
        both(address, &arguments, |command| {
            command
                .env("AWS_EC2_METADATA_DISABLED", "true")
                .env("HOME", dir.path())
                .envs(variables.iter().copied());
        })
    };
    let keys = [("AWS_ACCESS_KEY_ID", "AKIATEST"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let bucket = format!("s3://base?region=eu-central-1&endpoint={endpoint}&path-style=true");
    for status in [301, 400, 403, 404, 500] {
        let body = format!(
            "<Error><Code>\u{9b}\u{202e}</Code><Message>{HOSTILE}</Message><Region>\u{202e}</Region></Error>"
        );
        let head = format!(
            "HTTP/1.1 {status} No\r\nx-amz-bucket-region: \u{9b}31m\u{202e}\r\nDate: \u{202e}\r\nLocation: \u{9b}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        server.answer("stable/VERSION", Answer::raw(head));
        let said = install(&bucket, &keys);
        assert!(said.contains("relatch: s3://base"), "{said}");
    }
    let nothing = format!("s3://base?endpoint={endpoint}");
    let file = dir.path().join(format!("{}\n[profile x]\nrole_arn=y", HOSTILE));
    let file = file.to_str().unwrap();
    let of_profile = dir.path().join("config");
    std::fs::write(&of_profile, format!("[default]\nregion = eu-central-1\nrole_arn = {HOSTILE}\nsource_profile = {HOSTILE}\ncredential_process = {HOSTILE}\n")).unwrap();
    let of_profile = of_profile.to_str().unwrap();
    for variables in [
        &[("AWS_PROFILE", HOSTILE)][..],
        &[("AWS_CONFIG_FILE", file), ("AWS_SHARED_CREDENTIALS_FILE", file)],
        &[("AWS_CONFIG_FILE", of_profile)],
        &[("AWS_REGION", HOSTILE)],
        &[("AWS_DEFAULT_REGION", HOSTILE)],
        &[
            ("AWS_ENDPOINT_URL_STS", HOSTILE),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", of_profile),
            ("AWS_ROLE_ARN", HOSTILE),
        ],
        &[("AWS_WEB_IDENTITY_TOKEN_FILE", HOSTILE), ("AWS_ROLE_ARN", HOSTILE)],
        &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", HOSTILE)],
        &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", HOSTILE)],
        &[("AWS_ACCESS_KEY_ID", HOSTILE), ("AWS_SECRET_ACCESS_KEY", HOSTILE)],
        &[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_SESSION_TOKEN", HOSTILE)],
    ] {
        install(&nothing, variables);
    }
    install("s3://base", &[keys[0], keys[1], ("AWS_ENDPOINT_URL_S3", HOSTILE)]);
    for variable in ["SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        install("https://127.0.0.1:1/x", &[(variable, HOSTILE)]);
        install("https://127.0.0.1:1/x", &[(variable, "http://\u{9b}2J\u{202e}:1")]);
    }
}

/// What `signer` shows of a repository that is not its own.
#[test]
fn the_signer() {
    let repository = {
        let mut repository = Repository::new();
        repository.release("1.0.0", &fake("1.0.0"));
        repository
    };
    let dir = tempfile::tempdir().unwrap();
    let hostile = hostile_dir(dir.path());
    let copy = hostile.join("repo");
    assert!(Command::new("cp").arg("-r").arg(repository.dir.path()).arg(&copy).status().unwrap().success());
    let root = hostile.join("root.json");
    std::fs::write(&root, repository.anchor()).unwrap();
    let (copy, root) = (copy.to_str().unwrap().to_owned(), root.to_str().unwrap().to_owned());
    let signer = |arguments: &[&str]| {
        let output = Command::new(built("signer")).args(arguments).current_dir(dir.path()).output().unwrap();
        printed(&format!("signer {arguments:?}"), &output)
    };
    let look = || {
        let mut said = String::new();
        for command in ["show", "verify"] {
            said.push_str(&signer(&[command, "--repo", &copy, "--root", &root]));
        }
        said.push_str(&signer(&["root", "show", &root]));
        said
    };
    assert!(look().contains("1.0.0"));
    let original = std::fs::read(Path::new(&copy).join("stable/VERSION")).unwrap();
    for content in [
        HOSTILE.to_owned(),
        format!("{HOSTILE}\n{{}}\n"),
        format!("1.0.0\n{{}}\nuntrusted comment: {HOSTILE}\nx\ntrusted comment: {HOSTILE}\nx\n"),
    ] {
        std::fs::write(Path::new(&copy).join("stable/VERSION"), &content).unwrap();
        look();
        std::fs::write(&root, &content).unwrap();
        look();
        std::fs::write(&root, repository.anchor()).unwrap();
    }
    std::fs::write(Path::new(&copy).join("stable/VERSION"), original).unwrap();
    for stray in ["root", "manifests", "blobs", "stable"] {
        std::fs::write(Path::new(&copy).join(stray).join(HOSTILE), HOSTILE).unwrap();
    }
    std::fs::create_dir(Path::new(&copy).join(format!("{HOSTILE}2"))).unwrap();
    std::fs::write(Path::new(&copy).join(format!("{HOSTILE}2/VERSION")), HOSTILE).unwrap();
    look();
    let key = hostile.join("key");
    let key = key.to_str().unwrap();
    signer(&["keygen", "--out", key, "--no-password"]);
    signer(&["keygen", "--out", key, "--no-password"]);
    signer(&["public", "--key", key, "--out", &format!("{key}.pub")]);
    std::fs::write(key, format!("untrusted comment: {HOSTILE}\n{HOSTILE}\n")).unwrap();
    for key in [key, HOSTILE, &format!("env:{HOSTILE}"), &format!("awskms:{HOSTILE}"), "none"] {
        signer(&["refresh", "--repo", &copy, "--root", &root, "--key", key]);
    }
    for repo in [HOSTILE, &format!("s3://{HOSTILE}"), "https://127.0.0.1:1/\u{9b}"] {
        signer(&["show", "--repo", repo, "--root", &root]);
        signer(&["show", "--repo", &copy, "--root", repo]);
    }
    signer(&["show", &format!("{}/none", hostile.display())]);
    signer(&["show", hostile.to_str().unwrap()]);
}

/// The bar that is drawn on a terminal has nothing in it that somebody else wrote.
#[test]
fn a_download_on_a_terminal() {
    if !Command::new("script").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("skipped: script is not installed");
        return;
    }
    let mut repository = Repository::new();
    let first = executable(&repository, "1.0.0");
    repository.release("1.0.0", &first);
    let dir = tempfile::tempdir().unwrap();
    let path = hostile_dir(dir.path()).join("widget");
    install_plain(&repository, &path, false).unwrap();
    let mut draft = repository.draft("1.1.0", &executable_with(&config(&repository, "1.1.0")));
    draft.manifest["notes"] = "notes".into();
    repository.publish(&draft);
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for command in ["check", "update", "status", "rollback"] {
        let line = format!("{} {command} {}", built("relatch").display(), link.display());
        let output =
            Command::new("script").args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        // What indicatif draws with is its own: lines, colours and the cursor. Names of windows, C1 controls and directions are not.
        assert!(!text.contains("\x1b]") && !text.contains("\x1b[2J\x1b]"), "{command}: {text:?}");
        let rest: String = text.chars().filter(|c| !matches!(c, '\x1b' | '\r')).collect();
        assert_eq!(drives(&rest), None, "{command}: {text:?}");
    }
}
