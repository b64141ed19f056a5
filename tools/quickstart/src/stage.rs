//! Runs commands where they are shown, in a folder that is made anew.

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// An error is a sentence for the person who watches.
pub type Result<T> = std::result::Result<T, String>;

/// The folder of the story, and the workspace that it is told in.
pub struct Stage {
    workspace: PathBuf,
    dir: String,
    bucket: Option<Bucket>,
}

/// A server that runs as long as the story.
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

/// What the server accepts: a key pair of this story, and of no other use.
const KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "QUICKSTART"), ("AWS_SECRET_ACCESS_KEY", "worthless-outside-of-this-story")];
const SERVER: &str = "target/debug/s3-server --dir {dir}/s3 --bucket releases --address";

/// As long may the server take to say where it listens.
const PATIENCE: Duration = Duration::from_secs(60);

impl Stage {
    /// Empties the folder, if it is one of an earlier story or none at all.
    pub fn new(dir: &str) -> Result<Self> {
        // Not canonicalized: on Windows, a shell does not start in a verbatim path.
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
        let workspace = workspace.filter(|path| path.is_dir()).ok_or("cannot find the workspace")?;
        let stage = Stage { workspace: workspace.into(), dir: dir.to_owned(), bucket: None };
        let path = stage.path("");
        if path.exists() && !path.join("builds").is_dir() {
            return Err(format!(
                "{} is not a folder of an earlier quickstart; it is left as it is",
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

    /// A file of the story.
    fn path(&self, name: &str) -> PathBuf {
        self.workspace.join(&self.dir).join(name)
    }

    /// From now on the releases lie in a bucket.
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
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(stdout.take(1024)).read_line(&mut line);
            tell.send(read.map(|_| line))
        });
        let line = told.recv_timeout(PATIENCE).map_err(|_| "the server says nothing")?;
        let line = line.map_err(|error| format!("the server cannot be read: {error}"))?;
        println!("  {}", line.trim_end());
        let endpoint = line.split(' ').next().unwrap_or_default();
        bucket.address = endpoint.strip_prefix("http://").ok_or("the server does not start")?.to_owned();
        self.bucket = Some(bucket);
        Ok(())
    }

    /// The address of the repository, as a shell takes it.
    pub fn repo(&self) -> String {
        match &self.bucket {
            None => format!("{}/repo", self.dir),
            Some(bucket) => {
                format!("'s3://releases/demo?endpoint=http://{}&region=eu-test-1'", bucket.address)
            }
        }
    }

    /// How the server is started once more, for playing.
    pub fn server_again(&self) -> String {
        let Some(bucket) = &self.bucket else { return String::new() };
        let [(id, pair), (secret, value)] = KEYS;
        let server = SERVER.replace("{dir}", &self.dir);
        format!("\n  export {id}={pair} {secret}={value}\n  {server} {} &", bucket.address)
    }

    /// What happens now and why.
    pub fn tell(&self, text: &str) {
        println!("\n# {text}");
    }

    /// Shows a command, runs it as a shell would, shows what it says, and insists on its exit code. Returns what it printed.
    pub fn run(&self, command: &str, exit_code: i32) -> Result<String> {
        let (repo, dir) = (self.repo(), &self.dir);
        let (embedded, files, features) = match &self.bucket {
            None => (format!("\"$PWD/{repo}\""), repo.clone(), ""),
            Some(_) => (repo.clone(), format!("{dir}/s3/releases/demo"), " --features s3"),
        };
        let command = command
            .replace("{repo}", &repo)
            .replace("{embedded}", &embedded)
            .replace("{files}", &files)
            .replace("{features}", features)
            .replace("{exe}", EXE_SUFFIX) // a shell finds commands without it, and files not
            .replace("{dir}", dir);
        println!("$ {command}");
        // The story is the same in a CI, where a start-up check keeps quiet by itself.
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
            _ => Err(format!("this ended with {}, expected was exit code {exit_code}", output.status)),
        }
    }
}
