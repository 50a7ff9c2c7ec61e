//! How far a view is from its clean reference by the features of an embedder: each patch against the
//! nearest one of the references nearby.
//!
//! [`super::compare`] looks at pixels and needs no model; this sees what has neither another texture nor
//! another colour than the floor but another shape, and stands more light. Other light moves all patches a
//! little, an object some of them much: the median of the distances is taken off.

use crate::embedding::{Embedding, PatchGrid, dot};

/// Patches to each side in which the nearest one is looked for: a shaken camera.
const REACH: usize = 1;
/// Share of the judged patches, those furthest off, whose mean is the distance of the view.
const TOP: f32 = 0.05;

/// What [`distance`] measured.
#[derive(Debug, Clone, PartialEq)]
pub struct PatchDistance {
    /// Of the view: mean over the twentieth of its patches that are furthest off, less the median.
    pub score: f32,
    /// Of each patch, `0..=2`, row by row; 0 where it was not judged.
    pub each: Vec<f32>,
    /// Share of the patches that were judged.
    pub judged: f32,
}

/// Why two views cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatchDistanceError {
    /// Nothing to compare with.
    #[error("there is no clean reference of this view; add one")]
    NoReference,
    /// Made by another embedder.
    #[error(
        "the reference's patches are {reference:?} (columns, rows, values), the picture's are \
         {now:?}: they are of different embedders; take the reference again"
    )]
    Shape {
        /// Of the reference.
        reference: (usize, usize, usize),
        /// Of the picture.
        now: (usize, usize, usize),
    },
}

/// Compares a view with one or more clean references of it. `wanted` says which patches count (the zone,
/// without what hides it); those beyond its end do.
///
/// # Errors
/// No reference, or one of another embedder.
pub fn distance(
    references: &[PatchGrid],
    now: &PatchGrid,
    wanted: &[bool],
) -> Result<PatchDistance, PatchDistanceError> {
    if references.is_empty() {
        return Err(PatchDistanceError::NoReference);
    }
    if let Some(other) = references.iter().find(|r| shape(r) != shape(now)) {
        return Err(PatchDistanceError::Shape {
            reference: shape(other),
            now: shape(now),
        });
    }
    let judged = |i: usize| wanted.get(i).copied().unwrap_or(true);
    let count = now.patches().len();
    let each: Vec<f32> = (0..count)
        .map(|i| {
            if judged(i) {
                nearest(references, now, i)
            } else {
                0.0
            }
        })
        .collect();
    let mut seen: Vec<f32> = (0..count).filter(|i| judged(*i)).map(|i| each[i]).collect();
    if seen.is_empty() {
        return Ok(PatchDistance {
            score: 0.0,
            each,
            judged: 0.0,
        });
    }
    seen.sort_by(f32::total_cmp);
    let top = ((seen.len() as f32 * TOP).round() as usize).max(1);
    let furthest = &seen[seen.len() - top..];
    Ok(PatchDistance {
        score: furthest.iter().sum::<f32>() / top as f32 - median(&seen),
        each,
        judged: seen.len() as f32 / count as f32,
    })
}

fn shape(grid: &PatchGrid) -> (usize, usize, usize) {
    let values = grid.patches().first().map_or(0, Embedding::dimensions);
    (grid.columns(), grid.rows(), values)
}

/// One less the cosine with the most alike patch of all references within reach.
fn nearest(references: &[PatchGrid], now: &PatchGrid, patch: usize) -> f32 {
    let (column, row) = (patch % now.columns(), patch / now.columns());
    let span = |at: usize, most: usize| at.saturating_sub(REACH)..=(at + REACH).min(most - 1);
    let values = now.patches()[patch].values();
    let mut best = -1.0f32;
    for reference in references {
        for y in span(row, now.rows()) {
            for x in span(column, now.columns()) {
                let other = reference.patches()[y * now.columns() + x].values();
                best = best.max(dot(values, other));
            }
        }
    }
    1.0 - best.min(1.0)
}

/// Of sorted values; not empty.
fn median(sorted: &[f32]) -> f32 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[half]
    } else {
        f32::midpoint(sorted[half - 1], sorted[half])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIDE: usize = 12;

    /// A patch that looks in one of eight ways, turned by `light` towards another one.
    fn patch(kind: usize, light: f32) -> Embedding {
        let mut values = vec![0.0; 9];
        values[kind % 8] = 1.0;
        values[8] = light;
        Embedding::normalised(values).unwrap()
    }

    /// A floor with a pattern; `kind` of the patches in the square, if any.
    fn view(light: f32, square: Option<(usize, usize, usize)>) -> PatchGrid {
        let patches = (0..SIDE * SIDE).map(|i| {
            let (x, y) = (i % SIDE, i / SIDE);
            match square {
                Some((at, side, kind))
                    if (at..at + side).contains(&x) && (at..at + side).contains(&y) =>
                {
                    patch(kind, light)
                }
                _ => patch((x / 3 + y / 3) % 3, light),
            }
        });
        PatchGrid::new(SIDE, SIDE, patches.collect()).unwrap()
    }

    fn score(references: &[PatchGrid], now: &PatchGrid) -> f32 {
        distance(references, now, &[]).unwrap().score
    }

    #[test]
    fn an_object_stands_out_and_light_does_not() {
        let clean = [view(0.0, None)];
        assert!(score(&clean, &view(0.0, None)) < 1e-6);
        let lit = score(&clean, &view(0.5, None));
        let thing = score(&clean, &view(0.0, Some((4, 3, 6))));
        let both = score(&clean, &view(0.5, Some((4, 3, 6))));
        assert!(lit < 0.01, "{lit}");
        assert!(thing > 0.9 && both > 0.8, "{thing} {both}");
    }

    #[test]
    fn a_second_reference_explains_what_may_stand_there() {
        let now = view(0.0, Some((4, 3, 6)));
        let both = [view(0.0, None), view(0.3, Some((4, 3, 6)))];
        let (one, two) = (score(&both[..1], &now), score(&both, &now));
        assert!(one > 0.9 && two < 0.1, "{one} {two}");
    }

    #[test]
    fn a_view_that_moved_by_a_patch_is_the_same() {
        let patches = |shift: usize| {
            let at = |i: usize| patch((i % SIDE + shift) / 2 + i / SIDE, 0.0);
            PatchGrid::new(SIDE, SIDE, (0..SIDE * SIDE).map(at).collect()).unwrap()
        };
        let moved = distance(&[patches(0)], &patches(1), &[]).unwrap();
        let inside = (0..SIDE * SIDE).filter(|i| i % SIDE < SIDE - 1);
        assert!(inside.into_iter().all(|i| moved.each[i] < 1e-6));
    }

    #[test]
    fn only_what_is_wanted_counts() {
        let clean = [view(0.0, None)];
        let now = view(0.0, Some((0, 4, 6)));
        let wanted: Vec<bool> = (0..SIDE * SIDE).map(|i| i % SIDE >= 6).collect();
        let part = distance(&clean, &now, &wanted).unwrap();
        assert!(part.score < 1e-6 && part.each.iter().all(|d| *d < 1e-6));
        assert_eq!(part.judged, 0.5);
        let none = distance(&clean, &now, &[false; SIDE * SIDE]).unwrap();
        assert_eq!((none.score, none.judged), (0.0, 0.0));
    }

    #[test]
    fn what_cannot_be_compared_says_so() {
        let now = view(0.0, None);
        let none = distance(&[], &now, &[]).unwrap_err();
        assert_eq!(none, PatchDistanceError::NoReference);
        let small = PatchGrid::new(1, 1, vec![patch(0, 0.0)]).unwrap();
        let error = distance(&[now.clone(), small], &now, &[]).unwrap_err();
        assert!(error.to_string().contains("(1, 1, 9)"), "{error}");
    }

    proptest! {
        /// More references never make a patch look further off.
        #[test]
        fn more_references_never_widen(kinds in proptest::collection::vec(0usize..8, 3 * 16)) {
            let grids: Vec<PatchGrid> = kinds.chunks(16)
                .map(|k| PatchGrid::new(4, 4, k.iter().map(|k| patch(*k, 0.1)).collect()).unwrap())
                .collect();
            let one = distance(&grids[..1], &grids[2], &[]).unwrap();
            let two = distance(&grids[..2], &grids[2], &[]).unwrap();
            for (a, b) in one.each.iter().zip(&two.each) {
                prop_assert!(b <= a && (0.0..=2.0).contains(b));
            }
        }
    }
}
