//! What each command does, and what it tells.

mod keys;
mod release;
mod root;
mod show;

use std::sync::Arc;
use std::time::Duration;

use relatch::{Printable, limits};
use signer::custody::{KeyArgument, KeySource};
use signer::files::read_limited;
use signer::root::Change;
use signer::signing::SigningKey;
use signer::store::{Store, from_location};
use signer::{Failure, Result, printable};

use crate::arguments::{Command, Password, Repo, RootCommand};

/// Does what the command says; the text is for stdout.
pub fn run(command: Command) -> Result<String> {
    match command {
        Command::Init(arguments) => keys::init(arguments),
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

impl Repo {
    fn open(&self) -> Result<(Arc<dyn Store>, Vec<u8>)> {
        Ok((from_location(&self.repo, &self.server.server())?, read_limited(&self.root, limits::ROOT)?))
    }
}

/// All keys, before anything is done with one.
fn load(keys: &[KeyArgument], password: &Password) -> Result<Vec<Box<dyn SigningKey>>> {
    let sources = keys.iter().map(KeyArgument::source).collect::<Result<Vec<_>>>()?;
    if sources.iter().filter(|source| **source == KeySource::Stdin).count() > 1 {
        return Err(Failure::usage("standard input holds one key: `-` may be given once"));
    }
    sources.iter().map(|source| source.load(&password.password_env)).collect()
}

fn borrowed(keys: &[Box<dyn SigningKey>]) -> Vec<&dyn SigningKey> {
    keys.iter().map(|key| &**key).collect()
}

/// What was found out about the place while writing, a line each.
fn remarks(store: &dyn Store) -> String {
    store.remarks().iter().map(|remark| format!("\n  {remark}")).collect()
}

/// The same on stderr where it ended in a failure: what was left behind costs, and the failure says nothing of it.
fn with_remarks<T>(store: &dyn Store, done: Result<T>) -> Result<T> {
    if done.is_err() && !store.remarks().is_empty() {
        use std::io::Write;
        let told = printable(&format!("signer: {}{}", Printable(store.location()), remarks(store)));
        drop(writeln!(std::io::stderr(), "{told}")); // the failure itself is still to be told
    }
    done
}

/// A validity that leaves `expires` a number that documents can hold.
fn seconds(time: Duration) -> Result<u64> {
    match time.as_secs() {
        seconds @ 1..=3_153_600_000 => Ok(seconds),
        other => Err(Failure::usage(format!(
            "{other} s is not a validity; use from a second to a hundred years, such as 90d"
        ))),
    }
}
