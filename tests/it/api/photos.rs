//! `/photos`

use serde_json::json;

use super::support::{Place, Service, first_photo, photo, place};
use crate::support::{jpeg_taken};

#[tokio::test(flavor = "multi_thread")]
async fn photos_become_records_and_candidates() {
    let Place {
        service,
        site,
        inspector,
        ..
    } = place(Service::start().await).await;
    let fields = [("site", site.as_str()), ("taken_at", "2026-06-01T09:00:00")];
    let (a, b) = (photo(1), photo(2));
    let photos: [(&str, &[u8]); 2] = [("a.jpg", &a), ("b.jpg", &b)];
    let reply = service
        .upload(&inspector, "?wait=60", &[], &fields, &photos)
        .await
        .is(200);
    let job = reply.json();
    assert_eq!((&job["state"], &job["done"]), (&json!("done"), &json!(2)));
    assert_eq!(job["photos"][0]["name"], "a.jpg");
    assert_eq!(job["photos"][0]["known"], false);
    let at = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap());
    assert_eq!(reply.header("location"), at);
    assert_eq!(service.get(&inspector, &at).await.is(200).json(), job);

    let path = first_photo(&job);
    let shown = service.get(&inspector, &path).await.is(200).json();
    assert_eq!(shown["taken_at"], "2026-06-01T07:00:00Z");
    assert_eq!(
        shown["taken_at_local"],
        "2026-06-01T09:00:00+02:00[Europe/Berlin]"
    );
    let result = &shown["result"];
    assert_eq!(result["candidates"][0]["code"], "PPE-01", "{result}");
    assert!(result["answers"].as_array().unwrap().len() > 10);
    assert_eq!(shown["decided_by"]["model"]["name"], "site-nano");
    let original = service
        .get(&inspector, &format!("{path}/original"))
        .await
        .is(200);
    assert_eq!(original.bytes, a, "kept as received");

    let list = service
        .get(&inspector, "/api/v1/photos?limit=1")
        .await
        .is(200)
        .json();
    assert_eq!(list["items"][0]["name"], "b.jpg");
    let next = format!(
        "/api/v1/photos?limit=1&cursor={}",
        list["next_cursor"].as_str().unwrap()
    );
    let list = service.get(&inspector, &next).await.is(200).json();
    assert_eq!(list["items"][0]["name"], "a.jpg");
    assert_eq!(list["next_cursor"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_photo_twice_is_one_photo() {
    let Place {
        service,
        site,
        inspector,
        ..
    } = place(Service::start().await).await;
    let fields = [("site", site.as_str())];
    let a = photo(1);
    let photos: [(&str, &[u8]); 2] = [("a.jpg", &a), ("copy of a.jpg", &a)];
    let first = service
        .upload(&inspector, "?wait=60", &[], &fields, &photos)
        .await
        .is(200)
        .json();
    let second = service
        .upload(&inspector, "?wait=60", &[], &fields, &photos[..1])
        .await
        .is(200)
        .json();
    let id = &first["photos"][0]["id"];
    assert_eq!(&first["photos"][1]["id"], id);
    assert_eq!(first["photos"][1]["known"], true);
    assert_eq!(&second["photos"][0]["id"], id);
    assert_ne!(first["id"], second["id"]);
    let list = service.get(&inspector, "/api/v1/photos").await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_is_asked_when_it_was_taken_unless_the_sender_says() {
    let Place {
        service,
        site,
        inspector,
        ..
    } = place(Service::start().await).await;
    let taken = |number: u32, time: &str, offset| {
        jpeg_taken(&crate::support::gradient(100 + number, 100), time, offset)
    };
    let with_offset = taken(1, "2026:05:31 09:00:00", Some("+08:00"));
    let without = taken(2, "2026:05:31 09:00:00", None);
    let twice = taken(3, "2025:10:26 02:30:00", None);
    let tomorrow = taken(4, "2026:06:02 09:00:00", None);
    let silent = photo(1);
    let photos: [(&str, &[u8]); 5] = [
        ("offset.jpg", &with_offset),
        ("site.jpg", &without),
        ("twice.jpg", &twice),
        ("tomorrow.jpg", &tomorrow),
        ("silent.jpg", &silent),
    ];
    let fields = [("site", site.as_str())];
    let job = service
        .upload(&inspector, "?wait=60", &[], &fields, &photos)
        .await
        .is(200)
        .json();
    let nothing = json!([null, null]);
    let said = [
        json!(["2026-05-31T01:00:00Z", "exif"]),
        json!(["2026-05-31T07:00:00Z", "exif_site_clock"]),
        nothing.clone(),
        nothing.clone(),
        nothing,
    ];
    for (photo, said) in job["photos"].as_array().unwrap().iter().zip(&said) {
        let name = &photo["name"];
        let told = json!([photo["taken_at"], photo["taken_at_source"]]);
        assert_eq!(told, *said, "{name}");
        let path = format!("/api/v1/photos/{}", photo["id"].as_str().unwrap());
        let shown = service.get(&inspector, &path).await.is(200).json();
        let told = json!([shown["taken_at"], shown["taken_at_source"]]);
        assert_eq!(told, *said, "{name}");
    }
    // the sender's word counts
    let says = [
        ("site", site.as_str()),
        ("taken_at", "2026-05-30T10:00:00Z"),
    ];
    let other = taken(5, "2026:05:31 09:00:00", Some("+08:00"));
    let job = service
        .upload(&inspector, "", &[], &says, &[("a.jpg", &other)])
        .await
        .is(202)
        .json();
    assert_eq!(job["photos"][0]["taken_at"], "2026-05-30T10:00:00Z");
    assert_eq!(job["photos"][0]["taken_at_source"], "sender");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_picture_is_kept_and_told() {
    let Place {
        service,
        site,
        inspector,
        ..
    } = place(Service::start().await).await;
    let fields = [("site", site.as_str())];
    let words: &[u8] = b"not a picture";
    let job = service
        .upload(&inspector, "?wait=60", &[], &fields, &[("a.txt", words)])
        .await
        .is(200)
        .json();
    assert_eq!(job["photos"][0]["state"], "unreadable");
    let path = first_photo(&job);
    let shown = service.get(&inspector, &path).await.json();
    assert!(
        shown["result"]["error"]
            .as_str()
            .unwrap()
            .contains("not a picture")
    );
    service
        .get(&inspector, &format!("{path}/picture"))
        .await
        .problem(409);
}
