//! Makes a ledger up, past the API: a million findings one at a time would take an hour.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sitewarden::finding::{Actor, Finding, FindingState, Proof, Step};
use sitewarden::hazard::Severity;
use sitewarden::id::Id;
use sitewarden::ledger::enterprises::with_check_digit;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor, Row};

use super::Size;

/// Industries and hazard codes, the frequent ones first.
pub(crate) const INDUSTRIES: [&str; 6] = [
    "warehousing",
    "textile",
    "metal",
    "wood",
    "chemistry",
    "food",
];

pub(crate) fn code(n: usize) -> String {
    let aspect = ["PPE", "STO", "EGR", "FIR", "ENV", "EQP"][n % 6];
    format!("{aspect}-{:02}", n / 6 + 1)
}

/// Hazard kinds.
pub(crate) const CODES: usize = 30;

/// Rows on their way into one table: a batch is one JSON array that SQLite takes apart.
struct Table {
    insert: String,
    rows: Vec<Value>,
}

impl Table {
    fn new(name: &str, columns: &str) -> Self {
        let values: Vec<String> = (0..columns.split(',').count())
            .map(|n| format!("json_extract(value, '$[{n}]')"))
            .collect();
        Self {
            insert: format!(
                "INSERT INTO {name} ({columns}) SELECT {} FROM json_each($1)",
                values.join(", ")
            ),
            rows: Vec::new(),
        }
    }

    async fn add(&mut self, db: &mut AnyConnection, row: Value) {
        self.rows.push(row);
        if self.rows.len() == 4000 {
            self.flush(db).await;
        }
    }

    async fn flush(&mut self, db: &mut AnyConnection) {
        let rows = Value::Array(std::mem::take(&mut self.rows)).to_string();
        sqlx::query(AssertSqlSafe(self.insert.clone()))
            .bind(rows)
            .execute(db)
            .await
            .unwrap();
    }
}

struct City {
    random: fastrand::Rng,
    ids: uuid::ContextV7,
    seq: i64,
    events: Table,
    outbox: Table,
}

fn ms(at: Timestamp) -> i64 {
    at.as_millisecond()
}

impl City {
    fn id(&self, at: Timestamp) -> Id {
        let at = uuid::Timestamp::from_unix(
            &self.ids,
            at.as_second().cast_unsigned(),
            at.subsec_nanosecond().cast_unsigned(),
        );
        Id::from_uuid(uuid::Uuid::new_v7(at))
    }

    #[expect(clippy::too_many_arguments, reason = "an event has so many columns")]
    async fn event(
        &mut self,
        db: &mut AnyConnection,
        at: Timestamp,
        by: &Actor,
        kind: &str,
        entity: &str,
        id: Id,
        enterprise: Id,
        data: Value,
    ) {
        self.seq += 1;
        let row = json!([
            self.seq,
            ms(at),
            by.to_text(),
            kind,
            entity,
            id,
            enterprise,
            data.to_string()
        ]);
        self.events.add(db, row).await;
        self.outbox.add(db, json!([self.seq, ms(at), ms(at)])).await;
    }
}

/// Fills the empty ledger.
pub(crate) async fn build(file: &Path, size: &Size) {
    sqlx::any::install_default_drivers();
    let mut db = AnyConnection::connect(&format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    db.execute("PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; PRAGMA cache_size = -200000")
        .await
        .unwrap();
    // indexes in one go afterwards instead of row by row
    let indexes =
        sqlx::query("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
            .fetch_all(&mut db)
            .await
            .unwrap();
    for index in &indexes {
        let name: String = index.get("name");
        db.execute(AssertSqlSafe(format!("DROP INDEX {name}")))
            .await
            .unwrap();
    }
    db.execute("BEGIN").await.unwrap();
    fill(&mut db, size).await;
    db.execute("COMMIT").await.unwrap();
    for index in &indexes {
        let sql: String = index.get("sql");
        db.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    for day in ["created_ms / 86400000", "-1"] {
        db.execute(AssertSqlSafe(format!(
            "INSERT INTO finding_totals SELECT {day}, hazard_code, state, COALESCE(severity, ''), \
             COUNT(*) FROM findings GROUP BY 1, 2, 3, 4"
        )))
        .await
        .unwrap();
    }
    db.close().await.unwrap();
}

async fn fill(db: &mut AnyConnection, size: &Size) {
    let mut city = City {
        random: fastrand::Rng::with_seed(size.seed),
        ids: uuid::ContextV7::new(),
        seq: 0,
        events: Table::new(
            "events",
            "seq, at_ms, actor, kind, entity, entity_id, enterprise_id, data",
        ),
        outbox: Table::new("outbox", "event_seq, next_attempt_ms, delivered_ms"),
    };
    // three years up to now, so that some deadlines are yet to come
    let end = Timestamp::now();
    let start = end - SignedDuration::from_hours(3 * 365 * 24);
    let sites = enterprises(db, &mut city, size, start).await;
    findings(db, &mut city, size, &sites, start, end).await;
    city.events.flush(db).await;
    city.outbox.flush(db).await;
}

/// Enterprises with their persons and sites; the sites.
async fn enterprises(
    db: &mut AnyConnection,
    city: &mut City,
    size: &Size,
    at: Timestamp,
) -> Vec<(Id, Id)> {
    let mut table = Table::new(
        "enterprises",
        "id, credit_code, name, industry, facts, created_ms, version",
    );
    let mut persons = Table::new(
        "persons",
        "id, enterprise_id, name, duty, phone, created_ms",
    );
    let mut sites = Table::new(
        "sites",
        "id, enterprise_id, name, address, time_zone, created_ms, version",
    );
    let mut all = Vec::new();
    for n in 0..size.enterprises {
        let id = city.id(at);
        let code = with_check_digit(&format!("9144030{n:010}")).unwrap();
        let industry = city.random.choice(INDUSTRIES).unwrap();
        let name = format!("企业{n:05} {industry}");
        let row = json!([id, code, name, industry, "{}", ms(at), 1]);
        table.add(db, row).await;
        city.event(
            db,
            at,
            &Actor::person("clerk"),
            "enterprise.created",
            "enterprise",
            id,
            id,
            json!({}),
        )
        .await;
        for k in 0..1 + usize::from(city.random.u8(..4) == 0) {
            let site = city.id(at);
            let row = json!([
                site,
                id,
                format!("site {k}"),
                "",
                "Asia/Shanghai",
                ms(at),
                1
            ]);
            sites.add(db, row).await;
            all.push((id, site));
        }
    }
    for n in 0..size.persons {
        let (enterprise, _) = all[n % all.len()];
        let row = json!([
            city.id(at),
            enterprise,
            format!("人{n}"),
            "safety officer",
            null,
            ms(at)
        ]);
        persons.add(db, row).await;
    }
    for table in [&mut table, &mut persons, &mut sites] {
        table.flush(db).await;
    }
    all
}

async fn findings(
    db: &mut AnyConnection,
    city: &mut City,
    size: &Size,
    sites: &[(Id, Id)],
    start: Timestamp,
    end: Timestamp,
) {
    let mut table = Table::new(
        "findings",
        "id, enterprise_id, site_id, zone, hazard_code, suggested, score, origin, created_ms, \
         updated_ms, version, state, severity, major_proposed_by, ordered_ms, due_ms, proof_sha256, \
         proof_taken_ms, proof_by",
    );
    let mut occurrences = Table::new(
        "occurrences",
        "id, finding_id, filed_as, source_key, seen_ms, x1, y1, x2, y2, score, why",
    );
    let mut dismissals = Table::new(
        "dismissals",
        "id, finding_id, site_id, zone, hazard_code, x1, y1, x2, y2, created_ms",
    );
    let mut orders = Table::new(
        "orders",
        "id, finding_id, number, issued_by, issued_ms, due_ms, time_zone",
    );
    let mut evidence = Table::new(
        "evidence_links",
        "id, finding_id, sha256, role, taken_ms, submitted_by, submitted_ms, checks",
    );
    let span = ms(end) - ms(start);
    for n in 0..size.findings {
        let created_ms =
            ms(start) + span * i64::try_from(n).unwrap() / i64::try_from(size.findings).unwrap();
        let created = Timestamp::from_millisecond(created_ms).unwrap();
        // a few enterprises have many findings, most have few
        let u = city.random.f64();
        let (enterprise, site) = sites[((u * u) * sites.len() as f64) as usize];
        let v = city.random.f64();
        let code = code(((v * v) * CODES as f64) as usize);
        let zone = ["", "A", "B"][city.random.usize(..3)];
        let id = city.id(created);
        let filed = json!({ "site_id": site, "zone": zone, "hazard_code": code });
        city.event(
            db,
            created,
            &Actor::Machine,
            "finding.filed",
            "finding",
            id,
            enterprise,
            filed,
        )
        .await;
        let x = city.random.f64() * 0.8;
        let row = json!([
            city.id(created),
            id,
            id,
            format!("photo:{n}"),
            created_ms,
            x,
            0.1,
            x + 0.2,
            0.5,
            0.7,
            "{}"
        ]);
        occurrences.add(db, row).await;

        let mut finding = Finding::candidate(id);
        let (mut version, mut now) = (1, created);
        while let Some((step, by, wait)) = next(&mut city.random, &finding, now) {
            let at = now + SignedDuration::from_secs(wait);
            if at > end {
                break;
            }
            now = at;
            let Ok(after) = finding.apply(&step, &by, now) else {
                break;
            };
            version += 1;
            let data = json!({ "step": step, "from": finding.state, "to": after.state, "version": version });
            city.event(
                db,
                now,
                &by,
                "finding.step",
                "finding",
                id,
                enterprise,
                data,
            )
            .await;
            match &step {
                Step::Order { due_at } => {
                    let row = json!([
                        city.id(now),
                        id,
                        1,
                        by.to_text(),
                        ms(now),
                        ms(*due_at),
                        "Asia/Shanghai"
                    ]);
                    orders.add(db, row).await;
                }
                Step::Reject { .. } => {
                    let row = json!([
                        city.id(now),
                        id,
                        site,
                        zone,
                        code,
                        x,
                        0.1,
                        x + 0.2,
                        0.5,
                        ms(now)
                    ]);
                    dismissals.add(db, row).await;
                }
                Step::Rectify { proof } => {
                    let row = json!([
                        city.id(now),
                        id,
                        proof.sha256,
                        "proof",
                        proof.taken_at.map(ms),
                        by.to_text(),
                        ms(now),
                        "null"
                    ]);
                    evidence.add(db, row).await;
                }
                _ => {}
            }
            finding = after;
        }
        let proof = finding.proof.as_ref();
        let row = json!([
            id,
            enterprise,
            site,
            zone,
            code,
            "general",
            0.7,
            "machine",
            created_ms,
            ms(now),
            version,
            finding.state,
            finding.severity,
            finding.major_proposed_by.as_ref().map(Actor::to_text),
            finding.ordered_at.map(ms),
            finding.due_at.map(ms),
            proof.map(|p| &p.sha256),
            proof.and_then(|p| p.taken_at).map(ms),
            finding.proof_by.as_ref().map(Actor::to_text)
        ]);
        table.add(db, row).await;
    }
    for table in [
        &mut table,
        &mut occurrences,
        &mut dismissals,
        &mut orders,
        &mut evidence,
    ] {
        table.flush(db).await;
    }
}

/// What usually comes next, by whom, and after how many seconds.
fn next(
    random: &mut fastrand::Rng,
    finding: &Finding,
    now: Timestamp,
) -> Option<(Step, Actor, i64)> {
    const DAY: i64 = 86_400;
    let reason = String::from("as seen");
    let reviewer = Actor::person(format!("r{}", random.u8(..20)));
    // a few are left lying at every stage
    if random.u8(..25) == 0 {
        return None;
    }
    let wait = random.i64(600..4 * DAY);
    Some(match finding.state {
        FindingState::Candidate => match random.u8(..10) {
            0..3 => (Step::Reject { reason }, reviewer, wait),
            3 if finding.major_proposed_by.is_none() => {
                (Step::ProposeMajor { reason }, Actor::person("first"), wait)
            }
            _ if finding.major_proposed_by.is_some() => (
                Step::Confirm {
                    severity: Severity::Major,
                },
                reviewer,
                wait,
            ),
            _ => (
                Step::Confirm {
                    severity: Severity::General,
                },
                reviewer,
                wait,
            ),
        },
        FindingState::Confirmed if random.u8(..30) == 0 => (
            Step::Transfer {
                to: "fire brigade".into(),
            },
            reviewer,
            wait,
        ),
        FindingState::Confirmed => {
            let due_at = now + SignedDuration::from_secs(wait + random.i64(5..30) * DAY);
            (Step::Order { due_at }, reviewer, wait)
        }
        FindingState::Ordered => {
            let wait = random.i64(DAY..25 * DAY);
            let proof = Proof {
                sha256: format!("{:064x}", random.u128(..)),
                taken_at: Some(now + SignedDuration::from_secs(wait / 2)),
            };
            (Step::Rectify { proof }, Actor::person("site"), wait)
        }
        FindingState::Rectified => (Step::Close, reviewer, wait),
        _ => return None,
    })
}
