//! A camera of the service through what happens to cameras, over a real RTSP server. The long form, with many
//! cameras and their memory, is `make camera-faults`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sitewarden::source::camera::Address;

use super::support::{Service, setup};
use crate::cameras::children_with;
use crate::rtsp::{self, Line, Link, Server};

struct Case {
    service: Service,
    inspector: String,
    site: String,
    camera: String,
}

impl Case {
    async fn status(&self) -> Value {
        let path = format!("/api/v1/cameras/{}", self.camera);
        let reply = self.service.get(&self.inspector, &path).await.is(200);
        reply.json()["status"].clone()
    }

    /// Asks for the status until it is as wished, for a minute at most.
    async fn until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let status = self.status().await;
            if is(&status) {
                return status;
            }
            assert!(Instant::now() < end, "{what}: {status}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Pictures come, so many more than there were.
    async fn goes_on(&self, what: &str) {
        // there is no status before the camera has begun
        let had = self.status().await["frames"].as_u64().unwrap_or(0);
        let more = |s: &Value| s["state"] == "live" && s["frames"].as_u64() >= Some(had + 8);
        self.until(what, more).await;
    }

    /// Until it is opened again.
    async fn opened_again(&self, what: &str, restarts: &Value) {
        let before = restarts.as_u64().unwrap();
        let more = |s: &Value| s["restarts"].as_u64().unwrap() > before;
        self.until(what, more).await;
    }

    /// Findings of the bare head that the test's detector sees: how often each was seen.
    async fn findings(&self) -> Vec<usize> {
        let path = format!("/api/v1/findings?site={}&code=PPE-01", self.site);
        let list = self
            .service
            .get(&self.inspector, &path)
            .await
            .is(200)
            .json();
        let mut seen = Vec::new();
        for finding in list["items"].as_array().unwrap() {
            let path = format!(
                "/api/v1/findings/{}/occurrences",
                finding["id"].as_str().unwrap()
            );
            let reply = self.service.get(&self.inspector, &path).await.is(200);
            seen.push(reply.json()["items"].as_array().unwrap().len());
        }
        seen
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_everything_happens_to_is_live_in_the_end_with_its_one_finding() {
    if !rtsp::is_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let clip = rtsp::clip(folder.path(), "320x240", 180);
    let mut server = Some(Server::start(&clip));
    let port = server.as_ref().unwrap().port;
    let link = Link::to(port);
    let address = Address::parse(&format!("rtsp://127.0.0.1:{}/cam", link.port)).unwrap();
    let cameras = BTreeMap::from([("yard".to_owned(), setup(Some(address)))]);
    let service = Service::watching(cameras).await;
    let (_, site) = service.site("Cameras Ltd", "Europe/Berlin").await;
    let inspector = service.key("inspector", &["inspector"], &[]).await;
    let path = format!("/api/v1/sites/{site}/cameras");
    let made = json!({"name": "Yard", "source": "yard"});
    let camera = service.post(&inspector, &path, made).await.is(201).json();
    let case = Case {
        camera: camera["id"].as_str().unwrap().to_owned(),
        service,
        inspector,
        site,
    };
    case.goes_on("at first").await;
    let end = Instant::now() + Duration::from_secs(60);
    while case.findings().await.is_empty() {
        assert!(Instant::now() < end, "{:?}", case.status().await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    for _ in 0..3 {
        drop(server.take());
        case.until("gone", |s| s["state"] != "live").await;
        server = Some(Server::with(&clip, port, &[], None));
        case.goes_on("the server is back").await;
    }
    let spool = format!("cameras/{}/", case.camera);
    let restarts = case.status().await["restarts"].clone();
    for child in children_with(&spool) {
        rtsp::signal_process(child, "-KILL");
    }
    case.opened_again("a killed child", &restarts).await;
    case.goes_on("another child").await;

    let restarts = case.status().await["restarts"].clone();
    link.set(Line::Frozen);
    case.opened_again("a frozen line", &restarts).await;
    link.set(Line::Slow);
    tokio::time::sleep(Duration::from_secs(2)).await;
    link.set(Line::Whole);
    case.goes_on("after a frozen and a slow line").await;
    link.set(Line::Garbage);
    tokio::time::sleep(Duration::from_secs(4)).await;
    link.set(Line::Whole);
    case.goes_on("after garbage").await;

    // long enough for a second finding, were there one
    tokio::time::sleep(Duration::from_secs(3)).await;
    let findings = case.findings().await;
    assert_eq!(findings.len(), 1, "seen {findings:?} times");
    assert_eq!(children_with(&spool).len(), 1, "one child for one camera");
}
