//! Arguments as typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use relatch::trust::{Name, Version};

/// Installs, updates and rolls back any executable that is published with relatch.
///
/// Exit codes: 0 success, or nothing to do; 2 usage error; 3 refused as not trustworthy; 4 the
/// repository cannot be reached or read; 5 an error of this machine: permissions, disk, a release
/// that does not run. `check` exits with 100 if an update is available.
#[derive(Parser)]
#[command(name = "relatch", bin_name = "relatch", version, max_term_width = 110)]
pub struct Arguments {
    /// Print one line of JSON on stdout, also for errors, except usage errors
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Install the current release; it is verified from its first byte
    Install(InstallArgs),
    /// Report whether an update is available; exit code 100 if one is
    Check {
        /// The installed executable
        path: PathBuf,
        /// Ignore the rollout: report a release even if it is not rolled out to this installation
        /// yet
        #[arg(long)]
        now: bool,
    },
    /// Install the newest release, or go forward to a version that is kept
    Update {
        /// The installed executable
        path: PathBuf,
        /// Ignore the rollout: install a release even if it is not rolled out to this installation
        /// yet
        #[arg(long)]
        now: bool,
        /// Only to this version: to a kept one, without a network, else to the newest release if it
        /// is this one; it is on hold no longer
        #[arg(long, value_name = "VERSION", conflicts_with = "now")]
        to: Option<Version>,
    },
    /// Go back to a version that is kept, without a network; a second rollback changes nothing
    Rollback {
        /// The installed executable
        path: PathBuf,
        /// To this version [default: the one that was left last and may come back]
        #[arg(long, value_name = "VERSION")]
        to: Option<Version>,
    },
    /// End all holds: versions that were left by a rollback may be installed again
    Unhold {
        /// The installed executable
        path: PathBuf,
    },
    /// Show what is installed, kept and held, what happened last, and what is odd; exit code 3 if a
    /// record is damaged, 5 if the file is not what was installed
    #[command(alias = "status")]
    Doctor {
        /// The installed executable
        path: PathBuf,
        /// First mend what can be mended without the repository: a swap that was interrupted, an
        /// executable that is gone while another one is kept, kept executables that were changed, a
        /// mode that lets nobody run it
        #[arg(long)]
        repair: bool,
    },
}

#[derive(Args)]
pub struct InstallArgs {
    /// The repository: https://..., s3://bucket/prefix?region=..., or a directory. For s3,
    /// credentials come from where AWS's own tools read them
    #[arg(long, value_name = "REPO")]
    pub from: String,
    /// The root document, from a source that you trust; never from the repository itself
    #[arg(long, value_name = "ROOT.json")]
    pub root: PathBuf,
    /// The product name
    #[arg(long)]
    pub product: Name,
    /// The channel
    #[arg(long, default_value = "stable")]
    pub channel: Name,
    /// The path of the installed executable
    #[arg(long, value_name = "PATH")]
    pub to: PathBuf,
    /// The target [default: this machine's]
    #[arg(long, value_name = "TARGET")]
    pub target: Option<Name>,
    /// Certificates (PEM) to trust in addition to the platform's, for a repository with an internal
    /// CA
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Arguments to run each new version with before it is installed; it must exit with 0. Without
    /// this option, an executable that links relatch is probed by the library, and any other one is
    /// not probed
    #[arg(long, value_name = "ARGUMENTS", conflicts_with = "no_probe", allow_hyphen_values = true)]
    pub probe: Option<String>,
    /// Do not probe new versions
    #[arg(long)]
    pub no_probe: bool,
    /// Replace an existing executable
    #[arg(long)]
    pub force: bool,
}
