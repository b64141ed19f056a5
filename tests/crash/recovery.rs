//! A recovery may fail, too: what an interrupted swap left must survive that, for the next one.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use relatch::trust::Digest;
use serde_json::json;

use super::support::executable_such;
use super::support::strace::is_available;
use super::support::tool::{make_executable, stderr, stdout};
use super::{NO_EXCHANGE, Scene};

fn digest(path: &Path) -> Digest {
    Digest::of(&std::fs::read(path).unwrap())
}

/// The state in which a command, killed at the first such fsync that finds the names exchanged,
/// leaves the tool, becomes that of the scene.
fn interrupt(scene: &Scene, argument: &str, always: &[String], after: Digest) {
    for number in 1.. {
        let place = scene.place();
        let mut injections = always.to_vec();
        injections.push(format!("fsync:signal=KILL:when={number}"));
        let output = scene.disturbed(&place, argument, &injections, &["fsync", "renameat2"]);
        assert!(!output.status.success(), "it was not interrupted: {}", stdout(&output));
        if digest(&place.path) == after {
            let dir = scene.tool.dir.path();
            for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_dir() { std::fs::remove_dir_all(entry) } else { std::fs::remove_file(entry) }
                    .unwrap();
            }
            let copied = Command::new("cp").arg("-a").arg(place.dir.join(".")).arg(dir).status();
            assert!(copied.unwrap().success());
            return;
        }
    }
}

/// Whatever call of the recovery fails, the old executable is there for the rollback that comes
/// then.
fn fail_recoveries(always: &[String]) {
    if !is_available() {
        return;
    }
    let scene = Scene::outdated();
    interrupt(&scene, "--update", always, scene.new);
    for command in ["x", "--update", "--rollback"] {
        for (name, number) in scene.points(command, always, 8) {
            let place = scene.place();
            let when =
                format!("after an interrupted update, {command} with EIO at {name} {number} {always:?}");
            let mut injections = always.to_vec();
            injections.push(format!("{name}:error=EIO:when={number}"));
            drop(scene.disturbed(&place, command, &injections, &[&name, "renameat2"]));
            if scene.assert_runs(&place, &when) == "1.1.0" {
                place.succeeds("--rollback", &when);
            }
            assert_eq!(scene.assert_runs(&place, &when), "1.0.0", "{when}");
            place.succeeds("--update", &when);
            place.assert_no_strays(&when);
            assert_eq!(scene.assert_runs(&place, &when), "1.0.0", "{when}: 1.1.0 is held");
        }
    }
}

#[test]
fn a_recovery_that_fails_loses_no_executable() {
    fail_recoveries(&[]);
}

#[test]
fn a_recovery_that_fails_loses_no_executable_without_exchange() {
    fail_recoveries(&[NO_EXCHANGE.into()]);
}

/// The journal does not know what is left. It is held all the same, and does not come back.
#[test]
fn a_killed_rollback_from_an_executable_of_a_person_is_completed() {
    for always in [vec![], vec![NO_EXCHANGE.to_owned()]] {
        if !is_available() {
            return;
        }
        let mut scene = Scene::updated();
        let by_hand = executable_such(&scene.repository, "1.2.0", json!({"interval": 0}));
        std::fs::remove_file(&scene.tool.path).unwrap();
        std::fs::write(&scene.tool.path, &by_hand).unwrap();
        make_executable(&scene.tool.path);
        scene.repository.release("1.2.0", &by_hand);
        assert_eq!(stdout(&scene.tool.run(&["x"])), "widget 1.2.0 x\n");
        interrupt(&scene, "--rollback", &always, scene.old);
        for (next, says) in [("--rollback", "back to 1.0.0; 1.2.0 is on hold"), ("x", "widget 1.0.0 x")] {
            let place = scene.place();
            let output = place.run(next);
            assert!(
                stdout(&output).contains(says),
                "{always:?} {next}: {} {}",
                stdout(&output),
                stderr(&output)
            );
            place.succeeds("x", next);
            assert_eq!(digest(&place.path), scene.old, "{always:?} {next}: 1.2.0 is held");
            let journal = place.record("journal", next);
            assert_eq!(journal["held"], json!([{"version": "1.2.0"}]), "{always:?} {next}");
        }
    }
}

/// Between the copy of the attributes and the exchange there is a set-id executable that nobody
/// updates.
#[test]
fn a_killed_rollback_leaves_no_previous_executable_with_set_id_bits() {
    if !is_available() {
        return;
    }
    let scene = Scene::updated();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    std::fs::set_permissions(&scene.tool.path, PermissionsExt::from_mode(0o4755)).unwrap();
    let place = scene.place();
    let kill = "renameat2:signal=KILL:when=1".to_owned();
    let output = scene.disturbed(&place, "--rollback", &[kill], &["renameat2"]);
    assert!(!output.status.success(), "{}", stdout(&output));
    let previous = place.dir.join(".widget.relatch/previous");
    assert_eq!(mode(&previous), 0o4755, "it was killed in between");
    place.succeeds("--update", "after the kill");
    assert_eq!((mode(&previous), mode(&place.path)), (0o755, 0o4755));
}
