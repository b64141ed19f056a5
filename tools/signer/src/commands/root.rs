//! Root documents.

use std::fmt::{self, Display};
use std::path::PathBuf;

use relatch::Printable;
use relatch::trust::{PublicKey, Root};
use serde::Serialize;
use signer::progress::ProgressOnStderr;
use signer::publish::{self, Revocation};
use signer::review::RootReview;
use signer::root::{self, Change, KeysByRole, Overwrite, RootFile, RootStatus};
use signer::{Failure, Result};

use super::inputs::{borrowed, load, public_key, seconds};
use super::remarks::{Remarks, with_remarks};
use crate::arguments::{
    RootAddArgs, RootChangeArgs, RootNewArgs, RootPublishArgs, RootRemoveArgs, RootShowArgs, RootSignArgs,
};

/// A root that was published.
#[derive(Serialize)]
#[serde(tag = "result", rename = "root-published")]
pub(super) struct PublishedRoot {
    root_version: u64,
    repository: String,
    remarks: Vec<String>,
}

impl Display for PublishedRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PublishedRoot { root_version, repository, remarks } = self;
        write!(f, "published root {root_version} to {}{}", Printable(repository), Remarks(remarks))
    }
}

fn public_keys(paths: &[PathBuf]) -> Result<Vec<PublicKey>> {
    paths.iter().map(|path| public_key(path)).collect()
}

pub(super) fn new(arguments: RootNewArgs) -> Result<RootReview> {
    let public = KeysByRole {
        root: public_keys(&arguments.root_key)?,
        release: public_keys(&arguments.release_key)?,
        timestamp: public_keys(&arguments.timestamp_key)?,
    };
    let valid = seconds(arguments.expires_in)?;
    let root = root::first(arguments.product, &public, &arguments.threshold, valid)?;
    write_root(&RootFile::new(&arguments.out), &root, Overwrite::Nothing)
}

fn write_root(file: &RootFile, root: &Root, overwrite: Overwrite) -> Result<RootReview> {
    file.write(root, overwrite)?;
    Ok(RootReview::new(root, &file.document()?, &[]))
}

pub(super) fn change(arguments: RootChangeArgs, change: Change) -> Result<RootReview> {
    let file = RootFile::new(&arguments.file);
    let (status, overwrite) = match arguments.out {
        None => (RootStatus::Draft, Overwrite::Draft),
        Some(_) => (RootStatus::Final, Overwrite::Nothing),
    };
    if status == RootStatus::Draft && !file.signatures()?.is_empty() {
        return Err(Failure::usage(format!(
            "{} is signed and cannot be changed; write the next root to another file with --out",
            Printable(arguments.file.display())
        )));
    }
    let change = Change {
        thresholds: arguments.threshold,
        raise_epoch: arguments.raise_epoch,
        valid: seconds(arguments.expires_in)?,
        ..change
    };
    let next = root::change(&file.read()?, status, &change)?;
    write_root(&RootFile::new(arguments.out.as_ref().unwrap_or(&arguments.file)), &next, overwrite)
}

pub(super) fn add(arguments: RootAddArgs) -> Result<RootReview> {
    let add = Some((arguments.role, public_key(&arguments.key)?));
    change(arguments.change, Change { add, ..Change::default() })
}

pub(super) fn remove(arguments: RootRemoveArgs) -> Result<RootReview> {
    let remove = Some((arguments.role, public_key(&arguments.key)?));
    change(arguments.change, Change { remove, ..Change::default() })
}

pub(super) fn sign(arguments: RootSignArgs) -> Result<RootReview> {
    let file = RootFile::new(&arguments.file);
    let previous = arguments.previous.map(|path| RootFile::new(&path).read()).transpose()?;
    let keys = load(&arguments.keys.keys, &arguments.keys.password)?;
    file.sign(&borrowed(&keys), previous.as_ref())?;
    Ok(RootReview::new(&file.read()?, &file.document()?, &file.signatures()?))
}

pub(super) fn show(arguments: RootShowArgs) -> Result<RootReview> {
    let file = RootFile::new(&arguments.file);
    Ok(RootReview::new(&file.read()?, &file.document()?, &file.signatures()?))
}

pub(super) fn publish(arguments: RootPublishArgs) -> Result<PublishedRoot> {
    let (store, anchor) = arguments.repo.open()?;
    let file = RootFile::new(&arguments.file);
    let revocation = if arguments.revoke_release { Revocation::Allowed } else { Revocation::Refused };
    let published = publish::publish_root(
        &*store,
        &anchor,
        &file.document()?,
        &file.signatures()?,
        revocation,
        &ProgressOnStderr::default(),
    );
    let root_version = with_remarks(&*store, published)?;
    Ok(PublishedRoot { root_version, repository: store.location(), remarks: store.remarks() })
}
