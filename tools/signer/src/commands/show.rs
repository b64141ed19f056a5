//! Shows and verifies what is published.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use relatch::trust::Role;
use relatch::{Printable, Utc};
use signer::folder::Folder;
use signer::repository::{Damage, Published, now};
use signer::{Failure, Result};

use super::release::describe_folder;
use super::remarks::print_notes;
use crate::arguments::{RepoArgs, ShowArgs, VerifyArgs};

pub(super) fn show(arguments: ShowArgs) -> Result<String> {
    let (repo, root) = match (arguments.folder, arguments.repo, arguments.root) {
        (Some(folder), ..) => return describe_folder(&Folder::open(&folder)?),
        (None, Some(repo), Some(root)) => (repo, root),
        _ => return Err(Failure::usage("give a release folder, or --repo and --root")),
    };
    let (store, anchor) = RepoArgs { repo, root, server: arguments.server }.open()?;
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
        let keys = root.roles.get(role);
        let _ = write!(text, "\n    {role}: {} of {}", keys.threshold, keys.keys.len());
    }
    if let Err(failure) = &published.current {
        let _ = write!(
            text,
            "\n  VERSION on {} names {}, which does not verify under this root: {failure}\n  \
             next: publish a release",
            arguments.channel,
            published.released().map(ToString::to_string).unwrap_or_default()
        );
        return Ok(text);
    }
    let Some(current) = published.current() else {
        let _ = write!(text, "\n  nothing is published on {}", arguments.channel);
        return Ok(text);
    };
    let (version, manifest) = (&current.version, &current.manifest);
    // docs/ci/publish.sh parses this line.
    let _ = write!(text, "\n  {} on {}, release {}", version.version, version.channel, version.seq);
    let _ = write!(text, "\n  VERSION  {}, rollout {} of 100", validity(version.expires), version.rollout);
    let _ = write!(text, "\n  release  {}", validity(manifest.expires));
    if manifest.critical {
        text.push_str("\n  critical");
    }
    if let Some(min) = &manifest.min_version {
        let _ = write!(text, "\n  minimum version: {min}");
    }
    let retracts: BTreeSet<String> = manifest.retracts.iter().map(ToString::to_string).collect();
    // docs/ci/publish.sh parses this line.
    if !retracts.is_empty() {
        let _ = write!(text, "\n  takes back {}", retracts.into_iter().collect::<Vec<_>>().join(", "));
    }
    let _ = write!(text, "\n{}", signer::verify::describe(manifest));
    if !manifest.notes.as_str().is_empty() {
        let _ = write!(text, "\n  notes\n    {}", manifest.notes.as_str().replace('\n', "\n    "));
    }
    Ok(text)
}

/// `valid until ..., 29 days`, or the time of expiry.
fn validity(expires: u64) -> String {
    match expires.checked_sub(now()) {
        Some(rest) if rest > 0 => format!("valid until {}, {} days", Utc(expires), rest / 86_400),
        _ => format!("EXPIRED on {}", Utc(expires)),
    }
}

pub(super) fn verify(arguments: VerifyArgs) -> Result<String> {
    let (store, anchor) = arguments.repo.open()?;
    let state = arguments.state.open()?;
    let (mut text, untried) = match arguments.channel {
        Some(channel) => {
            let report = signer::verify::channel(&*store, &anchor, &channel, state.as_ref())?;
            print_notes(&report.notes);
            let text = format!(
                "the release on {channel} of {} verifies: root {}, {} stored forms decoded",
                Printable(store.location()),
                report.root,
                report.forms
            );
            (text, report.untried_patches)
        }
        None => {
            let report = signer::verify::everything(&*store, &anchor, state.as_ref())?;
            print_notes(&report.notes);
            let text = format!(
                "{} verifies: root {}, channels: {}, stored forms decoded: {}; {} manifests and \
                 blobs match the hashes in their names",
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
            "\n  {untried} patches were not decoded: the executables that they apply to are not in the \
             repository"
        );
    }
    Ok(text)
}
