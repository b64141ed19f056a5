//! Promise: a publisher that is killed at any call leaves nothing that a web server serves, and
//! `signer init` goes on where it was killed and keeps every key. The umask does not decide who can
//! read what is published.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

#[allow(dead_code, reason = "the kills here are in any thread")]
#[path = "../../../tests/support/strace.rs"]
mod strace;
mod support;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::{Desk, stderr};

/// What changes the disk.
const CALLS: [&str; 14] = [
    "write",
    "copy_file_range",
    "fsync",
    "flock",
    "chmod",
    "fchmod",
    "rename",
    "renameat2",
    "link",
    "linkat",
    "mkdir",
    "unlink",
    "unlinkat",
    "rmdir",
];

const INIT: [&str; 10] = [
    "init",
    "--product",
    "widget",
    "--no-password",
    "--keys",
    "keys",
    "--repo",
    "repo",
    "--root",
    "root.json",
];
const PUBLISH: [&str; 6] = ["publish", "folder", "--repo", "repo", "--root", "root.json"];

/// A command under this umask; `before` comes first on the command line, such as strace.
fn under(desk: &Desk, umask: &str, before: &[&str], arguments: &[&str]) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", "umask \"$1\" && shift && exec \"$@\"", "sh", umask]).args(before);
    let signer = desk.command(arguments);
    command.arg(signer.get_program()).args(signer.get_args()).current_dir(desk.dir.path());
    for (name, value) in signer.get_envs() {
        assert!(value.is_none());
        command.env_remove(name);
    }
    command.output().unwrap()
}

/// Kills the command at the n-th call of a name, in any of its threads.
fn killed(desk: &Desk, umask: &str, call: &str, number: usize, arguments: &[&str]) -> Output {
    let injection = format!("inject={call}:signal=KILL:when={number}");
    let strace =
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &format!("trace=?{call}"), "-e", &injection];
    under(desk, umask, &strace, arguments)
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Every entry below a directory. What only its owner may enter is listed and not entered.
fn tree(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && mode(&path) != 0o700 {
            tree(&path, into);
        }
        into.push(path);
    }
}

/// What killed publishers left. Everything else in the repository is an object that everybody may
/// read, or a lock.
#[track_caller]
fn leftovers(desk: &Desk) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if desk.path("repo").exists() {
        tree(&desk.path("repo"), &mut paths);
        paths.push(desk.path("repo"));
    }
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let (left, served): (Vec<_>, Vec<_>) =
        paths.into_iter().partition(|path| name(path).starts_with(".upload-"));
    for path in served {
        match path.is_dir() {
            true => assert_eq!(mode(&path), 0o755, "{path:?}"),
            false if name(&path) == ".lock" => assert_eq!(std::fs::read(&path).unwrap(), b""),
            false => {
                assert_eq!(mode(&path), 0o644, "{path:?}");
                assert!(!name(&path).starts_with('.'), "{path:?}");
                assert!(std::fs::metadata(&path).unwrap().len() > 0, "{path:?}");
            }
        }
    }
    for path in &left {
        assert!(path.is_dir() && mode(path) == 0o700, "{path:?}");
    }
    left
}

fn keys(desk: &Desk) -> BTreeMap<String, String> {
    let read = |name: &str| desk.path(name).exists().then(|| (name.to_owned(), desk.read(name)));
    ["keys/root.key", "keys/release.key", "keys/timestamp.key"].into_iter().filter_map(read).collect()
}

/// As if this had been there for two hours.
fn age(paths: &[PathBuf]) {
    if !paths.is_empty() {
        let touched = Command::new("touch").args(["-d", "2 hours ago"]).args(paths).status().unwrap();
        assert!(touched.success());
    }
}

#[test]
fn init_goes_on_wherever_it_was_killed() {
    if !strace::is_available() {
        return;
    }
    let (mut kills, mut with_keys) = (0, 0);
    for call in CALLS {
        for number in 1.. {
            let desk = Desk::bare();
            let at = format!("{call} {number}");
            let output = killed(&desk, "077", call, number, &INIT);
            leftovers(&desk);
            let before = keys(&desk);
            for key in before.keys() {
                assert_eq!(mode(&desk.path(key)), 0o600, "{at}: {key}");
            }
            if output.status.success() {
                assert_eq!(before.len(), 3, "{at}");
                break;
            }
            assert_eq!(output.status.code(), None, "{at}: {}", stderr(&output));
            kills += 1;
            with_keys += usize::from(!before.is_empty());
            // Else only its report was lost.
            let is_unfinished = before.len() < 3 || desk.path("keys/init-unfinished").exists();
            let again = under(&desk, "077", &[], &INIT);
            if !is_unfinished {
                assert_eq!(again.status.code(), Some(2), "{at}: {}", stderr(&again));
            } else {
                assert!(again.status.success(), "{at}: {}", stderr(&again));
            }
            for (key, secret) in before {
                assert_eq!(desk.read(&key), secret, "{at}: {key}");
            }
            let mut names = Vec::new();
            tree(&desk.path("keys/."), &mut names);
            assert_eq!(names.len(), 6, "{at}: {names:?}");
            desk.released("1.0.0", &[]);
            desk.client("widget").unwrap();
        }
    }
    assert!(kills >= 50 && with_keys >= 20, "{kills} kills, {with_keys} of them after a key was made");
}

#[test]
fn a_killed_publisher_leaves_nothing_that_is_served() {
    if !strace::is_available() {
        return;
    }
    let scene = Desk::bare();
    assert!(under(&scene, "077", &[], &INIT).status.success());
    scene.released("1.0.0", &[]);
    let artifact = scene.build("1.1.0");
    let prepare = ["prepare", "--version", "1.1.0", "--artifact", &artifact, "--out", "folder"];
    scene.ok(&[&prepare[..], &PUBLISH[2..]].concat());
    scene.ok(&["sign", "folder", "--key", "keys/release.key", "--key", "keys/timestamp.key"]);
    let (mut kills, mut left) = (0, 0);
    for call in CALLS {
        for number in 1.. {
            let desk = Desk::bare();
            let copied = Command::new("cp").arg("-a").arg(scene.path(".")).arg(desk.dir.path()).status();
            assert!(copied.unwrap().success());
            let at = format!("{call} {number}");
            let output = killed(&desk, "000", call, number, &PUBLISH);
            let found = leftovers(&desk);
            if output.status.success() {
                assert_eq!(found, Vec::<PathBuf>::new(), "{at}");
                break;
            }
            assert_eq!(output.status.code(), None, "{at}: {}", stderr(&output));
            kills += 1;
            left += usize::from(!found.is_empty());
            // Whoever comes at once takes them for those of a publisher that is at work.
            let again = under(&desk, "077", &[], &PUBLISH);
            assert!(again.status.success(), "{at}: {}", stderr(&again));
            assert_eq!(leftovers(&desk), found, "{at}");
            age(&found);
            desk.released("1.2.0", &[]);
            assert_eq!(leftovers(&desk), Vec::<PathBuf>::new(), "{at}");
            desk.ok(&[&["verify"][..], &PUBLISH[2..]].concat());
        }
    }
    assert!(kills >= 20 && left >= 10, "{kills} kills, {left} of them left something");
}

/// A publisher that takes long keeps what it writes; one that has ended does not.
#[test]
fn what_a_publisher_still_writes_is_not_removed() {
    let desk = Desk::new();
    desk.released("1.0.0", &[]);
    let dir = desk.path("repo/blobs/.upload-abc");
    std::fs::create_dir(&dir).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)).unwrap();
    let lock = std::fs::File::create(dir.join("lock")).unwrap();
    lock.lock().unwrap();
    age(std::slice::from_ref(&dir));
    desk.released("1.1.0", &[]);
    assert!(dir.exists());
    drop(lock);
    age(std::slice::from_ref(&dir));
    desk.released("1.2.0", &[]);
    assert!(!dir.exists());
    // A file with such a name is nobody's: no client reads it, and nobody removes it unasked.
    desk.write("repo/blobs/.upload-abc", "served");
    let repo = ["verify", "--repo", "repo", "--root", "root.json"];
    desk.fails(3, "blobs/.upload-abc is not an object of a repository", &repo);
}

#[test]
fn the_umask_does_not_decide_who_can_read_what_is_published() {
    for umask in ["077", "000", "022"] {
        let desk = Desk::bare();
        let ok = |arguments: &[&str]| {
            let output = under(&desk, umask, &[], arguments);
            assert!(output.status.success(), "{umask}: {}", stderr(&output));
        };
        ok(&INIT);
        let artifact = desk.build("1.0.0");
        let release = ["release", "--version", "1.0.0", "--artifact", &artifact, "--key", "keys/release.key"];
        let at = [&["--channel", "beta", "--key", "keys/timestamp.key"], &PUBLISH[2..]].concat();
        ok(&[&release[..], &at].concat());
        ok(&[&["refresh"][..], &at].concat());
        assert_eq!(leftovers(&desk), Vec::<PathBuf>::new());
        for key in ["keys/root.key", "keys/release.key", "keys/timestamp.key"] {
            assert_eq!(mode(&desk.path(key)), 0o600, "{umask}: {key}");
        }
        assert_eq!(mode(&desk.path("keys")), 0o700);
    }
}
