//! Where a tool runs and does not update.

use std::os::unix::fs::PermissionsExt;

use super::support::tool::may_be_another;
use super::*;

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
        assert_unsafe(&tool, "every user may write there");
    }
    std::fs::set_permissions(tool.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    assert_runs(&tool.run(&[]), "widget 1.1.0 \n");
}

#[test]
fn a_directory_of_another_user_is_unsafe() {
    if !may_be_another() {
        return;
    }
    let (_repository, tool) = outdated();
    std::os::unix::fs::chown(tool.dir.path(), Some(65534), Some(65534)).unwrap();
    assert_unsafe(&tool, "owned by user 65534");
    std::os::unix::fs::chown(tool.dir.path(), Some(0), Some(0)).unwrap();
    assert_runs(&tool.run(&[]), "widget 1.1.0 \n");
}

/// Root installed the tool. Its directory may be searched by another user, and not listed.
#[test]
fn a_directory_that_cannot_be_read_is_no_reason_to_complain() {
    if !may_be_another() {
        return;
    }
    use std::os::unix::process::CommandExt;
    let (_repository, tool) = outdated();
    assert_runs(&tool.run(&[]), "widget 1.1.0 \n");
    for dir in [tool.dir.path(), &tool.site_dir()] {
        std::fs::set_permissions(dir, PermissionsExt::from_mode(0o711)).unwrap();
    }
    for arguments in [&[][..], &["--update-status"]] {
        let output = support::tool::run(tool.command().uid(65534).gid(65534).args(arguments));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(stderr(&output), "", "{arguments:?}");
    }
}
