//! Where the bucket stands: in the path, or in front of a domain of the server's.

use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

/// The domains below which buckets are hosts. `localhost` is always one: where the resolver sends all names below it to loopback (systemd and
/// browsers do, glibc alone and macOS do not), `bucket.localhost` needs no proxy.
#[derive(Clone, Debug)]
pub(crate) struct Domains(Vec<String>);

impl Domains {
    pub(crate) fn new(domain: Option<&str>) -> Self {
        Domains(domain.into_iter().chain(["localhost"]).map(str::to_ascii_lowercase).collect())
    }

    /// What a certificate of this server is for.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.0.iter().flat_map(|domain| [domain.clone(), format!("*.{domain}")]);
        names.chain(["127.0.0.1".into(), "::1".into()]).collect()
    }

    /// The bucket that a `Host` names, where it names one.
    pub(crate) fn bucket(&self, host: &str) -> Option<String> {
        let host = host.to_ascii_lowercase();
        let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
        let mut buckets =
            self.0.iter().filter_map(|domain| name.strip_suffix(domain.as_str())?.strip_suffix('.'));
        buckets.next().map(str::to_owned)
    }
}

impl S3Host for Domains {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let virtual_host = VirtualHost::new(host);
        Ok(match self.bucket(host) {
            Some(bucket) => virtual_host.with_bucket(bucket),
            None => virtual_host,
        })
    }
}
