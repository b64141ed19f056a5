//! The three roles, and the document that each of them signs.

use std::fmt;

/// A role, which determines what its keys are trusted to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Signs roots.
    Root,
    /// Signs manifests.
    Release,
    /// Signs `VERSION`.
    Timestamp,
}

impl Role {
    /// All roles, in the order of the root document.
    pub const ALL: [Role; 3] = [Role::Root, Role::Release, Role::Timestamp];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Root => "root",
            Role::Release => "release",
            Role::Timestamp => "timestamp",
        })
    }
}

/// The kind of a document, as named in errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    /// A root with its number; 0 if the number is not known yet.
    Root(u64),
    /// The document in the object `VERSION`.
    Timestamp,
    /// The manifest of a release.
    Manifest,
}

impl DocumentKind {
    /// The role whose keys sign it.
    pub fn role(&self) -> Role {
        match self {
            DocumentKind::Root(_) => Role::Root,
            DocumentKind::Timestamp => Role::Timestamp,
            DocumentKind::Manifest => Role::Release,
        }
    }
}

impl fmt::Display for DocumentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DocumentKind::Root(0) => f.write_str("the root"),
            DocumentKind::Root(version) => write!(f, "root {version}"),
            DocumentKind::Timestamp => f.write_str("VERSION"),
            DocumentKind::Manifest => f.write_str("the manifest"),
        }
    }
}
