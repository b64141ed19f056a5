//! Paths as people write them.
//!
//! `fs::canonicalize` answers with a verbatim path on Windows (`\\?\C:\tools`). Many programs do not take one as an argument or as a
//! working directory, and nobody types one. std makes a long path verbatim by itself where it opens, renames or removes a file.

use std::io;
use std::path::{Path, PathBuf};

/// The longest path of an executable that `CreateProcessW` starts by its plain name: `MAX_PATH` is 260, and std changes to verbatim
/// paths a little below that, too.
const LONG: usize = 240;

/// [`std::fs::canonicalize`] without the verbatim prefix.
///
/// # Errors
/// As there.
pub fn canonicalize(path: &Path) -> io::Result<PathBuf> {
    std::fs::canonicalize(path).map(plain)
}

/// Takes the verbatim prefix away from a path that means the same without it; other paths stay as they are.
pub fn plain(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(without_prefix) {
        Some(plain) => plain.into(),
        None => path,
    }
}

/// The name under which an executable is started: plain, unless Windows would not find it so because it is long.
pub fn program(path: &Path) -> PathBuf {
    if cfg!(windows) && path.as_os_str().len() > LONG {
        return std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    }
    path.to_path_buf()
}

/// `C:\...` for `\\?\C:\...` and `\\server\share\...` for `\\?\UNC\server\share\...`, where every name in it means the same to both.
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

/// Whether Windows leaves a name as it is: it cuts dots and spaces off the end, and takes some names for devices.
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
    fn a_verbatim_prefix_is_taken_away_where_it_makes_no_difference() {
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
    }
}
