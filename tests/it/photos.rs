//! The picture path: every format, every turn, every way of being broken.

use image::{DynamicImage, ImageFormat, RgbImage};
use sitewarden::geometry::BBox;
use sitewarden::preprocess::resized_upright;
use sitewarden::source::photo::{Photo, PhotoError, PhotoLimits};

use crate::support::{crc32, encoded, gradient, jpeg_with_orientation, stored_for};

/// Decodes at full size and turns upright.
fn decode(bytes: &[u8]) -> Result<RgbImage, PhotoError> {
    let photo = Photo::open(bytes, &PhotoLimits::default())?;
    let size = photo.upright_size();
    let decoded = photo.decode(None)?;
    let whole = BBox::new(0.0, 0.0, size.0 as f32, size.1 as f32);
    Ok(resized_upright(decoded.stored(), whole, size).unwrap())
}

fn worst_difference(a: &RgbImage, b: &RgbImage) -> u8 {
    assert_eq!(a.dimensions(), b.dimensions());
    let pairs = a.as_raw().iter().zip(b.as_raw());
    pairs.map(|(x, y)| x.abs_diff(*y)).max().unwrap()
}

const FORMATS: [ImageFormat; 6] = [
    ImageFormat::Jpeg,
    ImageFormat::Png,
    ImageFormat::WebP,
    ImageFormat::Bmp,
    ImageFormat::Tiff,
    ImageFormat::Gif,
];

#[test]
fn every_format_gives_the_same_picture() {
    let picture = gradient(120, 80);
    for format in FORMATS {
        let source = DynamicImage::ImageRgb8(picture.clone());
        let source = if format == ImageFormat::Gif {
            DynamicImage::ImageRgba8(source.to_rgba8())
        } else {
            source
        };
        let decoded = decode(&encoded(&source, format)).unwrap();
        let tolerance = match format {
            ImageFormat::Jpeg => 16,
            ImageFormat::Gif => 40, // 256 colours
            _ => 0,
        };
        let worst = worst_difference(&picture, &decoded);
        assert!(worst <= tolerance, "{format:?}: off by {worst}");
    }
}

#[test]
fn a_file_cut_short_anywhere_is_an_error_or_still_whole() {
    for format in FORMATS {
        let picture =
            DynamicImage::ImageRgba8(DynamicImage::ImageRgb8(gradient(90, 70)).to_rgba8());
        let picture = if format == ImageFormat::Jpeg {
            DynamicImage::ImageRgb8(picture.to_rgb8())
        } else {
            picture
        };
        let bytes = encoded(&picture, format);
        let whole = decode(&bytes).unwrap();
        let mut refused = 0;
        for length in (0..bytes.len()).step_by(37) {
            match decode(&bytes[..length]) {
                // only what follows the last pixel may be missing
                Ok(decoded) => {
                    assert_eq!(worst_difference(&whole, &decoded), 0, "{format:?} {length}")
                }
                Err(e) => {
                    assert!(e.to_string().len() > 20, "{format:?} {length}: {e}");
                    refused += 1;
                }
            }
        }
        assert!(refused >= 5, "{format:?}: {refused}");
    }
}

#[test]
fn every_byte_flipped_in_a_jpeg_never_panics() {
    let jpeg = encoded(
        &DynamicImage::ImageRgb8(gradient(64, 48)),
        ImageFormat::Jpeg,
    );
    for at in 0..jpeg.len() {
        let mut broken = jpeg.clone();
        broken[at] ^= 0x55;
        let _ = decode(&broken);
    }
}

#[test]
fn all_eight_exif_orientations_come_out_upright() {
    let upright = gradient(160, 96);
    for orientation in 1..=8 {
        let bytes = jpeg_with_orientation(&stored_for(&upright, orientation), orientation);
        let decoded = decode(&bytes).unwrap();
        let worst = worst_difference(&upright, &decoded);
        assert!(worst <= 24, "orientation {orientation}: off by {worst}");
    }
}

#[test]
fn a_reduced_decode_shows_the_same_picture_in_all_orientations() {
    let upright = gradient(1600, 1200);
    let expected = image::imageops::thumbnail(&upright, 100, 75);
    for orientation in 1..=8 {
        let bytes = jpeg_with_orientation(&stored_for(&upright, orientation), orientation);
        let photo = Photo::open(&bytes, &PhotoLimits::default()).unwrap();
        assert_eq!(photo.upright_size(), (1600, 1200));
        let decoded = photo.decode(Some((100, 75))).unwrap();
        let stored = decoded.stored();
        assert!(
            stored.pixels.width().max(stored.pixels.height()) <= 400,
            "DCT scaling was not used"
        );
        let whole = BBox::new(0.0, 0.0, 1600.0, 1200.0);
        let small = resized_upright(stored, whole, (100, 75)).unwrap();
        let worst = worst_difference(&expected, &small);
        assert!(worst <= 12, "orientation {orientation}: off by {worst}");
    }
}

#[test]
fn grey_16_bit_alpha_and_one_pixel_are_read() {
    let rgb = DynamicImage::ImageRgb8(gradient(40, 30));
    for (picture, format) in [
        (DynamicImage::ImageLuma8(rgb.to_luma8()), ImageFormat::Jpeg),
        (DynamicImage::ImageLuma8(rgb.to_luma8()), ImageFormat::Png),
        (DynamicImage::ImageLuma16(rgb.to_luma16()), ImageFormat::Png),
        (
            DynamicImage::ImageLumaA16(rgb.to_luma_alpha16()),
            ImageFormat::Png,
        ),
        (DynamicImage::ImageRgb16(rgb.to_rgb16()), ImageFormat::Png),
        (DynamicImage::ImageRgb16(rgb.to_rgb16()), ImageFormat::Tiff),
        (DynamicImage::ImageRgba16(rgb.to_rgba16()), ImageFormat::Png),
    ] {
        let decoded = decode(&encoded(&picture, format)).unwrap();
        let worst = worst_difference(&picture.to_rgb8(), &decoded);
        assert!(
            worst <= 8,
            "{:?} {format:?}: off by {worst}",
            picture.color()
        );
    }
    let pixel = DynamicImage::ImageRgb8(RgbImage::from_pixel(1, 1, image::Rgb([200, 100, 50])));
    for format in FORMATS {
        assert_eq!(
            decode(&encoded(&pixel, format)).unwrap().dimensions(),
            (1, 1)
        );
    }
}

#[test]
fn what_is_transparent_is_white() {
    let clear = image::RgbaImage::from_pixel(4, 4, image::Rgba([255, 0, 0, 0]));
    let decoded = decode(&encoded(&DynamicImage::ImageRgba8(clear), ImageFormat::Png)).unwrap();
    assert_eq!(decoded.get_pixel(1, 1), &image::Rgb([255, 255, 255]));
}

#[test]
fn of_an_animation_the_first_frame_is_read() {
    let mut bytes = Vec::new();
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
    for color in [[255, 0, 0, 255], [0, 0, 255, 255]] {
        let frame = image::RgbaImage::from_pixel(20, 20, image::Rgba(color));
        encoder.encode_frame(image::Frame::new(frame)).unwrap();
    }
    drop(encoder);
    let decoded = decode(&bytes).unwrap();
    assert_eq!(decoded.get_pixel(10, 10), &image::Rgb([255, 0, 0]));
}

#[test]
fn cmyk_jpeg_has_its_colours() {
    // Adobe's inverted CMYK of an orange: 255 is no ink
    let pixels: Vec<u8> = [255u8, 128, 20, 250].repeat(32 * 32);
    let image = turbojpeg::Image {
        pixels: pixels.as_slice(),
        width: 32,
        pitch: 32 * 4,
        height: 32,
        format: turbojpeg::PixelFormat::CMYK,
    };
    let jpeg = turbojpeg::compress(image, 95, turbojpeg::Subsamp::None).unwrap();
    let decoded = decode(&jpeg).unwrap();
    let expected = RgbImage::from_pixel(32, 32, image::Rgb([250, 125, 20]));
    let worst = worst_difference(&expected, &decoded);
    assert!(worst <= 6, "off by {worst}: {:?}", decoded.get_pixel(5, 5));
}

/// A PNG of `width` grey pixels in one row, with a chunk more before the pixels.
fn png_row(width: u32, chunk: &[u8]) -> Vec<u8> {
    let row = DynamicImage::new_luma8(width, 1);
    let mut png = encoded(&row, ImageFormat::Png);
    let header = 8 + 12 + 13;
    png.splice(header..header, chunk.iter().copied());
    png
}

#[test]
fn a_line_of_pixels_without_end_is_refused() {
    let longest = png_row(65_535, &[]);
    assert_eq!(decode(&longest).unwrap().dimensions(), (65_535, 1));
    let error = decode(&png_row(65_536, &[])).unwrap_err();
    assert!(matches!(error, PhotoError::TooLong { .. }), "{error}");
    assert!(error.to_string().contains("65535"), "{error}");
}

#[test]
fn faults_in_what_is_no_pixel_do_no_harm() {
    let sound = encoded(&gradient(64, 48).into(), ImageFormat::Jpeg);
    let pixels = decode(&sound).unwrap();
    let jfif = sound.windows(5).position(|w| w == b"JFIF\0").unwrap();
    let mut version = sound.clone();
    version[jfif + 5] = 7;
    // the second of two parts of a colour profile, without the first
    let mut profile = sound.clone();
    let part = [&[0xff, 0xe2, 0, 18][..], b"ICC_PROFILE\0", &[2, 2, 0, 0]].concat();
    profile.splice(2..2, part);
    for (what, bytes) in [("JFIF version", version), ("profile", profile)] {
        let header = turbojpeg::read_header(&bytes);
        assert!(
            what == "profile" || header.is_err(),
            "{what}: libjpeg says nothing"
        );
        assert_eq!(decode(&bytes).unwrap(), pixels, "{what}");
        let cut = &bytes[..bytes.len() - 40];
        assert!(decode(cut).is_err(), "{what}: cut short");
    }
}

#[test]
fn padding_before_the_end_of_a_jpeg_is_no_damage() {
    let mut jpeg = encoded(
        &DynamicImage::ImageRgb8(gradient(64, 48)),
        ImageFormat::Jpeg,
    );
    let whole = decode(&jpeg).unwrap();
    let end = jpeg.len() - 2;
    jpeg.splice(end..end, [0; 9]);
    assert_eq!(decode(&jpeg).unwrap(), whole);
    // and what is cut off stays missing, whatever ends it
    jpeg.truncate(jpeg.len() / 2);
    jpeg.extend([0, 0, 0, 0xff, 0xd9]);
    assert!(decode(&jpeg).is_err());
}

#[test]
fn a_jpeg_whose_data_was_overwritten_is_refused_whatever_is_warned_last() {
    let noisy = RgbImage::from_fn(400, 264, |x, y| {
        let v = (x * 7919 + y * 104_729) % 251;
        image::Rgb([v as u8, (x % 256) as u8, (y % 256) as u8])
    });
    let jpeg = encoded(&DynamicImage::ImageRgb8(noisy), ImageFormat::Jpeg);
    let scan = jpeg.windows(2).position(|w| w == [0xff, 0xda]).unwrap() + 14;
    let end = jpeg.len() - 2;
    let mut random = fastrand::Rng::with_seed(1);
    for ninth in 0..8 {
        let mut broken = jpeg.clone();
        for byte in &mut broken[scan + (end - scan) * ninth / 9..end] {
            *byte = random.u8(0..255);
        }
        assert!(decode(&broken).is_err(), "random from {ninth}/9 on");
    }
    // a block written twice: nothing is missing, but what follows stands in the wrong place
    let mut doubled = jpeg.clone();
    let middle = scan + (end - scan) / 2;
    let block = doubled[middle..middle + 4096].to_vec();
    doubled.splice(middle..middle, block);
    assert!(decode(&doubled).is_err(), "a doubled block");
}

/// Headers that promise 20000 x 20000 pixels, in 200 bytes.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let side = 20_000u32;
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    png.extend(side.to_be_bytes());
    png.extend(side.to_be_bytes());
    png.extend(b"\x08\x02\0\0\0");
    let crc = crc32(&png[12..]);
    png.extend(crc.to_be_bytes());
    png.extend(b"\0\0\x10\0IDAT\x78\x9c");
    let mut gif = b"GIF89a".to_vec();
    gif.extend((side as u16).to_le_bytes());
    gif.extend((side as u16).to_le_bytes());
    gif.extend([0x80, 0, 0, 0, 0, 0, 255, 255, 255, b',', 0, 0, 0, 0]);
    gif.extend((side as u16).to_le_bytes());
    gif.extend((side as u16).to_le_bytes());
    gif.extend([0, 2, 1, 0, 0, b';']);
    let small = encoded(&DynamicImage::ImageRgb8(gradient(8, 8)), ImageFormat::Jpeg);
    let mut jpeg = small;
    let sof = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    jpeg[sof + 5..sof + 9].copy_from_slice(&[0x4e, 0x20, 0x4e, 0x20]);
    let mut bmp = encoded(&DynamicImage::ImageRgb8(gradient(8, 8)), ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&side.to_le_bytes());
    bmp[22..26].copy_from_slice(&side.to_le_bytes());
    let mut all = vec![("PNG", png), ("GIF", gif), ("JPEG", jpeg), ("BMP", bmp)];
    for (_, bytes) in &mut all {
        bytes.resize(bytes.len().max(200), 0);
    }
    all
}

#[test]
fn a_bomb_is_refused_by_its_header_and_the_message_names_the_limit() {
    for (name, bytes) in bombs() {
        let error = Photo::open(&bytes, &PhotoLimits::default()).unwrap_err();
        assert!(
            matches!(error, PhotoError::TooManyPixels { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains("limits.max_pixels"), "{error}");
    }
}

#[test]
fn a_bomb_within_the_pixel_limit_ends_in_an_error_too() {
    let limits = PhotoLimits {
        max_pixels: u64::MAX,
        max_decode_bytes: 64 << 20,
        ..PhotoLimits::default()
    };
    for (name, bytes) in bombs() {
        let outcome =
            Photo::open(&bytes, &limits).and_then(|p| p.decode(Some((100, 100))).map(drop));
        assert!(outcome.is_err(), "{name}");
    }
}

#[test]
fn what_is_no_picture_is_told_so() {
    let limits = PhotoLimits::default();
    let cases: [(&[u8], &str); 4] = [
        (b"", "empty"),
        (b"hello, I am not a photo\n", "JPEG, PNG"),
        (b"\xff\xd8\xff", "damaged or cut short"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "JPEG, PNG"),
    ];
    for (bytes, expected) in cases {
        let error = Photo::open(bytes, &limits).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
