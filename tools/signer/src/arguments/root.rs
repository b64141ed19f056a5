//! Arguments of `signer root`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use relatch::trust::{Name, Role};
use signer::root::{Threshold, parse_role};

use super::shared::{KeysArgs, RepoArgs};

#[derive(Subcommand)]
pub enum RootCommand {
    /// Make the first root, from the public keys of several people
    New(RootNewArgs),
    /// Give a key a role: makes the next root, which old and new root keys must sign
    Add(RootAddArgs),
    /// Remove one role of a key, or all of its roles
    Remove(RootRemoveArgs),
    /// Renew the expiry, change thresholds, or raise the epoch
    Renew(RootChangeArgs),
    /// Add a signature to a root document
    Sign(RootSignArgs),
    /// Show a root document and the keys that have signed it
    Show(RootShowArgs),
    /// Publish a root that follows from the published one
    Publish(RootPublishArgs),
}

#[derive(Args)]
pub struct RootNewArgs {
    /// The product name
    #[arg(long)]
    pub product: Name,
    /// A public key file for the root role; may be repeated
    #[arg(long, value_name = "FILE.pub", required = true)]
    pub root_key: Vec<PathBuf>,
    /// A public key file for the release role; may be repeated
    #[arg(long, value_name = "FILE.pub", required = true)]
    pub release_key: Vec<PathBuf>,
    /// A public key file for the timestamp role; may be repeated
    #[arg(long, value_name = "FILE.pub", required = true)]
    pub timestamp_key: Vec<PathBuf>,
    /// How many keys of a role must sign, such as `release=2` [default: 1 for each role]
    #[arg(long, value_name = "ROLE=N")]
    pub threshold: Vec<Threshold>,
    /// How long the root is valid
    #[arg(long, value_parser = humantime::parse_duration, default_value = "730d", value_name = "TIME")]
    pub expires_in: Duration,
    /// Where to write it
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

#[derive(Args)]
pub struct RootChangeArgs {
    /// The root to change
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How many keys of a role must sign, such as `release=2`
    #[arg(long, value_name = "ROLE=N")]
    pub threshold: Vec<Threshold>,
    /// After a theft: signatures under the old epoch are no longer valid, and sequence numbers
    /// start again
    #[arg(long)]
    pub raise_epoch: bool,
    /// How long the root is valid
    #[arg(long, value_parser = humantime::parse_duration, default_value = "730d", value_name = "TIME")]
    pub expires_in: Duration,
    /// Where to write the next root; without it the file itself is changed, if it has no signatures
    /// yet
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Args)]
pub struct RootAddArgs {
    #[command(flatten)]
    pub change: RootChangeArgs,
    /// The role to give
    #[arg(long, value_parser = parse_role)]
    pub role: Role,
    /// The public key file
    #[arg(long, value_name = "FILE.pub")]
    pub key: PathBuf,
}

#[derive(Args)]
pub struct RootRemoveArgs {
    #[command(flatten)]
    pub change: RootChangeArgs,
    /// The role to remove [default: all roles of the key]
    #[arg(long, value_parser = parse_role)]
    pub role: Option<Role>,
    /// The public key file
    #[arg(long, value_name = "FILE.pub")]
    pub key: PathBuf,
}

#[derive(Args)]
pub struct RootSignArgs {
    /// The root document
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The previous root, whose keys must sign too
    #[arg(long, value_name = "FILE")]
    pub previous: Option<PathBuf>,
    #[command(flatten)]
    pub keys: KeysArgs,
}

#[derive(Args)]
pub struct RootShowArgs {
    /// The root document
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Args)]
pub struct RootPublishArgs {
    /// The root document, with FILE.minisig beside it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// After a theft: publish the root even if the published release does not verify under it.
    /// Publish a new release immediately afterwards
    #[arg(long)]
    pub revoke_release: bool,
    #[command(flatten)]
    pub repo: RepoArgs,
}
