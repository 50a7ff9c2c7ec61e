//! Search by picture: one way for the command line and the service.

use super::{AskError, Cutter};
use crate::bank::{Calibration, Mask, Matcher, Verdict};
use crate::embedding::Embedding;
use crate::inference::Embed;

/// A part of a picture, held against the bank.
pub struct Searched<'a> {
    /// What it looks like: for `Bank::nearest`.
    pub probe: Embedding,
    /// Of each kind that the bank can confirm, what it says and what that is held against; by code.
    pub verdicts: Vec<(&'a str, Verdict, Calibration)>,
}

/// Holds the part of a photo, `[x1, y1, x2, y2]` in fractions, against the bank; of it what lies within the mask.
///
/// # Errors
/// When the embedder fails, or is not the bank's.
pub fn search<'a>(
    matcher: &Matcher<'a>,
    cutter: &Cutter<'_>,
    (area, mask): ([f64; 4], Option<&Mask>),
    embedder: &dyn Embed,
) -> Result<Searched<'a>, AskError> {
    let probe = cutter.embed_samples(&[(area, mask)], embedder)?.remove(0);
    let judged = |(code, calibration): (&'a str, &Calibration)| {
        Ok((code, matcher.judge(code, &probe)?, calibration.clone()))
    };
    let verdicts = matcher
        .kinds()
        .map(judged)
        .collect::<Result<_, AskError>>()?;
    Ok(Searched { probe, verdicts })
}
