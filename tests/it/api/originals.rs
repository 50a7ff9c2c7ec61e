//! Originals, and the room for them.

use sitewarden::api::ServeConfig;

use super::support::{Place, Service, photo, place};
use crate::support::{program, text};

#[tokio::test(flavor = "multi_thread")]
async fn originals_of_refused_uploads_are_found_and_deleted_and_lost_ones_reported() {
    let Place {
        service,
        site,
        inspector,
        ..
    } = place(Service::idle(ServeConfig::default()).await, "Europe/Berlin").await;
    let fields = [("site", site.as_str())];
    let (kept, refused) = (photo(1), photo(2));
    let job = service
        .upload(&inspector, "", &[], &fields, &[("a.jpg", &kept)])
        .await
        .is(202)
        .json();
    // the second photo is empty: the first was received already
    service
        .upload(
            &inspector,
            "",
            &[],
            &fields,
            &[("b.jpg", &refused), ("c.jpg", &[])],
        )
        .await
        .problem(422);
    let data = service.end().await;
    let check = |more: &[&str]| {
        let output = program()
            .args(["ledger", "check"])
            .args(data.arguments())
            .args(more)
            .output()
            .unwrap();
        (output.status.code(), text(&output.stdout))
    };
    let (code, said) = check(&[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 originals that nothing names"), "{said}");
    let (code, said) = check(&["--remove-orphans"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("deleted"), "{said}");
    let (_, said) = check(&[]);
    assert!(!said.contains("that nothing names"), "{said}");

    let sha256 = job["photos"][0]["sha256"].as_str().unwrap();
    let original = data
        .folder()
        .join("originals")
        .join(&sha256[..2])
        .join(sha256);
    assert_eq!(std::fs::read(&original).unwrap(), kept);
    std::fs::remove_file(&original).unwrap();
    let (code, said) = check(&[]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains(sha256), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_new_photos_and_loses_none() {
    let first = place(Service::start().await, "Europe/Berlin").await;
    let fields = [("site", first.site.as_str())];
    let (a, b) = (photo(1), photo(2));
    let job = first
        .service
        .upload(&first.inspector, "?wait=60", &[], &fields, &[("a.jpg", &a)])
        .await
        .is(200)
        .json();
    let full = first.service.reopen(u64::MAX).await;
    let reply = full
        .upload(&first.inspector, "", &[], &fields, &[("b.jpg", &b)])
        .await;
    let problem = reply.problem(507);
    assert!(problem["detail"].as_str().unwrap().contains("full"));
    let path = format!(
        "/api/v1/photos/{}/original",
        job["photos"][0]["id"].as_str().unwrap()
    );
    assert_eq!(full.get(&first.inspector, &path).await.is(200).bytes, a);
}
