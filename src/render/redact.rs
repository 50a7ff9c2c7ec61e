//! Faces made unrecognisable, on copies that leave the house.
//!
//! The detector knows heads, not faces, and the record holds only what reached its threshold; so
//! every box that may hold a face is taken generously, and a person without a head box loses the
//! upper part. A face that the detector did not see at all stays.

use image::{Rgb, RgbImage};

use crate::geometry::BBox;
use crate::record::{DetectionRecord, PhotoRecord};

/// Cells of the mosaic along each side of a face: too few to tell one person from another.
const CELLS: u32 = 4;
/// Classes whose box is a head or a part of one.
const HEADS: [&str; 4] = ["head", "helmet", "mask", "no_mask"];
/// Upper part of a person's box that holds the head, standing or crouching.
const HEAD_PART: f32 = 0.35;

/// Where faces may be, in pixels of the original upright photo.
pub fn faces(record: &PhotoRecord) -> Vec<BBox> {
    let heads: Vec<BBox> = record
        .detections
        .iter()
        .filter(|d| HEADS.contains(&d.label.as_str()))
        .map(around_a_head)
        .collect();
    let people = record.detections.iter().filter(|d| d.label == "person");
    let upper = people
        .map(|d| {
            let b = BBox::from_xywh(d.bbox);
            BBox::new(b.x1, b.y1, b.x2, b.y1 + HEAD_PART * b.height())
        })
        .filter(|upper| !heads.iter().any(|head| upper.contains(head.center())))
        .collect::<Vec<_>>();
    [heads, upper].concat()
}

fn around_a_head(d: &DetectionRecord) -> BBox {
    let b = BBox::from_xywh(d.bbox);
    let (w, h) = (b.width(), b.height());
    match d.label.as_str() {
        // a helmet ends where the face begins
        "helmet" => BBox::new(
            b.x1 - 0.3 * w,
            b.y1 - 0.1 * h,
            b.x2 + 0.3 * w,
            b.y2 + 1.2 * h,
        ),
        "mask" | "no_mask" => BBox::new(
            b.x1 - 0.4 * w,
            b.y1 - 0.9 * h,
            b.x2 + 0.4 * w,
            b.y2 + 0.4 * h,
        ),
        _ => BBox::new(
            b.x1 - 0.3 * w,
            b.y1 - 0.3 * h,
            b.x2 + 0.3 * w,
            b.y2 + 0.3 * h,
        ),
    }
}

/// Lays a coarse mosaic over each of `regions`, given in pixels of the original of `size`.
/// `picture` is that original, upright, at any scale.
pub fn blur(picture: &mut RgbImage, regions: &[BBox], (width, height): (u32, u32)) {
    let (w, h) = picture.dimensions();
    let (sx, sy) = (
        w as f32 / width.max(1) as f32,
        h as f32 / height.max(1) as f32,
    );
    for region in regions {
        let x = span(region.x1 * sx, region.x2 * sx, w);
        let y = span(region.y1 * sy, region.y2 * sy, h);
        for row in cells(y) {
            for column in cells(x) {
                flatten(picture, column, row);
            }
        }
    }
}

/// Whole pixels, outwards, within the picture.
fn span(from: f32, to: f32, side: u32) -> (u32, u32) {
    let from = from.floor().clamp(0.0, side as f32) as u32;
    let to = to.ceil().clamp(0.0, side as f32) as u32;
    (from, to.max(from))
}

fn cells((from, to): (u32, u32)) -> impl Iterator<Item = (u32, u32)> {
    let length = to - from;
    (0..CELLS)
        .map(move |i| (from + length * i / CELLS, from + length * (i + 1) / CELLS))
        .filter(|(a, b)| a < b)
}

/// One cell takes its mean colour.
fn flatten(picture: &mut RgbImage, (x1, x2): (u32, u32), (y1, y2): (u32, u32)) {
    let mut sum = [0u64; 3];
    for y in y1..y2 {
        for x in x1..x2 {
            for (total, value) in sum.iter_mut().zip(picture.get_pixel(x, y).0) {
                *total += u64::from(value);
            }
        }
    }
    let pixels = u64::from(x2 - x1) * u64::from(y2 - y1);
    let mean = Rgb(sum.map(|total| (total / pixels.max(1)) as u8));
    for y in y1..y2 {
        for x in x1..x2 {
            picture.put_pixel(x, y, mean);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(detections: &[(&str, [f32; 4])]) -> PhotoRecord {
        PhotoRecord {
            path: "p".into(),
            sha256: None,
            width: Some(200),
            height: Some(200),
            detections: detections
                .iter()
                .map(|(label, bbox)| DetectionRecord {
                    label: (*label).into(),
                    score: 0.9,
                    bbox: *bbox,
                })
                .collect(),
            answers: Vec::new(),
            candidates: Vec::new(),
            suppressed: Vec::new(),
            error: None,
            note: None,
        }
    }

    #[test]
    fn below_a_helmet_there_is_a_face() {
        let faces = faces(&record(&[("helmet", [100.0, 50.0, 20.0, 10.0])]));
        assert_eq!(faces.len(), 1);
        assert!(faces[0].contains((110.0, 68.0)));
    }

    #[test]
    fn a_person_without_a_head_box_loses_the_upper_part() {
        let alone = record(&[("person", [10.0, 10.0, 40.0, 100.0])]);
        assert_eq!(faces(&alone), [BBox::new(10.0, 10.0, 50.0, 45.0)]);
        let with_head = record(&[
            ("person", [10.0, 10.0, 40.0, 100.0]),
            ("head", [25.0, 12.0, 10.0, 12.0]),
            ("vest", [10.0, 40.0, 40.0, 40.0]),
        ]);
        assert_eq!(faces(&with_head).len(), 1);
    }

    #[test]
    fn a_mosaic_leaves_few_colours_inside_and_nothing_changed_outside() {
        let sharp = RgbImage::from_fn(100, 100, |x, y| {
            Rgb([(x * 2) as u8, (y * 2) as u8, ((x * 7 + y * 13) % 256) as u8])
        });
        let mut picture = sharp.clone();
        // the picture is half the original's size
        let region = BBox::new(40.0, 40.0, 120.0, 120.0);
        blur(&mut picture, &[region], (200, 200));
        let mut colours = std::collections::BTreeSet::new();
        for (x, y, pixel) in picture.enumerate_pixels() {
            if (20..60).contains(&x) && (20..60).contains(&y) {
                colours.insert(pixel.0);
            } else {
                assert_eq!(pixel, sharp.get_pixel(x, y));
            }
        }
        assert!(colours.len() <= 16, "{} colours", colours.len());
    }

    #[test]
    fn a_box_over_the_edge_is_cut() {
        let mut picture = RgbImage::new(10, 10);
        let outside = BBox::new(-50.0, -50.0, -20.0, -20.0);
        blur(
            &mut picture,
            &[outside, BBox::new(-5.0, 5.0, 500.0, 500.0)],
            (10, 10),
        );
    }
}
