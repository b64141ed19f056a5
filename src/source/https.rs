//! A repository behind HTTPS: any static host, a CDN, a public bucket.
//!
//! TLS is defence in depth: what is fetched is believed for its signatures alone.

use std::io::Read;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use ureq::http::{Response, Uri, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::{Object, Source};
use crate::error::{Error, Result, Unavailable, printable};
use crate::limits;

/// Reads objects with GET below a base URL.
///
/// Proxies come from the environment (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`). Redirects are followed to the same host and port over
/// https only, and at most three times.
#[derive(Clone)]
pub struct Https {
    base: String,
    plain: bool,
    extra: Vec<Certificate<'static>>,
    /// Made when first needed: a start that reads no network does not load the platform's certificates.
    agent: Arc<OnceLock<ureq::Agent>>,
}

const REDIRECTS: usize = 3;

impl Https {
    /// A repository below an `https:` URL, with the certificates that this platform trusts (`SSL_CERT_FILE` is honoured).
    ///
    /// # Errors
    /// [`Error::Caller`] where the URL is not https, or holds a query or credentials.
    pub fn new(base: &str) -> Result<Self> {
        let uri = checked_url(base)?;
        if uri.scheme_str() != Some("https") {
            return Err(Error::caller(format!("the repository {} is not https", printable(base))));
        }
        Ok(Https::of(base, false))
    }

    fn of(base: &str, plain: bool) -> Self {
        Https { base: base.trim_end_matches('/').to_owned(), plain, extra: Vec::new(), agent: Arc::default() }
    }

    /// The same with further certificate authorities, from a PEM file: for hosts with an internal CA.
    ///
    /// # Errors
    /// [`Error::Machine`] where the file cannot be read, [`Error::Caller`] where it holds no certificate.
    pub fn with_ca_file(base: &str, ca_file: &Path) -> Result<Self> {
        let mut https = Https::new(base)?;
        let pem = std::fs::read(ca_file).map_err(crate::error::io("read the certificates", ca_file))?;
        let certificates: Vec<_> = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if certificates.is_empty() {
            return Err(Error::caller(format!("{} holds no PEM certificate", ca_file.display())));
        }
        https.extra = certificates;
        Ok(https)
    }

    /// Plain `http:` to a loopback *address*, for tests of a tool against a server on the same machine.
    ///
    /// # Errors
    /// [`Error::Caller`] for every other host, names such as `localhost` included: a name can be made to point anywhere.
    pub fn plain_on_loopback(base: &str) -> Result<Self> {
        let uri = checked_url(base)?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_loopback = host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if uri.scheme_str() != Some("http") || !is_loopback {
            return Err(Error::caller(format!(
                "{} is not an http URL of a loopback address",
                printable(base)
            )));
        }
        Ok(Https::of(base, true))
    }

    fn get(&self, uri: &Uri, object: &Object) -> Result<Response<ureq::Body>, ureq::Error> {
        let agent = self.agent.get_or_init(|| agent(!self.plain, self.extra.clone()));
        let mut request = agent.get(uri).header(header::ACCEPT_ENCODING, "identity");
        // Caches may keep what is immutable; whether there is news must come from the repository.
        if matches!(object, Object::VersionFile(_) | Object::Root(_)) {
            request = request.header(header::CACHE_CONTROL, "no-cache");
        }
        request.call()
    }
}

fn checked_url(base: &str) -> Result<Uri> {
    let refuse = |why: &str| Error::caller(format!("the repository {} {why}", printable(base)));
    let uri: Uri = base.parse().map_err(|_| refuse("is not a URL"))?;
    match uri.authority() {
        None => Err(refuse("names no host")),
        Some(authority) if authority.as_str().contains('@') => {
            Err(refuse("holds credentials, which belong in no address"))
        }
        Some(_) if uri.query().is_some() => Err(refuse("has a query; objects are addressed by path")),
        Some(_) => Ok(uri),
    }
}

fn agent(https_only: bool, extra: Vec<Certificate<'static>>) -> ureq::Agent {
    let mut config = ureq::Agent::config_builder()
        .https_only(https_only)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(32 * 1024)
        .timeout_connect(Some(limits::CONNECT))
        .timeout_resolve(Some(limits::CONNECT))
        .timeout_recv_response(Some(limits::FIRST_BYTE))
        .timeout_per_read(Some(limits::RATE_WINDOW)) // so that an abandoned thread ends
        .user_agent(concat!("relatch/", env!("CARGO_PKG_VERSION")));
    if https_only {
        let native = rustls_native_certs::load_native_certs().certs;
        let roots = native.iter().map(|der| Certificate::from_der(der.as_ref()).to_owned()).chain(extra);
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots.collect())))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        config = config.tls_config(tls.build());
    } else {
        config = config.proxy(None);
    }
    config.build().into()
}

impl Source for Https {
    fn open(&self, object: &Object) -> Result<Box<dyn Read + Send>, Unavailable> {
        let location = || self.location();
        let unreachable = |why: String, retryable| Unavailable::Unreachable {
            location: location(),
            object: object.clone(),
            why: printable(&why),
            retryable,
        };
        let url = format!("{}/{object}", self.base);
        let mut uri: Uri = url.parse().map_err(|_| unreachable("it is not a URL".into(), false))?;
        for _ in 0..=REDIRECTS {
            let response = self.get(&uri, object).map_err(|error| {
                unreachable(error.to_string().trim_start_matches("io: ").to_owned(), is_transient(&error))
            })?;
            let status = response.status().as_u16();
            match status {
                200 => {
                    let coding =
                        response.headers().get(header::CONTENT_ENCODING).map(|value| value.as_bytes());
                    if let Some(coding) = coding.filter(|coding| *coding != b"identity") {
                        let coding = String::from_utf8_lossy(coding).into_owned();
                        let why =
                            format!("it answered with the content encoding {coding}, which nobody asked for");
                        return Err(unreachable(why, false));
                    }
                    return Ok(Box::new(response.into_body().into_reader()));
                }
                301 | 302 | 303 | 307 | 308 => {
                    let target =
                        response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
                    uri = same_origin(&uri, target.unwrap_or_default()).ok_or_else(|| {
                        let target = target.unwrap_or("nowhere");
                        unreachable(
                            format!("it redirects to {target}, which is not on the same https host"),
                            false,
                        )
                    })?;
                }
                404 | 410 => {
                    return Err(Unavailable::Absent { location: location(), object: object.clone() });
                }
                403 => {
                    return Err(Unavailable::Forbidden { location: location(), object: object.clone() });
                }
                _ => {
                    return Err(Unavailable::Status { location: location(), object: object.clone(), status });
                }
            }
        }
        Err(unreachable(format!("it redirects more than {REDIRECTS} times"), false))
    }

    fn location(&self) -> String {
        self.base.clone()
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

/// Lost or refused connections may work a moment later; wrong certificates, bad answers and unknown hosts will not.
fn is_transient(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Io(_) | ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed)
        && !error.to_string().contains("certificate")
}
