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
    } = place(Service::idle(ServeConfig::default()).await).await;
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
    let first = place(Service::idle(ServeConfig::default()).await).await;
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
