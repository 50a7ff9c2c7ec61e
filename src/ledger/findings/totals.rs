//! How many findings stand where, kept with every change.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::super::sql::{self, Columns};
use super::super::{Db, Result, Tx};
use super::{FindingRow, severity_name};
use crate::finding::Finding;

/// Milliseconds of a UTC day.
const DAY_MS: i64 = 86_400_000;

/// The UTC day of an instant, counted from 1970-01-01.
pub(in crate::ledger) const fn day_of(ms: i64) -> i64 {
    ms.div_euclid(DAY_MS)
}

/// Stands for all days: the sum over them, which is asked for most.
pub(in crate::ledger) const ALL_DAYS: i64 = -1;

/// (day, hazard code, state, severity or empty) -> how many.
pub(in crate::ledger) type Totals = BTreeMap<(i64, String, String, String), i64>;

/// Where a finding is counted.
pub(in crate::ledger) fn key(
    created_at: Timestamp,
    hazard_code: &str,
    finding: &Finding,
) -> (i64, String, String, String) {
    (
        day_of(created_at.as_millisecond()),
        hazard_code.to_owned(),
        finding.state.as_str().to_owned(),
        finding.severity.map_or("", severity_name).to_owned(),
    )
}

/// Counts a new finding.
pub(super) fn add(tx: &mut Tx, row: &FindingRow) {
    change(tx, key(row.created_at, &row.hazard_code, &row.finding), 1);
}

/// Counts a changed finding where it stands now and no longer where it stood.
pub(super) fn moved(tx: &mut Tx, row: &FindingRow, before: &Finding) {
    change(tx, key(row.created_at, &row.hazard_code, before), -1);
    change(tx, key(row.created_at, &row.hazard_code, &row.finding), 1);
}

fn change(tx: &mut Tx, mut key: (i64, String, String, String), by: i64) {
    *tx.totals.entry(key.clone()).or_default() += by;
    key.0 = ALL_DAYS;
    *tx.totals.entry(key).or_default() += by;
}

/// Totals in one statement.
const TOTALS_AT_ONCE: usize = 32;

impl Tx {
    /// Writes by how much this change changes the totals.
    pub(in crate::ledger) async fn write_totals(&mut self) -> Result<()> {
        let changed: Vec<_> = std::mem::take(&mut self.totals)
            .into_iter()
            .filter(|(_, by)| *by != 0)
            .collect();
        for some in changed.chunks(TOTALS_AT_ONCE) {
            let mut query = sql::insert(
                "INSERT INTO finding_totals (day, hazard_code, state, severity, n)",
                (some.len(), 5),
                " ON CONFLICT (day, hazard_code, state, severity) \
                 DO UPDATE SET n = finding_totals.n + excluded.n",
            );
            for ((day, code, state, severity), by) in some {
                query = query
                    .bind(*day)
                    .bind(code.clone())
                    .bind(state.clone())
                    .bind(severity.clone())
                    .bind(*by);
            }
            query.execute(self.conn()).await?;
        }
        Ok(())
    }
}

/// The totals as they are kept, without zeros.
pub(in crate::ledger) async fn kept(db: &mut impl Db) -> Result<Totals> {
    let rows = sqlx::query("SELECT * FROM finding_totals WHERE n <> 0")
        .fetch_all(db.conn())
        .await?;
    rows.iter()
        .map(|row| {
            let key = (
                row.int("day")?,
                row.text("hazard_code")?,
                row.text("state")?,
                row.text("severity")?,
            );
            Ok((key, row.int("n")?))
        })
        .collect()
}
