//! Of one photo, what needs no model: its fingerprint, and pieces of it for a report.

use image::metadata::Orientation;
use image::{RgbImage, imageops};

use super::photo::{JudgeError, encode_jpeg, guarded};
use crate::eval::{FINGERPRINT_SIDE, fingerprint};
use crate::geometry::BBox;
use crate::preprocess::{self, PrepareError, StoredPicture};
use crate::record::PhotoRecord;
use crate::render::{self, AnnotateOptions};
use crate::same_place::{self, PlaceMatch};
use crate::source::exif::{self, CameraTime};
use crate::source::photo::{DecodedPhoto, Photo, PhotoLimits};

/// The fingerprint of a photo that nobody looks at, for duplicates across splits.
///
/// # Errors
/// When the photo cannot be decoded.
pub fn photo_fingerprint(bytes: &[u8], limits: &PhotoLimits) -> Result<Option<u128>, JudgeError> {
    guarded(|| {
        let photo = Photo::open(bytes, limits)?;
        let side = FINGERPRINT_SIDE;
        fingerprint_of(&photo.decode(Some((side, side)))?)
    })
}

/// When a photo's own metadata says that it was taken; nothing of a hostile one.
pub fn camera_time(bytes: &[u8]) -> Option<CameraTime> {
    guarded(|| Ok(exif::camera_time(bytes))).ok().flatten()
}

/// A piece of a photo, upright, its longer side at most `max_side` pixels, as JPEG.
///
/// # Errors
/// When the photo cannot be decoded or encoded.
pub fn crop(
    bytes: &[u8],
    limits: &PhotoLimits,
    region: BBox,
    max_side: u32,
) -> Result<Vec<u8>, JudgeError> {
    let piece = View {
        part: Part::Piece(region),
        max_side,
        hidden: &[],
        comment: "",
    };
    view(bytes, limits, &piece)
}

/// A piece of a frame, its longer side at most `max_side` pixels, as JPEG.
///
/// # Errors
/// When the region lies outside, or the picture cannot be encoded.
pub fn crop_frame(frame: &RgbImage, region: BBox, max_side: u32) -> Result<Vec<u8>, JudgeError> {
    guarded(|| {
        let (width, height) = frame.dimensions();
        let region = region.clip(width as f32, height as f32);
        if !region.is_valid() {
            return Err(PrepareError::EmptyRegion.into());
        }
        encode_jpeg(&resized_piece(frame, region, max_side)?)
    })
}

/// A frame for a person, as JPEG: its longer side at most `max_side` pixels, with the record drawn on it
/// if there are options for that, with faces made unrecognisable if `redact` says so.
///
/// # Errors
/// When it cannot be encoded.
pub fn frame_view(
    frame: &RgbImage,
    record: &PhotoRecord,
    max_side: u32,
    options: Option<&AnnotateOptions<'_>>,
    redact: bool,
) -> Result<Vec<u8>, JudgeError> {
    guarded(|| {
        let (width, height) = frame.dimensions();
        let whole = BBox::new(0.0, 0.0, width as f32, height as f32);
        let mut picture = resized_piece(frame, whole, max_side)?;
        if redact {
            let size = record.width.zip(record.height).unwrap_or((width, height));
            render::blur(&mut picture, &render::faces(record), size);
        }
        if let Some(options) = options {
            picture = render::annotate(&picture, record, options);
            // it is drawn larger where letters would be too small
            let (width, height) = picture.dimensions();
            let whole = BBox::new(0.0, 0.0, width as f32, height as f32);
            picture = resized_piece(&picture, whole, max_side)?;
        }
        encode_jpeg(&picture)
    })
}

/// A piece of a frame, its longer side at most `max_side` pixels.
fn resized_piece(frame: &RgbImage, region: BBox, max_side: u32) -> Result<RgbImage, PrepareError> {
    let stored = StoredPicture {
        pixels: frame,
        orientation: Orientation::NoTransforms,
        upright_size: frame.dimensions(),
    };
    let scale = (max_side as f32 / region.width().max(region.height())).min(1.0);
    let side = |length: f32| ((length * scale).round() as u32).max(1);
    let size = (side(region.width()), side(region.height()));
    preprocess::resized_upright(stored, region, size)
}

/// Whether two photos show one place.
///
/// # Errors
/// When one of them cannot be decoded.
pub fn place_match(a: &[u8], b: &[u8], limits: &PhotoLimits) -> Result<PlaceMatch, JudgeError> {
    guarded(|| {
        let side = same_place::COMPARE_SIDE;
        let (a, _) = upright(a, limits, side)?;
        let (b, _) = upright(b, limits, side)?;
        Ok(same_place::compare(&a, &b))
    })
}

/// What of a photo a person is shown.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// All of it, with what was seen drawn on it if wanted.
    Whole(Option<(&'a PhotoRecord, AnnotateOptions<'a>)>),
    /// A piece, in pixels of the upright original.
    Piece(BBox),
}

/// How a picture for a person is made from a photo.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// What is shown.
    pub part: Part<'a>,
    /// Longer side at most, pixels, before a legend is added.
    pub max_side: u32,
    /// Made unrecognisable, in pixels of the upright original.
    pub hidden: &'a [BBox],
    /// Says inside the file what it was made from.
    pub comment: &'a str,
}

/// A picture of a photo for a person, upright, as JPEG. It holds none of the photo's metadata.
///
/// # Errors
/// When the photo cannot be decoded or encoded, or a piece of it is asked for that it does not have.
pub fn view(bytes: &[u8], limits: &PhotoLimits, view: &View<'_>) -> Result<Vec<u8>, JudgeError> {
    guarded(|| {
        let photo = Photo::open(bytes, limits)?;
        let (width, height) = photo.upright_size();
        let (width_f, height_f) = (width as f32, height as f32);
        let region = match view.part {
            Part::Whole(_) => BBox::new(0.0, 0.0, width_f, height_f),
            Part::Piece(region) => whole_pixels(region).clip(width_f, height_f),
        };
        if !region.is_valid() {
            return Err(PrepareError::EmptyRegion.into());
        }
        let scale = (view.max_side as f32 / region.width().max(region.height())).min(1.0);
        let side = |length: f32| ((length * scale).round() as u32).max(1);
        let decoded = photo.decode(Some((side(width_f), side(height_f))))?;
        // a region of which the piece holds a part is hidden as coarsely as all of it would be
        let cut = view
            .hidden
            .iter()
            .filter(|hidden| hidden.intersection_area(region) > 0.0)
            .fold(region, |all, hidden| all.union(whole_pixels(*hidden)))
            .clip(width_f, height_f);
        let size = (side(cut.width()), side(cut.height()));
        let mut picture = preprocess::resized_upright(decoded.stored(), cut, size)?;
        let hidden: Vec<_> = view
            .hidden
            .iter()
            .map(|hidden| hidden.translate(-cut.x1, -cut.y1))
            .collect();
        let cut_size = (cut.width() as u32, cut.height() as u32);
        render::blur(&mut picture, &hidden, cut_size);
        if cut != region {
            let at = |from: f32| (from * scale).round() as u32;
            let (x, y) = (at(region.x1 - cut.x1), at(region.y1 - cut.y1));
            let (w, h) = (side(region.width()), side(region.height()));
            picture = imageops::crop_imm(&picture, x, y, w, h).to_image();
        }
        if let Part::Whole(Some((record, options))) = &view.part {
            picture = render::annotate(&picture, record, options);
        }
        Ok(with_comment(encode_jpeg(&picture)?, view.comment))
    })
}

fn whole_pixels(b: BBox) -> BBox {
    BBox::new(b.x1.floor(), b.y1.floor(), b.x2.ceil(), b.y2.ceil())
}

/// The whole photo, upright, its longer side at most `max_side` pixels, and its original size.
pub(super) fn upright(
    bytes: &[u8],
    limits: &PhotoLimits,
    max_side: u32,
) -> Result<(RgbImage, (u32, u32)), JudgeError> {
    let photo = Photo::open(bytes, limits)?;
    let (width, height) = photo.upright_size();
    let scale = (max_side as f32 / width.max(height) as f32).min(1.0);
    let side = |n: u32| ((n as f32 * scale).round() as u32).max(1);
    let target = (side(width), side(height));
    let decoded = photo.decode(Some(target))?;
    let whole = BBox::new(0.0, 0.0, width as f32, height as f32);
    let picture = preprocess::resized_upright(decoded.stored(), whole, target)?;
    Ok((picture, (width, height)))
}

/// Puts a comment behind the first segment of a JPEG, which must stay the first.
fn with_comment(jpeg: Vec<u8>, comment: &str) -> Vec<u8> {
    const COMMENT: u8 = 0xfe;
    let text = &comment.as_bytes()[..comment.len().min(0xff00)];
    let behind = match jpeg.get(..6) {
        Some(&[0xff, 0xd8, 0xff, 0xe0, high, low]) => {
            4 + usize::from(u16::from_be_bytes([high, low]))
        }
        _ => 2,
    };
    if text.is_empty() || behind > jpeg.len() {
        return jpeg;
    }
    let mut out = Vec::with_capacity(jpeg.len() + text.len() + 4);
    out.extend_from_slice(&jpeg[..behind]);
    out.extend_from_slice(&[0xff, COMMENT]);
    out.extend_from_slice(&(text.len() as u16 + 2).to_be_bytes());
    out.extend_from_slice(text);
    out.extend_from_slice(&jpeg[behind..]);
    out
}

pub(super) fn fingerprint_of(decoded: &DecodedPhoto) -> Result<Option<u128>, JudgeError> {
    let (width, height) = decoded.stored().upright_size;
    let whole = BBox::new(0.0, 0.0, width as f32, height as f32);
    let side = (FINGERPRINT_SIDE, FINGERPRINT_SIDE);
    let small = preprocess::resized_upright(decoded.stored(), whole, side)?;
    Ok(fingerprint(&small))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_region_that_is_partly_in_a_piece_no_more_is_shown_than_in_the_whole() {
        let picture = RgbImage::from_fn(100, 100, |x, y| image::Rgb([(x + y) as u8, 0, 0]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        // its mosaic has cells of 20 pixels: one of them is in the piece
        let hidden = [BBox::new(0.0, 0.0, 80.0, 80.0)];
        let shown = |hidden: &[BBox]| {
            let how = View {
                part: Part::Piece(BBox::new(60.0, 60.0, 100.0, 100.0)),
                max_side: 100,
                hidden,
                comment: "",
            };
            let jpeg = view(bytes.get_ref(), &PhotoLimits::default(), &how).unwrap();
            image::load_from_memory(&jpeg).unwrap().into_rgb8()
        };
        let spread = |picture: &RgbImage, from: u32| {
            let of = |n: u32| picture.get_pixel(from + n, from + n)[0];
            of(15).abs_diff(of(4))
        };
        let (open, closed) = (shown(&[]), shown(&hidden));
        assert_eq!(closed.dimensions(), (40, 40));
        assert!(spread(&open, 0) > 15);
        assert!(spread(&closed, 0) < 5, "finer than in the whole");
        assert!(spread(&closed, 20) > 15, "more than the region is hidden");
    }
}
