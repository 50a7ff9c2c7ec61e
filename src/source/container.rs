//! What a file tells besides its first picture: further ones, or an end that was never written.

use std::io::Cursor;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder, ImageFormat, Limits};
use tiff::decoder::Decoder;
use tiff::tags::Tag;

use super::photo::MAX_PNG_METADATA;

/// Pages of a TIFF that are looked at for a second picture.
const PAGES: usize = 64;

/// So many zeros end no stream of WebP: its coder spends a bit on hundreds of equal blocks. They do
/// end a file whose room was laid out and whose copying stopped.
const ZEROS: usize = 256;

/// Whether the file holds a second page or frame; smaller copies of the first are none.
pub(super) fn holds_several(bytes: &[u8], format: ImageFormat, max_decode_bytes: u64) -> bool {
    let file = Cursor::new(bytes);
    match format {
        // a profile is unpacked with the header
        ImageFormat::Png => PngDecoder::with_limits(file, memory(MAX_PNG_METADATA))
            .is_ok_and(|png| png.is_apng().unwrap_or(false)),
        ImageFormat::WebP => WebPDecoder::new(file).is_ok_and(|webp| webp.has_animation()),
        ImageFormat::Gif => GifDecoder::new(file).is_ok_and(|mut gif| {
            image::ImageDecoder::set_limits(&mut gif, memory(max_decode_bytes)).is_ok()
                && gif.into_frames().nth(1).is_some_and(|frame| frame.is_ok())
        }),
        ImageFormat::Tiff => Decoder::new(file).is_ok_and(has_second_page),
        _ => false,
    }
}

fn memory(bytes: u64) -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(bytes);
    limits
}

fn has_second_page(mut tiff: Decoder<Cursor<&[u8]>>) -> bool {
    const REDUCED_COPY: u32 = 1;
    for _ in 0..PAGES {
        if !tiff.more_images() || tiff.next_image().is_err() {
            return false;
        }
        let kind = tiff.find_tag_unsigned::<u32>(Tag::NewSubfileType);
        if kind.ok().flatten().unwrap_or(0) & REDUCED_COPY == 0 {
            return true;
        }
    }
    false
}

/// Whether the pixels of a WebP end in zeros that its coder cannot have written.
pub(super) fn webp_ends_in_zeros(bytes: &[u8]) -> bool {
    let mut at = 12; // behind RIFF, length and WEBP
    while let Some(head) = bytes.get(at..at + 8) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let Some(end) = (at + 8).checked_add(length) else {
            return false;
        };
        if matches!(&head[..4], b"VP8 " | b"VP8L") {
            let Some(pixels) = bytes.get(at + 8..end) else {
                return false; // cut short: the decoder says so
            };
            let tail = pixels.len().checked_sub(ZEROS);
            return tail.is_some_and(|tail| pixels[tail..].iter().all(|&byte| byte == 0));
        }
        at = end + length % 2;
    }
    false
}

#[cfg(test)]
mod tests {
    use image::codecs::gif::GifEncoder;
    use image::codecs::webp::WebPEncoder;
    use image::{ExtendedColorType, Frame, RgbaImage};
    use tiff::encoder::TiffEncoder;
    use tiff::encoder::colortype::Gray8;

    use super::*;

    const MEMORY: u64 = 1 << 24;

    fn gif(frames: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        GifEncoder::new(&mut bytes)
            .encode_frames((0..frames).map(|_| Frame::new(RgbaImage::new(8, 8))))
            .unwrap();
        bytes
    }

    fn tiff(kinds: &[u32]) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut file).unwrap();
        for &kind in kinds {
            let mut page = encoder.new_image::<Gray8>(4, 4).unwrap();
            page.encoder().write_tag(Tag::NewSubfileType, kind).unwrap();
            page.write_data(&[7; 16]).unwrap();
        }
        file.into_inner()
    }

    fn webp(rgb: &[u8], side: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        WebPEncoder::new_lossless(&mut bytes)
            .encode(rgb, side, side, ExtendedColorType::Rgb8)
            .unwrap();
        bytes
    }

    #[test]
    fn a_second_frame_or_page_is_noticed() {
        assert!(!holds_several(&gif(1), ImageFormat::Gif, MEMORY));
        assert!(holds_several(&gif(2), ImageFormat::Gif, MEMORY));
        assert!(!holds_several(&tiff(&[0]), ImageFormat::Tiff, MEMORY));
        assert!(holds_several(&tiff(&[0, 2]), ImageFormat::Tiff, MEMORY));
    }

    #[test]
    fn a_smaller_copy_is_no_second_page() {
        assert!(!holds_several(&tiff(&[0, 1]), ImageFormat::Tiff, MEMORY));
        assert!(holds_several(&tiff(&[0, 1, 0]), ImageFormat::Tiff, MEMORY));
    }

    #[test]
    fn a_webp_whose_end_was_never_written_is_told_from_a_plain_one() {
        let mut state = 1_u32;
        let noise: Vec<u8> = (0..64 * 64 * 3)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        let mut noisy = webp(&noise, 64);
        assert!(!webp_ends_in_zeros(&noisy));
        assert!(!webp_ends_in_zeros(&webp(
            &vec![255; 2048 * 2048 * 3],
            2048
        )));
        let half = noisy.len() / 2;
        noisy[half..].fill(0);
        assert!(webp_ends_in_zeros(&noisy));
    }
}
