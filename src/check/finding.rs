//! The result of a check, for the user and for the state.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::trust::{Name, Version};

/// The result of a check of the installed version. No finding is an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Finding {
    /// No check has succeeded yet.
    #[default]
    Unknown,
    /// The newest release is installed, or is older than the installed version.
    Current,
    /// A newer release is available and is not installed.
    Outdated {
        /// The available version.
        version: Version,
    },
    /// The newest release was left by a rollback, or because it failed in its first starts.
    Held {
        /// The version that is on hold.
        version: Version,
        /// Whether the publisher marked it critical.
        critical: bool,
    },
    /// The newest release is rolled out to some installations, and not yet to this one.
    NotInRollout {
        /// The version that is being rolled out.
        version: Version,
        /// How many of 100 installations may install it.
        rollout: u8,
    },
    /// The newest release has no executable for this target.
    NoTarget {
        /// The version of that release.
        version: Version,
        /// The target; the state on the disk does not repeat it.
        #[serde(skip)]
        target: Option<Name>,
    },
}

impl Finding {
    /// The version that was found, if it is not the installed one.
    pub(crate) fn version(&self) -> Option<&Version> {
        match self {
            Finding::Unknown | Finding::Current => None,
            Finding::Outdated { version }
            | Finding::Held { version, .. }
            | Finding::NotInRollout { version, .. }
            | Finding::NoTarget { version, .. } => Some(version),
        }
    }

    /// Whether a rollout is from 0 to 100: the state on the disk is untrusted input.
    pub(crate) fn is_in_range(&self) -> bool {
        !matches!(self, Finding::NotInRollout { rollout: 101.., .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Unknown => f.write_str("no check has succeeded yet"),
            Finding::Current => f.write_str("nothing newer is released"),
            Finding::Outdated { version } => write!(f, "{version} is offered and not installed yet"),
            Finding::Held { version, critical } => {
                let critical = if *critical { ", although the publisher marked it critical" } else { "" };
                write!(
                    f,
                    "{version} is on hold because a rollback left it{critical}; --update={version} returns to \
                     it, and the next higher release ends the hold"
                )
            }
            Finding::NotInRollout { version, rollout } => write!(
                f,
                "{version} is rolled out to {rollout} of 100 installations, and this is not one of \
                 them yet"
            ),
            Finding::NoTarget { version, target: Some(target) } => {
                write!(f, "{version} has no executable for {target}")
            }
            Finding::NoTarget { version, target: None } => {
                write!(f, "{version} has no executable for this target")
            }
        }
    }
}
