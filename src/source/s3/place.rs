//! Where the requests go: what the address leaves open, the environment and the profile say.

use super::address::{DEFAULT_REGION, S3Address};
use super::credentials::{Chain, SharedFiles, TokenService, profile_name, var};
use crate::source::Cancellation;
use crate::source::http::Client;

/// An address with nothing left open, and what speaks to it.
pub(super) struct Place {
    pub(super) address: S3Address,
    pub(super) client: Client,
    tls: Client,
    /// Without a proxy, for addresses of this machine and its link.
    plain: Client,
    token_endpoint: Option<String>,
}

/// What is configured outside of the address and the environment.
#[derive(Default)]
pub(super) struct Configured {
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
}

impl Configured {
    /// By the profile in the shared files.
    pub(super) fn by_profile(named: Option<&str>) -> Self {
        let files = SharedFiles::read();
        let profile = files.profile(&profile_name(named));
        let property = |name: &str| Some(profile?.get(name)?.to_string()).filter(|value| !value.is_empty());
        Configured { region: property("region"), endpoint: property("endpoint_url") }
    }
}

impl Place {
    /// `tls` is for all addresses but this machine's own.
    pub(super) fn find(address: &S3Address, tls: &Client, configured: Configured) -> Result<Self, String> {
        let mut address = address.clone();
        let said = |what: &str, error: crate::Error| format!("{what}: {error}");
        let region = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().find_map(|name| Some((*name, var(name)?)));
        let region = region.or_else(|| Some(("the profile's region", configured.region?)));
        if let (None, Some((what, region))) = (address.region(), region) {
            address = address.with_region(&region).map_err(|error| said(what, error))?;
        }
        let ignored = var("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let endpoint = |of_service: &'static str| {
            let of_environment =
                [of_service, "AWS_ENDPOINT_URL"].into_iter().find_map(|name| Some((name, var(name)?)));
            let endpoint =
                of_environment.or_else(|| Some(("the profile's endpoint_url", configured.endpoint.clone()?)));
            endpoint.filter(|_| !ignored)
        };
        if let (None, Some((what, url))) = (address.endpoint(), endpoint("AWS_ENDPOINT_URL_S3")) {
            address = address.with_endpoint(&url).map_err(|error| said(what, error))?;
        }
        let is_plain = address.endpoint().is_some_and(|endpoint| endpoint.starts_with("http:"));
        let (tls, plain) = (tls.clone(), Client::plain());
        let client = if is_plain { plain.clone() } else { tls.clone() };
        let token_endpoint = endpoint("AWS_ENDPOINT_URL_STS").map(|(_, url)| url);
        Ok(Place { address, client, tls, plain, token_endpoint })
    }

    /// Where credentials are looked for during one read.
    pub(super) fn chain(&self, cancellation: &Cancellation) -> Chain {
        let (tls, plain) = (self.tls.during(cancellation), self.plain.during(cancellation));
        let region = self.address.region().unwrap_or(DEFAULT_REGION);
        let token_service = TokenService::new(tls, plain, region, self.token_endpoint.clone());
        let profile = self.address.profile().map(str::to_owned);
        Chain { profile, token_service, metadata: self.plain.during(cancellation) }
    }
}
