//! Of one photo, what needs no model: its fingerprint, and pieces of it for a report.

use image::RgbImage;
use image::metadata::Orientation;

use super::photo::{JudgeError, encode_jpeg, guarded};
use crate::eval::{FINGERPRINT_SIDE, fingerprint};
use crate::geometry::BBox;
use crate::preprocess::{self, PrepareError, StoredPicture};
use crate::record::PhotoRecord;
use crate::render::{self, AnnotateOptions};
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

/// A frame with a record drawn on it, its longer side at most `max_side` pixels, as JPEG.
///
/// # Errors
/// When it cannot be encoded.
pub fn annotated_frame(
    frame: &RgbImage,
    record: &PhotoRecord,
    max_side: u32,
    options: &AnnotateOptions<'_>,
) -> Result<Vec<u8>, JudgeError> {
    guarded(|| {
        let (width, height) = frame.dimensions();
        let whole = BBox::new(0.0, 0.0, width as f32, height as f32);
        let picture = resized_piece(frame, whole, max_side)?;
        encode_jpeg(&render::annotate(&picture, record, options))
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

pub(super) fn fingerprint_of(decoded: &DecodedPhoto) -> Result<Option<u128>, JudgeError> {
    let (width, height) = decoded.stored().upright_size;
    let whole = BBox::new(0.0, 0.0, width as f32, height as f32);
    let side = (FINGERPRINT_SIDE, FINGERPRINT_SIDE);
    let small = preprocess::resized_upright(decoded.stored(), whole, side)?;
    Ok(fingerprint(&small))
}
