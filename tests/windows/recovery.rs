//! A crash between any two renames of a swap: the disk is made as it was then, and the next command finishes or undoes the swap.

use std::fs;

use relatch::{Checked, Error, Local, Updater};
use serde_json::{Value, json};

use crate::place::{Place, fake};
use crate::repository::Repository;

const STAGED: &str = "new-0123456789abcdef";

/// What lies at a name: a version, or nothing.
type Disk = [(&'static str, Option<&'static str>); 4];

/// 2.0.0 is installed, 1.0.0 is previous.
fn scene() -> (Repository, Place) {
    let mut repository = Repository::new();
    repository.release("1.0.0", &fake("1.0.0"));
    let place = Place::installed_plain(&repository);
    repository.release("2.0.0", &fake("2.0.0"));
    place.update().unwrap();
    (repository, place)
}

fn path(place: &Place, name: &str) -> std::path::PathBuf {
    if name == "exe" { place.path.clone() } else { place.inside(name) }
}

fn arrange(place: &Place, disk: &Disk, pending: Value) {
    for (name, version) in disk {
        let path = path(place, name);
        match version {
            Some(version) => fs::write(path, fake(version)).unwrap(),
            None => drop(fs::remove_file(path)),
        }
    }
    place.begins(pending);
}

fn versions(place: &Place) -> (String, String, String, String) {
    let text = |name| fs::read_to_string(path(place, name)).unwrap().replace("this is ", "");
    let recorded = place.status().unwrap();
    let told = |version: Option<relatch::trust::Version>| version.unwrap().to_string();
    (text("exe"), text("previous.exe"), told(recorded.installed), told(recorded.previous))
}

#[test]
fn an_update_is_finished_or_undone_wherever_it_was_cut() {
    let (new, old) = (("3.0.0", "2.0.0"), ("2.0.0", "1.0.0"));
    let steps: [(&str, Disk, (&str, &str)); 7] = [
        (
            "nothing done",
            [
                ("exe", Some("2.0.0")),
                ("leaving.exe", None),
                (STAGED, Some("3.0.0")),
                ("previous.exe", Some("1.0.0")),
            ],
            old,
        ),
        (
            "a stale leaving",
            [
                ("exe", Some("2.0.0")),
                ("leaving.exe", Some("0.5.0")),
                (STAGED, Some("3.0.0")),
                ("previous.exe", Some("1.0.0")),
            ],
            old,
        ),
        (
            "away",
            [
                ("exe", None),
                ("leaving.exe", Some("2.0.0")),
                (STAGED, Some("3.0.0")),
                ("previous.exe", Some("1.0.0")),
            ],
            new,
        ),
        (
            "away, and the new one is damaged",
            [
                ("exe", None),
                ("leaving.exe", Some("2.0.0")),
                (STAGED, Some("3.0.x")),
                ("previous.exe", Some("1.0.0")),
            ],
            old,
        ),
        (
            "in place",
            [
                ("exe", Some("3.0.0")),
                ("leaving.exe", Some("2.0.0")),
                (STAGED, None),
                ("previous.exe", Some("1.0.0")),
            ],
            new,
        ),
        (
            "previous aside",
            [("exe", Some("3.0.0")), ("leaving.exe", Some("2.0.0")), (STAGED, None), ("previous.exe", None)],
            new,
        ),
        (
            "previous renamed",
            [("exe", Some("3.0.0")), ("leaving.exe", None), (STAGED, None), ("previous.exe", Some("2.0.0"))],
            new,
        ),
    ];
    for (name, disk, (installed, previous)) in steps {
        let (repository, place) = scene();
        let from = place.copy("2.0.0", &fake("2.0.0"));
        let pending = json!({"file": STAGED, "from": from, "to": place.copy("3.0.0", &fake("3.0.0")), "rollback": false});
        arrange(&place, &disk, pending);
        fs::write(place.inside("old-0123456789abcdef"), "what still ran").unwrap();
        let updated = place.update();
        assert!(updated.is_ok(), "{name}: {updated:?}");
        let [installed, previous] = [installed, previous].map(String::from);
        assert_eq!(versions(&place), (installed.clone(), previous.clone(), installed, previous), "{name}");
        assert_eq!(place.strays(), [""; 0], "{name}");
        assert_eq!(place.record("journal")["pending"], Value::Null, "{name}");
        drop(repository);
    }
}

#[test]
fn a_rollback_is_finished_or_undone_wherever_it_was_cut() {
    let (back, forth) = (("1.0.0", "2.0.0"), ("2.0.0", "1.0.0"));
    let steps: [(&str, Disk, (&str, &str)); 5] = [
        (
            "nothing done",
            [("exe", Some("2.0.0")), ("leaving.exe", None), (STAGED, None), ("previous.exe", Some("1.0.0"))],
            forth,
        ),
        (
            "away",
            [("exe", None), ("leaving.exe", Some("2.0.0")), (STAGED, None), ("previous.exe", Some("1.0.0"))],
            back,
        ),
        (
            "in place",
            [("exe", Some("1.0.0")), ("leaving.exe", Some("2.0.0")), (STAGED, None), ("previous.exe", None)],
            back,
        ),
        (
            "renamed",
            [("exe", Some("1.0.0")), ("leaving.exe", None), (STAGED, None), ("previous.exe", Some("2.0.0"))],
            back,
        ),
        (
            "away, and what comes back is damaged",
            [("exe", None), ("leaving.exe", Some("2.0.0")), (STAGED, None), ("previous.exe", Some("1.0.x"))],
            ("2.0.0", "1.0.x"),
        ),
    ];
    for (name, disk, (installed, previous)) in steps {
        let (_repository, place) = scene();
        let [from, to] = ["2.0.0", "1.0.0"].map(|version| place.copy(version, &fake(version)));
        arrange(&place, &disk, json!({"file": "previous", "from": from, "to": to, "rollback": true}));
        let checked = place.update(); // finds 2.0.0 held, or current
        assert!(checked.is_ok(), "{name}: {checked:?}");
        let (at_path, beside, recorded, _) = versions(&place);
        assert_eq!(
            (at_path.as_str(), beside.as_str(), recorded.as_str()),
            (installed, previous, installed),
            "{name}"
        );
        let held = place.status().unwrap().held.len();
        assert_eq!(held, usize::from(installed == "1.0.0"), "{name}");
        assert_eq!(place.strays(), [""; 0], "{name}");
    }
}

fn is_missing(error: &Error, cut: bool) -> bool {
    matches!(error, Error::Local(Local::NoExecutable { interrupted, .. }) if *interrupted == cut)
        && error.exit_code() == 5
}

#[test]
fn in_the_gap_nobody_says_that_the_version_is_there() {
    let pending = |place: &Place| {
        let [from, to] = ["2.0.0", "1.0.0"].map(|version| place.copy(version, &fake(version)));
        json!({"file": "previous", "from": from, "to": to, "rollback": true})
    };
    let gap: Disk =
        [("exe", None), ("leaving.exe", Some("2.0.0")), (STAGED, None), ("previous.exe", Some("1.0.0"))];
    let check = |place: &Place| Updater::of_installed(&place.path)?.check(false);
    // What only asks says so, and what to do.
    let (_repository, place) = scene();
    arrange(&place, &gap, pending(&place));
    let missing = |place: &Place| {
        let status = place.status().unwrap();
        let problem = status.problem.unwrap();
        assert!(problem.contains("there is no executable at C:"), "{problem}");
        (problem.contains("was interrupted"), status.oddities[0].repair.clone())
    };
    let (interrupted, repair) = missing(&place);
    assert!(interrupted && repair.contains("relatch doctor --repair"), "{repair}");
    assert!(is_missing(&check(&place).unwrap_err(), true));
    assert!(!place.path.exists());
    // What changes something closes it. The rollback that was cut is the one that is asked for.
    assert_eq!(place.rollback().unwrap().installed().to_string(), "1.0.0");
    assert!(matches!(check(&place), Ok(Checked::Nothing(_))));
    // Where nothing is left to put there, an installation does.
    let gone: Disk = [("exe", None), ("leaving.exe", None), (STAGED, None), ("previous.exe", None)];
    let (repository, place) = scene();
    arrange(&place, &gone, pending(&place));
    assert!(missing(&place).0);
    assert!(is_missing(&place.rollback().unwrap_err(), false));
    assert!(is_missing(&place.update().unwrap_err(), false));
    assert!(!missing(&place).0);
    place.install(&repository, Some(relatch::install::Probe::None), false).unwrap();
    assert!(place.content() == fake("2.0.0"));
}

/// A scanner that opens a file without letting others remove it makes renames fail for a moment.
#[test]
fn a_file_that_is_held_for_a_moment_is_waited_for() {
    use std::os::windows::fs::OpenOptionsExt;
    const SHARE_READ_AND_WRITE: u32 = 0x3;
    let (_repository, place) = scene();
    for name in ["journal", "floors", "cache", "previous.exe", "exe"] {
        let mut options = fs::OpenOptions::new();
        let held = options.read(true).share_mode(SHARE_READ_AND_WRITE).open(path(&place, name)).unwrap();
        let release = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(300));
            drop(held);
        });
        let done = place.rollback();
        assert!(done.is_ok(), "{name}: {done:?}");
        release.join().unwrap();
        assert_eq!(place.strays(), [""; 0], "{name}");
    }
}
