//! Inspections and their checklists.

use std::collections::BTreeSet;

use super::super::checklists::{self, Item};
use super::super::inspections::{self, InspectionState};
use super::*;
use crate::hazard::{Answer, Text};

fn item(key: &str, code: Option<&str>) -> Item {
    Item {
        key: key.to_owned(),
        text: Text::new(key, key),
        hazard_code: code.map(str::to_owned),
        removed: false,
    }
}

fn none() -> BTreeSet<String> {
    BTreeSet::new()
}

fn given<'a>(key: &'a str, expected: Option<i64>, answer: Answer) -> inspections::Given<'a> {
    inspections::Given {
        key,
        expected,
        answer,
        reason: "walked through",
    }
}

async fn planned(world: &World) -> inspections::Inspection {
    let mut tx = world.ledger.begin(&ann()).await.unwrap();
    let base = [
        item("helmets", Some("PPE-01")),
        item("exits", Some("EGR-01")),
        item("papers", None),
        item("dust", Some("ENV-01")),
    ];
    let base = checklists::create_base(&mut tx, "Warehouse", &base)
        .await
        .unwrap();
    let overlay = [
        Item {
            removed: true,
            ..item("dust", None)
        },
        item("forklifts", Some("EQP-01")),
    ];
    let enterprise = world.enterprise.id;
    checklists::create_overlay(&mut tx, enterprise, base.id, &overlay)
        .await
        .unwrap();
    let again = checklists::create_overlay(&mut tx, enterprise, base.id, &overlay).await;
    assert!(matches!(again, Err(Error::Duplicate { .. })));
    let at = time("2026-04-01T08:00:00Z");
    let visit = inspections::create(&mut tx, world.site.id, Some(base.id), at, &none())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    visit
}

async fn answers(world: &World, id: Id) -> Vec<(String, Answer)> {
    let mut db = world.ledger.read().await.unwrap();
    let items = inspections::items(&mut db, id).await.unwrap();
    items
        .into_iter()
        .map(|item| (item.key, item.answer))
        .collect()
}

async fn photo(world: &World, id: Id, seen: &[(&str, Answer)]) {
    let seen: Vec<_> = seen
        .iter()
        .map(|(code, answer)| ((*code).to_owned(), *answer, format!("{answer:?}")))
        .collect();
    let mut tx = world.ledger.begin(&Actor::Machine).await.unwrap();
    inspections::prefill(&mut tx, id, &seen, None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn photos_fill_the_checklist_in_and_people_have_the_last_word() {
    use Answer::{CannotDetermine, Compliant, NonCompliant, NotApplicable};
    let world = World::new().await;
    let visit = planned(&world).await;
    let unseen = |key: &str| (key.to_owned(), CannotDetermine);
    let list = ["helmets", "exits", "papers", "forklifts"];
    assert_eq!(answers(&world, visit.id).await, list.map(unseen));

    // a photo of nothing relevant leaves the item unseen, not inapplicable
    photo(
        &world,
        visit.id,
        &[("PPE-01", NotApplicable), ("EGR-01", NotApplicable)],
    )
    .await;
    assert_eq!(answers(&world, visit.id).await, list.map(unseen));
    photo(
        &world,
        visit.id,
        &[("PPE-01", Compliant), ("EGR-01", Compliant)],
    )
    .await;
    assert_eq!(answers(&world, visit.id).await[0].1, Compliant);
    photo(
        &world,
        visit.id,
        &[("PPE-01", NonCompliant), ("EGR-01", CannotDetermine)],
    )
    .await;
    photo(
        &world,
        visit.id,
        &[("PPE-01", Compliant), ("EGR-01", Compliant)],
    )
    .await;
    let now = answers(&world, visit.id).await;
    assert_eq!((now[0].1, now[1].1), (NonCompliant, CannotDetermine));

    let mut tx = world.ledger.begin(&ann()).await.unwrap();
    let seen = inspections::item(&mut tx, visit.id, "exits").await.unwrap();
    let stale = given("exits", Some(seen.version - 1), Compliant);
    let refused = inspections::answer(&mut tx, visit.id, stale).await;
    assert!(matches!(refused, Err(Error::Conflict { .. })));
    let mine = given("exits", Some(seen.version), Compliant);
    let now = inspections::answer(&mut tx, visit.id, mine).await.unwrap();
    assert_eq!(now.version, seen.version + 1);
    let unknown = inspections::answer(&mut tx, visit.id, given("dust", None, Compliant)).await;
    assert!(matches!(unknown, Err(Error::NotFound { .. })));
    tx.commit().await.unwrap();
    photo(&world, visit.id, &[("EGR-01", NonCompliant)]).await;
    assert_eq!(answers(&world, visit.id).await[1].1, Compliant);
    world.check().await;
}

#[tokio::test]
async fn an_inspection_goes_its_way_and_no_other() {
    use InspectionState::{Done, Feedback, Notified, OnSite, Planned, Remote};
    let world = World::new().await;
    let visit = planned(&world).await;
    let mut tx = world.ledger.begin(&ann()).await.unwrap();
    let attendee = inspections::Attendee {
        name: "Ann".to_owned(),
        role: "inspector".to_owned(),
    };
    for _ in 0..2 {
        inspections::add_attendee(&mut tx, visit.id, &attendee)
            .await
            .unwrap();
    }
    assert_eq!(
        inspections::attendees(&mut tx, visit.id).await.unwrap(),
        [attendee]
    );
    let mut version = 1;
    for to in [Notified, Remote, Feedback, Done] {
        for other in InspectionState::ALL {
            let now = inspections::get(&mut tx, visit.id).await.unwrap().state;
            if now.next().contains(&other) {
                continue;
            }
            assert!(
                inspections::step(&mut tx, visit.id, None, other)
                    .await
                    .is_err()
            );
        }
        let late = inspections::step(&mut tx, visit.id, Some(version + 1), to).await;
        assert!(matches!(late, Err(Error::Conflict { .. })));
        let visit = inspections::step(&mut tx, visit.id, Some(version), to)
            .await
            .unwrap();
        version = visit.version;
        assert_eq!(visit.state, to);
    }
    assert_eq!(Notified.next(), [OnSite, Remote]);
    assert!(Planned.next().contains(&Notified) && Done.next().is_empty());
}
