//! Composes the steps of SPEC section 5. Only this module and `startup` use all others.
//!
//! ```text
//! update     1, 2 a session; 9 download, 10 hash, 11 probe, 12 swap
//! travel     6: to a kept executable, and the end of holds
//! examination  what is installed, kept, found and odd, and its repair
//! check      3 to 8, with a `Check`
//! fetch      reads the objects that a check requires
//! successor  11: whether a release could update itself afterwards
//! first      the first install
//! budget     time limits
//! outcome    return values
//! ```

mod budget;
mod check;
mod examination;
mod fetch;
mod first;
#[cfg(all(test, target_os = "linux"))] // where a file system in memory is at hand
mod model;
mod outcome;
mod status;
mod successor;
mod travel;
mod update;

pub(crate) use budget::Budget;
pub use first::Install;
pub use outcome::{Checked, Forward, Outcome, RolledBack};
pub use status::{HeldVersion, KeptVersion, Oddity, Status, TrialStatus};
pub use update::Updater;
pub(crate) use update::carried_root;
