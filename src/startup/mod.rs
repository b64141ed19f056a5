//! The start-up check of a tool.
//!
//! ```text
//! builder     the options that the author of the tool sets
//! run         the check: interval, deadline, update, restart
//! policy      what a start does about a newer release, and whether it checks
//! remember    what a user is told once a day or once a release, and not at each start
//! require     whether `Policy::Require` lets a version run
//! flags       --rollback, --update, --unhold, --update-status
//! trial       the first starts of a version
//! at_exit     what happens at the end of the process
//! restart     restarts into the installed version
//! ```

mod at_exit;
mod builder;
mod flags;
mod policy;
mod remember;
mod require;
mod restart;
mod run;
mod trial;

pub use builder::Startup;
pub use policy::Policy;
pub use trial::{Running, confirm};
