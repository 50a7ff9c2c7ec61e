//! COCO's results format: a list of `image_id`, `category_id`, `bbox`, `score`.

use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::coco::{id, without_nan};
use super::{DatasetError, hex, read_bytes};
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
/// Not readable, not of this format, a box or a score that is no number.
pub fn read_predictions(path: &Path) -> Result<(Vec<Prediction>, String), DatasetError> {
    let bytes = read_bytes(path)?;
    let rows: Vec<Row> = serde_json::from_slice(&without_nan(&bytes)).map_err(|e| {
        let reason = format!(
            "is no COCO results file ({e}); it must be a list of objects with `image_id`, \
             `category_id`, `bbox` [x, y, width, height] and `score`"
        );
        DatasetError::format(path, reason)
    })?;
    let broken = |row: usize| {
        let reason = format!(
            "prediction {row} has a box or a score that is no number; the program that made the \
             file is at fault: mend it, or take the row out"
        );
        DatasetError::format(path, reason)
    };
    let mut predictions = Vec::with_capacity(rows.len());
    for (i, row) in rows.into_iter().enumerate() {
        let (Some(score), [Some(x), Some(y), Some(w), Some(h)]) = (row.score, row.bbox) else {
            return Err(broken(i));
        };
        predictions.push(Prediction {
            photo: row.image_id,
            class: row.category_id,
            bbox: [x, y, w, h],
            score,
        });
    }
    let mut digest = Sha256::new();
    digest.update(&bytes);
    Ok((predictions, hex(digest)))
}
