//! Directories before each operation, prepared once, and cheap copies of them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use relatch::trust::Digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::operation::{By, Kind, Operation};
use super::support::tool::{built, make_executable, run, stderr};
use super::support::{PRODUCT, Repository, executable_such};

/// The versions of the two releases.
pub const OLD: &str = "1.0.0";
/// Kept in some installations of the first one. It was never released.
const OLDEST: &str = "0.9.0";
pub const NEW: &str = "1.1.0";

/// A repository whose newest release is [`NEW`], and installations of both releases.
pub struct Scene {
    repository: Repository,
    base: TempDir,
    pub relatch: PathBuf,
    pub oldest: Digest,
    pub old: Digest,
    pub new: Digest,
}

impl Scene {
    pub fn new() -> Self {
        let mut repository = Repository::new();
        let bytes = |version: &str| executable_such(&repository, version, json!({"interval": 0}));
        let (oldest, old, new) = (bytes(OLDEST), bytes(OLD), bytes(NEW));
        let base = tempfile::tempdir().unwrap();
        repository.release(OLD, &old);
        let relatch = built("relatch");
        let [of_oldest, of_old, of_new] = [&oldest, &old, &new].map(|bytes| Digest::of(bytes));
        let scene = Scene { repository, base, relatch, oldest: of_oldest, old: of_old, new: of_new };

        std::fs::create_dir_all(scene.template("absent")).unwrap();
        std::fs::create_dir_all(scene.template("copied-old")).unwrap();
        std::fs::create_dir_all(scene.template("installed-old")).unwrap();
        let copied = scene.template("copied-old").join(PRODUCT);
        std::fs::write(&copied, &old).unwrap();
        make_executable(&copied);
        scene.succeeds(Command::new(&copied).arg("--update"));
        let installed = scene.template("installed-old").join(PRODUCT);
        scene.succeeds(&mut scene.install(&installed));
        std::fs::create_dir_all(scene.template("kept-old")).unwrap();
        let beside = scene.template("kept-old").join(PRODUCT);
        std::fs::write(&beside, &oldest).unwrap();
        make_executable(&beside);
        scene.succeeds(Command::new(&beside).arg("--update"));
        for executable in [&copied, &installed, &beside] {
            give_attributes(executable);
        }
        let mut scene = scene;
        scene.repository.release(NEW, &new);
        for (from, to) in [("copied-old", "copied-new"), ("installed-old", "installed-new")] {
            let (from, to) = (scene.template(from), scene.template(to));
            scene.succeeds(Command::new("cp").arg("-a").arg(from).arg(&to));
            scene.succeeds(Command::new(to.join(PRODUCT)).arg("--update"));
        }
        for (from, to, argument) in
            [("copied-new", "returned-old", "--rollback"), ("returned-old", "unheld-old", "--unhold")]
        {
            let (from, to) = (scene.template(from), scene.template(to));
            scene.succeeds(Command::new("cp").arg("-a").arg(from).arg(&to));
            scene.succeeds(Command::new(to.join(PRODUCT)).arg(argument));
        }
        scene
    }

    fn template(&self, name: &str) -> PathBuf {
        self.base.path().join("templates").join(name)
    }

    pub fn repository(&self) -> PathBuf {
        self.repository.dir.path().canonicalize().unwrap()
    }

    /// Nothing of the machine's user, and nothing that keeps a tool from checking.
    pub fn environment(&self, command: &mut Command) {
        command.env("XDG_STATE_HOME", self.base.path().join("state"));
        command.env_remove("CI").env_remove("RELATCH_NO_UPDATE");
    }

    /// No operation wrote to an executable that has a name.
    pub fn assert_untouched(&self) {
        for name in [
            "copied-old",
            "installed-old",
            "kept-old",
            "returned-old",
            "unheld-old",
            "copied-new",
            "installed-new",
        ] {
            let expected = if name.ends_with("old") { self.old } else { self.new };
            let found = executable(&self.template(name).join(PRODUCT));
            assert_eq!(found, Ok(Some(expected)), "{name}: a row wrote to an executable");
        }
    }

    #[track_caller]
    fn succeeds(&self, command: &mut Command) {
        self.environment(command);
        let output = run(command);
        assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    }

    pub fn install(&self, path: &Path) -> Command {
        let mut command = Command::new(&self.relatch);
        command.arg("install").arg("--from").arg(self.repository());
        command.arg("--root").arg(self.repository().join("root/1.json"));
        command.args(["--product", PRODUCT, "--channel", &self.repository.channel]);
        command.args(["--target", "test", "--to"]).arg(path);
        command
    }

    /// What is copied before the operation.
    pub fn before(&self, operation: &Operation) -> PathBuf {
        self.template(match (operation.kind, operation.by) {
            (Kind::Install, _) => "absent",
            (Kind::UpdateBeside, _) => "kept-old",
            (Kind::UpdateKept, _) => "unheld-old",
            (Kind::Forward, _) => "returned-old",
            (Kind::Update | Kind::StartUpdate, By::Tool) => "copied-old",
            (Kind::Update | Kind::StartUpdate, By::Relatch) => "installed-old",
            (Kind::Rollback | Kind::StartCurrent, By::Tool) => "copied-new",
            (Kind::Rollback | Kind::StartCurrent, By::Relatch) => "installed-new",
        })
    }

    /// A directory of this worker as it is before the operation. All names have the same length, so
    /// that all runs have the same calls.
    pub fn place(&self, operation: &Operation, worker: usize) -> Place {
        let dir = self.base.path().canonicalize().unwrap().join(format!("place-{worker}"));
        if dir.exists() {
            std::fs::remove_dir_all(&dir).unwrap();
        }
        copy(&self.before(operation), &dir);
        Place::new(dir, self.base.path().join(format!("log-{worker}")))
    }
}

/// What an update carries over by further calls, where this user and this file system have it.
fn give_attributes(executable: &Path) {
    rustix::fs::setxattr(executable, "user.note", b"x", rustix::fs::XattrFlags::empty()).ok();
    std::os::unix::fs::chown(executable, None, Some(12_345)).ok();
}

/// Executables are linked, which is cheap and leaves no descriptor that could write to them. No
/// operation writes to an executable that has a name.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (meta, target) = (entry.metadata().unwrap(), to.join(entry.file_name()));
        if meta.is_dir() {
            copy(&entry.path(), &target);
        } else if meta.permissions().mode() & 0o111 == 0 {
            std::fs::copy(entry.path(), &target).unwrap();
        } else {
            std::fs::hard_link(entry.path(), &target).unwrap();
        }
    }
}

/// Where one operation is disturbed.
pub struct Place {
    pub dir: PathBuf,
    /// Of the executable.
    pub path: PathBuf,
    /// Of strace.
    pub log: PathBuf,
}

/// What an operation may leave in `.<exe>.relatch`, beside what the journal keeps.
const NAMES: [&str; 9] =
    ["journal", "floors", "cache", "root", "lock", "staging", "settings", "trial", "events"];

impl Place {
    pub fn new(dir: PathBuf, log: PathBuf) -> Self {
        Place { path: dir.join(PRODUCT), dir, log }
    }

    fn private(&self, name: &str) -> PathBuf {
        self.dir.join(format!(".{PRODUCT}.relatch")).join(name)
    }

    /// The hash of the executable at the path, which may be run; `None` if there is none.
    pub fn at_path(&self) -> Result<Option<Digest>, String> {
        executable(&self.path)
    }

    /// A record, whose hash is right; `None` if there is none.
    pub fn record(&self, name: &str) -> Result<Option<Value>, String> {
        let Ok(text) = std::fs::read_to_string(self.private(name)) else { return Ok(None) };
        let (line, hash) = text.trim_end().split_once('\n').ok_or(format!("{name} is damaged"))?;
        if hash != Digest::of(line.as_bytes()).to_string() {
            return Err(format!("{name} is damaged"));
        }
        serde_json::from_str(line).map(Some).map_err(|error| format!("{name}: {error}"))
    }

    /// Whether the journal says that this executable was installed, and that no swap is in
    /// progress.
    pub fn records(&self, executable: Digest) -> bool {
        self.record("journal").ok().flatten().is_some_and(|journal| {
            journal["installed"]["blake3"] == executable.to_string().as_str() && journal["pending"].is_null()
        })
    }

    pub fn holds(&self, version: &str) -> bool {
        let journal = self.record("journal").ok().flatten().unwrap_or_default();
        journal["held"].as_array().is_some_and(|held| held.iter().any(|one| one["version"] == version))
    }

    /// The number of the release that was accepted last; 0 if none was.
    pub fn accepted(&self) -> u64 {
        let floors = self.record("floors").ok().flatten().unwrap_or_default();
        let epoch = floors["domains"][0]["epochs"].as_array().and_then(|epochs| epochs.last()).cloned();
        epoch.unwrap_or_default()["channels"][0]["seq"].as_u64().unwrap_or_default()
    }

    /// What is wrong after an operation that ended well.
    pub fn inconsistencies(&self, kept: &[Digest]) -> Vec<String> {
        let mut found = Vec::new();
        for name in ["floors", "cache"] {
            found.extend(self.record(name).err());
        }
        match (self.record("journal"), self.at_path()) {
            (Ok(Some(journal)), Ok(Some(installed))) => {
                let expected = json!(installed.to_string());
                if journal["installed"]["blake3"] != expected {
                    found.push(format!("the journal does not name what is at the path: {journal}"));
                }
                if !journal["pending"].is_null() {
                    found.push(format!("the journal has a swap that is pending: {journal}"));
                }
                let recorded = journal["kept"].as_array().cloned().unwrap_or_default();
                let hashes: Vec<_> = recorded.iter().map(|kept| kept["blake3"].clone()).collect();
                if hashes != kept.iter().map(|kept| json!(kept.to_string())).collect::<Vec<_>>() {
                    found.push(format!("the journal keeps other executables: {journal}"));
                }
                for one in &recorded {
                    match executable(&self.private(one["file"].as_str().unwrap_or_default())) {
                        Ok(Some(hash)) if one["blake3"] == hash.to_string() => {}
                        Ok(other) => found.push(format!("{one} has the hash {other:?}")),
                        Err(error) => found.push(error),
                    }
                }
            }
            (Ok(None), _) => found.push("there is no journal".into()),
            (journal, at_path) => {
                found.extend(journal.err());
                found.extend(at_path.err());
            }
        }
        found.extend(self.strays().into_iter().map(|name| format!("{name} is left")));
        found
    }

    pub fn strays(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.private("")) else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let journal = self.record("journal").ok().flatten().unwrap_or_default();
        let is_kept =
            |name: &str| journal["kept"].as_array().into_iter().flatten().any(|kept| kept["file"] == name);
        let private = names.filter(|name| !NAMES.contains(&name.as_str()) && !is_kept(name));
        let beside = std::fs::read_dir(&self.dir).unwrap().map(|entry| entry.unwrap().file_name());
        let expected = [PRODUCT.to_owned(), format!(".{PRODUCT}.relatch")];
        let beside = beside.map(|name| name.into_string().unwrap()).filter(|name| !expected.contains(name));
        private.chain(beside).collect()
    }
}

/// The hash of a file that anyone may run; `None` if there is none.
fn executable(path: &Path) -> Result<Option<Digest>, String> {
    let meta = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        meta => meta.map_err(|error| format!("{}: {error}", path.display()))?,
    };
    let mode = meta.permissions().mode() & 0o7777;
    if !meta.is_file() || mode != 0o755 {
        return Err(format!("{} is no file of mode 0755, but of {mode:04o}", path.display()));
    }
    Ok(Some(Digest::of(&std::fs::read(path).unwrap())))
}
