//! Overlapping tiles for small objects on large photos, and the merge of what they saw.

use serde::{Deserialize, Serialize};

use crate::detection::Detection;
use crate::geometry::BBox;

/// When a photo is looked at in tiles as well as whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Tiles {
    /// Only the whole picture.
    #[default]
    Off,
    /// Tiles as well, where the photo is so large that the whole view hides small objects.
    Auto,
}

impl std::fmt::Display for Tiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Auto => "auto",
        })
    }
}

/// Share of a tile that its neighbour sees too: an object up to that size is whole in one of them.
const OVERLAP: f32 = 0.2;
/// A photo whose longer side is below this many input sides is looked at whole only.
const WORTH_TILING: f32 = 1.5;
/// Original pixels for one input pixel, at the least: enlarging shows no more.
const FINEST_TILE: f32 = 1.0;
/// Most tiles along the longer side; bounds the cost of a panorama.
const MAX_TILES_PER_SIDE: u32 = 4;

/// Regions of a `width` x `height` photo (upright original pixels) to look at besides the
/// whole, for a model whose input has `input_side` pixels. Empty where the whole view will do.
pub fn plan(tiles: Tiles, (width, height): (u32, u32), input_side: u32) -> Vec<BBox> {
    let (w, h, input) = (width as f32, height as f32, input_side as f32);
    let long = w.max(h);
    if tiles == Tiles::Off || long < WORTH_TILING * input {
        return Vec::new();
    }
    // n tiles with overlap o cover n*t - (n-1)*o*t
    let most = MAX_TILES_PER_SIDE as f32;
    let side = (long / (most - (most - 1.0) * OVERLAP)).max(FINEST_TILE * input);
    let (xs, ys) = (starts(w, side), starts(h, side));
    if xs.len() * ys.len() == 1 {
        return Vec::new();
    }
    ys.iter()
        .flat_map(|&y| {
            xs.iter()
                .map(move |&x| BBox::new(x, y, (x + side).min(w), (y + side).min(h)))
        })
        .collect()
}

/// Left edges of evenly spread tiles of `side` that cover `length` with at least the overlap.
fn starts(length: f32, side: f32) -> Vec<f32> {
    if length <= side {
        return vec![0.0];
    }
    let steps = ((length - side) / (side * (1.0 - OVERLAP)) - 1e-3)
        .ceil()
        .max(1.0);
    (0..=steps as u32)
        .map(|i| (length - side) * i as f32 / steps)
        .collect()
}

/// Merges what the whole view and the tiles saw into one list, best first, without duplicates.
///
/// A box that ends at an inner edge of its tile is a piece of something: it yields to a box of
/// its class that holds most of it, whatever the scores. So does a box within another of a comparable
/// size that its own view did not see: two views that differ in how far one object reaches. Two that one
/// view told apart are two. All others compete by `iou` as in NMS.
/// (The measure for pieces, intersection over the smaller box, is that of SAHI, Akyon et al. 2022.)
pub fn merge(
    views: Vec<(Option<BBox>, Vec<Detection>)>,
    size: (u32, u32),
    iou: f32,
    max_detections: usize,
) -> Vec<Detection> {
    let mut all: Vec<Sighting> = Vec::new();
    for (view, (tile, detections)) in views.into_iter().enumerate() {
        all.extend(detections.into_iter().map(|detection| Sighting {
            view,
            cut: tile.is_some_and(|tile| is_cut(detection.bbox, tile, size)),
            detection,
        }));
    }
    // whole ones first: a piece is only judged against what is known to be whole or better
    all.sort_by(|a, b| {
        let (da, db) = (&a.detection, &b.detection);
        a.cut
            .cmp(&b.cut)
            .then(db.score.total_cmp(&da.score))
            .then(da.class.cmp(&db.class))
            .then(da.bbox.x1.total_cmp(&db.bbox.x1))
            .then(da.bbox.y1.total_cmp(&db.bbox.y1))
    });
    // whether a view saw something at the place of a detection of another view
    let saw = |view: usize, d: &Detection| {
        all.iter().any(|s| {
            s.view == view && s.detection.class == d.class && s.detection.bbox.iou(d.bbox) > iou
        })
    };
    let mut chosen: Vec<Sighting> = Vec::new();
    for s in &all {
        let d = s.detection;
        let doubled = chosen.iter().any(|c| {
            let k = c.detection;
            if k.class != d.class {
                return false;
            }
            let inside = overlap_of_smaller(k.bbox, d.bbox);
            let nested = || {
                c.view != s.view
                    && inside > NESTED_OVERLAP
                    && like_sized(k.bbox, d.bbox)
                    && !saw(s.view, &k)
                    && !saw(c.view, &d)
            };
            k.bbox.iou(d.bbox) > iou || (s.cut && inside > PIECE_OVERLAP) || nested()
        });
        if !doubled {
            chosen.push(*s);
        }
    }
    let mut kept: Vec<Detection> = chosen.into_iter().map(|c| c.detection).collect();
    kept.sort_by(|a, b| b.score.total_cmp(&a.score));
    kept.truncate(max_detections);
    kept
}

/// Leaves of what was seen in `part` of a picture of `size` only what is whole: neither what ends at an
/// inner edge, nor what belongs to that.
pub fn drop_cut(detections: &mut Vec<Detection>, part: BBox, size: (u32, u32)) {
    let cut: Vec<BBox> = detections
        .iter()
        .map(|d| d.bbox)
        .filter(|b| is_cut(*b, part, size))
        .collect();
    detections.retain(|d| {
        cut.iter()
            .all(|c| overlap_of_smaller(*c, d.bbox) <= PIECE_OVERLAP)
    });
}

/// What one view saw.
#[derive(Debug, Clone, Copy)]
struct Sighting {
    view: usize,
    cut: bool,
    detection: Detection,
}

/// Share of the smaller box that two views of one object have in common.
const PIECE_OVERLAP: f32 = 0.6;
/// The same where neither box ends at its tile's edge.
const NESTED_OVERLAP: f32 = 0.85;
/// Least ratio of the areas of such two: a crate on a pallet of crates is not the pallet.
const NESTED_AREA: f32 = 0.35;
/// A box this near to a tile's edge ends there, as a share of the tile's side.
const EDGE: f32 = 0.005;

fn is_cut(b: BBox, tile: BBox, (width, height): (u32, u32)) -> bool {
    let near = EDGE * tile.width().max(tile.height());
    (tile.x1 > 0.0 && b.x1 - tile.x1 < near)
        || (tile.y1 > 0.0 && b.y1 - tile.y1 < near)
        || (tile.x2 < width as f32 && tile.x2 - b.x2 < near)
        || (tile.y2 < height as f32 && tile.y2 - b.y2 < near)
}

fn like_sized(a: BBox, b: BBox) -> bool {
    a.area().min(b.area()) >= NESTED_AREA * a.area().max(b.area())
}

fn overlap_of_smaller(a: BBox, b: BBox) -> f32 {
    let smaller = a.area().min(b.area());
    if smaller > 0.0 {
        a.intersection_area(b) / smaller
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn detection(class: usize, score: f32, bbox: BBox) -> Detection {
        Detection { class, score, bbox }
    }

    #[test]
    fn a_small_photo_is_looked_at_whole() {
        assert!(plan(Tiles::Auto, (600, 480), 416).is_empty());
        assert!(plan(Tiles::Off, (8000, 6000), 416).is_empty());
    }

    #[test]
    fn a_phone_photo_gets_a_bounded_grid() {
        assert_eq!(plan(Tiles::Auto, (4000, 3000), 416).len(), 12);
        assert_eq!(plan(Tiles::Auto, (3000, 4000), 416).len(), 12);
        assert_eq!(plan(Tiles::Auto, (20_000, 1_000), 416).len(), 4);
    }

    #[test]
    fn an_object_seen_whole_by_two_tiles_is_one() {
        let (left, right) = (
            BBox::new(0., 0., 600., 600.),
            BBox::new(480., 0., 1080., 600.),
        );
        let person = BBox::new(500., 100., 560., 300.);
        let merged = merge(
            vec![
                (Some(left), vec![detection(0, 0.8, person)]),
                (
                    Some(right),
                    vec![detection(0, 0.9, person.translate(2.0, 1.0))],
                ),
            ],
            (1080, 600),
            0.5,
            100,
        );
        assert_eq!(merged.len(), 1);
        assert_eq!(merged[0].score, 0.9);
    }

    #[test]
    fn two_views_that_differ_in_an_objects_reach_saw_one_and_two_in_one_view_are_two() {
        let tile = BBox::new(0., 0., 600., 600.);
        let whole = BBox::new(100., 100., 200., 400.);
        let upper = BBox::new(100., 100., 200., 230.);
        let merged = |by_tile| {
            merge(
                vec![
                    (None, vec![detection(0, 0.6, whole)]),
                    (Some(tile), by_tile),
                ],
                (1200, 600),
                0.5,
                100,
            )
        };
        assert_eq!(merged(vec![detection(0, 0.5, upper)]).len(), 1);
        let both = vec![
            detection(0, 0.5, upper),
            detection(0, 0.4, whole.translate(2.0, 0.0)),
        ];
        assert_eq!(merged(both).len(), 2);
        // far smaller: something on it, not itself
        let small = BBox::new(140., 100., 180., 140.);
        assert_eq!(merged(vec![detection(0, 0.5, small)]).len(), 2);
    }

    #[test]
    fn a_piece_at_a_tile_edge_yields_to_the_whole_even_with_a_better_score() {
        let tile = BBox::new(0., 0., 600., 600.);
        let whole = BBox::new(400., 100., 900., 500.);
        let piece = BBox::new(400., 100., 600., 500.);
        let merged = merge(
            vec![
                (None, vec![detection(0, 0.5, whole)]),
                (Some(tile), vec![detection(0, 0.9, piece)]),
            ],
            (1200, 600),
            0.5,
            100,
        );
        assert_eq!(merged, vec![detection(0, 0.5, whole)]);
    }

    #[test]
    fn of_a_part_alone_nothing_counts_that_its_edge_cuts() {
        let part = BBox::new(100., 0., 612., 512.);
        let cut = BBox::new(560., 100., 611., 300.);
        let head_of_cut = BBox::new(580., 100., 600., 125.);
        let whole = BBox::new(300., 0., 360., 200.);
        let mut seen = [cut, head_of_cut, whole]
            .map(|b| detection(0, 0.9, b))
            .to_vec();
        drop_cut(&mut seen, part, (1280, 720));
        assert_eq!(seen, [detection(0, 0.9, whole)]);
    }

    #[test]
    fn a_child_before_a_parent_stays() {
        let parent = BBox::new(100., 100., 300., 500.);
        let child = BBox::new(150., 300., 220., 500.);
        let tile = BBox::new(0., 0., 600., 600.);
        let merged = merge(
            vec![
                (None, vec![detection(0, 0.9, parent)]),
                (Some(tile), vec![detection(0, 0.8, child)]),
            ],
            (1200, 600),
            0.5,
            100,
        );
        assert_eq!(merged.len(), 2);
    }

    proptest! {
        #[test]
        fn tiles_cover_the_photo_and_overlap(w in 1u32..30_000, h in 1u32..30_000, side in 64u32..1280) {
            let tiles = plan(Tiles::Auto, (w, h), side);
            prop_assume!(!tiles.is_empty());
            prop_assert!(tiles.len() <= (MAX_TILES_PER_SIDE * MAX_TILES_PER_SIDE) as usize);
            for t in &tiles {
                prop_assert!(t.is_valid() && t.x2 <= w as f32 && t.y2 <= h as f32);
            }
            // any point, and any small object around it, is whole in some tile
            let small = 0.15 * tiles[0].width().min(tiles[0].height());
            for (fx, fy) in [(0.0, 0.0), (0.31, 0.77), (0.5, 0.5), (1.0, 1.0), (0.66, 0.33)] {
                let x = (w as f32 - small).max(0.0) * fx;
                let y = (h as f32 - small).max(0.0) * fy;
                let object = BBox::new(x, y, (x + small).min(w as f32), (y + small).min(h as f32));
                prop_assert!(tiles.iter().any(|t| object.share_inside(*t) > 0.999), "{object:?} {tiles:?}");
            }
        }
    }
}
