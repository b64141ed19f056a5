//! A start of a tool that must be current.

use super::support::tool::make_executable;
use super::*;

#[test]
fn require_runs_when_current_and_inside_the_interval_without_network() {
    let mut repository = repository();
    let require = json!({"policy": "require"});
    let tool = tool(&repository, require.clone());
    assert_runs(&tool.run(&["x"]), "widget 1.0.0 x\n");
    go_offline(&repository);
    assert_runs(&tool.run(&["x"]), "widget 1.0.0 x\n");
    come_back(&repository);
    tool.edit("cache", |cache| cache["checked"] = 1.into());
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
    assert_eq!(tool.snapshot().executable(), before.executable());
    come_back(&repository);
}

#[test]
fn a_mark_set_by_hand_is_no_way_around_require() {
    let mut repository = repository();
    let require = json!({"policy": "require", "interval": 0});
    // The process id of what starts; on Windows the path of what is started.
    let marked = |tool: &Tool| {
        if !cfg!(unix) {
            return run(tool.command().arg("x").env("RELATCH_RESTARTED", &tool.path));
        }
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", r#"RELATCH_RESTARTED=$$ exec "$0" x"#]).arg(&tool.path).env_remove("CI");
        run(&mut shell)
    };
    let never_checked = tool(&repository, require.clone());
    assert_refuses(&marked(&never_checked), 3);

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
    let previous = tool.previous();
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
        make_executable(&tool.path);
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
    let mut previous = std::process::Command::new(tool.previous());
    assert_refuses(&run(previous.arg("x").env_remove("CI")), 4);
    come_back(&repository);
}

#[test]
#[cfg(unix)]
fn who_may_not_write_there_is_left_in_peace() {
    use super::support::tool::may_be_another;
    use std::os::unix::process::CommandExt;
    if !may_be_another() {
        return;
    }
    let mut repository = repository();
    let tool = tool(&repository, json!({}));
    std::fs::set_permissions(tool.dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
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
    tool.edit("floors", |floors| {
        floors["domains"][0]["epochs"][0]["channels"][0]["expires"] = (now() - 10).into();
    });
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
    assert_eq!(tool.run(&["--update=1.1.0"]).status.code(), Some(0));
    assert_runs(&tool.run(&[]), "widget 1.1.0 \n");
}

/// A download of another process may take an hour. It is no reason not to run the current version.
#[test]
#[cfg(unix)]
fn under_require_a_download_of_another_process_does_not_stop_a_current_version() {
    let mut repository = Repository::new();
    let fields = json!({"policy": "require", "interval": 0});
    let bytes = executable_such(&repository, "1.0.0", fields.clone());
    let mut draft = repository.draft("1.0.0", &bytes);
    draft.version["expires"] = (now() + 30 * 24 * 60 * 60).into();
    repository.publish(&draft);
    let tool = Tool::copied(&bytes);
    assert_runs(&tool.run(&["x"]), "widget 1.0.0 x\n");
    let staging = std::fs::File::options().write(true).open(tool.site_dir().join("staging")).unwrap();
    rustix::fs::flock(&staging, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let output = tool.run(&["x"]);
    assert_runs(&output, "widget 1.0.0 x\n");
    assert_eq!(stderr(&output), "");
    release(&mut repository, "1.1.0", fields);
    let output = tool.run(&["x"]);
    assert_refuses(&output, 3);
    let told = stderr(&output);
    assert!(told.contains("1.1.0 is the current release; another process is updating"), "{told}");
    drop(staging);
    assert_runs(&tool.run(&["x"]), "widget 1.1.0 x\n");
}
