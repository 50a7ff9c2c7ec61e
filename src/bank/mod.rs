//! The sample bank: what people have confirmed and dismissed, and what a new picture is by it.
//!
//! A [`Bank`] is a set of [`Sample`]s with their embeddings, all of one embedder. What it says depends
//! on the set alone: not on the order of adding, nor on what came and went in between.
//! [`Matcher`] holds a picture against it: confirm, suppress or unknown, never by a bare cosine.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::embedding::Embedding;
use crate::id::Id;

mod calibrate;
mod coarse;
mod decide;
mod gallery;
mod lists;
mod near;
mod owners;
mod policy;
pub mod portable;
mod propose;
pub mod review;
mod ruling;
mod sample;
#[cfg(test)]
mod tests;
mod votes;

pub use calibrate::{Calibration, Calibrations};
pub use decide::Matcher;
pub use gallery::{Gallery, MOST_DIMENSIONS};
pub use owners::Owners;
pub use policy::{Policy, PolicyError};
pub use propose::{Grid, keep_best, same_thing};
pub use ruling::{Reason, Ruling, Verdict};
pub use sample::{Mask, MaskError, Place, Role, Sample, Scope};

/// Why something does not go with a bank. Every message says what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BankError {
    /// Other number of values.
    #[error(
        "an embedding of {has} values does not fit this bank of {needs}: it is of another embedder; \
         embed the pictures again (`sitewarden bank embed`)"
    )]
    Dimensions {
        /// Of the embedding.
        has: usize,
        /// Of the bank.
        needs: usize,
    },
    /// Other embedder, or another version of it.
    #[error(
        "these embeddings are of {has}, this bank is of {needs}: numbers of two embedders mean nothing \
         to each other; embed the pictures again (`sitewarden bank embed`)"
    )]
    Embedder {
        /// Of the embeddings.
        has: String,
        /// Of the bank.
        needs: String,
    },
    /// Twice.
    #[error("sample {0} is in the bank already")]
    Twice(Id),
}

/// Which embedder made the numbers: with another name or version they mean something else.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct EmbedderId {
    /// Name and version, as its manifest says: `site-embed 0.2.0`.
    pub version: String,
    /// Values of an embedding.
    pub dimensions: usize,
}

/// Samples with their embeddings, ready to be asked. A clone shares the groups that neither of both changes.
#[derive(Debug, Clone)]
pub struct Bank {
    version: i64,
    embedder: EmbedderId,
    groups: BTreeMap<Key, Arc<Group>>,
    owners: Owners,
}

/// Hazard code (none: of all kinds) and role.
type Key = (Option<String>, Role);

/// Samples of one kind and role: the row of a sample's embedding is its number.
#[derive(Debug, Clone)]
struct Group {
    gallery: Gallery,
    samples: Vec<Sample>,
    rows: HashMap<Id, usize>,
}

/// A sample and how near it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Neighbour {
    /// Which.
    #[serde(flatten)]
    pub sample: Sample,
    /// Cosine, `-1..=1`.
    pub similarity: f32,
}

impl Bank {
    /// An empty bank at this version of the ledger's.
    pub fn new(version: i64, embedder: EmbedderId) -> Self {
        Self {
            version,
            embedder,
            groups: BTreeMap::new(),
            owners: Owners::default(),
        }
    }

    /// The version of the ledger's bank that this is.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Says which version of the ledger's bank this is after a change.
    pub fn set_version(&mut self, version: i64) {
        self.version = version;
    }

    /// Says who stands behind the sites.
    pub fn set_owners(&mut self, owners: Owners) {
        self.owners = owners;
    }

    /// Whose embeddings these are.
    pub fn embedder(&self) -> &EmbedderId {
        &self.embedder
    }

    /// How many samples.
    pub fn len(&self) -> usize {
        self.groups.values().map(|g| g.samples.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Bytes that the embeddings take.
    pub fn bytes(&self) -> usize {
        self.groups.values().map(|g| g.gallery.bytes()).sum()
    }

    /// Makes search by picture fast where there are many samples ([`Gallery::index_now`]). Decisions look at all.
    pub fn index(&mut self) {
        for group in self.groups.values_mut() {
            if group.gallery.needs_index() {
                Arc::make_mut(group).gallery.index_now();
            }
        }
    }

    /// Whether it has this sample.
    pub fn contains(&self, id: Id) -> bool {
        self.groups.values().any(|g| g.rows.contains_key(&id))
    }

    /// The kinds that have a sample of their own, in order.
    pub fn kinds(&self) -> Vec<&str> {
        let mut kinds: Vec<&str> = self
            .groups
            .keys()
            .filter_map(|(code, _)| code.as_deref())
            .collect();
        kinds.dedup();
        kinds
    }

    /// How many samples there are of a kind (none: of all) in a role.
    pub fn count(&self, hazard: Option<&str>, role: Role) -> usize {
        self.group(hazard, role).map_or(0, |g| g.samples.len())
    }

    /// All samples with their embeddings, by kind and role.
    pub fn samples(&self) -> impl Iterator<Item = (&Sample, &[f32])> {
        self.groups.values().flat_map(|g| {
            g.samples
                .iter()
                .enumerate()
                .map(|(row, sample)| (sample, g.gallery.row(row)))
        })
    }

    fn group(&self, hazard: Option<&str>, role: Role) -> Option<&Arc<Group>> {
        self.groups.get(&(hazard.map(str::to_owned), role))
    }

    /// Refuses an embedding of another size.
    fn fits(&self, embedding: &Embedding) -> Result<(), BankError> {
        let (has, needs) = (embedding.dimensions(), self.embedder.dimensions);
        if has != needs {
            return Err(BankError::Dimensions { has, needs });
        }
        Ok(())
    }

    /// Adds a sample; the next question knows it.
    ///
    /// # Errors
    /// An embedding of another size, or a sample that is there.
    pub fn insert(&mut self, sample: Sample, embedding: &Embedding) -> Result<(), BankError> {
        self.fits(embedding)?;
        if self.contains(sample.id) {
            return Err(BankError::Twice(sample.id));
        }
        let key = (sample.hazard.clone(), sample.role);
        let group = self.groups.entry(key).or_insert_with(|| {
            Arc::new(Group {
                gallery: Gallery::new(self.embedder.dimensions),
                samples: Vec::new(),
                rows: HashMap::new(),
            })
        });
        let group = Arc::make_mut(group);
        group.rows.insert(sample.id, group.samples.len());
        group.gallery.push(embedding.values());
        group.samples.push(sample);
        Ok(())
    }

    /// Takes a sample away; whether it was there.
    pub fn remove(&mut self, id: Id) -> bool {
        let Some((key, group)) = self
            .groups
            .iter_mut()
            .find(|(_, g)| g.rows.contains_key(&id))
        else {
            return false;
        };
        if group.samples.len() == 1 {
            let key = key.clone();
            self.groups.remove(&key);
            return true;
        }
        let group = Arc::make_mut(group);
        if let Some(row) = group.rows.remove(&id) {
            group.gallery.swap_remove(row);
            group.samples.swap_remove(row);
            if let Some(moved) = group.samples.get(row) {
                group.rows.insert(moved.id, row);
            }
        }
        true
    }

    /// The `k` nearest samples of this role, or of any, that are `wanted`, nearest first; equals in the order of
    /// their ids.
    ///
    /// # Errors
    /// An embedding of another size.
    pub fn nearest(
        &self,
        probe: &Embedding,
        k: usize,
        role: Option<Role>,
        wanted: impl Fn(&Sample) -> bool,
    ) -> Result<Vec<Neighbour>, BankError> {
        self.fits(probe)?;
        let mut all: Vec<(f32, &Sample)> = Vec::new();
        let groups = self.groups.iter();
        for (_, group) in groups.filter(|((_, of), _)| role.is_none_or(|role| role == *of)) {
            let hits = group
                .gallery
                .nearest(probe.values(), k, |row| wanted(&group.samples[row]));
            all.extend(
                hits.into_iter()
                    .map(|h| (h.similarity, &group.samples[h.row])),
            );
        }
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.id.cmp(&b.1.id)));
        all.truncate(k);
        Ok(all
            .into_iter()
            .map(|(similarity, sample)| Neighbour {
                sample: sample.clone(),
                similarity: similarity.clamp(-1.0, 1.0),
            })
            .collect())
    }
}
