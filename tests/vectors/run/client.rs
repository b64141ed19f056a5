//! A client that keeps all in memory, and drives steps 3 to 8 as the library's updater does.

use std::cell::Cell;
use std::collections::HashMap;

use relatch::check::{Answer, Check, Memory, Purpose, Verdict, Want};
use relatch::install::RecordedFiles;
use relatch::trust::{Fetched, Identity, Roots, TrustAnchor};
use relatch::{Error, Refusal, Unavailable};

/// A repository and what a program carries.
pub struct Client<'a> {
    pub objects: &'a HashMap<String, Vec<u8>>,
    /// Whether an absent object cannot be told from one that cannot be read.
    pub is_offline: bool,
    pub anchor: &'a Roots,
    pub identity: Identity,
    pub now: u64,
    /// The number of the root that was persisted last.
    pub trusted_root: Cell<Option<u64>>,
    pub requests: Cell<usize>,
}

impl<'a> Client<'a> {
    pub fn new(
        objects: &'a HashMap<String, Vec<u8>>,
        anchor: &'a Roots,
        identity: Identity,
        now: u64,
    ) -> Self {
        let (trusted_root, requests) = (Cell::new(None), Cell::new(0));
        Client { objects, is_offline: false, anchor, identity, now, trusted_root, requests }
    }

    /// Steps 3 to 8 in the trust domain that section 4.3 says.
    pub fn check(
        &self,
        files: &mut RecordedFiles,
        recorded: Option<&Roots>,
        purpose: &dyn Fn(&RecordedFiles) -> Purpose,
    ) -> Result<Verdict, Error> {
        let mut undetermined = None;
        let memories = files.memories(&self.identity, self.anchor, recorded);
        let last = memories.len() - 1;
        for (at, memory) in memories.into_iter().enumerate() {
            if at == last && undetermined.is_some() {
                break;
            }
            let (verdict, is_joined) = self.check_in(memory, files, recorded, purpose(files));
            match verdict {
                Err(Error::Refused(Refusal::RootForked { .. })) if !is_joined => {}
                Err(error @ Error::Refused(_)) if !is_joined => {
                    undetermined = undetermined.or(Some(error));
                }
                verdict => return verdict,
            }
        }
        Err(undetermined.unwrap())
    }

    fn check_in(
        &self,
        memory: Memory,
        files: &mut RecordedFiles,
        recorded: Option<&Roots>,
        purpose: Purpose,
    ) -> (Result<Verdict, Error>, bool) {
        let identity = self.identity.clone();
        let mut check = Check::new(self.anchor, recorded, identity, "here", memory, purpose, self.now);
        while let Want::Object(wanted) = check.want() {
            self.requests.set(self.requests.get() + 1);
            let (location, object) = (String::from("here"), wanted.object);
            let answer = match self.objects.get(&object.to_string()) {
                Some(content) => Answer::Found(Fetched::new(content.clone()), None),
                None if self.is_offline => {
                    let why = "offline".into();
                    Unavailable::Unreachable { location, object, why, retryable: false }.into()
                }
                None => Unavailable::Absent { location, object }.into(),
            };
            if let Some(root) = check.supply(answer, self.now) {
                if let Err(error) = files.save_root(&root, check.memory()) {
                    return (Err(error), true);
                }
                self.trusted_root.set(Some(check.roots().version));
            }
        }
        let is_joined = check.is_joined();
        (check.into_verdict(), is_joined)
    }
}

/// The content of a file `root`, unless it is damaged.
pub fn recorded_root(anchor: &[u8], content: &[u8]) -> Option<Roots> {
    let end = content.iter().position(|byte| *byte == b'\n').unwrap_or(content.len());
    let (document, signatures) = content.split_at(end);
    let signatures = signatures.get(1..).unwrap_or_default();
    let anchor = TrustAnchor::new(anchor).unwrap();
    anchor.recorded(&Fetched::new(document.to_vec()), &Fetched::new(signatures.to_vec())).ok()
}
