//! The target that this library was built for.

/// The Rust target triple that this library was built for: the name under which a tool finds its executable in a manifest.
pub const TARGET: &str = env!("RELATCH_TARGET");
