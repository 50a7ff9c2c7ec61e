//! Where in a frame the model looks: at all of it at a steady beat, and in between at a part with what is
//! small in the whole, as finely as the picture allows.
//!
//! A look is one run of the model whatever it looks at, so finer looks cost no more; what they cost is that the
//! rest of the frame is looked at less often. Hence the beat is short, and a part stays with the same objects
//! until they have been seen often enough to be judged.

use std::collections::BTreeMap;

use crate::geometry::BBox;
use crate::tracking::{Track, TrackId};

/// From one look at the whole frame to the next, seconds; at slower rates a part is not worth what is missed.
pub const WHOLE_S: f64 = 0.5;
/// Side of a part, in heights of what it is for: more than a quarter of the input shows no more of a person.
const ROOM: f32 = 4.0;
/// A part is at most this share of the frame's longer side, or it is hardly finer than the whole.
const LARGEST: f32 = 0.8;
/// Looks at an object in parts that settle what can be said of it: those of a confirmation's window.
const ENOUGH: u32 = 12;
/// What counts more: an object that is being looked at, one that was not yet; something that moves and is
/// no object; less and less, one that has been looked at enough.
const BEGUN: f32 = 1.5;
const NEW: f32 = 1.0;
const MOVES: f32 = 0.25;
const DONE: f32 = 0.5;
/// An object this much inside another is a part of it: a head.
const WITHIN: f32 = 0.6;
/// Room around it, in its heights.
const MARGIN: f32 = 0.1;
/// Things that are weighed, at most.
const MOST: usize = 32;

/// What a look may see.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Media time, seconds.
    pub time_s: f64,
    /// Width and height, pixels.
    pub size: (u32, u32),
    /// Side of a part that fills the model's input without being enlarged, pixels.
    pub finest: f32,
    /// Where something has moved since the last look.
    pub moving: &'a [BBox],
}

/// Where the model has looked.
#[derive(Debug, Clone, Default)]
pub struct Attention {
    whole_s: Option<f64>,
    /// Looks that showed each object as well as can be: at a part, or at the whole if it is large.
    looks: BTreeMap<TrackId, u32>,
}

impl Attention {
    /// The model has looked at `part` (nothing: all) of the frame at `time_s`, and the objects are these now.
    pub fn looked(&mut self, time_s: f64, size: (u32, u32), part: Option<BBox>, tracks: &[Track]) {
        if part.is_none() {
            self.whole_s = Some(time_s);
        }
        let well = |t: &&Track| match part {
            Some(part) => t.bbox.is_inside(part),
            None => !is_small(t.bbox, size),
        };
        let seen = tracks.iter().filter(|t| t.last_s >= time_s).filter(well);
        for track in seen {
            *self.looks.entry(track.id).or_default() += 1;
        }
        self.looks
            .retain(|id, _| tracks.iter().any(|t| t.id == *id));
    }

    /// The part to look at next; nothing: all of the frame.
    pub fn next(&self, frame: &Frame<'_>, tracks: &[Track]) -> Option<BBox> {
        let since_s = frame.time_s - self.whole_s?;
        if !(0.0..WHOLE_S).contains(&since_s) {
            return None;
        }
        if frame.finest > LARGEST * frame.size.0.max(frame.size.1) as f32 {
            return None;
        }
        let (things, large): (Vec<Thing>, Vec<Thing>) = self
            .things(frame, tracks)
            .into_iter()
            .partition(|t| t.is_small);
        let missed = |part: BBox| -> f32 {
            let left = large.iter().filter(|t| !t.bbox.is_inside(part));
            left.map(|t| t.weight).sum()
        };
        let mut best: Option<(f32, BBox)> = None;
        for across in &things {
            for down in &things {
                let side = across.side.max(down.side);
                let corner = (across.bbox.x1, down.bbox.y1);
                let part = square(corner, side, frame.size);
                let inside = || things.iter().filter(|t| t.bbox.is_inside(part));
                let weight = inside().map(|t| t.weight).sum::<f32>() - missed(part);
                if weight > best.map_or(0.0, |(most, _)| most)
                    && let Some(all) = inside().map(|t| t.bbox).reduce(BBox::union)
                {
                    let (x, y) = all.center();
                    let corner = (x - side / 2.0, y - side / 2.0);
                    best = Some((weight, square(corner, side, frame.size)));
                }
            }
        }
        best.map(|(_, part)| part)
    }

    /// What is worth a finer look.
    fn things(&self, frame: &Frame<'_>, tracks: &[Track]) -> Vec<Thing> {
        let (w, h) = (frame.size.0 as f32, frame.size.1 as f32);
        let known: Vec<&Track> = tracks.iter().filter(|t| !t.is_lost()).collect();
        let part_of_another = |track: &Track| {
            known.iter().any(|o| {
                o.bbox.area() > track.bbox.area() && track.bbox.share_inside(o.bbox) > WITHIN
            })
        };
        let objects = known.iter().filter(|t| !part_of_another(t)).map(|t| {
            let looks = self.looks.get(&t.id).copied().unwrap_or(0);
            let weight = match looks {
                0 => NEW,
                n if n < ENOUGH => BEGUN,
                n => DONE / (1 + n - ENOUGH) as f32,
            };
            (t.bbox, weight)
        });
        let unknown = |b: &&BBox| known.iter().all(|t| t.bbox.intersection_area(**b) <= 0.0);
        let small = |b: &&BBox| is_small(**b, frame.size);
        let moving = frame.moving.iter().filter(small).filter(unknown);
        let mut things: Vec<Thing> = objects
            .chain(moving.map(|b| (*b, MOVES)))
            .map(|(b, weight)| {
                let side = room(b).max(frame.finest);
                let by = MARGIN * longer(b);
                let bbox = BBox::new(b.x1 - by, b.y1 - by, b.x2 + by, b.y2 + by).clip(w, h);
                Thing {
                    bbox,
                    side,
                    weight,
                    is_small: is_small(b, frame.size),
                }
            })
            .collect();
        things.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        things.truncate(MOST);
        things
    }
}

/// Something that is worth a finer look.
struct Thing {
    bbox: BBox,
    side: f32,
    weight: f32,
    is_small: bool,
}

/// Side of a part for it.
fn room(b: BBox) -> f32 {
    ROOM * longer(b)
}

/// Whether a part shows more of it than the whole.
fn is_small(b: BBox, size: (u32, u32)) -> bool {
    room(b) <= LARGEST * size.0.max(size.1) as f32
}

fn longer(b: BBox) -> f32 {
    b.width().max(b.height())
}

/// A square with this upper left corner, moved into the frame.
fn square((x, y): (f32, f32), side: f32, size: (u32, u32)) -> BBox {
    let (w, h) = (size.0 as f32, size.1 as f32);
    let (x, y) = (x.min(w - side).max(0.0), y.min(h - side).max(0.0));
    BBox::new(x, y, x + side, y + side).clip(w, h)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::Detection;
    use crate::tracking::{Tracker, TrackerConfig};

    const SIZE: (u32, u32) = (1280, 720);

    struct Scene {
        attention: Attention,
        tracker: Tracker,
        people: Vec<BBox>,
        looks: u32,
    }

    impl Scene {
        fn of(people: &[BBox]) -> Self {
            Self {
                attention: Attention::default(),
                tracker: Tracker::new(TrackerConfig::default()),
                people: people.to_vec(),
                looks: 0,
            }
        }

        /// Where the model looks in the next of five frames a second; it sees who is wholly there.
        fn look(&mut self, moving: &[BBox]) -> Option<BBox> {
            let time_s = f64::from(self.looks) / 5.0;
            self.looks += 1;
            let frame = Frame {
                time_s,
                size: SIZE,
                finest: 512.0,
                moving,
            };
            let part = self.attention.next(&frame, self.tracker.tracks());
            let seen = self
                .people
                .iter()
                .filter(|b| part.is_none_or(|p| (**b).is_inside(p)));
            let seen: Vec<Detection> = seen
                .map(|b| Detection {
                    class: 0,
                    score: 0.8,
                    bbox: *b,
                })
                .collect();
            self.tracker.update_part(time_s, SIZE, part, &seen);
            let tracks = self.tracker.tracks();
            assert_eq!(tracks.len(), self.people.len(), "nobody is lost or doubled");
            assert!(tracks.iter().all(|t| !t.is_lost()));
            self.attention.looked(time_s, SIZE, part, tracks);
            part
        }
    }

    fn person(x: f32, y: f32, height: f32) -> BBox {
        BBox::new(x, y, x + 0.4 * height, y + height)
    }

    #[test]
    fn who_is_small_is_looked_at_finely_and_the_whole_at_a_steady_beat() {
        let far = person(300.0, 200.0, 90.0);
        let mut scene = Scene::of(&[far]);
        let parts: Vec<_> = (0..9).map(|_| scene.look(&[far])).collect();
        for (i, part) in parts.iter().enumerate() {
            assert_eq!(part.is_none(), i % 3 == 0, "{i}");
            let Some(part) = part else { continue };
            assert!(far.is_inside(*part) && part.width() == 512.0, "{part:?}");
        }
    }

    #[test]
    fn who_is_large_enough_is_not_left_out_while_they_are_judged() {
        let (near, far) = (person(900.0, 100.0, 500.0), person(100.0, 50.0, 60.0));
        let mut scene = Scene::of(&[near, far]);
        let parts: Vec<_> = (0..30).map(|_| scene.look(&[near, far])).collect();
        assert!(parts[..10].iter().all(Option::is_none), "{parts:?}");
        assert!(parts.iter().flatten().all(|p| far.is_inside(*p)));
        assert!(parts.iter().flatten().count() > 5, "{parts:?}");
    }

    #[test]
    fn a_part_stays_until_all_can_be_said_and_then_others_have_their_turn() {
        let people = [person(40.0, 100.0, 90.0), person(1180.0, 500.0, 90.0)];
        let mut scene = Scene::of(&people);
        let parts: Vec<BBox> = (0..60).filter_map(|_| scene.look(&people)).collect();
        let of = |part: &BBox| people.iter().position(|p| p.is_inside(*part)).unwrap();
        let turns: Vec<usize> = parts.iter().map(of).collect();
        let enough = ENOUGH as usize;
        assert!(turns[..enough].iter().all(|t| *t == turns[0]), "{turns:?}");
        assert!(
            turns[enough + 1..2 * enough].iter().all(|t| *t != turns[0]),
            "{turns:?}"
        );
    }

    #[test]
    fn what_moves_and_is_no_object_is_looked_at_when_nobody_else_needs_it() {
        let moves = person(1000.0, 300.0, 40.0);
        let mut scene = Scene::of(&[]);
        assert_eq!(scene.look(&[moves]), None);
        assert!(
            scene
                .look(&[moves])
                .is_some_and(|part| moves.is_inside(part))
        );
        let mut scene = Scene::of(&[person(40.0, 100.0, 90.0)]);
        let parts: Vec<_> = (0..12).filter_map(|_| scene.look(&[moves])).collect();
        assert!(parts.iter().all(|part| !moves.is_inside(*part)));
    }

    #[test]
    fn a_frame_hardly_larger_than_the_input_is_looked_at_whole() {
        let mut attention = Attention::default();
        let size = (600, 400);
        attention.looked(0.0, size, None, &[]);
        let moving = [person(100.0, 100.0, 40.0)];
        let frame = Frame {
            time_s: 0.2,
            size,
            finest: 512.0,
            moving: &moving,
        };
        assert_eq!(attention.next(&frame, &[]), None);
    }
}
