//! What AWS's own tools take from their surroundings: configuration, credentials, proxies, certificates.

use std::sync::Arc;
use std::time::Duration;

use aws_config::meta::region::RegionProviderChain;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_types::service_config::ServiceConfigKey;
use http_body_util::Limited;
use relatch::source::S3Address;
use tokio::runtime::{Handle, Runtime};

use super::bucket::{ANSWER, CONNECT};
use super::failed::chain;
use crate::{Failure, Result};

/// For credentials, all tries of all services that have a part in them.
const CREDENTIALS: Duration = Duration::from_secs(60);
/// A page of a list has some hundred kilobytes; blobs are read by the client's code, which has limits of its own.
const LONGEST_ANSWER: usize = 8 * 1024 * 1024;

/// The standard configuration: `AWS_*` variables, profiles, single sign-on, web identity, containers, instances.
pub(super) async fn load(address: &S3Address, keys: Option<Credentials>) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client())
        .retry_config(RetryConfig::standard())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT)
                .operation_attempt_timeout(ANSWER)
                .operation_timeout(CREDENTIALS)
                .build(),
        );
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

/// TLS by ring, the platform's certificates, the proxies of the environment, and an end to every answer.
fn http_client() -> SharedHttpClient {
    let client = aws_smithy_http_client::Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder()
            .proxy_config(proxies())
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring));
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    });
    SharedHttpClient::new(Ended(client))
}

/// Ends an answer that has no end.
#[derive(Debug)]
struct Ended<T>(T);

impl HttpClient for Ended<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Ended(self.0.http_connector(settings, components)))
    }
}

impl HttpConnector for Ended<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let mut answer = answer.await?;
            let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
            *answer.body_mut() = SdkBody::from_body_1_x(Limited::new(body, LONGEST_ANSWER));
            Ok(answer)
        })
    }
}

/// For https only: plain http goes to this machine, and to the services of a cloud's instance.
fn proxies() -> ProxyConfig {
    let variable = |names: [&str; 2]| {
        names.into_iter().filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty())
    };
    let proxy = variable(["https_proxy", "HTTPS_PROXY"]).or_else(|| variable(["all_proxy", "ALL_PROXY"]));
    let with_scheme = |proxy: String| if proxy.contains("://") { proxy } else { format!("http://{proxy}") };
    let Some(Ok(proxy)) = proxy.map(with_scheme).map(ProxyConfig::https) else {
        return ProxyConfig::disabled();
    };
    match variable(["no_proxy", "NO_PROXY"]) {
        Some(rules) => proxy.no_proxy(rules),
        None => proxy,
    }
}

/// The credentials of writing, for reading.
pub(super) struct Shared {
    pub(super) provider: SharedCredentialsProvider,
    pub(super) runtime: Arc<Background>,
}

impl relatch::source::ProvideCredentials for Shared {
    fn credentials(&self) -> std::result::Result<relatch::source::Credentials, String> {
        let key = self.runtime.handle.block_on(self.provider.provide_credentials());
        let key = key.map_err(|error| chain(&error))?;
        let (id, secret, token) = (key.access_key_id(), key.secret_access_key(), key.session_token());
        let credentials = relatch::source::Credentials::new(id, secret, token);
        Ok(match key.expiry() {
            Some(at) => credentials.expiring(at),
            None => credentials,
        })
    }
}

/// The threads on which requests run; left behind when dropped, whatever a resolver still waits for.
pub(super) struct Background {
    pub(super) handle: Handle,
    runtime: Option<Runtime>,
}

impl Background {
    pub(super) fn start() -> Result<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).thread_name("signer-s3").enable_all().build();
        let runtime = runtime.map_err(Failure::io("start threads for", "s3".as_ref()))?;
        Ok(Background { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
