//! Environment variables.

use zeroize::Zeroizing;

use super::provider::{ProviderError, ProviderResult};
use crate::source::s3::access_key::Credentials;

/// The trimmed value of an environment variable; `None` if it is unset or empty.
pub(in crate::source::s3) fn var(name: &str) -> Option<String> {
    let value = std::env::var(name).ok()?;
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// The credentials of `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
pub(super) fn credentials() -> ProviderResult {
    let not_set = |name| Err(ProviderError::NotConfigured(format!("environment: {name} is not set")));
    match (var("AWS_ACCESS_KEY_ID"), var("AWS_SECRET_ACCESS_KEY")) {
        (Some(id), Some(secret)) => {
            let (secret, token) = (Zeroizing::new(secret), var("AWS_SESSION_TOKEN").map(Zeroizing::new));
            let token = token.as_ref().map(|token| token.as_str());
            Ok(Credentials::of(&id, &secret, token, None, "the environment"))
        }
        (None, _) => not_set("AWS_ACCESS_KEY_ID"),
        (_, None) => not_set("AWS_SECRET_ACCESS_KEY"),
    }
}
