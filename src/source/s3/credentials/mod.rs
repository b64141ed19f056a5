//! The credentials that requests are signed with.
//!
//! [`ProviderChain`] is relatch's own implementation of AWS's search order, in some 800 lines. The
//! crate `reqsign-aws-core` 3.2 was considered instead. It adds 20 crates, does not follow
//! `source_profile`, splits `credential_process` at every space, sends the container's token to any
//! host, reports an unreadable file as absent credentials (so that no error could list the places
//! that were searched), and does not wipe secrets from memory. AWS's own `aws-sigv4` signs,
//! `roxmltree` parses XML, and `serde_json` parses JSON.
//!
//! ```text
//! chain          the search order
//! profile        keys, a program, a web identity or a role, from AWS's shared files
//! services       the token service, the container and the machine, behind one type
//! container, instance, sts    those services
//! process        credential_process
//! environment    environment variables
//! files, json, fetch          parsing of the shared files and of JSON, and small HTTP responses
//! sdk            AWS's SDK instead of all of the above (feature `s3-sdk`)
//! ```

mod chain;
mod container;
mod defaults;
mod environment;
mod fetch;
mod files;
mod instance;
mod json;
mod process;
mod profile;
mod provider;
#[cfg(feature = "s3-sdk")]
mod sdk;
mod services;
mod sts;

pub(super) use chain::ProviderChain;
pub(super) use defaults::Defaults;
pub(super) use environment::var;
pub use provider::ProvideCredentials;
#[cfg(feature = "s3-sdk")]
pub(super) use sdk::Sdk;
pub(super) use services::Services;
pub(super) use sts::TokenService;

/// The number of parsers that accept `content` as credentials or as a profile. Almost every text is
/// a valid command line, so that parser does not count.
#[cfg(fuzzing)]
pub(super) fn fuzzing(content: &[u8]) -> usize {
    let text = str::from_utf8(content).unwrap_or_default();
    let json = json::parse(content, "a fuzzer").is_some();
    let xml = sts::credentials_in(text, "a fuzzer").is_some();
    for backslash in [process::Backslash::Escapes, process::Backslash::IsLiteral] {
        drop(process::words(text, backslash));
    }
    usize::from(json) + usize::from(xml) + files::SharedFiles::parsed(text, text).len()
}
