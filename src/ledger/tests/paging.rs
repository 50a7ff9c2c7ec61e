//! Lists: cursors, filters, scopes.

use super::super::findings::FindingFilter;
use super::*;
use crate::finding::FindingState;

async fn all(world: &World, filter: &FindingFilter, limit: u32) -> Vec<Id> {
    let mut db = world.ledger.read().await.unwrap();
    let mut page = Page {
        cursor: None,
        limit,
    };
    let mut ids = Vec::new();
    loop {
        let part = findings::list(&mut db, filter, &page).await.unwrap();
        assert!(part.items.len() <= limit as usize);
        ids.extend(part.items.iter().map(|row| row.finding.id));
        match part.next {
            None => return ids,
            next => page.cursor = next,
        }
    }
}

#[tokio::test]
async fn pages_give_everything_once_newest_first() {
    let world = World::new().await;
    let mut expected = Vec::new();
    for n in 0..11 {
        let mut seen = world.sighting(&n.to_string(), 0.0);
        seen.hazard_code = format!("C-{n}");
        let Filed::New { finding_id } = world.file(&Actor::Machine, &seen).await.unwrap() else {
            panic!("not new")
        };
        expected.insert(0, finding_id);
        // several in the same millisecond
        if n % 3 == 0 {
            world.wait(1);
        }
    }
    for limit in [1, 2, 3, 5, 11, 50] {
        assert_eq!(
            all(&world, &FindingFilter::default(), limit).await,
            expected
        );
    }
    let mut db = world.ledger.read().await.unwrap();
    for cursor in ["", "x", "1", "1.x", "'; DROP TABLE findings; --"] {
        let page = Page {
            cursor: Some(cursor.to_owned()),
            limit: 5,
        };
        let refused = findings::list(&mut db, &FindingFilter::default(), &page).await;
        assert!(matches!(
            refused,
            Err(Error::Invalid {
                field: "cursor",
                ..
            })
        ));
    }
}

#[tokio::test]
async fn filters_restrict_and_combine() {
    let world = World::new().await;
    let due = time("2026-03-26T10:00:00Z");
    let ordered = world.ordered("1", 0.0, due).await;
    world.wait(1);
    let middle = world.ledger.now();
    world.wait(1);
    let candidate = world.new_finding("2", 0.5).await;
    let with = |change: &dyn Fn(&mut FindingFilter)| {
        let mut filter = FindingFilter::default();
        change(&mut filter);
        filter
    };
    let e = world.enterprise.id;
    let nobody = Id::from_uuid(uuid::Uuid::nil());
    type Change<'a> = &'a dyn Fn(&mut FindingFilter);
    let cases: [(Change<'_>, &[Id]); 14] = [
        (&|_| (), &[candidate, ordered]),
        (&|f| f.scope = Scope::Enterprises(vec![]), &[]),
        (&|f| f.scope = Scope::Enterprises(vec![nobody]), &[]),
        (
            &|f| f.scope = Scope::Enterprises(vec![nobody, e]),
            &[candidate, ordered],
        ),
        (&|f| f.enterprise_id = Some(e), &[candidate, ordered]),
        (&|f| f.site_id = Some(nobody), &[]),
        (&|f| f.states = vec![FindingState::Ordered], &[ordered]),
        (
            &|f| f.states = vec![FindingState::Ordered, FindingState::Candidate],
            &[candidate, ordered],
        ),
        (&|f| f.severity = Some(Severity::General), &[ordered]),
        (&|f| f.hazard_code = Some("PPE-02".into()), &[]),
        (&|f| f.from = Some(middle), &[candidate]),
        (&|f| f.before = Some(middle), &[ordered]),
        (&|f| f.overdue_at = Some(due), &[]),
        (
            &|f| f.overdue_at = Some(due + SignedDuration::from_secs(1)),
            &[ordered],
        ),
    ];
    for (n, (change, expected)) in cases.into_iter().enumerate() {
        assert_eq!(all(&world, &with(change), 50).await, expected, "case {n}");
    }
}

#[tokio::test]
async fn companies_are_found_by_the_beginning_of_their_name() {
    let world = World::new().await;
    let mut tx = world.ledger.begin(&ann()).await.unwrap();
    for (n, name) in [(2, "北京安全"), (3, "北京%仓库"), (4, "北方")] {
        let new = NewEnterprise {
            name: name.to_owned(),
            ..company(n)
        };
        enterprises::create(&mut tx, &new).await.unwrap();
    }
    tx.commit().await.unwrap();
    let mut db = world.ledger.read().await.unwrap();
    for (prefix, expected) in [
        ("北京", 2),
        ("北", 3),
        ("北京%", 1),
        ("%", 0),
        ("Company", 1),
    ] {
        let filter = enterprises::EnterpriseFilter {
            name_prefix: Some(prefix.to_owned()),
            ..Default::default()
        };
        let found = enterprises::list(&mut db, &filter, &Page::first())
            .await
            .unwrap();
        assert_eq!(found.items.len(), expected, "{prefix}");
    }
}
