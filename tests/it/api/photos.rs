//! `/photos` and `/jobs`

use axum::body::Body;
use axum::http::Method;
use serde_json::json;
use sitewarden::api::ServeConfig;

use super::support::{Service, photo, request};
use crate::support::{jpeg_taken, jpeg_with_orientation, program, text};

struct Site {
    service: Service,
    enterprise: String,
    site: String,
    inspector: String,
}

async fn site(service: Service) -> Site {
    let (enterprise, site) = service.site("Store Ltd", "Europe/Berlin").await;
    let inspector = service.key("inspector", &["inspector"], &[]).await;
    Site {
        service,
        enterprise,
        site,
        inspector,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn photos_become_records_and_candidates() {
    let Site {
        service,
        site,
        inspector,
        ..
    } = site(Service::start().await).await;
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

    let path = format!(
        "/api/v1/photos/{}",
        job["photos"][0]["id"].as_str().unwrap()
    );
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
    let Site {
        service,
        site,
        inspector,
        ..
    } = site(Service::start().await).await;
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
async fn a_key_that_is_sent_again_has_one_effect() {
    let Site {
        service,
        site,
        inspector,
        ..
    } = site(Service::start().await).await;
    let fields = [("site", site.as_str())];
    let (a, b) = (photo(1), photo(2));
    let key = [("idempotency-key", "visit-17")];
    let first = service
        .upload(&inspector, "", &key, &fields, &[("a.jpg", &a)])
        .await
        .is(202);
    // another boundary, the same content
    let again = service
        .upload(&inspector, "", &key, &fields, &[("a.jpg", &a)])
        .await
        .is(202);
    assert_eq!(first.bytes, again.bytes);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(first.header("location"), again.header("location"));
    service
        .upload(&inspector, "", &key, &fields, &[("b.jpg", &b)])
        .await
        .problem(409);
    // somebody else's key of the same name is another key
    let other = service.key("other", &["inspector"], &[]).await;
    service
        .upload(&other, "", &key, &fields, &[("b.jpg", &b)])
        .await
        .is(202);

    let account = json!({"login": "carl", "roles": ["inspector"]});
    let admin = service.admin.clone();
    let first = service
        .post_with(&admin, "/api/v1/accounts", &key, account.clone())
        .await
        .is(201);
    let again = service
        .post_with(&admin, "/api/v1/accounts", &key, account)
        .await
        .is(201);
    assert_eq!(first.json(), again.json());
    let account = json!({"login": "dora", "roles": ["inspector"]});
    service
        .post_with(&admin, "/api/v1/accounts", &key, account)
        .await
        .problem(409);
    // what had no effect may be corrected under the same key
    let key = [("idempotency-key", "visit-18")];
    let wrong = json!({"login": "", "roles": ["inspector"]});
    service
        .post_with(&admin, "/api/v1/accounts", &key, wrong)
        .await
        .problem(422);
    let right = json!({"login": "emil", "roles": ["inspector"]});
    service
        .post_with(&admin, "/api/v1/accounts", &key, right)
        .await
        .is(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_that_are_wrong_are_told_how() {
    let Site {
        service,
        site,
        inspector,
        ..
    } = site(Service::idle(ServeConfig::default()).await).await;
    let a = photo(1);
    let photos: [(&str, &[u8]); 1] = [("a.jpg", &a)];
    let site = site.as_str();
    let none: &[(&str, &[u8])] = &[];
    let empty: &[(&str, &[u8])] = &[("empty.jpg", &[])];
    let unknown = "0197f000-0000-7000-8000-000000000000";
    for (fields, photos, status) in [
        (vec![], &photos[..], 422),
        (vec![("site", site)], none, 422),
        (vec![("site", site), ("site", site)], &photos[..], 422),
        (vec![("site", site), ("colour", "red")], &photos[..], 422),
        (vec![("site", unknown)], &photos[..], 404),
        (vec![("site", "../x")], &photos[..], 404),
        (
            vec![("site", site), ("inspection", unknown)],
            &photos[..],
            404,
        ),
        (vec![("site", site), ("taken_at", "noon")], &photos[..], 422),
        // the clocks went forward over it, and back over it
        (
            vec![("site", site), ("taken_at", "2026-03-29T02:30:00")],
            &photos[..],
            422,
        ),
        (
            vec![("site", site), ("taken_at", "2025-10-26T02:30:00")],
            &photos[..],
            422,
        ),
        (vec![("site", site)], empty, 422),
    ] {
        let reply = service.upload(&inspector, "", &[], &fields, photos).await;
        let problem = reply.problem(status);
        assert!(!problem["next"].as_str().unwrap().is_empty());
    }
    let headers = [("content-type", "application/json")];
    let call = request(
        Method::POST,
        &inspector,
        "/api/v1/photos",
        &headers,
        "{}".into(),
    );
    service.send(call).await.problem(415);
    let (kind, body) = super::support::form(&[("site", site)], &photos);
    let headers = [("content-type", kind.as_str())];
    let cut = Body::from(body[..body.len() - 40].to_vec());
    service
        .send(request(
            Method::POST,
            &inspector,
            "/api/v1/photos",
            &headers,
            cut,
        ))
        .await
        .problem(400);
    let list = service.get(&inspector, "/api/v1/photos").await.json();
    assert_eq!(list["items"], json!([]), "nothing was accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_is_asked_when_it_was_taken_unless_the_sender_says() {
    let Site {
        service,
        site,
        inspector,
        ..
    } = site(Service::start().await).await;
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
async fn originals_of_refused_uploads_are_found_and_deleted_and_lost_ones_reported() {
    let Site {
        service,
        site,
        inspector,
        ..
    } = site(Service::idle(ServeConfig::default()).await).await;
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
    let folder = service.end().await;
    let check = |more: &[&str]| {
        let output = program()
            .args(["ledger", "check", "--data"])
            .arg(folder.path())
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
    let original = folder
        .path()
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
async fn an_upload_that_waits_is_answered_the_same_again() {
    let Site {
        service,
        site,
        inspector,
        ..
    } = site(Service::start().await).await;
    let fields = [("site", site.as_str())];
    let key = [("idempotency-key", "waiting")];
    let (a, b) = (photo(1), photo(2));
    let photos: [(&str, &[u8]); 1] = [("a.jpg", &a)];
    let send = || service.upload(&inspector, "?wait=60", &key, &fields, &photos);
    let first = send().await.is(200);
    let again = send().await.is(200);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(first.json(), again.json());
    // of two at once there is one upload
    let key = [("idempotency-key", "two at once")];
    let photos: [(&str, &[u8]); 1] = [("b.jpg", &b)];
    let send = || service.upload(&inspector, "", &key, &fields, &photos);
    let (one, other) = tokio::join!(send(), send());
    assert_eq!(one.is(202).json()["id"], other.is(202).json()["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_picture_is_kept_and_told() {
    let Site {
        service,
        site,
        inspector,
        ..
    } = site(Service::start().await).await;
    let fields = [("site", site.as_str())];
    let words: &[u8] = b"not a picture";
    let job = service
        .upload(&inspector, "?wait=60", &[], &fields, &[("a.txt", words)])
        .await
        .is(200)
        .json();
    assert_eq!(job["photos"][0]["state"], "unreadable");
    let path = format!(
        "/api/v1/photos/{}",
        job["photos"][0]["id"].as_str().unwrap()
    );
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

#[tokio::test(flavor = "multi_thread")]
async fn too_much_is_refused_and_what_was_accepted_is_kept() {
    let config = ServeConfig {
        max_queue: 3,
        max_photos_per_upload: 2,
        max_upload_bytes: 100_000,
        ..ServeConfig::default()
    };
    let Site {
        mut service,
        site,
        inspector,
        ..
    } = site(Service::idle(config).await).await;
    let fields = [("site", site.as_str())];
    let pictures: Vec<Vec<u8>> = (0..5).map(photo).collect();
    let send = |from: usize, to: usize| {
        pictures[from..to]
            .iter()
            .map(|p| ("p.jpg", p.as_slice()))
            .collect::<Vec<_>>()
    };
    service
        .upload(&inspector, "", &[], &fields, &send(0, 3))
        .await
        .problem(413);
    let big = vec![0u8; 200_000];
    service
        .upload(&inspector, "", &[], &fields, &[("big.jpg", &big)])
        .await
        .problem(413);
    service
        .upload(&inspector, "", &[], &fields, &send(0, 2))
        .await
        .is(202);
    // all of a request or none: one would fit, two do not
    let reply = service
        .upload(&inspector, "", &[], &fields, &send(2, 4))
        .await;
    reply.problem(429);
    assert!(reply.header("retry-after").parse::<u32>().unwrap() >= 1);
    let list = service.get(&inspector, "/api/v1/photos").await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let key = [("idempotency-key", "the last one")];
    service
        .upload(&inspector, "", &key, &fields, &send(2, 3))
        .await
        .is(202);
    // what was accepted is answered again although the queue is full
    service
        .upload(&inspector, "", &key, &fields, &send(2, 3))
        .await
        .is(202);
    let reply = service
        .upload(&inspector, "", &[], &fields, &send(4, 5))
        .await;
    reply.problem(429);
    assert!(reply.header("retry-after").parse::<u32>().unwrap() >= 1);
    service.work();
    // what was accepted is judged, and then there is room again
    let again = service
        .upload(&inspector, "?wait=60", &[], &fields, &send(0, 2))
        .await;
    if again.status == 429 {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    let job = service
        .upload(&inspector, "?wait=60", &[], &fields, &send(2, 3))
        .await
        .is(200)
        .json();
    assert_eq!(job["photos"][0]["known"], true);
    assert_eq!(job["photos"][0]["state"], "judged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_new_photos_and_loses_none() {
    let first = site(Service::start().await).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn an_enterprise_sees_its_own_photos_without_faces_and_places() {
    let Site {
        service,
        site,
        inspector,
        enterprise,
    } = site(Service::start().await).await;
    let fields = [("site", site.as_str())];
    let with_exif = jpeg_with_orientation(&crate::support::gradient(400, 400), 1);
    let reply = service
        .upload(
            &inspector,
            "?wait=60",
            &[],
            &fields,
            &[("a.jpg", &with_exif)],
        )
        .await;
    let job = reply.is(200).json();
    let path = format!(
        "/api/v1/photos/{}",
        job["photos"][0]["id"].as_str().unwrap()
    );
    let own = service.key("own", &["enterprise"], &[&enterprise]).await;
    service.get(&own, &path).await.is(200);
    service
        .get(&own, &format!("{path}/original"))
        .await
        .problem(403);

    let picture = format!("{path}/picture?annotated=false&size=400");
    let theirs = service.get(&own, &picture).await.is(200);
    let ours = service.get(&inspector, &picture).await.is(200);
    assert_eq!(theirs.header("content-type"), "image/jpeg");
    assert_ne!(theirs.header("etag"), ours.header("etag"));
    for bytes in [&theirs.bytes, &ours.bytes] {
        assert!(!bytes.windows(4).any(|w| w == b"Exif"), "metadata has left");
        let note = b"derived from sha256 ";
        assert!(bytes.windows(note.len()).any(|w| w == note));
    }
    let decode = |bytes: &[u8]| image::load_from_memory(bytes).unwrap().into_rgb8();
    let (theirs, ours) = (decode(&theirs.bytes), decode(&ours.bytes));
    let differ = |x: u32, y: u32| theirs.get_pixel(x, y) != ours.get_pixel(x, y);
    let hidden = (0..400)
        .flat_map(|x| (0..400).map(move |y| (x, y)))
        .filter(|(x, y)| differ(*x, *y));
    assert!(hidden.count() > 500, "a face is as it was");
    assert!(
        (380..400).all(|i| !differ(i, i)),
        "more than faces was hidden"
    );

    let (other, _) = service.site("Other Ltd", "Asia/Shanghai").await;
    let stranger = service.key("stranger", &["enterprise"], &[&other]).await;
    service.get(&stranger, &path).await.problem(404);
    service.get(&stranger, &picture).await.problem(404);
    service
        .upload(&stranger, "", &[], &fields, &[("b.jpg", &photo(3))])
        .await
        .problem(404);
    let job = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap());
    service.get(&stranger, &job).await.problem(404);
    let list = service
        .get(&stranger, "/api/v1/photos")
        .await
        .is(200)
        .json();
    assert_eq!(list["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_come_in_any_size_and_are_not_drawn_twice() {
    let Site {
        service,
        site,
        inspector,
        ..
    } = site(Service::start().await).await;
    let fields = [("site", site.as_str())];
    let job = service
        .upload(
            &inspector,
            "?wait=60",
            &[],
            &fields,
            &[("a.jpg", &photo(1))],
        )
        .await
        .is(200)
        .json();
    let path = format!(
        "/api/v1/photos/{}/picture",
        job["photos"][0]["id"].as_str().unwrap()
    );
    let small = service
        .get(&inspector, &format!("{path}?annotated=false&size=40"))
        .await
        .is(200);
    let size = image::load_from_memory(&small.bytes).unwrap();
    assert_eq!((size.width(), size.height()), (40, 30));
    let drawn = service
        .get(&inspector, &format!("{path}?lang=zh"))
        .await
        .is(200);
    assert!(
        drawn
            .header("sitewarden-derived-from")
            .starts_with("sha256=")
    );
    let headers = [("if-none-match", drawn.header("etag"))];
    let call = request(
        Method::GET,
        &inspector,
        &format!("{path}?lang=zh"),
        &headers,
        Body::empty(),
    );
    service.send(call).await.is(304);
    service
        .get(&inspector, &format!("{path}?size=5"))
        .await
        .problem(422);
    service
        .get(&inspector, &format!("{path}?size=100000"))
        .await
        .problem(422);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_tells_its_progress_as_it_happens() {
    let Site {
        mut service,
        site,
        inspector,
        ..
    } = site(Service::idle(ServeConfig::default()).await).await;
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
    let first = site(Service::idle(ServeConfig::default()).await).await;
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
