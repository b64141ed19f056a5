//! Promise: a person goes back from a bad release on a disk that is full to the last byte, and what
//! could not be recorded then is not undone later.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

mod support;

use std::process::Command;

use serde_json::json;
use support::built::{built, exists};
use support::strace::is_available;
use support::tool::{run, stderr, stdout, test_tool};
use support::{Repository, Tool, executable_such};

/// Each step prints its exit code and what it says, in one line.
const SCRIPT: &str = r#"
set -u
disk=$1; at=$2; image=$3; widget=$4; next=$5
shift 5
case $disk in
btrfs) truncate -s 160M "$image" && mkfs.btrfs -q "$image" >/dev/null && mount -o loop "$image" "$at" ;;
*) mount -t tmpfs -o size="$disk",mode=755 tmpfs "$at" ;;
esac || exit 77
chmod 755 "$at"
cp "$widget" "$at/widget"
tool() { # name, command
    name=$1; shift
    said=$("$@" 2>&1); code=$?
    echo "$name: $code: $said" | tr '\n' ' '
    echo
}
tool update "$at/widget" --update
sync
# To the last byte: large writes first, and then what is left beside them.
for size in 65536 4096 1; do
    dd if=/dev/zero of="$at/fill-$size" bs=$size 2>/dev/null
    sync
done
tool overwrite dd if=/dev/zero of="$at/more" bs=1 count=1
tool full-back "$@"
tool full-again "$@"
tool full-start "$at/widget" x
rm "$at"/fill-* "$at/more"
case $next in
rollback) tool back "$at/widget" --rollback ;;
start) tool start "$at/widget" x ;;
esac
tool after "$at/widget" x
tool status "$at/widget" --update-status
ls -A "$at/.widget.relatch"
"#;

/// Where the executable is.
#[derive(Clone, Copy, PartialEq)]
enum Disk {
    Tmpfs,
    /// It overwrites nothing in place.
    Btrfs,
}

/// Who goes back. `DISK` is the directory of the executable.
const TOOL: &[&str] = &["DISK/widget", "--rollback"];
const PREVIOUS: &[&str] = &["DISK/.widget.relatch/previous", "--rollback"];
const RELATCH: &[&str] = &["RELATCH", "rollback", "DISK/widget"];
const WITHOUT_EXCHANGE: &[&str] = &[
    "strace",
    "-qq",
    "-f",
    "-o",
    "/dev/null",
    "-e",
    "inject=renameat2:error=EINVAL",
    "DISK/widget",
    "--rollback",
];

/// The lines of the script; `None` if nothing can be mounted here.
fn play(disk: Disk, command: &[&str], next: &str) -> Option<Vec<String>> {
    let mut repository = Repository::new();
    let bytes = |version: &str| executable_such(&repository, version, json!({"interval": 0}));
    let (old, new) = (bytes("1.0.0"), bytes("1.1.0"));
    let tool = Tool::copied(&old);
    repository.release("1.1.0", &new);
    let (mounted, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Room for the download, the two executables, and what they write.
    let kind = if disk == Disk::Btrfs { "btrfs".to_owned() } else { (test_tool().len() * 5).to_string() };
    let mut script = Command::new("unshare");
    script.args(["-m", "sh", "-c", SCRIPT, "sh", &kind]).arg(mounted.path());
    script.arg(elsewhere.path().join("image")).arg(&tool.path).arg(next);
    let relatch = built("relatch");
    for argument in command {
        let argument = argument.replace("DISK", &mounted.path().to_string_lossy());
        script.arg(argument.replace("RELATCH", &relatch.to_string_lossy()));
    }
    script.env_remove("CI").env_remove("RELATCH_NO_UPDATE");
    script.env("XDG_STATE_HOME", tool.state_home.path());
    let output = run(&mut script);
    if output.status.code() == Some(77) || stderr(&output).contains("unshare") {
        println!("skipped: this cannot be mounted here: {}", stderr(&output).trim());
        return None;
    }
    Some(stdout(&output).lines().map(str::to_owned).collect())
}

#[track_caller]
fn assert_line(lines: &[String], name: &str, code: i32, contains: &str) {
    let begin = format!("{name}: {code}: ");
    let line = lines.iter().find(|line| line.starts_with(&format!("{name}: "))).unwrap();
    assert!(line.starts_with(&begin) && line.contains(contains), "{begin}{contains}: {lines:#?}");
}

fn assert_goes_back_and_stays(disk: Disk, command: &[&str]) {
    for next in ["rollback", "start"] {
        let Some(lines) = play(disk, command, next) else { return };
        assert_line(&lines, "update", 0, "updated 1.0.0 to 1.1.0");
        let is_full =
            lines.iter().any(|line| line.starts_with("overwrite: ") && line.contains("No space left"));
        assert!(is_full, "{lines:#?}");
        for name in ["full-back", "full-again"] {
            assert_line(&lines, name, 0, "back to 1.0.0; 1.1.0 is on hold");
            assert_line(&lines, name, 0, "is not recorded");
        }
        assert_line(&lines, "full-start", 0, "widget 1.0.0 x");
        match next {
            "rollback" => assert_line(&lines, "back", 0, "back to 1.0.0; 1.1.0 is on hold"),
            _ => assert_line(&lines, "start", 0, "widget 1.0.0 x"),
        }
        assert_line(&lines, "after", 0, "widget 1.0.0 x");
        assert_line(&lines, "status", 0, "version 1.0.0");
        assert_line(&lines, "status", 0, "held       1.1.0");
        assert_line(&lines, "status", 0, "kept       1.1.0 at ");
        let names: Vec<_> = lines.iter().filter(|line| !line.contains(':')).map(String::as_str).collect();
        let expected = ["cache", "events", "floors", "journal", "lock", "previous", "staging", "trial"];
        assert_eq!(names, expected, "{lines:#?}");
    }
}

#[test]
fn a_full_disk_does_not_prevent_a_rollback() {
    assert_goes_back_and_stays(Disk::Tmpfs, TOOL);
}

/// After a bad release, which may not start any more.
#[test]
fn a_full_disk_does_not_prevent_a_rollback_by_another_program() {
    assert_goes_back_and_stays(Disk::Tmpfs, PREVIOUS);
    if exists("relatch") {
        assert_goes_back_and_stays(Disk::Tmpfs, RELATCH);
    } else {
        println!("skipped: relatch is not built");
    }
}

#[test]
fn a_full_disk_does_not_prevent_a_rollback_where_names_cannot_be_exchanged() {
    if is_available() {
        assert_goes_back_and_stays(Disk::Tmpfs, WITHOUT_EXCHANGE);
    }
}

#[test]
fn a_full_btrfs_does_not_prevent_a_rollback() {
    for command in [TOOL, PREVIOUS] {
        assert_goes_back_and_stays(Disk::Btrfs, command);
    }
}
