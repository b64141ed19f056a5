//! The results of checks, updates, rollbacks and status.

use std::fmt;

use serde::Serialize;

use crate::check::Finding;
use crate::clock::Utc;
use crate::escape::Printable;
use crate::trust::{Name, Notes, Version};

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

/// The result of a rollback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolledBack {
    /// The version that was left. It is now on hold.
    pub from: Version,
    /// The version that is now installed.
    pub to: Version,
    /// Why this could not be recorded. The rollback is complete, and the next start records it.
    pub warning: Option<String>,
}

/// The recorded state of an installation. No network is used.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Status {
    /// The product; `None` if there is no recorded state.
    pub product: Option<Name>,
    /// The channel.
    pub channel: Option<Name>,
    /// The version at the path, if it is known.
    pub installed: Option<Version>,
    /// What is wrong with the file at the path: it is not what was installed, or a swap was
    /// interrupted.
    pub problem: Option<String>,
    /// The version that a rollback returns to.
    pub previous: Option<Version>,
    /// Why it does not come back by a rollback, if the publisher does not let it.
    pub previous_refused: Option<String>,
    /// The versions on hold, from which the user rolled back.
    pub held: Vec<Version>,
    /// The lowest version that may run under `Require`, be installed, or be restored by a rollback.
    pub min_version: Option<Version>,
    /// The finding of the last check.
    #[serde(rename = "standing")]
    pub finding: Option<Finding>,
    /// When a check last succeeded, in Unix seconds; 0 for never.
    pub checked: u64,
    /// When a check or an update last failed, if none succeeded since, in Unix seconds; 0 for none.
    pub failed: u64,
    /// What failed, if no check succeeded since.
    pub failure: Option<String>,
    /// This installation's place in rollouts, 0 to 99.
    pub rollout: Option<u8>,
    /// The reason why the recorded state cannot be read, if it is damaged.
    pub damaged: Option<String>,
}

impl Status {
    /// The exit code of a command that shows it (SPEC section 10): 0, 3 if a record is damaged, and
    /// 5 if something is wrong with the file at the path.
    pub fn exit_code(&self) -> u8 {
        match (&self.damaged, &self.problem) {
            (Some(_), _) => 3,
            (None, Some(_)) => 5,
            (None, None) => 0,
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
        let RolledBack { from, to, .. } = self;
        let way = if to.compare(from).is_ok_and(std::cmp::Ordering::is_gt) { "forward" } else { "back" };
        write!(
            f,
            "{way} to {to}; {from} is on hold and is not installed again (--rollback once more \
             returns to it)"
        )?;
        self.warning.iter().try_for_each(|warning| write!(f, "\n  {warning}"))
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn or<T: fmt::Display>(value: &Option<T>, none: &str) -> String {
            value.as_ref().map_or_else(|| none.to_owned(), T::to_string)
        }
        writeln!(f, "version {}", or(&self.installed, "unknown"))?;
        if let Some(problem) = &self.problem {
            writeln!(f, "  problem    {problem}")?;
        }
        writeln!(f, "  channel    {}", or(&self.channel, "(none recorded)"))?;
        let checked = if self.checked == 0 { "never".into() } else { Utc(self.checked).to_string() };
        writeln!(f, "  checked    {checked}")?;
        if self.failed != 0 {
            writeln!(f, "  failed     {}, since then", Utc(self.failed))?;
            for line in self.failure.iter().flat_map(|text| text.lines()) {
                writeln!(f, "             {}", Printable(line.trim_start()))?;
            }
        }
        writeln!(f, "  found      {}", self.finding.as_ref().unwrap_or(&Finding::Unknown))?;
        writeln!(f, "  previous   {}", or(&self.previous, "(none; nothing to roll back to)"))?;
        if let Some(why) = &self.previous_refused {
            writeln!(f, "             does not come back: {why}")?;
        }
        let held: Vec<_> = self.held.iter().map(Version::to_string).collect();
        write!(f, "  held       {}", if held.is_empty() { "(none)".into() } else { held.join(", ") })?;
        if let Some(damaged) = &self.damaged {
            write!(f, "\n  damaged    {damaged}")?;
        }
        Ok(())
    }
}
