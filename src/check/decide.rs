//! SPEC step 8: the decision about a verified release. It has no side effects; the result contains
//! the reason.

use std::cmp::Ordering;

use super::{Finding, Memory};
use crate::trust::{Artifact, Digest, Manifest, Name, Refusal, Timestamp, Verified, Version};

/// The installation for which a release is checked.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The target whose executable is installed.
    pub target: Name,
    /// The version at the path; `None` for a first install.
    pub installed: Option<Version>,
    /// The hash of that executable, if it is recorded.
    pub executable: Option<Digest>,
    /// Versions that the user rolled back from.
    pub held: Vec<Version>,
    /// Versions that failed in their first starts here, and were left for that. A critical release
    /// is installed all the same.
    pub failed: Vec<Version>,
    /// This installation's place in staged rollouts, 0 to 99.
    pub place: u8,
    /// Whether the user chose to ignore the staged rollout. This skips no other condition.
    pub now: bool,
}

/// The decision about a release.
#[derive(Debug)]
#[must_use]
pub enum Decision {
    /// Install this artifact.
    Update(Selected),
    /// Install nothing, for this reason.
    Nothing(Finding),
}

/// An artifact that was selected from a verified manifest.
///
/// Only a check creates one:
/// ```compile_fail,E0451
/// let selected = relatch::check::Selected { artifact: todo!(), version: todo!() };
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

/// SPEC step 8. `memory` has already accepted this release (step 7).
///
/// # Errors
/// [`Refusal::VersionSchemeChanged`] and [`Refusal::BelowFloor`].
pub(super) fn decide(
    candidate: &Candidate,
    memory: &Memory,
    release: &Verified<Timestamp>,
    manifest: &Verified<Manifest>,
) -> Result<Decision, Refusal> {
    decide_with_rollout(candidate, memory, release.rollout, manifest)
}

fn decide_with_rollout(
    candidate: &Candidate,
    memory: &Memory,
    rollout: u8,
    manifest: &Manifest,
) -> Result<Decision, Refusal> {
    let version = manifest.version.clone();
    let order = |known: &Version| {
        let changed = |_| Refusal::VersionSchemeChanged { known: known.clone(), found: version.clone() };
        version.compare(known).map_err(changed)
    };
    // 8b before 8a: the installed version is current even if the release has no executable for this
    // target.
    if let Some(installed) = &candidate.installed {
        // Also if an earlier release withdrew it, and was not installed here.
        let is_retracted = manifest.retracts.contains(installed) || memory.is_retracted(installed);
        if order(installed)? != Ordering::Greater && !is_retracted {
            return Ok(Decision::Nothing(Finding::Current)); // 8b
        }
    }
    let below_floor = || match memory.min_version() {
        Some(floor) if order(floor)? == Ordering::Less => {
            Err(Refusal::BelowFloor { floor: floor.clone(), found: version.clone() })
        }
        _ => Ok(()),
    };
    if candidate.installed.is_none() {
        below_floor()?; // 8d before 8a: of the two, a first install reports the attack
    }
    let for_target = |artifact: &&Artifact| artifact.target == candidate.target;
    let Some(artifact) = manifest.artifacts.iter().find(for_target) else {
        let target = Some(candidate.target.clone());
        return Ok(Decision::Nothing(Finding::NoTarget { version, target })); // 8a
    };
    if candidate.installed.is_some() {
        let has_failed = candidate.failed.contains(&version) && !manifest.critical;
        if candidate.held.contains(&version) || has_failed {
            let critical = manifest.critical;
            return Ok(Decision::Nothing(Finding::Held { version, critical })); // 8c
        }
        below_floor()?; // 8d
        if !candidate.now && !manifest.critical && candidate.place >= rollout {
            return Ok(Decision::Nothing(Finding::NotInRollout { version, rollout })); // 8e
        }
    }
    Ok(Decision::Update(Selected { artifact: artifact.clone(), version }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::{Epoch, Notes, Seq, Stored};

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

    fn memory() -> Memory {
        Memory::new(name("stable"))
    }

    fn candidate(installed: Version, held: &[&str], now: bool) -> Candidate {
        let held = held.iter().map(|held| version(held)).collect();
        let (target, failed) = (name("t"), Vec::new());
        Candidate { target, installed: Some(installed), executable: None, held, failed, place: 50, now }
    }

    /// The decision, in one word.
    fn outcome(candidate: &Candidate, memory: &Memory, rollout: u8, manifest: &Manifest) -> String {
        match decide_with_rollout(candidate, memory, rollout, manifest) {
            Ok(Decision::Update(selected)) => format!("update {}", selected.version()),
            Ok(Decision::Nothing(Finding::Current)) => "current".into(),
            Ok(Decision::Nothing(Finding::Held { .. })) => "held".into(),
            Ok(Decision::Nothing(Finding::NotInRollout { .. })) => "rollout".into(),
            Ok(Decision::Nothing(Finding::NoTarget { .. })) => "target".into(),
            Err(Refusal::VersionSchemeChanged { .. }) => "kind".into(),
            Err(Refusal::BelowFloor { .. }) => "floor".into(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn above_the_installed_version_only() {
        for (installed, expected) in
            [("1.0.0", "update 1.1.0"), ("1.1.0", "current"), ("1.2.0", "current"), ("7", "kind")]
        {
            assert_eq!(
                outcome(&candidate(version(installed), &[], false), &memory(), 100, &manifest("1.1.0")),
                expected,
                "{installed}"
            );
        }
    }

    #[test]
    fn a_retracted_version_is_left_for_a_lower_one() {
        let manifest = Manifest { retracts: vec![version("1.2.0")], ..manifest("1.1.0") };
        assert_eq!(
            outcome(&candidate(version("1.2.0"), &[], false), &memory(), 100, &manifest),
            "update 1.1.0"
        );
        assert_eq!(outcome(&candidate(version("1.3.0"), &[], false), &memory(), 100, &manifest), "current");
    }

    #[test]
    fn a_missing_target_is_no_error() {
        let manifest = Manifest { artifacts: Vec::new(), ..manifest("1.1.0") };
        assert_eq!(outcome(&candidate(version("1.0.0"), &[], true), &memory(), 100, &manifest), "target");
        assert_eq!(outcome(&candidate(version("1.1.0"), &[], true), &memory(), 100, &manifest), "current");
    }

    #[test]
    fn a_hold_outlives_critical_and_now_but_not_a_higher_version() {
        let critical = Manifest { critical: true, ..manifest("1.1.0") };
        assert_eq!(
            outcome(&candidate(version("1.0.0"), &["1.1.0"], true), &memory(), 100, &critical),
            "held"
        );
        assert_eq!(
            outcome(&candidate(version("1.0.0"), &["1.1.0"], false), &memory(), 100, &manifest("1.1.1")),
            "update 1.1.1"
        );
    }

    #[test]
    fn below_the_floor_is_refused() {
        let memory = memory().with_min_version(Some(version("1.2.0")));
        assert_eq!(
            outcome(&candidate(version("1.0.0"), &[], true), &memory, 100, &manifest("1.1.0")),
            "floor"
        );
        assert_eq!(
            outcome(&candidate(version("1.0.0"), &[], false), &memory, 100, &manifest("1.2.0")),
            "update 1.2.0"
        );
    }

    #[test]
    fn the_rollout_is_ignored_by_number_critical_or_now() {
        let critical = Manifest { critical: true, ..manifest("1.1.0") };
        for (rollout, manifest, now, expected) in [
            (0, &manifest("1.1.0"), false, "rollout"),
            (50, &manifest("1.1.0"), false, "rollout"),
            (51, &manifest("1.1.0"), false, "update 1.1.0"),
            (0, &manifest("1.1.0"), true, "update 1.1.0"),
            (0, &critical, false, "update 1.1.0"),
        ] {
            assert_eq!(
                outcome(&candidate(version("1.0.0"), &[], now), &memory(), rollout, manifest),
                expected,
                "{rollout}"
            );
        }
    }

    /// Combinations of versions of both schemes: an update is selected exactly if all conditions of
    /// SPEC step 8 are met.
    #[test]
    fn an_update_requires_all_conditions() {
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
        let result = TestRunner::new(config).run(
            &inputs,
            |((from, to, floor, held, retracts), (place, rollout, critical, now, for_this_target))| {
                let (from, to) = (version(from), version(to));
                let memory = memory().with_min_version(floor.map(version));
                let retracts: Vec<_> = retracts.into_iter().map(version).collect();
                let mut manifest = Manifest { critical, retracts, ..manifest(&to.to_string()) };
                if !for_this_target {
                    manifest.artifacts.clear();
                }
                let candidate = Candidate { place, ..candidate(from.clone(), &held, now) };
                let decision = decide_with_rollout(&candidate, &memory, rollout, &manifest);

                let above = |a: &Version, b: &Version| a.compare(b).is_ok_and(Ordering::is_gt);
                let comparable =
                    from.same_scheme(&to) && memory.min_version().iter().all(|min| min.same_scheme(&to));
                let wanted = comparable
                    && (above(&to, &from) || manifest.retracts.contains(&from))
                    && for_this_target
                    && !candidate.held.contains(&to)
                    && !memory.min_version().iter().any(|floor| above(floor, &to))
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
        result.unwrap();
    }
}
