//! Releases on their way, in one go or from hand to hand.

use std::fmt::Write as _;
use std::path::Path;

use relatch::trust::{Notes, Role};
use relatch::{Printable, Utc, limits};
use signer::files::read_limited;
use signer::folder::{self, Folder};
use signer::progress::Terminal;
use signer::publish::{Access, Done, publish_over};
use signer::repository::{Damage, Published};
use signer::signing::SigningKey;
use signer::store::Store;
use signer::{Failure, Result, verify};

use super::{borrowed, load, remarks, seconds, with_remarks};
use crate::arguments::{Plan, Prepare, Publish, Refresh, Release, Sign};

impl Plan {
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

fn prepare_in(path: &Path, store: &dyn Store, anchor: &[u8], plan: Plan) -> Result<(Folder, Published)> {
    let damage = plan.damage();
    let plan = plan.checked()?;
    let published = Published::read(store, anchor, &plan.channel, damage)?;
    let folder = Folder::prepare(path, &plan, &published, &store.source())?;
    Ok((folder, published))
}

pub(super) fn release(arguments: Release) -> Result<String> {
    let keys = load(&arguments.keys.keys, &arguments.keys.password)?;
    let damage = arguments.plan.damage();
    let scratch = tempfile::tempdir().map_err(Failure::io("create a directory in", &std::env::temp_dir()))?;
    let (store, anchor) = arguments.repo.open()?;
    let channel = arguments.plan.channel.clone();
    let (folder, published) = prepare_in(&scratch.path().join("release"), &*store, &anchor, arguments.plan)?;
    sign_with(&folder, keys)?;
    refuse_unsigned(&folder)?;
    let published = published.again(&*store, &anchor, &channel, damage)?;
    let done = publish_over(&folder, &*store, &published, &Terminal::default());
    let done = with_remarks(&*store, done)?;
    told_published(&folder, &*store, &done)
}

/// The keys are wiped here: what is uploaded may take long, and needs none of them.
fn sign_with(folder: &Folder, keys: Vec<Box<dyn SigningKey>>) -> Result<()> {
    folder.sign(&borrowed(&keys))
}

/// Says which keys are missing before a client has to say only that there are too few.
fn refuse_unsigned(folder: &Folder) -> Result<()> {
    for signed in folder.signed()? {
        if !signed.is_enough() {
            return Err(Failure::refused(
                format!(
                    "{} of the {} {} keys that must sign have signed",
                    signed.by.len(),
                    signed.needed,
                    signed.role
                ),
                "Give each missing key with --key; or `signer prepare`, let each holder `signer sign`, then `signer publish`. If they have signed, \
                 somebody changed what they signed, or their signatures.",
            ));
        }
    }
    Ok(())
}

fn told_published(folder: &Folder, store: &dyn Store, done: &Done) -> Result<String> {
    let (manifest, version) = (folder.manifest()?, folder.version()?);
    Ok(format!(
        "published {} {} as release {} on {} to {}\n{}\n  VERSION valid until {}, rollout {} of 100\n  {} objects written, {} were there; all read back and verified{}{}{}",
        manifest.product,
        manifest.version,
        manifest.seq,
        manifest.channel,
        Printable(store.location()),
        verify::describe(&manifest),
        Utc(version.expires),
        version.rollout,
        done.created,
        done.existed,
        told_newer(done),
        told_access(&done.access),
        remarks(store)
    ))
}

fn told_newer(done: &Done) -> String {
    let told = |newer: &String| format!("\n  replaced since: there is {newer}");
    done.newer.as_ref().map(told).unwrap_or_default()
}

/// Who can read it, where that is not who can read the directory.
fn told_access(access: &Access) -> String {
    match access {
        Access::Local => String::new(),
        Access::Public => "\n  public: read back without credentials, too".into(),
        Access::Private => "\n  private: it cannot be read without credentials".into(),
        Access::Unknown(why) => format!("\n  not known whether it is public: without credentials, {why}"),
    }
}

pub(super) fn prepare(arguments: Prepare) -> Result<String> {
    let (store, anchor) = arguments.repo.open()?;
    let (folder, _) = prepare_in(&arguments.out, &*store, &anchor, arguments.plan)?;
    told_signed(&folder)
}

/// What is in a folder and whose signatures it still needs.
pub(super) fn told_signed(folder: &Folder) -> Result<String> {
    let manifest = folder.manifest()?;
    let mut text = format!(
        "{} {} as release {} on {}\n{}",
        manifest.product,
        manifest.version,
        manifest.seq,
        manifest.channel,
        verify::describe(&manifest)
    );
    for signed in folder.signed()? {
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
    let missing = folder.signed()?.iter().any(|signed| !signed.is_enough());
    let path = Printable(folder.path().display());
    let next = if missing {
        format!("signer sign {path} --key KEY")
    } else {
        format!("signer publish {path} --repo REPO --root root.json")
    };
    let _ = write!(text, "\nnext: {next}");
    Ok(text)
}

pub(super) fn sign(arguments: Sign) -> Result<String> {
    let folder = Folder::open(&arguments.folder)?;
    sign_with(&folder, load(&arguments.keys.keys, &arguments.keys.password)?)?;
    told_signed(&folder)
}

pub(super) fn publish(arguments: Publish) -> Result<String> {
    let (store, anchor) = arguments.repo.open()?;
    let folder = Folder::open(&arguments.folder)?;
    folder.refuse_changed()?;
    refuse_unsigned(&folder)?;
    let damage = if arguments.repair { Damage::Repaired } else { Damage::Refused };
    let done = signer::publish::publish(&folder, &*store, &anchor, damage, &Terminal::default());
    let done = with_remarks(&*store, done)?;
    told_published(&folder, &*store, &done)
}

pub(super) fn refresh(arguments: Refresh) -> Result<String> {
    let keys = load(&arguments.keys, &arguments.password)?;
    let (store, anchor) = arguments.repo.open()?;
    let published = Published::read(&*store, &anchor, &arguments.channel, Damage::Refused)?;
    let valid = seconds(arguments.version_expires_in)?;
    if let Some(out) = &arguments.out {
        return told_signed(&Folder::refresh(out, &published, arguments.rollout, valid)?);
    }
    let scratch = tempfile::tempdir().map_err(Failure::io("create a directory in", &std::env::temp_dir()))?;
    let folder = Folder::refresh(&scratch.path().join("refresh"), &published, arguments.rollout, valid)?;
    sign_with(&folder, keys)?;
    refuse_unsigned(&folder)?;
    let published = published.again(&*store, &anchor, &arguments.channel, Damage::Refused)?;
    let done = publish_over(&folder, &*store, &published, &Terminal::default());
    let done = with_remarks(&*store, done)?;
    let version = folder.version()?;
    Ok(format!(
        "refreshed {} {} on {}: valid until {}, rollout {} of 100{}{}{}",
        version.product,
        version.version,
        version.channel,
        Utc(version.expires),
        version.rollout,
        told_newer(&done),
        told_access(&done.access),
        remarks(&*store)
    ))
}
