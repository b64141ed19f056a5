//! Parsing the address of a bucket.

use std::str::FromStr;

use percent_encoding::percent_decode_str;

use super::S3Address;
use crate::error::{Error, Result};
use crate::escape::Words;

impl FromStr for S3Address {
    type Err = Error;

    /// Strict. Errors quote no more of the text than they need to, because it may contain
    /// credentials by mistake.
    fn from_str(text: &str) -> Result<Self> {
        let invalid = |why: &str| {
            Error::usage(format!(
                "the repository address {why}; expected one such as s3://bucket/prefix?region=eu-central-1"
            ))
        };
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("s3") => rest,
            _ => return Err(invalid("does not begin with s3://")),
        };
        if rest.contains('#') {
            return Err(invalid("has a fragment (`#`)"));
        }
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        if bucket.contains(['@', ':']) {
            let why = "contains credentials or a port before the bucket, which do not belong in it";
            return Err(invalid(why));
        }
        if !is_bucket(bucket) {
            let why =
                "has an invalid bucket name: 3 to 63 of a-z, 0-9, `.` and `-` (also A-Z and `_` outside AWS)";
            return Err(invalid(why));
        }
        let prefix = prefix.strip_suffix('/').filter(|prefix| !prefix.is_empty()).unwrap_or(prefix);
        if !is_prefix(prefix) {
            let why = "has an invalid prefix: visible ASCII without `%` and `\\`, and no segment empty, `.` or `..`";
            return Err(invalid(why));
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
        let is_set = match name {
            "region" => self.region.is_some(),
            "endpoint" => self.endpoint.is_some(),
            "path-style" => self.path_style.is_some(),
            "profile" => self.profile.is_some(),
            name => {
                let known = "region, endpoint, path-style and profile";
                return Err(self.invalid(&format!("unknown option `{}`; known are {known}", Words(name))));
            }
        };
        if is_set {
            return Err(self.invalid(&format!("the option `{name}` occurs twice")));
        }
        let value = percent_decode_str(value).decode_utf8().ok();
        match (name, value.as_deref()) {
            ("region", Some(region)) => self.with_region(region),
            ("endpoint", Some(endpoint)) => self.with_endpoint(endpoint),
            ("path-style", Some("true")) => self.with_path_style(true),
            ("path-style", Some("false")) => self.with_path_style(false),
            ("path-style", Some(_)) => Err(self.invalid("path-style is neither true nor false")),
            ("profile", Some(profile)) if !profile.is_empty() && !profile.contains(char::is_control) => {
                Ok(S3Address { profile: Some(profile.into()), ..self })
            }
            ("profile", Some(_)) => Err(self.invalid("profile is empty or contains control characters")),
            _ => Err(self.invalid(&format!("the value of the option `{name}` is not UTF-8"))),
        }
    }
}

/// Wider than AWS's current rules: other vendors still allow what AWS once did.
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
