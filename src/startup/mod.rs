//! The start-up check of a tool.
//!
//! ```text
//! builder     what the author of the tool sets
//! run         the check: interval, deadline, update, restart
//! policy      what a start does about a newer release, and whether it checks
//! require     whether `Policy::Require` lets a version run
//! flags       --rollback, --update, --update-status
//! restart     into the version that was installed
//! ```

mod builder;
mod flags;
mod policy;
mod require;
mod restart;
mod run;

pub use builder::Startup;
pub use policy::Policy;
