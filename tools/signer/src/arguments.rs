//! Arguments as typed.

mod known;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use relatch::trust::{Digest, Name, Role, Seq, Version};
use signer::custody::{self, KeyArgument, KeyEncryption};
use signer::repository::Damage;
use signer::root::{Threshold, parse_role};
use signer::store::S3Options;

pub use known::{KnownArgs, StateArgs};

/// Makes keys, signs and publishes releases for relatch.
///
/// It passes everything that it publishes to the client's own code first, and publishes nothing
/// that a client would refuse.
///
/// Exit codes: 0 success; 2 usage error, or a key cannot be used; 3 refused; 4 the repository
/// cannot be reached, or another publisher was faster; 5 an error of this machine.
#[derive(Parser)]
#[command(name = "signer", bin_name = "signer", version, max_term_width = 110)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Make one key per role and the first root, signed: everything that a single person needs
    Init(InitArgs),
    /// Make one key, to be named by a root
    Keygen(KeygenArgs),
    /// Write the public half of a key to a file, to be named by a root
    Public(PublicArgs),
    /// Make, change, sign, show and publish root documents
    #[command(subcommand)]
    Root(RootCommand),
    /// Prepare, sign, publish and read back a release, in one step
    Release(ReleaseArgs),
    /// First part of a release: hash, compress, and write the documents that must be signed
    Prepare(PrepareArgs),
    /// Second part: add the signatures of a key to a release folder, on any machine that has the
    /// key
    Sign(SignArgs),
    /// Third part: upload a signed release folder, read it back and verify it; requires no key
    Publish(PublishArgs),
    /// Re-sign VERSION before it expires, or change the rollout of the published release
    Refresh(RefreshArgs),
    /// Show the published release, or the content of a release folder
    Show(ShowArgs),
    /// Verify every byte of a repository by the client's own code, or only one channel's release
    Verify(VerifyArgs),
}

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

fn key_argument(text: &str) -> Result<KeyArgument, std::convert::Infallible> {
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

/// How to protect new keys.
#[derive(Args, Clone)]
pub struct NewKeyArgs {
    /// Do not encrypt the new keys with a password; CI requires this
    #[arg(long)]
    no_password: bool,
    #[command(flatten)]
    pub password: PasswordArgs,
}

impl NewKeyArgs {
    pub fn encryption(&self) -> KeyEncryption {
        if self.no_password { KeyEncryption::None } else { KeyEncryption::Password }
    }
}

#[derive(Args)]
pub struct InitArgs {
    /// The product name; the same as in `Startup::new`
    #[arg(long)]
    pub product: Name,
    /// A new directory for the three secret keys, outside of version control
    #[arg(long, value_name = "DIR")]
    pub keys: PathBuf,
    /// The new repository, a directory or s3://bucket/prefix; the first root is published there
    #[arg(long, env = "SIGNER_REPO", value_name = "REPO")]
    pub repo: String,
    /// Where to write the root document to embed in the tool
    #[arg(long, env = "SIGNER_ROOT", value_name = "FILE", default_value = "root.json")]
    pub root: PathBuf,
    /// How long the root is valid
    #[arg(long, value_parser = humantime::parse_duration, default_value = "730d", value_name = "TIME")]
    pub expires_in: Duration,
    #[command(flatten)]
    pub new_keys: NewKeyArgs,
    #[command(flatten)]
    pub server: S3Args,
}

#[derive(Args)]
pub struct KeygenArgs {
    /// The new secret key; the public key gets the same name with `.pub`
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    #[command(flatten)]
    pub new_key: NewKeyArgs,
}

#[derive(Args)]
pub struct PublicArgs {
    /// The key: a file, `env:VARIABLE`, `-` for standard input, or `awskms:KEY` in AWS KMS, where
    /// KEY is a key id, `alias/NAME`, or the ARN of either
    #[arg(long, value_name = "KEY", value_parser = key_argument)]
    pub key: KeyArgument,
    /// The new public key file, in minisign's format
    #[arg(long, value_name = "FILE.pub")]
    pub out: PathBuf,
    #[command(flatten)]
    pub password: PasswordArgs,
}

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

/// The properties of a release.
#[derive(Args)]
pub struct PlanArgs {
    /// The version: SemVer, or a build number
    #[arg(long, value_name = "VERSION")]
    pub version: Version,
    /// The channel
    #[arg(long, default_value = "stable")]
    pub channel: Name,
    /// An executable and its target; may be repeated
    #[arg(long = "artifact", value_name = "TARGET=PATH", value_parser = parse_artifact, required = true)]
    pub artifacts: Vec<(Name, PathBuf)>,
    /// A text file with the changes, for people
    #[arg(long, value_name = "FILE")]
    pub notes: Option<PathBuf>,
    /// All installations update at once, regardless of the rollout
    #[arg(long)]
    pub critical: bool,
    /// Lower versions are no longer installed, not rolled back to, and do not run under `Require`
    #[arg(long, value_name = "VERSION")]
    pub min_version: Option<Version>,
    /// A version that must no longer run: its installations go to this release even if it is lower;
    /// may be repeated
    #[arg(long = "retract", value_name = "VERSION")]
    pub retracts: Vec<Version>,
    /// How many of 100 installations update to it
    #[arg(
        long,
        default_value_t = 100,
        value_name = "PERCENT",
        value_parser = clap::value_parser!(u8).range(0..=100)
    )]
    pub rollout: u8,
    /// How long the release may be installed
    #[arg(long, value_parser = humantime::parse_duration, default_value = "365d", value_name = "TIME")]
    pub expires_in: Duration,
    /// How long VERSION is valid; `signer refresh` renews it
    #[arg(long, value_parser = humantime::parse_duration, default_value = "30d", value_name = "TIME")]
    pub version_expires_in: Duration,
    /// The compression level, 1 to 22
    #[arg(long, default_value_t = 19, value_parser = clap::value_parser!(i32).range(1..=22))]
    pub level: i32,
    /// Make patches from the published release: smaller downloads, but a client holds both
    /// executables in memory
    #[arg(long)]
    pub patches: bool,
    /// The sequence number of this release, if the published VERSION was destroyed
    #[arg(long)]
    pub seq: Option<u64>,
    /// Allow that targets of the published release are missing: their users get no further updates
    #[arg(long)]
    pub drop_targets: bool,
}

impl PlanArgs {
    /// A VERSION that does not verify may be replaced if the next number is given.
    pub fn damage(&self) -> Damage {
        if self.seq.is_some() { Damage::Repaired } else { Damage::Refused }
    }

    /// `--seq` as checked.
    ///
    /// # Errors
    /// The reason completes "--seq ...".
    pub fn seq(&self) -> Result<Option<Seq>, String> {
        self.seq.map(Seq::try_from).transpose()
    }
}

fn parse_artifact(text: &str) -> Result<(Name, PathBuf), String> {
    let (target, path) = text.split_once('=').ok_or(
        "an artifact has the form TARGET=PATH, such as \
         x86_64-unknown-linux-gnu=target/release/tool",
    )?;
    Ok((target.parse()?, path.into()))
}

#[derive(Args)]
pub struct ReleaseArgs {
    #[command(flatten)]
    pub repo: RepoArgs,
    #[command(flatten)]
    pub known: KnownArgs,
    #[command(flatten)]
    pub plan: PlanArgs,
    #[command(flatten)]
    pub keys: KeysArgs,
}

#[derive(Args)]
pub struct PrepareArgs {
    #[command(flatten)]
    pub repo: RepoArgs,
    #[command(flatten)]
    pub known: KnownArgs,
    #[command(flatten)]
    pub plan: PlanArgs,
    /// The new release folder
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

#[derive(Args)]
pub struct SignArgs {
    /// The release folder
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    #[command(flatten)]
    pub keys: KeysArgs,
}

#[derive(Args)]
pub struct PublishArgs {
    /// The release folder
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    #[command(flatten)]
    pub repo: RepoArgs,
    #[command(flatten)]
    pub known: KnownArgs,
    /// Replace a published VERSION that no longer verifies
    #[arg(long)]
    pub repair: bool,
}

#[derive(Args)]
pub struct RefreshArgs {
    #[command(flatten)]
    pub repo: RepoArgs,
    #[command(flatten)]
    pub state: StateArgs,
    /// Re-sign a VERSION that has expired. First compare it with what you published last: an
    /// attacker may have put an old one back
    #[arg(long, conflicts_with = "finish")]
    pub revive: bool,
    /// Sign a VERSION for the release with this manifest, which is signed and in the repository, and
    /// higher than the published one
    #[arg(long, value_name = "HASH", requires = "rollout")]
    pub finish: Option<Digest>,
    /// The channel
    #[arg(long, default_value = "stable")]
    pub channel: Name,
    /// How many of 100 installations update to the release from now on [default: unchanged]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub rollout: Option<u8>,
    /// How long VERSION is valid
    #[arg(long, value_parser = humantime::parse_duration, default_value = "30d", value_name = "TIME")]
    pub version_expires_in: Duration,
    /// Only make a release folder, to be signed elsewhere and then published
    #[arg(long, value_name = "DIR", conflicts_with = "keys")]
    pub out: Option<PathBuf>,
    /// A timestamp key: a file, `env:VARIABLE`, `-` for standard input, or `awskms:KEY` in AWS KMS;
    /// may be repeated
    #[arg(long = "key", value_name = "KEY", required_unless_present = "out", value_parser = key_argument)]
    pub keys: Vec<KeyArgument>,
    #[command(flatten)]
    pub password: PasswordArgs,
}

#[derive(Args)]
pub struct ShowArgs {
    /// A release folder to inspect before signing it, instead of the published release
    #[arg(value_name = "DIR", conflicts_with_all = ["repo", "root"])]
    pub folder: Option<PathBuf>,
    /// The repository: a directory, or s3://bucket/prefix
    #[arg(long, env = "SIGNER_REPO", value_name = "REPO", required_unless_present = "folder")]
    pub repo: Option<String>,
    /// The root document that is embedded in the tool
    #[arg(long, env = "SIGNER_ROOT", value_name = "FILE", required_unless_present = "folder")]
    pub root: Option<PathBuf>,
    /// The channel
    #[arg(long, default_value = "stable")]
    pub channel: Name,
    #[command(flatten)]
    pub server: S3Args,
}

#[derive(Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub repo: RepoArgs,
    #[command(flatten)]
    pub state: StateArgs,
    /// Verify only the current release of this channel, as `signer release` reads it back
    #[arg(long)]
    pub channel: Option<Name>,
}
