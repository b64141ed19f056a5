//! Promise: an update costs the memory of its buffers, not that of the file: 200 MiB come and go in less than 32 MiB.
//!
//! Measured is the process that updates, `tool --update`, which does everything and then ends. Pages of the executable that were touched
//! count. The probed process is another.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::process::Stdio;

use relatch::trust::Digest;
use serde_json::{Value, json};
use support::tool::{config, measured, peak, stderr};
use support::{Repository, Tool, executable, test_tool};

const MIB: u64 = 1024 * 1024;
const SIZE: usize = 200 * MIB as usize;
const MOST: u64 = 32 * MIB;

/// 1.1.0 with 200 MiB of blocks in it, of each of which five parts in eight do not compress.
fn large(repository: &Repository) -> Vec<u8> {
    let mut bytes = test_tool().to_vec();
    let mut noise = blake3::Hasher::new().finalize_xof();
    let mut block = [0; 64 * 1024];
    while bytes.len() < SIZE {
        noise.fill(&mut block[..40 * 1024]);
        bytes.extend(block);
    }
    bytes.push(b'\n');
    bytes.extend(config(repository, "1.1.0").to_string().into_bytes());
    bytes
}

/// Compressed as a large release would be, with a window of 8 MiB.
fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(23).unwrap();
    std::io::copy(&mut &bytes[..], &mut encoder).unwrap();
    encoder.finish().unwrap()
}

fn measure(repository: &Repository, what: &str) {
    let peak = measured(|| {
        let tool = Tool::copied(&executable(repository, "1.0.0"));
        let mut command = tool.command();
        let mut child =
            command.arg("--update").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let peak = peak(&mut child);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(tool.version(), "1.1.0");
        peak
    });
    println!("{what}: {} KiB", peak / 1024);
    assert!(peak < MOST, "{what}: {} MiB", peak / MIB);
}

/// One test, so that nothing else writes executables meanwhile.
#[test]
fn two_hundred_mebibytes_in_less_than_thirty_two() {
    let mut repository = Repository::new();
    let bytes = large(&repository);
    let mut draft = repository.draft("1.1.0", &bytes);
    repository.publish(&draft);
    measure(&repository, "identity");

    let zstd = compressed(&bytes);
    let stored: Value = json!({"encoding": "zstd", "from": null, "size": zstd.len(), "blake3": Digest::of(&zstd).to_string()});
    draft.manifest["artifacts"][0]["stored"] = json!([stored]);
    draft.blobs = vec![zstd];
    repository.publish(&draft);
    measure(&repository, "zstd");
}
