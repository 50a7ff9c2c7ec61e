//! Filters and cursor paging.

use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use sqlx::any::{Any, AnyArguments, AnyRow};
use sqlx::query::Query;

use super::{Db, Error, Result};
use crate::id::Id;

/// Which part of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// `next` of the page before; `None` for the first.
    pub cursor: Option<String>,
    /// At most so many; 0 for the usual 50; 200 at most.
    pub limit: u32,
}

impl Page {
    /// The first page, of the usual length.
    pub fn first() -> Self {
        Self::default()
    }

    fn limit(&self) -> usize {
        match self.limit {
            0 => 50,
            n => n.min(200) as usize,
        }
    }

    /// Cursor and limit of a list in the order of a number.
    pub(in crate::ledger) fn by_number(&self) -> Result<(Option<i64>, usize)> {
        let cursor = self.cursor.as_deref().map(str::parse).transpose();
        Ok((cursor.map_err(|_| bad_cursor())?, self.limit()))
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Paged<T> {
    /// What there is.
    pub items: Vec<T>,
    /// Cursor of the next page; `None` after the last.
    pub next: Option<String>,
}

impl<T> Paged<T> {
    /// Makes a page of `limit` out of up to one item more.
    pub(in crate::ledger) fn cut(
        mut items: Vec<T>,
        limit: usize,
        cursor: impl FnOnce(&T) -> String,
    ) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(cursor);
        Self { items, next }
    }
}

/// Whose data may be seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scope {
    /// All enterprises.
    #[default]
    All,
    /// These only.
    Enterprises(Vec<Id>),
}

impl Scope {
    /// Whether something of `enterprise` may be seen.
    pub fn holds(&self, enterprise: Id) -> bool {
        match self {
            Self::All => true,
            Self::Enterprises(ids) => ids.contains(&enterprise),
        }
    }
}

/// A value in a condition.
#[derive(Debug, Clone)]
pub(in crate::ledger) enum Arg {
    Text(String),
    Int(i64),
}

impl From<String> for Arg {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Arg {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Id> for Arg {
    fn from(id: Id) -> Self {
        Self::Text(id.to_string())
    }
}

impl From<i64> for Arg {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}

/// Conditions that all have to hold. Values are bound, never written into the text.
#[derive(Debug, Clone, Default)]
pub(in crate::ledger) struct Conditions {
    text: String,
    args: Vec<Arg>,
}

impl Conditions {
    /// Adds a condition; each `{}` in it stands for one of `args`.
    pub(in crate::ledger) fn and(
        &mut self,
        condition: &'static str,
        args: impl IntoIterator<Item = Arg>,
    ) {
        self.text.push_str(if self.text.is_empty() {
            " WHERE "
        } else {
            " AND "
        });
        let mut args = args.into_iter();
        for (i, part) in condition.split("{}").enumerate() {
            if i > 0
                && let Some(arg) = args.next()
            {
                self.args.push(arg);
                self.text.push_str(&format!("${}", self.args.len()));
            }
            self.text.push_str(part);
        }
    }

    /// `column = value`, when there is a value. `condition` holds one `{}`.
    pub(in crate::ledger) fn and_maybe(
        &mut self,
        condition: &'static str,
        arg: Option<impl Into<Arg>>,
    ) {
        if let Some(arg) = arg {
            self.and(condition, [arg.into()]);
        }
    }

    /// `column` is one of `args`; nothing is when there are none.
    pub(in crate::ledger) fn and_in(
        &mut self,
        column: &'static str,
        args: impl IntoIterator<Item = Arg>,
    ) {
        let one = self.one_of(column, args);
        self.and("", []);
        self.text.push_str(&one);
    }

    fn one_of(&mut self, column: &str, args: impl IntoIterator<Item = Arg>) -> String {
        let first = self.args.len() + 1;
        self.args.extend(args);
        if self.args.len() < first {
            return "1 = 0".to_owned();
        }
        let places: Vec<String> = (first..=self.args.len()).map(|n| format!("${n}")).collect();
        format!("{column} IN ({})", places.join(", "))
    }

    /// Only what `scope` may see.
    pub(in crate::ledger) fn and_scope(&mut self, column: &'static str, scope: &Scope) {
        if let Scope::Enterprises(ids) = scope {
            self.and_in(column, ids.iter().map(|id| Arg::from(*id)));
        }
    }

    /// Only what is of a site of an enterprise in `scope`.
    pub(in crate::ledger) fn and_site_in(&mut self, column: &'static str, scope: &Scope) {
        match scope {
            Scope::All => {}
            Scope::Enterprises(ids) if ids.is_empty() => self.and("1 = 0", []),
            Scope::Enterprises(ids) => {
                let of = self.one_of("enterprise_id", ids.iter().map(|id| Arg::from(*id)));
                self.and("", []);
                let sites = format!("{column} IN (SELECT id FROM sites WHERE {of})");
                self.text.push_str(&sites);
            }
        }
    }

    /// The statement `select`, these conditions, and `tail`.
    pub(in crate::ledger) fn query(
        self,
        select: &str,
        tail: &str,
    ) -> Query<'static, Any, AnyArguments> {
        // the text is made of constants of this program, all values are bound
        let text = format!("{select}{}{tail}", self.text);
        let mut query = sqlx::query(AssertSqlSafe(text));
        for arg in self.args {
            query = match arg {
                Arg::Text(text) => query.bind(text),
                Arg::Int(n) => query.bind(n),
            };
        }
        query
    }
}

/// Something that a row holds.
pub(in crate::ledger) trait Entity: Sized {
    fn from_row(row: &AnyRow) -> Result<Self>;
    fn id(&self) -> Id;
}

/// A page of what `select` gives under `conditions`, newest first.
pub(in crate::ledger) async fn list<T: Entity>(
    db: &mut impl Db,
    select: &str,
    mut conditions: Conditions,
    page: &Page,
) -> Result<Paged<T>> {
    if let Some(cursor) = &page.cursor {
        let before: Id = cursor.parse().map_err(|_| bad_cursor())?;
        conditions.and("id < {}", [before.into()]);
    }
    let limit = page.limit();
    let tail = format!(" ORDER BY id DESC LIMIT {}", limit + 1);
    let rows = conditions.query(select, &tail).fetch_all(db.conn()).await?;
    let items = rows.iter().map(T::from_row).collect::<Result<Vec<T>>>()?;
    Ok(Paged::cut(items, limit, |last| last.id().to_string()))
}

/// A page in the order of (`created_ms`, `id`), newest first: for what is filtered by time, too.
pub(in crate::ledger) async fn list_by_time<T: Entity>(
    db: &mut impl Db,
    select: &str,
    mut conditions: Conditions,
    page: &Page,
    created_ms: impl Fn(&T) -> i64,
) -> Result<Paged<T>> {
    if let Some(cursor) = &page.cursor {
        let (ms, id) = cursor.split_once('.').ok_or_else(bad_cursor)?;
        let ms: i64 = ms.parse().map_err(|_| bad_cursor())?;
        let id: Id = id.parse().map_err(|_| bad_cursor())?;
        conditions.and("(created_ms, id) < ({}, {})", [ms.into(), id.into()]);
    }
    let limit = page.limit();
    let tail = format!(" ORDER BY created_ms DESC, id DESC LIMIT {}", limit + 1);
    let rows = conditions.query(select, &tail).fetch_all(db.conn()).await?;
    let items = rows.iter().map(T::from_row).collect::<Result<Vec<T>>>()?;
    Ok(Paged::cut(items, limit, |last| {
        format!("{}.{}", created_ms(last), last.id())
    }))
}

/// The row of one identifier. `select` ends in `WHERE id = $1`.
pub(in crate::ledger) async fn get<T: Entity>(
    db: &mut impl Db,
    what: &'static str,
    select: &'static str,
    id: Id,
) -> Result<T> {
    let row = sqlx::query(select)
        .bind(id.to_string())
        .fetch_optional(db.conn())
        .await?
        .ok_or_else(|| Error::not_found(what, id))?;
    T::from_row(&row)
}

fn bad_cursor() -> Error {
    Error::invalid("cursor", "give `next` of the page before as it was")
}
