//! Promise: what the vectors say is what the library does; and they say all that SPEC section 5 numbers.
//!
//! `RELATCH_WRITE_VECTORS=1 cargo test --test vectors` writes the files anew from the tables in `tables/`.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests are tests"
)]

mod file;
#[path = "../support/minisign.rs"]
mod minisign;
mod run;
mod tables;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::Value;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(format!("{name}.json"))
}

/// A committed file.
fn read(name: &str) -> Value {
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path(name)).unwrap()).unwrap();
    assert_eq!(file["format"], file::FORMAT);
    assert_eq!(file["count"].as_u64().unwrap() as usize, file["vectors"].as_array().unwrap().len());
    file
}

#[test]
fn the_files_are_what_the_tables_say() {
    let write = std::env::var_os("RELATCH_WRITE_VECTORS").is_some();
    let mut names = BTreeSet::new();
    for file in tables::all() {
        let text = file.to_text();
        if write {
            std::fs::write(path(file.name), &text).unwrap();
        }
        let there = std::fs::read_to_string(path(file.name)).unwrap();
        assert!(there == text, "{}.json differs: RELATCH_WRITE_VECTORS=1 writes it anew", file.name);
        names.insert(format!("{}.json", file.name));
    }
    let there = std::fs::read_dir(path("x").parent().unwrap()).unwrap();
    let there = there.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let there: BTreeSet<String> = there.filter(|name| name.ends_with(".json")).collect();
    assert_eq!(there, names, "no file without a table");
}

/// Runs all vectors of a file; all that fail are told.
fn all(name: &str, run: impl Fn(&Value, &Value) + std::panic::RefUnwindSafe) {
    let file = read(name);
    let mut failed = 0;
    for vector in file["vectors"].as_array().unwrap() {
        let (run, file) = (&run, &file);
        let done = std::panic::catch_unwind(|| run(vector, file));
        failed += usize::from(done.is_err());
    }
    assert_eq!(failed, 0, "vectors of {name}.json, told above");
}

/// The same where an answer is compared.
fn answered(name: &str, answer: impl Fn(&Value, &Value) -> Value + std::panic::RefUnwindSafe) {
    all(name, |vector, file| {
        let told = answer(vector, file);
        let fields = ["result", "valid", "line", "key", "reason", "version"];
        let expected =
            fields.iter().filter_map(|field| Some(((*field).to_owned(), vector.get(*field)?.clone())));
        let expected = Value::from(expected.collect::<serde_json::Map<_, _>>());
        assert!(same(&told, &expected), "{}: {told} instead of {expected}", vector["name"]);
    });
}

fn same(told: &Value, expected: &Value) -> bool {
    told.as_object().unwrap().len() == expected.as_object().unwrap().len()
        && told.as_object().unwrap().iter().all(|(field, value)| expected.get(field) == Some(value))
}

#[test]
fn signatures() {
    answered("signatures", run::low::signature);
}

#[test]
fn keys() {
    answered("keys", run::low::key);
}

#[test]
fn values() {
    answered("values", run::low::value);
}

#[test]
fn order() {
    answered("order", run::low::order);
}

#[test]
fn documents() {
    answered("documents", run::low::document);
}

#[test]
fn records() {
    answered("records", run::low::record);
}

#[test]
fn check_roots() {
    all("check-roots", run::check::run);
}

#[test]
fn check_lineage() {
    all("check-lineage", run::check::run);
}

#[test]
fn check_version() {
    all("check-version", run::check::run);
}

#[test]
fn check_manifest() {
    all("check-manifest", run::check::run);
}

#[test]
fn check_decision() {
    all("check-decision", run::check::run);
}

#[test]
fn check_blobs() {
    all("check-blobs", run::check::run);
}

#[test]
fn check_state() {
    all("check-state", run::check::run);
}

#[test]
fn check_rollback() {
    all("check-rollback", run::check::run);
}

/// Steps 3 to 8 of all whole checks by the machine alone: no disk, no clock, no network.
#[test]
fn checks_in_memory() {
    let decided = std::sync::atomic::AtomicUsize::new(0);
    for file in ["roots", "lineage", "version", "manifest", "decision", "blobs", "state"] {
        all(&format!("check-{file}"), |vector, file| {
            let is_decided = usize::from(run::memory::run(vector, file));
            decided.fetch_add(is_decided, std::sync::atomic::Ordering::Relaxed);
        });
    }
    assert!(decided.into_inner() > 300, "most vectors are decided by steps 3 to 8");
}

/// Steps 1, 2, 11 and 12 are about one machine, and have no letters.
#[test]
fn every_step_of_the_specification_occurs() {
    let spec = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/SPEC.md")).unwrap();
    let section = spec.split("\n## ").find(|section| section.starts_with("5. ")).unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next());
    let is_step = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    let mut steps: BTreeSet<String> = rows.filter(is_step).map(str::to_owned).collect();
    assert!(steps.len() >= 34, "{steps:?}");
    steps.extend(["5", "kind", "9", "10", "6.1", "6.2", "6.3", "6.4", "6.5"].map(String::from));
    for file in tables::all() {
        for vector in file.vectors {
            if let Some(step) = vector["step"].as_str() {
                steps.remove(step);
            }
        }
    }
    assert!(steps.is_empty(), "no vector for {steps:?}");
}
