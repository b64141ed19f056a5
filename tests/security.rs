//! Promise: every test that SECURITY.md names behind a mitigation exists under that name, and it names every test about attacks.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The cells of the column "Tests" of all tables.
fn cells(text: &str) -> Vec<String> {
    let mut column = None;
    let mut cells = Vec::new();
    for line in text.lines() {
        let row: Vec<&str> = line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
        if !line.starts_with('|') {
            column = None;
        } else if let Some(found) = row.iter().position(|cell| *cell == "Tests") {
            column = Some(found);
        } else if let Some(column) = column.filter(|_| !line.starts_with("|-")) {
            cells.push(row.get(column).unwrap_or_else(|| panic!("no column for tests: {line}")).to_string());
        }
    }
    cells
}

/// Whether there is such a file, module, test or table of attacks.
fn exists(name: &str) -> bool {
    let mut segments = name.split("::").peekable();
    let mut place = PathBuf::from("../tests");
    if let Some(dir) = match *segments.peek().unwrap() {
        "signer" => Some("../tools/signer/tests"),
        "s3-client" => Some("../tests/s3-client/tests"),
        "lib" => Some("../src"),
        _ => None,
    } {
        place = dir.into();
        segments.next();
    }
    let mut text = String::new();
    for segment in segments {
        let (file, dir) = (place.join(format!("{segment}.rs")), place.join(segment));
        let main = ["main.rs", "mod.rs"].map(|name| dir.join(name)).into_iter().find(|main| main.is_file());
        // A module that no file names is not compiled.
        let is_named = text.is_empty() || text.contains(&format!("mod {segment};"));
        if file.is_file() && is_named {
            text = std::fs::read_to_string(file).unwrap();
            place = dir;
        } else if let Some(main) = main.filter(|_| is_named) {
            text = std::fs::read_to_string(main).unwrap();
            place = dir;
        } else {
            return tests_in(&text).contains(segment);
        }
    }
    // The main file of many tests has none of its own.
    !tests_in(&text).is_empty() || text.contains("\nmod ")
}

/// The functions that the harness runs, and tables of attacks.
fn tests_in(text: &str) -> BTreeSet<&str> {
    let functions = text.split("#[test]\n").skip(1).filter_map(|rest| {
        let first = rest.lines().find(|line| !line.trim_start().starts_with("#["))?.trim_start();
        first.strip_prefix("pub ").unwrap_or(first).strip_prefix("fn ")?.split('(').next()
    });
    let tables = text.split("\ntable!(").skip(1).filter_map(|rest| rest.split(',').next());
    functions.chain(tables).filter(|name| !name.starts_with('$')).collect()
}

/// Everything between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_tests_that_are_named_exist() {
    let text = std::fs::read_to_string("../SECURITY.md").unwrap();
    let ci = std::fs::read_to_string("../.ci/run").unwrap();
    let mut count = 0;
    for cell in cells(&text) {
        let mut parts = cell.split('`');
        let mut is_step = false;
        while let (Some(before), Some(name)) = (parts.next(), parts.next()) {
            count += 1;
            if before.ends_with("fuzz target ") {
                assert!(
                    Path::new("../fuzz/targets").join(format!("{name}.rs")).is_file(),
                    "no fuzz target {name}"
                );
            } else if before.ends_with("step ") || before.ends_with("steps ") || (is_step && before == ", ") {
                assert!(ci.contains(&format!("\nstep \"{name}")), "no step {name} in .ci/run");
                is_step = true;
                continue;
            } else if name.ends_with(".json") {
                assert!(Path::new("..").join(name).is_file(), "no file {name}");
            } else {
                assert!(exists(name), "SECURITY.md names {name}, which is no test");
            }
            is_step = false;
        }
    }
    for name in quoted(&text).filter(|name| name.starts_with("attacks::") || name.starts_with("signer::")) {
        assert!(exists(name) || name == "signer::", "SECURITY.md names {name}, which is no test");
    }
    assert!(count > 50, "{count}");
    // The check can fail.
    for name in ["attacks::roots::no_such_test", "attacks::nowhere", "signer::nothing", "nothing::rotations"]
    {
        assert!(!exists(name), "{name}");
    }
}

/// Of the tests in this directory, those that are named neither by themselves nor by their file.
fn unnamed(dir: &str, prefix: &str, names: &BTreeSet<&str>) -> Vec<String> {
    let mut unnamed = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let file = entry.unwrap().path();
        let text = std::fs::read_to_string(&file).unwrap();
        let module = match file.file_stem().unwrap().to_str().unwrap() {
            "main" => prefix.to_owned(),
            module => format!("{prefix}::{module}"),
        };
        let tests = tests_in(&text).into_iter().map(|test| format!("{module}::{test}"));
        let is_named = |test: &String| {
            names.contains(test.as_str()) || (module != prefix && names.contains(module.as_str()))
        };
        unnamed.extend(tests.filter(|test| !is_named(test)));
    }
    unnamed
}

/// A mitigation without a test is seen in the table; a test that stands behind nothing, here.
#[test]
fn the_tests_about_attacks_are_named() {
    let text = std::fs::read_to_string("../SECURITY.md").unwrap();
    let names: BTreeSet<&str> = quoted(&text).collect();
    for (dir, prefix) in
        [("../tests/attacks", "attacks"), ("../tools/signer/tests/attacks", "signer::attacks")]
    {
        let unnamed = unnamed(dir, prefix, &names);
        assert!(unnamed.is_empty(), "SECURITY.md names neither these tests nor their files: {unnamed:#?}");
    }
    // The check can fail.
    let mut fewer = names.clone();
    assert!(fewer.remove("attacks::tls") && fewer.remove("signer::attacks::releases"));
    assert_eq!(
        unnamed("../tests/attacks", "attacks", &fewer),
        ["attacks::tls::who_does_not_speak_for_the_host"]
    );
    assert!(unnamed("../tools/signer/tests/attacks", "signer::attacks", &fewer).len() > 3);
}
