//! From decoded rows to detections: thresholds, suppression, and the way back to the original.

use super::{Background, DecodeError, Suppression, nms};
use crate::detection::Detection;
use crate::geometry::{BBox, Letterbox};

/// Boxes that enter suppression at most, the best ones (Ultralytics' `max_nms`): a bound on
/// quadratic work when thresholds are near 0.
const MAX_CANDIDATES: usize = 30_000;

/// Rounding that a score may show beyond `0..=1` (half precision has 11 bits).
const SCORE_SLACK: f32 = 1e-3;

/// What passed its threshold so far, in input pixels, with the box in original pixels.
pub(crate) struct Candidates<'a> {
    letterbox: &'a Letterbox,
    thresholds: &'a [f32],
    lowest: f32,
    found: Vec<Detection>,
}

impl<'a> Candidates<'a> {
    pub(crate) fn new(letterbox: &'a Letterbox, thresholds: &'a [f32]) -> Self {
        Self {
            letterbox,
            thresholds,
            lowest: thresholds.iter().copied().fold(f32::INFINITY, f32::min),
            found: Vec::new(),
        }
    }

    /// A score outside `0..=1` means that the manifest misreads the model, most often logits
    /// taken for probabilities. One that is no number means that the model's arithmetic broke
    /// down: to drop it would pass a picture that nobody has looked at.
    pub(crate) fn check_score(&self, output: &str, score: f32) -> Result<(), DecodeError> {
        let allowed = -SCORE_SLACK..=1.0 + SCORE_SLACK;
        if allowed.contains(&score) {
            Ok(())
        } else if score.is_nan() {
            Err(DecodeError::NotANumber {
                output: output.to_owned(),
            })
        } else {
            Err(DecodeError::Score {
                output: output.to_owned(),
                score,
            })
        }
    }

    /// A box with a score for every class, each multiplied by `factor`: the best class, or with
    /// `multi_label` every class, is kept where it reaches its threshold.
    pub(crate) fn push_classes(
        &mut self,
        output: &str,
        bbox: BBox,
        multi_label: bool,
        score: impl Fn(usize) -> f32,
        factor: f32,
    ) -> Result<(), DecodeError> {
        let mut best: Option<(usize, f32)> = None;
        for class in 0..self.thresholds.len() {
            let s = score(class);
            self.check_score(output, s)?;
            let s = s * factor;
            if multi_label {
                self.push(bbox, class, s);
            } else if best.is_none_or(|(_, b)| s > b) {
                best = Some((class, s));
            }
        }
        if let Some((class, s)) = best {
            self.push(bbox, class, s);
        }
        Ok(())
    }

    /// A box with one score and a class number as the model counts. The background is dropped;
    /// a number beyond the labels means that the label list does not belong to this model.
    pub(crate) fn push_labelled(
        &mut self,
        output: &str,
        bbox: BBox,
        score: f32,
        class: f32,
        background: Background,
    ) -> Result<(), DecodeError> {
        self.check_score(output, score)?;
        // Padding rows carry score 0 and any class; they are no evidence of a wrong list.
        if score <= 0.0 || score < self.lowest {
            return Ok(());
        }
        let labels = self.thresholds.len();
        let class_index = class.round() - background.offset() as f32;
        if class_index < 0.0 || (background == Background::Last && class_index == labels as f32) {
            return Ok(());
        }
        if class_index.is_nan() || class_index >= labels as f32 {
            return Err(DecodeError::Class {
                output: output.to_owned(),
                class,
                labels,
            });
        }
        self.push(bbox, class_index as usize, score);
        Ok(())
    }

    /// Keeps a box in input pixels if it reaches its class threshold and lies on the picture.
    fn push(&mut self, bbox: BBox, class: usize, score: f32) {
        let reached = self.thresholds.get(class).is_some_and(|&t| score >= t);
        if reached && bbox.is_valid() && self.letterbox.inverse(bbox).is_valid() {
            let score = score.clamp(0.0, 1.0);
            self.found.push(Detection { class, score, bbox });
        }
    }

    /// Suppression in input pixels, where the model's own evaluation does it (boxes are not cut
    /// at the picture's edge yet), then back to original pixels. Best first.
    pub(crate) fn finish(mut self, how: Suppression) -> Vec<Detection> {
        if self.found.len() > MAX_CANDIDATES {
            self.found
                .select_nth_unstable_by(MAX_CANDIDATES, nms::best_first);
            self.found.truncate(MAX_CANDIDATES);
        }
        let mut kept = match how.iou {
            Some(iou) => match how.vote_iou {
                Some(vote) => nms::nms_voted(self.found, iou, how.per_class, how.max, vote),
                None => nms::nms(self.found, iou, how.per_class, how.max),
            },
            None => {
                self.found.sort_by(nms::best_first);
                self.found.truncate(how.max);
                self.found
            }
        };
        for d in &mut kept {
            d.bbox = self.letterbox.inverse(d.bbox);
        }
        kept
    }
}
