//! Whether it is safe to update in a directory, and for this process to do so (SPEC step 1).

use std::path::Path;

use super::dir::OpenDir;
#[cfg(any(unix, windows))]
use crate::error::io;
use crate::error::{Error, Local, Result};

pub(super) fn unsafe_site(path: &Path, why: impl Into<String>) -> Error {
    Local::UnsafeSite { path: path.into(), why: why.into() }.into()
}

/// In a set-user-id program, the caller chooses environment, working directory and descriptors of
/// an update that is done with the rights of another user.
#[cfg(unix)]
pub(super) fn refuse_raised_privileges(executable: &Path) -> Result<()> {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    if getuid() != geteuid() || getgid() != getegid() {
        let why = format!("it runs as user {} for user {}", geteuid().as_raw(), getuid().as_raw());
        return Err(unsafe_site(executable, why));
    }
    if is_at_secure() {
        return Err(unsafe_site(executable, "the system started it with raised privileges (AT_SECURE)"));
    }
    Ok(())
}

/// Linux sets AT_SECURE in the auxiliary vector of a program with file capabilities or a changed
/// security label (getauxval(3)).
#[cfg(unix)]
fn is_at_secure() -> bool {
    const AT_SECURE: usize = 23;
    const WORD: usize = size_of::<usize>();
    // A program with raised privileges may not read its own vector.
    let vector = match std::fs::read("/proc/self/auxv") {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return true,
        read => read.unwrap_or_default(),
    };
    let word = |bytes: &[u8]| bytes.first_chunk().map(|word: &[u8; WORD]| usize::from_ne_bytes(*word));
    vector.chunks_exact(2 * WORD).any(|entry| {
        word(entry) == Some(AT_SECURE) && entry.get(WORD..).and_then(word).is_some_and(|value| value != 0)
    })
}

/// Windows has no set-user-id bit and no file capabilities: no mark on a file starts it with the
/// rights of another user. A user who runs it elevated has agreed to that for this start.
#[cfg(not(unix))]
pub(super) fn refuse_raised_privileges(_: &Path) -> Result<()> {
    Ok(())
}

/// Checks the open directory, not its path: the path could lead to another directory by the time a
/// file is created in it.
#[cfg(unix)]
pub(super) fn refuse_writable_by_others(dir: &OpenDir) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let meta = dir.metadata().map_err(io("look at", dir.path()))?;
    let user = rustix::process::geteuid().as_raw();
    if meta.mode() & 0o002 != 0 {
        let why = format!("every user may write there (mode {:o})", meta.mode() & 0o7777);
        return Err(unsafe_site(dir.path(), why));
    }
    if meta.uid() != user && meta.uid() != 0 {
        let why = format!("it is owned by user {}, and not by you (user {user}) or root", meta.uid());
        return Err(unsafe_site(dir.path(), why));
    }
    Ok(())
}

#[cfg(windows)]
pub(super) fn refuse_writable_by_others(dir: &OpenDir) -> Result<()> {
    use crate::platform::access::why_unsafe;
    use crate::platform::windows::{current_user, security_of};
    let security = security_of(dir.handle()).map_err(io("read the access control list of", dir.path()))?;
    let user = current_user().map_err(io("find out the current user for", dir.path()))?;
    match security.stranger_in_directory(&user) {
        None => Ok(()),
        Some(stranger) => Err(unsafe_site(dir.path(), why_unsafe(dir.path(), &stranger))),
    }
}

#[cfg(not(any(unix, windows)))]
pub(super) fn refuse_writable_by_others(_: &OpenDir) -> Result<()> {
    Ok(())
}
