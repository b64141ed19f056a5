//! Arguments as typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use relatch::trust::{Name, Role, Seq, Version};
use signer::custody::{self, KeyArgument};
use signer::repository::Damage;
use signer::root::{Threshold, parse_role};
use signer::store::Server;

/// Makes keys, signs and publishes releases for relatch.
///
/// Whatever it publishes, it first shows to the client's own code; what a client would refuse never leaves this program.
/// Exit codes: 0 done; 2 usage, or a key that cannot be used; 3 refused; 4 the repository cannot be reached, or somebody else published
/// first; 5 this machine.
#[derive(Parser)]
#[command(name = "signer", bin_name = "signer", version, max_term_width = 110)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Make a key for each role and the first root, signed: all that one person needs to begin
    Init(Init),
    /// Make one key, to be named by a root
    Keygen(Keygen),
    /// Write the public half of a key to a file, to be named by a root
    Public(Public),
    /// Make, change, sign, show and publish root documents
    #[command(subcommand)]
    Root(RootCommand),
    /// Prepare, sign, publish and read back a release, in one go
    Release(Release),
    /// The first part of a release: hash, compress, write what is to be signed
    Prepare(Prepare),
    /// The second part: add this key's signatures to a release folder, on whatever machine the key lives
    Sign(Sign),
    /// The third part: upload a signed release folder, then read back and verify; needs no key
    Publish(Publish),
    /// Say again that the published release is the current one, before VERSION expires; or change its rollout
    Refresh(Refresh),
    /// Show what is published, or what a release folder holds
    Show(Show),
    /// Verify everything in a repository by the client's own code, every byte of it; or one channel's release
    Verify(Verify),
}

/// Where releases lie, and whom to trust there.
#[derive(Args, Clone)]
pub struct Repo {
    /// The repository: a directory, or s3://bucket/prefix
    #[arg(long, env = "SIGNER_REPO", value_name = "REPO")]
    pub repo: String,
    /// The root document that tools carry
    #[arg(long, env = "SIGNER_ROOT", value_name = "FILE")]
    pub root: PathBuf,
    #[command(flatten)]
    pub server: S3Server,
}

/// What else there is to say of a bucket.
const S3: &str = "With s3://bucket/prefix";

/// Where a bucket is. Credentials, and what is not given here, come from where AWS's own tools take them.
#[derive(Args, Clone)]
pub struct S3Server {
    /// The URL of another vendor's S3 server; without it AWS_ENDPOINT_URL_S3, or AWS itself
    #[arg(long, help_heading = S3, value_name = "URL")]
    pub endpoint: Option<String>,
    /// The region of the bucket; without it AWS_REGION, or the profile's
    #[arg(long, help_heading = S3, value_name = "NAME")]
    pub region: Option<String>,
    /// The bucket stands in the path of URLs and not in the host; so it is anyway where there is an endpoint
    #[arg(long, help_heading = S3)]
    pub path_style: bool,
}

impl S3Server {
    /// As the store takes it.
    pub fn server(&self) -> Server {
        Server { endpoint: self.endpoint.clone(), region: self.region.clone(), path_style: self.path_style }
    }
}

fn key_argument(text: &str) -> Result<KeyArgument, std::convert::Infallible> {
    Ok(KeyArgument::from(text.to_owned()))
}

/// Secret keys, never as arguments.
#[derive(Args, Clone)]
pub struct Keys {
    /// A key: a file that only its owner can read, `env:VARIABLE`, `-` for standard input, or `awskms:KEY` in AWS KMS; may be repeated
    #[arg(long = "key", value_name = "KEY", required = true, value_parser = key_argument)]
    pub keys: Vec<KeyArgument>,
    #[command(flatten)]
    pub password: Password,
}

#[derive(Args, Clone)]
pub struct Password {
    /// The variable that holds the password of encrypted keys; without it you are asked
    #[arg(long, value_name = "VARIABLE", default_value = custody::PASSWORD)]
    pub password_env: String,
}

#[derive(Args)]
pub struct Init {
    /// The product; the same name that `Startup::new` gets
    #[arg(long)]
    pub product: Name,
    /// A new directory for the three secret keys, outside of version control
    #[arg(long, value_name = "DIR")]
    pub keys: PathBuf,
    /// The repository to make, a directory or s3://bucket/prefix; the first root is published there
    #[arg(long, env = "SIGNER_REPO", value_name = "REPO")]
    pub repo: String,
    /// Where to write the root document that the tool embeds
    #[arg(long, env = "SIGNER_ROOT", value_name = "FILE", default_value = "root.json")]
    pub root: PathBuf,
    /// How long the root is valid
    #[arg(long, value_parser = humantime::parse_duration, default_value = "730d", value_name = "TIME")]
    pub expires_in: Duration,
    /// Keys without a password, as CI needs them
    #[arg(long)]
    pub no_password: bool,
    #[command(flatten)]
    pub password: Password,
    #[command(flatten)]
    pub server: S3Server,
}

#[derive(Args)]
pub struct Keygen {
    /// The new secret key; the public one gets the same name and `.pub`
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// A key without a password, as CI needs it
    #[arg(long)]
    pub no_password: bool,
    #[command(flatten)]
    pub password: Password,
}

#[derive(Args)]
pub struct Public {
    /// The key: a file, `env:VARIABLE`, `-` for standard input, or `awskms:KEY` in AWS KMS: a key id, `alias/NAME`, or the ARN of one
    #[arg(long, value_name = "KEY", value_parser = key_argument)]
    pub key: KeyArgument,
    /// The public key file to make, in minisign's form
    #[arg(long, value_name = "FILE.pub")]
    pub out: PathBuf,
    #[command(flatten)]
    pub password: Password,
}

#[derive(Subcommand)]
pub enum RootCommand {
    /// The first root, from the public keys of several people
    New(RootNew),
    /// Give a key a role: the next root, to be signed by old and new root keys
    Add(RootAdd),
    /// Take a key's role, or all of its roles
    Remove(RootRemove),
    /// Only renew the expiry, or change thresholds, or raise the epoch
    Renew(RootChange),
    /// Add a signature to a root document
    Sign(RootSign),
    /// Show a root document and who has signed it
    Show(RootShow),
    /// Publish a root that follows from what is published
    Publish(RootPublish),
}

#[derive(Args)]
pub struct RootNew {
    /// The product
    #[arg(long)]
    pub product: Name,
    /// A public key file of the root role; may be repeated
    #[arg(long, value_name = "FILE.pub", required = true)]
    pub root_key: Vec<PathBuf>,
    /// A public key file of the release role; may be repeated
    #[arg(long, value_name = "FILE.pub", required = true)]
    pub release_key: Vec<PathBuf>,
    /// A public key file of the timestamp role; may be repeated
    #[arg(long, value_name = "FILE.pub", required = true)]
    pub timestamp_key: Vec<PathBuf>,
    /// How many keys of a role must sign, such as `release=2`; 1 where not given
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
pub struct RootChange {
    /// The root to change
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How many keys of a role must sign, such as `release=2`
    #[arg(long, value_name = "ROLE=N")]
    pub threshold: Vec<Threshold>,
    /// After a theft: what was signed under the old epoch ends, and sequence numbers start again
    #[arg(long)]
    pub raise_epoch: bool,
    /// How long the root is valid
    #[arg(long, value_parser = humantime::parse_duration, default_value = "730d", value_name = "TIME")]
    pub expires_in: Duration,
    /// Where to write the next root; without it the file itself is changed, while nobody has signed it
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Args)]
pub struct RootAdd {
    #[command(flatten)]
    pub change: RootChange,
    /// The role to give
    #[arg(long, value_parser = parse_role)]
    pub role: Role,
    /// The public key file
    #[arg(long, value_name = "FILE.pub")]
    pub key: PathBuf,
}

#[derive(Args)]
pub struct RootRemove {
    #[command(flatten)]
    pub change: RootChange,
    /// The role to take; all without it
    #[arg(long, value_parser = parse_role)]
    pub role: Option<Role>,
    /// The public key file
    #[arg(long, value_name = "FILE.pub")]
    pub key: PathBuf,
}

#[derive(Args)]
pub struct RootSign {
    /// The root document
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The root before it, whose keys must sign too
    #[arg(long, value_name = "FILE")]
    pub previous: Option<PathBuf>,
    #[command(flatten)]
    pub keys: Keys,
}

#[derive(Args)]
pub struct RootShow {
    /// The root document
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

#[derive(Args)]
pub struct RootPublish {
    /// The root document, with FILE.minisig beside it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// After a theft: also a root under which the published release does not verify any more. Publish a release at once
    #[arg(long)]
    pub revoke_release: bool,
    #[command(flatten)]
    pub repo: Repo,
}

/// What a release is.
#[derive(Args)]
pub struct Plan {
    /// The version: SemVer, or a build number
    #[arg(long, value_name = "VERSION")]
    pub version: Version,
    /// The channel
    #[arg(long, default_value = "stable")]
    pub channel: Name,
    /// An executable and the target that it is for; may be repeated
    #[arg(long = "artifact", value_name = "TARGET=PATH", value_parser = parse_artifact, required = true)]
    pub artifacts: Vec<(Name, PathBuf)>,
    /// A text file with what has changed, for people
    #[arg(long, value_name = "FILE")]
    pub notes: Option<PathBuf>,
    /// Everybody takes it at once, rollout or not
    #[arg(long)]
    pub critical: bool,
    /// No version below this one may run under `Require`, be installed or come back any more
    #[arg(long, value_name = "VERSION")]
    pub min_version: Option<Version>,
    /// A version that must not run any more; whoever has it goes to this release even if it is lower; may be repeated
    #[arg(long = "retract", value_name = "VERSION")]
    pub retracts: Vec<Version>,
    /// How many of 100 installations take it
    #[arg(long, default_value_t = 100, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub rollout: u8,
    /// How long the release may be installed
    #[arg(long, value_parser = humantime::parse_duration, default_value = "365d", value_name = "TIME")]
    pub expires_in: Duration,
    /// How long VERSION is valid; `signer refresh` renews it
    #[arg(long, value_parser = humantime::parse_duration, default_value = "30d", value_name = "TIME")]
    pub version_expires_in: Duration,
    /// The level of compression, 1 to 22
    #[arg(long, default_value_t = 19, value_parser = clap::value_parser!(i32).range(1..=22))]
    pub level: i32,
    /// Make patches from the release that is published now: smaller downloads, but a client holds both executables in memory
    #[arg(long)]
    pub patches: bool,
    /// The number of this release, where the published VERSION was destroyed and cannot tell
    #[arg(long)]
    pub seq: Option<u64>,
    /// Leave those behind whose target the published release has and this one has not
    #[arg(long)]
    pub drop_targets: bool,
}

impl Plan {
    /// A VERSION that does not verify may be replaced where the next number is given.
    pub fn damage(&self) -> Damage {
        if self.seq.is_some() { Damage::Repaired } else { Damage::Refused }
    }

    /// `--seq` as checked.
    pub fn seq(&self) -> Result<Option<Seq>, String> {
        self.seq.map(Seq::try_from).transpose()
    }
}

fn parse_artifact(text: &str) -> Result<(Name, PathBuf), String> {
    let (target, path) = text
        .split_once('=')
        .ok_or("an artifact reads TARGET=PATH, such as x86_64-unknown-linux-gnu=target/release/tool")?;
    Ok((target.parse()?, path.into()))
}

#[derive(Args)]
pub struct Release {
    #[command(flatten)]
    pub repo: Repo,
    #[command(flatten)]
    pub plan: Plan,
    #[command(flatten)]
    pub keys: Keys,
}

#[derive(Args)]
pub struct Prepare {
    #[command(flatten)]
    pub repo: Repo,
    #[command(flatten)]
    pub plan: Plan,
    /// The release folder to make
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

#[derive(Args)]
pub struct Sign {
    /// The release folder
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    #[command(flatten)]
    pub keys: Keys,
}

#[derive(Args)]
pub struct Publish {
    /// The release folder
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    #[command(flatten)]
    pub repo: Repo,
    /// Replace a published VERSION that does not verify any more
    #[arg(long)]
    pub repair: bool,
}

#[derive(Args)]
pub struct Refresh {
    #[command(flatten)]
    pub repo: Repo,
    /// The channel
    #[arg(long, default_value = "stable")]
    pub channel: Name,
    /// How many of 100 installations take the release from now on; unchanged without it
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub rollout: Option<u8>,
    /// How long VERSION is valid
    #[arg(long, value_parser = humantime::parse_duration, default_value = "30d", value_name = "TIME")]
    pub version_expires_in: Duration,
    /// Only write a folder to be signed elsewhere and published then
    #[arg(long, value_name = "DIR", conflicts_with = "keys")]
    pub out: Option<PathBuf>,
    /// A timestamp key: a file, `env:VARIABLE`, `-` for standard input, or `awskms:KEY` in AWS KMS; may be repeated
    #[arg(long = "key", value_name = "KEY", required_unless_present = "out", value_parser = key_argument)]
    pub keys: Vec<KeyArgument>,
    #[command(flatten)]
    pub password: Password,
}

#[derive(Args)]
pub struct Show {
    /// A release folder to look at before you sign it, instead of what is published
    #[arg(value_name = "DIR", conflicts_with_all = ["repo", "root"])]
    pub folder: Option<PathBuf>,
    /// The repository: a directory, or s3://bucket/prefix
    #[arg(long, env = "SIGNER_REPO", value_name = "REPO", required_unless_present = "folder")]
    pub repo: Option<String>,
    /// The root document that tools carry
    #[arg(long, env = "SIGNER_ROOT", value_name = "FILE", required_unless_present = "folder")]
    pub root: Option<PathBuf>,
    /// The channel
    #[arg(long, default_value = "stable")]
    pub channel: Name,
    #[command(flatten)]
    pub server: S3Server,
}

#[derive(Args)]
pub struct Verify {
    #[command(flatten)]
    pub repo: Repo,
    /// Only the release that is current on this channel, as `signer release` reads it back
    #[arg(long)]
    pub channel: Option<Name>,
}
