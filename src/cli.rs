//! The arguments of [`crate::Startup`], to flatten into a tool's clap command: so that they stand in `--help` and parse.
//!
//! ```
//! #[derive(clap::Parser)]
//! struct Arguments {
//!     #[command(flatten)]
//!     update: relatch::cli::UpdateArgs,
//!     /// What the tool is about.
//!     host: Option<String>,
//! }
//! # <Arguments as clap::CommandFactory>::command().debug_assert();
//! ```
//! They were answered before: [`crate::Startup::run`] does not return for the first three.

/// `--rollback`, `--update`, `--update-status`, `--no-update`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct UpdateArgs {
    /// Go back to the previous version, without a network; once more goes forward again
    #[arg(long, exclusive = true, help_heading = "Updates")]
    pub rollback: bool,
    /// Update now; `=now` also where the release is not rolled out to everybody yet
    #[arg(long, exclusive = true, help_heading = "Updates", value_name = "now", num_args = 0..=1, require_equals = true, value_parser = ["now"])]
    pub update: Option<Option<String>>,
    /// Say what is installed, what a rollback brings back, and what the last check found
    #[arg(long, exclusive = true, help_heading = "Updates")]
    pub update_status: bool,
    /// Do not check for updates this time
    #[arg(long, help_heading = "Updates")]
    pub no_update: bool,
}
