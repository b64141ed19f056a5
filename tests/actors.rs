//! Promise: only the owner of the executable and root change an installation. Everyone else starts
//! the tool as it is, and neither takes anything over nor locks anybody out. Root changes nothing
//! where another user could replace the executable. What one user did is usable by all others.
//!
//! One table of places and actors. Each row begins in a fresh place, starts the tool, updates it
//! and rolls it back as this actor, and looks at it as the others. Needs root and setpriv.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use relatch::trust::Digest;
use serde_json::json;
use support::tool::{may_be_another, run, stderr, stdout};
use support::{PRODUCT, Repository, executable_such};
use tempfile::TempDir;

/// User, group and further groups.
#[derive(Clone, Copy, PartialEq, Debug)]
struct User(u32, u32, &'static [u32]);

const ROOT: User = User(0, 0, &[]);
const OWNER: User = User(1500, 1500, &[TEAM]);
const MEMBER: User = User(1501, 1501, &[TEAM]);
const NOBODY: User = User(65534, 65534, &[]);
/// As OpenShift starts containers: any user, and the group of root.
const CONTAINER: User = User(100_123, 0, &[]);
const TEAM: u32 = 2000;

/// How the actor is started.
#[derive(Clone, Copy, PartialEq, Debug)]
enum In {
    Plain,
    /// With this umask.
    Umask(&'static str),
    /// In a user namespace that maps no user: all files seem to be of the user 65534.
    Unmapped,
    /// In a user namespace as root, where all other users seem to be 65534.
    AsRoot,
    /// In a user namespace that has the actor as another user, of the group of root, and all others
    /// as 65534: a container with a random number.
    Renumbered,
}

/// A directory or file: owner, group and mode.
type Ownership = (u32, u32, u32);

struct Row {
    what: &'static str,
    /// The directories from the test's own downwards; the last one has the executable.
    dirs: &'static [Ownership],
    executable: Ownership,
    actor: User,
    started: In,
    /// Whether the actor may change the installation; `None`: as the system permits.
    may: Option<bool>,
}

const OF_ROOT: &[Ownership] = &[(0, 0, 0o755)];
const OF_OWNER: &[Ownership] = &[(1500, 1500, 0o755)];
const OF_TEAM: &[Ownership] = &[(0, TEAM, 0o2775)];
const PLAIN: Ownership = (0, 0, 0o755);

#[rustfmt::skip]
const TABLE: [Row; 27] = [
    row("root's", OF_ROOT, PLAIN, ROOT, In::Plain, Some(true)),
    row("root's, strict umask", OF_ROOT, PLAIN, ROOT, In::Umask("077"), Some(true)),
    row("root's, loose umask", OF_ROOT, PLAIN, ROOT, In::Umask("000"), Some(true)),
    row("root's", OF_ROOT, PLAIN, NOBODY, In::Plain, Some(false)),
    row("root's", OF_ROOT, PLAIN, OWNER, In::Plain, Some(false)),
    row("root's", OF_ROOT, PLAIN, CONTAINER, In::Plain, Some(false)),
    row("root's", OF_ROOT, PLAIN, OWNER, In::Unmapped, Some(false)),
    row("a user's", OF_OWNER, (1500, 1500, 0o755), OWNER, In::Plain, Some(true)),
    row("a user's, strict umask", OF_OWNER, (1500, 1500, 0o755), OWNER, In::Umask("077"), Some(true)),
    row("a user's", OF_OWNER, (1500, 1500, 0o755), NOBODY, In::Plain, Some(false)),
    row("a user's", OF_OWNER, (1500, 1500, 0o755), ROOT, In::Plain, Some(false)),
    row("a user's", OF_OWNER, (1500, 1500, 0o755), OWNER, In::Unmapped, None),
    row("a user's", OF_OWNER, (1500, 1500, 0o755), OWNER, In::AsRoot, Some(true)),
    row("a user's", OF_OWNER, (1500, 1500, 0o755), OWNER, In::Renumbered, Some(true)),
    row("a user's", OF_OWNER, (1500, 1500, 0o755), MEMBER, In::Renumbered, Some(false)),
    row("root's", OF_ROOT, PLAIN, OWNER, In::Renumbered, Some(false)),
    row("a team's directory", OF_TEAM, (0, TEAM, 0o755), MEMBER, In::Renumbered, Some(false)),
    row("a team's directory", OF_TEAM, (0, TEAM, 0o755), MEMBER, In::Plain, Some(false)),
    row("a team's directory", OF_TEAM, (0, TEAM, 0o755), NOBODY, In::Plain, Some(false)),
    row("a team's directory", OF_TEAM, (0, TEAM, 0o755), ROOT, In::Plain, Some(false)),
    row("a team's directory, a member's tool", OF_TEAM, (1500, TEAM, 0o755), OWNER, In::Plain, Some(true)),
    row("a team's directory, a member's tool", OF_TEAM, (1500, TEAM, 0o755), MEMBER, In::Plain, Some(false)),
    row("a container's, of the group of root", &[(0, 0, 0o775)], (0, 0, 0o775), CONTAINER, In::Plain, Some(false)),
    row("a container's own", &[(100_123, 0, 0o755)], (100_123, 0, 0o755), CONTAINER, In::Plain, Some(true)),
    row("below a user's directory", &[(1500, 1500, 0o755), PLAIN], PLAIN, ROOT, In::Plain, Some(false)),
    row("below a directory of a team", &[(0, TEAM, 0o2775), PLAIN], PLAIN, ROOT, In::Plain, Some(false)),
    row("below a sticky directory", &[(0, 0, 0o1777), PLAIN], PLAIN, ROOT, In::Plain, Some(true)),
];

const fn row(
    what: &'static str,
    dirs: &'static [Ownership],
    executable: Ownership,
    actor: User,
    started: In,
    may: Option<bool>,
) -> Row {
    Row { what, dirs, executable, actor, started, may }
}

/// The two versions, and where they are published.
struct Scene {
    repository: Repository,
    base: TempDir,
    old: Vec<u8>,
    new: Vec<u8>,
}

impl Scene {
    fn new() -> Self {
        let mut repository = Repository::new();
        let bytes = |version: &str| executable_such(&repository, version, json!({"interval": 0}));
        let (old, new) = (bytes("1.0.0"), bytes("1.1.0"));
        repository.release("1.1.0", &new);
        let base = tempfile::tempdir().unwrap();
        for dir in [base.path(), repository.dir.path()] {
            assert!(Command::new("chmod").args(["-R", "a+rX"]).arg(dir).status().unwrap().success());
        }
        Scene { repository, base, old, new }
    }

    /// A fresh place, with the old version and nothing beside it.
    fn outdated(&self, row: &Row) -> Place {
        let mut dir = self.base.path().join("place");
        drop(std::fs::remove_dir_all(&dir));
        for (depth, ownership) in row.dirs.iter().enumerate() {
            dir = if depth == 0 { dir } else { dir.join("below") };
            std::fs::create_dir(&dir).unwrap();
            give(&dir, *ownership);
        }
        let path = dir.join(PRODUCT);
        std::fs::write(&path, &self.old).unwrap();
        give(&path, row.executable);
        Place { private: dir.join(format!(".{PRODUCT}.relatch")), path }
    }

    /// The same after an update by the owner of the executable.
    fn updated(&self, row: &Row) -> Place {
        let place = self.outdated(row);
        let copy = self.base.path().join("updated");
        drop(std::fs::remove_dir_all(&copy));
        std::fs::create_dir(&copy).unwrap();
        std::fs::copy(&place.path, copy.join(PRODUCT)).unwrap();
        let output = run(Command::new(copy.join(PRODUCT)).arg("--update").env_remove("CI"));
        assert!(output.status.success(), "{}", stderr(&output));
        std::fs::remove_file(&place.path).unwrap();
        for name in [PRODUCT.to_owned(), format!(".{PRODUCT}.relatch")] {
            assert!(
                Command::new("cp")
                    .arg("-a")
                    .arg(copy.join(&name))
                    .arg(place.path.parent().unwrap())
                    .status()
                    .unwrap()
                    .success()
            );
        }
        let (user, group, _) = row.executable;
        assert!(
            Command::new("chown")
                .arg("-R")
                .arg(format!("{user}:{group}"))
                .args([&place.path, &place.private])
                .status()
                .unwrap()
                .success()
        );
        give(&place.path, row.executable);
        place
    }

    /// Calls a program as somebody.
    fn call(&self, user: User, started: In, path: &Path, argument: &str) -> Output {
        let User(id, group, groups) = user;
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={id}")).arg(format!("--regid={group}"));
        match groups {
            [] => command.arg("--clear-groups"),
            [first, ..] => command.arg(format!("--groups={first}")),
        };
        match started {
            In::Plain => {}
            In::Umask(mask) => drop(command.args(["sh", "-c", &format!("umask {mask}; exec \"$@\""), "sh"])),
            In::Unmapped => drop(command.args(["unshare", "-U"])),
            In::AsRoot => drop(command.args(["unshare", "-U", "-r"])),
            In::Renumbered => drop(command.args(["unshare", "-U", "--map-user=4321", "--map-group=0"])),
        }
        command.arg(path).arg(argument).env_remove("CI").env_remove("RELATCH_NO_UPDATE");
        // Each actor has a home that it may not write to.
        command.env("HOME", "/nonexistent").env_remove("XDG_STATE_HOME").current_dir("/");
        run(&mut command)
    }
}

fn give(path: &Path, (user, group, mode): Ownership) {
    chown(path, Some(user), Some(group)).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn ownership(path: &Path) -> Ownership {
    let meta = std::fs::symlink_metadata(path).unwrap();
    (meta.uid(), meta.gid(), meta.mode() & 0o7777)
}

struct Place {
    path: PathBuf,
    private: PathBuf,
}

impl Place {
    fn digest(&self) -> Digest {
        Digest::of(&std::fs::read(&self.path).unwrap())
    }
}

/// One row, and what is wrong with it.
struct Trial<'a> {
    row: &'a Row,
    scene: &'a Scene,
    faults: Vec<String>,
}

impl Trial<'_> {
    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(what());
        }
    }

    fn act(&self, place: &Place, argument: &str) -> Output {
        self.scene.call(self.row.actor, self.row.started, &place.path, argument)
    }

    fn run(&mut self) {
        let [old, new] = [&self.scene.old, &self.scene.new].map(|bytes| Digest::of(bytes));

        let place = self.scene.outdated(self.row);
        let output = self.act(&place, "x");
        let version = if self.row.may == Some(false) || place.digest() == old { "1.0.0" } else { "1.1.0" };
        let ran = output.status.success() && stdout(&output) == format!("widget {version} x\n");
        self.expect(ran, || {
            format!("a start: {}, {:?}, {}", output.status, stdout(&output), stderr(&output))
        });
        if self.row.may == Some(false) && self.row.actor != ROOT {
            // Root is told once a day why this place is not safe; whoever may not write is not
            // told.
            self.expect(output.stderr.is_empty(), || format!("a start says: {}", stderr(&output)));
        }
        self.look(&place, "a start", old, new);

        let place = self.scene.outdated(self.row);
        let output = self.act(&place, "--update");
        self.answered("--update", &output);
        self.look(&place, "--update", old, new);

        let place = self.scene.updated(self.row);
        let output = self.act(&place, "--rollback");
        self.answered("--rollback", &output);
        self.look(&place, "--rollback", new, old);
    }

    fn answered(&mut self, command: &str, output: &Output) {
        let expected: &[i32] = match self.row.may {
            Some(true) => &[0],
            Some(false) => &[5],
            None => &[0, 5],
        };
        let is_expected = output.status.code().is_some_and(|code| expected.contains(&code));
        self.expect(is_expected, || {
            format!("{command}: {} and not {expected:?}: {}", output.status, stderr(output).trim())
        });
    }

    /// What the place looks like, to everybody.
    fn look(&mut self, place: &Place, after: &str, before: Digest, changed: Digest) {
        let found = place.digest();
        let expected = self.row.may.map(|may| if may { changed } else { before });
        let is_expected = expected.map_or(found == before || found == changed, |expected| found == expected);
        self.expect(is_expected, || format!("after {after}: another version is at the path than expected"));
        let executable = ownership(&place.path);
        self.expect(executable == self.row.executable, || {
            format!("after {after}: the executable has {executable:?}, which is octal {:o}", executable.2)
        });
        if place.private.exists() {
            let (user, _, mode) = ownership(&place.private);
            self.expect(user == self.row.executable.0, || {
                format!("after {after}: .relatch is user {user}'s")
            });
            self.expect(mode & 0o777 == 0o755, || format!("after {after}: .relatch has mode {mode:o}"));
        }
        let made = place.private.exists() && after != "--rollback";
        self.expect(!made || self.row.may != Some(false), || format!("after {after}: .relatch was made"));
        let Some((_, version)) = [(self.scene.old.as_slice(), "1.0.0"), (&self.scene.new, "1.1.0")]
            .into_iter()
            .find(|(bytes, _)| Digest::of(bytes) == found)
        else {
            return;
        };
        for other in [NOBODY, MEMBER, CONTAINER].into_iter().filter(|other| other.0 != self.row.executable.0)
        {
            let output = self.scene.call(other, In::Plain, &place.path, "x");
            let runs = output.status.success() && stdout(&output) == format!("widget {version} x\n");
            self.expect(runs && output.stderr.is_empty(), || {
                let said = (stdout(&output), stderr(&output));
                format!("after {after}: user {} starts it: {}, {said:?}", other.0, output.status)
            });
        }
        self.expect(place.digest() == found, || format!("after {after}: another user's start changed it"));
    }
}

#[test]
fn only_the_owner_and_root_change_an_installation_and_all_others_start_it() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root may act as others");
        return;
    }
    let has =
        |program: &str| Command::new(program).arg("--version").output().is_ok_and(|it| it.status.success());
    if !may_be_another() || !has("setpriv") || !has("unshare") {
        println!("skipped: setpriv and unshare are needed");
        return;
    }
    let scene = Scene::new();
    // As the very actors: systems forbid it to users without privileges.
    let has_namespaces = [In::Unmapped, In::AsRoot, In::Renumbered]
        .map(|kind| scene.call(OWNER, kind, Path::new("/bin/true"), "").status.success());
    let mut broken = Vec::new();
    for row in &TABLE {
        let name = format!("{}, user {} {:?}", row.what, row.actor.0, row.started);
        let is_possible = match row.started {
            In::Plain | In::Umask(_) => true,
            In::Unmapped => has_namespaces[0],
            In::AsRoot => has_namespaces[1],
            In::Renumbered => has_namespaces[2],
        };
        if !is_possible {
            println!("skipped: {name}: no user namespaces here");
            continue;
        }
        let mut trial = Trial { row, scene: &scene, faults: Vec::new() };
        trial.run();
        println!(
            "{name}: may {:?}: {}",
            row.may,
            if trial.faults.is_empty() { "as promised" } else { "BROKEN" }
        );
        broken.extend(trial.faults.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    drop(scene.repository);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
