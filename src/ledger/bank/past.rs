//! The changes of the bank, looked back on.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::super::sql::Columns;
use super::super::{Db, Page, Paged, Result};
use crate::finding::Actor;

/// A change of the bank, as it is looked back on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "BankVersion")]
pub struct Past {
    /// The version that it made.
    pub version: i64,
    /// `add`, `remove` or `undo`.
    pub kind: String,
    /// The version that it undid.
    pub undoes: Option<i64>,
    /// The version that undid it.
    pub undone_by: Option<i64>,
    /// Samples that are alive since.
    pub added: i64,
    /// Samples that were alive until then.
    pub removed: i64,
    /// By whom.
    pub by: Actor,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// A page of the changes of the bank, newest first.
pub async fn history(db: &mut impl Db, page: &Page) -> Result<Paged<Past>> {
    let (before, limit) = page.by_number()?;
    let rows = sqlx::query(
        "SELECT c.version, c.kind, c.undoes, e.actor, e.at_ms, \
         (SELECT u.version FROM bank_changes u WHERE u.undoes = c.version) AS undone_by, \
         (SELECT COUNT(*) FROM bank_spans p WHERE p.from_version = c.version) AS added, \
         (SELECT COUNT(*) FROM bank_spans p WHERE p.until_version = c.version) AS removed \
         FROM bank_changes c JOIN events e ON e.seq = c.event_seq \
         WHERE c.version < $1 ORDER BY c.version DESC LIMIT $2",
    )
    .bind(before.unwrap_or(i64::MAX))
    .bind(limit as i64 + 1)
    .fetch_all(db.conn())
    .await?;
    let past = |row: &AnyRow| {
        Ok(Past {
            version: row.int("version")?,
            kind: row.text("kind")?,
            undoes: row.maybe_int("undoes")?,
            undone_by: row.maybe_int("undone_by")?,
            added: row.int("added")?,
            removed: row.int("removed")?,
            by: row.actor("actor")?,
            at: row.time("at_ms")?,
        })
    };
    let items = rows.iter().map(past).collect::<Result<_>>()?;
    Ok(Paged::cut(items, limit, |last: &Past| {
        last.version.to_string()
    }))
}
