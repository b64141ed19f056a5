//! Why a probed executable did not run, if the way it failed shows the cause (SPEC step 11).

use crate::escape::Words;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

/// The meaning of the signal that ended it on a system ([`std::env::consts::OS`]), beyond its name.
pub(super) fn of_signal(system: &str, signal: Option<i32>) -> Option<&'static str> {
    // On Apple silicon the kernel sends SIGKILL to an executable that is unsigned or was changed
    // after it was signed, and on every Mac to one that Gatekeeper refuses. On other systems it
    // means that the process was killed, or that memory ran out.
    (system == "macos" && signal == Some(9))
        .then_some("on macOS this means that the release is unsigned or not notarized, or was changed after it was signed")
}

/// The message of glibc's loader if a library here is older than the one that the program was
/// linked against. The loader then exits with 1, as many programs do for other reasons.
pub(super) fn of_loader(stderr: &str) -> Option<String> {
    let mut others = None;
    let mut glibc: Option<(Vec<u32>, &str)> = None;
    for line in stderr.lines() {
        // "./tool: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by
        // ./tool)"
        let Some((library, rest)) = line.split_once(": version `") else { continue };
        let Some((version, by)) = rest.split_once("' not found (") else { continue };
        if !by.starts_with("required by ") {
            continue;
        }
        match glibc_version(version) {
            Some(number) if glibc.as_ref().is_none_or(|(highest, _)| *highest < number) => {
                glibc = Some((number, version));
            }
            Some(_) => {}
            None => {
                let library = library.rsplit(['/', ' ']).next().unwrap_or(library);
                others = others.or(Some((library, version)));
            }
        }
    }
    if let Some((number, symbol)) = glibc {
        let number: Vec<_> = number.iter().map(u32::to_string).collect();
        return Some(format!(
            "it requires glibc {} or newer, and this system has an older one ({symbol} not found); \
             the publisher can link it against an older glibc, or statically with musl",
            number.join(".")
        ));
    }
    let (library, version) = others?;
    Some(format!(
        "it requires {} of {}, and this system has an older one; the publisher can build it on an \
         older system, or link it statically",
        Words(version),
        Words(library)
    ))
}

/// The release of glibc that introduced a version of its symbols.
fn glibc_version(name: &str) -> Option<Vec<u32>> {
    // Required by programs with packed relocations, which glibc reads since 2.36.
    if name == "GLIBC_ABI_DT_RELR" {
        return Some(vec![2, 36]);
    }
    name.strip_prefix("GLIBC_")?.split('.').map(|number| number.parse().ok()).collect()
}

/// The message of the loader if a library does not exist here: glibc's and musl's then exit with
/// 127, as they do where descriptors or memory ran out.
pub(super) fn of_missing_library(code: Option<i32>, stderr: &str) -> Option<String> {
    if code != Some(127) {
        return None;
    }
    let library = stderr.lines().find_map(|line| {
        // "./tool: error while loading shared libraries: libfoo.so.1: cannot open shared object
        // file: No such file or directory"
        let glibc = || {
            let (_, rest) = line.split_once(": error while loading shared libraries: ")?;
            rest.strip_suffix(": cannot open shared object file: No such file or directory")
        };
        // "Error loading shared library libfoo.so.1: No such file or directory (needed by ./tool)"
        let musl = || {
            let rest = line.strip_prefix("Error loading shared library ")?;
            Some(rest.split_once(": No such file or directory (needed by ")?.0)
        };
        glibc().or_else(musl)
    })?;
    Some(format!(
        "it requires the library {}, which this system does not have; the publisher can link it \
         statically",
        Words(library)
    ))
}

/// Why an existing file could not be started. The system reports "not found" if the program that
/// would run it does not exist. `dir` is the working directory in which it was to run.
pub(super) fn of_start(error: &io::Error, executable: &File, dir: &Path) -> Option<String> {
    if error.kind() != ErrorKind::NotFound {
        return None;
    }
    let interpreter = interpreter(&mut &*executable)?;
    if interpreter.path.is_empty() || !is_missing(&dir.join(&interpreter.path)) {
        return None;
    }
    Some(without_interpreter(&interpreter))
}

/// Why a script for env(1), which looks for its interpreter in PATH, exited with 127.
pub(super) fn of_script(code: Option<i32>, executable: &File) -> Option<String> {
    let head = read(&mut &*executable, 0, 256).filter(|_| code == Some(127))?;
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    if Path::new(words.next()?).file_name()? != "env" {
        return None;
    }
    let name = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
    let dirs = std::env::var_os("PATH")?;
    if !std::env::split_paths(&dirs).all(|dir| is_missing(&dir.join(name))) {
        return None;
    }
    Some(without_interpreter(&Interpreter { path: name.into(), script: true }))
}

/// An error is not an answer: what cannot be looked at may be there.
fn is_missing(path: &Path) -> bool {
    path.try_exists().is_ok_and(|exists| !exists)
}

fn without_interpreter(interpreter: &Interpreter) -> String {
    let path = &interpreter.path;
    let shown = Words(path).to_string();
    if interpreter.script {
        return format!("it is a script for {shown}, which this system does not have");
    }
    let name = Path::new(path).file_name().and_then(OsStr::to_str).unwrap_or_default();
    let (loader, instead) = if name.starts_with("ld-musl-") {
        ("musl's loader", "statically, or against glibc")
    } else if name.starts_with("ld-linux") || ["ld64.so.1", "ld64.so.2", "ld.so.1"].contains(&name) {
        ("glibc's loader", "statically with musl")
    } else {
        ("the loader", "statically")
    };
    format!(
        "it requires {loader} {shown}, which this system does not have; the publisher can link it \
         {instead}"
    )
}

/// The program that runs a file.
#[derive(Debug, PartialEq, Eq)]
struct Interpreter {
    path: String,
    script: bool,
}

/// The interpreter that a script names in its first line, or an ELF executable in its segment
/// `PT_INTERP` (elf(5)).
fn interpreter(file: &mut (impl Read + Seek)) -> Option<Interpreter> {
    const PT_INTERP: u64 = 3;
    let head = read(file, 0, 256)?;
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next()?;
        let path = String::from_utf8_lossy(line).split_whitespace().next()?.to_owned();
        return Some(Interpreter { path, script: true });
    }
    let elf = Elf { wide: head.get(4)? == &2, big_endian: head.get(5)? == &2 };
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    let (at, size, count) = if elf.wide {
        (elf.number(&head, 32, 8)?, elf.number(&head, 54, 2)?, elf.number(&head, 56, 2)?)
    } else {
        (elf.number(&head, 28, 4)?, elf.number(&head, 42, 2)?, elf.number(&head, 44, 2)?)
    };
    for index in 0..count.min(64) {
        let segment = read(file, at.checked_add(index * size)?, 56)?;
        if elf.number(&segment, 0, 4)? == PT_INTERP {
            let offset = if elf.wide { elf.number(&segment, 8, 8)? } else { elf.number(&segment, 4, 4)? };
            let text = read(file, offset, 256)?;
            let path = text.split(|byte| *byte == 0).next()?;
            return Some(Interpreter { path: String::from_utf8_lossy(path).into_owned(), script: false });
        }
    }
    None
}

/// How an ELF file stores numbers.
struct Elf {
    wide: bool,
    big_endian: bool,
}

impl Elf {
    fn number(&self, bytes: &[u8], at: usize, size: usize) -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(size)?)?;
        let fold = |number, byte: &u8| (number << 8) | u64::from(*byte);
        Some(if self.big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) })
    }
}

/// At most `most` bytes.
fn read(file: &mut (impl Read + Seek), at: u64, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(at)).ok()?;
    file.take(most).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn a_kill_means_a_missing_signature_on_macos_alone() {
        assert!(of_signal("macos", Some(9)).unwrap().contains("unsigned or not notarized"));
        for (system, signal) in [
            ("macos", Some(6)),
            ("macos", Some(11)),
            ("macos", None),
            ("linux", Some(9)),
            ("freebsd", Some(9)),
        ] {
            assert_eq!(of_signal(system, signal), None, "{system} {signal:?}");
        }
    }

    #[test]
    fn a_library_that_is_missing_is_named() {
        let glibc = "./t: error while loading shared libraries: libfoo.so.1: cannot open shared object file";
        let found = [
            format!("{glibc}: No such file or directory\n"),
            "Error loading shared library libfoo.so.1: No such file or directory (needed by ./t)\n".into(),
        ];
        for text in found {
            let why = of_missing_library(Some(127), &text).unwrap();
            assert!(why.starts_with("it requires the library libfoo.so.1, which this system"), "{why}");
            assert_eq!(of_missing_library(Some(1), &text), None);
        }
        // Too many open files, and no memory.
        for text in [format!("{glibc}: Error 24\n"), format!("{glibc}: Cannot allocate memory\n")] {
            assert_eq!(of_missing_library(Some(127), &text), None, "{text}");
        }
    }

    #[test]
    fn a_script_for_env_names_what_is_missing() {
        let of = |first: &str, code| {
            let mut file = tempfile::tempfile().unwrap();
            std::io::Write::write_all(&mut file, first.as_bytes()).unwrap();
            of_script(code, &file)
        };
        for first in ["#!/usr/bin/env no-such-snake\n", "#! /usr/bin/env -S A=1 no-such-snake -x\n"] {
            let why = of(first, Some(127)).unwrap();
            assert!(why.starts_with("it is a script for no-such-snake, which this system"), "{why}");
            assert_eq!(of(first, Some(126)), None);
        }
        for first in ["#!/bin/sh no-such-snake\n", "#!/usr/bin/env\n", "#!", "\x7fELF"] {
            assert_eq!(of(first, Some(127)), None, "{first}");
        }
        if cfg!(unix) {
            assert_eq!(of("#!/usr/bin/env sh\n", Some(127)), None);
        }
    }

    #[test]
    fn a_library_that_is_too_old_is_named() {
        let of_c = |version: &str| {
            format!("./t: /lib/x86_64-linux-gnu/libc.so.6: version `{version}' not found (required by ./t)\n")
        };
        // The highest of all, by number.
        let all = ["GLIBC_2.9", "GLIBC_2.38", "GLIBC_2.34"].map(of_c).concat();
        let why = of_loader(&all).unwrap();
        assert!(
            why.starts_with("it requires glibc 2.38 or newer, and this system has an older one"),
            "{why}"
        );
        assert!(why.contains("statically with musl"), "{why}");
        let mixed = format!(
            "./t: /usr/lib/libstdc++.so.6: version `GLIBCXX_3.4.32' not found (required by ./t)\n{all}"
        );
        assert_eq!(of_loader(&mixed), Some(why));
        assert!(of_loader(&of_c("GLIBC_2.2.5")).unwrap().contains("glibc 2.2.5 "));
        assert!(of_loader(&of_c("GLIBC_ABI_DT_RELR")).unwrap().contains("glibc 2.36 "));
        let others = mixed.lines().next().unwrap();
        let why = of_loader(others).unwrap();
        assert!(why.starts_with("it requires GLIBCXX_3.4.32 of libstdc++.so.6, and this system"), "{why}");
        // Private symbols belong to one build of glibc: there is no release number.
        assert!(of_loader(&of_c("GLIBC_PRIVATE")).unwrap().contains("GLIBC_PRIVATE of libc.so.6"));
        assert!(of_loader(&of_c("GLIBC_2.x\u{1b}[2J")).unwrap().contains("\\u{1b}"));

        for text in [
            "",
            "error: version `2' not found",
            "./t: error while loading shared libraries: libfoo.so: cannot open shared object file",
            "the library: version `GLIBC_2.38' not found (sorry)",
            ": version `",
        ] {
            assert_eq!(of_loader(text), None, "{text}");
        }
    }

    /// An ELF file of one segment, which names an interpreter.
    fn elf(wide: bool, big: bool, path: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 256];
        let mut put = |at: usize, size: usize, number: u64| {
            for (index, byte) in bytes[at..at + size].iter_mut().enumerate() {
                let place = if big { size - 1 - index } else { index };
                *byte = (number >> (8 * place)) as u8;
            }
        };
        let (head, segment) = if wide { (64, 56) } else { (52, 32) };
        if wide {
            put(32, 8, head);
            put(54, 2, segment);
            put(56, 2, 2);
        } else {
            put(28, 4, head);
            put(42, 2, segment);
            put(44, 2, 2);
        }
        let second = (head + segment) as usize;
        put(head as usize, 4, 6);
        put(second, 4, 3);
        if wide {
            put(second + 8, 8, 200)
        } else {
            put(second + 4, 4, 200)
        }
        bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 1 + u8::from(wide), 1 + u8::from(big)]);
        bytes[200..200 + path.len()].copy_from_slice(path);
        bytes
    }

    #[test]
    fn the_interpreter_of_a_file_is_read_from_it() {
        let of = |bytes: Vec<u8>| interpreter(&mut Cursor::new(bytes));
        let path = "/lib/ld-musl-x86_64.so.1";
        for (wide, big) in [(true, false), (false, false), (true, true), (false, true)] {
            let bytes = elf(wide, big, path.as_bytes());
            assert_eq!(of(bytes.clone()), Some(Interpreter { path: path.into(), script: false }));
            // No file makes it panic, or read without end.
            for length in 0..bytes.len() {
                of(bytes[..length].to_vec());
                let mut odd = bytes.clone();
                odd[length] = 0xff;
                of(odd);
            }
        }
        let script = |path: &str| Some(Interpreter { path: path.into(), script: true });
        assert_eq!(of(b"#! /opt/none -x\nrest".to_vec()), script("/opt/none"));
        assert_eq!(of(b"#!".to_vec()), None);
        assert_eq!(of(b"<html>".to_vec()), None);
    }

    #[test]
    fn the_missing_loader_is_named() {
        let of = |path: &str| without_interpreter(&Interpreter { path: path.into(), script: false });
        for (path, expected) in [
            (
                "/lib/ld-musl-x86_64.so.1",
                "musl's loader /lib/ld-musl-x86_64.so.1, which this system does not have; the \
                 publisher can link it statically, or against glibc",
            ),
            (
                "/lib64/ld-linux-x86-64.so.2",
                "glibc's loader /lib64/ld-linux-x86-64.so.2, which this system does not have; the \
                 publisher can link it statically with musl",
            ),
            ("/lib/ld-linux-aarch64.so.1", "glibc's loader /lib/ld-linux-aarch64.so.1, which"),
            ("/gnu/store/ld.so", "the loader /gnu/store/ld.so, which"),
        ] {
            assert!(of(path).contains(expected), "{}", of(path));
        }
    }
}
