//! The error type, grouped by cause: not trusted, repository, this machine, invalid call.
//!
//! Each error reports what happened, with the expected and the found value. [`Error::advice`] gives
//! the likely causes and the next step. No error can control a terminal: text from outside is
//! escaped when it is put into an error, and file names and addresses when they are displayed.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Seconds;
use crate::escape::Printable;
use crate::object::Object;
use crate::obstacle::{Obstacle, UnsafeReason};
use crate::raised::Raised;
use crate::source::Unavailable;
use crate::trust::{Refusal, Version};

/// The result of the fallible functions of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why an operation failed. The executable is unchanged.
///
/// The message includes the cause, and `source()` does not return it again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An object or a file is not trusted: an attack, or a mistake of the publisher.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The repository cannot be reached, or does not have the object.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// An object that shows whether a release could update itself afterwards cannot be read.
    #[error("whether version {version} could update itself afterwards is unknown: {why}")]
    #[allow(missing_docs, reason = "the message names its fields")]
    Unconfirmed { version: Version, why: Box<Unavailable> },
    /// This machine cannot do it: permissions, disk, another process, or an executable that does
    /// not run on it.
    #[error(transparent)]
    Local(#[from] Local),
    /// The call is invalid.
    #[error("{}", Printable(what))]
    Usage {
        /// What is invalid, and what would be valid.
        what: String,
    },
}

/// The reason why this machine cannot do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the message of each variant names its fields")]
pub enum Local {
    #[error("cannot {action} {}: {}", Printable(path.display()), Printable(error))]
    Io { action: &'static str, path: PathBuf, error: std::io::Error },
    #[error("{} is not a safe place to update: {why}", Printable(path.display()))]
    UnsafeSite { path: PathBuf, why: UnsafeReason },
    /// Found before a download.
    #[error("{} cannot be updated: {why}", Printable(path.display()))]
    CannotUpdate { path: PathBuf, why: Obstacle },
    #[error("{} is a directory", Printable(path.display()))]
    IsDirectory { path: PathBuf, file: Option<PathBuf> },
    #[error("{} is a symbolic link to {}, which does not exist", Printable(path.display()), Printable(target.display()))]
    DanglingLink { path: PathBuf, target: PathBuf },
    /// Of this process.
    #[error("it was started with raised privileges: {why}")]
    RaisedPrivileges { why: Raised },
    #[error("another process is updating {} (waited {})", Printable(path.display()), Seconds(*waited))]
    Busy { path: PathBuf, waited: Duration },
    #[error("there is no executable at {}{}", Printable(path.display()), if *interrupted { ": an update or a rollback was interrupted" } else { "" })]
    NoExecutable { path: PathBuf, interrupted: bool },
    #[error("{} was changed by another process meanwhile", Printable(path.display()))]
    ChangedMeanwhile { path: PathBuf },
    #[error("version {version} does not run on this machine: {why}")]
    CannotRun { version: Version, why: String },
    #[error("version {version} does not run on this machine at the moment: {why}")]
    CannotRunNow { version: Version, why: String },
    #[error("{} already exists", Printable(path.display()))]
    Exists { path: PathBuf },
    #[error("there is no previous version to go back to beside {}", Printable(path.display()))]
    NothingToRollBack { path: PathBuf },
    #[error("version {version} is not kept beside {}; {}", Printable(path.display()), Kept(kept))]
    NotKept { path: PathBuf, version: Version, kept: Vec<Version> },
    #[error("the kept version {version} is on hold, because a rollback left it")]
    KeptOnHold { version: Version },
    #[error("the kept version {version} is newer than {installed}, which is installed")]
    KeptIsNewer { version: Version, installed: Version },
    #[error("the kept version {version} is older than {installed}, which is installed")]
    KeptIsOlder { version: Version, installed: Version },
    #[error("no kept version beside {} can come back{}", Printable(path.display()), Reasons(skipped))]
    NoneComesBack { path: PathBuf, skipped: Vec<(Version, String)> },
    #[error("{} is not this tool and is not replaced: {}", Printable(path.display()), Printable(why))]
    NotTheTool { path: PathBuf, why: String },
    #[error("relatch did not install {}: {}", Printable(path.display()), Printable(why))]
    NotInstalled { path: PathBuf, why: String },
}

/// The group of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Not trusted: an attack, or a mistake of the publisher. Exit code 3.
    Refused,
    /// The repository cannot be reached or read. Exit code 4.
    Unavailable,
    /// This machine: permissions, disk, or a release that does not run. Exit code 5.
    Local,
    /// An invalid call. Exit code 2.
    Usage,
}

impl Error {
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Error::Usage { what: what.into() }
    }

    /// The group of this error.
    pub fn cause(&self) -> Cause {
        match self {
            Error::Refused(_) => Cause::Refused,
            Error::Unavailable(_) | Error::Unconfirmed { .. } => Cause::Unavailable,
            Error::Local(_) => Cause::Local,
            Error::Usage { .. } => Cause::Usage,
        }
    }

    /// Whether the repository could not be checked for a newer release. It is not if only the blob
    /// of a release could not be fetched.
    pub(crate) fn is_offline(&self) -> bool {
        let Error::Unavailable(why) = self else { return false };
        !matches!(
            why,
            Unavailable::Absent { object: Object::Blob(_), .. }
                | Unavailable::Forbidden { object: Object::Blob(_), .. }
                | Unavailable::Status { object: Object::Blob(_), .. }
                | Unavailable::Unreachable { object: Object::Blob(_), .. }
                | Unavailable::TooSlow { object: Object::Blob(_), .. }
        )
    }

    /// The message without what differs each time: the time of the check, and measurements. Two
    /// equal ones are about the same failure.
    pub(crate) fn timeless(&self) -> String {
        let mut refusal = match self {
            Error::Refused(refusal) => refusal.clone(),
            Error::Local(Local::CannotUpdate { path, why }) => {
                return format!("{} cannot be updated: {}", path.display(), why.timeless());
            }
            other => return without_random_names(&other.to_string()),
        };
        match &mut refusal {
            Refusal::Expired { now, .. } => *now = 0,
            Refusal::NotYetValid { clock, .. } => *clock = 0,
            _ => {}
        }
        refusal.to_string()
    }

    /// Whether the place cannot be changed for a reason of this user, while its owner may.
    pub(crate) fn is_about_this_user(&self) -> bool {
        match self {
            Error::Local(Local::UnsafeSite { why, .. }) => why.is_about_this_user(),
            Error::Local(Local::CannotUpdate { .. }) => true,
            _ => false,
        }
    }

    /// Whether it is known that this process cannot install anything at the moment, and whether the
    /// running version may run is still to be found out.
    pub(crate) fn leaves_to_observe(&self) -> bool {
        match self {
            Error::Local(Local::Busy { .. }) => true,
            Error::Local(Local::Io { error, .. }) => matches!(
                error.kind(),
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
            ),
            other => other.is_about_this_user(),
        }
    }

    /// The exit code of this group in all of relatch's tools (SPEC section 10).
    pub fn exit_code(&self) -> u8 {
        match self.cause() {
            Cause::Usage => 2,
            Cause::Refused => 3,
            Cause::Unavailable => 4,
            Cause::Local => 5,
        }
    }

    /// The likely causes, and what to do next.
    pub fn advice(&self) -> Cow<'static, str> {
        let fixed = match self {
            Error::Refused(refusal) => refusal.advice(),
            Error::Unavailable(Unavailable::Absent { object: Object::Version(_), .. }) => {
                "Nothing was published on this channel, or the address of the repository is wrong. \
                 Compare the address and the channel with the publisher's."
            }
            Error::Unavailable(Unavailable::Absent { .. }) => {
                "The repository is incomplete: an upload was interrupted, or objects were deleted. \
                 The publisher can run `signer verify` and publish again."
            }
            Error::Unavailable(Unavailable::Forbidden { .. }) => {
                "The server requires credentials, or the object does not exist (S3 answers 403 in \
                 both cases). Check the address, and who may read it."
            }
            Error::Unavailable(Unavailable::Credentials { .. }) => {
                "Provide credentials that may read the bucket in one of these places, or name a \
                 profile in the address (?profile=NAME). For a public bucket, use its https URL, \
                 which requires no credentials."
            }
            Error::Unavailable(Unavailable::Status { code: Some(_), .. }) => {
                "The bucket, region or endpoint of the address is wrong, or the service has a \
                 fault. Compare the address with the publisher's; try again later."
            }
            Error::Unavailable(_) => {
                "The network or the server is down, a proxy blocks the connection, or a directory \
                 is missing or not mounted. Try again later."
            }
            Error::Unconfirmed { .. } => {
                "The installed version stays. Later starts try the release again, and an explicit \
                 update tries it now. If the object stays unavailable, report it to the publisher."
            }
            Error::Local(local) => return local.advice(),
            Error::Usage { .. } => "Correct the call and try again; nothing was changed.",
        };
        fixed.into()
    }
}

impl Local {
    fn advice(&self) -> Cow<'static, str> {
        let fixed = match self {
            Local::Io { action, error, .. } => match error.kind() {
                std::io::ErrorKind::PermissionDenied if is_reading(action) => {
                    "You do not have permission to read there, or to search a directory on the way. Run \
                     the command as the owner, or install the tool in a directory of your own."
                }
                std::io::ErrorKind::PermissionDenied => {
                    "You do not have permission to write there. Run the command as the owner, or \
                     install the tool in a directory of your own."
                }
                std::io::ErrorKind::StorageFull => {
                    "The disk is full. Free some space and try again; the installed version still \
                     works."
                }
                std::io::ErrorKind::NotFound => "There is no such file or directory. Check the path.",
                std::io::ErrorKind::ReadOnlyFilesystem => {
                    "The file system is mounted read-only. Mount it for writing (`mount -o remount,rw`), or \
                     update the image or the package that it comes from."
                }
                std::io::ErrorKind::QuotaExceeded => {
                    "Your disk quota is used up. Free some space and try again; the installed version still \
                     works."
                }
                _ => "Nothing was changed. Check the disk and the directory's permissions, then try again.",
            },
            Local::UnsafeSite { path, why } => return why.advice(path),
            Local::CannotUpdate { path, why } => return why.advice(path),
            Local::IsDirectory { file: Some(file), .. } => {
                return format!("Name the executable itself: {}", Printable(file.display())).into();
            }
            Local::IsDirectory { .. } => "Name the executable itself, which is a file.",
            Local::DanglingLink { target, .. } => {
                let target = Printable(target.display());
                return format!("Name the path that it leads to, {target}, or remove the link first.").into();
            }
            Local::RaisedPrivileges { why } => return why.advice(),
            Local::Busy { .. } => "Wait for it to finish, then try again.",
            Local::NoExecutable { interrupted: true, .. } => {
                "Run `relatch update` with this path: it first restores the executable. If the \
                 tool updates itself, run `relatch rollback` with this path, or run the previous \
                 executable in the directory beside it with --rollback. Both restore the \
                 executable and then go back one version."
            }
            Local::NoExecutable { .. } => {
                "The executable was removed. `relatch doctor --repair` with this path puts a kept version \
                 back; without one, install it again with `relatch install`."
            }
            Local::ChangedMeanwhile { .. } => "Start the tool again.",
            Local::CannotRun { .. } => {
                "The release was built for another system, requires something that is not \
                 installed here, reports another version than the signed one, or does not call \
                 relatch first in main. The installed version stays. Report the error to the \
                 publisher."
            }
            Local::CannotRunNow { .. } => {
                "This may say nothing of the release. Fix what the error names, if this machine is \
                 the cause. The installed version stays, and later starts try the release again; \
                 an explicit update tries it now. If it stays so, report the error to the publisher."
            }
            Local::Exists { .. } => "Choose another path, or replace it with --force.",
            Local::NothingToRollBack { .. } => {
                "Only an update keeps a previous version. Install the version that you need \
                 instead."
            }
            Local::NotKept { .. } => {
                "Name one that is kept. Another one can only be installed by a release of the \
                 publisher."
            }
            Local::KeptOnHold { version } => {
                return format!("`--rollback={version}` goes back to it all the same.").into();
            }
            Local::KeptIsNewer { version, .. } => {
                return format!("`--update={version}` goes forward to it.").into();
            }
            Local::KeptIsOlder { version, .. } => {
                return format!("`--rollback={version}` goes back to it.").into();
            }
            Local::NoneComesBack { .. } => {
                "Install the version that you need instead, or ask the publisher for a release."
            }
            Local::NotTheTool { .. } => {
                "Start the tool itself by its path, not through a loader or an interpreter: then it \
                 can update itself and go back. A tool that another program loads as a library is \
                 updated together with that program."
            }
            Local::NotInstalled { .. } => {
                "If the tool updates itself, use its own --update. Otherwise install it again: \
                 `relatch install --force`."
            }
        };
        fixed.into()
    }
}

/// The versions that are kept, in words.
struct Kept<'a>(&'a [Version]);

impl fmt::Display for Kept<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions: Vec<_> = self.0.iter().map(Version::to_string).collect();
        match &versions[..] {
            [] => f.write_str("no version is"),
            [one] => write!(f, "{one} is"),
            [others @ .., last] => write!(f, "{} and {last} are", others.join(", ")),
        }
    }
}

/// Why each version does not come back.
struct Reasons<'a>(&'a [(Version, String)]);

impl fmt::Display for Reasons<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut reasons = self.0.iter();
        reasons.try_for_each(|(version, why)| write!(f, "\n  {version}: {}", Printable(why)))
    }
}

/// Whether the action of a [`Local::Io`] changes nothing.
fn is_reading(action: &str) -> bool {
    ["open", "read", "look", "find"].iter().any(|verb| action.starts_with(verb)) && action != "open the lock"
}

/// Turns an I/O error into [`Local::Io`]; `action` completes "cannot ...".
pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_path_buf();
    move |error| Local::Io { action, path, error }.into()
}

/// The text without the random part of names such as `write-0123456789abcdef`.
fn without_random_names(text: &str) -> String {
    const LENGTH: usize = 16;
    let mut parts = text.split('-');
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_random = part.bytes().take(LENGTH).filter(u8::is_ascii_hexdigit).count() == LENGTH;
        result.push('-');
        result.push_str(if is_random { part.get(LENGTH..).unwrap_or_default() } else { part });
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_about_a_permission_fits_what_was_tried() {
        let advice = |action| {
            let denied = std::io::ErrorKind::PermissionDenied.into();
            io(action, Path::new("/x"))(denied).advice().into_owned()
        };
        for action in ["open", "read", "look at", "find the directory"] {
            assert!(advice(action).contains("permission to read there"), "{action}");
        }
        for action in ["create", "write", "open the lock", "put an executable at"] {
            assert!(advice(action).contains("permission to write there"), "{action}");
        }
    }
}
