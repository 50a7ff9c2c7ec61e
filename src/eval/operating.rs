//! At the threshold that decides whether an alarm is raised: counts, and the worst of the errors.

use std::collections::HashMap;
use std::hash::Hash;

use hotcoco::{DtStatus, GtStatus};

use super::classes::ClassPlan;
use super::detection::{EvalError, Evaluation, MATCH_IOU};
use super::labels::{GroundTruth, LabelledBox, Prediction, iou};
use super::report::{ClassMetrics, Confusion, Nearest, OperatingPoint, Worst};

/// Misses, and false alarms, that are shown.
const SHOWN: usize = 12;
/// Overlap from which something of the other side belongs to an error (TIDE's background).
const NEAR_IOU: f64 = 0.1;
/// Of one photo.
const SHOWN_OF_A_PHOTO: usize = 2;

/// What one threshold for each class leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct Operating {
    /// Which class is taken for which.
    pub confusion: Confusion,
    /// Largest boxes first, the classes taking turns.
    pub misses: Vec<Worst>,
    /// Surest ones first, the classes taking turns.
    pub false_alarms: Vec<Worst>,
}

/// Judges the predictions that reach the threshold of their class (by class id), and adds the
/// counts to `metrics`.
///
/// # Errors
/// As [`Evaluation::new`].
pub fn operate(
    truth: &GroundTruth,
    plan: &ClassPlan,
    predictions: &[Prediction],
    thresholds: &HashMap<u64, f64>,
    metrics: &mut [ClassMetrics],
) -> Result<Operating, EvalError> {
    let kept: Vec<Prediction> = predictions
        .iter()
        .filter(|p| p.score >= thresholds.get(&p.class).copied().unwrap_or(0.0))
        .copied()
        .collect();
    let evaluation = Evaluation::new(truth, plan, &kept)?;
    let status = evaluation
        .coco
        .image_diagnostics(MATCH_IOU, 1.0)?
        .annotations;
    // hotcoco numbers predictions, and `Evaluation` boxes, from 1 in the order given
    let missed = |i: usize| status.gt_status.get(&(i as u64 + 1)) == Some(&GtStatus::Fn);
    let found = |i: usize| status.gt_status.get(&(i as u64 + 1)) == Some(&GtStatus::Matched);
    let wrong = |i: usize| status.dt_status.get(&(i as u64 + 1)) == Some(&DtStatus::Fp);
    let indices = |len: usize, which: &dyn Fn(usize) -> bool| -> Vec<usize> {
        (0..len).filter(|&i| which(i)).collect()
    };
    let missed = indices(truth.boxes.len(), &missed);
    let found = indices(truth.boxes.len(), &found);
    let wrong = indices(kept.len(), &wrong);
    for class in &mut *metrics {
        let boxes = |of: &[usize]| {
            of.iter()
                .filter(|&&i| truth.boxes[i].class == class.id)
                .count()
        };
        let alarms = wrong.iter().filter(|&&i| kept[i].class == class.id);
        class.operating = Some(point(
            thresholds.get(&class.id).copied().unwrap_or(0.0),
            boxes(&found),
            alarms.count(),
            boxes(&missed),
        ));
    }
    let scene = Scene::new(truth, plan, &kept);
    Ok(Operating {
        confusion: evaluation.confusion(),
        misses: scene.misses(missed),
        false_alarms: scene.false_alarms(wrong),
    })
}

fn point(threshold: f64, found: usize, false_alarms: usize, missed: usize) -> OperatingPoint {
    let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
    OperatingPoint {
        threshold,
        found,
        false_alarms,
        missed,
        precision: share(found, found + false_alarms),
        recall: share(found, found + missed),
        f1: share(2 * found, 2 * found + false_alarms + missed),
    }
}

/// Both sides of every photo.
struct Scene<'a> {
    truth: &'a GroundTruth,
    plan: &'a ClassPlan,
    kept: &'a [Prediction],
    files: HashMap<u64, &'a str>,
    boxes_of: HashMap<u64, Vec<&'a LabelledBox>>,
    kept_of: HashMap<u64, Vec<&'a Prediction>>,
}

impl<'a> Scene<'a> {
    fn new(truth: &'a GroundTruth, plan: &'a ClassPlan, kept: &'a [Prediction]) -> Self {
        let mut boxes_of: HashMap<u64, Vec<&LabelledBox>> = HashMap::new();
        for b in &truth.boxes {
            boxes_of.entry(b.photo).or_default().push(b);
        }
        let mut kept_of: HashMap<u64, Vec<&Prediction>> = HashMap::new();
        for p in kept {
            kept_of.entry(p.photo).or_default().push(p);
        }
        Self {
            truth,
            plan,
            kept,
            files: truth.photos.iter().map(|p| (p.id, &*p.file)).collect(),
            boxes_of,
            kept_of,
        }
    }

    fn misses(&self, mut missed: Vec<usize>) -> Vec<Worst> {
        let boxes = &self.truth.boxes;
        let size = |i: usize| boxes[i].bbox[2] * boxes[i].bbox[3];
        missed.sort_by(|&a, &b| size(b).total_cmp(&size(a)).then(a.cmp(&b)));
        let chosen = take_turns(missed, |i| (boxes[i].class, boxes[i].photo));
        let worst = chosen.into_iter().map(|i| {
            let b = &boxes[i];
            let others = self.kept_of.get(&b.photo).into_iter().flatten();
            let nearest = others.map(|p| (iou(b.bbox, p.bbox), p));
            let nearest = nearest.max_by(|x, y| x.0.total_cmp(&y.0));
            self.worst(b.photo, b.class, b.bbox, None, |name| {
                nearest
                    .filter(|(iou, _)| *iou >= NEAR_IOU)
                    .map(|(iou, p)| Nearest {
                        class: name(p.class),
                        bbox: p.bbox,
                        iou,
                        score: Some(p.score),
                    })
            })
        });
        worst.collect()
    }

    fn false_alarms(&self, mut wrong: Vec<usize>) -> Vec<Worst> {
        let kept = self.kept;
        wrong.sort_by(|&a, &b| kept[b].score.total_cmp(&kept[a].score).then(a.cmp(&b)));
        let chosen = take_turns(wrong, |i| (kept[i].class, kept[i].photo));
        let worst = chosen.into_iter().map(|i| {
            let p = &kept[i];
            let others = self.boxes_of.get(&p.photo).into_iter().flatten();
            let nearest = others.map(|b| (iou(p.bbox, b.bbox), b));
            let nearest = nearest.max_by(|x, y| x.0.total_cmp(&y.0));
            self.worst(p.photo, p.class, p.bbox, Some(p.score), |name| {
                nearest
                    .filter(|(iou, _)| *iou >= NEAR_IOU)
                    .map(|(iou, b)| Nearest {
                        class: name(b.class),
                        bbox: b.bbox,
                        iou,
                        score: None,
                    })
            })
        });
        worst.collect()
    }

    fn worst(
        &self,
        photo: u64,
        class: u64,
        bbox: [f64; 4],
        score: Option<f64>,
        nearest: impl FnOnce(&dyn Fn(u64) -> String) -> Option<Nearest>,
    ) -> Worst {
        let name = |id: u64| self.plan.name(id).to_owned();
        Worst {
            photo: self.files.get(&photo).copied().unwrap_or("?").to_owned(),
            class: name(class),
            bbox,
            score,
            nearest: nearest(&name),
        }
    }
}

/// The first of each class, then the second of each, …: one class with many errors does not hide
/// the others, nor does one photo.
pub(super) fn take_turns<C: Hash + Eq, P: Hash + Eq>(
    sorted: Vec<usize>,
    class_and_photo: impl Fn(usize) -> (C, P),
) -> Vec<usize> {
    let mut of_photo: HashMap<P, usize> = HashMap::new();
    let mut of_class: HashMap<C, usize> = HashMap::new();
    let mut turns: Vec<(usize, usize, usize)> = Vec::new();
    for (rank, i) in sorted.into_iter().enumerate() {
        let (class, photo) = class_and_photo(i);
        let shown = of_photo.entry(photo).or_default();
        if *shown == SHOWN_OF_A_PHOTO {
            continue;
        }
        *shown += 1;
        let turn = of_class.entry(class).or_default();
        turns.push((*turn, rank, i));
        *turn += 1;
    }
    turns.sort_unstable();
    turns.into_iter().take(SHOWN).map(|(.., i)| i).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_take_turns_and_no_photo_fills_the_list() {
        // (class, photo) by index
        let items = [(1, 1), (1, 1), (1, 1), (1, 2), (2, 3), (1, 4), (2, 5)];
        let order = take_turns((0..items.len()).collect(), |i| items[i]);
        assert_eq!(order, [0, 4, 1, 6, 3, 5]);
    }

    #[test]
    fn shares_of_nothing_are_not_shown_as_zero() {
        let nothing = point(0.5, 0, 0, 0);
        assert_eq!(
            (nothing.precision, nothing.recall, nothing.f1),
            (None, None, None)
        );
        let some = point(0.5, 3, 1, 2);
        assert_eq!((some.precision, some.recall), (Some(0.75), Some(0.6)));
    }
}
