//! Photos: accepted once, claimed with what the place says, found again by how they look.

use super::super::accounts::{self, NewAccount};
use super::super::events::Context;
use super::super::findings::OfFindings;
use super::super::photos::{self, Taken, TakenBy};
use super::super::queue::{ClaimedPhoto, Completed, JudgedPhoto};
use super::super::uploads::{self, Accepted, NewPhoto, NewUpload};
use super::*;
use crate::record::PhotoRecord;

async fn accept(world: &World, account: Id, digests: &[&str]) -> Accepted {
    let photo = |sha256: &&str| NewPhoto {
        name: "a.jpg".to_owned(),
        sha256: (*sha256).to_owned(),
        bytes: 1,
        taken: Some(Taken {
            at: time("2026-03-24T23:30:00Z"),
            by: TakenBy::Exif,
        }),
    };
    let new = NewUpload {
        camera_id: None,
        account_id: account,
        enterprise_id: world.enterprise.id,
        site_id: world.site.id,
        inspection_id: None,
        taken_at: None,
        photos: digests.iter().map(photo).collect(),
    };
    let mut tx = world.ledger.begin(&ann()).await.unwrap();
    let accepted = uploads::accept(&mut tx, &new).await.unwrap();
    tx.commit().await.unwrap();
    accepted
}

async fn inspector(world: &World) -> Id {
    let new = NewAccount {
        login: "ann".to_owned(),
        roles: vec!["inspector".to_owned()],
        enterprises: None,
        password_hash: None,
    };
    let mut tx = world.ledger.begin(&ann()).await.unwrap();
    let account = accounts::create(&mut tx, new).await.unwrap();
    tx.commit().await.unwrap();
    account.id
}

fn context() -> Context {
    Context {
        bank: None,
        model: None,
        rules_sha256: "r".to_owned(),
        config_sha256: "c".to_owned(),
        thresholds: [].into(),
    }
}

async fn judge(world: &World, claim: &ClaimedPhoto, fingerprint: u128) {
    let judged = JudgedPhoto {
        record: PhotoRecord::unreadable(claim.name.clone(), "too dark".to_owned()),
        decided_by: context(),
        fingerprint: Some(fingerprint),
    };
    let completed = world.ledger.complete_photo(claim, &judged, false).await;
    assert!(completed.unwrap().done);
}

#[tokio::test]
async fn a_worker_takes_the_next_photo_with_the_end_of_the_one_before() {
    let world = World::new().await;
    let account = inspector(&world).await;
    let digests = ["aa", "ab"].map(|start| start.repeat(32));
    let names: Vec<&str> = digests.iter().map(String::as_str).collect();
    accept(&world, account, &names).await;
    let first = world.ledger.claim_photo().await.unwrap().unwrap();
    let judged = JudgedPhoto {
        record: PhotoRecord::unreadable(first.name.clone(), "too dark".to_owned()),
        decided_by: context(),
        fingerprint: None,
    };
    let end = async |claim, next| {
        let completed = world.ledger.complete_photo(claim, &judged, next).await;
        completed.unwrap()
    };
    let second = end(&first, true).await.next.unwrap();
    assert_eq!((&second.sha256, second.attempt), (&digests[1], 1));
    assert_eq!(world.ledger.photos_waiting().await.unwrap(), 0);
    // told twice: neither the effect nor a claim
    assert_eq!(end(&first, true).await, Completed::default());
    let last = end(&second, true).await;
    assert_eq!((last.done, last.next), (true, None));
    world.check().await;
}

#[tokio::test]
async fn what_was_in_hand_when_the_process_ended_waits_behind_the_others() {
    let world = World::new().await;
    let account = inspector(&world).await;
    let digests = ["aa", "ab", "af"].map(|start| start.repeat(32));
    let names: Vec<&str> = digests.iter().map(String::as_str).collect();
    accept(&world, account, &names).await;
    let claim = async || world.ledger.claim_photo().await.unwrap();
    let mut tried = Vec::new();
    for _ in 0..7 {
        tried.push(claim().await.unwrap().sha256);
        world.ledger.recover_photos(&context()).await.unwrap();
    }
    let round = [&digests[0], &digests[1], &digests[2]];
    assert_eq!(
        tried.iter().take(6).collect::<Vec<_>>(),
        [round, round].concat()
    );
    // one of them ends the process again and again: in the end it is given up, and said so
    let mut left = 0;
    while let Some(photo) = claim().await {
        assert!(left < 20, "tried for ever");
        left += 1;
        if photo.sha256 == digests[0] {
            world.ledger.recover_photos(&context()).await.unwrap();
        } else {
            judge(&world, &photo, 1).await;
        }
    }
    let all = photos::PhotoFilter::default();
    let all = world
        .ledger
        .photos(&all, &Page::first())
        .await
        .unwrap()
        .items;
    let given_up = all.iter().find(|p| p.sha256 == digests[0]).unwrap();
    let error = given_up.record.as_ref().unwrap().error.as_ref().unwrap();
    assert!(error.contains("ended 5 times"), "{error}");
    world.check().await;
}

#[tokio::test]
async fn photos_are_accepted_once_claimed_and_found_again_by_their_look() {
    let world = World::new().await;
    let account = inspector(&world).await;
    let digests = ["aa", "ab", "af", "b0"].map(|start| start.repeat(32));
    let names: Vec<&str> = digests.iter().map(String::as_str).collect();
    let accepted = accept(&world, account, &names).await;
    assert_eq!(accepted.new, 4);
    assert_eq!(accept(&world, account, &names[..2]).await.new, 0);
    assert_eq!(world.ledger.photos_waiting().await.unwrap(), 4);

    let own = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128;
    // six bits differ, in six parts; one bit in each of the eight; all of them
    let six = own ^ 0x0001_0001_0001_0001_0001_0001_0000_0000;
    let eight = own ^ 0x0001_0001_0001_0001_0001_0001_0001_0001;
    for fingerprint in [own, six, eight, !own] {
        let claim = world.ledger.claim_photo().await.unwrap().unwrap();
        // the day at the site, and the facts of its enterprise
        assert_eq!(claim.day, "2026-03-25");
        assert_eq!(claim.facts, company(1).facts);
        judge(&world, &claim, fingerprint).await;
    }
    let near = |a: u128, b: u128| (a ^ b).count_ones() <= 6;
    let alike = world.ledger.photos_alike(&digests[0], own, near).await;
    assert_eq!(alike.unwrap(), 1);
    // what agrees in no part is not even read
    let read = world.ledger.photos_alike(&digests[0], own, |_, _| true);
    assert_eq!(read.await.unwrap(), 1);

    let mut db = world.ledger.read().await.unwrap();
    let upload = uploads::get(&mut db, accepted.upload).await.unwrap();
    assert_eq!((upload.total, upload.done), (4, 4));
    let of_upload = uploads::photos(&mut db, upload.id).await.unwrap();
    assert_eq!(of_upload[0].taken.unwrap().by, TakenBy::Exif);
    for (first, n) in [(0xaa, 1), (0xab, 1), (0xac, 0), (0xaf, 1), (0xb0, 1)] {
        let named = photos::originals(&mut db, first).await.unwrap();
        assert_eq!(named.len(), n, "{first:x}");
        assert!(named.values().all(|is_photo| *is_photo));
    }
}

#[tokio::test]
async fn photos_by_hand_show_one_thing_only_where_they_look_the_same() {
    let world = World::new().await;
    let account = inspector(&world).await;
    let digests = ["aa", "ab", "af"].map(|start| start.repeat(32));
    let names: Vec<&str> = digests.iter().map(String::as_str).collect();
    accept(&world, account, &names).await;
    let own = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128;
    let mut filed = Vec::new();
    // another view, and the first one again, somewhat smaller
    for fingerprint in [own, !own, own ^ 1] {
        let claim = world.ledger.claim_photo().await.unwrap().unwrap();
        judge(&world, &claim, fingerprint).await;
        let seen = findings::Sighting {
            of_watch: None,
            zone: String::new(),
            camera_id: None,
            photo_sha256: Some(claim.sha256.clone()),
            ..world.sighting(&claim.sha256, 0.3)
        };
        filed.push(world.file(&Actor::Machine, &seen).await.unwrap());
    }
    let [Filed::New { finding_id }, Filed::New { .. }, again] = filed[..] else {
        panic!("{filed:?}");
    };
    assert_eq!(again, Filed::Appended { finding_id });
}

#[tokio::test]
async fn what_belongs_to_findings_is_found_by_enterprise_site_and_finding() {
    let world = World::new().await;
    let due = time("2026-04-10T12:00:00Z");
    let one = world.ordered("1", 0.0, due).await;
    let two = world.ordered("2", 0.5, due).await;
    world.rectify(two).await;
    let mut db = world.ledger.read().await.unwrap();
    let nobody = Scope::Enterprises(vec![]);
    let of = |finding_id: Option<Id>, scope: &Scope| OfFindings {
        scope: scope.clone(),
        enterprise_id: Some(world.enterprise.id),
        site_id: Some(world.site.id),
        finding_id,
    };
    for (finding, scope, counts) in [
        (None, &Scope::All, [2, 2, 1]),
        (Some(one), &Scope::All, [1, 1, 0]),
        (Some(two), &Scope::All, [1, 1, 1]),
        (None, &nobody, [0, 0, 0]),
    ] {
        let (of, page) = (of(finding, scope), Page::first());
        let seen = findings::all_occurrences(&mut db, &of, &page)
            .await
            .unwrap();
        let orders = orders::list(&mut db, &of, &page).await.unwrap();
        let evidence = findings::all_evidence(&mut db, &of, &page).await.unwrap();
        let found = [seen.items.len(), orders.items.len(), evidence.items.len()];
        assert_eq!(found, counts);
    }
    let page = Page {
        cursor: None,
        limit: 1,
    };
    let first = orders::list(&mut db, &of(None, &Scope::All), &page)
        .await
        .unwrap();
    assert_eq!(first.items[0].finding_id, two);
    let page = Page {
        cursor: first.next,
        limit: 1,
    };
    let last = orders::list(&mut db, &of(None, &Scope::All), &page)
        .await
        .unwrap();
    assert_eq!((last.items[0].finding_id, last.next), (one, None));
}

#[tokio::test]
async fn whoever_knew_the_old_password_is_out() {
    let world = World::new().await;
    let account = inspector(&world).await;
    let later = world.ledger.now() + SignedDuration::from_hours(1);
    for session in ["mine", "other"] {
        world
            .ledger
            .begin_session(account, session, later)
            .await
            .unwrap();
    }
    world
        .ledger
        .set_password(account, "hash", Some("mine"), &ann())
        .await
        .unwrap();
    let of = async |session| world.ledger.account_of_session(session).await.unwrap();
    assert_eq!(
        of("mine").await.unwrap().password_hash.as_deref(),
        Some("hash")
    );
    assert_eq!(of("other").await, None);
    let nobody = world.ledger.new_id();
    let by = ann();
    let unknown = world.ledger.set_password(nobody, "hash", None, &by);
    assert!(matches!(unknown.await, Err(Error::NotFound { .. })));
}
