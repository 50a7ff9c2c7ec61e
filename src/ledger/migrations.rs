//! The schema, as numbered files that are applied once and never changed afterwards.
//!
//! To add a table: write `migrations/NNNN_name.sql` in the SQL that SQLite and PostgreSQL share
//! (`TEXT`, `BIGINT`, `DOUBLE PRECISION`; times as `…_ms` since 1970 UTC, booleans as 0 or 1,
//! JSON as `TEXT`) and add a line to [`ALL`]. Where the two differ, give both a file.
//! 0001–0099 belong to the core, 0100–0199 to the service (photos, jobs, people, evidence),
//! 0200–0299 to the sample bank.

use std::borrow::Cow;

use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrationType, Migrator};

use super::Backend;

/// One step of the schema.
pub(super) struct Step {
    version: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

/// One file for both databases.
const fn both(version: i64, name: &'static str, sql: &'static str) -> Step {
    Step {
        version,
        name,
        sqlite: sql,
        postgres: sql,
    }
}

/// Every step, in order.
const ALL: &[Step] = &[
    both(1, "core", include_str!("migrations/0001_core.sql")),
    Step {
        version: 2,
        name: "append only",
        sqlite: include_str!("migrations/0002_append_only.sqlite.sql"),
        postgres: include_str!("migrations/0002_append_only.postgres.sql"),
    },
    both(100, "service", include_str!("migrations/0100_service.sql")),
    both(
        101,
        "service: taken by, fingerprints",
        include_str!("migrations/0101_service.sql"),
    ),
    both(
        102,
        "service: versions of answers, lists of uploads",
        include_str!("migrations/0102_service.sql"),
    ),
    both(
        110,
        "cameras: memory, zones",
        include_str!("migrations/0110_cameras.sql"),
    ),
    both(
        111,
        "cameras: retired, pinned",
        include_str!("migrations/0111_cameras.sql"),
    ),
    both(200, "bank", include_str!("migrations/0200_bank.sql")),
    both(201, "bank: masks", include_str!("migrations/0201_bank.sql")),
];

/// Versions of all steps, in order.
#[cfg(test)]
pub(super) fn versions() -> impl Iterator<Item = i64> {
    ALL.iter().map(|step| step.version)
}

/// The steps up to and including `last`.
pub(super) fn migrator(backend: Backend, last: i64) -> Migrator {
    let steps = ALL.iter().filter(|step| step.version <= last);
    Migrator::with_migrations(
        steps
            .map(|step| {
                let sql = match backend {
                    Backend::Sqlite => step.sqlite,
                    Backend::Postgres => step.postgres,
                };
                sqlx::migrate::Migration::new(
                    step.version,
                    Cow::Borrowed(step.name),
                    MigrationType::Simple,
                    sql.into_sql_str(),
                    false,
                )
            })
            .collect(),
    )
}
