//! How good are the *findings*: are the candidates right, and was it right to abstain?
//!
//! Truth comes from people who say which hazards a photo shows ([`PhotoTruth`]), or from the labels
//! of a set ([`truth_of`]): where it labels both the bare part and the item of a `person_item` rule,
//! each bare part is a hazard and each item one that is not; where it labels an object of a
//! `presence` rule, each place that the rule makes of those boxes is a hazard. The candidates come
//! from the production rules ([`rules::evaluate`]) on the detections that reach the model's
//! thresholds.
//!
//! [`PhotoTruth`]: super::photo_truth::PhotoTruth

mod resamples;
#[cfg(test)]
mod tests;
mod truth;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use resamples::Resamples;
pub use truth::{Hazard, Place, Truth, min_part_px, truth_of};

use super::Interval;
use super::operating::take_turns;
use crate::detection::{Detection, LabelMap};
use crate::geometry::BBox;
use crate::hazard::{Answer, Candidate};
use crate::rules::{self, RuleSet, Scene};

/// Steps of the risk–coverage curve, and how far the thresholds rise towards 1 over all of them.
const CURVE_STEPS: usize = 10;
const CURVE_RISE: f32 = 0.9;

/// One labelled photo as the detector saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Width and height of the upright photo, pixels.
    pub size: (u32, u32),
    /// As in [`Scene::seen_scale`].
    pub seen_scale: f32,
    /// Detections, down to scores below any threshold.
    pub detections: Vec<Detection>,
    /// Of the kinds that can be judged in it.
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
    /// Candidates of what the photo does not allow to say.
    overclaimed: usize,
}

/// How good the findings of one kind are, over all photos in which it can be judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FindingMetrics {
    /// Hazard code.
    pub code: String,
    /// Photos judged.
    pub photos: usize,
    /// Hazards in the truth.
    pub hazards: usize,
    /// Candidates that meet a hazard, each hazard once.
    pub right: usize,
    /// Candidates that meet none.
    pub wrong: usize,
    /// Hazards without a candidate.
    pub missed: usize,
    /// Of the missed ones, those that the model saw lower than the rule judges.
    pub missed_too_small: usize,
    /// Candidates of what a photo does not allow to say, by the truth: neither right nor wrong.
    pub overclaimed: usize,
    /// right / (right + wrong), with the interval of 95 % over resampled photos; at 0 and 1, where
    /// all resamples are alike, Wilson's.
    pub precision: Interval,
    /// right / hazards, likewise.
    pub recall: Interval,
    /// Harmonic mean of precision and recall, likewise; at 0 and 1 from the ends of theirs.
    pub f1: Interval,
    /// Photos by the answer of the truth (rows: non_compliant, compliant, not_applicable,
    /// cannot_determine) and of the program (columns: the same). Labels never give the last row.
    pub answers: [[usize; 4]; 4],
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

/// The findings on all photos, judged.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Judgement {
    /// Of each kind that some photo can judge.
    pub metrics: Vec<FindingMetrics>,
    /// Hazards without a candidate, the largest first, kinds taking turns; at most a dozen.
    pub missed: Vec<Fault>,
    /// Candidates that meet no hazard, the surest first, kinds taking turns; at most a dozen.
    pub wrong: Vec<Fault>,
}

/// A miss or a false finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Index of the case.
    pub case: usize,
    /// Hazard code.
    pub code: String,
    /// Where, pixels of the upright photo.
    pub bbox: BBox,
    /// Of a candidate.
    pub score: Option<f32>,
}

/// Judges the findings of `rules` on photos of known truth. `thresholds` are the model's, by class.
pub fn judge(rules: &RuleSet, labels: &LabelMap, thresholds: &[f32], cases: &[Case]) -> Judgement {
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
    let (mut missed, mut wrong) = (Vec::new(), Vec::new());
    for (k, kind) in rules.kinds().iter().enumerate() {
        let judged: Vec<(usize, &Truth)> = cases
            .iter()
            .enumerate()
            .filter_map(|(i, c)| Some((i, c.truth.iter().find(|t| t.code == kind.code)?)))
            .collect();
        if judged.is_empty() {
            continue;
        }
        let mut counts = Vec::with_capacity(judged.len());
        for &(i, truth) in &judged {
            let held = hold(truth, &curves[0][i].candidates(&kind.code), &cases[i]);
            let fault = |(bbox, score)| Fault {
                case: i,
                code: kind.code.clone(),
                bbox,
                score,
            };
            missed.extend(held.missed.into_iter().map(|b| fault((b, None))));
            wrong.extend(held.wrong.into_iter().map(|(b, s)| fault((b, Some(s)))));
            counts.push(held.counts);
        }
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
    Judgement {
        metrics,
        missed: worst(missed, |f| f.bbox.area()),
        wrong: worst(wrong, |f| f.score.unwrap_or(0.0)),
    }
}

/// The gravest ones, the kinds taking turns.
fn worst(mut faults: Vec<Fault>, weight: impl Fn(&Fault) -> f32) -> Vec<Fault> {
    faults.sort_by(|a, b| weight(b).total_cmp(&weight(a)).then(a.case.cmp(&b.case)));
    let chosen = take_turns((0..faults.len()).collect(), |i| {
        (faults[i].code.clone(), faults[i].case)
    });
    chosen.into_iter().map(|i| faults[i].clone()).collect()
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

/// The candidates of one kind in one photo held against its truth.
#[derive(Default)]
struct Held {
    counts: Counts,
    missed: Vec<BBox>,
    wrong: Vec<(BBox, f32)>,
}

/// Best candidates first, each takes the hazard that it meets best among those left.
fn hold(truth: &Truth, candidates: &[&Candidate], case: &Case) -> Held {
    let mut left: Vec<&Hazard> = truth.hazards.iter().collect();
    let mut held = Held::default();
    for candidate in candidates {
        let place = place(candidate);
        let meets = |p: &Place| p.meets(place, candidate.bbox, case.size);
        let best = left
            .iter()
            .enumerate()
            .filter_map(|(i, hazard)| Some((i, meets(&hazard.place)?)))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((i, _)) = best {
            left.swap_remove(i);
            held.counts.right += 1;
        } else if truth.undecidable.iter().any(|p| meets(p).is_some()) {
            held.counts.overclaimed += 1;
        } else {
            held.counts.wrong += 1;
            held.wrong.push((place, candidate.score));
        }
    }
    held.counts.missed = left.len();
    let too_small = |h: &&&Hazard| {
        let part_px = h.part_px.map(|px| px * case.seen_scale);
        part_px.is_some_and(|px| px < truth.min_part_px)
    };
    held.counts.missed_too_small = left.iter().filter(too_small).count();
    held.missed = left.iter().map(|h| h.place.bbox(case.size)).collect();
    held
}

fn summary(code: &str, counts: &[Counts], curve: Vec<Vec<(Answer, Answer)>>) -> FindingMetrics {
    let sum = |which: fn(&Counts) -> usize| counts.iter().map(which).sum::<usize>();
    let (right, wrong, missed) = (sum(|c| c.right), sum(|c| c.wrong), sum(|c| c.missed));
    let ratio = |over: usize, under: usize| (under > 0).then(|| over as f64 / under as f64);
    let resamples = Resamples::new(counts);
    let mut table = [[0; 4]; 4];
    for (truth, said) in curve.first().into_iter().flatten() {
        table[column(*truth)][column(*said)] += 1;
    }
    let points: Vec<RiskCoverage> = curve
        .iter()
        .enumerate()
        .map(|(step, pairs)| point(step, pairs))
        .collect();
    let precision = resamples.interval(|c| ratio(c.right, c.right + c.wrong));
    let precision = precision.or_wilson(right, right + wrong);
    let recall = resamples.interval(|c| ratio(c.right, c.right + c.missed));
    let recall = recall.or_wilson(right, right + missed);
    let f1 = resamples.interval(|c| ratio(2 * c.right, 2 * c.right + c.wrong + c.missed));
    FindingMetrics {
        code: code.to_owned(),
        photos: counts.len(),
        hazards: right + missed,
        right,
        wrong,
        missed,
        missed_too_small: sum(|c| c.missed_too_small),
        overclaimed: sum(|c| c.overclaimed),
        precision,
        recall,
        f1: f1.or_harmonic(precision, recall),
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
