//! One open finding for each real hazard; dismissals; recurrences; merging.

use super::*;
use crate::finding::{FindingState, Refusal};

#[tokio::test]
async fn the_same_hazard_is_one_finding_with_many_sightings() {
    let world = World::new().await;
    let left = world.new_finding("1", 0.0).await;
    let right = world.new_finding("2", 0.5).await;
    // not only the oldest open finding is tried
    let moved = world
        .file(&Actor::Machine, &world.sighting("3", 0.55))
        .await
        .unwrap();
    assert_eq!(moved, Filed::Appended { finding_id: right });
    // told twice is once
    let again = world
        .file(&Actor::Machine, &world.sighting("3", 0.55))
        .await
        .unwrap();
    assert_eq!(
        again,
        Filed::Already {
            finding_id: Some(right)
        }
    );
    // the best of those that fit, not the first
    world.new_finding("4", 0.12).await;
    let close = world
        .file(&Actor::Machine, &world.sighting("5", 0.02))
        .await
        .unwrap();
    assert_eq!(close, Filed::Appended { finding_id: left });
    // another kind, another zone: another finding
    let mut other = world.sighting("6", 0.0);
    other.hazard_code = "PPE-02".to_owned();
    assert!(matches!(
        world.file(&Actor::Machine, &other).await.unwrap(),
        Filed::New { .. }
    ));
    let mut other = world.sighting("7", 0.0);
    other.zone = "B".to_owned();
    assert!(matches!(
        world.file(&Actor::Machine, &other).await.unwrap(),
        Filed::New { .. }
    ));
    let mut db = world.ledger.read().await.unwrap();
    let seen = findings::occurrences(&mut db, right, &Page::first())
        .await
        .unwrap();
    assert_eq!(seen.items.len(), 2);
    drop(db);
    world.check().await;
}

#[tokio::test]
async fn two_boxes_of_one_photo_are_two_findings() {
    let world = World::new().await;
    let first = world.sighting("1", 0.0);
    let mut second = world.sighting("2", 0.05);
    second.photo_sha256 = first.photo_sha256.clone();
    for seen in [&first, &second] {
        let filed = world.file(&Actor::Machine, seen).await.unwrap();
        assert!(matches!(filed, Filed::New { .. }), "{filed:?}");
    }
}

#[tokio::test]
async fn two_cameras_see_one_thing_only_by_its_look() {
    let world = World::new().await;
    let mut tx = world.ledger.begin(&ann()).await.unwrap();
    let yard = sites::add_camera(&mut tx, world.site.id, None, "Yard", "yard")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut seen = world.sighting("1", 0.0);
    seen.look = Some(vec![1.0, 2.0]);
    let Filed::New { finding_id } = world.file(&Actor::Machine, &seen).await.unwrap() else {
        panic!("not new")
    };
    let mut other = world.sighting("2", 0.0);
    other.camera_id = Some(yard.id);
    other.look = Some(vec![9.0]);
    assert!(matches!(
        world.file(&Actor::Machine, &other).await.unwrap(),
        Filed::New { .. }
    ));
    let mut same = world.sighting("3", 0.7);
    same.camera_id = Some(yard.id);
    same.look = Some(vec![1.0]);
    assert_eq!(
        world.file(&Actor::Machine, &same).await.unwrap(),
        Filed::Appended { finding_id }
    );
}

#[tokio::test]
async fn a_rejection_sticks_until_it_is_revoked() {
    let world = World::new().await;
    let id = world.new_finding("1", 0.0).await;
    let reason = "a statue".to_owned();
    world
        .step(&ann(), id, Step::Reject { reason })
        .await
        .unwrap();
    let again = world
        .file(&Actor::Machine, &world.sighting("2", 0.01))
        .await
        .unwrap();
    let Filed::Suppressed { dismissal_id } = again else {
        panic!("{again:?}")
    };
    let told_twice = world
        .file(&Actor::Machine, &world.sighting("2", 0.01))
        .await
        .unwrap();
    assert_eq!(told_twice, Filed::Already { finding_id: None });
    // the view is not blind: elsewhere in it, and for a person, things are filed
    assert!(matches!(
        world
            .file(&Actor::Machine, &world.sighting("3", 0.15))
            .await
            .unwrap(),
        Filed::New { .. }
    ));
    let by_hand = world
        .file(&ann(), &world.sighting("4", 0.01))
        .await
        .unwrap();
    let Filed::New { finding_id } = by_hand else {
        panic!("{by_hand:?}")
    };
    let reason = "still a statue".to_owned();
    world
        .step(&ann(), finding_id, Step::Reject { reason })
        .await
        .unwrap();

    let mut tx = world.ledger.begin(&Actor::Machine).await.unwrap();
    let refused = findings::revoke(&mut tx, dismissal_id).await;
    assert!(matches!(refused, Err(Error::Refused(Refusal::Machine(_)))));
    drop(tx);
    let mut tx = world.ledger.begin(&ann()).await.unwrap();
    for dismissal in findings::dismissals(&mut tx, world.site.id, &Page::first())
        .await
        .unwrap()
        .items
    {
        findings::revoke(&mut tx, dismissal.id).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert!(matches!(
        world
            .file(&Actor::Machine, &world.sighting("5", 0.01))
            .await
            .unwrap(),
        Filed::New { .. }
    ));
    world.check().await;
}

#[tokio::test]
async fn a_dismissed_look_hides_nothing_that_looks_otherwise() {
    let world = World::new().await;
    let mut seen = world.sighting("1", 0.0);
    seen.look = Some(vec![1.0]);
    let Filed::New { finding_id } = world.file(&Actor::Machine, &seen).await.unwrap() else {
        panic!("not new")
    };
    let reason = "a statue".to_owned();
    world
        .step(&ann(), finding_id, Step::Reject { reason })
        .await
        .unwrap();
    let with_look = async |key: &str, look: f32| {
        let mut seen = world.sighting(key, 0.0);
        seen.look = Some(vec![look]);
        world.file(&Actor::Machine, &seen).await.unwrap()
    };
    assert!(matches!(
        with_look("2", 1.0).await,
        Filed::Suppressed { .. }
    ));
    assert!(matches!(with_look("3", 2.0).await, Filed::New { .. }));
}

#[tokio::test]
async fn a_hazard_that_comes_back_points_at_its_forerunner() {
    let world = World::new().await;
    let id = world.ordered("1", 0.0, time("2026-04-10T22:00:00Z")).await;
    world.rectify(id).await;
    world.step(&ann(), id, Step::Close).await.unwrap();
    let back = world.new_finding("2", 0.7).await;
    let mut db = world.ledger.read().await.unwrap();
    let row = findings::get(&mut db, back).await.unwrap();
    assert_eq!(row.recurrence_of, Some(id));
    let filter = findings::FindingFilter {
        recurrence_of: Some(id),
        ..Default::default()
    };
    let found = findings::list(&mut db, &filter, &Page::first())
        .await
        .unwrap();
    assert_eq!(found.items, [row]);
    drop(db);
    // a year and a day later it is news
    world.wait(366 * 24 * 3600);
    let reason = "seen by mistake".to_owned();
    world
        .step(&ann(), back, Step::Reject { reason })
        .await
        .unwrap();
    let late = world.new_finding("3", 0.4).await;
    let mut db = world.ledger.read().await.unwrap();
    assert_eq!(
        findings::get(&mut db, late).await.unwrap().recurrence_of,
        None
    );
}

#[tokio::test]
async fn merging_takes_the_sightings_along() {
    let world = World::new().await;
    let one = world.new_finding("1", 0.0).await;
    let two = world.new_finding("2", 0.5).await;
    let row = world
        .step(&ann(), two, Step::Merge { into: one })
        .await
        .unwrap();
    assert_eq!(
        (row.finding.state, row.finding.merged_into),
        (FindingState::Merged, Some(one))
    );
    // what was seen there goes to the finding that is left
    let more = world
        .file(&Actor::Machine, &world.sighting("3", 0.51))
        .await
        .unwrap();
    assert_eq!(more, Filed::Appended { finding_id: one });
    let three = world.new_finding("4", 0.75).await;
    let into_merged = world.step(&ann(), three, Step::Merge { into: two }).await;
    assert!(matches!(
        into_merged,
        Err(Error::Invalid { field: "into", .. })
    ));
    world.check().await;
}

#[tokio::test]
async fn what_does_not_fit_together_is_not_filed() {
    let world = World::new().await;
    let mut tx = world.ledger.begin(&ann()).await.unwrap();
    let new = NewSite {
        name: "Elsewhere".to_owned(),
        address: String::new(),
        time_zone: "Asia/Shanghai".to_owned(),
    };
    let other = sites::create(&mut tx, world.enterprise.id, &new)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut wrong = world.sighting("1", 0.0);
    wrong.site_id = other.id;
    let refused = world.file(&Actor::Machine, &wrong).await;
    assert!(matches!(
        refused,
        Err(Error::Invalid {
            field: "camera_id",
            ..
        })
    ));
    let outside = world.sighting("1", 0.9);
    let refused = world.file(&Actor::Machine, &outside).await;
    assert!(matches!(refused, Err(Error::Invalid { field: "area", .. })));
}

#[tokio::test]
async fn that_a_hazard_is_seen_to_be_gone_is_a_suggestion_which_the_next_sighting_takes_back() {
    let world = World::new().await;
    let id = world.new_finding("a", 0.1).await;
    let clear = async |key: &str| {
        let mut tx = world.ledger.begin(&Actor::Machine).await.unwrap();
        let now = tx.now();
        let cleared = findings::clear(&mut tx, key, now).await.unwrap();
        tx.commit().await.unwrap();
        cleared
    };
    let cleared_at = async || {
        let mut db = world.ledger.read().await.unwrap();
        findings::get(&mut db, id).await.unwrap().cleared_at
    };
    assert!(!clear("never filed").await);
    assert_eq!(cleared_at().await, None);
    assert!(clear("a").await);
    assert_eq!(cleared_at().await, Some(world.ledger.now()));
    world.wait(60);
    let again = world.sighting("b", 0.1);
    let filed = world.file(&Actor::Machine, &again).await.unwrap();
    assert_eq!(filed, Filed::Appended { finding_id: id });
    assert_eq!(cleared_at().await, None);
    let reject = Step::Reject {
        reason: "a poster".to_owned(),
    };
    world.step(&ann(), id, reject).await.unwrap();
    assert!(!clear("a").await, "nothing is open any more");
}

#[tokio::test]
async fn what_a_watch_tells_apart_is_apart_wherever_it_stands() {
    let world = World::new().await;
    let seen = |epoch: &str, finding: u64, occurrence: u64, x: f64| {
        let watch = format!("w:{epoch}:");
        let of = format!("{watch}{finding}:");
        Sighting {
            of_watch: Some((watch, of.clone())),
            ..world.sighting(&format!("{of}{occurrence}"), x)
        }
    };
    let file = async |seen: Sighting| world.file(&Actor::Machine, &seen).await.unwrap();
    let Filed::New { finding_id: first } = file(seen("a", 1, 0, 0.0)).await else {
        panic!("a first one is new");
    };
    // another person in the same place
    let Filed::New { finding_id: second } = file(seen("a", 2, 0, 0.0)).await else {
        panic!("another one is new");
    };
    // the first one again, elsewhere
    let moved = file(seen("a", 1, 1, 0.7)).await;
    assert_eq!(moved, Filed::Appended { finding_id: first });
    // a watch that remembers nothing knows them by their place
    let again = file(seen("b", 1, 0, 0.7)).await;
    assert_eq!(again, Filed::Appended { finding_id: first });
    // as does whoever pins a picture
    let pinned = file(world.sighting("pin", 0.0)).await;
    assert!(
        [first, second]
            .map(|finding_id| Filed::Appended { finding_id })
            .contains(&pinned),
        "{pinned:?}"
    );
}
