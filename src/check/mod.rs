//! SPEC section 5, steps 3 to 8: from the newest root that was trusted to a decision.
//!
//! A [`Check`] is a machine without IO. It says which object it wants, it is given what was found,
//! and it ends with a [`Verdict`]. Clients, first installs, publishers, vectors and fuzzers all drive
//! this one:
//! ```no_run
//! # use relatch::check::{Check, Verdict, Want};
//! # fn drive(mut check: Check<'_>, fetch: impl Fn(&relatch::check::Wanted) -> relatch::check::Answer,
//! #     persist: impl Fn(&relatch::check::NewRoot, &relatch::check::Memory), now: u64) -> relatch::Result<Verdict> {
//! while let Want::Object(wanted) = check.want() {
//!     if let Some(root) = check.supply(fetch(&wanted), now) {
//!         persist(&root, check.memory());
//!     }
//! }
//! check.into_verdict()
//! # }
//! ```
//!
//! ```text
//! begin ─▶ Root ◀─▶ RootSignatures     3   at most once a day, and before an update or a refusal
//!            │ end of the chain
//!            ▼
//!         Timestamp                    4, 5
//!            ▼
//!         Manifest ─▶ ManifestSignatures  6
//!            ▼
//!         decide                       7, 8
//! ```
//! The chain of roots is not asked for before `VERSION` where it was asked for within a day. If that
//! `VERSION` is then refused, or would lead to an update, the chain is asked for first after all, and
//! `VERSION` is read again where there was a newer root.

mod decide;
mod exchange;
mod finding;
mod machine;
mod memory;

pub use decide::{Candidate, Decision, Selected};
pub use exchange::{Answer, NewRoot, Purpose, Release, Verdict, Want, Wanted};
pub use finding::Finding;
pub use machine::Check;
pub use memory::Memory;
pub(crate) use memory::{CacheValidator, LastCheck, Trusted};
