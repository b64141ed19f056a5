//! What a source of bytes is asked for, and what it answers.

use std::io::Read;

use super::{Cancellation, Etag, Object, Unavailable};

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
/// An implementation need not be trusted, bounded or fast: callers read through [`super::Fetcher`].
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

    /// [`Source::open`] for a read that can be cancelled; [`super::Fetcher`] calls this method.
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
