//! Makes, signs and publishes releases, in one step or in several.

use std::io::Write as _;
use std::path::Path;

use relatch::trust::{Name, Notes};
use relatch::{Printable, limits};
use signer::baseline::{Baseline, Safeguards};
use signer::files::read_limited;
use signer::folder::{self, ExpiredVersion, Folder};
use signer::progress::ProgressOnStderr;
use signer::publish::publish_over;
use signer::repository::Damage;
use signer::review::{FolderReview, SignedFolder};
use signer::signing::SigningKey;
use signer::store::Store;
use signer::{Failure, Result, redacted};

use super::inputs::{borrowed, load, open_to_read, seconds};
use super::publication::{Done, PublishedRelease};
use super::remarks::{print_notices, with_remarks};
use crate::answer::{Answer, Format};
use crate::arguments::{
    KnownArgs, PlanArgs, PrepareArgs, PublishArgs, RefreshArgs, ReleaseArgs, RenewArgs, RepoArgs, SignArgs,
    SigningArgs,
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

fn prepare_in(
    path: &Path,
    store: &dyn Store,
    anchor: &[u8],
    plan: PlanArgs,
    known: &KnownArgs,
) -> Result<(Folder, Baseline)> {
    let damage = plan.damage();
    let plan = plan.checked()?;
    let baseline = Baseline::read(store, anchor, &plan.channel, known.safeguards(damage)?)?;
    print_notices(baseline.notices());
    let folder = Folder::prepare(path, &plan, &baseline, store)?;
    Ok((folder, baseline))
}

pub(super) fn release(arguments: ReleaseArgs) -> Result<PublishedRelease> {
    let keys = load(&arguments.keys.keys, &arguments.keys.password)?;
    let scratch = scratch_dir()?;
    let (store, anchor) = arguments.repo.open()?;
    let path = scratch.path().join("release");
    let (folder, baseline) = prepare_in(&path, &*store, &anchor, arguments.plan, &arguments.known)?;
    sign_with(&folder, keys)?;
    ensure_signed(&folder)?;
    let baseline = baseline.again(&*store, &anchor)?;
    let result = publish_over(&folder, &*store, &baseline, &ProgressOnStderr::default());
    let publication = with_remarks(&*store, result)?;
    PublishedRelease::new(Done::Published, &folder, &*store, &baseline, publication)
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
    let (folder, _) = prepare_in(&arguments.out, &*store, &anchor, arguments.plan, &arguments.known)?;
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
    let channel = folder.manifest()?.channel;
    let baseline = Baseline::read(&*store, &anchor, &channel, arguments.known.safeguards(damage)?)?;
    print_notices(baseline.notices());
    let result = publish_over(&folder, &*store, &baseline, &progress);
    let publication = with_remarks(&*store, result)?;
    PublishedRelease::new(Done::Published, &folder, &*store, &baseline, publication)
}

pub(super) fn refresh(arguments: RefreshArgs) -> Result<Answer> {
    let RefreshArgs { repo, channel, signing, rollout, .. } = arguments;
    let valid = seconds(arguments.version_expires_in)?;
    // A VERSION that does not verify is replaced by one for a release that the caller names.
    let damage = if arguments.finish.is_some() { Damage::Repaired } else { Damage::Refused };
    let expired = if arguments.revive { ExpiredVersion::Revived } else { ExpiredVersion::Refused };
    let safeguards = Safeguards { state: arguments.state.open()?, abandoned: Vec::new(), damage };
    sign_again(Done::Refreshed, &repo, &channel, safeguards, signing, |path, baseline, store| {
        match (arguments.finish, rollout) {
            (Some(manifest), Some(rollout)) => {
                Folder::finish(path, baseline, store, manifest, (rollout, valid))
            }
            _ => Folder::refresh(path, baseline, rollout, valid, expired),
        }
    })
}

pub(super) fn renew(arguments: RenewArgs) -> Result<Answer> {
    let RenewArgs { repo, known, channel, signing, .. } = arguments;
    let (valid, version_valid) = (seconds(arguments.expires_in)?, seconds(arguments.version_expires_in)?);
    let safeguards = known.safeguards(Damage::Refused)?;
    sign_again(Done::Renewed, &repo, &channel, safeguards, signing, |path, baseline, store| {
        Folder::renew(path, baseline, store, valid, version_valid)
    })
}

/// Makes a folder from what is published, and publishes it unless it is to be signed elsewhere.
fn sign_again(
    done: Done,
    repo: &RepoArgs,
    channel: &Name,
    safeguards: Safeguards,
    signing: SigningArgs,
    make: impl FnOnce(&Path, &Baseline, &dyn Store) -> Result<Folder>,
) -> Result<Answer> {
    let keys = load(&signing.keys, &signing.password)?;
    let (store, anchor) = repo.open()?;
    let baseline = Baseline::read(&*store, &anchor, channel, safeguards)?;
    print_notices(baseline.notices());
    if let Some(out) = &signing.out {
        let folder = make(out, &baseline, &*store).map_err(|why| why.on(channel))?;
        return FolderReview::of(&folder, None).map(Answer::of);
    }
    let scratch = scratch_dir()?;
    let folder = make(&scratch.path().join("release"), &baseline, &*store).map_err(|why| why.on(channel))?;
    sign_with(&folder, keys)?;
    ensure_signed(&folder)?;
    let baseline = baseline.again(&*store, &anchor)?;
    let result = publish_over(&folder, &*store, &baseline, &ProgressOnStderr::default());
    let publication = with_remarks(&*store, result)?;
    PublishedRelease::new(done, &folder, &*store, &baseline, publication).map(Answer::of)
}
