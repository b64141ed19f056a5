//! What is answered, for people and as JSON.

use std::path::Path;

use relatch::Finding;
use relatch::install::Installation;
use relatch::trust::{Notes, Version};
use relatch::{Cause, Error, Printable, Result, RolledBack, Status};
use serde_json::{Value, json};

/// There is an update: the exit code of `check`.
const AVAILABLE: u8 = 100;

/// The answer of a command that did what it was asked.
pub struct Answer {
    /// For people, on stdout.
    pub text: String,
    /// 0, or 100.
    pub exit_code: u8,
    json: Value,
}

impl Answer {
    fn done(text: String, json: Value) -> Self {
        Answer { text, exit_code: 0, json }
    }

    pub fn installed(version: &Version, path: &Path) -> Self {
        let text = format!("installed {version} at {}", Printable(path.display()));
        Answer::done(
            text,
            json!({"result": "installed", "version": version, "path": path.display().to_string()}),
        )
    }

    pub fn available(from: &Version, to: &Version, notes: &Notes, critical: bool) -> Self {
        let mut text = format!(
            "{to} is available, {from} is installed{}",
            if critical { "; it is critical" } else { "" }
        );
        if !notes.as_str().is_empty() {
            text.push_str("\n  ");
            text.push_str(&notes.as_str().replace('\n', "\n  "));
        }
        let json =
            json!({"result": "available", "from": from, "to": to, "critical": critical, "notes": notes});
        Answer { exit_code: AVAILABLE, ..Answer::done(text, json) }
    }

    pub fn updated(from: &Version, to: &Version) -> Self {
        let text = format!("updated {from} to {to}; `relatch rollback` with the same path goes back");
        Answer::done(text, json!({"result": "updated", "from": from, "to": to}))
    }

    pub fn nothing(reason: &Finding) -> Self {
        let word = match reason {
            Finding::Current => "current",
            Finding::Held { .. } => "held",
            Finding::NotInRollout { .. } => "not-in-rollout",
            Finding::NoTarget { .. } => "no-target",
            _ => "nothing",
        };
        let text = format!("nothing to do: {reason}");
        Answer::done(text, json!({"result": "nothing", "reason": word, "why": reason.to_string()}))
    }

    pub fn rolled_back(done: &RolledBack) -> Self {
        Answer::done(done.to_string(), json!({"result": "rolled-back", "from": done.from, "to": done.to}))
    }

    pub fn status(site: &Installation, status: Status) -> Self {
        let text = format!("{}\n{status}", Printable(site.executable().display()));
        let json =
            json!({"result": "status", "path": site.executable().display().to_string(), "status": status});
        Answer::done(text, json)
    }
}

/// One line of JSON for scripts, in ASCII: what is not, such as a control character of a path that a terminal would obey, is escaped as JSON
/// knows it, and means the same.
pub fn to_json(answer: &Result<Answer>) -> String {
    let json = match answer {
        Ok(answer) => answer.json.to_string(),
        Err(error) => failure(error).to_string(),
    };
    let mut ascii = String::new();
    for c in json.chars() {
        if c.is_ascii() && !c.is_ascii_control() {
            ascii.push(c);
        } else {
            ascii.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    ascii
}

fn failure(error: &Error) -> Value {
    let cause = match error.cause() {
        Cause::Refused => "refused",
        Cause::Unavailable => "unavailable",
        Cause::Local => "machine",
        Cause::Usage => "usage",
    };
    json!({"result": "error", "cause": cause, "error": error.to_string(), "advice": error.advice(), "exit_code": error.exit_code()})
}
