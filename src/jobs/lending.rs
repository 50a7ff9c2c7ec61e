//! A bank as one file: written for another office, and taken over from one.

use std::collections::BTreeSet;
use std::io::{BufRead, Seek, Write};

use serde_json::json;

use crate::bank::portable::{self, Head, Line, PortableError, Writer};
use crate::bank::{Bank, EmbedderId};
use crate::embedding::Embedding;
use crate::evidence::{Digest, EvidenceError, Store};
use crate::ledger::bank::{self as rows, Change, NewSample};
use crate::ledger::{self, Tx};
use crate::pipeline::bank::Cutter;
use crate::pipeline::photo::JudgeError;
use crate::source::photo::PhotoLimits;

/// Why a bank is not lent or not taken. Every message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum LendError {
    /// A name that would not tell one office from another.
    #[error(
        "name the office: 1 to {LONGEST_OFFICE} characters, without a slash nor control characters"
    )]
    Office,
    /// The file.
    #[error(transparent)]
    File(#[from] PortableError),
    /// Signed, and yet wrong: whoever has the key made it so.
    #[error(
        "a photo in it is not the one that its name says ({0}): ask its office for another file"
    )]
    Photo(String),
    /// Nothing that a sample could be cut out of.
    #[error("the photo {sha256} in it cannot be used ({source}): ask its office for another file")]
    NoPhoto {
        /// Its digest.
        sha256: String,
        /// Why.
        source: JudgeError,
    },
    /// Nothing in it.
    #[error("it holds no samples: ask its office whether that was meant")]
    Empty,
    /// Made by something that calls itself as the embedder here.
    #[error(
        "its embeddings have {has} values, those of {embedder} have {needs}: whoever lent it did not make it \
         with that embedder; ask for another file"
    )]
    Dimensions {
        /// In the file.
        has: usize,
        /// Whose name they bear.
        embedder: String,
        /// Of that embedder here.
        needs: usize,
    },
    /// A photo in it could not be kept.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The ledger refuses it.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
}

impl From<std::io::Error> for LendError {
    fn from(error: std::io::Error) -> Self {
        Self::File(error.into())
    }
}

/// Longest name of an office, characters.
const LONGEST_OFFICE: usize = 100;

/// The name of an office, trimmed.
///
/// # Errors
/// [`LendError::Office`].
pub fn office(name: &str) -> Result<&str, LendError> {
    let name = name.trim();
    // nor what turns the direction of writing: it would look like another
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let wrong = |c: char| c.is_control() || c == '/' || turns(c);
    if name.is_empty() || name.chars().count() > LONGEST_OFFICE || name.contains(wrong) {
        return Err(LendError::Office);
    }
    Ok(name)
}

/// Refuses a key that somebody could guess.
///
/// # Errors
/// [`PortableError::Key`].
pub fn check_key(key: &[u8]) -> Result<(), LendError> {
    Ok(portable::check_key(key)?)
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    /// Samples.
    pub samples: usize,
    /// Photos that are not here, or larger than 128 MiB: their samples go with embeddings only.
    pub without_photo: usize,
}

/// Writes a bank under a signature; photos out of `store` if they are to go with it.
///
/// # Errors
/// The office's name, the key, or what the system said.
pub fn export(
    out: impl Write,
    key: &[u8],
    name: &str,
    bank: &Bank,
    store: Option<&Store>,
) -> Result<Exported, LendError> {
    let head = Head::new(
        office(name)?.to_owned(),
        bank.version(),
        bank.embedder().clone(),
        store.is_some(),
    );
    let mut samples: Vec<_> = bank.samples().collect();
    samples.sort_by_key(|(sample, _)| sample.id);
    let mut written = BTreeSet::new();
    let mut without_photo = 0;
    let mut writer = Writer::new(out, key, &head)?;
    for (sample, row) in &samples {
        if let Some(store) = store
            && written.insert(&sample.photo_sha256)
        {
            let digest = sample.photo_sha256.parse::<Digest>();
            match digest.ok().and_then(|d| store.read(&d).ok()) {
                Some(bytes) if writer.picture(&sample.photo_sha256, &bytes)? => {}
                _ => without_photo += 1,
            }
        }
        let embedding = Embedding::new(row.to_vec()).map_err(std::io::Error::other)?;
        writer.sample(sample, &embedding)?;
    }
    writer.finish()?;
    Ok(Exported {
        samples: samples.len(),
        without_photo,
    })
}

/// Writes down that a bank was lent: photos may have left the house with it.
///
/// # Errors
/// What the ledger said.
pub async fn note_export(
    tx: &mut Tx,
    name: &str,
    bank: &Bank,
    pictures: bool,
) -> ledger::Result<()> {
    let data = json!({
        "version": bank.version(), "office": name.trim(), "samples": bank.len(), "pictures": pictures,
    });
    rows::note(tx, "bank.exported", data).await
}

/// The samples of a file whose signature was checked.
#[derive(Debug)]
pub struct Offer {
    /// Whose.
    pub head: Head,
    samples: Vec<NewSample>,
}

impl Offer {
    /// Reads a file; its photos are kept when this returns. `known` is the embedder here, if there is one.
    ///
    /// # Errors
    /// What does not go: nothing of the file is used before its signature was checked.
    pub fn read(
        mut input: impl BufRead + Seek,
        key: &[u8],
        store: &Store,
        limits: &PhotoLimits,
        known: Option<&EmbedderId>,
    ) -> Result<Self, LendError> {
        let lines = portable::verify(&mut input, key)?;
        input.rewind()?;
        let mut kept = BTreeSet::new();
        let mut samples = Vec::new();
        let head = portable::read(&mut input, lines, |head, line| {
            office(&head.office)?;
            if let Some(known) = known.filter(|known| known.version == head.embedder.version)
                && *known != head.embedder
            {
                return Err(LendError::Dimensions {
                    has: head.embedder.dimensions,
                    embedder: known.version.clone(),
                    needs: known.dimensions,
                });
            }
            match line {
                Line::Picture { sha256, data } => {
                    if Digest::of(&data).to_string() != sha256 {
                        return Err(LendError::Photo(sha256));
                    }
                    Cutter::new(&data, limits).map_err(|source| LendError::NoPhoto {
                        sha256: sha256.clone(),
                        source,
                    })?;
                    store.put(&data)?;
                    kept.insert(sha256);
                }
                Line::Sample { sample, embedding } => {
                    let mut place = sample.place;
                    // sites of two offices are two sites, whatever they are called
                    place.site = format!("{}/{}", head.office, place.site);
                    samples.push(NewSample {
                        role: sample.role,
                        hazard: sample.hazard,
                        scope: sample.scope,
                        place,
                        photo_kept: kept.contains(&sample.photo_sha256),
                        photo_sha256: sample.photo_sha256,
                        area: sample.area,
                        mask: sample.mask,
                        origin: format!("import:{}", head.office),
                        finding_id: None,
                        embedding: Some((head.embedder.clone(), embedding)),
                    });
                }
            }
            Ok(())
        })?;
        if samples.is_empty() {
            return Err(LendError::Empty);
        }
        Ok(Self { head, samples })
    }

    /// Kinds of hazards in it that are not `known` here: samples of them are found by a search, but no photo can
    /// be a candidate by them.
    pub fn unknown_kinds(&self, known: impl Fn(&str) -> bool) -> Vec<String> {
        let codes: BTreeSet<&String> = self.samples.iter().flat_map(|s| &s.hazard).collect();
        let unknown = codes.into_iter().filter(|code| !known(code));
        unknown.cloned().collect()
    }

    /// Takes its samples over.
    ///
    /// # Errors
    /// What the ledger refuses.
    pub async fn take(&self, tx: &mut Tx) -> ledger::Result<Change> {
        rows::add(tx, &self.samples).await
    }
}
