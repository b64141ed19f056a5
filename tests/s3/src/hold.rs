//! Requests that wait for the test.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// Holds requests until it is released or dropped.
#[must_use = "dropped, it lets the requests go"]
pub struct Hold(pub(crate) Arc<Gate>);

impl Hold {
    /// Waits until so many requests are, or were, held here; false where they are not within `limit`.
    pub fn reached(&self, requests: usize, limit: Duration) -> bool {
        let state = self.0.lock();
        let waited = self.0.arrived.wait_timeout_while(state, limit, |state| state.held < requests);
        waited.unwrap_or_else(PoisonError::into_inner).0.held >= requests
    }

    /// Lets them go, and all that come.
    pub fn release(self) {}
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.lock().open = true;
        self.0.opened.notify_waiters();
    }
}

#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    arrived: Condvar,
    opened: Notify,
}

#[derive(Default)]
struct State {
    held: usize,
    open: bool,
}

impl Gate {
    /// Waits for the release.
    pub(crate) async fn pass(&self) {
        let opened = self.opened.notified();
        {
            let mut state = self.lock();
            if state.open {
                return;
            }
            state.held += 1;
            self.arrived.notify_all();
        }
        // Created before the look at `open`, it does not miss a release in between.
        opened.await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
