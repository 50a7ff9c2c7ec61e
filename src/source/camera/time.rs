//! Media time of a source over its whole life: never backwards, whatever cameras' clocks do.

use std::time::{Duration, Instant};

/// A stream's own clock may run ahead or behind the time of arrival by this much; beyond, it jumped.
const JUMP_S: f64 = 5.0;
/// More than any network holds back: the clock was set.
const LEAP_S: f64 = 30.0;

/// Turns a child's time stamps into seconds since the source began.
#[derive(Debug, Clone)]
pub(super) struct MediaTime {
    began: Instant,
    /// Media time minus time stamp of the present child.
    offset: Option<f64>,
    last_s: f64,
    /// The last time stamp, and when it came.
    stamped: Option<(f64, f64)>,
}

impl MediaTime {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            offset: None,
            last_s: 0.0,
            stamped: None,
        }
    }

    /// Another child, another clock.
    pub(super) fn restart(&mut self) {
        self.offset = None;
        self.stamped = None;
    }

    /// Whether the clock of the stream has jumped by so much since the last frame that what is made of its
    /// stamps elsewhere cannot be right.
    pub(super) fn jumped(&mut self, stamp_s: Option<f64>, now: Instant) -> bool {
        let arrived = now.saturating_duration_since(self.began).as_secs_f64();
        let Some(stamp) = stamp_s else { return false };
        let before = self.stamped.replace((stamp, arrived));
        before.is_some_and(|(s, a)| ((stamp - s) - (arrived - a)).abs() > LEAP_S)
    }

    /// Media time of a frame with this time stamp that arrives now, and the offset in force.
    pub(super) fn of(&mut self, stamp_s: Option<f64>, now: Instant) -> (f64, f64) {
        let arrived = now.saturating_duration_since(self.began).as_secs_f64();
        let stamp = stamp_s.unwrap_or(arrived);
        let offset = match self.offset {
            Some(offset) if (stamp + offset - arrived).abs() <= JUMP_S => offset,
            _ => arrived - stamp,
        };
        self.offset = Some(offset);
        // two frames of one moment are told apart
        let time_s = (stamp + offset).max(self.last_s + 1e-3);
        self.last_s = time_s;
        (time_s, offset)
    }

    /// Media time of a moment at which no frame came.
    pub(super) fn at(&self, now: Instant) -> f64 {
        let passed: Duration = now.saturating_duration_since(self.began);
        passed.as_secs_f64().max(self.last_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_jump_do_not_stop_or_turn_time() {
        let t0 = Instant::now();
        let mut time = MediaTime::new(t0);
        let mut last = -1.0;
        // arrival second, time stamp: even, a jump by an hour, back again, a jump below zero
        let seen = [
            (1.0, 500.0),
            (2.0, 501.0),
            (3.0, 502.1),
            (4.0, 4102.0),
            (5.0, 4103.0),
            (6.0, 503.0),
            (7.0, 504.0),
            (8.0, -9000.0),
            (8.0, -9000.0),
        ];
        for (arrived, stamp) in seen {
            let now = t0 + Duration::from_secs_f64(arrived);
            let leapt = [4.0, 6.0].contains(&arrived) || stamp == -9000.0 && last < 7.9;
            assert_eq!(time.jumped(Some(stamp), now), leapt, "{arrived} {stamp}");
            let (s, _) = time.of(Some(stamp), now);
            assert!(
                s > last && (s - arrived).abs() < 0.2,
                "{arrived} {stamp}: {s}"
            );
            last = s;
        }
        time.restart();
        let (s, _) = time.of(Some(0.0), t0 + Duration::from_secs(3600));
        assert!((s - 3600.0).abs() < 1e-3, "{s}");
    }
}
