//! `/photos`

use std::process::Command;

use serde_json::json;

use super::support::{Place, Service, first_photo, photo, place};
use crate::support::{LATITUDE, gradient, jpeg_taken, png_taken, tiff_taken, webp_taken};

#[tokio::test(flavor = "multi_thread")]
async fn photos_become_records_and_candidates() {
    let Place {
        service,
        site,
        inspector,
        ..
    } = place(Service::start().await, "Europe/Berlin").await;
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
    // who sent it, and what it was judged by
    let log = |id: &serde_json::Value| format!("/api/v1/audit?entity={}", id.as_str().unwrap());
    let of_job = service.get(&service.admin, &log(&job["id"])).await.json();
    let sent = &of_job["items"][0];
    assert_eq!(sent["kind"], "upload.accepted");
    assert!(sent["actor"]["person"].is_string(), "{sent}");
    assert_eq!(
        sent["data"]["photos"][1]["photo_id"],
        job["photos"][1]["id"]
    );
    let of_photo = service.get(&service.admin, &log(&shown["id"])).await.json();
    let judged = &of_photo["items"][0];
    assert_eq!(judged["kind"], "photo.judged");
    assert_eq!(judged["context"].as_str().unwrap().len(), 64);

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
    } = place(Service::start().await, "Europe/Berlin").await;
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
    } = place(Service::start().await, "Europe/Berlin").await;
    let taken =
        |number: u32, time: &str, offset| jpeg_taken(&gradient(100 + number, 100), time, offset);
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
    } = place(Service::start().await, "Europe/Berlin").await;
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

/// A HEIC of a JPEG, with its EXIF; nothing where the encoder is not installed.
#[expect(clippy::print_stdout, reason = "a skipped part says so")]
fn heic_of(jpeg: &[u8]) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (folder.path().join("a.jpg"), folder.path().join("a.heic"));
    std::fs::write(&source, jpeg).unwrap();
    let made = Command::new("heif-enc")
        .arg(source)
        .arg("-o")
        .arg(&target)
        .output();
    if made.is_ok_and(|output| output.status.success()) {
        return Some(std::fs::read(target).unwrap());
    }
    println!("HEIC skipped: heif-enc is not here; `make test` installs it");
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_says_when_it_was_taken_and_no_copy_says_where() {
    let Place {
        service,
        site,
        inspector,
        enterprise,
    } = place(Service::start().await, "Europe/Berlin").await;
    let company = service
        .key("company", &["enterprise"], &[&enterprise])
        .await;
    let (picture, time, offset) = (gradient(320, 240), "2026:05:31 09:00:00", Some("+08:00"));
    let jpeg = jpeg_taken(&picture, time, offset);
    let mut all = vec![
        ("a.png", png_taken(&picture, time, offset)),
        ("a.webp", webp_taken(&picture, time, offset)),
        ("a.tiff", tiff_taken(Some(&picture), time, offset)),
    ];
    all.extend(heic_of(&jpeg).map(|heic| ("a.heic", heic)));
    all.push(("a.jpg", jpeg));
    let holds = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|w| w == what);
    for (name, bytes) in &all {
        assert!(holds(bytes, &LATITUDE), "{name} does not say where");
        let fields = [("site", site.as_str())];
        let photos: [(&str, &[u8]); 1] = [(name, bytes)];
        let job = service
            .upload(&inspector, "?wait=60", &[], &fields, &photos)
            .await
            .is(200)
            .json();
        let photo = &job["photos"][0];
        assert_eq!(photo["state"], "judged", "{name}: {photo}");
        let told = json!([photo["taken_at"], photo["taken_at_source"]]);
        assert_eq!(told, json!(["2026-05-31T01:00:00Z", "exif"]), "{name}");
        let path = first_photo(&job);
        for key in [&inspector, &company] {
            for address in [
                path.clone(),
                format!("{path}/picture"),
                format!("{path}/picture?annotated=false"),
                format!("{path}/candidates/0/crop"),
            ] {
                let reply = service.get(key, &address).await.is(200);
                for where_or_more in [&LATITUDE[..], b"Exif", b"2026:05:31"] {
                    assert!(!holds(&reply.bytes, where_or_more), "{name}: {address}");
                }
            }
        }
        let original = format!("{path}/original");
        service.get(&company, &original).await.problem(403);
        let kept = service.get(&inspector, &original).await.is(200);
        assert_eq!(&kept.bytes, bytes, "{name}: kept as received");
    }
}
