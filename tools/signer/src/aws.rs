//! The connection to AWS and to servers that speak its protocols: configured as AWS's own tools
//! are, with TLS by ring, through the proxies of the environment, and with a bound on every answer.

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

use crate::limits;

/// The standard configuration: `AWS_*` variables, profiles, single sign-on, web identity,
/// containers, instances. Each attempt may take `attempt`, and all attempts of one operation
/// `operation`, unless the caller has its own timeout.
pub(crate) fn loader(attempt: Duration, operation: Option<Duration>) -> ConfigLoader {
    let mut timeouts =
        TimeoutConfig::builder().connect_timeout(limits::CONNECT).operation_attempt_timeout(attempt);
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
    SharedHttpClient::new(BoundedBody(client))
}

/// Ends every answer after [`limits::ANSWER_BODY`] bytes.
#[derive(Debug)]
struct BoundedBody<T>(T);

impl HttpClient for BoundedBody<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(BoundedBody(self.0.http_connector(settings, components)))
    }
}

impl HttpConnector for BoundedBody<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let mut answer = answer.await?;
            let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
            *answer.body_mut() = SdkBody::from_body_1_x(Limited::new(body, limits::ANSWER_BODY));
            Ok(answer)
        })
    }
}

/// Only for https: plain http is used to reach this machine, and the metadata services of a cloud
/// instance.
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

/// The threads on which requests run. Dropping it does not wait for them: a DNS resolver may block.
pub(crate) struct Background {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Background {
    pub(crate) fn start() -> std::io::Result<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).thread_name("signer-aws").enable_all().build()?;
        Ok(Background { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Blocks the calling thread until the future is complete.
    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.handle.block_on(future)
    }

    /// For tasks that run while the caller does something else.
    #[cfg(feature = "s3")]
    pub(crate) fn handle(&self) -> &Handle {
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
pub(crate) fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause| (*cause).source())
}

/// The texts of an error and its causes on one line, without repetitions, as an [`excerpt`].
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in causes(error) {
        let text = cause.to_string();
        if !texts.iter().any(|earlier| earlier.contains(&text)) {
            texts.push(text);
        }
    }
    excerpt(&texts.join(": ").split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A text as [`Printable`] displays it. An ellipsis replaces what is beyond the first
/// [`limits::AWS_MESSAGE`] characters.
pub(crate) fn excerpt(text: &str) -> String {
    let mut rest = text.chars();
    let mut shown = Printable(rest.by_ref().take(limits::AWS_MESSAGE).collect::<String>()).to_string();
    if rest.next().is_some() {
        shown.push('…');
    }
    shown
}
