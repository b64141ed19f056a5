//! Whether the new executable runs here at all, before the swap (SPEC step 11).
//!
//! The staged file is started with a nonce in its environment. The library in it answers before
//! `main` does anything: one line with the nonce, its product and version, and what it would update
//! from. The argument is `--version`, so that a release without the library prints its version and
//! does nothing worse.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, ExitStatus};

use serde::{Deserialize, Serialize};

use super::answer::ProbeAnswer;
use super::launch::{NotStarted, Program, start};
use super::random::random;
use super::verdict::Ending;
use super::{Staged, diagnosis, verdict};
use crate::child;
use crate::error::{Local, Result, io};
use crate::escape::Words;
use crate::limits;
use crate::trust::{Name, Version};

/// How a new executable shows that it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Probe {
    /// It links this library, which answers with product and version.
    Library,
    /// It runs with these arguments and exits with 0.
    Command(Vec<String>),
    /// It is not run.
    None,
}

/// Holds the nonce; set for a probed process only.
pub(crate) const VARIABLE: &str = "RELATCH_PROBE";
/// The only argument of a probed process.
const ARGUMENT: &str = "--version";
/// Much more than an answer, so that a program that prints a lot gets an error and not a blocked
/// pipe.
const OUTPUT: u64 = 64 * 1024;

/// Why a probe did not succeed.
#[derive(Debug)]
pub(crate) enum ProbeFailure {
    /// It ran and exited, but not with the right answer.
    WrongAnswer(String),
    /// It cannot run here: a program for another system, a missing library, a crash.
    CannotRun(String),
    /// It crashed as it does where memory or a disk fails. It is a verdict if it repeats.
    Crashed(String),
    /// Unknown: it was too slow, was killed, or this machine could not start it at that moment.
    Inconclusive(String),
    /// Another failure.
    Other(crate::Error),
}

impl ProbeFailure {
    /// Whether it is about the release, and not transient.
    pub(crate) fn is_verdict(&self) -> bool {
        match self {
            ProbeFailure::WrongAnswer(_) | ProbeFailure::CannotRun(_) => true,
            ProbeFailure::Crashed(_) | ProbeFailure::Inconclusive(_) | ProbeFailure::Other(_) => false,
        }
    }

    /// As an error about this version.
    pub(crate) fn into_error(self, version: &Version) -> crate::Error {
        let version = version.clone();
        match self {
            ProbeFailure::WrongAnswer(why) | ProbeFailure::CannotRun(why) => {
                Local::CannotRun { version, why }.into()
            }
            ProbeFailure::Crashed(why) | ProbeFailure::Inconclusive(why) => {
                Local::CannotRunNow { version, why }.into()
            }
            ProbeFailure::Other(error) => error,
        }
    }
}

impl Probe {
    /// Runs the probe; see the module. The answer is that of [`Probe::Library`].
    pub(crate) fn run(&self, staged: &Staged, product: &Name) -> Result<Option<ProbeAnswer>, ProbeFailure> {
        staged.make_executable().map_err(ProbeFailure::Other)?;
        let program = staged.program();
        match self {
            Probe::None => Ok(None),
            Probe::Command(arguments) => {
                let mut command = program.command();
                command.args(arguments).env_remove(VARIABLE);
                run(program, command).map(|_| None)
            }
            Probe::Library => {
                let answer = ask(program)?;
                if answer.product == *product && answer.version == *staged.version() {
                    return Ok(Some(answer));
                }
                Err(ProbeFailure::WrongAnswer(format!(
                    "it answered `{} {}` to the probe; the expected answer is `{product} {}`",
                    answer.product,
                    answer.version,
                    staged.version()
                )))
            }
        }
    }

    /// Whether an executable answers the probe of this library, and what. `relatch install` uses it
    /// to choose the probe of later versions.
    pub(crate) fn detect(
        staged: &Staged,
        product: &Name,
    ) -> Result<(Probe, Option<ProbeAnswer>), ProbeFailure> {
        match Probe::Library.run(staged, product) {
            Ok(answer) => Ok((Probe::Library, answer)),
            Err(ProbeFailure::WrongAnswer(_)) => Ok((Probe::None, None)),
            Err(other) => Err(other),
        }
    }
}

/// What an executable with this library says of itself.
pub(super) fn ask(program: Program<'_>) -> Result<ProbeAnswer, ProbeFailure> {
    #[cfg(all(test, target_os = "linux"))]
    if let Some(answer) = stand_in::answer_of(program.file) {
        return Ok(answer);
    }
    let nonce = base16ct::lower::encode_string(&random::<16>().map_err(ProbeFailure::Other)?);
    let mut command = program.command();
    command.arg(ARGUMENT).env(VARIABLE, &nonce);
    let stdout = run(program, command)?;
    ProbeAnswer::parse(&stdout, &nonce).ok_or_else(|| {
        let said = Words(stdout.lines().next().unwrap_or_default().replace(&nonce, "<nonce>"));
        ProbeFailure::WrongAnswer(format!("it answered `{said}` to the probe, which is not an answer"))
    })
}

/// The standard output of a program that exited with 0.
fn run(program: Program<'_>, command: Command) -> Result<String, ProbeFailure> {
    program.ensure_unchanged().map_err(ProbeFailure::Other)?;
    let child = match start(command) {
        Ok(child) => child,
        Err(failed) => {
            // If another file was there by then, the error is not about this one.
            program.ensure_unchanged().map_err(ProbeFailure::Other)?;
            return Err(not_started(program, &failed));
        }
    };
    let ended = child::wait(child, limits::PROBE, OUTPUT);
    program.ensure_unchanged().map_err(ProbeFailure::Other)?;
    let ended = ended.map_err(|error| ProbeFailure::Other(io("wait for", &program.path())(error)))?;
    let Some((status, stdout, stderr)) = ended else {
        let limit = limits::PROBE.as_secs();
        return Err(ProbeFailure::Inconclusive(format!("it did not answer within {limit} s")));
    };
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    Err(failure_of(program, status, &String::from_utf8_lossy(&stderr)))
}

fn not_started(program: Program<'_>, failed: &NotStarted) -> ProbeFailure {
    let error = match failed {
        NotStarted::Machine { action, error } => {
            let why = format!("this machine cannot {action}: {}", Words(error));
            return ProbeFailure::Inconclusive(why);
        }
        NotStarted::Program(error) => error,
    };
    let path = program.path();
    let dir = path.parent().unwrap_or(Path::new("/"));
    if let Some(why) = diagnosis::of_start(error, program.file, dir) {
        return ProbeFailure::CannotRun(why);
    }
    let number = error.raw_os_error();
    let meaning = match verdict::not_started(number, verdict::HERE) {
        Some(meaning) if error.kind() == ErrorKind::PermissionDenied => {
            format!("permission denied: {meaning}")
        }
        Some(meaning) => format!("{error} ({meaning})"),
        None => error.to_string(),
    };
    let why = format!("it cannot be started: {meaning}");
    match verdict::is_about_the_file(number, verdict::HERE) {
        true => ProbeFailure::CannotRun(why),
        false => ProbeFailure::Inconclusive(why),
    }
}

/// Why a program did not exit with 0.
fn failure_of(program: Program<'_>, status: ExitStatus, stderr: &str) -> ProbeFailure {
    let (code, signal) = (status.code(), signal_of(status));
    let known = diagnosis::of_loader(stderr)
        .or_else(|| diagnosis::of_missing_library(code, stderr))
        .or_else(|| diagnosis::of_script(code, program.file));
    if let Some(why) = known {
        return ProbeFailure::CannotRun(why);
    }
    let said = stderr.lines().find(|line| !line.trim().is_empty());
    let said = said.map_or_else(String::new, |line| format!(", saying: {}", Words(line)));
    let ended = |meaning: &str| match meaning {
        "" => format!("it ended with {status}{said}"),
        meaning => format!("it ended with {status} ({meaning}){said}"),
    };
    if let Some(meaning) = diagnosis::of_signal(std::env::consts::OS, signal) {
        return ProbeFailure::CannotRun(ended(meaning));
    }
    match verdict::ending(code, signal, verdict::HERE) {
        Ending::Exit => ProbeFailure::WrongAnswer(ended("")),
        Ending::Crash(meaning) => ProbeFailure::CannotRun(ended(meaning)),
        Ending::Ambiguous => ProbeFailure::Crashed(ended("")),
        Ending::Transient(meaning) => ProbeFailure::Inconclusive(ended(meaning)),
    }
}

/// The nonce, if this process was started to be probed. With other arguments it is a command that
/// inherited the variable, and must run.
pub(crate) fn probe_nonce(arguments: &[OsString]) -> Option<String> {
    let is_probed = matches!(arguments, [argument] if argument == ARGUMENT);
    let nonce = std::env::var(VARIABLE).ok().filter(|_| is_probed)?;
    (nonce.len() == 32 && nonce.bytes().all(|b| b.is_ascii_hexdigit())).then_some(nonce)
}

#[cfg(unix)]
fn signal_of(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal_of(_: ExitStatus) -> Option<i32> {
    None
}

/// Answers for executables that no system would start, in a test.
#[cfg(all(test, target_os = "linux"))]
pub(crate) mod stand_in {
    use std::cell::Cell;
    use std::fs::File;

    use super::ProbeAnswer;

    type Answer = fn(&File) -> ProbeAnswer;

    thread_local! {
        static ANSWER: Cell<Option<Answer>> = const { Cell::new(None) };
    }

    /// From now on this thread starts no executable to probe it.
    pub(crate) fn answers(answer: Answer) {
        ANSWER.set(Some(answer));
    }

    pub(super) fn answer_of(file: &File) -> Option<ProbeAnswer> {
        ANSWER.get().map(|answer| answer(file))
    }
}
