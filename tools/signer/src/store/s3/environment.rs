//! What AWS's own tools take from their surroundings for a bucket: configuration and credentials.

use std::sync::Arc;
use std::time::Duration;

use aws_config::meta::region::RegionProviderChain;
use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_types::service_config::ServiceConfigKey;
use relatch::source::S3Address;

use super::bucket::ANSWER;
use crate::aws::{self, Background, chain};

/// For credentials, all tries of all services that have a part in them.
const CREDENTIALS: Duration = Duration::from_secs(60);

/// What the machine says, as far as the address leaves it open.
pub(super) async fn load(address: &S3Address, keys: Option<Credentials>) -> SdkConfig {
    let mut loader = aws::loader(ANSWER, Some(CREDENTIALS));
    if let Some(keys) = keys {
        loader = loader.credentials_provider(keys);
    }
    if let Some(profile) = address.profile() {
        loader = loader.profile_name(profile);
    }
    match (address.region(), address.endpoint()) {
        (Some(region), _) => loader.region(Region::new(region.to_owned())).load().await,
        // The machine's own region, which an instance would be asked for, says nothing about another vendor's.
        (None, Some(_)) => {
            use aws_config::environment::EnvironmentVariableRegionProvider;
            use aws_config::profile::ProfileFileRegionProvider;
            let mut profile = ProfileFileRegionProvider::builder();
            profile = match address.profile() {
                Some(name) => profile.profile_name(name),
                None => profile,
            };
            let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                .or_else(profile.build());
            loader.region(region).load().await
        }
        (None, None) => loader.load().await,
    }
}

/// What the environment (`NAME_S3`, `NAME`) or the profile says.
pub(super) fn configured(config: &SdkConfig, variable: &str, of_profile: &str) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id("S3").env(variable).profile(of_profile).build().ok()?;
    config.service_config()?.load_config(key)
}

/// The credentials of writing, for reading.
pub(super) struct Shared {
    pub(super) provider: SharedCredentialsProvider,
    pub(super) runtime: Arc<Background>,
}

impl relatch::source::ProvideCredentials for Shared {
    fn credentials(&self) -> std::result::Result<relatch::source::Credentials, String> {
        let key = self.runtime.wait(self.provider.provide_credentials());
        let key = key.map_err(|error| chain(&error))?;
        let (id, secret, token) = (key.access_key_id(), key.secret_access_key(), key.session_token());
        let credentials = relatch::source::Credentials::new(id, secret, token);
        Ok(match key.expiry() {
            Some(at) => credentials.expiring(at),
            None => credentials,
        })
    }
}
