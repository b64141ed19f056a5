//! Real executables of any version, installed somewhere, and what the disk looks like.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use relatch::trust::{Digest, Version};
use relatch::{Install, Quiet, Status, Updater};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use super::built::built;
use super::repository::{PRODUCT, Repository};

/// The file name of the tests' product. Windows starts what has this ending by its name alone, and shells start nothing else.
pub const EXECUTABLE: &str = if cfg!(windows) { "widget.exe" } else { PRODUCT };
/// The file name of the executable that a rollback brings back.
pub const PREVIOUS: &str = if cfg!(windows) { "previous.exe" } else { "previous" };

/// The built `test-tool`, once for each test process. It is small: the tests write, hash and start it by the hundred.
pub fn test_tool() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| std::fs::read(built("test-tool")).unwrap())
}

/// What a test-tool is: the fields of its `Config`. Its starts have time: how long a check may take is the promise of a few tests only, and
/// a busy machine must not fail the others.
pub fn config(repository: &Repository, version: &str) -> Value {
    json!({
        "product": PRODUCT,
        "version": version,
        "channel": repository.channel,
        "root": String::from_utf8(repository.anchor()).unwrap(),
        "repository": repository.location(),
        "deadline_ms": 20_000,
    })
}

/// A real executable that is what `config` says.
pub fn executable_with(config: &Value) -> Vec<u8> {
    let mut bytes = test_tool().to_vec();
    bytes.push(b'\n');
    bytes.extend(config.to_string().into_bytes());
    bytes
}

/// A real executable of this version that trusts and reads the repository.
pub fn executable(repository: &Repository, version: &str) -> Vec<u8> {
    executable_with(&config(repository, version))
}

/// The same with further fields of the `Config`, or others than usual.
pub fn executable_such(repository: &Repository, version: &str, fields: Value) -> Vec<u8> {
    let mut config = config(repository, version);
    for (name, value) in fields.as_object().unwrap() {
        config[name] = value.clone();
    }
    executable_with(&config)
}

/// An installed executable in a directory of its own.
pub struct Tool {
    pub dir: TempDir,
    pub path: PathBuf,
    /// Where its user's programs keep their state.
    pub state_home: TempDir,
}

impl Tool {
    /// Nothing is there yet.
    pub fn absent() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = relatch::platform::canonicalize(dir.path()).unwrap().join(EXECUTABLE);
        Tool { dir, path, state_home: tempfile::tempdir().unwrap() }
    }

    /// Copied there, as a person would with a first download.
    pub fn copied(executable: &[u8]) -> Self {
        let tool = Tool::absent();
        std::fs::write(&tool.path, executable).unwrap();
        make_executable(&tool.path);
        tool
    }

    /// Installed by the library from the current release, so that [`Tool::updater`] works on it.
    pub fn installed(repository: &Repository) -> Self {
        let tool = Tool::absent();
        install(repository, &tool.path).unwrap();
        tool
    }

    /// The same without a probe, so that a few bytes do as an executable.
    pub fn installed_plain(repository: &Repository) -> Self {
        let tool = Tool::absent();
        install_plain(repository, &tool.path, false).unwrap();
        tool
    }

    pub fn updater(&self) -> Updater {
        Updater::of_installed(&self.path).unwrap()
    }

    /// `.<exe>.relatch`
    pub fn site_dir(&self) -> PathBuf {
        self.path.with_file_name(format!(".{EXECUTABLE}.relatch"))
    }

    /// What a rollback brings back.
    pub fn previous(&self) -> PathBuf {
        self.site_dir().join(PREVIOUS)
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.env_remove("CI").env_remove("RELATCH_NO_UPDATE");
        command.env("XDG_STATE_HOME", self.state_home.path());
        command
    }

    /// What its user has of it, where nothing may be written beside it.
    pub fn own_dir(&self) -> PathBuf {
        let hash = Digest::of(self.path.as_os_str().as_encoded_bytes()).to_string();
        self.state_home.path().join("relatch").join(&hash[..16])
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        run(self.command().args(arguments))
    }

    /// The version that a run prints, which is the one that ran in the end.
    pub fn version(&self) -> String {
        let output = self.run(&["--no-update"]);
        assert!(output.status.success(), "{output:?}");
        stdout(&output).split(' ').nth(1).unwrap().to_owned()
    }

    pub fn digest(&self) -> Digest {
        Digest::of(&std::fs::read(&self.path).unwrap())
    }

    /// What is recorded beside the executable.
    pub fn status(&self) -> Status {
        Updater::status(&relatch::install::Installation::at(&self.path).unwrap(), None).unwrap()
    }

    /// The number of the root beside the executable; 1 is the one that was given.
    pub fn root_on_disk(&self) -> u64 {
        let Ok(text) = std::fs::read_to_string(self.site_dir().join("root")) else { return 1 };
        let root: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        root["version"].as_u64().unwrap()
    }

    /// Names in the site's directory that a finished update or rollback must not leave there.
    pub fn strays(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.site_dir()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let expected = [
            "journal", "floors", "cache", "root", "lock", "staging", PREVIOUS, "settings", "trial", "events",
        ];
        // What the journal names is kept.
        let journal = self.site_dir().join("journal");
        let kept = if journal.is_file() { read_record(&journal)["kept"].clone() } else { Value::Null };
        let is_kept = |name: &str| kept.as_array().into_iter().flatten().any(|kept| kept["file"] == name);
        names.filter(|name| !expected.contains(&name.as_str()) && !is_kept(name)).collect()
    }

    /// One of the files `journal`, `floors` and `cache`.
    pub fn record(&self, name: &str) -> Value {
        read_record(&self.site_dir().join(name))
    }

    /// Changes one of these files, as if it had come so.
    pub fn edit(&self, name: &str, change: impl FnOnce(&mut Value)) {
        edit_record(&self.site_dir().join(name), change);
    }

    /// What was accepted last.
    pub fn floor(&self) -> Value {
        self.record("floors")["domains"][0]["epochs"].as_array().unwrap().last().unwrap()["channels"][0]
            .clone()
    }

    /// Everything on the disk in the tool's directory: names, content, permissions. The lock files' existence is no content,
    /// and what is only counted or told to people (`trial`, `events`) is not either.
    pub fn snapshot(&self) -> Snapshot {
        self.everything().without_logs()
    }

    /// The same with these.
    pub fn everything(&self) -> Snapshot {
        Snapshot::of(self.dir.path(), |path, _| Digest::of(&std::fs::read(path).unwrap()).to_string())
    }

    /// The same for the thousandth time: of large files inode, size and time of change.
    pub fn glance(&self) -> Snapshot {
        Snapshot::of(self.dir.path(), |path, meta| match meta.len() {
            0..65_536 => Digest::of(&std::fs::read(path).unwrap()).to_string(),
            size => format!("{size} {}", identity(meta)),
        })
        .without_logs()
    }
}

/// What a record says.
pub fn read_record(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    serde_json::from_str(text.lines().next().unwrap()).unwrap()
}

/// Changes a record, as if it had come so.
pub fn edit_record(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut record = read_record(path);
    change(&mut record);
    let line = record.to_string();
    std::fs::write(path, format!("{line}\n{}\n", Digest::of(line.as_bytes()))).unwrap();
}

/// Which file it is, and when it was changed.
#[cfg(unix)]
fn identity(meta: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    format!("{} {}.{}", meta.ino(), meta.ctime(), meta.ctime_nsec())
}

/// Windows tells the times alone of a file that is not open.
#[cfg(not(unix))]
fn identity(meta: &Metadata) -> String {
    format!("{:?} {:?}", meta.created().unwrap(), meta.modified().unwrap())
}

/// Lets a file be run, where that is a matter of its mode.
pub fn make_executable(path: &Path) {
    #[cfg(unix)]
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    #[cfg(not(unix))]
    assert!(path.is_file());
}

/// `relatch install` of an executable that is never run.
pub fn install_plain(
    repository: &Repository,
    path: &Path,
    force: bool,
) -> relatch::Result<(Version, PathBuf)> {
    let install = Install {
        from: repository.location(),
        ca_file: None,
        root: repository.dir.path().join("root/1.json"),
        product: PRODUCT.parse().unwrap(),
        channel: repository.channel.parse().unwrap(),
        target: "test".parse().unwrap(),
        path: path.into(),
        probe: Some(relatch::install::Probe::None),
        force,
    };
    install.run(Quiet)
}

/// `relatch install` by the library.
pub fn install(repository: &Repository, path: &Path) -> relatch::Result<(Version, PathBuf)> {
    let anchor = repository.dir.path().join("root/1.json");
    let install = Install {
        from: repository.location(),
        ca_file: None,
        root: anchor,
        product: PRODUCT.parse().unwrap(),
        channel: repository.channel.parse().unwrap(),
        target: "test".parse().unwrap(),
        path: path.into(),
        probe: None,
        force: false,
    };
    install.run(Quiet)
}

/// Runs a command; a freshly written executable may be busy for a moment while another thread forks.
pub fn run(command: &mut Command) -> Output {
    for _ in 0..1000 {
        match command.output() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            output => return output.unwrap(),
        }
    }
    panic!("the executable stays busy");
}

/// Whether this process may give a file to somebody else and start a program as somebody else; says so where not. Root of a container may
/// have nobody to do it for.
#[cfg(unix)]
pub fn may_be_another() -> bool {
    use std::os::unix::process::CommandExt;
    let dir = tempfile::tempdir().unwrap();
    let given = std::os::unix::fs::chown(dir.path(), Some(65534), Some(65533));
    match given.and_then(|()| Command::new("true").uid(65534).gid(65534).status()) {
        Ok(status) if status.success() => return true,
        Ok(status) => println!("skipped: as another user, a program ends with {status}"),
        Err(error) => println!("skipped: nothing can be given to another user here: {error}"),
    }
    false
}

/// The highest resident size of a process, in bytes, when it has ended: `VmHWM` in `/proc/<pid>/status`, the highest that the kernel has
/// seen so far, read every few milliseconds. It only grows, so the last reading misses at most what those milliseconds added.
///
/// Linux lets the parent go on a moment before an executed child has a memory of its own: until then the size is that of this process.
#[cfg(target_os = "linux")]
pub fn peak(child: &mut std::process::Child) -> u64 {
    let [status, executable] = ["status", "exe"].map(|name| format!("/proc/{}/{name}", child.id()));
    let own = std::env::current_exe().unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        if std::fs::read_link(&executable).is_ok_and(|of| of == own) {
            continue;
        }
        // A process that has just ended has no such line any more.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        if let Some(kib) = line.and_then(|line| line.trim().strip_suffix(" kB")) {
            peak = peak.max(kib.trim().parse::<u64>().unwrap() * 1024);
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    peak
}

/// The highest resident size of what ran, in bytes. On a busy machine a process may be gone before anybody looks at it for the first time:
/// then it runs once more.
pub fn measured(run: impl FnMut() -> u64) -> u64 {
    const AN_EXECUTABLE: u64 = 1024 * 1024;
    let peak = std::iter::repeat_with(run).take(5).find(|peak| *peak > AN_EXECUTABLE);
    peak.expect("nothing was measured")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Content and mode by name; names have slashes everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(pub BTreeMap<String, (String, u32)>);

impl Snapshot {
    fn without_logs(mut self) -> Self {
        let is_log = |name: &str| name.ends_with(".relatch/trial") || name.ends_with(".relatch/events");
        self.0.retain(|name, _| !is_log(name));
        self
    }

    fn of(dir: &Path, look: impl Fn(&Path, &Metadata) -> String) -> Self {
        let mut files = BTreeMap::new();
        collect(dir, dir, &look, &mut files);
        Snapshot(files)
    }

    pub fn executable(&self) -> &(String, u32) {
        &self.0[EXECUTABLE]
    }

    pub fn previous(&self) -> &(String, u32) {
        &self.0[&format!(".{EXECUTABLE}.relatch/{PREVIOUS}")]
    }
}

#[cfg(unix)]
fn mode(meta: &Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&meta.permissions())
}

/// All that a file has of one on Windows.
#[cfg(not(unix))]
fn mode(meta: &Metadata) -> u32 {
    meta.permissions().readonly().into()
}

fn collect(
    base: &Path,
    dir: &Path,
    look: &impl Fn(&Path, &Metadata) -> String,
    files: &mut BTreeMap<String, (String, u32)>,
) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(base).unwrap().to_str().unwrap().replace(std::path::MAIN_SEPARATOR, "/");
        let meta = std::fs::symlink_metadata(&path).unwrap();
        if name.ends_with("/lock") || name.ends_with("/staging") {
            continue;
        }
        let content = match meta.file_type() {
            kind if kind.is_dir() => "directory".into(),
            kind if kind.is_file() || kind.is_symlink() => look(&path, &meta),
            _ => "neither a file nor a directory".into(),
        };
        files.insert(name, (content, mode(&meta)));
        if meta.is_dir() {
            collect(base, &path, look, files);
        }
    }
}
