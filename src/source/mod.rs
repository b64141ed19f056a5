//! Where bytes come from. Fetcher, and believed in nothing.
//!
//! A [`Source`] only knows how to begin reading an object. Limits, deadlines and retries stand in [`Fetcher`], once for all sources. A read
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
mod unavailable;

use std::io::Read;
use std::path::PathBuf;

pub use bounded::Fetcher;
pub use cancellation::Cancellation;
pub use dir::Dir;
pub use etag::Etag;
#[cfg(feature = "https")]
pub use https::Https;
#[cfg(all(fuzzing, feature = "s3"))]
pub(crate) use s3::fuzzing_credentials;
#[cfg(feature = "s3")]
pub use s3::{Credentials, ProvideCredentials, S3, S3Address};

use crate::escape::Words;
pub use unavailable::Unavailable;

use crate::error::{Error, Result};
pub use crate::object::Object;

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
    NotModified,
}

impl Opened {
    /// An object of a source that has no entity tags.
    pub fn object(reader: impl Read + Send + 'static) -> Self {
        Opened::Object { reader: Box::new(reader), etag: None }
    }
}

/// A repository to read from.
///
/// An implementation need not be trusted, bounded or quick: callers go through [`Fetcher`].
pub trait Source: Send + Sync + 'static {
    /// Begins to read an object from its first byte. With `known`, the answer may be that it has not changed (`If-None-Match`, RFC 9110
    /// section 13.1.2); a source that cannot tell ignores it.
    ///
    /// # Errors
    /// [`Unavailable`], with [`Unavailable::Absent`] exactly where the repository is known not to have it.
    fn open(&self, object: &Object, known: Option<&Etag>) -> Result<Opened, Unavailable>;

    /// The address as a person would write it, without secrets.
    fn location(&self) -> String;

    /// [`Source::open`] for a read that can be given up; [`Fetcher`] asks so. Implement it where reading holds connections: end them with
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
/// [`Error::Usage`] for an address of a kind that this build cannot read, such as `http:`, which nobody should use.
pub fn from_location(location: &str) -> Result<Box<dyn Source>> {
    let scheme = location.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        #[cfg(feature = "https")]
        Some("https") => Ok(Box::new(Https::new(location)?)),
        #[cfg(feature = "s3")]
        Some("s3") => Ok(Box::new(S3::new(location)?)),
        Some(scheme) => Err(unreadable(location, scheme)),
        None if location.is_empty() => Err(Error::usage("the address of the repository is empty")),
        None => Ok(Box::new(Dir::new(PathBuf::from(location)))),
    }
}

/// The same with further certificate authorities, from a PEM file: for `https:` and `s3:` hosts with an internal CA.
///
/// # Errors
/// As [`from_location`]; [`Error::Local`] where it is no regular file that can be read, [`Error::Usage`] where it holds no certificate or
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
    Error::usage(format!(
        "the repository {} cannot be read: this program knows {known}, not `{}:`{hint}",
        shown(location),
        Words(scheme)
    ))
}

/// An address for people: without credentials and query, which may be secrets.
fn shown(location: &str) -> String {
    let path = location.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = path.split_once("://") else { return Words(path).to_string() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match (authority.rsplit_once('@'), path.contains('@')) {
        (None, false) => Words(format!("{scheme}://{authority}{path}")).to_string(),
        (Some((_, host)), false) => Words(format!("{scheme}://{host}{path}")).to_string(),
        // Perhaps a password with a `/` in it.
        (_, true) => Words(format!("{scheme}://...")).to_string(),
    }
}

/// An I/O error of a source as a person reads it.
fn unreachable(source: &dyn Source, object: &Object, error: &std::io::Error) -> Unavailable {
    Unavailable::Unreachable {
        location: source.location(),
        object: object.clone(),
        why: Words(error.to_string()).to_string(),
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
