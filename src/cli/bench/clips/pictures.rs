//! Pictures of what was missed and of what was told wrongly, from a second look at the clip.

use std::path::Path;

use crate::eval::clips::ClipReport;
use crate::eval::episodes::Verdict;
use crate::geometry::BBox;
use crate::hazard::Answer;
use crate::pipeline::clip_file::{WatchConfig, frames_at};
use crate::pipeline::picture::crop_frame;
use crate::render::bench::Picture;
use crate::render::clips::ClipPictures;
use crate::source::clip::ClipError;

/// Most pictures of a clip of each kind: the report stays a file that one can open.
const MAX_PICTURES: usize = 40;
/// Side of a picture, pixels.
const SIDE: u32 = 320;
/// A picture shows this many times what it is about.
const ROOM: f32 = 1.6;
/// Least side of what a picture shows, pixels of the frame.
const LEAST_SIDE: f32 = 120.0;

/// What a picture is of: an index into the episodes or the findings.
#[derive(Clone, Copy)]
enum Of {
    Missed(usize),
    Wrong(usize),
}

pub(super) fn of(
    clip: &ClipReport,
    path: &Path,
    config: &WatchConfig,
    max_pixels: u64,
) -> Result<ClipPictures, ClipError> {
    let missed = clip
        .episodes
        .iter()
        .enumerate()
        .filter(|(_, e)| e.answer == Answer::NonCompliant && e.found_after_s.is_none());
    let missed = missed.map(|(i, e)| (e.largest.time_s, e.largest.bbox, Of::Missed(i)));
    let wrong = clip.findings.iter().enumerate().filter(|(_, f)| {
        matches!(
            f.verdict,
            Verdict::FalseAlarm { .. } | Verdict::Overclaimed { .. }
        )
    });
    let wrong = wrong.map(|(i, f)| (f.finding.best_time_s, f.finding.bbox, Of::Wrong(i)));
    let mut wanted: Vec<(f64, [f32; 4], Of)> = missed
        .take(MAX_PICTURES)
        .chain(wrong.take(MAX_PICTURES))
        .collect();
    wanted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut pictures = ClipPictures::default();
    if wanted.is_empty() {
        return Ok(pictures);
    }
    let times: Vec<f64> = wanted.iter().map(|w| w.0).collect();
    frames_at(path, config.fps, max_pixels, &times, |i, frame| {
        let (_, bbox, of) = wanted[i];
        let region = region(BBox::from_xywh(bbox), frame.dimensions());
        // a picture that cannot be made costs the report its picture, not its facts
        if let Ok(jpeg) = crop_frame(frame, region, SIDE) {
            let picture = Picture { jpeg, region };
            match of {
                Of::Missed(i) => pictures.missed.insert(i, picture),
                Of::Wrong(i) => pictures.wrong.insert(i, picture),
            };
        }
        Ok::<(), ClipError>(())
    })?;
    Ok(pictures)
}

/// A square around a box, moved into the frame, whole pixels.
fn region(shown: BBox, (width, height): (u32, u32)) -> BBox {
    let (width, height) = (width as f32, height as f32);
    let side = (shown.width().max(shown.height()) * ROOM).max(LEAST_SIDE);
    let side = side.min(width).min(height).floor();
    let (cx, cy) = shown.center();
    let from = |center: f32, length: f32| {
        (center - side / 2.0)
            .clamp(0.0, (length - side).max(0.0))
            .floor()
    };
    let (x, y) = (from(cx, width), from(cy, height));
    BBox::new(x, y, x + side, y + side)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_picture_shows_is_a_square_within_the_frame() {
        for bbox in [
            [0.0, 0.0, 10.0, 20.0],
            [630.0, 470.0, 10.0, 10.0],
            [100.0, 50.0, 80.0, 200.0],
            [0.0, 0.0, 640.0, 480.0],
        ] {
            let region = region(BBox::from_xywh(bbox), (640, 480));
            assert_eq!(region.width(), region.height(), "{region:?}");
            assert_eq!(region.clip(640.0, 480.0), region);
            assert!(region.width() >= LEAST_SIDE);
        }
    }
}
