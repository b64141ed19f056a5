//! A bucket, and with which patience it is asked.

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

use super::environment::{Shared, configured, load};
use super::failed::Failed;
use super::upload::{IN_FLIGHT, WHOLE};
use crate::aws::{Background, CONNECT};
use crate::store::Server;
use crate::{Failure, Result};

/// For the answer to a small request.
pub(super) const ANSWER: Duration = Duration::from_secs(30);
/// Bytes that need no more time than none.
const SMALL: u64 = 128 * 1024;
/// Bytes a second of all bodies together below which uploads count as stuck.
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
    /// The same with time for blobs.
    bulk: Client,
    /// Whether `AWS_REQUEST_CHECKSUM_CALCULATION` or a profile asks for CRC32.
    pub(super) checksums: bool,
    /// The client's own way to read it.
    pub(super) source: Fetcher,
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
            .retry_config(RetryConfig::standard().with_max_attempts(TRIES))
            // The SDK knows throttling by AWS's codes, and 429 is what others say.
            .retry_classifier(HttpStatusCodeClassifier::new_from_codes(&[429]));
        builder.set_endpoint_url(address.endpoint().map(str::to_owned));
        let mut source = S3::at(address.clone());
        if let Some(provider) = config.credentials_provider() {
            source = source.credentials(Shared { provider, runtime: Arc::clone(&runtime) });
        }
        let once = builder.clone().retry_config(RetryConfig::disabled());
        let client = Client::from_conf(builder.build());
        Ok(Bucket {
            bulk: with_time_for(&client, WHOLE),
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

    /// The client with time for a body of this size.
    pub(super) fn client_for(&self, bytes: u64) -> Client {
        if bytes <= SMALL {
            self.client.clone()
        } else if bytes <= WHOLE {
            self.bulk.clone()
        } else {
            with_time_for(&self.client, bytes)
        }
    }

    /// The answer.
    pub(super) fn wait<T>(&self, asked: impl Future<Output = T>) -> T {
        self.runtime.wait(asked)
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
        self.runtime.handle()
    }
}

fn with_time_for(client: &Client, bytes: u64) -> Client {
    let builder = client.config().to_builder();
    let time = ANSWER + Duration::from_secs(bytes * IN_FLIGHT as u64 / SLOWEST);
    Client::from_conf(builder.timeout_config(timeouts(time)).build())
}

/// For each try. All tries together have none: what credentials may take in all, which `load` says, is nothing for a slow line.
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
    fn a_body_has_as_long_as_it_is_large() {
        let keys = Credentials::new("A", "S", None, None, "a test");
        let address = "s3://releases?endpoint=http://127.0.0.1:9&region=eu-test-1";
        let bucket = Bucket::open(address, &Server::default(), Some(keys)).unwrap();
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
