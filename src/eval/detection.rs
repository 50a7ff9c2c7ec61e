//! COCO's detection metrics, computed by the crate hotcoco; nothing of their arithmetic is ours.
//!
//! Parameters are COCO's: IoU 0.50:0.05:0.95, 101 recall points, at most 1, 10, 100 detections a
//! photo and class, sizes split at 32² and 96² pixels.

use std::collections::BTreeMap;

use hotcoco::metrics::is_computed;
use hotcoco::{Annotation, COCO, COCOeval, Category, Dataset, Image, IouType};

use super::classes::ClassPlan;
use super::labels::{GroundTruth, Prediction};
use super::report::{Calibration, CalibrationBin, ClassMetrics, Confusion, CurvePoint, ErrorTypes};

/// IoU at which a detection counts as right, wherever there is one threshold only.
pub const MATCH_IOU: f64 = 0.5;
/// IoU below which a detection lies on background (TIDE, Bolya et al. 2020).
const BACKGROUND_IOU: f64 = 0.1;
/// Bins of the calibration curve.
const CALIBRATION_BINS: usize = 10;

/// Why an evaluation cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the evaluation failed: {0}")]
pub struct EvalError(String);

impl From<hotcoco::Error> for EvalError {
    fn from(e: hotcoco::Error) -> Self {
        Self(e.to_string())
    }
}

/// Predictions matched with ground truth, and the figures that follow.
pub struct Evaluation {
    pub(super) coco: COCOeval,
    /// Names in the order of COCO's class axis (rising ids).
    pub(super) names: Vec<String>,
}

impl Evaluation {
    /// Matches predictions with ground truth. Both hold judged classes only
    /// ([`ClassPlan::keep_judged`]) and usable boxes; predictions of unknown photos are passed
    /// over.
    ///
    /// # Errors
    /// A score that is no number.
    pub fn new(
        truth: &GroundTruth,
        plan: &ClassPlan,
        predictions: &[Prediction],
    ) -> Result<Self, EvalError> {
        let coco_truth = COCO::from_dataset(dataset(truth));
        let found = coco_truth.load_res_anns(predictions.iter().map(result).collect())?;
        let mut coco = COCOeval::new(coco_truth, found, IouType::Bbox);
        coco.params.img_ids = truth.photos.iter().map(|p| p.id).collect();
        coco.params.cat_ids = plan.judged.iter().map(|j| j.id).collect();
        coco.evaluate()?;
        coco.accumulate();
        // fills `stats`; the lines are for a terminal
        let _ = coco.summarize_lines();
        let ids = coco.accumulated().map_or(&[][..], |a| &a.cat_ids);
        let names = ids.iter().map(|&id| plan.name(id).to_owned()).collect();
        Ok(Self { coco, names })
    }

    /// COCO's least IoU of a match.
    pub fn iou_thresholds(&self) -> &[f64] {
        &self.coco.params.iou_thrs
    }

    /// COCO's most detections for one photo and class.
    pub fn max_detections(&self) -> &[usize] {
        &self.coco.params.max_dets
    }

    /// The twelve figures of COCO by name (`AP`, `AP50`, …, `ARl`); `None` where there is no
    /// object to judge by, for example no small one.
    pub fn summary(&self) -> BTreeMap<String, Option<f64>> {
        let stats = self.coco.stats().unwrap_or_default();
        let keys = self.coco.metric_keys();
        let named = keys.into_iter().zip(stats);
        named.map(|(k, &v)| (k.to_owned(), computed(v))).collect()
    }

    /// Figures of each judged class, in the order of their ids, without the operating point.
    pub fn per_class(&self, truth: &GroundTruth) -> Vec<ClassMetrics> {
        let Some(eval) = self.coco.accumulated() else {
            return Vec::new();
        };
        let params = &self.coco.params;
        let m = params.max_det_idx();
        let area = |label: &str| params.area_range_idx(label).unwrap_or(0);
        let row = |thr: f64| params.iou_thr_idx(thr).unwrap_or(0);
        let all_rows = 0..eval.shape.t;
        let ap = |rows: std::ops::Range<usize>, k: usize, a: usize| {
            mean(rows.flat_map(|t| {
                (0..eval.shape.r).map(move |r| eval.precision[eval.precision_idx(t, r, k, a, m)])
            }))
        };
        let mut metrics = Vec::with_capacity(eval.cat_ids.len());
        for (k, (&id, name)) in eval.cat_ids.iter().zip(&self.names).enumerate() {
            let t50 = row(MATCH_IOU);
            let t75 = row(0.75);
            let curve: Vec<CurvePoint> = (0..eval.shape.r)
                .map(|r| {
                    let at = eval.precision_idx(t50, r, k, area("all"), m);
                    CurvePoint {
                        recall: params.rec_thrs[r],
                        precision: eval.precision[at].max(0.0),
                        score: eval.scores[at].max(0.0),
                    }
                })
                .collect();
            let boxes = truth.boxes.iter().filter(|b| b.class == id && !b.crowd);
            metrics.push(ClassMetrics {
                name: name.clone(),
                id,
                boxes: boxes.count(),
                ap: ap(all_rows.clone(), k, area("all")),
                ap50: ap(t50..t50 + 1, k, area("all")),
                ap75: ap(t75..t75 + 1, k, area("all")),
                ap_small: ap(all_rows.clone(), k, area("small")),
                ap_medium: ap(all_rows.clone(), k, area("medium")),
                ap_large: ap(all_rows.clone(), k, area("large")),
                ar: mean(
                    all_rows
                        .clone()
                        .map(|t| eval.recall[eval.recall_idx(t, k, area("all"), m)]),
                ),
                best_f1: best_f1(&curve),
                curve,
                operating: None,
            });
        }
        metrics
    }

    /// How confidence and being right go together. All detections count, also the thousands with
    /// a score near 0: look at the bins, not at the mean alone.
    ///
    /// # Errors
    /// Scores outside `0..=1`.
    pub fn calibration(&self) -> Result<Calibration, EvalError> {
        let result = self.coco.calibration(CALIBRATION_BINS, MATCH_IOU)?;
        Ok(Calibration {
            expected_error: result.ece,
            largest_error: result.mce,
            detections: result.num_detections,
            bins: result
                .bins
                .iter()
                .map(|b| CalibrationBin {
                    from: b.bin_lower,
                    to: b.bin_upper,
                    confidence: b.avg_confidence,
                    right: b.avg_accuracy,
                    count: b.count,
                })
                .collect(),
        })
    }

    /// What kind of error costs how much AP50 (TIDE, Bolya et al. 2020).
    ///
    /// # Errors
    /// When hotcoco refuses.
    pub fn error_types(&self) -> Result<ErrorTypes, EvalError> {
        let tide = self.coco.tide_errors(MATCH_IOU, BACKGROUND_IOU)?;
        Ok(ErrorTypes {
            ap50: tide.ap_base,
            cost: tide.delta_ap,
            counts: tide.counts,
        })
    }

    /// Which class is taken for which. Rows are the truth, columns what was predicted; the last
    /// column counts misses, the last row false alarms.
    pub fn confusion(&self) -> Confusion {
        let matrix = self
            .coco
            .confusion_matrix(MATCH_IOU, Some(usize::MAX), None);
        let side = matrix.num_cats + 1;
        let cells = matrix.matrix.chunks(side).map(<[u64]>::to_vec);
        Confusion {
            classes: matrix.cat_names,
            cells: cells.collect(),
        }
    }
}

/// The point of a curve with the best F1, `2pr / (p + r)`.
fn best_f1(curve: &[CurvePoint]) -> Option<CurvePoint> {
    let f1 = |p: &CurvePoint| {
        let sum = p.precision + p.recall;
        if sum > 0.0 {
            2.0 * p.precision * p.recall / sum
        } else {
            0.0
        }
    };
    let best = curve.iter().max_by(|a, b| f1(a).total_cmp(&f1(b)))?;
    (f1(best) > 0.0).then(|| best.clone())
}

/// hotcoco marks what could not be computed by -1.
fn computed(value: f64) -> Option<f64> {
    is_computed(value).then_some(value)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0usize);
    for value in values.filter(|&v| is_computed(v)) {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / count as f64)
}

fn dataset(truth: &GroundTruth) -> Dataset {
    let images = truth.photos.iter().map(|p| Image {
        id: p.id,
        width: p.width,
        height: p.height,
        ..Image::default()
    });
    let annotations = truth.boxes.iter().zip(1..).map(|(b, id)| Annotation {
        // 0 means "unmatched" to the matcher, and sets number from 0 or not at all
        id,
        image_id: b.photo,
        category_id: b.class,
        bbox: Some(b.bbox),
        area: Some(b.area),
        iscrowd: b.crowd,
        ..Annotation::default()
    });
    let categories = truth.classes.iter().map(|c| Category {
        id: c.id,
        name: c.name.clone(),
        ..Category::default()
    });
    Dataset {
        images: images.collect(),
        annotations: annotations.collect(),
        categories: categories.collect(),
        ..Dataset::default()
    }
}

fn result(p: &Prediction) -> Annotation {
    Annotation {
        image_id: p.photo,
        category_id: p.class,
        bbox: Some(p.bbox),
        score: Some(p.score),
        ..Annotation::default()
    }
}
