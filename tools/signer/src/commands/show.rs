//! Shows what is published, or a release folder.

use std::fmt::{self, Display};

use relatch::Printable;
use relatch::trust::{Document as _, Name, Role, Root, Version};
use serde::Serialize;
use signer::folder::Folder;
use signer::notice::Notice;
use signer::repository::{Damage, Published, strict_times};
use signer::review::{FolderReview, ReleaseFields, Validity, expiring_manifest, expiring_root};
use signer::{Failure, Result};

use super::inputs::open_to_read;
use crate::answer::{Answer, Problem};
use crate::arguments::ShowArgs;

pub(super) fn show(arguments: ShowArgs) -> Result<Answer> {
    let opened = match (&arguments.repo, &arguments.root) {
        (Some(repo), Some(root)) => Some(open_to_read(repo, root, &arguments.server)?),
        _ => None,
    };
    let repository = opened.as_ref().map(|(store, anchor)| (&**store, &anchor[..]));
    let (store, anchor) = match (&arguments.folder, repository) {
        (Some(folder), repository) => {
            return FolderReview::of(&Folder::open(folder)?, repository).map(Answer::of);
        }
        (None, Some(repository)) => repository,
        (None, None) => return Err(Failure::usage("give a release folder, or --repo and --root")),
    };
    let channel = match arguments.channel {
        Some(channel) => channel,
        None => "stable".parse().map_err(Failure::usage)?,
    };
    let published = Published::read(store, anchor, &channel, Damage::Refused)?;
    let shown = PublishedState::new(store.location(), channel, published);
    let exit_code = shown.problem.as_ref().map_or(0, |problem| problem.exit_code);
    Ok(Answer { exit_code, ..Answer::of(shown) })
}

/// What is published on a channel.
#[derive(Serialize)]
#[serde(tag = "result", rename = "release")]
struct PublishedState {
    repository: String,
    channel: Name,
    root: Root,
    /// The version that `VERSION` names.
    version: Option<Version>,
    /// `null` if nothing is published, or if it does not verify.
    release: Option<ReleaseFields>,
    warnings: Vec<Notice>,
    /// Why a client would not install it.
    problem: Option<Problem>,
}

impl PublishedState {
    fn new(repository: String, channel: Name, published: Published) -> Self {
        let root = (*published.root).clone();
        let mut warnings: Vec<Notice> = expiring_root(&root).into_iter().collect();
        let mut release = None;
        let problem = match published.current {
            Err(why) => Some(why),
            Ok(Some(current)) => {
                warnings.extend(expiring_manifest(&current.manifest));
                let fields = ReleaseFields::new(&current.manifest, &current.version);
                let problem = expired(&root, &fields);
                release = Some(fields);
                problem
            }
            Ok(None) if published.raw.is_some() => Some(Failure::refused(
                format!(
                    "VERSION on {channel} is of an earlier epoch than root {}, which has epoch {}",
                    root.version, root.epoch
                ),
                "Publish a release under the new root: clients refuse what is published now.",
            )),
            Ok(None) => Some(Failure::NothingPublished { channel: channel.clone() }),
        };
        let version = published.timestamp.map(|timestamp| timestamp.version);
        let problem = problem.as_ref().map(Problem::of);
        PublishedState { repository, channel, root, version, release, warnings, problem }
    }
}

/// The first document that clients refuse for its times.
fn expired(root: &Root, release: &ReleaseFields) -> Option<Failure> {
    let ReleaseFields { manifest, timestamp, .. } = release;
    let documents = [
        (root.kind(), root.issued, root.expires),
        (timestamp.kind(), timestamp.issued, timestamp.expires),
        (manifest.kind(), manifest.issued, manifest.expires),
    ];
    let check = |(kind, issued, expires)| strict_times().ensure_current(kind, issued, expires).err();
    documents.into_iter().find_map(check).map(Failure::from)
}

impl Display for PublishedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PublishedState { repository, channel, root, version, release, warnings, .. } = self;
        // docs/ci/refresh.sh parses the line of the root.
        write!(
            f,
            "{} at {}\n  root     {}, epoch {}, {}",
            root.product,
            Printable(repository),
            root.version,
            root.epoch,
            Validity(root.expires)
        )?;
        for role in Role::ALL {
            let keys = root.roles.get(role);
            write!(f, "\n    {role}: {} of {}", keys.threshold, keys.keys.len())?;
        }
        match (release, version) {
            (Some(release), _) => {
                let seq = release.manifest.seq;
                // docs/ci/publish.sh parses this line.
                write!(f, "\n  {} on {channel}, release {seq}\n{release}", release.manifest.version)?;
            }
            (None, Some(version)) => write!(
                f,
                "\n  VERSION on {channel} names {version}, which does not verify under this root\n  next: \
                 publish a release"
            )?,
            (None, None) => {} // the problem says so
        }
        warnings.iter().try_for_each(|warning| write!(f, "\n  warning: {warning}"))?;
        match &self.problem {
            Some(Problem { error, advice, .. }) => write!(f, "\n  problem: {error}\n    {advice}"),
            None => Ok(()),
        }
    }
}
