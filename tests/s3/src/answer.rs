//! Answers that do not come from s3s.

use hyper::header::HeaderValue;
use hyper::{Response, StatusCode};
use s3s::Body;

/// S3's XML for an error, with further elements.
pub(crate) fn error(status: StatusCode, code: &str, message: &str, elements: &str) -> Response<Body> {
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{}</Code><Message>{}</Message>{elements}</Error>",
        text(code),
        text(message)
    );
    xml_document(status, xml)
}

/// A document of XML.
pub(crate) fn xml_document(status: StatusCode, xml: String) -> Response<Body> {
    document(status, "application/xml", xml)
}

/// A document of JSON.
pub(crate) fn json_document(value: &serde_json::Value) -> Response<Body> {
    document(StatusCode::OK, "application/json", value.to_string())
}

/// A line of text.
pub(crate) fn plain(status: StatusCode, line: &str) -> Response<Body> {
    document(status, "text/plain", line.into())
}

fn document(status: StatusCode, kind: &'static str, content: String) -> Response<Body> {
    let mut response = Response::new(Body::from(content));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    response
}

/// As it stands in XML.
pub(crate) fn text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
