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
//! interface              the trait Source, and what it returns
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
mod interface;
mod location;
#[cfg(feature = "s3")]
mod s3;
mod stream;
mod unavailable;
mod url;

pub use crate::object::Object;
pub use cancellation::Cancellation;
pub use dir::Dir;
pub use etag::Etag;
pub use fetcher::Fetcher;
#[cfg(feature = "https")]
#[cfg_attr(docsrs, doc(cfg(feature = "https")))]
pub use https::Https;
pub use interface::{Opened, Source};
pub use location::from_location;
#[cfg(feature = "https")]
#[cfg_attr(docsrs, doc(cfg(feature = "https")))]
pub use location::from_location_with_ca_file;
#[cfg(all(fuzzing, feature = "s3"))]
pub(crate) use s3::fuzzing_credentials;
#[cfg(feature = "s3")]
#[cfg_attr(docsrs, doc(cfg(feature = "s3")))]
pub use s3::{Credentials, ProvideCredentials, S3, S3Address};
pub use stream::Stream;
pub use unavailable::Unavailable;
pub(crate) use url::shown;
