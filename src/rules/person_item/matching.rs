//! Who wears what: people, items and bare parts matched one to one.

use super::PersonItem;
use super::body::{MIN_FIT, Part};
use crate::detection::Detection;
use crate::geometry::BBox;
use crate::rules::Scene;
use crate::rules::labels::order;

/// A box whose top is this close to the picture's edge may be cut there, share of the picture.
const EDGE: f32 = 0.005;

/// Share of the expected part that something nearer must cover to hide it.
const HIDDEN: f32 = 0.5;

/// One person, or a part without a person's box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Match {
    pub(super) person: Option<Detection>,
    pub(super) verdict: Verdict,
    /// The item that overlaps the bare part most.
    pub(super) nearest_item: Option<Detection>,
}

/// What is known about one person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Verdict {
    Worn,
    Missing {
        bare: Detection,
        /// An item seen on the same spot with a clearly lower score.
        contradiction: Option<Detection>,
    },
    Undetermined(Cause),
}

/// Why a person cannot be judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Cause {
    /// The part was found, this many pixels high.
    Small(f32),
    /// The part was not found and would be about this many pixels high.
    TooFar(f32),
    /// Item and bare part on one spot, with these scores.
    Undecided(f32, f32),
    /// The picture's edge cuts the person.
    Cut,
    /// Somebody or something nearer covers the part.
    Hidden,
    /// The part was not found, but an item is elsewhere on the person.
    ItemElsewhere,
    /// The part was not found.
    NotFound,
}

impl Cause {
    pub(super) fn rank(self) -> u8 {
        match self {
            Cause::Small(_) => 0,
            Cause::TooFar(_) => 1,
            Cause::Undecided(..) => 2,
            Cause::Cut => 3,
            Cause::Hidden => 4,
            Cause::ItemElsewhere => 5,
            Cause::NotFound => 6,
        }
    }

    pub(super) fn same_kind(self, other: Cause) -> bool {
        self.rank() == other.rank()
    }

    /// Of two causes of one kind, the one that is nearer to being judged.
    pub(super) fn larger(self, other: Cause) -> Cause {
        match (self, other) {
            (Cause::Small(a), Cause::Small(b)) if b > a => other,
            (Cause::TooFar(a), Cause::TooFar(b)) if b > a => other,
            (Cause::Undecided(a, _), Cause::Undecided(b, _)) if b > a => other,
            _ => self,
        }
    }
}

/// A place where the part was found: bare, with the item, or both claimed.
#[derive(Debug, Clone, Copy)]
struct Spot {
    item: Option<Detection>,
    bare: Option<Detection>,
}

impl Spot {
    fn scores(&self) -> (f32, f32) {
        (
            self.item.map_or(0.0, |d| d.score),
            self.bare.map_or(0.0, |d| d.score),
        )
    }

    /// The stronger of the two claims; bare on a tie.
    fn best(&self) -> Option<Detection> {
        match (self.item, self.bare) {
            (Some(i), Some(b)) => Some(if i.score > b.score { i } else { b }),
            (i, b) => i.or(b),
        }
    }

    fn bbox(&self) -> BBox {
        self.best()
            .map_or(BBox::new(0.0, 0.0, 0.0, 0.0), |d| d.bbox)
    }
}

/// Everybody found, and the number of items that are on nobody.
pub(super) struct Matches {
    pub(super) people: Vec<Match>,
    pub(super) stray_items: usize,
}

/// Matches people with spots, best first, one to one.
pub(super) fn matches(rule: &PersonItem, scene: &Scene<'_>) -> Matches {
    let persons = distinct(rule.person.find(scene, rule.min_score));
    let items = rule.part.distinct(rule.item.find(scene, rule.min_score));
    let bares = rule.part.distinct(rule.bare.find(scene, rule.min_score));
    let spots = spots(rule.part, &items, &bares);

    let mut spot_of: Vec<Option<usize>> = vec![None; persons.len()];
    let mut taken = vec![false; spots.len()];
    assign(
        &mut spot_of,
        &mut taken,
        pairs(&persons, &spots, |p, s| {
            let fit = rule.part.fit(p.bbox, s.bbox());
            (fit >= MIN_FIT).then(|| fit * s.best().map_or(0.0, |d| d.score))
        }),
    );
    // A bare part inside a person for whom nothing was found: an unusual posture.
    assign(
        &mut spot_of,
        &mut taken,
        pairs(&persons, &spots, |p, s| {
            let bare = s.bare.filter(|_| s.scores().1 >= s.scores().0)?;
            rule.part.inside(p.bbox, bare.bbox).then_some(bare.score)
        }),
    );

    let mut people: Vec<Match> = Vec::new();
    for (i, person) in persons.iter().enumerate() {
        let verdict = match spot_of[i] {
            Some(s) => judge(rule, scene, &spots[s]),
            None => Verdict::Undetermined(why_not_found(rule, scene, &persons, i, &items)),
        };
        people.push(Match {
            person: Some(*person),
            verdict,
            nearest_item: None,
        });
    }
    let mut stray_items = 0;
    for (spot, _) in spots.iter().zip(&taken).filter(|(_, taken)| !**taken) {
        let (item, bare) = spot.scores();
        match judge(rule, scene, spot) {
            // A lone item may lie on a table: it is nobody. The same when it wins clearly.
            _ if item > bare && item - bare >= rule.undecided_margin => stray_items += 1,
            _ if spot.bare.is_none() => stray_items += 1,
            verdict => people.push(Match {
                person: None,
                verdict,
                nearest_item: None,
            }),
        }
    }
    for m in &mut people {
        if let Verdict::Missing { bare, .. } = m.verdict {
            m.nearest_item = nearest(rule.part, &items, bare.bbox);
        }
    }
    Matches {
        people,
        stray_items,
    }
}

fn judge(rule: &PersonItem, scene: &Scene<'_>, spot: &Spot) -> Verdict {
    let height = spot.bbox().height() * scene.seen_scale;
    if height < rule.min_part_px {
        return Verdict::Undetermined(Cause::Small(height));
    }
    match (spot.item, spot.bare) {
        (Some(i), Some(b)) if (i.score - b.score).abs() < rule.undecided_margin => {
            Verdict::Undetermined(Cause::Undecided(i.score, b.score))
        }
        (item, Some(bare)) if item.is_none_or(|i| i.score <= bare.score) => Verdict::Missing {
            bare,
            contradiction: item,
        },
        _ => Verdict::Worn,
    }
}

fn why_not_found(
    rule: &PersonItem,
    scene: &Scene<'_>,
    persons: &[Detection],
    index: usize,
    items: &[Detection],
) -> Cause {
    let person = persons[index].bbox;
    let expected = rule.part.expected(person);
    let px = expected.height() * scene.seen_scale;
    if px < rule.min_part_px {
        return Cause::TooFar(px);
    }
    let (width, height) = (scene.width as f32, scene.height as f32);
    if person.y1 <= height * EDGE || person.x1 <= width * EDGE || person.x2 >= width * (1.0 - EDGE)
    {
        return Cause::Cut;
    }
    // Who stands lower in the picture stands nearer.
    let hides = |other: &BBox| other.y2 > person.y2 && expected.share_inside(*other) >= HIDDEN;
    if persons
        .iter()
        .enumerate()
        .any(|(j, p)| j != index && hides(&p.bbox))
    {
        return Cause::Hidden;
    }
    if items.iter().any(|i| i.bbox.share_inside(person) >= 0.5) {
        return Cause::ItemElsewhere;
    }
    Cause::NotFound
}

/// Drops a person's box that repeats part of another one (the upper half of the same body): same
/// top, same middle, and inside. Two people one behind the other differ in one of the three.
fn distinct(persons: Vec<Detection>) -> Vec<Detection> {
    let repeats = |small: BBox, big: BBox| {
        small.share_inside(big) >= 0.9
            && small.area() < big.area()
            && (small.y1 - big.y1).abs() <= 0.08 * small.height()
            && (small.center().0 - big.center().0).abs() <= 0.15 * big.width()
    };
    persons
        .iter()
        .filter(|p| !persons.iter().any(|o| repeats(p.bbox, o.bbox)))
        .copied()
        .collect()
}

/// Items and bare parts that claim the same place, joined one to one by their overlap.
fn spots(part: Part, items: &[Detection], bares: &[Detection]) -> Vec<Spot> {
    let mut joined: Vec<Option<usize>> = vec![None; items.len()];
    let mut taken = vec![false; bares.len()];
    assign(
        &mut joined,
        &mut taken,
        pairs(items, bares, |i, b| {
            let overlap = part.overlap(i.bbox, b.bbox);
            (overlap >= part.same_spot()).then_some(overlap)
        }),
    );
    let mut spots: Vec<Spot> = items
        .iter()
        .zip(&joined)
        .map(|(item, b)| Spot {
            item: Some(*item),
            bare: b.map(|b| bares[b]),
        })
        .collect();
    spots.extend(
        bares
            .iter()
            .zip(&taken)
            .filter(|(_, taken)| !**taken)
            .map(|(bare, _)| Spot {
                item: None,
                bare: Some(*bare),
            }),
    );
    spots
}

fn nearest(part: Part, items: &[Detection], bare: BBox) -> Option<Detection> {
    items
        .iter()
        .map(|i| (part.overlap(i.bbox, bare), *i))
        .filter(|(overlap, _)| *overlap > 0.0)
        .max_by(|(a, x), (b, y)| a.total_cmp(b).then(order(x.bbox, y.bbox)))
        .map(|(_, item)| item)
}

/// All pairs that have a value.
fn pairs<A, B>(
    left: &[A],
    right: &[B],
    value: impl Fn(&A, &B) -> Option<f32>,
) -> Vec<(f32, usize, usize)> {
    let mut pairs = Vec::new();
    for (i, a) in left.iter().enumerate() {
        for (j, b) in right.iter().enumerate() {
            pairs.extend(value(a, b).map(|v| (v, i, j)));
        }
    }
    pairs
}

/// Greedy one-to-one assignment of the pairs, best first, to what is still free. Ties go to the
/// lower index, which is the order of `Group::find`: better score first, then place.
fn assign(
    of_left: &mut [Option<usize>],
    taken_right: &mut [bool],
    mut pairs: Vec<(f32, usize, usize)>,
) {
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    for (_, i, j) in pairs {
        if of_left[i].is_none() && !taken_right[j] {
            of_left[i] = Some(j);
            taken_right[j] = true;
        }
    }
}
