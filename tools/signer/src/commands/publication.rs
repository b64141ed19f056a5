//! The answer of the commands that publish a release.

use std::fmt::{self, Display};

use relatch::{Printable, Utc};
use serde::Serialize;
use signer::Result;
use signer::baseline::Baseline;
use signer::folder::Folder;
use signer::notice::Notice;
use signer::publish::{Publication, Visibility};
use signer::review::{ReleaseFields, executables};
use signer::store::Store;

use super::remarks::Remarks;

/// What was done.
#[derive(Serialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Done {
    Published,
    Refreshed,
    Renewed,
}

/// A release that is published, was read back, and verifies.
#[derive(Serialize)]
pub(super) struct PublishedRelease {
    result: Done,
    repository: String,
    release: ReleaseFields,
    #[serde(flatten)]
    publication: Publication,
    /// The path of the state file.
    state: Option<String>,
    /// What was found while reading. As text it was printed before.
    warnings: Vec<Notice>,
    remarks: Vec<String>,
}

impl PublishedRelease {
    pub(super) fn new(
        result: Done,
        folder: &Folder,
        store: &dyn Store,
        baseline: &Baseline,
        publication: Publication,
    ) -> Result<Self> {
        let release = ReleaseFields::new(&folder.manifest()?, &folder.version()?);
        let (repository, remarks) = (store.location(), store.remarks());
        let state = baseline.state_file().map(|path| path.display().to_string());
        let warnings = baseline.notices().to_vec();
        Ok(PublishedRelease { result, repository, release, publication, state, warnings, remarks })
    }
}

impl Display for PublishedRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ReleaseFields { manifest, timestamp, .. } = &self.release;
        let (product, version, channel) = (&manifest.product, &manifest.version, &manifest.channel);
        let Publication { created, existed, access, newer, finished, abandoned } = &self.publication;
        let rollout = timestamp.rollout;
        let valid = Utc(timestamp.expires);
        match self.result {
            Done::Refreshed => write!(
                f,
                "refreshed {product} {version} on {channel}: valid until {valid}, rollout {rollout} of 100"
            )?,
            Done::Renewed => write!(
                f,
                "renewed {product} {version} as release {} on {channel}: valid until {}\n  VERSION valid \
                 until {valid}, rollout {rollout} of 100",
                manifest.seq,
                Utc(manifest.expires)
            )?,
            Done::Published => write!(
                f,
                "published {product} {version} as release {} on {channel} to {}\n{}\n  VERSION valid \
                 until {valid}, rollout {rollout} of 100\n  {created} objects written, {existed} existed \
                 already; all read back and verified",
                manifest.seq,
                Printable(&self.repository),
                executables(manifest)
            )?,
        }
        if *finished {
            f.write_str("\n  finished the release that an earlier run left without VERSION")?;
        }
        if let Some(manifest) = abandoned {
            write!(f, "\n  abandoned the release with the manifest {manifest}")?;
        }
        if let Some(newer) = newer {
            write!(f, "\n  replaced by another publisher since then: {newer} is current")?;
        }
        match access {
            Visibility::Local => {} // a directory has its own permissions
            Visibility::Public => f.write_str("\n  public: also read back without credentials")?,
            Visibility::Private => f.write_str("\n  private: cannot be read without credentials")?,
            Visibility::Unknown(why) => {
                write!(f, "\n  it is unknown whether the repository is public: without credentials, {why}")?
            }
        }
        write!(f, "{}", Remarks(&self.remarks))
    }
}
