//! A restart is the parent of a run, and sees how it ends (SPEC step 13).

use serde_json::json;

use crate::place::{Place, executable_such, is_wine, stderr, stdout};
use crate::repository::Repository;

/// 1.0.0 is installed and known to work, 2.0.0 is there: the next start restarts.
fn scene() -> (Repository, Place) {
    let mut repository = Repository::new();
    let version = |repository: &Repository, version: &str| executable_such(repository, version, json!({}));
    repository.release("1.0.0", &version(&repository, "1.0.0"));
    let place = Place::installed(&repository);
    assert!(place.run(&["confirm"]).status.success());
    repository.release("2.0.0", &version(&repository, "2.0.0"));
    (repository, place)
}

/// The first words of the lines, without the one that names the version.
fn words(place: &Place) -> Vec<String> {
    let text = std::fs::read_to_string(place.inside("trial")).unwrap();
    assert!(text.lines().next().unwrap().ends_with(" 2.0.0"), "{text}");
    text.lines().skip(1).map(|line| line.split(' ').next().unwrap().into()).collect()
}

#[test]
fn a_crash_of_the_version_that_a_restart_started_is_a_failure() {
    for how in [&["abort"][..], &["end", "stack"]] {
        // There, std's handler of a full stack ends a process with 1.
        if is_wine() && how != ["abort"] {
            continue;
        }
        let (_repository, place) = scene();
        let output = place.run(how);
        assert!(output.status.code().unwrap() as u32 >= 0xc000_0000, "{how:?}: {}", stderr(&output));
        assert_eq!(words(&place), ["start", "crash"], "{how:?}");
        // Nobody is the parent of these.
        place.run(how);
        assert_eq!(words(&place), ["start", "crash", "start"], "{how:?}");
        for _ in 0..2 {
            assert_eq!(place.run(&["panic"]).status.code(), Some(101), "{how:?}");
        }
        let output = place.run(&["x"]);
        assert_eq!(stdout(&output), "widget 1.0.0 x\n", "{how:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("2.0.0 failed in 3 of its first starts"), "{}", stderr(&output));
    }
}

/// Also not with the code of a crash, as of another program that it ran, and twice is once.
#[test]
fn whatever_else_ends_it_is_no_crash() {
    for code in [0_u32, 1, 3, 101, 0xc000_0005, 0xc000_00fd, 0xc000_013a, 0xc000_0409, 0xffff_ffff] {
        let (_repository, place) = scene();
        let output = place.run(&["exit", &code.to_string()]);
        assert_eq!(output.status.code().map(|code| code as u32), Some(code), "{}", stderr(&output));
        // wine does not run what std::process::exit is to run: then nothing tells it from a crash.
        if !is_wine() {
            assert_eq!(words(&place), ["start", "end"], "{code:x}");
        } else if ![0xc000_0005, 0xc000_00fd, 0xc000_0409].contains(&code) {
            assert_eq!(words(&place)[0], "start", "{code:x}");
            assert!(!words(&place).contains(&"crash".into()), "{code:x}");
        }
    }
    for (call, expected) in [
        (&["x"][..], &["start", "end"][..]),
        (&["caught"], &["start", "end"]),
        (&["thread"], &["start", "end"]),
        (&["panic"], &["start", "panic", "end"]),
    ] {
        let (_repository, place) = scene();
        place.run(call);
        assert_eq!(words(&place), expected, "{call:?}");
    }
}

/// A version that is known to work has no trial.
#[test]
fn a_crash_of_a_version_that_works_is_not_recorded() {
    let (mut repository, place) = scene();
    assert!(place.run(&["confirm"]).status.success());
    assert_eq!(place.version(), "2.0.0");
    drop(place.rollback().unwrap());
    repository.release("3.0.0", &executable_such(&repository, "3.0.0", json!({})));
    // It says so after the restart. From then on nothing is recorded.
    assert!(place.run(&["confirm"]).status.success());
    assert_eq!(place.version(), "3.0.0");
    place.run(&["abort"]);
    let text = std::fs::read_to_string(place.inside("trial")).unwrap_or_default();
    assert!(!text.contains("crash") && text.matches("start").count() < 2, "{text}");
}
