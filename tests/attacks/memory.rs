//! Transport: what does not end, or is larger than it says, costs the client no memory.
//!
//! Measured is `tool --update`, a process of its own that does everything and then ends; and of all that a server can do to HTTP and TLS, a
//! start.
#![cfg(target_os = "linux")]

use std::process::Stdio;

use relatch::trust::Digest;
use serde_json::json;

use crate::attack::Outcome;
use crate::stage::Stage;
use crate::support::server::Answer;
use crate::support::tool::{measured, peak, stderr};
use crate::transport::Part;
use crate::{framing, slow, tls};

const MIB: u64 = 1024 * 1024;
/// A process that checks and finds nothing has some 6 MiB.
const MOST: u64 = 32 * MIB;
const OF_A_START: u64 = 16 * MIB;
/// What a frame may ask for, and does: limits::ZSTD_WINDOW_LOG. Only release keys can let it.
const WINDOW: u64 = 128 * MIB;

/// 200 MiB of spaces in some 20 KiB, with the largest window that is allowed.
fn bomb() -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(b' '), 200 * MIB), &mut encoder).unwrap();
    encoder.finish().unwrap()
}

/// Publishes an executable of the size of `claimed`, whose one stored form is `blob`.
fn publish(stage: &mut Stage, claimed: usize, blob: Vec<u8>) {
    let mut draft = stage.draft();
    let artifact = &mut draft.manifest["artifacts"][0];
    artifact["size"] = claimed.into();
    artifact["stored"] = json!([{"encoding": "zstd", "from": null, "size": blob.len(), "blake3": Digest::of(&blob).to_string()}]);
    draft.blobs = vec![blob];
    stage.repository.publish(&draft);
}

fn endless(head: &'static str, more: Vec<u8>) -> Answer {
    Answer::act(move |wire| {
        wire.send(head)?;
        loop {
            wire.send(&more)?;
        }
    })
}

type Act = Box<dyn Fn(&mut Stage)>;

/// Exit code, and the most that it may cost.
fn rows() -> Vec<(&'static str, i32, u64, Act)> {
    let mut rows: Vec<(&str, i32, u64, Act)> = Vec::new();
    let zeros = || endless("HTTP/1.1 200 OK\r\n\r\n", vec![0; 16 * 1024]);
    let body = |part: Part| -> Act { Box::new(move |stage| part.answer(stage, zeros())) };
    rows.push(("VERSION without end", 3, MOST, body(Part::Version)));
    rows.push(("a root without end", 3, MOST, body(Part::Root)));
    rows.push(("a manifest without end", 3, MOST, body(Part::Manifest)));
    rows.push(("signatures without end", 3, MOST, body(Part::ManifestSignatures)));
    rows.push(("a blob without end", 3, MOST, body(Part::Blob)));
    rows.push((
        "a header without end",
        4,
        MOST,
        Box::new(|stage| {
            Part::Blob.answer(stage, endless("HTTP/1.1 200 OK\r\nX: ", vec![b'x'; 16 * 1024]));
        }),
    ));
    rows.push((
        "headers without end",
        4,
        MOST,
        Box::new(|stage| {
            Part::Version.answer(stage, endless("HTTP/1.1 200 OK\r\n", b"X: x\r\n".repeat(2000)));
        }),
    ));
    rows.push((
        "trailers without end",
        4,
        MOST,
        Box::new(|stage| {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
            Part::Blob.answer(stage, endless(head, b"X: x\r\n".repeat(2000)));
        }),
    ));
    rows.push((
        "a chunk's extension without end",
        4,
        MOST,
        Box::new(|stage| {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;";
            Part::Blob.answer(stage, endless(head, vec![b'x'; 16 * 1024]));
        }),
    ));
    rows.push((
        "a manifest of 64 KiB",
        0,
        MOST,
        Box::new(|stage| {
            let mut draft = stage.draft();
            let rest = 64 * 1024 - draft.manifest.to_string().len();
            draft.manifest["notes"] = "n".repeat(rest).into();
            draft.version["rollout"] = 0.into(); // it is read, and not taken
            stage.repository.publish(&draft);
        }),
    ));
    rows.push((
        "a decompression bomb for an executable of a few bytes",
        3,
        MOST,
        Box::new(|stage| publish(stage, 1000, bomb())),
    ));
    rows.push((
        "a decompression bomb of the size that is signed",
        3,
        MOST + WINDOW,
        Box::new(|stage| {
            publish(stage, 200 * MIB as usize, bomb());
        }),
    ));
    rows
}

#[test]
fn what_does_not_end_costs_no_memory() {
    let mut stage = Stage::new();
    for (name, exit_code, most, act) in rows() {
        let peak = measured(|| {
            act(&mut stage);
            let mut command = stage.tool.command();
            command.arg("--update").stdout(Stdio::null()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let peak = peak(&mut child);
            let output = child.wait_with_output().unwrap();
            println!("{name}: {} KiB: {}", peak / 1024, stderr(&output).lines().next().unwrap_or_default());
            assert_eq!(output.status.code(), Some(exit_code), "{name}: {}", stderr(&output));
            peak
        });
        assert!(peak < most, "{name}: {} MiB", peak / MIB);
        stage.server.behave();
    }
    stage.heals("after all of it");
}

/// Whatever comes instead of TLS and HTTP.
#[test]
fn whatever_a_server_does_costs_a_start_no_memory() {
    let mut stage = Stage::new();
    let rows = tls::handshakes().into_iter().chain(framing::headers()).chain(framing::lengths(Part::Version));
    let rows = rows.chain(slow::rows().into_iter().map(|row| row()).filter(|row| row.step != "9"));
    for attack in rows.filter(|row| !matches!(row.outcome, Outcome::Harmless)) {
        let name = &attack.name;
        let knobs = stage.repository.knobs();
        (attack.act)(&mut stage);
        let peak = measured(|| {
            let before = stage.server.accepted();
            let mut command = stage.tool.command();
            command.arg("x").env("TEST_DEADLINE_MS", "1500").stdout(Stdio::null()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let peak = peak(&mut child);
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{name}: {}", stderr(&output));
            // On a busy machine it may have been given up before it came as far as the server.
            if stage.server.accepted() > before { peak } else { 0 }
        });
        println!("{name}: {} KiB", peak / 1024);
        assert!(peak < OF_A_START, "{name}: {} MiB", peak / MIB);
        stage.ends(Some(knobs));
    }
    stage.heals("after all of it");
}
