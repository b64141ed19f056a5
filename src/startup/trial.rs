//! The first starts of a version that nobody knows to work yet (SPEC step 13).
//!
//! A process cannot see by which signal it ends, and a process that is gone may have been killed by
//! a person, by the system or by a reboot, or may be another program by now. So one thing alone
//! counts as a failure: a panic of the main thread that leaves `main`, or aborts it, and is not about
//! the output. Everything else is worth a hint. On Windows a restart sees how its child ends, and
//! may record a crash (`restart.rs`).

use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread::ThreadId;

use super::at_exit::at_exit;
use crate::install::{Goal, Installation, Run, Trial, TrialFile, is_alive, this_run};
use crate::report::print_line;
use crate::trust::Version;
use crate::updater::Updater;

/// This process, as its trial records it.
struct Recording {
    run: Run,
    /// It is not one of its forks.
    process: u32,
    /// `None` if another thread began it: then no panic is seen.
    main: Option<ThreadId>,
    file: Mutex<TrialFile>,
}

static RECORDING: OnceLock<Recording> = OnceLock::new();

impl Recording {
    /// If it is the main thread.
    fn of_this_thread() -> Option<&'static Self> {
        RECORDING.get().filter(|recording| recording.main == Some(std::thread::current().id()))
    }

    fn append(&self, what: &str) {
        if std::process::id() != self.process {
            return;
        }
        if let Ok(mut file) = self.file.try_lock() {
            file.append(format_args!("{what} {}", self.run));
        }
    }
}

/// The version that runs.
pub(super) struct Candidate {
    pub(super) product: String,
    pub(super) running: Version,
}

impl Candidate {
    /// Records that a run begins, if this version is on trial. The result is the installation of
    /// the version that was put in its place, if it failed too often.
    pub(super) fn begin(self) -> Option<Installation> {
        let Candidate { product, running } = self;
        let installation = Installation::of_running().ok().filter(|found| !found.was_replaced())?;
        let (trial, file) = installation.trial().filter(|(trial, _)| trial.version == running)?;
        if trial.is_failed() {
            // If it cannot be left, it runs, and later runs may show that it works.
            if let Ok(to) = Updater::leave_failing(&installation, &running, trial.blake3) {
                print_line(format_args!(
                    "{product}: {running} failed in {} of its first starts; back to {to} (`{product} \
                     --update={running}` tries it again)",
                    trial.failures()
                ));
                return Some(installation);
            }
        }
        if trial.is_open() {
            record(&product, &installation, &trial, file);
        }
        None
    }
}

fn record(product: &str, installation: &Installation, trial: &Trial, mut file: TrialFile) {
    if RECORDING.get().is_some() || !file.has_room_for_start() {
        return;
    }
    let Some(run) = this_run() else { return };
    if !trial.hinted && trial.has_vanished(is_alive) {
        hint(product, installation, &trial.version, &mut file);
    }
    file.append(format_args!("start {run}"));
    let main = is_main_thread().then(|| std::thread::current().id());
    let recording = Recording { run, process: std::process::id(), main, file: Mutex::new(file) };
    if RECORDING.set(recording).is_err() {
        return;
    }
    if main.is_some() {
        let former = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            note(info);
            former(info);
        }));
    }
    at_exit(|| {
        if let Some(recording) = RECORDING.get() {
            recording.append("end");
        }
    });
}

/// Once for each version.
fn hint(product: &str, installation: &Installation, version: &Version, file: &mut TrialFile) {
    let Ok(recorded) = installation.recorded(None) else { return };
    if let Some(back) = recorded.next(Goal::Back) {
        print_line(format_args!(
            "{product}: {version} may be failing here; `{product} --rollback` returns to {back}"
        ));
        file.append(format_args!("hinted"));
    }
}

/// Whether this thread runs the main function. A panic of another is seen by the one that joins it.
fn is_main_thread() -> bool {
    // std gives this name to it. So may a tool, to another thread.
    std::thread::current().name() == Some("main") && is_first_thread()
}

#[cfg(target_os = "linux")]
fn is_first_thread() -> bool {
    rustix::thread::gettid() == rustix::process::getpid()
}

#[cfg(not(target_os = "linux"))]
fn is_first_thread() -> bool {
    true
}

/// Whether the last panic of the main thread says that the program failed.
static IS_FAILURE: AtomicBool = AtomicBool::new(false);

/// Whether a panic of any thread was about the output. Whoever joins that thread may panic for it,
/// in other words.
static OUTPUT_FAILED: AtomicBool = AtomicBool::new(false);

fn note(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    if is_about_output(text.unwrap_or_default()) {
        OUTPUT_FAILED.store(true, Ordering::Relaxed);
    }
    let Some(recording) = Recording::of_this_thread() else { return };
    let is_failure = !OUTPUT_FAILED.load(Ordering::Relaxed) && !is_output_closed();
    IS_FAILURE.store(is_failure, Ordering::Relaxed);
    // Nothing unwinds to `main`: the process ends here.
    if is_failure && cfg!(panic = "abort") {
        recording.append("panic");
    }
}

/// The reader of the output has seen enough: `tool | head -1`. Or `println!` failed, as where a
/// disk is full.
fn is_about_output(message: &str) -> bool {
    let numbers: &[&str] =
        if cfg!(windows) { &["(os error 109)", "(os error 232)"] } else { &["(os error 32)"] };
    message.contains("BrokenPipe")
        || message.starts_with("failed printing to ")
        || numbers.iter().any(|number| message.contains(number))
}

/// Whether nobody reads the output any more. A tool may say so in words of its own.
#[cfg(unix)]
fn is_output_closed() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let (output, errors) = (std::io::stdout(), std::io::stderr());
    let mut outputs = [&output as &dyn std::os::fd::AsFd, &errors]
        .map(|file| PollFd::from_borrowed_fd(file.as_fd(), PollFlags::empty()));
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let closed = PollFlags::ERR | PollFlags::HUP;
    poll(&mut outputs, Some(&now)).is_ok() && outputs.iter().any(|file| file.revents().intersects(closed))
}

#[cfg(not(unix))]
fn is_output_closed() -> bool {
    false
}

/// The tool works: the version that runs is not left by itself any more, and is kept whatever comes
/// after it, until a later version is known to work.
///
/// Without this, a version is known to work when five of its runs came to an end without a panic.
/// Call it where your tool has done what it is for; it costs nothing outside of the first starts.
/// Nothing happens before [`crate::Startup::run`].
pub fn confirm() {
    if let Some(recording) = RECORDING.get().filter(|recording| recording.process == std::process::id()) {
        if let Ok(mut file) = recording.file.try_lock() {
            file.append(format_args!("confirmed"));
        }
    }
}

/// The rest of `main`. If a panic drops it, the panic has left `main`, and nobody caught it.
#[must_use = "keep it to the end of main: `let _running = ...`"]
#[derive(Debug)]
pub struct Running(pub(super) ());

impl Drop for Running {
    fn drop(&mut self) {
        // What unwinds may be a panic that was resumed, which no hook sees.
        let is_failure = IS_FAILURE.load(Ordering::Relaxed) && !OUTPUT_FAILED.load(Ordering::Relaxed);
        if std::thread::panicking() && is_failure {
            if let Some(recording) = Recording::of_this_thread() {
                recording.append("panic");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_failure() {
        for message in [
            "failed printing to stdout: Broken pipe (os error 32)",
            "failed printing to stdout: No space left on device (os error 28)",
            if cfg!(windows) { "cannot write (os error 232)" } else { "cannot write (os error 32)" },
            "called `Result::unwrap()` on an `Err` value: Os { code: 32, kind: BrokenPipe, message: \"Broken pipe\" }",
        ] {
            assert!(is_about_output(message), "{message}");
        }
        for message in
            ["", "index out of bounds", "called `Option::unwrap()` on a `None` value", "(os error 2)"]
        {
            assert!(!is_about_output(message), "{message}");
        }
    }
}
