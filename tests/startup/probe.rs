//! A release that cannot run here is not swapped in.

use super::*;

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

/// Where the system writes the memory of what crashes to the directory that it ran in, which is the tool's: it would stay there.
#[test]
#[cfg(target_os = "linux")]
fn a_release_that_crashes_leaves_no_core_file() {
    use std::path::Path;
    use std::process::Command;
    let start = |executable: &Path, dir: &Path| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "ulimit -c unlimited && exec \"$0\""]).arg(executable).current_dir(dir);
        run(shell.env_remove("CI").env_remove("RELATCH_NO_UPDATE"))
    };
    let mut repository = repository();
    let crashes = Tool::copied(&executable_such(&repository, "1.1.0", json!({"broken": "crash"})));
    start(&crashes.path, crashes.dir.path());
    if std::fs::read_dir(crashes.dir.path()).unwrap().count() == 1 {
        println!("skipped: the system writes no core files to where a program ran");
        return;
    }
    release(&mut repository, "1.1.0", json!({"broken": "crash"}));
    let tool = tool(&repository, json!({}));
    let output = start(&tool.path, tool.dir.path());
    assert_runs(&output, "widget 1.0.0 \n");
    assert!(stderr(&output).contains("1.1.0 does not run on this machine"), "{}", stderr(&output));
    assert_eq!(tool.strays(), [""; 0]);
}
