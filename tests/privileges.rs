//! Promise: a program with raised privileges (set-user-id, set-group-id, file capabilities)
//! believes nothing that its caller chose: it starts no program, looks for no update, and answers
//! neither a flag nor the probe. Set-id bits and capabilities stay with the executable at the path,
//! and with no other.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::fs::XattrFlags;
use serde_json::{Value, json};
use support::tool::{executable_such, may_be_another, run, stderr, stdout};
use support::{Repository, Tool};

const NOBODY: u32 = 65534;
const REASON: &str = "it was started with raised privileges: ";

/// 1.0.0 is installed, and 1.1.0 published.
fn outdated(fields: Value) -> (Repository, Tool) {
    let mut repository = Repository::new();
    let tool = Tool::copied(&executable_such(&repository, "1.0.0", fields.clone()));
    let bytes = executable_such(&repository, "1.1.0", fields);
    repository.release("1.1.0", &bytes);
    for dir in [tool.dir.path(), repository.dir.path()] {
        set_mode(dir, 0o755);
    }
    (repository, tool)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// CAP_NET_BIND_SERVICE, effective and permitted (struct vfs_cap_data, revision 2).
fn capability() -> Vec<u8> {
    let mut value = 0x0200_0001_u32.to_le_bytes().to_vec();
    value.extend((1_u32 << 10).to_le_bytes());
    value.resize(20, 0);
    value
}

fn set_capability(path: &Path) -> bool {
    let set = rustix::fs::setxattr(path, "security.capability", &capability(), XattrFlags::empty());
    if let Err(error) = set {
        println!("skipped: file capabilities cannot be set here: {error}");
    }
    set.is_ok()
}

fn has_capability(path: &Path) -> bool {
    rustix::fs::getxattr(path, "security.capability", &mut [0_u8; 64][..]).is_ok()
}

/// Makes an executable such that its start by [`start`] has raised privileges.
type Raise = fn(&Path) -> bool;

const RAISED: [(&str, Raise, &str); 3] = [
    ("set-user-id", |path| set_id(path, 0o4755), "it runs as user 0 for user 65534"),
    ("set-group-id", |path| set_id(path, 0o2755), "it runs as group 0 for group 65534"),
    ("file capabilities", set_capability, "the system says so (AT_SECURE): its file has capabilities, or a "),
];

fn set_id(path: &Path, bits: u32) -> bool {
    set_mode(path, bits);
    true
}

/// As another user than its owner.
fn start(command: &mut Command) -> Output {
    run(command.uid(NOBODY).gid(NOBODY))
}

/// Whether marks on files raise privileges in this directory: not on a file system that is mounted
/// nosuid.
fn is_raised(tool: &Tool, why: &str) -> bool {
    let output = start(tool.command().arg("--update-status"));
    let is = stderr(&output).contains(why);
    if !is && nosuid(tool.dir.path()) {
        println!("skipped: {} is mounted nosuid", tool.dir.path().display());
        return false;
    }
    assert!(is, "{output:?}");
    true
}

fn nosuid(path: &Path) -> bool {
    let found = rustix::fs::statvfs(path).unwrap();
    found.f_flag.contains(rustix::fs::StatVfsMountFlags::NOSUID)
}

/// A program of the caller's, where the tool's restart would find one.
fn callers_program(tool: &Tool) -> (PathBuf, PathBuf) {
    let (program, mark) = (tool.state_home.path().join("program"), tool.state_home.path().join("mark"));
    fs::write(&program, format!("#!/bin/sh\ntouch {}\n", mark.display())).unwrap();
    set_mode(&program, 0o755);
    set_mode(tool.state_home.path(), 0o777);
    (program, mark)
}

#[test]
fn raised_privileges_are_the_first_thing_that_is_looked_at() {
    if !may_be_another() {
        return;
    }
    for (what, raise, why) in RAISED {
        for policy in ["auto", "notify", "off", "require"] {
            let (_repository, tool) = outdated(json!({"policy": policy}));
            if !raise(&tool.path) || !is_raised(&tool, why) {
                continue;
            }
            let case = format!("{what}, {policy}");
            let before = tool.snapshot();
            for flag in ["--update", "--update=now", "--rollback", "--update-status"] {
                let output = start(tool.command().arg(flag));
                assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(5), ""), "{case} {flag}");
                let told = stderr(&output);
                assert!(told.contains(&format!("widget: not done: {REASON}{why}")), "{case}: {told}");
                // Capabilities raise the privileges of their owner too, and set-group-id those of root.
                let advice = match what {
                    "set-user-id" => "Run the same command with sudo.",
                    "set-group-id" => "`sudo -u OWNER -g '#0' ...`",
                    _ => "(`sudo setcap -r FILE`)",
                };
                assert!(told.contains(advice), "{case}: {told}");
            }
            // What the environment says is not believed: neither that it is probed, nor that it was
            // restarted, nor where records are.
            for (name, value) in [
                ("RELATCH_PROBE", "0123456789abcdef0123456789abcdef"),
                ("RELATCH_RESTARTED", "1"),
                ("XDG_STATE_HOME", tool.state_home.path().to_str().unwrap()),
            ] {
                let output = start(tool.command().env(name, value).arg("--version"));
                assert!(!stdout(&output).contains("relatch-probe"), "{case}: {output:?}");
                if policy == "require" {
                    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(5), ""), "{case}");
                    let told = stderr(&output);
                    assert!(told.contains(&format!("widget: not started: {REASON}{why}")), "{case}: {told}");
                } else {
                    assert_eq!(stdout(&output), "widget 1.0.0 --version\n", "{case}: {output:?}");
                    assert_eq!(stderr(&output), "", "{case}");
                }
            }
            assert_eq!(tool.snapshot(), before, "{case}");
            assert!(!tool.own_dir().exists(), "{case}");
        }
    }
}

/// An error of reading a file would be taken for an answer: by a start, and by the parent of a
/// probe.
#[test]
fn no_file_is_read_to_find_out() {
    if !support::strace::is_available() {
        return;
    }
    let (_repository, tool) = outdated(json!({"policy": "off"}));
    let log = tool.state_home.path().join("log");
    let output =
        run(support::strace::traced(&tool.path, &["openat", "open"], &[], &log).arg("--update-status"));
    assert!(stdout(&output).starts_with("widget"), "{output:?}");
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("openat(") && !log.contains("auxv"), "{log}");
}

/// `Require` starts what is at the path where it is itself started from `.<exe>.relatch/`. The
/// caller chooses by what path a set-id program is started, if they may link to it.
#[test]
fn a_set_id_program_restarts_nothing_of_its_callers() {
    if !may_be_another() {
        return;
    }
    for (what, raise, why) in RAISED {
        let (_repository, tool) = outdated(json!({"policy": "require"}));
        let (program, mark) = callers_program(&tool);
        // A hard link within a directory of the caller's, as if it were a previous version.
        let private = tool.state_home.path().join(".program.relatch");
        fs::create_dir(&private).unwrap();
        let link = private.join("previous");
        if !raise(&tool.path) || !is_raised(&tool, why) {
            continue;
        }
        if let Err(error) = fs::hard_link(&tool.path, &link) {
            println!("skipped: {what}: {error}");
            continue;
        }
        assert!(program.exists());
        let output = start(Command::new(&link).arg("x"));
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(5), ""), "{what}: {output:?}");
        assert!(stderr(&output).contains(REASON), "{what}: {}", stderr(&output));
        assert!(!mark.exists(), "{what}: the caller's program ran");
    }
}

/// By the library: the tool itself does not go back if it has rights that this process has not.
#[track_caller]
fn go_to(tool: &Tool, version: &str) {
    let site = relatch::install::Installation::at(&tool.path).unwrap();
    let version = version.parse().unwrap();
    match relatch::Updater::rollback_to(&site, None, &version) {
        Err(relatch::Error::Local(relatch::Local::KeptIsNewer { .. })) => {
            relatch::Updater::forward(&site, None, &version).unwrap()
        }
        done => done.unwrap(),
    };
}

/// The version that lies in a file; it is not started, because with these bits it might do nothing.
fn holds(path: &Path, version: &str) -> bool {
    let bytes = fs::read(path).unwrap();
    let line = bytes.rsplit(|byte| *byte == b'\n').next().unwrap();
    serde_json::from_slice::<Value>(line).unwrap()["version"] == version
}

/// A release that is not known yet to run must not run with these rights.
#[test]
fn a_release_has_no_set_id_bits_and_capabilities_while_it_is_probed() {
    if !may_be_another() || !support::strace::is_available() {
        return;
    }
    let (_repository, tool) = outdated(json!({}));
    set_mode(&tool.path, 0o6755);
    let has_capabilities = set_capability(&tool.path);
    let log = tool.state_home.path().join("log");
    let calls = ["openat", "execve", "fchmod", "fsetxattr"];
    let output = run(support::strace::traced(&tool.path, &calls, &[], &log).arg("--update"));
    assert!(output.status.success(), "{}", stderr(&output));
    let log = fs::read_to_string(log).unwrap();
    let at = |what: &str| log.find(what).unwrap_or_else(|| panic!("{what}: {log}"));
    let probed = at("execve(\"./new-");
    let name = log[probed..].split('"').nth(1).unwrap().trim_start_matches("./");
    // From its first byte to its start; the preflight gives them to another file, without a byte.
    let made = at(&format!("\"{name}\", O_"));
    let given = |calls: &str| {
        (calls.contains(", 06755)"), calls.contains("\"security.capability\"") && calls.contains("fsetxattr"))
    };
    assert!(made < probed, "{log}");
    assert_eq!(given(&log[made..probed]), (false, false), "{log}");
    assert_eq!(given(&log[probed..]), (true, has_capabilities), "{log}");
}

/// What was left is no second program with these rights; and an administrator's chmod and setcap
/// survive each way.
#[test]
fn set_id_bits_and_capabilities_are_those_of_the_executable_alone() {
    if !may_be_another() {
        return;
    }
    for without_exchange in [false, true] {
        if without_exchange && !support::strace::is_available() {
            continue;
        }
        let (_repository, tool) = outdated(json!({}));
        fs::set_permissions(&tool.path, PermissionsExt::from_mode(0o6755)).unwrap();
        let has_capabilities = set_capability(&tool.path);
        if without_exchange {
            let log = tool.state_home.path().join("log");
            let injections = ["renameat2:error=EINVAL".to_owned()];
            let output =
                run(support::strace::traced(&tool.path, &["renameat2"], &injections, &log).arg("--update"));
            assert!(output.status.success(), "{}", stderr(&output));
        } else {
            let output = tool.run(&["--update"]);
            assert!(output.status.success(), "{}", stderr(&output));
        }
        let is = |version: &str, other: &str, bits: u32| {
            assert!(holds(&tool.path, version) && holds(&tool.previous(), other), "{version}");
            assert_eq!(format!("{:o}", mode(&tool.path)), format!("{bits:o}"), "{version}");
            assert_eq!(format!("{:o}", mode(&tool.previous())), format!("{:o}", bits & 0o777), "{other}");
            assert!(!has_capability(&tool.previous()));
        };
        is("1.1.0", "1.0.0", 0o6755);
        assert_eq!(has_capability(&tool.path), has_capabilities);
        go_to(&tool, "1.0.0");
        is("1.0.0", "1.1.0", 0o6755);
        assert_eq!(has_capability(&tool.path), has_capabilities);
        // An administrator takes rights away and gives others.
        std::os::unix::fs::chown(&tool.path, Some(NOBODY), Some(NOBODY)).unwrap();
        set_mode(&tool.path, 0o2750);
        go_to(&tool, "1.1.0");
        is("1.1.0", "1.0.0", 0o2750);
        assert!(!has_capability(&tool.path), "a change of the owner clears them");
        let meta = fs::metadata(&tool.path).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (NOBODY, NOBODY));
        if has_capabilities {
            assert!(set_capability(&tool.path));
            set_mode(&tool.path, 0o755);
            go_to(&tool, "1.0.0");
            is("1.0.0", "1.1.0", 0o755);
            assert!(has_capability(&tool.path));
        }
    }
}
