//! Promise: what others do to the executable while an update or an install runs is noticed. Nothing
//! of theirs is replaced, and nothing is recorded as something else.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![cfg(unix)]

mod support;

use std::path::Path;

use relatch::install::Probe;
use relatch::trust::Version;
use relatch::{Error, Finding, Install, Local, Outcome, Reporter};
use support::{Repository, Tool};

/// Does something when the download begins.
struct During<F>(Option<F>);

impl<F: FnOnce()> Reporter for During<F> {
    fn warn(&mut self, _: &str) {}

    fn downloading(&mut self, _: &Version, _: u64, _: u64) {
        if let Some(act) = self.0.take() {
            act();
        }
    }
}

fn during(act: impl FnOnce() + 'static) -> impl Reporter + 'static {
    During(Some(act))
}

/// 1.0.0 is installed, and 1.1.0 is released.
fn outdated() -> (Repository, Tool) {
    let mut repository = Repository::new();
    repository.release("1.0.0", b"one");
    let tool = Tool::installed_plain(&repository);
    repository.release("1.1.0", b"two");
    (repository, tool)
}

/// As a package manager does.
fn put(content: &str, path: &Path) {
    let new = path.with_file_name("dpkg-new");
    std::fs::write(&new, content).unwrap();
    std::fs::rename(&new, path).unwrap();
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_file_that_appears_during_the_download_stays() {
    let (_repository, tool) = outdated();
    let journal = tool.record("journal");
    let path = tool.path.clone();
    let updated = tool.updater().reporter(during(move || put("packaged", &path))).update(false);
    assert!(matches!(updated, Err(Error::Local(Local::ChangedMeanwhile { .. }))), "{updated:?}");
    assert_eq!((read(&tool.path).as_str(), tool.record("journal")), ("packaged", journal));
    assert_eq!(tool.strays(), [""; 0]);
}

/// The rollback of an executable that cannot record anything itself, on a full disk: the names are
/// the record.
#[test]
fn a_rollback_that_is_not_recorded_is_recorded_by_the_next_update() {
    let (_repository, tool) = outdated();
    assert!(matches!(tool.updater().update(false), Ok(Outcome::Updated { .. })));
    let between = tool.path.with_file_name("between");
    std::fs::rename(&tool.path, &between).unwrap();
    std::fs::rename(tool.previous(), &tool.path).unwrap();
    std::fs::rename(&between, tool.previous()).unwrap();
    let problem = tool.status().problem.unwrap();
    assert!(problem.contains("is the previous version 1.0.0"), "{problem}");
    let updated = tool.updater().update(false);
    assert!(matches!(updated, Ok(Outcome::Nothing(Finding::Held { .. }))), "{updated:?}");
    assert_eq!((read(&tool.path).as_str(), read(&tool.previous()).as_str()), ("one", "two"));
    let status = tool.status();
    assert_eq!(status.held.iter().map(|held| held.version.to_string()).collect::<Vec<_>>(), ["1.1.0"]);
    assert_eq!((status.problem, status.next_back, status.returned), (None, None, true));
    assert_eq!(status.kept.iter().map(|kept| kept.version.to_string()).collect::<Vec<_>>(), ["1.1.0"]);
}

/// A person did not go back from a bad version by that, as far as anybody knows, and the copy that
/// was kept is still there.
#[test]
fn a_copy_that_a_person_put_back_is_no_rollback() {
    let (_repository, tool) = outdated();
    assert!(matches!(tool.updater().update(false), Ok(Outcome::Updated { .. })));
    std::fs::remove_file(&tool.path).unwrap();
    std::fs::copy(tool.previous(), &tool.path).unwrap();
    let updated = tool.updater().update(false);
    assert!(matches!(updated, Err(Error::Local(Local::NotInstalled { .. }))), "{updated:?}");
    assert_eq!(tool.status().held, []);
    assert_eq!((read(&tool.path).as_str(), read(&tool.previous()).as_str()), ("one", "one"));
}

/// As by an installer that failed, and another one after it.
#[test]
fn an_install_whose_directory_was_made_again_by_another_ends() {
    let (repository, _) = outdated();
    let tool = Tool::absent();
    let site = tool.site_dir();
    let install = Install {
        from: repository.location(),
        ca_file: None,
        root: repository.dir.path().join("root/1.json"),
        product: support::PRODUCT.parse().unwrap(),
        channel: repository.channel.parse().unwrap(),
        target: "test".parse().unwrap(),
        path: tool.path.clone(),
        probe: Some(Probe::None),
        force: false,
    };
    let installed = install.run(during(move || {
        std::fs::remove_dir_all(&site).unwrap();
        std::fs::create_dir(&site).unwrap();
    }));
    assert!(matches!(installed, Err(Error::Local(_))), "{installed:?}");
    assert!(!tool.path.exists());
}
