//! A CI: it runs the scripts of docs/ci as the files there say, with the `signer` that was built.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::Desk;

/// docs/ci.
pub fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ci")
}

pub struct Pipeline {
    pub desk: Desk,
    environment: Vec<(String, String)>,
}

impl Pipeline {
    /// A product with a repository in a directory.
    pub fn new() -> Self {
        Pipeline { desk: Desk::new(), ..Pipeline::bare() }
    }

    /// No product yet.
    pub fn bare() -> Self {
        Pipeline { desk: Desk::bare(), environment: Vec::new() }
    }

    /// Sets this wherever `signer` runs.
    #[cfg(feature = "s3")]
    pub fn env(&mut self, name: &str, value: impl Into<String>) {
        self.environment.push((name.into(), value.into()));
    }

    /// `signer` itself, as a person starts it.
    #[cfg(feature = "s3")]
    pub fn signer(&self, arguments: &[&str]) -> Command {
        let mut shell = self.shell();
        shell.args(["-c", "exec signer \"$@\"", "signer"]).args(arguments);
        shell
    }

    /// A script of docs/ci, where `signer` is the one that was built.
    pub fn script(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.shell();
        command.arg(docs().join(name)).args(arguments);
        command
    }

    /// A shell in the working copy of the product.
    pub fn shell(&self) -> Command {
        let tools = Path::new(env!("CARGO_BIN_EXE_signer")).parent().unwrap();
        let mut command = Command::new("sh");
        command
            .current_dir(self.desk.dir.path())
            .stdin(Stdio::null())
            .env_clear()
            .env("PATH", path(&[&self.desk.path("shims"), tools]))
            .env("SIGNER_REPO", "repo")
            .env("SIGNER_ROOT", "root.json");
        for (variable, file) in [("RELEASE_KEY", "keys/release.key"), ("TIMESTAMP_KEY", "keys/timestamp.key")]
        {
            if self.desk.path(file).exists() {
                command.env(variable, self.desk.read(file));
            }
        }
        command.envs(self.environment.iter().cloned());
        command
    }

    pub fn publish(&self, version: &str) -> Output {
        let artifact = self.desk.build(version);
        self.script("publish.sh", &[&artifact]).env("VERSION", version).output().unwrap()
    }

    pub fn published(&self, version: &str) -> String {
        worked(self.publish(version))
    }

    pub fn refresh(&self) -> Command {
        let mut command = self.script("refresh.sh", &[]);
        command.env_remove("RELEASE_KEY");
        command
    }

    /// Before the real `signer` this script is run, as `$real` it can go on with it.
    pub fn shim(&self, script: &str) {
        std::fs::create_dir_all(self.desk.path("shims")).unwrap();
        let real = env!("CARGO_BIN_EXE_signer");
        let script = format!("#!/bin/sh\nreal='{real}'\n{script}\n");
        write_executable(&self.desk.path("shims/signer"), script.as_bytes());
    }

    pub fn unshim(&self) {
        std::fs::remove_file(self.desk.path("shims/signer")).unwrap();
    }
}

/// These directories before those of the system.
pub fn path(first: &[&Path]) -> String {
    let mut all: Vec<String> = first.iter().map(|dir| dir.display().to_string()).collect();
    all.push(std::env::var("PATH").unwrap());
    all.join(":")
}

/// By another process: a descriptor that is open for writing here could be inherited by a child of another test, and then nobody can
/// start the file.
pub fn write_executable(path: &Path, content: &[u8]) {
    let mut shell = Command::new("sh");
    shell.args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(path);
    let mut shell = shell.stdin(Stdio::piped()).spawn().unwrap();
    shell.stdin.take().unwrap().write_all(content).unwrap();
    assert!(shell.wait().unwrap().success());
}

/// What it said.
#[track_caller]
pub fn worked(output: Output) -> String {
    assert!(output.status.success(), "{:?}\n{}{}", output.status, text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// What it complained of.
#[track_caller]
pub fn failed(code: i32, output: Output) -> String {
    assert_eq!(output.status.code(), Some(code), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stderr)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
