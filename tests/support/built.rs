//! Executables of this workspace that cargo has built beside the test that runs.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::path::{Path, PathBuf};

/// The path of an executable of this workspace.
///
/// `RELATCH_TEST_BIN` names a directory of prebuilt ones, for tests that run elsewhere than where they were built. Without it they lie in
/// the directory that cargo built this test in. No test calls cargo: it cannot cross-build from inside a test, and may not be there.
pub fn built(name: &str) -> PathBuf {
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    if let Some(dir) = std::env::var_os("RELATCH_TEST_BIN") {
        return Path::new(&dir).join(file);
    }
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join(file); // <profile>/deps/<test>
    let advice = format!("`cargo build --bin {name}` builds it, and so does `cargo test --workspace`");
    assert!(path.is_file(), "{} does not exist: {advice}", path.display());
    if let Some(newer) = newer_source(&path) {
        panic!("{} is older than {}: {advice}", path.display(), newer.display());
    }
    path
}

/// The path of a library of this workspace that a program can load. It need not be there: not every
/// target has such libraries.
pub fn library(name: &str) -> PathBuf {
    let file = format!("{}{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    if let Some(dir) = std::env::var_os("RELATCH_TEST_BIN") {
        return Path::new(&dir).join(file);
    }
    std::env::current_exe().unwrap().with_file_name(file) // <profile>/deps, where the test is
}

/// Whether an executable of another package of this workspace was built.
pub fn exists(name: &str) -> bool {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join(format!("{name}{}", std::env::consts::EXE_SUFFIX)).is_file()
}

/// Of the files that cargo says an executable was built from, one that was changed since.
fn newer_source(executable: &Path) -> Option<PathBuf> {
    let rules = std::fs::read_to_string(executable.with_extension("d")).ok()?;
    let built = std::fs::metadata(executable).ok()?.modified().ok()?;
    let (_, sources) = rules.split_once(": ")?;
    // Spaces within a name are escaped.
    let sources = sources.trim_end().replace("\\ ", "\0");
    let sources = sources.split(' ').map(|source| PathBuf::from(source.replace('\0', " ")));
    // Another checkout's, where a target directory was copied, say nothing.
    let workspace =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|dir| dir.join("Cargo.lock").is_file())?;
    sources.into_iter().filter(|source| source.starts_with(workspace)).find(|source| {
        std::fs::metadata(source).and_then(|meta| meta.modified()).is_ok_and(|changed| changed > built)
    })
}
