//! Promise: file systems and names are taken as they are. What cannot be done is said in one line,
//! with advice that fits, and leaves nothing.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;
use support::built::built;
use support::strace::{is_available, traced};
use support::tool::{EXECUTABLE, executable_such, run, stderr, stdout};
use support::{Repository, Tool};

/// 1.0.0 is installed, and 1.1.0 published.
fn outdated(policy: &str) -> (Repository, Tool) {
    let mut repository = Repository::new();
    let fields = json!({"policy": policy});
    let tool = Tool::copied(&executable_such(&repository, "1.0.0", fields.clone()));
    let bytes = executable_such(&repository, "1.1.0", fields);
    repository.release("1.1.0", &bytes);
    (repository, tool)
}

fn injected(tool: &Tool, injection: &str, arguments: &[&str]) -> Output {
    let log = tool.state_home.path().join("log");
    let call = injection.split(':').next().unwrap();
    let mut command = traced(&tool.path, &[call], &[injection.to_owned()], &log);
    run(command.env("XDG_STATE_HOME", tool.state_home.path()).args(arguments))
}

#[test]
fn without_locks_there_is_one_clear_line_and_nothing_is_left() {
    if !is_available() {
        return;
    }
    for error in ["ENOLCK", "EOPNOTSUPP", "ENOSYS"] {
        let (_repository, tool) = outdated("auto");
        let injection = format!("flock:error={error}");
        let output = injected(&tool, &injection, &["--update"]);
        assert_eq!(output.status.code(), Some(5), "{error}: {output:?}");
        let told = stderr(&output);
        assert!(told.contains("cannot be updated: its file system has no file locks"), "{error}: {told}");
        assert!(told.contains("local file system") && told.lines().count() == 2, "{error}: {told}");
        assert!(!tool.site_dir().exists(), "{error}");
        for first in [true, false] {
            let output = injected(&tool, &injection, &["x"]);
            assert_eq!(stdout(&output), "widget 1.0.0 x\n", "{error}: {output:?}");
            assert_eq!(stderr(&output).contains("has no file locks"), first, "{error}: {}", stderr(&output));
            assert!(first || stderr(&output).is_empty(), "{error}: {}", stderr(&output));
            assert!(!tool.site_dir().exists(), "{error}");
        }
        assert_eq!(stdout(&tool.run(&["x"])), "widget 1.1.0 x\n", "{error}");
    }
}

/// FAT and its kind: a mode cannot be changed, and that of the mount may be enough.
#[test]
fn without_modes_that_of_the_mount_is_taken_if_it_is_enough() {
    if !is_available() {
        return;
    }
    for error in ["EPERM", "EOPNOTSUPP", "EINVAL"] {
        let (_repository, tool) = outdated("notify");
        let injection = format!("fchmod:error={error}");
        // Records need no right that their owner has not.
        let output = injected(&tool, &injection, &["x"]);
        assert_eq!(stdout(&output), "widget 1.0.0 x\n", "{error}: {output:?}");
        let told = stderr(&output);
        assert!(told.contains("1.1.0 is available") && !told.contains("not updated"), "{error}: {told}");
        assert_eq!(stderr(&injected(&tool, &injection, &["x"])), "", "{error}");
        // A program must be executable.
        let output = injected(&tool, &injection, &["--update"]);
        assert_eq!(output.status.code(), Some(5), "{error}: {output:?}");
        let told = stderr(&output);
        assert!(
            told.contains("its mode is 600, and its file system does not change it to 700"),
            "{error}: {told}"
        );
        assert!(told.contains("fmask="), "{error}: {told}");
        assert_eq!(tool.strays(), [""; 0]);
        assert!(tool.run(&["--update"]).status.success());
    }
}

#[test]
fn a_name_that_is_not_utf_8() {
    let (_repository, tool) = outdated("auto");
    let named = tool.path.with_file_name(OsStr::from_bytes(b"to\xffol\n"));
    fs::rename(&tool.path, &named).unwrap();
    let start = |path: &Path, argument: &str| {
        let mut command = Command::new(path);
        command
            .env_remove("CI")
            .env_remove("RELATCH_NO_UPDATE")
            .env("XDG_STATE_HOME", tool.state_home.path());
        run(command.arg(argument))
    };
    assert_eq!(stdout(&start(&named, "x")), "widget 1.1.0 x\n");
    // The one beside it knows what it belongs to.
    let private = named.with_file_name(OsStr::from_bytes(b".to\xffol\n.relatch"));
    let output = start(&private.join("previous"), "--rollback");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stdout(&start(&named, "--no-update")), "widget 1.0.0 --no-update\n");
    let mut relatch = Command::new(built("relatch"));
    let output = run(relatch.arg("status").arg(&named));
    assert!(output.status.success(), "{output:?}");
    assert!(stdout(&output).contains("to\u{fffd}ol\\n\n"), "{}", stdout(&output));
}

fn relatch(arguments: &[&OsStr]) -> Output {
    run(Command::new(built("relatch")).args(arguments))
}

fn install(repository: &Repository, from: &Path, to: &Path, more: &[&str]) -> Output {
    let root = repository.dir.path().join("root/1.json");
    let mut command = Command::new(built("relatch"));
    command.args(["install", "--product", EXECUTABLE, "--target", "test", "--no-probe"]).args(more);
    run(command.arg("--from").arg(from).arg("--root").arg(root).arg("--to").arg(to))
}

#[track_caller]
fn is_told(output: &Output, code: i32, expected: &[&str]) {
    let told = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{told}");
    for part in expected {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn paths_that_are_no_files_get_the_advice_that_fits() {
    let (repository, tool) = outdated("auto");
    let dir = tool.dir.path().canonicalize().unwrap();
    let from = repository.dir.path();
    for more in [&[][..], &["--force"]] {
        // A directory: the file in it was meant.
        let file = dir.join("widget").display().to_string();
        let output = install(&repository, from, &dir, more);
        is_told(&output, 5, &["is a directory", &format!("Name the executable itself: {file}")]);
        assert!(!stderr(&output).contains("--force"), "{}", stderr(&output));
        // A link that leads nowhere.
        let link = dir.join("link");
        symlink("missing", &link).unwrap();
        let output = install(&repository, from, &link, more);
        is_told(&output, 5, &["is a symbolic link to missing, which does not exist", "remove the link"]);
        assert!(!stderr(&output).contains("--force"), "{}", stderr(&output));
        fs::remove_file(&link).unwrap();
    }
    assert_eq!(names(&dir), ["widget"]);
    for command in ["status", "update", "check", "rollback"] {
        let output = relatch(&[command.as_ref(), dir.as_os_str()]);
        is_told(&output, 5, &["is a directory", "Name the executable itself"]);
    }
    // One that is known here.
    assert_eq!(stdout(&tool.run(&["x"])), "widget 1.1.0 x\n");
    let output = relatch(&["status".as_ref(), dir.as_os_str()]);
    is_told(&output, 5, &[&format!("Name the executable itself: {}", dir.join("widget").display())]);
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_repository_that_is_not_there_cannot_be_reached() {
    let (repository, tool) = outdated("auto");
    let to: PathBuf = tool.dir.path().join("other");
    let output = install(&repository, Path::new("/missing/repository"), &to, &[]);
    is_told(&output, 4, &["/missing/repository", "a directory is missing or not mounted"]);
    assert_eq!(names(tool.dir.path()), ["widget"]);
}

/// A directory on a read-only file system, for whoever may write there otherwise.
#[test]
fn a_read_only_file_system_is_named() {
    let (_repository, tool) = outdated("auto");
    let mut command = Command::new("unshare");
    let dir = tool.dir.path().display().to_string();
    let script =
        format!("mount --bind {dir} {dir} && mount -o remount,ro,bind {dir} || exit 77; exec \"$@\"");
    command.args(["-m", "sh", "-c", &script, "sh"]).arg(&tool.path).arg("--update");
    let output = command.env_remove("CI").env("XDG_STATE_HOME", tool.state_home.path()).output();
    let Some(output) =
        output.ok().filter(|it| it.status.code() != Some(77) && !stderr(it).starts_with("unshare: "))
    else {
        println!("skipped: nothing can be mounted here");
        return;
    };
    is_told(&output, 5, &["mounted read-only", "remount,rw"]);
    fs::set_permissions(tool.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn without_locks_a_current_version_runs_under_require() {
    if !is_available() {
        return;
    }
    let mut repository = Repository::new();
    let fields = json!({"policy": "require", "interval": 0});
    let bytes = executable_such(&repository, "1.0.0", fields.clone());
    repository.release("1.0.0", &bytes);
    let tool = Tool::copied(&bytes);
    let injection = "flock:error=ENOLCK";
    for _ in 0..2 {
        let output = injected(&tool, injection, &["x"]);
        assert_eq!(stdout(&output), "widget 1.0.0 x\n", "{}", stderr(&output));
        assert!(!tool.site_dir().exists());
    }
    let bytes = executable_such(&repository, "1.1.0", fields);
    repository.release("1.1.0", &bytes);
    let output = injected(&tool, injection, &["x"]);
    is_told(&output, 3, &["1.1.0 is the current release", "has no file locks"]);
    assert_eq!(stdout(&output), "");
}

/// An error of looking at a name is no answer about the name.
#[test]
fn an_error_is_not_taken_for_absence() {
    if !is_available() {
        return;
    }
    let (_repository, tool) = outdated("auto");
    assert_eq!(stdout(&tool.run(&["x"])), "widget 1.1.0 x\n");
    let mut injected_once = 0;
    for call in ["statx", "newfstatat"] {
        for when in 1.. {
            let injection = format!("{call}:error=EIO:when={when}");
            let output = injected(&tool, &injection, &["--rollback"]);
            let log = fs::read_to_string(tool.state_home.path().join("log")).unwrap();
            if !log.contains("(INJECTED)") {
                assert!(output.status.success(), "{injection}: {output:?}");
                break;
            }
            injected_once += 1;
            let told = stderr(&output);
            for absence in ["there is no previous version", "there is no executable", "No such file"] {
                assert!(!told.contains(absence), "{injection}: {told}");
            }
            // There, or back again for the next one.
            if output.status.success() {
                assert!(tool.run(&["--rollback"]).status.success(), "{injection}");
            }
        }
        assert!(tool.run(&["--rollback"]).status.success());
    }
    assert!(injected_once > 2, "{injected_once}");
}

/// As Linux does with a set-group-id bit of a group that the caller is not in, and some mounts of
/// FAT and of servers with every mode: the call succeeds, and the mode is another one.
#[test]
fn a_mode_that_was_not_stored_is_not_lost_in_silence() {
    if !is_available() {
        return;
    }
    let (_repository, tool) = outdated("auto");
    fs::set_permissions(&tool.path, PermissionsExt::from_mode(0o755)).unwrap();
    let output = injected(&tool, "fchmod:retval=0", &["--update"]);
    is_told(&output, 5, &["its mode 755 cannot be carried over", "stored the mode 600", "chmod u-s,g-s"]);
    assert_eq!((stdout(&output), tool.strays()), (String::new(), vec![]));
    assert!(tool.run(&["--update"]).status.success());
}

/// A part of the executable that cannot be carried over: the advice is that of the error.
#[test]
fn advice_fits_the_error_of_what_cannot_be_carried_over() {
    if !is_available() || !support::tool::may_be_another() {
        return;
    }
    let (_repository, tool) = outdated("auto");
    std::os::unix::fs::chown(&tool.path, None, Some(40_100)).unwrap();
    for (error, expected) in [
        ("ENOSPC", "`df -h "),
        ("EDQUOT", "`df -h "),
        ("EROFS", "remount,rw"),
        ("EIO", "`dmesg`"),
        ("EINVAL", "does not exist in this container"),
        ("EPERM", "Root may not do that here"),
    ] {
        let output = injected(&tool, &format!("fchown:error={error}"), &["--update"]);
        is_told(&output, 5, &["its owner 0:40100 cannot be carried over", expected]);
        assert!(!stderr(&output).contains("sudo"), "{error}: {}", stderr(&output));
    }
    assert!(tool.run(&["--update"]).status.success());
}
