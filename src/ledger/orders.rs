//! Orders, their deadlines as days at the site, and the reminders that go with them.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::any::AnyRow;

use super::events::NewEvent;
use super::findings::{FindingRow, OfFindings, with_finding};
use super::page::{self, Entity};
use super::sql::{Bind, Columns};
use super::{Db, Error, Page, Paged, Result, Tx, sites};
use crate::finding::Actor;
use crate::id::Id;

/// The time of day, at the site, at which reminders go out.
const REMINDER_TIME: Time = Time::constant(9, 0, 0, 0);

/// The last instant of a day in a time zone, to the millisecond: what "by that day" means. Days
/// of 23 and 25 hours, and those without a midnight, end where the next one begins.
pub fn end_of_day(day: Date, tz: &TimeZone) -> Result<Timestamp> {
    let bad = |e: jiff::Error| Error::invalid("due_on", e.to_string());
    let next = day.tomorrow().and_then(|d| start_of(d, tz)).map_err(bad)?;
    next.checked_sub(SignedDuration::from_millis(1))
        .map_err(bad)
}

fn start_of(day: Date, tz: &TimeZone) -> std::result::Result<Timestamp, jiff::Error> {
    Ok(day.to_zoned(tz.clone())?.start_of_day()?.timestamp())
}

/// Which reminder.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ReminderKind {
    /// Three days before the day of the deadline.
    ThreeDaysBefore,
    /// On the day of the deadline.
    OnTheDay,
    /// The day after: to whoever ordered it.
    Escalation,
}

impl ReminderKind {
    const ALL: [Self; 3] = [Self::ThreeDaysBefore, Self::OnTheDay, Self::Escalation];

    /// The name in records and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ThreeDaysBefore => "three_days_before",
            Self::OnTheDay => "on_the_day",
            Self::Escalation => "escalation",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    const fn days(self) -> i64 {
        match self {
            Self::ThreeDaysBefore => -3,
            Self::OnTheDay => 0,
            Self::Escalation => 1,
        }
    }
}

/// When each reminder of a deadline goes out: at nine in the morning at the site, on calendar
/// days there; on the day itself at the latest with the deadline.
pub fn reminder_times(due_at: Timestamp, tz: &TimeZone) -> Result<Vec<(ReminderKind, Timestamp)>> {
    let due_day = tz.to_datetime(due_at).date();
    ReminderKind::ALL
        .into_iter()
        .map(|kind| {
            let at = due_day
                .checked_add(Span::new().days(kind.days()))
                .and_then(|day| day.to_datetime(REMINDER_TIME).to_zoned(tz.clone()))
                .map_err(|e| Error::invalid("due_at", e.to_string()))?
                .timestamp();
            Ok((
                kind,
                if kind == ReminderKind::OnTheDay {
                    at.min(due_at)
                } else {
                    at
                },
            ))
        })
        .collect()
}

/// An order to rectify.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Order {
    /// Which.
    pub id: Id,
    /// For which finding.
    pub finding_id: Id,
    /// The first is 1; each return adds one.
    pub number: i64,
    /// By whom.
    pub issued_by: Actor,
    /// When.
    #[schemars(with = "String")]
    pub issued_at: Timestamp,
    /// Last instant.
    #[schemars(with = "String")]
    pub due_at: Timestamp,
    /// Time zone of the site when the order was given.
    pub time_zone: String,
    /// Why it was returned; `None` for the first.
    pub reason: Option<String>,
}

impl Entity for Order {
    fn from_row(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            finding_id: row.id("finding_id")?,
            number: row.int("number")?,
            issued_by: row.actor("issued_by")?,
            issued_at: row.time("issued_ms")?,
            due_at: row.time("due_ms")?,
            time_zone: row.text("time_zone")?,
            reason: row.maybe_text("reason")?,
        })
    }

    fn id(&self) -> Id {
        self.id
    }
}

/// The orders of a finding, oldest first; the last is the one in force.
pub async fn of_finding(db: &mut impl Db, finding_id: Id) -> Result<Vec<Order>> {
    let rows = sqlx::query("SELECT * FROM orders WHERE finding_id = $1 ORDER BY number")
        .id(finding_id)
        .fetch_all(db.conn())
        .await?;
    rows.iter().map(Order::from_row).collect()
}

/// A page of the orders of many findings, newest first.
pub async fn list(db: &mut impl Db, of: &OfFindings, page: &Page) -> Result<Paged<Order>> {
    page::list(db, with_finding!("orders"), of.conditions(), page).await
}

/// Gives the order that a step has decided on, and plans its reminders.
pub(in crate::ledger) async fn issue(
    tx: &mut Tx,
    row: &FindingRow,
    due_at: Timestamp,
    reason: Option<&str>,
) -> Result<()> {
    let site = sites::get(tx, row.site_id).await?;
    let order = Order {
        id: tx.new_id(),
        finding_id: row.finding.id,
        number: of_finding(tx, row.finding.id)
            .await?
            .last()
            .map_or(1, |o| o.number + 1),
        issued_by: tx.actor().clone(),
        issued_at: tx.now(),
        due_at,
        time_zone: site.time_zone.clone(),
        reason: reason.map(str::to_owned),
    };
    sqlx::query(
        "INSERT INTO orders (id, finding_id, number, issued_by, issued_ms, due_ms, time_zone, reason) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .id(order.id)
    .id(order.finding_id)
    .bind(order.number)
    .bind(order.issued_by.to_text())
    .time(order.issued_at)
    .time(order.due_at)
    .bind(order.time_zone.clone())
    .bind(order.reason.clone())
    .execute(tx.conn())
    .await?;
    for (kind, at) in reminder_times(due_at, &site.tz()?)? {
        // of what has passed already nobody is reminded
        if at <= order.issued_at {
            continue;
        }
        sqlx::query("INSERT INTO reminders (order_id, kind, fire_ms) VALUES ($1, $2, $3)")
            .id(order.id)
            .bind(kind.as_str())
            .time(at)
            .execute(tx.conn())
            .await?;
    }
    tx.record(NewEvent {
        kind: "order.issued",
        entity: "order",
        entity_id: order.id,
        enterprise_id: Some(row.enterprise_id),
        context: None,
        data: json!(order),
    })
    .await?;
    Ok(())
}

/// A reminder that is due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Reminder {
    /// Of which order.
    pub order_id: Id,
    /// For which finding.
    pub finding_id: Id,
    /// Which one.
    pub kind: ReminderKind,
    /// The deadline.
    #[schemars(with = "String")]
    pub due_at: Timestamp,
}

/// Settles the reminders that are due by now, the oldest first, at most `limit`: each goes out as
/// an event exactly once, or not at all when the order is no longer waited for. Gives those that
/// went out, and whether there may be more.
pub async fn remind(tx: &mut Tx, limit: u32) -> Result<(Vec<Reminder>, bool)> {
    let now = tx.now();
    let rows = sqlx::query(
        "SELECT r.order_id, r.kind, o.finding_id, o.due_ms, f.enterprise_id, \
         CAST(CASE WHEN f.state = 'ordered' AND o.number = \
           (SELECT MAX(number) FROM orders l WHERE l.finding_id = o.finding_id) \
         THEN 1 ELSE 0 END AS BIGINT) AS waits \
         FROM reminders r JOIN orders o ON o.id = r.order_id JOIN findings f ON f.id = o.finding_id \
         WHERE r.settled_ms IS NULL AND r.fire_ms <= $1 ORDER BY r.fire_ms, r.order_id LIMIT $2",
    )
    .time(now)
    .bind(i64::from(limit))
    .fetch_all(tx.conn())
    .await?;
    let mut sent = Vec::new();
    for row in &rows {
        let reminder = Reminder {
            order_id: row.id("order_id")?,
            finding_id: row.id("finding_id")?,
            kind: row.parsed("kind", ReminderKind::parse)?,
            due_at: row.time("due_ms")?,
        };
        let waits = row.int("waits")? != 0;
        sqlx::query(
            "UPDATE reminders SET settled_ms = $1, sent = $2 WHERE order_id = $3 AND kind = $4",
        )
        .time(now)
        .bind(i64::from(waits))
        .id(reminder.order_id)
        .bind(reminder.kind.as_str())
        .execute(tx.conn())
        .await?;
        tx.record(NewEvent {
            kind: if waits {
                "reminder.due"
            } else {
                "reminder.dropped"
            },
            entity: "order",
            entity_id: reminder.order_id,
            enterprise_id: row.maybe_id("enterprise_id")?,
            context: None,
            data: json!(reminder),
        })
        .await?;
        if waits {
            sent.push(reminder);
        }
    }
    Ok((sent, rows.len() >= limit as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(day: &str, zone: &str) -> String {
        let tz = sites::time_zone(zone).unwrap();
        end_of_day(day.parse().unwrap(), &tz).unwrap().to_string()
    }

    #[test]
    fn a_day_ends_when_the_next_begins_at_the_site() {
        assert_eq!(
            end("2026-03-28", "Asia/Shanghai"),
            "2026-03-28T15:59:59.999Z"
        );
        // clocks go forward in the night to the 29th, back in the night to the 25th of October
        assert_eq!(
            end("2026-03-28", "Europe/Berlin"),
            "2026-03-28T22:59:59.999Z"
        );
        assert_eq!(
            end("2026-03-29", "Europe/Berlin"),
            "2026-03-29T21:59:59.999Z"
        );
        assert_eq!(
            end("2026-10-24", "Europe/Berlin"),
            "2026-10-24T21:59:59.999Z"
        );
        assert_eq!(
            end("2026-10-25", "Europe/Berlin"),
            "2026-10-25T22:59:59.999Z"
        );
        // Santiago's day of 2026-09-06 has no midnight: it begins at one
        assert_eq!(
            end("2026-09-05", "America/Santiago"),
            "2026-09-06T03:59:59.999Z"
        );
        // half-hour daylight saving
        assert_eq!(
            end("2026-04-05", "Australia/Lord_Howe"),
            "2026-04-05T13:29:59.999Z"
        );
    }

    #[test]
    fn reminders_are_at_nine_on_both_sides_of_a_change_of_clocks() {
        let tz = sites::time_zone("Europe/Berlin").unwrap();
        let due = end_of_day("2026-03-30".parse().unwrap(), &tz).unwrap();
        let times: Vec<String> = reminder_times(due, &tz)
            .unwrap()
            .into_iter()
            .map(|(_, at)| at.to_string())
            .collect();
        // the first in winter time, an hour later in UTC
        assert_eq!(
            times,
            [
                "2026-03-27T08:00:00Z",
                "2026-03-30T07:00:00Z",
                "2026-03-31T07:00:00Z"
            ]
        );
        let early: Timestamp = "2026-06-10T02:00:00Z".parse().unwrap();
        let times = reminder_times(early, &tz).unwrap();
        assert_eq!(times[1], (ReminderKind::OnTheDay, early));
    }
}
