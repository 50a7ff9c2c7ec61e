//! A live source from its pictures to findings: cheap while nothing moves, and never in the way of
//! the source, which drops what nobody has time for.

use std::time::{Duration, SystemTime};

use crate::geometry::BBox;
use crate::motion::{Glance, moving};
use crate::pipeline::clip::{ClipWatch, FindingEvent, Shot};
use crate::pipeline::evidence::{Evidence, Kept, Written};
use crate::pipeline::photo::JudgeError;
use crate::source::camera::{Camera, LiveFrame, Mode, State, Status};
use crate::source::clip::ClipError;
use crate::zone::{Day, Moment};

/// When the model looks.
#[derive(Debug, Clone)]
pub struct Beat {
    /// The whole frame is looked at this often though nothing moves, seconds: all frames decoded.
    pub active_s: f64,
    /// The same while only key frames are decoded.
    pub idle_s: f64,
    /// Nothing has moved for so long: key frames will do, seconds. `None`: never.
    pub calm_s: Option<f64>,
    /// All frames are decoded from so long after the first on, until it is calm, seconds; before that only if
    /// something moves.
    /// Where many cameras begin at once, each has its turn.
    pub awake_s: f64,
}

impl Default for Beat {
    fn default() -> Self {
        Self {
            active_s: 2.0,
            // slow changes add up to a movement, which is looked at when it is there
            idle_s: 60.0,
            calm_s: Some(20.0),
            awake_s: 0.0,
        }
    }
}

/// What a watched source tells.
#[derive(Debug, Clone)]
pub enum Told {
    /// A turn of a finding.
    Finding(FindingEvent),
    /// The source is in another state.
    Status(Status),
    /// The evidence of a finding is written, or why not.
    Evidence(Written),
    /// Of a live source: all that one moment brought has been told. With its picture, if it had one.
    Moment(Option<LiveFrame>),
}

/// Why a watch ended early.
#[derive(Debug, thiserror::Error)]
pub enum WatchError<E> {
    /// A video file could not be opened.
    #[error(transparent)]
    Open(ClipError),
    /// A video file broke off.
    #[error("watched up to {until_s:.1} s: {source}")]
    Broken {
        /// Media time of the last frame, seconds.
        until_s: f64,
        /// Why.
        source: ClipError,
    },
    /// The model.
    #[error(transparent)]
    Judge(#[from] JudgeError),
    /// Whoever is told.
    #[error("{0}")]
    Told(E),
}

/// Decides when the model looks at a frame.
pub(super) struct Eyes {
    beat: Beat,
    /// What the model looked at last, and when.
    seen: Option<(Glance, f64)>,
    moved_s: Option<f64>,
    /// When the first picture came.
    first_s: Option<f64>,
}

impl Eyes {
    pub(super) fn new(beat: Beat) -> Self {
        Self {
            beat,
            seen: None,
            moved_s: None,
            first_s: None,
        }
    }

    /// Whether the model must look, and then where something has moved since it did.
    pub(super) fn wake(
        &mut self,
        time_s: f64,
        glance: &Glance,
        size: (u32, u32),
        idle: bool,
    ) -> Option<Vec<BBox>> {
        self.first_s.get_or_insert(time_s);
        let every_s = if idle {
            self.beat.idle_s
        } else {
            self.beat.active_s
        };
        let moving = match &self.seen {
            Some((seen, _)) => moving(seen, glance, size),
            None => Vec::new(),
        };
        let still = self.seen.is_some() && moving.is_empty();
        if !moving.is_empty() {
            self.moved_s = Some(time_s);
        }
        let due = self
            .seen
            .as_ref()
            .is_none_or(|(_, at)| time_s - at >= every_s);
        if still && !due {
            return None;
        }
        self.seen = Some((glance.clone(), time_s));
        Some(moving)
    }

    pub(super) fn mode(&self, time_s: f64) -> Mode {
        let Some(calm_s) = self.beat.calm_s else {
            return Mode::Active;
        };
        let turn = self.first_s.unwrap_or(time_s) + self.beat.awake_s;
        let turn = Some(turn).filter(|turn| time_s >= *turn);
        let awake = [self.moved_s, turn].into_iter().flatten();
        match awake.reduce(f64::max) {
            Some(since_s) if time_s - since_s < calm_s => Mode::Active,
            _ => Mode::Idle,
        }
    }
}

/// How often a silent source is looked at.
const TICK: Duration = Duration::from_millis(250);

/// Watches a live source until it is over or `stop` says so. What is open then stays open, to be
/// remembered ([`ClipWatch::memory`]).
///
/// # Errors
/// When the model fails, or `tell` does.
pub fn watch_camera<E>(
    camera: &Camera,
    watch: &mut ClipWatch<'_>,
    beat: &Beat,
    mut evidence: Option<Evidence>,
    stop: &dyn Fn() -> bool,
    tell: &mut dyn FnMut(Told, &ClipWatch<'_>) -> Result<(), E>,
) -> Result<(), WatchError<E>> {
    let mut eyes = Eyes::new(beat.clone());
    let mut state: Option<(State, String)> = None;
    let kept = Kept::Camera(camera);
    while !stop() && !camera.is_over() {
        let frame = camera.next(TICK);
        let status = camera.status();
        let now = (status.state, status.reason.clone());
        if state.as_ref() != Some(&now) {
            state = Some(now);
            tell(Told::Status(status.clone()), watch).map_err(WatchError::Told)?;
        }
        let (time_s, size, events) = match &frame {
            Some(frame) => {
                let glance = Glance::of(&frame.picture);
                let moving = eyes.wake(frame.time_s, &glance, frame.size, status.idle);
                let shot = Shot {
                    time_s: frame.time_s,
                    moment: moment(frame.wall),
                    picture: &frame.picture,
                    size: frame.size,
                    moving: moving.as_deref(),
                };
                camera.set_mode(eyes.mode(frame.time_s));
                if !camera.is_stream() {
                    watch.looked_until(frame.wall, frame.name.as_deref());
                }
                (frame.time_s, frame.size, watch.shot(shot, Some(&glance))?)
            }
            None if !camera.is_stream() => continue,
            None => {
                let now_s = camera.now_s();
                let size = status.size.unwrap_or((1, 1));
                let age_s = status.frame_age_s.unwrap_or(now_s);
                (now_s, size, watch.silence(now_s, age_s, size))
            }
        };
        for event in events {
            if let Some(evidence) = &mut evidence {
                let now = frame.as_ref().map(|f| &f.picture);
                evidence.take(&event, now, size);
            }
            tell(Told::Finding(event), watch).map_err(WatchError::Told)?;
        }
        if let Some(evidence) = &mut evidence {
            let best = |finding| watch.best_of(finding);
            for written in evidence.tick(&kept, time_s, &best) {
                tell(Told::Evidence(written), watch).map_err(WatchError::Told)?;
            }
        }
        tell(Told::Moment(frame), watch).map_err(WatchError::Told)?;
    }
    if let Some(evidence) = evidence {
        for written in evidence.finish(&kept) {
            tell(Told::Evidence(written), watch).map_err(WatchError::Told)?;
        }
    }
    Ok(())
}

/// Local time of the week.
fn moment(wall: SystemTime) -> Option<Moment> {
    let stamp = jiff::Timestamp::try_from(wall).ok()?;
    let local = stamp.to_zoned(jiff::tz::TimeZone::system());
    Some(Moment {
        day: Day::from_monday_zero(local.weekday().to_monday_zero_offset()),
        minute: (i16::from(local.hour()) * 60 + i16::from(local.minute())) as u16,
    })
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;

    #[test]
    fn the_model_looks_when_something_moves_and_at_a_slow_beat() {
        let glance = |x: u32| {
            Glance::of(&RgbImage::from_fn(640, 360, |u, v| {
                let there = (x..x + 60).contains(&u) && (100..250).contains(&v);
                image::Rgb(
                    [if there {
                        220
                    } else {
                        (u / 8 % 2 * 40 + 60) as u8
                    }; 3],
                )
            }))
        };
        let mut eyes = Eyes::new(Beat::default());
        let looks: Vec<bool> = (0..30)
            .map(|i| {
                let x = if i < 20 { 100 } else { 100 + 20 * (i - 20) };
                eyes.wake(f64::from(i) / 5.0, &glance(x), (640, 360), false)
                    .is_some()
            })
            .collect();
        let when: Vec<usize> = (0..30).filter(|i| looks[*i]).collect();
        assert_eq!(when[..2], [0, 10]);
        assert!(when.len() >= 9 && when.contains(&25), "{when:?}");
        assert_eq!(eyes.mode(6.0), Mode::Active);
        for i in 0..60 {
            eyes.wake(6.0 + f64::from(i), &glance(280), (640, 360), false);
        }
        assert_eq!(eyes.mode(66.0), Mode::Idle);
        // one of many waits for its turn, unless something moves
        let mut eyes = Eyes::new(Beat {
            awake_s: 60.0,
            ..Beat::default()
        });
        let mut see = |time_s: f64, x: u32| {
            eyes.wake(time_s, &glance(x), (640, 360), false);
            eyes.mode(time_s)
        };
        assert_eq!(see(0.0, 100), Mode::Idle);
        assert_eq!(see(2.0, 300), Mode::Active);
        assert_eq!(see(30.0, 300), Mode::Idle);
        assert_eq!(see(61.0, 300), Mode::Active);
        assert_eq!(see(81.0, 300), Mode::Idle);
    }
}
