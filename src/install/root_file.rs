//! The file with the newest verified root.

use super::dir::OpenDir;
use super::{durable, names};
use crate::check::NewRoot;
use crate::error::{Error, Result};
use crate::limits;
use crate::trust::{Fetched, Roots, TrustAnchor};

/// The newest root that was verified and persisted; `None` if there is none, or if it is damaged or of
/// another product. Whether it is of the anchor's chain is for the check to decide.
pub(super) fn load_root(dir: &OpenDir, anchor: &TrustAnchor) -> Result<Option<Roots>> {
    // A newline separates the two.
    let limit = limits::ByteLimit(limits::ROOT.0 + 1 + limits::SIGNATURES.0);
    let content = match durable::read(dir, names::ROOT, limit) {
        Ok(Some(content)) => content,
        Ok(None) | Err(Error::Refused(_)) => return Ok(None),
        Err(other) => return Err(other),
    };
    let end = content.iter().position(|b| *b == b'\n').unwrap_or(content.len());
    let (document, signatures) = content.split_at(end);
    let signatures = signatures.get(1..).unwrap_or_default();
    Ok(anchor.recorded(&Fetched::new(document.to_vec()), &Fetched::new(signatures.to_vec())).ok())
}

/// Persists a verified root, so that the next check begins with it.
pub(super) fn save_root(private: &OpenDir, root: &NewRoot) -> Result<()> {
    let content = [&root.document[..], b"\n", &root.signatures].concat();
    durable::replace(private, names::ROOT, &content)
}
