//! What may go wrong on the way, on demand: which requests it befalls, and what befalls them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::hold::{Gate, Hold};
use crate::log::Request;

/// Which requests something befalls. All, unless narrowed.
#[derive(Clone, Debug, Default)]
pub struct When {
    method: Option<String>,
    key: Option<Key>,
    query: Option<String>,
    skip: usize,
    times: Option<usize>,
}

#[derive(Clone, Debug)]
enum Key {
    Is(String),
    Begins(String),
}

impl When {
    /// Every request.
    pub fn any() -> Self {
        When::default()
    }

    /// Those on this key.
    pub fn key(key: &str) -> Self {
        When { key: Some(Key::Is(key.into())), ..When::default() }
    }

    /// Those on keys that begin so.
    pub fn prefix(prefix: &str) -> Self {
        When { key: Some(Key::Begins(prefix.into())), ..When::default() }
    }

    /// Of those, the ones of this method.
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Of those, the ones whose query has this in it: `uploadId` for a part and for the end of an upload, `list-type` for a list.
    pub fn query(mut self, part: &str) -> Self {
        self.query = Some(part.into());
        self
    }

    /// Of those, not the first so many.
    pub fn skip(mut self, count: usize) -> Self {
        self.skip = count;
        self
    }

    /// Of those, so many and then no more.
    pub fn times(mut self, count: usize) -> Self {
        self.times = Some(count);
        self
    }

    /// Whether it befalls this request; counts it if so.
    fn take(&mut self, request: &Request) -> bool {
        let matches = self.method.as_ref().is_none_or(|method| *method == request.method)
            && self.query.as_ref().is_none_or(|part| request.query.contains(part.as_str()))
            && match &self.key {
                None => true,
                Some(Key::Is(key)) => *key == request.key,
                Some(Key::Begins(prefix)) => request.key.starts_with(prefix.as_str()),
            };
        if !matches || self.times == Some(0) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.times = self.times.map(|times| times - 1);
        true
    }
}

/// What befalls a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status and S3 error code; the request has no effect.
    Error(u16, &'static str),
    /// The request takes effect, and is answered with this status and S3 error code all the same.
    ErrorAfterEffect(u16, &'static str),
    /// This status, these headers, this body; the request has no effect.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// The connection is closed without an answer; the request has no effect.
    Close,
    /// The request takes effect, and the connection is closed without an answer.
    CloseAfterEffect,
    /// So many bytes of the answer's body, then the connection is closed.
    CloseAfter(u64),
    /// No answer and no effect, while the connection stays open.
    Stall,
    /// So many bytes of the answer's body and then nothing, while the connection stays open.
    StallAfter(u64),
    /// Later, and then as if nothing had been.
    Delay(Duration),
}

impl Fault {
    /// 503 `SlowDown`, as AWS throttles.
    pub const SLOW_DOWN: Fault = Fault::Error(503, "SlowDown");
    /// 500 `InternalError`.
    pub const INTERNAL_ERROR: Fault = Fault::Error(500, "InternalError");

    /// A redirect to `location`.
    pub fn redirect(status: u16, location: &str) -> Fault {
        Fault::Answer(status, vec![("location", location.into())], Vec::new())
    }
}

/// What a request meets on its way.
#[derive(Clone)]
pub(crate) enum Effect {
    Fault(Fault),
    Hold(Arc<Gate>),
    Run(Arc<dyn Fn(&Request) + Send + Sync>),
}

/// All faults in force, in the order in which they were asked for.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<(When, Effect)>>);

impl Faults {
    pub(crate) fn add(&self, when: When, effect: Effect) {
        self.lock().push((when, effect));
    }

    pub(crate) fn hold(&self, when: When) -> Hold {
        let gate = Arc::new(Gate::default());
        self.add(when, Effect::Hold(Arc::clone(&gate)));
        Hold(gate)
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// What befalls this request: up to the first fault that is an end, as later ones are for later requests.
    pub(crate) fn take(&self, request: &Request) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (when, effect) in self.lock().iter_mut() {
            if !when.take(request) {
                continue;
            }
            effects.push(effect.clone());
            if !matches!(effect, Effect::Fault(Fault::Delay(_)) | Effect::Hold(_) | Effect::Run(_)) {
                break;
            }
        }
        effects
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(When, Effect)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
