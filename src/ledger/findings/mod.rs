//! Findings: what was seen, what people made of it, and the way there.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::page::{self, Conditions, Entity};
use super::sql::{Bind, Columns};
use super::{Db, Page, Paged, Result, Scope};
use crate::finding::{Actor, Finding, FindingState, Proof};
use crate::hazard::Severity;
use crate::id::Id;

mod dismissals;
mod evidence;
mod file;
mod place;
mod step;
mod totals;

pub use dismissals::{Dismissal, dismissal, dismissals, revoke};
pub(in crate::ledger) use evidence::link_all;
pub use evidence::{
    EvidenceLink, EvidenceRole, NewEvidence, all_evidence, evidence, evidence_link, link,
    set_checks, used_by,
};
pub use file::{Filed, Sighting, clear, file, filed_as};
pub(in crate::ledger) use file::{Picture, file_of};
pub use place::{Area, SameLook};
pub use step::step;
pub(in crate::ledger) use totals::{
    ALL_DAYS, Totals, day_of, kept as kept_totals, key as totals_key,
};

/// A finding as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FindingRow {
    /// What the steps look at and change.
    #[serde(flatten)]
    pub finding: Finding,
    /// Whose.
    pub enterprise_id: Id,
    /// At which site.
    pub site_id: Id,
    /// In which zone of it; empty when zones are not told apart.
    pub zone: String,
    /// By which camera, if by one.
    pub camera_id: Option<Id>,
    /// In which inspection, if in one.
    pub inspection_id: Option<Id>,
    /// Hazard code.
    pub hazard_code: String,
    /// Severity that the catalogue suggests.
    pub suggested: Severity,
    /// Confidence of the first sighting, `0..=1`; none for a person's.
    pub score: Option<f64>,
    /// Who filed it.
    pub origin: Actor,
    /// A closed finding of the same kind in the same zone.
    pub recurrence_of: Option<Id>,
    /// When it was filed.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// When it was last changed or seen.
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
    /// Since when its camera has seen that the hazard is gone: a suggestion to close.
    #[schemars(with = "Option<String>")]
    pub cleared_at: Option<Timestamp>,
    /// For `If-Match`.
    pub version: i64,
}

/// The severity of this name.
pub(super) fn parse_severity(name: &str) -> Option<Severity> {
    [Severity::General, Severity::Major, Severity::Alarm]
        .into_iter()
        .find(|severity| severity_name(*severity) == name)
}

/// The name in the database.
pub(super) const fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::General => "general",
        Severity::Major => "major",
        Severity::Alarm => "alarm",
    }
}

impl Entity for FindingRow {
    fn from_row(row: &AnyRow) -> Result<Self> {
        let proof = match row.maybe_text("proof_sha256")? {
            None => None,
            Some(sha256) => Some(Proof {
                sha256,
                taken_at: row.maybe_time("proof_taken_ms")?,
            }),
        };
        Ok(Self {
            finding: Finding {
                id: row.id("id")?,
                state: row.parsed("state", FindingState::parse)?,
                severity: row.maybe("severity", parse_severity)?,
                major_proposed_by: row.maybe("major_proposed_by", Actor::parse)?,
                ordered_at: row.maybe_time("ordered_ms")?,
                due_at: row.maybe_time("due_ms")?,
                proof,
                proof_by: row.maybe("proof_by", Actor::parse)?,
                merged_into: row.maybe_id("merged_into")?,
            },
            enterprise_id: row.id("enterprise_id")?,
            site_id: row.id("site_id")?,
            zone: row.text("zone")?,
            camera_id: row.maybe_id("camera_id")?,
            inspection_id: row.maybe_id("inspection_id")?,
            hazard_code: row.text("hazard_code")?,
            suggested: row.parsed("suggested", parse_severity)?,
            score: row.maybe_float("score")?,
            origin: row.actor("origin")?,
            recurrence_of: row.maybe_id("recurrence_of")?,
            created_at: row.time("created_ms")?,
            updated_at: row.time("updated_ms")?,
            cleared_at: row.maybe_time("cleared_ms")?,
            version: row.int("version")?,
        })
    }

    fn id(&self) -> Id {
        self.finding.id
    }
}

/// One finding.
pub async fn get(db: &mut impl Db, id: Id) -> Result<FindingRow> {
    page::get(db, "finding", "SELECT * FROM findings WHERE id = $1", id).await
}

/// Which findings. What is `None` or empty does not restrict.
#[derive(Debug, Clone, Default)]
pub struct FindingFilter {
    /// Whose.
    pub scope: Scope,
    /// Of this enterprise only.
    pub enterprise_id: Option<Id>,
    /// Of this site only.
    pub site_id: Option<Id>,
    /// First seen by this camera only.
    pub camera_id: Option<Id>,
    /// Of this inspection only.
    pub inspection_id: Option<Id>,
    /// In one of these states only.
    pub states: Vec<FindingState>,
    /// Of this kind only.
    pub hazard_code: Option<String>,
    /// Decided to be this severe.
    pub severity: Option<Severity>,
    /// Ordered, and the deadline was before this instant: give the clock's now.
    pub overdue_at: Option<Timestamp>,
    /// Filed at or after.
    pub from: Option<Timestamp>,
    /// Filed before.
    pub before: Option<Timestamp>,
    /// Recurrences of this finding.
    pub recurrence_of: Option<Id>,
}

/// A page of findings, newest first.
pub async fn list(
    db: &mut impl Db,
    filter: &FindingFilter,
    page: &Page,
) -> Result<Paged<FindingRow>> {
    let mut conditions = Conditions::default();
    conditions.and_scope("enterprise_id", &filter.scope);
    conditions.and_maybe("enterprise_id = {}", filter.enterprise_id);
    conditions.and_maybe("site_id = {}", filter.site_id);
    conditions.and_maybe("camera_id = {}", filter.camera_id);
    // also what a photo of the inspection shows once more
    if let Some(inspection) = filter.inspection_id {
        conditions.and(
            "(inspection_id = {} OR EXISTS (SELECT 1 FROM occurrences o JOIN photos p \
             ON p.sha256 = o.photo_sha256 AND p.site_id = findings.site_id \
             WHERE o.finding_id = findings.id AND p.inspection_id = {}))",
            [inspection.into(), inspection.into()],
        );
    }
    conditions.and_maybe("hazard_code = {}", filter.hazard_code.clone());
    conditions.and_maybe("severity = {}", filter.severity.map(severity_name));
    conditions.and_maybe("recurrence_of = {}", filter.recurrence_of);
    conditions.and_maybe(
        "created_ms >= {}",
        filter.from.map(Timestamp::as_millisecond),
    );
    conditions.and_maybe(
        "created_ms < {}",
        filter.before.map(Timestamp::as_millisecond),
    );
    if let Some(now) = filter.overdue_at {
        conditions.and(
            "state = 'ordered' AND due_ms < {}",
            [now.as_millisecond().into()],
        );
    }
    match &filter.states[..] {
        [] => {}
        [state] => conditions.and("state = {}", [state.as_str().into()]),
        states => conditions.and_in("state", states.iter().map(|state| state.as_str().into())),
    }
    page::list_by_time(
        db,
        "SELECT * FROM findings",
        conditions,
        page,
        |row: &FindingRow| row.created_at.as_millisecond(),
    )
    .await
}

/// One sighting of a finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Occurrence {
    /// Which.
    pub id: Id,
    /// Of which finding.
    pub finding_id: Id,
    /// The finding under which it was filed, before any merge.
    pub filed_as: Id,
    /// What was sighted: the same told twice is one.
    pub source_key: String,
    /// SHA-256 of the photo, if it is one.
    pub photo_sha256: Option<String>,
    /// By which camera.
    pub camera_id: Option<Id>,
    /// When.
    #[schemars(with = "String")]
    pub seen_at: Timestamp,
    /// Where in the picture.
    pub area: Option<Area>,
    /// Confidence, `0..=1`.
    pub score: Option<f64>,
    /// The rule, its inputs and what it says to a person.
    pub why: serde_json::Value,
    /// Digest of what the decision rests on.
    pub context: Option<String>,
    #[serde(skip)]
    look: Option<Vec<f32>>,
}

fn area(row: &AnyRow) -> Result<Option<Area>> {
    let Some(x1) = row.maybe_float("x1")? else {
        return Ok(None);
    };
    Ok(Some(Area {
        x1,
        y1: row.float("y1")?,
        x2: row.float("x2")?,
        y2: row.float("y2")?,
    }))
}

impl Entity for Occurrence {
    fn from_row(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            finding_id: row.id("finding_id")?,
            filed_as: row.id("filed_as")?,
            source_key: row.text("source_key")?,
            photo_sha256: row.maybe_text("photo_sha256")?,
            camera_id: row.maybe_id("camera_id")?,
            seen_at: row.time("seen_ms")?,
            area: area(row)?,
            score: row.maybe_float("score")?,
            why: super::sql::from_json(&row.text("why")?)?,
            context: row.maybe_text("context")?,
            look: row.maybe("look", place::look_from_text)?,
        })
    }

    fn id(&self) -> Id {
        self.id
    }
}

/// Of which findings: for what belongs to them. What is `None` does not restrict.
#[derive(Debug, Clone, Default)]
pub struct OfFindings {
    /// Whose.
    pub scope: Scope,
    /// Of this enterprise only.
    pub enterprise_id: Option<Id>,
    /// Of this site only.
    pub site_id: Option<Id>,
    /// Of this finding only.
    pub finding_id: Option<Id>,
}

impl OfFindings {
    /// What belongs to one finding.
    pub fn one(finding_id: Id) -> Self {
        Self {
            finding_id: Some(finding_id),
            ..Self::default()
        }
    }

    /// For rows with columns `finding_id`, and `enterprise_id` and `site_id` of the finding.
    pub(in crate::ledger) fn conditions(&self) -> Conditions {
        let mut conditions = Conditions::default();
        conditions.and_scope("enterprise_id", &self.scope);
        conditions.and_maybe("enterprise_id = {}", self.enterprise_id);
        conditions.and_maybe("site_id = {}", self.site_id);
        conditions.and_maybe("finding_id = {}", self.finding_id);
        conditions
    }
}

/// What belongs to findings, with their enterprise and site.
macro_rules! with_finding {
    ($table:literal) => {
        concat!(
            "SELECT * FROM (SELECT t.*, f.enterprise_id, f.site_id FROM ",
            $table,
            " t JOIN findings f ON f.id = t.finding_id) AS rows_of_findings"
        )
    };
}
pub(in crate::ledger) use with_finding;

/// A page of sightings of many findings, newest first.
pub async fn all_occurrences(
    db: &mut impl Db,
    of: &OfFindings,
    page: &Page,
) -> Result<Paged<Occurrence>> {
    page::list(db, with_finding!("occurrences"), of.conditions(), page).await
}

/// A page of a finding's sightings, newest first.
pub async fn occurrences(
    db: &mut impl Db,
    finding_id: Id,
    page: &Page,
) -> Result<Paged<Occurrence>> {
    let mut conditions = Conditions::default();
    conditions.and("finding_id = {}", [finding_id.into()]);
    page::list(db, "SELECT * FROM occurrences", conditions, page).await
}

/// One sighting.
pub async fn occurrence(db: &mut impl Db, id: Id) -> Result<Occurrence> {
    page::get(
        db,
        "occurrence",
        "SELECT * FROM occurrences WHERE id = $1",
        id,
    )
    .await
}

/// The sightings that a new one is compared with: the newest few.
pub(in crate::ledger) async fn newest_occurrences(
    db: &mut impl Db,
    finding_id: Id,
) -> Result<Vec<Occurrence>> {
    const COMPARED: i64 = 5;
    let rows =
        sqlx::query("SELECT * FROM occurrences WHERE finding_id = $1 ORDER BY id DESC LIMIT $2")
            .id(finding_id)
            .bind(COMPARED)
            .fetch_all(db.conn())
            .await?;
    rows.iter().map(Occurrence::from_row).collect()
}
