//! The signed fields of a release, for people and for scripts.

use std::fmt::{self, Display};

use relatch::Utc;
use relatch::trust::{Artifact, Digest, Document as _, Manifest, Timestamp};
use serde::Serialize;

use crate::repository::now;

/// All signed fields of a manifest and of the `VERSION` that names it.
#[derive(Debug, Clone, Serialize)]
pub struct ReleaseFields {
    /// The name of the manifest in the repository.
    pub manifest_blake3: Digest,
    /// The manifest, with the fields of SPEC section 3.7.
    pub manifest: Manifest,
    /// The second line of `VERSION`, with the fields of SPEC section 3.8.
    pub timestamp: Timestamp,
}

impl ReleaseFields {
    /// Copies the fields of two documents that belong together.
    pub fn new(manifest: &Manifest, timestamp: &Timestamp) -> Self {
        let manifest_blake3 = Digest::of(&manifest.to_canonical());
        ReleaseFields { manifest_blake3, manifest: manifest.clone(), timestamp: timestamp.clone() }
    }
}

/// `valid until ..., 29 days`, or the time of expiry.
pub struct Validity(
    /// The time of expiry, in Unix seconds.
    pub u64,
);

impl Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.checked_sub(now()) {
            Some(rest) if rest > 0 => write!(f, "valid until {}, {} days", Utc(self.0), rest / 86_400),
            _ => write!(f, "EXPIRED on {}", Utc(self.0)),
        }
    }
}

/// One line each, but for product, version, channel and number, which stand above them. The scripts
/// in docs/ci parse the lines that begin with `release` and `takes back`.
impl Display for ReleaseFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReleaseFields { manifest_blake3, manifest, timestamp } = self;
        writeln!(f, "  VERSION  {}, rollout {} of 100", Validity(timestamp.expires), timestamp.rollout)?;
        writeln!(f, "  release  {}", Validity(manifest.expires))?;
        writeln!(f, "  issued   VERSION {}, release {}", Utc(timestamp.issued), Utc(manifest.issued))?;
        writeln!(f, "  requires epoch {} and root {} or newer", manifest.epoch, manifest.root_version)?;
        writeln!(f, "  {}", if manifest.critical { "critical" } else { "not critical" })?;
        match &manifest.min_version {
            Some(min) => writeln!(f, "  minimum version: {min}")?,
            None => writeln!(f, "  minimum version: none")?,
        }
        let retracts: Vec<String> = manifest.retracts.iter().map(ToString::to_string).collect();
        match retracts.is_empty() {
            true => writeln!(f, "  takes back nothing")?,
            false => writeln!(f, "  takes back {}", retracts.join(", "))?,
        }
        write!(f, "  manifest {manifest_blake3}\n  executables")?;
        for artifact in &manifest.artifacts {
            write!(f, "\n    {:<28} {}  {} bytes", artifact.target.as_str(), artifact.blake3, artifact.size)?;
            for stored in &artifact.stored {
                let size = format!("{} bytes", stored.size);
                write!(f, "\n      {:<26} {}  {size}", stored.encoding.as_str(), stored.blake3)?;
                if let Some(from) = stored.from {
                    write!(f, "\n      {:<26} {from}", "  from")?;
                }
            }
        }
        match manifest.notes.as_str() {
            "" => f.write_str("\n  no notes"),
            notes => write!(f, "\n  notes\n    {}", notes.replace('\n', "\n    ")),
        }
    }
}

/// The hash of a manifest, and its executables, one line each.
pub fn executables(manifest: &Manifest) -> String {
    let line = |artifact: &Artifact| {
        let forms: Vec<String> = artifact
            .stored
            .iter()
            .map(|stored| format!("{} {}", stored.encoding, bytes(stored.size)))
            .collect();
        format!("\n    {:<28} {}  ({})", artifact.target.as_str(), artifact.blake3, forms.join(", "))
    };
    let digest = Digest::of(&manifest.to_canonical());
    format!("  manifest {digest}\n  executables{}", manifest.artifacts.iter().map(line).collect::<String>())
}

fn bytes(count: u64) -> String {
    match count {
        0..=9_999 => format!("{count} B"),
        10_000..=9_999_999 => format!("{} kB", count / 1_000),
        _ => format!("{} MB", count / 1_000_000),
    }
}
