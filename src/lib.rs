//! Signed self-updates for command-line tools, with instant rollback.
//!
//! An attacker who controls the bucket, the CDN and the network, but fewer keys than the threshold,
//! cannot make a client run a single byte. No crash, full disk or bad release leaves a user without
//! a working tool.
//!
//! ```no_run
#![doc = include_str!("../examples/minimal.rs")]
//! ```
//! `signer init` creates the root document. It is public, and every tool contains it.
//! [`examples/own_flags.rs`] is a tool with its own commands instead of the flags.
//!
//! # Flags
//! A flag is handled if it is the only argument. With others behind it, it is an error.
//! [`Startup::own_flags`] leaves all of them to the tool.
//!
//! | flag | effect |
//! |---|---|
//! | `--rollback` | returns to the version before, without a network; twice is once |
//! | `--rollback=VERSION` | returns to this version, if it is kept |
//! | `--update` | updates now; `--update=now` ignores a staged rollout |
//! | `--update=VERSION` | goes forward to this version, without a network if it is kept |
//! | `--unhold` | what was left by a rollback may be installed again |
//! | `--update-status` | prints versions and the last finding; exit code 3 or 5 for a fault |
//! | `--no-update` | skips the check this time; anywhere before `--` |
//!
//! # Policies
//! [`Startup::policy`] sets what a start does about a newer release.
//!
//! | policy | newer release | offline, or not trusted |
//! |---|---|---|
//! | [`Policy::Auto`] | is installed and runs at once | the installed version runs |
//! | [`Policy::Notify`] | is reported in one line | the installed version runs |
//! | [`Policy::Require`] | is installed and runs at once | nothing runs before a check succeeds; see [`Startup::grace`] |
//! | [`Policy::Off`] | is ignored | the installed version runs |
//!
//! # Features
//! Features only add functions. No feature, option or variable disables a check of a client.
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `https` | yes | repositories behind HTTPS |
//! | `s3` | | private S3 buckets |
//! | `s3-sdk` | | all credential sources of AWS's SDK |
//! | `cli` | | the flags as clap arguments, for `--help` |
//! | `progress` | | a progress bar for downloads |
//! | `publisher` | | reading expired documents of one's own repository, for `signer` |
//!
//! # The path of an update
//! The numbers are the steps of `docs/SPEC.md`, section 5; the source cites them.
//! ```text
//!            source/             trust/                       check/               install/
//!  1 safe place                                                                    safety
//!  2 lock, records, recover                                                        session
//!  3 roots  ─▶ Fetched ─▶ Roots ─▶ FinalRoot
//!  4 VERSION ─▶ Fetched ─▶ Verified<Timestamp>   5 time
//!  6 manifest ─▶ Fetched ─▶ Verified<Manifest>
//!  7                                                   Memory: floors, cache
//!  8                                                   Decision::Update(Selected)
//!  9 blob ──────────────────────────────────────────────────────────────────▶     stage (10: hash) ─▶ Staged
//! 11                                                                               probe
//! 12                                                                               swap; rollback
//! ```
//! `ARCHITECTURE.md` explains it file by file.
//!
//! [`examples/own_flags.rs`]: https://github.com/relatch/relatch/blob/main/examples/own_flags.rs

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(unnameable_types, unreachable_pub)]
#![allow(clippy::needless_doctest_main, reason = "the first example is a whole program")]

pub mod check;
mod child;
#[cfg(feature = "cli")]
#[cfg_attr(docsrs, doc(cfg(feature = "cli")))]
pub mod cli;
mod clock;
mod error;
mod escape;
pub mod install;
pub mod limits;
mod object;
mod obstacle;
#[doc(hidden)]
pub mod platform;
mod raised;
mod regular_file;
mod report;
pub mod source;
mod startup;
mod target;
pub mod trust;
mod unknown;
mod updater;

pub use check::Finding;
pub use clock::{Clock, SystemClock, Utc};
pub use error::{Cause, Error, Local, Result};
pub use escape::{JsonLine, Printable, PrintableLines};
pub use object::Object;
pub use obstacle::{CarryFailure, Obstacle, Place, UnsafeReason, User};
pub use raised::Raised;
pub use report::{Quiet, Reporter, Terminal};
pub use source::Unavailable;
pub use startup::{Policy, Running, Startup, confirm};
pub use target::TARGET;
pub use trust::Refusal;
pub use updater::{
    Checked, Forward, HeldVersion, Install, KeptVersion, Oddity, Outcome, RolledBack, Status, TrialStatus,
    Updater,
};

/// For the targets in `fuzz/`; in no other build.
#[cfg(fuzzing)]
pub mod fuzzing {
    /// Reads `journal`, `floors` or `cache` and writes it again.
    pub fn record(content: &[u8]) -> Option<Vec<u8>> {
        crate::install::rewritten_record(content)
    }

    /// The updater of a tool at `path` with this root and version. [`crate::Startup::updater`]
    /// creates one for the running executable only, which is the fuzzer.
    pub fn updater(
        path: &std::path::Path,
        identity: crate::trust::Identity,
        target: crate::trust::Name,
        running: crate::trust::Version,
        anchor: &[u8],
        source: impl crate::source::Source,
    ) -> crate::Result<crate::Updater> {
        let installation = crate::install::Installation::at(path)?;
        let source = crate::source::Fetcher::new(source);
        let probe = crate::install::Probe::Library;
        crate::Updater::new(installation, identity, target, Some(running), anchor, source, probe)
    }

    /// Reads a settings file and writes it again.
    pub fn settings(content: &[u8]) -> Option<Vec<u8>> {
        crate::install::Settings::rewritten(content)
    }

    /// Parses the content as the credentials of each service, file and program. Returns how many of
    /// the parsers accept it.
    #[cfg(feature = "s3")]
    pub fn credentials(content: &[u8]) -> usize {
        crate::source::fuzzing_credentials(content)
    }
}
