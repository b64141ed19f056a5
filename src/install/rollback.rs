//! Going back to the previous executable: two hashes, one exchange of names, no network (SPEC
//! section 6).

use super::digest::digest_of;
use super::lock::Locked;
use super::record::{Installed, PendingSwap};
use super::state::State;
use super::{names, swap};
use crate::error::{Local, Result, io};
use crate::regular_file;
use crate::trust::Refusal;
use crate::trust::{Epoch, Version};

/// Brings the recorded previous executable back and holds the version that is left. A second
/// rollback goes forward again.
///
/// `running` is the version at the path, for an executable that no swap has recorded yet.
///
/// # Errors
/// [`Local::NothingToRollBack`]; [`Refusal::PreviousAltered`], [`Refusal::BelowFloor`],
/// [`Refusal::PreviousEpoch`]. Nothing is changed.
pub(super) fn rollback(
    locked: &Locked,
    state: &mut State,
    running: Option<&Version>,
) -> Result<(Version, Version)> {
    let executable = locked.installation().executable();
    let nothing = || Local::NothingToRollBack { path: executable.into() };
    let to = state.record.previous().cloned().ok_or_else(nothing)?;
    let previous = locked.file(names::PREVIOUS_FILE);
    let path = previous.path();
    // The exchange would put a symbolic link at the path as a link: anything but a file is no
    // executable.
    let mut file = match previous.open() {
        Err(error)
            if error.kind() == std::io::ErrorKind::NotFound || regular_file::is_not_regular(&error) =>
        {
            return Err(nothing().into());
        }
        opened => opened.map_err(io("open", &path))?,
    };
    let (_, found) = digest_of(&mut file).map_err(io("read", &path))?;
    if found != to.blake3 {
        return Err(Refusal::PreviousAltered { expected: to.blake3, found }.into());
    }
    let too_low = |floor: &&Version| !to.version.compare(floor).is_ok_and(|order| order.is_ge());
    if let Some(floor) = state.memory.min_version().filter(too_low) {
        return Err(Refusal::BelowFloor { floor: floor.clone(), found: to.version }.into());
    }
    match state.memory.epoch() {
        Some(trusted) if to.epoch != trusted => {
            return Err(Refusal::PreviousEpoch { previous: to.epoch, trusted }.into());
        }
        _ => {}
    }
    let mut current = locked.executable().open().map_err(io("open", executable))?;
    let (_, blake3) = digest_of(&mut current).map_err(io("read", executable))?;
    let from = match (state.record.installed(), running) {
        (Some(installed), _) if installed.blake3 == blake3 => installed.clone(),
        // A person put another executable at the path. Only the running program knows its version,
        // and its epoch is unknown: with the first epoch it does not come back if the epoch was
        // ever raised.
        (_, Some(running)) => Installed { version: running.clone(), blake3, epoch: Epoch::FIRST },
        (Some(installed), None) => {
            Installed { version: installed.version.clone(), blake3, epoch: Epoch::FIRST }
        }
        (None, None) => return Err(nothing().into()),
    };
    let versions = (from.version.clone(), to.version.clone());
    swap::exchange(locked, state, PendingSwap { file: names::PREVIOUS.into(), from, to, rollback: true })?;
    Ok(versions)
}
