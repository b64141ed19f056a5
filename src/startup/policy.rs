//! The policies for a newer release, and the conditions for a check.

use std::ffi::OsString;
use std::time::Duration;

use crate::check::{Cache, retry_after};
use crate::trust::Version;

/// What a start does about a newer release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Installs the newer release and runs it, with the same arguments and environment. If that
    /// fails, the installed version runs.
    #[default]
    Auto,
    /// Reports the newer release in one line on stderr.
    Notify,
    /// As `Auto`, but an outdated version does not run, and neither does one whose status cannot be
    /// verified. For tools that deploy. Neither `--no-update`, nor the environment, nor CI skips
    /// the check.
    Require,
    /// Does not check. The flags still work.
    Off,
}

/// The environment variable that skips the check, with any value.
const NO_UPDATE: &str = "RELATCH_NO_UPDATE";

/// Whether the user chose to skip the check, or a CI system runs the tool: an executable should not
/// change during a job. `flags` is whether the library reads the tool's arguments.
pub(super) fn is_skipped(flags: bool, arguments: &[OsString]) -> bool {
    let mut options = arguments.iter().take_while(|argument| *argument != "--");
    let flag = flags && options.any(|argument| argument == "--no-update");
    let is_set = |value: OsString| !value.is_empty() && value != "false" && value != "0";
    flag || std::env::var_os("CI").is_some_and(is_set) || std::env::var_os(NO_UPDATE).is_some()
}

/// Whether a start of the version `running` uses the network. If the clock was set back, a check is due,
/// never delayed.
pub(super) fn is_due(last: &Cache, running: &Version, now: u64, interval: Duration, policy: Policy) -> bool {
    let within = |since: u64, span: Duration| since <= now && now - since < span.as_secs();
    match last.failure() {
        Some(failure) if policy != Policy::Require => {
            !within(failure.at, retry_after(failure.count).min(interval))
        }
        _ if last.is_about_another(running) => true,
        _ => !last.checked().is_some_and(|checked| within(checked, interval)),
    }
}
