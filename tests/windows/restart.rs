//! The restart: a child that gets everything, and whose end is the end of the process that was started.

use std::ffi::OsString;
use std::os::windows::ffi::OsStringExt;

use crate::place::{Place, executable, stderr, stdout};
use crate::repository::Repository;

/// 1.0.0 is installed, 2.0.0 is there: the next start restarts.
fn scene() -> (Repository, Place) {
    let mut repository = Repository::new();
    repository.release("1.0.0", &executable(&repository, "1.0.0"));
    let place = Place::installed(&repository);
    repository.release("2.0.0", &executable(&repository, "2.0.0"));
    (repository, place)
}

#[test]
fn arguments_and_environment_arrive_as_they_were() {
    let (_repository, place) = scene();
    let mut arguments: Vec<OsString> = [
        "",
        " ",
        "two words",
        "\"",
        "a\"b",
        "\\",
        "a\\",
        "a b\\",
        "a\\\"b",
        "\\\\server\\share\\",
        "a\tb",
        "*",
        "?",
        "%PATH%",
        "^&|<>",
        "é ü ß 漢字 🎉",
        "--no-such",
        "--",
        "--no-update",
        "'single'",
        "\"\"",
        "a\\\\\"",
    ]
    .map(OsString::from)
    .into();
    arguments.push(OsString::from_wide(&[0x61, 0xd800, 0x62]));
    let output =
        place.command().env("TEST_MARK", "ä \u{1f389}").arg("arguments").args(&arguments).output().unwrap();
    let mut expected: Vec<String> = arguments.iter().map(|argument| format!("{argument:?}")).collect();
    expected.push("widget 2.0.0 mark=Some(\"ä 🎉\") restarted=false".into());
    assert_eq!(stdout(&output).lines().collect::<Vec<_>>(), expected, "{}", stderr(&output));
    assert!(output.status.success() && stderr(&output).contains("updated 1.0.0 to 2.0.0"));
}

#[test]
fn the_exit_code_is_the_childs() {
    for code in [0_u32, 1, 3, 100, 255, 256, 259, 0x7fff_ffff, 0x8000_0000, 0xc000_0005, 0xffff_ffff] {
        let (_repository, place) = scene();
        let output = place.run(&["exit", &code.to_string()]);
        assert_eq!(output.status.code().map(|code| code as u32), Some(code), "{}", stderr(&output));
        assert_eq!(place.version(), "2.0.0");
    }
    let (_repository, place) = scene();
    let code = place.run(&["abort"]).status.code().unwrap() as u32;
    assert!(code >= 0xc000_0000, "{code:x}: a crash stays one");
}

/// While this process waits for its child it still runs the old executable, which the next update sets aside.
#[test]
fn a_parent_that_waits_is_in_no_updates_way() {
    use std::io::Read;
    let (mut repository, place) = scene();
    let end = place.dir.path().join("end");
    let mut command = place.command();
    let command = command.arg("wait").arg(&end).stdout(std::process::Stdio::piped());
    let mut parent = command.spawn().unwrap();
    parent.stdout.as_mut().unwrap().read_exact(&mut [0; 7]).unwrap();
    repository.release("3.0.0", &executable(&repository, "3.0.0"));
    place.update().unwrap();
    assert_eq!(place.version(), "3.0.0");
    assert_eq!(place.rollback().unwrap().installed().to_string(), "2.0.0");
    std::fs::write(&end, "").unwrap();
    assert!(parent.wait().unwrap().success());
    place.update().unwrap();
    assert_eq!(place.strays(), [""; 0]);
}
