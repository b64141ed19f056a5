//! Calls that std lacks.
#![allow(unsafe_code, reason = "two calls of C, each explained where it is")]

use std::ffi::c_int;

unsafe extern "C" {
    fn fork() -> c_int;
    fn signal(number: c_int, handler: usize) -> usize;
    fn waitpid(process: c_int, status: *mut c_int, options: c_int) -> c_int;
}

/// SIGPIPE ends this process, as it ends programs that are not written in Rust.
pub fn let_pipes_end_it() {
    const SIGPIPE: c_int = 13;
    const SIG_DFL: usize = 0;
    // SAFETY: signal(2) with no handler of this program.
    unsafe { signal(SIGPIPE, SIG_DFL) };
}

/// Runs `child` in a fork of this process. The exit code of the fork; `None` in the fork itself, if
/// `child` returns.
pub fn of_fork(child: fn()) -> Option<c_int> {
    // SAFETY: this process has one thread, so that the fork has whatever it may want.
    match unsafe { fork() } {
        0 => {
            child();
            None
        }
        id => {
            let mut status = 0;
            // SAFETY: `status` has room for the number.
            unsafe { waitpid(id, &mut status, 0) };
            Some((status >> 8) & 0xff)
        }
    }
}
