//! Lists in pages: `limit`, and a cursor that leads to the next page.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use crate::ledger::{self, Paged};

/// Which page.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// Entries of a page, at most.
    #[serde(default = "default_limit", deserialize_with = "limit")]
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: u32,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

const fn default_limit() -> u32 {
    50
}

const LIMITS: std::ops::RangeInclusive<u32> = 1..=200;

fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let limit = u32::deserialize(deserializer)?;
    if LIMITS.contains(&limit) {
        return Ok(limit);
    }
    let (least, most) = (LIMITS.start(), LIMITS.end());
    Err(D::Error::custom(format!("give {least} to {most}")))
}

impl From<Paging> for ledger::Page {
    fn from(paging: Paging) -> Self {
        Self {
            cursor: paging.cursor,
            limit: paging.limit,
        }
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// The entries.
    items: Vec<T>,
    /// Leads to the next page; null on the last.
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of the ledger, each entry as a caller sees it.
    pub(super) fn new<R>(
        page: Paged<R>,
        view: impl Fn(R) -> Result<T, Problem>,
    ) -> Result<Self, Problem> {
        Ok(Self {
            items: page.items.into_iter().map(view).collect::<Result<_, _>>()?,
            next_cursor: page.next,
        })
    }
}

impl<T> From<Paged<T>> for Page<T> {
    fn from(page: Paged<T>) -> Self {
        Self {
            items: page.items,
            next_cursor: page.next,
        }
    }
}
