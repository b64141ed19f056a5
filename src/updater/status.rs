//! What is recorded of an installation, for people and scripts.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::check::Finding;
use crate::clock::Utc;
use crate::escape::Printable;
use crate::install::{Event, Happened};
use crate::trust::{Name, Version};

/// The recorded state of an installation. No network is used.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Status {
    /// The product; `None` if there is no recorded state.
    pub product: Option<Name>,
    /// The channel.
    pub channel: Option<Name>,
    /// The version at the path, if it is known.
    pub installed: Option<Version>,
    /// The keys that signed its manifest, as 64 hexadecimal digits each, if that is recorded.
    pub signers: Vec<String>,
    /// Its first starts; `None` if they are not counted (any more).
    pub trial: Option<TrialStatus>,
    /// What is wrong with the file at the path: it is not what was installed, it is gone, or a swap
    /// was interrupted.
    pub problem: Option<String>,
    /// The reason why the recorded state cannot be read, if it is damaged.
    pub damaged: Option<String>,
    /// All that is not as it should be, these two included, and what to do about it.
    pub oddities: Vec<Oddity>,
    /// Whether a rollback put there what is installed.
    pub returned: bool,
    /// The version that a rollback returns to. Where a rollback put there what is installed, only
    /// one that names this version does.
    pub next_back: Option<Version>,
    /// What is kept, the one that left the path last first.
    pub kept: Vec<KeptVersion>,
    /// The versions on hold, which no check installs, the latest one last.
    pub held: Vec<HeldVersion>,
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
    /// What the next start does; `None` if only the tool itself knows.
    pub next_start: Option<String>,
    /// The last events, the newest last.
    pub events: Vec<Event>,
}

/// The first starts of a version (SPEC step 13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TrialStatus {
    /// Starts that came to an end without a panic. After five of them the version is known to work.
    pub good: usize,
    /// Starts that a panic ended. After three of them, while the version is not known to work, it is
    /// left.
    pub failed: usize,
}

/// An executable that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptVersion {
    /// Its version.
    pub version: Version,
    /// Its file, which can be started by hand.
    #[serde(serialize_with = "displayed")]
    pub path: PathBuf,
    /// Whether it is known to work.
    pub confirmed: bool,
    /// Why it does not come back, if the publisher does not let it.
    pub refused: Option<String>,
}

/// JSON has no names that are not Unicode.
fn displayed<S: serde::Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// A version that no check installs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeldVersion {
    /// The version.
    pub version: Version,
    /// When the hold ends, in Unix seconds: the version was left because it failed in its first
    /// starts. `None` if a person went back from it.
    pub until: Option<u64>,
}

impl fmt::Display for HeldVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.until {
            None => write!(f, "{}, by a person", self.version),
            Some(until) => write!(f, "{}, until {}: it failed in its first starts", self.version, Utc(until)),
        }
    }
}

/// Something about an installation that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Oddity {
    /// What is so.
    pub what: String,
    /// What to do about it.
    pub repair: String,
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

/// The events that are shown to people.
const SHOWN: usize = 10;

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn or<T: fmt::Display>(value: &Option<T>, none: &str) -> String {
            value.as_ref().map_or_else(|| none.to_owned(), T::to_string)
        }
        let by = if self.returned { ", by a rollback" } else { "" };
        write!(f, "version {}{by}", or(&self.installed, "unknown"))?;
        for oddity in &self.oddities {
            write!(f, "\n  problem    {}", lines(&oddity.what))?;
            write!(f, "\n             {}", lines(&oddity.repair))?;
        }
        for (index, key) in self.signers.iter().enumerate() {
            write!(f, "\n  {:10} {}", if index == 0 { "signed by" } else { "" }, Printable(key))?;
        }
        if let Some(TrialStatus { good, failed }) = self.trial {
            write!(f, "\n  on trial   {good} of its first starts ended well, {failed} failed")?;
        }
        write!(f, "\n  channel    {}", or(&self.channel, "(none recorded)"))?;
        let checked = if self.checked == 0 { "never".into() } else { Utc(self.checked).to_string() };
        write!(f, "\n  checked    {checked}")?;
        if self.failed != 0 {
            write!(f, "\n  failed     {}, since then", Utc(self.failed))?;
            for line in self.failure.iter().flat_map(|text| text.lines()) {
                write!(f, "\n             {}", Printable(line.trim_start()))?;
            }
        }
        write!(f, "\n  found      {}", self.finding.as_ref().unwrap_or(&Finding::Unknown))?;
        write!(f, "\n  back       {}", or(&self.next_back, "(nothing to go back to)"))?;
        for (index, KeptVersion { version, path, confirmed, refused }) in self.kept.iter().enumerate() {
            let title = if index == 0 { "kept" } else { "" };
            let works = if *confirmed { ", known to work" } else { "" };
            write!(f, "\n  {title:10} {version} at {}{works}", Printable(path.display()))?;
            if let Some(why) = refused {
                write!(f, "\n             does not come back: {}", Printable(why))?;
            }
        }
        for (index, held) in self.held.iter().enumerate() {
            write!(f, "\n  {:10} {held}", if index == 0 { "held" } else { "" })?;
        }
        if self.held.is_empty() {
            write!(f, "\n  held       (none)")?;
        }
        if let Some(next) = &self.next_start {
            write!(f, "\n  next start {}", lines(next))?;
        }
        let older = self.events.len().saturating_sub(SHOWN);
        for (index, event) in self.events.iter().skip(older).enumerate() {
            write!(f, "\n  {:10} {event}", if index == 0 { "events" } else { "" })?;
        }
        Ok(())
    }
}

/// Text of several lines, below each other.
fn lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(|line| Printable(line.trim()).to_string()).collect();
    lines.join("\n             ")
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", Utc(self.at), self.what)
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Happened::Installed { version } => write!(f, "installed {version}"),
            Happened::Checked { found } => write!(f, "checked: {found}"),
            Happened::Updated { from, to } => write!(f, "updated {from} to {to}"),
            Happened::Returned { from, to, by_itself: true } => {
                write!(f, "back to {to} by itself: {from} failed in its first starts")
            }
            Happened::Returned { from, to, by_itself: false } => write!(f, "back to {to} from {from}"),
            Happened::Forward { from, to } => write!(f, "forward to {to}, which was kept, from {from}"),
            Happened::HoldsEnded { versions } => {
                let versions: Vec<_> = versions.iter().map(Version::to_string).collect();
                write!(f, "ended the hold of {}", versions.join(", "))
            }
            Happened::Failed { why, refused, .. } => {
                let what = if *refused { "refused" } else { "failed" };
                write!(f, "{what}: {}", Printable(why.lines().next().unwrap_or_default()))
            }
            Happened::Repaired { what } => write!(f, "repaired: {}", Printable(what)),
        }
    }
}
