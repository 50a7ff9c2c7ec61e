//! The sample bank's rows: samples, their embeddings, and the versions of the bank.
//!
//! Every change makes a new version. A sample is alive in spans of versions; taking it away ends a
//! span, undoing that begins another. Nothing is deleted, so a version of long ago can be had again,
//! bit for bit.

use futures_util::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::page::{self, Conditions, Entity};
use super::sql::{Bind, Columns, from_json};
use super::{Db, Error, Page, Paged, Result, Scope as View};
use crate::bank::{Bank, EmbedderId, Mask, Owners, Place, Role, Sample, Scope};
use crate::embedding::Embedding;
use crate::finding::Actor;
use crate::id::Id;

mod change;
mod check;
mod index;
mod past;
mod review;
mod undo;

pub use change::{Change, add, check, embed, note, remove};
pub(super) use check::check as check_rows;
pub use index::{IndexState, compare as compare_index, load as load_with_index};
pub use past::{Past, history};
pub(super) use review::{confirmed, dismissed, noted, revoked};
pub use undo::{newest_own, touched, undo};

/// A sample as it is added.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSample {
    /// What it says.
    pub role: Role,
    /// Hazard code; none only for a clean reference.
    pub hazard: Option<String>,
    /// Where a negative counts.
    pub scope: Scope,
    /// Where the picture was taken.
    pub place: Place,
    /// SHA-256 of the photo.
    pub photo_sha256: String,
    /// Whether the photo is in the evidence folder; else only the embedding is known.
    pub photo_kept: bool,
    /// The part of the photo, `[x1, y1, x2, y2]` in fractions.
    pub area: [f64; 4],
    /// The outline within that part, if one was drawn.
    pub mask: Option<Mask>,
    /// Where it comes from: `file`, `api`, `dataset:NAME`, `review`, `import:OFFICE`.
    pub origin: String,
    /// The finding that it comes from.
    pub finding_id: Option<Id>,
    /// Its embedding, and whose; it can be given later ([`embed`]).
    pub embedding: Option<(EmbedderId, Embedding)>,
}

/// A sample as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SampleRow {
    /// What decisions look at.
    #[serde(flatten)]
    pub sample: Sample,
    /// Whether the photo is in the evidence folder.
    pub photo_kept: bool,
    /// Where it comes from.
    pub origin: String,
    /// The finding that it comes from.
    pub finding_id: Option<Id>,
    /// Who added it.
    pub added_by: Actor,
    /// When.
    #[schemars(with = "String")]
    pub added_at: Timestamp,
}

fn sample(row: &AnyRow) -> Result<Sample> {
    Ok(Sample {
        id: row.id("id")?,
        role: row.parsed("role", Role::parse)?,
        hazard: row.maybe_text("hazard_code")?,
        scope: row.parsed("scope", Scope::parse)?,
        place: Place {
            site: row.text("site")?,
            camera: row.text("camera")?,
        },
        photo_sha256: row.text("photo_sha256")?,
        area: [
            row.float("x1")?,
            row.float("y1")?,
            row.float("x2")?,
            row.float("y2")?,
        ],
        mask: row
            .maybe_text("mask")?
            .map(|text| from_json(&text))
            .transpose()?,
        case: row.maybe_id("finding_id")?,
    })
}

impl Entity for SampleRow {
    fn from_row(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            sample: sample(row)?,
            photo_kept: row.int("photo_kept")? != 0,
            origin: row.text("origin")?,
            finding_id: row.maybe_id("finding_id")?,
            added_by: row.actor("added_by")?,
            added_at: row.time("added_ms")?,
        })
    }

    fn id(&self) -> Id {
        self.sample.id
    }
}

/// The newest version of the bank; 0 when nothing was ever added.
pub async fn version(db: &mut impl Db) -> Result<i64> {
    sqlx::query("SELECT COALESCE(MAX(version), 0) AS version FROM bank_changes")
        .fetch_one(db.conn())
        .await?
        .int("version")
}

/// Which samples. What is `None` does not restrict.
#[derive(Debug, Clone, Default)]
pub struct SampleFilter {
    /// Whose sites; samples of places that are no sites of the ledger are for those who see all.
    pub scope: View,
    /// Of this kind only.
    pub hazard: Option<String>,
    /// In this role only.
    pub role: Option<Role>,
    /// Of this site only.
    pub site: Option<String>,
    /// From this finding only.
    pub finding_id: Option<Id>,
}

/// A page of the samples that are alive, newest first.
pub async fn list(
    db: &mut impl Db,
    filter: &SampleFilter,
    page: &Page,
) -> Result<Paged<SampleRow>> {
    let mut conditions = Conditions::default();
    conditions.and(
        "EXISTS (SELECT 1 FROM bank_spans p WHERE p.sample_id = bank_samples.id AND p.until_version IS NULL)",
        [],
    );
    conditions.and_site_in("site", &filter.scope);
    conditions.and_maybe("hazard_code = {}", filter.hazard.clone());
    conditions.and_maybe("role = {}", filter.role.map(Role::as_str));
    conditions.and_maybe("site = {}", filter.site.clone());
    conditions.and_maybe("finding_id = {}", filter.finding_id);
    page::list(db, "SELECT * FROM bank_samples", conditions, page).await
}

/// One sample, alive or not.
pub async fn get(db: &mut impl Db, id: Id) -> Result<SampleRow> {
    page::get(db, "sample", "SELECT * FROM bank_samples WHERE id = $1", id).await
}

/// Digests of the photos that samples are parts of and that are kept, in order.
pub async fn photos(db: &mut impl Db) -> Result<Vec<String>> {
    let rows = sqlx::query(
        "SELECT DISTINCT photo_sha256 FROM bank_samples WHERE photo_kept = 1 ORDER BY photo_sha256",
    )
    .fetch_all(db.conn())
    .await?;
    rows.iter().map(|row| row.text("photo_sha256")).collect()
}

/// How many samples of a kind there are of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(rename = "BankCover")]
pub struct Cover {
    /// Hazard code; none: clean references of all kinds.
    pub hazard: Option<String>,
    /// Site; empty where it is not known.
    pub site: String,
    /// In which role.
    pub role: Role,
    /// How many.
    pub samples: i64,
}

/// How kinds and sites are covered by samples that are alive.
pub async fn coverage(db: &mut impl Db, scope: &View) -> Result<Vec<Cover>> {
    let mut conditions = Conditions::default();
    conditions.and("p.until_version IS NULL", []);
    conditions.and_site_in("site", scope);
    let rows = conditions
        .query(
            "SELECT hazard_code, site, role, COUNT(*) AS n FROM bank_samples s \
             JOIN bank_spans p ON p.sample_id = s.id",
            " GROUP BY hazard_code, site, role ORDER BY hazard_code, site, role",
        )
        .fetch_all(db.conn())
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Cover {
                hazard: row.maybe_text("hazard_code")?,
                site: row.text("site")?,
                role: row.parsed("role", Role::parse)?,
                samples: row.int("n")?,
            })
        })
        .collect()
}

/// How many samples are alive, and how many of them this embedder has not seen but could.
pub async fn pending(db: &mut impl Db, embedder: &str) -> Result<(i64, i64)> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS alive, \
         COALESCE(SUM(CASE WHEN e.sample_id IS NULL AND s.photo_kept = 1 THEN 1 ELSE 0 END), 0) AS pending \
         FROM bank_samples s JOIN bank_spans p ON p.sample_id = s.id AND p.until_version IS NULL \
         LEFT JOIN bank_embeddings e ON e.sample_id = s.id AND e.embedder = $1",
    )
    .bind(embedder.to_owned())
    .fetch_one(db.conn())
    .await?;
    Ok((row.int("alive")?, row.int("pending")?))
}

/// The embedders that samples have embeddings of, and how many alive samples each knows.
pub async fn embedders(db: &mut impl Db) -> Result<Vec<(EmbedderId, i64)>> {
    let rows = sqlx::query(
        "SELECT e.embedder, e.dimensions, COUNT(*) AS n FROM bank_embeddings e \
         JOIN bank_spans p ON p.sample_id = e.sample_id AND p.until_version IS NULL \
         GROUP BY e.embedder, e.dimensions ORDER BY e.embedder, e.dimensions",
    )
    .fetch_all(db.conn())
    .await?;
    rows.iter()
        .map(|row| {
            let dimensions = usize::try_from(row.int("dimensions")?)
                .map_err(|e| Error::Corrupt(format!("dimensions: {e}")))?;
            let version = row.text("embedder")?;
            let id = EmbedderId {
                version,
                dimensions,
            };
            Ok((id, row.int("n")?))
        })
        .collect()
}

/// Alive samples that this embedder has not seen, oldest first.
pub async fn without_embedding(
    db: &mut impl Db,
    embedder: &str,
    limit: i64,
) -> Result<Vec<SampleRow>> {
    let rows = sqlx::query(
        "SELECT s.* FROM bank_samples s \
         JOIN bank_spans p ON p.sample_id = s.id AND p.until_version IS NULL \
         LEFT JOIN bank_embeddings e ON e.sample_id = s.id AND e.embedder = $1 \
         WHERE e.sample_id IS NULL AND s.photo_kept = 1 ORDER BY s.id LIMIT $2",
    )
    .bind(embedder.to_owned())
    .bind(limit)
    .fetch_all(db.conn())
    .await?;
    rows.iter().map(SampleRow::from_row).collect()
}

/// Enterprises by their sites.
async fn owners(db: &mut impl Db) -> Result<Owners> {
    let rows = sqlx::query("SELECT id, enterprise_id FROM sites")
        .fetch_all(db.conn())
        .await?;
    let pairs = rows
        .iter()
        .map(|row| Ok((row.text("id")?, row.text("enterprise_id")?)));
    Ok(Owners::new(pairs.collect::<Result<Vec<_>>>()?))
}

/// A bank out of its rows.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Ready to be asked.
    pub bank: Bank,
    /// Samples that have no embedding of this embedder: they say nothing until they have.
    pub without_embedding: usize,
}

/// Samples alive at a version.
const ALIVE: &str = "FROM bank_samples s JOIN bank_spans p ON p.sample_id = s.id \
     AND p.from_version <= $1 AND (p.until_version IS NULL OR p.until_version > $1)";

/// The version asked for, if there is one; the newest when none is.
async fn version_at(db: &mut impl Db, at: Option<i64>) -> Result<i64> {
    let newest = version(db).await?;
    match at {
        None => Ok(newest),
        Some(at) if (0..=newest).contains(&at) => Ok(at),
        Some(at) => Err(Error::invalid(
            "version",
            format!("there is no version {at} of the bank: give one from 0 to {newest}"),
        )),
    }
}

/// The bank as it was at version `at` (none: as it is), by the embeddings of `embedder`. `known` gives
/// embeddings that need not be read again.
pub async fn load(
    db: &mut impl Db,
    embedder: &EmbedderId,
    at: Option<i64>,
    known: impl Fn(Id) -> Option<Embedding>,
) -> Result<Loaded> {
    let at = version_at(db, at).await?;
    let mut samples = Vec::new();
    {
        let select = format!("SELECT s.* {ALIVE} ORDER BY s.id");
        let mut rows = sqlx::query(sqlx::AssertSqlSafe(select))
            .bind(at)
            .fetch(db.conn());
        while let Some(row) = rows.try_next().await? {
            samples.push(sample(&row)?);
        }
    }
    let mut bank = Bank::new(at, embedder.clone());
    bank.set_owners(owners(db).await?);
    let mut unknown = std::collections::BTreeMap::new();
    let damaged = |id: Id, what: &dyn std::fmt::Display| {
        Error::Corrupt(format!("the embedding of sample {id}: {what}"))
    };
    for sample in samples {
        match known(sample.id) {
            Some(embedding) => {
                let id = sample.id;
                bank.insert(sample, &embedding)
                    .map_err(|e| damaged(id, &e))?;
            }
            None => {
                unknown.insert(sample.id, sample);
            }
        }
    }
    // one by one where few are new, else all in one go
    const FEW: usize = 64;
    let mut found = Vec::new();
    if unknown.len() <= FEW {
        for id in unknown.keys() {
            let row = sqlx::query(
                "SELECT sample_id, embedding FROM bank_embeddings WHERE sample_id = $1 AND embedder = $2",
            )
            .id(*id)
            .bind(embedder.version.clone())
            .fetch_optional(db.conn())
            .await?;
            if let Some(row) = row {
                found.push((*id, embedding(&row)?));
            }
        }
    } else {
        let select = format!(
            "SELECT e.sample_id, e.embedding {ALIVE} JOIN bank_embeddings e ON e.sample_id = s.id AND e.embedder = $2"
        );
        let mut rows = sqlx::query(sqlx::AssertSqlSafe(select))
            .bind(at)
            .bind(embedder.version.clone())
            .fetch(db.conn());
        while let Some(row) = rows.try_next().await? {
            let id = row.id("sample_id")?;
            if unknown.contains_key(&id) {
                found.push((id, embedding(&row)?));
            }
        }
    }
    for (id, embedding) in found {
        if let Some(sample) = unknown.remove(&id) {
            bank.insert(sample, &embedding)
                .map_err(|e| damaged(id, &e))?;
        }
    }
    Ok(Loaded {
        bank,
        without_embedding: unknown.len(),
    })
}

/// What came and went since a version, with embeddings of one embedder.
#[derive(Debug)]
pub struct Changes {
    /// The newest version.
    pub version: i64,
    /// Samples that are no longer alive.
    pub gone: Vec<Id>,
    /// Samples that are alive since; perhaps also before.
    pub come: Vec<(Sample, Embedding)>,
    /// How many samples that are alive have an embedding.
    pub embedded: usize,
    /// Who stands behind the sites.
    pub owners: Owners,
}

/// What changed since version `since`: a bank of many samples need not be read again for a few.
pub async fn changes(db: &mut impl Db, embedder: &EmbedderId, since: i64) -> Result<Changes> {
    let version = version(db).await?;
    let rows = sqlx::query(
        "SELECT DISTINCT p.sample_id FROM bank_spans p WHERE p.until_version > $1 AND NOT EXISTS \
         (SELECT 1 FROM bank_spans a WHERE a.sample_id = p.sample_id AND a.until_version IS NULL)",
    )
    .bind(since)
    .fetch_all(db.conn())
    .await?;
    let gone = rows
        .iter()
        .map(|row| row.id("sample_id"))
        .collect::<Result<_>>()?;
    let rows = sqlx::query(
        "SELECT s.*, e.sample_id, e.embedding FROM bank_spans p JOIN bank_samples s ON s.id = p.sample_id \
         JOIN bank_embeddings e ON e.sample_id = s.id AND e.embedder = $2 \
         WHERE p.from_version > $1 AND p.until_version IS NULL ORDER BY s.id",
    )
    .bind(since)
    .bind(embedder.version.clone())
    .fetch_all(db.conn())
    .await?;
    let come = rows
        .iter()
        .map(|row| Ok((sample(row)?, embedding(row)?)))
        .collect::<Result<_>>()?;
    let embedded = sqlx::query(
        "SELECT COUNT(*) AS n FROM bank_spans p JOIN bank_embeddings e ON e.sample_id = p.sample_id \
         AND e.embedder = $1 WHERE p.until_version IS NULL",
    )
    .bind(embedder.version.clone())
    .fetch_one(db.conn())
    .await?
    .int("n")?;
    Ok(Changes {
        version,
        gone,
        come,
        embedded: usize::try_from(embedded).unwrap_or(0),
        owners: owners(db).await?,
    })
}

fn embedding(row: &AnyRow) -> Result<Embedding> {
    let text = row.text("embedding")?;
    from_text(&text).ok_or_else(|| {
        Error::Corrupt(format!(
            "the embedding of sample {}",
            row.text("sample_id").unwrap_or_default()
        ))
    })
}

/// An embedding for a column: little-endian f32 in base64.
pub(super) fn to_text(embedding: &Embedding) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(embedding.to_le_bytes())
}

/// Reads [`to_text`] back, bit for bit.
pub(super) fn from_text(text: &str) -> Option<Embedding> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()?;
    Embedding::from_le_bytes(&bytes).ok()
}

/// What an event says of an embedding: enough to tell that the row is the one that was written.
pub(super) fn fingerprint(embedding: &Embedding) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(embedding.to_le_bytes());
    digest.iter().map(|b| format!("{b:02x}")).collect()
}
