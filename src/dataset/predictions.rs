//! COCO's results format: a list of `image_id`, `category_id`, `bbox`, `score`.

use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::coco::{id, without_nan};
use super::{DatasetError, hex, is_pixels, read_bytes};
use crate::eval::Prediction;

#[derive(Deserialize)]
struct Row {
    #[serde(deserialize_with = "id")]
    image_id: u64,
    #[serde(deserialize_with = "id")]
    category_id: u64,
    bbox: [Option<f64>; 4],
    score: Option<f64>,
}

/// Reads a results file; its SHA-256 comes with it.
///
/// # Errors
/// Not readable, not of this format, a box or a score that cannot be one.
pub fn read_predictions(path: &Path) -> Result<(Vec<Prediction>, String), DatasetError> {
    let bytes = read_bytes(path)?;
    let rows: Vec<Row> = serde_json::from_slice(&without_nan(&bytes)).map_err(|e| {
        let reason = format!(
            "is no COCO results file ({e}); it must be a list of objects with `image_id`, \
             `category_id`, `bbox` [x, y, width, height] and `score`"
        );
        DatasetError::format(path, reason)
    })?;
    let mut predictions = Vec::with_capacity(rows.len());
    for (i, row) in rows.into_iter().enumerate() {
        let prediction = row.checked().map_err(|fault| {
            let reason = format!(
                "entry {i} of the list (from 0; image_id {}) {fault}; the program that made the \
                 file is at fault: mend it, or take the entry out",
                row.image_id
            );
            DatasetError::format(path, reason)
        })?;
        predictions.push(prediction);
    }
    let mut digest = Sha256::new();
    digest.update(&bytes);
    Ok((predictions, hex(digest)))
}

impl Row {
    /// The prediction, or what is wrong with it.
    fn checked(&self) -> Result<Prediction, String> {
        let (Some(score), [Some(x), Some(y), Some(w), Some(h)]) = (self.score, self.bbox) else {
            return Err("has a box or a score that is no number".into());
        };
        if !(0.0..=1.0).contains(&score) {
            return Err(format!(
                "has the score {score}, which must lie from 0 to 1 (logits: apply the sigmoid; \
                 percent: divide by 100)"
            ));
        }
        let bbox = [x, y, w, h];
        if !bbox.iter().all(|v| is_pixels(*v)) || w < 0.0 || h < 0.0 {
            return Err(format!(
                "has the box {bbox:?}, which must be [x, y, width, height] in pixels of a photo"
            ));
        }
        Ok(Prediction {
            photo: self.image_id,
            class: self.category_id,
            bbox,
            score,
        })
    }
}
