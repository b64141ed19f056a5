//! Runs each command. Its answer is a value, which is printed as text or as JSON.

mod init;
mod inputs;
mod keys;
mod publication;
mod release;
mod remarks;
mod root;
mod show;
mod verify;

use signer::Result;
use signer::root::Change;

use crate::answer::{Answer, Format};
use crate::arguments::{Command, RootCommand};

/// Runs a command.
pub fn run(command: Command, format: Format) -> Result<Answer> {
    match command {
        Command::Init(arguments) => init::init(arguments).map(Answer::of),
        Command::Keygen(arguments) => keys::keygen(arguments).map(Answer::of),
        Command::Public(arguments) => keys::public(arguments).map(Answer::of),
        Command::Root(command) => run_root(command),
        Command::Release(arguments) => release::release(arguments).map(Answer::of),
        Command::Prepare(arguments) => release::prepare(arguments).map(Answer::of),
        Command::Sign(arguments) => release::sign(arguments, format).map(Answer::of),
        Command::Publish(arguments) => release::publish(arguments).map(Answer::of),
        Command::Refresh(arguments) => release::refresh(arguments),
        Command::Renew(arguments) => release::renew(arguments),
        Command::Show(arguments) => show::show(arguments),
        Command::Verify(arguments) => verify::verify(arguments).map(Answer::of),
    }
}

fn run_root(command: RootCommand) -> Result<Answer> {
    match command {
        RootCommand::New(arguments) => root::new(arguments).map(Answer::of),
        RootCommand::Add(arguments) => root::add(arguments).map(Answer::of),
        RootCommand::Remove(arguments) => root::remove(arguments).map(Answer::of),
        RootCommand::Renew(arguments) => root::change(arguments, Change::default()).map(Answer::of),
        RootCommand::Sign(arguments) => root::sign(arguments).map(Answer::of),
        RootCommand::Show(arguments) => root::show(arguments).map(Answer::of),
        RootCommand::Publish(arguments) => root::publish(arguments).map(Answer::of),
    }
}
