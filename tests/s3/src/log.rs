//! What was asked.

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use s3s::HttpRequest;

/// A request, and what became of it so far.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `PUT`, ...
    pub method: String,
    /// As it stood in the request, escapes included.
    pub path: String,
    /// As it stood in the request, without the question mark; empty where there is none.
    pub query: String,
    /// The bucket, of the path or of the host.
    pub bucket: String,
    /// The key without escapes; empty for a request on the bucket.
    pub key: String,
    /// Names in small letters, values as they were sent, in the order of the names.
    pub headers: Vec<(String, String)>,
    /// Whether it carried a signature; whether a valid one, `status` tells.
    pub signed: bool,
    /// Of the signature.
    pub access_key: Option<String>,
    /// The number of the connection, from 0: requests of the same number shared it.
    pub connection: u64,
    /// None where nothing was answered (yet).
    pub status: Option<u16>,
    /// Of the request's body, framing such as aws-chunked included.
    pub bytes_received: u64,
    /// Of the answer's body, as handed to the connection.
    pub bytes_sent: u64,
}

impl Request {
    /// The value of a header; its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// A request and the counters that run while it is answered.
pub(crate) struct Entry {
    /// Of all requests since the server was started, from 0.
    pub(crate) number: usize,
    request: Request,
    status: AtomicU16,
    pub(crate) received: Arc<AtomicU64>,
    pub(crate) sent: Arc<AtomicU64>,
}

impl Entry {
    /// As it was when it came.
    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    pub(crate) fn answered(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    pub(crate) fn snapshot(&self) -> Request {
        let status = self.status.load(Ordering::SeqCst);
        Request {
            status: (status != 0).then_some(status),
            bytes_received: self.received.load(Ordering::SeqCst),
            bytes_sent: self.sent.load(Ordering::SeqCst),
            ..self.request.clone()
        }
    }
}

/// All requests, in the order of arrival.
#[derive(Default)]
pub(crate) struct Log(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    entries: Vec<Arc<Entry>>,
    total: usize,
}

impl Log {
    pub(crate) fn add(&self, request: Request) -> Arc<Entry> {
        let mut log = self.lock();
        let entry = Arc::new(Entry {
            number: log.total,
            request,
            status: AtomicU16::new(0),
            received: Arc::default(),
            sent: Arc::default(),
        });
        log.total += 1;
        log.entries.push(Arc::clone(&entry));
        entry
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        let entries = self.lock().entries.clone();
        entries.iter().map(|entry| entry.snapshot()).collect()
    }

    pub(crate) fn clear(&self) {
        self.lock().entries.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads what the log says of a request on `key` in `bucket`.
pub(crate) fn describe(request: &HttpRequest, bucket: String, key: String, connection: u64) -> Request {
    let mut headers: Vec<(String, String)> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().into(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    headers.sort();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let authorization = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let access_key = credential(authorization, &query).and_then(|c| c.split('/').next().map(str::to_owned));
    Request {
        method: request.method().as_str().into(),
        path: request.uri().path().into(),
        signed: authorization.is_some() || query.contains("X-Amz-Signature="),
        query,
        bucket,
        key,
        headers,
        access_key,
        connection,
        status: None,
        bytes_received: 0,
        bytes_sent: 0,
    }
}

/// `ACCESSKEY/DATE/REGION/SERVICE/aws4_request`, of the header or of the query.
pub(crate) fn credential(authorization: Option<&str>, query: &str) -> Option<String> {
    match authorization {
        Some(header) => {
            let credential = header.split("Credential=").nth(1)?.split(',').next()?;
            Some(credential.trim().into())
        }
        None => query_value(query, "X-Amz-Credential"),
    }
}

/// A parameter's value without escapes.
pub(crate) fn query_value(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(n, _)| *n == name).map(|(_, value)| unescape(value))
}

/// Without percent escapes.
pub(crate) fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escaped = (byte == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
