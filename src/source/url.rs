//! Addresses: parsing and checking them, and displaying them without secrets.

#[cfg(feature = "https")]
use std::fmt;
#[cfg(feature = "https")]
use std::net::IpAddr;

#[cfg(feature = "https")]
use ureq::http::Uri;

use crate::escape::Words;

/// An address for messages, without credentials and query, either of which may be a secret.
pub(crate) fn shown(location: &str) -> String {
    let path = location.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = path.split_once("://") else { return Words(path).to_string() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match (authority.rsplit_once('@'), path.contains('@')) {
        (None, false) => Words(format!("{scheme}://{authority}{path}")).to_string(),
        (Some((_, host)), false) => Words(format!("{scheme}://{host}{path}")).to_string(),
        // The path may contain the rest of a password with a `/` in it.
        (_, true) => Words(format!("{scheme}://...")).to_string(),
    }
}

/// Scheme, host and port of a configured URL, for messages. Credentials, path and query are left
/// out, because any of them may be a secret.
#[cfg(feature = "s3")]
pub(super) fn shown_origin(url: &str) -> String {
    let shown = shown(url);
    match shown.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", rest.split('/').next().unwrap_or_default()),
        None => "(invalid URL)".into(),
    }
}

/// Why an address cannot be used. The message completes "the address ...".
#[cfg(feature = "https")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InvalidUrl {
    Syntax,
    NoHost,
    Credentials,
    Port,
    Host,
}

#[cfg(feature = "https")]
impl fmt::Display for InvalidUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InvalidUrl::Syntax => "is not a valid URL",
            InvalidUrl::NoHost => "has no host",
            InvalidUrl::Credentials => "contains credentials, which do not belong in an address",
            InvalidUrl::Port => "has an invalid port",
            InvalidUrl::Host => "has an invalid host name",
        })
    }
}

/// Parses a URL (RFC 3986) and checks that its authority is a valid host with an optional port.
#[cfg(feature = "https")]
pub(super) fn parse(text: &str) -> Result<Uri, InvalidUrl> {
    let uri: Uri = text.parse().map_err(|_| InvalidUrl::Syntax)?;
    let Some(authority) = uri.authority() else { return Err(InvalidUrl::NoHost) };
    if authority.as_str().contains('@') {
        return Err(InvalidUrl::Credentials);
    }
    if authority.as_str() != authority.host() && authority.port_u16().is_none() {
        return Err(InvalidUrl::Port);
    }
    if names_host(&uri) { Ok(uri) } else { Err(InvalidUrl::Host) }
}

/// Whether a certificate could be issued for the host of a URL. RFC 3986 allows hosts such as `..`,
/// for which none can be.
#[cfg(feature = "https")]
fn names_host(uri: &Uri) -> bool {
    rustls::pki_types::ServerName::try_from(host(uri)).is_ok()
}

/// The host of a URL, without the brackets of an IPv6 address.
#[cfg(feature = "https")]
pub(super) fn host(uri: &Uri) -> &str {
    uri.host().unwrap_or_default().trim_matches(['[', ']'])
}

/// Whether a URL is plain `http:` to a loopback *address*. Names such as `localhost` do not count,
/// because a name can resolve to any address.
#[cfg(feature = "https")]
pub(super) fn is_plain_loopback(uri: &Uri) -> bool {
    uri.scheme_str() == Some("http") && host(uri).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The target of a redirect from `from`, if it has the same origin: scheme, host and port.
#[cfg(feature = "https")]
pub(super) fn same_origin(from: &Uri, target: &str) -> Option<Uri> {
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
