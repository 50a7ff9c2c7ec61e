//! Opening, locking, migrating; what is written together; what cannot be changed.

use super::super::events::{self, EventFilter};
use super::super::idempotency::{KeptAnswer, KeyUse, keep};
use super::*;

#[tokio::test]
async fn a_ledger_in_use_is_refused_and_freed_again() {
    let world = World::new().await;
    let again = Ledger::open(&world.settings, world.clock.clone()).await;
    assert!(matches!(again, Err(Error::Locked(_))), "{again:?}");
    if let Some(url) = &world.settings.database_url {
        // another folder, the same database
        let other = tempfile::tempdir().unwrap();
        let mut settings = Settings::folder(other.path());
        settings.database_url = Some(url.clone());
        let again = Ledger::open(&settings, world.clock.clone()).await;
        assert!(matches!(again, Err(Error::Locked(_))), "{again:?}");
    }
    let (settings, clock) = (world.settings.clone(), world.clock.clone());
    world.ledger.close().await;
    drop(world.ledger);
    let ledger = Ledger::open(&settings, clock).await.unwrap();
    let mut db = ledger.read().await.unwrap();
    assert_eq!(
        enterprises::get(&mut db, world.enterprise.id)
            .await
            .unwrap(),
        world.enterprise
    );
}

#[tokio::test]
async fn migrations_keep_the_rows_that_are_there() {
    let (settings, _folder) = empty().await;
    let clock = Arc::new(SimulatedClock::new(time("2026-03-25T10:00:00Z")));
    let code = company(7).credit_code;
    for version in migrations::versions() {
        let ledger = Ledger::open_at(&settings, clock.clone(), version)
            .await
            .unwrap();
        let mut tx = ledger.begin(&ann()).await.unwrap();
        if version == 1 {
            enterprises::create(&mut tx, &company(7)).await.unwrap();
        }
        let kept = enterprises::by_credit_code(&mut tx, &code).await.unwrap();
        assert_eq!(kept.unwrap().name, "Company 7", "at version {version}");
        if version == 100 {
            for statement in PHOTO_OF_THEN {
                sqlx::query(statement).execute(tx.conn()).await.unwrap();
            }
        }
        tx.commit().await.unwrap();
        ledger.close().await;
    }
    // and once more over the newest
    let ledger = Ledger::open(&settings, clock).await.unwrap();
    assert_eq!(check::check(&ledger).await.unwrap().problems_total, 0);
    let all = photos::PhotoFilter::default();
    let mut photos = ledger.photos(&all, &Page::first()).await.unwrap();
    let photo = photos.items.remove(0);
    assert_eq!(photo.taken.unwrap().by, photos::TakenBy::Sender);
    assert_eq!(ledger.kept_answer("a", "at work").await.unwrap(), None);
}

/// As the first version of the service wrote them.
const PHOTO_OF_THEN: [&str; 4] = [
    "INSERT INTO accounts (id, login, roles, created_ms) \
     VALUES ('0197f000-0000-7000-8000-000000000001', 'ann', '[]', 1)",
    "INSERT INTO sites (id, enterprise_id, name, address, time_zone, created_ms, version) \
     SELECT '0197f000-0000-7000-8000-000000000002', id, 'Hall', '', 'UTC', 1, 1 FROM enterprises",
    "INSERT INTO photos (id, enterprise_id, site_id, account_id, name, sha256, bytes, taken_ms, received_ms, state) \
     SELECT '0197f000-0000-7000-8000-000000000003', id, '0197f000-0000-7000-8000-000000000002', \
     '0197f000-0000-7000-8000-000000000001', 'a.jpg', 'ab', 2, 1, 1, 'queued' FROM enterprises",
    "INSERT INTO idempotency_keys (account_id, name, fingerprint, created_ms) VALUES ('a', 'at work', 'f', 1)",
];

#[tokio::test]
async fn the_log_cannot_be_changed() {
    let world = World::new().await;
    for statement in [
        "UPDATE events SET actor = 'person:eve' WHERE seq = 1",
        "DELETE FROM events WHERE seq = 1",
        "DELETE FROM events",
    ] {
        let refused = world.force(statement).await.unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
    world.check().await;
}

#[tokio::test]
async fn a_change_that_is_not_committed_leaves_nothing() {
    let world = World::new().await;
    let count = async || {
        let mut db = world.ledger.read().await.unwrap();
        let events = sqlx::query("SELECT COUNT(*) AS n FROM events")
            .fetch_one(db.conn())
            .await
            .unwrap();
        sql::Columns::int(&events, "n").unwrap()
    };
    let before = count().await;
    let mut tx = world.ledger.begin(&ann()).await.unwrap();
    enterprises::create(&mut tx, &company(2)).await.unwrap();
    drop(tx);
    assert_eq!(count().await, before);
    let mut tx = world.ledger.begin(&ann()).await.unwrap();
    enterprises::create(&mut tx, &company(2)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count().await, before + 1);
}

#[tokio::test]
async fn an_answer_is_kept_with_its_effect_or_not_at_all() {
    let world = World::new().await;
    let key = |fingerprint: &str| KeyUse {
        account: "ann".to_owned(),
        name: "k".to_owned(),
        fingerprint: fingerprint.to_owned(),
    };
    let answer = |body: &str| KeptAnswer {
        status: 201,
        location: None,
        etag: None,
        body: body.to_owned(),
    };
    let code = company(2).credit_code;
    for commits in [false, true] {
        let mut tx = world.ledger.begin(&ann()).await.unwrap();
        enterprises::create(&mut tx, &company(2)).await.unwrap();
        let before = keep(&mut tx, &key("f"), &answer("one")).await.unwrap();
        assert_eq!(before, None);
        if commits {
            tx.commit().await.unwrap();
        } else {
            drop(tx);
        }
        let kept = world.ledger.kept_answer("ann", "k").await.unwrap();
        let mut db = world.ledger.read().await.unwrap();
        let made = enterprises::by_credit_code(&mut db, &code).await.unwrap();
        assert_eq!((kept.is_some(), made.is_some()), (commits, commits));
    }
    // the same again is told what was answered, another account or another day knows nothing
    let mut tx = world.ledger.begin(&ann()).await.unwrap();
    let before = keep(&mut tx, &key("g"), &answer("two")).await.unwrap();
    let before = before.unwrap();
    assert_eq!(
        (before.fingerprint.as_str(), before.answer.body.as_str()),
        ("f", "one")
    );
    drop(tx);
    world
        .ledger
        .change_kept_answer(&key("f"), &answer("three"))
        .await
        .unwrap();
    let kept = async |account: &str| world.ledger.kept_answer(account, "k").await.unwrap();
    assert_eq!(kept("ann").await.unwrap().answer.body, "three");
    assert_eq!(kept("bob").await, None);
    world.wait(24 * 3600 + 1);
    assert_eq!(kept("ann").await, None);
}

#[tokio::test]
async fn every_event_waits_in_the_outbox_until_it_is_delivered() {
    let world = World::new().await;
    let now = world.ledger.now();
    let mut tx = world.ledger.begin(&Actor::Machine).await.unwrap();
    let pending = events::pending(&mut tx, now, 10).await.unwrap();
    let kinds: Vec<_> = pending.iter().map(|e| (e.seq, e.kind.as_str())).collect();
    assert_eq!(
        kinds,
        [
            (1, "enterprise.created"),
            (2, "site.created"),
            (3, "camera.created")
        ]
    );
    events::delivered(&mut tx, 1).await.unwrap();
    let minute = SignedDuration::from_secs(60);
    events::delivery_failed(&mut tx, 2, "refused", minute)
        .await
        .unwrap();
    let seqs = |events: Vec<events::Event>| events.iter().map(|e| e.seq).collect::<Vec<_>>();
    assert_eq!(seqs(events::pending(&mut tx, now, 10).await.unwrap()), [3]);
    let later = events::pending(&mut tx, now + minute, 10).await.unwrap();
    assert_eq!(seqs(later), [2, 3]);
    tx.commit().await.unwrap();

    let mut db = world.ledger.read().await.unwrap();
    let page = Page {
        cursor: None,
        limit: 2,
    };
    let newest = events::list(&mut db, &EventFilter::default(), &page)
        .await
        .unwrap();
    assert_eq!(seqs(newest.items), [3, 2]);
    let page = Page {
        cursor: newest.next,
        limit: 2,
    };
    let oldest = events::list(&mut db, &EventFilter::default(), &page)
        .await
        .unwrap();
    assert_eq!((seqs(oldest.items), oldest.next), (vec![1], None));
}

#[tokio::test]
async fn one_company_has_one_file_and_versions_are_kept_apart() {
    let world = World::new().await;
    let mut tx = world.ledger.begin(&ann()).await.unwrap();
    let again = enterprises::create(&mut tx, &company(1)).await;
    assert!(
        matches!(&again, Err(Error::Duplicate { existing, .. }) if *existing == world.enterprise.id),
        "{again:?}"
    );
    let renamed = NewEnterprise {
        name: "New name".to_owned(),
        ..company(1)
    };
    let id = world.enterprise.id;
    let changed = enterprises::update(&mut tx, id, Some(1), &renamed)
        .await
        .unwrap();
    assert_eq!((changed.version, changed.name.as_str()), (2, "New name"));
    let late = enterprises::update(&mut tx, id, Some(1), &company(1)).await;
    assert!(
        matches!(late, Err(Error::Conflict { current: 2, .. })),
        "{late:?}"
    );
    let other = enterprises::update(&mut tx, id, None, &company(3)).await;
    assert!(matches!(
        other,
        Err(Error::Invalid {
            field: "credit_code",
            ..
        })
    ));
    let nowhere = NewSite {
        name: "x".to_owned(),
        address: String::new(),
        time_zone: "Mars/Olympus".to_owned(),
    };
    assert!(sites::create(&mut tx, id, &nowhere).await.is_err());
    let address = sites::add_camera(&mut tx, world.site.id, None, "c", "rtsp://10.0.0.1/").await;
    assert!(matches!(
        address,
        Err(Error::Invalid {
            field: "source",
            ..
        })
    ));
}

#[test]
fn identifiers_sort_by_creation() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let world = runtime.block_on(World::new());
    let ids: Vec<String> = (0..1000)
        .map(|_| world.ledger.new_id().to_string())
        .collect();
    assert!(ids.is_sorted_by(|a, b| a < b));
}
