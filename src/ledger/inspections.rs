//! Inspections: planned, notified, on site or remote, feedback, done; and what was answered.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::any::AnyRow;

use super::enterprises::Enterprise;
use super::events::{Context, NewEvent};
use super::page::{self, Conditions, Entity};
use super::sql::{Bind, Columns};
use super::{Db, Error, Page, Paged, Result, Scope, Tx, checklists, enterprises, required, sites};
use crate::finding::Actor;
use crate::hazard::{Answer, Text, not_here};
use crate::id::Id;

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

/// One item of the checklist, as it was when the inspection was planned, with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct AnsweredItem {
    /// Name within the checklist.
    pub key: String,
    /// What to look at.
    pub text: Text,
    /// The hazard kind whose answers fill it in.
    pub hazard_code: Option<String>,
    /// What is unseen cannot be determined.
    pub answer: Answer,
    /// Why.
    pub reason: String,
    /// Who answered; `None` while nobody and nothing has looked.
    pub answered_by: Option<Actor>,
    /// When.
    #[schemars(with = "Option<String>")]
    pub answered_at: Option<Timestamp>,
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

/// Plans an inspection; its checklist is copied with the enterprise's overlay, unanswered but for what
/// cannot occur there.
pub async fn create(
    tx: &mut Tx,
    site_id: Id,
    checklist_id: Option<Id>,
    planned_for: Timestamp,
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
    let enterprise = enterprises::get(tx, inspection.enterprise_id).await?;
    gate(tx, &inspection, &enterprise).await?;
    Ok(inspection)
}

/// An enterprise's facts have changed: so do the checklists of its inspections that are not done.
pub async fn follow_facts(tx: &mut Tx, enterprise: &Enterprise) -> Result<()> {
    let open = sqlx::query("SELECT * FROM inspections WHERE enterprise_id = $1 AND state <> $2")
        .id(enterprise.id)
        .bind(InspectionState::Done.as_str())
        .fetch_all(tx.conn())
        .await?;
    for row in &open {
        gate(tx, &Inspection::from_row(row)?, enterprise).await?;
    }
    Ok(())
}

/// Items of kinds that cannot occur at the enterprise are not applicable; those that were and can
/// occur after all are unseen. What people have answered stays.
async fn gate(tx: &mut Tx, inspection: &Inspection, enterprise: &Enterprise) -> Result<()> {
    for item in items(tx, inspection.id).await? {
        let Some(code) = &item.hazard_code else {
            continue;
        };
        if matches!(item.answered_by, Some(Actor::Person(_))) {
            continue;
        }
        let applies = enterprises::applies(&enterprise.facts, code);
        let is_out = item.answer == Answer::NotApplicable;
        let (answer, reason, by) = match (applies, is_out) {
            (false, false) => {
                // the reader's language is not known here
                let Text { en, zh } = not_here();
                (
                    Answer::NotApplicable,
                    format!("{en} {zh}"),
                    Some(Actor::Machine),
                )
            }
            (true, true) => (Answer::CannotDetermine, String::new(), None),
            _ => continue,
        };
        write_answer(
            tx,
            inspection,
            &item.key,
            answer,
            &reason,
            by.as_ref(),
            None,
        )
        .await?;
    }
    Ok(())
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

/// The checklist with its answers, in order.
pub async fn items(db: &mut impl Db, id: Id) -> Result<Vec<AnsweredItem>> {
    let rows =
        sqlx::query("SELECT * FROM inspection_items WHERE inspection_id = $1 ORDER BY position")
            .id(id)
            .fetch_all(db.conn())
            .await?;
    rows.iter().map(answered).collect()
}

fn answered(row: &AnyRow) -> Result<AnsweredItem> {
    Ok(AnsweredItem {
        key: row.text("item_key")?,
        text: Text::new(row.text("text_en")?, row.text("text_zh")?),
        hazard_code: row.maybe_text("hazard_code")?,
        answer: row.parsed("answer", parse_answer)?,
        reason: row.text("reason")?,
        answered_by: row.maybe("answered_by", Actor::parse)?,
        answered_at: row.maybe_time("answered_ms")?,
    })
}

fn parse_answer(name: &str) -> Option<Answer> {
    use Answer::{CannotDetermine, Compliant, NonCompliant, NotApplicable};
    [NonCompliant, Compliant, CannotDetermine, NotApplicable]
        .into_iter()
        .find(|answer| answer.as_str() == name)
}

/// A person answers an item; that stands until a person changes it.
pub async fn answer(tx: &mut Tx, id: Id, key: &str, answer: Answer, reason: &str) -> Result<()> {
    let inspection = get(tx, id).await?;
    if inspection.state == InspectionState::Done {
        return Err(Error::invalid(
            "state",
            "the inspection is done: its answers stand",
        ));
    }
    if !items(tx, id).await?.iter().any(|item| item.key == key) {
        return Err(Error::not_found("checklist item", key));
    }
    let by = tx.actor().clone();
    write_answer(tx, &inspection, key, answer, reason, Some(&by), None).await
}

/// Fills items in from what photos showed: one answer for each photo and hazard kind. What people
/// have answered stays; what was in no photo stays "cannot determine".
pub async fn prefill(
    tx: &mut Tx,
    id: Id,
    answers: &[(String, Answer, String)],
    context: Option<&Context>,
) -> Result<()> {
    let inspection = get(tx, id).await?;
    if inspection.state == InspectionState::Done {
        return Ok(());
    }
    let digest = match context {
        Some(context) => Some(tx.context(context).await?),
        None => None,
    };
    for item in items(tx, id).await? {
        // what a person says stands, and so does the enterprise's file
        let by_person = matches!(item.answered_by, Some(Actor::Person(_)));
        if by_person || item.answer == Answer::NotApplicable {
            continue;
        }
        let (Some(code), seen_before) = (&item.hazard_code, item.answered_by.is_some()) else {
            continue;
        };
        // earlier photos of the inspection count like these
        let before = seen_before.then_some((item.answer, item.reason.as_str()));
        let now = answers
            .iter()
            .filter(|(c, ..)| c == code)
            .map(|(_, answer, reason)| (*answer, reason.as_str()));
        let Some((answer, reason)) = before.into_iter().chain(now).reduce(weaker_of) else {
            continue;
        };
        // no photo showed what this is about: that is unseen, not inapplicable
        if answer == Answer::NotApplicable {
            continue;
        }
        if (answer, reason) != (item.answer, item.reason.as_str()) || !seen_before {
            write_answer(
                tx,
                &inspection,
                &item.key,
                answer,
                reason,
                Some(&Actor::Machine),
                digest.as_deref(),
            )
            .await?;
        }
    }
    Ok(())
}

/// Of two photos' answers the one that binds: a hazard anywhere is a hazard, one photo that
/// settles nothing leaves the item open, and a photo of something else says nothing.
fn weaker_of<'a>(a: (Answer, &'a str), b: (Answer, &'a str)) -> (Answer, &'a str) {
    let rank = |answer| match answer {
        Answer::NonCompliant => 3,
        Answer::CannotDetermine => 2,
        Answer::Compliant => 1,
        Answer::NotApplicable => 0,
    };
    if rank(b.0) > rank(a.0) { b } else { a }
}

async fn write_answer(
    tx: &mut Tx,
    inspection: &Inspection,
    key: &str,
    answer: Answer,
    reason: &str,
    by: Option<&Actor>,
    context: Option<&str>,
) -> Result<()> {
    let now = by.map(|_| tx.now());
    sqlx::query(
        "UPDATE inspection_items SET answer = $1, reason = $2, answered_by = $3, answered_ms = $4 \
         WHERE inspection_id = $5 AND item_key = $6",
    )
    .bind(answer.as_str())
    .bind(reason.to_owned())
    .bind(by.map(Actor::to_text))
    .maybe_time(now)
    .id(inspection.id)
    .bind(key.to_owned())
    .execute(tx.conn())
    .await?;
    let data = json!({ "key": key, "answer": answer, "reason": reason });
    record(tx, "inspection.answer", inspection, context, data).await
}
