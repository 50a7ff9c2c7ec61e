//! `/jobs`

use serde_json::json;
use sitewarden::api::ServeConfig;

use super::support::{Place, Service, photo, place};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_tells_its_progress_as_it_happens() {
    let Place {
        mut service,
        site,
        inspector,
        ..
    } = place(Service::idle(ServeConfig::default()).await, "Europe/Berlin").await;
    let fields = [("site", site.as_str())];
    let pictures: Vec<Vec<u8>> = (0..3).map(photo).collect();
    let photos: Vec<(&str, &[u8])> = pictures.iter().map(|p| ("p.jpg", p.as_slice())).collect();
    let job = service
        .upload(&inspector, "", &[], &fields, &photos)
        .await
        .is(202)
        .json();
    assert_eq!(
        (&job["state"], &job["received_at"]),
        (&json!("working"), &json!(null))
    );
    let path = format!("/api/v1/jobs/{}/events", job["id"].as_str().unwrap());
    service.work();
    // the stream ends by itself when the job does
    let reply = service.get(&inspector, &path).await.is(200);
    assert_eq!(reply.header("content-type"), "text/event-stream");
    let text = String::from_utf8(reply.bytes).unwrap();
    let events: Vec<&str> = text
        .lines()
        .filter_map(|l| l.strip_prefix("event: "))
        .collect();
    assert_eq!(events.last(), Some(&"done"), "{text}");
    assert!(events[..events.len() - 1].iter().all(|e| *e == "progress"));
    service.get("", &path).await.problem(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_process_had_claimed_is_taken_up_again() {
    let first = place(Service::idle(ServeConfig::default()).await, "Europe/Berlin").await;
    let fields = [("site", first.site.as_str())];
    let job = first
        .service
        .upload(&first.inspector, "", &[], &fields, &[("a.jpg", &photo(1))])
        .await
        .is(202)
        .json();
    let claimed = first.service.ledger.claim_photo().await.unwrap().unwrap();
    let mut again = first.service.reopen(0).await;
    let path = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap());
    let shown = again.get(&first.inspector, &path).await.is(200).json();
    assert_eq!(shown["photos"][0]["state"], "working");
    let taken = again
        .app
        .begin_work(&super::support::judge())
        .await
        .unwrap();
    assert_eq!(taken, 1);
    again.work();
    let done = again
        .upload(
            &first.inspector,
            "?wait=60",
            &[],
            &fields,
            &[("a.jpg", &photo(1))],
        )
        .await
        .is(200)
        .json();
    assert_eq!(done["photos"][0]["state"], "judged");
    assert_eq!(done["photos"][0]["id"], claimed.id.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_listed_for_those_who_may_follow_them() {
    let Place {
        mut service,
        enterprise,
        site,
        inspector,
    } = place(Service::idle(ServeConfig::default()).await, "Europe/Berlin").await;
    let gate = service.key("gate", &["ingest"], &[&enterprise]).await;
    let company = service
        .key("company", &["enterprise"], &[&enterprise])
        .await;
    let (other, elsewhere) = service.site("Other Ltd", "Asia/Shanghai").await;
    let stranger = service.key("stranger", &["inspector"], &[&other]).await;
    let mut sent = Vec::new();
    for (n, key, site) in [
        (1, &inspector, &site),
        (2, &gate, &site),
        (3, &stranger, &elsewhere),
        (4, &inspector, &site),
    ] {
        let (a, b) = (photo(2 * n), photo(2 * n + 1));
        let photos: [(&str, &[u8]); 2] = [("a.jpg", &a), ("b.jpg", &b)];
        let fields = [("site", site.as_str())];
        let job = service.upload(key, "", &[], &fields, &photos).await;
        sent.push(job.is(202).json()["id"].clone());
    }
    let ids = async |key: &str, query: &str| {
        let path = format!("/api/v1/jobs{query}");
        let all = service.all_pages(key, &path, 1).await;
        all.iter().map(|job| job["id"].clone()).collect::<Vec<_>>()
    };
    let of = |places: &[usize]| places.iter().map(|n| sent[*n].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&inspector, "").await, of(&[3, 2, 1, 0]));
    assert_eq!(ids(&company, "").await, of(&[3, 1, 0]));
    assert_eq!(ids(&stranger, "").await, of(&[2]));
    assert_eq!(ids(&gate, "").await, of(&[1]), "its own only");
    let here = format!("?site={elsewhere}");
    assert_eq!(ids(&inspector, &here).await, of(&[2]));
    assert_eq!(ids(&company, &here).await, of(&[]));

    let list = service.get(&inspector, "/api/v1/jobs").await.json();
    let newest = &list["items"][0];
    assert_eq!(
        (&newest["state"], &newest["total"], &newest["done"]),
        (&json!("working"), &json!(2), &json!(0))
    );
    service.work();
    let last = format!("/api/v1/jobs/{}/events", sent[3].as_str().unwrap());
    service.get(&inspector, &last).await.is(200);
    let list = service.get(&inspector, "/api/v1/jobs").await.json();
    let newest = &list["items"][0];
    assert_eq!(
        (&newest["state"], &newest["done"]),
        (&json!("done"), &json!(2))
    );
}
