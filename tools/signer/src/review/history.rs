//! The versions that were published before, where the repository can be listed.

use relatch::source::Object;
use relatch::trust::{Manifest, Name, Version};
use relatch::{Error, Printable};

use crate::notice::Notice;
use crate::repository::root_chain;
use crate::store::Store;
use crate::{Failure, Result, verify};

/// The retracted versions that were never published on this channel: most likely a slip, or an
/// attempt to hide one. Reads all manifests, and counts those that a root of the chain signed.
pub(super) fn unpublished_retracts(
    manifest: &Manifest,
    store: &dyn Store,
    anchor: &[u8],
) -> Result<Vec<Notice>> {
    if manifest.retracts.is_empty() {
        return Ok(Vec::new());
    }
    let published = match published_versions(store, anchor, &manifest.channel) {
        Ok(published) => published,
        Err(why @ Failure::Client(Error::Unavailable(_) | Error::Local(_))) => return Err(why),
        Err(why) => {
            let text = format!("it was not checked whether the retracted versions were published: {why}");
            return Ok(vec![Notice::new("retracts-not-checked", Printable(text).to_string())]);
        }
    };
    let unknown = manifest.retracts.iter().filter(|version| !published.contains(version));
    let notice = |version: &Version| {
        let text = format!("it takes back {version}, which was never published on {}", manifest.channel);
        Notice::new("retracts-unpublished", text)
    };
    Ok(unknown.map(notice).collect())
}

fn published_versions(store: &dyn Store, anchor: &[u8], channel: &Name) -> Result<Vec<Version>> {
    let source = store.source();
    let chain = root_chain(&source, anchor)?;
    let mut versions = Vec::new();
    for object in store.list()? {
        let Object::Manifest(digest) = object else { continue };
        let manifest = match verify::signed_once(&source, &chain, digest) {
            Ok((_, signed)) => signed.manifest,
            Err(why @ Failure::Client(Error::Unavailable(_) | Error::Local(_))) => return Err(why),
            Err(_) => continue,
        };
        if manifest.channel == *channel {
            versions.push(manifest.version);
        }
    }
    Ok(versions)
}
