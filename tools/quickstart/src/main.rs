//! Shows relatch on screen: keys, releases, an automatic update, a bad release, a rollback, and two
//! attacks.
//!
//! It runs every command that it prints, exactly as a person would type it in this directory.

mod stage;

use std::process::ExitCode;

use stage::{Result, Stage};

const USAGE: &str = "usage: cargo run -p quickstart [-- [--s3] [--dir DIR]]
  --s3       publish the releases to a bucket of an S3 server on this machine, instead of a directory
  --dir DIR  the working directory, which is emptied; default target/quickstart, and for root in a
             checkout that others may change, relatch-quickstart among the temporary files";

/// Where the releases are published.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repository {
    Directory,
    Bucket,
}

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut repository = Repository::Directory;
    if arguments.first().is_some_and(|first| first == "--s3") {
        repository = Repository::Bucket;
        arguments.remove(0);
    }
    let dir = match &arguments[..] {
        [] => stage::default_dir(),
        [flag, dir] if flag == "--dir" && !dir.starts_with('-') && !dir.contains(char::is_whitespace) => {
            dir.clone()
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&dir, repository) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("\nquickstart: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(dir: &str, repository: Repository) -> Result<()> {
    let mut stage = Stage::new(dir)?;
    stage.announce(
        "Build the tools: `signer` for the publisher, `relatch` for every machine. The first \
         build takes a minute or two.",
    );
    stage.run("cargo build --quiet -p signer -p relatch-cli -p demo", 0)?;
    if repository == Repository::Bucket {
        stage.announce(
            "Start the S3 server of the tests. It serves only this machine, and its key pair is \
             worthless elsewhere.",
        );
        stage.run("cargo build --quiet -p test-s3", 0)?;
        stage.serve_bucket()?;
    }

    stage.announce("Make keys and the first root document. Only `root.json` is public; the demo embeds it.");
    stage.run(
        "target/debug/signer init --product demo --no-password --keys {dir}/keys --repo {repo} \
         --root {dir}/root.json",
        0,
    )?;

    stage.announce("Build the demo as 1.0.0 and publish it.");
    build(&stage, "1.0.0", "error")?;
    release(&stage, "1.0.0")?;

    stage.announce("A user installs it. `relatch` trusts only what the keys in root.json have signed.");
    stage.run(
        "target/debug/relatch install --from {repo} --root {dir}/root.json --product demo --to \
         {dir}/bin/demo{exe}",
        0,
    )?;
    stage.run("printf 'web-1 ok\\nweb-2 ok\\nweb-3 ERROR: disk full\\n' > {dir}/deploy.log", 0)?;
    stage.run("{dir}/bin/demo {dir}/deploy.log", 1)?;

    stage.announce(
        "The team publishes 1.1.0. The next start of the demo updates itself, and then does its \
         work.",
    );
    build(&stage, "1.1.0", "error")?;
    release(&stage, "1.1.0")?;
    expect(&stage.run("{dir}/bin/demo {dir}/deploy.log", 1)?, "demo 1.1.0: line 3")?;

    stage.announce(
        "1.2.0 is a bad release: correctly signed, and it starts, but `error` is misspelt. It no \
         longer finds failures.",
    );
    build(&stage, "1.2.0", "eror")?;
    release(&stage, "1.2.0")?;
    expect(&stage.run("{dir}/bin/demo {dir}/deploy.log", 0)?, "demo 1.2.0: no failure found")?;

    stage.announce("Roll back: one command, no network, and the tool works again.");
    stage.run("{dir}/bin/demo --rollback", 0)?;
    expect(&stage.run("{dir}/bin/demo {dir}/deploy.log", 1)?, "demo 1.1.0: line 3")?;

    stage.announce("1.2.0 is on hold: neither the next start nor an explicit update installs it again.");
    expect(&stage.run("{dir}/bin/demo {dir}/deploy.log", 1)?, "demo 1.1.0: line 3")?;
    expect(&stage.run("{dir}/bin/demo --update", 0)?, "nothing to do: 1.2.0 is ")?;

    stage.announce(
        "1.3.0 is good. Before any user has it, an attacker who controls the repository changes \
         eight bytes of every blob.",
    );
    build(&stage, "1.3.0", "error")?;
    release(&stage, "1.3.0")?;
    stage.run("cp -R {files} {dir}/as-signed", 0)?;
    stage.run(
        "for blob in {files}/blobs/*; do printf tampered | dd of=$blob bs=1 seek=19 conv=notrunc \
         2>/dev/null; done",
        0,
    )?;
    expect(&stage.run("{dir}/bin/demo {dir}/deploy.log", 1)?, "not updated: blobs/")?;

    stage.announce(
        "The attacker restores the blobs, and changes the version in the signed manifest to 1.4.0.",
    );
    stage.run("rm -r {files} && cp -R {dir}/as-signed {files}", 0)?;
    stage.run(
        "for file in {files}/manifests/*.json; do sed s/1.3.0/1.4.0/ $file > $file.new && mv \
         $file.new $file; done",
        0,
    )?;
    expect(&stage.run("{dir}/bin/demo {dir}/deploy.log", 1)?, "not updated: the manifest")?;
    stage.run("target/debug/relatch check {dir}/bin/demo{exe}", 3)?;

    stage.announce("No changed byte was executed. With the repository restored, the demo updates to 1.3.0.");
    stage.run("rm -r {files} && mv {dir}/as-signed {files}", 0)?;
    expect(&stage.run("{dir}/bin/demo {dir}/deploy.log", 1)?, "demo 1.3.0: line 3")?;
    stage.run("target/debug/relatch doctor {dir}/bin/demo{exe}", 0)?;
    stage.run("target/debug/signer verify --repo {repo} --root {dir}/root.json", 0)?;

    let server = stage.restart_server();
    let repo = stage.repo();
    println!(
        "\nEverything is in {dir}. Try:{server}\n  \
         {dir}/bin/demo --help                 the tool, with the arguments that relatch adds\n  \
         {dir}/bin/demo --rollback             back to 1.1.0; a second rollback changes nothing\n  \
         target/debug/signer show --repo {repo} --root {dir}/root.json\n  \
         target/debug/signer --help            prepare, sign and publish on different machines\n\
         To start over, run `cargo run -p quickstart` again. README.md shows how to add relatch to your tool."
    );
    Ok(())
}

/// Builds one release of the demo. Releases differ only in these variables.
fn build(stage: &Stage, version: &str, word: &str) -> Result<()> {
    let command = format!(
        "DEMO_VERSION={version} DEMO_FAILURE={word} DEMO_ROOT=\"{{absolute}}/root.json\" \
         DEMO_REPOSITORY={{embedded}} cargo build --quiet -p demo{{features}} \
         && cp target/debug/demo{{exe}} {{dir}}/builds/demo-{version}{{exe}}"
    );
    stage.run(&command, 0).map(drop)
}

fn release(stage: &Stage, version: &str) -> Result<()> {
    let command = format!(
        "target/debug/signer release --repo {{repo}} --root {{dir}}/root.json --key \
         {{dir}}/keys/release.key --key {{dir}}/keys/timestamp.key --level 3 --version {version} \
         --artifact {}={{dir}}/builds/demo-{version}{{exe}}",
        host()?
    );
    stage.run(&command, 0).map(drop)
}

/// This machine's target, as rustc names it.
fn host() -> Result<String> {
    let output = std::process::Command::new("rustc")
        .arg("-vV")
        .output()
        .map_err(|error| format!("cannot run rustc: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| "`rustc -vV` printed no host".into())
}

fn expect(output: &str, text: &str) -> Result<()> {
    if output.contains(text) { Ok(()) } else { Err(format!("the output does not contain `{text}`")) }
}
