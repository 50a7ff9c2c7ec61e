//! What holds for every address.

use axum::body::Body;
use axum::http::Method;
use serde_json::json;
use sitewarden::api::ServeConfig;

use super::support::{Service, request};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_unknown_gets_anything_from_the_api() {
    let service = Service::idle(ServeConfig::default()).await;
    let document = service
        .get(&service.admin, "/api/v1/openapi.json")
        .await
        .is(200)
        .json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 8, "{} paths", paths.len());
    for (path, operations) in paths {
        let path = path.replace("{id}", "0197-x").replace("{key_id}", "0197-y");
        for method in operations.as_object().unwrap().keys() {
            if path == "/api/v1/session" && method == "post" {
                continue;
            }
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            for key in ["", "sw_unknown"] {
                let call = request(method.clone(), key, &path, &[], Body::empty());
                let reply = service.send(call).await;
                // too many unknown keys from one address are refused before they are looked at
                if reply.status != 429 {
                    reply.problem(401);
                    assert!(reply.header("www-authenticate").starts_with("Bearer"));
                }
            }
        }
    }
    service.get("", "/api/v1/no-such-thing").await.problem(401);
    let call = request(Method::PATCH, "", "/api/v1/accounts", &[], Body::empty());
    service.send(call).await.problem(401);
    service.get("", "/metrics").await.problem(401);
    service.get("", "/api/v1/openapi.json").await.problem(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_says_what_it_answers_and_refuses() {
    let service = Service::idle(ServeConfig::default()).await;
    let document = service
        .get(&service.admin, "/api/v1/openapi.json")
        .await
        .json();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let name = format!("{method} {path}");
            assert!(
                !operation["summary"].as_str().unwrap_or("").is_empty(),
                "{name}"
            );
            assert!(operation["tags"].is_array(), "{name}");
            let responses = operation["responses"].as_object().unwrap();
            let content = &responses["4XX"]["content"]["application/problem+json"];
            assert!(
                content["schema"]["$ref"].is_string(),
                "{name} lists no problems"
            );
            assert!(responses.keys().any(|s| s.starts_with('2')), "{name}");
        }
    }
    // every POST may be sent again, but those whose secret must not be kept; a camera's picture that comes
    // twice is one more picture of the same, and a search changes nothing
    for (path, operations) in document["paths"].as_object().unwrap() {
        let Some(post) = operations.get("post") else {
            continue;
        };
        let named = post["parameters"].to_string().contains("Idempotency-Key");
        let secret = ["/session", "/keys", "/bank/export"];
        let secret = secret.iter().any(|end| path.ends_with(end));
        let unnamed = secret || path.ends_with("/frames") || path.ends_with("/search");
        assert_eq!(named, !unnamed, "{path}");
    }
    // every reference leads somewhere
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(
            document.pointer(pointer).is_some(),
            "{pointer} leads nowhere"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_known_is_told_what_is_wrong() {
    let service = Service::idle(ServeConfig::default()).await;
    let key = &service.admin;
    service.get(key, "/api/v1/no-such-thing").await.problem(404);
    service.get(key, "/nowhere").await.problem(404);
    let call = request(Method::PATCH, key, "/api/v1/accounts", &[], Body::empty());
    service.send(call).await.problem(405);
    service
        .get(key, "/api/v1/photos/not-an-id")
        .await
        .problem(404);
    for wrong in ["many", "0", "201", "-1"] {
        let path = format!("/api/v1/photos?limit={wrong}");
        service.get(key, &path).await.problem(400);
    }
    service.get(key, "/api/v1/photos?limit=200").await.is(200);
    service
        .get(key, "/api/v1/photos?cursor=..%2Fx")
        .await
        .problem(422);
    let call = request(Method::POST, key, "/api/v1/accounts", &[], "{}".into());
    service.send(call).await.problem(415);
    let unknown = json!({"login": "a", "roles": ["admin"], "is_root": true});
    let problem = service
        .post(key, "/api/v1/accounts", unknown)
        .await
        .problem(422);
    assert!(problem["detail"].as_str().unwrap().contains("is_root"));
    let huge = json!({"login": "x".repeat(2 << 20)});
    service
        .post(key, "/api/v1/accounts", huge)
        .await
        .problem(413);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_keeps_the_plain_name_that_it_brings() {
    let service = Service::idle(ServeConfig::default()).await;
    for (sent, kept) in [("trace-17", true), ("<b>", false), ("", false)] {
        let headers = [("x-request-id", sent)];
        let reply = service
            .send(request(
                Method::GET,
                "",
                "/healthz",
                &headers,
                Body::empty(),
            ))
            .await;
        let name = reply.header("x-request-id");
        assert_eq!(name == sent, kept, "{sent:?} became {name:?}");
        assert!(!name.is_empty());
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert_eq!(reply.header("cache-control"), "private, no-store");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_when_the_model_is_verified_and_not_before() {
    let mut service = Service::idle(ServeConfig::default()).await;
    assert_eq!(service.get("", "/healthz").await.status, 200);
    service.get("", "/readyz").await.problem(503);
    service.work();
    let ready = service.get("", "/readyz").await.is(200).json();
    assert_eq!(ready["model"], "site-nano");
    service
        .jobs
        .refuse("the file /secret/place/model.onnx has another digest");
    let problem = service.get("", "/readyz").await.problem(503);
    assert!(!problem.to_string().contains("secret"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_kinds_and_never_ids() {
    let service = Service::start().await;
    let (enterprise, site) = service.site("Metrics Ltd", "Asia/Shanghai").await;
    let fields = [("site", site.as_str())];
    let key = service.key("metrics", &["inspector"], &[]).await;
    let photo = super::support::photo(1);
    service
        .upload(&key, "?wait=60", &[], &fields, &[("a.jpg", &photo)])
        .await
        .is(200);
    service
        .get(&key, "/api/v1/photos/not-an-id")
        .await
        .problem(404);
    let reply = service.get(&service.admin, "/metrics").await.is(200);
    let text = String::from_utf8(reply.bytes).unwrap();
    for line in [
        "sitewarden_photos_total{outcome=\"judged\"} 1",
        "sitewarden_queue_depth 0",
        "sitewarden_refusals_total{reason=\"not-found\"} 1",
        "sitewarden_stage_duration_seconds_count{stage=\"inference\"} 1",
        "route=\"/api/v1/photos/{id}\"",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    for id in [enterprise, site] {
        assert!(!text.contains(&id), "an id is in the metrics");
    }
    service.get(&key, "/metrics").await.problem(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_not_kept_for_a_second_answer() {
    let service = Service::idle(ServeConfig::default()).await;
    let me = service.get(&service.admin, "/api/v1/session").await.json();
    let keys = format!(
        "/api/v1/accounts/{}/keys",
        me["account_id"].as_str().unwrap()
    );
    let password = json!({"login": "a", "roles": ["admin"], "password": "several words are easy"});
    let key = [("idempotency-key", "k")];
    for (path, body) in [
        (keys.as_str(), json!({"label": "x"})),
        ("/api/v1/accounts", password),
    ] {
        service
            .post_with(&service.admin, path, &key, body)
            .await
            .problem(422);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_problem_refers_to_is_on_the_page() {
    let service = Service::idle(ServeConfig::default()).await;
    let page = service.get("", "/docs").await.is(200).bytes;
    let page = String::from_utf8(page).unwrap();
    let unknown = service.get("", "/api/v1/photos").await.problem(401);
    let missing = service.get(&service.admin, "/nowhere").await.problem(404);
    for problem in [unknown, missing] {
        let (address, place) = problem["type"].as_str().unwrap().split_once('#').unwrap();
        assert_eq!(address, "/docs");
        assert!(page.contains(&format!("id=\"{place}\"")), "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_loads_nothing_from_elsewhere() {
    let service = Service::idle(ServeConfig::default()).await;
    let reply = service.get("", "/docs").await.is(200);
    assert!(
        reply
            .header("content-security-policy")
            .contains("default-src 'none'")
    );
    let page = String::from_utf8(reply.bytes).unwrap();
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_asks_too_often_is_told_when_to_come_back() {
    let two = std::num::NonZero::new(2).unwrap();
    let config = ServeConfig {
        requests_per_second: two,
        request_burst: two,
        ..ServeConfig::default()
    };
    let service = Service::idle(config).await;
    let mut refused = 0;
    for _ in 0..8 {
        let reply = service.get(&service.admin, "/api/v1/session").await;
        if reply.status == 429 {
            reply.problem(429);
            assert!(reply.header("retry-after").parse::<u32>().unwrap() >= 1);
            refused += 1;
        }
    }
    assert!(refused >= 1);
}
