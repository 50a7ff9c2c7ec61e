//! Two sets of predictions on the same photos: is the difference more than luck?
//!
//! Paired bootstrap over photos (Efron 1979): photos are drawn with replacement, as many as there
//! are, both sides are judged on the same draw, and the middle 95 % of the differences are the
//! confidence interval. AP of a draw is hotcoco's `average_precision_ranked` on its matches.
//!
//! `hotcoco::compare` is not used: it counts a photo that was drawn twice once, so that its intervals
//! are about a quarter too narrow (its `metrics::bootstrap` says so itself), and it has none by class.

use hotcoco::metrics::counts::average_precision_ranked;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::detection::{Evaluation, MATCH_IOU};
use super::latency::percentile;

/// Draws.
const DRAWS: usize = 1000;
/// Share of the draws that the interval holds.
const CONFIDENCE: f64 = 0.95;
/// Where the draws begin: the same figures every time.
const SEED: u64 = 42;

/// What came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// Photos.
    pub photos: usize,
    /// Draws of the bootstrap.
    pub draws: usize,
    /// Share of the draws within the intervals.
    pub confidence: f64,
    /// What else is to be known: classes that one side does not have, predictions of other photos.
    pub notes: Vec<String>,
    /// The mean over classes first, then each class; AP and AP50 of each.
    pub differences: Vec<Difference>,
}

/// One figure on both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// Class; null for the mean over classes.
    pub class: Option<String>,
    /// `AP` or `AP50`.
    pub metric: String,
    /// The first side; null without boxes.
    pub a: Option<f64>,
    /// The second side.
    pub b: Option<f64>,
    /// `b - a`.
    pub difference: Option<f64>,
    /// Confidence interval of the difference; null where there are too few boxes for one.
    pub interval: Option<[f64; 2]>,
    /// What can be said.
    pub verdict: Verdict,
}

/// What a confidence interval shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The interval lies below 0.
    ABetter,
    /// The interval lies above 0.
    BBetter,
    /// The interval holds 0: this many photos show no difference. There may be one all the same.
    NoDifferenceShown,
}

/// Compares two evaluations of the same ground truth and classes.
pub fn compare(a: &Evaluation, b: &Evaluation) -> Comparison {
    let photos = a.coco.params.img_ids.len();
    let (matches_a, matches_b) = (Matches::all(a), Matches::all(b));
    let once = vec![1; photos];
    let (at_a, at_b) = (figures(&matches_a, &once), figures(&matches_b, &once));
    let draws: Vec<Vec<Option<f64>>> = (0..DRAWS as u64)
        .into_par_iter()
        .map(|draw| {
            let times = resample(photos, SEED.wrapping_add(draw));
            let (a, b) = (figures(&matches_a, &times), figures(&matches_b, &times));
            a.iter().zip(&b).map(|(a, b)| Some((*b)? - (*a)?)).collect()
        })
        .collect();
    let mut names: Vec<Option<&String>> = vec![None];
    names.extend(matches_a.iter().map(|m| Some(&m.class)));
    let mut differences = Vec::with_capacity(at_a.len());
    for (i, (&a, &b)) in at_a.iter().zip(&at_b).enumerate() {
        let mut drawn: Vec<f64> = draws.iter().filter_map(|d| d[i]).collect();
        drawn.sort_by(f64::total_cmp);
        let tail = (1.0 - CONFIDENCE) / 2.0;
        // a class that is in few of the draws has no spread worth the name
        let interval = (2 * drawn.len() > DRAWS)
            .then(|| [percentile(&drawn, tail), percentile(&drawn, 1.0 - tail)]);
        differences.push(Difference {
            class: names[i / METRICS.len()].cloned(),
            metric: METRICS[i % METRICS.len()].to_owned(),
            a,
            b,
            difference: a.zip(b).map(|(a, b)| b - a),
            interval,
            verdict: match interval {
                Some([low, _]) if low > 0.0 => Verdict::BBetter,
                Some([_, high]) if high < 0.0 => Verdict::ABetter,
                _ => Verdict::NoDifferenceShown,
            },
        });
    }
    Comparison {
        photos,
        draws: DRAWS,
        confidence: CONFIDENCE,
        notes: Vec::new(),
        differences,
    }
}

const METRICS: [&str; 2] = ["AP", "AP50"];

/// Mean AP, mean AP50, then AP and AP50 of each class, with photo `i` counted `times[i]` times.
fn figures(classes: &[Matches], times: &[u32]) -> Vec<Option<f64>> {
    let each: Vec<[Option<f64>; 2]> = classes.iter().map(|c| c.figures(times)).collect();
    let mean = |metric: usize| {
        let (sum, count) = each
            .iter()
            .filter_map(|f| f[metric])
            .fold((0.0, 0usize), |(sum, n), v| (sum + v, n + 1));
        (count > 0).then(|| sum / count as f64)
    };
    [mean(0), mean(1)]
        .into_iter()
        .chain(each.iter().flatten().copied())
        .collect()
}

/// Score, photo, whether it is right by IoU, whether it does not count by IoU.
type Matched = (f64, u32, Vec<bool>, Vec<bool>);

/// The detections of one class, matched.
struct Matches {
    class: String,
    /// For each IoU: photo and whether it is right, surest first. What follows the last right one
    /// cannot change AP and is left out.
    ranked: Vec<Vec<(u32, bool)>>,
    /// Photo and its boxes.
    boxes: Vec<(u32, u32)>,
    /// Row of [`MATCH_IOU`].
    row50: usize,
    recalls: Vec<f64>,
}

impl Matches {
    /// In the order of [`Evaluation::names`].
    fn all(evaluation: &Evaluation) -> Vec<Self> {
        let coco = &evaluation.coco;
        let params = &coco.params;
        let ids = coco.accumulated().map_or(&[][..], |a| &a.cat_ids);
        let all_sizes = params.all_area_range();
        let slots = params.img_ids.iter().zip(0u32..);
        let slots: std::collections::HashMap<u64, u32> = slots.map(|(&id, i)| (id, i)).collect();
        let mut classes: Vec<Self> = evaluation
            .names
            .iter()
            .map(|name| Self {
                class: name.clone(),
                ranked: Vec::new(),
                boxes: Vec::new(),
                row50: params.iou_thr_idx(MATCH_IOU).unwrap_or(0),
                recalls: params.rec_thrs.clone(),
            })
            .collect();
        let mut found: Vec<Vec<Matched>> = vec![Vec::new(); ids.len()];
        for cell in coco.eval_imgs().iter().flatten() {
            let class = ids.iter().position(|&id| id == cell.category_id);
            let (Some(class), Some(&slot)) = (class, slots.get(&cell.image_id)) else {
                continue;
            };
            if cell.area_rng != all_sizes {
                continue;
            }
            classes[class]
                .boxes
                .push((slot, cell.num_gt_in_denominator() as u32));
            let rows = 0..params.iou_thrs.len();
            for (d, &score) in cell.dt_scores.iter().enumerate() {
                let right = rows.clone().map(|t| cell.dt_matched.row(t)[d]).collect();
                let passed = rows.clone().map(|t| cell.dt_ignore.row(t)[d]).collect();
                found[class].push((score, slot, right, passed));
            }
        }
        for (class, mut found) in classes.iter_mut().zip(found) {
            // stable, in the order of the photos among equals, as COCO ranks
            found.sort_by_key(|f| f.1);
            found.sort_by(|a, b| b.0.total_cmp(&a.0));
            class.ranked = (0..params.iou_thrs.len())
                .map(|t| {
                    let counted = found.iter().filter(|(.., passed)| !passed[t]);
                    let mut ranked: Vec<(u32, bool)> = counted
                        .map(|(_, slot, right, _)| (*slot, right[t]))
                        .collect();
                    let last = ranked.iter().rposition(|(_, right)| *right);
                    ranked.truncate(last.map_or(0, |i| i + 1));
                    ranked
                })
                .collect();
        }
        classes
    }

    /// AP and AP50; `None` without boxes.
    fn figures(&self, times: &[u32]) -> [Option<f64>; 2] {
        let boxes: u32 = self
            .boxes
            .iter()
            .map(|&(slot, n)| n * times[slot as usize])
            .sum();
        if boxes == 0 {
            return [None, None];
        }
        let mut right = Vec::new();
        let by_iou: Vec<f64> = self
            .ranked
            .iter()
            .map(|ranked| {
                right.clear();
                for &(slot, is_right) in ranked {
                    right.extend((0..times[slot as usize]).map(|_| is_right));
                }
                average_precision_ranked(&right, None, boxes as usize, &self.recalls)
            })
            .collect();
        let mean = by_iou.iter().sum::<f64>() / by_iou.len() as f64;
        [Some(mean), by_iou.get(self.row50).copied()]
    }
}

/// How often each of `n` photos is drawn in `n` draws with replacement. The generator is
/// SplitMix64 (Steele, Lea, Flood 2014).
fn resample(n: usize, seed: u64) -> Vec<u32> {
    let mut state = seed.wrapping_mul(0xd134_2543_de82_ef95);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut times = vec![0; n];
    for _ in 0..n {
        let i = (u128::from(next()) * n as u128) >> 64;
        times[i as usize] += 1;
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_has_as_many_photos_as_there_are_and_repeats_some() {
        for seed in 0..20 {
            let times = resample(1000, seed);
            assert_eq!(times.iter().sum::<u32>(), 1000);
            // 1/e of them are expected to be left out; five standard deviations around it
            let left_out = times.iter().filter(|t| **t == 0).count();
            assert!((320..=416).contains(&left_out), "{left_out}");
        }
        assert_ne!(resample(100, 1), resample(100, 2));
    }
}
