//! Paths without the verbatim prefix of Windows.
//!
//! On Windows, `fs::canonicalize` returns a verbatim path (`\\?\C:\tools`). Many programs do not
//! accept one as an argument or working directory, and users do not type them. std itself makes
//! long paths verbatim to open, rename or remove a file.

use std::io;
use std::path::{Path, PathBuf};

/// The longest path of an executable that is passed to `CreateProcessW` without the prefix.
/// `MAX_PATH` is 260; std also changes to verbatim paths a little below that.
const LONG: usize = 240;

/// [`std::fs::canonicalize`] without the verbatim prefix.
///
/// # Errors
/// Those of [`std::fs::canonicalize`].
pub fn canonicalize(path: &Path) -> io::Result<PathBuf> {
    std::fs::canonicalize(path).map(plain)
}

/// Removes the verbatim prefix if the path has the same meaning without it.
pub fn plain(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(without_prefix) {
        Some(plain) => plain.into(),
        None => path,
    }
}

/// The path to start an executable with, for a path from [`canonicalize`]: with the verbatim prefix
/// on Windows if it is too long without.
pub fn program(path: &Path) -> PathBuf {
    let verbatim = path.to_str().filter(|text| cfg!(windows) && text.len() > LONG).and_then(with_prefix);
    verbatim.map_or_else(|| path.to_path_buf(), PathBuf::from)
}

/// A path below a directory. `names` is separated by `/`, as the name of an object is.
pub fn join(dir: &Path, names: &str) -> PathBuf {
    let mut path = dir.to_path_buf();
    path.extend(names.split('/'));
    path
}

/// The inverse of [`without_prefix`]; `None` if a path has no verbatim form with the same meaning.
fn with_prefix(path: &str) -> Option<String> {
    let verbatim = match path.strip_prefix(r"\\") {
        Some(share) => format!(r"\\?\UNC\{share}"),
        None => format!(r"\\?\{path}"),
    };
    (without_prefix(&verbatim).as_deref() == Some(path)).then_some(verbatim)
}

/// `C:\...` for `\\?\C:\...`, and `\\server\share\...` for `\\?\UNC\server\share\...`; `None` if a
/// name in the path would have another meaning without the prefix.
fn without_prefix(path: &str) -> Option<String> {
    let rest = path.strip_prefix(r"\\?\")?;
    if let Some(share) = rest.strip_prefix(r"UNC\") {
        let is_share = share.split('\\').count() > 1 && share.split('\\').all(is_ordinary);
        return is_share.then(|| format!(r"\\{share}"));
    }
    let (drive, names) = rest.split_once(r":\")?;
    let is_drive = drive.len() == 1 && drive.starts_with(|c: char| c.is_ascii_alphabetic());
    let means_the_same = names.is_empty() || names.split('\\').all(is_ordinary);
    (is_drive && means_the_same).then(|| rest.to_owned())
}

/// Whether a name has the same meaning in a path without the prefix. There, Windows removes
/// trailing dots and spaces, and treats some names as devices.
fn is_ordinary(name: &str) -> bool {
    const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
    let stem = name.split('.').next().unwrap_or_default().trim_end_matches(' ').to_ascii_uppercase();
    let is_port = |stem: &str| {
        let number = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
        number.is_some_and(|number| {
            let mut digits = number.chars();
            matches!((digits.next(), digits.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
        })
    };
    let is_special = |c: char| c < ' ' || r#"<>:"/|?*"#.contains(c);
    !name.is_empty()
        && !name.ends_with(['.', ' '])
        && !name.contains(is_special)
        && !DEVICES.contains(&stem.as_str())
        && !is_port(&stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verbatim_prefix_is_removed_if_the_meaning_stays() {
        let long = format!(r"C:\{}\tool.exe", vec!["directory"; 60].join(r"\"));
        for (verbatim, plain) in [
            (r"\\?\C:\story\bin\demo.exe", r"C:\story\bin\demo.exe"),
            (r"\\?\z:\", r"z:\"),
            (r"\\?\C:\Program Files\é ü\.demo.exe.relatch", r"C:\Program Files\é ü\.demo.exe.relatch"),
            (r"\\?\UNC\server\share\releases", r"\\server\share\releases"),
            (&format!(r"\\?\{long}"), long.as_str()),
            (r"\\?\C:\computer\console.exe", r"C:\computer\console.exe"),
        ] {
            assert_eq!(without_prefix(verbatim).as_deref(), Some(plain));
            assert_eq!(with_prefix(plain).as_deref(), Some(verbatim));
        }
        for kept in [
            r"C:\story",
            r"\\server\share",
            r"\\?\UNC\server",
            r"\\?\Volume{b75e2c83-0000-0000-0000-602f00000000}\tool",
            r"\\?\C:\ends.\tool",
            r"\\?\C:\ends \tool",
            r"\\?\C:\a\..\tool",
            r"\\?\C:\a\\tool",
            r"\\?\C:\nul\tool",
            r"\\?\C:\Com1.txt",
            r"\\?\C:\LPT¹",
            r"\\?\C:\aux .log",
            r"\\?\C:\a/b",
            r"\\?\C:\a:b",
            r"\\?\C:",
            r"\\?\",
            "/usr/bin/tool",
        ] {
            assert_eq!(without_prefix(kept), None, "{kept}");
        }
        for neither in [
            r"tool.exe",
            r"\tool.exe",
            r"C:tool.exe",
            r"C:\a\..\tool.exe",
            r"\\?\C:\tool.exe",
            r"C:/tool.exe",
        ] {
            assert_eq!(with_prefix(neither), None, "{neither}");
        }
    }
}
