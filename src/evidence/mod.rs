//! Originals, kept as received: a folder of files named by the SHA-256 of their content.
//!
//! A file is written whole under another name, made durable, renamed into place, and its folder
//! made durable; only then may a row of the ledger name it. A crash in between leaves a file
//! that no row names, never a row without its file. Nothing here overwrites an original; only
//! [`Store::remove_orphan`] deletes, what no row names.

mod digest;
mod write;

#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use digest::{Digest, DigestError};

/// `[evidence]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvidenceConfig {
    /// New originals are refused while the disk has less room than this, bytes: the ledger must
    /// still be able to write.
    pub min_free_bytes: u64,
}

impl Default for EvidenceConfig {
    fn default() -> Self {
        Self {
            min_free_bytes: 256 << 20,
        }
    }
}

/// Why evidence could not be kept or given.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// No room for new work.
    #[error(
        "the disk of the evidence folder is full: free some space there, or lower \
         evidence.min_free_bytes; nothing that was accepted is lost"
    )]
    Full,
    /// Never stored, or taken away by somebody.
    #[error("evidence {0} is not in the folder: restore it from a backup")]
    Missing(Digest),
    /// The bytes are not those that were received.
    #[error(
        "evidence {stored} was altered on disk (its content is {actual}): restore it from a backup"
    )]
    Altered {
        /// The name, which is the digest of what was received.
        stored: Digest,
        /// The digest of what lies there.
        actual: Digest,
    },
    /// Anything else that the system said.
    #[error("cannot {what} {}: {source}; check that the folder is there and may be written", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl EvidenceError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Io { what, path, source },
        }
    }
}

/// What [`Store::put`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// The name under which it can be read.
    pub digest: Digest,
    /// Length, bytes.
    pub bytes: u64,
    /// Whether these bytes were not there before.
    pub new: bool,
}

/// The evidence folder. Many threads may use it at once, one process only: the ledger's
/// lock on the data folder holds for this one too.
#[derive(Debug)]
pub struct Store {
    originals: PathBuf,
    incoming: PathBuf,
    config: EvidenceConfig,
}

impl Store {
    /// Opens the store in `dir`, making its folders where they are missing. What a crash left
    /// half-written is taken away; no row names it.
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub fn open(dir: &Path, config: EvidenceConfig) -> Result<Self, EvidenceError> {
        let (originals, incoming) = (dir.join("originals"), dir.join("incoming"));
        let make = |path: &Path| {
            fs::create_dir_all(path).map_err(EvidenceError::io("make the folder", path))
        };
        make(&originals)?;
        // all of them now, so that a new file needs only its own folder to be made durable
        for first in 0..=u8::MAX {
            make(&originals.join(format!("{first:02x}")))?;
        }
        if incoming.exists() {
            fs::remove_dir_all(&incoming)
                .map_err(EvidenceError::io("clear the folder", &incoming))?;
        }
        make(&incoming)?;
        sync_folder(&originals)?;
        sync_folder(dir)?;
        Ok(Self {
            originals,
            incoming,
            config,
        })
    }

    /// Keeps these bytes. When this returns, they survive a power cut. Bytes that are already
    /// there are not written again, but made durable and put right if they were altered.
    ///
    /// # Errors
    /// [`EvidenceError::Full`] when there is no room, or what the system said.
    pub fn put(&self, bytes: &[u8]) -> Result<Stored, EvidenceError> {
        let digest = Digest::of(bytes);
        let path = self.path(&digest);
        let stored = |new| Stored {
            digest,
            bytes: bytes.len() as u64,
            new,
        };
        if self.read(&digest).is_ok() {
            // the process that wrote it may have died before it was durable
            File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(EvidenceError::io("make durable", &path))?;
            sync_folder_of(&path)?;
            return Ok(stored(false));
        }
        self.check_room(bytes.len() as u64)?;
        let io = |what| EvidenceError::io(what, &self.incoming);
        let file = write::whole(bytes, &self.incoming).map_err(io("write into"))?;
        file.as_file().sync_all().map_err(io("make durable"))?;
        file.persist(&path)
            .map_err(|e| EvidenceError::io("rename into", &path)(e.error))?;
        sync_folder_of(&path)?;
        Ok(stored(true))
    }

    /// A file without a name, for what has to be seen to its end before any of it is kept.
    ///
    /// # Errors
    /// [`EvidenceError::Full`] when there is no room, or what the system said.
    pub fn spool(&self) -> Result<File, EvidenceError> {
        self.check_room(0)?;
        tempfile::tempfile_in(&self.incoming)
            .map_err(EvidenceError::io("write into", &self.incoming))
    }

    /// The bytes as received, checked against their name.
    ///
    /// # Errors
    /// When they are missing or altered.
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>, EvidenceError> {
        let path = self.path(digest);
        let bytes = fs::read(&path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => EvidenceError::Missing(*digest),
            _ => EvidenceError::io("read", &path)(e),
        })?;
        let actual = Digest::of(&bytes);
        if actual != *digest {
            return Err(EvidenceError::Altered {
                stored: *digest,
                actual,
            });
        }
        Ok(bytes)
    }

    /// Refuses when `wanted` more bytes would leave too little room.
    ///
    /// # Errors
    /// [`EvidenceError::Full`], or when the system cannot tell.
    pub fn check_room(&self, wanted: u64) -> Result<(), EvidenceError> {
        let stat = rustix::fs::statvfs(&self.incoming)
            .map_err(|e| EvidenceError::io("ask for the room in", &self.incoming)(e.into()))?;
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free < wanted.saturating_add(self.config.min_free_bytes) {
            return Err(EvidenceError::Full);
        }
        Ok(())
    }

    /// Every original in the folder whose name begins with this byte, by name.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn list_part(&self, first: u8) -> Result<Vec<Digest>, EvidenceError> {
        let mut all = Vec::new();
        let part = self.originals.join(format!("{first:02x}"));
        for entry in walkdir::WalkDir::new(part).sort_by_file_name() {
            let entry = entry.map_err(|e| EvidenceError::io("list", &self.originals)(e.into()))?;
            if entry.file_type().is_file() {
                all.extend(
                    entry
                        .file_name()
                        .to_str()
                        .and_then(|n| n.parse::<Digest>().ok()),
                );
            }
        }
        Ok(all)
    }

    /// Deletes an original that no row names, while nothing is received.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove_orphan(&self, digest: &Digest) -> Result<(), EvidenceError> {
        let path = self.path(digest);
        fs::remove_file(&path).map_err(EvidenceError::io("delete", &path))?;
        sync_folder_of(&path)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.originals.join(&name[..2]).join(name)
    }
}

fn sync_folder_of(file: &Path) -> Result<(), EvidenceError> {
    file.parent().map_or(Ok(()), sync_folder)
}

/// A name in a folder survives a power cut only once the folder is durable.
fn sync_folder(path: &Path) -> Result<(), EvidenceError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(EvidenceError::io("make durable", path))
}
