//! Photos that look the same: a difference hash, and the search for near pairs.
//!
//! The hash is dHash (Krawetz 2013) along both axes: is a cell brighter than its right, its lower
//! neighbour. A few bits survive a new size or a new compression, not a crop or a turn.

use std::collections::HashMap;

use image::RgbImage;

/// Side of the small picture that [`fingerprint`] takes, pixels.
pub const FINGERPRINT_SIDE: u32 = 9;

/// Bits in which two pictures of one scene may differ.
const NEAR_BITS: u32 = 6;

/// Bits of each part of a hash by which near ones are looked up: with more parts than
/// [`NEAR_BITS`], two near hashes agree in one part at least.
const PART_BITS: u32 = 16;

/// Pairs after which the search ends: a set of one thousand identical photos has half a million.
const MOST_PAIRS: usize = 10_000;

/// 128 bits of a picture of [`FINGERPRINT_SIDE`] x [`FINGERPRINT_SIDE`] pixels; `None` for another
/// size, and for a picture without structure, which looks like every other such picture.
pub fn fingerprint(small: &RgbImage) -> Option<u128> {
    if small.dimensions() != (FINGERPRINT_SIDE, FINGERPRINT_SIDE) {
        return None;
    }
    let luma = |x: u32, y: u32| {
        let [r, g, b] = small.get_pixel(x, y).0.map(u32::from);
        299 * r + 587 * g + 114 * b
    };
    let (mut hash, mut differ) = (0u128, 0);
    for y in 0..FINGERPRINT_SIDE - 1 {
        for x in 0..FINGERPRINT_SIDE - 1 {
            for other in [luma(x + 1, y), luma(x, y + 1)] {
                // a step of less than one grey level is noise
                differ += u32::from(luma(x, y).abs_diff(other) >= 1000);
                hash = hash << 1 | u128::from(luma(x, y) > other);
            }
        }
    }
    (differ >= 64).then_some(hash)
}

/// Whether two photos of these hashes look the same.
pub const fn look_alike(a: u128, b: u128) -> bool {
    (a ^ b).count_ones() <= NEAR_BITS
}

/// Pairs `(i, j)`, `i < j`, of hashes that differ in few bits, in rising order.
pub fn near_pairs(hashes: &[u128]) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for part in 0..128 / PART_BITS {
        let key = |h: u128| (h >> (part * PART_BITS)) as u16;
        let mut seen: HashMap<u16, Vec<usize>> = HashMap::new();
        for (j, &hash) in hashes.iter().enumerate() {
            let same = seen.entry(key(hash)).or_default();
            for &i in same.iter() {
                if look_alike(hashes[i], hash) {
                    pairs.push((i, j));
                }
            }
            same.push(j);
            if pairs.len() > MOST_PAIRS {
                break;
            }
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs.truncate(MOST_PAIRS);
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(shift: u32) -> RgbImage {
        RgbImage::from_fn(9, 9, |x, y| {
            let v = ((x * 37 + y * 91 + shift * 13) * 29 % 251) as u8;
            image::Rgb([v, v / 2 + 20, 255 - v])
        })
    }

    #[test]
    fn a_brighter_copy_is_near_and_another_scene_is_not() {
        let mut brighter = scene(0);
        for p in brighter.pixels_mut() {
            p.0 = p.0.map(|v| v.saturating_add(3));
        }
        let hashes: Vec<u128> = [scene(0), scene(5), brighter]
            .iter()
            .filter_map(fingerprint)
            .collect();
        assert_eq!(hashes.len(), 3);
        assert_eq!(near_pairs(&hashes), [(0, 2)]);
    }

    #[test]
    fn a_flat_picture_has_no_fingerprint() {
        assert_eq!(
            fingerprint(&RgbImage::from_pixel(9, 9, image::Rgb([7; 3]))),
            None
        );
        assert_eq!(fingerprint(&RgbImage::new(8, 9)), None);
    }

    #[test]
    fn any_six_bits_may_differ_but_not_seven() {
        let base = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210u128;
        let flip = |bits: &[u32]| bits.iter().fold(base, |h, b| h ^ (1 << b));
        // one in each of six parts: the two other parts find it
        assert_eq!(
            near_pairs(&[base, flip(&[0, 17, 33, 50, 66, 90])]),
            [(0, 1)]
        );
        assert_eq!(near_pairs(&[base, flip(&[0, 1, 2, 3, 4, 5, 6])]), []);
    }

    #[test]
    fn a_thousand_identical_photos_end() {
        assert_eq!(near_pairs(&[42; 1000]).len(), MOST_PAIRS);
    }
}
