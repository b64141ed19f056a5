//! Promise: what docs/ci tells people to copy works as it stands: the scripts run, the policies let a
//! publisher do its work and nothing else, the pipelines call what exists, no build job can replace
//! a file that runs where the secrets are, and moving over breaks no old client.
#![cfg(unix)] // the recipes are shell scripts
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod artifacts;
#[cfg(feature = "s3")]
mod bucket;
mod check;
mod files;
mod jobs;
mod moving;
mod pipeline;
mod policy;
mod recipe;
mod rotation;
#[path = "../support/mod.rs"]
mod support;
