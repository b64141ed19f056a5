//! The command line of `signer`: arguments as typed, arguments as checked, and one place that turns a result into an exit code.

mod arguments;
mod commands;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ContextValue;
use relatch::Printable;
use signer::printable;

fn main() -> ExitCode {
    let arguments = match arguments::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(mut wrong) if wrong.use_stderr() => {
            escape(&mut wrong);
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

/// What was typed, and is repeated, makes no line of its own.
fn escape(wrong: &mut clap::Error) {
    let escaped = wrong.context().filter_map(|(kind, value)| match value {
        ContextValue::String(text) => Some((kind, ContextValue::String(Printable(text).to_string()))),
        ContextValue::Strings(texts) => {
            let texts = texts.iter().map(|text| Printable(text).to_string());
            Some((kind, ContextValue::Strings(texts.collect())))
        }
        _ => None,
    });
    for (kind, value) in escaped.collect::<Vec<_>>() {
        wrong.insert(kind, value);
    }
}

/// A closed pipe is the reader's business; what was done is done.
fn tell(to: &mut dyn std::io::Write, text: &str) {
    drop(writeln!(to, "{}", printable(text)));
}
