//! Secret keys on Windows: for their owner alone, and refused where they are not.
#![cfg(windows)]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use signer::custody::{self, KeySource};
use signer::key::SecretKey;

/// Lets everybody read a file: by its access list, or under wine by the mode that wine makes one of.
fn open_to_everybody(path: &Path) -> bool {
    let wine = Path::new(r"Z:\bin\chmod");
    let mut command = match wine.exists() {
        true => {
            let prefix = std::env::var("WINEPREFIX").unwrap_or_default();
            let unix = path.display().to_string().replace('\\', "/");
            let unix = unix.replacen("C:", &format!("{prefix}/drive_c"), 1).replacen("Z:", "", 1);
            let mut command = Command::new(wine);
            command.args(["0644", &unix]);
            command
        }
        false => {
            let mut command = Command::new("icacls");
            command.arg(path).args(["/grant", "*S-1-1-0:R"]);
            command
        }
    };
    command.status().is_ok()
}

#[test]
fn a_key_is_its_owners() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("release.key");
    let key = SecretKey::generate().unwrap();
    custody::save(&key, &path, None).unwrap();
    let load = || KeySource::File(path.clone()).load("NO_SUCH_VARIABLE");
    assert!(load().is_ok());
    if !open_to_everybody(&path) {
        println!("skipped: the access list of a file cannot be changed here");
        return;
    }
    std::thread::sleep(std::time::Duration::from_millis(500)); // of wine's host programs nobody knows when they have ended
    let Err(error) = load() else { panic!("it was read") };
    let told = error.to_string();
    assert!(told.contains("can be read or written by others: Everyone (S-1-1-0); `icacls"), "{told}");
    assert!(custody::save(&key, &path, None).is_err(), "it is never written over");
}
