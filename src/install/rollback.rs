//! Going back to the previous executable: one hash, one exchange of names, no network (SPEC section 6).

use std::fs::File;

use super::stage::digest_of;
use super::swap;
use super::{Installation, Installed, Lock, PendingSwap, State};
use crate::error::{Local, Result, io};
use crate::trust::Refusal;
use crate::trust::{Epoch, Version};

/// Brings the recorded previous executable back and holds the version that is left. A second rollback goes forward again.
///
/// `running` is the version at the path, for an executable that no swap has recorded yet.
///
/// # Errors
/// [`Local::NothingToRollBack`]; [`Refusal::PreviousAltered`], [`Refusal::BelowFloor`], [`Refusal::PreviousEpoch`]. Nothing is changed.
pub(crate) fn rollback(
    site: &Installation,
    state: &mut State,
    running: Option<&Version>,
    lock: &Lock,
) -> Result<(Version, Version)> {
    let nothing = || Local::NothingToRollBack { path: site.executable().into() };
    let to = state.record.previous().cloned().ok_or_else(nothing)?;
    let path = site.previous();
    // Before it is opened: a FIFO would be waited for, and a link would go to the path as a link.
    match std::fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_file() => {}
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(io("look at", &path)(error));
        }
        _ => return Err(nothing().into()),
    }
    let mut file = File::open(&path).map_err(io("open", &path))?;
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
    let mut current = File::open(site.executable()).map_err(io("open", site.executable()))?;
    let (_, blake3) = digest_of(&mut current).map_err(io("read", site.executable()))?;
    let from = match (state.record.installed(), running) {
        (Some(copy), _) if copy.blake3 == blake3 => copy.clone(),
        // Somebody put another executable at the path: only the one that runs can say which version it is, and nobody of which epoch. As
        // one of the first it does not come back where an epoch was ever raised.
        (_, Some(running)) => Installed { version: running.clone(), blake3, epoch: Epoch::FIRST },
        (Some(copy), None) => Installed { version: copy.version.clone(), blake3, epoch: Epoch::FIRST },
        (None, None) => return Err(nothing().into()),
    };
    let versions = (from.version.clone(), to.version.clone());
    swap::exchange(site, state, PendingSwap { file: swap::PREVIOUS.into(), from, to, rollback: true }, lock)?;
    Ok(versions)
}
