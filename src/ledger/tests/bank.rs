//! The sample bank's rows: versions, undo, the self-check, what review teaches, the index.

mod index;

use super::super::bank::{self, IndexState, NewSample, SampleFilter};
use super::super::events::{self, EventFilter};
use super::super::findings;
use super::*;
use crate::bank::{EmbedderId, Mask, Matcher, Place, Policy, Role, Scope};
use crate::embedding::Embedding;

const D: usize = 8;

fn embedder() -> EmbedderId {
    EmbedderId {
        version: "test 1".to_owned(),
        dimensions: D,
    }
}

fn look(n: u64) -> Embedding {
    let mut rng = fastrand::Rng::with_seed(n);
    Embedding::normalised((0..D).map(|_| rng.f32() - 0.5).collect()).unwrap()
}

fn new(n: u64, role: Role) -> NewSample {
    NewSample {
        role,
        hazard: Some("EQP-02".to_owned()),
        scope: Scope::Everywhere,
        place: Place {
            site: "a".to_owned(),
            camera: String::new(),
        },
        photo_sha256: format!("{n:064x}"),
        photo_kept: true,
        area: [0.0, 0.25, 0.5, 1.0],
        mask: None,
        origin: "file".to_owned(),
        finding_id: None,
        embedding: Some((embedder(), look(n))),
    }
}

impl World {
    async fn teach(&self, samples: &[NewSample]) -> bank::Change {
        let mut tx = self.ledger.begin(&ann()).await.unwrap();
        let change = bank::add(&mut tx, samples).await.unwrap();
        tx.commit().await.unwrap();
        change
    }

    async fn forget(&self, ids: &[Id]) -> bank::Change {
        let mut tx = self.ledger.begin(&ann()).await.unwrap();
        let change = bank::remove(&mut tx, ids, "test").await.unwrap();
        tx.commit().await.unwrap();
        change
    }

    async fn undo(&self, version: Option<i64>) -> Result<bank::Change> {
        let mut tx = self.ledger.begin(&ann()).await?;
        let change = bank::undo(&mut tx, version).await?;
        tx.commit().await?;
        Ok(change)
    }

    /// All that the bank of a version says of a few pictures, to the last bit.
    async fn says(&self, at: Option<i64>) -> String {
        let mut db = self.ledger.read().await.unwrap();
        let loaded = bank::load(&mut db, &embedder(), at, |_| None)
            .await
            .unwrap();
        let policy = Policy {
            false_alarm_rate: 0.3,
            ..Policy::default()
        };
        let matcher = Matcher::new(&loaded.bank, Place::default(), policy);
        let verdicts: Vec<_> = (0..20)
            .map(|n| matcher.judge("EQP-02", &look(n)).unwrap())
            .collect();
        serde_json::to_string(&(loaded.without_embedding, verdicts)).unwrap()
    }
}

#[tokio::test]
async fn what_is_removed_comes_back_bit_for_bit_and_every_version_can_be_had_again() {
    let world = World::new().await;
    let positives: Vec<_> = (0..6).map(|n| new(n, Role::Positive)).collect();
    let first = world.teach(&positives).await;
    assert_eq!((first.version, first.added.len()), (1, 6));
    let other: Vec<_> = (10..20)
        .map(|n| NewSample {
            hazard: None,
            ..new(n, Role::Reference)
        })
        .collect();
    assert_eq!(world.teach(&other).await.version, 2);
    let before = world.says(None).await;
    let gone = world.forget(&first.added[2..4]).await;
    assert_eq!(gone.version, 3);
    let without = world.says(None).await;
    assert_ne!(without, before);
    let back = world.undo(None).await.unwrap();
    assert_eq!((back.version, &back.added[..]), (4, &first.added[2..4]));
    assert_eq!(world.says(None).await, before);
    assert_eq!(world.says(Some(2)).await, before);
    assert_eq!(world.says(Some(3)).await, without);
    // the next undo takes the second adding back, and that can be undone by its number
    let undone = world.undo(None).await.unwrap();
    assert_eq!((undone.version, undone.removed.len()), (5, 10));
    assert_ne!(world.says(None).await, before);
    assert!(world.undo(Some(3)).await.is_err(), "undone already");
    assert_eq!(world.undo(Some(5)).await.unwrap().added.len(), 10);
    assert_eq!(world.says(None).await, before);
    assert!(world.undo(Some(99)).await.is_err());
    // those that went and came back in between, too
    assert_eq!(world.undo(Some(1)).await.unwrap().removed.len(), 6);
    world.check().await;
    // a version that there is not
    let mut db = world.ledger.read().await.unwrap();
    let none = bank::load(&mut db, &embedder(), Some(99), |_| None).await;
    assert!(none.is_err());
    // events say all of it
    let filter = EventFilter::default();
    let events = events::list(&mut db, &filter, &Page::first())
        .await
        .unwrap();
    let kinds: Vec<_> = events.items.iter().rev().map(|e| e.kind.as_str()).collect();
    let expected = [
        "bank.added",
        "bank.added",
        "bank.removed",
        "bank.undone",
        "bank.undone",
        "bank.undone",
        "bank.undone",
    ];
    assert_eq!(kinds[3..], expected);
}

#[tokio::test]
async fn the_same_is_not_added_twice_and_nonsense_not_at_all() {
    let world = World::new().await;
    world.teach(&[new(1, Role::Positive)]).await;
    let again = world
        .teach(&[new(1, Role::Positive), new(1, Role::Positive)])
        .await;
    assert_eq!((again.version, again.already, again.added.len()), (1, 2, 0));
    let mut tx = world.ledger.begin(&Actor::Machine).await.unwrap();
    let machine = bank::add(&mut tx, &[new(2, Role::Positive)]).await;
    assert!(matches!(machine, Err(Error::Refused(_))), "{machine:?}");
    drop(tx);
    let good = new(2, Role::Negative);
    let wrong = [
        (
            "hazard",
            NewSample {
                hazard: None,
                ..good.clone()
            },
        ),
        (
            "area",
            NewSample {
                area: [0.5, 0.0, 0.5, 1.0],
                ..good.clone()
            },
        ),
        (
            "area",
            NewSample {
                area: [0.0, 0.0, f64::NAN, 1.0],
                ..good.clone()
            },
        ),
        (
            "area",
            NewSample {
                mask: Mask::parse("0,0.25,0.5,0.25,0.5,0.5", [1.0; 2]).ok(),
                ..good.clone()
            },
        ),
        (
            "camera",
            NewSample {
                scope: Scope::Camera,
                ..good.clone()
            },
        ),
        (
            "scope",
            NewSample {
                scope: Scope::Site,
                role: Role::Positive,
                ..good.clone()
            },
        ),
        (
            "site",
            NewSample {
                place: Place {
                    site: "a\u{1b}[2J".to_owned(),
                    camera: String::new(),
                },
                ..good.clone()
            },
        ),
        (
            "camera",
            NewSample {
                place: Place {
                    site: "a".to_owned(),
                    camera: "x".repeat(301),
                },
                ..good.clone()
            },
        ),
        (
            "photo_sha256",
            NewSample {
                photo_sha256: "../../x".to_owned(),
                ..good.clone()
            },
        ),
        (
            "embedding",
            NewSample {
                photo_kept: false,
                embedding: None,
                ..good.clone()
            },
        ),
        (
            "embedding",
            NewSample {
                embedding: Some((
                    EmbedderId {
                        dimensions: 9,
                        ..embedder()
                    },
                    look(1),
                )),
                ..good
            },
        ),
    ];
    for (field, sample) in wrong {
        let mut tx = world.ledger.begin(&ann()).await.unwrap();
        let refused = bank::add(&mut tx, &[sample]).await;
        assert!(
            matches!(&refused, Err(Error::Invalid { field: f, .. }) if *f == field),
            "{field}: {refused:?}"
        );
    }
    // with an outline it is another sample of the same photo, once
    let masked = NewSample {
        mask: Mask::parse("0,0.25,0.5,0.25,0.5,1", [1.0; 2]).ok(),
        ..new(1, Role::Positive)
    };
    let change = world.teach(&[masked.clone(), masked.clone()]).await;
    assert_eq!((change.added.len(), change.already), (1, 1));
    let mut db = world.ledger.read().await.unwrap();
    let kept = bank::get(&mut db, change.added[0]).await.unwrap();
    assert_eq!(kept.sample.mask, masked.mask);
    drop(db);
    world.check().await;
}

#[tokio::test]
async fn undoing_brings_back_no_double_and_nothing_whose_adding_was_undone() {
    let world = World::new().await;
    let alive = async || {
        let mut db = world.ledger.read().await.unwrap();
        let all = Page {
            limit: 10,
            cursor: None,
        };
        let rows = bank::list(&mut db, &SampleFilter::default(), &all).await;
        rows.unwrap().items.len()
    };
    let first = world.teach(&[new(1, Role::Positive)]).await.added[0];
    world.forget(&[first]).await;
    world.teach(&[new(1, Role::Positive)]).await;
    // version 2 took it away; meanwhile the same is there again
    assert_eq!(world.undo(Some(2)).await.unwrap().added, []);
    assert_eq!(alive().await, 1);
    let second = world.teach(&[new(2, Role::Positive)]).await;
    let gone = world.forget(&second.added).await;
    world.undo(Some(second.version)).await.unwrap();
    assert_eq!(world.undo(Some(gone.version)).await.unwrap().added, []);
    assert_eq!(alive().await, 1);
    world.check().await;
}

#[tokio::test]
async fn what_is_there_already_gets_what_it_lacks() {
    let world = World::new().await;
    let bare = NewSample {
        photo_kept: false,
        ..new(1, Role::Positive)
    };
    let id = world.teach(std::slice::from_ref(&bare)).await.added[0];
    assert_eq!(world.teach(std::slice::from_ref(&bare)).await.completed, 0);
    let newer = EmbedderId {
        version: "test 2".to_owned(),
        dimensions: 2,
    };
    let seen_by_newer = Embedding::normalised(vec![1.0, 2.0]).unwrap();
    let whole = NewSample {
        photo_kept: true,
        embedding: Some((newer.clone(), seen_by_newer.clone())),
        ..bare.clone()
    };
    let change = world.teach(&[whole.clone(), whole.clone()]).await;
    assert_eq!(
        (change.version, change.already, change.completed),
        (1, 2, 1)
    );
    // what it has is not changed, and nothing is taken from it
    let other = NewSample {
        embedding: Some((
            newer.clone(),
            Embedding::normalised(vec![1.0, 0.0]).unwrap(),
        )),
        ..bare
    };
    assert_eq!(world.teach(&[other]).await.completed, 0);
    let mut db = world.ledger.read().await.unwrap();
    assert!(bank::get(&mut db, id).await.unwrap().photo_kept);
    for (embedder, embedding) in [(embedder(), look(1)), (newer, seen_by_newer)] {
        let loaded = bank::load(&mut db, &embedder, None, |_| None)
            .await
            .unwrap();
        let rows: Vec<_> = loaded.bank.samples().map(|(_, row)| row.to_vec()).collect();
        assert_eq!(rows, [embedding.values()]);
    }
    drop(db);
    world.check().await;
}

#[tokio::test]
async fn embeddings_of_two_versions_live_side_by_side() {
    let world = World::new().await;
    let added = world
        .teach(&[new(1, Role::Positive), new(2, Role::Positive)])
        .await;
    let newer = EmbedderId {
        version: "test 2".to_owned(),
        dimensions: 2,
    };
    let mut db = world.ledger.read().await.unwrap();
    let loaded = bank::load(&mut db, &newer, None, |_| None).await.unwrap();
    assert_eq!((loaded.bank.len(), loaded.without_embedding), (0, 2));
    let waiting = bank::without_embedding(&mut db, &newer.version, 10)
        .await
        .unwrap();
    assert_eq!(waiting.len(), 2);
    drop(db);
    let one = Embedding::new(vec![0.0, 1.0]).unwrap();
    for embedding in [one.clone(), Embedding::new(vec![1.0, 0.0]).unwrap()] {
        // the second time is too late: what a bank has answered with stays
        let mut tx = world.ledger.begin(&Actor::Machine).await.unwrap();
        bank::embed(&mut tx, &newer, &[(added.added[0], embedding)])
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
    let mut db = world.ledger.read().await.unwrap();
    let loaded = bank::load(&mut db, &newer, None, |_| None).await.unwrap();
    assert_eq!((loaded.bank.len(), loaded.without_embedding), (1, 1));
    assert_eq!(loaded.bank.samples().next().unwrap().1, one.values());
    let known = bank::embedders(&mut db).await.unwrap();
    assert_eq!(known, [(embedder(), 2), (newer.clone(), 1)]);
    drop(db);
    let mut tx = world.ledger.begin(&Actor::Machine).await.unwrap();
    let refused = bank::embed(&mut tx, &newer, &[(added.added[1], look(1))]).await;
    assert!(matches!(
        refused,
        Err(Error::Invalid {
            field: "embedding",
            ..
        })
    ));
    drop(tx);
    world.check().await;
}

#[tokio::test]
async fn the_self_check_sees_what_was_changed_behind_its_back() {
    for (statement, word) in [
        (
            "UPDATE bank_samples SET role = 'negative'",
            "is not what its event says",
        ),
        (
            "UPDATE bank_spans SET until_version = 1",
            "is not alive from version 1",
        ),
        ("DELETE FROM bank_spans", "should be alive"),
        (
            "UPDATE bank_changes SET kind = 'remove'",
            "is not the change that its event says",
        ),
        (
            "UPDATE bank_embeddings SET embedding = 'AACAPwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='",
            "is not the one that was written",
        ),
        (
            "UPDATE bank_embeddings SET embedding = 'x'",
            "is not the one that was written",
        ),
        ("DELETE FROM bank_embeddings", "is not there"),
        (
            "INSERT INTO bank_changes (version, kind, event_seq) VALUES (2, 'add', 1)",
            "versions are not",
        ),
    ] {
        let world = World::new().await;
        world.teach(&[new(1, Role::Positive)]).await;
        world.check().await;
        world.force(statement).await.unwrap();
        let report = check::check(&world.ledger).await.unwrap();
        assert!(
            report.problems.iter().any(|p| p.contains(word)),
            "{statement}: {:?}",
            report.problems
        );
    }
}

#[tokio::test]
async fn review_teaches_the_bank_where_there_is_one() {
    let world = World::new().await;
    let confirm = Step::Confirm {
        severity: Severity::General,
    };
    let reject = Step::Reject {
        reason: "a hose".to_owned(),
    };
    let early = world.new_finding("1", 0.0).await;
    world.step(&ann(), early, confirm.clone()).await.unwrap();
    let count = async || {
        let mut db = world.ledger.read().await.unwrap();
        bank::version(&mut db).await.unwrap()
    };
    assert_eq!(count().await, 0, "nobody has a bank yet");
    world.teach(&[new(1, Role::Positive)]).await;
    let confirmed = world.new_finding("2", 0.3).await;
    world.step(&ann(), confirmed, confirm).await.unwrap();
    let rejected = world.new_finding("3", 0.7).await;
    world.step(&bob(), rejected, reject).await.unwrap();
    let of = async |finding: Id| {
        let mut db = world.ledger.read().await.unwrap();
        let filter = SampleFilter {
            finding_id: Some(finding),
            ..SampleFilter::default()
        };
        bank::list(&mut db, &filter, &Page::first())
            .await
            .unwrap()
            .items
    };
    let positive = of(confirmed).await.remove(0);
    assert_eq!(positive.sample.role, Role::Positive);
    assert_eq!(positive.sample.hazard.as_deref(), Some("PPE-01"));
    assert_eq!(positive.sample.area, [0.3, 0.1, 0.5, 0.5]);
    assert_eq!(positive.added_by, ann());
    let negative = of(rejected).await.remove(0);
    assert_eq!(
        (negative.sample.role, negative.sample.scope),
        (Role::Negative, Scope::Camera)
    );
    assert_eq!(negative.sample.place.camera, world.camera.id.to_string());
    // a dismissal that is taken back takes its sample along
    let mut tx = world.ledger.begin(&bob()).await.unwrap();
    let dismissals = findings::dismissals(&mut tx, world.site.id, &Page::first())
        .await
        .unwrap();
    let dismissal = dismissals
        .items
        .iter()
        .find(|d| d.finding_id == rejected)
        .unwrap()
        .id;
    findings::revoke(&mut tx, dismissal).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(of(rejected).await, []);
    world.check().await;
}
