//! A bucket with an object, and processes that read it with what a test gives them and nothing else.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use tempfile::TempDir;
use test_s3::{Credentials, Identity, Options, Server};

pub const KEY: &str = "demo/stable/VERSION";
pub const OBJECT: &str = "stable/VERSION";
pub const CONTENT: &str = "1.0.0 of a private bucket";
pub const ROLE: &str = "arn:aws:iam::000000000000:role/reader";

/// A bucket, AWS's services beside it, a home directory, and nothing else.
pub struct Scene {
    pub server: Server,
    pub identity: Identity,
    pub home: TempDir,
    /// Answers nothing, for ever.
    nowhere: TcpListener,
}

impl Scene {
    pub fn new() -> Self {
        Scene::with(Options::new())
    }

    pub fn with(options: Options) -> Self {
        let server = Server::start(options);
        server.put(KEY, CONTENT);
        let identity = Identity::start(&server);
        let nowhere = TcpListener::bind("127.0.0.1:0").unwrap();
        Scene { server, identity, home: tempfile::tempdir().unwrap(), nowhere }
    }

    pub fn address(&self) -> String {
        let server = &self.server;
        format!("s3://{}/demo?region={}&endpoint={}", server.bucket(), server.region(), server.endpoint())
    }

    /// A URL that nobody answers at.
    pub fn nowhere(&self) -> String {
        format!("http://{}", self.nowhere.local_addr().unwrap())
    }

    /// A process without any credentials; where an instance would have some, nobody answers.
    pub fn clean(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env_clear().env("HOME", self.home.path()).env("PATH", "/usr/bin:/bin");
        command.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", self.nowhere());
        command
    }

    pub fn reader(&self) -> Command {
        self.clean(env!("CARGO_BIN_EXE_s3-reader"))
    }

    /// Reads the object with these variables.
    pub fn read(&self, variables: &[(&str, &str)]) -> Reading {
        self.read_at(&self.address(), variables)
    }

    /// The same where they name a machine's metadata.
    pub fn read_with_metadata(&self, variables: &[(&str, &str)]) -> Reading {
        let mut reader = self.reader();
        reader.args([&*self.address(), OBJECT]).envs(variables.iter().copied());
        self.run_with_metadata(&mut reader)
    }

    pub fn read_at(&self, address: &str, variables: &[(&str, &str)]) -> Reading {
        let mut reader = self.reader();
        reader.args([address, OBJECT]).envs(variables.iter().copied());
        self.run(&mut reader)
    }

    pub fn run(&self, reader: &mut Command) -> Reading {
        let output = reader.output().unwrap();
        self.assert_no_secret(&output);
        Reading(output)
    }

    /// A machine's metadata have a second to come, which is not much where everything else is busy: who was too slow is asked again.
    pub fn run_with_metadata(&self, reader: &mut Command) -> Reading {
        let mut tries = 0..2;
        loop {
            let reading = self.run(reader);
            if !reading.stderr().contains("timeout") || tries.next().is_none() {
                return reading;
            }
            self.server.clear_requests();
            self.identity.clear_requests();
        }
    }

    /// `~/.aws/config` and `~/.aws/credentials`.
    pub fn shared_files(&self, config: &str, credentials: &str) {
        let directory = self.home.path().join(".aws");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("config"), config).unwrap();
        std::fs::write(directory.join("credentials"), credentials).unwrap();
    }

    pub fn file(&self, name: &str, content: &str) -> String {
        let path = self.home.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    pub fn keys(&self) -> &Credentials {
        self.server.credentials()
    }

    /// As lines of a profile.
    pub fn keys_as_properties(&self) -> String {
        let keys = self.keys();
        let (id, secret) = (&keys.access_key, &keys.secret_key);
        let token = keys.session_token.as_ref().map(|token| format!("aws_session_token = {token}\n"));
        format!("aws_access_key_id = {id}\naws_secret_access_key = {secret}\n{}", token.unwrap_or_default())
    }

    /// Of all that was ever accepted here.
    pub fn secrets(&self) -> Vec<String> {
        let mut all = self.identity.issued();
        all.push(self.keys().clone());
        all.into_iter().flat_map(|keys| [Some(keys.secret_key), keys.session_token]).flatten().collect()
    }

    #[track_caller]
    pub fn assert_no_secret(&self, output: &Output) {
        let text = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned();
        for secret in self.secrets() {
            assert!(!text.contains(&secret), "{text}");
        }
    }
}

/// What a reader did.
pub struct Reading(pub Output);

impl Reading {
    pub fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }

    #[track_caller]
    pub fn assert_has_access(&self) {
        assert_eq!(String::from_utf8_lossy(&self.0.stdout), CONTENT, "{}", self.stderr());
        assert_eq!(self.0.status.code(), Some(0));
    }

    /// No object, code 4, and told as a matter of credentials, with all of these.
    #[track_caller]
    pub fn assert_no_credentials(&self, told: &[&str]) {
        let stderr = self.stderr();
        assert_eq!(self.0.status.code(), Some(4), "{stderr}");
        assert!(self.0.stdout.is_empty());
        assert!(
            stderr.contains("requires credentials: ") && stderr.contains("\nUnavailable(Credentials {"),
            "{stderr}"
        );
        for part in told {
            assert!(stderr.contains(part), "{part:?} is not in {stderr}");
        }
    }
}

/// A proxy for `CONNECT` that takes every name for this machine.
pub fn connect_proxy(to: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|count| count > 0) {
                    head.push(byte[0]);
                }
                assert!(head.starts_with(b"CONNECT "), "{}", String::from_utf8_lossy(&head));
                let mut server = TcpStream::connect(to).unwrap();
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
                let (mut from_client, mut to_server) =
                    (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || drop(std::io::copy(&mut from_client, &mut to_server)));
                drop(std::io::copy(&mut server, &mut client));
            });
        }
    });
    format!("http://{address}")
}
