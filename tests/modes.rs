//! Promise: `.<exe>.relatch/` is the business of the owner of the executable and of root. Its modes
//! are the same under every umask, so that all users may start the tool; and nobody else takes it
//! over or locks them out.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use support::tool::{executable_such, may_be_another, run, stderr, stdout};
use support::{Repository, Tool, now};

const NOBODY: u32 = 65534;
/// The owner of an executable, a member of the group of its directory, and the group.
const ALICE: u32 = 40_001;
const BOB: u32 = 40_002;
const TEAM: u32 = 40_100;

struct Scene {
    repository: Repository,
    tool: Tool,
    fields: Value,
}

/// Of whose end it is not time to warn.
fn publish(repository: &mut Repository, version: &str, executable: &[u8]) {
    let mut draft = repository.draft(version, executable);
    draft.version["expires"] = (now() + 30 * 24 * 60 * 60).into();
    repository.publish(&draft);
}

/// 1.0.0 is installed and current.
fn scene(fields: Value) -> Scene {
    let mut repository = Repository::new();
    let bytes = executable_such(&repository, "1.0.0", fields.clone());
    publish(&mut repository, "1.0.0", &bytes);
    let tool = Tool::copied(&bytes);
    for dir in [tool.dir.path(), repository.dir.path()] {
        set_mode(dir, 0o755);
    }
    set_mode(tool.state_home.path(), 0o1777);
    Scene { repository, tool, fields }
}

impl Scene {
    fn release(&mut self, version: &str) {
        let bytes = executable_such(&self.repository, version, self.fields.clone());
        publish(&mut self.repository, version, &bytes);
    }

    fn start(&self, who: (u32, u32), arguments: &[&str]) -> Output {
        let mut command = self.tool.command();
        command.env("XDG_STATE_HOME", self.tool.state_home.path().join(who.0.to_string()));
        let home = self.tool.state_home.path().join(who.0.to_string());
        if !home.exists() {
            fs::create_dir(&home).unwrap();
            chown(&home, Some(who.0), Some(who.1)).unwrap();
        }
        if who.0 != rustix::process::geteuid().as_raw() {
            command.uid(who.0).gid(who.1);
        }
        run(command.args(arguments))
    }

    #[track_caller]
    fn runs_silently(&self, who: (u32, u32), version: &str) {
        for _ in 0..2 {
            let output = self.start(who, &["x"]);
            assert_eq!(stdout(&output), format!("widget {version} x\n"), "{}", stderr(&output));
            assert_eq!(stderr(&output), "");
        }
    }

    #[track_caller]
    fn is_told(&self, who: (u32, u32), arguments: &[&str], expected: &[&str]) {
        let output = self.start(who, arguments);
        assert_eq!(output.status.code(), Some(5), "{arguments:?}: {output:?}");
        for part in expected {
            assert!(stderr(&output).contains(part), "{arguments:?}: {part}: {}", stderr(&output));
        }
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

/// Modes and owners of everything in the directory, but of the executables.
fn modes(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = names.filter(|name| name != "previous");
    let mut modes: Vec<_> = names.map(|name| format!("{name} {:o}", mode(&dir.join(&name)))).collect();
    modes.sort();
    modes
}

fn with_umask(umask: &str, tool: &Tool, arguments: &[&str]) -> Output {
    loop {
        let mut command = Command::new("sh");
        command.args(["-c", "umask $0; exec \"$@\"", umask]).arg(&tool.path).args(arguments);
        command.env_remove("CI").env_remove("RELATCH_NO_UPDATE");
        let output = run(command.env("XDG_STATE_HOME", tool.state_home.path()));
        // Another test was starting a process while this one wrote the file.
        if !stderr(&output).ends_with(": Text file busy\n") {
            return output;
        }
    }
}

#[test]
fn modes_are_the_same_under_every_umask() {
    for umask in ["000", "022", "077", "277", "777"] {
        let mut scene = scene(json!({"interval": 0}));
        let output = with_umask(umask, &scene.tool, &["x"]);
        assert_eq!(stderr(&output), "", "{umask}");
        scene.release("1.1.0");
        let output = with_umask(umask, &scene.tool, &["--update"]);
        assert!(output.status.success(), "{umask}: {}", stderr(&output));
        let dir = scene.tool.site_dir();
        assert_eq!(format!("{:o}", mode(&dir)), "755", "{umask}");
        let expected =
            ["cache 644", "events 644", "floors 644", "journal 644", "lock 600", "staging 600", "trial 644"];
        assert_eq!(modes(&dir), expected, "{umask}");
        assert_eq!(format!("{:o}", mode(&scene.tool.path)), "755", "{umask}");
        assert!(with_umask(umask, &scene.tool, &["--rollback"]).status.success(), "{umask}");
    }
}

/// As an earlier version of relatch left it: made by root, and for root alone.
#[test]
fn a_directory_that_is_closed_to_others_does_not_stop_them_and_is_opened_by_its_owner() {
    if !may_be_another() {
        return;
    }
    for policy in ["auto", "require"] {
        let scene = scene(json!({"policy": policy}));
        let other = (NOBODY, NOBODY);
        assert_eq!(stderr(&scene.start((0, 0), &["x"])), "");
        set_mode(&scene.tool.site_dir(), 0o700);
        scene.runs_silently(other, "1.0.0");
        assert_eq!(mode(&scene.tool.site_dir()), 0o700);
        for flag in ["--update", "--rollback"] {
            scene.is_told(
                other,
                &[flag],
                &["it belongs to user 0 (root), and only its owner or root", "sudo -u root"],
            );
        }
        assert_eq!(scene.start(other, &["--update-status"]).status.code(), Some(0));
        scene.tool.edit("cache", |cache| cache["checked"] = 1.into());
        assert_eq!(stderr(&scene.start((0, 0), &["x"])), "");
        assert_eq!(mode(&scene.tool.site_dir()), 0o755, "{policy}");
        scene.runs_silently(other, "1.0.0");
    }
}

/// A directory of a team: its members may write there.
fn team(fields: Value) -> Scene {
    let scene = scene(fields);
    chown(scene.tool.dir.path(), Some(0), Some(TEAM)).unwrap();
    chown(&scene.tool.path, Some(ALICE), Some(TEAM)).unwrap();
    set_mode(scene.tool.dir.path(), 0o2775);
    scene
}

#[test]
fn a_member_of_the_group_neither_takes_the_directory_over_nor_locks_its_owner_out() {
    if !may_be_another() {
        return;
    }
    for policy in ["auto", "require"] {
        let mut scene = team(json!({"policy": policy, "interval": 0}));
        let before = scene.tool.snapshot();
        scene.runs_silently((BOB, TEAM), "1.0.0");
        let expected = ["widget cannot be updated: it belongs to user 40001", "sudo -u '#40001' ..."];
        scene.is_told((BOB, TEAM), &["--update"], &expected);
        assert_eq!(scene.tool.snapshot(), before, "{policy}: a start of a member leaves nothing");
        scene.runs_silently((ALICE, TEAM), "1.0.0");
        scene.release("1.1.0");
        let output = scene.start((ALICE, TEAM), &["--update"]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(fs::metadata(scene.tool.site_dir()).unwrap().uid(), ALICE);
        assert_eq!(format!("{:o}", mode(&scene.tool.site_dir())), "755");
        let before = scene.tool.snapshot();
        scene.runs_silently((BOB, TEAM), "1.1.0");
        for flag in ["--update", "--rollback"] {
            scene.is_told((BOB, TEAM), &[flag], &expected);
        }
        assert_eq!(scene.tool.snapshot(), before);
        assert!(scene.start((ALICE, TEAM), &["--rollback"]).status.success());
    }
}

/// What a member made is not believed, by its maker neither.
#[test]
fn a_directory_of_a_third_user_is_refused_with_the_command_that_repairs_it() {
    if !may_be_another() {
        return;
    }
    let scene = team(json!({}));
    fs::create_dir(scene.tool.site_dir()).unwrap();
    chown(scene.tool.site_dir(), Some(BOB), Some(TEAM)).unwrap();
    let repair = format!("sudo chown -R 40001 {}", scene.tool.site_dir().display());
    for who in [ALICE, BOB] {
        let expected =
            ["it is owned by user 40002, and not by the owner of the executable (user 40001)", &repair];
        scene.is_told((who, TEAM), &["--update"], &expected);
    }
    chown(scene.tool.site_dir(), Some(ALICE), Some(TEAM)).unwrap();
    assert!(scene.start((ALICE, TEAM), &["--update"]).status.success());
    // Of root, as after `sudo tool --update` with an earlier version: the owner cannot use it, and
    // is told so once a day.
    chown(scene.tool.site_dir(), Some(0), Some(0)).unwrap();
    scene.is_told(
        (ALICE, TEAM),
        &["--update"],
        &["it belongs to user 0 (root), and you are user 40001", &repair],
    );
    scene.tool.edit("cache", |cache| cache["checked"] = 1.into());
    assert!(stderr(&scene.start((ALICE, TEAM), &["x"])).contains(&repair));
    scene.runs_silently((ALICE, TEAM), "1.0.0");
}

/// Another user can update it, and this one cannot. That is no reason not to run the current
/// version.
#[test]
fn under_require_a_current_version_runs_where_this_user_cannot_change_it() {
    if !may_be_another() {
        return;
    }
    let (alice, root) = ((ALICE, TEAM), (0, 0));
    type Case = ((u32, u32), u32, u32, Option<u32>, u32, &'static str);
    // Who starts it; who owns the directory, the executable and the records; the mode; the
    // obstacle.
    let cases: [Case; 6] = [
        // After `sudo install` or `docker cp`.
        (alice, ALICE, 0, None, 0o755, "it belongs to user 0 (root), and only its owner or root"),
        // After `sudo tool --update` with an earlier version.
        (alice, ALICE, ALICE, Some(0), 0o755, "it belongs to user 0 (root), and you are user 40001"),
        (alice, BOB, BOB, None, 0o755, "you may not write, and its owner must update it"),
        (alice, BOB, ALICE, None, 0o775, "it is owned by user 40002, and not by you (user 40001)"),
        (root, 0, 0, None, 0o2775, "may write there (mode 2775), and you are root"),
        (root, ALICE, ALICE, None, 0o755, "it is owned by user 40001, and you are root"),
    ];
    for (who, of_dir, of_executable, of_records, bits, obstacle) in cases {
        let mut scene = scene(json!({"policy": "require", "interval": 0}));
        chown(scene.tool.dir.path(), Some(of_dir), Some(TEAM)).unwrap();
        chown(&scene.tool.path, Some(of_executable), Some(TEAM)).unwrap();
        set_mode(scene.tool.dir.path(), bits);
        if let Some(owner) = of_records {
            fs::create_dir(scene.tool.site_dir()).unwrap();
            chown(scene.tool.site_dir(), Some(owner), Some(owner)).unwrap();
        }
        let before = scene.tool.snapshot();
        scene.runs_silently(who, "1.0.0");
        scene.release("1.1.0");
        let output = scene.start(who, &["x"]);
        let told = stderr(&output);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(3), ""), "{obstacle}: {told}");
        assert!(told.contains("1.1.0 is the current release"), "{obstacle}: {told}");
        assert!(told.contains(obstacle), "{obstacle}: {told}");
        assert_eq!(scene.tool.snapshot(), before, "{obstacle}");
    }
}

/// A package's file is not given to another user by a command that was pasted.
#[test]
fn who_owns_neither_the_file_nor_its_directory_is_not_told_to_take_it() {
    if !may_be_another() {
        return;
    }
    let scene = scene(json!({}));
    let output = scene.start((ALICE, TEAM), &["--update"]);
    let told = stderr(&output);
    assert!(told.contains("`sudo -u root ...`") && !told.contains("chown"), "{told}");
    chown(scene.tool.dir.path(), Some(ALICE), Some(TEAM)).unwrap();
    scene.is_told((ALICE, TEAM), &["--update"], &["`sudo -u root ...`", "`sudo chown \"$USER\" "]);
}
