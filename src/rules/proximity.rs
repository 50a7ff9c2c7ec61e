//! Proximity: people near vehicles and machines, on one photo.
//!
//! Never an accusation: one photo gives neither metres nor motion. The rule tells what the
//! picture shows, in units of the person's own height, and leaves the judgement open.

use serde::{Deserialize, Serialize};

use super::Scene;
use super::labels::{Group, cannot_see, check_range};
use super::outcome::Outcome;
use crate::detection::Detection;
use crate::geometry::BBox;
use crate::hazard::Text;

/// Share of a person's box inside a vehicle's box from which the person may sit in it.
const DRIVER_INSIDE: f32 = 0.6;

/// How far a driver's lower edge lies above the vehicle's, in heights of the vehicle's box. A
/// seat is well above the ground; somebody standing in front stands about as low as the wheels.
const DRIVER_RAISED: f32 = 0.1;

/// Parameters of the primitive `proximity`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proximity {
    /// People.
    pub person: Group,
    /// What they must keep away from.
    pub movers: Vec<Group>,
    /// Lowest score that is looked at, `0..=1`.
    pub min_score: f32,
}

impl Proximity {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        self.person.check("person")?;
        if self.movers.is_empty() {
            return Err(("movers".into(), "give at least one group".into()));
        }
        for (i, m) in self.movers.iter().enumerate() {
            m.check(&format!("movers[{i}]"))?;
        }
        check_range("min_score", self.min_score, 0.0, 1.0)
    }

    pub(super) fn evaluate(&self, scene: &Scene<'_>) -> Outcome {
        if !self.person.known(scene.labels) {
            return Outcome::cannot_determine(cannot_see(&[&self.person]));
        }
        let unseen: Vec<&Group> = self
            .movers
            .iter()
            .filter(|m| !m.known(scene.labels))
            .collect();
        let persons = self.person.find(scene, self.min_score);
        let movers: Vec<(&Group, Detection)> = self
            .movers
            .iter()
            .flat_map(|g| {
                g.find(scene, self.min_score)
                    .into_iter()
                    .map(move |d| (g, d))
            })
            .collect();
        if movers.is_empty() && !unseen.is_empty() {
            return Outcome::cannot_determine(cannot_see(&unseen));
        }
        if movers.is_empty() {
            return Outcome::not_applicable(Text::new(
                "No vehicle or machine was found in the picture; small or hidden ones may be missed.",
                "画面中未发现车辆或机械；过小或被遮挡的可能漏检。",
            ));
        }
        let (drivers, walkers): (Vec<Detection>, Vec<Detection>) = persons
            .into_iter()
            .partition(|p| movers.iter().any(|(_, m)| is_driver(p.bbox, m.bbox)));
        // Persons come best first, so an exact tie is settled by score, then by place.
        let nearest = walkers
            .iter()
            .flat_map(|p| {
                movers
                    .iter()
                    .map(move |(g, m)| (distance(p.bbox, m.bbox), g))
            })
            .min_by(|a, b| a.0.total_cmp(&b.0));
        let Some((distance, mover)) = nearest else {
            return Outcome::not_applicable(nobody_on_foot(movers.len(), drivers.len()));
        };
        Outcome::cannot_determine(relation(
            distance,
            &mover.name,
            walkers.len(),
            movers.len(),
            drivers.len(),
        ))
    }
}

pub(super) fn is_driver(person: BBox, mover: BBox) -> bool {
    person.share_inside(mover) >= DRIVER_INSIDE
        && (mover.y2 - person.y2) / mover.height() >= DRIVER_RAISED
}

/// Distance in the picture between the point where a person stands and the line on which the
/// vehicle stands (its lower edge), in heights of the person. Ground behind the vehicle or before
/// it is foreshortened, so this is a lower bound of the true ratio; it is no distance in metres.
fn distance(person: BBox, mover: BBox) -> f32 {
    let (x, y) = person.bottom_center();
    let dx = (mover.x1 - x).max(x - mover.x2).max(0.0);
    let dy = y - mover.y2;
    dx.hypot(dy) / person.height()
}

fn relation(distance: f32, mover: &Text, walkers: usize, movers: usize, drivers: usize) -> Text {
    let (near_en, near_zh) = if distance < 0.05 {
        (
            format!("right beside the nearest {}", mover.en),
            format!("紧靠{}", mover.zh),
        )
    } else {
        (
            format!(
                "about {distance:.1} of their own height from the nearest {}",
                mover.en
            ),
            format!("距{}约{distance:.1}倍身高", mover.zh),
        )
    };
    let driver = drivers_note(drivers);
    Text::new(
        format!(
            "In the picture the nearest of {walkers} on foot stands {near_en} ({movers} found).{} Metres and movement cannot be measured in a single picture: keep people and vehicles apart on site, or connect a camera and enter one known length in its view.",
            driver.en
        ),
        format!(
            "画面中步行人员{walkers}人，最近的一人{near_zh}（共发现车辆、机械{movers}台）。{}单张照片量不出实际距离，也看不出是否在移动：请现场落实人车分流，或接入摄像机并标定一段已知长度。",
            driver.zh
        ),
    )
}

fn nobody_on_foot(movers: usize, drivers: usize) -> Text {
    let driver = drivers_note(drivers);
    Text::new(
        format!(
            "Vehicles or machines found: {movers}; nobody on foot was found near them.{} Small or hidden persons may be missed.",
            driver.en
        ),
        format!(
            "发现车辆、机械{movers}台，周围未发现步行人员。{}过小或被遮挡的人员可能漏检。",
            driver.zh
        ),
    )
}

fn drivers_note(drivers: usize) -> Text {
    match drivers {
        0 => Text::new("", ""),
        1 => Text::new(
            " One person inside a vehicle's outline is probably its driver and is not counted.",
            "另有1人位于车辆轮廓内驾驶位高度，可能是驾驶员，未计入。",
        ),
        n => Text::new(
            format!(
                " {n} persons inside a vehicle's outline are probably drivers and are not counted."
            ),
            format!("另有{n}人位于车辆轮廓内驾驶位高度，可能是驾驶员，未计入。"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use crate::hazard::Answer::{CannotDetermine, NotApplicable};
    use crate::rules::tests::check;

    #[test]
    fn people_and_vehicles() {
        let truck = ("forklift", 0.9, [300.0, 200.0, 200.0, 250.0]);
        let walker = ("person", 0.9, [550.0, 250.0, 60.0, 200.0]);
        let driver = ("person", 0.9, [360.0, 230.0, 70.0, 120.0]);
        let case = |what, seen: &[_], answer, says| check(what, "EQP-04", seen, answer, 0, says);
        case("nothing", &[], NotApplicable, "No vehicle or machine");
        case(
            "no vehicle",
            &[walker],
            NotApplicable,
            "No vehicle or machine",
        );
        case("nobody", &[truck], NotApplicable, "nobody on foot");
        case(
            "driver only",
            &[truck, driver],
            NotApplicable,
            "probably its driver",
        );
        // 80 px from the fork lift's side, 200 px high.
        case(
            "near",
            &[truck, walker],
            CannotDetermine,
            "about 0.4 of their own height from the nearest forklift",
        );
        case(
            "near, with a driver",
            &[truck, walker, driver],
            CannotDetermine,
            "nearest of 1 on foot",
        );
        // Inside the outline as well, but the feet are where the wheels are.
        case(
            "in front of it",
            &[truck, ("person", 0.9, [380.0, 270.0, 60.0, 185.0])],
            CannotDetermine,
            "right beside the nearest forklift",
        );
        case(
            "nearest of two",
            &[
                truck,
                walker,
                ("vehicle", 0.8, [615.0, 300.0, 200.0, 150.0]),
            ],
            CannotDetermine,
            "from the nearest vehicle (2 found)",
        );
    }
}
