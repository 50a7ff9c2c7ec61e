//! Rules: from the detections of one picture to one answer for each kind of hazard, and to
//! candidate findings that explain themselves.
//!
//! Kinds are data (`hazards.toml`, see [`Catalogue`]); a handful of primitives, one file each,
//! serves them all. Everything here is pure: the same scene and catalogue give the same
//! evaluation, whatever the order of the detections.

mod catalogue;
mod facts;
mod labels;
mod outcome;
mod person_item;
mod presence;
mod proximity;
mod stack;
#[cfg(test)]
mod tests;
mod watch;

pub use catalogue::{Catalogue, CatalogueError, HazardKind, Later, PhotoRule};
pub use facts::Facts;
pub use labels::Group;
pub use person_item::{Part, PersonItem};
pub use presence::{Object, Presence};
pub use proximity::Proximity;
pub use stack::Stack;
pub use watch::{DistanceRule, WatchFind, WatchRule, ZoneRule};

use std::collections::BTreeSet;

use outcome::{Find, Outcome};

use crate::detection::{Detection, LabelMap};
use crate::geometry::BBox;
use crate::hazard::{Answer, Candidate, HazardAnswer, Text, not_here};
use crate::zone::{ZoneError, Zones};

/// The kinds asked for, with their rules.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSet {
    kinds: Vec<HazardKind>,
    only: Option<Vec<String>>,
    facts: Facts,
    catalogue_version: String,
    catalogue_digest: String,
}

impl RuleSet {
    /// All kinds of a catalogue, or the ones with the given codes (in the catalogue's order, each
    /// once; upper and lower case are the same).
    ///
    /// A kind asked for by its code is taken as required at this place: what its rule otherwise
    /// leaves open (`depends`: is a mask needed here?) is settled by the asking.
    ///
    /// # Errors
    /// For a code that the catalogue does not have; the error lists the ones that look like it.
    pub fn new(catalogue: &Catalogue, only: Option<&[String]>) -> Result<Self, CatalogueError> {
        let mut rules = Self {
            kinds: catalogue.kinds().to_vec(),
            only: None,
            facts: Facts::of(catalogue),
            catalogue_version: catalogue.version().to_owned(),
            catalogue_digest: catalogue.digest(),
        };
        let Some(codes) = only else {
            return Ok(rules);
        };
        let mut wanted = Vec::with_capacity(codes.len());
        for code in codes {
            let kind = catalogue
                .kind(code)
                .ok_or_else(|| catalogue.unknown(code))?;
            wanted.push(&kind.code);
        }
        rules.kinds = catalogue
            .kinds()
            .iter()
            .filter(|k| wanted.contains(&&k.code))
            .map(HazardKind::required_here)
            .collect();
        rules.only = Some(rules.kinds.iter().map(|k| k.code.clone()).collect());
        Ok(rules)
    }

    /// Refuses zones that name hazards or objects which nothing looks for: they would be watched in vain. `labels`:
    /// those of the model, where it is known. Nothing is refused where only some kinds are asked for.
    ///
    /// # Errors
    /// With the zone, the field, and what there is.
    pub fn check_zones(&self, zones: &Zones, labels: Option<&LabelMap>) -> Result<(), ZoneError> {
        if self.only.is_some() {
            return Ok(());
        }
        for zone in &zones.zones {
            let wrong = |field, problem| ZoneError::Field {
                zone: zone.name.clone(),
                field,
                problem,
            };
            for code in &zone.hazards {
                if !self.kinds.iter().any(|k| k.code.eq_ignore_ascii_case(code)) {
                    let problem = format!("there is no hazard {code}; see `sitewarden hazards`");
                    return Err(wrong("hazards", problem));
                }
            }
            let mut known: Vec<&str> = Vec::new();
            for kind in &self.kinds {
                for rule in &kind.watch {
                    if let WatchRule::Zone(rule) = rule
                        && rule.applies(&kind.code, zone)
                    {
                        let labels = rule.objects.iter().flat_map(|group| &group.labels);
                        known.extend(labels.map(String::as_str));
                    }
                }
            }
            let seen = |name: &str| {
                let same = |label: &String| label.eq_ignore_ascii_case(name);
                labels.is_none_or(|labels| labels.names().iter().any(same))
            };
            known.retain(|name| seen(name));
            known.sort_unstable();
            known.dedup();
            let unknown = |object: &&String| !known.iter().any(|k| k.eq_ignore_ascii_case(object));
            if let Some(object) = zone.objects.iter().find(unknown) {
                let problem = match &known[..] {
                    [] => format!(
                        "nothing that a zone of the kind {} is for looks for objects; leave it out",
                        zone.kind.as_str()
                    ),
                    known => format!(
                        "nothing here looks for {object:?}; there are: {}",
                        known.join(", ")
                    ),
                };
                return Err(wrong("objects", problem));
            }
        }
        Ok(())
    }

    /// The codes asked for; `None` for the whole catalogue.
    pub fn only(&self) -> Option<&[String]> {
        self.only.as_deref()
    }

    /// The facts that the whole catalogue knows, whatever was asked for.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Version of the catalogue that the kinds are from.
    pub fn catalogue_version(&self) -> &str {
        &self.catalogue_version
    }

    /// [`Catalogue::digest`] of the catalogue that the kinds are from.
    pub fn catalogue_digest(&self) -> &str {
        &self.catalogue_digest
    }

    /// The kinds, in the order of the answers.
    pub fn kinds(&self) -> &[HazardKind] {
        &self.kinds
    }
}

/// What a detector saw in one upright picture.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// Width of the picture, pixels.
    pub width: u32,
    /// Height of the picture, pixels.
    pub height: u32,
    /// In any order; impossible boxes and scores are left out by the rules.
    pub detections: &'a [Detection],
    /// The classes of the model.
    pub labels: &'a LabelMap,
    /// Pixels that the model saw for one pixel of the picture, in the finest view; at most 1.
    /// A head of 30 px in a photo that was shrunk to a quarter was judged on 8.
    pub seen_scale: f32,
}

/// What the rules say about one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Exactly one for each kind of the rule set, in its order.
    pub answers: Vec<HazardAnswer>,
    /// Best score first. A kind is answered `non_compliant` exactly when it has one here.
    pub candidates: Vec<Candidate>,
    /// Objects that were judged one by one and are as they should be: a person with a helmet on.
    pub in_order: Vec<InOrder>,
}

impl Evaluation {
    /// Of a place where these kinds cannot occur: they are not applicable, whatever the picture
    /// shows.
    pub fn leave_out(&mut self, codes: &BTreeSet<String>) {
        if codes.is_empty() {
            return;
        }
        for answer in &mut self.answers {
            if codes.contains(&answer.code) {
                answer.answer = Answer::NotApplicable;
                answer.reason = not_here();
            }
        }
        self.candidates.retain(|c| !codes.contains(&c.code));
        self.in_order.retain(|o| !codes.contains(&o.code));
    }
}

/// One object that one kind of hazard was looked for on, and not found.
#[derive(Debug, Clone, PartialEq)]
pub struct InOrder {
    /// Hazard code.
    pub code: String,
    /// The object, exactly as it was detected.
    pub bbox: BBox,
}

/// Applies the rules to a picture. `on` is the day of the picture (`YYYY-MM-DD`), which decides
/// which references are in force; see [`HazardKind::citations`].
pub fn evaluate(rules: &RuleSet, scene: &Scene<'_>, on: Option<&str>) -> Evaluation {
    let mut answers = Vec::with_capacity(rules.kinds.len());
    let mut candidates = Vec::new();
    let mut in_order = Vec::new();
    for kind in &rules.kinds {
        let mut parts: Vec<(Answer, Text)> = Vec::new();
        for rule in &kind.rules {
            let (answer, reason, finds, fine) = apply(rule, scene).into_parts();
            parts.push((answer, reason));
            in_order.extend(fine.into_iter().map(|bbox| InOrder {
                code: kind.code.clone(),
                bbox,
            }));
            candidates.extend(
                finds
                    .into_iter()
                    .map(|f| candidate(kind, rule.primitive(), f, on)),
            );
        }
        if let Some(reason) = &kind.photo_reason {
            parts.push((Answer::CannotDetermine, reason.clone()));
        }
        let (answer, reason) = combine(parts);
        answers.push(HazardAnswer {
            code: kind.code.clone(),
            answer,
            reason,
        });
    }
    // Stable: equal scores stay in the order of the catalogue, then of their boxes.
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    Evaluation {
        answers,
        candidates,
        in_order,
    }
}

fn apply(rule: &PhotoRule, scene: &Scene<'_>) -> Outcome {
    let outcome = match rule {
        PhotoRule::PersonItem(r) => r.evaluate(scene),
        PhotoRule::Presence(r) => r.evaluate(scene),
        PhotoRule::Proximity(r) => r.evaluate(scene),
        PhotoRule::Stack(r) => r.evaluate(scene),
    };
    outcome.sorted()
}

/// Several rules of one kind: the gravest answer, with the reasons of all that gave it.
fn combine(parts: Vec<(Answer, Text)>) -> (Answer, Text) {
    let rank = |a: Answer| match a {
        Answer::NonCompliant => 0,
        Answer::CannotDetermine => 1,
        Answer::Compliant => 2,
        Answer::NotApplicable => 3,
    };
    let answer = parts
        .iter()
        .map(|(a, _)| *a)
        .min_by_key(|a| rank(*a))
        .unwrap_or(Answer::CannotDetermine);
    let said: Vec<&Text> = parts
        .iter()
        .filter(|(a, _)| *a == answer)
        .map(|(_, t)| t)
        .collect();
    let en: Vec<&str> = said.iter().map(|t| t.en.as_str()).collect();
    let zh: Vec<&str> = said.iter().map(|t| t.zh.as_str()).collect();
    (answer, Text::new(en.join(" "), zh.concat()))
}

fn candidate(kind: &HazardKind, rule: &str, find: Find, on: Option<&str>) -> Candidate {
    Candidate {
        code: kind.code.clone(),
        name: kind.name.clone(),
        severity: kind.severity,
        score: find.score,
        bbox: find.bbox,
        rule: rule.to_owned(),
        inputs: find.inputs,
        text: find.text,
        references: kind.citations(on),
    }
}
