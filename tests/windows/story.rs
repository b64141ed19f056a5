//! Install, update at a start, rollback, hold: with real processes.

use relatch::Outcome;

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
    assert_eq!(place.status().unwrap().previous.unwrap().to_string(), "1.0.0");

    let output = place.run(&["--rollback"]);
    assert!(stdout(&output).starts_with("widget: back to 1.0.0; 2.0.0 is held"), "{output:?}");
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
