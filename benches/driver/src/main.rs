//! What a cold check costs, side by side with a peer, in one run: `cargo run --release -p check-driver [-- ROUNDS]` in `benches/`.
//!
//! Each check is a process of its own that asks a server with TLS on loopback, and finds that nothing is newer. The programs take turns, so
//! that a busy moment of the machine is everybody's. Figures are medians.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use test_s3::{Authority, Options, Server};
use wait4::Wait4;

const PROGRAMS: [&str; 5] = ["hello", "https", "s3", "s3-sdk", "self-update"];

/// What one process cost.
struct Cost {
    cpu_ms: f64,
    memory_kib: f64,
    requests: f64,
    bytes: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let rounds: usize = std::env::args().nth(1).map_or(Ok(41), |text| text.parse())?;
    let programs = build()?;
    println!("linked size, stripped, over hello");
    let hello = std::fs::metadata(&programs["hello"])?.len();
    for name in &PROGRAMS[1..] {
        let size = std::fs::metadata(&programs[name])?.len();
        println!("  {name:<22} {:>6.2} MiB", (size - hello) as f64 / 1_048_576.0);
    }
    for objects in [1, 3000] {
        println!(
            "\n{objects} releases in the bucket, {rounds} rounds\n  {:<22} {:>8} {:>10} {:>9} {:>9}",
            "", "CPU ms", "RSS MiB", "requests", "bytes"
        );
        check(&programs, objects, rounds)?;
    }
    Ok(())
}

/// Each program alone, so that no feature of one is in another.
fn build() -> Result<BTreeMap<&'static str, PathBuf>, Box<dyn Error>> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => workspace.join("target"),
    };
    let mut programs = BTreeMap::new();
    for name in PROGRAMS {
        let package = format!("check-{name}");
        let built = Command::new("cargo")
            .args(["build", "--release", "--quiet", "-p", &package])
            .current_dir(&workspace)
            .status()?;
        if !built.success() {
            return Err(format!("{package} does not build").into());
        }
        programs.insert(name, target.join("release").join(package));
    }
    let signer = Command::new("cargo")
        .args(["build", "--release", "--quiet", "-p", "signer"])
        .current_dir(workspace.join(".."))
        .env_remove("CARGO_TARGET_DIR")
        .status()?;
    if !signer.success() {
        return Err("signer does not build".into());
    }
    programs.insert("signer", workspace.join("../target/release/signer"));
    Ok(programs)
}

fn check(programs: &BTreeMap<&str, PathBuf>, objects: usize, rounds: usize) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let authority = Authority::new();
    let server = Server::start(
        Options::new().bucket("check").anonymous_read(true).anonymous_list(true).https(&authority),
    );
    publish(&programs["signer"], dir.path(), &server)?;
    for number in 0..objects {
        // Releases of the past, as self_update names them; none is newer than 1.0.0.
        server.put(&format!("check-0.{}.{}-x86_64-unknown-linux-gnu", number / 100, number % 100), "x");
    }
    // What this platform trusts, and the test's own authority: to read these is a part of what a check costs.
    let system =
        ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
    let mut bundle = system.iter().find_map(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    bundle.push_str(&authority.pem());
    let ca_file = dir.path().join("ca.pem");
    std::fs::write(&ca_file, bundle)?;

    let endpoint = server.endpoint();
    let s3 = format!("s3://check?endpoint={endpoint}&region={}", server.region());
    let https = format!("{endpoint}/check");
    let mut costs: BTreeMap<String, Vec<Cost>> = BTreeMap::new();
    // The first rounds bring the state of each tool to what it is for nearly all of its life: it has checked before.
    for round in 0..rounds + 2 {
        for (label, name, repository, interval) in [
            ("hello", "hello", "", 0),
            ("https", "https", &*https, 0),
            ("s3", "s3", &s3, 0),
            ("s3-sdk", "s3-sdk", &s3, 0),
            ("self_update", "self-update", "", 0),
            ("https, in the interval", "https", &https, 3600),
        ] {
            let place = dir.path().join(label.replace([' ', ','], "-"));
            if round == 0 {
                std::fs::create_dir(&place)?;
                std::fs::copy(&programs[name], place.join("check"))?;
            }
            server.clear_requests();
            let mut child = Command::new(place.join("check"))
                .env_clear()
                .env("SSL_CERT_FILE", &ca_file)
                .env("CHECK_ROOT", dir.path().join("root.json"))
                .env("CHECK_REPOSITORY", repository)
                .env("CHECK_INTERVAL", interval.to_string())
                .env("CHECK_ENDPOINT", format!("{endpoint}/check"))
                .env("CHECK_BUCKET", "check")
                .env("AWS_REGION", server.region())
                .env("AWS_ACCESS_KEY_ID", &server.credentials().access_key)
                .env("AWS_SECRET_ACCESS_KEY", &server.credentials().secret_key)
                .env("AWS_EC2_METADATA_DISABLED", "true")
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()?;
            let (mut told, mut warned) = (String::new(), String::new());
            child.stdout.take().ok_or("no stdout")?.read_to_string(&mut told)?;
            child.stderr.take().ok_or("no stderr")?.read_to_string(&mut warned)?;
            let used = child.wait4()?;
            if !used.status.success() || !warned.is_empty() {
                return Err(format!("{label}: {} {warned}", used.status).into());
            }
            if round >= 2 {
                let requests = server.requests();
                costs.entry(label.into()).or_default().push(Cost {
                    cpu_ms: (used.rusage.utime + used.rusage.stime).as_secs_f64() * 1000.0,
                    memory_kib: told.trim().trim_end_matches(" kB").parse()?,
                    requests: requests.len() as f64,
                    bytes: requests.iter().map(|request| request.bytes_sent).sum::<u64>() as f64,
                });
            }
        }
    }
    for label in ["hello", "https, in the interval", "https", "s3", "s3-sdk", "self_update"] {
        let all = &costs[label];
        let median = |figure: fn(&Cost) -> f64| {
            let mut figures: Vec<f64> = all.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        println!(
            "  {label:<22} {:>8.2} {:>10.2} {:>9} {:>9}",
            median(|cost| cost.cpu_ms),
            median(|cost| cost.memory_kib) / 1024.0,
            median(|cost| cost.requests),
            median(|cost| cost.bytes)
        );
    }
    Ok(())
}

/// A real release of a real signer, uploaded to the server.
fn publish(signer: &Path, dir: &Path, server: &Server) -> Result<(), Box<dyn Error>> {
    std::fs::write(dir.join("check"), "not run")?;
    let target = format!("{}=check", env!("CHECK_TARGET"));
    let keys = "--key keys/release.key --key keys/timestamp.key";
    for command in [
        "init --product check --no-password --keys keys --repo repo --root root.json".to_owned(),
        format!("release --repo repo --root root.json --version 1.0.0 --artifact {target} {keys}"),
    ] {
        let output = Command::new(signer).args(command.split(' ')).current_dir(dir).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
    }
    upload(&dir.join("repo"), "", server)
}

fn upload(dir: &Path, prefix: &str, server: &Server) -> Result<(), Box<dyn Error>> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let key = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            upload(&entry.path(), &format!("{key}/"), server)?;
        } else {
            server.put(&key, std::fs::read(entry.path())?);
        }
    }
    Ok(())
}
