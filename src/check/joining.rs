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

/// What a verified root is to anchor and lineage.
pub(super) enum Compared {
    /// A root between an older anchor and the lineage. It is not kept.
    OnTheWay,
    /// The first root of the lineage, to which an older anchor leads.
    Connected,
    /// The newest root of the lineage from now on, or one of it.
    Newest,
    /// The same, in the place of the anchor, which is of another chain.
    Forked(Refusal),
}

/// Compares the next verified root with the one of its number that was verified before, and remembers
/// it.
///
/// # Errors
/// [`Refusal::RootForked`] if the anchor is of another chain; [`Refusal::RootEquivocation`].
pub(super) fn compare(
    joining: &mut Option<Joining>,
    memory: &mut Memory,
    anchor: &Roots,
    next: &Roots,
) -> Result<Compared, Refusal> {
    let (number, found) = (next.version, next.digest());
    let known = memory.lineage().and_then(|lineage| lineage.hash(number));
    if let Some(known) = known.filter(|known| *known != found) {
        return Err(match joining {
            Some(_) => Refusal::RootForked { number, known, found },
            None => Refusal::RootEquivocation { number, known, found },
        });
    }
    match joining.take() {
        Some(Joining::Older(mut walked)) => {
            walked.append(next);
            if known.is_none() {
                *joining = Some(Joining::Older(walked));
                return Ok(Compared::OnTheWay);
            }
            memory.connected(walked);
            return Ok(Compared::Connected);
        }
        Some(Joining::Newer) if number < anchor.version => *joining = Some(Joining::Newer),
        Some(Joining::Newer) if found != anchor.digest() => {
            *joining = Some(Joining::Newer);
            // Else this chain could later go on with the anchor.
            memory.root_verified(next);
            let carried = anchor.digest();
            return Ok(Compared::Forked(Refusal::RootForked { number, known: found, found: carried }));
        }
        _ => {}
    }
    memory.root_verified(next);
    Ok(Compared::Newest)
}
