//! A change of the bank taken back: a change of its own.

use serde_json::json;

use super::super::sql::Columns;
use super::super::{Db, Error, Result, Tx};
use super::change::{Change, begin, by_a_person, close_span, has_twin, open_span};
use super::version;
use crate::id::Id;

/// The newest change by whoever writes that was not undone yet, if there is one.
pub async fn newest_own(tx: &mut Tx) -> Result<Option<i64>> {
    let actor = tx.actor().to_text();
    let newest = sqlx::query(
        "SELECT COALESCE(MAX(version), 0) AS version FROM bank_changes c \
         JOIN events e ON e.seq = c.event_seq AND e.actor = $1 \
         WHERE c.kind <> 'undo' AND NOT EXISTS (SELECT 1 FROM bank_changes u WHERE u.undoes = c.version)",
    )
    .bind(actor)
    .fetch_one(tx.conn())
    .await?
    .int("version")?;
    Ok((newest > 0).then_some(newest))
}

/// The samples that a change added or took away.
pub async fn touched(tx: &mut Tx, version: i64) -> Result<Vec<Id>> {
    let rows = sqlx::query(
        "SELECT DISTINCT sample_id FROM bank_spans WHERE from_version = $1 OR until_version = $1",
    )
    .bind(version)
    .fetch_all(tx.conn())
    .await?;
    rows.iter().map(|row| row.id("sample_id")).collect()
}

/// Undoes the change that made `undone` (none: the newest that was not undone yet): what it added
/// goes, what it took away comes back with its old embedding.
pub async fn undo(tx: &mut Tx, undone: Option<i64>) -> Result<Change> {
    by_a_person(tx)?;
    let newest = version(tx).await?;
    let undone = match undone {
        Some(version) if (1..=newest).contains(&version) => version,
        Some(version) => {
            return Err(Error::invalid(
                "version",
                format!("no change made version {version}; versions go from 1 to {newest}"),
            ));
        }
        None => sqlx::query(
            "SELECT COALESCE(MAX(version), 0) AS version FROM bank_changes c WHERE kind <> 'undo' \
             AND NOT EXISTS (SELECT 1 FROM bank_changes u WHERE u.undoes = c.version)",
        )
        .fetch_one(tx.conn())
        .await?
        .int("version")?,
    };
    if undone == 0 {
        return Err(Error::invalid("version", "there is no change left to undo"));
    }
    let again = sqlx::query("SELECT version FROM bank_changes WHERE undoes = $1")
        .bind(undone)
        .fetch_optional(tx.conn())
        .await?;
    if let Some(row) = again {
        let by = row.int("version")?;
        return Err(Error::invalid(
            "version",
            format!("{undone} was undone by {by} already; to do it again, undo {by}"),
        ));
    }
    let ids = async |tx: &mut Tx, select: &'static str| -> Result<Vec<Id>> {
        let rows = sqlx::query(select)
            .bind(undone)
            .fetch_all(tx.conn())
            .await?;
        rows.iter().map(|row| row.id("sample_id")).collect()
    };
    let removed = ids(
        tx,
        "SELECT sample_id FROM bank_spans p WHERE from_version = $1 AND EXISTS \
         (SELECT 1 FROM bank_spans a WHERE a.sample_id = p.sample_id AND a.until_version IS NULL) ORDER BY sample_id",
    )
    .await?;
    // not what is there already, nor what should never have been added: its adding was undone
    let away = ids(
        tx,
        "SELECT sample_id FROM bank_spans p WHERE until_version = $1 AND NOT EXISTS \
         (SELECT 1 FROM bank_spans a WHERE a.sample_id = p.sample_id AND a.until_version IS NULL) AND NOT EXISTS \
         (SELECT 1 FROM bank_spans f JOIN bank_changes u ON u.undoes = f.from_version AND u.version <> $1 \
         WHERE f.sample_id = p.sample_id AND NOT EXISTS \
         (SELECT 1 FROM bank_changes r WHERE r.undoes = u.version)) ORDER BY sample_id",
    )
    .await?;
    let mut added = Vec::new();
    for id in away {
        if !has_twin(tx, id).await? {
            added.push(id);
        }
    }
    let next = newest + 1;
    let data = json!({ "version": next, "undoes": undone, "added": added, "removed": removed });
    begin(tx, next, "undo", "bank.undone", data, Some(undone)).await?;
    for id in &removed {
        close_span(tx, *id, next).await?;
    }
    for id in &added {
        open_span(tx, *id, next).await?;
    }
    Ok(Change {
        version: next,
        added,
        removed,
        already: 0,
        completed: 0,
    })
}
