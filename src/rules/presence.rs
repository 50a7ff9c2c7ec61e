//! Presence: the object itself is the hazard (flame, smoke).
//!
//! Seeing nothing clears nothing: a photo proves no absence.

use serde::{Deserialize, Serialize};

use super::Scene;
use super::labels::{Group, cannot_see, check_range, order};
use super::outcome::{Find, Outcome, Settled, input};
use crate::detection::Detection;
use crate::geometry::BBox;
use crate::hazard::Text;

/// Parameters of the primitive `presence`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presence {
    /// What must not be there.
    pub objects: Vec<Object>,
    /// Boxes are one place when they meet after each has grown by this share of its own size on
    /// every side, `0..=1`.
    pub reach: f32,
    /// What a person should bear in mind who checks a candidate, as whole sentences.
    #[serde(default)]
    pub caution: Option<Text>,
}

/// From this share of the score that a candidate needs, a person is told to look there.
const WORTH_A_LOOK: f32 = 0.5;

/// One thing that must not be there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Object {
    /// What it is.
    pub object: Group,
    /// Lowest score that is taken as seen, `0..=1`.
    pub min_score: f32,
}

impl Presence {
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        if self.objects.is_empty() {
            return Err(("objects".into(), "give at least one object".into()));
        }
        for (i, o) in self.objects.iter().enumerate() {
            o.object.check(&format!("objects[{i}].object"))?;
            check_range(&format!("objects[{i}].min_score"), o.min_score, 0.0, 1.0)?;
        }
        check_range("reach", self.reach, 0.0, 1.0)
    }

    pub(super) fn evaluate(&self, scene: &Scene<'_>) -> Outcome {
        let missing: Vec<&Group> = self
            .objects
            .iter()
            .map(|o| &o.object)
            .filter(|g| !g.known(scene.labels))
            .collect();
        if missing.len() == self.objects.len() {
            return Outcome::cannot_determine(cannot_see(&missing));
        }
        let mut seen: Vec<(usize, Detection)> = Vec::new();
        for (i, o) in self.objects.iter().enumerate() {
            let found = o.object.find(scene, o.min_score);
            seen.extend(found.into_iter().map(|d| (i, d)));
        }
        if seen.is_empty() {
            return Outcome::cannot_determine(self.nothing_sure(scene, &missing));
        }
        let finds: Vec<Find> = self
            .places(&seen)
            .into_iter()
            .map(|p| self.find(&p))
            .collect();
        let reason = self.reason(&seen, finds.len());
        Outcome::new(finds, Settled::CannotDetermine, reason)
    }

    /// Connected groups of boxes that touch once grown by `reach`.
    fn places(&self, seen: &[(usize, Detection)]) -> Vec<Vec<(usize, Detection)>> {
        let grown: Vec<BBox> = seen.iter().map(|(_, d)| self.grow(d.bbox)).collect();
        let mut place: Vec<usize> = (0..seen.len()).collect();
        for i in 0..seen.len() {
            for j in 0..i {
                if grown[i].intersection_area(grown[j]) > 0.0 && place[i] != place[j] {
                    let (from, to) = (place[i], place[j]);
                    place
                        .iter_mut()
                        .filter(|p| **p == from)
                        .for_each(|p| *p = to);
                }
            }
        }
        let mut ids = place.clone();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter()
            .map(|id| {
                let mut members: Vec<(usize, Detection)> = seen
                    .iter()
                    .zip(&place)
                    .filter(|(_, p)| **p == id)
                    .map(|(s, _)| *s)
                    .collect();
                members.sort_by(|(_, a), (_, b)| {
                    b.score.total_cmp(&a.score).then(order(a.bbox, b.bbox))
                });
                members
            })
            .collect()
    }

    fn grow(&self, b: BBox) -> BBox {
        let (dx, dy) = (b.width() * self.reach, b.height() * self.reach);
        BBox::new(b.x1 - dx, b.y1 - dy, b.x2 + dx, b.y2 + dy)
    }

    /// One candidate for one place. Its score is the best single score: two classes at one place
    /// do corroborate each other, but by how much is not known, so nothing is added.
    fn find(&self, members: &[(usize, Detection)]) -> Find {
        let score = members.iter().map(|(_, d)| d.score).fold(0.0, f32::max);
        let bbox = members
            .iter()
            .map(|(_, d)| d.bbox)
            .reduce(BBox::union)
            .unwrap_or(BBox::new(0.0, 0.0, 0.0, 0.0));
        let inputs = members
            .iter()
            .map(|(i, d)| {
                let object = &self.objects[*i];
                input(
                    object.object.noun(),
                    Some(d.score),
                    Some(object.min_score),
                    Some(d.bbox),
                )
            })
            .collect();
        let kinds = self.kinds(members);
        let en = join(&kinds, |t| &t.en, " and ");
        let zh = join(&kinds, |t| &t.zh, "和");
        let caution_en = self
            .caution
            .as_ref()
            .map_or_else(String::new, |c| format!(" {}", c.en));
        let caution_zh = self.caution.as_ref().map_or("", |c| &c.zh);
        Find {
            score,
            bbox,
            inputs,
            text: Text::new(
                format!("It looks like {en} here (score {score:.2}).{caution_en}"),
                format!("此处疑似{zh}（置信度{score:.2}）。{caution_zh}"),
            ),
        }
    }

    fn kinds(&self, members: &[(usize, Detection)]) -> Vec<&Text> {
        self.objects
            .iter()
            .enumerate()
            .filter(|(i, _)| members.iter().any(|(m, _)| m == i))
            .map(|(_, o)| &o.object.name)
            .collect()
    }

    fn reason(&self, seen: &[(usize, Detection)], places: usize) -> Text {
        let kinds = self.kinds(seen);
        let plural = if places == 1 { "place" } else { "places" };
        Text::new(
            format!(
                "Possible {} in {places} {plural}.",
                join(&kinds, |t| &t.en, " and ")
            ),
            format!("有{places}处疑似{}。", join(&kinds, |t| &t.zh, "和")),
        )
    }

    /// Nothing above the rule's scores; what the model saw below them is told.
    fn nothing_sure(&self, scene: &Scene<'_>, missing: &[&Group]) -> Text {
        let weak = self
            .objects
            .iter()
            .flat_map(|o| {
                let found = o.object.find(scene, WORTH_A_LOOK * o.min_score);
                found.into_iter().map(move |d| (o, d))
            })
            .max_by(|(_, a), (_, b)| a.score.total_cmp(&b.score));
        let mut text = if let Some((object, d)) = weak {
            let (name, score) = (&object.object.name, d.score);
            let [x, y, ..] = d.bbox.to_xywh();
            Text::new(
                format!(
                    "Something that may be {} was seen at {x:.0},{y:.0}, too uncertain for a candidate (score {score:.2}, needed {:.2}). Look there yourself.",
                    name.en, object.min_score
                ),
                format!(
                    "在{x:.0},{y:.0}处看到疑似{}的目标，但把握不足，未列为候选（置信度{score:.2}，需{:.2}）。请人工查看该处。",
                    name.zh, object.min_score
                ),
            )
        } else {
            let kinds: Vec<&Text> = self.objects.iter().map(|o| &o.object.name).collect();
            Text::new(
                format!(
                    "No {} was found, but a picture proves no absence: it may be outside the picture, hidden or too small.",
                    join(&kinds, |t| &t.en, " or ")
                ),
                format!(
                    "未发现{}，但单张照片不能证明没有：可能在画面之外、被遮挡或目标过小。",
                    join(&kinds, |t| &t.zh, "或")
                ),
            )
        };
        if !missing.is_empty() {
            let more = cannot_see(missing);
            text = Text::new(format!("{} {}", text.en, more.en), text.zh + &more.zh);
        }
        text
    }
}

fn join(texts: &[&Text], get: fn(&Text) -> &str, sep: &str) -> String {
    texts.iter().map(|t| get(t)).collect::<Vec<_>>().join(sep)
}

#[cfg(test)]
mod tests {
    use crate::hazard::Answer::{CannotDetermine, NonCompliant};
    use crate::rules::tests::check;

    #[test]
    fn flame_and_smoke() {
        let fire = ("fire", 0.8, [100.0, 300.0, 100.0, 100.0]);
        check(
            "nothing",
            "FIR-03",
            &[],
            CannotDetermine,
            0,
            "proves no absence",
        );
        check(
            "too weak",
            "FIR-03",
            &[("fire", 0.39, [100.0, 300.0, 100.0, 100.0])],
            CannotDetermine,
            0,
            "may be flame was seen at 100,300, too uncertain",
        );
        check(
            "flame",
            "FIR-03",
            &[fire],
            NonCompliant,
            1,
            "Possible flame in 1 place.",
        );
        check(
            "two boxes on one flame",
            "FIR-03",
            &[fire, ("fire", 0.6, [150.0, 280.0, 100.0, 100.0])],
            NonCompliant,
            1,
            "flame in 1 place",
        );
        let e = check(
            "smoke above its flame",
            "FIR-03",
            &[fire, ("smoke", 0.9, [80.0, 100.0, 150.0, 190.0])],
            NonCompliant,
            1,
            "Possible flame and smoke in 1 place.",
        );
        assert_eq!(e.candidates[0].score, 0.9);
        assert_eq!(e.candidates[0].bbox.to_xywh(), [80.0, 100.0, 150.0, 300.0]);
        let names: Vec<&str> = e.candidates[0]
            .inputs
            .iter()
            .map(|i| i.name.as_str())
            .collect();
        assert_eq!(names, ["smoke", "fire"]);
        check(
            "two places",
            "FIR-03",
            &[fire, ("smoke", 0.7, [600.0, 100.0, 100.0, 100.0])],
            NonCompliant,
            2,
            "flame and smoke in 2 places",
        );
    }
}
