//! Makes, signs and publishes releases, in one step or in several.

use std::io::Write as _;
use std::path::Path;

use relatch::trust::{Name, Notes};
use relatch::{Printable, limits};
use signer::files::read_limited;
use signer::folder::{self, Folder};
use signer::progress::ProgressOnStderr;
use signer::publish::publish_over;
use signer::repository::{Damage, Published};
use signer::review::{FolderReview, SignedFolder};
use signer::signing::SigningKey;
use signer::store::Store;
use signer::{Failure, Result, redacted};

use super::inputs::{borrowed, load, open_to_read, seconds};
use super::publication::{Done, PublishedRelease};
use super::remarks::with_remarks;
use crate::answer::{Answer, Format};
use crate::arguments::{
    PlanArgs, PrepareArgs, PublishArgs, RefreshArgs, ReleaseArgs, RenewArgs, RepoArgs, SignArgs, SigningArgs,
};

impl PlanArgs {
    fn checked(self) -> Result<folder::Plan> {
        let seq = self.seq().map_err(|why| Failure::usage(format!("--seq {why}")))?;
        let notes = match &self.notes {
            None => Notes::default(),
            Some(path) => {
                let text = String::from_utf8(read_limited(path, limits::MANIFEST)?);
                let text =
                    text.map_err(|_| Failure::usage(format!("{} is not UTF-8", Printable(path.display()))))?;
                Notes::try_from(text.trim_end().to_owned())
                    .map_err(|why| Failure::usage(format!("{}: {why}", Printable(path.display()))))?
            }
        };
        Ok(folder::Plan {
            version: self.version,
            channel: self.channel,
            artifacts: self.artifacts,
            notes,
            critical: self.critical,
            min_version: self.min_version,
            retracts: self.retracts,
            rollout: self.rollout,
            valid: seconds(self.expires_in)?,
            version_valid: seconds(self.version_expires_in)?,
            level: self.level,
            patches: self.patches,
            drop_targets: self.drop_targets,
            seq,
        })
    }
}

fn prepare_in(path: &Path, store: &dyn Store, anchor: &[u8], plan: PlanArgs) -> Result<(Folder, Published)> {
    let damage = plan.damage();
    let plan = plan.checked()?;
    let published = Published::read(store, anchor, &plan.channel, damage)?;
    let folder = Folder::prepare(path, &plan, &published, &store.source())?;
    Ok((folder, published))
}

pub(super) fn release(arguments: ReleaseArgs) -> Result<PublishedRelease> {
    let keys = load(&arguments.keys.keys, &arguments.keys.password)?;
    let damage = arguments.plan.damage();
    let scratch = scratch_dir()?;
    let (store, anchor) = arguments.repo.open()?;
    let channel = arguments.plan.channel.clone();
    let (folder, published) = prepare_in(&scratch.path().join("release"), &*store, &anchor, arguments.plan)?;
    sign_with(&folder, keys)?;
    ensure_signed(&folder)?;
    let published = published.again(&*store, &anchor, &channel, damage)?;
    let result = publish_over(&folder, &*store, &published, &ProgressOnStderr::default());
    let publication = with_remarks(&*store, result)?;
    PublishedRelease::new(Done::Published, &folder, &*store, publication)
}

fn scratch_dir() -> Result<tempfile::TempDir> {
    tempfile::tempdir().map_err(Failure::io("create a directory in", &std::env::temp_dir()))
}

/// Consumes the keys, which wipes them: the upload takes long and does not require them.
fn sign_with(folder: &Folder, keys: Vec<Box<dyn SigningKey>>) -> Result<()> {
    folder.sign(&borrowed(&keys))
}

/// Refuses a folder with too few signatures. The client's own code would refuse it too, but does
/// not know which keys are missing.
fn ensure_signed(folder: &Folder) -> Result<()> {
    let statuses = folder.signature_status()?;
    let Some(missing) = statuses.iter().find(|status| !status.meets_threshold()) else { return Ok(()) };
    Err(Failure::refused(
        format!(
            "{} of the {} {} keys that must sign have signed",
            missing.by.len(),
            missing.needed,
            missing.role
        ),
        "Give each missing key with --key; or run `signer prepare`, then `signer sign` on the \
         machine of each key holder, then `signer publish`. If all of them have signed, the \
         documents or signatures were changed afterwards.",
    ))
}

pub(super) fn prepare(arguments: PrepareArgs) -> Result<FolderReview> {
    let (store, anchor) = arguments.repo.open()?;
    let (folder, _) = prepare_in(&arguments.out, &*store, &anchor, arguments.plan)?;
    FolderReview::of(&folder, None)
}

/// Shows the folder before the keys are loaded: a person sees it before giving a password.
pub(super) fn sign(arguments: SignArgs, format: Format) -> Result<SignedFolder> {
    let folder = Folder::open(&arguments.folder)?;
    let opened = match (&arguments.repo, &arguments.root) {
        (Some(repo), Some(root)) => Some(open_to_read(repo, root, &arguments.server)?),
        _ => None,
    };
    let repository = opened.as_ref().map(|(store, anchor)| (&**store, &anchor[..]));
    let review = FolderReview::of(&folder, repository)?;
    if format == Format::Text {
        let text = redacted(&format!("signer: about to sign {review}"));
        // A write error must not prevent signing: stderr may be closed.
        drop(writeln!(std::io::stderr(), "{text}"));
    }
    sign_with(&folder, load(&arguments.keys.keys, &arguments.keys.password)?)?;
    review.signed(&folder)
}

pub(super) fn publish(arguments: PublishArgs) -> Result<PublishedRelease> {
    let (store, anchor) = arguments.repo.open()?;
    let folder = Folder::open(&arguments.folder)?;
    folder.ensure_consistent()?;
    ensure_signed(&folder)?;
    let progress = ProgressOnStderr::default();
    let damage = if arguments.repair { Damage::Repaired } else { Damage::Refused };
    let result = signer::publish::publish(&folder, &*store, &anchor, damage, &progress);
    let publication = with_remarks(&*store, result)?;
    PublishedRelease::new(Done::Published, &folder, &*store, publication)
}

pub(super) fn refresh(arguments: RefreshArgs) -> Result<Answer> {
    let valid = seconds(arguments.version_expires_in)?;
    sign_again(Done::Refreshed, arguments.repo, &arguments.channel, arguments.signing, |path, published| {
        Folder::refresh(path, published, arguments.rollout, valid)
    })
}

pub(super) fn renew(arguments: RenewArgs) -> Result<Answer> {
    let valid = seconds(arguments.expires_in)?;
    let version_valid = seconds(arguments.version_expires_in)?;
    sign_again(Done::Renewed, arguments.repo, &arguments.channel, arguments.signing, |path, published| {
        Folder::renew(path, published, valid, version_valid)
    })
}

/// Makes a folder from the published release, and publishes it unless it is to be signed elsewhere.
fn sign_again(
    done: Done,
    repo: RepoArgs,
    channel: &Name,
    signing: SigningArgs,
    make: impl FnOnce(&Path, &Published) -> Result<Folder>,
) -> Result<Answer> {
    let keys = load(&signing.keys, &signing.password)?;
    let (store, anchor) = repo.open()?;
    let published = Published::read(&*store, &anchor, channel, Damage::Refused)?;
    if let Some(out) = &signing.out {
        return FolderReview::of(&make(out, &published)?, None).map(Answer::of);
    }
    let scratch = scratch_dir()?;
    let folder = make(&scratch.path().join("release"), &published)?;
    sign_with(&folder, keys)?;
    ensure_signed(&folder)?;
    let published = published.again(&*store, &anchor, channel, Damage::Refused)?;
    let result = publish_over(&folder, &*store, &published, &ProgressOnStderr::default());
    let publication = with_remarks(&*store, result)?;
    PublishedRelease::new(done, &folder, &*store, publication).map(Answer::of)
}
