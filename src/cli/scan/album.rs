//! Small pictures of the bank's samples, for the report.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::config::Config;
use crate::evidence::{Digest, Store};
use crate::pipeline::bank::Cutter;
use crate::record::{PhotoRecord, SampleRecord};
use crate::render::SamplePictures;
use crate::source::photo::PhotoLimits;

/// Longer side of a sample's picture, pixels.
const SIDE: u32 = 200;

/// Pictures of samples, each made once.
pub(super) struct Album {
    store: Store,
    limits: PhotoLimits,
    made: Mutex<HashMap<String, Option<Vec<u8>>>>,
}

impl Album {
    /// Of the bank in this data folder.
    pub(super) fn open(data: &Path, config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            store: Store::open(data, config.evidence.clone())?,
            limits: config.limits.clone(),
            made: Mutex::default(),
        })
    }

    /// Those that a record names and whose photo is here. One that is not costs the report a picture, not
    /// its facts.
    pub(super) fn of(&self, record: &PhotoRecord) -> SamplePictures {
        let candidates = record.candidates.iter().chain(&record.suppressed);
        candidates
            .flat_map(|c| &c.why.samples)
            .filter_map(|sample| Some((sample.id.clone(), self.picture(sample)?)))
            .collect()
    }

    fn picture(&self, sample: &SampleRecord) -> Option<Vec<u8>> {
        let known = |made: &HashMap<_, _>| made.get(&sample.id).cloned();
        if let Some(known) = known(&self.made.lock().unwrap_or_else(PoisonError::into_inner)) {
            return known;
        }
        let made = self.make(sample);
        let mut all = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(sample.id.clone(), made.clone());
        made
    }

    fn make(&self, sample: &SampleRecord) -> Option<Vec<u8>> {
        let digest: Digest = sample.photo_sha256.parse().ok()?;
        let bytes = self.store.read(&digest).ok()?;
        let cutter = Cutter::new(&bytes, &self.limits).ok()?;
        cutter.shown(sample.area, None, SIDE).ok()
    }
}
