//! Install, update at a start, rollback, hold: with real processes.

use relatch::Outcome;
use serde_json::json;

use crate::place::{Place, clean, executable, stderr, stdout};
use crate::repository::Repository;

#[test]
fn install_update_rollback_and_hold() {
    let mut repository = Repository::new();
    repository.release("1.0.0", &executable(&repository, "1.0.0"));
    let place = Place::new();
    let (version, path) = place.install(&repository, None, false).unwrap();
    assert_eq!((version.to_string().as_str(), &path), ("1.0.0", &place.path));

    repository.release("2.0.0", &executable(&repository, "2.0.0"));
    let output = place.run(&["hello", "world"]);
    assert_eq!(stdout(&output), "widget 2.0.0 hello world\n", "{}", stderr(&output));
    assert!(stderr(&output).contains("updated 1.0.0 to 2.0.0"), "{}", stderr(&output));
    assert_eq!(place.status().unwrap().kept[0].version.to_string(), "1.0.0");

    let output = place.run(&["--rollback"]);
    assert!(stdout(&output).starts_with("widget: back to 1.0.0; 2.0.0 is on hold"), "{output:?}");
    assert_eq!(place.version(), "1.0.0");
    // The start after it does not install what was left.
    assert_eq!(stdout(&place.run(&["again"])), "widget 1.0.0 again\n");
    let status = stdout(&place.run(&["--update-status"]));
    assert!(status.contains("held       2.0.0") && !status.contains(r"\\?\"), "{status}");

    repository.release("3.0.0", &executable(&repository, "3.0.0"));
    let output = place.run(&["--update"]);
    assert!(stdout(&output).contains("updated 1.0.0 to 3.0.0"), "{output:?}");
    assert_eq!(place.version(), "3.0.0");
    assert!(place.strays().iter().all(|name| name.starts_with("old-")), "{:?}", place.strays());
    assert!(matches!(place.update(), Ok(Outcome::Nothing(_))));
    assert_eq!(place.strays(), [""; 0]);
}

/// README's rescue: a version that cannot start any more is left by the one before it, which a shell finds by its name.
#[test]
fn the_previous_executable_is_a_command() {
    let mut repository = Repository::new();
    repository.release("1.0.0", &executable(&repository, "1.0.0"));
    let place = Place::installed(&repository);
    repository.release("2.0.0", &executable(&repository, "2.0.0"));
    place.update().unwrap();
    let mut shell = clean(std::process::Command::new("cmd"));
    let output =
        shell.args(["/c", r".widget.exe.relatch\previous.exe --rollback"]).current_dir(place.dir.path());
    let output = output.output().unwrap();
    assert!(stdout(&output).starts_with("widget: back to 1.0.0"), "{output:?}");
    assert_eq!(place.version(), "1.0.0");
}

/// The same after a crash between the two renames of an update, by somebody who has nothing but the tool itself.
#[test]
fn the_previous_executable_closes_a_gap() {
    let mut repository = Repository::new();
    let bytes = ["1.0.0", "2.0.0", "3.0.0"].map(|version| executable(&repository, version));
    repository.release("1.0.0", &bytes[0]);
    let place = Place::installed(&repository);
    repository.release("2.0.0", &bytes[1]);
    place.update().unwrap();
    let staged = "new-0123456789abcdef";
    std::fs::write(place.inside(staged), &bytes[2]).unwrap();
    std::fs::rename(&place.path, place.inside("leaving.exe")).unwrap();
    let [from, to] =
        [("2.0.0", &bytes[1]), ("3.0.0", &bytes[2])].map(|(version, bytes)| place.copy(version, bytes));
    place.begins(json!({"file": staged, "from": from, "to": to, "rollback": false}));
    let mut previous = clean(std::process::Command::new(place.inside("previous.exe")));
    let output = previous.arg("--update-status").output().unwrap();
    assert!(output.status.code() == Some(5) && stdout(&output).is_empty(), "{output:?}");
    assert!(stderr(&output).contains("there is no executable at C:"), "{output:?}");
    let mut previous = clean(std::process::Command::new(place.inside("previous.exe")));
    let output = previous.arg("--rollback").output().unwrap();
    assert!(stdout(&output).starts_with("widget: back to 2.0.0; 3.0.0 is on hold"), "{output:?}");
    assert_eq!(place.version(), "2.0.0");
}
