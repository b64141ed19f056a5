//! Root documents.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use relatch::Printable;
use relatch::trust::{PublicKey, Root};
use signer::progress::Terminal;
use signer::publish::{self, Revocation};
use signer::root::{self, Change, Holders, RootFile};
use signer::{Failure, Result};

use super::{borrowed, load, remarks, seconds, with_remarks};
use crate::arguments::{RootAdd, RootChange, RootNew, RootPublish, RootRemove, RootShow, RootSign};

/// A comment line of 1024 bytes and 56 characters of base64; what is much larger is something else.
const PUBLIC_KEY_FILE: u64 = 2048;

fn public_key(path: &Path) -> Result<PublicKey> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Failure::io("open the public key", path))?;
    file.take(PUBLIC_KEY_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(Failure::io("read the public key", path))?;
    let refuse = |why: String| Failure::usage(format!("{}: {why}", Printable(path.display())));
    if bytes.len() as u64 > PUBLIC_KEY_FILE {
        return Err(refuse(format!(
            "it is no public key of minisign's: it has more than {PUBLIC_KEY_FILE} bytes"
        )));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| refuse("it is no public key of minisign's: it is not text".into()))?;
    PublicKey::from_minisign(&text).map_err(refuse)
}

fn public_keys(paths: &[PathBuf]) -> Result<Vec<PublicKey>> {
    paths.iter().map(|path| public_key(path)).collect()
}

pub(super) fn new(arguments: RootNew) -> Result<String> {
    let holders = Holders {
        root: public_keys(&arguments.root_key)?,
        release: public_keys(&arguments.release_key)?,
        timestamp: public_keys(&arguments.timestamp_key)?,
    };
    let root =
        root::first(arguments.product, &holders, &arguments.threshold, seconds(arguments.expires_in)?)?;
    write_root(&RootFile::new(&arguments.out), &root, false)
}

fn write_root(file: &RootFile, root: &Root, replace: bool) -> Result<String> {
    file.write(root, replace)?;
    Ok(root::describe(root, &file.document()?, &[]))
}

pub(super) fn change(arguments: RootChange, change: Change) -> Result<String> {
    let file = RootFile::new(&arguments.file);
    let draft = arguments.out.is_none();
    if draft && !file.signatures()?.is_empty() {
        return Err(Failure::usage(format!(
            "{} is signed and cannot be changed; name the next root with --out",
            Printable(arguments.file.display())
        )));
    }
    let change = Change {
        thresholds: arguments.threshold,
        raise_epoch: arguments.raise_epoch,
        valid: seconds(arguments.expires_in)?,
        ..change
    };
    let next = root::change(&file.read()?, draft, &change)?;
    write_root(&RootFile::new(arguments.out.as_ref().unwrap_or(&arguments.file)), &next, draft)
}

pub(super) fn add(arguments: RootAdd) -> Result<String> {
    let add = Some((arguments.role, public_key(&arguments.key)?));
    change(arguments.change, Change { add, ..Change::default() })
}

pub(super) fn remove(arguments: RootRemove) -> Result<String> {
    let remove = Some((arguments.role, public_key(&arguments.key)?));
    change(arguments.change, Change { remove, ..Change::default() })
}

pub(super) fn sign(arguments: RootSign) -> Result<String> {
    let file = RootFile::new(&arguments.file);
    let previous = arguments.previous.map(|path| RootFile::new(&path).read()).transpose()?;
    let keys = load(&arguments.keys.keys, &arguments.keys.password)?;
    file.sign(&borrowed(&keys), previous.as_ref())?;
    Ok(root::describe(&file.read()?, &file.document()?, &file.signatures()?))
}

pub(super) fn show(arguments: RootShow) -> Result<String> {
    let file = RootFile::new(&arguments.file);
    Ok(root::describe(&file.read()?, &file.document()?, &file.signatures()?))
}

pub(super) fn publish(arguments: RootPublish) -> Result<String> {
    let (store, anchor) = arguments.repo.open()?;
    let file = RootFile::new(&arguments.file);
    let revocation = if arguments.revoke_release { Revocation::Allowed } else { Revocation::Refused };
    let published = publish::publish_root(
        &*store,
        &anchor,
        &file.document()?,
        &file.signatures()?,
        revocation,
        &Terminal::default(),
    );
    let version = with_remarks(&*store, published)?;
    Ok(format!("published root {version} to {}{}", Printable(store.location()), remarks(&*store)))
}
