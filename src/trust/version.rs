//! Versions of the two schemes that products use, and their order within a scheme.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::escape::Words;
use crate::limits;

/// SemVer 2.0.0 without build metadata, or a build number of a CI system.
///
/// There is no `Ord`, because versions of different schemes have no order. [`Version::compare`]
/// returns an error for them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Version {
    /// `[1-9][0-9]*`, below 2^64.
    Build(u64),
    /// Ordered by SemVer precedence. Build metadata is refused, because it has no precedence.
    SemVer(semver::Version),
}

/// The error of comparing two versions of different schemes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionSchemeChanged;

impl Version {
    /// The order of two versions of one scheme.
    ///
    /// # Errors
    /// [`VersionSchemeChanged`] if one is a build number and the other is SemVer.
    pub fn compare(&self, other: &Version) -> Result<Ordering, VersionSchemeChanged> {
        match (self, other) {
            (Version::Build(a), Version::Build(b)) => Ok(a.cmp(b)),
            (Version::SemVer(a), Version::SemVer(b)) => Ok(a.cmp_precedence(b)),
            _ => Err(VersionSchemeChanged),
        }
    }

    /// Whether both are build numbers, or both SemVer.
    pub fn same_scheme(&self, other: &Version) -> bool {
        self.compare(other).is_ok()
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| Err(format!("`{}` is not a version: {why}", Words(text)));
        if text.len() > limits::VERSION_BYTES {
            return refuse("longer than 128 bytes");
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return match text.parse() {
                Ok(number) if !text.starts_with('0') => Ok(Version::Build(number)),
                _ => refuse("a build number has no leading zero and is from 1 to 2^64-1"),
            };
        }
        let Ok(version) = semver::Version::parse(text) else {
            return refuse("neither SemVer (1.2.3, 1.2.3-rc.1) nor a build number (41)");
        };
        if !version.build.is_empty() {
            return refuse("build metadata (`+...`) has no order");
        }
        let numeric = |part: &&str| part.bytes().all(|b| b.is_ascii_digit());
        if version.pre.split('.').filter(numeric).any(|part| !part.is_empty() && part.parse::<u64>().is_err())
        {
            return refuse("its numbers must be below 2^64");
        }
        Ok(Version::SemVer(version))
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> String {
        version.to_string()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Version::Build(number) => number.fmt(f),
            Version::SemVer(version) => version.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn one_spelling_each() {
        for text in ["1", "18446744073709551615", "0.0.0", "1.2.3-rc.1", "1.0.0-18446744073709551615"] {
            assert_eq!(version(text).to_string(), text);
        }
        for text in [
            "",
            "0",
            "01",
            "18446744073709551616",
            "1.2",
            "v1.2.3",
            "1.2.3+build",
            "01.2.3",
            "1.2.3-01",
            "1.0.0-18446744073709551616",
            "1.2.3 ",
            "1.2.3\n",
            "١",
        ] {
            assert!(text.parse::<Version>().is_err(), "{text:?} must be refused");
        }
        assert!(format!("1.0.0-{}", "a".repeat(122)).parse::<Version>().is_ok());
        assert!(format!("1.0.0-{}", "a".repeat(123)).parse::<Version>().is_err());
    }

    #[test]
    fn order_within_a_kind_only() {
        assert_eq!(version("9").compare(&version("10")), Ok(Ordering::Less));
        assert_eq!(version("1.10.0").compare(&version("1.9.9")), Ok(Ordering::Greater));
        assert_eq!(version("1.0.0-rc.1").compare(&version("1.0.0")), Ok(Ordering::Less));
        assert_eq!(version("1.0.0").compare(&version("1")), Err(VersionSchemeChanged));
    }
}
