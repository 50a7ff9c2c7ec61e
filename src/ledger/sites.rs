//! Where an enterprise works: sites, their points and cameras.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::any::AnyRow;

use super::events::NewEvent;
use super::page::{self, Conditions, Entity};
use super::sql::{Bind, Columns};
use super::{Db, Error, Page, Paged, Result, Scope, Tx, enterprises, required};
use crate::id::Id;

/// A place where an enterprise works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Site {
    /// Which.
    pub id: Id,
    /// Whose.
    pub enterprise_id: Id,
    /// Name.
    pub name: String,
    /// Address.
    pub address: String,
    /// IANA name, for example `Asia/Shanghai`: deadlines are days there.
    pub time_zone: String,
    /// When it was entered.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// For `If-Match`.
    pub version: i64,
}

impl Site {
    /// The site's time zone.
    pub fn tz(&self) -> Result<TimeZone> {
        time_zone(&self.time_zone)
    }
}

/// The time zone of an IANA name.
pub fn time_zone(name: &str) -> Result<TimeZone> {
    // an offset or a POSIX rule has no history of daylight-saving changes
    TimeZone::get(name).map_err(|_| {
        Error::invalid(
            "time_zone",
            format!("`{name}` is no IANA time zone: give one like Asia/Shanghai or Europe/Berlin"),
        )
    })
}

/// What is told of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct NewSite {
    /// Name.
    pub name: String,
    /// Address.
    #[serde(default)]
    pub address: String,
    /// IANA name.
    pub time_zone: String,
}

impl Entity for Site {
    fn from_row(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            enterprise_id: row.id("enterprise_id")?,
            name: row.text("name")?,
            address: row.text("address")?,
            time_zone: row.text("time_zone")?,
            created_at: row.time("created_ms")?,
            version: row.int("version")?,
        })
    }

    fn id(&self) -> Id {
        self.id
    }
}

/// Adds a site.
pub async fn create(tx: &mut Tx, enterprise_id: Id, new: &NewSite) -> Result<Site> {
    enterprises::get(tx, enterprise_id).await?;
    required("name", &new.name)?;
    time_zone(&new.time_zone)?;
    let site = Site {
        id: tx.new_id(),
        enterprise_id,
        name: new.name.clone(),
        address: new.address.clone(),
        time_zone: new.time_zone.clone(),
        created_at: tx.now(),
        version: 1,
    };
    sqlx::query(
        "INSERT INTO sites (id, enterprise_id, name, address, time_zone, created_ms, version) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .id(site.id)
    .id(enterprise_id)
    .bind(site.name.clone())
    .bind(site.address.clone())
    .bind(site.time_zone.clone())
    .time(site.created_at)
    .bind(site.version)
    .execute(tx.conn())
    .await?;
    record(
        tx,
        "site.created",
        "site",
        site.id,
        enterprise_id,
        json!(site),
    )
    .await?;
    Ok(site)
}

/// Changes name, address and time zone. Deadlines that are set keep their instant.
pub async fn update(tx: &mut Tx, id: Id, expected: Option<i64>, new: &NewSite) -> Result<Site> {
    let old = get(tx, id).await?;
    super::check_version("site", id, expected, old.version)?;
    required("name", &new.name)?;
    time_zone(&new.time_zone)?;
    let site = Site {
        name: new.name.clone(),
        address: new.address.clone(),
        time_zone: new.time_zone.clone(),
        version: old.version + 1,
        ..old
    };
    sqlx::query(
        "UPDATE sites SET name = $1, address = $2, time_zone = $3, version = $4 WHERE id = $5",
    )
    .bind(site.name.clone())
    .bind(site.address.clone())
    .bind(site.time_zone.clone())
    .bind(site.version)
    .id(id)
    .execute(tx.conn())
    .await?;
    record(
        tx,
        "site.changed",
        "site",
        id,
        site.enterprise_id,
        json!(site),
    )
    .await?;
    Ok(site)
}

async fn record(
    tx: &mut Tx,
    kind: &'static str,
    entity: &'static str,
    entity_id: Id,
    enterprise_id: Id,
    data: serde_json::Value,
) -> Result<()> {
    tx.record(NewEvent {
        kind,
        entity,
        entity_id,
        enterprise_id: Some(enterprise_id),
        context: None,
        data,
    })
    .await?;
    Ok(())
}

/// One site.
pub async fn get(db: &mut impl Db, id: Id) -> Result<Site> {
    page::get(db, "site", "SELECT * FROM sites WHERE id = $1", id).await
}

/// A page of sites, newest first.
pub async fn list(
    db: &mut impl Db,
    scope: &Scope,
    enterprise_id: Option<Id>,
    page: &Page,
) -> Result<Paged<Site>> {
    let mut conditions = Conditions::default();
    conditions.and_scope("enterprise_id", scope);
    conditions.and_maybe("enterprise_id = {}", enterprise_id);
    page::list(db, "SELECT * FROM sites", conditions, page).await
}

/// The ids of the sites that `scope` holds; none when it holds all.
pub async fn ids_in(db: &mut impl Db, scope: &Scope) -> Result<Option<BTreeSet<String>>> {
    if *scope == Scope::All {
        return Ok(None);
    }
    let mut conditions = Conditions::default();
    conditions.and_scope("enterprise_id", scope);
    let rows = conditions.query("SELECT id FROM sites", "");
    let rows = rows.fetch_all(db.conn()).await?;
    rows.iter()
        .map(|row| row.text("id"))
        .collect::<Result<_>>()
        .map(Some)
}

/// A place within a site that inspections go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Point {
    /// Which.
    pub id: Id,
    /// Of which site.
    pub site_id: Id,
    /// Name.
    pub name: String,
    /// The zone that findings there belong to.
    pub zone: String,
}

impl Entity for Point {
    fn from_row(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            site_id: row.id("site_id")?,
            name: row.text("name")?,
            zone: row.text("zone")?,
        })
    }

    fn id(&self) -> Id {
        self.id
    }
}

/// Adds a point.
pub async fn add_point(tx: &mut Tx, site_id: Id, name: &str, zone: &str) -> Result<Point> {
    let site = get(tx, site_id).await?;
    required("name", name)?;
    let point = Point {
        id: tx.new_id(),
        site_id,
        name: name.to_owned(),
        zone: zone.to_owned(),
    };
    let now = tx.now();
    sqlx::query(
        "INSERT INTO points (id, site_id, name, zone, created_ms) VALUES ($1, $2, $3, $4, $5)",
    )
    .id(point.id)
    .id(site_id)
    .bind(point.name.clone())
    .bind(point.zone.clone())
    .time(now)
    .execute(tx.conn())
    .await?;
    record(
        tx,
        "point.created",
        "point",
        point.id,
        site.enterprise_id,
        json!(point),
    )
    .await?;
    Ok(point)
}

/// A page of a site's points, newest first.
pub async fn points(db: &mut impl Db, site_id: Id, page: &Page) -> Result<Paged<Point>> {
    let mut conditions = Conditions::default();
    conditions.and("site_id = {}", [site_id.into()]);
    page::list(db, "SELECT * FROM points", conditions, page).await
}

/// A camera of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Camera {
    /// Which.
    pub id: Id,
    /// Of which site.
    pub site_id: Id,
    /// At which point, if at one.
    pub point_id: Option<Id>,
    /// Name.
    pub name: String,
    /// Name of its source in the configuration. No address is taken from a user.
    pub source: String,
    /// Since when it is watched no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub retired_at: Option<Timestamp>,
}

impl Entity for Camera {
    fn from_row(row: &AnyRow) -> Result<Self> {
        Ok(Self {
            id: row.id("id")?,
            site_id: row.id("site_id")?,
            point_id: row.maybe_id("point_id")?,
            name: row.text("name")?,
            source: row.text("source")?,
            retired_at: row.maybe_time("retired_ms")?,
        })
    }

    fn id(&self) -> Id {
        self.id
    }
}

/// Adds a camera.
pub async fn add_camera(
    tx: &mut Tx,
    site_id: Id,
    point_id: Option<Id>,
    name: &str,
    source: &str,
) -> Result<Camera> {
    let site = get(tx, site_id).await?;
    required("name", name)?;
    super::name("source", source)?;
    if source.contains("://") {
        return Err(Error::invalid(
            "source",
            "must be the name of a source in the configuration, not an address",
        ));
    }
    // else each hazard would be filed twice, perhaps with another enterprise
    let taken = sqlx::query("SELECT id FROM cameras WHERE source = $1 AND retired_ms IS NULL")
        .bind(source.to_owned())
        .fetch_optional(tx.conn())
        .await?;
    if taken.is_some() && !source.is_empty() {
        return Err(Error::invalid(
            "source",
            "belongs to a camera already; retire that one first",
        ));
    }
    if let Some(point_id) = point_id {
        let point: Point =
            page::get(tx, "point", "SELECT * FROM points WHERE id = $1", point_id).await?;
        if point.site_id != site_id {
            return Err(Error::invalid("point_id", "is a point of another site"));
        }
    }
    let camera = Camera {
        id: tx.new_id(),
        site_id,
        point_id,
        name: name.to_owned(),
        source: source.to_owned(),
        retired_at: None,
    };
    let now = tx.now();
    sqlx::query(
        "INSERT INTO cameras (id, site_id, point_id, name, source, created_ms) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .id(camera.id)
    .id(site_id)
    .maybe_id(point_id)
    .bind(camera.name.clone())
    .bind(camera.source.clone())
    .time(now)
    .execute(tx.conn())
    .await?;
    record(
        tx,
        "camera.created",
        "camera",
        camera.id,
        site.enterprise_id,
        json!(camera),
    )
    .await?;
    Ok(camera)
}

/// Retires a camera: it is watched no more, and what it has seen stays. Its source is free for another one.
pub async fn retire_camera(tx: &mut Tx, id: Id) -> Result<Camera> {
    let old = camera(tx, id).await?;
    if old.retired_at.is_some() {
        return Ok(old);
    }
    let now = tx.now();
    sqlx::query("UPDATE cameras SET retired_ms = $1 WHERE id = $2")
        .time(now)
        .id(id)
        .execute(tx.conn())
        .await?;
    let camera = Camera {
        retired_at: Some(now),
        ..old
    };
    let site = get(tx, camera.site_id).await?;
    let (kind, data) = ("camera.retired", json!(camera));
    record(tx, kind, "camera", id, site.enterprise_id, data).await?;
    Ok(camera)
}

/// One camera.
pub async fn camera(db: &mut impl Db, id: Id) -> Result<Camera> {
    page::get(db, "camera", "SELECT * FROM cameras WHERE id = $1", id).await
}

/// Every camera that is not retired.
pub async fn all_cameras(db: &mut impl Db) -> Result<Vec<Camera>> {
    let rows = sqlx::query("SELECT * FROM cameras WHERE retired_ms IS NULL ORDER BY id")
        .fetch_all(db.conn())
        .await?;
    rows.iter().map(Camera::from_row).collect()
}

/// The zone of a point, if it names one.
pub async fn zone_of_point(db: &mut impl Db, point: Id) -> Result<String> {
    let point: Point = page::get(db, "point", "SELECT * FROM points WHERE id = $1", point).await?;
    Ok(point.zone)
}

/// A page of the cameras of a site, or of all sites in `scope`, that are not retired; newest first.
pub async fn cameras(
    db: &mut impl Db,
    scope: &Scope,
    site_id: Option<Id>,
    page: &Page,
) -> Result<Paged<Camera>> {
    let mut conditions = Conditions::default();
    conditions.and("retired_ms IS NULL", []);
    conditions.and_site_in("site_id", scope);
    conditions.and_maybe("site_id = {}", site_id);
    page::list(db, "SELECT * FROM cameras", conditions, page).await
}
