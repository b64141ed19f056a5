//! The configuration and credentials that AWS's own tools would use for a bucket.

use std::sync::Arc;

use aws_config::meta::region::RegionProviderChain;
use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_types::service_config::ServiceConfigKey;
use relatch::source::S3Address;

use crate::aws::{self, Background, chain};
use crate::limits;

/// The configuration of this machine, for everything that the address does not specify.
pub(super) async fn load(address: &S3Address, keys: Option<Credentials>) -> SdkConfig {
    let mut loader = aws::loader(limits::S3_ATTEMPT, Some(limits::S3_CREDENTIALS));
    if let Some(keys) = keys {
        loader = loader.credentials_provider(keys);
    }
    if let Some(profile) = address.profile() {
        loader = loader.profile_name(profile);
    }
    match (address.region(), address.endpoint()) {
        (Some(region), _) => loader.region(Region::new(region.to_owned())).load().await,
        // The region of the AWS instance that this runs on has no meaning for another vendor's
        // server, so that the instance metadata service is not queried.
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

/// A setting from the environment (`NAME_S3`, `NAME`) or the profile.
pub(super) fn configured(config: &SdkConfig, variable: &str, of_profile: &str) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id("S3").env(variable).profile(of_profile).build().ok()?;
    config.service_config()?.load_config(key)
}

/// The credentials for writing, also used for reading.
pub(super) struct SharedCredentials {
    pub(super) provider: SharedCredentialsProvider,
    pub(super) runtime: Arc<Background>,
}

impl relatch::source::ProvideCredentials for SharedCredentials {
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
