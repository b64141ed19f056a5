//! Arguments that several commands share: the repository, and where keys are.

use std::path::PathBuf;

use clap::Args;
use signer::custody::{self, KeyArgument};
use signer::store::S3Options;

/// The repository, and the root of trust for it.
#[derive(Args, Clone)]
pub struct RepoArgs {
    /// The repository: a directory, or s3://bucket/prefix
    #[arg(long, env = "SIGNER_REPO", value_name = "REPO")]
    pub repo: String,
    /// The root document that is embedded in the tool
    #[arg(long, env = "SIGNER_ROOT", value_name = "FILE")]
    pub root: PathBuf,
    #[command(flatten)]
    pub server: S3Args,
}

/// The heading of the options for buckets.
const S3: &str = "With s3://bucket/prefix";

/// How to reach a bucket. Credentials, and settings that are not given here, come from where AWS's
/// own tools read them.
#[derive(Args, Clone)]
pub struct S3Args {
    /// The URL of another vendor's S3 server [default: AWS_ENDPOINT_URL_S3, or AWS itself]
    #[arg(long, help_heading = S3, value_name = "URL")]
    pub endpoint: Option<String>,
    /// The region of the bucket [default: AWS_REGION, or the profile's]
    #[arg(long, help_heading = S3, value_name = "NAME")]
    pub region: Option<String>,
    /// Put the bucket in the path of URLs, not in the host; always the case with an endpoint
    #[arg(long, help_heading = S3)]
    pub path_style: bool,
}

impl S3Args {
    /// The options of the store.
    pub fn options(&self) -> S3Options {
        S3Options {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            path_style: self.path_style,
        }
    }
}

pub(super) fn key_argument(text: &str) -> Result<KeyArgument, std::convert::Infallible> {
    Ok(KeyArgument::from(text.to_owned()))
}

/// The locations of secret keys. The keys themselves are never arguments.
#[derive(Args, Clone)]
pub struct KeysArgs {
    /// A key: a file that only its owner can read, `env:VARIABLE`, `-` for standard input, or
    /// `awskms:KEY` in AWS KMS; may be repeated
    #[arg(long = "key", value_name = "KEY", required = true, value_parser = key_argument)]
    pub keys: Vec<KeyArgument>,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args, Clone)]
pub struct PasswordArgs {
    /// The environment variable with the password of encrypted keys; if it is not set, signer
    /// prompts
    #[arg(long, value_name = "VARIABLE", default_value = custody::PASSWORD)]
    pub password_env: String,
}
