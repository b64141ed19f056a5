//! Verifies what is published.

use std::fmt::{self, Display};

use relatch::Printable;
use relatch::trust::Name;
use serde::Serialize;
use signer::verify::{self, Report};
use signer::{Failure, Result};

use super::inputs::open_to_read;
use crate::arguments::VerifyArgs;

/// A repository, or one channel of it, that verifies.
#[derive(Serialize)]
#[serde(tag = "result", rename = "verified")]
pub(super) struct Verified {
    repository: String,
    /// The only channel that was verified; `null` for the whole repository.
    channel: Option<Name>,
    /// Whether the repository could be listed.
    listed: bool,
    #[serde(flatten)]
    report: Report,
    /// The path of the state file.
    state: Option<String>,
}

pub(super) fn verify(arguments: VerifyArgs) -> Result<Verified> {
    let (store, anchor) = open_to_read(&arguments.repo, &arguments.root, &arguments.server)?;
    let state = arguments.state.open()?;
    let listed = store.can_list();
    let channel = match arguments.channel {
        None if !listed => Some("stable".parse().map_err(Failure::usage)?),
        channel => channel,
    };
    let report = match &channel {
        Some(channel) => verify::channel(&*store, &anchor, channel, state.as_ref())?,
        None => verify::everything(&*store, &anchor, state.as_ref())?,
    };
    let state = arguments.state.state.map(|path| path.display().to_string());
    Ok(Verified { repository: store.location(), channel, listed, report, state })
}

impl Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { root_version, channels, forms, untried_patches, others, warnings } = &self.report;
        let repository = Printable(&self.repository);
        match &self.channel {
            Some(channel) => write!(
                f,
                "the release on {channel} of {repository} verifies: root {root_version}, {forms} stored \
                 forms decoded"
            )?,
            None => write!(
                f,
                "{repository} verifies: root {root_version}, channels: {channels}, stored forms decoded: \
                 {forms}; {others} manifests and blobs match the hashes in their names"
            )?,
        }
        if !self.listed {
            f.write_str(
                "\n  the repository cannot be listed over https: other channels and earlier releases were \
                 not verified",
            )?;
        }
        if *untried_patches > 0 {
            write!(
                f,
                "\n  {untried_patches} patches were not decoded: the executables that they apply to are \
                 not in the repository"
            )?;
        }
        warnings.iter().try_for_each(|warning| write!(f, "\n  warning: {warning}"))
    }
}
