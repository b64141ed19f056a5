//! Step 1 in Windows' terms. What the rules are is tested in `src/platform/access/tests.rs`; here, that the system is asked.

use std::process::Command;

use relatch::install::Installation;
use relatch::{Error, Local};

use crate::place::{Place, fake, is_wine};
use crate::repository::Repository;

/// An executable in a directory that everybody may write to: by its access list, or under wine by the mode of the host's `/tmp`.
fn in_an_open_directory() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    if is_wine() {
        let open = tempfile::Builder::new().prefix("relatch").suffix(".exe").tempfile_in(r"Z:\tmp").unwrap();
        return (dir, open.into_temp_path().keep().unwrap());
    }
    let path = dir.path().join("widget.exe");
    std::fs::write(&path, fake("1.0.0")).unwrap();
    let status = Command::new("icacls").arg(dir.path()).args(["/grant", "*S-1-1-0:(OI)(CI)M"]).status();
    assert!(status.unwrap().success());
    (dir, path)
}

#[test]
fn a_directory_that_everybody_may_write_to_is_refused() {
    let mut repository = Repository::new();
    repository.release("1.0.0", &fake("1.0.0"));
    let place = Place::installed_plain(&repository);
    assert!(place.site().check_safe().is_ok());
    let (dir, path) = in_an_open_directory();
    let error = Installation::at(&path).unwrap().check_safe().unwrap_err();
    std::fs::remove_file(&path).unwrap();
    let told = error.to_string();
    assert!(matches!(error, Error::Local(Local::UnsafeSite { .. })), "{told}");
    assert!(told.contains("Everyone (S-1-1-0) may write to it; to remove that right, run `icacls"), "{told}");
    assert!(told.contains("/remove:g *S-1-1-0") && !told.contains("mode"), "{told}");
    let place = Place { dir, path };
    assert!(matches!(place.install(&repository, None, false), Err(Error::Local(Local::UnsafeSite { .. }))));
}
