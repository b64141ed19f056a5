//! Where AWS's credentials come from, on loopback: STS, the container endpoint of ECS and EKS, the instance metadata service.
//!
//! Each credential that is handed out is new, temporary, and accepted by the S3 server that the service was started for.

mod instance;
mod issuer;
mod sts;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::{Response, StatusCode};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpRequest, S3};

use crate::access::{Access, Auth};
use crate::answer;
use crate::body::drain;
use crate::credentials::{Credentials, Rights};
use crate::faults::{Fault, When};
use crate::front::{Backend, Front};
use crate::hold::Hold;
use crate::listening::Listening;
use crate::log::Request;
use crate::server::Server;
use issuer::Issuer;

/// The services; gone when dropped.
///
/// A [`When::key`] here is a path without its first slash: empty for STS, `container/credentials`, `latest/api/token`,
/// `latest/meta-data/iam/security-credentials/`.
pub struct Identity {
    shared: Arc<Issuer>,
    front: Arc<Front<Services>>,
    listening: Listening,
}

impl Identity {
    /// Serves from now on, over plain HTTP, for `server`.
    ///
    /// # Panics
    /// Where it cannot listen.
    pub fn start(server: &Server) -> Self {
        let shared = Arc::new(Issuer::new(Arc::clone(&server.keyring), server.region()));
        let front = Arc::new(Front::new(Services::new(&shared)));
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let listening = Listening::start(address, None, Arc::clone(&front))
            .unwrap_or_else(|error| panic!("the identity services do not start: {error}"));
        Identity { shared, front, listening }
    }

    /// Lets the bearer of this token take this role, by `AssumeRoleWithWebIdentity`.
    pub fn allow_web_identity(&self, token: &str, role_arn: &str) {
        self.shared.policy().web_identities.push((token.into(), role_arn.into()));
    }

    /// Lets the holder of this access key, which the S3 server must know, take this role, by `AssumeRole`.
    pub fn allow_assume_role(&self, access_key: &str, role_arn: &str) {
        self.shared.policy().assumers.push((access_key.into(), role_arn.into()));
    }

    /// Hands out credentials to a container that sends this as `Authorization`.
    pub fn allow_container(&self, authorization: &str) {
        self.shared.policy().container = Some(authorization.into());
    }

    /// Gives the instance this role.
    pub fn allow_instance(&self, role: &str) {
        self.shared.policy().instance_role = Some(role.into());
    }

    /// Credentials that are handed out from now on last so long; without it as long as the client asks, or an hour.
    pub fn lifetime(&self, lifetime: Duration) {
        self.shared.policy().lifetime = Some(lifetime);
    }

    /// Credentials that are handed out from now on are good for this; without it for everything.
    pub fn rights(&self, rights: Rights) {
        self.shared.policy().rights = rights;
    }

    /// What was handed out, in order.
    pub fn issued(&self) -> Vec<Credentials> {
        self.shared.issued()
    }

    /// For `AWS_ENDPOINT_URL_STS`, and for `AWS_EC2_METADATA_SERVICE_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.listening.address)
    }

    /// For `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    pub fn container_uri(&self) -> String {
        format!("{}/{}", self.endpoint(), instance::CONTAINER)
    }

    /// The fault befalls the requests that are meant, from now on.
    pub fn fault(&self, when: When, fault: Fault) {
        self.front.fault(when, fault);
    }

    /// Holds the requests that are meant, from now on, until the test lets them go.
    pub fn hold(&self, when: When) -> Hold {
        self.front.faults.hold(when)
    }

    /// All requests, in the order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.front.log.requests()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.front.log.clear();
    }
}

/// STS behind s3s, which checks the signatures; the rest without.
struct Services {
    shared: Arc<Issuer>,
    sts: S3Service,
}

/// STS has no buckets.
struct NoBuckets;

impl S3 for NoBuckets {}

impl Services {
    fn new(shared: &Arc<Issuer>) -> Self {
        let keyring = Arc::clone(&shared.keyring);
        let mut builder = S3ServiceBuilder::new(NoBuckets);
        builder.set_auth(Auth(Arc::clone(&keyring)));
        builder.set_access(Access {
            keyring,
            anonymous_read: false,
            anonymous_list: false,
            listing_forbidden: false,
        });
        builder.set_route(sts::Sts(Arc::clone(shared)));
        Services { shared: Arc::clone(shared), sts: builder.build() }
    }
}

impl Backend for Services {
    fn target(&self, request: &HttpRequest) -> (String, String) {
        let path = request.uri().path();
        (String::new(), path.strip_prefix('/').unwrap_or(path).into())
    }

    async fn serve(&self, request: HttpRequest, described: &Request) -> Response<Body> {
        if described.key.is_empty() {
            return match self.sts.call(request).await {
                Ok(response) => sts::in_its_words(response).await,
                Err(error) => {
                    sts::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", &format!("{error:?}"))
                }
            };
        }
        drain(request.into_body()).await;
        instance::answer(&self.shared, described)
            .unwrap_or_else(|status| answer::plain(status, status.canonical_reason().unwrap_or_default()))
    }
}
