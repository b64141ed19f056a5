//! The newest root that was verified, on the disk.

use super::dir::Dir;
use super::{durable, names};
use crate::check::NewRoot;
use crate::error::Result;
use crate::limits;
use crate::trust::{Fetched, Roots, TrustAnchor};

/// The newest root that was verified and persisted after `anchor`; `anchor` where there is none.
pub(super) fn load_root(private: &Dir, anchor: TrustAnchor) -> Result<Roots> {
    let limit = limits::ByteLimit(limits::ROOT.0 + 1 + limits::SIGNATURES.0); // a newline between them
    let Some(content) = durable::read(private, names::ROOT, limit)? else { return Ok(anchor.into()) };
    let end = content.iter().position(|b| *b == b'\n').unwrap_or(content.len());
    let (document, signatures) = content.split_at(end);
    let signatures = signatures.get(1..).unwrap_or_default();
    Ok(anchor.or_recorded(&Fetched::new(document.to_vec()), &Fetched::new(signatures.to_vec()))?)
}

/// Persists a root as soon as it is verified, so that the next check begins with it.
pub(super) fn save_root(private: &Dir, root: &NewRoot) -> Result<()> {
    let content = [&root.document[..], b"\n", &root.signatures].concat();
    durable::replace(private, names::ROOT, &content)
}
