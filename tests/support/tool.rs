//! Real executables of any version, installed somewhere, and what the disk looks like.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use relatch::trust::{Digest, Version};
use relatch::{Install, Quiet, Updater};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::repository::{PRODUCT, Repository};

/// The built `test-tool`, once for each test process.
pub fn test_tool() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| std::fs::read(built("test-tool")).unwrap())
}

/// A binary of this workspace. It is built if need be: no test runs against a stale one.
pub fn built(name: &str) -> PathBuf {
    static BUILD: OnceLock<PathBuf> = OnceLock::new();
    let dir = BUILD.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--workspace", "--bins", "--target-dir"])
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(built.unwrap().success(), "the workspace's binaries must build");
        target.join("debug")
    });
    dir.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// What a test-tool is: the fields of its `Config`; `change` adds to them.
pub fn config(repository: &Repository, version: &str) -> Value {
    json!({
        "product": PRODUCT,
        "version": version,
        "channel": repository.channel,
        "root": String::from_utf8(repository.anchor()).unwrap(),
        "repository": repository.location(),
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

/// An installed executable in a directory of its own.
pub struct Tool {
    pub dir: TempDir,
    pub path: PathBuf,
}

impl Tool {
    /// Copied there, as a person would with a first download.
    pub fn copied(executable: &[u8]) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join(PRODUCT);
        std::fs::write(&path, executable).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Tool { dir, path }
    }

    /// Installed by the library from the current release, so that [`Tool::updater`] works on it.
    pub fn installed(repository: &Repository) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join(PRODUCT);
        install(repository, &path).unwrap();
        Tool { dir, path }
    }

    pub fn updater(&self) -> Updater {
        Updater::of_installed(&self.path).unwrap()
    }

    /// `.<exe>.relatch`
    pub fn site_dir(&self) -> PathBuf {
        self.path.with_file_name(format!(".{PRODUCT}.relatch"))
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.env_remove("CI").env_remove("RELATCH_NO_UPDATE");
        command
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

    /// Everything on the disk in the tool's directory: names, content, permissions. The lock file's existence is no content.
    pub fn snapshot(&self) -> Snapshot {
        let mut files = BTreeMap::new();
        collect(self.dir.path(), self.dir.path(), &mut files);
        Snapshot(files)
    }
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
    for _ in 0..100 {
        match command.output() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            output => return output.unwrap(),
        }
    }
    panic!("the executable stays busy");
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(pub BTreeMap<String, (String, u32)>);

fn collect(base: &Path, dir: &Path, files: &mut BTreeMap<String, (String, u32)>) {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(base).unwrap().display().to_string();
        let meta = std::fs::symlink_metadata(&path).unwrap();
        if name.ends_with("/lock") {
            continue;
        }
        let content = if meta.is_dir() {
            "directory".into()
        } else {
            Digest::of(&std::fs::read(&path).unwrap()).to_string()
        };
        files.insert(name, (content, meta.permissions().mode()));
        if meta.is_dir() {
            collect(base, &path, files);
        }
    }
}
