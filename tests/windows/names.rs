//! Paths: never verbatim where somebody sees them, whatever they are made of.

use relatch::Outcome;
use relatch::install::Probe;

use crate::place::{Place, executable, fake, is_wine, stderr, stdout};
use crate::repository::Repository;

const VERBATIM: &str = r"\\?\";

fn story(place: &Place) {
    let mut repository = Repository::new();
    repository.release("1.0.0", &executable(&repository, "1.0.0"));
    let (_, path) = place.install(&repository, None, false).unwrap();
    assert_eq!(path, place.path);
    let settings = std::fs::read_to_string(place.inside("settings")).unwrap();
    let recorded: serde_json::Value = serde_json::from_str(settings.lines().next().unwrap()).unwrap();
    assert_eq!(recorded["from"], repository.location());
    assert_eq!(recorded["probe"], "library");
    repository.release("2.0.0", &executable(&repository, "2.0.0"));
    let mut command = std::process::Command::new(relatch::platform::program(&place.path));
    command.env_remove("CI").env_remove("RELATCH_NO_UPDATE").arg("show");
    let output = command.output().unwrap();
    assert!(stdout(&output).contains("widget 2.0.0 show"), "{output:?}");
    assert!(!stderr(&output).contains(VERBATIM), "{}", stderr(&output));
    if place.path.as_os_str().len() < 240 {
        assert!(stdout(&output).contains(&format!("argv0={}", place.path.display())), "{output:?}");
    }
    assert_eq!(place.rollback().unwrap().installed().to_string(), "1.0.0");
    repository.release("3.0.0", &executable(&repository, "3.0.0"));
    assert!(matches!(place.update(), Ok(Outcome::Updated { .. })));
    assert!(matches!(place.update(), Ok(Outcome::Nothing(_))));
    assert_eq!(place.strays(), [""; 0]);
    let unsafe_or_missing =
        relatch::install::Installation::at(&place.path.with_file_name("absent.exe")).unwrap_err();
    assert!(!unsafe_or_missing.to_string().contains(VERBATIM), "{unsafe_or_missing}");
}

#[test]
fn an_ordinary_path() {
    story(&Place::new());
}

#[test]
fn spaces_and_letters_of_other_alphabets() {
    story(&Place::named(r"Program Files (x86)\Ünïcödé 漢字 & co", "wíd get %1.exe"));
}

#[test]
fn a_long_path() {
    if is_wine() {
        println!("skipped: wine 8 cannot say what a long path leads to (GetFinalPathNameByHandleW)");
        return;
    }
    let long = ["a directory whose name is long"; 10].join(r"\");
    story(&Place::named(&long, "widget.exe"));
}

/// The executable's own path is short enough, and those of the files beside it are not.
#[test]
fn a_path_that_is_almost_long() {
    let root = tempfile::tempdir().unwrap().path().as_os_str().len();
    let left = 235_usize.saturating_sub(root + "widget.exe".len() + 2);
    let names: String = (1..=left).map(|at| if at % 50 == 0 && at < left { '\\' } else { 'd' }).collect();
    let place = Place::named(&names, "widget.exe");
    if !is_wine() {
        return story(&place);
    }
    println!("skipped in part: wine 8 starts no program by a long path");
    let mut repository = Repository::new();
    repository.release("1.0.0", &fake("1.0.0"));
    place.install(&repository, Some(Probe::None), false).unwrap();
    assert!(place.inside("new-0123456789abcdef").as_os_str().len() > 260);
    for version in ["2.0.0", "3.0.0"] {
        repository.release(version, &fake(version));
        assert!(matches!(place.update(), Ok(Outcome::Updated { .. })));
    }
    assert_eq!(place.rollback().unwrap().installed().to_string(), "2.0.0");
    assert_eq!((place.content(), place.strays()), (fake("2.0.0"), vec![]));
}
