//! The system calls of an update and of a rollback, in their order: strace is compared with
//! `src/install/system_calls.md`, line by line.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;

use super::support::strace::is_available;
use super::support::tool::{run, stderr};
use super::support::{PRODUCT, executable_such};
use super::{CALLS, NO_EXCHANGE, Scene};

/// The calls that are written there, without comments.
fn written(heading: &str) -> Vec<String> {
    let source = std::fs::read_to_string("../src/install/system_calls.md").unwrap();
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let from = lines.iter().position(|line| *line == format!("## {heading}")).unwrap();
    let block = lines[from..].split(|line| line.starts_with("```")).nth(1).unwrap();
    block.iter().filter(|line| !line.starts_with('#')).map(ToString::to_string).collect()
}

/// One call of strace as it is written there; `None` if it is about other files.
fn reduced(call: &str, scene: &Scene) -> Option<String> {
    let dir = scene.tool.dir.path().canonicalize().unwrap();
    let private = scene.tool.site_dir();
    let any = |name: &str| match name.split_once('-') {
        Some((prefix @ ("new" | "write" | "kept"), _)) => format!("{prefix}-*"),
        _ => name.replace(PRODUCT, "<exe>"),
    };
    let descriptor = |path: &Path| match path {
        path if path == dir => Some("parent".to_owned()),
        path if path == private => Some("private".to_owned()),
        path if path == scene.tool.path => Some("exe".to_owned()),
        path => Some(path.strip_prefix(&private).ok()?.to_str()?.split('-').next()?.to_owned()),
    };
    let argument = |text: &str| match (text.split_once('<'), text.strip_prefix('"')) {
        _ if text.starts_with("AT_FDCWD<") => Some("AT_FDCWD".to_owned()),
        (_, Some(path)) if path.starts_with('/') => {
            (Path::new(path.strip_suffix('"')?) == dir).then(|| "\"<dir>\"".to_owned())
        }
        (_, Some(name)) => Some(format!("\"{}\"", any(name.strip_suffix('"')?))),
        (Some((_, path)), None) => descriptor(Path::new(path.strip_suffix('>')?)),
        (None, None) => {
            let is_shown = |flag: &&str| !["O_CLOEXEC", "O_LARGEFILE", "O_NOCTTY"].contains(flag);
            Some(text.split('|').filter(is_shown).collect::<Vec<_>>().join("|"))
        }
    };
    let (name, rest) = call.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let arguments: Vec<_> = arguments.trim_end().strip_suffix(')')?.split(", ").collect();
    // The system copies in pieces, by several calls.
    if ["write", "copy_file_range", "sendfile"].contains(&name) {
        let file = argument(arguments[0]).filter(|file| file != "leaving")?;
        return (name == "write" && arguments[0].contains('<')).then(|| format!("write({file}, ...)"));
    }
    let shown: Vec<_> = arguments.into_iter().map(argument).collect::<Option<_>>()?;
    let result = match result.split_once(" (") {
        Some((failed, _)) => format!(" = {failed}"),
        None if name == "openat" => format!(" = {}", argument(result)?),
        None => String::new(),
    };
    Some(format!("{name}({}){result}", shown.join(", ")))
}

/// Runs a command under strace.
fn run_traced(scene: &Scene, argument: &str, injections: &[String]) -> Output {
    let names = CALLS.map(|call| format!("?{call}"));
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-f", "-y", "-e"]).arg(format!("trace={}", names.join(",")));
    for injection in injections {
        strace.arg("-e").arg(format!("inject={injection}"));
    }
    strace.arg("-o").arg(scene.log()).arg(&scene.tool.path).arg(argument);
    run(strace.env_remove("CI").env_remove("RELATCH_NO_UPDATE"))
}

/// The calls of the main thread of one command; writes to one file once.
fn calls(scene: &Scene, argument: &str, injections: &[String]) -> Vec<String> {
    let output = run_traced(scene, argument, injections);
    assert!(output.status.success(), "{}", stderr(&output));
    let log = std::fs::read(scene.log()).unwrap();
    let log = String::from_utf8_lossy(&log);
    let main = log.split_whitespace().next().unwrap().to_owned();
    let mut calls: Vec<String> = Vec::new();
    for line in log.lines().filter_map(|line| line.strip_prefix(&main)).map(str::trim_start) {
        // A call is printed in two parts if another thread's call came in between.
        match line.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            Some((_, end)) => calls.last_mut().unwrap().push_str(end),
            None => calls.push(line.trim_end_matches("<unfinished ...>").to_owned()),
        }
    }
    let mut calls: Vec<_> = calls.iter().filter_map(|call| reduced(call, scene)).collect();
    calls.dedup_by(|a, b| a == b && a.starts_with("write("));
    calls
}

#[track_caller]
fn assert_calls(what: &str, found: &[String], written: &[String]) {
    for (number, line) in written.iter().enumerate() {
        let call = found.get(number).map_or("nothing", String::as_str);
        assert_eq!(call, line, "line {} of {what}; the calls: {found:#?}", number + 1);
    }
    assert_eq!(&found[written.len()..], [""; 0], "after the last line of {what}");
}

/// A power cut at any point finds the record on the disk before the recorded step is begun, and
/// each name before the next one depends on it. The kills above do not show this: after a kill, the
/// system still writes what it was given. So the calls are compared with the text that is written
/// above the code.
#[test]
fn each_step_of_a_swap_is_on_the_disk_before_the_next() {
    if !is_available() {
        return;
    }
    let (update, rollback) = (written("An update"), written("A rollback"));
    let scene = Scene::outdated();
    assert_calls("an update", &calls(&scene, "--update", &[]), &update);
    assert_calls("a rollback", &calls(&scene, "--rollback", &[]), &rollback);

    let at = update.iter().position(|call| call.contains("RENAME_EXCHANGE")).unwrap();
    let copied = [&update[..at], &written("Without an exchange of names")].concat();
    let scene = Scene::outdated();
    let found = calls(&scene, "--update", &[NO_EXCHANGE.into()]);
    assert_calls("an update without an exchange of names", &found, &copied);

    let mut scene = Scene::updated();
    let bytes = executable_such(&scene.repository, "1.2.0", json!({"interval": 0}));
    scene.repository.release("1.2.0", &bytes);
    let found = calls(&scene, "--update", &[]);
    let at = found.iter().position(|call| call.contains("RENAME_EXCHANGE")).unwrap();
    let kept = written("With an earlier version that stays kept");
    assert_calls("an update that keeps two", &found[at..at + kept.len()], &kept);
}

/// A process that was killed between the exchange and the fsync left names that a power cut may still
/// take back: the next session flushes both directories before the next rename depends on them.
#[test]
fn a_recovery_flushes_the_names_that_it_found() {
    if !is_available() {
        return;
    }
    let update = written("An update");
    let is_rename = |call: &&String| call.starts_with("renameat(");
    let exchange = update.iter().position(|call| call.contains("RENAME_EXCHANGE")).unwrap();
    let renames = update[..exchange].iter().filter(is_rename).count();
    let scene = Scene::outdated();
    let killed = run_traced(&scene, "--update", &[format!("renameat:signal=KILL:when={}", renames + 1)]);
    assert!(!killed.status.success());
    let found = calls(&scene, "--rollback", &[]);
    let previous = found.iter().position(|call| call.ends_with("private, \"previous\")")).unwrap();
    for flushed in ["fsync(parent)", "fsync(private)"] {
        assert!(found[..previous].iter().any(|call| call == flushed), "{flushed}: {found:#?}");
    }
}
