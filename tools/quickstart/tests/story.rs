//! Promise: the whole story works on real executables, from making keys to going back from a bad release.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::process::{Command, Stdio};
use std::sync::Mutex;

/// Both build the demo in one place.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
fn the_story_is_told_to_its_end() {
    is_told("story", &[]);
}

#[test]
fn the_same_story_is_told_with_the_releases_in_a_bucket() {
    is_told("bucket", &["--s3"]);
}

fn is_told(name: &str, arguments: &[&str]) {
    // The commands of the story are a person's: they build, and run in a shell.
    for program in ["cargo", "rustc", "sh"] {
        if let Err(error) =
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status()
        {
            println!("skipped: {program} is not there: {error}");
            return;
        }
    }
    let _turn = ONE_AT_A_TIME.lock();
    // Among the temporary files, where root may update a tool wherever this checkout is.
    let dir = std::env::temp_dir().join(format!("relatch-{name}-{}", std::process::id()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_quickstart"));
    let output = command.args(arguments).arg("--dir").arg(&dir).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    // The steps insist on exit codes and on which version answered; here, that the refusals were for the right reasons.
    let in_order = [
        "demo 1.0.0: line 3",
        "demo: updated 1.0.0 to 1.1.0",
        "demo 1.1.0: line 3",
        "demo 1.2.0: no failure found",
        "demo: back to 1.1.0",
        "demo 1.1.0: line 3",
        "1.2.0 is on hold",
        "not updated: blobs/",
        "not updated: the manifest has the blake3 hash",
        "demo 1.3.0: line 3",
        "verifies: root 1",
    ];
    let mut rest = &told[..];
    for text in in_order {
        let at = rest
            .find(text)
            .unwrap_or_else(|| panic!("`{text}` is missing after what came before it in\n{told}"));
        rest = rest.get(at + text.len()..).unwrap();
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_folder_of_somebody_else_is_not_emptied() {
    let dir = tempfile_dir();
    std::fs::write(dir.join("letter"), "to my love").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_quickstart")).arg("--dir").arg(&dir).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(dir.join("letter").exists());
    std::fs::remove_dir_all(&dir).unwrap();
}

fn tempfile_dir() -> std::path::PathBuf {
    let dir =
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("letters-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}
