//! HTTP for the sources that speak it: TLS, timeouts, and what an answer means.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
#[cfg(feature = "s3")]
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use ureq::http::{Request, Response, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{AsSendBody, Body};

use super::{Etag, Object, Opened};
use crate::error::{Error, Result, Unavailable, printable};
use crate::limits;

/// An HTTP client that follows no redirect by itself and takes no status for an error.
///
/// Proxies come from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`).
#[derive(Clone, Default)]
pub(super) struct Client {
    /// Plain HTTP, and no proxy.
    plain: bool,
    extra: Vec<Certificate<'static>>,
    agent: Arc<Mutex<Made>>,
}

#[derive(Default)]
struct Made {
    /// Made when first needed: a start that reads no network does not load the platform's certificates.
    agent: Option<ureq::Agent>,
    /// How often all that was going on was ended.
    ends: u64,
}

/// Why there is no answer at all.
pub(super) struct Failed {
    pub(super) why: String,
    /// Whether asking again may help.
    pub(super) transient: bool,
}

impl Client {
    /// Plain HTTP instead of TLS. Only for addresses of this machine.
    pub(super) fn plain() -> Self {
        Client { plain: true, ..Client::default() }
    }

    /// The certificate authorities of a PEM file, besides the platform's (`SSL_CERT_FILE` is honoured).
    pub(super) fn with_ca_file(ca_file: &Path) -> Result<Self> {
        let pem = std::fs::read(ca_file).map_err(crate::error::io("read the certificates", ca_file))?;
        let extra: Vec<_> = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if extra.is_empty() {
            return Err(Error::caller(format!("{} holds no PEM certificate", ca_file.display())));
        }
        Ok(Client { extra, ..Client::default() })
    }

    /// Asks once.
    pub(super) fn send(&self, request: Request<impl AsSendBody>) -> Result<Response<Body>, Failed> {
        self.agent().run(request).map_err(Failed::from)
    }

    /// Asks once, for an answer that has ended within `limit`.
    #[cfg(feature = "s3")]
    pub(super) fn send_within(
        &self,
        request: Request<impl AsSendBody>,
        connect: Duration,
        limit: Duration,
    ) -> Result<Response<Body>, Failed> {
        let agent = self.agent();
        let request = agent.configure_request(request).timeout_connect(Some(connect.min(limit)));
        agent.run(request.timeout_global(Some(limit)).build()).map_err(Failed::from)
    }

    /// Ends all connections.
    ///
    /// Timeouts cannot do that: whoever sends chunk trailers, interim answers or TLS messages without end keeps ureq or rustls reading, and
    /// this machine busy, inside of one read that nobody waits for any more.
    pub(super) fn abandon(&self) {
        let mut made = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
        made.ends += 1;
        if let Some(agent) = made.agent.take() {
            agent.shutdown();
        }
    }

    fn agent(&self) -> ureq::Agent {
        let before = {
            let made = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(agent) = &made.agent {
                return agent.clone();
            }
            made.ends
        };
        // Without the lock: the certificates may lie on a share that hangs, and `abandon` must not wait for that.
        let agent = agent(!self.plain, self.extra.clone());
        let mut made = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
        if made.ends != before {
            agent.clone().shutdown(); // too late: nobody waits for what it would be asked
            return agent;
        }
        made.agent.get_or_insert(agent).clone()
    }
}

impl From<ureq::Error> for Failed {
    fn from(error: ureq::Error) -> Self {
        let why = match &error {
            // These quote the URL, whose query may be a secret.
            ureq::Error::RequireHttpsOnly(_) => "its URL is not https".into(),
            ureq::Error::BadUri(_) => "its URL is none".into(),
            _ => error.to_string().trim_start_matches("io: ").to_owned(),
        };
        Failed { why, transient: is_transient(&error) }
    }
}

/// Scheme, host and port of a URL that somebody set, for people: neither credentials nor paths nor queries, any of which may be a secret.
#[cfg(feature = "s3")]
pub(super) fn shown_origin(url: &str) -> String {
    let shown = super::shown(url);
    match shown.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", rest.split('/').next().unwrap_or_default()),
        None => "(no URL)".into(),
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
        let platform = platform_certificates().into_iter();
        let roots = platform.map(|der| Certificate::from_der(der.as_ref()).to_owned()).chain(extra);
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots.collect())))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
        config = config.tls_config(tls.build());
    } else {
        config = config.proxy(None);
    }
    config.build().into()
}

/// The authorities that the platform trusts, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
fn platform_certificates() -> Vec<CertificateDer<'static>> {
    // Linux distributions make one file of all that they trust, and a directory of the same again in hundreds of files, which would be
    // half of the CPU time of a check. Whoever puts an authority into the directory alone names that by SSL_CERT_DIR. Elsewhere file and
    // directory can be two different stores.
    #[cfg(target_os = "linux")]
    if !["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|name| std::env::var_os(name).is_some()) {
        let bundle = openssl_probe::probe().cert_file;
        let found = rustls_native_certs::load_certs_from_paths(bundle.as_deref(), None);
        if found.errors.is_empty() && !found.certs.is_empty() {
            return found.certs;
        }
    }
    rustls_native_certs::load_native_certs().certs
}

/// Lost or refused connections may work a moment later; wrong certificates, bad answers and unknown hosts will not.
fn is_transient(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Io(_) | ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed)
        && !error.to_string().contains("certificate")
}

/// The headers of a GET of an object, as name and value.
pub(super) fn headers_for<'a>(
    object: &Object,
    known: Option<&'a Etag>,
) -> impl Iterator<Item = (header::HeaderName, &'a str)> {
    // Caches may keep what is immutable; whether there is news must come from the repository.
    let is_news = matches!(object, Object::VersionFile(_) | Object::Root(_));
    let fresh = is_news.then_some((header::CACHE_CONTROL, "no-cache"));
    let unless = known.map(|etag| (header::IF_NONE_MATCH, etag.as_str()));
    [(header::ACCEPT_ENCODING, "identity")].into_iter().chain(fresh).chain(unless)
}

/// What an answer to a GET of an object means; `known` is whether it was asked for with an entity tag.
pub(super) fn opened(
    response: Response<Body>,
    location: String,
    object: &Object,
    known: bool,
) -> Result<Opened, Unavailable> {
    let object = object.clone();
    match response.status().as_u16() {
        200 => {
            let text =
                |name| response.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
            if let Some(coding) = text(header::CONTENT_ENCODING).filter(|coding| coding != "identity") {
                let why = format!("it answered with the content encoding {coding}, which nobody asked for");
                let why = printable(&why);
                return Err(Unavailable::Unreachable { location, object, why, retryable: false });
            }
            let etag = text(header::ETAG).and_then(|text| Etag::new(&text));
            Ok(Opened::Object { reader: Box::new(response.into_body().into_reader()), etag })
        }
        304 if known => Ok(Opened::Unchanged),
        404 | 410 => Err(Unavailable::Absent { location, object }),
        403 => Err(Unavailable::Forbidden { location, object, code: None }),
        status => Err(Unavailable::Status { location, object, status, code: None }),
    }
}
