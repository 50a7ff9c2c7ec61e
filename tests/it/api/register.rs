//! `/enterprises`, `/sites`, `/checklists`, `/inspections`

use std::future::Future;
use std::task::Poll;

use serde_json::json;
use sitewarden::api::ServeConfig;

use super::support::{Service, credit_code, photo};

#[tokio::test(flavor = "multi_thread")]
async fn one_company_has_one_file_and_a_change_names_what_was_seen() {
    let service = Service::idle(ServeConfig::default()).await;
    let key = service.key("inspector", &["inspector"], &[]).await;
    let mut body = json!({"credit_code": credit_code("One Ltd"), "name": "One Ltd", "industry": "timber",
        "facts": {"combustible_dust": true}});
    let path = "/api/v1/enterprises";
    let made = service.post(&key, path, body.clone()).await.is(201);
    assert_eq!(made.header("etag"), "\"1\"");
    let id = made.json()["id"].as_str().unwrap().to_owned();
    service.post(&key, path, body.clone()).await.problem(409);
    let one = format!("{path}/{id}");
    body["name"] = "Number One Ltd".into();
    let changed = service
        .put(&key, &one, &[("if-match", "\"1\"")], body.clone())
        .await
        .is(200);
    assert_eq!(changed.header("etag"), "\"2\"");
    service
        .put(&key, &one, &[("if-match", "\"1\"")], body.clone())
        .await
        .problem(412);
    service
        .put(&key, &one, &[("if-match", "")], body.clone())
        .await
        .problem(412);
    assert_eq!(
        service.get(&key, &one).await.json()["name"],
        "Number One Ltd"
    );
    body["credit_code"] = "123".into();
    service.post(&key, path, body).await.problem(422);
    let person = json!({"name": "Li Wei", "duty": "safety officer", "phone": null});
    service
        .post(&key, &format!("{one}/persons"), person)
        .await
        .is(201);
    let persons = service
        .get(&key, &format!("{one}/persons"))
        .await
        .is(200)
        .json();
    assert_eq!(persons["items"][0]["name"], "Li Wei");
    let company = service.key("company", &["enterprise"], &[&id]).await;
    let site = json!({"name": "x", "address": "y", "time_zone": "Asia/Shanghai"});
    service
        .post(&company, &format!("{one}/sites"), site)
        .await
        .problem(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_has_a_time_zone_points_and_cameras_without_addresses() {
    let service = Service::idle(ServeConfig::default()).await;
    let (enterprise, site) = service.site("Places Ltd", "Asia/Shanghai").await;
    let admin = &service.admin;
    let sites = format!("/api/v1/enterprises/{enterprise}/sites");
    let body = json!({"name": "x", "address": "y", "time_zone": "Mars/Olympus"});
    service.post(admin, &sites, body).await.problem(422);
    let site = format!("/api/v1/sites/{site}");
    let point = json!({"name": "Gate 3", "zone": "dock"});
    let point = service
        .post(admin, &format!("{site}/points"), point)
        .await
        .is(201)
        .json();
    let camera = json!({"name": "C1", "point": point["id"], "source": "dock-1"});
    service
        .post(admin, &format!("{site}/cameras"), camera)
        .await
        .is(201);
    let camera = json!({"name": "C2", "source": "rtsp://user:pass@10.0.0.1/"});
    service
        .post(admin, &format!("{site}/cameras"), camera)
        .await
        .problem(422);
    let cameras = service
        .get(admin, &format!("{site}/cameras"))
        .await
        .is(200)
        .json();
    assert_eq!(cameras["items"].as_array().unwrap().len(), 1);
    let list = service
        .get(admin, &format!("/api/v1/sites?enterprise={enterprise}"))
        .await
        .is(200)
        .json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inspection_is_filled_in_from_its_photos_and_goes_its_way() {
    let service = Service::start().await;
    let (enterprise, site) = service.site("Visit Ltd", "Europe/Berlin").await;
    let key = service.key("inspector", &["inspector"], &[]).await;
    let item = |name: &str, code: Option<&str>| json!({"key": name, "text": {"en": name, "zh": name}, "hazard_code": code});
    let body = json!({"name": "Warehouse", "items": [item("helmets", Some("PPE-01")), item("exits", None)]});
    let base = service
        .post(&key, "/api/v1/checklists", body)
        .await
        .is(201)
        .json();
    let base = base["id"].as_str().unwrap();
    let body = json!({"enterprise": enterprise, "items": [item("dogs", None)]});
    let path = format!("/api/v1/checklists/{base}/overlays");
    let overlay = service.post(&key, &path, body).await.is(201).json();
    assert_eq!(overlay["items"].as_array().unwrap().len(), 3);

    let plan = |at: &str| json!({"site": site, "checklist": base, "planned_for": at});
    service
        .post(&key, "/api/v1/inspections", plan("2026-03-29T02:30:00"))
        .await
        .problem(422);
    let made = service
        .post(&key, "/api/v1/inspections", plan("2026-06-02T09:00:00"))
        .await
        .is(201)
        .json();
    assert_eq!(made["planned_for"], "2026-06-02T07:00:00Z");
    let id = made["id"].as_str().unwrap();
    let path = format!("/api/v1/inspections/{id}");
    let attendee = json!({"name": "Li Wei", "role": "safety officer"});
    service
        .post(&key, &format!("{path}/attendees"), attendee)
        .await
        .is(201);

    let fields = [("site", site.as_str()), ("inspection", id)];
    service
        .upload(&key, "?wait=60", &[], &fields, &[("a.jpg", &photo(1))])
        .await
        .is(200);
    let answer = json!({"answer": "compliant", "reason": "walked through all of them"});
    let exits = format!("{path}/items/exits");
    let seen = service.get(&key, &exits).await.is(200);
    assert_eq!(seen.json()["answer"], "cannot_determine");
    let seen = [("if-match", seen.header("etag"))];
    service
        .put(&key, &exits, &[], answer.clone())
        .await
        .problem(428);
    let given = service
        .put(&key, &exits, &seen, answer.clone())
        .await
        .is(200);
    assert_eq!(given.json()["answer"], "compliant");
    // of two people who have seen the same, the second is told
    service
        .put(&key, &exits, &seen, answer.clone())
        .await
        .problem(412);
    let again = [("if-match", given.header("etag"))];
    service
        .put(&key, &exits, &again, answer.clone())
        .await
        .is(200);
    let unknown = format!("{path}/items/cats");
    service.get(&key, &unknown).await.problem(404);
    service
        .put(&key, &unknown, &again, answer)
        .await
        .problem(404);
    let shown = service.get(&key, &path).await.is(200);
    let version = shown.header("etag").to_owned();
    let whole = shown.json();
    let of = |name: &str| {
        let items = whole["items"].as_array().unwrap();
        items.iter().find(|i| i["key"] == name).unwrap()["answer"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(of("helmets"), "non_compliant");
    assert_eq!(of("exits"), "compliant");
    assert_eq!(whole["items"][1]["version"], 3, "{whole}");
    assert_eq!(of("dogs"), "cannot_determine", "nobody has looked");
    assert_eq!(whole["attendees"][0]["name"], "Li Wei");

    let go = |state: &str| json!({"state": state});
    let path = format!("{path}/transitions");
    let headers = [("if-match", version.as_str())];
    service
        .post_with(&key, &path, &headers, go("done"))
        .await
        .problem(422);
    service
        .post_with(&key, &path, &headers, go("notified"))
        .await
        .is(200);
    service
        .post_with(&key, &path, &headers, go("on_site"))
        .await
        .problem(412);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_at_an_enterprise_is_not_applicable_in_photos_and_checklists() {
    let service = Service::start().await;
    let (enterprise, site) = service.site("Facts Ltd", "Europe/Berlin").await;
    let key = service.key("inspector", &["inspector"], &[]).await;
    let path = format!("/api/v1/enterprises/{enterprise}");
    let facts = async |version: &str, facts: serde_json::Value| {
        let body = json!({"credit_code": credit_code("Facts Ltd"), "name": "Facts Ltd",
            "industry": "warehousing", "facts": facts});
        service
            .put(&key, &path, &[("if-match", version)], body)
            .await
            .is(200)
    };
    facts("\"1\"", json!({"PPE-01": false, "combustible_dust": false})).await;
    let items = [
        ("helmets", "PPE-01"),
        ("vests", "PPE-02"),
        ("dust", "ENV-01"),
    ]
    .map(
        |(name, code)| json!({"key": name, "text": {"en": name, "zh": name}, "hazard_code": code}),
    );
    let base = json!({"name": "Yard", "items": items});
    let base = service
        .post(&key, "/api/v1/checklists", base)
        .await
        .is(201)
        .json();
    let plan = json!({"site": site, "checklist": base["id"], "planned_for": "2026-06-02T09:00:00"});
    let plan = service
        .post(&key, "/api/v1/inspections", plan)
        .await
        .is(201)
        .json();
    let id = plan["id"].as_str().unwrap();
    let helmets = async || {
        let whole = service
            .get(&key, &format!("/api/v1/inspections/{id}"))
            .await
            .is(200)
            .json();
        whole["items"][0].clone()
    };
    let photo_of = async |number: u32| {
        let fields = [("site", site.as_str()), ("inspection", id)];
        let bytes = photo(number);
        let photos: [(&str, &[u8]); 1] = [("a.jpg", &bytes)];
        let job = service
            .upload(&key, "?wait=60", &[], &fields, &photos)
            .await
            .is(200)
            .json();
        let photo = format!(
            "/api/v1/photos/{}",
            job["photos"][0]["id"].as_str().unwrap()
        );
        let result = service.get(&key, &photo).await.is(200).json()["result"].clone();
        let answers = result["answers"].as_array().unwrap().clone();
        let of = |code: &str| answers.iter().find(|a| a["code"] == code).unwrap().clone();
        (
            of("PPE-01"),
            of("ENV-01")["answer"].clone(),
            result["candidates"].to_string().contains("PPE-01"),
        )
    };
    let whole = service
        .get(&key, &format!("/api/v1/inspections/{id}"))
        .await
        .json();
    let answers = [0, 1, 2].map(|n| whole["items"][n]["answer"].as_str().unwrap().to_owned());
    let out = "not_applicable";
    assert_eq!(answers, [out, "cannot_determine", out]);
    let item = helmets().await;
    assert_eq!(item["answered_by"], "machine");
    let (answer, dust, candidate) = photo_of(1).await;
    assert_eq!(dust, "not_applicable");
    assert_eq!(answer["answer"], "not_applicable");
    assert!(answer["reason"].as_str().unwrap().contains("file says"));
    assert!(!candidate);
    assert_eq!(helmets().await, item);
    let findings = service.get(&key, "/api/v1/findings?code=PPE-01").await;
    assert_eq!(findings.is(200).json()["items"], json!([]));

    // it is there after all
    facts("\"2\"", json!({})).await;
    let item = helmets().await;
    assert_eq!(item["answer"], "cannot_determine");
    assert_eq!(item["answered_by"], json!(null));
    let (answer, dust, candidate) = photo_of(2).await;
    assert_eq!(dust, "cannot_determine");
    assert_eq!(answer["answer"], "non_compliant");
    assert!(candidate);
    assert_eq!(helmets().await["answer"], "non_compliant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fact_that_rules_nothing_out_is_refused() {
    let service = Service::idle(ServeConfig::default()).await;
    let body = |facts: serde_json::Value| {
        json!({"credit_code": credit_code("Mill Ltd"), "name": "Mill Ltd", "industry": "timber",
            "facts": facts})
    };
    let path = "/api/v1/enterprises";
    for wrong in ["combustible_dusts", "ENV-99", "env-01", ""] {
        let made = service.post(&service.admin, path, body(json!({wrong: false})));
        let problem = made.await.problem(422);
        assert!(problem["detail"].as_str().unwrap().contains(wrong));
        let next = problem["next"].as_str().unwrap();
        assert!(next.contains("combustible_dust,"), "{next}");
    }
    let facts = json!({"combustible_dust": true, "ENV-02": false});
    let made = service
        .post(&service.admin, path, body(facts.clone()))
        .await;
    let made = made.is(201).json();
    assert_eq!(made["facts"], facts);
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    let seen = [("if-match", "\"1\"")];
    service
        .put(&service.admin, &one, &seen, body(json!({"dust": true})))
        .await
        .problem(422);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_cut_off_anywhere_has_its_effect_once() {
    let service = Service::idle(ServeConfig::default()).await;
    let path = "/api/v1/enterprises";
    // how many polls a request takes depends on how busy the machine is
    for polls in 0..40 {
        let name = format!("Cut {polls}");
        let body = json!({"credit_code": credit_code(&name), "name": name, "industry": "timber"});
        let headers = [("idempotency-key", name.as_str())];
        let whole = {
            let call = service.post_with(&service.admin, path, &headers, body.clone());
            let mut call = std::pin::pin!(call);
            let mut left = polls;
            std::future::poll_fn(|context| {
                if left == 0 {
                    return Poll::Ready(None);
                }
                left -= 1;
                call.as_mut().poll(context).map(Some)
            })
            .await
        };
        let again = service
            .post_with(&service.admin, path, &headers, body)
            .await
            .is(201);
        let list = service
            .get(
                &service.admin,
                &format!("{path}?name={}", name.replace(' ', "%20")),
            )
            .await
            .is(200)
            .json();
        let with_name: Vec<_> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|e| e["name"] == name.as_str())
            .collect();
        assert_eq!(with_name, [&again.json()], "after {polls} polls");
        if let Some(whole) = whole {
            assert_eq!(whole.json(), again.json());
        }
    }
}
