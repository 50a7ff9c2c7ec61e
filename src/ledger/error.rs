//! What can go wrong, said so that a face can choose a status and a next step.

use std::path::PathBuf;

use crate::id::Id;

/// An error of the ledger.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such thing.
    #[error("there is no {what} {id}")]
    NotFound {
        /// `finding`, `site`, …
        what: &'static str,
        /// As asked for.
        id: String,
    },
    /// Somebody else was faster: `If-Match` does not hold.
    #[error(
        "{what} {id} is at version {current}, not {expected}: read it again, then repeat the change if it still fits"
    )]
    Conflict {
        /// `finding`, `inspection`, …
        what: &'static str,
        /// Of what.
        id: Id,
        /// Version that the caller had read.
        expected: i64,
        /// Version in the ledger.
        current: i64,
    },
    /// The rules of the state machine forbid the step.
    #[error(transparent)]
    Refused(#[from] crate::finding::Refusal),
    /// A value that cannot be stored; the message says what would do.
    #[error("{field}: {problem}")]
    Invalid {
        /// Name of the field.
        field: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// Something unique is there already.
    #[error("there is already a {what} with {value}: use that one ({existing})")]
    Duplicate {
        /// `enterprise`, …
        what: &'static str,
        /// What is taken.
        value: String,
        /// Who has it.
        existing: Id,
    },
    /// Another process works on the same ledger.
    #[error("{0} is in use by another sitewarden: stop that one, or give another --data folder")]
    Locked(String),
    /// The folder cannot be used.
    #[error("cannot use the data folder {path}: {source}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The schema could not be brought up to date.
    #[error("the ledger's schema could not be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The disk is full: nothing was written.
    #[error("the disk is full: nothing of this change was kept; make room, then repeat it")]
    DiskFull,
    /// Too much to do: nobody could get a connection in time.
    #[error("the ledger is busy: repeat the request in a few seconds")]
    Busy,
    /// What the database holds does not read back.
    #[error("the ledger holds something unreadable: {0}; run `sitewarden ledger check`")]
    Corrupt(String),
    /// Anything else from the database.
    #[error("database: {0}")]
    Database(sqlx::Error),
}

impl Error {
    /// For a value that cannot be stored.
    pub fn invalid(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            problem: problem.into(),
        }
    }

    /// For something asked for that is not there.
    pub fn not_found(what: &'static str, id: impl ToString) -> Self {
        Self::NotFound {
            what,
            id: id.to_string(),
        }
    }
}

/// SQLite's extended result code for no room for the index of its log.
const SQLITE_IOERR_SHMSIZE: i64 = 10 | 19 << 8;
/// SQLite's primary result codes for "database is locked" and "database or disk is full".
const SQLITE_BUSY: i64 = 5;
const SQLITE_FULL: i64 = 13;
/// PostgreSQL's SQLSTATE for a full disk.
const POSTGRES_DISK_FULL: &str = "53100";

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut => return Self::Busy,
            sqlx::Error::Database(inner) => {
                let code = inner.code().unwrap_or_default().into_owned();
                if code == POSTGRES_DISK_FULL {
                    return Self::DiskFull;
                }
                if code.parse() == Ok(SQLITE_IOERR_SHMSIZE) {
                    return Self::DiskFull;
                }
                // SQLite's extended codes carry the primary one in their low byte
                match code.parse::<i64>().map(|c| c & 0xff) {
                    Ok(SQLITE_FULL) => return Self::DiskFull,
                    Ok(SQLITE_BUSY) => return Self::Busy,
                    _ => {}
                }
            }
            _ => {}
        }
        Self::Database(error)
    }
}

/// Result of the ledger.
pub type Result<T, E = Error> = std::result::Result<T, E>;
