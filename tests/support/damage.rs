//! What a disk, or somebody with access to it, can do to a file of the client's.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

pub type Damage = (&'static str, fn(&Path));

pub fn damages() -> Vec<Damage> {
    fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut content = std::fs::read(path).unwrap();
        change(&mut content);
        std::fs::write(path, content).unwrap();
    }
    let mut damages: Vec<Damage> = vec![
        ("emptied", |path| change(path, |content| content.clear())),
        ("truncated by a byte", |path| change(path, |content| content.truncate(content.len() - 1))),
        ("truncated to the half", |path| change(path, |content| content.truncate(content.len() / 2))),
        ("zeroed", |path| change(path, |content| content.fill(0))),
        ("one bit in the first line", |path| change(path, |content| content[40] ^= 1)),
        ("one bit in the last line", |path| {
            change(path, |content| {
                let last = content.len() - 2;
                content[last] ^= 1;
            })
        }),
        ("a byte behind", |path| change(path, |content| content.push(b'\n'))),
        ("grown beyond its limit", |path| change(path, |content| content.resize(5 << 20, b' '))),
        ("not text", |path| std::fs::write(path, [0xff; 100]).unwrap()),
    ];
    if cfg!(unix) {
        damages.push(("a FIFO in its place, which would wait for a writer", |path| {
            std::fs::remove_file(path).unwrap();
            fifo(path).unwrap();
        }));
    } else {
        println!("skipped: a FIFO in the place of a file, because this system has none");
    }
    damages
}

/// A FIFO, where the system has such files.
pub fn fifo(path: &Path) -> Result<()> {
    if !cfg!(unix) {
        return Err(Error::new(ErrorKind::Unsupported, "this system has no FIFOs among its files"));
    }
    let made = std::process::Command::new("mkfifo").arg(path).status()?;
    if made.success() { Ok(()) } else { Err(Error::other(format!("mkfifo: {made}"))) }
}

/// A symbolic link. Windows may refuse it to whoever is no administrator.
pub fn symlink(original: &Path, link: &Path) -> Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::symlink(original, link);
    #[cfg(windows)]
    {
        match original.is_dir() {
            true => std::os::windows::fs::symlink_dir(original, link),
            false => std::os::windows::fs::symlink_file(original, link),
        }?;
        // Wine 8 makes none and reports success.
        let made = std::fs::symlink_metadata(link).is_ok_and(|meta| meta.is_symlink());
        if made { Ok(()) } else { Err(Error::new(ErrorKind::Unsupported, "no symbolic link was made")) }
    }
}

/// Writes a record anew with the right hash of what it says.
pub fn restate(path: &Path, change: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().next().unwrap();
    let changed = change(line.into());
    assert_ne!(changed, line, "the row does nothing");
    std::fs::write(path, format!("{changed}\n{}\n", relatch::trust::Digest::of(changed.as_bytes()))).unwrap();
}

/// A record as a later version would write it: another number, and fields that this one does not know.
pub fn newer(path: &Path) {
    restate(path, |line| {
        let mut record: serde_json::Value = serde_json::from_str(&line).unwrap();
        let (kind, number) = record["type"].as_str().unwrap().split_once('/').unwrap();
        let later = format!("{kind}/{}", number.parse::<u64>().unwrap() + 1);
        record["type"] = later.into();
        record["of a later version"] = serde_json::json!({"a": [1, "b"]});
        record.to_string()
    });
}
