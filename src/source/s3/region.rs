//! Regions of AWS, and their domains.

/// The region if neither the address, the environment nor the profile names one.
pub(super) const DEFAULT_REGION: &str = "us-east-1";

/// Whether a region can be part of a host name and of a signature. Regions from a server's response
/// are checked as well as configured ones.
pub(super) fn is_region(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The domain of AWS's services in the partition of a region.
pub(super) fn dns_suffix(region: &str) -> &'static str {
    match region.split_once('-').map_or("", |(partition, _)| partition) {
        "cn" => "amazonaws.com.cn",
        "eusc" => "amazonaws.eu",
        _ if region.starts_with("us-iso-") => "c2s.ic.gov",
        _ if region.starts_with("us-isob-") => "sc2s.sgov.gov",
        _ if region.starts_with("us-isof-") => "csp.hci.ic.gov",
        _ if region.starts_with("eu-isoe-") => "cloud.adc-e.uk",
        _ => "amazonaws.com",
    }
}
