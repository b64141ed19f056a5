//! Promise: a start runs the newest release that this machine can have, keeps its deadline whatever the network does, stays silent
//! where there is nothing to tell, and never fails the tool, unless the tool requires to be current.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::server::{Answer, Server};
use support::tool::{run, stderr, stdout};
use support::{Key, Repository, Tool, executable, executable_such, now};

/// A repository with the release 1.0.0.
fn repository() -> Repository {
    repository_of(json!({}))
}

fn repository_of(fields: Value) -> Repository {
    let mut repository = Repository::new();
    let bytes = executable_such(&repository, "1.0.0", fields);
    repository.release("1.0.0", &bytes);
    repository
}

/// 1.0.0 of the tool with these fields of its configuration, copied to a directory of its own.
fn tool(repository: &Repository, fields: Value) -> Tool {
    Tool::copied(&executable_such(repository, "1.0.0", fields))
}

/// A newer release whose executable has the same fields.
fn release(repository: &mut Repository, version: &str, fields: Value) {
    let bytes = executable_such(repository, version, fields);
    repository.release(version, &bytes);
}

#[track_caller]
fn assert_runs(output: &Output, expected: &str) {
    assert_eq!(stdout(output), expected, "{}", stderr(output));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
}

/// It did not start: nothing on stdout, the reason on stderr.
#[track_caller]
fn assert_refuses(output: &Output, code: i32) {
    assert_eq!(stdout(output), "", "{}", stderr(output));
    assert_eq!(output.status.code(), Some(code), "{}", stderr(output));
    assert!(stderr(output).contains("not started"), "{}", stderr(output));
}

fn go_offline(repository: &Repository) {
    std::fs::rename(repository.dir.path(), repository.dir.path().with_extension("away")).unwrap();
}

fn come_back(repository: &Repository) {
    std::fs::rename(repository.dir.path().with_extension("away"), repository.dir.path()).unwrap();
}

// ---------------------------------------------------------------------------------------------------------------------------- Auto

#[test]
fn the_new_version_gets_the_same_arguments_name_and_environment() {
    let mut repository = repository();
    let tool = tool(&repository, json!({}));
    release(&mut repository, "1.1.0", json!({}));
    let mut command = tool.command();
    let output = run(command.arg0("called-so").env("TEST_MARK", "a mark").args(["show", "--x", "", "b c"]));
    assert_runs(&output, "argv0=called-so mark=a mark\nwidget 1.1.0 show --x  b c\n");
    assert!(stderr(&output).contains("updated 1.0.0 to 1.1.0"), "{}", stderr(&output));
}

#[test]
fn a_restarted_process_does_not_check_again_but_its_children_do() {
    let mut repository = Repository::new();
    let server = Server::plain(&repository);
    let always = json!({"repository": server.url, "plain": true, "interval": 0});
    let (parent, child) = (tool(&repository, always.clone()), tool(&repository, always.clone()));
    release(&mut repository, "1.1.0", always);
    let output = parent.run(&["show"]);
    assert_eq!(stdout(&output).lines().last(), Some("widget 1.1.0 show"), "{}", stderr(&output));
    assert_eq!(server.count("stable/VERSION"), 1, "the restarted one checked again");

    // The mark is inherited by everything that the restarted process starts.
    let parent = tool(&repository, json!({"repository": server.url, "plain": true, "interval": 0}));
    let output = parent.run(&["run", child.path.to_str().unwrap(), "x"]);
    let path = child.path.display();
    assert_runs(&output, &format!("widget 1.1.0 x\nwidget 1.1.0 run {path} x\n"));
}

#[test]
fn a_start_with_nothing_to_do_says_nothing() {
    let repository = repository();
    let tool = tool(&repository, json!({}));
    for _ in 0..2 {
        let output = tool.run(&["x"]);
        assert_runs(&output, "widget 1.0.0 x\n");
        assert_eq!(stderr(&output), "");
    }
}

#[test]
fn the_check_is_skipped_by_wish_and_in_ci() {
    let mut repository = repository();
    let tool = tool(&repository, json!({}));
    release(&mut repository, "1.1.0", json!({}));
    let before = tool.snapshot();
    assert_runs(&run(tool.command().env("CI", "true")), "widget 1.0.0 \n");
    assert_runs(&run(tool.command().env("RELATCH_NO_UPDATE", "")), "widget 1.0.0 \n");
    assert_runs(&tool.run(&["x", "--no-update", "y"]), "widget 1.0.0 x --no-update y\n");
    assert_eq!(tool.snapshot(), before);
    assert_runs(&tool.run(&["--", "--no-update"]), "widget 1.1.0 -- --no-update\n");
}

#[test]
fn off_does_nothing() {
    let mut repository = repository();
    let tool = tool(&repository, json!({"policy": "off"}));
    release(&mut repository, "1.1.0", json!({}));
    let before = tool.snapshot();
    let output = tool.run(&[]);
    assert_runs(&output, "widget 1.0.0 \n");
    assert_eq!(stderr(&output), "");
    assert_eq!(tool.snapshot(), before);
}

#[test]
fn notify_says_one_line_and_installs_nothing() {
    let mut repository = repository();
    let tool = tool(&repository, json!({"policy": "notify"}));
    release(&mut repository, "1.1.0", json!({}));
    let before = tool.snapshot();
    let output = tool.run(&[]);
    assert_runs(&output, "widget 1.0.0 \n");
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("1.1.0 is available"), "{}", stderr(&output));
    assert_eq!(tool.snapshot().0["widget"], before.0["widget"]);
    assert_eq!(tool.strays(), [""; 0]);
}

#[test]
fn being_offline_is_one_line() {
    let repository = repository();
    let tool = tool(&repository, json!({}));
    go_offline(&repository);
    let output = tool.run(&[]);
    assert_runs(&output, "widget 1.0.0 \n");
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    come_back(&repository);
}

#[test]
fn a_stderr_that_nobody_reads_is_no_reason_to_fail() {
    let mut repository = repository();
    let tool = tool(&repository, json!({"interval": 0}));
    for (policy, expected) in [("offline", "widget 1.0.0 \n"), ("update", "widget 1.1.0 \n")] {
        let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
        drop(reader);
        if policy == "offline" {
            go_offline(&repository);
        }
        let output = run(tool.command().stderr(std::os::fd::OwnedFd::from(writer)));
        assert_runs(&output, expected);
        if policy == "offline" {
            come_back(&repository);
            release(&mut repository, "1.1.0", json!({}));
        }
    }
}

#[test]
fn inside_the_interval_no_network_is_read() {
    let repository = repository();
    let server = Server::plain(&repository);
    let tool = tool(&repository, json!({"repository": server.url, "plain": true, "interval": 3600}));
    assert_runs(&tool.run(&[]), "widget 1.0.0 \n");
    let asked = server.requests().len();
    assert!(asked > 0);
    assert_runs(&tool.run(&[]), "widget 1.0.0 \n");
    assert_eq!(server.requests().len(), asked, "{:?}", server.requests());
    // An interval that has passed, by the recorded time.
    tool.edit_state(|state| state["checked"] = (now() - 3601).into());
    assert_runs(&tool.run(&[]), "widget 1.0.0 \n");
    assert!(server.requests().len() > asked);
}

#[test]
fn a_check_that_failed_is_not_repeated_at_each_start() {
    let repository = repository();
    let server = Server::plain(&repository);
    server.answer("stable/", Answer::Status(503));
    server.answer("root/", Answer::Status(503));
    let tool = tool(&repository, json!({"repository": server.url, "plain": true}));
    let output = tool.run(&[]);
    assert_runs(&output, "widget 1.0.0 \n");
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    let asked = server.requests().len();
    assert!(asked > 0);
    assert_runs(&tool.run(&[]), "widget 1.0.0 \n");
    assert_eq!(server.requests().len(), asked, "{:?}", server.requests());
}

#[test]
fn the_deadline_is_kept_whatever_the_network_does() {
    let repository = repository();
    let server = Server::plain(&repository);
    for path in ["root/", "stable/"] {
        let server = if path == "root/" { &server } else { &Server::plain(&repository) };
        server.answer(path, Answer::Stall);
        let slow = json!({"repository": server.url, "plain": true, "deadline_ms": 300});
        let tool = tool(&repository, slow.clone());
        let started = Instant::now();
        assert_runs(&tool.run(&[]), "widget 1.0.0 \n");
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());

        let mut slow = slow;
        slow["policy"] = "require".into();
        let tool = Tool::copied(&executable_such(&repository, "1.0.0", slow));
        let started = Instant::now();
        assert_refuses(&tool.run(&[]), 4);
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    }
}

// ------------------------------------------------------------------------------------------------------------------------- Require

#[test]
fn require_runs_when_current_and_inside_the_interval_without_network() {
    let mut repository = repository();
    let require = json!({"policy": "require"});
    let tool = tool(&repository, require.clone());
    assert_runs(&tool.run(&["x"]), "widget 1.0.0 x\n");
    go_offline(&repository);
    assert_runs(&tool.run(&["x"]), "widget 1.0.0 x\n");
    come_back(&repository);
    tool.edit_state(|state| state["checked"] = 1.into());
    release(&mut repository, "1.1.0", require);
    assert_runs(&tool.run(&["x"]), "widget 1.1.0 x\n");
}

#[test]
fn require_does_not_start_offline_and_nothing_skips_it() {
    let repository = repository();
    let tool = tool(&repository, json!({"policy": "require"}));
    go_offline(&repository);
    let before = tool.snapshot();
    assert_refuses(&tool.run(&[]), 4);
    assert_refuses(&tool.run(&["x", "--no-update"]), 4);
    assert_refuses(&tool.run(&["--no-update"]), 4);
    assert_refuses(&run(tool.command().env("RELATCH_NO_UPDATE", "1")), 4);
    assert_refuses(&run(tool.command().env("CI", "true")), 4);
    assert_refuses(&run(tool.command().env("RELATCH_RESTARTED", "1")), 4);
    assert_eq!(tool.snapshot().0["widget"], before.0["widget"]);
    come_back(&repository);
}

#[test]
fn a_mark_set_by_hand_is_no_way_around_require() {
    let mut repository = repository();
    let require = json!({"policy": "require", "interval": 0});
    let marked = |tool: &Tool| {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", r#"RELATCH_RESTARTED=$$ exec "$0" x"#]).arg(&tool.path).env_remove("CI");
        run(&mut shell)
    };
    let never_checked = tool(&repository, require.clone());
    let output = marked(&never_checked);
    assert_eq!(stdout(&output), "", "{}", stderr(&output));
    assert_ne!(output.status.code(), Some(0));

    // What is known is that another release is current.
    let tool = tool(&repository, require);
    assert_runs(&tool.run(&["x"]), "widget 1.0.0 x\n");
    release(&mut repository, "1.1.0", json!({"broken": "crash"}));
    assert_refuses(&tool.run(&["x"]), 5);
    assert_refuses(&marked(&tool), 3);
}

#[test]
fn under_require_what_is_at_the_path_runs_and_not_the_previous_executable() {
    let mut repository = repository();
    let tool = tool(&repository, json!({"policy": "require"}));
    release(&mut repository, "1.1.0", json!({"policy": "require"}));
    assert_runs(&tool.run(&["x"]), "widget 1.1.0 x\n");
    let previous = tool.site_dir().join("previous");
    let output = run(std::process::Command::new(&previous).arg("x").env_remove("CI"));
    assert_runs(&output, "widget 1.1.0 x\n");
}

#[test]
fn under_require_an_old_executable_put_back_by_hand_does_not_run() {
    let mut repository = repository();
    let tool = tool(&repository, json!({"policy": "require"}));
    let old = std::fs::read(&tool.path).unwrap();
    release(&mut repository, "1.1.0", json!({"policy": "require"}));
    assert_runs(&tool.run(&["x"]), "widget 1.1.0 x\n");
    let put_back = || {
        std::fs::remove_file(&tool.path).unwrap();
        std::fs::write(&tool.path, &old).unwrap();
        std::fs::set_permissions(&tool.path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    put_back();
    go_offline(&repository);
    // Inside the interval: what the last check found was about another version.
    assert_refuses(&tool.run(&["x"]), 4);
    come_back(&repository);
    assert_runs(&tool.run(&["x"]), "widget 1.1.0 x\n");
}

#[test]
fn under_require_the_previous_executable_is_no_way_around_a_check_that_is_due() {
    let mut repository = repository();
    let fields = json!({"policy": "require", "interval": 0});
    let tool = tool(&repository, fields.clone());
    release(&mut repository, "1.1.0", fields);
    assert_runs(&tool.run(&["x"]), "widget 1.1.0 x\n");
    go_offline(&repository);
    assert_refuses(&tool.run(&["x"]), 4);
    let mut previous = std::process::Command::new(tool.site_dir().join("previous"));
    assert_refuses(&run(previous.arg("x").env_remove("CI")), 4);
    come_back(&repository);
}

#[test]
fn who_may_not_write_there_is_left_in_peace() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can make a directory of root's");
        return;
    }
    let mut repository = repository();
    let tool = tool(&repository, json!({}));
    std::fs::set_permissions(tool.dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    release(&mut repository, "1.1.0", json!({}));
    let before = tool.snapshot();
    let output = run(tool.command().arg("x").uid(65534).gid(65534));
    assert_runs(&output, "widget 1.0.0 x\n");
    assert_eq!(stderr(&output), "");
    assert_eq!(tool.snapshot(), before);
}

#[test]
fn an_update_that_did_not_end_is_told_again_and_not_taken_for_a_check() {
    let mut repository = repository();
    let tool = tool(&repository, json!({"interval": 3600}));
    release(&mut repository, "1.1.0", json!({}));
    let blobs = repository.dir.path().join("blobs");
    for blob in std::fs::read_dir(&blobs).unwrap() {
        std::fs::write(blob.unwrap().path(), "tampered").unwrap();
    }
    let first = tool.run(&["x"]);
    assert_runs(&first, "widget 1.0.0 x\n");
    assert!(stderr(&first).contains("not updated: blobs/"), "{}", stderr(&first));
    let status = stdout(&tool.run(&["--update-status"]));
    assert!(status.contains("failed "), "{status}");
}

#[test]
fn require_does_not_start_what_cannot_be_verified() {
    let mut repository = Repository::new();
    let mut draft = repository.draft("1.0.0", &executable(&repository, "1.0.0"));
    draft.timestamp_keys = vec![Key::new(9)];
    repository.publish(&draft);
    let tool = Tool::copied(&executable_such(&repository, "1.0.0", json!({"policy": "require"})));
    assert_refuses(&tool.run(&[]), 3);
    let auto = Tool::copied(&executable(&repository, "1.0.0"));
    let output = auto.run(&[]);
    assert_runs(&output, "widget 1.0.0 \n");
    assert!(stderr(&output).contains("not updated"), "{}", stderr(&output));
}

#[test]
fn require_does_not_run_on_expired_knowledge() {
    // The repository itself is expired.
    let mut repository = Repository::new();
    let mut draft = repository.draft("1.0.0", &executable(&repository, "1.0.0"));
    draft.version["issued"] = (now() - 1000).into();
    draft.version["expires"] = (now() - 10).into();
    repository.publish(&draft);
    let require = json!({"policy": "require"});
    assert_refuses(&tool(&repository, require.clone()).run(&[]), 3);
    assert_runs(&tool(&repository, json!({})).run(&[]), "widget 1.0.0 \n");

    // What was found by the last check has expired meanwhile, inside the interval, and there is no network.
    let repository = repository_of(json!({}));
    let tool = tool(&repository, require);
    assert_runs(&tool.run(&[]), "widget 1.0.0 \n");
    go_offline(&repository);
    assert_runs(&tool.run(&[]), "widget 1.0.0 \n");
    tool.edit_state(|state| state["expires"] = (now() - 10).into());
    assert_refuses(&tool.run(&[]), 4);
    come_back(&repository);
    assert_runs(&tool.run(&[]), "widget 1.0.0 \n");
}

#[test]
fn require_lets_a_held_back_version_run_unless_critical_or_below_the_lowest() {
    for (field, value) in [("critical", json!(true)), ("min_version", json!("1.1.0"))] {
        let mut repository = repository();
        let require = json!({"policy": "require", "interval": 0});
        let tool = tool(&repository, require.clone());
        release(&mut repository, "1.1.0", require.clone());
        assert_runs(&tool.run(&[]), "widget 1.1.0 \n");
        assert_eq!(tool.run(&["--rollback"]).status.code(), Some(0));
        assert_runs(&tool.run(&[]), "widget 1.0.0 \n");

        let bytes = executable_such(&repository, "1.1.0", require);
        let mut draft = repository.draft("1.1.0", &bytes);
        draft.manifest[field] = value;
        repository.publish(&draft);
        let before = tool.digest();
        assert_refuses(&tool.run(&[]), 3);
        assert_eq!(tool.digest(), before, "{field}");
    }
}

#[test]
fn require_after_a_rollback_from_a_critical_release_refuses_inside_the_interval_too() {
    let mut repository = repository();
    let require = json!({"policy": "require"});
    let tool = tool(&repository, require.clone());
    let bytes = executable_such(&repository, "1.1.0", require);
    let mut draft = repository.draft("1.1.0", &bytes);
    draft.manifest["critical"] = true.into();
    repository.publish(&draft);
    assert_runs(&tool.run(&[]), "widget 1.1.0 \n");
    assert_eq!(tool.run(&["--rollback"]).status.code(), Some(0));
    assert_refuses(&tool.run(&[]), 3);
    // Forward again, it runs.
    assert_eq!(tool.run(&["--rollback"]).status.code(), Some(0));
    assert_runs(&tool.run(&[]), "widget 1.1.0 \n");
}

// ---------------------------------------------------------------------------------------------------------------- what does not run

/// No swap, the tool goes on, the error says so.
fn a_broken_release(how: &str) {
    let mut repository = repository();
    let tool = tool(&repository, json!({}));
    release(&mut repository, "1.1.0", json!({"broken": how}));
    let before = tool.digest();
    let output = tool.run(&[]);
    assert_runs(&output, "widget 1.0.0 \n");
    assert!(stderr(&output).contains("1.1.0 does not run on this machine"), "{}", stderr(&output));
    assert_eq!(tool.digest(), before);
    assert_eq!(tool.strays(), [""; 0]);
    assert_eq!(tool.version(), "1.0.0");
}

#[test]
fn a_release_that_crashes_is_not_swapped_in() {
    a_broken_release("crash");
}

#[test]
fn a_release_that_says_another_version_is_not_swapped_in() {
    a_broken_release("wrong");
}

#[test]
fn a_release_that_never_answers_is_not_swapped_in() {
    a_broken_release("silent"); // waits for the probe's limit, 10 s
}

#[test]
fn a_release_that_is_no_executable_is_not_swapped_in() {
    let mut repository = repository();
    let tool = tool(&repository, json!({}));
    repository.release("1.1.0", b"<html>not an executable</html>");
    let before = tool.digest();
    let output = tool.run(&[]);
    assert_runs(&output, "widget 1.0.0 \n");
    assert!(stderr(&output).contains("1.1.0 does not run on this machine"), "{}", stderr(&output));
    assert_eq!(tool.digest(), before);
}

// ------------------------------------------------------------------------------------------------------------------- unsafe places

/// The tool runs, does not update, says why, and leaves the place as it is.
#[track_caller]
fn assert_unsafe(tool: &Tool, why: &str) {
    let before = tool.snapshot();
    let output = tool.run(&[]);
    assert_runs(&output, "widget 1.0.0 \n");
    assert!(stderr(&output).contains(why), "{}", stderr(&output));
    assert_eq!(tool.snapshot(), before);
    let output = tool.run(&["--update"]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert_eq!(tool.snapshot(), before);
}

fn outdated() -> (Repository, Tool) {
    let mut repository = repository();
    let tool = tool(&repository, json!({}));
    release(&mut repository, "1.1.0", json!({}));
    (repository, tool)
}

#[test]
fn a_directory_that_everybody_may_write_to_is_unsafe() {
    let (_repository, tool) = outdated();
    for mode in [0o777, 0o1777] {
        std::fs::set_permissions(tool.dir.path(), PermissionsExt::from_mode(mode)).unwrap();
        assert_unsafe(&tool, "everybody may write there");
    }
    std::fs::set_permissions(tool.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    assert_runs(&tool.run(&[]), "widget 1.1.0 \n");
}

#[test]
fn a_directory_of_another_user_is_unsafe() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give a directory to another user");
        return;
    }
    let (_repository, tool) = outdated();
    std::os::unix::fs::chown(tool.dir.path(), Some(65534), Some(65534)).unwrap();
    assert_unsafe(&tool, "belongs to user 65534");
    std::os::unix::fs::chown(tool.dir.path(), Some(0), Some(0)).unwrap();
    assert_runs(&tool.run(&[]), "widget 1.1.0 \n");
}

#[test]
fn raised_privileges_are_unsafe() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give a file to another group");
        return;
    }
    let (_repository, tool) = outdated();
    std::os::unix::fs::chown(&tool.path, None, Some(65534)).unwrap();
    std::fs::set_permissions(&tool.path, PermissionsExt::from_mode(0o2755)).unwrap();
    if !stderr(&tool.run(&["--update"])).contains("not a safe place") && is_nosuid(&tool) {
        println!("skipped: the temporary directory's file system ignores set-group-id");
        return;
    }
    assert_unsafe(&tool, "it runs as user");
}

fn is_nosuid(tool: &Tool) -> bool {
    let flags = rustix::fs::statvfs(&tool.path).unwrap().f_flag;
    flags.contains(rustix::fs::StatVfsMountFlags::NOSUID)
}
