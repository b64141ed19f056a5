//! The files of an installation: installing a verified executable, and returning to the previous
//! one.
//!
//! ```text
//! <exe>             changed only by an exchange of names, or by a rename        swap/
//! .<exe>.relatch/
//!     journal       installed, kept, held, pending                              journal.rs
//!     floors        what was accepted, for each trust domain                    floors.rs
//!     cache         the last finding and failure; may be discarded              records.rs
//!     root          the newest verified root, with its signatures               root_file.rs
//!     settings      how `relatch` updates an executable without this library    settings.rs
//!     lock          held by the process that changes anything here              lock.rs
//!     staging       held by the process that downloads                          lock.rs
//!     previous      the executable that --rollback returns to                   rollback.rs
//!     new-*         staged, 0600 until its hash is verified                     stage.rs
//!     write-*       a small file before its rename                              durable.rs
//!     leaving       the old executable if names cannot be exchanged             swap/
//!     old-*         still running, so that it cannot be removed (Windows)       swap/windows.rs
//! ```
//!
//! Each file uses only files above it:
//! ```text
//! names, random, digest, installation                the paths and names of an installation
//! dir, durable, safety                               an open directory, small files, step 1
//! directories, lock                                  both directories, step 2
//! stage, probe (diagnosis, verdict)                  steps 9 to 11
//! record_file, journal, floors, settings, root_file  the recorded files
//! records, user_dir                                  what checks remember, and where
//! clean_up, swap, first_install, rollback            step 12
//! unlocked, observation, session                     the interface to the updater
//! recorded_files                                     the recorded files without a disk, for tests
//! ```

mod clean_up;
mod diagnosis;
mod digest;
mod dir;
mod directories;
mod durable;
mod first_install;
mod floors;
mod installation;
mod journal;
mod lock;
mod names;
mod observation;
mod probe;
mod random;
mod record_file;
mod recorded_files;
mod records;
mod rollback;
mod root_file;
mod safety;
mod session;
mod settings;
mod stage;
mod swap;
mod unlocked;
mod user_dir;
mod verdict;

pub(crate) use directories::Directories;
pub(crate) use first_install::Existing;
pub use installation::Installation;
pub(crate) use journal::{Installed, Journal, Under};
pub(crate) use observation::Observation;
pub use probe::Probe;
pub(crate) use probe::{answer_probe, probe_nonce};
#[doc(hidden)]
pub use recorded_files::RecordedFiles;
pub(crate) use records::Records;
#[cfg(fuzzing)]
pub(crate) use records::rewritten as rewritten_record;
pub(crate) use session::Session;
pub(crate) use settings::Settings;
pub use stage::check_stored;
pub(crate) use stage::{Download, Staged};
pub(crate) use unlocked::Recorded;
