//! A repository behind HTTPS: a static web server, a CDN, or a public bucket.
//!
//! TLS is defence in depth: fetched bytes are trusted only for their signatures.

use std::path::Path;
use std::sync::Arc;

use ureq::http::{Request, Uri, header};

use super::cancellation::Cancellation;
use super::etag::Etag;
use super::http::Client;
use super::http_get::{headers_for, opened};
use super::unavailable::Unavailable;
use super::url::{self, InvalidUrl, is_plain_loopback, same_origin, shown};
use super::{Opened, Source};
use crate::error::{Error, Result};
use crate::escape::Words;
use crate::object::Object;

/// Reads objects with GET below a base URL.
///
/// Proxies come from the environment (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), otherwise on Windows
/// from the system's settings. The client follows at most three redirects, and only to the same
/// scheme, host and port.
#[derive(Clone)]
pub struct Https {
    /// For messages; without a query.
    location: String,
    address: Address,
    client: Client,
}

#[derive(Clone)]
enum Address {
    /// `base/object?query`.
    Below { base: String, query: Option<String> },
    /// A URL for each object, from a function of the caller.
    Each(Arc<UrlOf>),
}

type UrlOf = dyn Fn(&Object) -> std::result::Result<String, String> + Send + Sync;

const REDIRECTS: usize = 3;

impl Https {
    /// A repository below an `https:` URL, with the certificate authorities that the platform
    /// trusts (`SSL_CERT_FILE` is honoured).
    ///
    /// The client sends the URL's query with each request, for example the query of a CloudFront
    /// signed URL for a whole prefix. The query is treated as a secret: no error or log contains
    /// it.
    ///
    /// # Errors
    /// [`Error::Usage`] if the URL is invalid, is not https or contains credentials.
    pub fn new(base: &str) -> Result<Self> {
        let uri = parse(base)?;
        if uri.scheme_str() != Some("https") {
            return Err(invalid(base, "is not an https URL"));
        }
        Ok(Https::below(base, Client::default()))
    }

    fn below(base: &str, client: Client) -> Self {
        let (base, query) = match base.split_once('?') {
            Some((base, query)) => (base, Some(query.to_owned())),
            None => (base, None),
        };
        let base = base.trim_end_matches('/').to_owned();
        Https { location: base.clone(), address: Address::Below { base, query }, client }
    }

    /// Trusts the certificate authorities of a PEM file as well, for hosts with an internal CA.
    ///
    /// # Errors
    /// [`Error::Local`] if it is not a readable regular file; [`Error::Usage`] if it contains no
    /// certificate or is larger than [`limits::CA_FILE`](crate::limits::CA_FILE).
    pub fn ca_file(self, path: &Path) -> Result<Self> {
        Ok(Https { client: Client::with_ca_file(path)?, ..self })
    }

    /// A repository with a separate URL for each object, such as presigned URLs from a broker.
    ///
    /// `location` is the address for messages. `url_of` returns the `https:` URL of an object, or
    /// the reason why there is none. It must return within the deadline of a check.
    pub fn presigned(
        location: &str,
        url_of: impl Fn(&Object) -> std::result::Result<String, String> + Send + Sync + 'static,
    ) -> Self {
        let address = Address::Each(Arc::new(url_of));
        Https { location: Words(location).to_string(), address, client: Client::default() }
    }

    /// Plain `http:` to a loopback *address*, for tests of a tool against a server on the same
    /// machine.
    ///
    /// # Errors
    /// [`Error::Usage`] for every other host, including names such as `localhost`: a name can
    /// resolve to any address.
    pub fn plain_on_loopback(base: &str) -> Result<Self> {
        if !is_plain_loopback(&parse(base)?) {
            return Err(invalid(base, "is not an http URL with a loopback address"));
        }
        Ok(Https::below(base, Client::plain()))
    }

    fn url_of(&self, object: &Object) -> std::result::Result<String, String> {
        match &self.address {
            Address::Below { base, query: None } => Ok(format!("{base}/{object}")),
            Address::Below { base, query: Some(query) } => Ok(format!("{base}/{object}?{query}")),
            Address::Each(url_of) => url_of(object),
        }
    }
}

fn parse(base: &str) -> Result<Uri> {
    url::parse(base).map_err(|why| match why {
        // The address is not shown: what looks like its host or path may be part of a password.
        InvalidUrl::Credentials => Error::usage(format!("the repository address {why}")),
        InvalidUrl::Port => Error::usage(format!(
            "the repository address {why}; a `/` in a password also ends the part with host and port"
        )),
        InvalidUrl::Syntax | InvalidUrl::NoHost | InvalidUrl::Host => invalid(base, &why.to_string()),
    })
}

fn invalid(base: &str, why: &str) -> Error {
    Error::usage(format!("the repository address {} {why}", shown(base)))
}

impl Source for Https {
    fn open(&self, object: &Object, known: Option<&Etag>) -> Result<Opened, Unavailable> {
        self.open_cancellable(object, known, &Cancellation::default())
    }

    fn open_cancellable(
        &self,
        object: &Object,
        known: Option<&Etag>,
        cancellation: &Cancellation,
    ) -> Result<Opened, Unavailable> {
        let permanent = |why: String| Unavailable::permanent(self.location(), object, why);
        let url = self.url_of(object).map_err(permanent)?;
        let mut uri: Uri = url.parse().map_err(|_| permanent("invalid URL".into()))?;
        let client = self.client.for_read(cancellation);
        for _ in 0..=REDIRECTS {
            let mut request = Request::get(&uri);
            for (name, value) in headers_for(object, known) {
                request = request.header(name, value);
            }
            let request = request
                .body(())
                .map_err(|_| permanent("the address cannot be sent in an HTTP request".into()))?;
            let response =
                client.send(request).map_err(|error| error.into_unavailable(self.location(), object))?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return opened(response, client, self.location(), object, known);
            }
            let Some(target) = response.headers().get(header::LOCATION) else {
                return Err(permanent("the server sent a redirect without a Location".into()));
            };
            let target = target
                .to_str()
                .map_err(|_| permanent("the server redirects to an address that is not ASCII".into()))?;
            uri = same_origin(&uri, target).ok_or_else(|| {
                let target = shown(target);
                permanent(format!("the server redirects to {target}, which is another origin"))
            })?;
        }
        Err(permanent(format!("the server redirects more than {REDIRECTS} times")))
    }

    fn location(&self) -> String {
        self.location.clone()
    }
}
