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
//!     lock          held while the journal or executables change                lock.rs
//!     staging       held by the process that checks or downloads                lock.rs
//!     previous      the executable that the last update replaced                rollback.rs
//!     kept-*        earlier ones                                                rollback.rs
//!     trial         the first starts of a version                               trial.rs
//!     events        the last events, for people                                 events.rs
//!     new-*         staged, 0600 until its hash is verified                     stage.rs
//!     write-*       a small file before its rename                              durable.rs
//!     leaving       the old executable if names cannot be exchanged             swap/
//!     old-*         still running, so that it cannot be removed (Windows)       swap/windows.rs
//! ```
//!
//! Each file uses only files above it:
//! ```text
//! privileges                                         step 1: the process
//! names, random, digest, dir, installation           the paths and names of an installation
//! users, restrictions, durable, safety               an open directory, small files; step 1: place
//! directories, lock                                  both directories, step 2
//! launch (verdict), stage, answer, probe (diagnosis)  steps 9 to 11
//! record_file, executables, journal, floors          the recorded files
//! settings, root_file
//! records, user_dir                                  what checks remember, and where
//! identity                                           whether the file at the path is the tool
//! kept, trial, events                                what is kept, the first starts of a version, the log
//! clean_up, swap, first_install, rollback, repair    step 12, and without a release
//! preflight                                          step 9, before the download
//! unlocked, observation, paused, session             the interface to the updater
//! recorded_files                                     the recorded files without a disk, for tests
//! ```

mod answer;
mod clean_up;
mod diagnosis;
mod digest;
mod dir;
mod directories;
mod durable;
mod events;
mod executables;
mod first_install;
mod floors;
mod identity;
mod installation;
mod journal;
mod kept;
mod launch;
mod lock;
mod names;
mod observation;
mod paused;
mod preflight;
mod privileges;
mod probe;
mod random;
mod record_file;
mod recorded_files;
mod records;
mod repair;
mod restrictions;
mod rollback;
mod root_file;
mod safety;
mod session;
mod settings;
mod stage;
mod swap;
mod trial;
mod unlocked;
mod user_dir;
#[cfg(unix)]
mod users;
mod verdict;

pub(crate) use answer::ProbeAnswer;
#[cfg(all(test, target_os = "linux"))]
pub(crate) use dir::moment;
pub(crate) use directories::Directories;
pub use events::{Event, Happened};
pub(crate) use first_install::Existing;
pub(crate) use identity::{ensure_is_mapped, installation_of_code};
pub use installation::Installation;
pub(crate) use journal::{AtPath, Installed, Journal, Kept, Under};
pub(crate) use observation::Observation;
pub(crate) use paused::Paused;
pub(crate) use preflight::Succession;
pub(crate) use privileges::refuse_raised_privileges;
pub use probe::Probe;
#[cfg(all(test, target_os = "linux"))]
pub(crate) use probe::stand_in;
pub(crate) use probe::{ProbeFailure, VARIABLE as PROBE_VARIABLE, probe_nonce};
#[doc(hidden)]
pub use recorded_files::RecordedFiles;
pub(crate) use records::Records;
#[cfg(fuzzing)]
pub(crate) use records::rewritten as rewritten_record;
pub(crate) use rollback::Goal;
pub(crate) use session::{Returned, Session};
pub(crate) use settings::Settings;
pub use stage::check_stored;
pub(crate) use stage::{Download, Staged};
pub(crate) use swap::{Entering, Replaced, Swapped};
pub(crate) use trial::{Run, Trial, TrialFile, is_alive, this_run};
pub(crate) use unlocked::Recorded;
