//! Whether this process has the rights of another user than the one who started it (SPEC step 1). A
//! start checks this before anything else.
//!
//! In a set-user-id program the caller chooses environment, working directory and descriptors of an
//! update that would run with the rights of another user. This check uses none of them. It opens no
//! file and cannot fail: an error, as of too few descriptors, would be taken for an answer.

use crate::error::{Local, Result};
use crate::raised::Raised;

/// The error if this process has raised privileges.
///
/// # Errors
/// [`Local::RaisedPrivileges`].
pub(crate) fn refuse_raised_privileges() -> Result<()> {
    match raised_privileges() {
        Some(why) => Err(Local::RaisedPrivileges { why }.into()),
        None => Ok(()),
    }
}

#[cfg(unix)]
fn raised_privileges() -> Option<Raised> {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    if getuid() != geteuid() {
        return Some(Raised::User { effective: geteuid().as_raw(), real: getuid().as_raw() });
    }
    if getgid() != getegid() {
        return Some(Raised::Group { effective: getegid().as_raw(), real: getgid().as_raw() });
    }
    is_at_secure().then_some(Raised::Secure)
}

/// Linux sets AT_SECURE for a program with file capabilities, and SELinux for one that starts in
/// another domain (getauxval(3)). glibc, musl and bionic keep the vector from the process's start.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_at_secure() -> bool {
    secure_execution::requires_secure_execution()
}

/// Other systems raise privileges by ids only.
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn is_at_secure() -> bool {
    false
}

/// Windows has no set-user-id bit and no file capabilities: no mark on a file starts it with the
/// rights of another user. A user who runs it elevated has agreed to that for this start.
#[cfg(not(unix))]
fn raised_privileges() -> Option<Raised> {
    None
}
