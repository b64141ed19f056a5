//! Whether a probe that failed is a verdict on the release, or transient. By number, because the
//! texts of the systems are in the user's language and do not name a cause.
//!
//! Only an error of executing that very file is a verdict: clients do not try the release again.
//! Everything else may pass: too few descriptors, no memory, a full process table, a disk that
//! fails, a security policy, a kill from outside. So the lists below are of verdicts.

/// Windows and Unix have different numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OsFamily {
    Unix,
    Windows,
}

/// The system that this runs on.
pub(super) const HERE: OsFamily = if cfg!(windows) { OsFamily::Windows } else { OsFamily::Unix };

/// How a program ended that did not exit with 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It chose its exit code.
    Exit,
    /// It crashed, or was never loaded: for this reason, if it is known.
    Crash(&'static str),
    /// It crashed, or memory or a disk failed: allocators abort, and a page that cannot be read is
    /// SIGBUS.
    Ambiguous,
    /// It was killed from outside, or the reason is unknown.
    Transient(&'static str),
}

/// What an exit code, or the signal in its place, says.
pub(super) fn ending(code: Option<i32>, signal: Option<i32>, system: OsFamily) -> Ending {
    match (system, code) {
        (OsFamily::Unix, None) if signal.is_some_and(is_crash) => Ending::Crash(""),
        (OsFamily::Unix, None) if signal.is_some_and(is_ambiguous) => Ending::Ambiguous,
        (OsFamily::Unix, None) if signal == Some(SIGKILL) => {
            Ending::Transient("it was killed, as by a system that has no memory left")
        }
        (_, None) => Ending::Transient("it was ended from outside"),
        // The codes of the loader and of the shell for a program that cannot be run, and for one
        // that is not found: also where descriptors or memory ran out.
        (OsFamily::Unix, Some(126 | 127)) => Ending::Transient(""),
        (OsFamily::Unix, Some(_)) => Ending::Exit,
        // An NTSTATUS of severity "error". Many programs exit with -1, which is above them all.
        (OsFamily::Windows, Some(code)) if (0xc000_0000..0xf000_0000).contains(&(code as u32)) => {
            match code as u32 {
                0xc000_0005 => Ending::Crash("it crashed: an access violation"),
                0xc000_0006 => Ending::Transient("a part of it could not be read from the disk"),
                0xc000_001d => {
                    Ending::Crash("it crashed: an instruction that this processor does not support")
                }
                0xc000_007b => {
                    Ending::Crash("it, or a DLL that it requires, was built for another architecture")
                }
                0xc000_00fd => Ending::Crash("it crashed: a stack overflow"),
                0xc000_0135 => Ending::Crash("a DLL that it requires is missing"),
                0xc000_0138 | 0xc000_0139 => {
                    Ending::Crash("a DLL that it requires has a version without a function that it requires")
                }
                0xc000_0017 | 0xc000_009a | 0xc000_012d => {
                    Ending::Transient("this machine ran out of memory")
                }
                0xc000_013a => Ending::Transient("it was interrupted"),
                0xc000_0142 => Ending::Transient("a DLL that it requires could not be initialized"),
                0xc000_0409 => Ending::Crash("it crashed: it detected a fault and ended itself"),
                0xc000_0374 => Ending::Crash("it crashed: its heap was damaged"),
                _ => Ending::Crash("it crashed"),
            }
        }
        (OsFamily::Windows, Some(_)) => Ending::Exit,
    }
}

const SIGKILL: i32 = 9;

/// Whether the system sends this signal to a process for nothing but what it did itself.
#[cfg(unix)]
fn is_crash(signal: i32) -> bool {
    use rustix::process::Signal;
    [Signal::ILL, Signal::FPE].iter().any(|crash| crash.as_raw() == signal)
}

/// Whether a process gets this signal for what it did itself, or because memory or a disk failed.
/// SIGSEGV is one: where Linux has no memory for an execve(2) that has passed the point of no
/// return, it ends the process so, before the program has begun. SIGSYS is also what a filter of
/// system calls around this process sends (seccomp(2)).
#[cfg(unix)]
fn is_ambiguous(signal: i32) -> bool {
    use rustix::process::Signal;
    [Signal::ABORT, Signal::BUS, Signal::SEGV, Signal::SYS, Signal::TRAP]
        .iter()
        .any(|ambiguous| ambiguous.as_raw() == signal)
}

#[cfg(not(unix))]
fn is_crash(_: i32) -> bool {
    false
}

#[cfg(not(unix))]
fn is_ambiguous(_: i32) -> bool {
    false
}

/// Whether the error of a start is about the very file: it is not a program for this system.
pub(super) fn is_about_the_file(error: Option<i32>, system: OsFamily) -> bool {
    let Some(error) = error else { return false };
    match system {
        OsFamily::Unix => is_bad_executable(error),
        // ERROR_INVALID_EXE_SIGNATURE, ERROR_EXE_MARKED_INVALID, ERROR_BAD_EXE_FORMAT,
        // ERROR_EXE_MACHINE_TYPE_MISMATCH, ERROR_VIRUS_INFECTED, ERROR_VIRUS_DELETED,
        // ERROR_ELEVATION_REQUIRED, ERROR_SXS_CANT_GEN_ACTCTX
        OsFamily::Windows => matches!(error, 191..=193 | 216 | 225 | 226 | 740 | 14001),
    }
}

/// ENOEXEC, and the errors for a loader or library that is damaged.
#[cfg(unix)]
fn is_bad_executable(error: i32) -> bool {
    use rustix::io::Errno;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let damaged = [Errno::LIBBAD, Errno::LIBMAX, Errno::LIBEXEC];
    // EBADEXEC, EBADARCH, ESHLIBVERS, EBADMACHO (errno.h), which rustix does not have.
    #[cfg(target_vendor = "apple")]
    let damaged = [85, 86, 87, 88].map(Errno::from_raw_os_error);
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    let damaged: [Errno; 0] = [];
    let error = Errno::from_raw_os_error(error);
    error == Errno::NOEXEC || damaged.contains(&error)
}

#[cfg(not(unix))]
fn is_bad_executable(_: i32) -> bool {
    false
}

/// Why a program was not started, if the system's error shows it.
pub(super) fn not_started(error: Option<i32>, system: OsFamily) -> Option<&'static str> {
    /// EPERM and EACCES have these numbers on every Unix.
    const DENIED: [i32; 2] = [1, 13];
    match (system, error?) {
        (OsFamily::Unix, denied) if DENIED.contains(&denied) => {
            Some("the file system may be mounted noexec, or a security policy forbids it")
        }
        // ERROR_BAD_EXE_FORMAT, ERROR_EXE_MACHINE_TYPE_MISMATCH
        (OsFamily::Windows, 193 | 216) => Some("it was built for another system, or is not a program"),
        // ERROR_ELEVATION_REQUIRED
        (OsFamily::Windows, 740) => Some("it requires the rights of an administrator"),
        // ERROR_VIRUS_INFECTED, ERROR_VIRUS_DELETED
        (OsFamily::Windows, 225 | 226) => Some("a virus scanner blocked it"),
        // ERROR_ACCESS_DENIED
        (OsFamily::Windows, 5) => Some("a security policy or a virus scanner may forbid it"),
        _ => None,
    }
}

/// Whether a program was not started because another process has its file open at the moment:
/// ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION.
pub(super) fn is_transient(error: Option<i32>, system: OsFamily) -> bool {
    system == OsFamily::Windows && matches!(error, Some(32 | 33))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_is_not_an_answer() {
        let windows = |code: u32| ending(Some(code as i32), None, OsFamily::Windows);
        for (code, meaning) in [
            (0xc000_0135, "a DLL that it requires is missing"),
            (0xc000_0005, "it crashed: an access violation"),
            (0xc000_007b, "it, or a DLL that it requires, was built for another architecture"),
            (0xc000_0139, "a DLL that it requires has a version without a function that it requires"),
            (0xc000_0409, "it crashed: it detected a fault and ended itself"),
            (0xc000_0000, "it crashed"),
            (0xcfff_ffff, "it crashed"),
        ] {
            assert_eq!(windows(code), Ending::Crash(meaning), "{code:x}");
        }
        for code in [1, 2, 3, 101, 126, 127, 9009, 0x7fff_ffff, 0x8000_0003, 0xbfff_ffff, 0xffff_ffff] {
            assert_eq!(windows(code), Ending::Exit, "{code:x}");
        }
        for code in [0xc000_013a_u32, 0xc000_012d, 0xc000_0142, 0xc000_0006] {
            assert!(matches!(windows(code), Ending::Transient(_)), "{code:x}");
        }
        for code in [1, 2, 101, 125, 128, 137, 255] {
            assert_eq!(ending(Some(code), None, OsFamily::Unix), Ending::Exit, "{code}");
        }
        for code in [126, 127] {
            assert_eq!(ending(Some(code), None, OsFamily::Unix), Ending::Transient(""), "{code}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_signal_is_a_verdict_only_if_the_program_is_its_cause() {
        let of = |signal| ending(None, Some(signal), OsFamily::Unix);
        // SIGILL and SIGFPE have these numbers on every Unix.
        for signal in [4, 8] {
            assert_eq!(of(signal), Ending::Crash(""), "{signal}");
        }
        // SIGTRAP, SIGABRT and SIGSEGV too, and SIGBUS and SIGSYS have not.
        let [bus, sys] = [rustix::process::Signal::BUS, rustix::process::Signal::SYS];
        for signal in [5, 6, 11, bus.as_raw(), sys.as_raw()] {
            assert_eq!(of(signal), Ending::Ambiguous, "{signal}");
        }
        // SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGALRM, SIGTERM, SIGXCPU, SIGXFSZ
        for signal in [1, 2, 9, 13, 14, 15, 24, 25] {
            assert!(matches!(of(signal), Ending::Transient(_)), "{signal}");
        }
        assert!(matches!(ending(None, None, OsFamily::Unix), Ending::Transient(_)));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn only_an_error_of_that_very_file_is_a_verdict() {
        use rustix::io::Errno;
        let about = |error: Errno| is_about_the_file(Some(error.raw_os_error()), OsFamily::Unix);
        for error in [Errno::NOEXEC, Errno::LIBBAD] {
            assert!(about(error), "{error:?}");
        }
        let passing = [
            Errno::MFILE,
            Errno::NFILE,
            Errno::AGAIN,
            Errno::NOMEM,
            Errno::IO,
            Errno::ACCESS,
            Errno::PERM,
            Errno::TXTBSY,
            Errno::INTR,
            Errno::NOENT, // unless its interpreter is missing: `diagnosis.rs`
            Errno::TOOBIG,
            Errno::NOSPC,
        ];
        for error in passing {
            assert!(!about(error), "{error:?}");
        }
        assert!(!is_about_the_file(None, OsFamily::Unix));
    }

    #[test]
    fn a_program_that_is_not_started_has_a_cause() {
        let windows = |error| not_started(Some(error), OsFamily::Windows);
        let other = Some("it was built for another system, or is not a program");
        assert_eq!((windows(193), windows(216)), (other, other));
        assert_eq!((windows(2), windows(8)), (None, None));
        assert_eq!(
            (not_started(Some(193), OsFamily::Unix), not_started(None, OsFamily::Windows)),
            (None, None)
        );
        for denied in [1, 13] {
            assert!(not_started(Some(denied), OsFamily::Unix).unwrap().contains("noexec"));
        }
        let about = |error| is_about_the_file(Some(error), OsFamily::Windows);
        assert!(
            about(193) && about(216) && about(226) && !about(5) && !about(2) && !about(32) && !about(1455)
        );
        assert!(is_transient(Some(32), OsFamily::Windows) && !is_transient(Some(32), OsFamily::Unix));
    }
}
