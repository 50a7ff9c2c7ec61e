//! The ledger on a real database: SQLite in a temporary folder, or, when
//! `SITEWARDEN_TEST_POSTGRES` holds the URL of a server, PostgreSQL with a database for each test.

mod bank;
mod filing;
mod life;
mod opening;
mod paging;
mod reminding;
mod sending;
mod visits;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sqlx::AssertSqlSafe;

use super::enterprises::{Enterprise, NewEnterprise};
use super::findings::{Area, Filed, Sighting};
use super::sites::{Camera, NewSite, Site};
use super::*;
use crate::clock::SimulatedClock;
use crate::finding::{Actor, Proof, Step};
use crate::hazard::Severity;

/// A ledger with an enterprise, a site in Berlin and a camera there.
struct World {
    ledger: Ledger,
    clock: Arc<SimulatedClock>,
    enterprise: Enterprise,
    site: Site,
    camera: Camera,
    settings: Settings,
    _folder: tempfile::TempDir,
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn ann() -> Actor {
    Actor::person("ann")
}

fn bob() -> Actor {
    Actor::person("bob")
}

/// Settings for an empty ledger.
async fn empty() -> (Settings, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Settings::folder(folder.path());
    if let Ok(server) = std::env::var("SITEWARDEN_TEST_POSTGRES") {
        sqlx::any::install_default_drivers();
        let name = format!("t{}", uuid::Uuid::now_v7().simple());
        let mut admin = AnyConnection::connect(&server).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut admin)
            .await
            .unwrap();
        let (base, _) = server.rsplit_once('/').unwrap();
        settings.database_url = Some(format!("{base}/{name}"));
    }
    (settings, folder)
}

fn company(n: u32) -> NewEnterprise {
    NewEnterprise {
        credit_code: enterprises::with_check_digit(&format!("9144030070{n:07}")).unwrap(),
        name: format!("Company {n}"),
        industry: "warehousing".to_owned(),
        facts: [("combustible_dust".to_owned(), n.is_multiple_of(2))].into(),
    }
}

impl World {
    async fn new() -> Self {
        let (settings, folder) = empty().await;
        let clock = Arc::new(SimulatedClock::new(time("2026-03-25T10:00:00Z")));
        let ledger = Ledger::open(&settings, clock.clone()).await.unwrap();
        let mut tx = ledger.begin(&ann()).await.unwrap();
        let enterprise = enterprises::create(&mut tx, &company(1)).await.unwrap();
        let new = NewSite {
            name: "Hall".to_owned(),
            address: String::new(),
            time_zone: "Europe/Berlin".to_owned(),
        };
        let site = sites::create(&mut tx, enterprise.id, &new).await.unwrap();
        let camera = sites::add_camera(&mut tx, site.id, None, "Gate", "gate-1")
            .await
            .unwrap();
        tx.commit().await.unwrap();
        Self {
            ledger,
            clock,
            enterprise,
            site,
            camera,
            settings,
            _folder: folder,
        }
    }

    fn wait(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    /// A sighting of the camera, 0.2 wide from `x`.
    fn sighting(&self, key: &str, x: f64) -> Sighting {
        Sighting {
            source_key: key.to_owned(),
            site_id: self.site.id,
            zone: "A".to_owned(),
            camera_id: Some(self.camera.id),
            inspection_id: None,
            hazard_code: "PPE-01".to_owned(),
            suggested: Severity::General,
            score: Some(0.75),
            area: Some(Area {
                x1: x,
                y1: 0.1,
                x2: x + 0.2,
                y2: 0.5,
            }),
            look: None,
            photo_sha256: Some(format!("{key:0>64}")),
            seen_at: self.ledger.now(),
            of_watch: None,
            why: serde_json::json!({ "rule": "person_item" }),
            context: None,
        }
    }

    async fn file(&self, by: &Actor, seen: &Sighting) -> Result<Filed> {
        let mut tx = self.ledger.begin(by).await?;
        let filed = findings::file(&mut tx, seen, &same_look).await?;
        tx.commit().await?;
        Ok(filed)
    }

    /// Files a sighting that is a new finding.
    async fn new_finding(&self, key: &str, x: f64) -> Id {
        match self
            .file(&Actor::Machine, &self.sighting(key, x))
            .await
            .unwrap()
        {
            Filed::New { finding_id } => finding_id,
            other => panic!("{other:?}"),
        }
    }

    async fn step(&self, by: &Actor, id: Id, step: Step) -> Result<findings::FindingRow> {
        let mut tx = self.ledger.begin(by).await?;
        let row = findings::step(&mut tx, id, None, &step).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// Confirmed and ordered by Ann, due at `due_at`.
    async fn ordered(&self, key: &str, x: f64, due_at: Timestamp) -> Id {
        let id = self.new_finding(key, x).await;
        let severity = Severity::General;
        self.step(&ann(), id, Step::Confirm { severity })
            .await
            .unwrap();
        self.step(&ann(), id, Step::Order { due_at }).await.unwrap();
        id
    }

    /// Rectified by Bob with a photo taken just now.
    async fn rectify(&self, id: Id) {
        self.wait(10);
        let proof = Proof {
            sha256: "ab".repeat(32),
            taken_at: Some(self.ledger.now()),
        };
        self.wait(10);
        self.step(&bob(), id, Step::Rectify { proof })
            .await
            .unwrap();
    }

    /// Nothing is wrong.
    async fn check(&self) {
        let report = check::check(&self.ledger).await.unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
    }

    /// Writes past all rules.
    async fn force(&self, statement: &'static str) -> Result<()> {
        let mut tx = self.ledger.begin(&ann()).await?;
        sqlx::query(statement).execute(tx.conn()).await?;
        tx.commit().await
    }
}

/// Looks are the same when their first numbers are.
fn same_look(a: &[f32], b: &[f32]) -> bool {
    a.first() == b.first()
}
