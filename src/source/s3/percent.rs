//! Sets of characters for percent-encoding (RFC 3986 section 2.1).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// Encodes all but RFC 3986's unreserved characters, as SigV4 requires.
pub(super) const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The same, except for the separator in an object's key.
pub(super) const KEY: &AsciiSet = &STRICT.remove(b'/');

/// For a value in the query of an `s3:` address, so that an endpoint stays readable.
pub(super) const OPTION: &AsciiSet = &KEY.remove(b':').remove(b'[').remove(b']').remove(b'@');
