//! One error, grouped by cause: attack, publisher, environment, this machine, caller.
//!
//! Every error reports what happened, with both values; [`Error::advice`] gives the likely causes and
//! the next step. No error can drive a terminal: text from outside is escaped where it enters an error,
//! names of files and addresses where they are displayed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Seconds;
use crate::escape::Printable;
use crate::object::Object;
use crate::source::Unavailable;
use crate::trust::{Refusal, Version};

/// What every fallible function of this library returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was not done. The disk is as it was before.
///
/// No variant prints another error and returns it from `source()` as well: what caused it is part of
/// the message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An object or a file is not trusted: an attack, or a mistake of the publisher.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The repository cannot be reached, or does not have the object.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// This machine cannot do it: permissions, disk, another process, an executable that does not run here.
    #[error(transparent)]
    Local(#[from] Local),
    /// The call is invalid.
    #[error("{}", Printable(what))]
    Usage {
        /// What is invalid, and what would be valid.
        what: String,
    },
}

/// Why this machine cannot do it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the message of each variant names its fields")]
pub enum Local {
    #[error("cannot {action} {}: {}", Printable(path.display()), Printable(error))]
    Io { action: &'static str, path: PathBuf, error: std::io::Error },
    #[error("{} is not a safe place to update: {}", Printable(path.display()), Printable(why))]
    UnsafeSite { path: PathBuf, why: String },
    #[error("another process is updating {} (waited {})", Printable(path.display()), Seconds(*waited))]
    Busy { path: PathBuf, waited: Duration },
    #[error("there is no executable at {}{}", Printable(path.display()), if *interrupted { ": an update or a rollback was interrupted" } else { "" })]
    NoExecutable { path: PathBuf, interrupted: bool },
    #[error("{} was changed by another process meanwhile", Printable(path.display()))]
    ChangedMeanwhile { path: PathBuf },
    #[error("version {version} does not run on this machine: {why}")]
    CannotRun { version: Version, why: String },
    #[error("{} already exists", Printable(path.display()))]
    Exists { path: PathBuf },
    #[error("there is no previous version to go back to beside {}", Printable(path.display()))]
    NothingToRollBack { path: PathBuf },
    #[error("relatch did not install {}: {}", Printable(path.display()), Printable(why))]
    NotInstalled { path: PathBuf, why: String },
}

/// What an error means to its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Not trustworthy: an attack, or a publisher's mistake. Exit code 3.
    Refused,
    /// The repository cannot be reached or read. Exit code 4.
    Unavailable,
    /// This machine: permissions, disk, cannot run. Exit code 5.
    Local,
    /// Usage. Exit code 2.
    Usage,
}

impl Error {
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Error::Usage { what: what.into() }
    }

    /// The group that this error belongs to.
    pub fn cause(&self) -> Cause {
        match self {
            Error::Refused(_) => Cause::Refused,
            Error::Unavailable(_) => Cause::Unavailable,
            Error::Local(_) => Cause::Local,
            Error::Usage { .. } => Cause::Usage,
        }
    }

    /// Whether the repository could not be asked for news, as opposed to a release that could not be
    /// fetched.
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

    /// The process exit code that the group has in all of relatch's tools (SPEC section 10).
    pub fn exit_code(&self) -> u8 {
        match self.cause() {
            Cause::Usage => 2,
            Cause::Refused => 3,
            Cause::Unavailable => 4,
            Cause::Local => 5,
        }
    }

    /// The likely causes, and what to do next.
    pub fn advice(&self) -> &'static str {
        match self {
            Error::Refused(refusal) => refusal.advice(),
            Error::Unavailable(Unavailable::Absent { object: Object::Version(_), .. }) => {
                "Nothing was published on this channel, or the address of the repository is wrong. Compare it with the publisher's."
            }
            Error::Unavailable(Unavailable::Absent { .. }) => {
                "The repository is incomplete: an upload was interrupted, or objects were deleted. The publisher can run `signer verify` and publish again."
            }
            Error::Unavailable(Unavailable::Forbidden { .. }) => {
                "The server requires credentials, or the object does not exist (S3 answers 403 to both). Check the address, and who may read it."
            }
            Error::Unavailable(Unavailable::Credentials { .. }) => {
                "Provide credentials that may read the bucket in one of these places, or name a profile in the address (?profile=NAME). A public bucket is read by its https URL and requires no credentials."
            }
            Error::Unavailable(Unavailable::Status { code: Some(_), .. }) => {
                "The bucket, region or endpoint of the address is wrong, or the service has a fault. Compare the address with the publisher's; try again later."
            }
            Error::Unavailable(_) => {
                "The network or the server is down, a proxy blocks the connection, or a directory is missing or not mounted. Try again later."
            }
            Error::Local(local) => local.advice(),
            Error::Usage { .. } => "Correct the call and try again; nothing was changed.",
        }
    }
}

impl Local {
    fn advice(&self) -> &'static str {
        match self {
            Local::Io { error, .. } => match error.kind() {
                std::io::ErrorKind::PermissionDenied => {
                    "You do not have permission to write there. Run the command as the owner, or install the tool in a directory of your own."
                }
                std::io::ErrorKind::StorageFull => {
                    "The disk is full. Free some space and try again; the installed version still works."
                }
                std::io::ErrorKind::NotFound => "There is no such file or directory. Check the path.",
                _ => "Nothing was changed. Check the disk and the directory's permissions, then try again.",
            },
            Local::UnsafeSite { .. } if cfg!(windows) => {
                "Other users could put their own program there. Change that, or install the tool in a directory of your own, such as one in %LOCALAPPDATA%\\Programs."
            }
            Local::UnsafeSite { .. } => {
                "Other users could put their own program there. Install the tool in a directory that only its owner can write to."
            }
            Local::Busy { .. } => "Wait for it to finish, then try again.",
            Local::NoExecutable { interrupted: true, .. } => {
                "Run `relatch update` with this path, which first puts the executable back. For a tool that updates itself run `relatch rollback` instead, or the previous executable in the directory beside it with --rollback: both put it back, and then go back a version."
            }
            Local::NoExecutable { .. } => "It was removed. Install it again with `relatch install`.",
            Local::ChangedMeanwhile { .. } => "Start the tool again.",
            Local::CannotRun { .. } => {
                "The release was built for another system, requires something that is not installed here, is another build than its version says, or does not call relatch first in main. The installed version stays. Report it to the publisher."
            }
            Local::Exists { .. } => "Choose another path, or replace it with --force.",
            Local::NothingToRollBack { .. } => {
                "Only an update leaves a previous version. Install the version that you want instead."
            }
            Local::NotInstalled { .. } => {
                "If the tool updates itself, use its own --update. Else install it again: `relatch install --force`."
            }
        }
    }
}

/// Turns an I/O error into [`Local::Io`]; `action` completes "cannot ...".
pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_path_buf();
    move |error| Local::Io { action, path, error }.into()
}
