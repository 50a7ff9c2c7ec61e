//! `/bank/export`, `/bank/import` and `/bank/review`: banks change hands, and are looked after.

use serde_json::{Value, json};

use super::bank::{BLUE, ORANGE, Office, SAMPLES, photo};
use super::support::Reply;

const KEY: &str = "0123456789abcdef0123456789abcdef";

async fn export(office: &Office, pictures: bool) -> String {
    let wanted = json!({ "key": KEY, "office": "north", "pictures": pictures });
    let reply = office
        .service
        .post(&office.inspector, "/api/v1/bank/export", wanted)
        .await;
    String::from_utf8(reply.is(200).bytes).unwrap()
}

async fn import(office: &Office, key: &str, file: &str) -> Reply {
    let fields = [("key", key), ("bank", file)];
    office
        .form(&office.inspector, "/api/v1/bank/import", &[], &fields, &[])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_is_lent_from_service_to_service() {
    let north = Office::new().await;
    let orange: Vec<_> = (0..5).map(|n| photo(ORANGE, n, None)).collect();
    north.add("positive", "EQP-02", &orange).await;
    let blue: Vec<_> = (0..20).map(|n| photo(BLUE, n, None)).collect();
    north.add("reference", "", &blue).await;
    let (bare, whole) = (export(&north, false).await, export(&north, true).await);
    assert!(!bare.contains("\"data\"") && whole.contains("\"data\""));
    // it is written down that it left
    let audit = "/api/v1/audit?kind=bank.exported";
    let lent = north.service.get(&north.service.admin, audit).await;
    let lent = lent.is(200).json();
    assert_eq!(lent["items"].as_array().unwrap().len(), 2, "{lent}");
    assert_eq!(lent["items"][0]["data"]["office"], "north");
    assert!(!lent.to_string().contains(KEY));
    north.ledger_is_sound().await;

    let south = Office::new().await;
    for (key, file, status) in [
        ("f".repeat(32).as_str(), whole.as_str(), 422),
        (KEY, &whole[..whole.len() - 2], 422),
        (KEY, &whole.replace("EQP-02", "EQP-03"), 422),
        (KEY, "", 422),
        ("short", &whole, 422),
    ] {
        let problem = import(&south, key, file).await.problem(status);
        assert!(problem["detail"].is_string(), "{problem}");
    }
    assert_eq!(south.get("/api/v1/bank").await["version"], 0);
    let first = import(&south, KEY, &bare).await.is(200).json();
    let added = first["change"]["added"].as_array().unwrap();
    assert_eq!(first["office"], "north");
    assert_eq!(first["unknown_kinds"], json!([]));
    let picture = format!("{SAMPLES}/{}/picture", added[0].as_str().unwrap());
    let look = async || south.service.get(&south.inspector, &picture).await;
    look().await.problem(409);
    // all of it is there; now with its photos
    let again = import(&south, KEY, &whole).await.is(200).json();
    assert_eq!(again["change"]["version"], 1);
    assert_eq!(again["change"]["already"], added.len());
    assert_eq!(again["change"]["completed"], added.len());
    look().await.is(200);
    let found = south
        .search(&south.inspector, photo(ORANGE, 30, None))
        .await;
    let found = found.is(200).json();
    assert_eq!(found["decisions"][0]["ruling"], "confirm", "{found}");
    let site = found["positives"][0]["site"].as_str().unwrap();
    assert!(site.starts_with("north/"), "{site}");
    south.ledger_is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_as_a_whole_is_for_those_who_see_all() {
    let office = Office::new().await;
    let (other, _) = office.service.site("other", "UTC").await;
    let limited = office
        .service
        .key("limited", &["inspector"], &[&other])
        .await;
    let wanted = json!({ "key": KEY, "office": "north" });
    let post = async |key: &str, wanted: Value| {
        office
            .service
            .post(key, "/api/v1/bank/export", wanted)
            .await
    };
    post(&limited, wanted.clone()).await.problem(403);
    post(&office.inspector, wanted.clone()).await.problem(409);
    let nameless = json!({ "key": KEY, "office": "a/b" });
    post(&office.inspector, nameless).await.problem(422);
    let guessed = json!({ "key": "secret", "office": "north" });
    post(&office.inspector, guessed).await.problem(422);
    let fields = [("key", KEY), ("bank", "{}")];
    office
        .form(&limited, "/api/v1/bank/import", &[], &fields, &[])
        .await
        .problem(403);

    let review = async |key: &str, query: &str| {
        let path = format!("/api/v1/bank/review{query}");
        office.service.get(key, &path).await
    };
    review(&office.inspector, "").await.problem(409);
    let same = [photo(ORANGE, 1, None), photo(ORANGE, 2, None)];
    office.add("positive", "EQP-02", &same).await;
    office.add("negative", "EQP-02", &same[..1]).await;
    review(&limited, "").await.problem(403);
    review(&office.inspector, "?double=2").await.problem(422);
    let seen = review(&office.inspector, "?coreset=2").await.is(200).json();
    assert_eq!(seen["samples"], 3);
    assert_eq!(seen["doubles_total"], 3, "{seen}");
    assert_eq!(seen["doubles"][0]["contradict"], true);
    assert_eq!(seen["coverage"][0]["negatives"], 1);
    assert_eq!(seen["coreset"]["keep"].as_array().unwrap().len(), 2);
}
