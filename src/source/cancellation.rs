//! How a read ends that nobody waits for any more.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Belongs to one read, and says when nobody waits for it any more. Clones are of the same read; no other one is touched.
///
/// Timeouts do not end each read: whoever sends chunk trailers, interim answers or TLS messages without end keeps an HTTP client reading,
/// and this machine busy, inside of one call.
#[derive(Clone, Default)]
pub struct Cancellation(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_cancelled: bool,
    ends: Vec<Box<dyn FnOnce() + Send>>,
}

impl Cancellation {
    /// Ends the read: all that it holds, at once, and all that it would come to hold.
    pub fn cancel(&self) {
        let ends = {
            let mut state = self.state();
            state.is_cancelled = true;
            mem::take(&mut state.ends)
        };
        ends.into_iter().for_each(|end| end());
    }

    /// Whether nobody waits any more.
    pub fn is_cancelled(&self) -> bool {
        self.state().is_cancelled
    }

    /// Calls `end` when nobody waits any more, at once where that is so already, on the thread that gives up. It must not wait, and not
    /// panic. Where the read comes to its end, it is
    /// dropped without a call, with the last clone of this.
    pub fn on_cancel(&self, end: impl FnOnce() + Send + 'static) {
        let mut state = self.state();
        if !state.is_cancelled {
            state.ends.push(Box::new(end));
            return;
        }
        drop(state);
        end();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancellation").field("is_cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn an_end_is_called_once_or_never() {
        let calls = Arc::new(AtomicUsize::new(0));
        let end = || {
            let calls = Arc::clone(&calls);
            move || {
                calls.fetch_add(1, Ordering::SeqCst);
            }
        };
        let count = || calls.load(Ordering::SeqCst);
        let (ended, cancelled) = (Cancellation::default(), Cancellation::default());
        ended.on_cancel(end());
        drop(ended);
        assert_eq!((count(), Arc::strong_count(&calls)), (0, 1));
        cancelled.on_cancel(end());
        assert!(!cancelled.is_cancelled());
        cancelled.clone().cancel();
        cancelled.cancel();
        assert!(cancelled.is_cancelled());
        assert_eq!(count(), 1);
        cancelled.on_cancel(end());
        assert_eq!(count(), 2);
    }
}
