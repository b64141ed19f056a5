//! A release that cannot run here is not installed, and its error says what is wrong with it.

use relatch::{Error, Local};
use serde_json::json;

use crate::place::{Place, executable, executable_such};
use crate::repository::Repository;

/// A DLL that every Rust program requires, under a name that no system has.
fn without_a_dll(mut bytes: Vec<u8>) -> Vec<u8> {
    let (name, other) = (b"WS2_32.dll", b"WS2_xx.dll");
    let lower = name.to_ascii_lowercase();
    let at = bytes.windows(name.len()).position(|part| part.to_ascii_lowercase() == lower).unwrap();
    bytes[at..at + name.len()].copy_from_slice(other);
    bytes
}

/// For another processor: the field `Machine` of the header, at the offset that stands at 0x3c.
fn for_another_machine(mut bytes: Vec<u8>) -> Vec<u8> {
    let header = u32::from_le_bytes(*bytes[0x3c..].first_chunk().unwrap()) as usize;
    assert_eq!(&bytes[header..header + 4], b"PE\0\0");
    bytes[header + 4..header + 6].copy_from_slice(&0x01c4_u16.to_le_bytes());
    bytes
}

#[test]
fn what_cannot_run_here_is_refused_by_install_and_by_update() {
    let mut repository = Repository::new();
    let bad = [
        ("a crash", executable_such(&repository, "2.0.0", json!({"broken": "crash"})), "it crashed"),
        ("no DLL", without_a_dll(executable(&repository, "2.0.0")), "a DLL that it requires is missing"),
        ("another machine", for_another_machine(executable(&repository, "2.0.0")), "built for another"),
        (
            "no program",
            b"this is no program\n".repeat(100),
            "it was built for another system, or is not a program",
        ),
    ];
    for (name, bytes, why) in bad {
        repository.release("2.0.0", &bytes);
        let place = Place::new();
        let error = place.install(&repository, None, false).unwrap_err();
        let told = error.to_string();
        assert!(
            matches!(error, Error::Local(Local::CannotRun { .. })) && told.contains(why),
            "{name}: {told}"
        );
        assert!(!place.path.exists() && error.exit_code() == 5, "{name}");
        // And by an update, once, whatever a later start says.
        let mut other = Repository::new();
        let good = executable(&other, "1.0.0");
        other.release("1.0.0", &good);
        let place = Place::installed(&other);
        other.release("2.0.0", &bytes);
        let told = place.update().unwrap_err().to_string();
        assert!(told.contains(why), "{name}: {told}");
        assert!(place.content() == good, "{name}");
        assert!(place.record("cache")["failed_probe"].is_string(), "{name}: a verdict is remembered");
    }
}

/// Between its hash and the swap it could become another program.
#[test]
fn nobody_gives_another_name_to_a_file_that_is_probed_or_writes_to_it() {
    let mut repository = Repository::new();
    let first = executable(&repository, "1.0.0");
    repository.release("1.0.0", &first);
    let place = Place::installed(&repository);
    let bytes = executable_such(&repository, "2.0.0", json!({"broken": "movable"}));
    repository.release("2.0.0", &bytes);
    place.update().unwrap();
    assert!(place.content() == bytes);
    // Where nobody holds it, it can.
    assert_eq!(place.run(&["x"]).status.code(), Some(3));
    assert!(!place.path.exists());
}
