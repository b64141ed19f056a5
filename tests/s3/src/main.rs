//! The test S3 server as a program, for stories that run in a shell.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use test_s3::{Conditions, Credentials, Options, Server};

/// An S3 server for tests and for trying things out: on loopback, of no use for anything that matters.
///
/// The key pair that it accepts comes from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN). When it is ready, it prints
/// one line that begins with the URL to give to clients, and serves until it is killed.
#[derive(Parser)]
#[command(name = "s3-server", version)]
struct Arguments {
    /// Keeps the objects here: DIR/BUCKET/KEY
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The bucket to serve
    #[arg(long, value_name = "NAME")]
    bucket: String,
    /// Where to listen; port 0 is one of the system's choice
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    address: SocketAddr,
    /// Where the bucket is said to be
    #[arg(long, value_name = "NAME", default_value = "eu-test-1")]
    region: String,
    /// Lets anybody read objects
    #[arg(long)]
    anonymous_read: bool,
    /// Does not look at conditions of writes, like some stores
    #[arg(long)]
    ignore_conditions: bool,
}

fn main() -> ExitCode {
    match serve(Arguments::parse()) {
        Ok(server) => loop {
            std::thread::park();
            let _ = &server;
        },
        Err(error) => {
            eprintln!("s3-server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: Arguments) -> io::Result<Server> {
    if !arguments.address.ip().is_loopback() {
        let message = format!("{} is not on loopback, and this server is for tests only", arguments.address);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut credentials =
        Credentials::new(&variable("AWS_ACCESS_KEY_ID")?, &variable("AWS_SECRET_ACCESS_KEY")?);
    if let Ok(token) = variable("AWS_SESSION_TOKEN") {
        credentials = credentials.session_token(&token);
    }
    let mut options = Options::new()
        .address(arguments.address)
        .bucket(&arguments.bucket)
        .region(&arguments.region)
        .credentials(credentials)
        .anonymous_read(arguments.anonymous_read)
        .directory(arguments.dir);
    if arguments.ignore_conditions {
        options = options.conditions(Conditions::Ignored);
    }
    let server = Server::try_start(options)?;
    let mut out = io::stdout().lock();
    let (endpoint, bucket, region) = (server.endpoint(), server.bucket(), server.region().escape_default());
    writeln!(out, "{endpoint} is an S3 server for tests only: bucket {bucket}, region {region}")?;
    out.flush()?;
    Ok(server)
}

/// A variable that is set and not empty.
fn variable(name: &str) -> io::Result<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or_else(|| {
        let message = format!("{name} is not set: the key pair to accept comes from the environment");
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })
}
