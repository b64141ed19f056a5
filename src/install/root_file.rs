//! The file with the newest verified root.

use super::dir::OpenDir;
use super::{durable, names};
use crate::check::NewRoot;
use crate::error::Result;
use crate::limits;
use crate::trust::{Fetched, Roots, TrustAnchor};

/// The newest root that was verified and persisted after `anchor`; `anchor` if there is none.
pub(super) fn load_root(private: &OpenDir, anchor: TrustAnchor) -> Result<Roots> {
    // A newline separates the two.
    let limit = limits::ByteLimit(limits::ROOT.0 + 1 + limits::SIGNATURES.0);
    let Some(content) = durable::read(private, names::ROOT, limit)? else { return Ok(anchor.into()) };
    let end = content.iter().position(|b| *b == b'\n').unwrap_or(content.len());
    let (document, signatures) = content.split_at(end);
    let signatures = signatures.get(1..).unwrap_or_default();
    Ok(anchor.or_recorded(&Fetched::new(document.to_vec()), &Fetched::new(signatures.to_vec()))?)
}

/// Persists a verified root, so that the next check begins with it.
pub(super) fn save_root(private: &OpenDir, root: &NewRoot) -> Result<()> {
    let content = [&root.document[..], b"\n", &root.signatures].concat();
    durable::replace(private, names::ROOT, &content)
}
