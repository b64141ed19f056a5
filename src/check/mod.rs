//! SPEC section 5, steps 3 to 8: from the newest trusted root to a decision.
//!
//! A [`Check`] is a state machine without I/O. It names the object to read next, takes the answer,
//! and ends with a [`Verdict`]. Clients, first installs, publishers, test vectors and fuzzers all
//! use it:
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
//! If the chain of roots was requested within the last day, the check begins with `VERSION`. If
//! that `VERSION` is then refused, or leads to an update, the check requests the chain as well. If
//! there is a newer root, it then reads `VERSION` again.

mod cache;
mod decide;
mod exchange;
mod finding;
mod floors;
mod machine;
mod memory;
mod walk;

pub(crate) use cache::{Cache, retry_after};
pub use decide::{Candidate, Decision, Selected};
pub use exchange::{Answer, NewRoot, Purpose, Release, Verdict, Want, Wanted};
pub use finding::Finding;
pub use floors::Domain;
pub use machine::Check;
pub use memory::Memory;
