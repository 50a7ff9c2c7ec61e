//! Photos, and what was seen in them.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use jiff::Timestamp;
use serde::Serialize;
use sqlx::any::AnyRow;

use super::events::Context;
use super::page::{self, Conditions, Entity};
use super::sql::{Bind, Columns, from_json};
use super::{Db, Ledger, Page, Paged, Result, Scope};
use crate::id::Id;
use crate::record::PhotoRecord;

/// How far a photo is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhotoState {
    /// Accepted.
    Queued,
    /// A worker has it.
    Working,
    /// It has its record, and its candidates are filed.
    Judged,
    /// It cannot be judged; its record says why.
    Unreadable,
}

impl PhotoState {
    const ALL: [Self; 4] = [Self::Queued, Self::Working, Self::Judged, Self::Unreadable];

    /// The name in records and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Working => "working",
            Self::Judged => "judged",
            Self::Unreadable => "unreadable",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// Who says when a photo was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TakenBy {
    /// Whoever sent it.
    Sender,
    /// The camera, with its offset from UTC (EXIF).
    Exif,
    /// The camera, without an offset: taken for the clock at the site (EXIF).
    ExifSiteClock,
    /// This service, which took it out of a live view.
    Service,
}

impl TakenBy {
    const ALL: [Self; 4] = [Self::Sender, Self::Exif, Self::ExifSiteClock, Self::Service];

    /// The name in records and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Exif => "exif",
            Self::ExifSiteClock => "exif_site_clock",
            Self::Service => "service",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == name)
    }
}

/// When a photo was taken. Nobody has checked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// When.
    pub at: Timestamp,
    /// Who says so.
    pub by: TakenBy,
}

impl Taken {
    pub(super) fn from_row(row: &AnyRow) -> Result<Option<Self>> {
        let at = row.maybe_time("taken_ms")?;
        let by = row.maybe("taken_by", TakenBy::parse)?;
        Ok(at.zip(by).map(|(at, by)| Self { at, by }))
    }
}

/// A photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Photo {
    /// Which.
    pub id: Id,
    /// Whose site it shows.
    pub enterprise_id: Id,
    /// What it shows.
    pub site_id: Id,
    /// Time zone of the site.
    pub time_zone: String,
    /// What it belongs to.
    pub inspection_id: Option<Id>,
    /// Who sent it first.
    pub account_id: Id,
    /// Name as sent first.
    pub name: String,
    /// Of the original.
    pub sha256: String,
    /// Length of the original.
    pub bytes: u64,
    /// When it was taken, if anybody says.
    pub taken: Option<Taken>,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// How far it is.
    pub state: PhotoState,
    /// What was seen, once it was judged.
    pub record: Option<PhotoRecord>,
    /// What it was judged by.
    pub decided_by: Option<Context>,
    /// Tells photos that look the same.
    pub fingerprint: Option<u128>,
}

/// Which photos are wanted.
#[derive(Debug, Clone, Default)]
pub struct PhotoFilter {
    /// Whose.
    pub scope: Scope,
    /// Only of this site.
    pub site_id: Option<Id>,
    /// Only of this inspection.
    pub inspection_id: Option<Id>,
}

/// A photo with the time zone of its site and what it was judged by.
macro_rules! select {
    ($tail:literal) => {
        concat!(
            "SELECT photos.*, \
             (SELECT time_zone FROM sites WHERE sites.id = photos.site_id) AS time_zone, \
             (SELECT data FROM contexts WHERE contexts.sha256 = photos.context) AS context_data \
             FROM photos",
            $tail
        )
    };
}

impl Ledger {
    /// One photo.
    pub async fn photo(&self, id: Id) -> Result<Photo> {
        page::get(
            &mut self.read().await?,
            "photo",
            select!(" WHERE id = $1"),
            id,
        )
        .await
    }

    /// The photo of a site that is this original.
    pub async fn photo_of_site(&self, site: Id, sha256: &str) -> Result<Option<Photo>> {
        let mut db = self.read().await?;
        let row = sqlx::query(select!(" WHERE site_id = $1 AND sha256 = $2"))
            .id(site)
            .bind(sha256)
            .fetch_optional(db.conn())
            .await?;
        row.as_ref().map(Photo::from_row).transpose()
    }

    /// A page of photos, newest first.
    pub async fn photos(&self, filter: &PhotoFilter, page: &Page) -> Result<Paged<Photo>> {
        let mut conditions = Conditions::default();
        conditions.and_scope("enterprise_id", &filter.scope);
        conditions.and_maybe("site_id = {}", filter.site_id);
        conditions.and_maybe("inspection_id = {}", filter.inspection_id);
        page::list(&mut self.read().await?, select!(""), conditions, page).await
    }

    /// How many photos of other originals look like this one. `alike` compares fingerprints, and
    /// holds only for such as agree in one of their eight parts of 16 bits: the others are not read.
    pub async fn photos_alike(
        &self,
        sha256: &str,
        fingerprint: u128,
        alike: impl Fn(u128, u128) -> bool,
    ) -> Result<u64> {
        alike_photos(&mut self.read().await?, sha256, fingerprint, alike).await
    }
}

/// As [`Ledger::photos_alike`].
pub(super) async fn alike_photos(
    db: &mut impl Db,
    sha256: &str,
    fingerprint: u128,
    alike: impl Fn(u128, u128) -> bool,
) -> Result<u64> {
    let digits = format!("{fingerprint:032x}");
    let mut query = sqlx::query(
        "SELECT fingerprint FROM photos WHERE sha256 <> $1 AND ( \
             substr(fingerprint, 1, 4) = $2 OR substr(fingerprint, 5, 4) = $3 OR \
             substr(fingerprint, 9, 4) = $4 OR substr(fingerprint, 13, 4) = $5 OR \
             substr(fingerprint, 17, 4) = $6 OR substr(fingerprint, 21, 4) = $7 OR \
             substr(fingerprint, 25, 4) = $8 OR substr(fingerprint, 29, 4) = $9)",
    )
    .bind(sha256);
    for part in 0..8 {
        query = query.bind(digits[4 * part..4 * part + 4].to_owned());
    }
    let mut rows = query.fetch(db.conn());
    let mut n = 0;
    while let Some(row) = rows.try_next().await? {
        let other = row.parsed("fingerprint", hexadecimal)?;
        n += u64::from(alike(fingerprint, other));
    }
    Ok(n)
}

/// The originals that rows name and whose digest begins with this byte; and whether it has to be
/// there: a photo's or a sample's, or only evidence.
pub async fn originals(db: &mut impl Db, first: u8) -> Result<BTreeMap<String, bool>> {
    let mut named = BTreeMap::new();
    // hexadecimal digits come before `g` in every order of texts
    let (from, to) = (format!("{first:02x}"), format!("{first:02x}g"));
    for (select, is_photo) in [
        (
            "SELECT sha256 FROM evidence_links WHERE sha256 >= $1 AND sha256 < $2",
            false,
        ),
        (
            "SELECT photo_sha256 AS sha256 FROM occurrences WHERE photo_sha256 >= $1 AND photo_sha256 < $2",
            false,
        ),
        (
            "SELECT photo_sha256 AS sha256 FROM bank_samples WHERE photo_kept = 1 AND photo_sha256 >= $1 AND photo_sha256 < $2",
            true,
        ),
        (
            "SELECT sha256 FROM photos WHERE sha256 >= $1 AND sha256 < $2",
            true,
        ),
    ] {
        let mut rows = sqlx::query(select)
            .bind(from.clone())
            .bind(to.clone())
            .fetch(db.conn());
        while let Some(row) = rows.try_next().await? {
            named.insert(row.text("sha256")?, is_photo);
        }
    }
    Ok(named)
}

pub(super) fn hexadecimal(text: &str) -> Option<u128> {
    u128::from_str_radix(text, 16).ok()
}

impl Entity for Photo {
    fn from_row(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            enterprise_id: row.id("enterprise_id")?,
            site_id: row.id("site_id")?,
            time_zone: row.text("time_zone")?,
            inspection_id: row.maybe_id("inspection_id")?,
            account_id: row.id("account_id")?,
            name: row.text("name")?,
            sha256: row.text("sha256")?,
            bytes: row.int("bytes")?.unsigned_abs(),
            taken: Taken::from_row(row)?,
            received_at: row.time("received_ms")?,
            state: row.parsed("state", PhotoState::parse)?,
            record: row
                .maybe_text("record")?
                .map(|text| from_json(&text))
                .transpose()?,
            decided_by: row
                .maybe_text("context_data")?
                .map(|text| from_json(&text))
                .transpose()?,
            fingerprint: row.maybe("fingerprint", hexadecimal)?,
        })
    }

    fn id(&self) -> Id {
        self.id
    }
}
