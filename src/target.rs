//! The target that this library was built for.

/// The Rust target triple that this library was built for. Manifests use it as the name of the
/// target.
pub const TARGET: &str = env!("RELATCH_TARGET");
