//! The whole chain of AWS's SDK, on a runtime of its own.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::thread;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use tokio::runtime::{Builder, Runtime};

use super::Credentials;
use crate::escape::Words;
use crate::source::s3::address::S3Address;
use crate::source::s3::place::Configured;

/// AWS's own configuration, loaded when first needed.
pub(in crate::source::s3) struct Sdk {
    region: Option<String>,
    profile: Option<String>,
    loaded: Mutex<Option<Loaded>>,
}

struct Loaded {
    runtime: Runtime,
    config: SdkConfig,
}

impl Sdk {
    pub(in crate::source::s3) fn new(address: &S3Address) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Sdk { region: owned(address.region()), profile: owned(address.profile()), loaded: Mutex::default() }
    }

    /// What the address leaves open.
    pub(in crate::source::s3) fn configured(&self) -> Result<Configured, String> {
        self.on_runtime(async |config| Configured {
            region: config.region().map(ToString::to_string),
            endpoint: config.endpoint_url().map(str::to_owned),
        })
    }

    pub(in crate::source::s3) fn credentials(&self) -> Result<Credentials, String> {
        self.on_runtime(async |config| {
            let provider = config.credentials_provider().ok_or("AWS's chain of credentials is empty")?;
            let key = provider.provide_credentials().await.map_err(|error| {
                // What lies under it may quote a document.
                let said = Words(error.to_string()).to_string();
                format!(
                    "none were found by AWS's own chain (environment, profile with SSO, web identity, container, instance metadata): {said}"
                )
            })?;
            Ok(Credentials { key, origin: "AWS's own chain" })
        })?
    }

    /// On a thread of its own, because a runtime must not wait inside another, which the caller's thread may be in.
    fn on_runtime<T: Send>(&self, work: impl AsyncFnOnce(&SdkConfig) -> T + Send) -> Result<T, String> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        thread::scope(|scope| {
            let loaded = &mut *loaded;
            let done = thread::Builder::new().name("relatch-sdk".into()).spawn_scoped(scope, move || {
                if loaded.is_none() {
                    let runtime = Builder::new_current_thread().enable_all().build();
                    let runtime = runtime.map_err(|error| format!("the runtime does not start: {error}"))?;
                    let config = runtime.block_on(self.load());
                    *loaded = Some(Loaded { runtime, config });
                }
                let Some(Loaded { runtime, config }) = loaded else {
                    return Err("nothing was loaded".into());
                };
                Ok(runtime.block_on(work(config)))
            });
            let done = done.map_err(|error| format!("no thread for AWS's chain of credentials: {error}"))?;
            done.join().map_err(|_| "AWS's chain of credentials failed unexpectedly")?
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
        // Dropped as it is, a runtime would wait for what it still does, which may not be done inside another one.
        let loaded = self.loaded.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(Loaded { runtime, .. }) = loaded.take() {
            runtime.shutdown_background();
        }
    }
}
