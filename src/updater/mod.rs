//! Composes the steps of SPEC section 5. Only this room and `startup` see all others.
//!
//! ```text
//! update     1, 2 a session; 9 download, 10 hash, 11 probe, 12 swap; rollback, status
//! check      3 to 8, by driving a `Check`
//! fetch      from what a check wants to what a source has
//! first      the same for an executable that does not exist yet
//! budget     how long an update may take
//! outcome    what is returned
//! ```

mod budget;
mod check;
mod fetch;
mod first;
mod outcome;
mod update;

pub(crate) use budget::Budget;
pub use first::Install;
pub use outcome::{Checked, Outcome, RolledBack, Status};
pub use update::Updater;
