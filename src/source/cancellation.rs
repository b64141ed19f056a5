//! Cancelling a read.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Cancels one read. All clones belong to the same read; cancelling it affects no other read.
///
/// Timeouts alone do not end every read: a server that sends chunk trailers, interim responses or
/// TLS messages without end keeps the HTTP client busy inside a single call.
#[derive(Clone, Default)]
pub struct Cancellation(Arc<Mutex<Callbacks>>);

#[derive(Default)]
struct Callbacks {
    is_cancelled: bool,
    on_cancel: Vec<Box<dyn FnOnce() + Send>>,
}

impl Cancellation {
    /// Cancels the read: calls all registered callbacks now, and later ones when they are
    /// registered.
    pub fn cancel(&self) {
        let callbacks = {
            let mut state = self.lock();
            state.is_cancelled = true;
            mem::take(&mut state.on_cancel)
        };
        callbacks.into_iter().for_each(|callback| callback());
    }

    /// Whether [`Cancellation::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.lock().is_cancelled
    }

    /// Registers a callback that closes what the read holds.
    ///
    /// It runs on the thread that cancels the read, or on this thread if the read is already
    /// cancelled. It must not block or panic. If the read is never cancelled, the callback is
    /// dropped with the last clone of this value, without being called.
    pub fn on_cancel(&self, callback: impl FnOnce() + Send + 'static) {
        let mut state = self.lock();
        if !state.is_cancelled {
            state.on_cancel.push(Box::new(callback));
            return;
        }
        drop(state);
        callback();
    }

    fn lock(&self) -> MutexGuard<'_, Callbacks> {
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
    fn a_callback_runs_once_or_never() {
        let calls = Arc::new(AtomicUsize::new(0));
        let callback = || {
            let calls = Arc::clone(&calls);
            move || {
                calls.fetch_add(1, Ordering::SeqCst);
            }
        };
        let count = || calls.load(Ordering::SeqCst);
        let (finished, cancelled) = (Cancellation::default(), Cancellation::default());
        finished.on_cancel(callback());
        drop(finished);
        assert_eq!((count(), Arc::strong_count(&calls)), (0, 1));
        cancelled.on_cancel(callback());
        assert!(!cancelled.is_cancelled());
        cancelled.clone().cancel();
        cancelled.cancel();
        assert!(cancelled.is_cancelled());
        assert_eq!(count(), 1);
        cancelled.on_cancel(callback());
        assert_eq!(count(), 2);
    }
}
