//! Promise: what cannot be installed here is not downloaded. The reason is named with the command
//! that would work, told once for each release, and looked at again before the next try.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use support::server::Server;
use support::tool::{executable_such, may_be_another, run, stderr, stdout};
use support::{Repository, Tool, now};

/// 1.0.0 is installed, and 1.1.0 is published on a server that counts.
struct Scene {
    repository: Repository,
    server: Server,
    tool: Tool,
    size: usize,
}

fn scene() -> Scene {
    let mut repository = Repository::new();
    let server = Server::plain(&repository);
    let fields = json!({"repository": server.url, "plain": true, "interval": 3600});
    let bytes = executable_such(&repository, "1.0.0", fields.clone());
    repository.release("1.0.0", &bytes);
    let tool = Tool::copied(&bytes);
    set_mode(tool.dir.path(), 0o755);
    assert_eq!(stderr(&tool.run(&["x"])), "");
    let bytes = executable_such(&repository, "1.1.0", fields);
    repository.release("1.1.0", &bytes);
    Scene { repository, server, tool, size: bytes.len() }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// How a test starts the tool.
type Start<'a> = &'a dyn Fn(&Tool, &[&str]) -> Command;

impl Scene {
    /// No start and no command downloads; the reason is told once, then it is silent, and each try
    /// is later than the one before.
    #[track_caller]
    fn is_not_downloaded(&self, start: Start<'_>, expected: &[&str]) {
        let before = self.tool.digest();
        self.server.forget();
        let output = run(&mut start(&self.tool, &["--update"]));
        assert_eq!(output.status.code(), Some(5), "{output:?}");
        let told = stderr(&output);
        for part in expected {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert_eq!(told.lines().count(), 2, "one fact and one advice: {told}");
        for count in 1..4 {
            // The time of the next check has come.
            self.tool.edit("cache", |cache| {
                cache["checked"] = 1.into();
                if let Some(failure) = cache["failure"].as_object_mut() {
                    failure.insert("at".into(), 1.into());
                    // And it was told long ago.
                    if failure["shown"].is_u64() {
                        failure.insert("shown".into(), 1.into());
                    }
                }
            });
            let output = run(&mut start(&self.tool, &["x"]));
            assert_eq!(stdout(&output), "widget 1.0.0 x\n", "{}", stderr(&output));
            let told = stderr(&output);
            if count == 1 {
                assert!(expected.iter().all(|part| told.contains(part)), "{told}");
                assert!(!told.contains("updating"), "{told}");
            } else {
                assert_eq!(told, "", "told before");
            }
            let failure: Value = self.tool.record("cache")["failure"].clone();
            // That of the command that a person gave counts, too.
            assert_eq!(failure["count"], count + 1, "{failure}");
            assert!(now() - failure["at"].as_u64().unwrap() < 300);
            // Within the time of the retry nothing is asked.
            self.server.forget();
            assert_eq!(stderr(&run(&mut start(&self.tool, &["x"]))), "");
            assert_eq!(self.server.requests(), [""; 0]);
        }
        let blobs = self.server.requests().into_iter().filter(|path| path.contains("/blobs/"));
        assert_eq!(blobs.collect::<Vec<_>>(), [""; 0]);
        assert_eq!(self.tool.digest(), before);
        assert_eq!(self.tool.strays(), [""; 0]);
    }

    #[track_caller]
    fn updates(&self) {
        let output = self.tool.run(&["--update"]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(self.tool.version(), "1.1.0");
    }
}

fn plainly(tool: &Tool, arguments: &[&str]) -> Command {
    let mut command = tool.command();
    command.args(arguments);
    command
}

/// The tool in a mount namespace of its own, after `script`, in which `$1` is the tool's path.
fn in_namespace(script: &'static str) -> impl Fn(&Tool, &[&str]) -> Command {
    move |tool, arguments| {
        let mut command = Command::new("unshare");
        let script = format!("{script} && exec \"$@\"");
        command.args(["-m", "sh", "-e", "-c", &script, "sh"]).arg(&tool.path).args(arguments);
        command.env_remove("CI").env_remove("RELATCH_NO_UPDATE");
        command.env("XDG_STATE_HOME", tool.state_home.path());
        command
    }
}

fn may_mount() -> bool {
    let tried = Command::new("unshare").args(["-m", "sh", "-c", "mount -t tmpfs none /mnt"]).output();
    let may = tried.is_ok_and(|tried| tried.status.success());
    if !may {
        println!("skipped: nothing can be mounted here");
    }
    may
}

#[test]
fn a_bind_mounted_executable() {
    if !may_mount() {
        return;
    }
    let scene = scene();
    let start = in_namespace("mount --bind \"$1\" \"$1\"");
    let umount = format!("umount {}", scene.tool.path.display());
    scene.is_not_downloaded(&start, &["it is a mount point of its own", &umount]);
    scene.updates();
}

#[test]
fn a_file_system_without_programs() {
    if !may_mount() {
        return;
    }
    let scene = scene();
    let dir = scene.tool.dir.path().display().to_string();
    let install = |arguments: &[&str]| {
        let script = format!("mount --bind {dir} {dir} && mount -o remount,noexec,bind {dir} && exec \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-e", "-c", &script, "sh"]).arg(support::built::built("relatch"));
        let root = scene.repository.dir.path().join("root/1.json");
        command.args(["install", "--product", "widget", "--target", "test", "--from"]);
        command.arg(scene.repository.dir.path()).arg("--root").arg(root);
        command.arg("--to").arg(scene.tool.dir.path().join("other")).args(arguments);
        run(&mut command)
    };
    if !support::built::exists("relatch") {
        println!("skipped: relatch is not built");
        return;
    }
    let output = install(&[]);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert!(stderr(&output).contains("is mounted noexec"), "{}", stderr(&output));
    assert!(stderr(&output).contains("--no-probe"), "{}", stderr(&output));
    assert!(!scene.tool.dir.path().join(".other.relatch").exists());
    let output = install(&["--no-probe"]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_full_disk() {
    if !may_mount() {
        return;
    }
    let scene = scene();
    // Half a MiB beside what is there.
    let fill = "d=$(dirname \"$1\"); s=$(du -sk $d | cut -f1); \
                mount -t tmpfs -o size=$((s + 512))k,mode=755 none /mnt; \
                cp -a $d/. /mnt/; mount --bind /mnt $d";
    let start = in_namespace(fill);
    let output = run(&mut start(&scene.tool, &["--update"]));
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let told = stderr(&output);
    assert!(told.contains("bytes free, and the update needs ") && told.contains("df -h"), "{told}");
    assert!(scene.server.requests().iter().all(|path| !path.contains("/blobs/")));
    assert!(scene.size > 512 * 1024, "{}", scene.size);
}

#[test]
fn a_limit_on_the_size_of_files() {
    let scene = scene();
    // In blocks of 512 bytes: for the records, and not for the executable; for nothing.
    let limited = |blocks: &'static str| {
        move |tool: &Tool, arguments: &[&str]| {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("ulimit -f {blocks}; exec \"$@\""), "sh"]).arg(&tool.path);
            command.args(arguments).env_remove("CI").env_remove("RELATCH_NO_UPDATE");
            command.env("XDG_STATE_HOME", tool.state_home.path());
            command
        }
    };
    let expected = ["the limit on the size of files is 51200 bytes", "`ulimit -f unlimited`"];
    scene.is_not_downloaded(&limited("100"), &expected);
    // No signal ends it, whatever is due; and what cannot be recorded is told.
    scene.tool.edit("cache", |cache| cache["failure"] = Value::Null);
    scene.tool.edit("cache", |cache| cache["checked"] = 1.into());
    let output = run(&mut limited("0")(&scene.tool, &["x"]));
    assert_eq!(stdout(&output), "widget 1.0.0 x\n", "{output:?}");
    assert!(stderr(&output).contains("the limit on the size of files is 0 bytes"), "{output:?}");
    let output = run(&mut limited("0")(&scene.tool, &["--update"]));
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    scene.updates();
}

/// From the record, a day later: neither. Of the next release: again.
#[test]
fn each_release_is_told_of_once() {
    let mut scene = scene();
    let start = |tool: &Tool| {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -f 100; exec \"$@\"", "sh"]).arg(&tool.path).arg("x");
        command.env_remove("CI").env_remove("RELATCH_NO_UPDATE");
        run(command.env("XDG_STATE_HOME", tool.state_home.path()))
    };
    for version in ["1.1.0", "1.2.0"] {
        if version != "1.1.0" {
            let bytes = executable_such(&scene.repository, version, json!({"interval": 3600}));
            scene.repository.release(version, &bytes);
        }
        scene.tool.edit("cache", |cache| cache["checked"] = 1.into());
        if let Some(failure) = scene.tool.record("cache")["failure"].as_object() {
            assert_eq!(failure["once"], true);
            scene.tool.edit("cache", |cache| cache["failure"]["at"] = 1.into());
        }
        let told = stderr(&start(&scene.tool));
        assert!(told.contains("the limit on the size of files"), "{version}: {told}");
        assert_eq!(told.lines().count(), 2, "{version}: {told}");
        scene.tool.edit("cache", |cache| cache["failure"]["shown"] = 1.into());
        assert_eq!(stderr(&start(&scene.tool)), "", "{version}, from the record");
    }
    let status = stdout(&scene.tool.run(&["--update-status"]));
    assert!(status.contains("the limit on the size of files"), "{status}");
}

#[test]
fn an_attribute_that_forbids_it() {
    let scene = scene();
    let chattr = |flag: &str, path: &Path| {
        Command::new("chattr").arg(flag).arg(path).output().is_ok_and(|output| output.status.success())
    };
    let dir = scene.tool.dir.path().to_owned();
    let of_dir = scene.tool.site_dir();
    for (on, off, path) in [
        ("+i", "-i", &scene.tool.path),
        ("+a", "-a", &scene.tool.path),
        ("+i", "-i", &dir),
        ("+a", "-a", &dir),
    ] {
        if !chattr(on, path) {
            println!("skipped: no such attributes here");
            return;
        }
        let command = format!("sudo chattr {off} {}", path.display());
        let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            scene.is_not_downloaded(&plainly, &[&command]);
        }));
        assert!(chattr(off, path));
        tried.unwrap();
        scene.tool.edit("cache", |cache| cache["failure"] = Value::Null);
    }
    // Before the first record, and where none can be made.
    fs::remove_dir_all(&of_dir).unwrap();
    assert!(chattr("+i", &dir));
    let output = scene.tool.run(&["--update"]);
    let start = scene.tool.run(&["x"]);
    assert!(chattr("-i", &dir));
    assert!(stderr(&output).contains("sudo chattr -i"), "{}", stderr(&output));
    assert!(stderr(&start).contains("sudo chattr -i"), "{}", stderr(&start));
    let output = scene.tool.run(&["x"]);
    assert_eq!(stdout(&output), "widget 1.1.0 x\n");
}

/// The owner may write in the directory, and cannot give the new file the group of the old one.
#[test]
fn a_group_that_cannot_be_kept() {
    if !may_be_another() {
        return;
    }
    let scene = scene();
    use std::os::unix::process::CommandExt;
    for path in
        [scene.tool.dir.path(), &scene.tool.path, &scene.tool.site_dir(), scene.tool.state_home.path()]
    {
        chown(path, Some(65534), Some(65534)).unwrap();
    }
    for name in ["cache", "floors", "lock", "staging"] {
        drop(chown(scene.tool.site_dir().join(name), Some(65534), Some(65534)));
    }
    chown(&scene.tool.path, Some(65534), Some(0)).unwrap();
    let start = |tool: &Tool, arguments: &[&str]| {
        let mut command = tool.command();
        command.uid(65534).gid(65534).args(arguments);
        command
    };
    let expected = ["its owner 65534:0 cannot be carried over", "sudo chown \"$(id -u):$(id -g)\""];
    scene.is_not_downloaded(&start, &expected);
    chown(&scene.tool.path, Some(65534), Some(65534)).unwrap();
    let output: Output = run(&mut start(&scene.tool, &["--update"]));
    assert!(output.status.success(), "{}", stderr(&output));
}

/// `install --force` over a file that is not known carries nothing over from it.
#[test]
fn an_unknown_file_is_replaced_whatever_it_has() {
    if !may_be_another() {
        return;
    }
    use std::os::unix::process::CommandExt;
    let scene = scene();
    let unknown = scene.tool.dir.path().join("other");
    fs::write(&unknown, "#!/bin/sh\n").unwrap();
    for path in [scene.tool.dir.path(), &unknown, scene.tool.state_home.path()] {
        chown(path, Some(65534), Some(65534)).unwrap();
    }
    // A group that its owner cannot give to another file.
    chown(&unknown, Some(65534), Some(0)).unwrap();
    let root = scene.repository.dir.path().join("root/1.json");
    let mut command = Command::new(support::built::built("relatch"));
    command.args(["install", "--force", "--product", "widget", "--target", "test", "--from"]);
    command.arg(scene.repository.dir.path()).arg("--root").arg(root).arg("--to").arg(&unknown);
    // A path that this user can reach.
    let relatch = scene.tool.dir.path().join("relatch");
    fs::copy(command.get_program(), &relatch).unwrap();
    let mut other = Command::new(&relatch);
    other.args(command.get_args()).uid(65534).gid(65534);
    set_mode(scene.repository.dir.path(), 0o755);
    let output = run(&mut other);
    assert!(output.status.success(), "{}", stderr(&output));
    let meta = fs::metadata(&unknown).unwrap();
    use std::os::unix::fs::MetadataExt;
    assert_eq!((meta.mode() & 0o7777, meta.uid(), meta.gid()), (0o755, 65534, 65534));
}

/// Names in it can be used, and it can be neither listed nor flushed.
#[test]
fn a_directory_that_cannot_be_read() {
    if !may_be_another() {
        return;
    }
    use std::os::unix::process::CommandExt;
    let scene = scene();
    let site = scene.tool.site_dir();
    for path in [scene.tool.dir.path(), &scene.tool.path, &site, scene.tool.state_home.path()] {
        chown(path, Some(65534), Some(65534)).unwrap();
    }
    for entry in fs::read_dir(&site).unwrap() {
        chown(entry.unwrap().path(), Some(65534), Some(65534)).unwrap();
    }
    let start = |tool: &Tool, arguments: &[&str]| {
        let mut command = tool.command();
        command.uid(65534).gid(65534).args(arguments);
        command
    };
    let dir = scene.tool.dir.path();
    set_mode(dir, 0o311);
    let command = format!("`chmod u+r {}`", dir.display());
    scene.is_not_downloaded(&start, &["you may not read this directory (mode 311)", &command]);
    set_mode(dir, 0o755);
    let output = run(&mut start(&scene.tool, &["--update"]));
    assert!(output.status.success(), "{}", stderr(&output));
}
