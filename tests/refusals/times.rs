//! Times, floors and clocks.

use super::*;

/// Times are compared with a clock that stands still, at the second.
#[test]
fn times_hold_to_the_second() {
    let later = |draft: &mut Draft, field: &str, at: u64| {
        draft.version[field] = at.into();
        draft.manifest[field] = at.into();
    };
    type Is = fn(&Refusal) -> bool;
    let expired: Is = |refusal| matches!(refusal, Refusal::Expired { document: DocumentKind::Version, .. });
    let future: Is =
        |refusal| matches!(refusal, Refusal::FromTheFuture { document: DocumentKind::Version, .. });
    let at = now() + 1000;
    for (name, field, time, refused) in [
        ("a second before it expires", "expires", at + 1, None),
        ("when it expires", "expires", at, Some(expired)),
        ("a day ahead", "issued", at + DAY, None),
        ("a day and a second ahead", "issued", at + DAY + 1, Some(future)),
    ] {
        let mut scene = Scene::new();
        let mut draft = draft(&mut scene);
        later(&mut draft, field, time);
        scene.repository.publish(&draft);
        let before = scene.tool.snapshot();
        let answer = scene.tool.updater().clock(Stopped(at)).update(false);
        match refused {
            None => assert!(matches!(answer, Ok(Outcome::Updated { .. })), "{name}: {answer:?}"),
            Some(is) => {
                assert!(matches!(&answer, Err(Error::Refused(why)) if is(why)), "{name}: {answer:?}");
                assert_eq!(scene.tool.snapshot(), before, "{name}");
            }
        }
    }
}

/// A clock that was set back does not bring an expired document to life: signed times that were seen count as now.
#[test]
fn a_clock_set_back_does_not_revive_what_expired() {
    let mut scene = Scene::new();
    let seen = scene.first.version["issued"].as_u64().unwrap();
    let mut draft = draft(&mut scene);
    draft.version["issued"] = (seen - 9 * DAY).into();
    draft.version["expires"] = (seen - 2 * DAY).into();
    scene.repository.publish(&draft);
    let before = scene.tool.snapshot();
    let answer = scene.tool.updater().clock(Stopped(seen - 5 * DAY)).update(false);
    assert!(
        matches!(answer, Err(Error::Refused(Refusal::Expired { document: DocumentKind::Version, now, .. })) if now == seen),
        "{answer:?}"
    );
    assert_eq!(scene.tool.snapshot(), before);
    scene.heals("clock set back");
}

/// The system's time is never persisted as a floor: a clock that was years ahead does not end updates when it is right again.
#[test]
fn a_clock_that_was_ahead_does_not_end_updates() {
    let mut scene = Scene::new();
    let answer = scene.tool.updater().clock(Stopped(now() + 3000 * DAY)).update(false);
    assert!(matches!(answer, Err(Error::Refused(Refusal::Expired { .. }))), "{answer:?}");
    scene.heals("clock ahead");
}

#[test]
fn the_same_release_issued_anew_is_no_news() {
    let mut scene = Scene::new();
    let mut again = scene.first.clone();
    scene.repository.publish(&again);
    scene.is_current("the same object");
    again.version["issued"] = (again.version["issued"].as_u64().unwrap() + 1).into();
    scene.repository.publish(&again);
    scene.is_current("issued anew");
    scene.repository.publish(&scene.first);
    scene.refused("the one before", |refusal| matches!(refusal, Refusal::OlderIssue { .. }));
    scene.heals("issued anew");
}

/// The floor is known from a verified release that this installation did not take.
#[test]
fn a_version_below_the_signed_floor_is_refused() {
    let mut scene = Scene::new();
    let mut floor = scene.repository.draft("2.0.0", &fake("2.0.0"));
    floor.manifest["min_version"] = "2.0.0".into();
    floor.version["rollout"] = 0.into();
    scene.repository.publish(&floor);
    let answer = scene.tool.updater().update(false);
    assert!(matches!(answer, Ok(Outcome::Nothing(Reason::NotInRollout { rollout: 0, .. }))), "{answer:?}");
    scene.repository.release("1.5.0", &fake("1.5.0"));
    scene.refused_with_floors("below the floor", |refusal| {
        matches!(refusal, Refusal::BelowFloor { floor, found }
            if floor.to_string() == "2.0.0" && found.to_string() == "1.5.0")
    });
    scene.heals("below the floor");
}
