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
    pub fn path(&self, name: &str) -> PathBuf {
        self.workspace.join(&self.dir).join(name)
    }

    /// What happens now and why.
    pub fn tell(&self, text: &str) {
        println!("\n# {text}");
    }

    /// Shows a command.
    pub fn say(&self, command: &str) {
        println!("$ {}", self.shown(command));
    }

    /// Shows a command, runs it, shows what it says, and insists on its exit code. Returns what it printed.
    pub fn run(&self, command: &str, exit_code: i32) -> Result<String> {
        self.say(command);
        let command =
            command.replace("{dir}", &self.dir).replace("{here}", &self.workspace.display().to_string());
        let mut words = command.split_whitespace().peekable();
        let mut variables = Vec::new();
        while let Some((name, value)) =
            words.peek().and_then(|word| word.split_once('=')).filter(|(name, _)| !name.contains('-'))
        {
            variables.push((name.to_owned(), value.to_owned()));
            words.next();
        }
        let program = words.next().ok_or("an empty command")?;
        // The story is the same in a CI, where a start-up check keeps quiet by itself.
        let program = if program.contains('/') { self.workspace.join(program) } else { program.into() };
        let output = Command::new(&program)
            .args(words)
            .envs(variables)
            .env_remove("CI")
            .env_remove("CARGO_TARGET_DIR")
            .current_dir(&self.workspace)
            .output()
            .map_err(|error| format!("cannot run {}: {error}", program.display()))?;
        let text =
            [String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout)].concat();
        for line in text.lines() {
            println!("  {line}");
        }
        match output.status.code() {
            Some(code) if code == exit_code => Ok(text),
            _ => Err(format!("this ended with {}, expected was exit code {exit_code}", output.status)),
        }
    }

    /// Shows and writes a small text file.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        self.say(&format!("printf '{}' > {{dir}}/{name}", text.replace('\n', "\\n")));
        let path = self.path(name);
        fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
    }

    /// Keeps a copy of what was built.
    pub fn keep(&self, built: &str, name: &str) -> Result<()> {
        self.say(&format!("cp {built} {{dir}}/{name}"));
        let to = self.path(name);
        fs::copy(self.workspace.join(built), &to)
            .map_err(|error| format!("cannot copy to {}: {error}", to.display()))?;
        Ok(())
    }

    fn shown(&self, command: &str) -> String {
        command.replace("{dir}", &self.dir).replace("{here}", "$PWD")
    }
}
