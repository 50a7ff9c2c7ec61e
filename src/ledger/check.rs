//! Self-check: whether everything that the ledger keeps still follows from its events.

use super::findings::{self, FindingRow, Totals};
use super::page::{Conditions, Entity};
use super::sql::Columns;
use super::{Backend, Db, Ledger, Read, Result, bank, enterprises, statistics};

/// What the self-check saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Events read.
    pub events: i64,
    /// Findings taken through their events again.
    pub findings: i64,
    /// What is wrong, at most [`MOST_PROBLEMS`].
    pub problems: Vec<String>,
    /// How many problems there are in all.
    pub problems_total: u64,
}

/// More problems than this are only counted.
pub const MOST_PROBLEMS: usize = 100;

impl Report {
    /// Adds what is wrong.
    pub fn problem(&mut self, text: String) {
        self.problems_total += 1;
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(text);
        }
    }
}

/// Reads all of the ledger and compares. Changes nothing; others may go on working.
pub async fn check(ledger: &Ledger) -> Result<Report> {
    let mut report = Report::default();
    let mut db = ledger.read().await?;
    if ledger.backend() == Backend::Sqlite {
        file(&mut db, &mut report).await?;
    }
    log(&mut db, &mut report).await?;
    rows(&mut db, &mut report).await?;
    counted_zero(&mut db, &mut report).await?;
    replayed(&mut db, &mut report).await?;
    credit_codes(&mut db, &mut report).await?;
    bank::check_rows(&mut db, &mut report).await?;
    Ok(report)
}

/// The file itself, and that nothing points nowhere.
async fn file(db: &mut Read, report: &mut Report) -> Result<()> {
    for row in sqlx::query("PRAGMA integrity_check")
        .fetch_all(db.conn())
        .await?
    {
        let text = row.text("integrity_check")?;
        if text != "ok" {
            report.problem(format!("the database file is damaged: {text}"));
        }
    }
    for row in sqlx::query("PRAGMA foreign_key_check")
        .fetch_all(db.conn())
        .await?
    {
        report.problem(format!(
            "a row of {} points to nothing in {}",
            row.text("table")?,
            row.text("parent")?
        ));
    }
    Ok(())
}

/// The log has no gaps, and each event has its place in the outbox.
async fn log(db: &mut Read, report: &mut Report) -> Result<()> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS n, COALESCE(MAX(seq), 0) AS last, COALESCE(MIN(seq), 1) AS first FROM events",
    )
    .fetch_one(db.conn())
    .await?;
    report.events = row.int("n")?;
    if row.int("last")? != report.events || row.int("first")? != 1 {
        report.problem(format!(
            "the log has gaps: {} events, numbered {} to {}",
            report.events,
            row.int("first")?,
            row.int("last")?
        ));
    }
    Ok(())
}

/// Statements that have to count nothing.
const ZERO: [(&str, &str); 8] = [
    (
        "events that are not in the outbox",
        "SELECT COUNT(*) AS n FROM events e LEFT JOIN outbox o ON o.event_seq = e.seq WHERE o.event_seq IS NULL",
    ),
    (
        "events whose context is gone",
        "SELECT COUNT(*) AS n FROM events e LEFT JOIN contexts c ON c.sha256 = e.context \
         WHERE e.context IS NOT NULL AND c.sha256 IS NULL",
    ),
    (
        "findings whose enterprise is not that of their site",
        "SELECT COUNT(*) AS n FROM findings f JOIN sites s ON s.id = f.site_id WHERE s.enterprise_id <> f.enterprise_id",
    ),
    (
        "findings without a sighting that were not merged",
        "SELECT COUNT(*) AS n FROM findings f WHERE f.state <> 'merged' \
         AND NOT EXISTS (SELECT 1 FROM occurrences o WHERE o.finding_id = f.id)",
    ),
    (
        "merged findings that kept sightings",
        "SELECT COUNT(*) AS n FROM occurrences o JOIN findings f ON f.id = o.finding_id WHERE f.state = 'merged'",
    ),
    (
        "findings past an order without one",
        "SELECT COUNT(*) AS n FROM findings f WHERE f.ordered_ms IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.finding_id = f.id AND o.due_ms = f.due_ms)",
    ),
    (
        "proofs that are not linked to their finding",
        "SELECT COUNT(*) AS n FROM findings f WHERE f.proof_sha256 IS NOT NULL AND NOT EXISTS \
         (SELECT 1 FROM evidence_links e WHERE e.finding_id = f.id AND e.sha256 = f.proof_sha256 AND e.role = 'proof')",
    ),
    (
        "reminders settled without saying how",
        "SELECT COUNT(*) AS n FROM reminders WHERE (settled_ms IS NULL) <> (sent IS NULL)",
    ),
];

async fn counted_zero(db: &mut Read, report: &mut Report) -> Result<()> {
    for (what, select) in ZERO {
        let n = sqlx::query(select).fetch_one(db.conn()).await?.int("n")?;
        if n != 0 {
            report.problem(format!("{n} {what}"));
        }
    }
    Ok(())
}

/// Rows without any event.
async fn rows(db: &mut Read, report: &mut Report) -> Result<()> {
    let n = sqlx::query(
        "SELECT COUNT(*) AS n FROM findings f WHERE NOT EXISTS \
         (SELECT 1 FROM events e WHERE e.entity_id = f.id AND e.kind = 'finding.filed')",
    )
    .fetch_one(db.conn())
    .await?
    .int("n")?;
    if n != 0 {
        report.problem(format!("{n} findings that no event tells of"));
    }
    Ok(())
}

/// Every finding is what its events make of it, and the totals are what the findings add up to.
async fn replayed(db: &mut Read, report: &mut Report) -> Result<()> {
    let mut told = std::collections::BTreeMap::new();
    let mut totals = Totals::new();
    let mut broken = Vec::new();
    statistics::replay(db, |id, replayed| match replayed {
        Ok(replayed) => {
            statistics::add_to(&mut totals, &replayed);
            told.insert(id, (replayed.finding, replayed.version));
        }
        Err(problem) => broken.push(format!("finding {id}: {problem}")),
    })
    .await?;
    for problem in broken {
        report.problem(problem);
    }
    if totals != findings::kept_totals(db).await? {
        report.problem("the kept totals are not what the events add up to".to_owned());
    }
    let mut last = String::new();
    loop {
        let mut conditions = Conditions::default();
        conditions.and("id > {}", [last.as_str().into()]);
        let rows = conditions
            .query("SELECT * FROM findings", " ORDER BY id LIMIT 5000")
            .fetch_all(db.conn())
            .await?;
        let Some(newest) = rows.last() else { break };
        last = newest.text("id")?;
        for row in &rows {
            let row = FindingRow::from_row(row)?;
            report.findings += 1;
            match told.remove(&row.finding.id) {
                Some((finding, version)) if finding == row.finding && version == row.version => {}
                Some(_) => report.problem(format!(
                    "finding {} is not what its events make of it",
                    row.finding.id
                )),
                // said above
                None => {}
            }
        }
    }
    for id in told.keys() {
        report.problem(format!(
            "finding {id} is told of by events but is not there"
        ));
    }
    Ok(())
}

async fn credit_codes(db: &mut Read, report: &mut Report) -> Result<()> {
    for row in sqlx::query("SELECT credit_code FROM enterprises")
        .fetch_all(db.conn())
        .await?
    {
        let code = row.text("credit_code")?;
        if !enterprises::credit_code(&code).is_ok_and(|right| right == code) {
            report.problem(format!(
                "enterprise with a credit code that is none: {code}"
            ));
        }
    }
    Ok(())
}
