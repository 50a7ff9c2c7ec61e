//! How good are the *findings*: are the candidates right, and was it right to abstain?
//!
//! Truth comes from the labels of a set: where a set labels both the bare part and the item of a
//! `person_item` rule, each bare part is a hazard and each item one that is not; where it labels
//! an object of a `presence` rule, each place that the rule makes of those boxes is a hazard. The
//! candidates come from the production rules ([`rules::evaluate`]) on the detections that reach
//! the model's thresholds.

mod interval;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use interval::Interval;
use interval::Resamples;

use crate::detection::{Detection, LabelMap};
use crate::geometry::BBox;
use crate::hazard::{Answer, Candidate};
use crate::rules::{self, Group, PhotoRule, RuleSet, Scene};

/// A candidate meets a hazard of the truth when the smaller of the two boxes lies in the other by
/// this share of its area: a candidate without a person is the head alone, and labels draw heads
/// tighter or wider.
const MEET: f32 = 0.5;
/// Steps of the risk–coverage curve, and how far the thresholds rise towards 1 over all of them.
const CURVE_STEPS: usize = 10;
const CURVE_RISE: f32 = 0.9;

/// What a set's labels say about one kind of hazard in one photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// Hazard code.
    pub code: String,
    /// One box for each hazard, pixels of the upright photo.
    pub hazards: Vec<BBox>,
    /// Number of labelled items that are as they should be.
    pub in_order: usize,
    /// A part lower than this as the model sees it is not judged by the rule, pixels; 0 if the
    /// rule has no such limit.
    pub min_part_px: f32,
}

impl Truth {
    /// The answer that somebody who sees all of the labels gives.
    pub fn answer(&self) -> Answer {
        match (self.hazards.is_empty(), self.in_order) {
            (false, _) => Answer::NonCompliant,
            (true, 0) => Answer::NotApplicable,
            (true, _) => Answer::Compliant,
        }
    }
}

/// The kinds that the labels of a set can judge, with their truth in one photo. `boxes` are its
/// labelled boxes, by class of `labels`.
pub fn truth_of(
    rules: &RuleSet,
    labels: &LabelMap,
    size: (u32, u32),
    boxes: &[(usize, BBox)],
) -> Vec<Truth> {
    let of = |group: &Group| -> Vec<BBox> {
        boxes
            .iter()
            .filter(|(class, _)| group.matches(labels.name(*class)))
            .map(|(_, bbox)| *bbox)
            .collect()
    };
    // what the rules would say of a detector that sees exactly the labels
    let detections: Vec<Detection> = boxes
        .iter()
        .map(|&(class, bbox)| Detection {
            class,
            bbox,
            score: 1.0,
        })
        .collect();
    let scene = Scene {
        width: size.0,
        height: size.1,
        detections: &detections,
        labels,
        seen_scale: 1.0,
    };
    let seen = rules::evaluate(rules, &scene, None).candidates;
    let truth = |code: &str, rule: &PhotoRule| match rule {
        PhotoRule::PersonItem(r) if r.bare.known(labels) && r.item.known(labels) => {
            Some((of(&r.bare), of(&r.item).len(), r.min_part_px))
        }
        PhotoRule::Presence(r) if r.objects.iter().any(|o| o.object.known(labels)) => {
            let places = seen.iter().filter(|c| c.code == code).map(|c| c.bbox);
            Some((places.collect(), 0, 0.0))
        }
        _ => None,
    };
    rules
        .kinds()
        .iter()
        .filter_map(|kind| {
            let mut truths = kind.rules.iter().filter_map(|r| truth(&kind.code, r));
            let (hazards, in_order, min_part_px) = truths.next()?;
            Some(Truth {
                code: kind.code.clone(),
                hazards,
                in_order,
                min_part_px,
            })
        })
        .collect()
}

/// One labelled photo as the detector saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Width and height of the upright photo, pixels.
    pub size: (u32, u32),
    /// As in [`Scene::seen_scale`].
    pub seen_scale: f32,
    /// Detections, down to scores below any threshold.
    pub detections: Vec<Detection>,
    /// From [`truth_of`].
    pub truth: Vec<Truth>,
}

/// What the rules made of one kind in one photo, held against the truth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    /// Candidates that meet a hazard, each hazard once.
    right: usize,
    /// Candidates that meet none.
    wrong: usize,
    /// Hazards without a candidate.
    missed: usize,
    /// Of those, the ones too small for the rule to judge.
    missed_too_small: usize,
}

/// How good the findings of one kind are, over all photos whose labels can judge it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FindingMetrics {
    /// Hazard code.
    pub code: String,
    /// Photos judged.
    pub photos: usize,
    /// Hazards in the labels.
    pub hazards: usize,
    /// Candidates that meet a hazard, each hazard once.
    pub right: usize,
    /// Candidates that meet none.
    pub wrong: usize,
    /// Hazards without a candidate.
    pub missed: usize,
    /// Of the missed ones, those that the model saw lower than the rule judges.
    pub missed_too_small: usize,
    /// right / (right + wrong), with the interval of 95 % over resampled photos.
    pub precision: Interval,
    /// right / hazards, likewise.
    pub recall: Interval,
    /// Harmonic mean of precision and recall, likewise.
    pub f1: Interval,
    /// Photos by the answer of the labels (rows: non_compliant, compliant, not_applicable) and of
    /// the program (columns: those, then cannot_determine).
    pub answers: [[usize; 4]; 3],
    /// Share of the photos with a settled truth (non_compliant or compliant) on which the program
    /// abstained.
    pub abstained: f64,
    /// From the model's thresholds (first) upwards: the surer the model must be, the less is
    /// answered. Abstaining is right as far as the risk falls with the coverage.
    pub risk_coverage: Vec<RiskCoverage>,
}

/// A point of the risk–coverage curve, over photos with a settled truth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RiskCoverage {
    /// How far each class threshold has risen from the model's own towards 1, `0..=1`.
    pub rise: f32,
    /// Share answered non_compliant or compliant.
    pub coverage: f64,
    /// Share of the answered ones that were answered wrongly; null when none was answered.
    pub risk: Option<f64>,
}

/// Judges the findings of `rules` on labelled photos. `thresholds` are the model's, by class.
/// Kinds that no photo can judge are left out.
pub fn judge(
    rules: &RuleSet,
    labels: &LabelMap,
    thresholds: &[f32],
    cases: &[Case],
) -> Vec<FindingMetrics> {
    let curves: Vec<Vec<Answers>> = (0..CURVE_STEPS)
        .map(|step| {
            let rise = CURVE_RISE * step as f32 / (CURVE_STEPS - 1) as f32;
            let risen: Vec<f32> = thresholds.iter().map(|t| t + (1.0 - t) * rise).collect();
            cases
                .iter()
                .map(|case| answers(rules, labels, &risen, case))
                .collect()
        })
        .collect();
    let mut metrics = Vec::new();
    for (k, kind) in rules.kinds().iter().enumerate() {
        let judged: Vec<(usize, &Truth)> = cases
            .iter()
            .enumerate()
            .filter_map(|(i, c)| Some((i, c.truth.iter().find(|t| t.code == kind.code)?)))
            .collect();
        if judged.is_empty() {
            continue;
        }
        let counts: Vec<Counts> = judged
            .iter()
            .map(|&(i, truth)| {
                count(
                    truth,
                    &curves[0][i].candidates(&kind.code),
                    cases[i].seen_scale,
                )
            })
            .collect();
        let at = |step: &Vec<Answers>| -> Vec<(Answer, Answer)> {
            let pair = |&(i, truth): &(usize, &Truth)| (truth.answer(), step[i].answers[k]);
            judged.iter().map(pair).collect()
        };
        metrics.push(summary(
            &kind.code,
            &counts,
            curves.iter().map(at).collect(),
        ));
    }
    metrics
}

/// The evaluation of one photo: an answer for each kind, and the candidates.
struct Answers {
    answers: Vec<Answer>,
    candidates: Vec<Candidate>,
}

impl Answers {
    fn candidates(&self, code: &str) -> Vec<&Candidate> {
        self.candidates.iter().filter(|c| c.code == code).collect()
    }
}

fn answers(rules: &RuleSet, labels: &LabelMap, thresholds: &[f32], case: &Case) -> Answers {
    let detections: Vec<Detection> = case
        .detections
        .iter()
        .filter(|d| thresholds.get(d.class).is_some_and(|t| d.score >= *t))
        .copied()
        .collect();
    let scene = Scene {
        width: case.size.0,
        height: case.size.1,
        detections: &detections,
        labels,
        seen_scale: case.seen_scale,
    };
    let evaluation = rules::evaluate(rules, &scene, None);
    Answers {
        answers: evaluation.answers.iter().map(|a| a.answer).collect(),
        candidates: evaluation.candidates,
    }
}

/// Where a candidate points: the part or object that it rests on, which rules name first.
fn place(candidate: &Candidate) -> BBox {
    candidate
        .inputs
        .iter()
        .find_map(|i| i.bbox)
        .map_or(candidate.bbox, BBox::from_xywh)
}

fn meet(a: BBox, b: BBox) -> f32 {
    a.share_inside(b).max(b.share_inside(a))
}

/// Best candidates first, each takes the hazard that it meets best among those left.
fn count(truth: &Truth, candidates: &[&Candidate], seen_scale: f32) -> Counts {
    let mut left: Vec<BBox> = truth.hazards.clone();
    let mut counts = Counts::default();
    for candidate in candidates {
        let place = place(candidate);
        let best = left
            .iter()
            .enumerate()
            .map(|(i, hazard)| (i, meet(place, *hazard), place.iou(*hazard)))
            .filter(|(_, share, _)| *share >= MEET)
            .max_by(|a, b| a.2.total_cmp(&b.2));
        match best {
            Some((i, ..)) => {
                left.swap_remove(i);
                counts.right += 1;
            }
            None => counts.wrong += 1,
        }
    }
    counts.missed = left.len();
    counts.missed_too_small = left
        .iter()
        .filter(|h| h.height() * seen_scale < truth.min_part_px)
        .count();
    counts
}

fn summary(code: &str, counts: &[Counts], curve: Vec<Vec<(Answer, Answer)>>) -> FindingMetrics {
    let sum = |which: fn(&Counts) -> usize| counts.iter().map(which).sum::<usize>();
    let (right, wrong, missed) = (sum(|c| c.right), sum(|c| c.wrong), sum(|c| c.missed));
    let ratio = |over: usize, under: usize| (under > 0).then(|| over as f64 / under as f64);
    let resamples = Resamples::new(counts);
    let mut table = [[0; 4]; 3];
    for (truth, said) in curve.first().into_iter().flatten() {
        table[column(*truth).min(2)][column(*said)] += 1;
    }
    let points: Vec<RiskCoverage> = curve
        .iter()
        .enumerate()
        .map(|(step, pairs)| point(step, pairs))
        .collect();
    FindingMetrics {
        code: code.to_owned(),
        photos: counts.len(),
        hazards: right + missed,
        right,
        wrong,
        missed,
        missed_too_small: sum(|c| c.missed_too_small),
        precision: resamples.interval(|c| ratio(c.right, c.right + c.wrong)),
        recall: resamples.interval(|c| ratio(c.right, c.right + c.missed)),
        f1: resamples.interval(|c| ratio(2 * c.right, 2 * c.right + c.wrong + c.missed)),
        answers: table,
        abstained: 1.0 - points.first().map_or(0.0, |p| p.coverage),
        risk_coverage: points,
    }
}

fn column(answer: Answer) -> usize {
    match answer {
        Answer::NonCompliant => 0,
        Answer::Compliant => 1,
        Answer::NotApplicable => 2,
        Answer::CannotDetermine => 3,
    }
}

fn point(step: usize, pairs: &[(Answer, Answer)]) -> RiskCoverage {
    let settled = |a: Answer| matches!(a, Answer::NonCompliant | Answer::Compliant);
    let known: Vec<_> = pairs.iter().filter(|(truth, _)| settled(*truth)).collect();
    let answered: Vec<_> = known.iter().filter(|(_, said)| settled(*said)).collect();
    let wrong = answered
        .iter()
        .filter(|(truth, said)| truth != said)
        .count();
    RiskCoverage {
        rise: CURVE_RISE * step as f32 / (CURVE_STEPS - 1) as f32,
        coverage: answered.len() as f64 / known.len().max(1) as f64,
        risk: (!answered.is_empty()).then(|| wrong as f64 / answered.len() as f64),
    }
}
