//! Providers of credentials.

use crate::source::s3::access_key::Credentials;

/// Provides credentials; implement it for a source of your own.
pub trait ProvideCredentials: Send + Sync + 'static {
    /// Returns credentials that are valid now. The client calls this again before they expire, and
    /// when S3 reports that they have expired.
    ///
    /// It may block for as long as a check may take. At the deadline the check stops waiting for
    /// it.
    ///
    /// # Errors
    /// Why there are no credentials, as a message without secrets.
    fn credentials(&self) -> Result<Credentials, String>;
}

/// Why a provider of the chain returned no credentials.
pub(super) enum ProviderError {
    /// The provider is not configured, so the next one is tried.
    NotConfigured(String),
    /// The provider is configured and failed, so the search ends.
    Failed(String),
}

pub(super) type ProviderResult = Result<Credentials, ProviderError>;

impl ProviderError {
    /// For a provider that the user selected: if it is not configured, it has failed.
    pub(super) fn into_failed(self) -> ProviderError {
        ProviderError::Failed(self.into_message())
    }

    pub(super) fn into_message(self) -> String {
        let (ProviderError::NotConfigured(why) | ProviderError::Failed(why)) = self;
        why
    }
}
