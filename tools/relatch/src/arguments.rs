//! Arguments as typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use relatch::trust::Name;

/// Installs, updates and rolls back any executable that is published with relatch.
///
/// Exit codes: 0 done, or nothing to do; 2 usage; 3 refused as not trustworthy; 4 the repository cannot be reached or read; 5 this
/// machine: permissions, disk, cannot run. `check` says 100 when there is an update.
#[derive(Parser)]
#[command(name = "relatch", bin_name = "relatch", version, max_term_width = 110)]
pub struct Arguments {
    /// Answer with one line of JSON on stdout, errors too, but for those of usage
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Install the current release, verified from its very first byte
    Install(Install),
    /// Say whether there is an update; exit code 100 when there is
    Check {
        /// The installed executable
        path: PathBuf,
        /// Count what is not rolled out to everybody yet
        #[arg(long)]
        now: bool,
    },
    /// Install the newest release
    Update {
        /// The installed executable
        path: PathBuf,
        /// Take what is not rolled out to everybody yet
        #[arg(long)]
        now: bool,
    },
    /// Go back to the previous version, without a network; once more goes forward again
    Rollback {
        /// The installed executable
        path: PathBuf,
    },
    /// Say what is installed, what a rollback brings back, and what the last check found
    Status {
        /// The installed executable
        path: PathBuf,
    },
}

#[derive(Args)]
pub struct Install {
    /// The repository: https://..., s3://bucket/prefix?region=..., or a directory. For s3, credentials come from AWS's usual places
    #[arg(long, value_name = "REPO")]
    pub from: String,
    /// The root document, from somewhere that you trust; never from the repository itself
    #[arg(long, value_name = "ROOT.json")]
    pub root: PathBuf,
    /// The product
    #[arg(long)]
    pub product: Name,
    /// The channel
    #[arg(long, default_value = "stable")]
    pub channel: Name,
    /// Where the executable goes
    #[arg(long, value_name = "PATH")]
    pub to: PathBuf,
    /// The target to look for; this machine's without it
    #[arg(long, value_name = "TARGET")]
    pub target: Option<Name>,
    /// Certificates (PEM) to trust besides the platform's, for a repository with an internal CA
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Arguments with which each new version is tried before it is installed; it must exit with 0. Without it, an executable that links
    /// relatch is tried by its library, and another one is not
    #[arg(long, value_name = "ARGUMENTS", conflicts_with = "no_probe", allow_hyphen_values = true)]
    pub probe: Option<String>,
    /// Do not try new versions
    #[arg(long)]
    pub no_probe: bool,
    /// Replace an executable that is there
    #[arg(long)]
    pub force: bool,
}
