//! Signed self-updates for command-line tools, with an instant way back.
//!
//! What it protects: an attacker who owns the bucket, the CDN, the network and fewer keys than a threshold gets no byte executed, and no
//! crash, full disk or bad release leaves a person without a working tool.
//!
//! ```no_run
//! // First thing in main, before arguments are parsed:
//! relatch::Startup::new(
//!     "demo",
//!     env!("CARGO_PKG_VERSION"),
//! #   br#"
//!     include_bytes!("root.json")
//! #   "#
//!     ,
//!     "https://releases.example.com/demo",
//! )
//! .run();
//! ```
//!
//! # The way of an update
//! The numbers are the steps of `docs/SPEC.md`, section 5; the source cites them.
//! ```text
//!            source/             trust/                       policy            install/
//!  1 safe?                                                                      safety
//!  2 lock, state, recover                                                       session, swap
//!  3 roots  ─▶ Fetched ─▶ Verified<Root>
//!  4 VERSION ─▶ Fetched ─▶ Verified<Timestamp>   5 time
//!  6 manifest ─▶ Fetched ─▶ Verified<Manifest>
//!  7                                                                            State::advance
//!  8                                                       Decision::Update(Selected)
//!  9 blob ──────────────────────────────────────────────────────────────────▶   stage (10: hash) ─▶ Staged
//! 11                                                                            probe
//! 12                                                                            swap; rollback goes back
//! ```
//! Read the files in that order. Each arrow consumes its left side, so that no step can be left out.

pub mod check;
mod child;
#[cfg(feature = "cli")]
pub mod cli;
mod clock;
mod error;
mod escape;
pub mod install;
pub mod limits;
mod object;
#[doc(hidden)]
pub mod platform;
mod regular_file;
mod report;
pub mod source;
mod startup;
mod target;
pub mod trust;
mod updater;

pub use check::Finding;
pub use clock::{Clock, SystemClock, Utc};
pub use error::{Cause, Error, Local, Result};
pub use escape::{Printable, PrintableLines};
pub use object::Object;
pub use report::{Quiet, Reporter, Terminal};
pub use source::Unavailable;
pub use startup::{Policy, Startup};
pub use target::TARGET;
pub use trust::Refusal;
pub use updater::{Checked, Install, Outcome, RolledBack, Status, Updater};

/// For the targets in `fuzz/`; in no other build.
#[cfg(fuzzing)]
pub mod fuzzing {
    /// Reads a state file and writes it again.
    pub fn state(content: &[u8]) -> Option<Vec<u8>> {
        crate::install::State::rewritten(content)
    }

    /// The updater of a tool at `path` that carries this root and knows its version: [`crate::Startup::updater`] makes one for the running
    /// executable only, which is the fuzzer.
    pub fn updater(
        path: &std::path::Path,
        identity: crate::trust::Identity,
        target: crate::trust::Name,
        running: crate::trust::Version,
        anchor: &[u8],
        source: impl crate::source::Source,
    ) -> crate::Result<crate::Updater> {
        let site = crate::install::Installation::at(path)?;
        let source = crate::source::Fetcher::new(source);
        let probe = crate::install::Probe::Library;
        crate::Updater::new(site, identity, target, Some(running), anchor, source, probe)
    }

    /// Reads a settings file and writes it again.
    pub fn settings(content: &[u8]) -> Option<Vec<u8>> {
        crate::install::Settings::rewritten(content)
    }

    /// Reads what services, files and programs say of credentials: how many of them took it for some.
    #[cfg(feature = "s3")]
    pub fn credentials(content: &[u8]) -> usize {
        crate::source::fuzzing_credentials(content)
    }
}
