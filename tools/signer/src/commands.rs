//! Runs each command, and describes its result.

mod init;
mod inputs;
mod keys;
mod release;
mod remarks;
mod root;
mod show;

use signer::Result;
use signer::root::Change;

use crate::arguments::{Command, RootCommand};

/// Runs a command. The text is for stdout.
pub fn run(command: Command) -> Result<String> {
    match command {
        Command::Init(arguments) => init::init(arguments),
        Command::Keygen(arguments) => keys::keygen(arguments),
        Command::Public(arguments) => keys::public(arguments),
        Command::Root(RootCommand::New(arguments)) => root::new(arguments),
        Command::Root(RootCommand::Add(arguments)) => root::add(arguments),
        Command::Root(RootCommand::Remove(arguments)) => root::remove(arguments),
        Command::Root(RootCommand::Renew(arguments)) => root::change(arguments, Change::default()),
        Command::Root(RootCommand::Sign(arguments)) => root::sign(arguments),
        Command::Root(RootCommand::Show(arguments)) => root::show(arguments),
        Command::Root(RootCommand::Publish(arguments)) => root::publish(arguments),
        Command::Release(arguments) => release::release(arguments),
        Command::Prepare(arguments) => release::prepare(arguments),
        Command::Sign(arguments) => release::sign(arguments),
        Command::Publish(arguments) => release::publish(arguments),
        Command::Refresh(arguments) => release::refresh(arguments),
        Command::Show(arguments) => show::show(arguments),
        Command::Verify(arguments) => show::verify(arguments),
    }
}
