//! What is published, and whether it verifies.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use relatch::trust::Role;
use relatch::{Printable, Utc};
use signer::folder::Folder;
use signer::repository::{Damage, Published, newest_root, now};
use signer::{Failure, Result};

use super::release::told_signed;
use crate::arguments::{Repo, Show, Verify};

pub(super) fn show(arguments: Show) -> Result<String> {
    let (repo, root) = match (arguments.folder, arguments.repo, arguments.root) {
        (Some(folder), ..) => return told_signed(&Folder::open(&folder)?),
        (None, Some(repo), Some(root)) => (repo, root),
        _ => return Err(Failure::usage("name a release folder, or --repo and --root")),
    };
    let (store, anchor) = Repo { repo, root, server: arguments.server }.open()?;
    let published = Published::read(&*store, &anchor, &arguments.channel, Damage::Refused)?;
    let root = &published.root;
    let mut text = format!(
        "{} at {}\n  root     {}, epoch {}, {}",
        root.product,
        Printable(store.location()),
        root.version,
        root.epoch,
        validity(root.expires)
    );
    for role in Role::ALL {
        let held = root.roles.get(role);
        let _ = write!(text, "\n    {role}: {} of {}", held.threshold, held.keys.len());
    }
    if let Err(failure) = &published.current {
        let _ = write!(
            text,
            "\n  VERSION on {} names {}, which does not verify under this root: {failure}\n  next: publish a release",
            arguments.channel,
            published.released.as_ref().map(ToString::to_string).unwrap_or_default()
        );
        return Ok(text);
    }
    let Some(current) = published.current() else {
        let _ = write!(text, "\n  nothing is published on {}", arguments.channel);
        return Ok(text);
    };
    let (version, manifest) = (&current.version, &current.manifest);
    let _ = write!(text, "\n  {} on {}, release {}", version.version, version.channel, version.seq);
    let _ = write!(text, "\n  VERSION  {}, rollout {} of 100", validity(version.expires), version.rollout);
    let _ = write!(text, "\n  release  {}", validity(manifest.expires));
    if manifest.critical {
        text.push_str("\n  critical");
    }
    if let Some(min) = &manifest.min_version {
        let _ = write!(text, "\n  lowest version that may run: {min}");
    }
    let retracts: BTreeSet<String> = manifest.retracts.iter().map(ToString::to_string).collect();
    if !retracts.is_empty() {
        let _ = write!(text, "\n  takes back {}", retracts.into_iter().collect::<Vec<_>>().join(", "));
    }
    let _ = write!(text, "\n{}", signer::verify::describe(manifest));
    if !manifest.notes.as_str().is_empty() {
        let _ = write!(text, "\n  notes\n    {}", manifest.notes.as_str().replace('\n', "\n    "));
    }
    Ok(text)
}

/// `valid until ..., 29 days`, or since when not.
fn validity(expires: u64) -> String {
    match expires.checked_sub(now()) {
        Some(rest) if rest > 0 => format!("valid until {}, {} days", Utc(expires), rest / 86_400),
        _ => format!("EXPIRED at {}", Utc(expires)),
    }
}

pub(super) fn verify(arguments: Verify) -> Result<String> {
    let (store, anchor) = arguments.repo.open()?;
    let (mut text, untried) = match arguments.channel {
        Some(channel) => {
            let source = store.source();
            let root = newest_root(&source, &anchor)?;
            let report = signer::verify::release(&source, &root, &channel)?;
            let text = format!(
                "the release on {channel} of {} verifies: root {}, {} stored forms decoded",
                Printable(store.location()),
                report.root,
                report.forms
            );
            (text, report.untried_patches)
        }
        None => {
            let report = signer::verify::everything(&*store, &anchor)?;
            let text = format!(
                "{} verifies: root {}, channels: {}, stored forms decoded: {}; {} manifests and blobs are what their names say",
                Printable(store.location()),
                report.root,
                report.channels,
                report.forms,
                report.others
            );
            (text, report.untried_patches)
        }
    };
    if untried > 0 {
        let _ = write!(
            text,
            "\n  {untried} patches were not tried: the executables that they start from are not in the repository"
        );
    }
    Ok(text)
}
