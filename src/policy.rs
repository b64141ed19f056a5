//! What to do about a verified release. Pure: the answer is a value that says why (SPEC step 8).

use std::cmp::Ordering;

use crate::install::{Standing, State};
use crate::trust::Refusal;
use crate::trust::{Artifact, Manifest, Name, Timestamp, Verified, Version};

/// What is installed and where.
#[derive(Debug)]
pub struct Installed<'a> {
    /// The version at the path.
    pub version: &'a Version,
    /// The target that it was built for.
    pub target: &'a Name,
    /// Holds, the floor and this installation's place in rollouts.
    pub state: &'a State,
}

/// What is to be done.
#[derive(Debug)]
#[must_use]
pub enum Decision {
    /// This artifact is to be installed.
    Update(Selected),
    /// Nothing, and why.
    Nothing(Reason),
}

/// An artifact that was chosen from a verified manifest.
///
/// It comes from [`decide`] alone:
/// ```compile_fail,E0451
/// let selected = relatch::policy::Selected { artifact: todo!(), version: todo!() };
/// ```
#[derive(Debug)]
#[must_use]
pub struct Selected {
    artifact: Artifact,
    version: Version,
}

impl Selected {
    /// The executable to install.
    pub fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    /// Its version.
    pub fn version(&self) -> &Version {
        &self.version
    }
}

/// Why nothing is to be done. None of these is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The newest release is what is installed, or older than it.
    Current,
    /// A person left that version by a rollback.
    Held {
        /// The version that is held.
        version: Version,
        /// Whether the publisher marked it critical.
        critical: bool,
    },
    /// It is offered to a part of all installations, and this is not one yet.
    NotInRollout {
        /// The version that is offered to others.
        version: Version,
        /// How many of 100 have it.
        rollout: u8,
    },
    /// The release has no executable for this target.
    NoTarget {
        /// The version of the release.
        version: Version,
        /// The target that was looked for.
        target: Name,
    },
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reason::Current => f.write_str("nothing newer is released"),
            Reason::Held { version, critical } => {
                let critical = if *critical { "; the publisher marked it critical" } else { "" };
                write!(
                    f,
                    "{version} is held: it was left by a rollback and is not installed again{critical}; --rollback returns to it, a higher release ends the hold"
                )
            }
            Reason::NotInRollout { version, rollout } => {
                write!(
                    f,
                    "{version} is rolled out to {rollout} of 100 installations, and this is not one of them yet"
                )
            }
            Reason::NoTarget { version, target } => write!(f, "{version} has no executable for {target}"),
        }
    }
}

impl From<&Reason> for Standing {
    fn from(reason: &Reason) -> Self {
        match reason.clone() {
            Reason::Current => Standing::Current,
            Reason::Held { version, critical } => Standing::Held { version, critical },
            Reason::NotInRollout { version, rollout } => Standing::NotInRollout { version, rollout },
            Reason::NoTarget { version, .. } => Standing::NoTarget { version },
        }
    }
}

/// SPEC step 8. `now` is a person's explicit wish to pass the rollout; nothing else passes on a wish.
///
/// # Errors
/// [`Refusal::VersionSchemeChanged`] and [`Refusal::BelowFloor`].
pub fn decide(
    installed: &Installed<'_>,
    release: &Verified<Timestamp>,
    manifest: &Verified<Manifest>,
    now: bool,
) -> Result<Decision, Refusal> {
    judge(installed, release.rollout, manifest, now)
}

/// The artifact of a first install. There is nothing to compare with, nothing held, and a new installation takes the current release.
///
/// # Errors
/// [`Refusal::BelowFloor`] and [`Refusal::VersionSchemeChanged`], where floors are known from an earlier installation.
pub fn first(target: &Name, state: &State, manifest: &Verified<Manifest>) -> Result<Decision, Refusal> {
    let version = manifest.version.clone();
    if let Some(floor) = &state.min_version {
        match version.compare(floor) {
            Ok(Ordering::Less) => return Err(Refusal::BelowFloor { floor: floor.clone(), found: version }),
            Ok(_) => {}
            Err(_) => return Err(Refusal::VersionSchemeChanged { known: floor.clone(), found: version }),
        }
    }
    Ok(match manifest.artifacts.iter().find(|artifact| artifact.target == *target) {
        Some(artifact) => Decision::Update(Selected { artifact: artifact.clone(), version }),
        None => Decision::Nothing(Reason::NoTarget { version, target: target.clone() }),
    })
}

fn judge(
    installed: &Installed<'_>,
    rollout: u8,
    manifest: &Manifest,
    now: bool,
) -> Result<Decision, Refusal> {
    let version = manifest.version.clone();
    let order = |known: &Version| {
        let changed = |_| Refusal::VersionSchemeChanged { known: known.clone(), found: version.clone() };
        version.compare(known).map_err(changed)
    };
    // 8b before 8a: a tool that is current is current, whatever the release lacks for its target.
    if order(installed.version)? != Ordering::Greater && !manifest.retracts.contains(installed.version) {
        return Ok(Decision::Nothing(Reason::Current));
    }
    let Some(artifact) = manifest.artifacts.iter().find(|artifact| artifact.target == *installed.target)
    else {
        return Ok(Decision::Nothing(Reason::NoTarget { version, target: installed.target.clone() })); // 8a
    };
    if installed.state.is_held(&version) {
        return Ok(Decision::Nothing(Reason::Held { version, critical: manifest.critical })); // 8c
    }
    if let Some(floor) = &installed.state.min_version {
        if order(floor)? == Ordering::Less {
            return Err(Refusal::BelowFloor { floor: floor.clone(), found: version }); // 8d
        }
    }
    if !now && !manifest.critical && installed.state.rollout >= rollout {
        return Ok(Decision::Nothing(Reason::NotInRollout { version, rollout })); // 8e
    }
    Ok(Decision::Update(Selected { artifact: artifact.clone(), version }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::{Digest, Epoch, Identity, Notes, Seq, Stored};

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    fn manifest(text: &str) -> Manifest {
        let blake3 = Digest::of(b"x");
        let stored = Stored { encoding: name("identity"), from: None, size: 1, blake3 };
        Manifest {
            product: name("p"),
            channel: name("stable"),
            epoch: Epoch::FIRST,
            root_version: 1,
            seq: Seq::FIRST,
            version: version(text),
            min_version: None,
            critical: false,
            retracts: Vec::new(),
            issued: 1,
            expires: 2,
            notes: Notes::default(),
            artifacts: vec![Artifact { target: name("t"), size: 1, blake3, stored: vec![stored] }],
        }
    }

    fn state() -> State {
        let identity = Identity { product: name("p"), channel: name("stable") };
        State { rollout: 50, ..State::new(&identity).unwrap() }
    }

    /// What comes out, in a word.
    fn outcome(installed: &str, state: &State, rollout: u8, manifest: &Manifest, now: bool) -> String {
        let installed = Installed { version: &version(installed), target: &name("t"), state };
        match judge(&installed, rollout, manifest, now) {
            Ok(Decision::Update(selected)) => format!("update {}", selected.version()),
            Ok(Decision::Nothing(Reason::Current)) => "current".into(),
            Ok(Decision::Nothing(Reason::Held { .. })) => "held".into(),
            Ok(Decision::Nothing(Reason::NotInRollout { .. })) => "rollout".into(),
            Ok(Decision::Nothing(Reason::NoTarget { .. })) => "target".into(),
            Err(Refusal::VersionSchemeChanged { .. }) => "kind".into(),
            Err(Refusal::BelowFloor { .. }) => "floor".into(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn above_the_installed_version_only() {
        for (installed, expected) in
            [("1.0.0", "update 1.1.0"), ("1.1.0", "current"), ("1.2.0", "current"), ("7", "kind")]
        {
            assert_eq!(outcome(installed, &state(), 100, &manifest("1.1.0"), false), expected, "{installed}");
        }
    }

    #[test]
    fn a_retracted_version_is_left_for_a_lower_one() {
        let manifest = Manifest { retracts: vec![version("1.2.0")], ..manifest("1.1.0") };
        assert_eq!(outcome("1.2.0", &state(), 100, &manifest, false), "update 1.1.0");
        assert_eq!(outcome("1.3.0", &state(), 100, &manifest, false), "current");
    }

    #[test]
    fn a_missing_target_is_no_error() {
        let manifest = Manifest { artifacts: Vec::new(), ..manifest("1.1.0") };
        assert_eq!(outcome("1.0.0", &state(), 100, &manifest, true), "target");
        assert_eq!(outcome("1.1.0", &state(), 100, &manifest, true), "current");
    }

    #[test]
    fn a_hold_outlives_critical_and_now_but_not_a_higher_version() {
        let mut state = state();
        state.hold(version("1.1.0"));
        let critical = Manifest { critical: true, ..manifest("1.1.0") };
        assert_eq!(outcome("1.0.0", &state, 100, &critical, true), "held");
        assert_eq!(outcome("1.0.0", &state, 100, &manifest("1.1.1"), false), "update 1.1.1");
    }

    #[test]
    fn below_the_floor_is_refused() {
        let state = State { min_version: Some(version("1.2.0")), ..state() };
        assert_eq!(outcome("1.0.0", &state, 100, &manifest("1.1.0"), true), "floor");
        assert_eq!(outcome("1.0.0", &state, 100, &manifest("1.2.0"), false), "update 1.2.0");
    }

    #[test]
    fn the_rollout_is_passed_by_number_critical_or_wish() {
        let critical = Manifest { critical: true, ..manifest("1.1.0") };
        for (rollout, manifest, now, expected) in [
            (0, &manifest("1.1.0"), false, "rollout"),
            (50, &manifest("1.1.0"), false, "rollout"),
            (51, &manifest("1.1.0"), false, "update 1.1.0"),
            (0, &manifest("1.1.0"), true, "update 1.1.0"),
            (0, &critical, false, "update 1.1.0"),
        ] {
            assert_eq!(outcome("1.0.0", &state(), rollout, manifest, now), expected, "{rollout}");
        }
    }

    /// Every combination of few versions of both kinds: what is chosen is what SPEC step 8 says, read as a set of conditions.
    #[test]
    fn an_update_is_wanted_by_all_or_by_nobody() {
        use proptest::prelude::*;
        use proptest::sample::select;
        use proptest::test_runner::{RngSeed, TestRunner};

        let any_version = || select(vec!["1.0.0-rc.1", "1.0.0", "1.1.0", "1.2.0", "2.0.0", "7", "8"]);
        let some = || proptest::collection::vec(any_version(), 0..4);
        let inputs = (
            (any_version(), any_version(), proptest::option::of(any_version()), some(), some()),
            (0..100u8, 0..=100u8, any::<bool>(), any::<bool>(), any::<bool>()),
        );
        let config = ProptestConfig {
            cases: 4096,
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(1),
            ..ProptestConfig::default()
        };
        let judged = TestRunner::new(config).run(
            &inputs,
            |((from, to, floor, held, retracts), (place, rollout, critical, now, for_this_target))| {
                let (from, to) = (version(from), version(to));
                let mut state = State { rollout: place, min_version: floor.map(version), ..state() };
                held.iter().for_each(|held| state.hold(version(held)));
                let retracts: Vec<_> = retracts.into_iter().map(version).collect();
                let mut manifest = Manifest { critical, retracts, ..manifest(&to.to_string()) };
                if !for_this_target {
                    manifest.artifacts.clear();
                }
                let installed = Installed { version: &from, target: &name("t"), state: &state };
                let decision = judge(&installed, rollout, &manifest, now);

                let above = |a: &Version, b: &Version| a.compare(b).is_ok_and(Ordering::is_gt);
                let comparable =
                    from.same_kind(&to) && state.min_version.iter().all(|min| min.same_kind(&to));
                let wanted = comparable
                    && (above(&to, &from) || manifest.retracts.contains(&from))
                    && for_this_target
                    && !state.held.contains(&to)
                    && !state.min_version.iter().any(|floor| above(floor, &to))
                    && (now || critical || place < rollout);
                match decision {
                    Ok(Decision::Update(selected)) => {
                        prop_assert!(wanted);
                        prop_assert_eq!(selected.version(), &to);
                        prop_assert_eq!(selected.artifact(), &manifest.artifacts[0]);
                    }
                    _ => prop_assert!(!wanted, "{:?}", decision),
                }
                Ok(())
            },
        );
        judged.unwrap();
    }
}
