//! Whether the bank's rows are what its events make of them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::check::Report;
use super::super::events::Event;
use super::super::page::Entity;
use super::super::sql::Columns;
use super::super::{Db, Read, Result};
use super::{SampleRow, fingerprint, from_text};
use crate::id::Id;

/// The bank as its events tell it.
#[derive(Default)]
struct Told {
    version: i64,
    /// Kind, number of its event, and the version that it undoes, by version.
    changes: BTreeMap<i64, (&'static str, i64, Option<i64>)>,
    samples: BTreeMap<Id, SampleRow>,
    /// From and until.
    spans: BTreeMap<(Id, i64), Option<i64>>,
    /// Digest by sample and embedder.
    embeddings: BTreeMap<(Id, String), String>,
}

impl Told {
    fn hear(&mut self, event: &Event) -> Result<(), String> {
        let data = &event.data;
        match event.kind.as_str() {
            "bank.embedded" => {
                let embedder = text(data, "embedder")?;
                for sample in list(data, "samples")? {
                    self.embedding(sample, &embedder)?;
                }
                return Ok(());
            }
            "bank.exported" => {}
            "bank.pictured" => {
                for id in ids(data, "samples")? {
                    let sample = self.samples.get_mut(&id);
                    sample
                        .ok_or_else(|| format!("names no sample: {id}"))?
                        .photo_kept = true;
                }
            }
            "bank.added" => {
                self.next("add", event)?;
                for sample in list(data, "samples")? {
                    let mut row: SampleRow =
                        serde_json::from_value(sample.clone()).map_err(|e| e.to_string())?;
                    row.sample.case = row.finding_id;
                    let id = row.sample.id;
                    self.samples.insert(id, row);
                    self.begins(id)?;
                    if let Ok(embedder) = text(sample, "embedder") {
                        self.embedding(sample, &embedder)?;
                    }
                }
            }
            "bank.removed" => {
                self.next("remove", event)?;
                for id in ids(data, "samples")? {
                    self.ends(id)?;
                }
            }
            "bank.undone" => {
                self.next("undo", event)?;
                for id in ids(data, "removed")? {
                    self.ends(id)?;
                }
                for id in ids(data, "added")? {
                    self.begins(id)?;
                }
            }
            kind => return Err(format!("is an unknown {kind}")),
        }
        Ok(())
    }

    fn next(&mut self, kind: &'static str, event: &Event) -> Result<(), String> {
        let number = |name: &str| event.data.get(name).and_then(Value::as_i64);
        let version = number("version");
        if version != Some(self.version + 1) {
            return Err(format!("makes version {version:?} of {}", self.version));
        }
        self.version += 1;
        let change = (kind, event.seq, number("undoes"));
        self.changes.insert(self.version, change);
        Ok(())
    }

    fn alive(&mut self, id: Id) -> Option<&mut Option<i64>> {
        let spans = self.spans.range_mut((id, i64::MIN)..=(id, i64::MAX));
        let (_, until) = spans.last()?;
        until.is_none().then_some(until)
    }

    fn begins(&mut self, id: Id) -> Result<(), String> {
        if self.alive(id).is_some() || !self.samples.contains_key(&id) {
            return Err(format!("brings back sample {id}, which was not away"));
        }
        self.spans.insert((id, self.version), None);
        Ok(())
    }

    fn ends(&mut self, id: Id) -> Result<(), String> {
        let version = self.version;
        let alive = self.alive(id);
        *alive.ok_or_else(|| format!("takes away sample {id}, which was not there"))? =
            Some(version);
        Ok(())
    }

    fn embedding(&mut self, sample: &Value, embedder: &str) -> Result<(), String> {
        let id: Id = text(sample, "id")?
            .parse()
            .map_err(|e| format!("names no sample: {e}"))?;
        let digest = text(sample, "embedding_sha256")?;
        self.embeddings.insert((id, embedder.to_owned()), digest);
        Ok(())
    }
}

fn text(data: &Value, name: &str) -> Result<String, String> {
    let value = data.get(name).and_then(Value::as_str);
    value.map(str::to_owned).ok_or(format!("has no {name}"))
}

fn list<'a>(data: &'a Value, name: &str) -> Result<&'a Vec<Value>, String> {
    let value = data.get(name).and_then(Value::as_array);
    value.ok_or(format!("has no {name}"))
}

fn ids(data: &Value, name: &str) -> Result<Vec<Id>, String> {
    serde_json::from_value(data.get(name).cloned().unwrap_or_default())
        .map_err(|e| format!("has no {name}: {e}"))
}

/// Reads the bank's events again and compares with the rows.
pub(in crate::ledger) async fn check(db: &mut Read, report: &mut Report) -> Result<()> {
    let mut told = Told::default();
    let mut last = 0;
    loop {
        let rows = sqlx::query(
            "SELECT * FROM events WHERE entity = 'bank' AND seq > $1 ORDER BY seq LIMIT 500",
        )
        .bind(last)
        .fetch_all(db.conn())
        .await?;
        if rows.is_empty() {
            break;
        }
        for row in &rows {
            let event = Event::from_row(row)?;
            last = event.seq;
            if let Err(problem) = told.hear(&event) {
                report.problem(format!("event {} of the bank {problem}", event.seq));
            }
        }
    }
    let kept =
        sqlx::query("SELECT COUNT(*) AS n, COALESCE(MAX(version), 0) AS last FROM bank_changes")
            .fetch_one(db.conn())
            .await?;
    if kept.int("n")? != told.version || kept.int("last")? != told.version {
        report.problem(format!(
            "the bank's versions are not what its events make of them: {} rows up to {}, {} by the events",
            kept.int("n")?,
            kept.int("last")?,
            told.version
        ));
    }
    changes(db, &told, report).await?;
    samples(db, &mut told, report).await?;
    spans(db, &mut told, report).await?;
    embeddings(db, &mut told, report).await
}

async fn changes(db: &mut Read, told: &Told, report: &mut Report) -> Result<()> {
    let mut last = 0;
    loop {
        let rows = sqlx::query(
            "SELECT version, kind, event_seq, undoes FROM bank_changes WHERE version > $1 ORDER BY version \
             LIMIT 5000",
        )
        .bind(last)
        .fetch_all(db.conn())
        .await?;
        let Some(newest) = rows.last() else {
            return Ok(());
        };
        last = newest.int("version")?;
        for row in &rows {
            let version = row.int("version")?;
            let kind = row.text("kind")?;
            let kept = (
                kind.as_str(),
                row.int("event_seq")?,
                row.maybe_int("undoes")?,
            );
            // versions that are not told of are told above
            if told.changes.get(&version).is_some_and(|told| *told != kept) {
                report.problem(format!(
                    "version {version} of the bank is not the change that its event says"
                ));
            }
        }
    }
}

async fn samples(db: &mut Read, told: &mut Told, report: &mut Report) -> Result<()> {
    let mut last = String::new();
    loop {
        let rows = sqlx::query("SELECT * FROM bank_samples WHERE id > $1 ORDER BY id LIMIT 5000")
            .bind(last.clone())
            .fetch_all(db.conn())
            .await?;
        let Some(newest) = rows.last() else { break };
        last = newest.text("id")?;
        for row in &rows {
            let row = SampleRow::from_row(row)?;
            let id = row.sample.id;
            if told.samples.remove(&id) != Some(row) {
                report.problem(format!(
                    "sample {id} of the bank is not what its event says"
                ));
            }
        }
    }
    for id in told.samples.keys() {
        report.problem(format!(
            "sample {id} of the bank is told of by an event but is not there"
        ));
    }
    Ok(())
}

async fn spans(db: &mut Read, told: &mut Told, report: &mut Report) -> Result<()> {
    let mut last = (String::new(), 0);
    loop {
        let rows = sqlx::query(
            "SELECT * FROM bank_spans WHERE (sample_id, from_version) > ($1, $2) \
             ORDER BY sample_id, from_version LIMIT 5000",
        )
        .bind(last.0.clone())
        .bind(last.1)
        .fetch_all(db.conn())
        .await?;
        let Some(newest) = rows.last() else { break };
        last = (newest.text("sample_id")?, newest.int("from_version")?);
        for row in &rows {
            let (id, from) = (row.id("sample_id")?, row.int("from_version")?);
            if told.spans.remove(&(id, from)) != Some(row.maybe_int("until_version")?) {
                report.problem(format!(
                    "sample {id} of the bank is not alive from version {from} as the events say"
                ));
            }
        }
    }
    for (id, from) in told.spans.keys() {
        report.problem(format!(
            "sample {id} of the bank should be alive from version {from}"
        ));
    }
    Ok(())
}

async fn embeddings(db: &mut Read, told: &mut Told, report: &mut Report) -> Result<()> {
    let mut last = (String::new(), String::new());
    loop {
        let rows = sqlx::query(
            "SELECT * FROM bank_embeddings WHERE (sample_id, embedder) > ($1, $2) \
             ORDER BY sample_id, embedder LIMIT 2000",
        )
        .bind(last.0.clone())
        .bind(last.1.clone())
        .fetch_all(db.conn())
        .await?;
        let Some(newest) = rows.last() else { break };
        last = (newest.text("sample_id")?, newest.text("embedder")?);
        for row in &rows {
            let (id, embedder) = (row.id("sample_id")?, row.text("embedder")?);
            let kept = from_text(&row.text("embedding")?)
                .filter(|kept| i64::try_from(kept.dimensions()).ok() == row.int("dimensions").ok());
            let said = told.embeddings.remove(&(id, embedder.clone()));
            if kept.as_ref().map(fingerprint) != said || said.is_none() {
                report.problem(format!(
                    "the embedding of sample {id} by {embedder} is not the one that was written"
                ));
            }
        }
    }
    for (id, embedder) in told.embeddings.keys() {
        report.problem(format!(
            "the embedding of sample {id} by {embedder} is told of by an event but is not there"
        ));
    }
    Ok(())
}
