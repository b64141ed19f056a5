//! A repository behind HTTPS: any static host, a CDN, a public bucket.
//!
//! TLS is defence in depth: what is fetched is believed for its signatures alone.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use ureq::http::{Request, Uri, header};

use super::Unavailable;
use super::http::{Client, headers_for, opened};
use super::{Cancellation, Etag, Object, Opened, Source, shown};
use crate::error::{Error, Result};
use crate::escape::Words;

/// Reads objects with GET below a base URL.
///
/// Proxies come from the environment (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), else on Windows from its settings. Redirects are followed to the same host and port over
/// https only, and at most three times.
#[derive(Clone)]
pub struct Https {
    /// For people; without a query.
    location: String,
    address: Address,
    client: Client,
}

/// Where an object lies.
#[derive(Clone)]
enum Address {
    /// `base/object?query`.
    Below { base: String, query: Option<String> },
    /// Where somebody says.
    Each(Arc<UrlOf>),
}

type UrlOf = dyn Fn(&Object) -> std::result::Result<String, String> + Send + Sync;

const REDIRECTS: usize = 3;

impl Https {
    /// A repository below an `https:` URL, with the certificates that this platform trusts (`SSL_CERT_FILE` is honoured).
    ///
    /// A query, such as the one of a CloudFront signed URL for all of a prefix, goes with each request. It counts as a secret: it is in no
    /// error and no log.
    ///
    /// # Errors
    /// [`Error::Usage`] where the URL is not https, or holds credentials.
    pub fn new(base: &str) -> Result<Self> {
        let uri = checked_url(base)?;
        if uri.scheme_str() != Some("https") {
            return Err(Error::usage(format!("the repository {} is not https", shown(base))));
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

    /// Trusts the certificate authorities of a PEM file too: for hosts with an internal CA.
    ///
    /// # Errors
    /// [`Error::Local`] where it is no regular file that can be read, [`Error::Usage`] where it holds no certificate or is larger than
    /// [`limits::CA_FILE`](crate::limits::CA_FILE).
    pub fn ca_file(self, path: &Path) -> Result<Self> {
        Ok(Https { client: Client::with_ca_file(path)?, ..self })
    }

    /// A repository each of whose objects has a URL of its own: presigned ones, as a broker of yours hands them out. `location` is what
    /// people are told; `url_of` gives an `https:` URL for an object, or says why it cannot, within the deadline of a check.
    pub fn presigned(
        location: &str,
        url_of: impl Fn(&Object) -> std::result::Result<String, String> + Send + Sync + 'static,
    ) -> Self {
        let address = Address::Each(Arc::new(url_of));
        Https { location: Words(location).to_string(), address, client: Client::default() }
    }

    /// Plain `http:` to a loopback *address*, for tests of a tool against a server on the same machine.
    ///
    /// # Errors
    /// [`Error::Usage`] for every other host, names such as `localhost` included: a name can be made to point anywhere.
    pub fn plain_on_loopback(base: &str) -> Result<Self> {
        if !is_plain_loopback(&checked_url(base)?) {
            return Err(Error::usage(format!("{} is not an http URL of a loopback address", shown(base))));
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

fn checked_url(base: &str) -> Result<Uri> {
    let refuse = |why: &str| Error::usage(format!("the repository {} {why}", shown(base)));
    let uri: Uri = base.parse().map_err(|_| refuse("is not a URL"))?;
    match uri.authority() {
        None => Err(refuse("names no host")),
        Some(authority) if authority.as_str().contains('@') => {
            Err(Error::usage("the address of the repository holds credentials, which belong in no address"))
        }
        Some(authority) if authority.as_str() != authority.host() && authority.port_u16().is_none() => {
            Err(Error::usage(
                "the address of the repository has a port that is none; / in a password ends the host",
            ))
        }
        Some(_) if !names_host(&uri) => Err(refuse("names a host that is none")),
        Some(_) => Ok(uri),
    }
}

/// Whether a certificate could be for the host of a URL: `..` is none, though RFC 3986 lets it stand there.
pub(super) fn names_host(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    rustls::pki_types::ServerName::try_from(host).is_ok()
}

/// Whether a URL is one of this machine's own addresses, without TLS.
pub(super) fn is_plain_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    uri.scheme_str() == Some("http") && host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
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
        let unreachable = |why: String, retryable| Unavailable::Unreachable {
            location: self.location(),
            object: object.clone(),
            why: Words(why).to_string(),
            retryable,
        };
        let url = self.url_of(object).map_err(|why| unreachable(why, false))?;
        let mut uri: Uri = url.parse().map_err(|_| unreachable("it is not a URL".into(), false))?;
        let session = self.client.during(cancellation);
        for _ in 0..=REDIRECTS {
            let mut request = Request::get(&uri);
            for (name, value) in headers_for(object, known) {
                request = request.header(name, value);
            }
            let request =
                request.body(()).map_err(|_| unreachable("its address makes no request".into(), false))?;
            let response =
                session.send(request).map_err(|failed| unreachable(failed.why, failed.transient))?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return opened(response, session, self.location(), object, known.is_some());
            }
            let target = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
            uri = same_origin(&uri, target.unwrap_or_default()).ok_or_else(|| {
                let target = target.map_or("nowhere".into(), shown);
                unreachable(format!("it redirects to {target}, which is not on the same https host"), false)
            })?;
        }
        Err(unreachable(format!("it redirects more than {REDIRECTS} times"), false))
    }

    fn location(&self) -> String {
        self.location.clone()
    }
}

/// The target of a redirect if it has the same scheme, host and port.
fn same_origin(from: &Uri, target: &str) -> Option<Uri> {
    if target.starts_with('/') && !target.starts_with("//") {
        let mut parts = from.clone().into_parts();
        parts.path_and_query = Some(target.parse().ok()?);
        return Uri::from_parts(parts).ok();
    }
    let target: Uri = target.parse().ok()?;
    let port =
        |uri: &Uri| uri.port_u16().or(if uri.scheme_str() == Some("https") { Some(443) } else { Some(80) });
    let same = target.scheme() == from.scheme()
        && target.host().map(str::to_ascii_lowercase) == from.host().map(str::to_ascii_lowercase)
        && target.authority().is_some_and(|authority| !authority.as_str().contains('@'))
        && port(&target) == port(from);
    same.then_some(target)
}
