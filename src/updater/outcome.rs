//! The results of checks, updates, rollbacks and status.

use std::fmt;
use std::path::PathBuf;

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

/// An executable that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptVersion {
    /// Its version.
    pub version: Version,
    /// Its file, which can be started by hand.
    pub path: PathBuf,
    /// Why it does not come back, if the publisher does not let it.
    pub refused: Option<String>,
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
    /// Whether a rollback put there what is installed.
    pub returned: bool,
    /// The version that a rollback returns to. Where a rollback put there what is installed, only
    /// one that names this version does.
    pub next_back: Option<Version>,
    /// What is kept, the one that left the path last first.
    pub kept: Vec<KeptVersion>,
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

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn or<T: fmt::Display>(value: &Option<T>, none: &str) -> String {
            value.as_ref().map_or_else(|| none.to_owned(), T::to_string)
        }
        let by = if self.returned { ", by a rollback" } else { "" };
        writeln!(f, "version {}{by}", or(&self.installed, "unknown"))?;
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
        writeln!(f, "  back       {}", or(&self.next_back, "(nothing to go back to)"))?;
        for (index, KeptVersion { version, path, refused }) in self.kept.iter().enumerate() {
            let title = if index == 0 { "kept" } else { "" };
            writeln!(f, "  {title:10} {version} at {}", Printable(path.display()))?;
            if let Some(why) = refused {
                writeln!(f, "             does not come back: {}", Printable(why))?;
            }
        }
        let held: Vec<_> = self.held.iter().map(Version::to_string).collect();
        write!(f, "  held       {}", if held.is_empty() { "(none)".into() } else { held.join(", ") })?;
        if let Some(damaged) = &self.damaged {
            write!(f, "\n  damaged    {damaged}")?;
        }
        Ok(())
    }
}
