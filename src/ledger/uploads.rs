//! Uploads: photos that were sent together. Accepting one is a single change of the ledger.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use sqlx::any::AnyRow;

use super::events::NewEvent;
use super::page::{self, Conditions, Entity};
use super::photos::{PhotoState, Taken, TakenBy};
use super::sql::{Bind, Columns};
use super::{Db, Page, Paged, Result, Scope, Tx};
use crate::id::Id;

/// Photos to be accepted. Their originals are durable already.
#[derive(Debug, Clone, Serialize)]
pub struct NewUpload {
    /// Who sends them.
    pub account_id: Id,
    /// Of whose live view they are.
    pub camera_id: Option<Id>,
    /// Whose site it is.
    pub enterprise_id: Id,
    /// What they show.
    pub site_id: Id,
    /// What they belong to.
    pub inspection_id: Option<Id>,
    /// When they were taken, if the sender says.
    pub taken_at: Option<Timestamp>,
    /// In the order sent.
    pub photos: Vec<NewPhoto>,
}

/// One photo to be accepted.
#[derive(Debug, Clone, Serialize)]
pub struct NewPhoto {
    /// Name as sent.
    pub name: String,
    /// Of the original.
    pub sha256: String,
    /// Length of the original.
    pub bytes: u64,
    /// When it was taken, if it says so itself. Follows from the original.
    #[serde(skip)]
    pub taken: Option<Taken>,
}

/// What became of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Which.
    pub upload: Id,
    /// Photos that were not there before: they wait to be judged.
    pub new: u64,
}

/// An upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Which.
    pub id: Id,
    /// Who sent it.
    pub account_id: Id,
    /// Whose site it is.
    pub enterprise_id: Id,
    /// What the photos show.
    pub site_id: Id,
    /// What they belong to.
    pub inspection_id: Option<Id>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// Its photos.
    pub total: u64,
    /// Those that are judged or unreadable.
    pub done: u64,
}

/// Which uploads are wanted.
#[derive(Debug, Clone, Default)]
pub struct UploadFilter {
    /// Whose sites.
    pub scope: Scope,
    /// Only by this account.
    pub account_id: Option<Id>,
    /// Only of this site.
    pub site_id: Option<Id>,
    /// Only of this inspection.
    pub inspection_id: Option<Id>,
}

/// An upload with the number of its photos and of those that are done.
macro_rules! select {
    ($tail:literal) => {
        concat!(
            "SELECT uploads.*, \
             (SELECT COUNT(*) FROM upload_photos WHERE upload_id = uploads.id) AS total, \
             (SELECT COUNT(*) FROM upload_photos u JOIN photos p ON p.id = u.photo_id \
             WHERE u.upload_id = uploads.id AND p.state IN ('judged', 'unreadable')) AS done \
             FROM uploads",
            $tail
        )
    };
}

impl Entity for Upload {
    fn from_row(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            account_id: row.id("account_id")?,
            enterprise_id: row.id("enterprise_id")?,
            site_id: row.id("site_id")?,
            inspection_id: row.maybe_id("inspection_id")?,
            created_at: row.time("created_ms")?,
            total: row.int("total")?.unsigned_abs(),
            done: row.int("done")?.unsigned_abs(),
        })
    }

    fn id(&self) -> Id {
        self.id
    }
}

/// One photo of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedPhoto {
    /// Which.
    pub photo_id: Id,
    /// Name as sent this time.
    pub name: String,
    /// Of the original.
    pub sha256: String,
    /// As it is now.
    pub state: PhotoState,
    /// Whether it was there before.
    pub known: bool,
    /// When it was taken, and who says so.
    pub taken: Option<Taken>,
    /// Candidates proposed from it.
    pub candidates: u64,
}

/// Accepts photos: from the commit on, each will have its effect, once. A photo that the site
/// has already is that photo.
pub async fn accept(tx: &mut Tx, new: &NewUpload) -> Result<Accepted> {
    let upload = tx.new_id();
    let now = tx.now();
    sqlx::query(
        "INSERT INTO uploads (id, account_id, enterprise_id, site_id, inspection_id, created_ms) \
             VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .id(upload)
    .id(new.account_id)
    .id(new.enterprise_id)
    .id(new.site_id)
    .maybe_id(new.inspection_id)
    .time(now)
    .execute(tx.conn())
    .await?;
    let mut here: BTreeMap<&str, Id> = BTreeMap::new();
    let mut accepted = Accepted { upload, new: 0 };
    let mut told = Vec::new();
    for (photo, place) in new.photos.iter().zip(0i64..) {
        let found = match here.get(photo.sha256.as_str()) {
            Some(id) => Some(*id),
            None => find(tx, new.site_id, &photo.sha256).await?,
        };
        let id = match found {
            Some(id) => id,
            None => {
                accepted.new += 1;
                insert(tx, new, photo).await?
            }
        };
        here.insert(&photo.sha256, id);
        told.push(json!({ "photo_id": id, "sha256": photo.sha256, "known": found.is_some() }));
        sqlx::query(
            "INSERT INTO upload_photos (upload_id, place, photo_id, name, known) \
                 VALUES ($1, $2, $3, $4, $5)",
        )
        .id(upload)
        .bind(place)
        .id(id)
        .bind(&photo.name)
        .bind(i64::from(found.is_some()))
        .execute(tx.conn())
        .await?;
    }
    tx.record(NewEvent {
        kind: "upload.accepted",
        entity: "upload",
        entity_id: upload,
        enterprise_id: Some(new.enterprise_id),
        context: None,
        data: json!({
            "site_id": new.site_id, "inspection_id": new.inspection_id, "photos": told,
        }),
    })
    .await?;
    Ok(accepted)
}

/// An upload.
pub async fn get(db: &mut impl Db, id: Id) -> Result<Upload> {
    page::get(db, "job", select!(" WHERE id = $1"), id).await
}

/// A page of uploads, newest first.
pub async fn list(db: &mut impl Db, filter: &UploadFilter, page: &Page) -> Result<Paged<Upload>> {
    let mut conditions = Conditions::default();
    conditions.and_scope("enterprise_id", &filter.scope);
    conditions.and_maybe("account_id = {}", filter.account_id);
    conditions.and_maybe("site_id = {}", filter.site_id);
    conditions.and_maybe("inspection_id = {}", filter.inspection_id);
    page::list(db, select!(""), conditions, page).await
}

/// The photos of an upload as they are now, in the order sent.
pub async fn photos(db: &mut impl Db, id: Id) -> Result<Vec<UploadedPhoto>> {
    let rows = sqlx::query(
        "SELECT u.photo_id, u.name, u.known, p.sha256, p.state, p.candidates, p.taken_ms, p.taken_by \
         FROM upload_photos u JOIN photos p ON p.id = u.photo_id \
         WHERE u.upload_id = $1 ORDER BY u.place",
    )
    .id(id)
    .fetch_all(db.conn())
    .await?;
    let photo = |row: &AnyRow| {
        Ok(UploadedPhoto {
            photo_id: row.id("photo_id")?,
            name: row.text("name")?,
            sha256: row.text("sha256")?,
            state: row.parsed("state", PhotoState::parse)?,
            known: row.int("known")? != 0,
            taken: Taken::from_row(row)?,
            candidates: row.int("candidates")?.unsigned_abs(),
        })
    };
    rows.iter().map(photo).collect()
}

async fn find(tx: &mut Tx, site: Id, sha256: &str) -> Result<Option<Id>> {
    let row = sqlx::query("SELECT id FROM photos WHERE site_id = $1 AND sha256 = $2")
        .id(site)
        .bind(sha256)
        .fetch_optional(tx.conn())
        .await?;
    row.map(|row| row.id("id")).transpose()
}

async fn insert(tx: &mut Tx, new: &NewUpload, photo: &NewPhoto) -> Result<Id> {
    let id = tx.new_id();
    let now = tx.now();
    let by_sender = new.taken_at.map(|at| Taken {
        at,
        by: TakenBy::Sender,
    });
    let taken = by_sender.or(photo.taken);
    sqlx::query(
        "INSERT INTO photos (id, enterprise_id, site_id, inspection_id, account_id, name, sha256, \
         bytes, taken_ms, taken_by, received_ms, state, camera_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'queued', $12)",
    )
    .id(id)
    .id(new.enterprise_id)
    .id(new.site_id)
    .maybe_id(new.inspection_id)
    .id(new.account_id)
    .bind(&photo.name)
    .bind(&photo.sha256)
    .bind(i64::try_from(photo.bytes).unwrap_or(i64::MAX))
    .maybe_time(taken.map(|t| t.at))
    .bind(taken.map(|t| t.by.as_str()))
    .time(now)
    .maybe_id(new.camera_id)
    .execute(tx.conn())
    .await?;
    Ok(id)
}
