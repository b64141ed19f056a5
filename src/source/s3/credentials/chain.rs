//! The order in which credentials are searched for, as AWS documents it.

use super::files::SharedFiles;
use super::provider::{ProvideCredentials, ProviderError, ProviderResult};
use super::services::Services;
use super::{environment, profile};
use crate::source::s3::access_key::Credentials;

/// The environment, the profile, a web identity, the container, the machine; or the profile alone
/// if the address names one.
pub(in crate::source::s3) struct ProviderChain {
    /// The profile that the address names.
    pub(in crate::source::s3) profile: Option<String>,
    pub(in crate::source::s3) services: Services,
}

impl ProviderChain {
    fn profile(&self) -> ProviderResult {
        profile::credentials(self.profile.as_deref(), &self.services, &SharedFiles::read())
    }
}

impl ProvideCredentials for ProviderChain {
    fn credentials(&self) -> Result<Credentials, String> {
        type Provider<'a> = &'a dyn Fn(&ProviderChain) -> ProviderResult;
        let all: [Provider<'_>; 5] = [
            &|_| environment::credentials(),
            &ProviderChain::profile,
            &|chain| chain.services.web_identity(),
            &|chain| chain.services.container(),
            &|chain| chain.services.instance(),
        ];
        let named: [Provider<'_>; 1] = [&ProviderChain::profile];
        let mut tried = Vec::new();
        for provider in if self.profile.is_some() { &named[..] } else { &all[..] } {
            match provider(self) {
                Ok(credentials) => return Ok(credentials),
                Err(ProviderError::NotConfigured(why)) => tried.push(why),
                Err(ProviderError::Failed(why)) => return Err(why),
            }
        }
        Err(format!("no credentials were found. Tried: {}", tried.join("; ")))
    }
}
