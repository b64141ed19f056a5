//! Something that happens at the end of a process: after main returned, and in
//! [`std::process::exit`]. std has no such call. atexit(3) is the smallest that every system has:
//! without it, a tool that ends by `exit`, as most do, never comes to an end that is seen.
#![allow(unsafe_code, reason = "a call and a static, explained where they are")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static ACTION: OnceLock<fn()> = OnceLock::new();
static IS_DONE: AtomicBool = AtomicBool::new(false);

/// Registers an action. There is one: a later one is ignored.
pub(super) fn at_exit(action: fn()) {
    if ACTION.set(action).is_ok() {
        register();
    }
}

fn register() {
    unsafe extern "C" {
        /// C17 section 7.22.4.2.
        fn atexit(function: extern "C" fn()) -> std::ffi::c_int;
    }
    // SAFETY: `run` is a function of this program, takes nothing, and does not unwind. A library
    // that is unloaded takes its functions along.
    unsafe { atexit(run) };
    #[cfg(windows)]
    exit_process();
}

/// std calls ExitProcess, which does not know of atexit. It calls what the linker collects in this
/// section (PE format, TLS callbacks), by which std runs destructors of thread-local values; wine 8
/// does not. A crash and TerminateProcess call neither.
#[cfg(windows)]
fn exit_process() {
    use std::ffi::c_void;

    unsafe extern "system" fn of_process(_: *mut c_void, reason: u32, _: *mut c_void) {
        const DLL_PROCESS_DETACH: u32 = 0;
        if reason == DLL_PROCESS_DETACH {
            run();
        }
    }

    #[used]
    #[unsafe(link_section = ".CRT$XLB")]
    static CALLBACK: unsafe extern "system" fn(*mut c_void, u32, *mut c_void) = of_process;

    // SAFETY: a reference is valid. Without this, the linker leaves the static out.
    unsafe { std::ptr::from_ref(&CALLBACK).read_volatile() };
}

/// A panic in an `extern "C"` function ends the process.
extern "C" fn run() {
    if let Some(action) = ACTION.get().filter(|_| !IS_DONE.swap(true, Ordering::Relaxed)) {
        drop(std::panic::catch_unwind(action));
    }
}
