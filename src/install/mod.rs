//! What happens on the disk: from a signed hash to an executable at its path, and back.
//!
//! ```text
//! .<exe>.relatch/   state      floors, what is installed, previous, held, pending        state.rs
//!                   root       the newest root that was verified, with its signatures    state.rs
//!                   lock       held by whoever changes anything here                     lock.rs
//!                   staging    held by whoever downloads                                 lock.rs
//!                   previous   the executable that --rollback brings back                swap/, rollback.rs
//!                   old-*      one that still runs and cannot be removed yet (Windows)     swap/windows.rs
//!                   new-*      staged, 0600 until its hash is verified                   stage.rs, probe.rs
//! <exe>             changed by one exchange of names, and by nothing else                swap/
//! ```

mod diagnosis;
mod durable;
mod lock;
mod probe;
mod record;
mod rollback;
mod site;
mod stage;
mod state;
mod swap;
mod verdict;

pub(crate) use lock::Lock;
pub use probe::Probe;
pub(crate) use probe::{answer_probe, probe_nonce};
pub use record::Installed;
pub(crate) use record::{PendingSwap, Record};
pub(crate) use rollback::rollback;
pub use site::Installation;
pub use stage::check_stored;
pub(crate) use stage::is_swappable;
pub(crate) use stage::{Download, Staged, clean_up, first_install};
pub use state::State;
pub(crate) use state::{Loaded, Settings, load_root, random, save_root};
pub(crate) use swap::{recover, swap_in};
