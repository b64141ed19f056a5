//! A KMS of one key on loopback: HTTP/1.1 and JSON 1.1 as AWS documents them, every request's signature (SigV4) checked, and faults on
//! demand. What it refuses and in which words is what AWS KMS does with Ed25519 keys.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64ct::{Base64, Encoding};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub const ACCESS_KEY: &str = "AKIAEXAMPLEOFNOBODY1";
pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub const SESSION: &str = "FwoGZXIvYXdzEXAMPLESESSIONTOKEN==";
pub const REGION: &str = "eu-central-1";
pub const KEY_ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";
pub const KEY_ARN: &str = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
pub const ALIAS: &str = "alias/release";
pub const ALIAS_ARN: &str = "arn:aws:kms:eu-central-1:111122223333:alias/release";

/// What goes wrong, and when.
#[derive(Clone)]
pub enum Fault {
    None,
    /// This error instead of an answer to this action.
    Error(&'static str, u16, &'static str, &'static str),
    /// The same, for the first so many times.
    Throttled(Arc<Mutex<u32>>),
    /// This field of the answer to this action is another.
    Field(&'static str, &'static str, Value),
    /// The signature of another message.
    OtherMessage,
    /// Messages of such lengths are signed by another key: an alias that moved.
    OtherKey(fn(usize) -> bool),
    /// These bytes instead of an answer to this action.
    Raw(&'static str, &'static [u8]),
    /// No answer to this action.
    Silence(&'static str),
    /// An answer to this action that does not end.
    Endless(&'static str),
}

/// A request that was signed well: its action and its JSON.
pub type Seen = (String, Value);

pub struct Kms {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    stopped: Arc<AtomicBool>,
}

struct Service {
    fault: Fault,
    key: SigningKey,
    seen: Arc<Mutex<Vec<Seen>>>,
    stopped: Arc<AtomicBool>,
}

impl Kms {
    pub fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, stopped) = (Arc::default(), Arc::default());
        let key = SigningKey::from_bytes(&[7; 32]);
        let service =
            Arc::new(Service { fault, key, seen: Arc::clone(&seen), stopped: Arc::clone(&stopped) });
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if service.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (service, stream) = (Arc::clone(&service), stream.unwrap());
                std::thread::spawn(move || drop(service.serve(stream)));
            }
        });
        Kms { address, seen, stopped }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, and forgets them.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

impl Drop for Kms {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

struct Request {
    head: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }
}

/// `None` at the end of the connection.
fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.by_ref().take(16 * 1024).read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let headers: Vec<_> = lines[1..]
        .iter()
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut request = Request { head: lines[0].clone(), headers, body: Vec::new() };
    let length: u64 = request.header("content-length").parse().unwrap();
    reader.take(length).read_to_end(&mut request.body)?;
    Ok(Some(request))
}

impl Service {
    fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut out = stream.try_clone()?;
        let mut reader = BufReader::new(stream);
        while let Some(request) = read(&mut reader)? {
            assert_eq!(request.head, "POST / HTTP/1.1");
            let action = request.header("x-amz-target").strip_prefix("TrentService.").unwrap_or_default();
            match &self.fault {
                Fault::Raw(at, bytes) if *at == action => return out.write_all(bytes),
                // Until the other side hangs up.
                Fault::Silence(at) if *at == action => {
                    return reader.read(&mut [0]).map(|_| ());
                }
                Fault::Endless(at) if *at == action => {
                    out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
                    while !self.stopped.load(Ordering::SeqCst) {
                        out.write_all(chunk.as_bytes())?;
                    }
                    return Ok(());
                }
                _ => {}
            }
            let (status, answer) = match self.answer(action, &request) {
                Ok(answer) => (200, answer),
                Err((status, code, message)) => (status, json!({ "__type": code, "message": message })),
            };
            let answer = answer.to_string();
            write!(
                out,
                "HTTP/1.1 {status} X\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\r\n{answer}",
                answer.len()
            )?;
        }
        Ok(())
    }

    fn answer(&self, action: &str, request: &Request) -> Result<Value, (u16, String, String)> {
        let refuse = |code: &str, message: &str| Err((400, code.to_owned(), message.to_owned()));
        check_signature(request).map_err(|(code, message)| (400, code.to_owned(), message.to_owned()))?;
        assert_eq!(request.header("content-type"), "application/x-amz-json-1.1");
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        self.seen.lock().unwrap().push((action.to_owned(), body.clone()));
        match &self.fault {
            Fault::Error(at, status, code, message) if *at == action => {
                return Err((*status, (*code).into(), (*message).into()));
            }
            Fault::Throttled(left) if *left.lock().unwrap() > 0 => {
                *left.lock().unwrap() -= 1;
                return refuse("ThrottlingException", "Rate exceeded");
            }
            _ => {}
        }
        let name = body["KeyId"].as_str().unwrap();
        if ![KEY_ID, KEY_ARN, ALIAS, ALIAS_ARN].contains(&name) {
            return refuse("NotFoundException", &format!("{name} is not found."));
        }
        let mut answer = match action {
            "GetPublicKey" => json!({
                "CustomerMasterKeySpec": "ECC_NIST_EDWARDS25519",
                "KeyId": KEY_ARN,
                "KeySpec": "ECC_NIST_EDWARDS25519",
                "KeyUsage": "SIGN_VERIFY",
                "PublicKey": Base64::encode_string(&spki(self.key.verifying_key().as_bytes())),
                "SigningAlgorithms": ["ED25519_PH_SHA_512", "ED25519_SHA_512"],
            }),
            "Sign" => {
                let message = Base64::decode_vec(body["Message"].as_str().unwrap()).unwrap();
                if message.is_empty() || message.len() > 4096 {
                    return refuse("ValidationException", "Value at 'message' failed to satisfy constraint");
                }
                match (body["SigningAlgorithm"].as_str(), body["MessageType"].as_str().unwrap_or("RAW")) {
                    (Some("ED25519_SHA_512"), "RAW") => {}
                    (Some("ED25519_SHA_512"), other) => {
                        return refuse(
                            "ValidationException",
                            &format!("Message type {other} is incompatible"),
                        );
                    }
                    _ => {
                        return refuse("InvalidKeyUsageException", "Algorithm is incompatible with key spec");
                    }
                }
                let signature = match &self.fault {
                    Fault::OtherMessage => self.key.sign(b"another message"),
                    Fault::OtherKey(is_moved) if is_moved(message.len()) => {
                        SigningKey::from_bytes(&[8; 32]).sign(&message)
                    }
                    _ => self.key.sign(&message),
                };
                json!({
                    "KeyId": KEY_ARN,
                    "Signature": Base64::encode_string(&signature.to_bytes()),
                    "SigningAlgorithm": "ED25519_SHA_512",
                })
            }
            other => return refuse("UnknownOperationException", other),
        };
        match &self.fault {
            Fault::Field(at, field, value) if *at == action => answer[*field] = value.clone(),
            _ => {}
        }
        Ok(answer)
    }
}

/// DER of an Ed25519 public key (RFC 8410).
pub fn spki(key: &[u8; 32]) -> Vec<u8> {
    [&[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00], &key[..]].concat()
}

/// AWS Signature Version 4, computed anew.
fn check_signature(request: &Request) -> Result<(), (&'static str, &'static str)> {
    let incomplete = ("IncompleteSignature", "Authorization header requires its parts");
    let authorization =
        request.header("authorization").strip_prefix("AWS4-HMAC-SHA256 ").ok_or(incomplete)?;
    let part = |name: &str| {
        let parts = authorization.split(", ").filter_map(|part| part.split_once('='));
        parts.clone().find(|(found, _)| *found == name).map(|(_, value)| value).ok_or(incomplete)
    };
    let (credential, signed, signature) = (part("Credential")?, part("SignedHeaders")?, part("Signature")?);
    let (access_key, scope) = credential.split_once('/').ok_or(incomplete)?;
    let time = request.header("x-amz-date");
    assert_eq!(scope, format!("{}/{REGION}/kms/aws4_request", &time[..8]));
    for needed in ["host", "x-amz-date", "x-amz-target"] {
        assert!(signed.split(';').any(|name| name == needed), "{needed} is not signed: {signed}");
    }
    let session = request.header("x-amz-security-token");
    if access_key != ACCESS_KEY || !(session.is_empty() || session == SESSION) {
        return Err((
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ));
    }
    let headers: String =
        signed.split(';').map(|name| format!("{name}:{}\n", request.header(name))).collect();
    let canonical = format!("POST\n/\n\n{headers}\n{signed}\n{}", hex(&Sha256::digest(&request.body)));
    let to_sign =
        format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let key = scope
        .split('/')
        .fold(format!("AWS4{SECRET}").into_bytes(), |key, part| hmac(&key, part.as_bytes()).to_vec());
    if hex(&hmac(&key, to_sign.as_bytes())) == signature {
        Ok(())
    } else {
        Err(("InvalidSignatureException", "The request signature we calculated does not match."))
    }
}

/// HMAC-SHA256 (RFC 2104) with a key of at most a block.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
