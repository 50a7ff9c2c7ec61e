//! Lists in pages: `limit`, and a cursor that leads to the next page.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::{Kind, Problem};
use crate::id::Id;

/// Most entries of a page.
const MAX_LIMIT: u32 = 200;

/// Which page.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// Entries of a page, at most.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: u32,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

const fn default_limit() -> u32 {
    50
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// The entries.
    items: Vec<T>,
    /// Leads to the next page; null on the last.
    next_cursor: Option<String>,
}

impl Paging {
    /// Entries of a page, at most.
    pub(super) fn limit(&self) -> u32 {
        self.limit.clamp(1, MAX_LIMIT)
    }

    /// One more than a page holds tells whether there is another.
    pub(super) fn limit_and_one(&self) -> u32 {
        self.limit() + 1
    }

    /// The last entry of the page before.
    pub(super) fn after(&self) -> Result<Option<Id>, Problem> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        let id = URL_SAFE_NO_PAD
            .decode(cursor)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok()?.parse().ok());
        id.map(Some).ok_or_else(|| {
            Problem::new(
                Kind::Malformed,
                "The cursor is none that a page has given.",
                "Use next_cursor of the page before as it is, or leave it out to begin.",
            )
        })
    }

    /// A page of rows that were read with [`Self::limit_and_one`].
    pub(super) fn page<R, T>(
        &self,
        mut rows: Vec<R>,
        id: impl Fn(&R) -> Id,
        view: impl Fn(R) -> Result<T, Problem>,
    ) -> Result<Page<T>, Problem> {
        let limit = self.limit() as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows
            .last()
            .filter(|_| more)
            .map(|last| URL_SAFE_NO_PAD.encode(id(last).to_string()));
        Ok(Page {
            items: rows.into_iter().map(view).collect::<Result<_, _>>()?,
            next_cursor,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_leads_to_the_next_until_the_last() {
        let ids = [1, 2, 3].map(|n| Id::from_uuid(uuid::Uuid::from_u128(n)));
        let mut paging = Paging {
            limit: 2,
            cursor: None,
        };
        assert_eq!(paging.after().unwrap(), None);
        let page = paging.page(ids.to_vec(), |id| *id, Ok).unwrap();
        assert_eq!(page.items, ids[..2]);
        paging.cursor = page.next_cursor;
        assert_eq!(paging.after().unwrap(), Some(ids[1]));
        let last = paging.page(ids[2..].to_vec(), |id| *id, Ok).unwrap();
        assert_eq!(last.next_cursor, None);
    }

    #[test]
    fn what_is_no_cursor_is_refused_and_limits_are_kept() {
        let paging = Paging {
            limit: 100_000,
            cursor: Some("../../x".into()),
        };
        assert_eq!(paging.after().unwrap_err().status(), 400);
        assert_eq!(paging.limit(), MAX_LIMIT);
    }
}
