//! A publisher that loses: between what it read and what it writes, somebody else published.

use std::time::{Duration, Instant};

use fs4::FileExt;

use crate::scene::{REPO, Scene, finish, run, spawn};
use crate::support::stderr;

/// A release whose manifest is there, so that nothing but `VERSION` is missing; it waits for the lock, which the test holds.
pub fn waiting_for_version(
    scene: &Scene,
    command: &mut std::process::Command,
) -> (std::process::Child, std::fs::File) {
    let manifests = || std::fs::read_dir(scene.desk.path("repo/manifests")).unwrap().count();
    let before = manifests();
    let lock = std::fs::File::create(scene.desk.path("repo/stable/.lock")).unwrap();
    FileExt::lock(&lock).unwrap();
    let child = spawn(command);
    let until = Instant::now() + Duration::from_secs(30);
    while manifests() < before + 2 {
        assert!(Instant::now() < until, "it does not get as far as VERSION");
        std::thread::sleep(Duration::from_millis(1));
    }
    (child, lock)
}

#[test]
fn who_is_overtaken_writes_no_version() {
    let mut scene = Scene::new();
    let ours = scene.bytes("repo/stable/VERSION");
    scene.desk.ok(&[&["refresh", "--key", "keys/clock.key"][..], &REPO].concat());
    let theirs = scene.bytes("repo/stable/VERSION");
    scene.desk.write("repo/stable/VERSION", ours);
    let (child, lock) = waiting_for_version(&scene, &mut scene.release("1.2.0", &[]));
    scene.desk.write("repo/stable/VERSION", &theirs);
    drop(lock);
    let output = finish(child);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(4), "{told}");
    for part in [
        "stable/VERSION was changed by another publisher after it was read",
        "Nothing was overwritten",
        "signer show",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(scene.bytes("repo/stable/VERSION"), theirs);
    scene.told_safely("overtaken", &output);
    // Its manifest is there, above what VERSION names: that is said, and the same call finishes it.
    let verify = run(&mut scene.at_repo(&["verify"]));
    assert_eq!(verify.status.code(), Some(3), "{}", stderr(&verify));
    assert!(stderr(&verify).contains("is signed and in the repository (version 1.2.0, manifest "));
    let again = run(&mut scene.release("1.2.0", &[]));
    assert!(again.status.success(), "{}", stderr(&again));
    let verify = run(&mut scene.at_repo(&["verify"]));
    assert!(verify.status.success(), "{}", stderr(&verify));
    scene.goes_on("overtaken");
}
