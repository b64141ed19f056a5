//! The credential chain of AWS's SDK, on a Tokio runtime of its own.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::thread;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use tokio::runtime::{Builder, Runtime};

use super::defaults::Defaults;
use crate::escape::Message;
use crate::source::s3::access_key::Credentials;
use crate::source::s3::address::S3Address;

/// The configuration of AWS's SDK, loaded on first use.
pub(in crate::source::s3) struct Sdk {
    region: Option<String>,
    profile: Option<String>,
    context: Mutex<Option<SdkContext>>,
}

struct SdkContext {
    runtime: Runtime,
    config: SdkConfig,
}

impl Sdk {
    pub(in crate::source::s3) fn new(address: &S3Address) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Sdk { region: owned(address.region()), profile: owned(address.profile()), context: Mutex::default() }
    }

    /// The region and endpoint of the SDK's configuration.
    pub(in crate::source::s3) fn defaults(&self) -> Result<Defaults, String> {
        self.on_runtime(async |config| Defaults {
            region: config.region().map(ToString::to_string),
            endpoint: config.endpoint_url().map(str::to_owned),
        })
    }

    /// The credentials of the SDK's chain.
    pub(in crate::source::s3) fn credentials(&self) -> Result<Credentials, String> {
        self.on_runtime(async |config| {
            let provider =
                config.credentials_provider().ok_or("the credential chain of AWS's SDK is empty")?;
            let key = provider.provide_credentials().await.map_err(|error| {
                // Without the error's source, which may quote credentials.
                let why = Message(error.to_string()).to_string();
                format!(
                    "AWS's SDK found no credentials (environment, profile with SSO, web identity, \
                     container, instance metadata): {why}"
                )
            })?;
            Ok(Credentials::of_sdk(key))
        })?
    }

    /// Runs `work` on a thread of its own: the caller's thread may already run a Tokio runtime,
    /// inside which another one must not block.
    fn on_runtime<T: Send>(&self, work: impl AsyncFnOnce(&SdkConfig) -> T + Send) -> Result<T, String> {
        let mut context = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        thread::scope(|scope| {
            let context = &mut *context;
            let done = thread::Builder::new().name("relatch-sdk".into()).spawn_scoped(scope, move || {
                if context.is_none() {
                    let runtime = Builder::new_current_thread().enable_all().build();
                    let runtime = runtime
                        .map_err(|error| format!("cannot start a Tokio runtime for AWS's SDK: {error}"))?;
                    let config = runtime.block_on(self.load());
                    *context = Some(SdkContext { runtime, config });
                }
                let Some(SdkContext { runtime, config }) = context else {
                    return Err("the configuration of AWS's SDK was not loaded".into());
                };
                Ok(runtime.block_on(work(config)))
            });
            let done = done.map_err(|error| format!("cannot start a thread for AWS's SDK: {error}"))?;
            done.join().map_err(|_| "AWS's SDK panicked")?
        })
    }

    fn load(&self) -> impl Future<Output = SdkConfig> {
        let tls = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(tls.build_https());
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &self.profile {
            loader = loader.profile_name(profile);
        }
        loader.load()
    }
}

impl Drop for Sdk {
    fn drop(&mut self) {
        // Dropping a runtime would block until its tasks end, which panics inside another runtime.
        let context = self.context.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(SdkContext { runtime, .. }) = context.take() {
            runtime.shutdown_background();
        }
    }
}
