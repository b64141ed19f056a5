//! Secret keys on Windows: for their owner alone, and refused where they are not.
#![cfg(windows)]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use signer::custody::{self, KeySource};
use signer::key::SecretKey;

#[test]
fn a_key_is_its_owners() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("release.key");
    let key = SecretKey::generate().unwrap();
    custody::save(&key, &path, None).unwrap();
    let load = |path: &Path| KeySource::File(path.into()).load("NO_SUCH_VARIABLE").map(drop);
    assert!(load(&path).is_ok());
    assert!(custody::save(&key, &path, None).is_err(), "it is never written over");
    // Under wine everybody may read what a program makes without saying more.
    let copy = dir.path().join("copy.key");
    std::fs::write(&copy, std::fs::read(&path).unwrap()).unwrap();
    if !Path::new(r"Z:\bin\sh").exists() {
        let status = Command::new("icacls").arg(&copy).args(["/grant", "*S-1-1-0:R"]).status();
        assert!(status.unwrap().success());
    }
    let told = load(&copy).unwrap_err().to_string();
    assert!(
        told.contains("can be read or written by other users: Everyone (S-1-1-0); run `icacls"),
        "{told}"
    );
}
