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
    // Where the system writes core files, one may have crashed before it was told not to leave any.
    let strays: Vec<_> = tool.strays().into_iter().filter(|name| !name.starts_with("core")).collect();
    assert_eq!(strays, [""; 0]);
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
