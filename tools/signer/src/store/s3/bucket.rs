//! A bucket as AWS's own tools would find it: credentials, region and endpoint from where they take them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::meta::region::RegionProviderChain;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, HttpClient, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_types::service_config::ServiceConfigKey;
use relatch::source::{Bounded, S3, S3Address};
use tokio::runtime::{Handle, Runtime};

use super::failed::{Failed, chain};
use crate::store::Server;
use crate::{Failure, Result};

/// To connect, DNS and TLS included.
const CONNECT: Duration = Duration::from_secs(5);
/// For the answer to a small request.
const ANSWER: Duration = Duration::from_secs(30);
/// For credentials, all tries of all services that have a part in them.
const CREDENTIALS: Duration = Duration::from_secs(60);
/// Bytes a second below which an upload counts as stuck.
const SLOWEST: u64 = 64 * 1024;
/// Tries of one request; between them the SDK waits up to 1, 2 and 4 s.
const TRIES: u32 = 4;
/// Of an address that names none, where the environment and the profile name none either.
const DEFAULT_REGION: &str = "us-east-1";

/// What is asked of a bucket, by callers that wait.
pub(super) struct Bucket {
    /// Where it is, with what the environment added.
    pub(super) address: S3Address,
    /// For small requests.
    pub(super) client: Client,
    /// The same without a second try, where it matters which try it was that took effect.
    pub(super) once: Client,
    /// Whether `AWS_REQUEST_CHECKSUM_CALCULATION` or a profile asks for CRC32.
    pub(super) checksums: bool,
    /// The client's own way to read it.
    pub(super) source: Bounded,
    nonce: u64,
    tokens: AtomicU64,
    runtime: Arc<Background>,
}

impl Bucket {
    pub(super) fn open(location: &str, server: &Server, keys: Option<Credentials>) -> Result<Self> {
        let mut address: S3Address = location.parse()?;
        if let Some(endpoint) = &server.endpoint {
            address = address.with_endpoint(endpoint)?;
        }
        if let Some(region) = &server.region {
            address = address.with_region(region)?;
        }
        if server.path_style {
            address = address.with_path_style(true)?;
        }
        let runtime = Arc::new(Background::start()?);
        let config = runtime.handle.block_on(load(&address, keys));
        if address.endpoint().is_none()
            && let Some(endpoint) = configured(&config, "AWS_ENDPOINT_URL", "endpoint_url")
        {
            address = address.with_endpoint(&endpoint)?;
        }
        if address.region().is_none() {
            address = address.with_region(config.region().map_or(DEFAULT_REGION, Region::as_ref))?;
        }
        // Every body here is in memory, so that its SHA-256 is part of the signature, and what was published is read back and hashed. A
        // CRC32 on top would only shut out servers that do not know it. Buckets with Object Lock want one all the same; who has such a
        // bucket asks for it.
        let asked = configured(&config, "AWS_REQUEST_CHECKSUM_CALCULATION", "request_checksum_calculation");
        let checksums = asked.is_some_and(|asked| asked.eq_ignore_ascii_case("when_supported"));
        let asked = match checksums {
            true => RequestChecksumCalculation::WhenSupported,
            false => RequestChecksumCalculation::WhenRequired,
        };
        let mut builder = Builder::from(&config)
            .region(address.region().map(|region| Region::new(region.to_owned())))
            .force_path_style(address.is_path_style())
            .request_checksum_calculation(asked)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .timeout_config(timeouts(ANSWER))
            .retry_config(RetryConfig::standard().with_max_attempts(TRIES));
        builder.set_endpoint_url(address.endpoint().map(str::to_owned));
        let mut source = S3::at(address.clone());
        if let Some(provider) = config.credentials_provider() {
            source = source.credentials(Shared { provider, runtime: Arc::clone(&runtime) });
        }
        let once = builder.clone().retry_config(RetryConfig::disabled());
        Ok(Bucket {
            client: Client::from_conf(builder.build()),
            once: Client::from_conf(once.build()),
            checksums,
            address,
            source: Bounded::new(source),
            nonce: random()?,
            tokens: AtomicU64::new(0),
            runtime,
        })
    }

    /// A client with time for bodies of this size.
    pub(super) fn client_for(&self, bytes: u64) -> Client {
        let builder = self.client.config().to_builder();
        let time = ANSWER + Duration::from_secs(bytes / SLOWEST);
        Client::from_conf(builder.timeout_config(timeouts(time)).build())
    }

    /// The answer.
    pub(super) fn wait<T>(&self, asked: impl Future<Output = T>) -> T {
        self.runtime.handle.block_on(asked)
    }

    /// As a person is told.
    pub(super) fn failure(&self, failed: Failed) -> Failure {
        failed.into_failure(&self.address)
    }

    /// 16 hex digits that no other publisher has, and not twice.
    pub(super) fn token(&self) -> String {
        format!("{:016x}", self.nonce.wrapping_add(self.tokens.fetch_add(1, Ordering::Relaxed)))
    }

    /// From 0 to 1, for each publisher another one.
    pub(super) fn jitter(&self) -> f64 {
        f64::from(self.nonce as u32) / f64::from(u32::MAX)
    }

    /// Where what is not waited for yet goes on.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime.handle
    }
}

/// The standard configuration: `AWS_*` variables, profiles, single sign-on, web identity, containers, instances.
async fn load(address: &S3Address, keys: Option<Credentials>) -> SdkConfig {
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
fn configured(config: &SdkConfig, variable: &str, of_profile: &str) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id("S3").env(variable).profile(of_profile).build().ok()?;
    config.service_config()?.load_config(key)
}

fn timeouts(time: Duration) -> TimeoutConfig {
    let builder = TimeoutConfig::builder().connect_timeout(CONNECT);
    builder.read_timeout(time).operation_attempt_timeout(time).build()
}

/// TLS by ring, the platform's certificates, and the proxies of the environment.
fn http_client() -> impl HttpClient + 'static {
    aws_smithy_http_client::Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder()
            .proxy_config(proxies())
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring));
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    })
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

fn random() -> Result<u64> {
    getrandom::u64().map_err(|error| {
        Failure::io("get random bytes for", "s3".as_ref())(std::io::Error::other(error.to_string()))
    })
}

/// The credentials of writing, for reading.
struct Shared {
    provider: SharedCredentialsProvider,
    runtime: Arc<Background>,
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
struct Background {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Background {
    fn start() -> Result<Self> {
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
