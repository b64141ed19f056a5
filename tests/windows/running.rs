//! What still runs can be renamed, and neither replaced nor removed.

use std::process::{Child, Stdio};

use relatch::Outcome;
use relatch::install::Probe;

use crate::place::{Place, executable, fake};
use crate::repository::Repository;

/// Runs what is at the path until the test ends it.
struct Running {
    child: Child,
    end: std::path::PathBuf,
}

impl Running {
    fn start(place: &Place, name: &str) -> Self {
        use std::io::Read;
        let end = place.dir.path().join(name);
        let mut command = place.command();
        let command = command.env("RELATCH_NO_UPDATE", "1").arg("wait").arg(&end).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 7]).unwrap();
        Running { child, end }
    }

    fn end(mut self) {
        std::fs::write(&self.end, "").unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn versions_that_still_run_are_in_nobodys_way() {
    let mut repository = Repository::new();
    let versions: Vec<String> = (1..=5).map(|number| format!("{number}.0.0")).collect();
    let bytes: Vec<_> = versions.iter().map(|version| executable(&repository, version)).collect();
    repository.release(&versions[0], &bytes[0]);
    let place = Place::installed(&repository);
    let mut running = vec![Running::start(&place, "end-1")];
    for (number, version) in versions.iter().enumerate().skip(1) {
        repository.release(version, &bytes[number]);
        let updated = place.update();
        assert!(
            matches!(&updated, Ok(Outcome::Updated { to, .. }) if to.to_string() == *version),
            "{updated:?}"
        );
        assert!(place.content() == bytes[number]);
        assert!(std::fs::read(place.inside("previous.exe")).unwrap() == bytes[number - 1]);
        assert_eq!(place.status().unwrap().kept[0].version.to_string(), versions[number - 1]);
        running.push(Running::start(&place, &format!("end-{}", number + 1)));
    }
    // One for each old version that runs: neither the installed one nor the previous one is among them.
    assert_eq!(place.strays().len(), 3, "{:?}", place.strays());
    assert!(place.strays().iter().all(|name| name.starts_with("old-") && name.len() == 20));
    // Back and forth, while all of them run.
    for expected in ["4.0.0", "5.0.0", "4.0.0"] {
        assert_eq!(place.rollback().unwrap().installed().to_string(), expected);
        assert_eq!(place.version(), expected);
    }
    running.into_iter().for_each(Running::end);
    assert!(matches!(place.update(), Ok(Outcome::Nothing(_))));
    assert_eq!(place.strays(), [""; 0]);
}

#[test]
fn an_unknown_executable_is_replaced_while_it_runs() {
    let mut repository = Repository::new();
    repository.release("1.0.0", &fake("1.0.0"));
    let place = Place::new();
    std::fs::write(&place.path, executable(&repository, "0.1.0")).unwrap();
    let running = Running::start(&place, "end");
    place.install(&repository, Some(Probe::None), true).unwrap();
    assert!(place.content() == fake("1.0.0"));
    assert_eq!(place.strays().len(), 1);
    running.end();
    place.update().unwrap();
    assert_eq!(place.strays(), [""; 0]);
}

/// A crash may leave a running executable under the name that the next swap needs.
#[test]
fn a_running_executable_under_a_name_that_a_swap_needs() {
    let mut repository = Repository::new();
    repository.release("1.0.0", &executable(&repository, "1.0.0"));
    let place = Place::installed(&repository);
    let other = Place::new();
    std::fs::copy(&place.path, &other.path).unwrap();
    let leaving = Place { path: place.inside("leaving.exe"), dir: other.dir };
    std::fs::copy(&place.path, &leaving.path).unwrap();
    let running = Running::start(&leaving, "end");
    repository.release("2.0.0", &executable(&repository, "2.0.0"));
    place.update().unwrap();
    assert_eq!((place.version().as_str(), place.strays().len()), ("2.0.0", 1));
    running.end();
    place.rollback().unwrap();
    assert_eq!((place.version().as_str(), place.strays()), ("1.0.0", vec![]));
}
