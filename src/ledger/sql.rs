//! Between Rust's types and the few that both databases share.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::any::{Any, AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Row};

use super::{Error, Result};
use crate::finding::Actor;
use crate::id::Id;

/// The time as it is stored: to the millisecond, never later than it was.
pub(super) fn to_millisecond(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// JSON for a column.
pub(super) fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::Corrupt(e.to_string()))
}

/// JSON from a column.
pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| Error::Corrupt(e.to_string()))
}

/// A statement that inserts many rows of so many values each; `tail` comes behind them. Both databases
/// take `$1`; sqlx's own builder writes `?` here.
pub(super) fn insert(
    head: &'static str,
    (rows, columns): (usize, usize),
    tail: &'static str,
) -> Query<'static, Any, AnyArguments> {
    let row = |n: usize| {
        let values: Vec<_> = (1..=columns)
            .map(|i| format!("${}", n * columns + i))
            .collect();
        format!("({})", values.join(", "))
    };
    let rows: Vec<_> = (0..rows).map(row).collect();
    // made of constants of this program, all values are bound
    sqlx::query(AssertSqlSafe(format!(
        "{head} VALUES {}{tail}",
        rows.join(", ")
    )))
}

/// Reading columns by name, as what they mean.
pub(super) trait Columns {
    /// Text.
    fn text(&self, column: &str) -> Result<String>;
    /// Text or null.
    fn maybe_text(&self, column: &str) -> Result<Option<String>>;
    /// A number.
    fn int(&self, column: &str) -> Result<i64>;
    /// A number or null.
    fn maybe_int(&self, column: &str) -> Result<Option<i64>>;
    /// A floating-point number.
    fn float(&self, column: &str) -> Result<f64>;
    /// A floating-point number or null.
    fn maybe_float(&self, column: &str) -> Result<Option<f64>>;

    /// Something that [`Columns::text`] spells.
    fn parsed<T>(&self, column: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        let text = self.text(column)?;
        parse(&text).ok_or_else(|| Error::Corrupt(format!("{column} is `{text}`")))
    }

    /// Something that text spells, or null.
    fn maybe<T>(&self, column: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>> {
        match self.maybe_text(column)? {
            None => Ok(None),
            Some(text) => parse(&text)
                .map(Some)
                .ok_or_else(|| Error::Corrupt(format!("{column} is `{text}`"))),
        }
    }

    /// An identifier.
    fn id(&self, column: &str) -> Result<Id> {
        self.parsed(column, |text| text.parse().ok())
    }

    /// An identifier or null.
    fn maybe_id(&self, column: &str) -> Result<Option<Id>> {
        self.maybe(column, |text| text.parse().ok())
    }

    /// Who acted.
    fn actor(&self, column: &str) -> Result<Actor> {
        self.parsed(column, Actor::parse)
    }

    /// A time.
    fn time(&self, column: &str) -> Result<Timestamp> {
        let ms = self.int(column)?;
        Timestamp::from_millisecond(ms).map_err(|e| Error::Corrupt(format!("{column}: {e}")))
    }

    /// A time or null.
    fn maybe_time(&self, column: &str) -> Result<Option<Timestamp>> {
        self.maybe_int(column)?
            .map(Timestamp::from_millisecond)
            .transpose()
            .map_err(|e| Error::Corrupt(format!("{column}: {e}")))
    }
}

impl Columns for AnyRow {
    fn text(&self, column: &str) -> Result<String> {
        Ok(self.try_get(column)?)
    }
    fn maybe_text(&self, column: &str) -> Result<Option<String>> {
        Ok(self.try_get(column)?)
    }
    fn int(&self, column: &str) -> Result<i64> {
        Ok(self.try_get(column)?)
    }
    fn maybe_int(&self, column: &str) -> Result<Option<i64>> {
        Ok(self.try_get(column)?)
    }
    fn float(&self, column: &str) -> Result<f64> {
        Ok(self.try_get(column)?)
    }
    fn maybe_float(&self, column: &str) -> Result<Option<f64>> {
        Ok(self.try_get(column)?)
    }
}

/// Binding what the ledger's types mean.
pub(super) trait Bind: Sized {
    /// An identifier.
    fn id(self, id: Id) -> Self;
    /// An identifier or null.
    fn maybe_id(self, id: Option<Id>) -> Self;
    /// A floating-point number or null.
    fn maybe_float(self, value: Option<f64>) -> Self;
    /// A time, to the millisecond.
    fn time(self, at: Timestamp) -> Self;
    /// A time or null.
    fn maybe_time(self, at: Option<Timestamp>) -> Self;
}

impl Bind for Query<'_, Any, AnyArguments> {
    fn id(self, id: Id) -> Self {
        self.bind(id.to_string())
    }
    fn maybe_id(self, id: Option<Id>) -> Self {
        self.bind(id.map(|id| id.to_string()))
    }
    fn maybe_float(self, value: Option<f64>) -> Self {
        match value {
            Some(value) => self.bind(value),
            // sqlx 0.9.0 hands on the null of an f64 as one of an f32 and the other way round
            // (AnyArguments::convert_into), and PostgreSQL then takes the statement's later
            // values for f32
            None => self.bind(None::<f32>),
        }
    }
    fn time(self, at: Timestamp) -> Self {
        self.bind(at.as_millisecond())
    }
    fn maybe_time(self, at: Option<Timestamp>) -> Self {
        self.bind(at.map(|at| at.as_millisecond()))
    }
}
