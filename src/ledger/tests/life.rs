//! Findings through their lives: guards, concurrency, statistics, the self-check.

use super::super::statistics::{StatisticsFilter, from_events, statistics};
use super::*;
use crate::finding::{FindingState, Refusal};

#[tokio::test]
async fn a_finding_is_worked_through_to_closure() {
    let world = World::new().await;
    let id = world
        .ordered("1", 0.0, time("2026-04-10T21:59:59.999999Z"))
        .await;
    world.rectify(id).await;
    let refused = world.step(&bob(), id, Step::Close).await;
    assert!(matches!(
        refused,
        Err(Error::Refused(Refusal::VerifierIsSubmitter))
    ));
    let row = world.step(&ann(), id, Step::Close).await.unwrap();
    assert_eq!((row.finding.state, row.version), (FindingState::Closed, 5));
    let mut db = world.ledger.read().await.unwrap();
    assert_eq!(findings::get(&mut db, id).await.unwrap(), row);
    let evidence = findings::evidence(&mut db, id).await.unwrap();
    assert_eq!(evidence.len(), 1);
    assert_eq!(evidence[0].submitted_by, bob());
    let link = evidence[0].id;
    drop(db);
    let mut tx = world.ledger.begin(&Actor::Machine).await.unwrap();
    let checks = serde_json::json!({ "same_place": true });
    findings::set_checks(&mut tx, link, &checks).await.unwrap();
    let used = findings::used_by(&mut tx, &"ab".repeat(32)).await.unwrap();
    assert_eq!(used[0].checks, checks);
    tx.commit().await.unwrap();
    world.check().await;
}

#[tokio::test]
async fn a_machine_stays_at_candidates() {
    let world = World::new().await;
    let id = world.new_finding("1", 0.0).await;
    let severity = Severity::General;
    let refused = world
        .step(&Actor::Machine, id, Step::Confirm { severity })
        .await;
    assert!(matches!(refused, Err(Error::Refused(Refusal::Machine(_)))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_people_one_wins() {
    let world = World::new().await;
    for round in 0..20 {
        let id = world.new_finding(&round.to_string(), 0.0).await;
        let try_it = |by: Actor, step: Step| {
            let ledger = world.ledger.clone();
            tokio::spawn(async move {
                let mut tx = ledger.begin(&by).await?;
                let row = findings::step(&mut tx, id, Some(1), &step).await?;
                tx.commit().await?;
                Ok::<_, Error>(row)
            })
        };
        let severity = Severity::General;
        let reason = "no".to_owned();
        let confirm = try_it(ann(), Step::Confirm { severity });
        let reject = try_it(bob(), Step::Reject { reason });
        let results = [confirm.await.unwrap(), reject.await.unwrap()];
        let won = results.iter().filter(|r| r.is_ok()).count();
        let lost = results
            .iter()
            .filter(|r| {
                matches!(
                    r,
                    Err(Error::Conflict {
                        expected: 1,
                        current: 2,
                        ..
                    })
                )
            })
            .count();
        assert_eq!((won, lost), (1, 1), "{results:?}");
        let mut db = world.ledger.read().await.unwrap();
        let row = findings::get(&mut db, id).await.unwrap();
        assert_eq!(Some(&row), results.iter().flatten().next());
        // make room for the next round
        drop(db);
        if row.finding.state == FindingState::Confirmed {
            let to = "fire brigade".to_owned();
            world.step(&ann(), id, Step::Transfer { to }).await.unwrap();
        }
        let mut tx = world.ledger.begin(&ann()).await.unwrap();
        for d in findings::dismissals(&mut tx, world.site.id, &Page::first())
            .await
            .unwrap()
            .items
        {
            findings::revoke(&mut tx, d.id).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    world.check().await;
}

/// A year in the life of many findings, in random steps.
async fn random_year(world: &World, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut ids = Vec::new();
    let people = [ann(), bob(), Actor::person("cy"), Actor::Machine];
    for n in 0..900 {
        world.wait(random.i64(60..100_000));
        if ids.is_empty() || random.u8(..4) == 0 {
            let mut seen = world.sighting(&n.to_string(), random.f64() * 0.8);
            seen.hazard_code = format!("PPE-0{}", random.u8(1..4));
            seen.zone = random.choice(["A", "B", "C"]).unwrap().to_owned();
            let by = random.choice([Actor::Machine, ann()]).unwrap();
            if let Filed::New { finding_id } = world.file(&by, &seen).await.unwrap() {
                ids.push(finding_id);
            }
            continue;
        }
        let id = ids[random.usize(..ids.len())];
        let now = world.ledger.now();
        let due_at = now + SignedDuration::from_hours(random.i64(1..200));
        let (reason, severity) = ("r".to_owned(), Severity::General);
        let step = match random.u8(..12) {
            0 => Step::ProposeMajor { reason },
            1 | 2 => Step::Confirm { severity },
            3 => Step::Confirm {
                severity: Severity::Major,
            },
            4 => Step::Reject { reason },
            5 => Step::Merge {
                into: ids[random.usize(..ids.len())],
            },
            6 | 7 => Step::Order { due_at },
            8 => Step::Return { reason, due_at },
            9 | 10 => Step::Rectify {
                proof: Proof {
                    sha256: "cd".repeat(32),
                    taken_at: Some(now - SignedDuration::from_secs(random.i64(0..50_000))),
                },
            },
            _ => Step::Close,
        };
        let by = &people[random.usize(..people.len())];
        match world.step(by, id, step).await {
            Ok(_) | Err(Error::Refused(_) | Error::Invalid { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn statistics_are_what_the_events_add_up_to() {
    let world = World::new().await;
    random_year(&world, 7).await;
    let now = world.ledger.now();
    let day = |text: &str| Some(text.parse().unwrap());
    let filters = [
        StatisticsFilter::default(),
        StatisticsFilter {
            enterprise_id: Some(world.enterprise.id),
            ..Default::default()
        },
        StatisticsFilter {
            scope: Scope::Enterprises(vec![]),
            ..Default::default()
        },
        StatisticsFilter {
            from: day("2026-05-01"),
            to: day("2026-06-15"),
            ..Default::default()
        },
        StatisticsFilter {
            scope: Scope::Enterprises(vec![world.enterprise.id]),
            from: day("2026-05-01"),
            to: day("2026-06-15"),
            ..Default::default()
        },
    ];
    let mut db = world.ledger.read().await.unwrap();
    let mut all = Vec::new();
    for filter in &filters {
        let kept = statistics(&mut db, filter, now).await.unwrap();
        let told = from_events(&mut db, filter, now).await.unwrap();
        assert_eq!(kept, told, "{filter:?}");
        all.push(kept);
    }
    // the test is worth something only if there is something to count
    assert!(
        all[0].total > 20 && all[0].overdue > 0 && all[0].by_state.len() > 5,
        "{:?}",
        all[0]
    );
    assert_eq!(all[0], all[1]);
    assert_eq!(all[2].total, 0);
    assert!(all[3].total > 0 && all[3].total < all[0].total);
    assert_eq!(all[3], all[4]);
    drop(db);
    world.check().await;
}

#[tokio::test]
async fn the_self_check_sees_what_was_altered() {
    let world = World::new().await;
    world.ordered("1", 0.0, time("2026-04-10T22:00:00Z")).await;
    world.new_finding("2", 0.5).await;
    world.check().await;
    let alterations = [
        (
            "UPDATE findings SET due_ms = due_ms + 86400000 WHERE state = 'ordered'",
            "not what its events",
        ),
        (
            "UPDATE findings SET due_ms = due_ms - 86400000 WHERE state = 'ordered'",
            "",
        ),
        ("UPDATE finding_totals SET n = n + 1", "totals"),
        ("UPDATE finding_totals SET n = n - 1", ""),
        (
            "UPDATE enterprises SET credit_code = '91440300700000099X'",
            "credit code",
        ),
        ("DELETE FROM outbox WHERE event_seq = 2", "outbox"),
        ("DELETE FROM occurrences", "without a sighting"),
    ];
    for (statement, expected) in alterations {
        world.force(statement).await.unwrap();
        let report = check::check(&world.ledger).await.unwrap();
        assert_eq!(
            report.problems.is_empty(),
            expected.is_empty(),
            "{statement}"
        );
        assert!(
            expected.is_empty() || report.problems.iter().any(|p| p.contains(expected)),
            "{statement}: {report:?}"
        );
    }
    let report = check::check(&world.ledger).await.unwrap();
    assert_eq!(
        (report.findings, report.problems_total),
        (2, 3),
        "{report:?}"
    );
}
