//! Transport: answers that are no HTTP, or more HTTP than anybody needs.

use crate::attack::{Attack, Outcome};
use crate::stage::together;
use crate::support::server::Answer;
use crate::transport::{Part, changed, whole};

/// The file in one chunk, between these.
fn chunked(size: &'static str, end: &'static str) -> Answer {
    Answer::act(move |wire| {
        let size = size.replace("SIZE", &format!("{:x}", wire.file.len()));
        wire.send([CHUNKED.as_bytes(), size.as_bytes(), wire.file, end.as_bytes()].concat())
    })
}

/// A head, and this again and again.
fn endless(head: &'static str, more: &'static str) -> Answer {
    Answer::act(move |wire| {
        wire.send(head)?;
        let more = more.repeat(16 * 1024 / more.len());
        loop {
            wire.send(&more)?;
        }
    })
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

#[rustfmt::skip]
fn other_statuses() -> Vec<Attack> {
    let version = Part::Version;
    let mut rows = Vec::new();
    for status in [201, 202, 203, 205, 226, 300, 400, 402, 405, 407, 408, 412, 416, 418, 451, 502, 503, 504, 599, 999] {
        let answer = Answer::act(move |wire| {
            let head = format!("HTTP/1.1 {status} Test\r\nContent-Length: {}\r\n\r\n", wire.file.len());
            wire.send([head.as_bytes(), wire.file].concat())
        });
        rows.push(version.row(&format!("{status} with the right content"), answer, version.status(status)));
    }
    rows
}

#[rustfmt::skip]
fn statuses(part: Part) -> Vec<Attack> {
    let row = |name, answer, outcome| part.row(name, answer, outcome);
    vec![
        row("204", Answer::raw("HTTP/1.1 204 No Content\r\n\r\n"), part.status(204)),
        row("206 with all of it", whole("HTTP/1.1 206 Partial Content\r\nContent-Length: LENGTH\r\n"), part.status(206)),
        row("304 that nobody asked for", Answer::raw("HTTP/1.1 304 Not Modified\r\n\r\n"), part.status(304)),
        row("302 without Location", Answer::raw("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"), part.unreachable("a redirect without a Location")),
        row("401", Answer::raw("HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"), part.status(401)),
        row("429 for a thousand years", Answer::raw("HTTP/1.1 429 No\r\nRetry-After: 31557600000\r\nContent-Length: 0\r\n\r\n"), part.status(429)),
        row("101", Answer::raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx"), part.status(101)),
        row("100 before it", whole("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: LENGTH\r\n"), Outcome::Harmless),
        row("103 before it", whole("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: LENGTH\r\n"), Outcome::Harmless),
        row("status 000", Answer::raw("HTTP/1.1 000 No\r\n\r\n"), part.unreachable("status")),
        row("status -20", Answer::raw("HTTP/1.1 -20 No\r\n\r\n"), part.unreachable("status")),
        row("nothing at all", Answer::raw(""), part.unreachable("closed")),
        row("garbage that drives a terminal", Answer::raw("\x1b[2J\u{202e}\u{9b}31m\r\n\r\n"), part.unreachable("HTTP")),
        row("a status line that drives a terminal", whole("HTTP/1.1 200 \x1b[2J\u{9b}\r\nContent-Length: LENGTH\r\n"), part.unreachable("invalid response status")),
        row("HTTP/0.9", Answer::act(|wire| wire.send(wire.file)), part.unreachable("HTTP")),
        row("HTTP/1.0", whole("HTTP/1.0 200 OK\r\n"), Outcome::Harmless),
        row("HTTP/2 in letters", whole("HTTP/2 200 OK\r\n"), part.unreachable("HTTP")),
        row("HTTP/2 in frames", Answer::raw(b"\x00\x00\x12\x04\x00\x00\x00\x00\x00".repeat(100)), part.unreachable("HTTP")),
    ]
}

#[rustfmt::skip]
pub fn headers() -> Vec<Attack> {
    let part = Part::Version;
    let row = |name, answer, outcome| part.row(name, answer, outcome);
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: x\r\n".repeat(10_000));
    let huge = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    let etag = |etag: &str| Answer::Tagged(etag.into());
    vec![
        row("a header of 1 MiB", Answer::raw(huge), part.unreachable("header is too big")),
        row("a header without end", endless("HTTP/1.1 200 OK\r\nX: ", "x"), part.unreachable("header is too big")),
        row("a header's name without end", endless("HTTP/1.1 200 OK\r\n", "x"), part.unreachable("header is too big")),
        row("ten thousand headers", Answer::raw(many), part.unreachable("too many headers")),
        row("headers without end", endless("HTTP/1.1 200 OK\r\n", "X: x\r\n"), part.unreachable("too many headers")),
        row("a status line without end", endless("HTTP/1.1 200 ", "x"), part.unreachable("header is too big")),
        row("empty lines without end", endless("", "\r\n"), part.unreachable("header is too big")),
        row("a header that drives a terminal", whole("HTTP/1.1 200 OK\r\nX: \x1b[2J\x07\r\nContent-Length: LENGTH\r\n"), part.unreachable("invalid header value")),
        row("a header with a zero", whole("HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: LENGTH\r\n"), part.unreachable("invalid header value")),
        row("a header's name with a space", whole("HTTP/1.1 200 OK\r\nContent-Length : 5\r\nContent-Length: LENGTH\r\n"), part.unreachable("invalid header name")),
        row("a folded header", whole("HTTP/1.1 200 OK\r\nX: x\r\n y\r\nContent-Length: LENGTH\r\n"), part.unreachable("invalid header name")),
        row("lines that end in LF alone", whole("HTTP/1.1 200 OK\nContent-Length: LENGTH\n"), Outcome::Harmless),
        row("an ETag that is none", etag("W/\"a b\""), Outcome::Harmless),
        row("an ETag of 4 KiB", etag(&format!("\"{}\"", "x".repeat(4096))), Outcome::Harmless),
        row("an ETag of what is above ASCII", etag("\"\u{202e}\u{9b}\""), Outcome::Harmless),
        row("an ETag that drives a terminal", etag("\"\x1b[2J\""), part.unreachable("invalid header value")),
        row("an ETag with a header in it", etag("\"\r\nContent-Encoding: gzip\r\nX: \""), part.unreachable("content encoding")),
        row("a Location with 200", whole("HTTP/1.1 200 OK\r\nLocation: https://127.0.0.1:1/\r\nContent-Length: LENGTH\r\n"), Outcome::Harmless),
        row("cookies, refresh and an alternative service", whole("HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nRefresh: 0; url=https://127.0.0.1:1/\r\nAlt-Svc: h3=\":1\"\r\nContent-Length: LENGTH\r\n"), Outcome::Harmless),
        row("content encodings in a row", Answer::Encoded("identity, gzip"), part.unreachable("content encoding identity, gzip")),
        row("a content encoding that drives a terminal", Answer::Encoded("\u{202e}\u{9b}2J"), part.unreachable("content encoding")),
        row("zstd for a browser", Answer::Encoded("zstd"), part.unreachable("content encoding zstd")),
        // Nothing decodes it: the bytes count as they are.
        row("a second content encoding", whole("HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Encoding: gzip\r\nContent-Length: LENGTH\r\n"), Outcome::Harmless),
        row("a transfer encoding that is not known", whole("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: LENGTH\r\n"), Outcome::Harmless),
    ]
}

#[rustfmt::skip]
pub fn lengths(part: Part) -> Vec<Attack> {
    let row = |name, answer, outcome| part.row(name, answer, outcome);
    let is_blob = part == Part::Blob;
    let too_long = || {
        let pattern = if is_blob { "Long { .. }" } else { "Oversized { .. }" };
        part.refused(pattern, move |refusal| match refusal {
            relatch::Refusal::Long { .. } => is_blob,
            relatch::Refusal::Oversized { .. } => !is_blob,
            _ => false,
        })
    };
    vec![
        row("two lengths, the second wrong", whole("HTTP/1.1 200 OK\r\nContent-Length: LENGTH\r\nContent-Length: 5\r\n"), part.unreachable("conflicting content-length")),
        row("two lengths, the first wrong", whole("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: LENGTH\r\n"), part.unreachable("conflicting content-length")),
        row("a length of -1", whole("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n"), part.unreachable("content-length")),
        row("a length of 2^64 - 1", whole("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n"), part.unreachable("disconnected")),
        row("a length of 2^64", whole("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n"), part.unreachable("content-length")),
        row("a length of words", whole("HTTP/1.1 200 OK\r\nContent-Length: a few\r\n"), part.unreachable("content-length")),
        row("a length and chunks that are none", whole("HTTP/1.1 200 OK\r\nContent-Length: LENGTH\r\nTransfer-Encoding: chunked\r\n"), part.unreachable(if is_blob { "stalled" } else { "disconnected" })),
        row("zeros without end", Answer::Endless, too_long()),
        row("chunks", chunked("SIZE\r\n", "\r\n0\r\n\r\n"), Outcome::Harmless),
        row("chunks of one byte", changed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", |file| {
            let mut chunks: Vec<u8> = file.iter().take(3000).flat_map(|byte| [b'1', b'\r', b'\n', *byte, b'\r', b'\n']).collect();
            if let rest @ [_, ..] = file.get(3000..).unwrap_or_default() {
                chunks.extend(format!("{:x}\r\n", rest.len()).bytes());
                chunks.extend([rest, b"\r\n"].concat());
            }
            [&chunks[..], b"0\r\n\r\n"].concat()
        }), Outcome::Harmless),
        row("chunks with trailers", chunked("SIZE\r\n", "\r\n0\r\nContent-Length: 5\r\nX: \x1b[2J\r\n\r\n"), Outcome::Harmless),
        row("chunks with an extension", chunked("SIZE;a=b\r\n", "\r\n0\r\n\r\n"), Outcome::Harmless),
        row("chunks without the last one", chunked("SIZE\r\n", "\r\n"), part.unreachable("disconnected")),
        row("a chunk of no number", chunked("zz\r\n", ""), part.unreachable("chunk length")),
        row("a chunk of -1", chunked("-1\r\n", ""), part.unreachable("chunk length")),
        row("a chunk of 2^64 - 1", chunked("ffffffffffffffff\r\n", ""), part.unreachable("disconnected")),
        row("a chunk of 2^64", chunked("10000000000000000\r\n", ""), part.unreachable("chunk length")),
        row("a chunk that is longer than told", chunked("5\r\n", "\r\n0\r\n\r\n"), part.unreachable(if is_blob { "stalled" } else { "crlf" })),
        row("a chunk's extension without end", endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=", "x"), part.unreachable("stalled")),
        row("chunks without end", endless("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "10\r\n0123456789abcdef\r\n"), too_long()),
    ]
}

/// The answer to what is asked next on this connection, before it is asked.
fn too_early() -> Vec<Attack> {
    let too_early = |part: Part| {
        part.row(
            "an answer too early",
            changed("HTTP/1.1 200 OK\r\nContent-Length: LENGTH\r\nConnection: keep-alive\r\n", |file| {
                [file, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"].concat()
            }),
            Outcome::Harmless,
        )
    };
    [Part::Version, Part::Manifest, Part::ManifestSignatures].map(too_early).into()
}

#[test]
fn what_is_hardly_http() {
    type Rows = Box<dyn FnOnce() -> Vec<Attack> + Send>;
    let rows: [Rows; 7] = [
        Box::new(other_statuses),
        Box::new(|| statuses(Part::Version)),
        Box::new(|| statuses(Part::Blob)),
        Box::new(headers),
        Box::new(|| lengths(Part::Version)),
        Box::new(|| lengths(Part::Blob)),
        Box::new(too_early),
    ];
    together(rows);
}
