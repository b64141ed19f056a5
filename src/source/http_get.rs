//! A GET of an object: its header fields, and what the response means.

use ureq::Body;
use ureq::http::{Response, header};

use super::Opened;
use super::etag::Etag;
use super::http::{Content, ReadClient};
use super::unavailable::Unavailable;
use crate::object::Object;

/// The header fields of a GET of an object, as name and value.
pub(super) fn headers_for<'a>(
    object: &Object,
    known: Option<&'a Etag>,
) -> impl Iterator<Item = (header::HeaderName, &'a str)> {
    // A cache may answer for an immutable object. The current VERSION and a new root must come from
    // the repository.
    let is_mutable = matches!(object, Object::Version(_) | Object::Root(_));
    let no_cache = is_mutable.then_some((header::CACHE_CONTROL, "no-cache"));
    let if_none_match = known.map(|etag| (header::IF_NONE_MATCH, etag.as_str()));
    [(header::ACCEPT_ENCODING, "identity")].into_iter().chain(no_cache).chain(if_none_match)
}

/// The result of a GET of an object. `known` is the entity tag of the request; without one, a 304
/// is an error. `client` is the one that received the response.
pub(super) fn opened(
    response: Response<Body>,
    client: ReadClient,
    location: String,
    object: &Object,
    known: Option<&Etag>,
) -> Result<Opened, Unavailable> {
    match response.status().as_u16() {
        200 => {
            let text =
                |name| response.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
            if let Some(coding) = text(header::CONTENT_ENCODING).filter(|coding| coding != "identity") {
                let why = format!("the server used the unrequested content encoding {coding}");
                return Err(Unavailable::permanent(location, object, why));
            }
            let etag = text(header::ETAG).and_then(|text| Etag::new(&text));
            Ok(Opened::Object { reader: Box::new(Content::new(response, client)), etag })
        }
        304 if known.is_some() => Ok(Opened::NotModified),
        404 | 410 => Err(Unavailable::Absent { location, object: object.clone() }),
        403 => Err(Unavailable::Forbidden { location, object: object.clone(), code: None }),
        status => Err(Unavailable::Status { location, object: object.clone(), status, code: None }),
    }
}
