//! From the address of a repository to its source.

use std::path::PathBuf;

use super::Source;
use super::dir::Dir;
#[cfg(feature = "https")]
use super::https::Https;
#[cfg(feature = "s3")]
use super::s3::S3;
use super::url::shown;
use crate::error::{Error, Result};
use crate::escape::Words;

/// The source for an address: `https://host/path`, `s3://bucket/prefix`, or a directory.
///
/// # Errors
/// [`Error::Usage`] if the address is invalid or empty, or if this build cannot read its scheme.
/// Plain `http:` is never readable here.
pub fn from_location(location: &str) -> Result<Box<dyn Source>> {
    match scheme_of(location).as_deref() {
        #[cfg(feature = "https")]
        Some("https") => Ok(Box::new(Https::new(location)?)),
        #[cfg(feature = "s3")]
        Some("s3") => Ok(Box::new(S3::new(location)?)),
        Some(scheme) => Err(unsupported(location, scheme)),
        None if location.is_empty() => Err(Error::usage("the repository address is empty")),
        None => Ok(Box::new(Dir::new(PathBuf::from(location)))),
    }
}

/// [`from_location`] with additional certificate authorities from a PEM file, for `https:` and
/// `s3:` hosts with an internal CA.
///
/// # Errors
/// As [`from_location`]; [`Error::Local`] if `ca_file` is not a readable regular file;
/// [`Error::Usage`] if it contains no certificate or is larger than
/// [`limits::CA_FILE`](crate::limits::CA_FILE), or if the repository is a directory.
#[cfg(feature = "https")]
pub fn from_location_with_ca_file(location: &str, ca_file: &std::path::Path) -> Result<Box<dyn Source>> {
    match scheme_of(location).as_deref() {
        #[cfg(feature = "s3")]
        Some("s3") => Ok(Box::new(S3::new(location)?.ca_file(ca_file)?)),
        _ => Ok(Box::new(Https::new(location)?.ca_file(ca_file)?)),
    }
}

/// In lower case, because schemes are case-insensitive (RFC 3986 section 3.1).
fn scheme_of(location: &str) -> Option<String> {
    location.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase())
}

fn unsupported(location: &str, scheme: &str) -> Error {
    let known = match (cfg!(feature = "https"), cfg!(feature = "s3")) {
        (_, true) => "`https:`, `s3:` and directories",
        (true, _) => "`https:` and directories",
        (false, _) => "directories",
    };
    let hint = if scheme == "s3" { " (built without relatch's feature `s3`)" } else { "" };
    Error::usage(format!(
        "unsupported repository address {}: this program reads {known}, not `{}:`{hint}",
        shown(location),
        Words(scheme)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_by_its_scheme_or_refused_without_its_query() {
        let refusal = |location: &str| from_location(location).err().map(|error| error.to_string());
        assert_eq!(refusal("some/directory"), None);
        assert_eq!(refusal("HTTPS://releases.example.com").is_none(), cfg!(feature = "https"));
        let refused = refusal("http://user:SECRET@releases.example.com/demo?SECRET").unwrap();
        assert!(refused.contains("http://releases.example.com/demo:"), "{refused}");
        assert!(refused.contains("not `http:`") && !refused.contains("SECRET"), "{refused}");
        for location in [
            "http://user:SE/CRET@releases.example.com/demo",
            "https://user:SE/CRET@releases.example.com/demo",
        ] {
            let refused = refusal(location).unwrap();
            assert!(!refused.contains("CRET") && !refused.contains("SE"), "{refused}");
        }
        let refused = refusal("S3://releases/demo");
        assert_eq!(refused.is_none(), cfg!(feature = "s3"));
        assert!(refused.is_none_or(|refused| refused.contains("without relatch's feature `s3`")));
    }
}
