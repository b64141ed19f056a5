//! Which documents a client accepts.

use super::Name;

/// A client accepts documents of this product and channel only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The product, as in all signed documents.
    pub product: Name,
    /// The channel; one of the repository's directories.
    pub channel: Name,
}
