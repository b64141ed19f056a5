//! The command line of `signer`: arguments as typed, arguments as checked, and one place that turns a result into an exit code.

mod arguments;
mod commands;

use std::process::ExitCode;

use clap::Parser;
use signer::printable;

fn main() -> ExitCode {
    let arguments = match arguments::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(wrong) if wrong.use_stderr() => {
            eprint!("{}", printable(&wrong.render().to_string())); // it repeats what was typed
            return ExitCode::from(2);
        }
        Err(help) => help.exit(),
    };
    match commands::run(arguments.command) {
        Ok(told) => {
            use std::io::Write;
            drop(writeln!(std::io::stdout(), "{}", printable(&told))); // a closed pipe is the reader's business
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{}", printable(&format!("signer: {failure}\n  {}", failure.advice())));
            ExitCode::from(failure.exit_code())
        }
    }
}
