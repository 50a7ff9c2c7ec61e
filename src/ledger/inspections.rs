//! Inspections: planned, notified, on site or remote, feedback, done; and what was answered.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::any::AnyRow;

use super::events::NewEvent;
use super::page::{self, Conditions, Entity};
use super::sql::{Bind, Columns};
use super::{Db, Error, Page, Paged, Result, Scope, Tx, checklists, required, sites};
use crate::hazard::Answer;
use crate::id::Id;

mod answers;

pub use answers::{AnsweredItem, Given, answer, follow_facts, item, items, prefill};

/// Where an inspection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InspectionState {
    /// To be done.
    Planned,
    /// The enterprise knows.
    Notified,
    /// People are there.
    OnSite,
    /// People look from afar.
    Remote,
    /// The enterprise may comment.
    Feedback,
    /// Over.
    Done,
}

impl InspectionState {
    /// All states.
    pub const ALL: [Self; 6] = [
        Self::Planned,
        Self::Notified,
        Self::OnSite,
        Self::Remote,
        Self::Feedback,
        Self::Done,
    ];

    /// The name in records and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Notified => "notified",
            Self::OnSite => "on_site",
            Self::Remote => "remote",
            Self::Feedback => "feedback",
            Self::Done => "done",
        }
    }

    /// The state of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Where it may go from here.
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Planned => &[Self::Notified],
            Self::Notified => &[Self::OnSite, Self::Remote],
            Self::OnSite | Self::Remote => &[Self::Feedback],
            Self::Feedback => &[Self::Done],
            Self::Done => &[],
        }
    }
}

/// One visit, on site or remote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Inspection {
    /// Which.
    pub id: Id,
    /// Whose site.
    pub enterprise_id: Id,
    /// Where.
    pub site_id: Id,
    /// By which base checklist.
    pub checklist_id: Option<Id>,
    /// Where it stands.
    pub state: InspectionState,
    /// For when it is planned.
    #[schemars(with = "String")]
    pub planned_for: Timestamp,
    /// When it was entered.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// For `If-Match`.
    pub version: i64,
}

/// Somebody who takes part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Attendee {
    /// Name.
    pub name: String,
    /// As what: `inspector`, `site manager`, …
    pub role: String,
}

impl Entity for Inspection {
    fn from_row(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            enterprise_id: row.id("enterprise_id")?,
            site_id: row.id("site_id")?,
            checklist_id: row.maybe_id("checklist_id")?,
            state: row.parsed("state", InspectionState::parse)?,
            planned_for: row.time("planned_ms")?,
            created_at: row.time("created_ms")?,
            version: row.int("version")?,
        })
    }

    fn id(&self) -> Id {
        self.id
    }
}

/// Plans an inspection; its checklist is copied with the enterprise's overlay, unanswered but for
/// items of the kinds in `not_here`, which cannot occur there.
pub async fn create(
    tx: &mut Tx,
    site_id: Id,
    checklist_id: Option<Id>,
    planned_for: Timestamp,
    not_here: &BTreeSet<String>,
) -> Result<Inspection> {
    let site = sites::get(tx, site_id).await?;
    let inspection = Inspection {
        id: tx.new_id(),
        enterprise_id: site.enterprise_id,
        site_id,
        checklist_id,
        state: InspectionState::Planned,
        planned_for: super::sql::to_millisecond(planned_for),
        created_at: tx.now(),
        version: 1,
    };
    let items = match checklist_id {
        None => Vec::new(),
        Some(base) => checklists::effective(tx, site.enterprise_id, base).await?,
    };
    sqlx::query(
        "INSERT INTO inspections (id, enterprise_id, site_id, checklist_id, state, planned_ms, created_ms, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .id(inspection.id)
    .id(inspection.enterprise_id)
    .id(site_id)
    .maybe_id(checklist_id)
    .bind(inspection.state.as_str())
    .time(inspection.planned_for)
    .time(inspection.created_at)
    .bind(inspection.version)
    .execute(tx.conn())
    .await?;
    for (position, item) in (0_i64..).zip(&items) {
        sqlx::query(
            "INSERT INTO inspection_items (inspection_id, item_key, position, text_en, text_zh, hazard_code, answer, reason) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, '')",
        )
        .id(inspection.id)
        .bind(item.key.clone())
        .bind(position)
        .bind(item.text.en.clone())
        .bind(item.text.zh.clone())
        .bind(item.hazard_code.clone())
        .bind(Answer::CannotDetermine.as_str())
        .execute(tx.conn())
        .await?;
    }
    record(
        tx,
        "inspection.created",
        &inspection,
        None,
        json!({ "inspection": inspection, "items": items }),
    )
    .await?;
    answers::gate(tx, &inspection, not_here).await?;
    Ok(inspection)
}

async fn record(
    tx: &mut Tx,
    kind: &'static str,
    inspection: &Inspection,
    context: Option<&str>,
    data: serde_json::Value,
) -> Result<()> {
    tx.record(NewEvent {
        kind,
        entity: "inspection",
        entity_id: inspection.id,
        enterprise_id: Some(inspection.enterprise_id),
        context,
        data,
    })
    .await?;
    Ok(())
}

/// Takes an inspection to its next state.
pub async fn step(
    tx: &mut Tx,
    id: Id,
    expected: Option<i64>,
    to: InspectionState,
) -> Result<Inspection> {
    let old = get(tx, id).await?;
    super::check_version("inspection", id, expected, old.version)?;
    if !old.state.next().contains(&to) {
        let next: Vec<_> = old.state.next().iter().map(|s| s.as_str()).collect();
        let problem = match &next[..] {
            [] => "the inspection is done and stays so".to_owned(),
            next => format!("after {} comes {}", old.state.as_str(), next.join(" or ")),
        };
        return Err(Error::invalid("state", problem));
    }
    let inspection = Inspection {
        state: to,
        version: old.version + 1,
        ..old
    };
    sqlx::query("UPDATE inspections SET state = $1, version = $2 WHERE id = $3")
        .bind(to.as_str())
        .bind(inspection.version)
        .id(id)
        .execute(tx.conn())
        .await?;
    let data = json!({ "from": old.state, "to": to, "version": inspection.version });
    record(tx, "inspection.step", &inspection, None, data).await?;
    Ok(inspection)
}

/// One inspection.
pub async fn get(db: &mut impl Db, id: Id) -> Result<Inspection> {
    page::get(
        db,
        "inspection",
        "SELECT * FROM inspections WHERE id = $1",
        id,
    )
    .await
}

/// Which inspections.
#[derive(Debug, Clone, Default)]
pub struct InspectionFilter {
    /// Whose.
    pub scope: Scope,
    /// Of this enterprise only.
    pub enterprise_id: Option<Id>,
    /// Of this site only.
    pub site_id: Option<Id>,
    /// In this state only.
    pub state: Option<InspectionState>,
}

/// A page of inspections, newest first.
pub async fn list(
    db: &mut impl Db,
    filter: &InspectionFilter,
    page: &Page,
) -> Result<Paged<Inspection>> {
    let mut conditions = Conditions::default();
    conditions.and_scope("enterprise_id", &filter.scope);
    conditions.and_maybe("enterprise_id = {}", filter.enterprise_id);
    conditions.and_maybe("site_id = {}", filter.site_id);
    conditions.and_maybe("state = {}", filter.state.map(InspectionState::as_str));
    page::list(db, "SELECT * FROM inspections", conditions, page).await
}

/// Notes who takes part; the same person in the same role once.
pub async fn add_attendee(tx: &mut Tx, id: Id, attendee: &Attendee) -> Result<()> {
    let inspection = get(tx, id).await?;
    required("name", &attendee.name)?;
    let added = sqlx::query(
        "INSERT INTO attendees (inspection_id, name, role) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    )
    .id(id)
    .bind(attendee.name.clone())
    .bind(attendee.role.clone())
    .execute(tx.conn())
    .await?
    .rows_affected();
    if added > 0 {
        record(
            tx,
            "inspection.attendee",
            &inspection,
            None,
            json!(attendee),
        )
        .await?;
    }
    Ok(())
}

/// Who takes part.
pub async fn attendees(db: &mut impl Db, id: Id) -> Result<Vec<Attendee>> {
    let rows = sqlx::query(
        "SELECT name, role FROM attendees WHERE inspection_id = $1 ORDER BY role, name",
    )
    .id(id)
    .fetch_all(db.conn())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Attendee {
                name: row.text("name")?,
                role: row.text("role")?,
            })
        })
        .collect()
}
