//! The names of objects in a repository.

use std::fmt;

use crate::trust::{Digest, Name};

/// The name of an object in a repository (SPEC section 2). All objects but `Version` are immutable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Object {
    /// `root/<n>.json`
    Root(u64),
    /// `root/<n>.json.minisig`
    RootSignatures(u64),
    /// `<channel>/VERSION`
    Version(Name),
    /// `manifests/<blake3>.json`
    Manifest(Digest),
    /// `manifests/<blake3>.json.minisig`
    ManifestSignatures(Digest),
    /// `blobs/<blake3>`
    Blob(Digest),
}

impl fmt::Display for Object {
    /// The path in the repository, separated by `/` on every system.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Object::Root(n) => write!(f, "root/{n}.json"),
            Object::RootSignatures(n) => write!(f, "root/{n}.json.minisig"),
            Object::Version(channel) => write!(f, "{channel}/VERSION"),
            Object::Manifest(digest) => write!(f, "manifests/{digest}.json"),
            Object::ManifestSignatures(digest) => write!(f, "manifests/{digest}.json.minisig"),
            Object::Blob(digest) => write!(f, "blobs/{digest}"),
        }
    }
}
