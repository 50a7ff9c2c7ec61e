//! A service in the test's own process: the real router, ledger, store and workers; only the
//! detector is one that sees what the test wants, and the embedder one that knows colours only.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use image::RgbImage;
use ndarray::ArrayView4;
use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use tempfile::TempDir;
use tower::ServiceExt;

use sitewarden::api::{App, Metrics, ServeConfig};
use sitewarden::cameras::{Cameras, Setup};
use sitewarden::clock::SimulatedClock;
use sitewarden::embedding::{Embedding, PatchGrid};
use sitewarden::evidence::{EvidenceConfig, Store};
use sitewarden::inference::{
    Detect, Embed, EmbedError, InferError, Manifest, Outputs, OwnedOutput,
};
use sitewarden::jobs::samples::{LoadEmbedder, SampleBank};
use sitewarden::jobs::{Jobs, Judge, Workers};
use sitewarden::ledger::{Ledger, Settings};
use sitewarden::pipeline::clip_file::WatchConfig;
use sitewarden::pipeline::photo::PhotoSettings;
use sitewarden::rules::{Catalogue, RuleSet};
use sitewarden::source::camera::{Address, CameraOptions};
use sitewarden::source::photo::PhotoLimits;

use crate::support::{encoded, gradient};

/// Sees one person with a bare head in every picture, unless the picture is nearly black.
struct Eye(Manifest);

impl Detect for Eye {
    fn manifest(&self) -> &Manifest {
        &self.0
    }

    fn detect(&self, input: ArrayView4<'_, f32>) -> Result<Vec<Outputs>, InferError> {
        let classes = self.0.labels.len();
        let row = |name: &str| 4 + self.0.labels.iter().position(|l| l == name).unwrap();
        let (person, head) = (row("person"), row("head"));
        let one = |picture: ndarray::ArrayView3<'_, f32>| {
            let bright = picture.iter().any(|v| *v > 130.0);
            // columns are anchors: a person, a head
            let mut data = vec![0.0; (4 + classes) * 2];
            for (i, (of_person, of_head)) in
                [(200.0, 200.0), (200.0, 70.0), (150.0, 60.0), (340.0, 70.0)]
                    .into_iter()
                    .enumerate()
            {
                data[2 * i] = of_person;
                data[2 * i + 1] = of_head;
            }
            if bright {
                data[2 * person] = 0.9;
                data[2 * head + 1] = 0.8;
            }
            Outputs {
                tensors: vec![OwnedOutput {
                    name: "output".into(),
                    shape: vec![1, 4 + classes, 2],
                    data,
                }],
            }
        };
        Ok(input.outer_iter().map(one).collect())
    }

    fn parallelism(&self) -> NonZero<usize> {
        NonZero::new(2).unwrap()
    }
}

/// Looks at colours in a grid of 4 x 4.
pub(crate) struct Colours;

impl Embed for Colours {
    fn version(&self) -> &str {
        "colours 1"
    }

    fn dimensions(&self) -> usize {
        48
    }

    fn embed(&self, pictures: &[RgbImage]) -> Result<Vec<Embedding>, EmbedError> {
        let one = |picture: &RgbImage| {
            let small = image::imageops::thumbnail(picture, 4, 4);
            let values = small.as_raw().iter().map(|v| f32::from(*v) - 127.0);
            Embedding::normalised(values.collect()).unwrap()
        };
        Ok(pictures.iter().map(one).collect())
    }

    fn patches(&self, _: &RgbImage) -> Result<PatchGrid, EmbedError> {
        unreachable!("the bank compares whole regions")
    }
}

fn colours() -> LoadEmbedder {
    Box::new(|| Ok(Arc::new(Colours)))
}

pub(crate) fn judge() -> Judge {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/site-nano");
    let eye = Eye(Manifest::read(&model).unwrap());
    Judge::new(Box::new(eye), rules(), PhotoSettings::default())
}

/// A source whose pictures are sent, and one that is a folder.
fn setups(folder: &Path) -> BTreeMap<String, Setup> {
    let folder = Address::of_path(folder);
    BTreeMap::from([
        ("gate".to_owned(), setup(None)),
        ("recorder".to_owned(), setup(Some(folder))),
    ])
}

/// A source at this address, opened again soon.
pub(crate) fn setup(address: Option<Address>) -> Setup {
    Setup {
        address,
        options: CameraOptions {
            stall: Duration::from_secs(3),
            back_off: Duration::from_millis(100),
            ..CameraOptions::default()
        },
        watch: WatchConfig::default(),
        idle: false,
    }
}

fn rules() -> Arc<RuleSet> {
    Arc::new(RuleSet::new(&Catalogue::builtin(), None).unwrap())
}

pub(crate) struct Service {
    pub(crate) app: App,
    pub(crate) jobs: Jobs,
    pub(crate) clock: Arc<SimulatedClock>,
    pub(crate) admin: String,
    pub(crate) ledger: Ledger,
    workers: Option<Workers>,
    cameras: Cameras,
    watching: Option<tokio::task::JoinHandle<()>>,
    data: Option<Data>,
}

/// What outlives a service: its folder, and its database where that is on a server.
pub(crate) struct Data {
    dir: TempDir,
    database: Option<String>,
}

impl Data {
    /// Empty. On PostgreSQL where `SITEWARDEN_TEST_POSTGRES` holds the URL of a server.
    async fn new() -> Self {
        let database = match std::env::var("SITEWARDEN_TEST_POSTGRES") {
            Ok(server) => Some(new_database(&server).await),
            Err(_) => None,
        };
        let dir = tempfile::tempdir().unwrap();
        Self { dir, database }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// As the program is to be told.
    pub(crate) fn arguments(&self) -> Vec<&OsStr> {
        let mut arguments = vec!["--data".as_ref(), self.dir.path().as_os_str()];
        if let Some(url) = &self.database {
            arguments.extend(["--database".as_ref(), OsStr::new(url)]);
        }
        arguments
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.database.is_none()
    }
}

async fn new_database(server: &str) -> String {
    sqlx::any::install_default_drivers();
    let name = format!("t{}", uuid::Uuid::now_v7().simple());
    let mut admin = AnyConnection::connect(server).await.unwrap();
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::query(create).execute(&mut admin).await.unwrap();
    let (base, _) = server.rsplit_once('/').unwrap();
    format!("{base}/{name}")
}

/// An answer.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Reply {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.bytes)))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// A problem of this status, with all that it must have.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> Value {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.bytes)
        );
        assert_eq!(self.header("content-type"), "application/problem+json");
        let body = self.json();
        assert_eq!(body["status"], status);
        for field in ["type", "title", "detail", "next", "request_id"] {
            assert!(!body[field].as_str().unwrap().is_empty(), "{field}: {body}");
        }
        assert_eq!(body["request_id"], self.header("x-request-id"));
        body
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.bytes)
        );
        self
    }
}

pub(crate) const NOON: &str = "2026-06-01T12:00:00Z";

impl Service {
    /// With workers.
    pub(crate) async fn start() -> Self {
        let mut service = Self::idle(ServeConfig::default()).await;
        service.work();
        service
    }

    /// Without workers: what is accepted waits.
    pub(crate) async fn idle(config: ServeConfig) -> Self {
        Self::open(Data::new().await, config, 0).await
    }

    /// With workers and these cameras, watched.
    pub(crate) async fn watching(cameras: BTreeMap<String, Setup>) -> Self {
        let data = Data::new().await;
        let mut service =
            Self::open_with(data, ServeConfig::default(), 0, cameras, colours()).await;
        service.work();
        service.watch();
        service
    }

    /// Over what an earlier life may have left.
    async fn open(data: Data, config: ServeConfig, min_free_bytes: u64) -> Self {
        let cameras = setups(data.folder());
        Self::open_with(data, config, min_free_bytes, cameras, colours()).await
    }

    /// As [`Self::reopen`], with an embedder that is refused.
    pub(crate) async fn reopen_without_embedder(self) -> Self {
        let refused: LoadEmbedder = Box::new(|| Err("its digest is another".to_owned()));
        let data = self.end().await;
        let cameras = setups(data.folder());
        Self::open_with(data, ServeConfig::default(), 0, cameras, refused).await
    }

    async fn open_with(
        data: Data,
        config: ServeConfig,
        min_free_bytes: u64,
        setups: BTreeMap<String, Setup>,
        embedder: LoadEmbedder,
    ) -> Self {
        let settings = Settings {
            database_url: data.database.clone(),
            ..Settings::folder(data.folder())
        };
        let clock = Arc::new(SimulatedClock::new(NOON.parse().unwrap()));
        let ledger = Ledger::open(&settings, clock.clone()).await.unwrap();
        let store = Store::open(data.folder(), EvidenceConfig { min_free_bytes }).unwrap();
        let store = Arc::new(store);
        let metrics = Arc::new(Metrics::default());
        let limits = PhotoLimits::default();
        let bank = SampleBank::new(
            ledger.clone(),
            store.clone(),
            data.folder().to_owned(),
            limits.clone(),
            embedder,
        );
        let jobs = Jobs::new(
            ledger.clone(),
            store.clone(),
            rules(),
            bank.clone(),
            metrics.clone(),
        );
        let config = ServeConfig {
            secure_cookies: Some(false),
            ..config
        };
        let cameras = Cameras::new(ledger.clone(), store.clone(), data.folder(), setups, bank);
        let app = App::new(
            ledger.clone(),
            store,
            jobs.clone(),
            cameras.clone(),
            metrics,
            config,
            limits,
        );
        let admin = app.first_key().await.unwrap().unwrap_or_default();
        Self {
            app,
            jobs,
            clock,
            admin,
            ledger,
            workers: None,
            cameras,
            watching: None,
            data: Some(data),
        }
    }

    /// The same data in another life of the service, on a disk with that much room asked for.
    pub(crate) async fn reopen(mut self, min_free_bytes: u64) -> Self {
        let data = self.data.take().unwrap();
        self.stop_watching();
        self.ledger.close().await;
        drop(self);
        Self::open(data, ServeConfig::default(), min_free_bytes).await
    }

    /// Ends the service; its data stays.
    pub(crate) async fn end(mut self) -> Data {
        let data = self.data.take().unwrap();
        self.stop_watching();
        self.ledger.close().await;
        data
    }

    pub(crate) fn data(&self) -> &Data {
        self.data.as_ref().unwrap()
    }

    pub(crate) fn work(&mut self) {
        self.workers = Some(self.jobs.start(judge()));
    }

    /// Watches the cameras, too.
    pub(crate) fn watch(&mut self) {
        let cameras = self.cameras.clone();
        let judge = Arc::new(judge());
        self.watching = Some(tokio::spawn(async move { cameras.run(judge).await }));
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.app.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Reply {
            status: parts.status,
            headers: parts.headers,
            bytes: to_bytes(body, 64 << 20).await.unwrap().to_vec(),
        }
    }

    pub(crate) async fn get(&self, key: &str, path: &str) -> Reply {
        self.send(request(Method::GET, key, path, &[], Body::empty()))
            .await
    }

    pub(crate) async fn post(&self, key: &str, path: &str, body: Value) -> Reply {
        self.post_with(key, path, &[], body).await
    }

    pub(crate) async fn post_with(
        &self,
        key: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Reply {
        self.send_json(Method::POST, key, path, headers, body).await
    }

    pub(crate) async fn put(
        &self,
        key: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Reply {
        self.send_json(Method::PUT, key, path, headers, body).await
    }

    async fn send_json(
        &self,
        method: Method,
        key: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Reply {
        let headers = [headers, &[("content-type", "application/json")]].concat();
        let body = Body::from(body.to_string());
        self.send(request(method, key, path, &headers, body)).await
    }

    /// Every entry of a list, a page of `limit` at a time.
    pub(crate) async fn all_pages(&self, key: &str, path: &str, limit: u32) -> Vec<Value> {
        let mut all = Vec::new();
        let first = format!(
            "{path}{}limit={limit}",
            if path.contains('?') { '&' } else { '?' }
        );
        let mut next = first.clone();
        loop {
            let page = self.get(key, &next).await.is(200).json();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= limit as usize, "{path}: {page}");
            all.extend(items.clone());
            match page["next_cursor"].as_str() {
                Some(cursor) => next = format!("{first}&cursor={cursor}"),
                None => return all,
            }
        }
    }

    /// A key with these roles, limited to these enterprises if any.
    pub(crate) async fn key(&self, login: &str, roles: &[&str], enterprises: &[&str]) -> String {
        let enterprises = (!enterprises.is_empty()).then_some(enterprises);
        let account =
            serde_json::json!({"login": login, "roles": roles, "enterprises": enterprises});
        let made = self
            .post(&self.admin, "/api/v1/accounts", account)
            .await
            .is(201)
            .json();
        let keys = format!("/api/v1/accounts/{}/keys", made["id"].as_str().unwrap());
        let label = serde_json::json!({"label": "test"});
        let key = self.post(&self.admin, &keys, label).await.is(201).json();
        key["key"].as_str().unwrap().to_owned()
    }

    /// An enterprise and a site of it.
    pub(crate) async fn site(&self, name: &str, zone: &str) -> (String, String) {
        let enterprise = serde_json::json!({
            "credit_code": credit_code(name), "name": name, "industry": "warehousing"});
        let reply = self
            .post(&self.admin, "/api/v1/enterprises", enterprise)
            .await;
        let enterprise = reply.is(201).json()["id"].as_str().unwrap().to_owned();
        let site = serde_json::json!({
            "name": "Hall 1", "address": "1 Dock Road", "time_zone": zone});
        let path = format!("/api/v1/enterprises/{enterprise}/sites");
        let site = self.post(&self.admin, &path, site).await.is(201).json();
        (enterprise, site["id"].as_str().unwrap().to_owned())
    }

    pub(crate) async fn upload(
        &self,
        key: &str,
        query: &str,
        headers: &[(&str, &str)],
        fields: &[(&str, &str)],
        photos: &[(&str, &[u8])],
    ) -> Reply {
        let (kind, body) = form(fields, photos);
        let headers = [headers, &[("content-type", kind.as_str())]].concat();
        let path = format!("/api/v1/photos{query}");
        self.send(request(Method::POST, key, &path, &headers, body.into()))
            .await
    }
}

impl Service {
    fn stop_watching(&mut self) {
        if let Some(watching) = self.watching.take() {
            watching.abort();
            tokio::task::block_in_place(|| self.cameras.stop());
        }
    }
}

/// A site, and somebody who inspects it.
pub(crate) struct Place {
    pub(crate) service: Service,
    pub(crate) enterprise: String,
    pub(crate) site: String,
    pub(crate) inspector: String,
}

pub(crate) async fn place(service: Service, time_zone: &str) -> Place {
    let (enterprise, site) = service.site("Store Ltd", time_zone).await;
    let inspector = service.key("inspector", &["inspector"], &[]).await;
    Place {
        service,
        enterprise,
        site,
        inspector,
    }
}

/// The address of the first photo of a job.
pub(crate) fn first_photo(job: &Value) -> String {
    format!(
        "/api/v1/photos/{}",
        job["photos"][0]["id"].as_str().unwrap()
    )
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop_watching();
        if let Some(workers) = self.workers.take() {
            tokio::task::block_in_place(|| workers.stop());
        }
    }
}

pub(crate) fn request(
    method: Method,
    key: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Body,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if !key.is_empty() {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}

/// `multipart/form-data` with a boundary of its own each time, as clients do.
pub(crate) fn form(fields: &[(&str, &str)], photos: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let boundary = format!("boundary{:x}", fastrand::u64(..));
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend(
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            )
            .bytes(),
        );
    }
    for (name, bytes) in photos {
        body.extend(
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"photo\"; \
                 filename=\"{name}\"\r\nContent-Type: image/jpeg\r\n\r\n"
            )
            .bytes(),
        );
        body.extend(*bytes);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{boundary}--\r\n").bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

/// A photo unlike every other with another number.
pub(crate) fn photo(number: u32) -> Vec<u8> {
    let mut picture = gradient(640, 480);
    for (i, bit) in (0..32).map(|bit| number >> bit & 1).enumerate() {
        let shade = image::Rgb([(bit * 255) as u8; 3]);
        for (x, y) in (0..4).flat_map(|x| (0..4).map(move |y| (x, y))) {
            picture.put_pixel(i as u32 * 4 + x, 100 + y, shade);
        }
    }
    let picture = image::DynamicImage::ImageRgb8(picture);
    encoded(&picture, image::ImageFormat::Jpeg)
}

/// GB 32100-2015: 17 characters and a check character.
pub(crate) fn credit_code(seed: &str) -> String {
    const SIGNS: &[u8] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
    let mut hash = seed
        .bytes()
        .fold(7u64, |h, b| h.wrapping_mul(31).wrapping_add(b.into()));
    let mut code = String::from("91310000");
    while code.len() < 17 {
        code.push(SIGNS[(hash % 31) as usize] as char);
        hash = hash
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
    }
    let mut weight = 1;
    let mut sum = 0;
    for sign in code.bytes() {
        let value = SIGNS.iter().position(|s| *s == sign).unwrap();
        sum += value * weight;
        weight = weight * 3 % 31;
    }
    code.push(SIGNS[(31 - sum % 31) % 31] as char);
    code
}
