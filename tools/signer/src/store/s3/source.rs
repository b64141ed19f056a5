//! Stub until the library's S3 source is merged.
use relatch::Unavailable;
use relatch::source::{Etag, Object, Opened, S3Address, Source};
use std::io::Read;

pub(super) struct Sdk {
    pub(super) address: S3Address,
    pub(super) client: aws_sdk_s3::Client,
    pub(super) runtime: tokio::runtime::Handle,
}

struct Body(aws_sdk_s3::primitives::ByteStream, Vec<u8>, tokio::runtime::Handle);
impl Read for Body {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.1.is_empty() {
            match self.2.block_on(self.0.next()) {
                None => return Ok(0),
                Some(Err(e)) => return Err(std::io::Error::other(e.to_string())),
                Some(Ok(b)) => self.1 = b.to_vec(),
            }
        }
        let n = buf.len().min(self.1.len());
        for (to, from) in buf.iter_mut().zip(self.1.drain(..n)) {
            *to = from
        }
        Ok(n)
    }
}

impl Source for Sdk {
    fn open(&self, object: &Object, _: Option<&Etag>) -> Result<Opened, Unavailable> {
        let request =
            self.client.get_object().bucket(self.address.bucket()).key(self.address.key_of(object)).send();
        match self.runtime.block_on(request) {
            Ok(answer) => Ok(Opened::object(Body(answer.body, Vec::new(), self.runtime.clone()))),
            Err(error) => {
                let failed = super::failed::Asked { action: "s3:GetObject", key: "" }.failed(&error);
                let (location, object) = (self.location(), object.clone());
                Err(match failed.kind {
                    super::failed::Kind::Absent => Unavailable::Absent { location, object },
                    super::failed::Kind::Denied => Unavailable::Forbidden { location, object },
                    _ => Unavailable::Unreachable {
                        location,
                        object,
                        why: failed.into_failure(&self.address).to_string(),
                        retryable: true,
                    },
                })
            }
        }
    }
    fn location(&self) -> String {
        self.address.to_string()
    }
}
