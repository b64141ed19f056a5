//! The arguments of [`crate::Startup`], to flatten into a tool's clap command, so that `--help`
//! lists them and clap accepts them.
//!
//! ```
//! #[derive(clap::Parser)]
//! struct Arguments {
//!     #[command(flatten)]
//!     update: relatch::cli::UpdateArgs,
//!     /// An argument of the tool.
//!     host: Option<String>,
//! }
//! # <Arguments as clap::CommandFactory>::command().debug_assert();
//! ```
//! The tool does not act on them: [`crate::Startup::run`], called before, handles them and does not
//! return for the first four.

use clap::builder::StyledStr;
use clap::error::ContextValue;

use crate::escape::Printable;

/// `--rollback`, `--update`, `--unhold`, `--update-status`, `--no-update`.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct UpdateArgs {
    /// Go back to the version before, or to this one, without a network
    #[arg(long, exclusive = true, help_heading = "Updates", value_name = "VERSION", num_args = 0..=1, require_equals = true)]
    pub rollback: Option<Option<String>>,
    /// Update now; with `=now`, also to a release that is not fully rolled out yet; with a version,
    /// forward to that one
    #[arg(long, exclusive = true, help_heading = "Updates", value_name = "now|VERSION", num_args = 0..=1, require_equals = true)]
    pub update: Option<Option<String>>,
    /// Let versions that were left by a rollback be installed again
    #[arg(long, exclusive = true, help_heading = "Updates")]
    pub unhold: bool,
    /// Show what is installed, what a rollback returns to, and what the last check found
    #[arg(long, exclusive = true, help_heading = "Updates")]
    pub update_status: bool,
    /// Do not check for updates this time
    #[arg(long, help_heading = "Updates")]
    pub no_update: bool,
}

/// Escapes the arguments that an error of clap quotes, as [`Printable`] does.
///
/// clap quotes arguments unchanged, in messages and tips. They could control a terminal, or begin a
/// line of their own that a CI runner takes for a command. Use this in a tool whose arguments come
/// from others, for example in a pipeline:
///
/// ```no_run
/// # #[derive(clap::Parser)]
/// # struct Arguments {}
/// use clap::Parser;
/// let arguments = Arguments::try_parse().unwrap_or_else(|error| relatch::cli::printable(error).exit());
/// ```
/// The tool itself must escape the messages of its own value parsers and, if its command has no
/// `bin_name`, the name by which it was called.
#[must_use]
pub fn printable(mut error: clap::Error) -> clap::Error {
    let escaped = |text: &str| Printable(text).to_string();
    let context = error.context().filter_map(|(kind, value)| {
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
        error.insert(kind, value);
    }
    error
}
