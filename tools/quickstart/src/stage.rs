//! Prints and runs commands, in a directory that is created for them.

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The error is a message for the user.
pub type Result<T> = std::result::Result<T, String>;

/// The directory of the quickstart, and the workspace in which its commands run.
pub struct Stage {
    workspace: PathBuf,
    dir: String,
    bucket: Option<Bucket>,
}

/// A server that runs until the quickstart ends.
struct Bucket {
    child: Child,
    /// `127.0.0.1:PORT`.
    address: String,
}

impl Drop for Bucket {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The key pair that the server accepts. It has no other use.
const KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "QUICKSTART"), ("AWS_SECRET_ACCESS_KEY", "worthless-outside-of-this-story")];
const SERVER: &str = "target/debug/s3-server --dir {dir}/s3 --bucket releases --address";

/// How long the server may take to print its address.
const SERVER_START: Duration = Duration::from_secs(60);

/// Root updates nothing below a directory that other users may change, such as another user's
/// checkout that is mounted into a container.
pub fn default_dir() -> String {
    if is_root() && workspace().is_ok_and(|workspace| workspace.ancestors().any(may_be_changed)) {
        let dir = std::env::temp_dir().join("relatch-quickstart").display().to_string();
        println!("Other users may change this checkout, and you are root: the story is told in {dir}.");
        return dir;
    }
    "target/quickstart".to_owned()
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").stderr(Stdio::null()).output();
    cfg!(unix) && id.is_ok_and(|id| id.stdout == b"0\n")
}

#[cfg(unix)]
fn may_be_changed(dir: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    const STICKY: u32 = 0o1000;
    fs::metadata(dir)
        .is_ok_and(|found| found.uid() != 0 || found.mode() & 0o022 != 0 && found.mode() & STICKY == 0)
}

#[cfg(not(unix))]
fn may_be_changed(_: &Path) -> bool {
    false
}

/// A path that an executable can carry, for a shell.
fn for_shell(path: &str) -> String {
    if Path::new(path).is_absolute() { path.to_owned() } else { format!("$PWD/{path}") }
}

fn workspace() -> Result<PathBuf> {
    // Not canonicalized: on Windows, a shell does not start in a verbatim path.
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    Ok(workspace.filter(|path| path.is_dir()).ok_or("cannot find the workspace")?.into())
}

impl Stage {
    /// Creates the directory. An existing one is emptied, but only if an earlier quickstart made
    /// it.
    pub fn new(dir: &str) -> Result<Self> {
        let stage = Stage { workspace: workspace()?, dir: dir.to_owned(), bucket: None };
        let path = stage.path("");
        if path.exists() && !path.join("builds").is_dir() {
            return Err(format!(
                "{} was not made by an earlier quickstart, and is left unchanged; choose another \
                 --dir",
                path.display()
            ));
        }
        if path.exists() {
            fs::remove_dir_all(&path).map_err(|error| format!("cannot empty {}: {error}", path.display()))?;
        }
        for sub in ["bin", "builds"] {
            fs::create_dir_all(stage.path(sub))
                .map_err(|error| format!("cannot create {}: {error}", path.display()))?;
        }
        Ok(stage)
    }

    /// A path in the directory.
    fn path(&self, name: &str) -> PathBuf {
        self.workspace.join(&self.dir).join(name)
    }

    /// Starts the server. From now on the releases are published to its bucket.
    pub fn serve_bucket(&mut self) -> Result<()> {
        let command = format!("{SERVER} 127.0.0.1:0").replace("{dir}", &self.dir);
        let [(id, pair), (secret, value)] = KEYS;
        println!("$ export {id}={pair} {secret}={value}\n$ {command} &");
        let mut words = command.split(' ');
        let mut child = Command::new(self.workspace.join(words.next().unwrap_or_default()))
            .args(words)
            .envs(KEYS)
            .current_dir(&self.workspace)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start the server: {error}"))?;
        let stdout = child.stdout.take().ok_or("the server has no output")?;
        let mut bucket = Bucket { child, address: String::new() };
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(stdout.take(1024)).read_line(&mut line);
            sender.send(read.map(|_| line))
        });
        let line = receiver.recv_timeout(SERVER_START).map_err(|_| "the server did not print its address")?;
        let line = line.map_err(|error| format!("cannot read from the server: {error}"))?;
        println!("  {}", line.trim_end());
        let endpoint = line.split(' ').next().unwrap_or_default();
        bucket.address = endpoint.strip_prefix("http://").ok_or("the server did not start")?.to_owned();
        self.bucket = Some(bucket);
        Ok(())
    }

    /// The address of the repository, quoted for a shell.
    pub fn repo(&self) -> String {
        match &self.bucket {
            None => format!("{}/repo", self.dir),
            Some(bucket) => {
                format!("'s3://releases/demo?endpoint=http://{}&region=eu-test-1'", bucket.address)
            }
        }
    }

    /// The commands that start the server again after the quickstart has ended.
    pub fn restart_server(&self) -> String {
        let Some(bucket) = &self.bucket else { return String::new() };
        let [(id, pair), (secret, value)] = KEYS;
        let server = SERVER.replace("{dir}", &self.dir);
        format!("\n  export {id}={pair} {secret}={value}\n  {server} {} &", bucket.address)
    }

    /// Prints what happens next, and why.
    pub fn announce(&self, text: &str) {
        println!("\n# {text}");
    }

    /// Prints a command, runs it in a shell, and prints and returns its output.
    ///
    /// # Errors
    /// If the exit code is another one.
    pub fn run(&self, command: &str, exit_code: i32) -> Result<String> {
        let (repo, dir) = (self.repo(), &self.dir);
        let (embedded, files, features) = match &self.bucket {
            None => (format!("\"{}\"", for_shell(&repo)), repo.clone(), ""),
            Some(_) => (repo.clone(), format!("{dir}/s3/releases/demo"), " --features s3"),
        };
        let command = command
            .replace("{repo}", &repo)
            .replace("{embedded}", &embedded)
            .replace("{files}", &files)
            .replace("{features}", features)
            .replace("{exe}", EXE_SUFFIX) // only commands are found without it
            .replace("{absolute}", &for_shell(dir))
            .replace("{dir}", dir);
        println!("$ {command}");
        // A start-up check does nothing if CI is set.
        let output = Command::new("sh")
            .args(["-c", &command])
            .env_remove("CI")
            .env_remove("CARGO_TARGET_DIR")
            .envs(self.bucket.iter().flat_map(|_| KEYS))
            .current_dir(&self.workspace)
            .output()
            .map_err(|error| format!("cannot run sh: {error}"))?;
        let text =
            [String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout)].concat();
        for line in text.lines() {
            println!("  {line}");
        }
        match output.status.code() {
            Some(0) if exit_code == 0 => Ok(text),
            Some(code) if code == exit_code => {
                println!("  (exit code {code})");
                Ok(text)
            }
            _ => Err(format!(
                "the command ended with {}; the expected exit code is {exit_code}",
                output.status
            )),
        }
    }
}
