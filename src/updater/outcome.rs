//! The results of checks, updates and rollbacks.

use std::fmt;

use crate::check::Finding;
use crate::escape::Printable;
use crate::trust::{Notes, Version};

/// The result of a check.
#[derive(Debug)]
pub enum Checked {
    /// An update is available.
    Update {
        /// The installed version.
        from: Version,
        /// The available version.
        to: Version,
        /// The publisher's notes about the available version.
        notes: Notes,
        /// Whether the publisher marked the available version as critical.
        critical: bool,
    },
    /// No update is to be installed, for this reason.
    Nothing(Finding),
}

/// The result of an update.
#[derive(Debug)]
pub enum Outcome {
    /// Another version was installed.
    Updated {
        /// The version that a rollback now returns to.
        from: Version,
        /// The version that is installed.
        to: Version,
        /// Whether the publisher withdrew `from`. A rollback then does not return to it.
        withdrawn: bool,
        /// Whether a rollback returns to `from`.
        returns: bool,
    },
    /// Nothing was installed, for this reason.
    Nothing(Finding),
}

/// The result of going to a kept executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolledBack {
    /// Another executable is at the path.
    Now {
        /// The version that was left.
        from: Version,
        /// The version that is now installed.
        to: Version,
        /// Whether `from` is on hold, so that no check installs it again.
        held: bool,
        /// The kept versions that were passed over, and why.
        skipped: Vec<(Version, String)>,
        /// Why this could not be recorded. It is complete, and the next start records it.
        warning: Option<String>,
    },
    /// What was asked for was so already, and nothing was changed.
    Already {
        /// The version that is installed.
        installed: Version,
        /// The kept version that is one step further back.
        further: Option<Version>,
        /// The kept version that was left last.
        forward: Option<Version>,
    },
}

impl RolledBack {
    /// The version that is installed now.
    pub fn installed(&self) -> &Version {
        match self {
            RolledBack::Now { to, .. } => to,
            RolledBack::Already { installed, .. } => installed,
        }
    }
}

/// The result of an update to one version.
#[derive(Debug)]
pub enum Forward {
    /// The version was kept.
    Kept(RolledBack),
    /// It was looked for in the repository.
    Released(Outcome),
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Forward::Kept(kept) => kept.fmt(f),
            Forward::Released(outcome) => outcome.fmt(f),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Updated { from, to, withdrawn: true, .. } => {
                write!(f, "replaced {from} by {to}: the publisher withdrew {from}")
            }
            Outcome::Updated { from, to, returns: true, .. } => {
                write!(f, "updated {from} to {to}; --rollback goes back")
            }
            Outcome::Updated { from, to, .. } => write!(f, "updated {from} to {to}"),
            Outcome::Nothing(finding) => write!(f, "nothing to do: {finding}"),
        }
    }
}

impl fmt::Display for RolledBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RolledBack::Now { from, to, held, skipped, warning } => {
                match held {
                    true => write!(
                        f,
                        "back to {to}; {from} is on hold and is not installed again \
                         (--update={from} returns to it)"
                    )?,
                    false => write!(f, "forward to {to}, which was kept; --rollback goes back")?,
                }
                for (version, why) in skipped {
                    write!(f, "\n  passed over {version}: {}", Printable(why))?;
                }
                warning.iter().try_for_each(|warning| write!(f, "\n  {warning}"))
            }
            RolledBack::Already { installed, further, forward } => {
                write!(f, "{installed} is installed already; nothing was changed")?;
                if let Some(further) = further {
                    write!(f, "\n  one step further back: --rollback={further}")?;
                }
                if let Some(forward) = forward {
                    write!(f, "\n  forward again: --update={forward}")?;
                }
                Ok(())
            }
        }
    }
}
