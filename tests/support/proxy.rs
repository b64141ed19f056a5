//! No proxy where none is meant, and what a proxy for `CONNECT` does.

use std::io::{Read as _, Result, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::sync::Once;
use std::thread;

pub const CONNECTED: &[u8] = b"HTTP/1.1 200 Connected\r\n\r\n";

/// Servers of tests are on loopback: a proxy in the environment would stand in the way. Where there is one, all tests run in a process
/// without it.
pub fn without_proxy() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let is_proxy = |name: &str| name.to_ascii_lowercase().ends_with("_proxy");
        let proxies: Vec<_> =
            std::env::vars_os().filter(|(name, _)| is_proxy(&name.to_string_lossy())).collect();
        if proxies.is_empty() {
            return;
        }
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args(std::env::args_os().skip(1));
        for (name, _) in proxies {
            again.env_remove(name);
        }
        std::process::exit(again.status().unwrap().code().unwrap_or(1));
    });
}

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
