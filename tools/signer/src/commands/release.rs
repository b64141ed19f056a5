//! Makes, signs and publishes releases, in one step or in several.

use std::fmt::Write as _;
use std::path::Path;

use relatch::trust::{Notes, Role};
use relatch::{Printable, Utc, limits};
use signer::files::read_limited;
use signer::folder::{self, Folder};
use signer::progress::ProgressOnStderr;
use signer::publish::{Publication, Visibility, publish_over};
use signer::repository::{Damage, Published};
use signer::signing::SigningKey;
use signer::store::Store;
use signer::{Failure, Result, verify};

use super::inputs::{borrowed, load, seconds};
use super::remarks::{remarks, with_remarks};
use crate::arguments::{PlanArgs, PrepareArgs, PublishArgs, RefreshArgs, ReleaseArgs, SignArgs};

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

pub(super) fn release(arguments: ReleaseArgs) -> Result<String> {
    let keys = load(&arguments.keys.keys, &arguments.keys.password)?;
    let damage = arguments.plan.damage();
    let scratch = tempfile::tempdir().map_err(Failure::io("create a directory in", &std::env::temp_dir()))?;
    let (store, anchor) = arguments.repo.open()?;
    let channel = arguments.plan.channel.clone();
    let (folder, published) = prepare_in(&scratch.path().join("release"), &*store, &anchor, arguments.plan)?;
    sign_with(&folder, keys)?;
    ensure_signed(&folder)?;
    let published = published.again(&*store, &anchor, &channel, damage)?;
    let result = publish_over(&folder, &*store, &published, &ProgressOnStderr::default());
    let publication = with_remarks(&*store, result)?;
    describe_publication(&folder, &*store, &publication)
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

fn describe_publication(folder: &Folder, store: &dyn Store, publication: &Publication) -> Result<String> {
    let (manifest, version) = (folder.manifest()?, folder.version()?);
    Ok(format!(
        "published {} {} as release {} on {} to {}\n{}\n  VERSION valid until {}, rollout {} of 100\n  \
         {} objects written, {} existed already; all read back and verified{}{}{}",
        manifest.product,
        manifest.version,
        manifest.seq,
        manifest.channel,
        Printable(store.location()),
        verify::describe(&manifest),
        Utc(version.expires),
        version.rollout,
        publication.created,
        publication.existed,
        describe_newer(publication),
        describe_visibility(&publication.access),
        remarks(store)
    ))
}

fn describe_newer(publication: &Publication) -> String {
    let line = |newer: &String| format!("\n  replaced by another publisher since then: {newer} is current");
    publication.newer.as_ref().map(line).unwrap_or_default()
}

/// Who can read the repository. A directory has its own permissions.
fn describe_visibility(visibility: &Visibility) -> String {
    match visibility {
        Visibility::Local => String::new(),
        Visibility::Public => "\n  public: also read back without credentials".into(),
        Visibility::Private => "\n  private: cannot be read without credentials".into(),
        Visibility::Unknown(why) => {
            format!("\n  it is unknown whether the repository is public: without credentials, {why}")
        }
    }
}

pub(super) fn prepare(arguments: PrepareArgs) -> Result<String> {
    let (store, anchor) = arguments.repo.open()?;
    let (folder, _) = prepare_in(&arguments.out, &*store, &anchor, arguments.plan)?;
    describe_folder(&folder)
}

/// The content of a folder, its signatures, and the next step.
pub(super) fn describe_folder(folder: &Folder) -> Result<String> {
    let manifest = folder.manifest()?;
    let mut text = format!(
        "{} {} as release {} on {}\n{}",
        manifest.product,
        manifest.version,
        manifest.seq,
        manifest.channel,
        verify::describe(&manifest)
    );
    let statuses = folder.signature_status()?;
    for signed in &statuses {
        let document = if signed.role == Role::Release { "manifest" } else { "VERSION" };
        let _ = write!(
            text,
            "\n  {document}: signed by {} of {} {} keys",
            signed.by.len(),
            signed.needed,
            signed.role
        );
        for key in &signed.by {
            let _ = write!(text, "\n    {}", key.to_hex());
        }
    }
    let missing = statuses.iter().any(|status| !status.meets_threshold());
    let path = Printable(folder.path().display());
    let next = if missing {
        format!("signer sign {path} --key KEY")
    } else {
        format!("signer publish {path} --repo REPO --root root.json")
    };
    let _ = write!(text, "\nnext: {next}");
    Ok(text)
}

pub(super) fn sign(arguments: SignArgs) -> Result<String> {
    let folder = Folder::open(&arguments.folder)?;
    sign_with(&folder, load(&arguments.keys.keys, &arguments.keys.password)?)?;
    describe_folder(&folder)
}

pub(super) fn publish(arguments: PublishArgs) -> Result<String> {
    let (store, anchor) = arguments.repo.open()?;
    let folder = Folder::open(&arguments.folder)?;
    folder.ensure_consistent()?;
    ensure_signed(&folder)?;
    let progress = ProgressOnStderr::default();
    let damage = if arguments.repair { Damage::Repaired } else { Damage::Refused };
    let result = signer::publish::publish(&folder, &*store, &anchor, damage, &progress);
    let publication = with_remarks(&*store, result)?;
    describe_publication(&folder, &*store, &publication)
}

pub(super) fn refresh(arguments: RefreshArgs) -> Result<String> {
    let keys = load(&arguments.keys, &arguments.password)?;
    let (store, anchor) = arguments.repo.open()?;
    let published = Published::read(&*store, &anchor, &arguments.channel, Damage::Refused)?;
    let valid = seconds(arguments.version_expires_in)?;
    if let Some(out) = &arguments.out {
        let folder = Folder::refresh(out, &published, arguments.rollout, valid);
        return describe_folder(&folder.map_err(|why| why.on(&arguments.channel))?);
    }
    let scratch = tempfile::tempdir().map_err(Failure::io("create a directory in", &std::env::temp_dir()))?;
    let folder = Folder::refresh(&scratch.path().join("refresh"), &published, arguments.rollout, valid)
        .map_err(|why| why.on(&arguments.channel))?;
    sign_with(&folder, keys)?;
    ensure_signed(&folder)?;
    let published = published.again(&*store, &anchor, &arguments.channel, Damage::Refused)?;
    let result = publish_over(&folder, &*store, &published, &ProgressOnStderr::default());
    let publication = with_remarks(&*store, result)?;
    let version = folder.version()?;
    Ok(format!(
        "refreshed {} {} on {}: valid until {}, rollout {} of 100{}{}{}",
        version.product,
        version.version,
        version.channel,
        Utc(version.expires),
        version.rollout,
        describe_newer(&publication),
        describe_visibility(&publication.access),
        remarks(&*store)
    ))
}
