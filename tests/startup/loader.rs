//! A release that the loader of Linux does not start is reported with what it lacks.

use std::process::Command;

use super::*;

/// What the error says of a release with these bytes; it is not swapped in.
#[track_caller]
fn said_of(bytes: &[u8]) -> String {
    let mut repository = repository();
    let tool = tool(&repository, json!({}));
    repository.release("1.1.0", bytes);
    let before = tool.digest();
    let output = tool.run(&[]);
    assert_runs(&output, "widget 1.0.0 \n");
    assert_eq!(tool.digest(), before);
    assert_eq!(tool.strays(), [""; 0]);
    stderr(&output)
}

/// A C program that does nothing, linked with these options; `None` where nothing here can make one.
fn linked(options: &[&str]) -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let (source, program) = (dir.path().join("main.c"), dir.path().join("main"));
    std::fs::write(&source, "#include <stdio.h>\nint main(void) { puts(\"never\"); return 0; }\n").unwrap();
    let made = Command::new("cc").arg(&source).arg("-o").arg(&program).args(options).output();
    if !made.is_ok_and(|output| output.status.success()) {
        println!("skipped: there is no C compiler that links with {options:?}");
        return None;
    }
    Some(std::fs::read(&program).unwrap())
}

/// The same program as if it had been linked against a glibc of the future: another name of a version, and the hash that belongs to it.
fn of_a_later_glibc(mut program: Vec<u8>) -> Option<Vec<u8>> {
    const LATER: &[u8] = b"GLIBC_9.99";
    // The hash of SysV's ABI.
    let hash = |name: &[u8]| {
        name.iter().fold(0_u32, |hash, byte| {
            let hash = (hash << 4).wrapping_add(u32::from(*byte));
            (hash ^ ((hash & 0xf000_0000) >> 24)) & 0x0fff_ffff
        })
    };
    let places = |program: &[u8], wanted: &[u8]| -> Vec<usize> {
        program
            .windows(wanted.len())
            .enumerate()
            .filter(|(_, found)| *found == wanted)
            .map(|(at, _)| at)
            .collect()
    };
    let name = program.windows(LATER.len() + 1).find(|found| {
        found.starts_with(b"GLIBC_2.") && found[8..10].iter().all(u8::is_ascii_digit) && found[10] == 0
    })?;
    let name = name[..LATER.len()].to_vec();
    for at in places(&program, &name) {
        program[at..at + LATER.len()].copy_from_slice(LATER);
    }
    for at in places(&program, &hash(&name).to_le_bytes()) {
        program[at..at + 4].copy_from_slice(&hash(LATER).to_le_bytes());
    }
    Some(program)
}

#[test]
fn a_release_for_a_later_glibc_is_reported_as_that() {
    let expected = "1.1.0 does not run on this machine: it requires glibc 9.99 or newer, and this system has an older one \
                    (GLIBC_9.99 not found); the publisher can link it against an older glibc, or statically with musl";
    let loader = "#!/bin/sh\necho \"$0: /lib/libc.so.6: version \\`GLIBC_9.99' not found (required by $0)\" >&2\nexit 1\n";
    let said = said_of(loader.as_bytes());
    assert!(said.contains(expected), "{said}");

    match linked(&[]).map(of_a_later_glibc) {
        Some(Some(program)) => {
            let said = said_of(&program);
            assert!(said.contains(expected), "{said}");
        }
        Some(None) => println!("skipped: what cc links here names no version of glibc with two digits"),
        None => {}
    }
}

#[test]
fn a_release_whose_loader_is_missing_is_reported_as_that() {
    let said = said_of(b"#!/no/such/interpreter -x\n");
    assert!(
        said.contains("it is a script for /no/such/interpreter, which this system does not have"),
        "{said}"
    );
    for (loader, expected) in [
        (
            "/no/ld-musl-x86_64.so.1",
            "requires musl's loader /no/ld-musl-x86_64.so.1, which this system does not have",
        ),
        (
            "/no/ld-linux-x86-64.so.2",
            "requires glibc's loader /no/ld-linux-x86-64.so.2, which this system does not have",
        ),
    ] {
        let Some(program) = linked(&[&format!("-Wl,--dynamic-linker={loader}")]) else { return };
        let said = said_of(&program);
        assert!(said.contains(expected), "{said}");
    }
}
