//! `/bank/samples`: outlines, and many samples that wait to be embedded.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sitewarden::bank::{Place, Role, Scope};
use sitewarden::finding::Actor;
use sitewarden::ledger::bank::{self as rows, NewSample};

use super::bank::{BLUE, ORANGE, Office, SAMPLES, of, photo};

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_may_have_an_outline() {
    let office = Office::new().await;
    let post = async |fields: &[(&str, &str)], number: u8| {
        let fields = [&[("role", "positive"), ("code", "EQP-02")], fields].concat();
        let photos = [photo(BLUE, number, Some(ORANGE))];
        office
            .form(&office.inspector, SAMPLES, &[], &fields, &photos)
            .await
    };
    let mask = ("mask", "0.4,0.4,0.6,0.4,0.6,0.6,0.4,0.6");
    post(&[mask, ("area", "0,0,1,1")], 1).await.problem(422);
    post(&[("mask", "0.4,0.4,0.6,0.6")], 1).await.problem(422);
    let added = post(&[mask], 1).await.is(201).json();
    let id = added["added"][0].as_str().unwrap();
    let sample = office.get(&format!("{SAMPLES}/{id}")).await;
    assert_eq!(sample["area"], json!([0.4, 0.4, 0.6, 0.6]));
    assert_eq!(sample["mask"][2], json!([0.6, 0.6]));
    // what is embedded is grey outside of it
    let path = format!("{SAMPLES}/{id}/picture");
    let picture = office
        .service
        .get(&office.inspector, &path)
        .await
        .is(200)
        .bytes;
    let picture = image::load_from_memory(&picture).unwrap().to_rgb8();
    let at = |x, y| picture.get_pixel(x, y).0;
    let (corner, middle) = (at(0, 0), at(picture.width() / 2, picture.height() / 2));
    assert!(corner.iter().all(|v| v.abs_diff(127) < 32), "{corner:?}");
    assert!(middle[0] > 200 && middle[2] < 60, "{middle:?}");
    let found = office
        .search(&office.inspector, photo(ORANGE, 1, None))
        .await;
    assert_eq!(found.is(200).json()["positives"][0]["mask"], sample["mask"]);
    let search = "/api/v1/bank/search";
    let photos = [photo(BLUE, 1, Some(ORANGE))];
    let same = office
        .form(&office.inspector, search, &[], &[mask], &photos)
        .await;
    let same = same.is(200).json();
    assert!(
        same["positives"][0]["similarity"].as_f64() > Some(0.9999),
        "{same}"
    );
    office.ledger_is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_that_waits_to_be_embedded_holds_nobody_up() {
    const MANY: usize = 4200;
    let office = Office::new().await;
    // as after a change of the embedder: samples whose photo is kept, and no embedding
    let orange = photo(ORANGE, 1, None);
    let added = office
        .add("positive", "PPE-01", std::slice::from_ref(&orange))
        .await;
    let first = added["added"][0].as_str().unwrap();
    let first = office.get(&format!("{SAMPLES}/{first}")).await;
    let samples: Vec<NewSample> = (0..MANY)
        .map(|n| NewSample {
            role: Role::Positive,
            hazard: Some("PPE-01".to_owned()),
            scope: Scope::Everywhere,
            place: Place::default(),
            photo_sha256: first["photo_sha256"].as_str().unwrap().to_owned(),
            photo_kept: true,
            area: [0.0, 0.0, 0.5 + n as f64 / 10_000.0, 1.0],
            mask: None,
            origin: "file".to_owned(),
            finding_id: None,
            embedding: None,
        })
        .collect();
    let mut tx = office
        .service
        .ledger
        .begin(&Actor::person("ann"))
        .await
        .unwrap();
    rows::add(&mut tx, &samples).await.unwrap();
    tx.commit().await.unwrap();
    let problem = office.search(&office.inspector, orange.clone()).await;
    assert!(problem.problem(503)["title"].is_string());
    let seen = office.judged(&photo(BLUE, 1, None)).await;
    let note = seen["result"]["note"].as_str().unwrap();
    assert!(note.contains("sample bank could not be asked"), "{note}");
    assert_eq!(of(&seen, "candidates", "PPE-01").len(), 1);

    let background = tokio::spawn(office.service.jobs.bank().clone().keep_ready());
    let end = Instant::now() + Duration::from_secs(600);
    let found = loop {
        let reply = office.search(&office.inspector, orange.clone()).await;
        if reply.status == 200 {
            break reply.json();
        }
        reply.problem(503);
        assert!(Instant::now() < end, "never embedded");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    background.abort();
    assert_eq!(found["samples"], MANY + 1);
    let seen = office.judged(&photo(BLUE, 2, None)).await;
    assert_eq!(seen["result"]["note"], Value::Null);
    assert_eq!(seen["decided_by"]["bank"]["samples"], MANY + 1);
    office.ledger_is_sound().await;
}
