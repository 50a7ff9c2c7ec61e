//! Counts of findings, from what is kept and, to compare, from nothing but the events.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::events::Event;
use super::findings::{ALL_DAYS, Totals, day_of, parse_severity, severity_name, totals_key};
use super::page::{Conditions, Entity};
use super::sql::Columns;
use super::{Db, Error, Result, Scope};
use crate::finding::{Finding, FindingState, Step};
use crate::hazard::Severity;
use crate::id::Id;

/// Of which findings.
#[derive(Debug, Clone, Default)]
pub struct StatisticsFilter {
    /// Whose.
    pub scope: Scope,
    /// Of this enterprise only.
    pub enterprise_id: Option<Id>,
    /// Filed on or after this day, UTC.
    pub from: Option<Date>,
    /// Filed on or before this day, UTC.
    pub to: Option<Date>,
}

/// Counts of findings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Statistics {
    /// All.
    pub total: i64,
    /// Somebody still has to do something.
    pub open: i64,
    /// Ordered, and the deadline has passed.
    pub overdue: i64,
    /// By state; states without findings are left out.
    pub by_state: BTreeMap<String, i64>,
    /// By hazard code.
    pub by_code: BTreeMap<String, i64>,
    /// By severity as people decided; `undecided` where nobody has.
    pub by_severity: BTreeMap<String, i64>,
}

impl Statistics {
    fn count(&mut self, code: &str, state: FindingState, severity: Option<Severity>, n: i64) {
        self.total += n;
        if state.is_open() {
            self.open += n;
        }
        *self.by_state.entry(state.as_str().to_owned()).or_default() += n;
        *self.by_code.entry(code.to_owned()).or_default() += n;
        let severity = severity.map_or("undecided", severity_name);
        *self.by_severity.entry(severity.to_owned()).or_default() += n;
    }
}

/// The first millisecond of `from`'s day and that after `to`'s, UTC.
fn bounds(filter: &StatisticsFilter) -> Result<(Option<i64>, Option<i64>)> {
    let start = |day: Date| {
        day.to_zoned(TimeZone::UTC)
            .map(|at| at.timestamp().as_millisecond())
            .map_err(|e| Error::invalid("from", e.to_string()))
    };
    let after = |day: Date| {
        day.tomorrow()
            .map_err(|e| Error::invalid("to", e.to_string()))
            .and_then(start)
    };
    Ok((
        filter.from.map(start).transpose()?,
        filter.to.map(after).transpose()?,
    ))
}

/// The statistics at `now`.
pub async fn statistics(
    db: &mut impl Db,
    filter: &StatisticsFilter,
    now: Timestamp,
) -> Result<Statistics> {
    let (from, before) = bounds(filter)?;
    let all = filter.scope == Scope::All && filter.enterprise_id.is_none();
    let counts = if all {
        // kept by day, so that a million findings need not be read
        let mut conditions = Conditions::default();
        if from.is_none() && before.is_none() {
            conditions.and("day = {}", [ALL_DAYS.into()]);
        } else {
            conditions.and("day >= {}", [from.map_or(0, day_of).into()]);
        }
        conditions.and_maybe("day < {}", before.map(day_of));
        conditions.query(
            "SELECT hazard_code, state, severity, CAST(SUM(n) AS BIGINT) AS n FROM finding_totals",
            " GROUP BY hazard_code, state, severity HAVING SUM(n) <> 0",
        )
    } else {
        findings_of(filter, from, before).query(
            "SELECT hazard_code, state, COALESCE(severity, '') AS severity, COUNT(*) AS n FROM findings",
            " GROUP BY hazard_code, state, severity",
        )
    };
    let mut result = Statistics::default();
    for row in counts.fetch_all(db.conn()).await? {
        let severity = row.text("severity")?;
        result.count(
            &row.text("hazard_code")?,
            row.parsed("state", FindingState::parse)?,
            parse_severity(&severity),
            row.int("n")?,
        );
    }
    let mut overdue = findings_of(filter, from, before);
    overdue.and(
        "state = 'ordered' AND due_ms < {}",
        [now.as_millisecond().into()],
    );
    result.overdue = overdue
        .query("SELECT COUNT(*) AS n FROM findings", "")
        .fetch_one(db.conn())
        .await?
        .int("n")?;
    Ok(result)
}

fn findings_of(filter: &StatisticsFilter, from: Option<i64>, before: Option<i64>) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.and_scope("enterprise_id", &filter.scope);
    conditions.and_maybe("enterprise_id = {}", filter.enterprise_id);
    conditions.and_maybe("created_ms >= {}", from);
    conditions.and_maybe("created_ms < {}", before);
    conditions
}

/// A finding as its events tell it.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ledger) struct Replayed {
    pub(in crate::ledger) finding: Finding,
    pub(in crate::ledger) enterprise_id: Option<Id>,
    pub(in crate::ledger) hazard_code: String,
    pub(in crate::ledger) created_at: Timestamp,
    pub(in crate::ledger) version: i64,
}

/// Takes every finding through its events again, one at a time in the order of their identifiers,
/// and hands it over, or says why its events cannot have happened.
pub(in crate::ledger) async fn replay(
    db: &mut impl Db,
    mut each: impl FnMut(Id, Result<Replayed, String>),
) -> Result<()> {
    const BATCH: i64 = 5000;
    let mut last = (String::new(), 0_i64);
    let mut current: Option<(Id, Result<Replayed, String>)> = None;
    loop {
        let rows = sqlx::query(
            "SELECT * FROM events WHERE entity = 'finding' AND (entity_id, seq) > ($1, $2) \
             ORDER BY entity_id, seq LIMIT $3",
        )
        .bind(last.0.clone())
        .bind(last.1)
        .bind(BATCH)
        .fetch_all(db.conn())
        .await?;
        for row in &rows {
            let event = Event::from_row(row)?;
            last = (row.text("entity_id")?, event.seq);
            if current
                .as_ref()
                .is_none_or(|(id, _)| *id != event.entity_id)
            {
                if let Some((id, replayed)) = current.take() {
                    each(id, replayed);
                }
                current = Some((event.entity_id, first(&event)));
            } else if let Some((_, Ok(replayed))) = &mut current
                && let Err(problem) = further(replayed, &event)
                && let Some((_, result)) = &mut current
            {
                *result = Err(problem);
            }
        }
        if rows.is_empty() {
            break;
        }
    }
    if let Some((id, replayed)) = current {
        each(id, replayed);
    }
    Ok(())
}

fn first(event: &Event) -> Result<Replayed, String> {
    let code = event.data.get("hazard_code").and_then(|code| code.as_str());
    match code {
        Some(code) if event.kind == "finding.filed" => Ok(Replayed {
            finding: Finding::candidate(event.entity_id),
            enterprise_id: event.enterprise_id,
            hazard_code: code.to_owned(),
            created_at: event.at,
            version: 1,
        }),
        _ => Err(format!("its first event ({}) is no filing", event.seq)),
    }
}

fn further(replayed: &mut Replayed, event: &Event) -> Result<(), String> {
    match event.kind.as_str() {
        "finding.occurrence" => Ok(()),
        "finding.step" => {
            let step = event.data.get("step").cloned().unwrap_or_default();
            let step: Step = serde_json::from_value(step)
                .map_err(|e| format!("event {} holds no step: {e}", event.seq))?;
            replayed.finding = replayed
                .finding
                .apply(&step, &event.actor, event.at)
                .map_err(|e| format!("event {} cannot have happened: {e}", event.seq))?;
            replayed.version += 1;
            Ok(())
        }
        kind => Err(format!("event {} is an unknown {kind}", event.seq)),
    }
}

/// The same as [`statistics`], from nothing but the events.
pub async fn from_events(
    db: &mut impl Db,
    filter: &StatisticsFilter,
    now: Timestamp,
) -> Result<Statistics> {
    let (from, before) = bounds(filter)?;
    let mut result = Statistics::default();
    let mut broken = None;
    replay(db, |id, replayed| {
        let replayed = match replayed {
            Ok(replayed) => replayed,
            Err(problem) => {
                broken.get_or_insert(format!("finding {id}: {problem}"));
                return;
            }
        };
        let created = replayed.created_at.as_millisecond();
        let enterprise = replayed.enterprise_id;
        let wanted = enterprise.is_some_and(|id| filter.scope.holds(id))
            && filter.enterprise_id.is_none_or(|id| enterprise == Some(id))
            && from.is_none_or(|from| created >= from)
            && before.is_none_or(|before| created < before);
        if wanted {
            let finding = &replayed.finding;
            result.count(&replayed.hazard_code, finding.state, finding.severity, 1);
            result.overdue += i64::from(finding.is_overdue(now));
        }
    })
    .await?;
    broken.map_or(Ok(result), |problem| Err(Error::Corrupt(problem)))
}

/// What the kept totals have to be, from nothing but one replayed finding after the other.
pub(in crate::ledger) fn add_to(totals: &mut Totals, replayed: &Replayed) {
    let key = totals_key(
        replayed.created_at,
        &replayed.hazard_code,
        &replayed.finding,
    );
    *totals
        .entry((ALL_DAYS, key.1.clone(), key.2.clone(), key.3.clone()))
        .or_default() += 1;
    *totals.entry(key).or_default() += 1;
}
