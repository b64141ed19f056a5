//! How AWS, and what speaks its protocols, is talked to: configured as its own tools are, with TLS by ring, through the proxies of the
//! environment, and with an end to every answer.

use std::error::Error;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader};
use aws_smithy_http_client::{Builder, Connector, proxy::ProxyConfig, tls};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;
use relatch::Printable;
use tokio::runtime::{Handle, Runtime};

/// To connect, DNS and TLS included.
pub const CONNECT: Duration = Duration::from_secs(5);
/// A page of a list has some hundred kilobytes, and every other answer less; blobs are read by the client's code, which has limits of its
/// own.
const LONGEST_ANSWER: usize = 8 * 1024 * 1024;

/// The standard configuration: `AWS_*` variables, profiles, single sign-on, web identity, containers, instances. Each try may take
/// `attempt`, and all tries of one question `operation`, where the caller has no clock of its own.
pub fn loader(attempt: Duration, operation: Option<Duration>) -> ConfigLoader {
    let mut timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(attempt);
    timeouts.set_operation_timeout(operation);
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(http_client())
        .retry_config(RetryConfig::standard())
        .timeout_config(timeouts.build())
}

fn http_client() -> SharedHttpClient {
    let client = Builder::new().build_with_connector_fn(|settings, components| {
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

/// The threads on which requests run; left behind when dropped, whatever a resolver still waits for.
pub struct Background {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Background {
    pub fn start() -> std::io::Result<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).thread_name("signer-aws").enable_all().build()?;
        Ok(Background { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// The answer, on the thread that asks.
    pub fn wait<T>(&self, asked: impl Future<Output = T>) -> T {
        self.handle.block_on(asked)
    }

    /// Where what is not waited for yet goes on.
    #[cfg(feature = "s3")]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// An error and its causes.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause| (*cause).source())
}

/// What they say, once each, on one line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    for cause in causes(error) {
        let text = cause.to_string();
        if !said.iter().any(|said| said.contains(&text)) {
            said.push(text);
        }
    }
    printable(&said.join(": ").split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Text from outside, made safe to print: control and other invisible characters are escaped, and it has an end. AWS names caller, action
/// and resource in one long sentence and gives the reason last.
pub fn printable(text: &str) -> String {
    Printable(text.chars().take(600).collect::<String>()).to_string()
}
