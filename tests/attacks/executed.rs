//! Seen from below: of all that a start executes, nothing is the attacker's. The mark of the other rows would not tell of bytes that were
//! altered before they were run.

use std::process::Command;

use crate::stage::Stage;
use crate::support::strace;
use crate::support::tool::{run, stderr};
use crate::{blobs, documents, freshness};

/// What a start calls `execve` with, by strace.
fn executed(stage: &Stage) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut start: Command = strace::traced(&stage.tool.path, &["execve", "execveat"], &[], &log);
    let output = run(start.arg("x"));
    assert!(output.status.success(), "{}", stderr(&output));
    let log = std::fs::read_to_string(log).unwrap();
    log.lines().filter(|line| line.contains("exec")).map(Into::into).collect()
}

#[test]
fn a_start_executes_nothing_but_the_tool() {
    if !strace::is_available() {
        return;
    }
    let mut stage = Stage::new();
    let rows = [
        blobs::altered(),
        blobs::undecodable(),
        freshness::mixes(),
        freshness::passed_over(),
        documents::sizes(),
    ];
    for attack in rows.into_iter().flatten() {
        println!("{}", attack.line());
        let knobs = stage.repository.knobs();
        (attack.act)(&mut stage);
        stage.server.forget();
        let executed = executed(&stage);
        assert!(!stage.server.requests().is_empty(), "{}: nothing was asked for", attack.name);
        let is_the_tool = |line: &String| line.contains(&format!("execve(\"{}\"", stage.tool.path.display()));
        assert!(executed.len() == 1 && executed.iter().all(is_the_tool), "{}: {executed:?}", attack.name);
        stage.ends(Some(knobs));
    }
    // It would have been seen: the probe of what is signed.
    stage.publish(|_, _| {});
    let executed = executed(&stage);
    assert!(executed.len() == 2 && executed[1].contains("/new-"), "{executed:?}");
}
