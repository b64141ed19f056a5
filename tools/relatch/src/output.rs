//! The output of a command, for people and as JSON.

use std::path::Path;

use relatch::Finding;
use relatch::install::Installation;
use relatch::trust::Version;
use relatch::{Cause, Checked, Error, JsonLine, Outcome, Printable, Result, RolledBack, Status};
use serde_json::{Value, json};

/// The exit code of `check` if an update is available.
const AVAILABLE: u8 = 100;

/// The output of a command that succeeded.
pub struct CommandOutput {
    /// For people, on stdout.
    pub text: String,
    /// 0; 100 if an update is available; that of a status.
    pub exit_code: u8,
    json: Value,
}

impl CommandOutput {
    fn success(text: String, json: Value) -> Self {
        CommandOutput { text, exit_code: 0, json }
    }

    pub fn installed(version: &Version, path: &Path) -> Self {
        let text = format!("installed {version} at {}", Printable(path.display()));
        CommandOutput::success(
            text,
            json!({"result": "installed", "version": version, "path": path.display().to_string()}),
        )
    }

    pub fn checked(checked: &Checked) -> Self {
        let (from, to, notes, critical) = match checked {
            Checked::Update { from, to, notes, critical } => (from, to, notes, critical),
            Checked::Nothing(reason) => return CommandOutput::nothing(reason),
        };
        let mut text = format!("{to} is available, {from} is installed");
        if *critical {
            text.push_str("; it is critical");
        }
        if !notes.as_str().is_empty() {
            text.push_str("\n  ");
            text.push_str(&notes.as_str().replace('\n', "\n  "));
        }
        let json =
            json!({"result": "available", "from": from, "to": to, "critical": critical, "notes": notes});
        CommandOutput { exit_code: AVAILABLE, ..CommandOutput::success(text, json) }
    }

    pub fn updated(outcome: &Outcome) -> Self {
        let (from, to, withdrawn) = match outcome {
            Outcome::Updated { from, to, withdrawn, .. } => (from, to, withdrawn),
            Outcome::Nothing(reason) => return CommandOutput::nothing(reason),
        };
        let text = as_commands(&outcome.to_string());
        let json = json!({"result": "updated", "from": from, "to": to, "withdrawn": withdrawn});
        CommandOutput::success(text, json)
    }

    fn nothing(reason: &Finding) -> Self {
        let word = match reason {
            Finding::Current => "current",
            Finding::Held { .. } => "held",
            Finding::NotInRollout { .. } => "not-in-rollout",
            Finding::NoTarget { .. } => "no-target",
            _ => "nothing",
        };
        let text = as_commands(&format!("nothing to do: {reason}"));
        CommandOutput::success(
            text,
            json!({"result": "nothing", "reason": word, "why": as_commands(&reason.to_string())}),
        )
    }

    pub fn rolled_back(done: &RolledBack) -> Self {
        let json = match done {
            RolledBack::Now { from, to, held, skipped, warning } => {
                let skipped = skipped.iter().map(|(version, why)| json!({"version": version, "why": why}));
                let result = if *held { "rolled-back" } else { "forward" };
                json!({
                    "result": result, "from": from, "to": to, "warning": warning,
                    "skipped": skipped.collect::<Vec<_>>(),
                })
            }
            RolledBack::Already { installed, further, forward } => {
                json!({"result": "unchanged", "installed": installed, "further": further, "forward": forward})
            }
        };
        CommandOutput::success(as_commands(&done.to_string()), json)
    }

    pub fn holds_ended(ended: &[Version]) -> Self {
        let versions: Vec<_> = ended.iter().map(Version::to_string).collect();
        let text = match &versions[..] {
            [] => "no version is on hold".to_owned(),
            versions => format!("{} may be installed again", versions.join(", ")),
        };
        CommandOutput::success(text, json!({"result": "holds-ended", "versions": ended}))
    }

    pub fn status(installation: &Installation, status: Status, repaired: Option<Vec<String>>) -> Self {
        let path = installation.executable().display();
        let mut text = String::new();
        match repaired.as_deref() {
            None => {}
            Some([]) => text.push_str("nothing to mend\n"),
            Some(done) => text.extend(done.iter().map(|line| format!("{}\n", Printable(line)))),
        }
        text.push_str(&as_commands(&format!("{}\n{status}", Printable(&path))));
        let mut json = json!({"result": "status", "path": path.to_string(), "status": status});
        if let Some(done) = repaired {
            json.as_object_mut().map(|json| json.insert("repaired".into(), json!(done)));
        }
        CommandOutput { exit_code: status.exit_code(), ..CommandOutput::success(text, json) }
    }
}

/// The flags of a tool in the words of this program.
pub fn as_commands(text: &str) -> String {
    text.replace("--rollback goes back", "`relatch rollback` with the same path goes back")
        .replace("--rollback=", "relatch rollback PATH --to ")
        .replace("--update=", "relatch update PATH --to ")
}

/// One line of JSON for scripts.
pub fn to_json(answer: &Result<CommandOutput>) -> String {
    match answer {
        Ok(answer) => JsonLine(&answer.json).to_string(),
        Err(error) => JsonLine(failure(error)).to_string(),
    }
}

fn failure(error: &Error) -> Value {
    let cause = match error.cause() {
        Cause::Refused => "refused",
        Cause::Unavailable => "unavailable",
        Cause::Local => "machine",
        Cause::Usage => "usage",
    };
    json!({
        "result": "error",
        "cause": cause,
        "error": as_commands(&error.to_string()),
        "advice": as_commands(&error.advice()),
        "exit_code": error.exit_code(),
    })
}
