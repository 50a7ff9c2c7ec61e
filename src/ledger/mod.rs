//! The inspection ledger: what is known about enterprises, what was seen, what was decided,
//! by whom and when. SQLite in the data folder by default, PostgreSQL by URL.
//!
//! There is one writer. [`Ledger::begin`] waits for its turn, so inside a [`Tx`] nothing moves
//! under one's feet on either database; [`Ledger::read`] gives a consistent picture beside it.
//! A [`Tx`] that is dropped without [`Tx::commit`] has never been.
//! Only this room names the database: the service's tables get their files here, too.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sqlx::any::{Any, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, Connection, Executor};

use crate::clock::Clock;
use crate::id::Id;

pub mod accounts;
pub mod bank;
pub mod camera_watch;
pub mod check;
pub mod checklists;
pub mod enterprises;
mod error;
pub mod events;
mod filing;
pub mod findings;
pub mod idempotency;
pub mod inspections;
mod migrations;
pub mod orders;
mod page;
pub mod photos;
pub mod queue;
pub mod sites;
mod sql;
pub mod statistics;
mod tx;
pub mod uploads;

pub use error::{Error, Result};
pub use page::{Page, Paged, Scope};
pub use tx::{Db, Read, Tx};

/// Where the ledger lives.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The data folder; made when missing. Holds `ledger.sqlite` unless there is a URL.
    pub data: PathBuf,
    /// `postgres://…` instead of SQLite; needs a build with the feature `postgres`.
    pub database_url: Option<String>,
    /// Connections for reading.
    pub readers: u32,
}

impl Settings {
    /// SQLite in `data`.
    pub fn folder(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            database_url: None,
            readers: 4,
        }
    }

    /// Whether there is a ledger already, or a server that may have one.
    pub fn exists(&self) -> bool {
        self.database_url.is_some() || self.data.join(FILE).exists()
    }
}

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// A file in the data folder.
    Sqlite,
    /// A server.
    Postgres,
}

/// The ledger. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ledger(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    writer: AnyPool,
    readers: AnyPool,
    backend: Backend,
    clock: Arc<dyn Clock>,
    ids: Mutex<uuid::ContextV7>,
    /// Held as long as the ledger is open.
    _lock: File,
}

/// Name of the database file in the data folder.
const FILE: &str = "ledger.sqlite";
/// Name of the file whose lock says that the folder is in use.
const LOCK: &str = "lock";
/// A child process holds what was open when it was made, until its own program begins.
const FOLDER_LOCK_WAIT: Duration = Duration::from_millis(500);
/// Key of PostgreSQL's advisory lock: "sitewrdn" in ASCII.
const POSTGRES_LOCK: i64 = 0x7369_7465_7772_646e;
/// A server may hold the lock of a process that has just ended for a moment.
const POSTGRES_LOCK_WAIT: Duration = Duration::from_secs(3);
/// How long somebody waits for the writer or a reader.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

impl Ledger {
    /// Opens the ledger, makes it when missing, brings its schema up to date. Refuses a folder or
    /// a database that another process has open.
    pub async fn open(settings: &Settings, clock: Arc<dyn Clock>) -> Result<Self> {
        Self::open_at(settings, clock, i64::MAX).await
    }

    /// Opens with the schema as it was at `version`: for tests of migrations.
    async fn open_at(settings: &Settings, clock: Arc<dyn Clock>, version: i64) -> Result<Self> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);

        let lock = lock_folder(&settings.data)?;
        let (backend, url) = match &settings.database_url {
            None => (Backend::Sqlite, sqlite_url(&settings.data)?),
            Some(url) if url.starts_with("postgres:") || url.starts_with("postgresql:") => {
                if cfg!(not(feature = "postgres")) {
                    return Err(Error::invalid(
                        "database",
                        "this build has no PostgreSQL: build with `--features postgres`, or leave the URL out for SQLite",
                    ));
                }
                (Backend::Postgres, url.clone())
            }
            Some(_) => {
                return Err(Error::invalid(
                    "database",
                    "give a URL that begins with postgres://, or none for SQLite in the data folder",
                ));
            }
        };
        let pool = |connections: u32, writes: bool| {
            AnyPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                // the writer's session holds PostgreSQL's lock: it is not to be closed when idle
                .idle_timeout(None)
                .max_lifetime(None)
                .after_connect(move |conn, _| Box::pin(prepare(conn, backend, writes)))
        };
        // once without the pool, which would try again and again and then only say that it waited
        let mut first = AnyConnection::connect(&url).await?;
        prepare(&mut first, backend, true)
            .await
            .map_err(|e| match e {
                sqlx::Error::Protocol(message) if message == LOCKED => {
                    Error::Locked("the database".to_owned())
                }
                other => other.into(),
            })?;
        first.close().await?;
        let writer = pool(1, true).connect(&url).await?;
        migrations::migrator(backend, version).run(&writer).await?;
        if backend == Backend::Sqlite {
            // figures for the planner where tables have grown; a limited look, fast on any size
            (&writer).execute("PRAGMA optimize = 0x10002").await?;
        }
        let readers = pool(settings.readers.max(1), false).connect(&url).await?;
        Ok(Self(Arc::new(Inner {
            writer,
            readers,
            backend,
            clock,
            ids: Mutex::new(uuid::ContextV7::new()),
            _lock: lock,
        })))
    }

    /// Which database this is.
    pub fn backend(&self) -> Backend {
        self.0.backend
    }

    /// The time by the ledger's clock, to the millisecond, as it is stored.
    pub fn now(&self) -> Timestamp {
        sql::to_millisecond(self.0.clock.now())
    }

    /// A new identifier, greater than all before it as long as the clock does not go back.
    pub fn new_id(&self) -> Id {
        self.0.new_id(self.now())
    }

    /// Closes all connections, the log of SQLite merged into its file. Dropping does, too, but
    /// cannot wait for it.
    pub async fn close(&self) {
        self.0.readers.close().await;
        self.0.writer.close().await;
    }
}

impl Inner {
    fn new_id(&self, now: Timestamp) -> Id {
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let nanoseconds = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
        let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let at = uuid::Timestamp::from_unix(&*ids, seconds, nanoseconds);
        Id::from_uuid(uuid::Uuid::new_v7(at))
    }
}

/// What `prepare` says when another process holds the database.
const LOCKED: &str = "locked";

/// Settings of one connection.
async fn prepare(conn: &mut AnyConnection, backend: Backend, writes: bool) -> sqlx::Result<()> {
    match backend {
        Backend::Sqlite => {
            // FULL: what was answered "accepted" outlives a power cut
            conn.execute(
                "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                 PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -32000",
            )
            .await?;
            if !writes {
                conn.execute("PRAGMA query_only = ON").await?;
            }
        }
        Backend::Postgres => {
            conn.execute("SET TIME ZONE 'UTC'").await?;
            if writes {
                let until = Instant::now() + POSTGRES_LOCK_WAIT;
                while !sqlx::query_scalar::<Any, bool>("SELECT pg_try_advisory_lock($1)")
                    .bind(POSTGRES_LOCK)
                    .fetch_one(&mut *conn)
                    .await?
                {
                    if Instant::now() > until {
                        return Err(sqlx::Error::Protocol(LOCKED.to_owned()));
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
    Ok(())
}

fn lock_folder(folder: &Path) -> Result<File> {
    let failed = |source| Error::Folder {
        path: folder.to_owned(),
        source,
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(LOCK))
        .map_err(failed)?;
    let until = Instant::now() + FOLDER_LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(Error::Locked(folder.display().to_string()));
            }
            Err(std::fs::TryLockError::Error(e)) => return Err(failed(e)),
        }
    }
}

/// Makes the database file when missing, for its owner alone: it holds accounts and what people were found
/// doing. SQLite gives its journals the same rights.
fn sqlite_url(folder: &Path) -> Result<String> {
    let failed = |source| Error::Folder {
        path: folder.to_owned(),
        source,
    };
    let path = std::path::absolute(folder.join(FILE)).map_err(failed)?;
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&path).map_err(failed)?;
    let path = path
        .to_str()
        .ok_or_else(|| Error::invalid("data", "the folder's name must be UTF-8"))?
        .replace('%', "%25")
        .replace('?', "%3F")
        .replace('#', "%23");
    Ok(format!("sqlite://{path}?mode=rw"))
}

/// Longest name, characters.
const LONGEST_NAME: usize = 300;

/// Refuses what is no name: too long, or with characters that no page nor terminal can show.
fn name(field: &'static str, text: &str) -> Result<()> {
    if text.chars().count() > LONGEST_NAME {
        let problem = format!("must not be longer than {LONGEST_NAME} characters");
        return Err(Error::invalid(field, problem));
    }
    if text.chars().any(char::is_control) {
        let problem = "must not have line breaks nor other control characters";
        return Err(Error::invalid(field, problem));
    }
    Ok(())
}

/// Refuses an empty name.
fn required(field: &'static str, text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Err(Error::invalid(field, "must not be empty"));
    }
    name(field, text)
}

/// `If-Match`: refuses a change that was made for another version.
fn check_version(what: &'static str, id: Id, expected: Option<i64>, current: i64) -> Result<()> {
    match expected {
        Some(expected) if expected != current => Err(Error::Conflict {
            what,
            id,
            expected,
            current,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
