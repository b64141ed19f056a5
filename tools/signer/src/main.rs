//! The command line of `signer`: parses the arguments, runs the command, and turns its result into
//! an exit code.

mod arguments;
mod commands;

use std::process::ExitCode;

use clap::Parser;
use signer::redacted;

fn main() -> ExitCode {
    let arguments = match arguments::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            let error = relatch::cli::printable(error);
            print(&mut std::io::stderr(), error.render().to_string().trim_end());
            return ExitCode::from(2);
        }
        Err(help) => help.exit(),
    };
    match commands::run(arguments.command) {
        Ok(text) => {
            print(&mut std::io::stdout(), &text);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            print(&mut std::io::stderr(), &format!("signer: {failure}\n  {}", failure.advice()));
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Ignores a write error: the work is done, and a reader may close its pipe at any time.
fn print(to: &mut dyn std::io::Write, text: &str) {
    drop(writeln!(to, "{}", redacted(text)));
}
