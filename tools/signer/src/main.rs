//! The command line of `signer`: arguments as typed, arguments as checked, and one place that turns a result into an exit code.

mod arguments;
mod commands;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = arguments::Arguments::parse();
    match commands::run(arguments.command) {
        Ok(told) => {
            use std::io::Write;
            drop(writeln!(std::io::stdout(), "{told}")); // a closed pipe is the reader's business
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("signer: {failure}\n  {}", failure.advice());
            ExitCode::from(failure.exit_code())
        }
    }
}
