//! The address of a bucket: `s3://bucket/prefix?region=..&endpoint=..&path-style=..&profile=..`
//! (SPEC section 10.1).

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;

use percent_encoding::utf8_percent_encode;
use ureq::http::Uri;

use super::percent::{KEY, OPTION};
use super::region::{DEFAULT_REGION, dns_suffix, is_region};
use crate::error::{Error, Result};
use crate::escape::Words;
use crate::source::url::{self, host, is_plain_loopback};

/// The address of a repository in a bucket.
///
/// ```
/// # use relatch::source::S3Address;
/// let address: S3Address = "s3://releases/demo?region=eu-central-1".parse()?;
/// assert_eq!(
///     address.url_of("stable/VERSION"),
///     "https://releases.s3.eu-central-1.amazonaws.com/demo/stable/VERSION"
/// );
/// # Ok::<(), relatch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Address {
    bucket: String,
    prefix: String,
    region: Option<String>,
    endpoint: Option<String>,
    path_style: Option<bool>,
    profile: Option<String>,
}

impl S3Address {
    /// The bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The prefix of all keys, without a slash at either end; empty for the whole bucket.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The region, if the address names one.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// The endpoint, if the address names one: `https://host[:port]`. Without one, the bucket is at
    /// AWS.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// The profile of AWS's shared configuration files that supplies the credentials, if the
    /// address names one.
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// The same address in another region.
    ///
    /// # Errors
    /// [`Error::Usage`] if the region is not 1 to 32 characters of `[a-z0-9-]`.
    pub fn with_region(self, region: &str) -> Result<Self> {
        if !is_region(region) {
            let shown = Words(region);
            return Err(self.invalid(&format!("the region `{shown}` is not 1 to 32 of a-z, 0-9 and -")));
        }
        Ok(S3Address { region: Some(region.into()), ..self })
    }

    /// The same address at another endpoint: `https://host[:port]`, or `http:` with a loopback
    /// address.
    ///
    /// # Errors
    /// [`Error::Usage`] if the endpoint is another kind of URL, or if the address has
    /// `path-style=false` and bucket and endpoint do not form a host name.
    pub fn with_endpoint(self, endpoint: &str) -> Result<Self> {
        if endpoint.contains('@') {
            let why = "the endpoint contains credentials, which do not belong in an address";
            return Err(self.invalid(why));
        }
        let invalid = |why: &str| {
            let shown = Words(endpoint.split(['?', '#']).next().unwrap_or_default()).to_string();
            self.invalid(&format!("the endpoint `{shown}` {why}"))
        };
        let uri = url::parse(endpoint).map_err(|why| invalid(&why.to_string()))?;
        if uri.scheme_str() != Some("https") && !is_plain_loopback(&uri) {
            return Err(invalid("must be https (http only with a loopback address such as 127.0.0.1)"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || endpoint.contains('#') {
            return Err(invalid("must be https://host or https://host:port and nothing more"));
        }
        // Without the scheme's default port, which clients omit from the Host header field, and so
        // from the signature.
        let (scheme, default) = if uri.scheme_str() == Some("https") { ("https", 443) } else { ("http", 80) };
        let port = uri.port_u16().filter(|port| *port != default).map(|port| format!(":{port}"));
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let endpoint = format!("{scheme}://{host}{}", port.unwrap_or_default());
        S3Address { endpoint: Some(endpoint), ..self }.checked()
    }

    /// The same address in path style (`true`), with the bucket in the path of the URL, or in
    /// virtual-hosted style (`false`), with the bucket in its host name. Without this call, the
    /// default of [`Self::is_path_style`] applies.
    ///
    /// # Errors
    /// [`Error::Usage`] for `false` if bucket and endpoint do not form a host name.
    pub fn with_path_style(self, path_style: bool) -> Result<Self> {
        S3Address { path_style: Some(path_style), ..self }.checked()
    }

    /// Whether the bucket is in the path of the URL and not in its host name.
    ///
    /// By default it is in the path at a custom endpoint, which may not have host names for
    /// buckets, and if the bucket's name is not a single DNS label, because AWS's certificates
    /// cover no other names.
    pub fn is_path_style(&self) -> bool {
        let is_label =
            |bucket: &str| bucket.bytes().all(|b| !b.is_ascii_uppercase() && b != b'_' && b != b'.');
        self.path_style.unwrap_or_else(|| self.endpoint.is_some() || !is_label(&self.bucket))
    }

    /// The key of an object: its path in the repository, below the prefix.
    pub fn key_of(&self, object: impl fmt::Display) -> String {
        if self.prefix.is_empty() { object.to_string() } else { format!("{}/{object}", self.prefix) }
    }

    /// The unsigned URL of an object.
    pub fn url_of(&self, object: impl fmt::Display) -> String {
        let key = self.key_of(object);
        let key = utf8_percent_encode(&key, KEY);
        let region = self.region().unwrap_or(DEFAULT_REGION);
        let endpoint = match self.endpoint() {
            Some(endpoint) => endpoint.to_owned(),
            None => format!("https://s3.{region}.{}", dns_suffix(region)),
        };
        let bucket = &self.bucket;
        match endpoint.split_once("://") {
            Some((scheme, host)) if !self.is_path_style() => format!("{scheme}://{bucket}.{host}/{key}"),
            _ => format!("{endpoint}/{bucket}/{key}"),
        }
    }

    /// Refuses virtual-hosted style if bucket and endpoint do not form a host name.
    fn checked(self) -> Result<Self> {
        if self.path_style != Some(false) {
            return Ok(self);
        }
        let endpoint = self.endpoint().and_then(|endpoint| endpoint.parse::<Uri>().ok());
        if endpoint.is_some_and(|endpoint| host(&endpoint).parse::<IpAddr>().is_ok()) {
            let why = "path-style=false requires an endpoint with a host name, not an IP address";
            return Err(self.invalid(why));
        }
        if self.bucket.bytes().any(|b| b.is_ascii_uppercase() || b == b'_') {
            return Err(self.invalid("path-style=false requires a bucket name that is valid in a host name"));
        }
        Ok(self)
    }

    fn invalid(&self, why: &str) -> Error {
        let mut shown = format!("s3://{}", self.bucket);
        if !self.prefix.is_empty() {
            shown = format!("{shown}/{}", self.prefix);
        }
        Error::usage(format!("repository {shown}: {why}"))
    }
}

impl fmt::Display for S3Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if !self.prefix.is_empty() {
            write!(f, "/{}", self.prefix)?;
        }
        let path_style = self.path_style.map(|path_style| path_style.to_string());
        let options = [
            ("region", &self.region),
            ("endpoint", &self.endpoint),
            ("path-style", &path_style),
            ("profile", &self.profile),
        ];
        let named = options.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        for (position, (name, value)) in named.enumerate() {
            let separator = if position == 0 { '?' } else { '&' };
            write!(f, "{separator}{name}={}", utf8_percent_encode(value, OPTION))?;
        }
        Ok(())
    }
}
