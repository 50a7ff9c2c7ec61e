//! Of one photo, what needs no model: its fingerprint, and pieces of it for a report.

use image::RgbImage;
use image::metadata::Orientation;

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
    guarded(|| {
        let photo = Photo::open(bytes, limits)?;
        let (width, height) = photo.upright_size();
        let region = region.clip(width as f32, height as f32);
        if !region.is_valid() {
            return Err(PrepareError::EmptyRegion.into());
        }
        let scale = (max_side as f32 / region.width().max(region.height())).min(1.0);
        let side = |length: f32| ((length * scale).round() as u32).max(1);
        let whole = (side(width as f32), side(height as f32));
        let decoded = photo.decode(Some(whole))?;
        let size = (side(region.width()), side(region.height()));
        encode_jpeg(&preprocess::resized_upright(
            decoded.stored(),
            region,
            size,
        )?)
    })
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

/// How a picture for a person is made from a photo.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Longer side at most, pixels, before a legend is added.
    pub max_side: u32,
    /// What is drawn on it; nothing when absent.
    pub annotate: Option<AnnotateOptions<'a>>,
    /// Whether faces are made unrecognisable.
    pub redact: bool,
    /// Says inside the file what it was made from.
    pub comment: &'a str,
}

/// A picture of a photo for a person, upright, as JPEG. It holds none of the photo's metadata.
///
/// # Errors
/// When the photo cannot be decoded or encoded.
pub fn view(
    bytes: &[u8],
    limits: &PhotoLimits,
    record: &PhotoRecord,
    view: &View<'_>,
) -> Result<Vec<u8>, JudgeError> {
    guarded(|| {
        let (mut picture, size) = upright(bytes, limits, view.max_side)?;
        if view.redact {
            render::blur(&mut picture, &render::faces(record), size);
        }
        if let Some(options) = &view.annotate {
            picture = render::annotate(&picture, record, options);
        }
        Ok(with_comment(encode_jpeg(&picture)?, view.comment))
    })
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
