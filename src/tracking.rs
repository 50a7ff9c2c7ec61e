//! Tracking: which detections of successive frames are one object.
//!
//! ByteTrack (Zhang et al. 2022, <https://arxiv.org/abs/2110.06864>): sure detections are matched
//! first, then doubtful ones are used to carry on tracks that nothing sure was found for, so that a
//! person half hidden keeps their track. Times are seconds, not frame numbers: cameras drop frames.

mod assign;
mod kalman;
pub mod look;
mod relink;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub(crate) use self::relink::at_edge;

use self::kalman::Filter;
use crate::detection::Detection;
use crate::geometry::BBox;

/// How objects are followed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrackerConfig {
    /// Detections from this score on are sure, `0..=1`.
    pub sure: f32,
    /// A new track needs this score, `0..=1`.
    pub start: f32,
    /// Detections below this score are not looked at, `0..=1`.
    pub doubtful: f32,
    /// An object that is not seen is waited for this long where it should be, seconds.
    pub lost_s: f64,
    /// Somebody new is taken for one who was lost for at most so long, where they can have come from
    /// there and nobody else can, seconds; 0: never, as in runs that were recorded before there was this.
    #[serde(default)]
    pub relink_s: f64,
    /// How fast something may start to move, heights a second: by that much boxes are grown where a track's
    /// speed is not known, for at a few frames a second a walker leaves their own box between two; 0: not
    /// at all, as in runs that were recorded before there was this.
    #[serde(default)]
    pub reach: f32,
    /// How many times in a row an object must be found again before it counts; the very first
    /// frame's objects count at once.
    pub confirm: u32,
    /// The time step that the motion model's uncertainty is given for, seconds.
    pub step_s: f64,
}

impl Default for TrackerConfig {
    /// Scores as in the paper, for detections at a few frames a second.
    fn default() -> Self {
        Self {
            sure: 0.25,
            start: 0.35,
            doubtful: 0.1,
            lost_s: 3.0,
            relink_s: 4.0,
            reach: 1.0,
            confirm: 1,
            step_s: 1.0 / 30.0,
        }
    }
}

/// Costs (1 - IoU, where told times the score) above which no match is made: first association,
/// second, and with tracks not yet confirmed.
const FIRST: f32 = 0.8;
const SECOND: f32 = 0.5;
const UNCONFIRMED: f32 = 0.7;
/// Boxes are grown for this time at most, seconds: after a longer one anybody may be anywhere.
const LONGEST_S: f64 = 0.5;
/// A live and a lost track within this cost are one object.
const DUPLICATE: f32 = 0.15;

/// Number of a track, never used twice by one [`Tracker`].
pub type TrackId = u64;

/// One object over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    /// Its number.
    pub id: TrackId,
    /// Class of the detections.
    pub class: usize,
    /// Where it is, smoothed; where it should be, while it is lost.
    pub bbox: BBox,
    /// Score of the last detection.
    pub score: f32,
    /// Time of the first detection, seconds.
    pub first_s: f64,
    /// Time of the last detection, seconds.
    pub last_s: f64,
    /// Number of detections.
    pub hits: u32,
    /// Whether it was found often enough to count.
    pub confirmed: bool,
    lost: bool,
    /// Where it was seen first and last.
    began: BBox,
    seen: BBox,
    /// Detections in a row since it started or was found again.
    streak: u32,
    filter: Filter,
}

/// A track that a detection of this frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// The track.
    pub track: TrackId,
    /// Index of the detection in the frame.
    pub detection: usize,
}

/// Follows the objects of one camera.
#[derive(Debug, Clone)]
pub struct Tracker {
    config: TrackerConfig,
    tracks: Vec<Track>,
    next: TrackId,
    last_s: Option<f64>,
    /// From the frame before the last to that, seconds.
    passed_s: f64,
}

impl Tracker {
    /// A tracker that has seen nothing.
    pub fn new(config: TrackerConfig) -> Self {
        Self {
            config,
            tracks: Vec::new(),
            next: 1,
            last_s: None,
            passed_s: 0.0,
        }
    }

    /// All tracks that are not over, the lost and the unconfirmed ones too.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Takes the detections of the frame at `time_s` (seconds, rising) and tells which confirmed
    /// track each belongs to. `size` is that of the picture, pixels. A clock that jumps back counts as no
    /// time passed.
    pub fn update(
        &mut self,
        time_s: f64,
        size: (u32, u32),
        detections: &[Detection],
    ) -> Vec<Sighting> {
        self.update_part(time_s, size, None, detections)
    }

    /// As [`Self::update`], of a frame of which only `part` was looked at (nothing: all of it). Whoever is not
    /// wholly in there is not missed.
    pub fn update_part(
        &mut self,
        time_s: f64,
        size: (u32, u32),
        part: Option<BBox>,
        detections: &[Detection],
    ) -> Vec<Sighting> {
        let first_frame = self.last_s.is_none();
        let passed = self.last_s.map_or(0.0, |last| (time_s - last).max(0.0));
        self.passed_s = passed;
        let steps = (passed / self.config.step_s) as f32;
        let last_s = self.last_s.replace(time_s).unwrap_or(time_s);
        for track in self.tracks.iter_mut().filter(|t| t.confirmed) {
            track.filter.predict(steps, track.lost);
            track.bbox = track.filter.bbox();
        }
        let with_score = |low: f32, high: f32| -> Vec<usize> {
            (0..detections.len())
                .filter(|&i| detections[i].bbox.is_valid())
                .filter(|&i| detections[i].score > low && detections[i].score <= high)
                .collect()
        };
        let sure = with_score(self.config.sure, f32::INFINITY);
        let doubtful = with_score(self.config.doubtful, self.config.sure);

        let mut seen: Vec<(usize, usize)> = Vec::new();
        let lost_s = self.config.lost_s;
        let pool = self.which(|t| t.confirmed && !(t.lost && last_s - t.last_s > lost_s));
        let (matches, mut sure) = self.associate(&pool, detections, sure, FIRST, true, 0.0);
        seen.extend(&matches);
        let pool: Vec<usize> = pool
            .into_iter()
            .filter(|t| !self.tracks[*t].lost && seen.iter().all(|(s, _)| s != t))
            .collect();
        let (matches, _) = self.associate(&pool, detections, doubtful, SECOND, false, 0.0);
        seen.extend(&matches);
        let reach = self.config.reach;
        if reach > 0.0 {
            let left = |t: &usize| seen.iter().all(|(s, _)| s != t);
            let pool: Vec<usize> = pool.into_iter().filter(left).collect();
            let (matches, rest) = self.associate(&pool, detections, sure, FIRST, true, reach);
            seen.extend(&matches);
            sure = rest;
        }
        let pool = self.which(|t| !t.confirmed);
        let (matches, sure) = self.associate(&pool, detections, sure, UNCONFIRMED, true, reach);
        seen.extend(&matches);

        let looked_at = |t: &Track| part.is_none_or(|part| t.bbox.is_inside(part));
        for track in &mut self.tracks {
            track.lost |= track.confirmed && looked_at(track);
        }
        let unconfirmed = self.which(|t| !t.confirmed && looked_at(t));
        for &(t, d) in &seen {
            self.tracks[t].found(time_s, &detections[d], self.config.confirm);
        }
        let mut sightings: Vec<(TrackId, usize)> =
            seen.iter().map(|&(t, d)| (self.tracks[t].id, d)).collect();
        let missed: Vec<TrackId> = unconfirmed
            .into_iter()
            .filter(|t| seen.iter().all(|(s, _)| s != t))
            .map(|t| self.tracks[t].id)
            .collect();
        for d in sure {
            if detections[d].score >= self.config.start {
                sightings.push((self.next, d));
                let track = Track::new(self.next, time_s, &detections[d], first_frame);
                self.tracks.push(track);
                self.next += 1;
            }
        }
        for (new, old) in relink::links(&self.tracks, time_s, size, &self.config) {
            self.relink(new, old);
            for (id, _) in sightings.iter_mut().filter(|(id, _)| *id == new) {
                *id = old;
            }
        }
        let waited_s = lost_s.max(self.config.relink_s);
        let over = |t: &Track| missed.contains(&t.id) || t.lost && time_s - t.last_s > waited_s;
        self.tracks.retain(|t| !over(t));
        self.remove_duplicates(time_s);
        let confirmed = |id| self.tracks.iter().any(|t| t.id == id && t.confirmed);
        sightings
            .into_iter()
            .filter(|(id, _)| confirmed(*id))
            .map(|(track, detection)| Sighting { track, detection })
            .collect()
    }

    /// When a track began, seconds; none where the picture ends: somebody who came in.
    pub fn appeared(&self, id: TrackId, size: (u32, u32)) -> Option<f64> {
        let track = self.tracks.iter().find(|t| t.id == id)?;
        (!relink::at_edge(track.began, size)).then_some(track.first_s)
    }

    fn which(&self, is: impl Fn(&Track) -> bool) -> Vec<usize> {
        (0..self.tracks.len())
            .filter(|&t| is(&self.tracks[t]))
            .collect()
    }

    /// Matches of tracks and detections of one class at the least total cost, and the detections
    /// left over. Boxes are grown to each side by what somebody with this reach may have gone.
    #[allow(
        clippy::too_many_arguments,
        reason = "one step, told in full where it is made"
    )]
    fn associate(
        &self,
        tracks: &[usize],
        detections: &[Detection],
        of: Vec<usize>,
        limit: f32,
        by_score: bool,
        reach: f32,
    ) -> (Vec<(usize, usize)>, Vec<usize>) {
        let cost = |t: usize, d: usize| {
            let (track, detection) = (&self.tracks[tracks[t]], &detections[of[d]]);
            if track.class != detection.class {
                return f32::INFINITY;
            }
            let weight = if by_score { detection.score } else { 1.0 };
            let by = reach * self.unseen_s(track) as f32 / 2.0 * track.bbox.height();
            1.0 - wider(track.bbox, by).iou(wider(detection.bbox, by)) * weight
        };
        let matches: Vec<(usize, usize)> = assign::assign(tracks.len(), of.len(), cost, limit)
            .into_iter()
            .map(|(t, d)| (tracks[t], of[d]))
            .collect();
        let left = of
            .into_iter()
            .filter(|d| matches.iter().all(|(_, m)| m != d))
            .collect();
        (matches, left)
    }

    /// For how long boxes of a track are grown, seconds.
    fn unseen_s(&self, track: &Track) -> f64 {
        let since_s = match self.last_s {
            Some(now_s) if !track.lost => (now_s - track.last_s).max(0.0),
            _ => self.passed_s,
        };
        since_s.min(LONGEST_S)
    }

    /// The new track's sightings go on with the old one.
    fn relink(&mut self, new: TrackId, old: TrackId) {
        let Some(at) = self.tracks.iter().position(|t| t.id == new) else {
            return;
        };
        let new = self.tracks.remove(at);
        if let Some(track) = self.tracks.iter_mut().find(|t| t.id == old) {
            *track = Track {
                id: track.id,
                first_s: track.first_s,
                began: track.began,
                hits: track.hits + new.hits,
                ..new
            };
        }
    }

    /// Of a live and a lost track on one place, the older one stays.
    fn remove_duplicates(&mut self, time_s: f64) {
        let lost_s = self.config.lost_s;
        let mut over: Vec<TrackId> = Vec::new();
        for live in self.tracks.iter().filter(|t| !t.lost) {
            let lost = |t: &&Track| t.lost && time_s - t.last_s <= lost_s;
            for lost in self.tracks.iter().filter(lost) {
                if live.class == lost.class && 1.0 - live.bbox.iou(lost.bbox) < DUPLICATE {
                    let longer = live.last_s - live.first_s > lost.last_s - lost.first_s;
                    over.push(if longer { lost.id } else { live.id });
                }
            }
        }
        self.tracks.retain(|t| !over.contains(&t.id));
    }
}

fn wider(b: BBox, by: f32) -> BBox {
    BBox::new(b.x1 - by, b.y1 - by, b.x2 + by, b.y2 + by)
}

impl Track {
    fn new(id: TrackId, time_s: f64, detection: &Detection, confirmed: bool) -> Self {
        Self {
            id,
            class: detection.class,
            bbox: detection.bbox,
            score: detection.score,
            first_s: time_s,
            last_s: time_s,
            hits: 1,
            confirmed,
            lost: false,
            began: detection.bbox,
            seen: detection.bbox,
            streak: 0,
            filter: Filter::new(detection.bbox),
        }
    }

    fn found(&mut self, time_s: f64, detection: &Detection, confirm: u32) {
        self.filter.update(detection.bbox);
        self.bbox = self.filter.bbox();
        self.seen = detection.bbox;
        self.score = detection.score;
        self.last_s = time_s;
        self.hits += 1;
        self.lost = false;
        self.streak += 1;
        self.confirmed |= self.streak >= confirm;
    }

    /// Whether it was not found in the last frame.
    pub fn is_lost(&self) -> bool {
        self.lost
    }
}
