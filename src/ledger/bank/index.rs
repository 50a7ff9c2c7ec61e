//! The embeddings once more in a file of their own: read in a fraction of the time that the rows
//! take. Never the only copy: what is missing, old, of another embedder or damaged is made anew out of
//! the rows.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::{Db, Error, Result};
use super::{Loaded, version};
use crate::bank::{Bank, EmbedderId, MOST_DIMENSIONS};
use crate::embedding::Embedding;
use crate::id::Id;

/// Name of the file in the data folder.
const FILE: &str = "bank.index";
const MAGIC: &[u8; 16] = b"sitewarden-bank1";
const DIGEST: usize = 32;

/// What the index was good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexState {
    /// It held all that was asked for.
    Current,
    /// There was none, or one of an older version or another embedder: made anew.
    Renewed,
    /// It was damaged, so that it was made anew; what was wrong.
    Damaged(String),
}

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    version: i64,
    embedder: EmbedderId,
    samples: Vec<Id>,
}

/// An index that was read.
struct Index {
    head: Head,
    rows: HashMap<Id, Embedding>,
}

fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// None when there is none.
fn read(folder: &Path) -> Result<Option<Index>, String> {
    let file = path(folder);
    // a pipe would be read for ever
    if std::fs::metadata(&file).is_ok_and(|m| !m.is_file()) {
        return Err("it is no regular file".to_owned());
    }
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.to_string()),
    };
    let body = bytes
        .len()
        .checked_sub(DIGEST)
        .ok_or("the file is cut off")?;
    let (body, digest) = bytes.split_at(body);
    if Sha256::digest(body).as_slice() != digest {
        return Err("its digest does not fit its content".to_owned());
    }
    let rest = body
        .strip_prefix(MAGIC)
        .ok_or("it is no index of a sample bank")?;
    let (length, rest) = rest.split_at_checked(8).ok_or("the file is cut off")?;
    let length = length
        .try_into()
        .map(u64::from_le_bytes)
        .unwrap_or(u64::MAX);
    let (head, rest) = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length))
        .ok_or("the file is cut off")?;
    let head: Head = serde_json::from_slice(head).map_err(|e| e.to_string())?;
    let row = head.embedder.dimensions * size_of::<f32>();
    if !(1..=MOST_DIMENSIONS).contains(&head.embedder.dimensions)
        || rest.len() != row * head.samples.len()
    {
        return Err("it does not hold as many numbers as it says".to_owned());
    }
    let mut rows = HashMap::with_capacity(head.samples.len());
    for (id, values) in head.samples.iter().zip(rest.chunks_exact(row)) {
        let embedding = Embedding::from_le_bytes(values).map_err(|e| e.to_string())?;
        rows.insert(*id, embedding);
    }
    Ok(Some(Index { head, rows }))
}

/// Writes the file anew: whole, or not at all. Not made durable: it can be made again.
fn write(folder: &Path, bank: &Bank) -> std::io::Result<()> {
    let rows: Vec<_> = bank.samples().collect();
    let head = Head {
        version: bank.version(),
        embedder: bank.embedder().clone(),
        samples: rows.iter().map(|(sample, _)| sample.id).collect(),
    };
    let head = serde_json::to_vec(&head)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    let mut digest = Sha256::new();
    {
        let mut out = std::io::BufWriter::with_capacity(1 << 20, file.as_file_mut());
        let mut put = |bytes: &[u8]| {
            digest.update(bytes);
            out.write_all(bytes)
        };
        put(MAGIC)?;
        put(&(head.len() as u64).to_le_bytes())?;
        put(&head)?;
        let mut bytes = Vec::new();
        for (_, row) in rows {
            bytes.clear();
            bytes.extend(row.iter().flat_map(|v| v.to_le_bytes()));
            put(&bytes)?;
        }
        out.write_all(&digest.finalize())?;
        out.flush()?;
    }
    file.persist(path(folder)).map_err(|e| e.error)?;
    Ok(())
}

/// As [`super::load`] of the newest version, by the index in `folder` where it helps; the index is
/// renewed where it did not.
pub async fn load(
    db: &mut impl Db,
    folder: &Path,
    embedder: &EmbedderId,
) -> Result<(Loaded, IndexState)> {
    let newest = version(db).await?;
    let (index, mut state) = match read(folder) {
        Ok(Some(index)) if index.head.embedder == *embedder && index.head.version <= newest => {
            let current = index.head.version == newest;
            let state = if current {
                IndexState::Current
            } else {
                IndexState::Renewed
            };
            (Some(index), state)
        }
        Ok(_) => (None, IndexState::Renewed),
        Err(problem) => (None, IndexState::Damaged(problem)),
    };
    let known = |id: Id| {
        index
            .as_ref()
            .and_then(|index| index.rows.get(&id).cloned())
    };
    let loaded = super::load(db, embedder, None, known).await?;
    let held = index.as_ref().map_or(0, |index| index.rows.len());
    if state == IndexState::Current && held != loaded.bank.len() {
        // embedded since
        state = IndexState::Renewed;
    }
    if state != IndexState::Current {
        write(folder, &loaded.bank).map_err(|source| Error::Folder {
            path: path(folder),
            source,
        })?;
    }
    Ok((loaded, state))
}

/// What is wrong with the index in `folder`, held against the rows; nothing when there is none.
pub async fn compare(db: &mut impl Db, folder: &Path) -> Result<Vec<String>> {
    let index = match read(folder) {
        Ok(None) => return Ok(Vec::new()),
        Ok(Some(index)) => index,
        Err(problem) => {
            let path = path(folder).display().to_string();
            return Ok(vec![format!(
                "the bank's index {path} is damaged ({problem}): it is made anew when the bank is next \
                 used; nothing is lost"
            )]);
        }
    };
    let newest = version(db).await?;
    if index.head.version > newest {
        return Ok(vec![format!(
            "the bank's index is of version {}, the rows are of {newest}: was the ledger put back from a \
             backup? Delete bank.index",
            index.head.version
        )]);
    }
    let rows = super::load(db, &index.head.embedder, Some(index.head.version), |_| None).await?;
    let mut problems = Vec::new();
    for (sample, row) in rows.bank.samples() {
        // one that was embedded after the index was written is not in it
        if let Some(held) = index.rows.get(&sample.id)
            && !held
                .values()
                .iter()
                .zip(row)
                .all(|(a, b)| a.to_bits() == b.to_bits())
        {
            problems.push(format!(
                "the bank's index has another embedding of sample {}",
                sample.id
            ));
        }
    }
    let alive: std::collections::HashSet<Id> =
        rows.bank.samples().map(|(sample, _)| sample.id).collect();
    for id in index.head.samples.iter().filter(|id| !alive.contains(id)) {
        problems.push(format!(
            "the bank's index has sample {id}, which its version has not"
        ));
    }
    Ok(problems)
}
