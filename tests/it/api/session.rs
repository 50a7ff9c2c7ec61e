//! `/session`

use axum::body::Body;
use axum::http::Method;
use serde_json::json;
use sitewarden::api::ServeConfig;

use super::support::{Reply, Service, request};

const PASSWORD: &str = "several words are easy";

async fn signed_in() -> (Service, Reply) {
    let service = Service::idle(ServeConfig::default()).await;
    let body = json!({"login": "ann", "roles": ["admin"], "password": PASSWORD});
    service
        .post(&service.admin, "/api/v1/accounts", body)
        .await
        .is(201);
    let body = json!({"login": "ann", "password": PASSWORD});
    let reply = service.post("", "/api/v1/session", body).await.is(201);
    (service, reply)
}

async fn with_cookie(
    service: &Service,
    method: Method,
    path: &str,
    reply: &Reply,
    csrf: Option<&str>,
) -> Reply {
    let cookie = reply.header("set-cookie").split(';').next().unwrap();
    let mut headers = vec![("cookie", cookie), ("content-type", "application/json")];
    headers.extend(csrf.map(|token| ("x-csrf-token", token)));
    let body = json!({"login": "bob", "roles": ["inspector"]}).to_string();
    let body = if method == Method::POST {
        Body::from(body)
    } else {
        Body::empty()
    };
    service
        .send(request(method, "", path, &headers, body))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_reads_with_its_cookie_and_changes_with_its_token() {
    let (service, reply) = signed_in().await;
    let cookie = reply.header("set-cookie");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/api"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let token = reply.json()["csrf_token"].as_str().unwrap().to_owned();
    let accounts = "/api/v1/accounts";
    with_cookie(&service, Method::GET, accounts, &reply, None)
        .await
        .is(200);
    // another site can make a browser send the cookie, but it does not know the token
    with_cookie(&service, Method::POST, accounts, &reply, None)
        .await
        .problem(403);
    with_cookie(&service, Method::POST, accounts, &reply, Some("guess"))
        .await
        .problem(403);
    with_cookie(&service, Method::POST, accounts, &reply, Some(&token))
        .await
        .is(201);

    with_cookie(
        &service,
        Method::DELETE,
        "/api/v1/session",
        &reply,
        Some(&token),
    )
    .await
    .is(204);
    with_cookie(&service, Method::GET, accounts, &reply, None)
        .await
        .problem(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_by_itself() {
    let (service, reply) = signed_in().await;
    service.clock.advance(jiff::SignedDuration::from_hours(13));
    with_cookie(&service, Method::GET, "/api/v1/accounts", &reply, None)
        .await
        .problem(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_and_unknown_logins_look_the_same_and_guessing_is_slowed() {
    let (service, _) = signed_in().await;
    let wrong = json!({"login": "ann", "password": "several words are hard"});
    let unknown = json!({"login": "nobody", "password": PASSWORD});
    let first = service
        .post("", "/api/v1/session", wrong.clone())
        .await
        .problem(401);
    let second = service
        .post("", "/api/v1/session", unknown)
        .await
        .problem(401);
    assert_eq!(first["detail"], second["detail"]);
    let mut slowed = false;
    for _ in 0..12 {
        let reply = service.post("", "/api/v1/session", wrong.clone()).await;
        slowed |= reply.status == 429;
    }
    assert!(slowed, "a login can be guessed at without end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_changed_by_whoever_knows_it_or_by_an_admin() {
    const NEW: &str = "other words are easy too";
    let (service, first) = signed_in().await;
    let sign_in = async |password: &str| {
        let body = json!({"login": "ann", "password": password});
        service.post("", "/api/v1/session", body).await
    };
    let second = sign_in(PASSWORD).await.is(201);
    let token = first.json()["csrf_token"].as_str().unwrap().to_owned();
    let cookie = first.header("set-cookie").split(';').next().unwrap();
    let headers = [("cookie", cookie), ("x-csrf-token", token.as_str())];
    let change = async |headers: &[(&str, &str)], current: &str, new: &str| {
        let body = json!({"current": current, "new": new});
        service
            .put("", "/api/v1/session/password", headers, body)
            .await
    };
    change(&headers[..1], PASSWORD, NEW).await.problem(403);
    change(&headers, "not the password", NEW).await.problem(403);
    change(&headers, PASSWORD, "short").await.problem(422);
    change(&headers, PASSWORD, NEW).await.is(204);
    let accounts = "/api/v1/accounts";
    with_cookie(&service, Method::GET, accounts, &first, None)
        .await
        .is(200);
    // the other session has ended, and the old password opens nothing
    with_cookie(&service, Method::GET, accounts, &second, None)
        .await
        .problem(401);
    sign_in(PASSWORD).await.problem(401);
    sign_in(NEW).await.is(201);

    let me = with_cookie(&service, Method::GET, "/api/v1/session", &first, None).await;
    let id = me.json()["account_id"].as_str().unwrap().to_owned();
    let path = format!("{accounts}/{id}/password");
    let body = json!({"password": PASSWORD});
    let inspector = service.key("inspector", &["inspector"], &[]).await;
    service
        .put(&inspector, &path, &[], body.clone())
        .await
        .problem(403);
    service.put(&service.admin, &path, &[], body).await.is(204);
    with_cookie(&service, Method::GET, accounts, &first, None)
        .await
        .problem(401);
    sign_in(PASSWORD).await.is(201);
    // who uses keys only knows no password to change
    let body = json!({"current": "", "new": NEW});
    service
        .put(&inspector, "/api/v1/session/password", &[], body)
        .await
        .problem(403);
}
