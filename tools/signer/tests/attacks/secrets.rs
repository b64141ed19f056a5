//! Where a secret stands while it is used, and where it does not: not in arguments, not in what a child inherits, not in what is told, be
//! it by a panic, not in memory once everything is signed. Every row of the table is also searched for all of them.

use std::fmt::{Debug, Display};
use std::path::Path;
use std::process::Stdio;

use signer::custody::{KeyArgument, KeySource};
use signer::folder::Folder;
use signer::key::SecretKey;
use signer::signing::SigningKey;

use crate::key_file::KeyFile;
#[cfg(target_os = "linux")]
use crate::race::waiting_for_version;
#[cfg(unix)]
use crate::scene::in_a_shell;
use crate::scene::{PASSWORD, Scene, contains, run};
#[cfg(target_os = "linux")]
use crate::scene::{finish, spawn};
use crate::signers::Odd;
use crate::support::{make_private, stderr};

/// What this process may write to; `None` where the system does not let its parent look.
#[cfg(target_os = "linux")]
fn memory(pid: u32) -> Option<Vec<u8>> {
    use std::io::{Read, Seek, SeekFrom};
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = std::fs::File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut bytes = Vec::new();
    for line in maps.lines() {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        if !fields[1].contains('w') || fields.last().is_some_and(|name| name.starts_with("[v")) {
            continue;
        }
        let (from, to) = fields[0].split_once('-').unwrap();
        let [from, to] = [from, to].map(|hex| u64::from_str_radix(hex, 16).unwrap());
        memory.seek(SeekFrom::Start(from)).unwrap();
        drop((&mut memory).take(to - from).read_to_end(&mut bytes)); // the end of a mapping of a file may be none
    }
    Some(bytes)
}

#[cfg(target_os = "linux")]
fn arguments_and_environment(pid: u32) -> Vec<u8> {
    [
        std::fs::read(format!("/proc/{pid}/cmdline")).unwrap(),
        std::fs::read(format!("/proc/{pid}/environ")).unwrap(),
    ]
    .concat()
}

/// By file, encrypted file and standard input. A key in a variable stays in the process's environment, as the system keeps it there.
#[cfg(target_os = "linux")]
#[test]
fn nowhere_in_the_process_once_everything_is_signed() {
    let mut scene = Scene::new();
    let mut file = KeyFile::parse(&scene.desk.read("keys/human.key"));
    file.encrypt("in-the-environment");
    scene.desk.write("encrypted.key", file.to_text());
    make_private(&scene.desk.path("encrypted.key"));
    let mut command = scene.release_by(&["clock"], "1.2.0", &["--key", "encrypted.key", "--key", "-"]);
    command.env("SIGNER_PASSWORD", "in-the-environment");
    command.stdin(std::fs::File::open(scene.desk.path("keys/ci.key")).unwrap());
    let (child, lock) = waiting_for_version(&scene, &mut command);
    scene.holds_no_secret("waiting", "arguments or environment", &arguments_and_environment(child.id()));
    match memory(child.id()) {
        None => println!("skipped: this system does not let a parent look into its child's memory"),
        Some(memory) => {
            assert!(contains(&memory, scene.public("ci").as_bytes()), "the memory was read");
            scene.holds_no_secret("waiting", "memory", &memory);
        }
    }
    drop(lock);
    let output = finish(child);
    assert!(output.status.success(), "{}", stderr(&output));
    scene.told_safely("waiting", &output);
    scene.goes_on("waiting");
}

/// The same search finds a key that is still needed: it would find one that was forgotten.
#[cfg(target_os = "linux")]
#[test]
fn in_memory_only_while_it_is_needed() {
    let scene = Scene::new();
    // The second key is waited for, so the first one is held.
    let mut child = spawn(scene.release_by(&["ci"], "1.2.0", &["--key", "-"]).stdin(Stdio::piped()));
    let seed = KeyFile::parse(&scene.desk.read("keys/ci.key")).seed;
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        scene.holds_no_secret("waiting", "arguments or environment", &arguments_and_environment(child.id()));
        match memory(child.id()) {
            None => println!("skipped: this system does not let a parent look into its child's memory"),
            Some(memory) if !contains(&memory, &seed) => {
                assert!(std::time::Instant::now() < until, "the search finds nothing");
                continue;
            }
            Some(_) => {}
        }
        break;
    }
    drop(child.stdin.take());
    let output = finish(child);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    scene.told_safely("waiting", &output);
}

/// `git` is asked whether it would track a new key; it may start programs of the work tree's choice. Here it is a shell script.
#[cfg(unix)]
#[test]
fn a_child_inherits_no_secret() {
    let scene = Scene::new();
    for (name, content) in
        [("bin/git", "#!/bin/sh\nenv > seen; printf '%s\\n' \"$@\" >> seen\n"), (".git/x", "")]
    {
        std::fs::create_dir(scene.desk.path(name).parent().unwrap()).unwrap();
        // By another process: what another thread starts meanwhile could inherit it, and keep it from being executed.
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""]);
        assert!(shell.arg(scene.desk.path(name)).arg(content).status().unwrap().success());
    }
    let path = format!("{}:{}", scene.desk.path("bin").display(), std::env::var("PATH").unwrap());
    let mut command = scene.command(&["keygen", "--no-password", "--out", "new.key"]);
    command
        .env("PATH", path)
        .env("SIGNER_PASSWORD", PASSWORD)
        .env("RELEASE_KEY", scene.desk.read("keys/ci.key"));
    command.env("AWS_SECRET_ACCESS_KEY", PASSWORD).env("GIT_DIR", "/elsewhere");
    let output = run(&mut command);
    assert!(output.status.success(), "{}", stderr(&output));
    let seen = scene.desk.read("seen");
    assert!(
        seen.contains("check-ignore\n") && seen.contains("new.key\n") && seen.contains("PATH="),
        "{seen}"
    );
    scene.holds_no_secret("git", "what git got", seen.as_bytes());
    assert!(!seen.contains("GIT_DIR"), "{seen}");
}

/// What is told ends where nobody reads it, and not in a panic.
#[test]
fn nobody_listens() {
    let scene = Scene::new();
    for (arguments, code) in
        [(&["sign", "nowhere", "--key", "keys/ci.key"][..], 2), (&["show", "signed"], 0), (&["nonsense"], 2)]
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = scene.command(arguments);
        let status = command.stdout(writer.try_clone().unwrap()).stderr(writer).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

/// Fails to compile where the type has the trait: then both implementations fit.
macro_rules! has_no {
    ($type:ty: $bound:path) => {{
        trait HasNo<Which> {
            fn holds() {}
        }
        impl<T> HasNo<()> for T {}
        impl<T: $bound> HasNo<u8> for T {}
        <$type as HasNo<_>>::holds();
    }};
}

#[test]
fn what_holds_a_secret_cannot_be_shown_or_copied() {
    has_no!(SecretKey: Debug);
    has_no!(SecretKey: Display);
    has_no!(SecretKey: Clone);
    has_no!(Box<dyn SigningKey>: Debug);
    has_no!(KeyArgument: Display);
    let scene = Scene::new();
    let text = scene.desk.read("keys/ci.key");
    let pasted = KeyArgument::from(text.clone());
    assert_eq!(format!("{pasted:?}"), "KeyArgument(..)");
    for told in
        [format!("{:?}", pasted.source()), format!("{:?}", KeyArgument::from(format!("env:{text}")).source())]
    {
        assert!(told.starts_with("Err(Key {"), "{told}");
        scene.holds_no_secret("Debug", "an error", told.as_bytes());
    }
    assert_eq!(format!("{:?}", KeyArgument::from("a.key".to_owned()).source().unwrap()), "File(\"a.key\")");
    assert_eq!(KeySource::Stdin.to_string(), "on standard input");
    let damaged = KeyArgument::from(scene.desk.path("damaged.key").display().to_string()).source().unwrap();
    scene.desk.write("damaged.key", text.replace("RWQ", "RWR"));
    make_private(&scene.desk.path("damaged.key"));
    let failure = damaged.load("NO_PASSWORD").map(drop).unwrap_err();
    scene.holds_no_secret("Debug", "an error", format!("{failure:?} {failure}").as_bytes());
}

/// Which panic of `panics` a process of this test is to end in.
const PANIC: &str = "SIGNER_TEST_PANIC";

/// Secrets are in the hands of whoever panics, below `signer`'s own code or in it.
fn panics(which: &str) {
    let password = zeroize::Zeroizing::new(std::env::var("SIGNER_PASSWORD").unwrap());
    let text = zeroize::Zeroizing::new(std::fs::read_to_string("keys/ci.key").unwrap());
    let source = |name: &str| KeyArgument::from(name.to_owned()).source().unwrap();
    let ci = source("keys/ci.key").load("SIGNER_PASSWORD").unwrap();
    let encrypted = SecretKey::from_text(&std::fs::read_to_string("encrypted.key").unwrap(), Some(&password));
    match which {
        "while the others sign" => {
            let human = encrypted.unwrap();
            let fails = Odd(&human, &|_, _| panic!("a bug in a dependency"));
            Folder::open(Path::new("unsigned")).unwrap().sign(&[&*ci, &fails]).unwrap();
        }
        "of an error of the key" => {
            drop(SecretKey::from_text(&text[..text.len() - 9], Some(&password)).unwrap())
        }
        "of an error of the password" => {
            let file = std::fs::read_to_string("encrypted.key").unwrap();
            drop(SecretKey::from_text(&file, Some(&format!("{}x", *password))).unwrap());
        }
        "of an error of the argument" => drop(KeyArgument::from(text.to_string()).source().unwrap()),
        "of an error of the file" => drop(source("damaged.key").load("SIGNER_PASSWORD").unwrap()),
        // The search would find a secret that is told.
        "of a secret" => panic!("{}", *text),
        other => unreachable!("{other}"),
    }
}

/// A panic tells its message and, as RUST_BACKTRACE asks, the functions that were running: never what they held.
#[test]
fn a_panic_tells_no_secret() {
    if let Ok(which) = std::env::var(PANIC) {
        return panics(&which);
    }
    let scene = Scene::new();
    let mut file = KeyFile::parse(&scene.desk.read("keys/human.key"));
    file.encrypt(PASSWORD);
    scene.desk.write("encrypted.key", file.to_text());
    scene.desk.write("damaged.key", scene.desk.read("keys/ci.key").replace("RWQ", "RWR"));
    for name in ["encrypted.key", "damaged.key"] {
        make_private(&scene.desk.path(name));
    }
    for (which, says) in [
        ("while the others sign", "a bug in a dependency"),
        ("of an error of the key", "is not a minisign secret key"),
        ("of an error of the password", "does not match its checksum"),
        ("of an error of the argument", "seems to be the key itself"),
        ("of an error of the file", "damaged.key"),
        ("of a secret", "untrusted comment"),
    ] {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "secrets::a_panic_tells_no_secret", "--nocapture"]);
        command.current_dir(scene.desk.dir.path()).env("RUST_BACKTRACE", "full").env(PANIC, which);
        let output = run(command.env("SIGNER_PASSWORD", PASSWORD).stdin(Stdio::null()));
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(101), "{which}: {told}");
        assert!(told.contains(says) && told.contains("stack backtrace:"), "{which}: {told}");
        let all = [&output.stdout[..], &output.stderr[..]].concat();
        if which == "of a secret" {
            assert!(
                scene.secrets.iter().any(|(_, secret)| contains(&all, secret)),
                "the search finds nothing"
            );
        } else {
            scene.holds_no_secret(which, "a panic", &all);
        }
    }
}

/// Where memory for scrypt is not to be had, the process ends as Rust ends it. Only Unix can limit its memory so.
#[cfg(unix)]
#[test]
fn no_memory_tells_no_secret() {
    let scene = Scene::new();
    let keygen = scene.command(&["keygen", "--out", "new.key"]);
    let mut command = in_a_shell("ulimit -v 600000", &keygen);
    let output = run(command.env("SIGNER_PASSWORD", PASSWORD));
    assert!(!output.status.success());
    let told = stderr(&output);
    assert!(told.contains("memory"), "{told}");
    scene.told_safely("no memory", &output);
    assert!(!scene.desk.path("new.key").exists() && !scene.desk.path("new.pub").exists());
}
