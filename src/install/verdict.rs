//! What the end of a program says about it: whether it crashed, and why it was not started. By number, because the systems' own texts come
//! in the user's language and do not name a cause.

/// Windows, whose numbers differ, or a Unix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    Unix,
    Windows,
}

/// This one.
pub(super) const HERE: System = if cfg!(windows) { System::Windows } else { System::Unix };

/// Whether a program that did not end with 0 crashed or was never loaded, and what is known of the cause. `None` is a program that chose its
/// exit code.
pub(super) fn crash(code: Option<i32>, system: System) -> Option<&'static str> {
    match (system, code) {
        // A signal.
        (_, None) => Some(""),
        // The codes of the loader and of the shell for what is found and cannot be run, and for what is not found.
        (System::Unix, Some(126 | 127)) => Some(""),
        (System::Unix, Some(_)) => None,
        // An NTSTATUS whose severity is "error". Many a program ends with -1, which is above them all.
        (System::Windows, Some(code)) if (0xc000_0000..0xf000_0000).contains(&(code as u32)) => {
            Some(match code as u32 {
                0xc000_0005 => "it crashed: an access violation",
                0xc000_001d => "it crashed: an instruction that this processor does not know",
                0xc000_007b => "it, or a DLL that it requires, was built for another architecture",
                0xc000_00fd => "it crashed: a stack overflow",
                0xc000_0135 => "a DLL that it requires is missing",
                0xc000_0138 | 0xc000_0139 => {
                    "a DLL that it requires is there, in a version without a function that it requires"
                }
                0xc000_0017 | 0xc000_009a | 0xc000_012d => "this machine had no memory left",
                0xc000_013a => "it was interrupted",
                0xc000_0142 => "a DLL that it requires could not be initialized",
                0xc000_0409 => "it crashed: it ended itself because of a fault",
                0xc000_0374 => "it crashed: its heap was damaged",
                _ => "it crashed",
            })
        }
        (System::Windows, Some(_)) => None,
    }
}

/// Why a program was not started, where the system's error says it.
pub(super) fn not_started(error: Option<i32>, system: System) -> Option<&'static str> {
    match (system, error?) {
        // ERROR_BAD_EXE_FORMAT, ERROR_EXE_MACHINE_TYPE_MISMATCH
        (System::Windows, 193 | 216) => Some("it was built for another system, or is no program"),
        // ERROR_ELEVATION_REQUIRED
        (System::Windows, 740) => Some("it requires the rights of an administrator"),
        // ERROR_VIRUS_INFECTED, ERROR_VIRUS_DELETED
        (System::Windows, 225 | 226) => Some("a virus scanner blocked it"),
        _ => None,
    }
}

/// Whether a crash says something about the moment and nothing about the program: an interrupt, no memory, the end of a session.
pub(super) fn is_crash_of_the_moment(code: Option<i32>, system: System) -> bool {
    const MOMENTARY: [u32; 5] = [0xc000_0017, 0xc000_009a, 0xc000_012d, 0xc000_013a, 0xc000_0142];
    system == System::Windows && code.is_some_and(|code| MOMENTARY.contains(&(code as u32)))
}

/// Whether a program was not started because another one has its file open just now: ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION.
pub(super) fn is_of_the_moment(error: Option<i32>, system: System) -> bool {
    system == System::Windows && matches!(error, Some(32 | 33))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crashes_are_told_from_answers() {
        let windows = |code: u32| crash(Some(code as i32), System::Windows);
        for (code, meaning) in [
            (0xc000_0135, "a DLL that it requires is missing"),
            (0xc000_0005, "it crashed: an access violation"),
            (0xc000_007b, "it, or a DLL that it requires, was built for another architecture"),
            (
                0xc000_0139,
                "a DLL that it requires is there, in a version without a function that it requires",
            ),
            (0xc000_0409, "it crashed: it ended itself because of a fault"),
            (0xc000_0000, "it crashed"),
            (0xcfff_ffff, "it crashed"),
        ] {
            assert_eq!(windows(code), Some(meaning), "{code:x}");
        }
        for code in [1, 2, 3, 101, 126, 127, 9009, 0x7fff_ffff, 0x8000_0003, 0xbfff_ffff, 0xffff_ffff] {
            assert_eq!(windows(code), None, "{code:x}");
        }
        for code in [0xc000_013a_u32, 0xc000_012d] {
            assert!(is_crash_of_the_moment(Some(code as i32), System::Windows), "{code:x}");
        }
        assert!(!is_crash_of_the_moment(Some(0xc000_0135_u32 as i32), System::Windows));
        assert!(!is_crash_of_the_moment(None, System::Windows));
        assert_eq!(crash(None, System::Unix), Some(""));
        assert_eq!(crash(Some(127), System::Unix), Some(""));
        assert_eq!(crash(Some(126), System::Unix), Some(""));
        for code in [1, 2, 101, 125, 128, 255] {
            assert_eq!(crash(Some(code), System::Unix), None, "{code}");
        }
    }

    #[test]
    fn what_is_not_started_says_why() {
        let windows = |error| not_started(Some(error), System::Windows);
        let other = Some("it was built for another system, or is no program");
        assert_eq!((windows(193), windows(216)), (other, other));
        assert_eq!((windows(2), windows(5), windows(8)), (None, None, None));
        assert_eq!((not_started(Some(193), System::Unix), not_started(None, System::Windows)), (None, None));
        assert!(is_of_the_moment(Some(32), System::Windows) && !is_of_the_moment(Some(32), System::Unix));
    }
}
