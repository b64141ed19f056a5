//! Promise: root updates nothing that another user could exchange on the way: neither in a
//! directory that others may write to, nor below one. A user who may not do so for root may still
//! do so for themselves.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use serde_json::json;
use support::Repository;
use support::tool::{Tool, executable_such, may_be_another, run, stderr, stdout};

const NOBODY: u32 = 65534;

/// An outdated tool in `<temporary>/above/dir/widget`.
struct Scene {
    _repository: Repository,
    tool: Tool,
    above: PathBuf,
}

fn scene(policy: &str) -> Scene {
    let fields = json!({"policy": policy});
    let mut repository = Repository::new();
    let mut tool = Tool::absent();
    let above = tool.path.parent().unwrap().join("above");
    tool.path = above.join("dir/widget");
    fs::create_dir_all(tool.path.parent().unwrap()).unwrap();
    fs::write(&tool.path, executable_such(&repository, "1.0.0", fields.clone())).unwrap();
    let bytes = executable_such(&repository, "1.1.0", fields);
    repository.release("1.1.0", &bytes);
    for path in [tool.dir.path(), repository.dir.path(), &above, &above.join("dir"), &tool.path] {
        set_mode(path, 0o755);
    }
    Scene { _repository: repository, tool, above }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

impl Scene {
    fn dir(&self) -> PathBuf {
        self.above.join("dir")
    }

    #[track_caller]
    fn is_refused(&self, place: &Path, expected: &[&str]) {
        let before = self.tool.digest();
        let told = |text: &str| {
            let fact = format!("{} is not a safe place to update: ", place.display());
            for part in expected.iter().copied().chain([fact.as_str()]) {
                assert!(text.contains(part), "{part}: {text}");
            }
            // A pasted command must not lock a user out of a home, or break a directory that is
            // shared.
            assert!(!text.contains("chown"), "{text}");
            let own = self.dir();
            assert!(place == own || !text.contains("chmod"), "{text}");
        };
        let output = self.tool.run(&["--update"]);
        assert_eq!(output.status.code(), Some(5), "{output:?}");
        told(&stderr(&output));
        // Once a day.
        for first in [true, false] {
            let output = self.tool.run(&["x"]);
            assert_eq!(stdout(&output), "widget 1.0.0 x\n", "{output:?}");
            if first { told(&stderr(&output)) } else { assert_eq!(stderr(&output), "") }
        }
        fs::remove_dir_all(self.tool.own_dir()).unwrap();
        assert_eq!(self.tool.digest(), before);
        assert!(!self.tool.site_dir().exists());
    }
}

fn is_root() -> bool {
    let is = rustix::process::geteuid().is_root() && may_be_another();
    if !is {
        println!("skipped: not root, or root of nobody");
    }
    is
}

#[test]
fn root_updates_nothing_that_others_could_exchange() {
    if !is_root() {
        return;
    }
    let scene = scene("auto");
    let (dir, above) = (scene.dir(), scene.above.clone());
    for place in [&dir, &above] {
        // A directory above is not the tool's to change.
        let command = |flag: &str| match place == &dir {
            true => format!("`chmod {flag} {}`", place.display()),
            false => "nstall the tool in a directory that only root can write to".into(),
        };
        for bits in [0o775, 0o2775] {
            set_mode(place, bits);
            let mode = format!("its group 0 may write there (mode {bits:o}), and you are root");
            scene.is_refused(place, &[&mode, &command("g-w")]);
        }
        set_mode(place, 0o757);
        scene.is_refused(place, &["every user may write there (mode 757)", &command("o-w")]);
        set_mode(place, 0o755);
        chown(place, Some(NOBODY), None).unwrap();
        let owner = format!("it is owned by user {NOBODY}");
        // The owner of a directory above may not be the one who updates the tool.
        let as_owner = if place == &dir { "`sudo -u " } else { "another program. Install the tool" };
        scene.is_refused(
            place,
            &[&owner, "and you are root", as_owner, "nstall the tool in a directory that only root"],
        );
        chown(place, Some(0), None).unwrap();
    }
    // As /tmp is: others may make names there, and not exchange this one.
    set_mode(&above, 0o1777);
    set_mode(&dir, 0o1775);
    scene.is_refused(&dir, &["its group 0 may write there (mode 1775)"]);
    set_mode(&dir, 0o755);
    assert_eq!(stdout(&scene.tool.run(&["x"])), "widget 1.1.0 x\n");
    // The records, too.
    let private = scene.tool.site_dir();
    for (mode, owner, expected) in
        [(0o775, 0, "its group 0 may write"), (0o755, NOBODY, "it is owned by user 65534")]
    {
        set_mode(&private, mode);
        chown(&private, Some(owner), None).unwrap();
        let output = scene.tool.run(&["--rollback"]);
        assert_eq!(output.status.code(), Some(5), "{output:?}");
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
    set_mode(&private, 0o755);
    chown(&private, Some(0), None).unwrap();
    assert!(scene.tool.run(&["--rollback"]).status.success());
}

#[test]
fn under_require_it_does_not_run_for_root_there_and_does_for_others() {
    if !is_root() {
        return;
    }
    let scene = scene("require");
    chown(scene.dir(), Some(NOBODY), Some(NOBODY)).unwrap();
    chown(&scene.tool.path, Some(NOBODY), Some(NOBODY)).unwrap();
    chown(scene.tool.state_home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    set_mode(&scene.dir(), 0o775);
    let output = scene.tool.run(&["x"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(3), ""), "{output:?}");
    assert!(stderr(&output).contains("1.1.0 is the current release"), "{}", stderr(&output));
    assert!(stderr(&output).contains("it is owned by user 65534"), "{}", stderr(&output));
    let output = run(scene.tool.command().uid(NOBODY).gid(NOBODY).arg("x"));
    assert_eq!(stdout(&output), "widget 1.1.0 x\n", "{}", stderr(&output));
}

/// After `sudo` that kept HOME: nothing of root's is made in a directory that another user could
/// lead elsewhere.
#[test]
fn root_keeps_no_records_in_the_home_of_another_user() {
    if !is_root() {
        return;
    }
    let scene = scene("auto");
    set_mode(&scene.dir(), 0o775);
    chown(scene.tool.state_home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let output = scene.tool.run(&["x"]);
    // What cannot be recorded would be told at each start, and is told by `--update` alone.
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("widget 1.0.0 x\n", ""));
    let told = stderr(&scene.tool.run(&["--update"]));
    assert!(told.contains("is not a safe place to update"), "{told}");
    assert_eq!(fs::read_dir(scene.tool.state_home.path()).unwrap().count(), 0);
}

/// As /usr/local/bin of Debian, with /etc/staff-group-for-usr-local. All places are named at once.
#[test]
fn every_place_that_root_cannot_trust_is_named_at_once() {
    if !is_root() {
        return;
    }
    let scene = scene("auto");
    let (dir, above) = (scene.dir(), scene.above.clone());
    for place in [&dir, &above] {
        chown(place, None, Some(50)).unwrap();
        set_mode(place, 0o2775);
    }
    let output = scene.tool.run(&["--update"]);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let told = stderr(&output);
    let group = "its group 50 may write there (mode 2775), and you are root";
    let expected = [
        format!("{} is not a safe place to update: {group}", dir.display()),
        format!("; neither is {}: {group}", above.display()),
        "Install the tool in a directory that only root can write to".into(),
    ];
    assert!(expected.iter().all(|part| told.contains(part)), "{told}");
    assert!(!told.contains("chmod"), "{told}");
}

/// Under /tmp, and in a home: what is pasted does not change these.
#[test]
fn a_sticky_directory_keeps_its_mode() {
    if !is_root() {
        return;
    }
    let scene = scene("auto");
    set_mode(&scene.dir(), 0o1777);
    let told = stderr(&scene.tool.run(&["--update"]));
    assert!(told.contains("every user may write there (mode 1777)"), "{told}");
    assert!(told.contains("Install the tool in a directory") && !told.contains("chmod"), "{told}");
}
