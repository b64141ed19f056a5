//! Promise: on a real cluster that ignores conditions of writes, and loses a node, every publisher and every client ends with one whole
//! release.
//!
//! Skipped where `garage` is not installed; `.ci/run` installs it.
#![cfg(all(unix, feature = "s3"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use relatch::source::{Credentials, Object, ProvideCredentials, S3, Source as _};
use relatch::{Error, Outcome, Updater};
use support::{Desk, run_fresh, stderr};
use test_s3::garage::Cluster;

/// A cluster, and a desk that publishes to it.
struct Scene {
    cluster: Cluster,
    desk: Desk,
}

impl Scene {
    /// `None`, and said so, where there is no `garage`.
    fn new() -> Option<Self> {
        let Some(cluster) = Cluster::start() else {
            eprintln!("skipped: garage is not installed (`cargo install --locked garage --version 2.5.0`)");
            return None;
        };
        let scene = Scene { cluster, desk: Desk::bare() };
        let init = ["init", "--product", "widget", "--no-password", "--keys", "keys", "--root", "root.json"];
        scene.ok(0, &init);
        Some(scene)
    }

    fn address(&self, node: usize) -> String {
        let Scene { cluster, .. } = self;
        format!(
            "s3://{}/tools/widget?endpoint={}&region={}",
            cluster.bucket(),
            cluster.endpoint(node),
            cluster.region()
        )
    }

    /// The signer, by way of a node.
    fn command(&self, node: usize, arguments: &[&str]) -> Command {
        let mut command = self.desk.command(arguments);
        let publisher = self.cluster.publisher();
        command
            .env("SIGNER_REPO", self.address(node))
            .env("SIGNER_ROOT", "root.json")
            .env("AWS_ACCESS_KEY_ID", publisher.access_key)
            .env("AWS_SECRET_ACCESS_KEY", publisher.secret_key)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", "/nonexistent")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    #[track_caller]
    fn ok(&self, node: usize, arguments: &[&str]) -> String {
        let output = self.command(node, arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn release(&self, node: usize, version: &str) -> Command {
        let artifact = self.desk.build(version);
        let keys = ["--key", "keys/release.key", "--key", "keys/timestamp.key"];
        self.command(node, &[&["release", "--version", version, "--artifact", &artifact], &keys[..]].concat())
    }

    #[track_caller]
    fn released(&self, node: usize, version: &str) -> String {
        let output = self.release(node, version).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn source(&self, node: usize) -> S3 {
        S3::new(&self.address(node)).unwrap().credentials(self.key())
    }

    fn key(&self) -> Pair {
        let reader = self.cluster.reader();
        Pair(reader.access_key, reader.secret_key)
    }

    /// What is published is whole, says the client's own code.
    #[track_caller]
    fn verifies(&self, node: usize) {
        let told = self.ok(node, &["verify"]);
        assert!(told.contains("verifies"), "{told}");
    }

    /// Somebody who may only read.
    fn client(&self, dir: &Path, node: usize) -> Client {
        let path = dir.join("widget");
        std::fs::create_dir_all(dir).unwrap();
        // Installed from a copy of the first release; from then on it reads the cluster.
        drop(self.desk.client_from(&self.desk.path("first").display().to_string(), None, &path).unwrap());
        Client { path, address: self.address(node), key: self.key() }
    }

    /// The first release, published to the cluster and, as it is there, to a directory.
    fn first(&self, version: &str) {
        self.released(0, version);
        let source = self.source(0);
        let dir = self.desk.path("first");
        for object in self.objects() {
            let path = dir.join(object.to_string());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let opened = source.open(&object, None).unwrap();
            let relatch::source::Opened::Object { mut reader, .. } = opened else { panic!("{object}") };
            std::io::copy(&mut reader, &mut std::fs::File::create(path).unwrap()).unwrap();
        }
    }

    /// All that the release that is published consists of.
    fn objects(&self) -> Vec<Object> {
        let read = |object: &Object| {
            let Ok(relatch::source::Opened::Object { mut reader, .. }) = self.source(0).open(object, None)
            else {
                panic!("{object}")
            };
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        };
        let version = Object::Version("stable".parse().unwrap());
        let text = read(&version);
        let pointer: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
        let digest = pointer["manifest"].as_str().unwrap().parse().unwrap();
        let manifest: serde_json::Value = serde_json::from_str(&read(&Object::Manifest(digest))).unwrap();
        let mut objects = vec![version, Object::Manifest(digest), Object::ManifestSignatures(digest)];
        for stored in manifest["artifacts"][0]["stored"].as_array().unwrap() {
            objects.push(Object::Blob(stored["blake3"].as_str().unwrap().parse().unwrap()));
        }
        objects
    }
}

/// The reader's key.
#[derive(Clone)]
struct Pair(String, String);

impl ProvideCredentials for Pair {
    fn credentials(&self) -> Result<Credentials, String> {
        Ok(Credentials::new(&self.0, &self.1, None))
    }
}

struct Client {
    path: PathBuf,
    address: String,
    key: Pair,
}

impl Client {
    /// A cluster and a thousand clients on one machine: what took too long there is asked for again.
    ///
    /// A source for each time, which closes its connections at the end: a thousand open ones are more than many processes may have.
    fn update(&self) -> relatch::Result<Outcome> {
        let mut tries = 0..4;
        loop {
            let source = S3::new(&self.address)?.credentials(self.key.clone());
            match Updater::of_installed(&self.path)?.source(source).update(false) {
                Err(Error::Unavailable(why)) if tries.next().is_some() => println!("once more: {why}"),
                done => return done,
            }
        }
    }

    /// What it says when it runs.
    fn version(&self) -> String {
        let output = run_fresh(&mut Command::new(&self.path));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

#[test]
fn publishing_and_updating_go_on_without_a_node() {
    let Some(mut scene) = Scene::new() else { return };
    scene.first("1.0.0");
    let dir = tempfile::tempdir().unwrap();
    let client = scene.client(dir.path(), 0);

    let told = scene.released(0, "1.1.0");
    assert!(told.contains("lock object"), "the conditions that Garage ignores are told: {told}");
    assert!(matches!(client.update(), Ok(Outcome::Updated { .. })));
    assert_eq!(client.version(), "1.1.0");

    scene.cluster.kill(2);
    scene.released(1, "1.2.0");
    assert!(matches!(client.update(), Ok(Outcome::Updated { .. })));
    assert_eq!(client.version(), "1.2.0");
    scene.verifies(0);

    // The node comes back, and another goes: what was published without it is there all the same.
    scene.cluster.restart(2).unwrap();
    scene.cluster.settle().unwrap();
    scene.cluster.kill(1);
    scene.released(2, "1.3.0");
    assert!(matches!(client.update(), Ok(Outcome::Updated { .. })));
    assert_eq!(client.version(), "1.3.0");
    scene.verifies(2);
}

/// Garage would let each of them overwrite the other.
#[test]
fn of_two_publishers_one_wins() {
    let Some(scene) = Scene::new() else { return };
    scene.released(0, "1.0.0");
    for round in 1..=2 {
        // The same for both, so that the loser's manifest is not higher than what is published.
        let seq = (2_000_000_000_000_u64 + round).to_string();
        let versions = [format!("1.{round}.0"), format!("1.{round}.1")];
        let children: Vec<_> = versions
            .iter()
            .enumerate()
            .map(|(node, version)| scene.release(node, version).args(["--seq", &seq]).spawn().unwrap())
            .collect();
        let outputs: Vec<Output> =
            children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
        let winners: Vec<&String> = versions
            .iter()
            .zip(&outputs)
            .filter(|(_, output)| output.status.success())
            .map(|(version, _)| version)
            .collect();
        let told: Vec<String> = outputs.iter().map(stderr).collect();
        assert_eq!(winners.len(), 1, "round {round}: {told:?}");
        let current = scene.ok(2, &["show"]);
        let last = winners.last().unwrap();
        assert!(
            current.contains(&format!("{last} on stable, release {seq}\n")),
            "round {round}: {last} won, and there is {current}"
        );
        for output in outputs.iter().filter(|output| !output.status.success()) {
            // Changed by somebody else (4), or seen to be lower than what somebody else published meanwhile (3).
            assert!(matches!(output.status.code(), Some(3 | 4)), "round {round}: {}", stderr(output));
        }
        scene.verifies(0);
    }
}

/// The promise to the many: each ends with the old or the new release, whole.
#[test]
fn a_thousand_clients_check_and_update_during_a_publish() {
    const CLIENTS: usize = 1000;
    const AT_ONCE: usize = 50;
    let Some(scene) = Scene::new() else { return };
    scene.first("1.0.0");
    let dir = tempfile::tempdir().unwrap();
    let clients: Vec<Client> =
        (0..CLIENTS).map(|number| scene.client(&dir.path().join(number.to_string()), number % 3)).collect();
    let clients = Arc::new(clients);
    let (next, published) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let wrong: Arc<Mutex<Vec<String>>> = Arc::default();
    let workers: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (clients, next, published, wrong) =
                (Arc::clone(&clients), Arc::clone(&next), Arc::clone(&published), Arc::clone(&wrong));
            thread::spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    // Once around at least, and until the release is out.
                    if number >= CLIENTS && published.load(Ordering::SeqCst) {
                        return;
                    }
                    let client = &clients[number % CLIENTS];
                    let problem = match client.update() {
                        Ok(Outcome::Updated { .. } | Outcome::Nothing(_)) => None,
                        // The same client by another worker, which has come around already.
                        Err(Error::Local(
                            relatch::Local::Busy { .. } | relatch::Local::ChangedMeanwhile { .. },
                        )) => None,
                        Err(error) => Some(format!("client {number}: {error}")),
                    };
                    wrong.lock().unwrap().extend(problem);
                }
            })
        })
        .collect();
    while next.load(Ordering::SeqCst) < CLIENTS / 10 {
        thread::sleep(Duration::from_millis(5));
    }
    scene.released(0, "1.1.0");
    published.store(true, Ordering::SeqCst);
    for worker in workers {
        worker.join().unwrap();
    }
    let wrong = wrong.lock().unwrap();
    assert!(
        wrong.is_empty(),
        "{} of {}: {:?}",
        wrong.len(),
        next.load(Ordering::SeqCst),
        &wrong[..wrong.len().min(5)]
    );
    let mut versions: BTreeMap<String, usize> = BTreeMap::new();
    for client in clients.iter() {
        *versions.entry(client.version()).or_default() += 1;
    }
    assert!(versions.keys().all(|version| version == "1.0.0" || version == "1.1.0"), "{versions:?}");
    // And nobody is left behind.
    for client in clients.iter() {
        client.update().unwrap();
        assert_eq!(client.version(), "1.1.0");
    }
    eprintln!(
        "{} updates by {CLIENTS} clients during the publish; then {versions:?}",
        next.load(Ordering::SeqCst)
    );
}
