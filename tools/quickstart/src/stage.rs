//! Runs commands where they are shown, in a folder that is made anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An error is a sentence for the person who watches.
pub type Result<T> = std::result::Result<T, String>;

/// The folder of the story, and the workspace that it is told in.
pub struct Stage {
    workspace: PathBuf,
    dir: String,
}

impl Stage {
    /// Empties the folder, if it is one of an earlier story or none at all.
    pub fn new(dir: &str) -> Result<Self> {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let workspace =
            fs::canonicalize(&workspace).map_err(|error| format!("cannot find the workspace: {error}"))?;
        let stage = Stage { workspace, dir: dir.to_owned() };
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

    /// What happens now and why.
    pub fn tell(&self, text: &str) {
        println!("\n# {text}");
    }

    /// Shows a command, runs it as a shell would, shows what it says, and insists on its exit code. Returns what it printed.
    pub fn run(&self, command: &str, exit_code: i32) -> Result<String> {
        let command = command.replace("{dir}", &self.dir);
        println!("$ {command}");
        // The story is the same in a CI, where a start-up check keeps quiet by itself.
        let output = Command::new("sh")
            .args(["-c", &command])
            .env_remove("CI")
            .env_remove("CARGO_TARGET_DIR")
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
