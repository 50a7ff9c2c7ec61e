//! Whether the originals in the evidence folder and the photos in the ledger go together. To be asked
//! while nothing is received: an upload writes its originals before its rows.

use crate::evidence::{Digest, EvidenceError, Store};
use crate::ledger::{self, Ledger, photos};

/// What does not go together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Originals that no row names: of uploads that were refused or broke off. Harmless.
    pub orphans: Vec<Digest>,
    /// Digests of photos whose original is gone.
    pub missing: Vec<String>,
}

/// Why it could not be found out.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The evidence folder.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
}

/// What is wrong with the photos that samples of the bank are parts of: they are read, for their embeddings are
/// made of them again whenever the embedder changes. Those that are missing are told by [`compare`].
pub async fn check_samples(ledger: &Ledger, store: &Store) -> Result<Vec<String>, CompareError> {
    let mut problems = Vec::new();
    for sha256 in ledger::bank::photos(&mut ledger.read().await?).await? {
        let Ok(digest) = sha256.parse::<Digest>() else {
            problems.push(format!("a sample of the bank names no photo: {sha256:?}"));
            continue;
        };
        match store.read(&digest) {
            Ok(_) | Err(EvidenceError::Missing(_)) => {}
            Err(error) => problems.push(format!("the photo of a sample of the bank: {error}")),
        }
    }
    Ok(problems)
}

/// Compares names, not contents; a part of the folder at a time.
pub async fn compare(ledger: &Ledger, store: &Store) -> Result<Mismatch, CompareError> {
    let mut found = Mismatch::default();
    let mut db = ledger.read().await?;
    for first in 0..=u8::MAX {
        let stored = store.list_part(first)?;
        let mut named = photos::originals(&mut db, first).await?;
        for digest in stored {
            if named.remove(&digest.to_string()).is_none() {
                found.orphans.push(digest);
            }
        }
        let gone = named.into_iter().filter(|(_, is_photo)| *is_photo);
        found.missing.extend(gone.map(|(sha256, _)| sha256));
    }
    Ok(found)
}
