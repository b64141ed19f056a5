//! The clocks with which signed times are compared (SPEC step 5).

use super::{DocumentKind, Refusal};
use crate::limits;

/// The two clocks of SPEC step 5.
///
/// No value of the clocks turns expiry off. Only [`Leniency`] does.
/// ```compile_fail,E0451
/// let no_expiry = relatch::trust::Times { system: 0, now: 0, leniency: None };
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    system: u64,
    now: u64,
    leniency: Option<Leniency>,
}

/// Lets a publisher read what it is about to replace: a `VERSION` or a manifest that has expired.
/// It covers no root, and no document from the future.
///
/// Only the feature `publisher` has a function that makes one. A client's check takes none: it decides
/// under [`Times::new`] alone, whatever features are on.
/// ```compile_fail,E0423
/// let leniency = relatch::trust::Leniency(());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leniency(());

impl Leniency {
    /// For a publisher, which must read the `VERSION` that it replaces, and its manifest.
    #[cfg(feature = "publisher")]
    #[cfg_attr(docsrs, doc(cfg(feature = "publisher")))]
    pub fn of_a_publisher() -> Self {
        Leniency(())
    }
}

impl Times {
    /// `system` is the system clock in Unix seconds. It is compared with `issued`, and is never
    /// persisted. `seen` are signed times that were seen before. The greatest of all is compared
    /// with `expires`, so that setting the clock back does not make an expired document valid
    /// again.
    pub fn new(system: u64, seen: &[u64]) -> Self {
        let now = seen.iter().copied().fold(system, u64::max);
        Times { system, now, leniency: None }
    }

    /// The same clocks, for a publisher.
    #[must_use]
    pub fn with_leniency(self, leniency: Option<Leniency>) -> Self {
        Times { leniency, ..self }
    }

    /// The time with which `expires` is compared, in Unix seconds.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// SPEC step 5: refuses a document that has expired, or that was issued more than a day in the
    /// future.
    ///
    /// # Errors
    /// [`Refusal::NotYetValid`] and [`Refusal::Expired`].
    pub fn ensure_current(&self, document: DocumentKind, issued: u64, expires: u64) -> Result<(), Refusal> {
        if issued > self.system.saturating_add(limits::FUTURE) {
            return Err(Refusal::NotYetValid { document, issued, clock: self.system });
        }
        let may_have_expired = self.leniency.is_some() && !matches!(document, DocumentKind::Root(_));
        if self.now >= expires && !may_have_expired {
            return Err(Refusal::Expired { document, expires, now: self.now });
        }
        Ok(())
    }
}
