//! What a proxy for `CONNECT` does.

use std::io::{Read as _, Result, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread;

pub const CONNECTED: &[u8] = b"HTTP/1.1 200 Connected\r\n\r\n";

/// The head of the next request.
pub fn next_head(client: &mut TcpStream) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Connects both, until they end.
pub fn tunnel(mut client: TcpStream, address: &str) -> Result<()> {
    let mut server = TcpStream::connect(address)?;
    client.write_all(CONNECTED)?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        drop(std::io::copy(&mut from, &mut to));
        to.shutdown(Shutdown::Write)
    });
    std::io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Write)
}
