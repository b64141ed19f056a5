//! The journal: the executable at the path, the ones that are kept, and a swap in progress.
//!
//! The fields are private. Each event that changes them has its own function here. The other
//! functions change nothing.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::dir::OpenDir;
pub(crate) use super::executables::{Installed, Kept, Swap, Under};
use super::random::random;
use super::record_file::{Kind, read_open, write_checked};
use super::{durable, names};
use crate::error::Result;
use crate::limits;
use crate::trust::{Digest, Name, Refusal, Version};
use crate::unknown::Unknown;

/// The type of the file. A later version of relatch may have another number.
pub(super) const KIND: &str = "relatch-journal/";

/// A version that is not installed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Hold {
    version: Version,
    /// When the hold ends, if it is not a person's: the version had failed in its first starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    #[serde(flatten)]
    unknown: Unknown,
}

/// What the bytes at the path are, by their hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtPath<'a> {
    /// What the last swap put there.
    Installed(&'a Installed),
    /// What an update put there, or was about to replace, that is not recorded as complete.
    Interrupted(&'a Installed),
    /// The executable that a rollback returns to.
    Kept(&'a Installed),
    /// Something that is not recorded.
    Other,
}

impl<'a> AtPath<'a> {
    /// The recorded executable, if it is one.
    pub(crate) fn known(self) -> Option<&'a Installed> {
        match self {
            AtPath::Installed(known) | AtPath::Interrupted(known) | AtPath::Kept(known) => Some(known),
            AtPath::Other => None,
        }
    }
}

/// The record of an executable and of those before it (SPEC section 4.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Journal {
    #[serde(rename = "type")]
    kind: Kind,
    product: Name,
    /// This installation's place in staged rollouts, 0 to 99, drawn once.
    rollout: u8,
    installed: Option<Installed>,
    /// The one that left the path last is the first.
    kept: Vec<Kept>,
    /// Versions that the user rolled back from, the last one last.
    held: Vec<Hold>,
    pending: Option<Swap>,
    #[serde(flatten)]
    unknown: Unknown,
}

fn lasts(until: u64, now: u64) -> bool {
    now < until && until - now <= limits::AUTOMATIC_HOLD.as_secs()
}

impl Journal {
    /// The first journal: nothing was installed yet. The place in rollouts is random.
    pub(crate) fn new(product: &Name) -> Result<Self> {
        // 2^64 is not a multiple of 100: the bias is below 10^-17.
        let rollout = (u64::from_le_bytes(random()?) % 100) as u8;
        Ok(Journal {
            kind: Kind::first(KIND),
            product: product.clone(),
            rollout,
            installed: None,
            kept: Vec::new(),
            held: Vec::new(),
            pending: None,
            unknown: Unknown::default(),
        })
    }

    /// `None` if there is none. A damaged one is [`Refusal::StateDamaged`].
    pub(super) fn load(private: &OpenDir) -> Result<Option<Self>> {
        let content = durable::read(private, names::JOURNAL, limits::STATE)?;
        Ok(content.map(|content| Journal::parse(&content)).transpose()?)
    }

    /// Parses the content of the file.
    pub(super) fn parse(content: &[u8]) -> Result<Self, Refusal> {
        let journal: Journal = read_open(content, KIND)?;
        match journal.is_in_range() {
            true => Ok(journal),
            false => Err(Refusal::StateDamaged { why: "a value of the journal is out of range".into() }),
        }
    }

    /// The content of the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        write_checked(self)
    }

    /// Writes it durably.
    pub(super) fn save(&self, private: &OpenDir) -> Result<()> {
        durable::replace(private, names::JOURNAL, &self.to_bytes())
    }

    /// The state on the disk is input.
    fn is_in_range(&self) -> bool {
        let is_repeated =
            |(at, held): (usize, &Hold)| self.held.iter().skip(at + 1).any(|v| v.version == held.version);
        // A rollback leaves an executable that is recorded.
        let is_from_nothing = |swap: &Swap| swap.rollback && swap.from.is_none();
        self.rollout < 100
            && !self.pending.as_ref().is_some_and(is_from_nothing)
            && self.held.len() <= limits::HOLDS
            && !self.held.iter().enumerate().any(is_repeated)
    }

    /// Refuses the journal of another product, so that it is not overwritten.
    ///
    /// # Errors
    /// [`Refusal::StateOfOther`].
    pub(super) fn ensure_product(&self, product: &Name) -> Result<(), Refusal> {
        if self.product == *product {
            return Ok(());
        }
        let (expected, found) = (product.to_string(), self.product.to_string());
        Err(Refusal::StateOfOther { expected, found })
    }

    /// The product that is installed.
    pub(crate) fn product(&self) -> &Name {
        &self.product
    }

    /// This installation's place in staged rollouts, 0 to 99.
    pub(crate) fn rollout(&self) -> u8 {
        self.rollout
    }

    /// What the last swap put at the path.
    pub(crate) fn installed(&self) -> Option<&Installed> {
        self.installed.as_ref()
    }

    /// The hash of what the last swap put at the path, if that is this version.
    pub(crate) fn executable(&self, version: &Version) -> Option<Digest> {
        self.installed.as_ref().filter(|installed| installed.version == *version).map(|known| known.blake3)
    }

    /// The executables that are kept, the one that left the path last first.
    pub(crate) fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// The kept executable with this hash.
    pub(crate) fn kept_with(&self, blake3: Digest) -> Option<&Kept> {
        self.kept.iter().find(|kept| kept.executable.blake3 == blake3 && names::is_kept(&kept.file))
    }

    /// The kept executable in the file `previous`.
    pub(super) fn previous(&self) -> Option<&Kept> {
        self.kept.iter().find(|kept| kept.file == names::PREVIOUS)
    }

    /// The new name of the file `previous`, if a swap keeps it beside the one that gets this name.
    pub(super) fn aside<'a>(&self, swap: &'a Swap) -> Option<&'a str> {
        let (previous, mut kept) = (self.previous()?, swap.kept.as_ref()?.iter());
        let is_renamed = |kept: &&Kept| {
            kept.executable.blake3 == previous.executable.blake3 && kept.file != names::PREVIOUS
        };
        kept.find(is_renamed).map(|kept| kept.file.as_str())
    }

    /// Whether any executable is known to work: the library in it recorded its first starts.
    pub(super) fn knows_confirmed(&self) -> bool {
        let known = self.installed.iter().chain(self.kept.iter().map(|kept| &kept.executable));
        known.into_iter().any(|executable| executable.confirmed)
    }

    /// Whether a rollback put there what is installed. An earlier version of relatch recorded the
    /// hold of what it left, and no more.
    pub(crate) fn is_returned(&self) -> bool {
        let Some(installed) = &self.installed else { return false };
        let left = self.kept.first().map(|kept| &kept.executable.version);
        let is_higher = |left: &&Version| left.compare(&installed.version).is_ok_and(Ordering::is_gt);
        let is_held = |left: &Version| self.held.iter().any(|held| held.version == *left);
        installed.returned || left.filter(is_higher).is_some_and(is_held)
    }

    /// What is at the path, if its bytes have this hash.
    pub(crate) fn at_path(&self, found: Digest) -> AtPath<'_> {
        let is_found = |known: &&Installed| known.blake3 == found;
        if let Some(swap) = &self.pending {
            let known = [Some(&swap.to), swap.from.as_ref()].into_iter().flatten().find(is_found);
            return known.map_or(AtPath::Other, AtPath::Interrupted);
        }
        match (self.installed.as_ref().filter(is_found), self.kept_with(found)) {
            (Some(installed), _) => AtPath::Installed(installed),
            (None, Some(kept)) => AtPath::Kept(&kept.executable),
            (None, None) => AtPath::Other,
        }
    }

    /// The versions on hold, the latest one last.
    pub(crate) fn held(&self) -> Vec<Version> {
        self.held.iter().map(|hold| hold.version.clone()).collect()
    }

    /// The versions on hold, and when the hold ends if it is not a person's, in Unix seconds.
    pub(crate) fn holds_until(&self) -> impl Iterator<Item = (&Version, Option<u64>)> {
        self.held.iter().map(|hold| (&hold.version, hold.until))
    }

    /// The versions from which a person went back.
    pub(crate) fn held_by_person(&self) -> Vec<Version> {
        let of_person = self.held.iter().filter(|hold| hold.until.is_none());
        of_person.map(|hold| hold.version.clone()).collect()
    }

    /// The versions that failed in their first starts, and whose hold has not ended. If the clock
    /// was set back by more than such a hold lasts, it has.
    pub(crate) fn held_for_failing(&self, now: u64) -> Vec<Version> {
        let failed = self.held.iter().filter(|hold| hold.until.is_some_and(|until| lasts(until, now)));
        failed.map(|hold| hold.version.clone()).collect()
    }

    /// The swap that is in progress, or that a crash interrupted.
    pub(crate) fn pending(&self) -> Option<&Swap> {
        self.pending.as_ref()
    }

    // Events.

    /// A file that this library did not put there is at the path.
    pub(crate) fn replaced_by_hand(&mut self) {
        self.installed = None;
    }

    /// The executable with this hash is known to work, wherever it is recorded.
    pub(super) fn confirmed(&mut self, blake3: Digest) {
        let mut known: Vec<&mut Installed> = self.installed.iter_mut().collect();
        known.extend(self.kept.iter_mut().map(|kept| &mut kept.executable));
        if let Some(swap) = &mut self.pending {
            known.extend(swap.from.iter_mut().chain([&mut swap.to]));
            known.extend(swap.kept.iter_mut().flatten().map(|kept| &mut kept.executable));
        }
        known.into_iter().for_each(|known| known.confirmed |= known.blake3 == blake3);
    }

    /// A person went back where what left the path last was left for failing: its hold is a
    /// person's from now on. The result is whether it was not.
    pub(super) fn hold_taken_over(&mut self) -> bool {
        let Some(left) = self.kept.first().map(|kept| &kept.executable.version) else { return false };
        let mut held = self.held.iter_mut().filter(|hold| hold.version == *left);
        held.next().is_some_and(|hold| hold.until.take().is_some())
    }

    /// Holds that ended by themselves are none.
    pub(crate) fn holds_over(&mut self, now: u64) {
        self.held.retain(|hold| hold.until.is_none_or(|until| lasts(until, now)));
    }

    /// A kept executable is not what was recorded, or is gone.
    pub(super) fn kept_lost(&mut self, file: &str) {
        self.kept.retain(|kept| kept.file != file);
    }

    /// A person ended all holds.
    pub(super) fn holds_ended(&mut self) {
        self.held.clear();
    }

    /// A swap begins. If a crash interrupts it, the next session finishes or undoes it.
    pub(super) fn swap_began(&mut self, pending: Swap) {
        self.pending = Some(pending);
    }

    /// A swap is complete. A rollback puts the version that it leaves on hold; what comes to the
    /// path is on hold no longer. `is_kept` is whether `from` is in its place; if it is not, what is
    /// kept is what was kept before.
    pub(super) fn swap_ended(&mut self, swap: &Swap, is_kept: bool) {
        self.kept = self.kept_after(swap, is_kept);
        self.pending = None;
        self.held.retain(|held| held.version != swap.to.version);
        if let Some(from) = swap.from.as_ref().filter(|_| swap.rollback) {
            self.held.retain(|held| held.version != from.version);
            if self.held.len() == limits::HOLDS {
                self.held.remove(0);
            }
            let version = from.version.clone();
            self.held.push(Hold { version, until: swap.until, unknown: Unknown::default() });
        }
        self.installed = Some(Installed { returned: swap.rollback, ..swap.to.clone() });
    }

    /// What is kept after a swap.
    fn kept_after(&self, swap: &Swap, is_kept: bool) -> Vec<Kept> {
        if let Some(kept) = swap.kept.as_ref().filter(|_| is_kept) {
            return kept.clone();
        }
        let place = swap.place_of_leaving();
        let leaving = swap.from.clone().filter(|_| is_kept);
        let leaving = leaving.map(|executable| Kept::new(place, executable));
        // The file of a kept executable that came to the path has another one now, or is gone.
        let is_free = |kept: &&Kept| kept.file != swap.file && (leaving.is_none() || kept.file != place);
        let others: Vec<_> = self.kept.iter().filter(is_free).cloned().collect();
        leaving.into_iter().chain(others).collect()
    }

    /// An update to a staged executable, and what is to be kept after it: `keep` executables in
    /// all, the last one that is known to work, and those that left the path last. `aside` is a new
    /// name for the one that is `previous` now.
    pub(super) fn plan_update(
        &self,
        file: &str,
        from: Installed,
        to: Installed,
        keep: usize,
        aside: &str,
    ) -> Swap {
        let others = self.kept.iter().filter(|kept| {
            ![from.blake3, to.blake3].contains(&kept.executable.blake3) && names::is_kept(&kept.file)
        });
        let others = others.cloned().map(|kept| match kept.file == names::PREVIOUS {
            true => Kept { file: aside.to_owned(), ..kept },
            false => kept,
        });
        let leaving = Kept::new(names::PREVIOUS, from.clone());
        let mut kept: Vec<_> = std::iter::once(leaving).chain(others).collect();
        // What leaves the path is always kept, and so is the last one that is known to work.
        let keep = keep.max(1);
        let confirmed = kept.iter().position(|kept| kept.executable.confirmed).filter(|at| *at >= keep);
        let confirmed = confirmed.map(|at| kept.remove(at));
        kept.truncate(if confirmed.is_some() { (keep - 1).max(1) } else { keep });
        kept.extend(confirmed);
        Swap { kept: Some(kept), ..Swap::update(file, Some(from), to) }
    }

    /// The swap in progress did not happen, or not in a way that this version of relatch knows.
    /// `found` is the hash of what is at the path, if there is something. The result is whether
    /// there was one.
    pub(super) fn swap_undone(&mut self, found: Option<Digest>) -> bool {
        let Some(Swap { from, to, .. }) = self.pending.take() else { return false };
        let there = [from, Some(to)].into_iter().flatten().find(|known| Some(known.blake3) == found);
        self.installed = there.or(self.installed.take());
        true
    }

    /// An executable that this library did not put at the path, of which the version is known.
    pub(super) fn found_at_path(&mut self, found: Installed) {
        self.installed = Some(found);
    }

    /// The file `previous` has this name already, and the swap in progress did not happen.
    pub(super) fn previous_is_aside(&mut self, name: &str) {
        self.kept
            .iter_mut()
            .filter(|kept| kept.file == names::PREVIOUS)
            .for_each(|kept| kept.file = name.into());
    }

    /// The swap in progress was complete, and something else is at the path since. `is_kept` is
    /// whether what the swap replaced is in its place.
    pub(super) fn swap_overtaken(&mut self, swap: &Swap, is_kept: bool) {
        self.kept = self.kept_after(swap, is_kept);
        self.pending = None;
        self.replaced_by_hand();
    }

    /// The rollback that would have led to what is at the path, if that is a kept executable.
    pub(super) fn unrecorded_rollback(&self, found: Digest) -> Option<Swap> {
        let (from, to) = (self.installed.clone()?, self.kept_with(found)?.clone());
        (from.blake3 != found && self.pending.is_none()).then(|| Swap::rollback(from, to))
    }
}
