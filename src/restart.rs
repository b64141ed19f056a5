//! The restart into the version that is at the path now, and the mark by which that one knows itself.
//!
//! On Unix the process stays and executes another file. Windows has no such call: the new version runs as a child, and this process waits
//! and hands its exit code on.

use std::ffi::OsString;
use std::process::Command;

use crate::escape::Printable;
use crate::install::Installation;
use crate::platform;
use crate::report::tell;

/// Holds the mark: what only the process that was just restarted says of itself.
const VARIABLE: &str = "RELATCH_RESTARTED";

/// Whether this very process image was started by a restart: it does not check again, so that nothing can loop.
pub(crate) fn was_restarted() -> bool {
    let Some(found) = std::env::var_os(VARIABLE) else { return false };
    // A process keeps its id through exec, and its children have others. On Windows they would inherit a mark that is theirs, too.
    #[cfg(windows)]
    platform::windows::forget_variable(VARIABLE);
    mark(None).is_some_and(|mark| mark == found)
}

/// The process id; where a restart gives the new version another one, its path.
fn mark(site: Option<&Installation>) -> Option<OsString> {
    if cfg!(unix) {
        return Some(std::process::id().to_string().into());
    }
    match site {
        Some(site) => Some(site.executable().into()),
        None => Installation::of_running().ok().map(|site| site.executable().into()),
    }
}

/// Runs what is at the path now, with the same arguments and environment. It returns only where that fails.
pub(crate) fn restart(site: &Installation, marked: bool) {
    let mut arguments = std::env::args_os();
    let name = arguments.next();
    let mut command = Command::new(platform::program(site.executable()));
    command.args(arguments);
    match mark(Some(site)).filter(|_| marked) {
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
        tell(format_args!("{}: cannot be restarted: {error}", Printable(site.executable().display())));
    }
    #[cfg(not(unix))]
    {
        let _ = name;
        // Both get an interrupt from the console. What it means is the child's to say, and a shell must not go on before it has said it.
        #[cfg(windows)]
        let _waiting = platform::windows::Uninterrupted::new();
        match command.status() {
            Ok(status) => std::process::exit(status.code().unwrap_or(1)),
            Err(error) => {
                tell(format_args!("{}: cannot be restarted: {error}", Printable(site.executable().display())))
            }
        }
    }
}
