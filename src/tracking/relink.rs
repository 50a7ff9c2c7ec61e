//! Who is found anew for who was lost: behind a post, behind another, in frames without a sure detection.
//!
//! By motion only. A walker goes on or stops, so the place to look at is the line from where somebody was
//! seen last to where they would be by now. Who was at the edge has left or comes in. Where two could be
//! meant nobody is: two findings of one person are a nuisance, one finding of two is a hazard not told.

use super::{Track, TrackId, TrackerConfig};
use crate::geometry::BBox;

/// How far from the line, in heights: at once, and for each second since, for walkers turn. Chosen on
/// `vtest.avi`.
const AT_ONCE: f32 = 0.35;
const A_SECOND: f32 = 0.3;
const FARTHEST: f32 = 1.6;
/// Heights may differ by this factor: legs behind a car.
const HEIGHT: f32 = 1.5;
/// Nearer to the left or right edge than this, in heights: about a step.
const EDGE: f32 = 0.4;
/// The next best must be so many times as far.
const CLEARLY: f32 = 2.0;

/// Pairs of a track that has just been confirmed and the lost one that it goes on with.
pub(super) fn links(
    tracks: &[Track],
    time_s: f64,
    size: (u32, u32),
    config: &TrackerConfig,
) -> Vec<(TrackId, TrackId)> {
    let is_new = |t: &&Track| {
        let just = t.hits == config.confirm + 1 && t.streak == config.confirm;
        t.confirmed && !t.lost && just && !at_edge(t.began, size)
    };
    let is_lost = |t: &&Track| {
        let still = time_s - t.last_s <= config.relink_s;
        t.confirmed && t.lost && still && !at_edge(t.seen, size)
    };
    let lost: Vec<&Track> = tracks.iter().filter(is_lost).collect();
    let new: Vec<&Track> = tracks.iter().filter(is_new).collect();
    let mut links = Vec::new();
    for n in &new {
        let Some((l, cost)) = nearest(lost.iter().map(|l| (l.id, far(n, l)))) else {
            continue;
        };
        let others = new.iter().filter(|o| o.id != n.id);
        let Some(old) = lost.iter().find(|t| t.id == l) else {
            continue;
        };
        let rival = others.map(|o| far(o, old)).fold(f32::INFINITY, f32::min);
        if rival > CLEARLY * cost {
            links.push((n.id, l));
        }
    }
    links
}

/// The one that is clearly nearest, with how far it is, 1 being the farthest that counts.
fn nearest(far: impl Iterator<Item = (TrackId, f32)>) -> Option<(TrackId, f32)> {
    let mut far: Vec<(TrackId, f32)> = far.collect();
    far.sort_by(|a, b| a.1.total_cmp(&b.1));
    let best = *far.first().filter(|(_, cost)| *cost <= 1.0)?;
    let alone = far.get(1).is_none_or(|next| next.1 > CLEARLY * best.1);
    alone.then_some(best)
}

/// How far a new track is from where a lost one may be, as a share of what is allowed.
fn far(new: &Track, lost: &Track) -> f32 {
    let heights = new.bbox.height() / lost.bbox.height().max(1.0);
    let gap_s = new.first_s - lost.last_s;
    if new.class != lost.class || gap_s <= 0.0 || !(1.0 / HEIGHT..=HEIGHT).contains(&heights) {
        return f32::INFINITY;
    }
    let (from, to) = (lost.seen.center(), lost.bbox.center());
    let allowed = (AT_ONCE + A_SECOND * gap_s as f32).min(FARTHEST) * lost.bbox.height();
    to_line(new.bbox.center(), from, to) / allowed
}

/// Whether it may have come in, or left, where the picture ends.
pub(crate) fn at_edge(b: BBox, (width, height): (u32, u32)) -> bool {
    let near = EDGE * b.height();
    b.x1 < near
        || b.y1 < 0.1 * near
        || width as f32 - b.x2 < near
        || height as f32 - b.y2 < 0.1 * near
}

/// Distance of a point from a stretch of a line.
fn to_line(p: (f32, f32), a: (f32, f32), b: (f32, f32)) -> f32 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length = dx * dx + dy * dy;
    let along = match length > 0.0 {
        true => (((p.0 - a.0) * dx + (p.1 - a.1) * dy) / length).clamp(0.0, 1.0),
        false => 0.0,
    };
    (p.0 - a.0 - along * dx).hypot(p.1 - a.1 - along * dy)
}
