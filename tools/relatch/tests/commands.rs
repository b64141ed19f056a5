//! Promise: any executable in any language is installed, updated and brought back by `relatch`, which trusts what it was given and
//! nothing that it fetched; and scripts can tell what happened.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

#[cfg(windows)]
#[path = "../../../tests/support/built.rs"]
mod built;

#[cfg(unix)]
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use relatch::trust::{Document, Notes};
use serde_json::Value;
use signer::baseline::{Baseline, Safeguards};
use signer::folder::{Folder, Plan};
use signer::key::SecretKey;
use signer::root::{KeysByRole, first};
use signer::signing::SigningKey;
use signer::store::DirStore;
use tempfile::TempDir;

/// The installed executable.
const WIDGET: &str = if cfg!(windows) { "widget.exe" } else { "widget" };

/// A publisher and a machine.
struct World {
    dir: TempDir,
    key: SecretKey,
}

impl World {
    fn new() -> Self {
        let world = World { dir: tempfile::tempdir().unwrap(), key: SecretKey::generate().unwrap() };
        let keys = || vec![world.key.public()];
        let holders = KeysByRole { root: keys(), release: keys(), timestamp: keys() };
        let root = first("widget".parse().unwrap(), &holders, &[], 86_400).unwrap();
        std::fs::write(world.path("root.json"), root.to_canonical()).unwrap();
        std::fs::create_dir(world.path("repo")).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn publish(&self, version: &str, program: Vec<u8>) {
        self.publish_with(version, program, |_| {});
    }

    /// A release that tells its version.
    fn publish_good(&self, version: &str) {
        self.publish(version, self.telling(version));
    }

    fn publish_with(&self, version: &str, program: Vec<u8>, change: impl FnOnce(&mut Plan)) {
        let store = DirStore::new(self.path("repo"));
        let anchor = std::fs::read(self.path("root.json")).unwrap();
        let executable = self.path("build");
        std::fs::write(&executable, program).unwrap();
        let mut plan = Plan {
            version: version.parse().unwrap(),
            channel: "stable".parse().unwrap(),
            artifacts: vec![("any".parse().unwrap(), executable)],
            notes: Notes::try_from(format!("this is {version}")).unwrap(),
            critical: false,
            min_version: None,
            retracts: Vec::new(),
            rollout: 100,
            valid: 86_400,
            version_valid: 86_400,
            level: 3,
            patches: true,
            drop_targets: false,
            seq: None,
        };
        change(&mut plan);
        let safeguards = Safeguards::default();
        let baseline = Baseline::read(&store, &anchor, &plan.channel, safeguards.clone()).unwrap();
        let folder = self.path(&format!("folder-{version}"));
        let folder = Folder::prepare(&folder, &plan, &baseline, &store).unwrap();
        folder.sign(&[&self.key]).unwrap();
        signer::publish::publish(&folder, &store, &anchor, safeguards, &signer::progress::Silent).unwrap();
    }

    fn relatch(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_relatch"))
            .args(arguments)
            .current_dir(self.dir.path())
            .output()
            .unwrap()
    }

    /// The exit code and the JSON on stdout.
    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.relatch(&[arguments, &["--json"]].concat());
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
    }

    fn install(&self, more: &[&str]) -> (i32, Value) {
        let arguments = [
            "install",
            "--from",
            "repo",
            "--root",
            "root.json",
            "--product",
            "widget",
            "--target",
            "any",
            "--to",
            WIDGET,
        ];
        self.json(&[&arguments, more].concat())
    }

    /// The version that the installed executable tells.
    fn says(&self) -> String {
        let output = Command::new(self.path(WIDGET)).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        told.trim().strip_prefix("widget ").unwrap_or_else(|| panic!("{told}")).to_owned()
    }

    /// `.<exe>.relatch`
    fn has_site(&self, name: &str) -> bool {
        self.path(&format!(".{name}.relatch")).exists()
    }
}

/// Executables as shell scripts.
#[cfg(unix)]
impl World {
    /// It says `widget`, its version and its arguments.
    fn telling(&self, version: &str) -> Vec<u8> {
        format!("#!/bin/sh\necho widget {version} \"$@\"\n").into_bytes()
    }

    /// It runs, and fails whatever it is asked.
    fn failing(&self) -> Vec<u8> {
        b"#!/bin/sh\necho it cannot be started >&2\nexit 7\n".to_vec()
    }

    /// It runs, and crashes.
    fn crashing(&self) -> Vec<Vec<u8>> {
        // The loader of glibc exits with 1, where a library is older than the program.
        let loader = "#!/bin/sh\necho \"$0: /lib/libc.so.6: version \\`GLIBC_9.99' not found (required by $0)\" >&2\nexit 1\n";
        ["#!/bin/sh\nkill -SEGV $$\n", "#!/bin/sh\nexit 127\n", loader]
            .map(|script| script.as_bytes().to_vec())
            .into()
    }

    /// The system does not start it.
    fn no_program(&self) -> Vec<u8> {
        b"#!/no/such/interpreter\n".to_vec()
    }
}

/// The same by `test-tool`, which is what the text at its end says.
#[cfg(windows)]
impl World {
    fn telling(&self, version: &str) -> Vec<u8> {
        self.test_tool(version, "none")
    }

    fn failing(&self) -> Vec<u8> {
        std::fs::read(built::built("test-tool")).unwrap()
    }

    fn crashing(&self) -> Vec<Vec<u8>> {
        vec![self.test_tool("1.0.0", "crash")]
    }

    fn no_program(&self) -> Vec<u8> {
        b"this is no program\n".repeat(100)
    }

    fn test_tool(&self, version: &str, broken: &str) -> Vec<u8> {
        let config = serde_json::json!({
            "product": "widget",
            "version": version,
            "target": "any",
            "root": std::fs::read_to_string(self.path("root.json")).unwrap(),
            "repository": self.path("repo").to_str().unwrap(),
            "policy": "off", // `relatch` updates it, and not its own start
            "broken": broken,
        });
        [&self.failing()[..], b"\n", config.to_string().as_bytes()].concat()
    }
}

#[test]
fn installed_checked_updated_and_brought_back() {
    let world = World::new();
    world.publish_good("1.0.0");
    let (code, answer) = world.install(&["--probe", "--version"]);
    assert_eq!((code, answer["result"].as_str()), (0, Some("installed")), "{answer}");
    assert_eq!(world.says(), "1.0.0");
    #[cfg(unix)]
    assert_eq!(std::fs::metadata(world.path(WIDGET)).unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(world.json(&["check", WIDGET]).0, 0);

    world.publish_good("1.1.0");
    let (code, answer) = world.json(&["check", WIDGET]);
    assert_eq!(
        (code, answer["to"].as_str(), answer["notes"].as_str()),
        (100, Some("1.1.0"), Some("this is 1.1.0"))
    );
    assert_eq!(world.says(), "1.0.0", "a check installs nothing");
    let (code, answer) = world.json(&["update", WIDGET]);
    assert_eq!((code, answer["result"].as_str()), (0, Some("updated")), "{answer}");
    assert_eq!(world.says(), "1.1.0");

    let (code, answer) = world.json(&["rollback", WIDGET]);
    assert_eq!((code, answer["to"].as_str()), (0, Some("1.0.0")), "{answer}");
    assert_eq!(world.says(), "1.0.0");
    let (code, answer) = world.json(&["update", WIDGET]);
    assert_eq!((code, answer["reason"].as_str()), (0, Some("held")), "{answer}");
    let (code, answer) = world.json(&["status", WIDGET]);
    assert_eq!(code, 0);
    assert_eq!(answer["status"]["held"][0]["version"], "1.1.0");
    assert_eq!(answer["status"]["kept"][0]["version"], "1.1.0");
    // The same for people.
    let output = world.relatch(&["doctor", WIDGET]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("held       1.1.0, by a person"));
}

/// A status is for a script, too: it looks at the file, and its exit code says when something is
/// wrong.
#[test]
fn a_status_says_when_something_is_wrong() {
    let world = World::new();
    world.publish_good("1.0.0");
    world.install(&[]);
    let status = || world.json(&["status", WIDGET]);
    assert_eq!((status().0, status().1["status"]["problem"].clone()), (0, Value::Null));
    // Changed, and a foreign file.
    let installed = std::fs::read(world.path(WIDGET)).unwrap();
    std::fs::write(world.path(WIDGET), "another").unwrap();
    let (code, answer) = status();
    let problem = answer["status"]["problem"].as_str().unwrap();
    assert_eq!(code, 5);
    assert!(problem.contains("is not the version 1.0.0 that was installed"), "{problem}");
    assert_eq!(answer["status"]["installed"], Value::Null);
    std::fs::write(world.path("other"), "x").unwrap();
    assert_eq!(world.json(&["status", "other"]).0, 5);
    // Deleted.
    std::fs::remove_file(world.path(WIDGET)).unwrap();
    assert_eq!(status().0, 5);
    std::fs::write(world.path(WIDGET), installed).unwrap();
    assert_eq!(status().0, 0);
    // Damaged.
    std::fs::write(world.path(&format!(".{WIDGET}.relatch/journal")), "x").unwrap();
    assert_eq!(status().0, 3);
}

#[test]
fn a_release_that_does_not_run_here_is_not_swapped_in() {
    let world = World::new();
    world.publish_good("1.0.0");
    world.install(&["--probe", "--version"]);
    world.publish("1.1.0", world.failing());
    let (code, answer) = world.json(&["update", WIDGET]);
    assert_eq!((code, answer["cause"].as_str()), (5, Some("machine")), "{answer}");
    assert_eq!(world.says(), "1.0.0");
    world.publish("1.2.0", world.no_program());
    assert_eq!(world.json(&["update", WIDGET]).0, 5);
    assert_eq!(world.says(), "1.0.0");
    world.publish_good("1.3.0");
    assert_eq!(world.json(&["update", WIDGET]).0, 0);
    assert_eq!(world.says(), "1.3.0");
}

#[test]
fn what_crashes_is_not_installed_and_nothing_is_left() {
    let world = World::new();
    for (program, version) in world.crashing().into_iter().zip(["1.0.0", "1.0.1", "1.0.2"]) {
        world.publish(version, program);
        let (code, answer) = world.install(&[]);
        assert_eq!((code, answer["cause"].as_str()), (5, Some("machine")), "{answer}");
        assert!(!world.path(WIDGET).exists() && !world.has_site(WIDGET));
    }
    // A program that only does not know the probe is installed, whatever it says.
    world.publish("1.1.0", world.failing());
    assert_eq!(world.install(&[]).0, 0);
}

#[test]
fn an_existing_file_stays_unless_forced() {
    let world = World::new();
    world.publish_good("1.0.0");
    std::fs::write(world.path(WIDGET), world.telling("0.1.0")).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(world.path(WIDGET), PermissionsExt::from_mode(0o755)).unwrap();
    let (code, answer) = world.install(&[]);
    assert_eq!(code, 5, "{answer}");
    assert_eq!(world.says(), "0.1.0");
    assert!(!world.has_site(WIDGET));
    assert_eq!(world.install(&["--force"]).0, 0);
    assert_eq!(world.says(), "1.0.0");
    assert_eq!(world.json(&["rollback", WIDGET]).0, 5, "what was replaced had no version to go back to");
    // Again, with nothing new: what a rollback would bring back stays.
    world.publish_good("1.1.0");
    assert_eq!(world.json(&["update", WIDGET]).0, 0);
    assert_eq!(world.install(&["--force"]).0, 0);
    assert_eq!(world.json(&["rollback", WIDGET]).1["to"], "1.0.0");
}

#[cfg(unix)] // Windows wants a privilege for links
#[test]
fn a_link_stays_a_link() {
    let world = World::new();
    world.publish_good("1.0.0");
    world.install(&[]);
    std::os::unix::fs::symlink(WIDGET, world.path("link")).unwrap();
    world.publish_good("1.1.0");
    assert_eq!(world.json(&["update", "link"]).0, 0);
    assert_eq!(world.says(), "1.1.0");
    assert!(std::fs::symlink_metadata(world.path("link")).unwrap().is_symlink());
}

#[test]
fn exit_codes_say_what_is_wrong() {
    let world = World::new();
    world.publish_good("1.0.0");
    // 2: usage
    assert_eq!(world.relatch(&["update"]).status.code(), Some(2));
    // 5: not installed by relatch, not there
    std::fs::write(world.path("other"), "x").unwrap();
    assert_eq!(world.json(&["update", "other"]).0, 5);
    assert_eq!(world.json(&["update", "missing"]).0, 5);
    assert_eq!(world.json(&["rollback", "other"]).0, 5);
    // 3: another product's root, a root that is none
    std::fs::write(world.path("bad.json"), "{}").unwrap();
    let install = |root: &str, product: &str, repo: &str| {
        world
            .json(&[
                "install",
                "--from",
                repo,
                "--root",
                root,
                "--product",
                product,
                "--target",
                "any",
                "--to",
                "new",
            ])
            .0
    };
    assert_eq!(install("root.json", "widget", "http://example.com/x"), 2);
    assert_eq!(install("bad.json", "widget", "repo"), 3);
    assert_eq!(install("root.json", "gadget", "repo"), 2, "the caller named another product than the root's");
    // 4: nothing published
    std::fs::create_dir(world.path("empty")).unwrap();
    assert_eq!(install("root.json", "widget", "empty"), 4);
    assert!(!world.path("new").exists() && !world.has_site("new"), "nothing is left behind");
    // 3: a byte of everything changed after the install
    world.install(&[]);
    world.publish_good("1.1.0");
    let version = world.path("repo/stable/VERSION");
    let text = std::fs::read_to_string(&version).unwrap();
    std::fs::write(&version, text.replacen("1.1.0", "1.2.0", 1)).unwrap();
    let (code, answer) = world.json(&["check", WIDGET]);
    assert_eq!((code, answer["cause"].as_str()), (3, Some("refused")), "{answer}");
    std::fs::write(&version, text).unwrap();
    assert_eq!(world.json(&["check", WIDGET]).0, 100);
}

#[test]
fn the_rollout_is_passed_by_a_wish() {
    let world = World::new();
    world.publish_good("1.0.0");
    world.install(&[]);
    world.publish_with("1.1.0", world.telling("1.1.0"), |plan| plan.rollout = 0);
    assert_eq!(world.json(&["check", WIDGET]).0, 0);
    assert_eq!(world.json(&["update", WIDGET]).1["reason"], "not-in-rollout");
    assert_eq!(world.json(&["check", WIDGET, "--now"]).0, 100);
    assert_eq!(world.json(&["update", WIDGET, "--now"]).1["result"], "updated");
}
