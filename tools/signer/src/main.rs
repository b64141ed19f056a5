//! The command line of `signer`: arguments as typed, arguments as checked, and one place that turns a result into an exit code.

mod arguments;
mod commands;

use std::process::ExitCode;

use clap::Parser;
use relatch::Printable;

/// The one way to a terminal. Names of files, a repository's and a server's words are in what is told.
fn printable_lines(text: &str) -> String {
    text.split('\n').map(|line| Printable(line).to_string()).collect::<Vec<_>>().join("\n")
}

fn main() -> ExitCode {
    let arguments = arguments::Arguments::parse();
    match commands::run(arguments.command) {
        Ok(told) => {
            use std::io::Write;
            drop(writeln!(std::io::stdout(), "{}", printable_lines(&told))); // a closed pipe is the reader's business
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{}", printable_lines(&format!("signer: {failure}\n  {}", failure.advice())));
            ExitCode::from(failure.exit_code())
        }
    }
}
