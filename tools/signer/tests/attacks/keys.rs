//! Secret key files with fields that do not fit each other, and their passwords. Whatever is wrong with one, nothing is signed by it.

use std::process::Command;

use crate::key_file::{KeyFile, OPSLIMIT};
use crate::scene::{PASSWORD, Scene, WRONG_PASSWORD};
use crate::support::make_private;
use crate::table::{harmless, refused, row};

pub const SIGN: [&str; 4] = ["sign", "unsigned", "--key", "bad.key"];

/// A key file for its owner alone, to sign with.
pub fn of(scene: &Scene, content: impl AsRef<[u8]>) -> Command {
    scene.desk.write("bad.key", content);
    make_private(&scene.desk.path("bad.key"));
    scene.command(&SIGN)
}

/// The key `ci` with a change of its file's fields.
pub fn changed(change: impl Fn(&mut KeyFile)) -> impl Fn(&Scene) -> Command {
    move |scene| {
        let mut file = KeyFile::parse(&scene.desk.read("keys/ci.key"));
        change(&mut file);
        of(scene, file.to_text())
    }
}

/// The same with a change of its text.
pub fn text(change: impl Fn(String) -> String) -> impl Fn(&Scene) -> Command {
    move |scene| of(scene, change(scene.desk.read("keys/ci.key")))
}

/// Without a terminal that could be asked for a password, on Windows and where the system has `setsid`; elsewhere the tests must be run
/// without one.
pub fn detached(command: &Command) -> Command {
    let mut detached = without_terminal(command);
    detached.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => detached.env(name, value),
            None => detached.env_remove(name),
        };
    }
    detached.current_dir(command.get_current_dir().unwrap()).stdin(std::process::Stdio::null());
    detached
}

#[cfg(not(windows))]
fn without_terminal(command: &Command) -> Command {
    let mut detached = match Command::new("setsid").arg("true").status() {
        Ok(_) => Command::new("setsid"),
        Err(_) => Command::new("env"),
    };
    if detached.get_program() == "setsid" {
        detached.arg("--wait");
    }
    detached.arg(command.get_program());
    detached
}

#[cfg(windows)]
fn without_terminal(command: &Command) -> Command {
    const DETACHED_PROCESS: u32 = 0x8;
    let mut detached = Command::new(command.get_program());
    std::os::windows::process::CommandExt::creation_flags(&mut detached, DETACHED_PROCESS);
    detached
}

#[test]
fn fields() {
    let damaged = "the secret key bad.key does not match its checksum: the key is damaged";
    let advice = "Name a minisign secret key file, `env:VARIABLE`";
    let huge = "requires more memory or time than scrypt may use";
    let limits = |ops: u64, mem: u64| {
        changed(move |file| {
            file.encrypt(PASSWORD);
            (file.ops, file.mem) = (ops, mem);
        })
    };
    let with_password = |make: Box<dyn Fn(&Scene) -> Command>| {
        move |scene: &Scene| {
            let mut command = make(scene);
            command.env("SIGNER_PASSWORD", PASSWORD);
            command
        }
    };
    refused(&[
        row("checksum wrong", "7", changed(|file| file.checksum[0] ^= 1), 2, &[damaged, advice]),
        row("seed changed", "7", changed(|file| file.seed[31] ^= 1), 2, &[damaged, advice]),
        row("public half changed", "7", changed(|file| file.public[0] ^= 1), 2, &[damaged, advice]),
        row("key id changed", "7", changed(|file| file.id[0] ^= 1), 2, &[damaged, advice]),
        row(
            "seed changed, checksum right",
            "7",
            changed(|file| {
                file.seed[0] ^= 1;
                file.seal();
            }),
            2,
            &["bad.key does not match its public half", advice],
        ),
        row(
            "public half of another key, checksum right",
            "7",
            |s| {
                let mut file = KeyFile::parse(&s.desk.read("keys/ci.key"));
                file.public = KeyFile::parse(&s.desk.read("keys/human.key")).public;
                file.seal();
                of(s, file.to_text())
            },
            2,
            &["does not match its public half"],
        ),
        row(
            "seed changed, without a checksum",
            "7",
            changed(|file| {
                file.seed[0] ^= 1;
                file.checksum = [0; 32];
            }),
            2,
            &["does not match its public half"],
        ),
        row(
            "another algorithm",
            "7",
            changed(|file| file.algorithm = *b"RS"),
            2,
            &["is not an Ed25519 key in minisign's format"],
        ),
        row(
            "another checksum algorithm",
            "7",
            changed(|file| file.checksum_algorithm = *b"B3"),
            2,
            &["is not an Ed25519 key"],
        ),
        row(
            "another way of encryption",
            "7",
            changed(|file| file.kdf = *b"Ar"),
            2,
            &["is encrypted with an unknown key derivation function"],
        ),
        row("scrypt of 2 GiB", "7", with_password(Box::new(limits(OPSLIMIT * 2, 1 << 31))), 2, &[huge]),
        row("scrypt of 2^63 bytes", "7", with_password(Box::new(limits(u64::MAX, 1 << 63))), 2, &[huge]),
        row("scrypt for ever", "7", with_password(Box::new(limits(u64::MAX, 1 << 20))), 2, &[huge]),
        row("scrypt of everything", "7", with_password(Box::new(limits(u64::MAX, u64::MAX))), 2, &[huge]),
    ]);
    harmless(&[
        // Stock minisign writes no checksum where there is no password. The id is a label (SPEC section 3.1).
        row(
            "key id changed, without a checksum: a label",
            "3.1",
            |s| {
                changed(|file| {
                    file.id = *b"wrong id";
                    file.checksum = [0; 32];
                })(s);
                s.release_by(&["human", "clock"], "1.2.0", &["--key", "bad.key"])
            },
            0,
            &["published widget 1.2.0"],
        ),
    ]);
}

#[test]
fn passwords() {
    let encrypted = |scene: &Scene| changed(|file| file.encrypt(PASSWORD))(scene);
    let with = |password: &'static str| {
        move |scene: &Scene| {
            let mut command = encrypted(scene);
            command.env("SIGNER_PASSWORD", password);
            command
        }
    };
    let wrong = "does not match its checksum: the password is wrong, or the key is damaged";
    let none = "bad.key is encrypted; $SIGNER_PASSWORD is not set, and there is no terminal for a prompt";
    let give = "If the key has a password, provide it";
    refused(&[
        row("wrong", "7", with(WRONG_PASSWORD), 2, &[wrong, give]),
        row("empty", "7", with(""), 2, &[wrong, give]),
        row("right, with a newline", "7", with("correct-horse-7\n"), 2, &[wrong]),
        row("none, and nobody to ask", "7", |s| detached(&encrypted(s)), 2, &[none, give]),
        row(
            "in a variable that is not set",
            "7",
            |s| {
                let mut c = encrypted(s);
                c.args(["--password-env", "NOBODY_SET_THIS"]);
                detached(&c)
            },
            2,
            &["the variable that --password-env names is not set"],
        ),
        row(
            "given where its variable belongs",
            "7",
            |s| {
                let mut c = encrypted(s);
                c.args(["--password-env", PASSWORD]);
                detached(&c)
            },
            2,
            &["the variable that --password-env names is not set"],
        ),
        row(
            "for new keys: empty",
            "7",
            |s| {
                let mut c = s.command(&["keygen", "--out", "new.key"]);
                c.env("SIGNER_PASSWORD", "");
                c
            },
            2,
            &["an empty password does not protect the key", "--no-password"],
        ),
        row(
            "for new keys: none, and nobody to ask",
            "7",
            |s| detached(&s.command(&["keygen", "--out", "new.key"])),
            2,
            &["no password: $SIGNER_PASSWORD is not set", "--no-password"],
        ),
    ]);
    harmless(&[row(
        "right",
        "7",
        |s| {
            encrypted(s);
            let mut command = s.release_by(&["human", "clock"], "1.2.0", &["--key", "bad.key"]);
            command.env("SIGNER_PASSWORD", PASSWORD);
            command
        },
        0,
        &["published widget 1.2.0"],
    )]);
}
