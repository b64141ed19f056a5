//! Region and endpoint, from AWS's configuration.

use super::files::SharedFiles;
use super::profile;

/// The configured region and endpoint, used if neither the address nor the environment names one.
#[derive(Default)]
pub(in crate::source::s3) struct Defaults {
    pub(in crate::source::s3) region: Option<String>,
    pub(in crate::source::s3) endpoint: Option<String>,
}

impl Defaults {
    /// Reads them from a profile in AWS's shared files: the one that is `named`, otherwise that of
    /// `AWS_PROFILE`, otherwise `default`.
    pub(in crate::source::s3) fn of_profile(named: Option<&str>) -> Self {
        let files = SharedFiles::read();
        let profile = files.profile(&profile::name(named));
        let property = |name: &str| Some(profile?.get(name)?.to_string()).filter(|value| !value.is_empty());
        Defaults { region: property("region"), endpoint: property("endpoint_url") }
    }
}
