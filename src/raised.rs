//! Why a process has raised privileges (SPEC step 1).

use std::borrow::Cow;
use std::fmt;

/// How this process got the rights of another user or domain than the one that started it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Raised {
    /// By a set-user-id program: its effective and its real user differ.
    User {
        /// The user whose rights it has.
        effective: u32,
        /// The user who started it.
        real: u32,
    },
    /// By a set-group-id program: its effective and its real group differ.
    Group {
        /// The group whose rights it has.
        effective: u32,
        /// The group of the user who started it.
        real: u32,
    },
    /// Users and groups are equal, and Linux has set `AT_SECURE` (getauxval(3)).
    Secure,
}

impl Raised {
    /// In a process of that user and group, nothing is raised.
    pub(crate) fn advice(self) -> Cow<'static, str> {
        const WHY: &str = "The user who starts such a program chooses its environment, so it neither updates \
                           itself nor rolls back.";
        match self {
            Raised::User { effective: 0, .. } => format!("{WHY} Run the same command with sudo.").into(),
            Raised::User { effective, .. } => {
                format!("{WHY} Run the same command as that user: `sudo -u '#{effective}' ...`.").into()
            }
            Raised::Group { effective, .. } => format!(
                "{WHY} Run the same command as the owner of the file (`ls -l` shows it), and with its \
                 group: `sudo -u OWNER -g '#{effective}' ...`."
            )
            .into(),
            Raised::Secure => format!(
                "{WHY} If the file has capabilities (`getcap` lists them), run the same command with \
                 sudo; or, in a directory of your own, where root updates nothing, take them from it \
                 (`sudo setcap -r FILE`), update it, and set them again. If a security module is the \
                 cause, run it where its policy changes no domain: from an administrator's shell, and \
                 not as a service."
            )
            .into(),
        }
    }
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Raised::User { effective, real } => write!(f, "it runs as user {effective} for user {real}"),
            Raised::Group { effective, real } => write!(f, "it runs as group {effective} for group {real}"),
            Raised::Secure => f.write_str(
                "the system says so (AT_SECURE): its file has capabilities, or a security module such as \
                 SELinux changed its domain",
            ),
        }
    }
}
