//! Whether the root that a program carries is of the chain that was verified here before (SPEC section
//! 4.3). A walk of the chain decides.

use super::memory::Memory;
use crate::trust::{Lineage, Refusal, Relation, Roots};

/// The walk, until it has decided.
pub(super) enum Joining {
    /// From the anchor to the first root of the lineage, over these roots so far.
    Older(Lineage),
    /// From a root of the lineage to the anchor.
    Newer,
}

/// How a check of a program with this anchor begins.
pub(super) enum Beginning<'a> {
    /// With this root, and this walk if anchor and lineage are not compared yet.
    With(&'a Roots, Option<Joining>),
    /// With the newest root of the lineage, of which only the hash is here. It is requested.
    WithNewest,
    /// Another root of the lineage has the anchor's number.
    Forked,
}

/// `recorded` is the persisted root, if it is of the lineage. An update goes on where the last check
/// ended; a first install begins with the root that it was given.
pub(super) fn begin<'a>(
    anchor: &'a Roots,
    recorded: Option<&'a Roots>,
    lineage: Option<&Lineage>,
    is_update: bool,
) -> Beginning<'a> {
    match lineage.map_or(Relation::Member, |lineage| lineage.relation(anchor)) {
        Relation::Forked => Beginning::Forked,
        Relation::Older => Beginning::With(anchor, Some(Joining::Older(Lineage::beginning_with(anchor)))),
        Relation::Newer => match recorded {
            Some(recorded) => Beginning::With(recorded, Some(Joining::Newer)),
            None => Beginning::WithNewest,
        },
        Relation::Member => {
            let newer = recorded.filter(|recorded| is_update && recorded.version > anchor.version);
            Beginning::With(newer.unwrap_or(anchor), None)
        }
    }
}

/// Compares the next verified root with the one of its number that was verified before, and remembers
/// it. True if it connects an older anchor with the lineage.
///
/// # Errors
/// [`Refusal::RootForked`] if the anchor is of another chain; [`Refusal::RootEquivocation`].
pub(super) fn compare(
    joining: &mut Option<Joining>,
    memory: &mut Memory,
    anchor: &Roots,
    next: &Roots,
) -> Result<bool, Refusal> {
    let (number, found) = (next.version, next.digest());
    if let Some(Joining::Older(walked)) = joining {
        walked.append(next);
    }
    let known = memory.lineage().and_then(|lineage| lineage.hash(number));
    match (&joining, known) {
        (Some(Joining::Older(_)), None) => return Ok(false),
        (Some(_), Some(known)) if known != found => {
            return Err(Refusal::RootForked { number, known, found });
        }
        (None, Some(known)) if known != found => {
            return Err(Refusal::RootEquivocation { number, known, found });
        }
        _ => {}
    }
    let carried = anchor.digest();
    match joining.take() {
        Some(Joining::Older(walked)) => {
            memory.connected(walked);
            return Ok(true);
        }
        Some(Joining::Newer) if number < anchor.version => *joining = Some(Joining::Newer),
        Some(Joining::Newer) if found != carried => {
            *joining = Some(Joining::Newer);
            return Err(Refusal::RootForked { number, known: found, found: carried });
        }
        _ => {}
    }
    memory.root_verified(next);
    Ok(false)
}
