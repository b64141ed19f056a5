//! Arguments as typed.

mod known;
mod root;
mod shared;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use relatch::trust::{Digest, Name, Seq, Version};
use signer::custody::{KeyArgument, KeyEncryption};
use signer::repository::Damage;

pub use root::{
    RootAddArgs, RootChangeArgs, RootCommand, RootNewArgs, RootPublishArgs, RootRemoveArgs, RootShowArgs,
    RootSignArgs,
};
use shared::key_argument;
pub use shared::{KeysArgs, PasswordArgs, RepoArgs, S3Args};

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
    /// Print one line of JSON on stdout, also for errors, except usage errors
    #[arg(long, global = true)]
    pub json: bool,
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
    /// Re-sign the published release before it expires: the same version and the same bytes under
    /// the next number
    Renew(RenewArgs),
    /// Show the published release; or a release folder: what is in it, what is unusual about it, and
    /// how it differs from the published release
    Show(ShowArgs),
    /// Verify every byte of a repository by the client's own code, or only one channel's release
    Verify(VerifyArgs),
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
    /// How long the release may be installed; `signer renew` renews it
    #[arg(long, value_parser = humantime::parse_duration, default_value = "180d", value_name = "TIME")]
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
    /// Compare the folder with this repository before signing: a directory, s3://bucket/prefix, or
    /// https://...
    #[arg(long, value_name = "REPO", requires = "root")]
    pub repo: Option<String>,
    /// The root document that is embedded in the tool
    #[arg(long, value_name = "FILE", requires = "repo")]
    pub root: Option<PathBuf>,
    #[command(flatten)]
    pub server: S3Args,
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

/// Either the keys, to sign and publish at once, or a folder for several signers.
#[derive(Args)]
pub struct SigningArgs {
    /// Only make a release folder, to be signed elsewhere and then published
    #[arg(long, value_name = "DIR", conflicts_with = "keys")]
    pub out: Option<PathBuf>,
    /// A key: a file that only its owner can read, `env:VARIABLE`, `-` for standard input, or
    /// `awskms:KEY` in AWS KMS; may be repeated. A refresh requires timestamp keys only
    #[arg(long = "key", value_name = "KEY", required_unless_present = "out", value_parser = key_argument)]
    pub keys: Vec<KeyArgument>,
    #[command(flatten)]
    pub password: PasswordArgs,
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
    #[command(flatten)]
    pub signing: SigningArgs,
}

#[derive(Args)]
pub struct RenewArgs {
    #[command(flatten)]
    pub repo: RepoArgs,
    #[command(flatten)]
    pub known: KnownArgs,
    /// The channel
    #[arg(long, default_value = "stable")]
    pub channel: Name,
    /// How long the release may be installed
    #[arg(long, value_parser = humantime::parse_duration, default_value = "180d", value_name = "TIME")]
    pub expires_in: Duration,
    /// How long VERSION is valid
    #[arg(long, value_parser = humantime::parse_duration, default_value = "30d", value_name = "TIME")]
    pub version_expires_in: Duration,
    #[command(flatten)]
    pub signing: SigningArgs,
}

#[derive(Args)]
pub struct ShowArgs {
    /// A release folder to inspect before signing it; with --repo and --root it is compared with the
    /// published release
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// The repository: a directory, s3://bucket/prefix, or https://...
    #[arg(long, env = "SIGNER_REPO", value_name = "REPO", required_unless_present = "folder")]
    pub repo: Option<String>,
    /// The root document that is embedded in the tool
    #[arg(long, env = "SIGNER_ROOT", value_name = "FILE", required_unless_present = "folder")]
    pub root: Option<PathBuf>,
    /// The channel [default: stable]; a release folder has its own
    #[arg(long, conflicts_with = "folder")]
    pub channel: Option<Name>,
    #[command(flatten)]
    pub server: S3Args,
}

#[derive(Args)]
pub struct VerifyArgs {
    /// The repository: a directory, s3://bucket/prefix, or https://...
    #[arg(long, env = "SIGNER_REPO", value_name = "REPO")]
    pub repo: String,
    /// The root document that is embedded in the tool
    #[arg(long, env = "SIGNER_ROOT", value_name = "FILE")]
    pub root: PathBuf,
    #[command(flatten)]
    pub server: S3Args,
    #[command(flatten)]
    pub state: StateArgs,
    /// Verify only the current release of this channel, as `signer release` reads it back
    #[arg(long)]
    pub channel: Option<Name>,
}
