//! Parts of a photo, cut and embedded always alike.

use std::borrow::Cow;

use image::RgbImage;

use crate::bank::Mask;
use crate::embedding::{Embedding, look_region};
use crate::geometry::BBox;
use crate::inference::{Embed, EmbedError};
use crate::pipeline::photo::{JudgeError, guarded};
use crate::pipeline::picture::{crop_frame, upright};
use crate::source::photo::PhotoLimits;

/// Longer side of the picture that regions are cut from, pixels: more brings an embedder nothing.
const SIDE: u32 = 1280;
/// What lies outside a mask: what embedders take for nothing.
const GREY: image::Rgb<u8> = image::Rgb([127; 3]);
/// Regions embedded at once: bounds the memory.
const AT_ONCE: usize = 16;

/// Shorter side that a sample has at least, pixels.
const LEAST_SIDE: f64 = 4.0;

/// A part in which there is nothing to see.
#[derive(Debug, thiserror::Error)]
#[error(
    "the part that is meant is {0:.1} x {1:.1} pixels; name one of at least {LEAST_SIDE} x {LEAST_SIDE}"
)]
pub struct TooSmall(f64, f64);

/// A photo that regions are cut from: always the same pixels for the same photo and region, so that a
/// sample and the photo it came from are alike to the last bit.
pub struct Cutter<'p> {
    picture: Cow<'p, RgbImage>,
    size: (u32, u32),
}

impl<'p> Cutter<'p> {
    /// A frame that is decoded already; `size` is its size before it was made smaller, pixels.
    pub fn of_frame(picture: &'p RgbImage, size: (u32, u32)) -> Self {
        Self {
            picture: Cow::Borrowed(picture),
            size,
        }
    }

    /// Decodes a photo.
    ///
    /// # Errors
    /// When it cannot be decoded.
    pub fn new(bytes: &[u8], limits: &PhotoLimits) -> Result<Self, JudgeError> {
        guarded(|| {
            let (picture, size) = upright(bytes, limits, SIDE)?;
            let picture = Cow::Owned(picture);
            Ok(Self { picture, size })
        })
    }

    /// Width and height of the upright photo, pixels.
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// The part of the photo in a box of original pixels, with its context; at least one pixel.
    fn cut(&self, region: BBox) -> RgbImage {
        let region = look_region(region, self.size.0 as f32, self.size.1 as f32);
        let (width, height) = self.picture.dimensions();
        let (sx, sy) = (
            width as f32 / self.size.0 as f32,
            height as f32 / self.size.1 as f32,
        );
        let start = |v: f32, most: u32| (v.max(0.0).round() as u32).min(most - 1);
        let (x, y) = (start(region.x1 * sx, width), start(region.y1 * sy, height));
        let end = |v: f32, from: u32, most: u32| (v.round() as u32).clamp(from + 1, most);
        let w = end(region.x2 * sx, x, width) - x;
        let h = end(region.y2 * sy, y, height) - y;
        image::imageops::crop_imm(&*self.picture, x, y, w, h).to_image()
    }

    /// As [`Self::cut`] of a sample: grey outside its mask.
    fn cut_sample(&self, area: [f64; 4], mask: Option<&Mask>) -> RgbImage {
        let region = pixels(area, self.size);
        let mut piece = self.cut(region);
        let Some(mask) = mask else { return piece };
        let look = look_region(region, self.size.0 as f32, self.size.1 as f32);
        let [x1, y1, x2, y2] = fractions(look, self.size);
        let (w, h) = (f64::from(piece.width()), f64::from(piece.height()));
        for (x, y, pixel) in piece.enumerate_pixels_mut() {
            let (x, y) = (f64::from(x) + 0.5, f64::from(y) + 0.5);
            if !mask.contains([x1 + (x2 - x1) * x / w, y1 + (y2 - y1) * y / h]) {
                *pixel = GREY;
            }
        }
        piece
    }

    /// What is embedded of a sample, for a person, as JPEG; its longer side at most `max_side` pixels.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn shown(
        &self,
        area: [f64; 4],
        mask: Option<&Mask>,
        max_side: u32,
    ) -> Result<Vec<u8>, JudgeError> {
        let piece = self.cut_sample(area, mask);
        let (width, height) = piece.dimensions();
        let whole = BBox::new(0.0, 0.0, width as f32, height as f32);
        crop_frame(&piece, whole, max_side)
    }

    /// The embeddings of parts of the photo.
    ///
    /// # Errors
    /// When the embedder fails.
    pub fn embed(
        &self,
        regions: &[BBox],
        embedder: &dyn Embed,
    ) -> Result<Vec<Embedding>, EmbedError> {
        embed(regions, embedder, |region| self.cut(*region))
    }

    /// The embeddings of samples: parts of the photo, `[x1, y1, x2, y2]` in fractions, perhaps with a mask.
    ///
    /// # Errors
    /// When the embedder fails.
    pub fn embed_samples(
        &self,
        samples: &[([f64; 4], Option<&Mask>)],
        embedder: &dyn Embed,
    ) -> Result<Vec<Embedding>, EmbedError> {
        embed(samples, embedder, |(area, mask)| {
            self.cut_sample(*area, *mask)
        })
    }
}

fn embed<P>(
    parts: &[P],
    embedder: &dyn Embed,
    cut: impl Fn(&P) -> RgbImage,
) -> Result<Vec<Embedding>, EmbedError> {
    let mut all = Vec::with_capacity(parts.len());
    for parts in parts.chunks(AT_ONCE) {
        let pictures: Vec<RgbImage> = parts.iter().map(&cut).collect();
        all.extend(embedder.embed(&pictures)?);
    }
    Ok(all)
}

/// `[x1, y1, x2, y2]` in fractions of the photo.
pub fn fractions(region: BBox, (width, height): (u32, u32)) -> [f64; 4] {
    let part = |v: f32, whole: u32| (f64::from(v) / f64::from(whole)).clamp(0.0, 1.0);
    [
        part(region.x1, width),
        part(region.y1, height),
        part(region.x2, width),
        part(region.y2, height),
    ]
}

/// The box of [`fractions`].
pub fn pixels([x1, y1, x2, y2]: [f64; 4], (width, height): (u32, u32)) -> BBox {
    let at = |part: f64, whole: u32| (part * f64::from(whole)) as f32;
    BBox::new(at(x1, width), at(y1, height), at(x2, width), at(y2, height))
}

/// Refuses a part, `[x1, y1, x2, y2]` in fractions of a photo of this size, in which there is nothing to see.
///
/// # Errors
/// A side of less than 4 pixels.
pub fn check_part(area: [f64; 4], (width, height): (u32, u32)) -> Result<(), TooSmall> {
    let side = |from: f64, to: f64, pixels: u32| (to - from) * f64::from(pixels);
    let (w, h) = (
        side(area[0], area[2], width),
        side(area[1], area[3], height),
    );
    if w.min(h) + 1e-6 < LEAST_SIDE {
        return Err(TooSmall(w, h));
    }
    Ok(())
}
