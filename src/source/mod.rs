//! Where bytes come from. Bounded, and believed in nothing.
//!
//! A [`Source`] only knows how to begin reading an object. Limits, deadlines and retries stand in [`Bounded`], once for all sources. A read
//! that it gives up ends by its [`Cancellation`], with all that it holds, and ends no other one.

mod bounded;
mod cancellation;
mod dir;
mod etag;
#[cfg(feature = "https")]
mod http;
#[cfg(feature = "https")]
mod https;
#[cfg(feature = "s3")]
mod s3;

use std::fmt;
use std::io::Read;
use std::path::PathBuf;

pub use bounded::Bounded;
pub use cancellation::Cancellation;
pub use dir::Dir;
pub use etag::Etag;
#[cfg(feature = "https")]
pub use https::Https;
#[cfg(all(fuzzing, feature = "s3"))]
pub(crate) use s3::fuzzing_credentials;
#[cfg(feature = "s3")]
pub use s3::{Credentials, ProvideCredentials, S3, S3Address};

use crate::error::{Error, Result, Unavailable, printable};
use crate::trust::{Digest, Name};

/// The name of an object in a repository (SPEC section 2). All but `VersionFile` are immutable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Object {
    /// `root/<n>.json`
    Root(u64),
    /// `root/<n>.json.minisig`
    RootSignatures(u64),
    /// `<channel>/VERSION`
    VersionFile(Name),
    /// `manifests/<blake3>.json`
    Manifest(Digest),
    /// `manifests/<blake3>.json.minisig`
    ManifestSignatures(Digest),
    /// `blobs/<blake3>`
    Blob(Digest),
}

impl fmt::Display for Object {
    /// The path in the repository, with `/` on every system.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Object::Root(n) => write!(f, "root/{n}.json"),
            Object::RootSignatures(n) => write!(f, "root/{n}.json.minisig"),
            Object::VersionFile(channel) => write!(f, "{channel}/VERSION"),
            Object::Manifest(digest) => write!(f, "manifests/{digest}.json"),
            Object::ManifestSignatures(digest) => write!(f, "manifests/{digest}.json.minisig"),
            Object::Blob(digest) => write!(f, "blobs/{digest}"),
        }
    }
}

/// What a source answers.
pub enum Opened {
    /// The object, from its first byte.
    Object {
        /// Its content.
        reader: Box<dyn Read + Send>,
        /// How to ask whether it has changed, where the source can tell.
        etag: Option<Etag>,
    },
    /// It is still the one with the entity tag that was named.
    Unchanged,
}

impl Opened {
    /// An object of a source that has no entity tags.
    pub fn object(reader: impl Read + Send + 'static) -> Self {
        Opened::Object { reader: Box::new(reader), etag: None }
    }
}

/// A repository to read from.
///
/// An implementation need not be trusted, bounded or quick: callers go through [`Bounded`].
pub trait Source: Send + Sync + 'static {
    /// Begins to read an object from its first byte. With `known`, the answer may be that it has not changed (`If-None-Match`, RFC 9110
    /// section 13.1.2); a source that cannot tell ignores it.
    ///
    /// # Errors
    /// [`Unavailable`], with [`Unavailable::Absent`] exactly where the repository is known not to have it.
    fn open(&self, object: &Object, known: Option<&Etag>) -> Result<Opened, Unavailable>;

    /// The address as a person would write it, without secrets.
    fn location(&self) -> String;

    /// [`Source::open`] for a read that can be given up; [`Bounded`] asks so. Implement it where reading holds connections: end them with
    /// [`Cancellation::on_cancel`], and ask for nothing more once it is cancelled. A source that reads from another one must pass it on:
    /// the default forgets it.
    ///
    /// # Errors
    /// As [`Source::open`].
    fn open_cancellable(
        &self,
        object: &Object,
        known: Option<&Etag>,
        cancellation: &Cancellation,
    ) -> Result<Opened, Unavailable> {
        let _ = cancellation;
        self.open(object, known)
    }
}

impl Source for Box<dyn Source> {
    fn open(&self, object: &Object, known: Option<&Etag>) -> Result<Opened, Unavailable> {
        (**self).open(object, known)
    }

    fn location(&self) -> String {
        (**self).location()
    }

    fn open_cancellable(
        &self,
        object: &Object,
        known: Option<&Etag>,
        cancellation: &Cancellation,
    ) -> Result<Opened, Unavailable> {
        (**self).open_cancellable(object, known, cancellation)
    }
}

/// The source that an address names: `https://host/path`, `s3://bucket/prefix`, or a directory.
///
/// # Errors
/// [`Error::Caller`] for an address of a kind that this build cannot read, such as `http:`, which nobody should use.
pub fn from_location(location: &str) -> Result<Box<dyn Source>> {
    let scheme = location.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        #[cfg(feature = "https")]
        Some("https") => Ok(Box::new(Https::new(location)?)),
        #[cfg(feature = "s3")]
        Some("s3") => Ok(Box::new(S3::new(location)?)),
        Some(scheme) => Err(unreadable(location, scheme)),
        None if location.is_empty() => Err(Error::caller("the address of the repository is empty")),
        None => Ok(Box::new(Dir::new(PathBuf::from(location)))),
    }
}

/// The same with further certificate authorities, from a PEM file: for `https:` and `s3:` hosts with an internal CA.
///
/// # Errors
/// As [`from_location`]; [`Error::Machine`] where it is no regular file that can be read, [`Error::Caller`] where it holds no certificate or
/// is larger than [`limits::CA_FILE`](crate::limits::CA_FILE), or the repository is a directory.
#[cfg(feature = "https")]
pub fn from_location_with_ca_file(location: &str, ca_file: &std::path::Path) -> Result<Box<dyn Source>> {
    let scheme = location.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        #[cfg(feature = "s3")]
        Some("s3") => Ok(Box::new(S3::new(location)?.ca_file(ca_file)?)),
        _ => Ok(Box::new(Https::new(location)?.ca_file(ca_file)?)),
    }
}

fn unreadable(location: &str, scheme: &str) -> Error {
    let known = match (cfg!(feature = "https"), cfg!(feature = "s3")) {
        (_, true) => "`https:`, `s3:` and directories",
        (true, _) => "`https:` and directories",
        (false, _) => "directories",
    };
    let hint = if scheme == "s3" { " (it was built without relatch's feature `s3`)" } else { "" };
    Error::caller(format!(
        "the repository {} cannot be read: this program knows {known}, not `{}:`{hint}",
        shown(location),
        printable(scheme)
    ))
}

/// An address for people: without credentials and query, which may be secrets.
fn shown(location: &str) -> String {
    let path = location.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = path.split_once("://") else { return printable(path) };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match (authority.rsplit_once('@'), path.contains('@')) {
        (None, false) => printable(&format!("{scheme}://{authority}{path}")),
        (Some((_, host)), false) => printable(&format!("{scheme}://{host}{path}")),
        // Perhaps a password with a `/` in it.
        (_, true) => printable(&format!("{scheme}://...")),
    }
}

/// An I/O error of a source as a person reads it.
fn unreachable(source: &dyn Source, object: &Object, error: &std::io::Error) -> Unavailable {
    Unavailable::Unreachable {
        location: source.location(),
        object: object.clone(),
        why: printable(&error.to_string()),
        retryable: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_by_its_scheme_or_refused_without_its_query() {
        let refusal = |location: &str| from_location(location).err().map(|error| error.to_string());
        assert_eq!(refusal("some/directory"), None);
        assert_eq!(refusal("HTTPS://releases.example.com").is_none(), cfg!(feature = "https"));
        let refused = refusal("http://user:SECRET@releases.example.com/demo?SECRET").unwrap();
        assert!(refused.contains("http://releases.example.com/demo "), "{refused}");
        assert!(refused.contains("not `http:`") && !refused.contains("SECRET"), "{refused}");
        for location in [
            "http://user:SE/CRET@releases.example.com/demo",
            "https://user:SE/CRET@releases.example.com/demo",
        ] {
            let refused = refusal(location).unwrap();
            assert!(!refused.contains("CRET") && !refused.contains("SE"), "{refused}");
        }
        let refused = refusal("S3://releases/demo");
        assert_eq!(refused.is_none(), cfg!(feature = "s3"));
        assert!(refused.is_none_or(|refused| refused.contains("without relatch's feature `s3`")));
    }
}
