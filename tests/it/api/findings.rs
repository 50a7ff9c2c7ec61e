//! `/findings`: from a photo to a closed finding, and the ways that lead nowhere.

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};

use super::support::{Place, Reply, Service, photo, place, request};

struct Case {
    service: Service,
    enterprise: String,
    site: String,
    inspector: String,
    reviewer: String,
    company: String,
    finding: String,
}

/// A candidate, and everybody who has to do with it.
async fn case() -> Case {
    let Place {
        service,
        enterprise,
        site,
        inspector,
    } = place(Service::start().await, "Asia/Shanghai").await;
    let reviewer = service.key("reviewer", &["reviewer"], &[]).await;
    let company = service
        .key("company", &["enterprise"], &[&enterprise])
        .await;
    let fields = [
        ("site", site.as_str()),
        ("taken_at", "2026-06-01T08:00:00Z"),
    ];
    service
        .upload(
            &inspector,
            "?wait=60",
            &[],
            &fields,
            &[("a.jpg", &photo(1))],
        )
        .await
        .is(200);
    let list = service
        .get(&inspector, "/api/v1/findings?code=PPE-01")
        .await
        .is(200)
        .json();
    let finding = list["items"][0]["id"].as_str().unwrap().to_owned();
    Case {
        service,
        enterprise,
        site,
        inspector,
        reviewer,
        company,
        finding,
    }
}

impl Case {
    fn path(&self, rest: &str) -> String {
        format!("/api/v1/findings/{}{rest}", self.finding)
    }

    async fn version(&self) -> String {
        let reply = self
            .service
            .get(&self.inspector, &self.path(""))
            .await
            .is(200);
        reply.header("etag").to_owned()
    }

    async fn step(&self, key: &str, body: Value) -> Reply {
        let version = self.version().await;
        let headers = [("if-match", version.as_str())];
        self.service
            .post_with(key, &self.path("/transitions"), &headers, body)
            .await
    }

    async fn photo(&self, key: &str, taken_at: &str, number: u32) -> String {
        let fields = [("site", self.site.as_str()), ("taken_at", taken_at)];
        let bytes = photo(number);
        let reply = self
            .service
            .upload(key, "?wait=60", &[], &fields, &[("p.jpg", &bytes)])
            .await;
        reply.is(200).json()["photos"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_is_filed_with_what_the_decision_rests_on() {
    let case = case().await;
    let finding = case
        .service
        .get(&case.inspector, &case.path(""))
        .await
        .is(200)
        .json();
    assert_eq!(finding["state"], "candidate");
    assert_eq!(finding["origin"], "machine");
    assert_eq!(finding["site_id"], case.site.as_str());
    let seen = case
        .service
        .get(&case.inspector, &case.path("/occurrences"))
        .await
        .is(200)
        .json();
    let seen = &seen["items"][0];
    assert_eq!(seen["seen_at"], "2026-06-01T08:00:00Z");
    assert!(seen["why"]["why"]["text"].as_str().unwrap().len() > 10);
    assert_eq!(seen["context"].as_str().unwrap().len(), 64);
    let evidence = case
        .service
        .get(&case.inspector, &case.path("/evidence"))
        .await
        .is(200)
        .json();
    assert_eq!(evidence["items"][0]["role"], "origin");
    assert_eq!(evidence["items"][0]["sha256"], seen["photo_sha256"]);

    // the same place in another photo is one more occurrence, not another finding
    case.photo(&case.inspector, "2026-06-01T09:00:00Z", 2).await;
    let list = case
        .service
        .get(&case.inspector, "/api/v1/findings")
        .await
        .is(200)
        .json();
    assert_eq!(
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|f| f["hazard_code"] == "PPE-01")
            .count(),
        1
    );
    let seen = case
        .service
        .get(&case.inspector, &case.path("/occurrences"))
        .await
        .json();
    assert_eq!(seen["items"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_goes_from_candidate_to_closed_by_the_right_people_only() {
    let case = case().await;
    let confirm = json!({"step": "confirm", "severity": "general"});
    for key in [&case.company, &case.service.admin] {
        case.step(key, confirm.clone()).await.problem(403);
    }
    case.step(&case.inspector, json!({"step": "close"}))
        .await
        .problem(409);
    case.step(&case.inspector, json!({"step": "vanish"}))
        .await
        .problem(422);
    let confirmed = case.step(&case.inspector, confirm).await.is(200).json();
    assert_eq!(
        (&confirmed["state"], &confirmed["severity"]),
        (&json!("confirmed"), &json!("general"))
    );

    // by the clock at the site
    let order = json!({"step": "order", "due_at": "2026-06-15T18:00:00"});
    let ordered = case.step(&case.inspector, order).await.is(200).json();
    assert_eq!(ordered["due_at"], "2026-06-15T10:00:00Z");
    let orders = case
        .service
        .get(&case.company, &case.path("/orders"))
        .await
        .is(200)
        .json();
    assert_eq!(orders["items"][0]["number"], 1);

    case.service
        .clock
        .advance(jiff::SignedDuration::from_hours(48));
    let early = case.photo(&case.company, "2026-05-01T08:00:00Z", 3).await;
    case.step(&case.company, json!({"step": "rectify", "photo": early}))
        .await
        .is(200);
    let evidence = case
        .service
        .get(&case.reviewer, &case.path("/evidence"))
        .await
        .json();
    let checks = &evidence["items"][0]["checks"];
    assert_eq!(checks["taken_after_order"]["said"], "no", "{checks}");
    case.step(&case.reviewer, json!({"step": "close"}))
        .await
        .problem(409);
    let back = json!({"step": "return", "reason": "an old photo", "due_at": "2026-06-20T18:00:00"});
    case.step(&case.reviewer, back).await.is(200);
    case.service
        .clock
        .advance(jiff::SignedDuration::from_hours(24));

    let proof = case
        .photo(&case.company, "2026-06-04T09:00:00Z", 1 << 20)
        .await;
    case.step(&case.company, json!({"step": "rectify", "photo": proof}))
        .await
        .is(200);
    let evidence = case
        .service
        .get(&case.reviewer, &case.path("/evidence"))
        .await
        .json();
    let checks = &evidence["items"][0]["checks"];
    assert_eq!(checks["taken_after_order"]["said"], "yes", "{checks}");
    assert!(
        checks["same_place"]["reason"]
            .as_str()
            .unwrap()
            .contains("features"),
        "{checks}"
    );
    // all photos of this test look alike, and the checks say so
    assert_eq!(checks["not_used_before"]["said"], "no", "{checks}");
    case.step(&case.company, json!({"step": "close"}))
        .await
        .problem(403);
    let closed = case
        .step(&case.reviewer, json!({"step": "close"}))
        .await
        .is(200)
        .json();
    assert_eq!(closed["state"], "closed");

    let log = format!("/api/v1/audit?entity={}&kind=finding.step", case.finding);
    let events = case.service.get(&case.reviewer, &log).await.is(200).json();
    assert_eq!(events["items"].as_array().unwrap().len(), 6);
    case.service.get(&case.inspector, &log).await.problem(403);
    let sums = case
        .service
        .get(&case.inspector, "/api/v1/statistics")
        .await
        .is(200)
        .json();
    assert_eq!(sums["by_state"]["closed"], 1, "{sums}");
}

#[tokio::test(flavor = "multi_thread")]
async fn major_takes_two_people() {
    let case = case().await;
    let major = json!({"step": "confirm", "severity": "major"});
    case.step(&case.inspector, major.clone()).await.problem(409);
    let propose = json!({"step": "propose_major", "reason": "gas beside it"});
    case.step(&case.inspector, propose).await.is(200);
    case.step(&case.inspector, major.clone()).await.problem(409);
    let confirmed = case.step(&case.reviewer, major).await.is(200).json();
    assert_eq!(confirmed["severity"], "major");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_people_who_decide_at_once_one_wins() {
    let case = case().await;
    let version = case.version().await;
    let headers = [("if-match", version.as_str())];
    let path = case.path("/transitions");
    let (a, b) = tokio::join!(
        case.service.post_with(
            &case.inspector,
            &path,
            &headers,
            json!({"step": "confirm", "severity": "general"})
        ),
        case.service.post_with(
            &case.reviewer,
            &path,
            &headers,
            json!({"step": "reject", "reason": "a statue"})
        ),
    );
    let mut statuses = [a.status.as_u16(), b.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    case.service
        .post(
            &case.inspector,
            &path,
            json!({"step": "reject", "reason": "x"}),
        )
        .await
        .problem(428);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_sees_and_changes_nothing() {
    let case = case().await;
    let (other, _) = case.service.site("Stranger Ltd", "Asia/Shanghai").await;
    let stranger = case
        .service
        .key("stranger", &["inspector"], &[&other])
        .await;
    for rest in ["", "/occurrences", "/evidence", "/orders"] {
        case.service
            .get(&stranger, &case.path(rest))
            .await
            .problem(404);
    }
    let reject = json!({"step": "reject", "reason": "x"});
    case.step(&stranger, reject).await.problem(404);
    let enterprise = format!("/api/v1/enterprises/{}", case.enterprise);
    for path in [
        enterprise.clone(),
        format!("{enterprise}/persons"),
        format!("/api/v1/sites/{}", case.site),
    ] {
        case.service.get(&stranger, &path).await.problem(404);
    }
    for path in ["/api/v1/findings", "/api/v1/photos"] {
        let list = case.service.get(&stranger, path).await.is(200).json();
        assert_eq!(list["items"], json!([]), "{path}");
    }
    let sums = case
        .service
        .get(&stranger, "/api/v1/statistics")
        .await
        .is(200)
        .json();
    assert_eq!(sums["total"], 0);
    let ingest = case
        .service
        .key("gate", &["ingest"], &[&case.enterprise])
        .await;
    case.service
        .get(&ingest, "/api/v1/findings")
        .await
        .problem(403);
    case.photo(&ingest, "2026-06-01T11:00:00Z", 9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_sticks_and_can_be_taken_back() {
    let case = case().await;
    case.step(
        &case.inspector,
        json!({"step": "reject", "reason": "a mannequin"}),
    )
    .await
    .is(200);
    let path = format!("/api/v1/sites/{}/dismissals", case.site);
    let list = case
        .service
        .get(&case.inspector, &path)
        .await
        .is(200)
        .json();
    let dismissal = list["items"][0]["id"].as_str().unwrap();
    let revoke = format!("{path}/{dismissal}/revoke");
    case.service
        .post(&case.company, &revoke, json!({}))
        .await
        .problem(403);
    let call = request(Method::POST, &case.inspector, &revoke, &[], Body::empty());
    case.service.send(call).await.is(204);
    let list = case.service.get(&case.inspector, &path).await.json();
    assert!(list["items"][0]["revoked_at"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_files_a_finding_that_goes_the_same_way() {
    let case = case().await;
    let path = "/api/v1/findings";
    let photo = case.photo(&case.inspector, "2026-06-01T10:00:00Z", 7).await;
    let whole = json!({
        "site": case.site, "code": "EGR-01", "zone": "dock", "photo": photo,
        "area": {"x1": 0.1, "y1": 0.1, "x2": 0.5, "y2": 0.9},
        "note": "pallets before the exit",
    });
    for key in [&case.company, &case.reviewer, &case.service.admin] {
        case.service
            .post(key, path, whole.clone())
            .await
            .problem(403);
    }
    for (field, value, status) in [
        ("code", json!("NO-99"), 422),
        ("note", json!(" "), 422),
        ("photo", json!(null), 422),
        ("site", json!("0197f000-0000-7000-8000-000000000000"), 422),
        (
            "inspection",
            json!("0197f000-0000-7000-8000-000000000000"),
            404,
        ),
        (
            "area",
            json!({"x1": 0.5, "y1": 0.1, "x2": 0.1, "y2": 0.9}),
            422,
        ),
    ] {
        let mut wrong = whole.clone();
        wrong[field] = value;
        case.service
            .post(&case.inspector, path, wrong)
            .await
            .problem(status);
    }
    let key = [("idempotency-key", "note-1")];
    let send = || {
        case.service
            .post_with(&case.inspector, path, &key, whole.clone())
    };
    let filed = send().await.is(201);
    assert_eq!(filed.header("etag"), "\"1\"");
    assert_eq!(send().await.is(201).json(), filed.json());
    let finding = filed.json();
    assert_eq!(finding["state"], "candidate");
    assert!(finding["origin"]["person"].is_string(), "{finding}");
    assert_eq!(finding["suggested"], "general");
    // the same place again is one more occurrence
    let other = case.photo(&case.inspector, "2026-06-01T11:00:00Z", 8).await;
    let mut again = whole.clone();
    again["photo"] = other.into();
    let appended = case
        .service
        .post(&case.inspector, path, again)
        .await
        .is(200)
        .json();
    assert_eq!(appended["id"], finding["id"]);

    let case = Case {
        finding: finding["id"].as_str().unwrap().to_owned(),
        ..case
    };
    let seen = case
        .service
        .get(&case.inspector, &case.path("/occurrences"))
        .await
        .json();
    assert_eq!(seen["items"].as_array().unwrap().len(), 2);
    assert_eq!(seen["items"][1]["why"]["note"], "pallets before the exit");
    assert_eq!(seen["items"][1]["seen_at"], "2026-06-01T10:00:00Z");
    case.step(
        &case.inspector,
        json!({"step": "confirm", "severity": "general"}),
    )
    .await
    .is(200);
    let order = json!({"step": "order", "due_at": "2026-06-15T18:00:00"});
    case.step(&case.inspector, order).await.is(200);
    // a picture of something else altogether
    let bytes = std::fs::read(crate::support::astronaut()).unwrap();
    let fields = [
        ("site", case.site.as_str()),
        ("taken_at", "2026-06-01T11:30:00Z"),
    ];
    let proof = case
        .service
        .upload(
            &case.company,
            "?wait=60",
            &[],
            &fields,
            &[("p.jpg", &bytes)],
        )
        .await
        .is(200)
        .json();
    let rectify = json!({"step": "rectify", "photo": proof["photos"][0]["id"]});
    case.step(&case.company, rectify).await.is(200);
    let evidence = case
        .service
        .all_pages(&case.reviewer, &case.path("/evidence"), 2)
        .await;
    let roles: Vec<_> = evidence
        .iter()
        .map(|e| e["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["proof", "origin", "origin"]);
    let checks = &evidence[0]["checks"];
    assert_eq!(checks["not_used_before"]["said"], "yes", "{checks}");
    let report = sitewarden::ledger::check::check(&case.service.ledger)
        .await
        .unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_findings_is_listed_over_all_of_them() {
    let case = case().await;
    case.step(
        &case.inspector,
        json!({"step": "confirm", "severity": "general"}),
    )
    .await
    .is(200);
    let order = json!({"step": "order", "due_at": "2026-06-15T18:00:00"});
    case.step(&case.inspector, order).await.is(200);
    let (other, _) = case.service.site("Elsewhere Ltd", "Asia/Shanghai").await;
    let stranger = case
        .service
        .key("stranger", &["inspector"], &[&other])
        .await;
    let note = json!({"site": case.site, "code": "EGR-01", "note": "a locked door"});
    let note = case
        .service
        .post(&case.inspector, "/api/v1/findings", note)
        .await
        .is(201)
        .json();
    for (list, all, of_note) in [("occurrences", 2, 1), ("orders", 1, 0), ("evidence", 1, 0)] {
        let path = format!("/api/v1/{list}");
        let count = async |key: &str, query: String| {
            let reply = case.service.get(key, &format!("{path}{query}")).await;
            reply.is(200).json()["items"].as_array().unwrap().len()
        };
        assert_eq!(count(&case.company, String::new()).await, all, "{list}");
        assert_eq!(count(&stranger, String::new()).await, 0, "{list}");
        let of = |id: &serde_json::Value| format!("?finding={}", id.as_str().unwrap());
        assert_eq!(count(&case.inspector, of(&note["id"])).await, of_note);
        for (filter, n) in [
            (format!("?site={}", case.site), all),
            (format!("?enterprise={other}"), 0),
        ] {
            assert_eq!(count(&case.inspector, filter).await, n, "{list}");
        }
        let seen = case.service.all_pages(&case.inspector, &path, 1).await;
        assert_eq!(seen.len(), all, "{list}: page by page");
    }
}
