//! Reminders: each exactly once, by the injected clock.

use super::super::orders::{self, ReminderKind};
use super::*;

/// What goes out now.
async fn due(world: &World) -> Vec<ReminderKind> {
    let mut tx = world.ledger.begin(&Actor::Machine).await.unwrap();
    let (sent, more) = orders::remind(&mut tx, 100).await.unwrap();
    tx.commit().await.unwrap();
    assert!(!more);
    sent.iter().map(|reminder| reminder.kind).collect()
}

fn end_of(world: &World, day: &str) -> Timestamp {
    orders::end_of_day(day.parse().unwrap(), &world.site.tz().unwrap()).unwrap()
}

#[tokio::test]
async fn each_reminder_goes_out_once_across_a_change_of_clocks() {
    use ReminderKind::{Escalation, OnTheDay, ThreeDaysBefore};
    let world = World::new().await;
    // Berlin's clocks go forward on the 29th
    world.ordered("1", 0.0, end_of(&world, "2026-03-30")).await;
    let timeline: [(&str, &[ReminderKind]); 8] = [
        ("2026-03-27T07:59:59.999Z", &[]),
        ("2026-03-27T08:00:00Z", &[ThreeDaysBefore]),
        ("2026-03-27T08:00:01Z", &[]),
        ("2026-03-30T06:59:59Z", &[]),
        ("2026-03-30T07:00:00Z", &[OnTheDay]),
        ("2026-03-30T21:59:59Z", &[]),
        ("2026-03-31T07:00:00Z", &[Escalation]),
        ("2027-03-31T07:00:00Z", &[]),
    ];
    for (at, expected) in timeline {
        world.clock.set(time(at));
        assert_eq!(due(&world).await, expected, "{at}");
    }
    world.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_that_remind_at_once_remind_once() {
    let world = World::new().await;
    for n in 0..4 {
        let x = f64::from(n) * 0.25;
        world
            .ordered(&n.to_string(), x.min(0.8), end_of(&world, "2026-04-30"))
            .await;
    }
    world.clock.set(time("2026-06-01T00:00:00Z"));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let ledger = world.ledger.clone();
            tokio::spawn(async move {
                let mut sent = 0;
                loop {
                    let mut tx = ledger.begin(&Actor::Machine).await.unwrap();
                    let (part, more) = orders::remind(&mut tx, 5).await.unwrap();
                    tx.commit().await.unwrap();
                    sent += part.len();
                    if !more {
                        return sent;
                    }
                }
            })
        })
        .collect();
    let mut sent = 0;
    for task in tasks {
        sent += task.await.unwrap();
    }
    assert_eq!(sent, 4 * 3);
    let mut db = world.ledger.read().await.unwrap();
    let filter = events::EventFilter {
        kind: Some("reminder.due".to_owned()),
        ..Default::default()
    };
    let told = events::list(&mut db, &filter, &Page::first())
        .await
        .unwrap();
    assert_eq!(told.items.len(), 4 * 3);
}

#[tokio::test]
async fn what_is_rectified_is_not_reminded_of_and_a_return_plans_anew() {
    use ReminderKind::{Escalation, OnTheDay};
    let world = World::new().await;
    let id = world.ordered("1", 0.0, end_of(&world, "2026-03-30")).await;
    world.rectify(id).await;
    world.clock.set(time("2026-04-02T10:00:00Z"));
    assert_eq!(due(&world).await, []);
    // a day's notice: three days before has passed already
    let back = Step::Return {
        reason: "blurred".to_owned(),
        due_at: end_of(&world, "2026-04-03"),
    };
    world.step(&ann(), id, back).await.unwrap();
    world.clock.set(time("2026-04-10T00:00:00Z"));
    assert_eq!(due(&world).await, [OnTheDay, Escalation]);
    let mut db = world.ledger.read().await.unwrap();
    let orders = orders::of_finding(&mut db, id).await.unwrap();
    let short: Vec<_> = orders
        .iter()
        .map(|o| (o.number, o.reason.as_deref()))
        .collect();
    assert_eq!(short, [(1, None), (2, Some("blurred"))]);
    drop(db);
    world.check().await;
}
