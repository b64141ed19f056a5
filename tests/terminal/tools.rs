//! Of the environment, of buckets, of `signer`, and on a terminal.

use std::path::Path;
use std::process::Command;

use crate::support::printed::drives;
use crate::support::proxy::without_proxy;
use crate::support::server::{Answer, Server};
use crate::support::tool::{built, config, executable_with, install_plain};
use crate::support::{Repository, executable, fake};
use crate::{HOSTILE, both, hostile_dir, printed};

/// S3's words, the environment's, and those of AWS's files.
#[test]
fn buckets_and_the_environment() {
    without_proxy();
    let mut repository = Repository::new();
    repository.release("1.0.0", &fake("1.0.0"));
    let root = repository.dir.path().join("root/1.json");
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("widget");
    let server = Server::plain(&repository);
    let endpoint = server.url.trim_end_matches("/base");
    let install = |address: &str, variables: &[(&str, &str)]| {
        let (root, to) = (root.to_str().unwrap(), to.to_str().unwrap());
        let arguments = [
            "install",
            "--from",
            address,
            "--root",
            root,
            "--product",
            "widget",
            "--target",
            "test",
            "--to",
            to,
        ];
        both(address, &arguments, |command| {
            command
                .env("AWS_EC2_METADATA_DISABLED", "true")
                .env("HOME", dir.path())
                .envs(variables.iter().copied());
        })
    };
    let keys = [("AWS_ACCESS_KEY_ID", "AKIATEST"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let bucket = format!("s3://base?region=eu-central-1&endpoint={endpoint}&path-style=true");
    for status in [301, 400, 403, 404, 500] {
        let body = format!(
            "<Error><Code>\u{9b}\u{202e}</Code><Message>{HOSTILE}</Message><Region>\u{202e}</Region></Error>"
        );
        let head = format!(
            "HTTP/1.1 {status} No\r\nx-amz-bucket-region: \u{9b}31m\u{202e}\r\nDate: \u{202e}\r\nLocation: \u{9b}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        server.answer("stable/VERSION", Answer::raw(head));
        let said = install(&bucket, &keys);
        assert!(said.contains("relatch: s3://base"), "{said}");
    }
    let nothing = format!("s3://base?endpoint={endpoint}");
    let file = dir.path().join(format!("{}\n[profile x]\nrole_arn=y", HOSTILE));
    let file = file.to_str().unwrap();
    let of_profile = dir.path().join("config");
    std::fs::write(&of_profile, format!("[default]\nregion = eu-central-1\nrole_arn = {HOSTILE}\nsource_profile = {HOSTILE}\ncredential_process = {HOSTILE}\n")).unwrap();
    let of_profile = of_profile.to_str().unwrap();
    for variables in [
        &[("AWS_PROFILE", HOSTILE)][..],
        &[("AWS_CONFIG_FILE", file), ("AWS_SHARED_CREDENTIALS_FILE", file)],
        &[("AWS_CONFIG_FILE", of_profile)],
        &[("AWS_REGION", HOSTILE)],
        &[("AWS_DEFAULT_REGION", HOSTILE)],
        &[
            ("AWS_ENDPOINT_URL_STS", HOSTILE),
            ("AWS_WEB_IDENTITY_TOKEN_FILE", of_profile),
            ("AWS_ROLE_ARN", HOSTILE),
        ],
        &[("AWS_WEB_IDENTITY_TOKEN_FILE", HOSTILE), ("AWS_ROLE_ARN", HOSTILE)],
        &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", HOSTILE)],
        &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", HOSTILE)],
        &[("AWS_ACCESS_KEY_ID", HOSTILE), ("AWS_SECRET_ACCESS_KEY", HOSTILE)],
        &[("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_SESSION_TOKEN", HOSTILE)],
    ] {
        install(&nothing, variables);
    }
    install("s3://base", &[keys[0], keys[1], ("AWS_ENDPOINT_URL_S3", HOSTILE)]);
    for variable in ["SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        install("https://127.0.0.1:1/x", &[(variable, HOSTILE)]);
        install("https://127.0.0.1:1/x", &[(variable, "http://\u{9b}2J\u{202e}:1")]);
    }
}

/// What `signer` shows of a repository that is not its own.
#[test]
fn the_signer() {
    let repository = {
        let mut repository = Repository::new();
        repository.release("1.0.0", &fake("1.0.0"));
        repository
    };
    let dir = tempfile::tempdir().unwrap();
    let hostile = hostile_dir(dir.path());
    let copy = hostile.join("repo");
    assert!(Command::new("cp").arg("-r").arg(repository.dir.path()).arg(&copy).status().unwrap().success());
    let root = hostile.join("root.json");
    std::fs::write(&root, repository.anchor()).unwrap();
    let (copy, root) = (copy.to_str().unwrap().to_owned(), root.to_str().unwrap().to_owned());
    let signer = |arguments: &[&str]| {
        let output = Command::new(built("signer")).args(arguments).current_dir(dir.path()).output().unwrap();
        printed(&format!("signer {arguments:?}"), &output)
    };
    let look = || {
        let mut said = String::new();
        for command in ["show", "verify"] {
            said.push_str(&signer(&[command, "--repo", &copy, "--root", &root]));
        }
        said.push_str(&signer(&["root", "show", &root]));
        said
    };
    assert!(look().contains("1.0.0"));
    let original = std::fs::read(Path::new(&copy).join("stable/VERSION")).unwrap();
    for content in [
        HOSTILE.to_owned(),
        format!("{HOSTILE}\n{{}}\n"),
        format!("1.0.0\n{{}}\nuntrusted comment: {HOSTILE}\nx\ntrusted comment: {HOSTILE}\nx\n"),
    ] {
        std::fs::write(Path::new(&copy).join("stable/VERSION"), &content).unwrap();
        look();
        std::fs::write(&root, &content).unwrap();
        look();
        std::fs::write(&root, repository.anchor()).unwrap();
    }
    std::fs::write(Path::new(&copy).join("stable/VERSION"), original).unwrap();
    for stray in ["root", "manifests", "blobs", "stable"] {
        std::fs::write(Path::new(&copy).join(stray).join(HOSTILE), HOSTILE).unwrap();
    }
    std::fs::create_dir(Path::new(&copy).join(format!("{HOSTILE}2"))).unwrap();
    std::fs::write(Path::new(&copy).join(format!("{HOSTILE}2/VERSION")), HOSTILE).unwrap();
    look();
    let key = hostile.join("key");
    let key = key.to_str().unwrap();
    signer(&["keygen", "--out", key, "--no-password"]);
    signer(&["keygen", "--out", key, "--no-password"]);
    signer(&["public", "--key", key, "--out", &format!("{key}.pub")]);
    std::fs::write(key, format!("untrusted comment: {HOSTILE}\n{HOSTILE}\n")).unwrap();
    for key in [key, HOSTILE, &format!("env:{HOSTILE}"), &format!("awskms:{HOSTILE}"), "none"] {
        signer(&["refresh", "--repo", &copy, "--root", &root, "--key", key]);
    }
    for repo in [HOSTILE, &format!("s3://{HOSTILE}"), "https://127.0.0.1:1/\u{9b}"] {
        signer(&["show", "--repo", repo, "--root", &root]);
        signer(&["show", "--repo", &copy, "--root", repo]);
    }
    signer(&["show", &format!("{}/none", hostile.display())]);
    signer(&["show", hostile.to_str().unwrap()]);
}

/// The bar that is drawn on a terminal has nothing in it that somebody else wrote.
#[test]
fn a_download_on_a_terminal() {
    if !Command::new("script").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("skipped: script is not installed");
        return;
    }
    let mut repository = Repository::new();
    let first = executable(&repository, "1.0.0");
    repository.release("1.0.0", &first);
    let dir = tempfile::tempdir().unwrap();
    let path = hostile_dir(dir.path()).join("widget");
    install_plain(&repository, &path, false).unwrap();
    let mut draft = repository.draft("1.1.0", &executable_with(&config(&repository, "1.1.0")));
    draft.manifest["notes"] = "notes".into();
    repository.publish(&draft);
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for command in ["check", "update", "status", "rollback"] {
        let line = format!("{} {command} {}", built("relatch").display(), link.display());
        let output =
            Command::new("script").args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        // What indicatif draws with is its own: lines, colours and the cursor. Names of windows, C1 controls and directions are not.
        assert!(!text.contains("\x1b]") && !text.contains("\x1b[2J\x1b]"), "{command}: {text:?}");
        let rest: String = text.chars().filter(|c| !matches!(c, '\x1b' | '\r')).collect();
        assert_eq!(drives(&rest), None, "{command}: {text:?}");
    }
}

/// Clap repeats what was typed; so does everything that complains, and it ends as it should where nobody listens.
#[test]
fn what_was_typed() {
    let option = format!("--{HOSTILE}");
    for arguments in [
        &[HOSTILE][..],
        &["check", HOSTILE],
        &["check", "--now", "x", HOSTILE],
        &["install", "--channel", HOSTILE],
        &["status", "--json", HOSTILE],
        &["--\u{1b}[2J\u{9b}"],
        // Of these two clap says how to pass them as a value.
        &["rollback", &option],
        &["show", &option],
        // What a tool's own parser of a value tells.
        &["root", "add", "--role", HOSTILE],
        &["root", "renew", "--threshold", &format!("{HOSTILE}=2")],
        &["root", "renew", "--threshold", &format!("release={HOSTILE}")],
    ] {
        for tool in ["relatch", "signer"] {
            // By the name, too, that a program is told to have.
            let mut command = Command::new(built(tool));
            std::os::unix::process::CommandExt::arg0(&mut command, HOSTILE);
            let output = command.args(arguments).output().unwrap();
            printed(&format!("{tool} {arguments:?}"), &output);
            assert_ne!(output.status.code(), Some(0), "{tool} {arguments:?}");
        }
    }
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    if !Path::new("/dev/full").exists() {
        eprintln!("skipped: there is no /dev/full");
        return;
    }
    let status = |arguments: &[&str]| Command::new(built("relatch")).args(arguments).stderr(full()).status();
    assert_eq!(status(&["check", "/nowhere/at/all"]).unwrap().code(), Some(5));
    assert_eq!(status(&["no-such-command"]).unwrap().code(), Some(2));
}
