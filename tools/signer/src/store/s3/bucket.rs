//! A bucket: its address, and clients with suitable timeouts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_config::Region;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_runtime::client::retries::classifiers::HttpStatusCodeClassifier;
use relatch::source::{Fetcher, S3, S3Address};
use tokio::runtime::Handle;

use super::environment::{SharedCredentials, configured, load};
use super::request_error::RequestError;
use crate::aws::Background;
use crate::limits::{
    BODIES_IN_FLIGHT, CONNECT, S3_ATTEMPT, S3_ATTEMPTS, S3_MINIMUM_RATE, S3_SMALL_BODY, WHOLE_BODY,
};
use crate::store::S3Options;
use crate::{Failure, Result};

/// The region if neither the address, the environment nor the profile has one.
const DEFAULT_REGION: &str = "us-east-1";

/// A bucket. Its requests block the calling thread.
pub(super) struct Bucket {
    /// The address, completed from the environment.
    pub(super) address: S3Address,
    /// For small requests.
    pub(super) client: Client,
    /// For requests that must not be retried, because it matters which attempt took effect.
    pub(super) once: Client,
    /// For requests with a body of up to [`WHOLE_BODY`] bytes.
    bulk: Client,
    /// Whether `AWS_REQUEST_CHECKSUM_CALCULATION` or a profile requires CRC32.
    pub(super) checksums: bool,
    /// Reads the repository by the client's own code.
    pub(super) source: Fetcher,
    nonce: u64,
    tokens: AtomicU64,
    runtime: Arc<Background>,
}

impl Bucket {
    pub(super) fn open(location: &str, options: &S3Options, keys: Option<Credentials>) -> Result<Self> {
        let mut address: S3Address = location.parse()?;
        if let Some(endpoint) = &options.endpoint {
            address = address.with_endpoint(endpoint)?;
        }
        if let Some(region) = &options.region {
            address = address.with_region(region)?;
        }
        if options.path_style {
            address = address.with_path_style(true)?;
        }
        let runtime = Background::start().map_err(Failure::io("start threads for", location.as_ref()))?;
        let runtime = Arc::new(runtime);
        let config = runtime.wait(load(&address, keys));
        if address.endpoint().is_none()
            && let Some(endpoint) = configured(&config, "AWS_ENDPOINT_URL", "endpoint_url")
        {
            address = address.with_endpoint(&endpoint)?;
        }
        if address.region().is_none() {
            address = address.with_region(config.region().map_or(DEFAULT_REGION, Region::as_ref))?;
        }
        // Every body is in memory, so that the request signature covers its SHA-256, and the
        // published objects are read back and hashed. An additional CRC32 would only exclude
        // servers that do not support it. Buckets with Object Lock require it: their users enable
        // it by this setting.
        let setting = configured(&config, "AWS_REQUEST_CHECKSUM_CALCULATION", "request_checksum_calculation");
        let checksums = setting.is_some_and(|setting| setting.eq_ignore_ascii_case("when_supported"));
        let calculation = match checksums {
            true => RequestChecksumCalculation::WhenSupported,
            false => RequestChecksumCalculation::WhenRequired,
        };
        let mut builder = Builder::from(&config)
            .region(address.region().map(|region| Region::new(region.to_owned())))
            .force_path_style(address.is_path_style())
            .request_checksum_calculation(calculation)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .timeout_config(timeouts(S3_ATTEMPT))
            .retry_config(RetryConfig::standard().with_max_attempts(S3_ATTEMPTS))
            // The SDK recognizes throttling by AWS's error codes. Other servers answer 429.
            .retry_classifier(HttpStatusCodeClassifier::new_from_codes(&[429]));
        builder.set_endpoint_url(address.endpoint().map(str::to_owned));
        let mut source = S3::at(address.clone());
        if let Some(provider) = config.credentials_provider() {
            source = source.credentials(SharedCredentials { provider, runtime: Arc::clone(&runtime) });
        }
        let once = builder.clone().retry_config(RetryConfig::disabled());
        let client = Client::from_conf(builder.build());
        Ok(Bucket {
            bulk: with_time_for(&client, WHOLE_BODY),
            client,
            once: Client::from_conf(once.build()),
            checksums,
            address,
            source: Fetcher::new(source),
            nonce: random()?,
            tokens: AtomicU64::new(0),
            runtime,
        })
    }

    /// A client with a timeout for a body of this size.
    pub(super) fn client_for(&self, bytes: u64) -> Client {
        if bytes <= S3_SMALL_BODY {
            self.client.clone()
        } else if bytes <= WHOLE_BODY {
            self.bulk.clone()
        } else {
            with_time_for(&self.client, bytes)
        }
    }

    /// Blocks until the request is complete.
    pub(super) fn wait<T>(&self, request: impl Future<Output = T>) -> T {
        self.runtime.wait(request)
    }

    /// The error with the address of the bucket and advice.
    pub(super) fn failure(&self, error: RequestError) -> Failure {
        error.into_failure(&self.address)
    }

    /// 16 hex digits that are unique among publishers and calls.
    pub(super) fn token(&self) -> String {
        format!("{:016x}", self.nonce.wrapping_add(self.tokens.fetch_add(1, Ordering::Relaxed)))
    }

    /// From 0 to 1, different for each publisher.
    pub(super) fn jitter(&self) -> f64 {
        f64::from(self.nonce as u32) / f64::from(u32::MAX)
    }

    /// For requests that run while the caller does something else.
    pub(super) fn runtime(&self) -> &Handle {
        self.runtime.handle()
    }
}

fn with_time_for(client: &Client, bytes: u64) -> Client {
    let builder = client.config().to_builder();
    let time = S3_ATTEMPT + Duration::from_secs(bytes * BODIES_IN_FLIGHT as u64 / S3_MINIMUM_RATE);
    Client::from_conf(builder.timeout_config(timeouts(time)).build())
}

/// The timeouts of each attempt. All attempts together have no timeout here: the one that `load`
/// sets for credentials would be too short for a body on a slow connection.
fn timeouts(time: Duration) -> TimeoutConfig {
    let builder = TimeoutConfig::builder().connect_timeout(CONNECT);
    builder.read_timeout(time).operation_attempt_timeout(time).disable_operation_timeout().build()
}

fn random() -> Result<u64> {
    getrandom::u64().map_err(|error| {
        Failure::io("get random bytes for", "s3".as_ref())(std::io::Error::other(error.to_string()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_grows_with_the_body() {
        let keys = Credentials::new("A", "S", None, None, "a test");
        let address = "s3://releases?endpoint=http://127.0.0.1:9&region=eu-test-1";
        let bucket = Bucket::open(address, &S3Options::default(), Some(keys)).unwrap();
        let mib = 1024 * 1024;
        let of = |client: Client| client.config().timeout_config().cloned().unwrap();
        for (client, seconds) in [
            (bucket.once.clone(), 30),
            (bucket.client_for(1), 30),
            (bucket.client_for(mib), 30 + 16 * 64),
            (bucket.client_for(16 * mib), 30 + 16 * 64),
            (bucket.client_for(64 * mib), 30 + 64 * 64),
        ] {
            let timeouts = of(client);
            assert_eq!(timeouts.operation_attempt_timeout(), Some(Duration::from_secs(seconds)));
            assert_eq!(timeouts.operation_timeout(), None);
        }
    }
}
