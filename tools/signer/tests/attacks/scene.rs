//! A publisher's desk, copied anew for each row, and everything that lies on it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use relatch::trust::Digest;
use relatch::{Outcome, Updater};

use crate::support::printed::drives;
use crate::support::{Desk, make_private, stderr};

pub const REPO: [&str; 4] = ["--repo", "repo", "--root", "root.json"];
/// Two root keys that must both sign; release keys, of which two must; one timestamp key. Root 2 took the role of `old` away.
const KEYS: [&str; 7] = ["root-a", "root-b", "ci", "human", "old", "clock", "stranger"];
/// Of encrypted keys, and what somebody gives instead.
pub const PASSWORD: &str = "correct-horse-7";
pub const WRONG_PASSWORD: &str = "battery_staple_9";
/// No row takes as long: what waits without end is ended, and the row has failed.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Scene {
    pub desk: Desk,
    client: Updater,
    /// The repository before anybody touched it.
    repository: Tree,
    /// Every form of every secret on this desk, and whose it is.
    pub secrets: Vec<(String, Vec<u8>)>,
}

/// Names, what they are, and what they hold.
pub type Tree = BTreeMap<PathBuf, String>;

impl Scene {
    /// Releases 1.0.0 and 1.1.0 are published, the latter with 1.0.5 as the lowest that may run; a client has 1.1.0; `signed` and
    /// `unsigned` are folders of 1.2.0.
    pub fn new() -> Self {
        let desk = Desk::bare();
        copy(first_desk().dir.path(), desk.dir.path());
        let client = desk.client("installed/widget").unwrap();
        let repository = tree(&desk.path("repo"));
        let mut scene = Scene { desk, client, repository, secrets: Vec::new() };
        for name in KEYS {
            scene.keep_secret(name, &scene.desk.read(&format!("keys/{name}.key")));
        }
        for password in [PASSWORD, WRONG_PASSWORD] {
            scene.secrets.push(("a password".into(), password.into()));
        }
        scene
    }

    /// From now on this key is searched for in everything that is told or written.
    pub fn keep_secret(&mut self, name: &str, key_file: &str) {
        let line = key_file.lines().nth(1).unwrap();
        let bytes = Base64::decode_vec(line).unwrap();
        let seed = &bytes[62..94];
        let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
        for form in [
            seed.to_vec(),
            hex.to_uppercase().into_bytes(),
            hex.into_bytes(),
            Base64::encode_string(seed).into_bytes()[..40].to_vec(),
            line.as_bytes()[84..124].to_vec(), // as it stands in the key file
        ] {
            self.secrets.push((name.into(), form));
        }
    }

    /// `signer` in a noisy mood, with a directory of its own for what is temporary.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.desk.command(arguments);
        for name in ["TMPDIR", "TMP", "TEMP"] {
            command.env(name, self.desk.path("tmp"));
        }
        command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
        command
    }

    /// With the repository.
    pub fn at_repo(&self, arguments: &[&str]) -> Command {
        self.command(&[arguments, &REPO].concat())
    }

    /// A release of this version, as it should be but for what is added.
    pub fn release(&self, version: &str, more: &[&str]) -> Command {
        self.release_by(&["ci", "human", "clock"], version, more)
    }

    /// The same signed by others.
    pub fn release_by(&self, keys: &[&str], version: &str, more: &[&str]) -> Command {
        let mut arguments = vec!["release", "--version", version, "--artifact", "test=build-1.2.0"];
        let paths: Vec<String> = keys.iter().map(|name| format!("keys/{name}.key")).collect();
        arguments.extend(paths.iter().flat_map(|path| ["--key", path.as_str()]));
        arguments.extend(more);
        self.at_repo(&arguments)
    }

    /// Everything on the desk.
    pub fn tree(&self) -> Tree {
        tree(self.desk.dir.path())
    }

    /// The key of this name, ready to sign.
    pub fn key(&self, name: &str) -> signer::key::SecretKey {
        let text = self.desk.read(&format!("keys/{name}.key"));
        signer::key::SecretKey::from_text(&text, None).map_err(|why| panic!("{why}")).unwrap()
    }

    /// Nothing that was told can drive a terminal or holds a secret.
    pub fn told_safely(&self, name: &str, output: &Output) {
        for told in [&output.stdout, &output.stderr] {
            let text = std::str::from_utf8(told).expect(name);
            assert_eq!(drives(text), None, "{name}: {text:?}");
            self.holds_no_secret(name, "what was told", told);
        }
    }

    pub fn holds_no_secret(&self, name: &str, place: &str, bytes: &[u8]) {
        for (whose, secret) in &self.secrets {
            assert!(!contains(bytes, secret), "{name}: the secret of {whose} stands in {place}");
        }
    }

    /// No file but key files holds a secret.
    pub fn no_file_holds_a_secret(&self, name: &str) {
        for path in self.tree().into_keys().filter(|path| path.extension().is_none_or(|e| e != "key")) {
            if path.is_file() && !path.is_symlink() {
                self.holds_no_secret(name, &path.display().to_string(), &std::fs::read(&path).unwrap());
            }
        }
    }

    /// A good release right after it succeeds, and the client takes it. A repository that somebody changed is repaired first.
    pub fn heals(&mut self, name: &str) {
        if tree(&self.desk.path("repo")) != self.repository {
            std::fs::remove_dir_all(self.desk.path("repo")).unwrap();
            std::fs::create_dir(self.desk.path("repo")).unwrap();
            copy(&first_desk().path("repo"), &self.desk.path("repo"));
        }
        self.goes_on(name);
    }

    /// The same in the repository as it is.
    pub fn goes_on(&mut self, name: &str) {
        let output = run(&mut self.release("9.0.0", &[]));
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        self.told_safely(name, &output);
        let answer = self.client.update(false);
        let is = |to: &relatch::trust::Version| to.to_string() == "9.0.0";
        assert!(matches!(&answer, Ok(Outcome::Updated { to, .. }) if is(to)), "{name}: {answer:?}");
        assert_eq!(self.desk.read("installed/widget"), self.desk.read("build-1.2.0"), "{name}");
        self.no_file_holds_a_secret(name);
        assert_eq!(tree(&self.desk.path("tmp")), Tree::new(), "{name}: something temporary stayed");
    }
}

/// Made once; every scene is a copy.
fn first_desk() -> &'static Desk {
    static FIRST: OnceLock<Desk> = OnceLock::new();
    FIRST.get_or_init(make_first_desk)
}

fn make_first_desk() -> Desk {
    let desk = Desk::bare();
    for dir in ["keys", "tmp", "installed"] {
        std::fs::create_dir(desk.path(dir)).unwrap();
    }
    for name in KEYS {
        desk.ok(&["keygen", "--no-password", "--out", &format!("keys/{name}.key")]);
    }
    let mut new = vec!["root", "new", "--product", "widget", "--out", "root.json"];
    new.extend(["--root-key", "keys/root-a.pub", "--root-key", "keys/root-b.pub", "--threshold", "root=2"]);
    new.extend(["--release-key", "keys/ci.pub", "--release-key", "keys/human.pub"]);
    new.extend(["--release-key", "keys/old.pub", "--threshold", "release=2"]);
    new.extend(["--timestamp-key", "keys/clock.pub"]);
    desk.ok(&new);
    let old = ["root", "remove", "root.json", "--role", "release", "--key", "keys/old.pub"];
    for file in ["root.json", "root2.json"] {
        if file == "root2.json" {
            desk.ok(&[&old[..], &["--out", file]].concat());
        }
        desk.ok(&["root", "sign", file, "--key", "keys/root-a.key", "--key", "keys/root-b.key"]);
        desk.ok(&[&["root", "publish", file][..], &REPO].concat());
    }
    let keys = ["--key", "keys/ci.key", "--key", "keys/human.key", "--key", "keys/clock.key"];
    // Numbers by hand, so that rows can name them; without --seq they are the time.
    for (version, more) in
        [("1.0.0", &["--seq", "1"][..]), ("1.1.0", &["--seq", "2", "--min-version", "1.0.5"])]
    {
        let artifact = desk.build(version);
        let release = ["release", "--version", version, "--artifact", &artifact];
        desk.ok(&[&release[..], &REPO, &keys, more].concat());
    }
    let artifact = desk.build("1.2.0");
    for folder in ["signed", "unsigned"] {
        let prepare =
            ["prepare", "--version", "1.2.0", "--artifact", &artifact, "--out", folder, "--seq", "3"];
        desk.ok(&[&prepare[..], &REPO].concat());
    }
    desk.ok(&[&["sign", "signed"][..], &keys].concat());
    desk
}

/// Runs it to its end.
pub fn run(command: &mut Command) -> Output {
    finish(spawn(command))
}

/// The same after a word of the shell's, such as a limit.
#[cfg(unix)]
pub fn in_a_shell(first: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{first}; exec \"$@\""), "sh"])
        .arg(command.get_program())
        .args(command.get_args());
    shell.current_dir(command.get_current_dir().unwrap()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Starts it; what it tells is kept.
pub fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for its end. What it tells fits into a pipe.
pub fn finish(mut child: Child) -> Output {
    let until = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            child.kill().unwrap();
            panic!("it does not end: {}", stderr(&child.wait_with_output().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    child.wait_with_output().unwrap()
}

pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

pub fn tree(dir: &Path) -> Tree {
    let mut tree = Tree::new();
    walk(dir, &mut tree);
    tree
}

fn walk(dir: &Path, tree: &mut Tree) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = std::fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_symlink() {
            format!("to {}", std::fs::read_link(&path).unwrap().display())
        } else if meta.is_file() {
            match std::fs::read(&path) {
                Err(error) if error.kind() == ErrorKind::PermissionDenied => "not to be read".into(),
                content => Digest::of(&content.unwrap()).to_string(),
            }
        } else {
            format!("{:?}", meta.file_type())
        };
        tree.insert(path.clone(), format!("{content} {:?}", meta.permissions()));
        if meta.is_dir() {
            walk(&path, tree);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        let to = to.join(name);
        if path.is_dir() {
            drop(std::fs::create_dir(&to));
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
            if to.extension().is_some_and(|extension| extension == "key") {
                make_private(&to); // on Windows, a copy inherits its permissions from its directory
            }
        }
    }
}
