//! Filing a sighting: one open finding for each real hazard.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::events::{Context, NewEvent};
use super::super::sql::{self, Bind, Columns, to_millisecond};
use super::super::{Db, Error, Result, Tx, bank, inspections, photos, required, sites};
use super::dismissals::dismissal_of;
use super::place::{Sight, look_from_text, look_to_text};
use super::{Area, FindingRow, SameLook, area, severity_name, totals};
use crate::eval::look_alike;
use crate::finding::{Actor, Finding, FindingState};
use crate::hazard::Severity;
use crate::id::Id;

/// How long after its closing a finding counts as the forerunner of a new one.
const RECURRENCE: SignedDuration = SignedDuration::from_hours(365 * 24);

/// Something seen, by the machine or by a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// What was sighted, for example `photo:SHA256:CODE:N`: told twice, it is filed once.
    pub source_key: String,
    /// Where.
    pub site_id: Id,
    /// In which zone; empty when zones are not told apart.
    pub zone: String,
    /// By which camera.
    pub camera_id: Option<Id>,
    /// In which inspection.
    pub inspection_id: Option<Id>,
    /// Hazard code.
    pub hazard_code: String,
    /// Severity that the catalogue suggests.
    pub suggested: Severity,
    /// Confidence, `0..=1`.
    pub score: Option<f64>,
    /// Where in the picture; `None` when nothing was outlined.
    pub area: Option<Area>,
    /// Embedding of what is there.
    pub look: Option<Vec<f32>>,
    /// SHA-256 of the photo.
    pub photo_sha256: Option<String>,
    /// When it was seen.
    pub seen_at: Timestamp,
    /// Of somebody or something that a watch follows: how its keys begin, and those of this very finding. What the
    /// same watch has told as another finding is another one, wherever it stands.
    pub of_watch: Option<(String, String)>,
    /// The rule, its inputs and what it says to a person.
    pub why: serde_json::Value,
    /// What the decision rests on.
    pub context: Option<Context>,
}

/// What became of a sighting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "filed", rename_all = "snake_case")]
pub enum Filed {
    /// A new candidate.
    New {
        /// Which.
        finding_id: Id,
    },
    /// One more occurrence of an open finding.
    Appended {
        /// Of which.
        finding_id: Id,
    },
    /// Kept out: a person has rejected the same before.
    Suppressed {
        /// By which dismissal.
        dismissal_id: Id,
    },
    /// Filed before: nothing was done.
    Already {
        /// As which finding; `None` if it was kept out.
        finding_id: Option<Id>,
    },
}

/// What the sightings of one picture share.
pub(in crate::ledger) struct Picture {
    enterprise_id: Id,
    /// What a photo by hand looks like as a whole; a camera's view needs no look.
    view: Option<u128>,
    /// Whether another photo looks like it; asked when it first matters.
    is_alike: Option<bool>,
    /// The forerunner of a new finding of a kind in a zone, once it was looked for.
    forerunners: BTreeMap<(String, String), Option<Id>>,
    /// Digest of the context of its sightings.
    context: Option<String>,
}

impl Picture {
    /// Of this sighting, which must fit together.
    pub(in crate::ledger) async fn of(tx: &mut Tx, seen: &Sighting) -> Result<Self> {
        Ok(Self {
            enterprise_id: enterprise_of(tx, seen).await?,
            view: view_of(tx, seen).await?,
            is_alike: None,
            forerunners: BTreeMap::new(),
            context: match &seen.context {
                Some(context) => Some(tx.context(context).await?),
                None => None,
            },
        })
    }
}

/// Files a sighting. `same_look` compares embeddings where both sides have one.
pub async fn file(tx: &mut Tx, seen: &Sighting, same_look: &SameLook) -> Result<Filed> {
    if let Some(finding_id) = filed_before(tx, &seen.source_key).await? {
        return Ok(Filed::Already { finding_id });
    }
    let mut picture = Picture::of(tx, seen).await?;
    file_of(tx, &mut picture, seen, same_look).await
}

/// As [`file()`], one of several sightings of a picture, none of which was filed before.
pub(in crate::ledger) async fn file_of(
    tx: &mut Tx,
    picture: &mut Picture,
    seen: &Sighting,
    same_look: &SameLook,
) -> Result<Filed> {
    check(seen)?;
    let sight = Sight {
        camera_id: seen.camera_id,
        view: picture.view,
        in_named_zone: !seen.zone.is_empty(),
        area: seen.area,
        look: seen.look.clone(),
    };
    let by_machine = *tx.actor() == Actor::Machine;
    let open = if may_be_known(tx, picture, seen, &sight).await? {
        open_finding_of(tx, seen, &sight, same_look).await?
    } else {
        None
    };
    if let Some(finding_id) = open {
        append(tx, seen, finding_id, picture).await?;
        if !by_machine {
            bank::noted(tx, seen, finding_id).await?;
        }
        return Ok(Filed::Appended { finding_id });
    }
    // what a person notes is never kept out
    if by_machine && let Some(dismissal_id) = dismissal_of(tx, seen, &sight, same_look).await? {
        suppress(tx, seen, dismissal_id, picture).await?;
        return Ok(Filed::Suppressed { dismissal_id });
    }
    let finding_id = create(tx, seen, picture).await?;
    if !by_machine {
        bank::noted(tx, seen, finding_id).await?;
    }
    Ok(Filed::New { finding_id })
}

/// Notes that the camera has seen an open finding's hazard to be gone. `false` when there is no such
/// finding, or it is open no more.
pub async fn clear(tx: &mut Tx, source_key: &str, seen_at: Timestamp) -> Result<bool> {
    let Some(Some(id)) = filed_before(tx, source_key).await? else {
        return Ok(false);
    };
    let cleared = sqlx::query(
        "UPDATE findings SET cleared_ms = $1, updated_ms = $2 WHERE id = $3 \
         AND state IN ('candidate', 'confirmed', 'ordered', 'rectified') \
         RETURNING enterprise_id",
    )
    .time(to_millisecond(seen_at))
    .time(tx.now())
    .id(id)
    .fetch_optional(tx.conn())
    .await?;
    let Some(row) = cleared else { return Ok(false) };
    let enterprise_id = row.id("enterprise_id")?;
    tx.record(NewEvent {
        kind: "finding.seen_clear",
        entity: "finding",
        entity_id: id,
        enterprise_id: Some(enterprise_id),
        context: None,
        data: json!({ "source_key": source_key, "seen_at": seen_at.to_string() }),
    })
    .await?;
    Ok(true)
}

/// The finding under which a sighting was filed, if it was filed and not kept out.
pub async fn filed_as(tx: &mut Tx, source_key: &str) -> Result<Option<Id>> {
    Ok(filed_before(tx, source_key).await?.flatten())
}

async fn filed_before(tx: &mut Tx, source_key: &str) -> Result<Option<Option<Id>>> {
    let row = sqlx::query(
        "SELECT finding_id FROM occurrences WHERE source_key = $1 \
         UNION ALL SELECT NULL FROM suppressions WHERE source_key = $1",
    )
    .bind(source_key.to_owned())
    .fetch_optional(tx.conn())
    .await?;
    row.map(|row| row.maybe_id("finding_id")).transpose()
}

async fn view_of(tx: &mut Tx, seen: &Sighting) -> Result<Option<u128>> {
    let Some(sha256) = seen
        .photo_sha256
        .as_ref()
        .filter(|_| seen.camera_id.is_none())
    else {
        return Ok(None);
    };
    let row = sqlx::query("SELECT fingerprint FROM photos WHERE site_id = $1 AND sha256 = $2")
        .id(seen.site_id)
        .bind(sha256.clone())
        .fetch_optional(tx.conn())
        .await?;
    row.map_or(Ok(None), |row| {
        row.maybe("fingerprint", photos::hexadecimal)
    })
}

/// A photo by hand from nowhere in particular that looks like no other, of things whose looks are not known, shows nothing that is
/// known: a site may have thousands of open findings, which then need not be gone through.
async fn may_be_known(
    tx: &mut Tx,
    picture: &mut Picture,
    seen: &Sighting,
    sight: &Sight,
) -> Result<bool> {
    if sight.camera_id.is_some() || sight.in_named_zone || sight.look.is_some() {
        return Ok(true);
    }
    let (Some(view), Some(sha256)) = (sight.view, &seen.photo_sha256) else {
        return Ok(false);
    };
    let is_alike = match picture.is_alike {
        Some(is_alike) => is_alike,
        None => photos::alike_photos(tx, sha256, view, look_alike).await? > 0,
    };
    picture.is_alike = Some(is_alike);
    Ok(is_alike)
}

fn check(seen: &Sighting) -> Result<()> {
    required("source_key", &seen.source_key)?;
    required("hazard_code", &seen.hazard_code)?;
    seen.area.map_or(Ok(()), |area| area.checked().map(drop))
}

/// Whether everything fits together; the enterprise.
async fn enterprise_of(tx: &mut Tx, seen: &Sighting) -> Result<Id> {
    let site = sites::get(tx, seen.site_id).await?;
    if let Some(camera) = seen.camera_id
        && sites::camera(tx, camera).await?.site_id != site.id
    {
        return Err(Error::invalid("camera_id", "is a camera of another site"));
    }
    if let Some(inspection) = seen.inspection_id
        && inspections::get(tx, inspection).await?.site_id != site.id
    {
        return Err(Error::invalid(
            "inspection_id",
            "is an inspection of another site",
        ));
    }
    Ok(site.enterprise_id)
}

/// The open finding that fits best, of all open ones in the place: by its newest few sightings.
async fn open_finding_of(
    tx: &mut Tx,
    seen: &Sighting,
    sight: &Sight,
    same_look: &SameLook,
) -> Result<Option<Id>> {
    let rows = sqlx::query(
        "SELECT o.finding_id, o.source_key, o.photo_sha256, o.seen_ms, o.camera_id, o.x1, o.y1, o.x2, o.y2, o.look, \
         p.fingerprint FROM findings f JOIN occurrences o ON o.finding_id = f.id \
         AND o.id >= COALESCE((SELECT id FROM occurrences WHERE finding_id = f.id ORDER BY id DESC \
         LIMIT 1 OFFSET 4), '') \
         LEFT JOIN photos p ON p.site_id = f.site_id AND p.sha256 = o.photo_sha256 \
         WHERE f.site_id = $1 AND f.hazard_code = $2 AND f.zone = $3 \
         AND f.state IN ('candidate', 'confirmed', 'ordered', 'rectified') ORDER BY f.id",
    )
    .id(seen.site_id)
    .bind(seen.hazard_code.clone())
    .bind(seen.zone.clone())
    .fetch_all(tx.conn())
    .await?;
    // two boxes of one photo are two things: the detector has told them apart
    // (a camera may give the same picture again at another time)
    let mut told_apart = HashSet::new();
    for row in &rows {
        let photo = row.maybe_text("photo_sha256")?;
        let same_time = row.time("seen_ms")? == to_millisecond(seen.seen_at);
        if photo.is_some() && photo == seen.photo_sha256 && same_time {
            told_apart.insert(row.id("finding_id")?);
        }
        if let Some((watch, this)) = &seen.of_watch {
            let key = row.text("source_key")?;
            if key.starts_with(this) {
                return Ok(Some(row.id("finding_id")?));
            }
            if key.starts_with(watch) {
                told_apart.insert(row.id("finding_id")?);
            }
        }
    }
    let mut best: Option<(f64, Id)> = None;
    for row in &rows {
        let id = row.id("finding_id")?;
        let known = Sight {
            camera_id: row.maybe_id("camera_id")?,
            view: row.maybe("fingerprint", photos::hexadecimal)?,
            in_named_zone: sight.in_named_zone,
            area: area(row)?,
            look: row.maybe("look", look_from_text)?,
        };
        if let Some(fit) = sight.is_same(&known, same_look)
            && best.is_none_or(|(b, _)| fit > b)
            && !told_apart.contains(&id)
        {
            best = Some((fit, id));
        }
    }
    Ok(best.map(|(_, id)| id))
}

async fn append(tx: &mut Tx, seen: &Sighting, finding_id: Id, picture: &Picture) -> Result<()> {
    let occurrence = insert_occurrence(tx, seen, finding_id, picture.context.as_deref()).await?;
    let now = tx.now();
    // a sighting is no step: the version that people's changes rest on stays
    sqlx::query("UPDATE findings SET updated_ms = $1, cleared_ms = NULL WHERE id = $2")
        .time(now)
        .id(finding_id)
        .execute(tx.conn())
        .await?;
    tx.record(NewEvent {
        kind: "finding.occurrence",
        entity: "finding",
        entity_id: finding_id,
        enterprise_id: Some(picture.enterprise_id),
        context: picture.context.as_deref(),
        data: json!({ "occurrence_id": occurrence, "source_key": seen.source_key, "score": seen.score }),
    })
    .await?;
    Ok(())
}

async fn suppress(tx: &mut Tx, seen: &Sighting, dismissal_id: Id, picture: &Picture) -> Result<()> {
    sqlx::query("INSERT INTO suppressions (source_key, dismissal_id, seen_ms) VALUES ($1, $2, $3)")
        .bind(seen.source_key.clone())
        .id(dismissal_id)
        .time(seen.seen_at)
        .execute(tx.conn())
        .await?;
    tx.record(NewEvent {
        kind: "sighting.suppressed",
        entity: "dismissal",
        entity_id: dismissal_id,
        enterprise_id: Some(picture.enterprise_id),
        context: picture.context.as_deref(),
        data: json!({ "source_key": seen.source_key, "score": seen.score }),
    })
    .await?;
    Ok(())
}

async fn create(tx: &mut Tx, seen: &Sighting, picture: &mut Picture) -> Result<Id> {
    let place = (seen.hazard_code.clone(), seen.zone.clone());
    let recurrence_of = match picture.forerunners.get(&place) {
        Some(known) => *known,
        None => forerunner(tx, seen).await?,
    };
    picture.forerunners.insert(place, recurrence_of);
    let id = tx.new_id();
    let row = FindingRow {
        finding: Finding::candidate(id),
        enterprise_id: picture.enterprise_id,
        site_id: seen.site_id,
        zone: seen.zone.clone(),
        camera_id: seen.camera_id,
        inspection_id: seen.inspection_id,
        hazard_code: seen.hazard_code.clone(),
        suggested: seen.suggested,
        score: seen.score,
        origin: tx.actor().clone(),
        recurrence_of,
        created_at: tx.now(),
        updated_at: tx.now(),
        cleared_at: None,
        version: 1,
    };
    sqlx::query(
        "INSERT INTO findings (id, enterprise_id, site_id, zone, camera_id, inspection_id, hazard_code, \
         suggested, score, origin, recurrence_of, created_ms, updated_ms, version, state) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .id(id)
    .id(picture.enterprise_id)
    .id(row.site_id)
    .bind(row.zone.clone())
    .maybe_id(row.camera_id)
    .maybe_id(row.inspection_id)
    .bind(row.hazard_code.clone())
    .bind(severity_name(row.suggested))
    .maybe_float(row.score)
    .bind(row.origin.to_text())
    .maybe_id(row.recurrence_of)
    .time(row.created_at)
    .time(row.updated_at)
    .bind(row.version)
    .bind(FindingState::Candidate.as_str())
    .execute(tx.conn())
    .await?;
    insert_occurrence(tx, seen, id, picture.context.as_deref()).await?;
    totals::add(tx, &row);
    tx.record(NewEvent {
        kind: "finding.filed",
        entity: "finding",
        entity_id: id,
        enterprise_id: Some(picture.enterprise_id),
        context: picture.context.as_deref(),
        data: json!({
            "site_id": row.site_id, "zone": row.zone, "hazard_code": row.hazard_code,
            "suggested": row.suggested, "score": row.score, "source_key": seen.source_key,
            "recurrence_of": row.recurrence_of,
        }),
    })
    .await?;
    Ok(id)
}

/// The newest closed finding of the kind in the zone, if it is not too long ago.
async fn forerunner(tx: &mut Tx, seen: &Sighting) -> Result<Option<Id>> {
    let since = tx
        .now()
        .saturating_sub(RECURRENCE)
        .unwrap_or(Timestamp::MIN);
    let row = sqlx::query(
        "SELECT id FROM findings WHERE site_id = $1 AND hazard_code = $2 AND zone = $3 \
         AND state = 'closed' AND updated_ms >= $4 ORDER BY updated_ms DESC, id DESC LIMIT 1",
    )
    .id(seen.site_id)
    .bind(seen.hazard_code.clone())
    .bind(seen.zone.clone())
    .time(since)
    .fetch_optional(tx.conn())
    .await?;
    row.map(|row| row.id("id")).transpose()
}

async fn insert_occurrence(
    tx: &mut Tx,
    seen: &Sighting,
    finding_id: Id,
    context: Option<&str>,
) -> Result<Id> {
    let id = tx.new_id();
    sqlx::query(
        "INSERT INTO occurrences (id, finding_id, filed_as, source_key, photo_sha256, camera_id, seen_ms, \
         x1, y1, x2, y2, score, look, why, context) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .id(id)
    .id(finding_id)
    .id(finding_id)
    .bind(seen.source_key.clone())
    .bind(seen.photo_sha256.clone())
    .maybe_id(seen.camera_id)
    .time(to_millisecond(seen.seen_at))
    .maybe_float(seen.area.map(|a| a.x1))
    .maybe_float(seen.area.map(|a| a.y1))
    .maybe_float(seen.area.map(|a| a.x2))
    .maybe_float(seen.area.map(|a| a.y2))
    .maybe_float(seen.score)
    .bind(seen.look.as_deref().map(look_to_text))
    .bind(sql::json(&seen.why)?)
    .bind(context.map(str::to_owned))
    .execute(tx.conn())
    .await?;
    Ok(id)
}
