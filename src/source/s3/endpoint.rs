//! Where requests are sent, by the address, the environment and the profile.

use super::address::S3Address;
use super::credentials::{Defaults, ProviderChain, Services, TokenService, var};
use super::region::DEFAULT_REGION;
use crate::error::Error;
use crate::source::cancellation::Cancellation;
use crate::source::http::Client;

/// A complete address, and the HTTP clients for its services.
pub(super) struct Endpoint {
    pub(super) address: S3Address,
    pub(super) client: Client,
    tls: Client,
    /// Without TLS and without a proxy, for loopback and link-local addresses.
    plain: Client,
    token_endpoint: Option<String>,
}

impl Endpoint {
    /// Completes `address`: first from the environment, then with `defaults`. `tls` is the client
    /// for all endpoints but loopback addresses.
    pub(super) fn resolve(address: &S3Address, tls: &Client, defaults: Defaults) -> Result<Self, String> {
        let mut address = address.clone();
        let invalid = |origin: &str, error: Error| format!("{origin}: {error}");
        let region = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().find_map(|name| Some((*name, var(name)?)));
        let region = region.or_else(|| Some(("the profile's region", defaults.region?)));
        if let (None, Some((origin, region))) = (address.region(), region) {
            address = address.with_region(&region).map_err(|error| invalid(origin, error))?;
        }
        let is_ignored = var("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let endpoint = |of_service: &'static str| {
            let of_environment =
                [of_service, "AWS_ENDPOINT_URL"].into_iter().find_map(|name| Some((name, var(name)?)));
            let endpoint =
                of_environment.or_else(|| Some(("the profile's endpoint_url", defaults.endpoint.clone()?)));
            endpoint.filter(|_| !is_ignored)
        };
        if let (None, Some((origin, url))) = (address.endpoint(), endpoint("AWS_ENDPOINT_URL_S3")) {
            address = address.with_endpoint(&url).map_err(|error| invalid(origin, error))?;
        }
        let is_plain = address.endpoint().is_some_and(|endpoint| endpoint.starts_with("http:"));
        let (tls, plain) = (tls.clone(), Client::plain());
        let client = if is_plain { plain.clone() } else { tls.clone() };
        let token_endpoint = endpoint("AWS_ENDPOINT_URL_STS").map(|(_, url)| url);
        Ok(Endpoint { address, client, tls, plain, token_endpoint })
    }

    /// The search for credentials, for one read.
    pub(super) fn chain(&self, cancellation: &Cancellation) -> ProviderChain {
        let (tls, plain) = (self.tls.for_read(cancellation), self.plain.for_read(cancellation));
        let region = self.address.region().unwrap_or(DEFAULT_REGION);
        let token_service = TokenService::new(tls, plain, region, self.token_endpoint.clone());
        let services = Services { token_service, metadata: self.plain.for_read(cancellation) };
        ProviderChain { profile: self.address.profile().map(str::to_owned), services }
    }
}
