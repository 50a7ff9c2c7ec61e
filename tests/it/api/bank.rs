//! `/bank`: teaching, searching, and what the bank does to photos and findings.

use axum::body::Body;
use axum::http::Method;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};
use sitewarden::api::ServeConfig;

use super::support::{Place, Reply, Service, first_photo, form, place, request};
use crate::support::encoded;

pub(super) const ORANGE: [u8; 3] = [250, 130, 10];
pub(super) const GREEN: [u8; 3] = [10, 220, 60];
pub(super) const BLUE: [u8; 3] = [20, 40, 230];
pub(super) const SAMPLES: &str = "/api/v1/bank/samples";

/// A photo of about this colour, each number another one; `patch` is in the middle.
pub(super) fn photo(colour: [u8; 3], number: u8, patch: Option<[u8; 3]>) -> Vec<u8> {
    let picture = RgbImage::from_fn(320, 240, |x, y| {
        let inside = (120..200).contains(&x) && (80..160).contains(&y);
        let colour = patch.filter(|_| inside).unwrap_or(colour);
        let spot = (x / 40 + y / 40 + u32::from(number)).is_multiple_of(5);
        Rgb(colour.map(|c| c.saturating_sub(if spot { number } else { number / 2 })))
    });
    encoded(&DynamicImage::ImageRgb8(picture), ImageFormat::Png)
}

pub(super) struct Office {
    pub(super) service: Service,
    enterprise: String,
    site: String,
    pub(super) inspector: String,
}

impl Office {
    pub(super) async fn new() -> Self {
        Self::at(Service::start().await).await
    }

    async fn at(service: Service) -> Self {
        let Place {
            service,
            enterprise,
            site,
            inspector,
        } = place(service, "Asia/Shanghai").await;
        Self {
            service,
            enterprise,
            site,
            inspector,
        }
    }

    pub(super) async fn form(
        &self,
        key: &str,
        path: &str,
        headers: &[(&str, &str)],
        fields: &[(&str, &str)],
        photos: &[Vec<u8>],
    ) -> Reply {
        let photos: Vec<(&str, &[u8])> = photos.iter().map(|p| ("a.png", p.as_slice())).collect();
        let (kind, body) = form(fields, &photos);
        let headers = [headers, &[("content-type", kind.as_str())]].concat();
        let call = request(Method::POST, key, path, &headers, body.into());
        self.service.send(call).await
    }

    pub(super) async fn add(&self, role: &str, code: &str, photos: &[Vec<u8>]) -> Value {
        let mut fields = vec![("role", role), ("site", self.site.as_str())];
        if !code.is_empty() {
            fields.push(("code", code));
        }
        let reply = self
            .form(&self.inspector, SAMPLES, &[], &fields, photos)
            .await;
        reply.is(201).json()
    }

    pub(super) async fn search(&self, key: &str, photo: Vec<u8>) -> Reply {
        let fields = [("site", self.site.as_str())];
        self.form(key, "/api/v1/bank/search", &[], &fields, &[photo])
            .await
    }

    pub(super) async fn get(&self, path: &str) -> Value {
        let reply = self.service.get(&self.inspector, path).await;
        reply.is(200).json()
    }

    /// Uploads a photo, and shows it as it was judged.
    pub(super) async fn judged(&self, photo: &[u8]) -> Value {
        let fields = [("site", self.site.as_str())];
        let reply = self
            .service
            .upload(
                &self.inspector,
                "?wait=60",
                &[],
                &fields,
                &[("p.png", photo)],
            )
            .await;
        self.get(&first_photo(&reply.is(200).json())).await
    }

    async fn findings(&self, code: &str) -> Vec<Value> {
        let path = format!("/api/v1/findings?code={code}&state=candidate");
        self.get(&path).await["items"].as_array().unwrap().clone()
    }

    async fn step(&self, finding: &Value, step: Value) {
        let path = format!(
            "/api/v1/findings/{}/transitions",
            finding["id"].as_str().unwrap()
        );
        let version = format!("\"{}\"", finding["version"]);
        let headers = [("if-match", version.as_str())];
        let reply = self
            .service
            .post_with(&self.inspector, &path, &headers, step)
            .await;
        reply.is(200);
    }

    pub(super) async fn ledger_is_sound(&self) {
        let report = sitewarden::ledger::check::check(&self.service.ledger)
            .await
            .unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
    }
}

pub(super) fn of<'a>(record: &'a Value, list: &str, code: &str) -> Vec<&'a Value> {
    let all = record["result"][list].as_array();
    all.into_iter()
        .flatten()
        .filter(|c| c["code"] == code)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_alike_that_was_dismissed_is_suppressed_and_true_ones_stay() {
    let office = Office::new().await;
    let orange: Vec<_> = (0..6).map(|n| photo(ORANGE, n, None)).collect();
    office.add("positive", "PPE-01", &orange).await;
    let reject = json!({"step": "reject", "reason": "a melon"});
    let mut dismissed = 0;
    // the detector takes each of them for a bare head
    for n in 0..5 {
        let seen = office.judged(&photo(GREEN, n, None)).await;
        let filed = office.findings("PPE-01").await;
        let suppressed = of(&seen, "suppressed", "PPE-01").len();
        assert_eq!(filed.len() + suppressed, 1, "{n}: {seen}");
        for finding in &filed {
            office.step(finding, reject.clone()).await;
            dismissed += 1;
        }
    }
    assert_eq!(dismissed, 3, "a quorum of three is asked for");
    let sixth = office.judged(&photo(GREEN, 9, None)).await;
    assert_eq!(of(&sixth, "candidates", "PPE-01"), Vec::<&Value>::new());
    let kept_out = of(&sixth, "suppressed", "PPE-01")[0];
    let negative = &kept_out["why"]["samples"][1];
    assert_eq!(negative["role"], "negative");
    assert_eq!(sixth["decided_by"]["bank"]["version"], 4);
    assert!(office.findings("PPE-01").await.is_empty());
    // the log of events says by what
    let audit = office.service.key("reviewer", &["reviewer"], &[]).await;
    let events = office.service.all_pages(&audit, "/api/v1/audit", 100).await;
    let event = events.iter().find(|e| e["kind"] == "photo.suppressed");
    assert_eq!(event.unwrap()["data"]["looks_like"][0], negative["id"]);
    // the sample can be looked at
    let address = format!("{SAMPLES}/{}", negative["id"].as_str().unwrap());
    let sample = office.get(&address).await;
    assert_eq!(
        (&sample["origin"], &sample["scope"]),
        (&json!("review"), &json!("site"))
    );
    let picture = office
        .service
        .get(&office.inspector, &format!("{address}/picture?size=64"))
        .await
        .is(200);
    let picture = image::load_from_memory(&picture.bytes).unwrap();
    assert!(picture.width().max(picture.height()) <= 64);

    let real = office.judged(&photo(ORANGE, 20, None)).await;
    assert_eq!(of(&real, "candidates", "PPE-01").len(), 1, "{real}");
    assert_eq!(office.findings("PPE-01").await.len(), 1);
    // taking the newest dismissal back opens the eyes again
    let undone = office
        .service
        .post(&office.inspector, "/api/v1/bank/undo", json!({}))
        .await
        .is(200)
        .json();
    assert_eq!(
        (
            &undone["version"],
            undone["removed"].as_array().unwrap().len()
        ),
        (&json!(5), 1)
    );
    let again = office.judged(&photo(GREEN, 10, None)).await;
    assert_eq!(of(&again, "candidates", "PPE-01").len(), 1, "{again}");
    office.ledger_is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_without_a_detector_is_taught_and_filed() {
    let office = Office::new().await;
    let wiring: Vec<_> = (0..5).map(|n| photo(ORANGE, n, None)).collect();
    office.add("positive", "EQP-02", &wiring).await;
    let clean: Vec<_> = (0..20).map(|n| photo(BLUE, 2 * n, None)).collect();
    let added = office.add("reference", "", &clean).await;
    assert_eq!(added["added"].as_array().unwrap().len(), 20 * 53);
    let seen = office.judged(&photo(BLUE, 7, Some(ORANGE))).await;
    let found = of(&seen, "candidates", "EQP-02");
    assert_eq!(found.len(), 1, "{seen}");
    assert_eq!(found[0]["why"]["rule"], "bank");
    let finding = office.findings("EQP-02").await.remove(0);
    assert_eq!(finding["origin"], "machine");
    assert_eq!(
        office.judged(&photo(BLUE, 21, None)).await["result"]["note"],
        Value::Null
    );
    assert_eq!(office.findings("EQP-02").await.len(), 1);
    // a person confirms it: one more sample
    office
        .step(&finding, json!({"step": "confirm", "severity": "general"}))
        .await;
    let path = format!("{SAMPLES}?finding={}", finding["id"].as_str().unwrap());
    let taught = office.get(&path).await;
    assert_eq!(taught["items"][0]["role"], "positive");
    let state = office.get("/api/v1/bank").await;
    assert_eq!(state["samples"], 5 + 20 * 53 + 1);
    assert_eq!(state["embedder"], "colours 1");
    let cover = &state["coverage"].as_array().unwrap();
    assert!(cover.iter().any(|c| c["hazard"] == "EQP-02"
        && c["site"] == office.site.as_str()
        && c["samples"] == 6));
    office.ledger_is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_machine_missed_teaches_it_until_it_is_rejected() {
    let office = Office::new().await;
    let seen = office.judged(&photo(BLUE, 1, Some(ORANGE))).await;
    let missed = json!({
        "site": office.site, "code": "EQP-02", "photo": seen["id"], "note": "wiring",
        "area": {"x1": 0.375, "y1": 0.33, "x2": 0.625, "y2": 0.66},
    });
    let note = async || {
        let path = "/api/v1/findings";
        let reply = office
            .service
            .post(&office.inspector, path, missed.clone())
            .await;
        reply.json()
    };
    let early = note().await;
    let of_finding = async |finding: &Value| {
        let path = format!("{SAMPLES}?finding={}", finding["id"].as_str().unwrap());
        office.get(&path).await["items"].as_array().unwrap().clone()
    };
    assert!(of_finding(&early).await.is_empty(), "nobody has a bank yet");
    office
        .step(&early, json!({"step": "reject", "reason": "too early"}))
        .await;
    office
        .add("positive", "EQP-02", &[photo(ORANGE, 3, None)])
        .await;
    let finding = note().await;
    let taught = of_finding(&finding).await;
    assert_eq!((taught.len(), &taught[0]["role"]), (1, &json!("positive")));
    let search = office
        .search(&office.inspector, photo(ORANGE, 4, None))
        .await
        .is(200)
        .json();
    assert_eq!(search["positives"].as_array().unwrap().len(), 2, "{search}");
    assert_eq!(search["decisions"][0]["ruling"], "unknown");
    office
        .step(&finding, json!({"step": "reject", "reason": "a hose"}))
        .await;
    let taught = of_finding(&finding).await;
    assert_eq!((taught.len(), &taught[0]["role"]), (1, &json!("negative")));
    office.ledger_is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn taking_away_and_undoing_restores_every_score() {
    let office = Office::new().await;
    let orange: Vec<_> = (0..3).map(|n| photo(ORANGE, n, None)).collect();
    let added = office.add("positive", "EQP-02", &orange).await;
    let clean: Vec<_> = (0..20).map(|n| photo(BLUE, n, None)).collect();
    office.add("reference", "EQP-02", &clean).await;
    let scores = async || {
        let found = office
            .search(&office.inspector, photo(ORANGE, 9, None))
            .await
            .is(200)
            .json();
        (
            found["bank_version"].as_i64().unwrap(),
            [&found["positives"], &found["decisions"]].map(Value::to_string),
        )
    };
    let (version, before) = scores().await;
    assert!(before[1].contains("confirm"), "{before:?}");
    let address = format!("{SAMPLES}/{}", added["added"][0].as_str().unwrap());
    let call = request(
        Method::DELETE,
        &office.inspector,
        &format!("{address}?reason=blurred"),
        &[],
        Body::empty(),
    );
    office.service.send(call).await.is(200);
    let (_, without) = scores().await;
    assert_ne!(without, before);
    let key = [("idempotency-key", "undo-1")];
    for _ in 0..2 {
        let undo = json!({"version": version + 1});
        let reply = office
            .service
            .post_with(&office.inspector, "/api/v1/bank/undo", &key, undo)
            .await;
        assert_eq!(reply.is(200).json()["version"], version + 2);
    }
    assert_eq!(scores().await, (version + 2, before));
    let undo = json!({"version": version + 1});
    office
        .service
        .post(&office.inspector, "/api/v1/bank/undo", undo)
        .await
        .problem(422);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_teach_and_who_sees_what() {
    let office = Office::new().await;
    let added = office
        .add("positive", "EQP-02", &[photo(ORANGE, 1, None)])
        .await;
    let service = &office.service;
    let company = service
        .key("company", &["enterprise"], &[&office.enterprise])
        .await;
    let (other, yard) = service.site("Other Ltd", "Asia/Shanghai").await;
    let limited = service.key("limited", &["inspector"], &[&other]).await;
    let sample = format!("{SAMPLES}/{}", added["added"][0].as_str().unwrap());
    let picture = format!("{sample}/picture");
    for path in ["/api/v1/bank", SAMPLES, &sample, &picture] {
        service.get(&company, path).await.problem(403);
        // an administrator looks on
        service.get(&service.admin, path).await.is(200);
    }
    let new = photo(ORANGE, 2, None);
    let fields = [
        ("role", "positive"),
        ("code", "EQP-02"),
        ("site", yard.as_str()),
    ];
    for key in [&company, &service.admin] {
        let reply = office
            .form(key, SAMPLES, &[], &fields, std::slice::from_ref(&new))
            .await;
        reply.problem(403);
        service
            .post(key, "/api/v1/bank/undo", json!({}))
            .await
            .problem(403);
    }
    // another enterprise's samples are not there
    assert_eq!(
        service.get(&limited, SAMPLES).await.json()["items"],
        json!([])
    );
    assert_eq!(
        service.get(&limited, "/api/v1/bank").await.json()["coverage"],
        json!([])
    );
    service.get(&limited, &sample).await.problem(404);
    service.get(&limited, &picture).await.problem(404);
    service
        .send(request(
            Method::DELETE,
            &limited,
            &sample,
            &[],
            Body::empty(),
        ))
        .await
        .problem(404);
    for (undo, status) in [(json!({}), 422), (json!({"version": 1}), 404)] {
        let reply = service.post(&limited, "/api/v1/bank/undo", undo).await;
        reply.problem(status);
    }
    let elsewhere = [
        ("role", "positive"),
        ("code", "EQP-02"),
        ("site", office.site.as_str()),
    ];
    for (fields, status) in [(&elsewhere[..], 404), (&elsewhere[..2], 422)] {
        let reply = office
            .form(&limited, SAMPLES, &[], fields, std::slice::from_ref(&new))
            .await;
        reply.problem(status);
    }
    // what counts everywhere would count at others' sites
    for role in ["negative", "reference"] {
        let at = |scope| {
            [
                ("role", role),
                ("code", "EQP-02"),
                ("site", yard.as_str()),
                scope,
            ]
        };
        let add = async |fields: &[(&str, &str)]| {
            office
                .form(&limited, SAMPLES, &[], fields, std::slice::from_ref(&new))
                .await
        };
        add(&at(("scope", "everywhere"))).await.problem(403);
        let added = add(&at(("camera", ""))[..3]).await.is(201).json();
        let id = added["added"][0].as_str().unwrap();
        let kept = service.get(&limited, &format!("{SAMPLES}/{id}")).await;
        assert_eq!(kept.json()["scope"], "site");
        let undo = json!({ "version": added["version"] });
        service
            .post(&limited, "/api/v1/bank/undo", undo)
            .await
            .is(200);
    }
    // its own are, and a search shows no others
    office
        .form(&limited, SAMPLES, &[], &fields, std::slice::from_ref(&new))
        .await
        .is(201);
    let fields = [("site", yard.as_str())];
    let found = office
        .form(
            &limited,
            "/api/v1/bank/search",
            &[],
            &fields,
            &[photo(ORANGE, 3, None)],
        )
        .await
        .is(200)
        .json();
    assert_eq!(found["samples"], 2);
    assert_eq!(found["positives"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["positives"][0]["site"], yard.as_str());
    assert_eq!(
        service.get(&limited, SAMPLES).await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        office.get(SAMPLES).await["items"].as_array().unwrap().len(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_sample_is_refused_and_a_request_has_its_effect_once() {
    let office = Office::at(Service::idle(ServeConfig::default()).await).await;
    let orange = || vec![photo(ORANGE, 1, None)];
    let whole = [("role", "positive"), ("code", "EQP-02")];
    let problem = office
        .search(&office.inspector, photo(ORANGE, 1, None))
        .await
        .problem(409);
    assert!(problem["next"].as_str().unwrap().contains("/bank/samples"));
    type Case<'a> = (&'a [(&'a str, &'a str)], Vec<Vec<u8>>, &'a str);
    let cases: [Case<'_>; 10] = [
        (&[("code", "EQP-02")], orange(), "role"),
        (&[("role", "maybe"), ("code", "EQP-02")], orange(), "role"),
        (&[("role", "positive")], orange(), "hazard"),
        (
            &[("role", "positive"), ("code", "EQP-99")],
            orange(),
            "EQP-99",
        ),
        (&[whole[0], whole[1], ("scope", "site")], orange(), "scope"),
        (&[whole[0], whole[1], ("area", "0,0,2,1")], orange(), "area"),
        (&[whole[0], whole[1], ("colour", "red")], orange(), "colour"),
        (&[whole[0], whole[1], whole[1]], orange(), "twice"),
        (&whole, vec![b"no photo".to_vec()], "cannot be a sample"),
        (&whole, vec![], "no photo in the form"),
    ];
    for (fields, photos, word) in cases {
        let reply = office
            .form(&office.inspector, SAMPLES, &[], fields, &photos)
            .await;
        let problem = reply.problem(422);
        assert!(
            problem["detail"].as_str().unwrap().contains(word),
            "{word}: {problem}"
        );
    }
    assert_eq!(office.get("/api/v1/bank").await["version"], 0);
    let key = [("idempotency-key", "k-1")];
    let first = office
        .form(&office.inspector, SAMPLES, &key, &whole, &orange())
        .await;
    let again = office
        .form(&office.inspector, SAMPLES, &key, &whole, &orange())
        .await;
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(first.is(201).json(), again.is(201).json());
    let other = [photo(ORANGE, 2, None)];
    office
        .form(&office.inspector, SAMPLES, &key, &whole, &other)
        .await
        .problem(409);
    assert_eq!(office.get("/api/v1/bank").await["version"], 1);
    let damaged = vec![b"no photo".to_vec()];
    let reply = office
        .form(&office.inspector, "/api/v1/bank/search", &[], &[], &damaged)
        .await;
    reply.problem(422);
    // every sample, a page at a time
    let many: Vec<_> = (3..8).map(|n| photo(ORANGE, n, None)).collect();
    office.add("positive", "EQP-02", &many).await;
    let all = office
        .service
        .all_pages(&office.inspector, SAMPLES, 2)
        .await;
    assert_eq!(all.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_embedder_photos_are_judged_and_say_so() {
    let office = Office::at(Service::idle(ServeConfig::default()).await).await;
    office
        .add("positive", "EQP-02", &[photo(ORANGE, 1, None)])
        .await;
    let Office {
        service,
        enterprise,
        site,
        inspector,
    } = office;
    let mut service = service.reopen_without_embedder().await;
    service.work();
    let office = Office {
        service,
        enterprise,
        site,
        inspector,
    };
    let seen = office.judged(&photo(BLUE, 1, None)).await;
    assert_eq!(of(&seen, "candidates", "PPE-01").len(), 1);
    assert!(
        seen["result"]["note"]
            .as_str()
            .unwrap()
            .contains("sample bank could not be asked")
    );
    assert_eq!(seen["decided_by"]["bank"], Value::Null);
    let problem = office
        .search(&office.inspector, photo(ORANGE, 1, None))
        .await
        .problem(503);
    assert!(!problem.to_string().contains("digest"), "{problem}");
}
