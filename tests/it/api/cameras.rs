//! `/cameras`: pictures in, one finding for each real hazard out.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::bank;
use super::support::{Reply, Service, form, photo, request};

struct Case {
    service: Service,
    site: String,
    camera: String,
    inspector: String,
    company: String,
}

async fn case(source: &str) -> Case {
    let mut service = Service::start().await;
    service.watch();
    let (enterprise, site) = service.site("Cameras Ltd", "Europe/Berlin").await;
    let inspector = service.key("inspector", &["inspector"], &[]).await;
    let company = service
        .key("company", &["enterprise"], &[&enterprise])
        .await;
    let path = format!("/api/v1/sites/{site}/cameras");
    let camera = service
        .post(&inspector, &path, json!({"name": "Gate", "source": source}))
        .await
        .is(201)
        .json();
    let camera = camera["id"].as_str().unwrap().to_owned();
    Case {
        service,
        site,
        camera,
        inspector,
        company,
    }
}

/// Asks until the answer is as wished, for a minute at most.
async fn until(case: &Case, key: &str, path: &str, wished: impl Fn(&Reply) -> bool) -> Reply {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let reply = case.service.get(key, path).await;
        if wished(&reply) {
            return reply;
        }
        let last = String::from_utf8_lossy(&reply.bytes);
        assert!(Instant::now() < end, "{path}: {} {last}", reply.status);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// It waits for its first picture, or has it.
fn is_watched(reply: &Reply) -> bool {
    let state = &reply.json()["status"]["state"];
    state == "live" || state == "connecting"
}

impl Case {
    fn path(&self, rest: &str) -> String {
        format!("/api/v1/cameras/{}{rest}", self.camera)
    }

    /// A planned inspection of the camera's site.
    async fn inspection(&self) -> String {
        let plan = json!({"site": self.site, "planned_for": "2026-06-02T09:00:00"});
        let planned = self
            .service
            .post(&self.inspector, "/api/v1/inspections", plan)
            .await;
        planned.is(201).json()["id"].as_str().unwrap().to_owned()
    }

    async fn push(&self, bytes: Vec<u8>, query: &str) -> Reply {
        let path = self.path(&format!("/frames{query}"));
        let headers = [("content-type", "image/jpeg")];
        let body = Body::from(bytes);
        self.service
            .send(request(
                Method::POST,
                &self.inspector,
                &path,
                &headers,
                body,
            ))
            .await
    }

    /// Pictures of five a second from this second of the day on.
    async fn push_all(&self, from_s: usize, seconds: usize) {
        self.push_each(&photo(1), from_s, seconds).await;
    }

    async fn push_each(&self, picture: &[u8], from_s: usize, seconds: usize) {
        for i in 0..5 * seconds {
            let ms = 1000 * from_s + 200 * i;
            let at = format!(
                "2026-06-01T10:{:02}:{:02}.{:03}Z",
                ms / 60_000,
                ms / 1000 % 60,
                ms % 1000
            );
            // as many wait as may: the watch comes to them
            loop {
                let reply = self
                    .push(picture.to_vec(), &format!("?taken_at={at}"))
                    .await;
                if reply.status != 429 {
                    reply.is(202);
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    async fn findings(&self) -> Vec<Value> {
        let path = format!("/api/v1/findings?site={}&code=PPE-01", self.site);
        let list = self
            .service
            .get(&self.inspector, &path)
            .await
            .is(200)
            .json();
        list["items"].as_array().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hazard_on_many_pictures_is_one_finding_over_a_restart() {
    let mut case = case("gate").await;
    let status = is_watched;
    until(&case, &case.inspector, &case.path(""), status).await;
    case.push_all(0, 8).await;
    let path = format!("/api/v1/findings?site={}&code=PPE-01", case.site);
    let some = |reply: &Reply| {
        reply.json()["items"]
            .as_array()
            .is_some_and(|i| !i.is_empty())
    };
    until(&case, &case.inspector, &path, some).await;
    let findings = case.findings().await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0]["camera_id"], case.camera);
    assert_eq!(findings[0]["state"], "candidate");
    assert!(findings[0]["cleared_at"].is_null());
    let id = findings[0]["id"].as_str().unwrap().to_owned();

    // its picture is a photo of the site, with the finding on it, and its evidence
    let evidence = format!("/api/v1/evidence?finding={id}");
    let evidence = case
        .service
        .get(&case.inspector, &evidence)
        .await
        .is(200)
        .json();
    let digest = evidence["items"][0]["sha256"].as_str().unwrap().to_owned();
    let original = format!(
        "/api/v1/evidence/{}/original",
        evidence["items"][0]["id"].as_str().unwrap()
    );
    let bytes = case
        .service
        .get(&case.inspector, &original)
        .await
        .is(200)
        .bytes;
    assert_eq!(sitewarden::evidence::Digest::of(&bytes).to_string(), digest);
    // with faces: nothing for the enterprise
    case.service.get(&case.company, &original).await.is(403);
    let photos = format!("/api/v1/photos?site={}", case.site);
    let photos = case
        .service
        .get(&case.inspector, &photos)
        .await
        .is(200)
        .json();
    let kept = photos["items"].as_array().unwrap();
    let kept = kept
        .iter()
        .find(|p| p["sha256"] == digest)
        .expect("the picture");
    assert_eq!(kept["taken_at_source"], "service");
    assert_eq!(kept["result"]["candidates"][0]["code"], "PPE-01");
    let picture = format!("/api/v1/photos/{}/picture", kept["id"].as_str().unwrap());
    case.service.get(&case.company, &picture).await.is(200);

    // pinned into an inspection it is the same finding, seen once more
    let inspection = case.inspection().await;
    let pin = json!({ "inspection": inspection });
    let inspected = format!("/api/v1/findings?inspection={inspection}");
    case.push_each(&photo(2), 20, 1).await;
    let pinned = loop {
        let pinned = case
            .service
            .post(&case.inspector, &case.path("/pins"), pin.clone())
            .await
            .is(202)
            .json();
        // what was kept with the finding is no new picture
        if pinned["photos"][0]["sha256"] != digest.as_str() {
            break pinned;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let photo = format!(
        "/api/v1/photos/{}",
        pinned["photos"][0]["id"].as_str().unwrap()
    );
    let judged = |reply: &Reply| reply.json()["result"].is_object();
    let judged = until(&case, &case.inspector, &photo, judged).await.json();
    assert_eq!(judged["result"]["candidates"][0]["code"], "PPE-01");
    let occurrences = format!("/api/v1/findings/{id}/occurrences");
    let seen = case.service.get(&case.inspector, &occurrences).await;
    assert_eq!(seen.is(200).json()["items"].as_array().unwrap().len(), 2);
    assert_eq!(case.findings().await.len(), 1);
    // and the inspection has it
    let inspected = case
        .service
        .get(&case.inspector, &inspected)
        .await
        .is(200)
        .json();
    assert_eq!(inspected["items"][0]["id"], id.as_str());

    // the same person after a restart
    case.service = case.service.reopen(0).await;
    case.service.work();
    case.service.watch();
    until(&case, &case.inspector, &case.path(""), status).await;
    case.push_all(60, 8).await;
    let seen = |reply: &Reply| {
        reply.json()["items"]
            .as_array()
            .is_some_and(|i| i.len() > 2)
    };
    until(&case, &case.inspector, &occurrences, seen).await;
    assert_eq!(case.findings().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_dismissed_before_is_not_filed_and_what_is_has_its_samples() {
    let case = case("gate").await;
    let live = is_watched;
    until(&case, &case.inspector, &case.path(""), live).await;
    // the detector takes everything bright for a bare head
    let add = async |role: &str, colour: [u8; 3], n: u8| {
        let photos: Vec<_> = (0..n).map(|n| bank::photo(colour, n, None)).collect();
        let photos: Vec<(&str, &[u8])> = photos.iter().map(|p| ("a.png", p.as_slice())).collect();
        let (kind, body) = form(
            &[("role", role), ("code", "PPE-01"), ("site", &case.site)],
            &photos,
        );
        let headers = [("content-type", kind.as_str())];
        let call = request(
            Method::POST,
            &case.inspector,
            bank::SAMPLES,
            &headers,
            body.into(),
        );
        case.service.send(call).await.is(201);
    };
    add("positive", bank::ORANGE, 6).await;
    add("negative", bank::GREEN, 3).await;
    // as the background keeps it
    let taught = case.service.jobs.bank().now().await.unwrap();
    assert_eq!(taught.unwrap().bank().version(), 2);

    case.push_each(&bank::photo(bank::GREEN, 9, None), 0, 8)
        .await;
    let photos = format!("/api/v1/photos?site={}", case.site);
    let some = |reply: &Reply| {
        let items = reply.json()["items"].clone();
        items.as_array().is_some_and(|items| !items.is_empty())
    };
    let kept = until(&case, &case.inspector, &photos, some).await.json();
    let kept = &kept["items"][0];
    assert_eq!(kept["result"]["suppressed"][0]["code"], "PPE-01");
    assert_eq!(
        kept["result"]["suppressed"][0]["why"]["samples"][1]["role"],
        "negative"
    );
    assert_eq!(kept["result"]["candidates"], json!([]));
    assert_eq!(kept["decided_by"]["bank"]["version"], 2);
    assert_eq!(case.findings().await, Vec::<Value>::new());

    case.push_each(&bank::photo(bank::ORANGE, 9, None), 70, 8)
        .await;
    let findings = format!("/api/v1/findings?site={}&code=PPE-01", case.site);
    let found = until(&case, &case.inspector, &findings, some).await.json();
    let id = found["items"][0]["id"].as_str().unwrap();
    let seen = format!("/api/v1/findings/{id}/occurrences");
    let seen = case
        .service
        .get(&case.inspector, &seen)
        .await
        .is(200)
        .json();
    let why = &seen["items"][0]["why"]["why"];
    assert_eq!(why["samples"][0]["role"], "positive", "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_what_the_camera_sees_now() {
    let case = case("gate").await;
    let state = is_watched;
    until(&case, &case.inspector, &case.path(""), state).await;
    let early = case
        .service
        .get(&case.inspector, &case.path("/snapshot"))
        .await;
    assert!(
        early.problem(409)["next"]
            .as_str()
            .unwrap()
            .contains("status")
    );
    case.push_all(0, 1).await;
    let there = |reply: &Reply| reply.status == 200;
    let seen = until(
        &case,
        &case.inspector,
        &case.path("/snapshot?annotated=false"),
        there,
    )
    .await;
    let redacted = case
        .service
        .get(&case.company, &case.path("/snapshot?annotated=false"))
        .await
        .is(200);
    assert_ne!(
        seen.bytes, redacted.bytes,
        "faces are hidden from the company"
    );
    let small = case
        .service
        .get(
            &case.inspector,
            &case.path("/snapshot?size=64&annotated=false"),
        )
        .await
        .is(200);
    let small = image::load_from_memory(&small.bytes).unwrap();
    assert_eq!(small.width().max(small.height()), 64);
    case.service
        .get(&case.inspector, &case.path("/snapshot?size=9"))
        .await
        .problem(422);

    // what is pinned is what is kept
    let inspection = case.inspection().await;
    let pinned = case
        .service
        .post(
            &case.inspector,
            &case.path("/pins"),
            json!({"inspection": inspection}),
        )
        .await
        .is(202)
        .json();
    let digest = pinned["photos"][0]["sha256"].as_str().unwrap().to_owned();
    let id = pinned["photos"][0]["id"].as_str().unwrap().to_owned();
    let original = format!("/api/v1/photos/{id}/original");
    let original = case.service.get(&case.inspector, &original).await.is(200);
    let stored: String = Sha256::digest(&original.bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(stored, digest);
    assert_eq!(original.bytes, seen.bytes, "the picture that was seen");
    let elsewhere = json!({"inspection": case.camera});
    case.service
        .post(&case.inspector, &case.path("/pins"), elsewhere)
        .await
        .problem(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_to_a_camera_is_a_picture_and_it_takes_some() {
    let case = case("gate").await;
    let state = is_watched;
    until(&case, &case.inspector, &case.path(""), state).await;
    let told = case.push(b"no picture".to_vec(), "").await.problem(422);
    assert!(told["detail"].as_str().unwrap().contains("JPEG"), "{told}");
    let half = photo(1);
    case.push(half[..20].to_vec(), "").await.problem(422);
    case.push(photo(1), "?taken_at=yesterday")
        .await
        .problem(400);
    // it would be the newest for years
    let told = case.push(photo(1), "?taken_at=2099-01-01T00:00:00Z").await;
    let told = told.problem(422);
    assert!(told["next"].as_str().unwrap().contains("clock"), "{told}");
    let admin = case.service.admin.clone();
    let path = case.path("/frames");
    let sent = request(Method::POST, &admin, &path, &[], Body::from(photo(1)));
    case.service.send(sent).await.problem(403);

    let path = format!("/api/v1/sites/{}/cameras", case.site);
    let add = async |source: &str| {
        let camera = json!({"name": source, "source": source});
        let made = case
            .service
            .post(&case.inspector, &path, camera)
            .await
            .is(201)
            .json();
        made["id"].as_str().unwrap().to_owned()
    };
    let unknown = add("nowhere").await;
    let path = format!("/api/v1/cameras/{unknown}/snapshot");
    let told = case.service.get(&case.inspector, &path).await.problem(409);
    assert!(
        told["next"].as_str().unwrap().contains("configuration"),
        "{told}"
    );
    let recorder = add("recorder").await;
    let doing = is_watched;
    until(
        &case,
        &case.inspector,
        &format!("/api/v1/cameras/{recorder}"),
        doing,
    )
    .await;
    let path = format!("/api/v1/cameras/{recorder}/frames");
    let sent = request(
        Method::POST,
        &case.inspector,
        &path,
        &[],
        Body::from(photo(1)),
    );
    let told = case.service.send(sent).await.problem(409);
    assert!(told["next"].as_str().unwrap().contains("pushed"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn zones_are_drawn_by_one_person_at_a_time() {
    let case = case("gate").await;
    let path = case.path("/zones");
    let before = case.service.get(&case.inspector, &path).await.is(200);
    assert_eq!(before.header("etag"), "\"0\"");
    let draw = async |version: &str, zones: Value| {
        let headers = [("if-match", version)];
        case.service
            .put(&case.inspector, &path, &headers, zones)
            .await
    };
    let zone = |kind: &str, extra: Value| {
        let mut zone = json!({"name": "dock", "kind": kind,
            "polygon": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]});
        zone.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        json!({"zone": [zone]})
    };
    draw("\"0\"", zone("work_area", json!({}))).await.is(200);
    draw("\"0\"", zone("exit", json!({}))).await.problem(412);
    let told = draw("\"1\"", zone("exit", json!({"objects": ["persn"]}))).await;
    let told = told.problem(422);
    assert!(told["detail"].as_str().unwrap().contains("persn"), "{told}");
    let drawn = case.service.get(&case.inspector, &path).await.is(200);
    assert_eq!(drawn.header("etag"), "\"1\"");
    assert_eq!(drawn.json()["zone"][0]["kind"], "work_area");
    let file = draw("\"1\"", zone("exit", json!({"reference": "/etc/passwd"}))).await;
    file.problem(422);
    let code = draw("\"1\"", zone("exit", json!({"hazards": ["NO-99"]}))).await;
    assert!(
        code.problem(422)["detail"]
            .as_str()
            .unwrap()
            .contains("NO-99")
    );
    let line =
        json!({"zone": [{"name": "a", "kind": "exit", "polygon": [[0.1, 0.1], [0.2, 0.2]]}]});
    draw("\"1\"", line).await.problem(422);
    let company = case
        .service
        .put(&case.company, &path, &[("if-match", "\"1\"")], json!({}))
        .await;
    company.problem(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_one_camera_and_given_by_whoever_sees_all() {
    let case = case("gate").await;
    let service = &case.service;
    let (other, yard) = service.site("Other Ltd", "UTC").await;
    let limited = service.key("limited", &["inspector"], &[&other]).await;
    let path = format!("/api/v1/sites/{yard}/cameras");
    let mine = json!({"name": "mine", "source": "gate"});
    service
        .post(&limited, &path, mine.clone())
        .await
        .problem(403);
    let told = service.post(&case.inspector, &path, mine.clone()).await;
    let told = told.problem(422);
    assert!(
        told["detail"].as_str().unwrap().contains("source"),
        "{told}"
    );

    let listed = async |key: &str, query: &str| {
        let path = format!("/api/v1/cameras{query}");
        service.get(key, &path).await.is(200).json()["items"].clone()
    };
    let all = listed(&case.inspector, "").await;
    assert_eq!(all[0]["id"], case.camera.as_str());
    assert_eq!(all[0]["configured"], true);
    assert_eq!(listed(&limited, "").await, json!([]));
    assert_eq!(
        listed(&case.inspector, &format!("?site={yard}")).await,
        json!([])
    );

    until(&case, &case.inspector, &case.path(""), is_watched).await;
    let retire = async |key: &str| {
        let call = request(Method::DELETE, key, &case.path(""), &[], Body::empty());
        service.send(call).await
    };
    retire(&limited).await.problem(404);
    retire(&case.company).await.problem(403);
    let retired = retire(&case.inspector).await.is(200).json();
    assert!(retired["retired_at"].is_string(), "{retired}");
    assert_eq!(listed(&case.inspector, "").await, json!([]));
    service
        .get(&case.inspector, &case.path("/snapshot"))
        .await
        .problem(409);
    let shown = service.get(&case.inspector, &case.path("")).await.is(200);
    assert_eq!(shown.json()["status"], Value::Null);
    // its source is free
    service.post(&case.inspector, &path, mine).await.is(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_is_not_known_is_refused() {
    let service = Service::idle(Default::default()).await;
    let get = async |path: &str| service.get(&service.admin, path).await;
    get("/api/v1/findings?state=candidate&limit=2")
        .await
        .is(200);
    let told = get("/api/v1/findings?camra=1").await.problem(422);
    assert!(told["next"].as_str().unwrap().contains("camera"), "{told}");
    let told = get("/api/v1/cameras/x/zones?lang=en").await.problem(422);
    assert!(told["next"].as_str().unwrap().contains("none"), "{told}");
}
