//! Something that happens at the end of a process: after main returned, and in
//! [`std::process::exit`]. std has no such call. atexit(3) is the smallest that every system has:
//! without it, a tool that ends by `exit`, as most do, never comes to an end that is seen.
#![allow(unsafe_code, reason = "one call, explained where it is")]

use std::sync::Mutex;

type Action = Box<dyn FnOnce() + Send>;

static ACTION: Mutex<Option<Action>> = Mutex::new(None);

/// Registers an action. There is one: a later one replaces it.
pub(super) fn at_exit(action: impl FnOnce() + Send + 'static) {
    unsafe extern "C" {
        /// C17 section 7.22.4.2.
        fn atexit(function: extern "C" fn()) -> std::ffi::c_int;
    }
    let Ok(mut slot) = ACTION.lock() else { return };
    if slot.replace(Box::new(action)).is_none() {
        // SAFETY: `run` is a function of this program, takes nothing, and does not unwind: a panic
        // in an `extern "C"` function ends the process, and `run` catches those of the action.
        unsafe { atexit(run) };
    }
}

extern "C" fn run() {
    let action = ACTION.try_lock().ok().and_then(|mut slot| slot.take());
    if let Some(action) = action {
        drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(action)));
    }
}
