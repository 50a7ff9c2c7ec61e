//! Person and item: is the helmet on the head, the vest on the torso, the mask on the face.
//!
//! Being somewhere in a person's box is not enough: a helmet in the hand protects no head. Items
//! and bare parts are matched to the body part of one person each; what is left over clears
//! nobody, but a bare part that is left over is still somebody's.

mod body;
mod matching;
#[cfg(test)]
mod tests;
mod words;

use serde::{Deserialize, Serialize};

pub use body::Part;

use self::matching::{Cause, Match, Verdict};
use super::Scene;
use super::labels::{Group, cannot_see, check_range, check_text, shared_label};
use super::outcome::{Find, Outcome, Settled, input};
use crate::hazard::{RuleInput, Text};

/// Parameters of the primitive `person_item`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonItem {
    /// Where the item is worn.
    pub part: Part,
    /// People. A model without this class is judged by the bare parts alone.
    pub person: Group,
    /// The item, worn or not.
    pub item: Group,
    /// The part without the item.
    pub bare: Group,
    /// Continues "2 of 5 persons found have …" for those who wear it: "a helmet on".
    pub worn: Text,
    /// Continues "2 of 5 persons found have …" for those who do not: "no helmet on".
    pub missing: Text,
    /// When set, whether the item is needed depends on something outside the picture, as told
    /// here: the rule then gives the counts and never accuses or clears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depends: Option<Text>,
    /// Lowest score that is looked at, `0..=1`.
    pub min_score: f32,
    /// Item and bare part predicted on one spot with scores closer than this: undecided.
    pub undecided_margin: f32,
    /// A part that the model saw lower than this is not judged, pixels (see [`Scene::seen_scale`]).
    pub min_part_px: f32,
}

impl PersonItem {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        self.person.check("person")?;
        self.item.check("item")?;
        self.bare.check("bare")?;
        for (a, b, field) in [
            (&self.item, &self.bare, "bare.labels"),
            (&self.person, &self.item, "item.labels"),
            (&self.person, &self.bare, "bare.labels"),
        ] {
            if let Some(label) = shared_label(a, b) {
                return Err((
                    field.into(),
                    format!(
                        "`{label}` also stands for something else in this rule; remove it from one of the two"
                    ),
                ));
            }
        }
        check_text("worn", &self.worn)?;
        check_text("missing", &self.missing)?;
        if let Some(depends) = &self.depends {
            check_text("depends", depends)?;
        }
        check_range("min_score", self.min_score, 0.0, 1.0)?;
        check_range("undecided_margin", self.undecided_margin, 0.0, 1.0)?;
        check_range("min_part_px", self.min_part_px, 1.0, 1000.0)
    }

    pub(super) fn evaluate(&self, scene: &Scene<'_>) -> Outcome {
        let missing: Vec<&Group> = [&self.item, &self.bare]
            .into_iter()
            .filter(|g| !g.known(scene.labels))
            .collect();
        if !missing.is_empty() {
            return Outcome::cannot_determine(cannot_see(&missing));
        }
        let matching::Matches {
            people,
            stray_items,
        } = matching::matches(self, scene);
        if people.is_empty() {
            return if stray_items == 0 {
                Outcome::not_applicable(words::nobody())
            } else {
                Outcome::cannot_determine(self.only_items(stray_items))
            };
        }
        let finds: Vec<Find> = people.iter().filter_map(|m| self.find(scene, m)).collect();
        let undetermined = people
            .iter()
            .any(|m| matches!(m.verdict, Verdict::Undetermined(_)));
        let reason = self.reason(&people, stray_items);
        if self.depends.is_some() {
            return Outcome::cannot_determine(reason);
        }
        let otherwise = if undetermined {
            Settled::CannotDetermine
        } else {
            Settled::Compliant
        };
        let in_order = people
            .iter()
            .filter(|m| m.verdict == Verdict::Worn)
            .filter_map(|m| Some(m.person?.bbox))
            .collect();
        Outcome::new(finds, otherwise, reason).with_in_order(in_order)
    }

    fn find(&self, scene: &Scene<'_>, m: &Match) -> Option<Find> {
        let Verdict::Missing {
            bare,
            contradiction,
        } = &m.verdict
        else {
            return None;
        };
        // A contradicting item on the same spot takes away half of its own score: at equal
        // scores the person would be undecided anyway.
        let score = bare.score * (1.0 - contradiction.map_or(0.0, |c| c.score) / 2.0);
        let mut inputs: Vec<RuleInput> = vec![
            input(
                self.bare.noun(),
                Some(bare.score),
                Some(self.min_score),
                Some(bare.bbox),
            ),
            input(
                format!("{}_height_seen_px", self.bare.noun()),
                Some(bare.bbox.height() * scene.seen_scale),
                Some(self.min_part_px),
                None,
            ),
        ];
        let overlap = format!("{}_overlap", self.item.noun());
        inputs.push(match m.nearest_item {
            Some(item) => input(
                overlap,
                Some(self.part.overlap(item.bbox, bare.bbox)),
                Some(self.part.same_spot()),
                Some(item.bbox),
            ),
            None => input(overlap, Some(0.0), Some(self.part.same_spot()), None),
        });
        if let Some(c) = contradiction {
            inputs.push(input(self.item.noun(), Some(c.score), None, Some(c.bbox)));
        }
        if let Some(p) = m.person {
            inputs.push(input(
                self.person.noun(),
                Some(p.score),
                Some(self.min_score),
                Some(p.bbox),
            ));
        }
        Some(Find {
            score,
            bbox: m.person.map_or(bare.bbox, |p| p.bbox),
            inputs,
            text: self.find_text(m, bare.score, contradiction.is_some()),
        })
    }
}

/// Number of people with this verdict.
fn count(people: &[Match], is: impl Fn(&Verdict) -> bool) -> usize {
    people.iter().filter(|m| is(&m.verdict)).count()
}

/// Why people could not be judged, each cause once, with its number of people.
fn causes(people: &[Match]) -> Vec<(Cause, usize)> {
    let mut causes: Vec<(Cause, usize)> = Vec::new();
    for m in people {
        if let Verdict::Undetermined(cause) = m.verdict {
            match causes.iter_mut().find(|(c, _)| c.same_kind(cause)) {
                // The largest of the too small ones is told: it is the nearest to enough.
                Some((c, n)) => (*c, *n) = (c.larger(cause), *n + 1),
                None => causes.push((cause, 1)),
            }
        }
    }
    causes.sort_by_key(|(c, _)| c.rank());
    causes
}
