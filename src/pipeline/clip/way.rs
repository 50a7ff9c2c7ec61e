//! The way of what a finding is about.

use crate::eval::clip_findings::SeenAt;
use crate::geometry::BBox;

/// Where something was seen over time, in a bounded number of sightings at even distances.
#[derive(Debug, Default, Clone)]
pub(super) struct Way {
    pub(super) seen: Vec<SeenAt>,
    /// Least distance of two sightings, seconds.
    step_s: f64,
}

/// Most sightings that are kept of a finding.
const MAX_SEEN: usize = 64;
/// Sightings are kept at this distance until there are too many, seconds.
const SEEN_STEP_S: f64 = 1.0;

impl Way {
    pub(super) fn add(&mut self, time_s: f64, bbox: BBox) {
        let step = self.step_s.max(SEEN_STEP_S);
        // a hair less: media times are no round numbers
        let near = |last: &SeenAt| time_s - last.time_s < step - 1e-6;
        if self.seen.last().is_some_and(near) {
            return;
        }
        if self.seen.len() == MAX_SEEN {
            let mut index = 0;
            self.seen.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.step_s = 2.0 * step;
        }
        let bbox = bbox.to_xywh();
        self.seen.push(SeenAt { time_s, bbox });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_of_hours_is_kept_in_a_bounded_number_of_sightings() {
        let mut way = Way::default();
        for frame in 0..50_000 {
            let time_s = f64::from(frame) / 5.0;
            way.add(time_s, BBox::from_xywh([time_s as f32, 0.0, 1.0, 1.0]));
        }
        assert!((MAX_SEEN / 2..=MAX_SEEN).contains(&way.seen.len()));
        assert_eq!(way.seen[0].time_s, 0.0);
        let steps = way.seen.windows(2).map(|w| w[1].time_s - w[0].time_s);
        let steps: Vec<f64> = steps.collect();
        assert!(
            steps.iter().all(|s| (s - steps[0]).abs() < 1e-6),
            "{steps:?}"
        );
    }
}
