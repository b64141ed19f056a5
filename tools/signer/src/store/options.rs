//! The options of a bucket.

/// Options for the address of an S3 server. They override the repository's address, which overrides
/// AWS's own settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct S3Options {
    /// The URL of another vendor's server.
    pub endpoint: Option<String>,
    /// The region of the bucket.
    pub region: Option<String>,
    /// Whether URLs have the bucket in the path instead of the host.
    pub path_style: bool,
}
