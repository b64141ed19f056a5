//! Reads objects of a bucket and prints them, or says why not: for tests that need an environment, which a process has only one of.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use relatch::Error;
use relatch::limits::ByteLimit;
use relatch::source::{Fetcher, Object, S3, S3Address};
use relatch::trust::Digest;

/// Reads objects of a bucket.
#[derive(Parser)]
struct Arguments {
    /// With credentials from AWS's SDK
    #[arg(long)]
    sdk: bool,
    #[arg(long)]
    ca_file: Option<PathBuf>,
    /// A start-up check has 1500 by default
    #[arg(long, default_value_t = 20_000)]
    within_ms: u64,
    address: S3Address,
    /// `stable/VERSION`, `root/2.json` or `blobs/HASH`
    #[arg(required = true)]
    objects: Vec<String>,
}

fn main() -> ExitCode {
    match read(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}\n{error:?}\n{}", error.advice());
            ExitCode::from(error.exit_code())
        }
    }
}

fn read(arguments: Arguments) -> Result<(), Error> {
    let source = match arguments.sdk {
        true => S3::with_sdk_chain(arguments.address),
        false => S3::at(arguments.address),
    };
    let source = match &arguments.ca_file {
        Some(ca_file) => source.ca_file(ca_file)?,
        None => source,
    };
    eprintln!("{source:?}");
    let source = Fetcher::new(source);
    let deadline = Instant::now() + Duration::from_millis(arguments.within_ms);
    for name in &arguments.objects {
        let content = source.fetch(&object(name)?, ByteLimit(1024 * 1024), deadline)?;
        drop(std::io::stdout().write_all(content.bytes()));
    }
    Ok(())
}

fn object(name: &str) -> Result<Object, Error> {
    let unknown = || Error::Usage { what: format!("{name} is no object") };
    match name.split_once('/') {
        Some((channel, "VERSION")) => Ok(Object::Version(channel.parse().map_err(|_| unknown())?)),
        Some(("blobs", hash)) => Ok(Object::Blob(hash.parse::<Digest>().map_err(|_| unknown())?)),
        Some(("root", number)) => {
            let number = number.strip_suffix(".json").and_then(|number| number.parse().ok());
            Ok(Object::Root(number.ok_or_else(unknown)?))
        }
        _ => Err(unknown()),
    }
}
