//! What the journal says of executables: the one at the path, the ones that are kept, and a swap
//! from one to another (SPEC section 4.1).

use serde::{Deserialize, Serialize};

use super::names;
use crate::limits;
use crate::trust::{Digest, Epoch, Version};
use crate::unknown::Unknown;

/// One executable: its version, its hash, and under which roots it was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Installed {
    pub(crate) version: Version,
    /// The hash of the file.
    pub(crate) blake3: Digest,
    /// The epoch of the newest root when it was installed.
    pub(crate) epoch: Epoch,
    /// The trust domain of that root.
    pub(crate) domain: Digest,
    /// The keys that signed its manifest, as 64 hexadecimal digits each. Nothing depends on them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) signers: Vec<String>,
    /// Whether its release was critical.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) critical: bool,
    /// Whether it is known to work (SPEC step 13).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) confirmed: bool,
    /// Whether a rollback put it at the path. Only what is there is so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) returned: bool,
    #[serde(flatten)]
    pub(crate) unknown: Unknown,
}

/// The newest root under which an executable is installed: its epoch, and its trust domain. And who
/// signed the release, and how it is marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Under {
    pub(crate) epoch: Epoch,
    pub(crate) domain: Digest,
    /// See [`Installed::signers`].
    pub(crate) signers: Vec<String>,
    pub(crate) critical: bool,
}

impl Under {
    /// Of bytes that were there before this library recorded them.
    pub(crate) fn roots(epoch: Epoch, domain: Digest) -> Self {
        Under { epoch, domain, signers: Vec::new(), critical: false }
    }
}

impl Installed {
    pub(crate) fn new(version: Version, blake3: Digest, under: Under) -> Self {
        let Under { epoch, domain, signers, critical } = under;
        let (confirmed, returned, unknown) = (false, false, Unknown::default());
        Installed { version, blake3, epoch, domain, signers, critical, confirmed, returned, unknown }
    }
}

impl Swap {
    /// Of a staged or a kept file. `from` is `None` for a first install.
    pub(super) fn update(file: &str, from: Option<Installed>, to: Installed) -> Self {
        let file = file.to_owned();
        Swap { file, from, to, rollback: false, until: None, kept: None, unknown: Unknown::default() }
    }

    /// To a kept executable.
    pub(super) fn rollback(from: Installed, to: Kept) -> Self {
        Swap { rollback: true, ..Swap::update(&to.file, Some(from), to.executable) }
    }

    /// The same from a version that failed in its first starts at this time: the hold ends by itself.
    pub(super) fn for_failing(self, now: u64) -> Self {
        Swap { until: Some(end_of_hold(now)), ..self }
    }

    /// Where the executable that leaves the path is kept: under the name of the one that comes from
    /// there, else as `previous`.
    pub(super) fn place_of_leaving(&self) -> &str {
        if names::is_kept(&self.file) { &self.file } else { names::PREVIOUS }
    }
}

/// An executable in `.<exe>.relatch/` that a rollback can return to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Its name there.
    pub(crate) file: String,
    #[serde(flatten)]
    pub(crate) executable: Installed,
}

impl Kept {
    pub(super) fn new(file: &str, mut executable: Installed) -> Self {
        // Else it would be written twice, and nobody could read it.
        executable.unknown.forget("file");
        executable.returned = false;
        Kept { file: file.to_owned(), executable }
    }
}

/// A swap from one executable to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Swap {
    /// The file in `.<exe>.relatch/` that is moved to the executable's path.
    pub(crate) file: String,
    /// `None` if the version of what was at the path was unknown, or if there was nothing.
    pub(crate) from: Option<Installed>,
    pub(crate) to: Installed,
    /// Whether this is a rollback, which puts `from` on hold. It is not recorded before it happens:
    /// a record of one was written by an earlier version of relatch.
    pub(crate) rollback: bool,
    /// When the hold of `from` ends, if it is not a person's. Never recorded before the swap.
    #[serde(skip)]
    pub(super) until: Option<u64>,
    /// What is kept after it; `None` if that follows from the other fields, as for an exchange with
    /// a kept executable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kept: Option<Vec<Kept>>,
    #[serde(flatten)]
    pub(crate) unknown: Unknown,
}

fn end_of_hold(now: u64) -> u64 {
    now.saturating_add(limits::AUTOMATIC_HOLD.as_secs())
}
