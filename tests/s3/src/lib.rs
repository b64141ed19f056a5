//! An S3 server in the process, for tests only: [`Server::start`] serves until it is dropped.
//!
//! [s3s](https://docs.rs/s3s) checks the signatures and speaks S3's XML; the objects are kept in memory. What a store may do differently
//! from AWS is an [`Options`]: whether conditions hold, who may read, what an absent key is answered with. What may go wrong on the way is a
//! [`Fault`]. What was asked is in [`Server::requests`]. Where credentials come from is [`Identity`].
//!
//! ```
//! use test_s3::{Fault, Options, Server, When};
//!
//! let server = Server::start(Options::new().bucket("releases").anonymous_read(true));
//! server.put("VERSION", "1.0.0");
//! server.fault(When::key("VERSION").method("GET").times(2), Fault::SLOW_DOWN);
//! let publisher = server.hold(When::key("VERSION").method("PUT"));
//! // ... start what is tested, with server.endpoint() or server.environment() ...
//! assert!(!publisher.reached(1, std::time::Duration::ZERO), "nobody publishes yet");
//! publisher.release();
//! assert!(server.requests().iter().all(|request| request.status == Some(200)));
//! ```
//!
//! Known differences from AWS: no versions, no ACLs, no copies, no `ListObjects` of version 1; a part's checksums are checked, but those of a
//! multipart object are not given back; `If-Match` on a write also takes `*`.
#![allow(clippy::expect_used, clippy::panic, reason = "for tests only: a test fails by panicking")]

mod access;
mod answer;
mod backend;
mod body;
mod checksum;
mod conditions;
mod credentials;
mod directory;
mod faults;
mod front;
mod hold;
mod host;
mod identity;
mod list;
mod listening;
mod log;
mod multipart;
mod objects;
mod options;
mod region;
mod s3;
mod server;
mod store;
mod tls;
mod uploads;

pub use checksum::Checksums;
pub use conditions::Conditions;
pub use credentials::{Credentials, Rights};
pub use faults::{Fault, When};
pub use hold::Hold;
pub use identity::Identity;
pub use log::Request;
pub use objects::{Metadata, Objects};
pub use options::Options;
pub use region::WrongRegion;
pub use server::Server;
pub use tls::Authority;
