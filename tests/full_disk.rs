//! Promise: a person goes back from a bad release on a disk that is full to the last byte, and what
//! could not be recorded then is not undone later.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::json;
use support::strace::is_available;
use support::tool::{run, stderr, stdout, test_tool};
use support::{Repository, Tool, executable_such};

/// Each step prints its exit code and what it says, in one line.
const SCRIPT: &str = r#"
set -u
mount -t tmpfs -o size="$1",mode=755 tmpfs "$2" || exit 77
cp "$3" "$2/widget"
tool() { # name, arguments
    name=$1; shift
    said=$("$@" 2>&1); code=$?
    echo "$name: $code: $said" | tr '\n' ' '
    echo
}
tool update "$2/widget" --update
cat /dev/zero >"$2/fill" 2>/dev/null
tool full-back $4 "$2/widget" --rollback
tool full-again $4 "$2/widget" --rollback
tool full-start "$2/widget" x
rm "$2/fill"
case $5 in
rollback) tool back "$2/widget" --rollback ;;
start) tool start "$2/widget" x ;;
esac
tool after "$2/widget" x
tool status "$2/widget" --update-status
ls -A "$2/.widget.relatch"
"#;

/// The lines of the script; `None` if nothing can be mounted here.
fn play(around: &str, next: &str) -> Option<Vec<String>> {
    let mut repository = Repository::new();
    let bytes = |version: &str| executable_such(&repository, version, json!({"interval": 0}));
    let (old, new) = (bytes("1.0.0"), bytes("1.1.0"));
    let tool = Tool::copied(&old);
    repository.release("1.1.0", &new);
    let mounted = tempfile::tempdir().unwrap();
    // Room for the download, the two executables, and what they write.
    let size = (test_tool().len() * 5).to_string();
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", SCRIPT, "sh", &size]).args([mounted.path(), Path::new(&tool.path)]);
    command.args([around, next]).env_remove("CI").env_remove("RELATCH_NO_UPDATE");
    command.env("XDG_STATE_HOME", tool.state_home.path());
    let output = run(&mut command);
    if output.status.code() == Some(77) || stderr(&output).contains("unshare") {
        println!("skipped: nothing can be mounted here");
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

fn assert_goes_back_and_stays(around: &str) {
    for next in ["rollback", "start"] {
        let Some(lines) = play(around, next) else { return };
        assert_line(&lines, "update", 0, "updated 1.0.0 to 1.1.0");
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
        assert_line(&lines, "status", 0, "previous   1.1.0");
        let names: Vec<_> = lines.iter().filter(|line| !line.contains(':')).map(String::as_str).collect();
        assert_eq!(names, ["cache", "floors", "journal", "lock", "previous", "staging"], "{lines:#?}");
    }
}

#[test]
fn a_full_disk_does_not_prevent_a_rollback() {
    assert_goes_back_and_stays("");
}

#[test]
fn a_full_disk_does_not_prevent_a_rollback_where_names_cannot_be_exchanged() {
    if is_available() {
        assert_goes_back_and_stays("strace -qq -f -o /dev/null -e inject=renameat2:error=EINVAL");
    }
}
