//! What a publisher knows beyond the repository.

use std::path::PathBuf;

use clap::Args;
use relatch::trust::Digest;
use signer::Result;
use signer::baseline::Safeguards;
use signer::floor::StateFile;
use signer::repository::Damage;

/// What the publisher has seen, outside of the repository.
#[derive(Args, Clone)]
pub struct StateArgs {
    /// A file of the publisher's own, outside of the repository: the highest release and root that
    /// were seen. Anything lower is refused; it is made in the first run
    #[arg(long, env = "SIGNER_STATE", value_name = "FILE")]
    pub state: Option<PathBuf>,
}

/// What the publisher has seen, and what is not to be published all the same.
#[derive(Args, Clone)]
pub struct KnownArgs {
    #[command(flatten)]
    pub state: StateArgs,
    /// Go on without the release that has this manifest, although it is signed and higher than the
    /// published one; may be repeated
    #[arg(long = "abandon", value_name = "HASH")]
    pub abandoned: Vec<Digest>,
}

impl StateArgs {
    /// The state file, if one is given.
    ///
    /// # Errors
    /// If it is damaged or cannot be read.
    pub fn open(&self) -> Result<Option<StateFile>> {
        self.state.as_deref().map(StateFile::open).transpose()
    }
}

impl KnownArgs {
    /// The safeguards of a publisher.
    ///
    /// # Errors
    /// As [`StateArgs::open`].
    pub fn safeguards(&self, damage: Damage) -> Result<Safeguards> {
        Ok(Safeguards { state: self.state.open()?, abandoned: self.abandoned.clone(), damage })
    }
}
