//! Whether a camera still sees what it should: covered, moved, dark, frozen, stale.

use std::collections::BTreeMap;

use crate::confirm::{ConfirmConfig, Confirmation, Turn, Witness};
use crate::hazard::Text;
use crate::motion::Glance;

/// What can be wrong with a camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ailment {
    /// Something is before the lens.
    Covered,
    /// It looks elsewhere than before.
    Moved,
    /// Too dark to see by.
    Dark,
    /// The same picture over and over.
    Frozen,
    /// No picture comes.
    Stale,
}

impl Ailment {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Covered,
        Self::Moved,
        Self::Dark,
        Self::Frozen,
        Self::Stale,
    ];

    /// Code of the finding.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Covered => "CAM-COVERED",
            Self::Moved => "CAM-MOVED",
            Self::Dark => "CAM-DARK",
            Self::Frozen => "CAM-FROZEN",
            Self::Stale => "CAM-STALE",
        }
    }

    /// Name of the finding, with what to do.
    pub fn name(self) -> Text {
        match self {
            Self::Covered => Text::new(
                "Camera covered or out of focus: look at its lens",
                "摄像机被遮挡或失焦：请检查镜头",
            ),
            Self::Moved => Text::new(
                "Camera moved: turn it back, or draw its zones anew",
                "摄像机移位：请复位或重新划定区域",
            ),
            Self::Dark => Text::new(
                "Camera sees nothing but dark: switch a light on",
                "画面过暗：请补充照明",
            ),
            Self::Frozen => Text::new(
                "Camera shows one picture over and over: restart it",
                "画面冻结：请重启摄像机",
            ),
            Self::Stale => Text::new(
                "No picture comes from the camera: check power and network",
                "摄像机无画面：请检查电源和网络",
            ),
        }
    }
}

/// Mean luma below which nothing is told apart, 0 to 255.
const DARK: f32 = 16.0;
/// Structure left, in shares of the reference's, when something is before the lens.
const COVERED: f32 = 0.3;
/// Structure below which a view cannot be told from another, in luma.
const FEATURELESS: f32 = 1.0;
/// Likeness (correlation of the edges) with the reference below which the view is another.
const MOVED: f32 = 0.3;
/// Likeness from which the reference follows the light.
const FOLLOWS: f32 = 0.7;
/// Glances that the reference is learned from.
const LEARNED: u32 = 10;
/// The same pixels for so long is no camera: sensors are noisy. Seconds.
const FROZEN_S: f64 = 30.0;
/// No picture for so long, seconds.
const STALE_S: f64 = 20.0;

/// The health of one camera.
#[derive(Debug, Clone, Default)]
pub struct Health {
    reference: Option<(Glance, u32)>,
    same: Option<(u64, f64)>,
    confirmations: BTreeMap<Ailment, Confirmation>,
    /// Looks, and those that were too dark, covered, or of another view.
    looks: u64,
    blind: u64,
}

impl Health {
    /// Takes a glance at `time_s` (seconds). `live`: of a camera, which has noise, not a file.
    pub fn look(&mut self, time_s: f64, glance: &Glance, live: bool) -> Vec<(Ailment, Turn)> {
        let mut turns = Vec::new();
        let mut witness = |this: &mut Self, ailment, witness| {
            turns.extend(this.witness(time_s, ailment, witness).map(|t| (ailment, t)));
        };
        let dark = glance.brightness() < DARK;
        witness(self, Ailment::Dark, says(dark));
        witness(self, Ailment::Stale, Witness::InOrder);
        if live {
            let same_since = match self.same {
                Some((digest, since)) if digest == glance.digest && since <= time_s => since,
                _ => time_s,
            };
            self.same = Some((glance.digest, same_since));
            let frozen = time_s - same_since >= FROZEN_S;
            witness(self, Ailment::Frozen, says(frozen));
        }
        let (mut covered, mut moved) = (Witness::Unclear, Witness::Unclear);
        if let Some((reference, LEARNED)) = &self.reference
            && !dark
        {
            let (was, is) = (reference.structure(), glance.structure());
            covered = says(is < COVERED * was);
            if is >= COVERED * was && is > FEATURELESS && was > FEATURELESS {
                moved = says(likeness(reference, glance) < MOVED);
            }
        }
        witness(self, Ailment::Covered, covered);
        witness(self, Ailment::Moved, moved);
        self.learn(glance, dark);
        self.looks += 1;
        let ill = |w| matches!(w, Witness::Hazard(_));
        self.blind += u64::from(dark || ill(covered) || ill(moved));
        turns
    }

    /// Share of the looks in which it did not see what it should, 0 to 1.
    pub fn blind_share(&self) -> f64 {
        self.blind as f64 / self.looks.max(1) as f64
    }

    /// No picture has come for `age_s` seconds.
    pub fn silence(&mut self, time_s: f64, age_s: f64) -> Option<(Ailment, Turn)> {
        let turn = self.witness(time_s, Ailment::Stale, says(age_s >= STALE_S))?;
        Some((Ailment::Stale, turn))
    }

    fn witness(&mut self, time_s: f64, ailment: Ailment, witness: Witness) -> Option<Turn> {
        let confirmation = self.confirmations.entry(ailment).or_default();
        confirmation.witness(&config(ailment), time_s, witness)
    }

    fn learn(&mut self, glance: &Glance, dark: bool) {
        match &mut self.reference {
            None if !dark => self.reference = Some((glance.clone(), 1)),
            Some((reference, n)) if *n < LEARNED && !dark => {
                *n += 1;
                follow(reference, glance, 1.0 / *n as f32);
            }
            Some((reference, _)) if !dark && likeness(reference, glance) > FOLLOWS => {
                follow(reference, glance, 0.01);
            }
            _ => {}
        }
    }
}

fn says(ill: bool) -> Witness {
    if ill {
        Witness::Hazard(1.0)
    } else {
        Witness::InOrder
    }
}

fn config(ailment: Ailment) -> ConfirmConfig {
    // somebody who walks past close to the lens covers it for seconds
    let window_s = match ailment {
        Ailment::Frozen | Ailment::Stale => 5.0,
        _ => 20.0,
    };
    ConfirmConfig {
        window_s,
        min_frames: 3,
        min_s: if window_s > 10.0 { 12.0 } else { 0.0 },
        enter: 0.9,
        leave: 0.1,
        threshold: 0.5,
        clear_s: None,
    }
}

fn follow(reference: &mut Glance, glance: &Glance, share: f32) {
    for (r, g) in reference.cells.iter_mut().zip(&glance.cells) {
        *r += share * (g - *r);
    }
}

/// Correlation of the edges of two glances, -1 to 1.
fn likeness(a: &Glance, b: &Glance) -> f32 {
    let (a, b) = (a.edges(), b.edges());
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>();
    let norm = (dot(&a, &a) * dot(&b, &b)).sqrt();
    if norm > 0.0 { dot(&a, &b) / norm } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::*;

    fn glance(paint: impl Fn(u32, u32) -> u8) -> Glance {
        Glance::of(&RgbImage::from_fn(64, 36, |x, y| {
            image::Rgb([paint(5 * x, 5 * y); 3])
        }))
    }

    fn yard(x: u32, y: u32, noise: u32) -> u8 {
        (60 + (x / 20 * 37 + y / 15 * 59) % 120 + (x + y * 3 + noise * 7) % 3) as u8
    }

    /// Plays what is seen in each second; gives when what began and ended.
    fn play(seen: impl Fn(u32) -> Option<Glance>, seconds: u32) -> Vec<(u32, &'static str, char)> {
        let mut health = Health::default();
        let (mut out, mut last) = (Vec::new(), 0);
        for t in 0..seconds {
            let turns = match seen(t) {
                Some(glance) => {
                    last = t;
                    health.look(f64::from(t), &glance, true)
                }
                None => {
                    let silent = health.silence(f64::from(t), f64::from(t - last));
                    silent.into_iter().collect()
                }
            };
            for (ailment, turn) in turns {
                let sign = if matches!(turn, Turn::Opened(_)) {
                    '+'
                } else {
                    '-'
                };
                out.push((t, ailment.code(), sign));
            }
        }
        out
    }

    fn only(turns: &[(u32, &'static str, char)], code: &str) {
        let signs: String = turns.iter().map(|t| t.2).collect();
        assert!(
            turns.iter().all(|t| t.1 == code) && signs == "+-",
            "{code}: {turns:?}"
        );
    }

    #[test]
    fn a_camera_that_is_well_has_no_findings_in_any_light() {
        let day = |t: u32| {
            let light = 0.4 + 0.6 * (t as f32 / 200.0);
            Some(glance(move |x, y| (f32::from(yard(x, y, t)) * light) as u8))
        };
        assert_eq!(play(day, 200), []);
    }

    #[test]
    fn each_ailment_is_told_once_and_is_over_once() {
        let during = |t: u32| (100..160).contains(&t);
        let case = |ill: fn(u32) -> Option<Glance>| {
            move |t| {
                if during(t) {
                    ill(t)
                } else {
                    Some(glance(|x, y| yard(x, y, t)))
                }
            }
        };
        let hand = |t: u32| Some(glance(move |x, _| (90 + x / 80 + t % 2) as u8));
        only(&play(case(hand), 220), "CAM-COVERED");
        let turned = |t: u32| Some(glance(move |x, y| yard(y * 2 + 133, x + 71, t)));
        only(&play(case(turned), 220), "CAM-MOVED");
        let night = |t: u32| Some(glance(move |x, y| yard(x, y, t) / 16));
        only(&play(case(night), 220), "CAM-DARK");
        let still = |_| Some(glance(|x, y| yard(x, y, 5)));
        only(&play(case(still), 220), "CAM-FROZEN");
        only(&play(case(|_| None), 220), "CAM-STALE");
    }

    #[test]
    fn somebody_close_to_the_lens_covers_nothing() {
        let passing = |t: u32| {
            Some(glance(move |x, y| {
                if (100..105).contains(&t) {
                    80
                } else {
                    yard(x, y, t)
                }
            }))
        };
        assert_eq!(play(passing, 200), []);
    }
}
