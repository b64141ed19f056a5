//! Promise: every test that SECURITY.md names behind a mitigation exists under that name.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

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
    let mut place = PathBuf::from("tests");
    if let Some(dir) = match *segments.peek().unwrap() {
        "signer" => Some("tools/signer/tests"),
        "s3-client" => Some("tests/s3-client/tests"),
        _ => None,
    } {
        place = dir.into();
        segments.next();
    }
    let mut text = String::new();
    for segment in segments {
        let (file, dir) = (place.join(format!("{segment}.rs")), place.join(segment));
        // A module that no file names is not compiled.
        let is_named = text.is_empty() || text.contains(&format!("mod {segment};"));
        if file.is_file() && is_named {
            text = std::fs::read_to_string(file).unwrap();
            place = dir;
        } else if dir.join("main.rs").is_file() {
            text = std::fs::read_to_string(dir.join("main.rs")).unwrap();
            place = dir;
        } else {
            return is_test(segment, &text);
        }
    }
    true
}

/// A function that the harness runs, or a table of attacks.
fn is_test(name: &str, text: &str) -> bool {
    let is_function = text.split("#[test]\n").skip(1).any(|rest| {
        let first = rest.lines().find(|line| !line.trim_start().starts_with("#["));
        first.is_some_and(|line| line.trim_start().starts_with(&format!("fn {name}(")))
    });
    is_function || text.contains(&format!("table!({name},"))
}

#[test]
fn the_tests_that_are_named_exist() {
    let text = std::fs::read_to_string("SECURITY.md").unwrap();
    let mut count = 0;
    for cell in cells(&text) {
        let mut parts = cell.split('`');
        while let (Some(before), Some(name)) = (parts.next(), parts.next()) {
            count += 1;
            if before.ends_with("fuzz target ") {
                assert!(
                    Path::new("fuzz/targets").join(format!("{name}.rs")).is_file(),
                    "no fuzz target {name}"
                );
            } else {
                assert!(exists(name), "SECURITY.md names {name}, which is no test");
            }
        }
    }
    assert!(count > 50, "{count}");
    // The check can fail.
    for name in ["attacks::roots::no_such_test", "attacks::nowhere", "signer::nothing", "nothing::rotations"]
    {
        assert!(!exists(name), "{name}");
    }
}
