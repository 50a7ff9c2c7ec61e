//! `POST /photos`

use axum::body::Body;
use axum::http::Method;
use serde_json::json;
use sitewarden::api::ServeConfig;

use super::support::{Place, Service, photo, place, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_sent_again_has_one_effect() {
    let Place {
        service,
        site,
        inspector,
        ..
    } = place(Service::start().await, "Europe/Berlin").await;
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
    let Place {
        service,
        site,
        inspector,
        ..
    } = place(Service::idle(ServeConfig::default()).await, "Europe/Berlin").await;
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
async fn an_upload_that_waits_is_answered_the_same_again() {
    let Place {
        service,
        site,
        inspector,
        ..
    } = place(Service::start().await, "Europe/Berlin").await;
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
async fn too_much_is_refused_and_what_was_accepted_is_kept() {
    let config = ServeConfig {
        max_queue: 3,
        max_photos_per_upload: 2,
        max_upload_bytes: 100_000,
        ..ServeConfig::default()
    };
    let Place {
        mut service,
        site,
        inspector,
        ..
    } = place(Service::idle(config).await, "Europe/Berlin").await;
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
