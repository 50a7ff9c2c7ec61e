//! Changes of the bank: each is a version and an event.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::events::NewEvent;
use super::super::page::Entity;
use super::super::sql::{Bind, Columns, json as text};
use super::super::{Db, Error, Result, Tx, name, required};
use super::{NewSample, SampleRow, fingerprint, to_text, version};
use crate::bank::{EmbedderId, MOST_DIMENSIONS, Role, Sample, Scope};
use crate::embedding::Embedding;
use crate::finding::{Actor, Refusal};
use crate::id::Id;

/// What a change made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "BankChange")]
pub struct Change {
    /// The version of the bank from now on.
    pub version: i64,
    /// Samples that are alive now and were not.
    pub added: Vec<Id>,
    /// Samples that were alive and are not now.
    pub removed: Vec<Id>,
    /// How many were there already and were not added again.
    pub already: usize,
    /// How many of those have got their photo, or an embedding that they lacked.
    pub completed: usize,
}

/// A person teaches: the machine must not teach itself.
pub(super) fn by_a_person(tx: &Tx) -> Result<()> {
    if *tx.actor() == Actor::Machine {
        return Err(Refusal::Machine("change the sample bank").into());
    }
    Ok(())
}

/// Refuses a sample that makes no sense.
pub fn check(new: &NewSample) -> Result<()> {
    match &new.hazard {
        Some(code) => required("hazard", code)?,
        None if new.role == Role::Reference => {}
        None => {
            return Err(Error::invalid(
                "hazard",
                "name the kind that this is a sample of",
            ));
        }
    }
    match (new.role, new.scope) {
        (_, Scope::Everywhere) => {}
        (Role::Positive, _) | (Role::Reference, Scope::Camera) => {
            return Err(Error::invalid(
                "scope",
                "a dismissed look-alike may have one, a reference that of its site, a hazard none",
            ));
        }
        (_, Scope::Site) => required("site", &new.place.site)?,
        (_, Scope::Camera) => required("camera", &new.place.camera)?,
    }
    name("site", &new.place.site)?;
    // sites with a slash are those of offices that lent their banks
    if new.place.site.contains('/') && !new.origin.starts_with("import:") {
        return Err(Error::invalid("site", "must not have a slash"));
    }
    name("camera", &new.place.camera)?;
    required("origin", &new.origin)?;
    let digest = &new.photo_sha256;
    let is_digest = digest.len() == 64
        && digest
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !is_digest {
        return Err(Error::invalid(
            "photo_sha256",
            "must be 64 lower-case hexadecimal digits",
        ));
    }
    let [x1, y1, x2, y2] = new.area;
    let unit = |v: f64| (0.0..=1.0).contains(&v);
    if ![x1, y1, x2, y2].into_iter().all(unit) || x2 <= x1 || y2 <= y1 {
        return Err(Error::invalid(
            "area",
            "must lie within the picture: fractions 0 to 1, x1 < x2, y1 < y2",
        ));
    }
    if new
        .mask
        .as_ref()
        .is_some_and(|mask| mask.area() != new.area)
    {
        return Err(Error::invalid("area", "must be the box around the mask"));
    }
    match &new.embedding {
        Some((embedder, embedding)) => fits(embedder, embedding),
        None if new.photo_kept => Ok(()),
        None => Err(Error::invalid(
            "embedding",
            "a sample needs its photo or its embedding",
        )),
    }
}

/// Refuses an embedding that is not what its embedder makes.
fn fits(embedder: &EmbedderId, embedding: &Embedding) -> Result<()> {
    required("embedder", &embedder.version)?;
    let (has, needs) = (embedding.dimensions(), embedder.dimensions);
    if has != needs || has > MOST_DIMENSIONS {
        return Err(Error::invalid(
            "embedding",
            format!(
                "has {has} values, {} has {needs}, at most {MOST_DIMENSIONS} are possible: embed the picture again",
                embedder.version
            ),
        ));
    }
    Ok(())
}

/// Refuses an embedder that calls itself as one of this bank does and makes embeddings of another size.
async fn one_size(tx: &mut Tx, embedder: &EmbedderId) -> Result<()> {
    let known = sqlx::query("SELECT dimensions FROM bank_embeddings WHERE embedder = $1 LIMIT 1")
        .bind(embedder.version.clone())
        .fetch_optional(tx.conn())
        .await?;
    let Some(known) = known else { return Ok(()) };
    let known = known.int("dimensions")?;
    if usize::try_from(known).ok() == Some(embedder.dimensions) {
        return Ok(());
    }
    Err(Error::invalid(
        "embedding",
        format!(
            "has {} values, those of {} in this bank have {known}: it is of another embedder",
            embedder.dimensions, embedder.version
        ),
    ))
}

/// Adds samples. What is there already, alive and the same in all but its embedding, gets what it lacks: its
/// photo, an embedding by another embedder. When no sample is new, there is no new version.
pub async fn add(tx: &mut Tx, new: &[NewSample]) -> Result<Change> {
    by_a_person(tx)?;
    let mut change = Change {
        version: version(tx).await?,
        added: Vec::new(),
        removed: Vec::new(),
        already: 0,
        completed: 0,
    };
    let embedders: BTreeSet<&EmbedderId> = new
        .iter()
        .filter_map(|n| Some(&n.embedding.as_ref()?.0))
        .collect();
    for embedder in embedders {
        one_size(tx, embedder).await?;
    }
    let mut fresh: Vec<(Id, &NewSample)> = Vec::new();
    let mut known = HashSet::new();
    let mut lacking = Lacking::default();
    for sample in new {
        check(sample)?;
        if !known.insert(identity(sample)) {
            change.already += 1;
        } else if let Some(there) = find(tx, sample).await? {
            change.already += 1;
            lacking.look(tx, &there, sample).await?;
        } else {
            fresh.push((tx.new_id(), sample));
        }
    }
    change.completed = lacking.complete(tx).await?;
    if fresh.is_empty() {
        return Ok(change);
    }
    let mut told = Vec::new();
    for (id, sample) in &fresh {
        let row = row(tx, *id, sample);
        insert(tx, &row).await?;
        let mut telling = json!(row);
        if let Some((embedder, embedding)) = &sample.embedding {
            insert_embedding(tx, *id, embedder, embedding).await?;
            telling["embedder"] = json!(embedder.version);
            telling["embedding_sha256"] = json!(fingerprint(embedding));
        }
        told.push(telling);
        change.added.push(*id);
    }
    change.version += 1;
    let data = json!({ "version": change.version, "samples": told });
    begin(tx, change.version, "add", "bank.added", data, None).await?;
    for id in &change.added {
        open_span(tx, *id, change.version).await?;
    }
    Ok(change)
}

/// What makes two samples the same one.
fn identity(s: &NewSample) -> impl Eq + std::hash::Hash + use<'_> {
    let area = s.area.map(f64::to_bits);
    let mask = s.mask.clone().map(Vec::<[f64; 2]>::from);
    let mask = mask.map(|corners| corners.into_flattened().into_iter().map(f64::to_bits));
    let mask: Option<Vec<u64>> = mask.map(Iterator::collect);
    (
        s.role,
        &s.hazard,
        s.scope,
        &s.place,
        &s.photo_sha256,
        area,
        mask,
    )
}

/// What samples that are there lack, and new ones have.
#[derive(Default)]
struct Lacking {
    photos: BTreeSet<Id>,
    embeddings: BTreeMap<EmbedderId, Vec<(Id, Embedding)>>,
}

impl Lacking {
    async fn look(&mut self, tx: &mut Tx, there: &SampleRow, new: &NewSample) -> Result<()> {
        let id = there.sample.id;
        if new.photo_kept && !there.photo_kept {
            self.photos.insert(id);
        }
        if let Some((embedder, embedding)) = &new.embedding
            && !has_embedding(tx, id, embedder).await?
        {
            let of = self.embeddings.entry(embedder.clone()).or_default();
            of.push((id, embedding.clone()));
        }
        Ok(())
    }

    /// Gives it to them; to how many. No new version: which samples there are stays the same.
    async fn complete(self, tx: &mut Tx) -> Result<usize> {
        for id in &self.photos {
            sqlx::query("UPDATE bank_samples SET photo_kept = 1 WHERE id = $1")
                .id(*id)
                .execute(tx.conn())
                .await?;
        }
        if !self.photos.is_empty() {
            note(tx, "bank.pictured", json!({ "samples": self.photos })).await?;
        }
        let mut completed = self.photos;
        for (embedder, embeddings) in &self.embeddings {
            embed(tx, embedder, embeddings).await?;
            completed.extend(embeddings.iter().map(|(id, _)| *id));
        }
        Ok(completed.len())
    }
}

async fn has_embedding(tx: &mut Tx, id: Id, embedder: &EmbedderId) -> Result<bool> {
    let there =
        sqlx::query("SELECT 1 AS one FROM bank_embeddings WHERE sample_id = $1 AND embedder = $2")
            .id(id)
            .bind(embedder.version.clone())
            .fetch_optional(tx.conn())
            .await?;
    Ok(there.is_some())
}

/// The sample that is alive and is the same as this.
async fn find(tx: &mut Tx, new: &NewSample) -> Result<Option<SampleRow>> {
    let alive = alive_of(tx, &new.photo_sha256, new.role).await?;
    let same = |there: &Sample| {
        there.hazard == new.hazard
            && there.scope == new.scope
            && there.place == new.place
            && there.area == new.area
            && there.mask == new.mask
    };
    Ok(alive.into_iter().find(|row| same(&row.sample)))
}

/// Whether another sample is alive that is the same as this.
pub(super) async fn has_twin(tx: &mut Tx, id: Id) -> Result<bool> {
    let one = super::get(tx, id).await?.sample;
    let alive = alive_of(tx, &one.photo_sha256, one.role).await?;
    let same = |other: &Sample| {
        let other = Sample {
            id,
            case: one.case,
            ..other.clone()
        };
        other == one
    };
    Ok(alive
        .iter()
        .any(|row| row.sample.id != id && same(&row.sample)))
}

async fn alive_of(tx: &mut Tx, photo_sha256: &str, role: Role) -> Result<Vec<SampleRow>> {
    let rows = sqlx::query(
        "SELECT s.* FROM bank_samples s \
         JOIN bank_spans p ON p.sample_id = s.id AND p.until_version IS NULL \
         WHERE s.photo_sha256 = $1 AND s.role = $2",
    )
    .bind(photo_sha256.to_owned())
    .bind(role.as_str())
    .fetch_all(tx.conn())
    .await?;
    rows.iter().map(SampleRow::from_row).collect()
}

fn row(tx: &Tx, id: Id, new: &NewSample) -> SampleRow {
    SampleRow {
        sample: Sample {
            id,
            role: new.role,
            hazard: new.hazard.clone(),
            scope: new.scope,
            place: new.place.clone(),
            photo_sha256: new.photo_sha256.clone(),
            area: new.area,
            mask: new.mask.clone(),
            case: new.finding_id,
        },
        photo_kept: new.photo_kept,
        origin: new.origin.clone(),
        finding_id: new.finding_id,
        added_by: tx.actor().clone(),
        added_at: tx.now(),
    }
}

async fn insert(tx: &mut Tx, row: &SampleRow) -> Result<()> {
    let sample = &row.sample;
    sqlx::query(
        "INSERT INTO bank_samples (id, role, hazard_code, scope, site, camera, photo_sha256, photo_kept, \
         x1, y1, x2, y2, origin, finding_id, added_by, added_ms, mask) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
    )
    .id(sample.id)
    .bind(sample.role.as_str())
    .bind(sample.hazard.clone())
    .bind(sample.scope.as_str())
    .bind(sample.place.site.clone())
    .bind(sample.place.camera.clone())
    .bind(sample.photo_sha256.clone())
    .bind(i64::from(row.photo_kept))
    .bind(sample.area[0])
    .bind(sample.area[1])
    .bind(sample.area[2])
    .bind(sample.area[3])
    .bind(row.origin.clone())
    .maybe_id(row.finding_id)
    .bind(row.added_by.to_text())
    .time(row.added_at)
    .bind(sample.mask.as_ref().map(text).transpose()?)
    .execute(tx.conn())
    .await?;
    Ok(())
}

async fn insert_embedding(
    tx: &mut Tx,
    id: Id,
    embedder: &EmbedderId,
    embedding: &Embedding,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO bank_embeddings (sample_id, embedder, dimensions, embedding) VALUES ($1, $2, $3, $4)",
    )
    .id(id)
    .bind(embedder.version.clone())
    .bind(embedder.dimensions as i64)
    .bind(to_text(embedding))
    .execute(tx.conn())
    .await?;
    Ok(())
}

/// The event and the version.
pub(super) async fn begin(
    tx: &mut Tx,
    version: i64,
    kind: &'static str,
    event: &'static str,
    data: serde_json::Value,
    undoes: Option<i64>,
) -> Result<()> {
    let seq = record(tx, event, data).await?;
    tx.write_events().await?;
    sqlx::query(
        "INSERT INTO bank_changes (version, kind, event_seq, undoes) VALUES ($1, $2, $3, $4)",
    )
    .bind(version)
    .bind(kind)
    .bind(seq)
    .bind(undoes)
    .execute(tx.conn())
    .await?;
    Ok(())
}

pub(super) async fn open_span(tx: &mut Tx, id: Id, version: i64) -> Result<()> {
    sqlx::query("INSERT INTO bank_spans (sample_id, from_version) VALUES ($1, $2)")
        .id(id)
        .bind(version)
        .execute(tx.conn())
        .await?;
    Ok(())
}

/// Ends the life of a sample; whether it was alive.
pub(super) async fn close_span(tx: &mut Tx, id: Id, version: i64) -> Result<bool> {
    let done = sqlx::query(
        "UPDATE bank_spans SET until_version = $1 WHERE sample_id = $2 AND until_version IS NULL",
    )
    .bind(version)
    .id(id)
    .execute(tx.conn())
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Takes samples away; [`super::undo::undo`] brings them back.
pub async fn remove(tx: &mut Tx, ids: &[Id], reason: &str) -> Result<Change> {
    by_a_person(tx)?;
    let next = version(tx).await? + 1;
    let mut removed: Vec<Id> = ids.to_vec();
    removed.sort_unstable();
    removed.dedup();
    if removed.is_empty() {
        return Err(Error::invalid("sample", "name at least one"));
    }
    let data = json!({ "version": next, "samples": removed, "reason": reason });
    begin(tx, next, "remove", "bank.removed", data, None).await?;
    for id in &removed {
        if !close_span(tx, *id, next).await? {
            super::get(tx, *id).await?;
            return Err(Error::invalid(
                "sample",
                format!("{id} was taken away before; name one that the list of samples shows"),
            ));
        }
    }
    Ok(Change {
        version: next,
        added: Vec::new(),
        removed,
        already: 0,
        completed: 0,
    })
}

/// Gives samples the embeddings of an embedder that has not seen them. No new version: which samples
/// there are stays the same, and a decision names its embedder.
pub async fn embed(
    tx: &mut Tx,
    embedder: &EmbedderId,
    embeddings: &[(Id, Embedding)],
) -> Result<()> {
    let mut told = Vec::new();
    for (id, embedding) in embeddings {
        fits(embedder, embedding)?;
        super::get(tx, *id).await?;
        // somebody else was faster; what a bank has answered with stays
        if has_embedding(tx, *id, embedder).await? {
            continue;
        }
        insert_embedding(tx, *id, embedder, embedding).await?;
        told.push(json!({ "id": id, "embedding_sha256": fingerprint(embedding) }));
    }
    if told.is_empty() {
        return Ok(());
    }
    let data = json!({ "embedder": embedder.version, "samples": told });
    note(tx, "bank.embedded", data).await
}

/// An event of the bank that makes no new version.
pub async fn note(tx: &mut Tx, kind: &'static str, data: serde_json::Value) -> Result<()> {
    record(tx, kind, data).await?;
    Ok(())
}

async fn record(tx: &mut Tx, kind: &'static str, data: serde_json::Value) -> Result<i64> {
    let event = NewEvent {
        kind,
        entity: "bank",
        entity_id: tx.new_id(),
        enterprise_id: None,
        context: None,
        data,
    };
    tx.record(event).await
}
