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

use clap::builder::StyledStr;
use clap::error::ContextValue;

use crate::escape::Printable;

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

/// The same error, with what was typed as [`Printable`]: clap repeats it as it is, in a message and in a tip, so that it could drive a
/// terminal or begin a line of its own, which a runner of CI obeys.
///
/// For a tool whose arguments come from others, as those in a pipeline do:
///
/// ```no_run
/// # #[derive(clap::Parser)]
/// # struct Arguments {}
/// use clap::Parser;
/// let arguments = Arguments::try_parse().unwrap_or_else(|wrong| relatch::cli::printable(wrong).exit());
/// ```
/// What the tool's own parser of a value says is the tool's to escape, and so is the name by which it was called, where its command has no
/// `bin_name`.
#[must_use]
pub fn printable(mut wrong: clap::Error) -> clap::Error {
    let escaped = |text: &str| Printable(text).to_string();
    let context = wrong.context().filter_map(|(kind, value)| {
        let value = match value {
            ContextValue::String(text) => ContextValue::String(escaped(text)),
            ContextValue::Strings(texts) => {
                ContextValue::Strings(texts.iter().map(|text| escaped(text)).collect())
            }
            ContextValue::StyledStrs(tips) => ContextValue::StyledStrs(
                tips.iter().map(|tip| StyledStr::from(escaped(&tip.to_string()))).collect(),
            ),
            _ => return None,
        };
        Some((kind, value))
    });
    for (kind, value) in context.collect::<Vec<_>>() {
        wrong.insert(kind, value);
    }
    wrong
}
