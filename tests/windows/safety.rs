//! Step 1 in Windows' terms. What the rules are is tested in `src/platform/access/tests.rs`; here, that the system is asked.

use std::path::Path;
use std::process::Command;

use relatch::install::Site;
use relatch::{Error, Machine};

use crate::place::{Place, fake, is_wine};
use crate::repository::Repository;

/// Lets everybody write to a directory: by its access list, or under wine by the mode that wine makes one of.
fn open_to_everybody(dir: &Path) -> bool {
    let status = if is_wine() {
        let unix = format!("/{}", dir.display()).replace('\\', "/");
        let prefix = std::env::var("WINEPREFIX").unwrap_or_default();
        let unix = unix.replacen("/C:", &format!("{prefix}/drive_c"), 1).replacen("/Z:", "", 1);
        Command::new(r"Z:\bin\chmod").arg("0777").arg(unix).status()
    } else {
        Command::new("icacls").arg(dir).args(["/grant", "*S-1-1-0:(OI)(CI)M"]).status()
    };
    // A program of the system below wine has no exit code here that counts; the directory says whether it did it.
    status.is_ok()
}

#[test]
fn a_directory_that_everybody_may_write_to_is_refused() {
    let mut repository = Repository::new();
    repository.release("1.0.0", &fake("1.0.0"));
    let place = Place::installed_plain(&repository);
    assert!(place.site().check_safe().is_ok());
    if !open_to_everybody(place.dir.path()) {
        println!("skipped: the access list of a directory cannot be changed here");
        return;
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    let error = Site::at(&place.path).unwrap().check_safe().unwrap_err();
    let told = error.to_string();
    assert!(matches!(error, Error::Machine(Machine::UnsafeSite { .. })), "{told}");
    assert!(told.contains("Everyone (S-1-1-0) may write there; `icacls"), "{told}");
    assert!(told.contains("/remove:g *S-1-1-0") && !told.contains("mode"), "{told}");
    assert!(place.update().is_err() && place.rollback().is_err());
    assert!(place.status().is_ok());
}
