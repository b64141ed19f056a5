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
            let wrong = relatch::cli::printable(wrong);
            tell(&mut std::io::stderr(), wrong.render().to_string().trim_end());
            return ExitCode::from(2);
        }
        Err(help) => help.exit(),
    };
    match commands::run(arguments.command) {
        Ok(told) => {
            tell(&mut std::io::stdout(), &told);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            tell(&mut std::io::stderr(), &format!("signer: {failure}\n  {}", failure.advice()));
            ExitCode::from(failure.exit_code())
        }
    }
}

/// A closed pipe is the reader's business; what was done is done.
fn tell(to: &mut dyn std::io::Write, text: &str) {
    drop(writeln!(to, "{}", printable(text)));
}
