//! Names of files and folders. A runner of CI obeys lines that begin with `::`, so no name makes a line of its own.

use crate::support::Desk;

const KEYS: &str = "keys\n::add-mask::1";
const ROOT: &str = "root\n::add-mask::2";
const REPO: &str = "repo\n::add-mask::3";
const FOLDER: &str = "folder\n::add-mask::4";
const BUILD: &str = "build\n::add-mask::5";
const NOTES: &str = "notes\n::add-mask::6";
const NONE: &str = "none\n::add-mask::7";

#[test]
fn no_name_makes_a_line_of_its_own() {
    let desk = Desk::bare();
    let at_repo = |arguments: &[&'static str]| [arguments, &["--repo", REPO, "--root", ROOT]].concat();
    let artifact = format!("test={BUILD}");
    let key = "k/release.key";
    let clock = "k/timestamp.key";
    let root_key = "k/root.key";
    let public = "k/root.pub";
    let copy = format!("{KEYS}/copy.pub");
    let release = at_repo(&["release", "--version", "1.0.0"]);
    let mut told = 0;
    let mut says = |works: bool, arguments: &[&str]| {
        let output = desk.signer(arguments);
        let heard = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
        assert_eq!(output.status.success(), works, "{arguments:?}: {heard}");
        assert!(!heard.lines().any(|line| line.starts_with("::")), "{arguments:?}: {heard}");
        told += heard.matches(r"\n::add-mask::").count();
    };
    let init =
        ["init", "--product", "widget", "--no-password", "--keys", KEYS, "--root", ROOT, "--repo", REPO];
    says(true, &init);
    crate::unix::symlink(KEYS, desk.path("k")).unwrap(); // a key's place with a line's end is taken for a key itself, and not told
    says(false, &init);
    says(false, &["keygen", "--no-password", "--out", &format!("{KEYS}/release.key")]);
    says(true, &["public", "--key", key, "--out", &copy]);
    says(false, &["public", "--key", key, "--out", &copy]);
    says(false, &["public", "--key", NONE, "--out", NONE]);
    says(false, &["root", "show", NONE]);
    says(false, &["root", "show", ROOT, NONE]);
    says(false, &["show", "--channel", NONE, "--repo", REPO, "--root", ROOT]);
    says(false, &[&release[..], &["--artifact", NONE, "--key", key]].concat());
    says(false, &[NONE]);
    says(false, &[&format!("--{NONE}")]);
    says(true, &["root", "show", ROOT]);
    says(false, &["show", NONE]);
    says(false, &["sign", NONE, "--key", key]);
    desk.write(BUILD, "");
    says(false, &[&release[..], &["--artifact", &artifact, "--key", key, "--key", clock]].concat());
    desk.write(BUILD, "#!/bin/sh\n");
    desk.write(NOTES, [0xff]);
    says(
        false,
        &[&release[..], &["--artifact", &artifact, "--key", key, "--key", clock, "--notes", NOTES]].concat(),
    );
    desk.write(NOTES, "\u{1b}");
    says(
        false,
        &[&release[..], &["--artifact", &artifact, "--key", key, "--key", clock, "--notes", NOTES]].concat(),
    );
    says(false, &[&release[..], &["--artifact", &artifact, "--key", public, "--key", clock]].concat());
    says(true, &[&release[..], &["--artifact", &artifact, "--key", key, "--key", clock]].concat());
    let prepare = at_repo(&["prepare", "--version", "1.1.0", "--out", FOLDER]);
    says(true, &[&prepare[..], &["--artifact", &artifact]].concat());
    says(false, &[&prepare[..], &["--artifact", &artifact]].concat());
    says(true, &["show", FOLDER]);
    says(false, &["sign", FOLDER, "--key", root_key]);
    says(true, &["sign", FOLDER, "--key", key]);
    says(false, &[&["publish", FOLDER][..], &at_repo(&[])].concat());
    says(true, &["sign", FOLDER, "--key", clock]);
    says(true, &[&["publish", FOLDER][..], &at_repo(&[])].concat());
    says(true, &at_repo(&["verify"]));
    std::fs::remove_dir_all(desk.path(REPO)).unwrap();
    says(false, &at_repo(&["verify"]));
    assert!(told > 20, "the names were told {told} times only");
}
