//! Whether the new executable runs here at all, before the swap (SPEC step 11).
//!
//! The staged file is started with a nonce in its environment. The library in it answers before
//! `main` does anything: one line with the nonce, its product and version. The argument is
//! `--version`, so that a release without the library prints its version and does nothing worse.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::random::random;
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
const VARIABLE: &str = "RELATCH_PROBE";
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
    /// Unknown: it was too slow, or this machine could not start a process at that moment.
    NotTried(String),
    /// Another failure of this machine.
    Local(crate::Error),
}

impl ProbeFailure {
    /// Whether it is about the release, and not about the moment.
    pub(crate) fn is_verdict(&self) -> bool {
        matches!(self, ProbeFailure::WrongAnswer(_) | ProbeFailure::CannotRun(_))
    }

    /// As an error about this version.
    pub(crate) fn into_error(self, version: &Version) -> crate::Error {
        match self {
            ProbeFailure::WrongAnswer(why) | ProbeFailure::CannotRun(why) | ProbeFailure::NotTried(why) => {
                Local::CannotRun { version: version.clone(), why }.into()
            }
            ProbeFailure::Local(error) => error,
        }
    }
}

impl Probe {
    /// Runs the probe; see the module.
    pub(crate) fn run(&self, staged: &Staged, product: &Name) -> Result<(), ProbeFailure> {
        staged.make_executable().map_err(ProbeFailure::Local)?;
        let nonce = base16ct::lower::encode_string(&random::<16>().map_err(ProbeFailure::Local)?);
        let mut command = Command::new(crate::platform::program(staged.path()));
        match self {
            Probe::None => return Ok(()),
            Probe::Library => command.arg("--version").env(VARIABLE, &nonce),
            Probe::Command(arguments) => command.args(arguments),
        };
        let child = start(command, staged.path()).map_err(|error| {
            let number = error.raw_os_error();
            let why = diagnosis::of_start(&error, staged.path()).unwrap_or_else(|| {
                let meaning = verdict::not_started(number, verdict::HERE);
                let meaning = meaning.map_or_else(String::new, |meaning| format!(" ({meaning})"));
                format!("it cannot be started: {error}{meaning}")
            });
            let of_the_moment =
                [ErrorKind::WouldBlock, ErrorKind::OutOfMemory, ErrorKind::ExecutableFileBusy];
            let of_the_moment =
                of_the_moment.contains(&error.kind()) || verdict::is_of_the_moment(number, verdict::HERE);
            if of_the_moment { ProbeFailure::NotTried(why) } else { ProbeFailure::CannotRun(why) }
        })?;
        let ended = child::wait(child, limits::PROBE, OUTPUT)
            .map_err(|error| ProbeFailure::Local(io("wait for", staged.path())(error)))?;
        let Some((status, stdout, stderr)) = ended else {
            return Err(ProbeFailure::NotTried(format!(
                "it did not answer within {} s",
                limits::PROBE.as_secs()
            )));
        };
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        if !status.success() {
            if let Some(why) = diagnosis::of_loader(&stderr) {
                return Err(ProbeFailure::CannotRun(why));
            }
            let said = stderr.lines().find(|line| !line.trim().is_empty());
            let said = said.map_or_else(String::new, |line| format!(", saying: {}", Words(line)));
            let crash = verdict::crash(status.code(), verdict::HERE);
            let meaning = diagnosis::of_signal(std::env::consts::OS, signal_of(status)).or(crash);
            let meaning = meaning.filter(|meaning| !meaning.is_empty());
            let meaning = meaning.map_or_else(String::new, |meaning| format!(" ({meaning})"));
            let why = format!("it ended with {status}{meaning}{said}");
            return Err(match crash {
                None => ProbeFailure::WrongAnswer(why),
                Some(_) if verdict::is_crash_of_the_moment(status.code(), verdict::HERE) => {
                    ProbeFailure::NotTried(why)
                }
                Some(_) => ProbeFailure::CannotRun(why),
            });
        }
        let expected = answer(&nonce, product, staged.version());
        if *self == Probe::Library && stdout != expected {
            let said = stdout.lines().next().unwrap_or_default();
            let said = said.strip_prefix(&format!("relatch-probe/1 {nonce} ")).unwrap_or(said);
            return Err(ProbeFailure::WrongAnswer(format!(
                "it answered `{}` to the probe; the expected answer is `{product} {}`",
                Words(said),
                staged.version()
            )));
        }
        Ok(())
    }

    /// Whether an executable answers the probe of this library. `relatch install` uses it to choose
    /// the probe of later versions.
    pub(crate) fn detect(staged: &Staged, product: &Name) -> Result<Probe, ProbeFailure> {
        match Probe::Library.run(staged, product) {
            Ok(()) => Ok(Probe::Library),
            Err(ProbeFailure::WrongAnswer(_)) => Ok(Probe::None),
            Err(other) => Err(other),
        }
    }
}

fn answer(nonce: &str, product: &Name, version: &Version) -> String {
    format!("relatch-probe/1 {nonce} {product} {version}\n")
}

/// Whether this process was started to be probed.
pub(crate) fn probe_nonce() -> Option<String> {
    let nonce = std::env::var(VARIABLE).ok()?;
    (nonce.len() == 32 && nonce.bytes().all(|b| b.is_ascii_hexdigit())).then_some(nonce)
}

/// Answers the probe. This library prints nothing else to stdout.
pub(crate) fn answer_probe(nonce: &str, product: &Name, version: &Version) {
    use std::io::Write;
    drop(std::io::stdout().write_all(answer(nonce, product, version).as_bytes()));
}

#[cfg(unix)]
fn signal_of(status: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal_of(_: ExitStatus) -> Option<i32> {
    None
}

/// Starts a file that was just written. A process that another thread is starting may hold a
/// writable descriptor of it for a moment (ETXTBSY).
fn start(mut command: Command, path: &Path) -> std::io::Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // The longest working directory of Windows (MAX_PATH, with the characters that it adds).
    const LONGEST: usize = if cfg!(windows) { 258 } else { usize::MAX };
    if let Some(dir) = path.parent().filter(|dir| dir.as_os_str().len() < LONGEST) {
        command.current_dir(dir);
    }
    let mut tries = 0;
    loop {
        #[cfg(windows)]
        let spawned = crate::platform::windows::without_dialogs(|| command.spawn());
        #[cfg(not(windows))]
        let spawned = command.spawn();
        match spawned {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && tries < 500 => {
                tries += 1;
                thread::sleep(Duration::from_millis(10));
            }
            // A virus scanner reads a new file first.
            Err(error) if verdict::is_of_the_moment(error.raw_os_error(), verdict::HERE) && tries < 100 => {
                tries += 1;
                thread::sleep(Duration::from_millis(10));
            }
            started => {
                #[cfg(target_os = "linux")]
                if let Ok(child) = &started {
                    disable_core_file(child);
                }
                return started;
            }
        }
    }
}

/// A core file of a crashed probe would stay beside the tool for ever. Best effort: the process may
/// have crashed already.
#[cfg(target_os = "linux")]
fn disable_core_file(child: &Child) {
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
    let none = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
    prlimit(Some(Pid::from_child(child)), Resource::Core, none).ok();
}
