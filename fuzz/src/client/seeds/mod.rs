//! Scripts to begin with: one for each way in, and what each act of it ends with.

mod documents;
mod records;

use super::script::Step;

/// A name, the script, and the beginning of what each of its acts ends with.
pub type Seed = (&'static str, Vec<u8>, &'static [&'static str]);

const FROM_1_1_0: u8 = 0;
const FROM_1_0_0: u8 = 1;
const FROM_NOTHING: u8 = 2;
/// 1.0.0, and root 2 not heard of.
const FROM_ROOT_1: u8 = 3;

/// What [`Step::Damage`] takes.
mod damage {
    /// Files, as `Damage` takes them.
    pub(super) const JOURNAL: u8 = 0;
    pub(super) const ROOT: u8 = 1;
    pub(super) const PREVIOUS: u8 = 3;
    pub(super) const FLOORS: u8 = 4;
    pub(super) const CACHE: u8 = 5;

    /// What `Damage` does to a file.
    pub(super) const DELETE: u8 = 0;
    pub(super) const TRUNCATE: u8 = 1;
    pub(super) const FLIP: u8 = 2;
    pub(super) const ZERO: u8 = 3;
    pub(super) const RESTORE: u8 = 4;
    pub(super) const EDIT: u8 = 5;
    pub(super) const LATER: u8 = 6;
}

fn script(start: u8, steps: &[(Step, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![start];
    for (step, values) in steps {
        bytes.push(*step as u8);
        bytes.extend_from_slice(values);
    }
    bytes
}

/// All of them.
pub fn all() -> Vec<Seed> {
    [documents::all(), records::all()].concat()
}
