//! Draws a photo's record onto its picture.

use std::borrow::Cow;

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

use super::font;
use super::options::AnnotateOptions;
use super::paint::{fill, ring};
use super::palette::{DETECTION, INK, Look, PAPER, look};
use super::place::{Area, Desk};
use super::strip::{self, PLATE_PAD};
use super::words::class_name;
use crate::geometry::BBox;
use crate::hazard::Lang;
use crate::record::PhotoRecord;

/// Pictures whose longer side is below this are enlarged to it, so that labels cover
/// little of what they point at.
const MIN_LONG_SIDE_PX: u32 = 960;
/// ... but never by more than this: a blurred square proves nothing.
const MAX_ENLARGEMENT: f32 = 8.0;
/// A narrower picture stands in the middle of a canvas this wide, for the legend's sake.
const MIN_CANVAS_PX: u32 = 480;
/// Smallest legible text.
const MIN_EM_PX: f32 = 13.0;
/// Up to this many candidates are named in full on the picture.
const FULL_LABELS: usize = 4;
/// Up to this many show their code; beyond it only their number in the legend.
const CODE_LABELS: usize = 12;
/// Names longer than this part of the canvas stay in the legend.
const MAX_LABEL_SHARE: f32 = 0.4;
/// At most this many detections are labelled, the best; the footer counts all of them.
const DETECTION_LABELS: usize = 40;
/// A label may hide this many sixteenths of the boxes it lies on ...
const LABEL_HIDES: i64 = 3;
/// ... and a bare number this many, before it moves away and points at its box.
const BADGE_HIDES: i64 = 8;
/// Labels keep off this many boxes; more would only slow the search down.
const EVIDENCE_MAX: usize = 500;

/// The picture with its record drawn on it.
///
/// `picture` is the upright photo at any size: boxes are in pixels of the original and
/// scaled by `record.width` and `record.height`. Candidates are numbered from 1 in the
/// record's order, as they are in the report.
///
/// The result is a new image: on top the picture, enlarged to a longer side of 960 px
/// when it is smaller (8 times at most) and centred when it is narrower than 480 px;
/// below it the strips asked for. Reasons stand in the strip and not on the picture,
/// which stays evidence.
pub fn annotate(
    picture: &RgbImage,
    record: &PhotoRecord,
    options: &AnnotateOptions<'_>,
) -> RgbImage {
    let stage = Stage::of(picture, record);
    let max_legend_px = stage
        .picture
        .h
        .max((stage.em_px * font::LINE * 16.0) as i32);
    let strip = strip::lay_out(record, options, stage.canvas_w, stage.em_px, max_legend_px);
    let height = stage.picture.h as u32 + strip.height_px;
    let mut canvas = RgbImage::from_pixel(stage.canvas_w, height.max(1), PAPER);
    if stage.picture.w > 0 && stage.picture.h > 0 {
        let shown = stage.enlarged(picture);
        imageops::replace(&mut canvas, shown.as_ref(), i64::from(stage.picture.x), 0);
        stage.draw_boxes(&mut canvas, record, options);
    }
    strip.draw(&mut canvas, stage.picture.h);
    canvas
}

/// Sizes of everything, decided once.
#[derive(Debug)]
struct Stage {
    /// Where the picture lies on the canvas.
    picture: Area,
    canvas_w: u32,
    /// Canvas pixels per original pixel.
    scale: (f32, f32),
    /// Em of candidates' labels and the strip.
    em_px: f32,
}

impl Stage {
    fn of(picture: &RgbImage, record: &PhotoRecord) -> Self {
        let (w, h) = picture.dimensions();
        let long = w.max(h).max(1);
        let zoom = (MIN_LONG_SIDE_PX as f32 / long as f32).clamp(1.0, MAX_ENLARGEMENT);
        let enlarge = |side: u32| (side as f32 * zoom).round() as u32;
        let (shown_w, shown_h) = (enlarge(w), enlarge(h));
        let canvas_w = shown_w.max(MIN_CANVAS_PX);
        let per_original = |shown: u32, original: Option<u32>, now: u32| {
            shown as f32 / original.unwrap_or(now).max(1) as f32
        };
        let area = shown_w as f32 * shown_h as f32;
        let em_px = (area.sqrt() / 52.0).min(canvas_w as f32 / 30.0);
        Self {
            picture: Area::new(
                ((canvas_w - shown_w) / 2) as i32,
                0,
                shown_w as i32,
                shown_h as i32,
            ),
            canvas_w,
            scale: (
                per_original(shown_w, record.width, w),
                per_original(shown_h, record.height, h),
            ),
            em_px: em_px.max(MIN_EM_PX),
        }
    }

    fn enlarged<'p>(&self, picture: &'p RgbImage) -> Cow<'p, RgbImage> {
        let (w, h) = (self.picture.w as u32, self.picture.h as u32);
        if picture.dimensions() == (w, h) {
            Cow::Borrowed(picture)
        } else {
            Cow::Owned(imageops::resize(picture, w, h, FilterType::CatmullRom))
        }
    }

    /// Canvas pixels of a box in original pixels; `None` where nothing of it is visible.
    fn area(&self, bbox: [f32; 4]) -> Option<Area> {
        let b = BBox::from_xywh(bbox);
        let b = BBox::new(
            b.x1 * self.scale.0,
            b.y1 * self.scale.1,
            b.x2 * self.scale.0,
            b.y2 * self.scale.1,
        );
        if !b.is_valid() {
            return None;
        }
        // cut before the conversion: a box of 1e30 px must not overflow
        let b = b.clip(self.picture.w as f32, self.picture.h as f32);
        b.is_valid()
            .then(|| Area::from_bbox(b.translate(self.picture.x as f32, 0.0)))
    }

    fn draw_boxes(
        &self,
        canvas: &mut RgbImage,
        record: &PhotoRecord,
        options: &AnnotateOptions<'_>,
    ) {
        let candidates: Vec<(usize, Area)> = record
            .candidates
            .iter()
            .enumerate()
            .filter_map(|(i, c)| Some((i, self.area(c.bbox)?)))
            .collect();
        let detections: Vec<(usize, Area)> = record
            .detections
            .iter()
            .enumerate()
            .filter(|_| options.detections)
            .filter_map(|(i, d)| Some((i, self.area(d.bbox)?)))
            .collect();

        let thin = (self.em_px / 12.0).round().max(1.0) as i32;
        let thick = (self.em_px / 5.0).round().max(2.0) as i32;
        for &(_, area) in &detections {
            self.frame(canvas, area, thin, DETECTION.frame);
        }
        // best candidate last, so that its frame lies on top
        for &(i, area) in candidates.iter().rev() {
            self.frame(
                canvas,
                area,
                thick,
                look(record.candidates[i].severity).frame,
            );
        }

        let boxes = candidates.iter().chain(&detections);
        let evidence = boxes.take(EVIDENCE_MAX).map(|&(_, area)| area).collect();
        let mut desk = Desk::new(
            Area::new(0, 0, self.canvas_w as i32, self.picture.h),
            evidence,
        );
        for &(i, area) in &candidates {
            self.label_candidate(canvas, &mut desk, record, options.lang, (i, area));
        }
        // where candidates are reduced to numbers there is no room for lesser labels
        let room = if candidates.len() > CODE_LABELS {
            0
        } else {
            DETECTION_LABELS
        };
        for &(i, area) in detections.iter().take(room) {
            let doubled = candidates.iter().any(|&(_, c)| alike(c, area));
            if !doubled {
                let d = &record.detections[i];
                let text = format!("{} {:.2}", class_name(&d.label, options.lang), d.score);
                self.label_detection(canvas, &mut desk, &text, area);
            }
        }
    }

    /// A frame around an area with a dark casing, so that it shows on any ground. It lies
    /// outside the area except at the picture's border, where it moves in.
    fn frame(&self, canvas: &mut RgbImage, area: Area, line_px: i32, color: Rgb<u8>) {
        let casing = (line_px / 3).max(1);
        let outer = area.grow(line_px + casing).cut(self.picture);
        ring(canvas, outer, line_px + 2 * casing, INK);
        ring(canvas, outer.grow(-casing), line_px, color);
    }

    fn label_candidate(
        &self,
        canvas: &mut RgbImage,
        desk: &mut Desk,
        record: &PhotoRecord,
        lang: Lang,
        (index, area): (usize, Area),
    ) {
        let c = &record.candidates[index];
        let (look, number) = (look(c.severity), index + 1);
        let code = font::clean(&c.code);
        let short = format!("{number}  {code}  {:.2}", c.score);
        let full = format!(
            "{number}  {code} {}  {:.2}",
            font::clean(c.name.get(lang)),
            c.score
        );
        let count = record.candidates.len();
        let texts = [
            (count <= FULL_LABELS).then_some(full),
            (count <= CODE_LABELS).then_some(short),
        ];
        let anchor = area.grow((self.em_px / 5.0).round() as i32);
        let badge = number.to_string();
        for text in texts.into_iter().flatten() {
            let size = self.plate_size(&text, self.em_px);
            let short_enough = size.0 as f32 <= self.canvas_w as f32 * MAX_LABEL_SHARE;
            if short_enough && let Some(spot) = desk.beside(anchor, size, LABEL_HIDES) {
                self.plate(canvas, spot, &text, self.em_px, look);
                return;
            }
        }
        let size = self.plate_size(&badge, self.em_px);
        if let Some(spot) = desk.beside(anchor, size, BADGE_HIDES) {
            self.plate(canvas, spot, &badge, self.em_px, look);
            return;
        }
        // nowhere beside the box: a number further off, tied to it by a line; in a crowd
        // without even that the frame stays without a number
        if let Some(spot) = desk.around(anchor, size, (self.em_px * 12.0) as i32) {
            self.leader(canvas, spot.center(), area.center(), look.frame);
            self.plate(canvas, spot, &badge, self.em_px, look);
        }
    }

    fn label_detection(&self, canvas: &mut RgbImage, desk: &mut Desk, text: &str, area: Area) {
        let em_px = (self.em_px * 0.85).max(MIN_EM_PX);
        let text = font::clean(text);
        let size = self.plate_size(&text, em_px);
        if let Some(spot) = desk.beside(area, size, LABEL_HIDES) {
            self.plate(canvas, spot, &text, em_px, DETECTION);
        }
    }

    fn plate_size(&self, text: &str, em_px: f32) -> (i32, i32) {
        let width = font::width_px(text, em_px) + 2.0 * PLATE_PAD * em_px;
        (width.ceil() as i32, (em_px * font::LINE).ceil() as i32)
    }

    fn plate(&self, canvas: &mut RgbImage, spot: Area, text: &str, em_px: f32, look: Look) {
        fill(canvas, spot, look.plate);
        ring(
            canvas,
            spot,
            (em_px / 12.0).round().max(1.0) as i32,
            look.edge,
        );
        let x = spot.x + (PLATE_PAD * em_px).round() as i32;
        font::draw(canvas, look.text, (x, spot.y), em_px, text);
    }

    fn leader(&self, canvas: &mut RgbImage, from: (i32, i32), to: (i32, i32), color: Rgb<u8>) {
        let width = (self.em_px / 8.0).round().max(1.0) as i32;
        for (offset, shade) in
            (-1..=width).map(|o| (o, if o < 0 || o == width { INK } else { color }))
        {
            let shift = |(x, y): (i32, i32)| {
                if (to.0 - from.0).abs() > (to.1 - from.1).abs() {
                    (x as f32, (y + offset) as f32)
                } else {
                    ((x + offset) as f32, y as f32)
                }
            };
            imageproc::drawing::draw_line_segment_mut(canvas, shift(from), shift(to), shade);
        }
    }
}

/// Whether two areas are nearly the same, so that one label serves both.
fn alike(a: Area, b: Area) -> bool {
    let shared = a.shared(b);
    let size = |a: Area| i64::from(a.w) * i64::from(a.h);
    shared * 10 > 9 * (size(a) + size(b) - shared)
}
