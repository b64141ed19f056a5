//! What a command answers: one value, which is text for people and one line of JSON for scripts.

use std::fmt::{self, Display};

use relatch::JsonLine;
use serde::Serialize;
use signer::Failure;

/// How the answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

/// The answer of a command that did its work.
pub struct Answer {
    /// For stdout.
    pub text: String,
    /// For stdout instead.
    pub json: String,
    /// 0, or that of a problem that is part of the answer.
    pub exit_code: u8,
}

impl Answer {
    pub fn of(value: impl Display + Serialize) -> Self {
        Answer { text: value.to_string(), json: JsonLine(value).to_string(), exit_code: 0 }
    }
}

/// A failure, with the fields that all of relatch's tools print.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "result", rename = "error")]
pub struct Problem {
    cause: &'static str,
    pub error: String,
    pub advice: String,
    pub exit_code: u8,
}

impl Problem {
    pub fn of(failure: &Failure) -> Self {
        let exit_code = failure.exit_code();
        let cause = match exit_code {
            2 => "usage",
            3 => "refused",
            4 => "unavailable",
            _ => "machine",
        };
        Problem { cause, error: failure.to_string(), advice: failure.advice().into(), exit_code }
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "signer: {}\n  {}", self.error, self.advice)
    }
}
