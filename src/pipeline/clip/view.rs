//! A fixed view: what its zones and its ground add to what a frame shows.

use std::collections::{BTreeMap, VecDeque};

use image::RgbImage;

use crate::confirm::{ConfirmConfig, Witness};
use crate::detection::Detection;
use crate::geometry::BBox;
use crate::hazard::Text;
use crate::reference::{self, CELLS, Patch, compare};
use crate::rules::{RuleSet, Scene, WatchFind, WatchRule, ZoneRule};
use crate::tracking::{Sighting, TrackId};
use crate::zone::{Ground, Moment, Zone, ZoneError, ZoneKind, Zones};

/// Zones are looked at so often, seconds: what matters there stays for minutes.
const EVERY_S: f64 = 0.5;
/// Pictures that a clean reference is learned from.
const LEARN: u32 = 6;
/// Share of a zone that may be hidden while it is learned, and that must be seen to judge it.
const HIDDEN: f32 = 0.05;
const SEEN: f32 = 0.3;
/// A picture goes into the smoothed present with this share: a passer-by whom no detector saw
/// leaves little in it.
const SMOOTH: f32 = 0.35;
/// A learned reference follows the light with this share for each look.
const FOLLOW: f32 = 0.01;
/// How far back an object's way is kept, seconds.
const PAST_S: f64 = 5.0;
/// An object stands when it was seen for so long, seconds, and moved less than this, in its heights.
const STANDS_S: f64 = 2.0;
const STANDS: f32 = 0.15;
/// People, whatever the model calls them.
const PEOPLE: [&str; 3] = ["person", "worker", "pedestrian"];

/// What is drawn into a view, and what was seen of it.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) zones: Vec<Zone>,
    ground: Option<Ground>,
    sights: Vec<Sight>,
    pasts: BTreeMap<TrackId, Past>,
    last_s: Option<f64>,
}

/// How one zone looks.
#[derive(Debug, Default)]
struct Sight {
    wanted: Vec<bool>,
    reference: Option<Patch>,
    learned: u32,
    /// Given by a person: never followed.
    fixed: bool,
    now: Option<Patch>,
}

/// The way of one object.
#[derive(Debug, Default)]
struct Past {
    /// Time, middle of the lower edge, height.
    steps: VecDeque<(f64, (f32, f32), f32)>,
    /// Frames in a row inside each zone.
    inside: BTreeMap<usize, u32>,
}

/// What one frame says of a kind of hazard in a zone or on a person.
pub(super) struct Said {
    pub(super) on: On,
    pub(super) code: String,
    pub(super) witness: Witness,
    pub(super) find: Option<WatchFind>,
    pub(super) confirm: Option<ConfirmConfig>,
}

pub(super) enum On {
    Zone(usize),
    /// The object detected there.
    Object(BBox),
}

impl View {
    pub(super) fn new(zones: Zones) -> Result<Self, ZoneError> {
        let ground = zones.ground()?;
        let sights = zones.zones.iter().map(Sight::new).collect();
        Ok(Self {
            zones: zones.zones,
            ground,
            sights,
            ..Self::default()
        })
    }

    /// Whether protective equipment is judged on a person who stands there.
    pub(super) fn is_work_area(&self, b: BBox, size: (u32, u32), now: Option<Moment>) -> bool {
        let mut areas = self.zones.iter().filter(|z| z.kind == ZoneKind::WorkArea);
        self.zones.is_empty() || areas.any(|z| z.is_watched(now) && z.holds(b, size))
    }

    /// Whether protective equipment is judged anywhere.
    pub(super) fn has_work_area(&self) -> bool {
        self.zones.is_empty() || self.zones.iter().any(|z| z.kind == ZoneKind::WorkArea)
    }

    /// Whether a person has shown how a zone looks when it is as it should be.
    pub(super) fn has_clean_view(&self, zone: usize) -> bool {
        self.sights.get(zone).is_some_and(|sight| sight.fixed)
    }

    /// The work area that somebody stands in.
    pub(super) fn work_area(&self, b: BBox, size: (u32, u32)) -> Option<&str> {
        let mut areas = self.zones.iter().filter(|z| z.kind == ZoneKind::WorkArea);
        areas.find(|z| z.holds(b, size)).map(|z| z.name.as_str())
    }

    /// Whether metres are known.
    pub(super) fn has_ground(&self) -> bool {
        self.ground.is_some()
    }

    /// Places and names of the zones that a rule is for.
    pub(super) fn zones_of(&self, code: &str, rule: &ZoneRule) -> Vec<(usize, &str)> {
        let zones = self.zones.iter().enumerate();
        let zones = zones.filter(|(_, zone)| rule.applies(code, zone));
        zones.map(|(i, zone)| (i, zone.name.as_str())).collect()
    }

    /// A picture of the whole view with a zone clean.
    pub(super) fn set_reference(&mut self, zone: usize, picture: &RgbImage) {
        let (Some(sight), Some(zone)) = (self.sights.get_mut(zone), self.zones.get(zone)) else {
            return;
        };
        sight.reference = Some(Patch::cut(picture, zone.bbox(picture.dimensions())));
        (sight.learned, sight.fixed) = (LEARN, true);
    }

    /// Learned references by the names of their zones, to be remembered.
    pub(super) fn learned(&self) -> BTreeMap<String, Patch> {
        let done = |s: &Sight| s.learned >= LEARN && !s.fixed;
        let pairs = self.zones.iter().zip(&self.sights).filter(|(_, s)| done(s));
        pairs
            .filter_map(|(z, s)| Some((z.name.clone(), s.reference.clone()?)))
            .collect()
    }

    /// Takes up what was learned before a restart.
    pub(super) fn recall(&mut self, mut learned: BTreeMap<String, Patch>) {
        for (zone, sight) in self.zones.iter().zip(&mut self.sights) {
            if !sight.fixed
                && let Some(patch) = learned.remove(&zone.name)
            {
                (sight.reference, sight.learned) = (Some(patch), LEARN);
            }
        }
    }

    /// Where the followed objects are now.
    pub(super) fn follow(
        &mut self,
        time_s: f64,
        sightings: &[Sighting],
        detections: &[Detection],
        size: (u32, u32),
    ) {
        for sighting in sightings {
            let bbox = detections[sighting.detection].bbox;
            let past = self.pasts.entry(sighting.track).or_default();
            past.steps
                .push_back((time_s, bbox.bottom_center(), bbox.height()));
            while past.steps.front().is_some_and(|s| time_s - s.0 > PAST_S) {
                past.steps.pop_front();
            }
            for (i, zone) in self.zones.iter().enumerate() {
                let frames = past.inside.entry(i).or_default();
                *frames = if zone.holds(bbox, size) {
                    *frames + 1
                } else {
                    0
                };
            }
        }
        self.pasts.retain(|_, past| {
            past.steps
                .back()
                .is_some_and(|s| time_s - s.0 <= 2.0 * PAST_S)
        });
    }

    /// What the rules for video say of this frame. `quiet`: nothing moves; `whole`: all of it was looked at,
    /// so that what is not seen is not there.
    #[allow(
        clippy::too_many_arguments,
        reason = "one frame with all that is known of it"
    )]
    pub(super) fn judge(
        &mut self,
        rules: &RuleSet,
        scene: &Scene<'_>,
        picture: &RgbImage,
        time_s: f64,
        now: Option<Moment>,
        quiet: bool,
        whole: bool,
        track_of: &dyn Fn(BBox) -> Option<TrackId>,
    ) -> Vec<Said> {
        let mut said = Vec::new();
        if let Some(ground) = &self.ground {
            let speed = |b: BBox| self.speed(ground, track_of(b)?, (scene.width, scene.height));
            for (code, rule) in rules_of(rules) {
                let WatchRule::Distance(rule) = rule else {
                    continue;
                };
                let (near, clear) = rule.people(scene, ground, speed);
                let say = |on, witness, find| Said {
                    on: On::Object(on),
                    code: code.to_owned(),
                    witness,
                    find,
                    confirm: None,
                };
                let clear = clear.into_iter().filter(|_| whole);
                said.extend(clear.map(|b| say(b, Witness::InOrder, None)));
                said.extend(
                    near.into_iter()
                        .map(|f| say(f.bbox, Witness::Hazard(f.score), Some(f))),
                );
            }
        }
        let early = |last| (0.0..EVERY_S).contains(&(time_s - last));
        if !whole || self.last_s.is_some_and(early) {
            return said;
        }
        self.last_s = Some(time_s);
        for i in 0..self.zones.len() {
            if self.zones[i].is_watched(now) {
                said.extend(self.judge_zone(i, rules, scene, picture, quiet, track_of));
            }
        }
        said
    }

    fn judge_zone(
        &mut self,
        i: usize,
        rules: &RuleSet,
        scene: &Scene<'_>,
        picture: &RgbImage,
        quiet: bool,
        track_of: &dyn Fn(BBox) -> Option<TrackId>,
    ) -> Vec<Said> {
        let applying: Vec<(&str, &ZoneRule)> = rules_of(rules)
            .filter_map(|(code, rule)| match rule {
                WatchRule::Zone(rule) => Some((code, rule)),
                WatchRule::Distance(_) => None,
            })
            .filter(|(code, rule)| rule.applies(code, &self.zones[i]))
            .collect();
        if applying.is_empty() {
            return Vec::new();
        }
        let size = (scene.width, scene.height);
        let region = self.zones[i].bbox(size);
        let hidden = self.hidden(region, scene, quiet, track_of);
        let share = picture.width() as f32 / size.0.max(1) as f32;
        let small = BBox::new(
            region.x1 * share,
            region.y1 * share,
            region.x2 * share,
            region.y2 * share,
        );
        let difference = self.sights[i].look(Patch::cut(picture, small), &hidden);
        let mut said = Vec::new();
        let mut anything = false;
        for (code, rule) in applying {
            let zone = &self.zones[i];
            let objects = rule.objects_in(scene, zone);
            anything |= !objects.is_empty();
            let standing = objects.into_iter().find(|(_, d)| {
                quiet
                    || track_of(d.bbox)
                        .is_some_and(|t| self.stands(t) && self.inside(t, i) >= zone.inertia)
            });
            let object = standing.map(|(group, d)| rule.object_find(zone, group, d));
            let seen = difference.filter(|d| d.judged >= SEEN);
            let change = seen.and_then(|d| rule.change_find(zone, region, d));
            let (witness, find) = match (object, change) {
                (Some(o), Some(c)) if c.score > o.score => (Witness::Hazard(c.score), Some(c)),
                (Some(f), _) | (None, Some(f)) => (Witness::Hazard(f.score), Some(f)),
                (None, None) if rule.max_change.is_some() && seen.is_none() => {
                    (Witness::Unclear, None)
                }
                (None, None) => (Witness::InOrder, None),
            };
            said.push(Said {
                on: On::Zone(i),
                code: code.to_owned(),
                witness,
                find,
                confirm: Some(rule.confirm(zone)),
            });
        }
        let limit = said
            .iter()
            .all(|s| !matches!(s.witness, Witness::Hazard(_)));
        if limit && !anything {
            self.sights[i].learn(&hidden);
        }
        said
    }

    /// Cells before which people stand, or something moves.
    fn hidden(
        &self,
        region: BBox,
        scene: &Scene<'_>,
        quiet: bool,
        track_of: &dyn Fn(BBox) -> Option<TrackId>,
    ) -> Vec<bool> {
        let before = |d: &&Detection| {
            let name = scene.labels.name(d.class);
            let person = PEOPLE.iter().any(|p| name.eq_ignore_ascii_case(p));
            person || !quiet && track_of(d.bbox).is_some_and(|t| !self.stands(t))
        };
        let boxes: Vec<BBox> = scene
            .detections
            .iter()
            .filter(before)
            .map(|d| {
                // arms, shadows at the feet, a box that fits badly
                let (dx, dy) = (0.15 * d.bbox.width(), 0.08 * d.bbox.height());
                BBox::new(
                    d.bbox.x1 - dx,
                    d.bbox.y1 - dy,
                    d.bbox.x2 + dx,
                    d.bbox.y2 + dy,
                )
            })
            .collect();
        (0..CELLS * CELLS)
            .map(|cell| {
                let (x, y) = reference::cell_centre(cell);
                let at = (
                    region.x1 + x * region.width(),
                    region.y1 + y * region.height(),
                );
                boxes.iter().any(|b| b.contains(at))
            })
            .collect()
    }

    fn inside(&self, track: TrackId, zone: usize) -> u32 {
        let past = self.pasts.get(&track);
        past.and_then(|p| p.inside.get(&zone)).copied().unwrap_or(0)
    }

    fn stands(&self, track: TrackId) -> bool {
        let Some(past) = self.pasts.get(&track) else {
            return false;
        };
        let (Some(first), Some(last)) = (past.steps.front(), past.steps.back()) else {
            return false;
        };
        let far = |s: &(f64, (f32, f32), f32)| (s.1.0 - last.1.0).hypot(s.1.1 - last.1.1);
        last.0 - first.0 >= STANDS_S && past.steps.iter().all(|s| far(s) < STANDS * last.2)
    }

    /// Metres a second over the last second.
    fn speed(&self, ground: &Ground, track: TrackId, (w, h): (u32, u32)) -> Option<f64> {
        let past = self.pasts.get(&track)?;
        let last = past.steps.back()?;
        let first = past.steps.iter().find(|s| last.0 - s.0 <= 1.2)?;
        let passed = last.0 - first.0;
        let metres = |(x, y): (f32, f32)| {
            ground.metres([f64::from(x) / f64::from(w), f64::from(y) / f64::from(h)])
        };
        let (a, b) = (metres(first.1)?, metres(last.1)?);
        (passed >= 0.5).then(|| (a[0] - b[0]).hypot(a[1] - b[1]) / passed)
    }
}

impl Sight {
    fn new(zone: &Zone) -> Self {
        let region = zone.bbox((1, 1));
        let wanted = (0..CELLS * CELLS)
            .map(|cell| {
                let (x, y) = reference::cell_centre(cell);
                zone.contains([
                    region.x1 + x * region.width(),
                    region.y1 + y * region.height(),
                ])
            })
            .collect();
        Self {
            wanted,
            ..Self::default()
        }
    }

    /// Takes in how the zone looks now; how far that is from clean, once that is known.
    fn look(&mut self, patch: Patch, hidden: &[bool]) -> Option<reference::Difference> {
        match &mut self.now {
            Some(now) => now.follow(&patch, SMOOTH, |cell| !hidden[cell]),
            None => self.now = Some(patch),
        }
        let (reference, now) = (self.reference.as_ref()?, self.now.as_ref()?);
        (self.learned >= LEARN).then(|| compare(reference, now, &self.wanted, hidden))
    }

    /// The zone is clean as far as is known.
    fn learn(&mut self, hidden: &[bool]) {
        let Some(now) = &self.now else { return };
        if self.fixed {
            return;
        }
        let asked = self.wanted.iter().filter(|w| **w).count().max(1);
        let covered = self
            .wanted
            .iter()
            .zip(hidden)
            .filter(|(w, h)| **w && **h)
            .count();
        match &mut self.reference {
            Some(reference) if self.learned >= LEARN => {
                reference.follow(now, FOLLOW, |cell| !hidden[cell]);
            }
            _ if covered as f32 > HIDDEN * asked as f32 => {}
            Some(reference) => {
                self.learned += 1;
                reference.follow(now, 1.0 / self.learned as f32, |_| true);
            }
            None => (self.reference, self.learned) = (Some(now.clone()), 1),
        }
    }
}

fn rules_of(rules: &RuleSet) -> impl Iterator<Item = (&str, &WatchRule)> {
    let kinds = rules.kinds().iter();
    kinds.flat_map(|k| k.watch.iter().map(|rule| (k.code.as_str(), rule)))
}

/// The text of a find, in both languages, before the reason of its confirmation.
pub(super) fn with_reason(find: Option<&Text>, reason: Text) -> Text {
    match find {
        Some(find) => Text::new(
            format!("{} {}", find.en, reason.en),
            format!("{}{}", find.zh, reason.zh),
        ),
        None => reason,
    }
}
