//! What people say of the hazards in photos: `datasets/README.md` tells the format.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use super::episodes::Judged;
use super::findings::{Hazard, Place, Truth, min_part_px};
use crate::geometry::BBox;
use crate::hazard::Answer;
use crate::rules::RuleSet;
use crate::zone::{Zone, Zones};

/// Version of the format.
const VERSION: u32 = 1;

/// The truth about some photos.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhotoTruth {
    /// Version of the format: 1.
    pub truth: u32,
    /// Who and how.
    #[serde(default)]
    pub annotated_by: String,
    /// The codes that were looked for in every photo.
    pub judged: Vec<Judged>,
    /// The photos that were looked through, those without any hazard too.
    pub photos: Vec<PhotoAbout>,
    /// Parts of the view that episodes name.
    #[serde(default)]
    pub zones: Vec<Zone>,
    /// What is there.
    pub episodes: Vec<PhotoEpisode>,
    /// Free text.
    #[serde(default)]
    pub notes: String,
}

/// A photo.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhotoAbout {
    /// Path below the folder of photos.
    pub file: String,
}

/// One real hazard in a photo, its proven absence, or what the photo does not allow to say.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhotoEpisode {
    /// [`PhotoAbout::file`].
    pub photo: String,
    /// Hazard code.
    pub code: String,
    /// What the photo allows to say.
    #[serde(default = "non_compliant")]
    pub answer: Answer,
    /// Where, `[x, y, width, height]`, pixels of the upright photo.
    #[serde(default)]
    pub bbox: Option<[f32; 4]>,
    /// Name of a zone that it lies in; the place, where there is no box.
    #[serde(default)]
    pub zone: Option<String>,
    /// Height of the part that a rule judges (a head), pixels.
    #[serde(default)]
    pub part_px: Option<f32>,
    /// The reason for the answer.
    #[serde(default)]
    pub note: String,
}

fn non_compliant() -> Answer {
    Answer::NonCompliant
}

impl PhotoTruth {
    /// Reads the truth about photos.
    ///
    /// # Errors
    /// What is wrong, where, and what would be right.
    pub fn parse(json: &str) -> Result<Self, String> {
        let truth: Self = serde_json::from_str(json).map_err(|e| e.to_string())?;
        if truth.truth != VERSION {
            return Err(format!(
                "its format is version {}; this program reads version {VERSION}",
                truth.truth
            ));
        }
        if truth.judged.is_empty() {
            return Err("`judged` is empty; name the codes that were looked for".into());
        }
        let zones = Zones {
            zones: truth.zones.clone(),
            ground: None,
        };
        zones.check().map_err(|e| e.to_string())?;
        let mut files = HashSet::new();
        if let Some(twice) = truth.photos.iter().find(|p| !files.insert(&*p.file)) {
            return Err(format!("the photo {:?} is listed twice", twice.file));
        }
        for (i, e) in truth.episodes.iter().enumerate() {
            if let Some(fault) = truth.fault(e, &files) {
                return Err(format!("episode {} ({}): {fault}", i + 1, e.photo));
            }
        }
        Ok(truth)
    }

    fn fault(&self, e: &PhotoEpisode, files: &HashSet<&str>) -> Option<String> {
        if !files.contains(&*e.photo) {
            return Some("its photo is not in `photos`; list it there".into());
        }
        if !self.judged.iter().any(|j| j.code == e.code) {
            return Some(format!(
                "its code {} is not among the `judged` ones; list it there",
                e.code
            ));
        }
        if e.answer == Answer::NotApplicable {
            return Some("`not_applicable` is no answer here; leave the episode out".into());
        }
        let sound = |[x, y, w, h]: [f32; 4]| {
            [x, y, w, h].iter().all(|v| v.is_finite()) && w >= 1.0 && h >= 1.0
        };
        if e.bbox.is_some_and(|b| !sound(b)) {
            return Some("`bbox` must be [x, y, width, height] in pixels, at least 1 x 1".into());
        }
        if e.part_px.is_some_and(|px| !(px > 0.0 && px.is_finite())) {
            return Some("`part_px` must be a height in pixels, above 0".into());
        }
        let zone = e.zone.as_ref();
        zone.filter(|z| !self.zones.iter().any(|t| t.name == **z))
            .map(|z| format!("its zone {z:?} is not in `zones`"))
    }

    /// The judged codes, each once.
    pub fn codes(&self) -> Vec<String> {
        let mut seen = HashSet::new();
        let codes = self.judged.iter().map(|j| j.code.clone());
        codes.filter(|c| seen.insert(c.clone())).collect()
    }

    /// What is known of each photo, by its file and by kind of `rules`.
    pub fn by_photo(&self, rules: &RuleSet) -> HashMap<&str, Vec<Truth>> {
        let mut episodes: HashMap<&str, Vec<&PhotoEpisode>> = HashMap::new();
        for e in &self.episodes {
            episodes.entry(&e.photo).or_default().push(e);
        }
        let photos = self.photos.iter().map(|p| {
            let of_photo = episodes.get(&*p.file).map_or(&[][..], Vec::as_slice);
            (&*p.file, self.truth(of_photo, rules))
        });
        photos.collect()
    }

    fn truth(&self, episodes: &[&PhotoEpisode], rules: &RuleSet) -> Vec<Truth> {
        let judged = |code: &str| self.judged.iter().any(|j| j.code == code);
        let kinds = rules.kinds().iter().filter(|k| judged(&k.code));
        kinds
            .map(|kind| {
                let of_kind = episodes.iter().filter(|e| e.code == kind.code);
                let mut truth = Truth {
                    code: kind.code.clone(),
                    hazards: Vec::new(),
                    in_order: 0,
                    undecidable: Vec::new(),
                    min_part_px: min_part_px(&kind.rules),
                };
                for e in of_kind {
                    let place = self.place(e);
                    match e.answer {
                        Answer::NonCompliant => truth.hazards.push(Hazard {
                            place,
                            part_px: e.part_px,
                        }),
                        Answer::Compliant => truth.in_order += 1,
                        Answer::CannotDetermine => truth.undecidable.push(place),
                        Answer::NotApplicable => {}
                    }
                }
                truth
            })
            .collect()
    }

    fn place(&self, e: &PhotoEpisode) -> Place {
        if let Some(bbox) = e.bbox {
            return Place::Box(BBox::from_xywh(bbox));
        }
        let zone = e.zone.as_ref();
        let zone = zone.and_then(|z| self.zones.iter().find(|t| t.name == *z));
        zone.map_or(Place::Anywhere, |z| Place::Zone(z.clone()))
    }
}
