//! check.sh: it accepts exactly the files whose SHA-256 sums it was given.

use std::path::PathBuf;
use std::process::{Command, Output};

use sha2::{Digest, Sha256};

use crate::pipeline::{docs, failed, worked};

/// The length of a sum in hexadecimal.
const DIGITS: usize = 64;

/// What a job with secrets downloaded: `signer`, and one executable.
struct Downloads {
    home: tempfile::TempDir,
}

impl Downloads {
    fn new() -> Self {
        let downloads = Downloads { home: tempfile::tempdir().unwrap() };
        downloads.write("signer/signer", "the signer");
        downloads.write("x86_64-unknown-linux-gnu/mytool", "the tool");
        downloads
    }

    fn path(&self, file: &str) -> PathBuf {
        self.home.path().join(format!("dist/{file}").trim_end_matches('/'))
    }

    fn write(&self, file: &str, content: &str) {
        std::fs::create_dir_all(self.path(file).parent().unwrap()).unwrap();
        std::fs::write(self.path(file), content).unwrap();
    }

    /// Checks with these sums.
    fn checked(&self, sums: [&str; 2]) -> Output {
        let signer = format!("signer/signer={}", sums[0]);
        let tool = format!("x86_64-unknown-linux-gnu/mytool={}", sums[1]);
        self.run(&[&signer, &tool])
    }

    /// In two shells, which must agree.
    fn run(&self, arguments: &[&str]) -> Output {
        let outputs = ["sh", "bash"].map(|shell| {
            let mut shell = Command::new(shell);
            shell.current_dir(self.home.path()).arg(docs().join("check.sh")).arg("dist");
            shell.args(arguments).output().unwrap()
        });
        assert_eq!(outputs[0], outputs[1]);
        outputs.into_iter().next().unwrap()
    }
}

fn sum(content: &str) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn files_with_their_sums_are_accepted() {
    let downloads = Downloads::new();
    let said = worked(downloads.checked([&sum("the signer"), &sum("the tool")]));
    assert_eq!(said, "check: every file has the SHA-256 sum that its job reported (2)\n");
}

#[test]
fn a_replaced_file_is_refused_with_both_sums() {
    for file in ["signer/signer", "x86_64-unknown-linux-gnu/mytool"] {
        let downloads = Downloads::new();
        let honest = [sum("the signer"), sum("the tool")];
        downloads.write(file, "another program");
        let why = failed(3, downloads.checked([&honest[0], &honest[1]]));
        let reported = if file == "signer/signer" { &honest[0] } else { &honest[1] };
        let actual = sum("another program");
        let expected = format!("check: {file} has the SHA-256 sum {actual}, ");
        let expected = format!("{expected}but the job that built it reported {reported}\n");
        assert!(why.starts_with(&expected), "{why}");
    }
    // The two files in the place of each other.
    let downloads = Downloads::new();
    failed(3, downloads.checked([&sum("the tool"), &sum("the signer")]));
}

/// An output that its job did not set is empty, and the sum of an empty file is no excuse for it.
#[test]
fn an_empty_or_malformed_sum_is_refused() {
    let (signer, tool) = (sum("the signer"), sum("the tool"));
    let downloads = Downloads::new();
    let why = failed(3, downloads.checked(["", &tool]));
    assert!(why.starts_with("check: signer/signer has an empty SHA-256 sum\n"), "{why}");
    failed(3, downloads.checked([&signer, ""]));
    downloads.write("signer/signer", "");
    failed(3, downloads.checked(["", &tool]));
    downloads.write("signer/signer", "the signer");
    let malformed = [
        signer[..DIGITS - 1].to_owned(),
        format!("{signer}0"),
        signer.to_uppercase(),
        format!("{signer}\n"),
        format!("{signer} "),
        format!("{signer}\n{tool}"),
        "*".into(),
        "?".repeat(DIGITS),
        "$(touch ran)".into(),
    ];
    for sum in malformed {
        let why = failed(3, downloads.checked([&sum, &tool]));
        assert!(why.contains("signer/signer has an invalid SHA-256 sum"), "{sum:?}: {why}");
    }
    assert!(!downloads.home.path().join("ran").exists());
    // No sum at all.
    failed(2, downloads.run(&["signer/signer"]));
    failed(2, downloads.run(&[]));
    failed(2, downloads.run(&[&format!("={signer}")]));
}

#[test]
fn a_missing_file_is_refused() {
    let downloads = Downloads::new();
    let (signer, tool) = (sum("the signer"), sum("the tool"));
    std::fs::remove_file(downloads.path("x86_64-unknown-linux-gnu/mytool")).unwrap();
    let why = failed(3, downloads.checked([&signer, &tool]));
    let expected = "check: missing file: ./x86_64-unknown-linux-gnu/mytool\n";
    assert!(why.starts_with(expected), "{why}");
    std::fs::remove_dir_all(downloads.path("")).unwrap();
    let why = failed(3, downloads.checked([&signer, &tool]));
    assert_eq!(why, "check: dist is not a directory, so nothing was downloaded to it\n");
}

/// On PATH beside `signer`, a file named `sed` would be run by publish.sh.
#[test]
fn an_additional_file_is_refused_and_its_name_cannot_command_the_runner() {
    let (signer, tool) = (sum("the signer"), sum("the tool"));
    for name in ["signer/sed", ".hidden", "another/deep/file", "signer/signer.bak"] {
        let downloads = Downloads::new();
        downloads.write(name, "the signer");
        let why = failed(3, downloads.checked([&signer, &tool]));
        assert!(why.starts_with(&format!("check: unexpected file: ./{name}\n")), "{why}");
    }
    let downloads = Downloads::new();
    downloads.write("signer/x\n::add-path::\u{1b}[2J##[debug]", "");
    let why = failed(3, downloads.checked([&signer, &tool]));
    assert!(why.lines().all(|line| line.starts_with("check: ")), "{why}");
    assert!(!why.contains("::") && !why.contains("##[") && !why.contains('\u{1b}'), "{why}");
    // A name that looks like two names of the list.
    let downloads = Downloads::new();
    std::fs::remove_file(downloads.path("signer/signer")).unwrap();
    std::fs::remove_dir_all(downloads.path("x86_64-unknown-linux-gnu")).unwrap();
    downloads.write("signer/signer\n./x86_64-unknown-linux-gnu/mytool", "the signer");
    failed(3, downloads.checked([&signer, &tool]));
}

#[test]
fn only_regular_files_inside_of_the_directory_are_accepted() {
    let (signer, tool) = (sum("the signer"), sum("the tool"));
    let linked = |file: &str| {
        let downloads = Downloads::new();
        let aside = downloads.home.path().join("aside");
        std::fs::rename(downloads.path(file), &aside).unwrap();
        std::os::unix::fs::symlink(&aside, downloads.path(file)).unwrap();
        failed(3, downloads.checked([&signer, &tool]))
    };
    // Each with the right content: what a link leads to can change after the check.
    assert_eq!(linked("signer/signer"), "check: signer/signer is not a regular file\n");
    assert!(linked("signer").contains("check: unexpected file: ./signer\n"));
    assert!(linked("").contains("is not a directory"));
    // Reading a FIFO would block until something writes to it.
    let downloads = Downloads::new();
    let fifo = downloads.path("signer/signer");
    std::fs::remove_file(&fifo).unwrap();
    worked(Command::new("mkfifo").arg(&fifo).output().unwrap());
    let why = failed(3, downloads.checked([&signer, &tool]));
    assert_eq!(why, "check: signer/signer is not a regular file\n");
    // Paths that leave the directory, and one that is named twice.
    let downloads = Downloads::new();
    let executable = format!("x86_64-unknown-linux-gnu/mytool={tool}");
    std::fs::write(downloads.home.path().join("outside"), "the signer").unwrap();
    for path in ["../outside", "signer/../signer/signer", "./signer/signer", "signer//signer"] {
        failed(3, downloads.run(&[&format!("{path}={signer}"), &executable]));
    }
    for path in ["/etc/passwd", "-r", "signer/signer\n./x", "signer/*", "~/signer"] {
        failed(2, downloads.run(&[&format!("{path}={signer}"), &executable]));
    }
    let named = format!("signer/signer={signer}");
    failed(3, downloads.run(&[&named, &named, &executable]));
    worked(downloads.run(&[&named, &executable]));
}
