//! What happens on the disk: from a signed hash to an executable at its path, and back.
//!
//! ```text
//! <exe>             changed by one exchange of names, and by nothing else              swap/
//! .<exe>.relatch/   state      floors, what is installed, previous, held, pending      state.rs
//!                   root       the newest root that was verified, with its signatures  state.rs
//!                   settings   how `relatch` updates an executable without a library   state.rs
//!                   lock       held by the process that changes anything here          lock.rs
//!                   staging    held by the process that downloads                      lock.rs
//!                   previous   the executable that --rollback brings back              rollback.rs
//!                   new-*      staged, 0600 until its hash is verified                 stage.rs
//!                   old-*      still runs, and cannot be removed yet (Windows)         swap/windows.rs
//! ```
//! From the ground up:
//! ```text
//! installation   paths              dir           an open directory         names    of the files in it
//! safety         step 1             directories   the two of an installation
//! lock           step 2             unlocked      questions without a lock
//! durable        small files        digest        size and hash             random   bytes and names
//! stage          steps 9 and 10     probe         step 11                   diagnosis, verdict
//! swap           step 12            first_install, rollback, clean_up
//! session        lock, directories and records as one value: what the updater sees
//! ```

mod clean_up;
mod diagnosis;
mod digest;
mod dir;
mod directories;
mod durable;
mod first_install;
mod installation;
mod lock;
mod names;
mod probe;
mod random;
mod rollback;
mod safety;
mod session;
mod stage;
mod state;
mod swap;
mod unlocked;
mod verdict;

pub(crate) use directories::Directories;
pub(crate) use first_install::Existing;
pub use installation::Installation;
pub use probe::Probe;
pub(crate) use probe::{answer_probe, probe_nonce};
pub(crate) use session::Session;
pub use stage::check_stored;
pub(crate) use stage::{Download, Staged};
pub use state::{Copy, Standing, State};
pub(crate) use state::{Loaded, Seen, Settings};
