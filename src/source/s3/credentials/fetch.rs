//! Small responses of the services that hand out credentials.

use std::io::Read;
use std::time::Duration;

use ureq::AsSendBody;
use ureq::http::Request;
use zeroize::Zeroizing;

use crate::limits;
use crate::source::http::ReadClient;

/// Sends a request and reads its response, of at most [`limits::CREDENTIALS`] bytes, within
/// `limit`. Returns its status and content.
pub(super) fn fetch(
    client: &ReadClient,
    request: Result<Request<impl AsSendBody>, ureq::http::Error>,
    connect: Duration,
    limit: Duration,
) -> Result<(u16, Zeroizing<Vec<u8>>), String> {
    let request = request.map_err(|_| "the configured values cannot be sent in an HTTP request")?;
    let response = client.send_within(request, connect, limit).map_err(|error| error.why)?;
    let status = response.status().as_u16();
    let mut content = Zeroizing::new(Vec::new());
    let most = limits::CREDENTIALS.0;
    let read = response.into_body().into_reader().take(most + 1).read_to_end(&mut content);
    read.map_err(|error| error.to_string())?;
    if content.len() as u64 > most {
        return Err(format!("the response is longer than the limit of {most} bytes"));
    }
    Ok((status, content))
}
