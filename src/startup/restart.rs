//! Restarting into the version that is now installed, and marking the restarted process.
//!
//! On Unix, `exec` replaces the program of this process. Windows has no such call: the new version
//! runs as a child, and this process waits for it and exits with its exit code.

use std::ffi::OsString;
use std::process::Command;

#[cfg(not(unix))]
use crate::clock::{Clock as _, SystemClock};
use crate::escape::Printable;
use crate::install::{Installation, PROBE_VARIABLE};
use crate::platform;
use crate::report::print_line;

/// The environment variable with the mark, which identifies the restarted process.
const VARIABLE: &str = "RELATCH_RESTARTED";

/// Whether a restart started this process image. It then does not check for updates again, so that
/// restarts cannot loop.
pub(super) fn was_restarted() -> bool {
    let Some(found) = std::env::var_os(VARIABLE) else { return false };
    // On Unix the mark is the process ID, which stays the same across exec and differs in children.
    // On Windows it is the path, which a child would take for its own mark, so the variable is
    // removed.
    #[cfg(windows)]
    platform::windows::forget_variable(VARIABLE);
    mark(None).is_some_and(|mark| mark == found)
}

/// The process ID; on Windows, where the restarted process has another ID, the executable's path.
fn mark(installation: Option<&Installation>) -> Option<OsString> {
    if cfg!(unix) {
        return Some(std::process::id().to_string().into());
    }
    match installation {
        Some(installation) => Some(installation.executable().into()),
        None => Installation::of_running().ok().map(|found| found.executable().into()),
    }
}

/// Whether the restarted process gets the mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// It was just updated, and does not check again.
    Restarted,
    /// It checks for itself.
    None,
}

/// Runs the installed executable with the same arguments and environment. Returns only on failure,
/// which it reports on stderr.
pub(super) fn restart(installation: &Installation, kind: Mark) {
    let mut arguments = std::env::args_os();
    let name = arguments.next();
    let mut command = Command::new(platform::program(installation.executable()));
    // A start that was not to be probed does not make a probe of the next one.
    command.args(arguments).env_remove(PROBE_VARIABLE);
    match mark(Some(installation)).filter(|_| kind == Mark::Restarted) {
        Some(mark) => command.env(VARIABLE, mark),
        None => command.env_remove(VARIABLE),
    };
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        if let Some(name) = name {
            command.arg0(name);
        }
        let error = command.exec();
        print_line(format_args!(
            "cannot restart {}: {error}",
            Printable(installation.executable().display())
        ));
    }
    #[cfg(not(unix))]
    {
        let _ = name;
        // The console sends interrupts to both processes. The child decides how to react, and this
        // process must outlive it, because a shell continues as soon as this process exits.
        #[cfg(windows)]
        let _waiting = platform::windows::Uninterrupted::new();
        let since = SystemClock.now();
        // While `child` exists, no other process has its number.
        let ended = command.spawn().and_then(|mut child| Ok((child.wait()?, child)));
        match ended {
            Ok((status, child)) => {
                let code = status.code().unwrap_or(1);
                if is_crash(code as u32) {
                    installation.record_crash(child.id(), since);
                }
                std::process::exit(code)
            }
            Err(error) => print_line(format_args!(
                "cannot restart {}: {error}",
                Printable(installation.executable().display())
            )),
        }
    }
}

/// Whether a process that ended by this code crashed, and did not choose to end: an NTSTATUS that
/// only its own instructions cause. Not an interrupt, a page that could not be read, or a missing
/// DLL.
#[cfg(not(unix))]
fn is_crash(code: u32) -> bool {
    matches!(
        code,
        0xc000_0005 // access violation
            | 0xc000_001d // illegal instruction
            | 0xc000_0025 // exception that cannot be continued
            | 0xc000_0026 // invalid disposition of an exception
            | 0xc000_0028 // bad stack
            | 0xc000_0094 // division by zero
            | 0xc000_0095 // overflow
            | 0xc000_0096 // privileged instruction
            | 0xc000_00fd // stack overflow
            | 0xc000_0374 // damaged heap
            | 0xc000_0409 // fail fast: abort
    )
}
