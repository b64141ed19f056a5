//! Where the bytes of a repository come from. This module reads them; it verifies nothing.
//!
//! A [`Source`] only begins to read an object. [`Fetcher`] adds limits, deadlines and retries, once
//! for all sources. When it gives up on a read, that read's [`Cancellation`] closes the read's
//! connections and no others.
//!
//! ```text
//! location               an address → a Source
//! fetcher, stream        limits, deadlines and retries around a Source
//! dir, https, s3         the sources
//! http, http_get         the HTTP client, and a GET of an object (RFC 9110)
//! authorities            the certificate authorities that the HTTP client trusts
//! url                    parsing, checking and displaying addresses
//! etag, cancellation, unavailable    the values that a Source takes and returns
//! ```

#[cfg(feature = "https")]
mod authorities;
mod cancellation;
mod dir;
mod etag;
mod fetcher;
#[cfg(feature = "https")]
mod http;
#[cfg(feature = "https")]
mod http_get;
#[cfg(feature = "https")]
mod https;
mod location;
#[cfg(feature = "s3")]
mod s3;
mod stream;
mod unavailable;
mod url;

use std::io::Read;

pub use crate::object::Object;
pub use cancellation::Cancellation;
pub use dir::Dir;
pub use etag::Etag;
pub use fetcher::Fetcher;
#[cfg(feature = "https")]
pub use https::Https;
pub use location::from_location;
#[cfg(feature = "https")]
pub use location::from_location_with_ca_file;
#[cfg(all(fuzzing, feature = "s3"))]
pub(crate) use s3::fuzzing_credentials;
#[cfg(feature = "s3")]
pub use s3::{Credentials, ProvideCredentials, S3, S3Address};
pub use stream::Stream;
pub use unavailable::Unavailable;

/// The result of [`Source::open`].
pub enum Opened {
    /// The object, from its first byte.
    Object {
        /// The content.
        reader: Box<dyn Read + Send>,
        /// The entity tag for a later conditional request, if the source has one.
        etag: Option<Etag>,
    },
    /// The object still has the entity tag of the request (304, RFC 9110 section 15.4.5).
    NotModified,
}

impl Opened {
    /// An object of a source without entity tags.
    pub fn object(reader: impl Read + Send + 'static) -> Self {
        Opened::Object { reader: Box::new(reader), etag: None }
    }
}

/// A repository to read from.
///
/// An implementation need not be trusted, bounded or fast: callers read through [`Fetcher`].
pub trait Source: Send + Sync + 'static {
    /// Begins to read an object from its first byte. With `known`, the result may be
    /// [`Opened::NotModified`] (`If-None-Match`, RFC 9110 section 13.1.2). A source without entity
    /// tags ignores `known`.
    ///
    /// # Errors
    /// [`Unavailable`]; [`Unavailable::Absent`] only if the repository is known not to have the
    /// object.
    fn open(&self, object: &Object, known: Option<&Etag>) -> Result<Opened, Unavailable>;

    /// The address for messages, without secrets.
    fn location(&self) -> String;

    /// [`Source::open`] for a read that can be cancelled; [`Fetcher`] calls this method.
    ///
    /// Implement it if a read holds connections: close them in [`Cancellation::on_cancel`], and
    /// send no further request after the cancellation. A source that wraps another one must
    /// implement it and pass `cancellation` on, because the default implementation drops it.
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
