//! Rules for video: what one photo cannot settle, and a fixed view with drawn zones can.
//!
//! Here is what one frame says; how long it must last is told by [`ZoneRule::confirm`] and held by
//! `confirm`.

use serde::{Deserialize, Serialize};

use super::Scene;
use super::labels::{Group, check_range};
use super::outcome::input;
use super::proximity::is_driver;
use crate::confirm::ConfirmConfig;
use crate::detection::Detection;
use crate::geometry::BBox;
use crate::hazard::{RuleInput, Text};
use crate::reference::Difference;
use crate::zone::{Ground, Zone, ZoneKind, to_segment};

/// A rule for video.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "primitive", rename_all = "snake_case")]
pub enum WatchRule {
    /// Something stands in a zone and stays.
    Zone(ZoneRule),
    /// A person too close to something that moves, in metres.
    Distance(DistanceRule),
}

/// Parameters of the primitive `zone`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneRule {
    /// In which kinds of zone.
    pub zones: Vec<ZoneKind>,
    /// Only in zones that name this hazard; else in all of the kinds above that name none.
    #[serde(default)]
    pub only_when_named: bool,
    /// What must not stand there.
    pub objects: Vec<Group>,
    /// Lowest score of an object that counts, `0..=1`.
    pub min_score: f32,
    /// Share of the zone that may differ from its clean reference, `0..=1`: what no class of the
    /// model is for. Absent: only objects count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_change: Option<f32>,
    /// How long it must stay, seconds.
    pub dwell_s: f64,
    /// How long the zone must be seen clear before closing is suggested, seconds.
    pub clear_s: f64,
}

/// Parameters of the primitive `distance`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistanceRule {
    /// People.
    pub person: Group,
    /// What they must keep away from.
    pub movers: Vec<Group>,
    /// Lowest score that counts, `0..=1`.
    pub min_score: f32,
    /// Least distance on the ground, metres.
    pub min_m: f32,
    /// Slower ones stand, metres a second.
    pub moving_m_s: f32,
}

/// One place where a rule for video is broken in this frame.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchFind {
    /// `0..=1`.
    pub score: f32,
    /// Where, pixels of the original upright picture.
    pub bbox: BBox,
    /// What was measured.
    pub inputs: Vec<RuleInput>,
    /// For a lay person.
    pub text: Text,
}

impl ZoneRule {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        if self.zones.is_empty() {
            return Err(("zones".into(), "give at least one kind of zone".into()));
        }
        for (i, group) in self.objects.iter().enumerate() {
            group.check(&format!("objects[{i}]"))?;
        }
        if self.objects.is_empty() && self.max_change.is_none() {
            return Err(("objects".into(), "give objects, max_change, or both".into()));
        }
        check_range("min_score", self.min_score, 0.0, 1.0)?;
        check_range("max_change", self.max_change.unwrap_or(0.5), 0.01, 1.0)?;
        check_range("dwell_s", self.dwell_s as f32, 0.0, 86_400.0)?;
        check_range("clear_s", self.clear_s as f32, 1.0, 86_400.0)
    }

    /// Whether a zone is looked at for this rule's hazard.
    pub fn applies(&self, code: &str, zone: &Zone) -> bool {
        if zone.hazards.is_empty() {
            return !self.only_when_named && self.zones.contains(&zone.kind);
        }
        zone.hazards.iter().any(|h| h.eq_ignore_ascii_case(code))
    }

    /// How long what must be seen in this zone.
    pub fn confirm(&self, zone: &Zone) -> ConfirmConfig {
        let dwell_s = zone.loitering_time.unwrap_or(self.dwell_s).max(1.0);
        ConfirmConfig {
            // somebody who walks by and hides it does not start the time anew
            window_s: 1.2 * dwell_s,
            min_frames: 4,
            min_s: dwell_s,
            enter: 0.8,
            leave: 0.1,
            threshold: zone.threshold.unwrap_or(0.4),
            clear_s: Some(self.clear_s.min(dwell_s)),
        }
    }

    /// The objects that must not stand in this zone and do, best first.
    pub fn objects_in(&self, scene: &Scene<'_>, zone: &Zone) -> Vec<(&Group, Detection)> {
        let least = zone.min_score.unwrap_or(self.min_score);
        let mut found: Vec<(&Group, Detection)> = self
            .objects
            .iter()
            .flat_map(|g| g.find(scene, least).into_iter().map(move |d| (g, d)))
            .filter(|(_, d)| zone.takes(scene.labels.name(d.class)))
            .filter(|(_, d)| zone.holds(d.bbox, (scene.width, scene.height)))
            .collect();
        found.sort_by(|a, b| b.1.score.total_cmp(&a.1.score));
        found
    }

    /// A find for an object that stands still in a zone.
    pub fn object_find(&self, zone: &Zone, group: &Group, d: Detection) -> WatchFind {
        let least = zone.min_score.unwrap_or(self.min_score);
        WatchFind {
            score: d.score,
            bbox: d.bbox,
            inputs: vec![input(
                group.noun(),
                Some(d.score),
                Some(least),
                Some(d.bbox),
            )],
            text: Text::new(
                format!("A {} stands in the zone `{}`.", group.name.en, zone.name),
                format!("区域“{}”内有{}停留。", zone.name, group.name.zh),
            ),
        }
    }

    /// A find for a zone that no longer looks as it did when clean; `None` within the limit.
    pub fn change_find(&self, zone: &Zone, bbox: BBox, d: Difference) -> Option<WatchFind> {
        let limit = self.max_change?;
        if d.share < limit {
            return None;
        }
        let percent = 100.0 * d.share;
        Some(WatchFind {
            // at the limit a half; three times the limit is three quarters
            score: d.share / (d.share + limit),
            bbox,
            inputs: vec![
                input("changed_share", Some(d.share), Some(limit), Some(bbox)),
                input("judged_share", Some(d.judged), None, None),
            ],
            text: Text::new(
                format!(
                    "{percent:.0} % of the zone `{}` differ from its clean reference: something is there.",
                    zone.name
                ),
                format!(
                    "区域“{}”与清空状态相比有{percent:.0}%发生变化：疑有物品占用。",
                    zone.name
                ),
            ),
        })
    }
}

impl DistanceRule {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        self.person.check("person")?;
        if self.movers.is_empty() {
            return Err(("movers".into(), "give at least one group".into()));
        }
        for (i, m) in self.movers.iter().enumerate() {
            m.check(&format!("movers[{i}]"))?;
        }
        check_range("min_score", self.min_score, 0.0, 1.0)?;
        check_range("min_m", self.min_m, 0.1, 100.0)?;
        check_range("moving_m_s", self.moving_m_s, 0.0, 50.0)
    }

    /// The people too close to something that moves, and those who are not. `speed_of` tells how
    /// fast what was detected there is, metres a second; unknown speeds count as standing.
    pub fn people(
        &self,
        scene: &Scene<'_>,
        ground: &Ground,
        speed_of: impl Fn(BBox) -> Option<f64>,
    ) -> (Vec<WatchFind>, Vec<BBox>) {
        let (w, h) = (f64::from(scene.width), f64::from(scene.height));
        let metres = |x: f32, y: f32| ground.metres([f64::from(x) / w, f64::from(y) / h]);
        let movers: Vec<(&Group, Detection)> = self
            .movers
            .iter()
            .flat_map(|g| {
                g.find(scene, self.min_score)
                    .into_iter()
                    .map(move |d| (g, d))
            })
            .collect();
        let (mut near, mut clear) = (Vec::new(), Vec::new());
        for person in self.person.find(scene, self.min_score) {
            if movers.iter().any(|(_, m)| is_driver(person.bbox, m.bbox)) {
                continue;
            }
            let (x, y) = person.bbox.bottom_center();
            let Some(feet) = metres(x, y) else { continue };
            let nearest = movers
                .iter()
                .filter(|(_, m)| speed_of(m.bbox).is_some_and(|v| v >= f64::from(self.moving_m_s)))
                .filter_map(|(g, m)| {
                    let (a, b) = (metres(m.bbox.x1, m.bbox.y2)?, metres(m.bbox.x2, m.bbox.y2)?);
                    Some((to_segment(feet, a, b) as f32, *g, *m))
                })
                .min_by(|a, b| a.0.total_cmp(&b.0));
            match nearest {
                Some((m, group, mover)) if m < self.min_m => {
                    near.push(self.find(person, m, group, mover));
                }
                _ => clear.push(person.bbox),
            }
        }
        (near, clear)
    }

    fn find(&self, person: Detection, m: f32, group: &Group, mover: Detection) -> WatchFind {
        WatchFind {
            score: person.score.min(mover.score),
            bbox: person.bbox,
            inputs: vec![
                input("distance_m", Some(m), Some(self.min_m), None),
                input(
                    self.person.noun(),
                    Some(person.score),
                    Some(self.min_score),
                    Some(person.bbox),
                ),
                input(
                    group.noun(),
                    Some(mover.score),
                    Some(self.min_score),
                    Some(mover.bbox),
                ),
            ],
            text: Text::new(
                format!(
                    "A person on foot {m:.1} m from a moving {}; at least {:.1} m are needed.",
                    group.name.en, self.min_m
                ),
                format!(
                    "步行人员距移动中的{}仅{m:.1}米，要求不小于{:.1}米。",
                    group.name.zh, self.min_m
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::LabelMap;
    use crate::rules::Catalogue;
    use crate::zone::Zones;

    fn rule(code: &str) -> WatchRule {
        Catalogue::builtin().kind(code).unwrap().watch[0].clone()
    }

    fn scene<'a>(labels: &'a LabelMap, detections: &'a [Detection]) -> Scene<'a> {
        Scene {
            width: 1000,
            height: 1000,
            detections,
            labels,
            seen_scale: 1.0,
        }
    }

    fn seen(class: usize, [x, y, w, h]: [f32; 4]) -> Detection {
        Detection {
            class,
            score: 0.8,
            bbox: BBox::from_xywh([x, y, w, h]),
        }
    }

    #[test]
    fn a_zone_takes_what_its_hazard_and_its_filter_name() {
        let WatchRule::Zone(rule) = rule("STO-03") else {
            panic!()
        };
        let zones = Zones::parse(
            "[[zone]]\nname = 'a'\nkind = 'aisle'\npolygon = [[0.0, 0.5], [1.0, 0.5], [1.0, 1.0], [0.0, 1.0]]",
        )
        .unwrap();
        let mut zone = zones.zones[0].clone();
        let labels = LabelMap::new(["person", "box"]);
        let detections = [
            seen(0, [400.0, 500.0, 80.0, 300.0]),
            seen(1, [100.0, 700.0, 90.0, 90.0]),
            seen(1, [300.0, 300.0, 90.0, 90.0]),
        ];
        let scene = scene(&labels, &detections);
        let found = rule.objects_in(&scene, &zone);
        assert_eq!(
            found.len(),
            1,
            "a person is no goods, and one box is outside"
        );
        assert_eq!(found[0].1, detections[1]);
        zone.objects = vec!["forklift".into()];
        assert!(rule.objects_in(&scene, &zone).is_empty());
        assert!(rule.applies("STO-03", &zone));
        zone.hazards = vec!["EGR-02".into()];
        assert!(!rule.applies("STO-03", &zone));
    }

    #[test]
    fn metres_are_measured_from_the_feet_to_what_moves() {
        let WatchRule::Distance(rule) = rule("EQP-04") else {
            panic!()
        };
        // seen from straight above: 1000 px are 20 m
        let zones = Zones::parse(
            "[ground]\npicture = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]\n\
             metres = [[0.0, 0.0], [20.0, 0.0], [20.0, 20.0], [0.0, 20.0]]",
        )
        .unwrap();
        let ground = zones.ground().unwrap().unwrap();
        let labels = LabelMap::new(["person", "forklift"]);
        let near = seen(0, [550.0, 400.0, 40.0, 100.0]);
        let far = seen(0, [900.0, 400.0, 40.0, 100.0]);
        let forklift = seen(1, [300.0, 400.0, 200.0, 100.0]);
        let detections = [near, far, forklift];
        let people = |speed| rule.people(&scene(&labels, &detections), &ground, |_| speed);
        let (finds, clear) = people(Some(1.5));
        assert_eq!((finds.len(), clear), (1, vec![far.bbox]));
        assert_eq!(finds[0].bbox, near.bbox);
        let metres = finds[0].inputs[0].value.unwrap();
        assert!((metres - 1.4).abs() < 1e-3, "{metres}");
        for standing in [Some(0.0), None] {
            assert!(people(standing).0.is_empty());
        }
    }

    #[test]
    fn an_alarm_is_faster_than_a_finding() {
        use crate::confirm::{Confirmation, Witness};
        let opens_after = |config: &ConfirmConfig| {
            let mut confirmation = Confirmation::default();
            let frames = (0..20).map(|i| f64::from(i) / 5.0);
            let mut turns = frames.filter_map(|t| {
                let turn = confirmation.witness(config, t, Witness::Hazard(0.6));
                turn.map(|_| t)
            });
            turns.next().unwrap()
        };
        let fire = Catalogue::builtin()
            .kind("FIR-03")
            .unwrap()
            .confirm
            .clone()
            .unwrap();
        assert!(opens_after(&fire) < 0.5 * opens_after(&ConfirmConfig::default()));
    }
}
