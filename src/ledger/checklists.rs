//! Checklists: a base, and what an enterprise adds, changes or takes away.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::any::AnyRow;

use super::events::NewEvent;
use super::page::{self, Conditions, Entity};
use super::sql::{Bind, Columns};
use super::{Db, Error, Page, Paged, Result, Tx, enterprises, required};
use crate::hazard::Text;
use crate::id::Id;

/// A checklist, without its items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Checklist {
    /// Which.
    pub id: Id,
    /// The enterprise whose overlay this is; `None` for a base.
    pub enterprise_id: Option<Id>,
    /// The base that it lies on.
    pub base_id: Option<Id>,
    /// Name.
    pub name: String,
}

/// One thing to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Item {
    /// Name within the checklist; the same in an overlay replaces the item of the base.
    pub key: String,
    /// What to look at.
    pub text: Text,
    /// The hazard kind whose answers fill it in.
    pub hazard_code: Option<String>,
    /// In an overlay: takes the item of the base away.
    #[serde(default)]
    pub removed: bool,
}

impl Entity for Checklist {
    fn from_row(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            enterprise_id: row.maybe_id("enterprise_id")?,
            base_id: row.maybe_id("base_id")?,
            name: row.text("name")?,
        })
    }

    fn id(&self) -> Id {
        self.id
    }
}

fn item(row: &AnyRow) -> Result<Item> {
    Ok(Item {
        key: row.text("item_key")?,
        text: Text::new(row.text("text_en")?, row.text("text_zh")?),
        hazard_code: row.maybe_text("hazard_code")?,
        removed: row.int("removed")? != 0,
    })
}

/// Makes a base checklist.
pub async fn create_base(tx: &mut Tx, name: &str, items: &[Item]) -> Result<Checklist> {
    if items.iter().any(|item| item.removed) {
        return Err(Error::invalid(
            "items",
            "a base takes nothing away: leave the item out",
        ));
    }
    create(tx, None, None, name, items).await
}

/// Makes an enterprise's overlay on a base checklist.
pub async fn create_overlay(
    tx: &mut Tx,
    enterprise_id: Id,
    base_id: Id,
    items: &[Item],
) -> Result<Checklist> {
    enterprises::get(tx, enterprise_id).await?;
    let base = get(tx, base_id).await?;
    if base.base_id.is_some() {
        return Err(Error::invalid(
            "base_id",
            "is itself an overlay: name its base",
        ));
    }
    if let Some(existing) = overlay(tx, enterprise_id, base_id).await? {
        return Err(Error::Duplicate {
            what: "checklist",
            value: format!("enterprise {enterprise_id} on {base_id}"),
            existing: existing.id,
        });
    }
    create(tx, Some(enterprise_id), Some(base_id), &base.name, items).await
}

async fn create(
    tx: &mut Tx,
    enterprise_id: Option<Id>,
    base_id: Option<Id>,
    name: &str,
    items: &[Item],
) -> Result<Checklist> {
    required("name", name)?;
    let mut keys: Vec<&str> = items.iter().map(|item| item.key.as_str()).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) || keys.iter().any(|k| k.trim().is_empty()) {
        return Err(Error::invalid("items", "every item needs a key of its own"));
    }
    let checklist = Checklist {
        id: tx.new_id(),
        enterprise_id,
        base_id,
        name: name.to_owned(),
    };
    let now = tx.now();
    sqlx::query(
        "INSERT INTO checklists (id, enterprise_id, base_id, name, created_ms) \
         VALUES ($1, $2, $3, $4, $5)",
    )
    .id(checklist.id)
    .maybe_id(enterprise_id)
    .maybe_id(base_id)
    .bind(name.to_owned())
    .time(now)
    .execute(tx.conn())
    .await?;
    for (position, item) in (0_i64..).zip(items) {
        sqlx::query(
            "INSERT INTO checklist_items (checklist_id, item_key, position, text_en, text_zh, hazard_code, removed) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .id(checklist.id)
        .bind(item.key.clone())
        .bind(position)
        .bind(item.text.en.clone())
        .bind(item.text.zh.clone())
        .bind(item.hazard_code.clone())
        .bind(i64::from(item.removed))
        .execute(tx.conn())
        .await?;
    }
    tx.record(NewEvent {
        kind: "checklist.created",
        entity: "checklist",
        entity_id: checklist.id,
        enterprise_id,
        context: None,
        data: json!({ "checklist": checklist, "items": items }),
    })
    .await?;
    Ok(checklist)
}

/// One checklist.
pub async fn get(db: &mut impl Db, id: Id) -> Result<Checklist> {
    page::get(
        db,
        "checklist",
        "SELECT * FROM checklists WHERE id = $1",
        id,
    )
    .await
}

/// A page of the base checklists, newest first.
pub async fn bases(db: &mut impl Db, page: &Page) -> Result<Paged<Checklist>> {
    let mut conditions = Conditions::default();
    conditions.and("base_id IS NULL", []);
    page::list(db, "SELECT * FROM checklists", conditions, page).await
}

/// An enterprise's overlay on a base, if it has one.
pub async fn overlay(
    db: &mut impl Db,
    enterprise_id: Id,
    base_id: Id,
) -> Result<Option<Checklist>> {
    let row = sqlx::query("SELECT * FROM checklists WHERE enterprise_id = $1 AND base_id = $2")
        .id(enterprise_id)
        .id(base_id)
        .fetch_optional(db.conn())
        .await?;
    row.as_ref().map(Checklist::from_row).transpose()
}

/// The items of one checklist as written, in order.
pub async fn items(db: &mut impl Db, checklist_id: Id) -> Result<Vec<Item>> {
    let rows =
        sqlx::query("SELECT * FROM checklist_items WHERE checklist_id = $1 ORDER BY position")
            .id(checklist_id)
            .fetch_all(db.conn())
            .await?;
    rows.iter().map(item).collect()
}

/// What an inspection of this enterprise looks at: the base with the enterprise's overlay on it.
pub async fn effective(db: &mut impl Db, enterprise_id: Id, base_id: Id) -> Result<Vec<Item>> {
    get(db, base_id).await?;
    let base = items(db, base_id).await?;
    match overlay(db, enterprise_id, base_id).await? {
        None => Ok(base),
        Some(over) => Ok(lay_over(base, items(db, over.id).await?)),
    }
}

/// Items of the base keep their place; new ones follow.
fn lay_over(mut base: Vec<Item>, overlay: Vec<Item>) -> Vec<Item> {
    for item in overlay {
        let place = base.iter().position(|b| b.key == item.key);
        match (place, item.removed) {
            (Some(at), true) => {
                base.remove(at);
            }
            (Some(at), false) => base[at] = item,
            // it may have been taken out of the base meanwhile
            (None, true) => {}
            (None, false) => base.push(item),
        }
    }
    base
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(key: &str, en: &str, removed: bool) -> Item {
        Item {
            key: key.to_owned(),
            text: Text::new(en, en),
            hazard_code: None,
            removed,
        }
    }

    #[test]
    fn an_overlay_replaces_adds_and_takes_away() {
        let base = vec![
            item("a", "1", false),
            item("b", "2", false),
            item("c", "3", false),
        ];
        let over = vec![
            item("c", "", true),
            item("a", "one", false),
            item("d", "4", false),
            item("x", "", true),
        ];
        let all = lay_over(base, over);
        let short: Vec<_> = all
            .iter()
            .map(|i| (i.key.as_str(), i.text.en.as_str()))
            .collect();
        assert_eq!(short, [("a", "one"), ("b", "2"), ("d", "4")]);
    }
}
