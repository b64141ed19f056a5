//! The product and channel whose documents a client accepts.

use super::Name;

/// A client accepts documents of this product and channel only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The product, as named in all signed documents.
    pub product: Name,
    /// The channel, which is a directory of the repository.
    pub channel: Name,
}
