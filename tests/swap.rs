//! Promise: an update changes an executable's bytes and nothing else: mode, owner, attributes and links stay, both where names can be
//! exchanged and where they cannot, and a place that is not the tool's own is refused.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::fs;
#[cfg(target_os = "linux")]
use std::fs::File;
#[cfg(unix)]
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use relatch::trust::Digest;
#[cfg(target_os = "linux")]
use rustix::fs::{XattrFlags, fgetxattr, fsetxattr};
#[cfg(target_os = "linux")]
use rustix::io::Errno;
use serde_json::json;
use support::damage::symlink;
use support::strace::{is_available, traced};
#[cfg(unix)]
use support::tool::may_be_another;
use support::tool::{run, stderr, stdout};
use support::{Repository, Scene, Tool, executable_such, fake};

/// 1.0.0 of the tool, and a repository with 1.1.0.
fn outdated() -> (Repository, Tool) {
    let mut repository = Repository::new();
    let bytes = |version: &str| executable_such(&repository, version, json!({"interval": 0}));
    let (old, new) = (bytes("1.0.0"), bytes("1.1.0"));
    let tool = Tool::copied(&old);
    repository.release("1.1.0", &new);
    (repository, tool)
}

/// By exchange of names.
fn update(tool: &Tool) {
    let output = tool.run(&["--update"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(tool.version(), "1.1.0");
}

/// By copy and rename, as on a file system that cannot exchange names. The caller has asked whether strace is there.
fn update_without_exchange(tool: &Tool) {
    let log = tool.dir.path().with_extension("log");
    let mut command = traced(&tool.path, &["renameat2"], &["renameat2:error=EINVAL".into()], &log);
    let output = run(command.arg("--update"));
    let calls = fs::read_to_string(&log).unwrap();
    fs::remove_file(log).unwrap();
    assert!(calls.contains("RENAME_EXCHANGE") && calls.contains("(INJECTED)"), "{calls}");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(tool.version(), "1.1.0");
}

/// What `prepare` did to the executable is there after an update, in both ways, and after going back.
#[cfg(unix)]
fn assert_stays<T: PartialEq + std::fmt::Debug>(prepare: impl Fn(&Path), look: impl Fn(&Path) -> T) {
    let both: &[fn(&Tool)] = if is_available() { &[update, update_without_exchange] } else { &[update] };
    for how in both {
        let (_repository, tool) = outdated();
        prepare(&tool.path);
        let before = look(&tool.path);
        how(&tool);
        assert_eq!(look(&tool.path), before);
        assert_eq!(look(&tool.previous()), before);
        assert_eq!(tool.strays(), [""; 0]);
        assert!(tool.run(&["--rollback"]).status.success());
        assert_eq!(tool.version(), "1.0.0");
        assert_eq!(look(&tool.path), before);
    }
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode()
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[cfg(target_os = "linux")]
fn attribute(path: &Path, name: &str) -> Result<Vec<u8>, Errno> {
    let mut value = vec![0; 1024];
    let length = fgetxattr(File::open(path).unwrap(), name, &mut value[..])?;
    value.truncate(length);
    Ok(value)
}

#[cfg(target_os = "linux")]
fn set_attribute(path: &Path, name: &str, value: &[u8]) -> Result<(), Errno> {
    fsetxattr(File::open(path).unwrap(), name, value, XattrFlags::empty())
}

#[test]
#[cfg(unix)]
fn the_mode_stays() {
    for bits in [0o700, 0o750, 0o511, 0o775] {
        assert_stays(|path| set_mode(path, bits), mode);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn extended_attributes_stay() {
    let (_repository, tool) = outdated();
    if set_attribute(&tool.path, "user.test", b"x").is_err() {
        println!("skipped: the temporary directory's file system has no user attributes");
        return;
    }
    let prepare = |path: &Path| {
        set_attribute(path, "user.test", b"a value\0 with a zero").unwrap();
        set_attribute(path, "user.empty", b"").unwrap();
    };
    assert_stays(prepare, |path| {
        (attribute(path, "user.test").unwrap(), attribute(path, "user.empty").unwrap())
    });
}

#[test]
#[cfg(target_os = "linux")]
fn capabilities_stay() {
    // struct vfs_cap_data, revision 2: effective; permitted is CAP_NET_BIND_SERVICE.
    let mut value = 0x0200_0001_u32.to_le_bytes().to_vec();
    value.extend((1_u32 << 10).to_le_bytes());
    value.resize(20, 0);
    let (_repository, tool) = outdated();
    if let Err(error) = set_attribute(&tool.path, "security.capability", &value) {
        println!("skipped: file capabilities cannot be set here: {error}");
        return;
    }
    // Those of the executable: tests/privileges.rs says what becomes of the other file's.
    let both: &[fn(&Tool)] = if is_available() { &[update, update_without_exchange] } else { &[update] };
    for how in both {
        let (_repository, tool) = outdated();
        set_attribute(&tool.path, "security.capability", &value).unwrap();
        how(&tool);
        assert_eq!(attribute(&tool.path, "security.capability").as_ref(), Ok(&value));
        assert!(tool.run(&["--rollback"]).status.success());
        assert_eq!(tool.version(), "1.0.0");
        assert_eq!(attribute(&tool.path, "security.capability"), Ok(value.clone()));
    }
}

/// An attribute that no list names may describe the old bytes: IMA's and EVM's hash or sign them.
#[test]
#[cfg(target_os = "linux")]
fn attributes_of_the_old_bytes_do_not_come_along() {
    let (_repository, tool) = outdated();
    // A kernel that has IMA takes its own form alone; root may set one that nobody knows where the user namespace is the first.
    let ima = [[4, 4].as_slice(), &[0x5a; 32]].concat(); // IMA_XATTR_DIGEST_NG, SHA-256
    let possible: Vec<_> = ["security.ima", "security.relatch-test"]
        .into_iter()
        .filter(|name| match set_attribute(&tool.path, name, &ima) {
            Ok(()) => true,
            Err(error) => {
                println!("skipped: {name} cannot be set here: {error}");
                false
            }
        })
        .collect();
    let both: &[fn(&Tool)] = if is_available() { &[update, update_without_exchange] } else { &[update] };
    for how in both {
        let (_repository, tool) = outdated();
        for name in &possible {
            set_attribute(&tool.path, name, &ima).unwrap();
        }
        how(&tool);
        for name in &possible {
            assert_eq!(attribute(&tool.path, name), Err(Errno::NODATA), "{name}");
        }
    }
}

/// A POSIX ACL is who may run it; what cannot have one is not swapped in.
#[test]
#[cfg(target_os = "linux")]
fn an_acl_stays() {
    // linux/posix_acl_xattr.h, version 2: user::rwx, user:65533:r-x, group::r-x, mask::r-x, other::---.
    let entries = [(1, 7, u32::MAX), (2, 5, 65533), (4, 5, u32::MAX), (16, 5, u32::MAX), (32, 0, u32::MAX)];
    let mut acl = 2_u32.to_le_bytes().to_vec();
    for (tag, may, id) in entries {
        acl.extend(
            u16::to_le_bytes(tag).into_iter().chain(u16::to_le_bytes(may)).chain(u32::to_le_bytes(id)),
        );
    }
    const NAME: &str = "system.posix_acl_access";
    let (_repository, tool) = outdated();
    if let Err(error) = set_attribute(&tool.path, NAME, &acl) {
        println!("skipped: ACLs cannot be set here: {error}");
        return;
    }
    let look = |path: &Path| (attribute(path, NAME).unwrap(), mode(path));
    assert_stays(|path| set_attribute(path, NAME, &acl).unwrap(), look);
}

/// A default ACL of the directory does not open the new file to those who could not use the old one.
#[test]
#[cfg(target_os = "linux")]
fn no_acl_comes_from_the_directory() {
    let (_repository, tool) = outdated();
    let entries = [(1, 7, u32::MAX), (2, 7, 65533), (4, 5, u32::MAX), (16, 7, u32::MAX), (32, 5, u32::MAX)];
    let mut acl = 2_u32.to_le_bytes().to_vec();
    for (tag, may, id) in entries {
        acl.extend(
            u16::to_le_bytes(tag).into_iter().chain(u16::to_le_bytes(may)).chain(u32::to_le_bytes(id)),
        );
    }
    fs::create_dir(tool.site_dir()).unwrap();
    set_mode(&tool.site_dir(), 0o755);
    if let Err(error) = set_attribute(&tool.site_dir(), "system.posix_acl_default", &acl) {
        println!("skipped: ACLs cannot be set here: {error}");
        return;
    }
    let before = mode(&tool.path);
    update(&tool);
    assert_eq!(attribute(&tool.path, "system.posix_acl_access"), Err(Errno::NODATA));
    assert_eq!(mode(&tool.path), before);
}

#[test]
#[cfg(unix)]
fn the_owner_stays() {
    if !may_be_another() {
        return;
    }
    let owner = |path: &Path| {
        let meta = fs::metadata(path).unwrap();
        (meta.uid(), meta.gid(), meta.mode())
    };
    let give_away = |path: &Path| {
        std::os::unix::fs::chown(path, Some(65534), Some(65533)).unwrap();
        set_mode(path, 0o754);
    };
    assert_stays(give_away, owner);
}

#[test]
#[cfg(unix)]
fn an_owner_that_cannot_be_kept_is_refused() {
    if !may_be_another() {
        return;
    }
    // The directory is the other user's, the executable in it is root's and readable.
    let (repository, tool) = outdated();
    for dir in [tool.dir.path(), repository.dir.path()] {
        set_mode(dir, 0o755);
    }
    std::os::unix::fs::chown(tool.dir.path(), Some(65534), Some(65534)).unwrap();
    let before = tool.digest();
    use std::os::unix::process::CommandExt;
    std::os::unix::fs::chown(tool.state_home.path(), Some(65534), None).unwrap();
    // Told once a day, recorded in the user's own directory, and before anything is read or made.
    for told in [true, false] {
        let output = run(tool.command().uid(65534).gid(65534).arg("x"));
        assert_eq!(stdout(&output), "widget 1.0.0 x\n", "{}", stderr(&output));
        assert_eq!(stderr(&output).contains("it belongs to user 0 (root)"), told, "{}", stderr(&output));
        assert!(!told || stderr(&output).contains("sudo chown"), "{}", stderr(&output));
    }
    assert_eq!(tool.digest(), before);
    assert!(!tool.site_dir().exists());
}

#[test]
fn a_symbolic_link_to_the_executable_stays_one() {
    let (_repository, tool) = outdated();
    let bin = tempfile::tempdir().unwrap();
    let link = bin.path().join("tool");
    if let Err(error) = symlink(&tool.path, &link) {
        assert_ne!(std::env::consts::FAMILY, "unix", "{error}");
        println!("skipped: no symbolic link can be made here: {error}");
        return;
    }
    let output = run(std::process::Command::new(&link).arg("x").env_remove("CI"));
    assert_eq!(stdout(&output), "widget 1.1.0 x\n", "{}", stderr(&output));
    assert_eq!(fs::read_link(&link).unwrap(), tool.path);
    assert!(fs::symlink_metadata(&tool.path).unwrap().is_file());
    assert_eq!(fs::read_dir(bin.path()).unwrap().count(), 1, "nothing is made beside the link");
    let output = run(std::process::Command::new(&link).arg("--rollback"));
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(fs::read_link(&link).unwrap(), tool.path);
    assert_eq!(tool.version(), "1.0.0");
}

#[test]
fn a_second_hard_link_keeps_the_old_version() {
    let both: &[fn(&Tool)] = if is_available() { &[update, update_without_exchange] } else { &[update] };
    for how in both {
        let (_repository, tool) = outdated();
        let other = tool.dir.path().join("other");
        fs::hard_link(&tool.path, &other).unwrap();
        let (old, before) = (tool.digest(), fs::read(&other).unwrap());
        how(&tool);
        assert_eq!(fs::read(&other).unwrap(), before);
        assert!(tool.run(&["--rollback"]).status.success());
        assert_eq!(tool.digest(), old);
        assert!(tool.run(&["--update=1.1.0"]).status.success());
        assert_eq!(tool.version(), "1.1.0");
    }
}

#[test]
fn a_site_directory_that_is_none_is_refused() {
    let elsewhere = tempfile::tempdir().unwrap();
    let as_link = |path: &Path| symlink(elsewhere.path(), path);
    let dangling = |path: &Path| symlink(&elsewhere.path().join("missing"), path);
    let as_file = |path: &Path| fs::write(path, "");
    #[cfg(unix)]
    let for_all = |path: &Path| fs::create_dir(path).map(|()| set_mode(path, 0o777));
    #[cfg(not(unix))] // there it is a matter of access lists: tests/windows/safety.rs
    let for_all = |_: &Path| Err(std::io::ErrorKind::Unsupported.into());
    type Make<'a> = &'a dyn Fn(&Path) -> std::io::Result<()>;
    let all: [Make<'_>; 4] = [&as_link, &dangling, &as_file, &for_all];
    for (make, what) in all.into_iter().zip(["link", "dangling", "file", "for all"]) {
        let (_repository, tool) = outdated();
        if let Err(error) = make(&tool.site_dir()) {
            assert_ne!(std::env::consts::FAMILY, "unix", "{what}: {error}");
            println!("skipped: {what}: {error}");
            continue;
        }
        let before = tool.digest();
        let output = tool.run(&["x"]);
        assert_eq!(stdout(&output), "widget 1.0.0 x\n", "{what}: {}", stderr(&output));
        assert!(stderr(&output).contains("not updated"), "{what}: {}", stderr(&output));
        let output = tool.run(&["--update"]);
        assert_eq!(output.status.code(), Some(5), "{what}: {}", stderr(&output));
        assert!(stderr(&output).contains("not a safe place"), "{what}: {}", stderr(&output));
        assert_eq!(tool.run(&["--rollback"]).status.code(), Some(5), "{what}");
        assert_eq!(tool.digest(), before, "{what}");
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0, "{what}");
    }
}

/// A swap that was recorded and not begun: what is at the path is what it was to replace, whatever the record says is installed.
#[test]
fn a_swap_that_did_not_happen_leaves_the_record_of_what_is_there() {
    let scene = Scene::new();
    let journal = || scene.tool.record("journal");
    let there = journal()["installed"].clone();
    assert_eq!(there["blake3"], scene.tool.digest().to_string());
    let copy = |version: &str| {
        let mut copy = there.clone();
        (copy["version"], copy["blake3"]) = (version.into(), Digest::of(&fake(version)).to_string().into());
        copy
    };
    let file = "new-0123456789abcdef";
    for recorded in [copy("1.1.0"), copy("0.9.0")] {
        scene.tool.edit("journal", |journal| {
            journal["installed"] = recorded;
            journal["pending"] =
                json!({"file": file, "from": there.clone(), "to": copy("1.1.0"), "rollback": false});
        });
        fs::write(scene.tool.site_dir().join(file), fake("1.1.0")).unwrap();
        scene.is_current("recovered");
        assert_eq!((&journal()["installed"], &journal()["pending"]), (&there, &json!(null)));
        assert_eq!(fs::read(&scene.tool.path).unwrap(), fake("1.0.0"));
        assert_eq!(scene.tool.strays(), [""; 0]);
    }
}
