//! Where a bucket lies: `s3://bucket/prefix?region=..&endpoint=..&path-style=..&profile=..`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use ureq::http::Uri;

use crate::error::{Error, Result};
use crate::escape::Words;
use crate::source::https::{is_plain_loopback, names_host};

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

/// The region of an address that names none, where the environment and the profile name none either.
pub(super) const DEFAULT_REGION: &str = "us-east-1";

/// All but what RFC 3986 calls unreserved: what SigV4 leaves as it is.
pub(super) const UNRESERVED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// The same with the separator of keys.
const KEY: &AsciiSet = &UNRESERVED.remove(b'/');
/// What a value of the query need not encode.
const VALUE: &AsciiSet = &KEY.remove(b':').remove(b'[').remove(b']').remove(b'@');

impl S3Address {
    /// The bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// What all keys begin with, without slashes at its ends; empty for the whole bucket.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The region, where the address names one.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// The endpoint of another vendor, where the address names one: `https://host[:port]`.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }

    /// The profile of the shared configuration files that the credentials come from, where the address names one.
    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// The same in another region.
    ///
    /// # Errors
    /// [`Error::Usage`] where it is none: `[a-z0-9-]`, at most 32.
    pub fn with_region(self, region: &str) -> Result<Self> {
        if !is_region(region) {
            let why = format!("the region `{}`, which must be of a-z, 0-9 and -", Words(region));
            return Err(self.refuse(&why));
        }
        Ok(S3Address { region: Some(region.into()), ..self })
    }

    /// The same at another endpoint: `https://host[:port]`, or `http:` with an address of this machine itself.
    ///
    /// # Errors
    /// [`Error::Usage`] where it is another kind of URL, or virtual-host style is asked for and a host cannot be made of both.
    pub fn with_endpoint(self, endpoint: &str) -> Result<Self> {
        if endpoint.contains('@') {
            return Err(self.refuse("an endpoint with credentials, which belong in no address"));
        }
        let refuse = |why: &str| {
            let shown = Words(endpoint.split(['?', '#']).next().unwrap_or_default()).to_string();
            self.refuse(&format!("the endpoint `{shown}`, which {why}"))
        };
        let uri: Uri = endpoint.parse().map_err(|_| refuse("is no URL"))?;
        let Some(authority) = uri.authority() else { return Err(refuse("names no host")) };
        if authority.as_str() != authority.host() && authority.port_u16().is_none() {
            return Err(refuse("has a port that is none"));
        }
        if !names_host(&uri) {
            return Err(refuse("names a host that is none"));
        }
        if uri.scheme_str() != Some("https") && !is_plain_loopback(&uri) {
            return Err(refuse("must be https (http only to an address such as 127.0.0.1)"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || endpoint.contains('#') {
            return Err(refuse("must be https://host or https://host:port and nothing more"));
        }
        // Without the scheme's own port, which stands in no Host header and so in no signature.
        let (scheme, usual) = if uri.scheme_str() == Some("https") { ("https", 443) } else { ("http", 80) };
        let port = uri.port_u16().filter(|port| *port != usual).map(|port| format!(":{port}"));
        let host = authority.host().to_ascii_lowercase();
        let endpoint = format!("{scheme}://{host}{}", port.unwrap_or_default());
        S3Address { endpoint: Some(endpoint), ..self }.checked()
    }

    /// The same with the bucket in the path (`true`) or in the name of the host (`false`), and no longer as [`Self::is_path_style`] says.
    ///
    /// # Errors
    /// [`Error::Usage`] for `false` where the bucket's name and the endpoint make no host.
    pub fn with_path_style(self, path_style: bool) -> Result<Self> {
        S3Address { path_style: Some(path_style), ..self }.checked()
    }

    /// Whether the bucket stands in the path and not in the name of the host. Where nobody said: at an endpoint, which may not have
    /// hosts for buckets, and where a bucket's name is not one label of a host's, which AWS's certificates do not cover.
    pub fn is_path_style(&self) -> bool {
        let is_label =
            |bucket: &str| bucket.bytes().all(|b| !b.is_ascii_uppercase() && b != b'_' && b != b'.');
        self.path_style.unwrap_or_else(|| self.endpoint.is_some() || !is_label(&self.bucket))
    }

    /// The key of an object: its path in the repository below the prefix.
    pub fn key_of(&self, object: impl fmt::Display) -> String {
        if self.prefix.is_empty() { object.to_string() } else { format!("{}/{object}", self.prefix) }
    }

    /// The URL of an object, not signed.
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

    fn checked(self) -> Result<Self> {
        if self.path_style != Some(false) {
            return Ok(self);
        }
        let host = self.endpoint().and_then(|endpoint| endpoint.parse::<Uri>().ok());
        let host = host.as_ref().and_then(Uri::host).unwrap_or_default().trim_matches(['[', ']']);
        if host.parse::<IpAddr>().is_ok() {
            return Err(self.refuse(
                "path-style=false, but its endpoint is an IP address, before which no bucket can stand",
            ));
        }
        if self.bucket.bytes().any(|b| b.is_ascii_uppercase() || b == b'_') {
            return Err(
                self.refuse("path-style=false, but its bucket's name cannot stand in the name of a host")
            );
        }
        Ok(self)
    }

    fn refuse(&self, what: &str) -> Error {
        let mut shown = format!("s3://{}", self.bucket);
        if !self.prefix.is_empty() {
            shown = format!("{shown}/{}", self.prefix);
        }
        Error::usage(format!("the repository {shown} has {what}"))
    }
}

impl FromStr for S3Address {
    type Err = Error;

    /// Strict, and silent about what an error need not tell: somebody may have put credentials there.
    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: &str| {
            Error::usage(format!(
                "the address of the repository {why}; it must be like s3://bucket/prefix?region=eu-central-1"
            ))
        };
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("s3") => rest,
            _ => return Err(refuse("does not begin with s3://")),
        };
        if rest.contains('#') {
            return Err(refuse("has a fragment (`#`)"));
        }
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        if bucket.contains(['@', ':']) {
            return Err(refuse(
                "holds credentials or a port before the bucket, which belong in no S3 address",
            ));
        }
        if !is_bucket(bucket) {
            let why =
                "names no bucket: 3 to 63 of a-z, 0-9, `.` and `-` (elsewhere than at AWS also A-Z and `_`)";
            return Err(refuse(why));
        }
        let prefix = prefix.strip_suffix('/').filter(|prefix| !prefix.is_empty()).unwrap_or(prefix);
        if !is_prefix(prefix) {
            let why = "has a prefix that is none: visible ASCII without `%` and `\\`, without empty segments, `.` and `..`";
            return Err(refuse(why));
        }
        let mut address = S3Address {
            bucket: bucket.into(),
            prefix: prefix.into(),
            region: None,
            endpoint: None,
            path_style: None,
            profile: None,
        };
        for option in query.into_iter().flat_map(|query| query.split('&')) {
            address = address.with_option(option)?;
        }
        Ok(address)
    }
}

impl S3Address {
    fn with_option(self, option: &str) -> Result<Self> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let once = match name {
            "region" => self.region.is_none(),
            "endpoint" => self.endpoint.is_none(),
            "path-style" => self.path_style.is_none(),
            "profile" => self.profile.is_none(),
            name => {
                let why = format!(
                    "the option `{}`; there are region, endpoint, path-style and profile",
                    Words(name)
                );
                return Err(self.refuse(&why));
            }
        };
        let value = percent_decode_str(value).decode_utf8().ok().filter(|_| once);
        match (name, value.as_deref()) {
            ("region", Some(region)) => self.with_region(region),
            ("endpoint", Some(endpoint)) => self.with_endpoint(endpoint),
            ("path-style", Some("true")) => self.with_path_style(true),
            ("path-style", Some("false")) => self.with_path_style(false),
            ("path-style", Some(_)) => Err(self.refuse("a path-style that is neither true nor false")),
            ("profile", Some(profile)) if !profile.is_empty() && !profile.contains(char::is_control) => {
                Ok(S3Address { profile: Some(profile.into()), ..self })
            }
            _ => Err(self.refuse(&format!("the option `{name}` twice, or with a value that cannot be read"))),
        }
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
            write!(f, "{separator}{name}={}", utf8_percent_encode(value, VALUE))?;
        }
        Ok(())
    }
}

/// AWS's rules are narrower; other vendors allow what it once did.
fn is_bucket(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let is_end = |end: Option<u8>| end.is_some_and(|b| b.is_ascii_alphanumeric());
    (3..=63).contains(&name.len())
        && name.bytes().all(inner)
        && is_end(name.bytes().next())
        && is_end(name.bytes().last())
        && !name.contains("..")
}

fn is_prefix(prefix: &str) -> bool {
    let is_segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|b| b.is_ascii_graphic() && b != b'%' && b != b'\\')
    };
    prefix.is_empty() || (prefix.len() <= 512 && prefix.split('/').all(is_segment))
}

/// Whether a region is one that may stand in a host name and in a signature, whoever says so.
pub(super) fn is_region(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The domain of AWS's services in the partition that a region is of.
pub(super) fn dns_suffix(region: &str) -> &'static str {
    match region.split_once('-').map_or("", |(partition, _)| partition) {
        "cn" => "amazonaws.com.cn",
        "eusc" => "amazonaws.eu",
        _ if region.starts_with("us-iso-") => "c2s.ic.gov",
        _ if region.starts_with("us-isob-") => "sc2s.sgov.gov",
        _ if region.starts_with("us-isof-") => "csp.hci.ic.gov",
        _ if region.starts_with("eu-isoe-") => "cloud.adc-e.uk",
        _ => "amazonaws.com",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> S3Address {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_gives_the_url_that_the_bucket_answers_at() {
        for (text, url) in [
            ("s3://releases", "https://releases.s3.us-east-1.amazonaws.com/stable/VERSION"),
            ("s3://releases/", "https://releases.s3.us-east-1.amazonaws.com/stable/VERSION"),
            ("S3://releases/a/b/", "https://releases.s3.us-east-1.amazonaws.com/a/b/stable/VERSION"),
            (
                "s3://releases/demo?region=eu-central-1",
                "https://releases.s3.eu-central-1.amazonaws.com/demo/stable/VERSION",
            ),
            (
                "s3://releases?region=cn-north-1",
                "https://releases.s3.cn-north-1.amazonaws.com.cn/stable/VERSION",
            ),
            (
                "s3://releases?region=eusc-de-east-1",
                "https://releases.s3.eusc-de-east-1.amazonaws.eu/stable/VERSION",
            ),
            (
                "s3://releases.example.com?region=eu-central-1",
                "https://s3.eu-central-1.amazonaws.com/releases.example.com/stable/VERSION",
            ),
            (
                "s3://releases?path-style=true&region=eu-west-1",
                "https://s3.eu-west-1.amazonaws.com/releases/stable/VERSION",
            ),
            (
                "s3://releases/demo?endpoint=https://s3.example.com:9443&region=garage",
                "https://s3.example.com:9443/releases/demo/stable/VERSION",
            ),
            (
                "s3://releases?endpoint=https%3A%2F%2FS3.example.com%3A443%2F&path-style=false",
                "https://releases.s3.example.com/stable/VERSION",
            ),
            ("s3://My_Bucket?endpoint=http://[::1]:9000", "http://[::1]:9000/My_Bucket/stable/VERSION"),
            (
                "s3://releases/a=b+c@d,e~f!?endpoint=http://127.0.0.1:9000",
                "http://127.0.0.1:9000/releases/a%3Db%2Bc%40d%2Ce~f%21/stable/VERSION",
            ),
        ] {
            assert_eq!(address(text).url_of("stable/VERSION"), url, "{text}");
        }
    }

    #[test]
    fn an_address_reads_as_it_was_written() {
        for text in [
            "s3://releases",
            "s3://releases/demo/2026",
            "s3://releases/demo?region=eu-central-1",
            "s3://releases?region=us-east-1&endpoint=https://s3.example.com:9443&path-style=false&profile=ci",
            "s3://releases?profile=sso-Admin%20of%20caf%C3%A9%26co",
        ] {
            assert_eq!(address(text).to_string(), text);
        }
        let address = address("s3://releases?profile=a%26b&region=eu-west-1");
        assert_eq!(address.profile(), Some("a&b"));
        assert_eq!(address.to_string().parse::<S3Address>().unwrap(), address);
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_repeated() {
        for (text, why) in [
            ("https://releases", "does not begin with s3://"),
            ("s3:releases", "does not begin with s3://"),
            ("s3://AKIA:SECRET@releases", "holds credentials"),
            ("s3://releases:443/SECRET", "holds credentials or a port"),
            ("s3://releases/a#SECRET", "fragment"),
            ("s3://", "names no bucket"),
            ("s3:///SECRET", "names no bucket"),
            ("s3://ab", "names no bucket"),
            ("s3://a..b", "names no bucket"),
            ("s3://-ab", "names no bucket"),
            ("s3://ab-", "names no bucket"),
            ("s3://a%2fb", "names no bucket"),
            ("s3://caf\u{e9}", "names no bucket"),
            ("s3://releases/a//b", "has a prefix that is none"),
            ("s3://releases//", "has a prefix that is none"),
            ("s3://releases/../b", "has a prefix that is none"),
            ("s3://releases/.", "has a prefix that is none"),
            ("s3://releases/a%2fb", "has a prefix that is none"),
            ("s3://releases/a b", "has a prefix that is none"),
            ("s3://releases/a?secret-access-key=SECRET", "the option `secret-access-key`"),
            ("s3://releases?", "the option ``"),
            ("s3://releases?region=eu-west-1&region=eu-west-2", "the option `region` twice"),
            ("s3://releases?region=", "the region ``"),
            ("s3://releases?region=eu.example.com/", "the region `eu.example.com/`"),
            ("s3://releases?region=%ff", "a value that cannot be read"),
            ("s3://releases?profile=", "a value that cannot be read"),
            ("s3://releases?path-style=yes", "neither true nor false"),
            ("s3://releases?endpoint=s3.example.com", "must be https"),
            ("s3://releases?endpoint=/s3", "names no host"),
            ("s3://releases?endpoint=https://..", "a host that is none"),
            ("s3://releases?endpoint=https://s3..example.com", "a host that is none"),
            ("s3://releases?endpoint=https://.", "a host that is none"),
            ("s3://releases?endpoint=https://s3.example.com:99999", "a port that is none"),
            ("s3://releases?endpoint=https://s3.example.com:443x", "a port that is none"),
            ("s3://releases?endpoint=https://s3.example.com:", "a port that is none"),
            ("s3://releases?endpoint=http://s3.example.com", "must be https"),
            ("s3://releases?endpoint=http://localhost:9000", "must be https"),
            ("s3://releases?endpoint=https://s3.example.com/base", "and nothing more"),
            ("s3://releases?endpoint=https://s3.example.com?SECRET", "and nothing more"),
            ("s3://releases?endpoint=https://key:SECRET@s3.example.com", "an endpoint with credentials"),
            ("s3://releases?endpoint=https://10.0.0.1&path-style=false", "is an IP address"),
            ("s3://releases?path-style=false&endpoint=https://[::1]:9000", "is an IP address"),
            ("s3://My_Bucket?path-style=false", "cannot stand in the name of a host"),
        ] {
            let error = text.parse::<S3Address>().unwrap_err();
            let told = error.to_string();
            assert!(matches!(error, Error::Usage { .. }) && told.contains(why), "{text}: {told}");
            assert!(!told.contains("SECRET"), "{text}: {told}");
        }
    }

    #[test]
    fn what_the_caller_says_replaces_what_the_address_says() {
        let address = address("s3://releases/demo?region=eu-west-1&endpoint=https://one.example.com");
        let other =
            address.with_region("eu-west-2").unwrap().with_endpoint("https://two.example.com").unwrap();
        let other = other.with_path_style(false).unwrap();
        assert_eq!(other.region(), Some("eu-west-2"));
        assert_eq!(other.url_of("blobs/x"), "https://releases.two.example.com/demo/blobs/x");
        assert!(other.with_endpoint("https://[::1]").is_err());
    }
}
