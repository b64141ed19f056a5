//! Whether a program crashed, and why it was not started. By number, because the texts of the
//! systems are in the user's language and do not name a cause.

/// Windows and Unix have different numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OsFamily {
    Unix,
    Windows,
}

/// The system that this runs on.
pub(super) const HERE: OsFamily = if cfg!(windows) { OsFamily::Windows } else { OsFamily::Unix };

/// The known cause, which may be empty, if a program that did not exit with 0 crashed or was never
/// loaded. `None` if the program chose its exit code.
pub(super) fn crash(code: Option<i32>, system: OsFamily) -> Option<&'static str> {
    match (system, code) {
        // A signal.
        (_, None) => Some(""),
        // The codes of the loader and of the shell for a program that cannot be run, and for one
        // that is not found.
        (OsFamily::Unix, Some(126 | 127)) => Some(""),
        (OsFamily::Unix, Some(_)) => None,
        // An NTSTATUS of severity "error". Many programs exit with -1, which is above them all.
        (OsFamily::Windows, Some(code)) if (0xc000_0000..0xf000_0000).contains(&(code as u32)) => {
            Some(match code as u32 {
                0xc000_0005 => "it crashed: an access violation",
                0xc000_001d => "it crashed: an instruction that this processor does not support",
                0xc000_007b => "it, or a DLL that it requires, was built for another architecture",
                0xc000_00fd => "it crashed: a stack overflow",
                0xc000_0135 => "a DLL that it requires is missing",
                0xc000_0138 | 0xc000_0139 => {
                    "a DLL that it requires has a version without a function that it requires"
                }
                0xc000_0017 | 0xc000_009a | 0xc000_012d => "this machine ran out of memory",
                0xc000_013a => "it was interrupted",
                0xc000_0142 => "a DLL that it requires could not be initialized",
                0xc000_0409 => "it crashed: it detected a fault and ended itself",
                0xc000_0374 => "it crashed: its heap was damaged",
                _ => "it crashed",
            })
        }
        (OsFamily::Windows, Some(_)) => None,
    }
}

/// Why a program was not started, if the system's error shows it.
pub(super) fn not_started(error: Option<i32>, system: OsFamily) -> Option<&'static str> {
    match (system, error?) {
        // ERROR_BAD_EXE_FORMAT, ERROR_EXE_MACHINE_TYPE_MISMATCH
        (OsFamily::Windows, 193 | 216) => Some("it was built for another system, or is not a program"),
        // ERROR_ELEVATION_REQUIRED
        (OsFamily::Windows, 740) => Some("it requires the rights of an administrator"),
        // ERROR_VIRUS_INFECTED, ERROR_VIRUS_DELETED
        (OsFamily::Windows, 225 | 226) => Some("a virus scanner blocked it"),
        _ => None,
    }
}

/// Whether a crash is about the moment and not about the program: an interrupt, no memory, the end
/// of a session.
pub(super) fn is_crash_of_the_moment(code: Option<i32>, system: OsFamily) -> bool {
    const MOMENTARY: [u32; 5] = [0xc000_0017, 0xc000_009a, 0xc000_012d, 0xc000_013a, 0xc000_0142];
    system == OsFamily::Windows && code.is_some_and(|code| MOMENTARY.contains(&(code as u32)))
}

/// Whether a program was not started because another process has its file open at the moment:
/// ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION.
pub(super) fn is_of_the_moment(error: Option<i32>, system: OsFamily) -> bool {
    system == OsFamily::Windows && matches!(error, Some(32 | 33))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_is_not_an_answer() {
        let windows = |code: u32| crash(Some(code as i32), OsFamily::Windows);
        for (code, meaning) in [
            (0xc000_0135, "a DLL that it requires is missing"),
            (0xc000_0005, "it crashed: an access violation"),
            (0xc000_007b, "it, or a DLL that it requires, was built for another architecture"),
            (0xc000_0139, "a DLL that it requires has a version without a function that it requires"),
            (0xc000_0409, "it crashed: it detected a fault and ended itself"),
            (0xc000_0000, "it crashed"),
            (0xcfff_ffff, "it crashed"),
        ] {
            assert_eq!(windows(code), Some(meaning), "{code:x}");
        }
        for code in [1, 2, 3, 101, 126, 127, 9009, 0x7fff_ffff, 0x8000_0003, 0xbfff_ffff, 0xffff_ffff] {
            assert_eq!(windows(code), None, "{code:x}");
        }
        for code in [0xc000_013a_u32, 0xc000_012d] {
            assert!(is_crash_of_the_moment(Some(code as i32), OsFamily::Windows), "{code:x}");
        }
        assert!(!is_crash_of_the_moment(Some(0xc000_0135_u32 as i32), OsFamily::Windows));
        assert!(!is_crash_of_the_moment(None, OsFamily::Windows));
        assert_eq!(crash(None, OsFamily::Unix), Some(""));
        assert_eq!(crash(Some(127), OsFamily::Unix), Some(""));
        assert_eq!(crash(Some(126), OsFamily::Unix), Some(""));
        for code in [1, 2, 101, 125, 128, 255] {
            assert_eq!(crash(Some(code), OsFamily::Unix), None, "{code}");
        }
    }

    #[test]
    fn a_program_that_is_not_started_has_a_cause() {
        let windows = |error| not_started(Some(error), OsFamily::Windows);
        let other = Some("it was built for another system, or is not a program");
        assert_eq!((windows(193), windows(216)), (other, other));
        assert_eq!((windows(2), windows(5), windows(8)), (None, None, None));
        assert_eq!(
            (not_started(Some(193), OsFamily::Unix), not_started(None, OsFamily::Windows)),
            (None, None)
        );
        assert!(is_of_the_moment(Some(32), OsFamily::Windows) && !is_of_the_moment(Some(32), OsFamily::Unix));
    }
}
