//! One row of the table.

use relatch::Finding;
use relatch::source::Object;
use relatch::trust::DocumentKind;
use relatch::{Error, Refusal, Unavailable};

use crate::stage::{From, Stage};

/// What an attacker does, and what comes of it.
pub struct Attack {
    /// The step of SPEC section 5, or another section, that refuses it.
    pub step: &'static str,
    pub name: String,
    pub act: Box<dyn Fn(&mut Stage)>,
    pub outcome: Outcome,
    /// Where it can be done; a start always reads from the server.
    pub from: &'static [From],
}

pub enum Outcome {
    /// Refused so. The disk is byte for byte as it was; a start remembers that it failed.
    Refused(Answer),
    /// The same after `VERSION` and manifest have verified: what the floors and the cache know of them advances, and nothing else changes.
    RefusedLater(Answer),
    /// Not to be had. The disk is as it was; a start remembers that it failed.
    Unavailable(Answer),
    /// The same after `VERSION` and manifest have verified.
    UnavailableLater(Answer),
    /// There is nothing to do for this reason, which is no error. What the floors and the cache know of `VERSION` and manifest advances, and
    /// nothing else changes.
    Nothing(Because),
    /// It changes nothing: the release that it is done to installs.
    Harmless,
}

/// The reason that must be told: its pattern, and whether a reason is of it.
pub struct Because {
    pub pattern: &'static str,
    pub is: fn(&Finding) -> bool,
}

/// The error that must come: its pattern, and whether an error is of it.
pub struct Answer {
    pub pattern: String,
    pub is: Box<dyn Fn(&Error) -> bool>,
}

impl Attack {
    pub fn new(
        step: &'static str,
        name: impl Into<String>,
        act: impl Fn(&mut Stage) + 'static,
        outcome: Outcome,
    ) -> Self {
        let from = &[From::Directory, From::Tls];
        Attack { step, name: name.into(), act: Box::new(act), outcome, from }
    }

    /// What only a server can do.
    pub fn by_server(
        step: &'static str,
        name: impl Into<String>,
        act: impl Fn(&mut Stage) + 'static,
        outcome: Outcome,
    ) -> Self {
        Attack { from: &[From::Tls], ..Attack::new(step, name, act, outcome) }
    }

    /// As the table prints it.
    pub fn line(&self) -> String {
        let outcome = match &self.outcome {
            Outcome::Refused(answer) | Outcome::RefusedLater(answer) => {
                format!("Refusal::{}", answer.pattern)
            }
            Outcome::Unavailable(answer) | Outcome::UnavailableLater(answer) => {
                format!("Unavailable::{}", answer.pattern)
            }
            Outcome::Nothing(because) => format!("Finding::{}", because.pattern),
            Outcome::Harmless => "changes nothing".into(),
        };
        let outcome = outcome.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{:5} {:60} {outcome}", self.step, self.name)
    }
}

/// Not a canonical document, and the reason says this, or that.
pub fn malformed(document: DocumentKind, because: impl Into<String>) -> Outcome {
    let because = because.into();
    Outcome::Refused(Answer {
        pattern: format!("Malformed {{ document: {document:?}, why: {because:?} .. }}"),
        is: Box::new(move |error| {
            is_refusal(error, |refusal| {
                matches!(refusal, Refusal::Malformed { document: told, why }
                    if std::mem::discriminant(told) == std::mem::discriminant(&document) && because.split(" or ").any(|because| why.contains(because)))
            })
        }),
    })
}

/// Whether an error is of the step that a row names: with its letter, or, of what a server did to an object, the step that fetches it.
pub fn is_of(step: &str, error: &Error) -> bool {
    let fetches = step.bytes().all(|byte| byte.is_ascii_digit()) && step != "5";
    steps(error).iter().any(|own| own == &step || (fetches && own.starts_with(step)))
}

/// The steps that refuse in this way.
fn steps(error: &Error) -> &'static [&'static str] {
    use DocumentKind::{Manifest, Root, Timestamp};
    let refusal = match error {
        Error::Refused(refusal) => refusal,
        Error::Unavailable(why) => return fetching(why),
        _ => return &[],
    };
    match refusal {
        Refusal::SignatureForm { document: Root(_), .. } => &["3a"],
        Refusal::SignatureForm { document: Timestamp, .. } => &["4b"],
        Refusal::SignatureForm { document: Manifest, .. } => &["6b"],
        Refusal::Threshold { document: Root(_), .. } => &["3b"],
        Refusal::SelfThreshold { .. } => &["3e"],
        Refusal::Threshold { document: Timestamp, .. } => &["4c"],
        Refusal::Threshold { document: Manifest, .. } => &["6c"],
        Refusal::Malformed { document, .. }
        | Refusal::UnknownType { document, .. }
        | Refusal::OtherDocument { document, .. } => match document {
            Root(_) => &["3c"],
            Timestamp => &["4a", "4d"],
            Manifest => &["6d"],
        },
        Refusal::VersionLineMismatch { .. } => &["4d"],
        Refusal::WeakKey { .. } => &["3d"],
        Refusal::RootNumber { .. } => &["3f"],
        Refusal::WrongProduct { document: Root(_), .. } => &["3g"],
        Refusal::EpochLowered { .. } => &["3h"],
        Refusal::NotYetValid { document: Root(_), .. } => &["3i"],
        Refusal::WrongProduct { document: Timestamp, .. } => &["4e"],
        Refusal::WrongChannel { document: Timestamp, .. } => &["4f"],
        Refusal::WrongEpoch { document: Timestamp, .. } => &["4g"],
        Refusal::Downgrade { .. } | Refusal::OlderIssue { .. } => &["4h"],
        Refusal::Equivocation { .. } => &["4i"],
        Refusal::Expired { document: Root(_) | Timestamp, .. }
        | Refusal::NotYetValid { document: Timestamp, .. } => &["5"],
        Refusal::VersionSchemeChanged { .. } => &["5-6"],
        Refusal::WrongDigest { .. } => &["6a"],
        Refusal::WrongProduct { document: Manifest, .. } => &["6e"],
        Refusal::WrongChannel { document: Manifest, .. } => &["6f"],
        Refusal::WrongEpoch { document: Manifest, .. } => &["6g"],
        Refusal::WrongSeq { .. } => &["6h"],
        Refusal::WrongVersion { .. } => &["6i"],
        Refusal::RootAhead { .. } => &["6j"],
        Refusal::Expired { document: Manifest, .. } | Refusal::NotYetValid { document: Manifest, .. } => {
            &["6k"]
        }
        Refusal::BelowFloor { .. } => &["8d"],
        Refusal::Short { .. }
        | Refusal::Long { .. }
        | Refusal::BlobDigest { .. }
        | Refusal::Undecodable { .. }
        | Refusal::NoUsableForm { .. } => &["9"],
        Refusal::TooManyRoots { .. } => &["3"],
        Refusal::Oversized { object, .. } => match object {
            Object::Root(_) | Object::RootSignatures(_) => &["3"],
            Object::Version(_) => &["4a"],
            _ => &["6"],
        },
        _ => &[],
    }
}

/// The step that asked for what could not be had; section 10.1, where the server was not spoken to at all.
fn fetching(why: &Unavailable) -> &'static [&'static str] {
    match object_of(why) {
        Some(Object::Root(_) | Object::RootSignatures(_)) => &["3"],
        Some(Object::Version(_)) => &["4", "10.1"],
        Some(Object::Manifest(_) | Object::ManifestSignatures(_)) => &["6"],
        Some(Object::Blob(_)) => &["9"],
        None => &[],
    }
}

/// What could not be had.
pub fn object_of(why: &Unavailable) -> Option<&Object> {
    match why {
        Unavailable::Absent { object, .. }
        | Unavailable::Forbidden { object, .. }
        | Unavailable::Status { object, .. }
        | Unavailable::Unreachable { object, .. }
        | Unavailable::TooSlow { object, .. } => Some(object),
        _ => None,
    }
}

pub fn is_refusal(error: &Error, is: impl FnOnce(&Refusal) -> bool) -> bool {
    matches!(error, Error::Refused(refusal) if is(refusal))
}

pub fn is_unavailable(error: &Error, is: impl FnOnce(&Unavailable) -> bool) -> bool {
    matches!(error, Error::Unavailable(why) if is(why))
}

/// `refused!(Variant { .. } if ..)`: [`Outcome::Refused`] of this pattern of [`Refusal`].
macro_rules! refused {
    ($variant:ident $($pattern:tt)*) => {
        crate::attack::Outcome::Refused(refusal!($variant $($pattern)*))
    };
}

/// The same as [`Outcome::RefusedLater`].
macro_rules! refused_later {
    ($variant:ident $($pattern:tt)*) => {
        crate::attack::Outcome::RefusedLater(refusal!($variant $($pattern)*))
    };
}

macro_rules! refusal {
    ($variant:ident $($pattern:tt)*) => {
        crate::attack::Answer {
            pattern: stringify!($variant $($pattern)*).into(),
            is: Box::new(|error| {
                crate::attack::is_refusal(error, |refusal| matches!(refusal, relatch::Refusal::$variant $($pattern)*))
            }),
        }
    };
}

/// `unavailable!(Variant { .. } if ..)`: [`Outcome::Unavailable`] of this pattern of [`Unavailable`].
macro_rules! unavailable {
    ($variant:ident $($pattern:tt)*) => {
        crate::attack::Outcome::Unavailable(absence!($variant $($pattern)*))
    };
}

/// The same as [`Outcome::UnavailableLater`].
macro_rules! unavailable_later {
    ($variant:ident $($pattern:tt)*) => {
        crate::attack::Outcome::UnavailableLater(absence!($variant $($pattern)*))
    };
}

macro_rules! absence {
    ($variant:ident $($pattern:tt)*) => {
        crate::attack::Answer {
            pattern: stringify!($variant $($pattern)*).into(),
            is: Box::new(|error| {
                crate::attack::is_unavailable(error, |why| matches!(why, relatch::Unavailable::$variant $($pattern)*))
            }),
        }
    };
}

/// `nothing!(Variant { .. } if ..)`: [`Outcome::Nothing`] of this pattern of [`Finding`].
macro_rules! nothing {
    ($variant:ident $($pattern:tt)*) => {
        crate::attack::Outcome::Nothing(crate::attack::Because {
            pattern: stringify!($variant $($pattern)*),
            is: |reason| matches!(reason, relatch::Finding::$variant $($pattern)*),
        })
    };
}
