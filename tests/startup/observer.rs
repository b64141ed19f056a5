//! `Require` for a user who may not write beside the executable: whoever installed it updates it, and the user's own directory remembers.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
#[cfg(target_os = "linux")]
use std::path::Path;
use std::process::Command;

#[cfg(target_os = "linux")]
use super::support::Snapshot;
use super::support::tool::{edit_record, may_be_another, read_record};
use super::*;

const DAY: u64 = 24 * 60 * 60;
const NOBODY: u32 = 65534;

/// A tool that was installed by root, or that its user made read-only, behind a server.
struct Scene {
    repository: Repository,
    server: Server,
    tool: Tool,
    fields: Value,
    /// Whether it is started as somebody else.
    is_other: bool,
}

/// Of whose end it is not time to warn.
fn publish(repository: &mut Repository, version: &str, executable: &[u8]) {
    let mut draft = repository.draft(version, executable);
    draft.version["expires"] = (now() + 30 * DAY).into();
    repository.publish(&draft);
}

impl Scene {
    fn new() -> Self {
        Scene::with(|_| {})
    }

    /// `by_owner` is what its owner does with it first.
    fn with(by_owner: impl FnOnce(&Tool)) -> Self {
        let mut repository = Repository::new();
        let server = Server::plain(&repository);
        let fields = json!({"repository": server.url, "plain": true, "policy": "require", "interval": 3600});
        let bytes = executable_such(&repository, "1.0.0", fields.clone());
        repository.seq = 5;
        publish(&mut repository, "1.0.0", &bytes);
        let tool = Tool::copied(&bytes);
        by_owner(&tool);
        let is_other = rustix::process::geteuid().is_root() && may_be_another();
        if is_other {
            std::os::unix::fs::chown(tool.state_home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let scene = Scene { repository, server, tool, fields, is_other };
        scene.chmod(0o555);
        scene
    }

    /// Of the directory and of what is kept in it.
    fn chmod(&self, mode: u32) {
        let permissions = || std::fs::Permissions::from_mode(mode);
        for dir in [&self.tool.site_dir(), self.tool.dir.path()] {
            if dir.exists() {
                std::fs::set_permissions(dir, permissions()).unwrap();
            }
        }
    }

    fn command(&self) -> Command {
        let mut command = self.tool.command();
        if self.is_other {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn start(&self) -> Output {
        self.server.forget();
        run(self.command().arg("x"))
    }

    #[track_caller]
    fn runs(&self, requests: &[&str]) {
        let output = self.start();
        assert_runs(&output, "widget 1.0.0 x\n");
        assert_eq!(stderr(&output), "");
        assert_eq!(self.server.requests(), requests);
    }

    fn own(&self, name: &str) -> std::path::PathBuf {
        self.tool.own_dir().join(name)
    }

    /// The interval goes by.
    fn pass(&self) {
        edit_record(&self.own("cache"), |cache| cache["checked"] = (now() - 3600).into());
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.chmod(0o755);
    }
}

const VERSION: &str = "/base/stable/VERSION";

/// Root writes everywhere, whatever the mode says.
fn may_be_kept_out() -> bool {
    let may = !rustix::process::geteuid().is_root() || may_be_another();
    if !may {
        println!("skipped: no directory is read-only for this user");
    }
    may
}

#[test]
fn it_checks_runs_if_current_and_remembers_in_the_users_own_directory() {
    if !may_be_kept_out() {
        return;
    }
    let scene = Scene::new();
    let before = scene.tool.snapshot();
    assert_runs(&scene.start(), "widget 1.0.0 x\n");
    assert!(scene.server.requests().contains(&VERSION.to_owned()));
    for _ in 0..3 {
        scene.runs(&[]);
    }
    for _ in 0..3 {
        scene.pass();
        scene.runs(&[VERSION]);
        assert!(scene.server.heads()[0].contains("\r\nif-none-match: "));
    }
    assert_eq!(scene.tool.snapshot(), before, "beside the executable nothing changed");
    let floors = read_record(&scene.own("floors"));
    assert_eq!(floors["domains"][0]["epochs"][0]["channels"][0]["seq"], 6);
    let mode = std::fs::metadata(scene.tool.own_dir()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "{mode:o}");
}

#[test]
fn it_does_not_run_outdated_and_says_whose_business_that_is() {
    if !may_be_kept_out() {
        return;
    }
    let mut scene = Scene::new();
    scene.runs(&["/base/root/2.json", VERSION, &manifest(&scene), &signatures(&scene)]);
    let bytes = executable_such(&scene.repository, "1.1.0", scene.fields.clone());
    publish(&mut scene.repository, "1.1.0", &bytes);
    scene.runs(&[]);
    scene.pass();
    let before = scene.tool.snapshot();
    for _ in 0..2 {
        let output = scene.start();
        assert_refuses(&output, 3);
        let told = stderr(&output);
        assert!(told.contains("1.1.0 is the current release"), "{told}");
        assert!(told.contains("where you may not write, and its owner must update it"), "{told}");
    }
    assert_eq!(scene.tool.snapshot(), before);
    // Its owner does.
    scene.chmod(0o755);
    let output = run(scene.tool.command().arg("--update"));
    assert!(output.status.success(), "{}", stderr(&output));
    scene.chmod(0o555);
    let output = scene.start();
    assert_runs(&output, "widget 1.1.0 x\n");
    assert_eq!(stderr(&output), "");
}

fn manifest(scene: &Scene) -> String {
    format!("/base/manifests/{}.json", scene.repository.current_manifest())
}

fn signatures(scene: &Scene) -> String {
    format!("{}.minisig", manifest(scene))
}

/// An older `VERSION`, replayed to somebody who has seen a newer one: by an own check, or by one of the tool's owner.
#[test]
fn it_is_not_without_memory() {
    if !may_be_kept_out() {
        return;
    }
    for by_owner in [false, true] {
        let check = |tool: &Tool| {
            if by_owner {
                assert_runs(&tool.run(&["x"]), "widget 1.0.0 x\n");
            }
        };
        let mut scene = Scene::with(check);
        let replayed = {
            let newer = std::fs::read(scene.repository.version_path()).unwrap();
            scene.repository.seq = 2;
            let bytes = executable_such(&scene.repository, "1.0.0", scene.fields.clone());
            publish(&mut scene.repository, "1.0.0", &bytes);
            let older = std::fs::read(scene.repository.version_path()).unwrap();
            std::fs::write(scene.repository.version_path(), newer).unwrap();
            older
        };
        if !by_owner {
            assert_runs(&scene.start(), "widget 1.0.0 x\n");
        }
        std::fs::write(scene.repository.version_path(), replayed).unwrap();
        for _ in 0..2 {
            if by_owner {
                // What the owner's last check found is recorded beside the executable, and its time has gone by.
                scene.chmod(0o755);
                scene.tool.edit("cache", |cache| cache["checked"] = 1.into());
                scene.chmod(0o555);
            } else {
                scene.pass();
            }
            let output = scene.start();
            assert_refuses(&output, 3);
            let told = stderr(&output);
            assert!(told.contains("sequence number 3, but epoch 1 and number 6 were seen before"), "{told}");
        }
    }
}

/// The roots that such a user followed count, and are not followed anew each time.
#[test]
fn it_follows_the_chain_of_roots() {
    if !may_be_kept_out() {
        return;
    }
    let mut scene = Scene::new();
    scene.runs(&["/base/root/2.json", VERSION, &manifest(&scene), &signatures(&scene)]);
    let stolen = scene.repository.timestamp_keys.clone();
    scene.repository.rotate(|repository| repository.timestamp_keys = vec![Key::new(9)]);
    let published = std::fs::read(scene.repository.version_path()).unwrap();
    scene.repository.seq = 5;
    let bytes = std::fs::read(&scene.tool.path).unwrap();
    let mut draft = scene.repository.draft("1.0.0", &bytes);
    draft.version["expires"] = (now() + 30 * DAY).into();
    draft.manifest = {
        let manifest = scene.repository.dir.path().join(manifest(&scene).trim_start_matches("/base/"));
        serde_json::from_slice(&std::fs::read(manifest).unwrap()).unwrap()
    };
    scene.repository.publish(&draft);
    let renewed = std::fs::read(scene.repository.version_path()).unwrap();
    edit_record(&scene.own("cache"), |cache| {
        (cache["checked"], cache["root_checked"]) = ((now() - DAY).into(), (now() - DAY).into());
    });
    scene.runs(&["/base/root/2.json", "/base/root/2.json.minisig", "/base/root/3.json", VERSION]);
    assert!(scene.own("root").exists());
    scene.pass();
    scene.runs(&[VERSION]);
    // What the revoked key signed does not count any more.
    std::fs::write(scene.repository.version_path(), &published).unwrap();
    scene.pass();
    let output = scene.start();
    assert_refuses(&output, 3);
    assert!(stderr(&output).contains("0 of the 1 timestamp keys"), "{}", stderr(&output));
    std::fs::write(scene.repository.version_path(), renewed).unwrap();
    assert_runs(&scene.start(), "widget 1.0.0 x\n");
    drop(stolen);
}

/// Without a place for state it checks at each start, and by that check it runs or not.
#[test]
fn without_a_home_it_checks_each_time() {
    if !may_be_kept_out() {
        return;
    }
    for by_owner in [false, true] {
        let check = |tool: &Tool| {
            if by_owner {
                assert_runs(&tool.run(&["x"]), "widget 1.0.0 x\n");
                // Long ago.
                tool.edit("cache", |cache| cache["checked"] = 1.into());
            }
        };
        let mut scene = Scene::with(check);
        let start = |scene: &Scene| {
            scene.server.forget();
            run(scene.command().env_remove("HOME").env_remove("XDG_STATE_HOME").arg("x"))
        };
        for _ in 0..2 {
            let output = start(&scene);
            assert_runs(&output, "widget 1.0.0 x\n");
            assert_eq!(stderr(&output), "");
            assert!(scene.server.requests().contains(&VERSION.to_owned()), "{:?}", scene.server.requests());
        }
        let bytes = executable_such(&scene.repository, "1.1.0", scene.fields.clone());
        publish(&mut scene.repository, "1.1.0", &bytes);
        for _ in 0..2 {
            let output = start(&scene);
            assert_refuses(&output, 3);
            assert!(stderr(&output).contains("1.1.0 is the current release"), "{}", stderr(&output));
        }
        scene.server.answer("stable/", Answer::Status(503));
        assert_refuses(&start(&scene), 4);
        assert!(!scene.tool.own_dir().exists());
    }
}

/// A whole file system that nobody may write to, root neither.
#[test]
#[cfg(target_os = "linux")]
fn it_checks_on_a_read_only_file_system() {
    let scene = Scene::new();
    scene.chmod(0o755);
    let dir = scene.tool.dir.path();
    let mounted = |program: &str, arguments: &[&str]| {
        let mut command = Command::new("unshare");
        let script = r#"mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@""#;
        command.args(["-m", "sh", "-c", script, "sh"]).arg(dir).arg(program).args(arguments);
        command.env_remove("CI").env_remove("RELATCH_NO_UPDATE");
        command.env("XDG_STATE_HOME", scene.tool.state_home.path());
        run(&mut command)
    };
    let tried = Command::new("unshare").args(["-m", "true"]).output();
    if !tried.is_ok_and(|tried| tried.status.success()) || !mounted("true", &[]).status.success() {
        println!("skipped: nothing can be mounted here");
        return;
    }
    std::os::unix::fs::chown(scene.tool.state_home.path(), Some(0), Some(0)).unwrap();
    let before: Snapshot = scene.tool.snapshot();
    let path = scene.tool.path.to_str().unwrap();
    let start = || {
        scene.server.forget();
        mounted(path, &["x"])
    };
    assert_runs(&start(), "widget 1.0.0 x\n");
    assert!(scene.server.requests().contains(&VERSION.to_owned()));
    let output = start();
    assert_runs(&output, "widget 1.0.0 x\n");
    assert_eq!((stderr(&output).as_str(), scene.server.requests()), ("", vec![]));
    scene.pass();
    assert_runs(&start(), "widget 1.0.0 x\n");
    assert_eq!(scene.server.requests(), [VERSION]);
    assert_eq!(scene.tool.snapshot(), before);
    assert!(Path::new(&scene.own("floors")).exists());
}
