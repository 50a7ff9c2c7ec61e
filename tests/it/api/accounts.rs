//! `/accounts`

use axum::body::Body;
use axum::http::Method;
use serde_json::json;
use sitewarden::api::ServeConfig;

use super::support::{Service, request};

#[tokio::test(flavor = "multi_thread")]
async fn the_first_key_is_given_once_and_opens_the_door() {
    let service = Service::idle(ServeConfig::default()).await;
    assert!(service.admin.starts_with("sw_"));
    assert_eq!(service.app.first_key().await.unwrap(), None);
    let me = service
        .get(&service.admin, "/api/v1/session")
        .await
        .is(200)
        .json();
    assert_eq!(me["roles"], json!(["admin"]));
    assert_eq!(me["enterprises"], json!(null));
    let data = service.data();
    let mut files = Vec::new();
    if data.is_sqlite() {
        files.push(std::fs::read(data.folder().join("ledger.sqlite")).unwrap());
        files.extend(std::fs::read(data.folder().join("ledger.sqlite-wal")));
    }
    for file in files {
        let found = file
            .windows(service.admin.len())
            .any(|w| w == service.admin.as_bytes());
        assert!(!found, "the key is stored in plain");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_and_a_disabled_account_open_nothing() {
    let service = Service::idle(ServeConfig::default()).await;
    let admin = service.admin.clone();
    let body = json!({"login": "inspector1", "roles": ["inspector"]});
    let account = service
        .post(&admin, "/api/v1/accounts", body.clone())
        .await
        .is(201)
        .json();
    service
        .post(&admin, "/api/v1/accounts", body)
        .await
        .problem(409);
    let keys = format!("/api/v1/accounts/{}/keys", account["id"].as_str().unwrap());
    let first = service
        .post(&admin, &keys, json!({"label": "one"}))
        .await
        .is(201)
        .json();
    let second = service
        .post(&admin, &keys, json!({"label": "two"}))
        .await
        .is(201)
        .json();
    let (one, two) = (
        first["key"].as_str().unwrap(),
        second["key"].as_str().unwrap(),
    );
    service.get(one, "/api/v1/session").await.is(200);

    let path = format!("{keys}/{}", first["id"].as_str().unwrap());
    service
        .send(request(Method::DELETE, &admin, &path, &[], Body::empty()))
        .await
        .is(204);
    service.get(one, "/api/v1/session").await.problem(401);
    let listed = service.get(&admin, &keys).await.is(200).json();
    let listed = &listed["items"];
    assert_eq!(
        (&listed[0]["revoked"], &listed[1]["revoked"]),
        (&json!(false), &json!(true)),
        "the newest first"
    );
    assert!(!listed.to_string().contains(one), "a list shows no keys");

    service.get(two, "/api/v1/session").await.is(200);
    let path = keys.replace("/keys", "/disable");
    service.post(&admin, &path, json!({})).await.is(204);
    service.get(two, "/api/v1/session").await.problem(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_keys_are_listed_page_by_page() {
    let service = Service::idle(ServeConfig::default()).await;
    let admin = service.admin.clone();
    for login in ["a", "b", "c"] {
        let body = json!({"login": login, "roles": ["inspector"]});
        service.post(&admin, "/api/v1/accounts", body).await.is(201);
    }
    let accounts = service.all_pages(&admin, "/api/v1/accounts", 2).await;
    let logins: Vec<_> = accounts
        .iter()
        .map(|a| a["login"].as_str().unwrap())
        .collect();
    assert_eq!(logins, ["c", "b", "a", "admin"]);
    let keys = format!(
        "/api/v1/accounts/{}/keys",
        accounts[0]["id"].as_str().unwrap()
    );
    for label in ["1", "2", "3"] {
        let body = json!({"label": label});
        service.post(&admin, &keys, body).await.is(201);
    }
    let keys = service.all_pages(&admin, &keys, 1).await;
    let labels: Vec<_> = keys.iter().map(|k| k["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["3", "2", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_ends_when_it_was_said_to() {
    let service = Service::idle(ServeConfig::default()).await;
    let admin = service.admin.clone();
    let me = service.get(&admin, "/api/v1/session").await.json();
    let keys = format!(
        "/api/v1/accounts/{}/keys",
        me["account_id"].as_str().unwrap()
    );
    let body = json!({"label": "short", "expires_at": "2026-06-01T13:00:00Z"});
    let made = service.post(&admin, &keys, body).await.is(201).json();
    let key = made["key"].as_str().unwrap();
    service.get(key, "/api/v1/session").await.is(200);
    service.clock.advance(jiff::SignedDuration::from_hours(1));
    service.get(key, "/api/v1/session").await.problem(401);
    let body = json!({"label": "x", "expires_at": "tomorrow"});
    service.post(&admin, &keys, body).await.problem(422);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_admin_manages_accounts_and_outsiders_are_limited() {
    let service = Service::idle(ServeConfig::default()).await;
    for role in ["inspector", "reviewer"] {
        let key = service.key(role, &[role], &[]).await;
        service.get(&key, "/api/v1/accounts").await.problem(403);
        let body = json!({"login": "friend", "roles": ["admin"]});
        service
            .post(&key, "/api/v1/accounts", body)
            .await
            .problem(403);
    }
    for role in ["enterprise", "ingest"] {
        let body = json!({"login": role, "roles": [role]});
        service
            .post(&service.admin, "/api/v1/accounts", body)
            .await
            .problem(422);
    }
    for body in [
        json!({"login": "", "roles": ["admin"]}),
        json!({"login": "a b", "roles": ["admin"]}),
        json!({"login": "ab", "roles": []}),
        json!({"login": "ab", "roles": ["root"]}),
        json!({"login": "ab", "roles": ["admin"], "password": "short"}),
    ] {
        service
            .post(&service.admin, "/api/v1/accounts", body)
            .await
            .problem(422);
    }
}
