//! Who gets credentials, and what was handed out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use s3s::dto::{Timestamp, TimestampFormat};

use crate::checksum::hex;
use crate::credentials::{Credentials, Keyring, Rights};

/// AWS's own.
const LIFETIME: Duration = Duration::from_secs(3600);

pub(crate) struct Issuer {
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) region: String,
    policy: Mutex<Policy>,
    issued: Mutex<Vec<Credentials>>,
    /// Session tokens of the instance metadata service.
    sessions: Mutex<Vec<String>>,
}

/// What the test allowed.
pub(crate) struct Policy {
    pub(crate) web_identities: Vec<(String, String)>,
    pub(crate) assumers: Vec<(String, String)>,
    pub(crate) container: Option<String>,
    pub(crate) instance_role: Option<String>,
    pub(crate) lifetime: Option<Duration>,
    pub(crate) rights: Rights,
}

impl Issuer {
    pub(crate) fn new(keyring: Arc<Keyring>, region: &str) -> Self {
        let policy = Policy {
            web_identities: Vec::new(),
            assumers: Vec::new(),
            container: None,
            instance_role: None,
            lifetime: None,
            rights: Rights::ALL,
        };
        Issuer {
            keyring,
            region: region.into(),
            policy: Mutex::new(policy),
            issued: Mutex::default(),
            sessions: Mutex::default(),
        }
    }

    pub(crate) fn policy(&self) -> MutexGuard<'_, Policy> {
        lock(&self.policy)
    }

    pub(crate) fn issued(&self) -> Vec<Credentials> {
        lock(&self.issued).clone()
    }

    /// New credentials, and when they end as AWS writes it.
    pub(crate) fn issue(&self, asked: Option<Duration>) -> (Credentials, String) {
        let (lifetime, rights) = {
            let policy = self.policy();
            (policy.lifetime.or(asked).unwrap_or(LIFETIME), policy.rights)
        };
        let expires = SystemTime::now() + lifetime;
        let mut issued = lock(&self.issued);
        let credentials = Credentials::new(&format!("ASIATEST{:08}", issued.len()), &random())
            .session_token(&format!("test-session-{}", random()))
            .expires(expires)
            .rights(rights);
        issued.push(credentials.clone());
        self.keyring.add(credentials.clone());
        let mut expiration = Vec::new();
        Timestamp::from(expires)
            .format(TimestampFormat::DateTime, &mut expiration)
            .expect("a time of this era is written to memory");
        (credentials, String::from_utf8_lossy(&expiration).into_owned())
    }

    /// A new session of the instance metadata service.
    pub(crate) fn open_session(&self) -> String {
        let token = random();
        lock(&self.sessions).push(token.clone());
        token
    }

    pub(crate) fn has_session(&self, token: &str) -> bool {
        lock(&self.sessions).iter().any(|known| known == token)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn random() -> String {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    hex(&bytes)
}
