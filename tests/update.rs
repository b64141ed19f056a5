//! Promise: a newer signed release is installed and runs; going back takes no network and is remembered.

mod support;

use relatch::{Error, Machine, Outcome, Updater};
use support::tool::{stderr, stdout};
use support::{Repository, Tool, executable};

fn repository_with(version: &str) -> Repository {
    let mut repository = Repository::new();
    let bytes = executable(&repository, version);
    repository.release(version, &bytes);
    repository
}

#[test]
fn a_start_becomes_the_newest_release_and_rollback_undoes_it() {
    let mut repository = repository_with("1.0.0");
    let tool = Tool::copied(&executable(&repository, "1.0.0"));
    assert_eq!(stdout(&tool.run(&["a", "b c"])), "widget 1.0.0 a b c\n");

    let tool = Tool::copied(&executable(&repository, "1.0.0"));
    repository.release("1.1.0", &executable(&repository, "1.1.0"));
    let output = tool.run(&["a", "b c"]);
    assert_eq!(stdout(&output), "widget 1.1.0 a b c\n", "{}", stderr(&output));
    assert!(stderr(&output).contains("updated 1.0.0 to 1.1.0"), "{}", stderr(&output));

    std::fs::remove_dir_all(repository.dir.path()).unwrap(); // no network, no repository
    let output = tool.run(&["--rollback"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(tool.version(), "1.0.0");
    assert!(tool.run(&["--rollback"]).status.success());
    assert_eq!(tool.version(), "1.1.0");
}

#[test]
fn an_installed_executable_is_updated_once_and_then_current() {
    let mut repository = repository_with("1.0.0");
    let tool = Tool::installed(&repository);
    let before = tool.snapshot();
    assert!(matches!(tool.updater().update(false), Ok(Outcome::Nothing(relatch::policy::Reason::Current))));
    assert_eq!(tool.snapshot().0["widget"], before.0["widget"]);
    repository.release("1.1.0", &executable(&repository, "1.1.0"));
    assert!(matches!(tool.updater().update(false), Ok(Outcome::Updated { .. })));
    assert_eq!(tool.version(), "1.1.0");
    let site = tool.updater().site().clone();
    Updater::rollback(&site, None).unwrap();
    assert_eq!(tool.version(), "1.0.0");
    let held = tool.updater().update(true);
    assert!(matches!(held, Ok(Outcome::Nothing(relatch::policy::Reason::Held { .. }))), "{held:?}");
}

#[test]
fn nothing_to_go_back_to_is_said_and_leaves_nothing() {
    let repository = repository_with("1.0.0");
    let tool = Tool::copied(&executable(&repository, "1.0.0"));
    let before = tool.snapshot();
    let output = tool.run(&["--rollback"]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert_eq!(tool.snapshot(), before);
    let site = relatch::install::Site::at(&tool.path).unwrap();
    assert!(matches!(Updater::rollback(&site, None), Err(Error::Machine(Machine::NothingToRollBack { .. }))));
}
