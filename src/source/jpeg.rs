//! JPEG, through libjpeg-turbo: strict about damage, since a hazard may stand in what is missing.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{ImageDecoder, RgbImage};
use turbojpeg::{Colorspace, Decompressor, PixelFormat, ScalingFactor};

use super::photo::PhotoError;

fn damaged(detail: impl ToString) -> PhotoError {
    PhotoError::Damaged {
        format: "JPEG",
        detail: detail.to_string(),
    }
}

pub(super) fn size(bytes: &[u8]) -> Result<(u32, u32), PhotoError> {
    let header = Decompressor::new()
        .and_then(|mut d| d.read_header(bytes))
        .map_err(damaged)?;
    let side = |n: usize| u32::try_from(n).map_err(damaged);
    Ok((side(header.width)?, side(header.height)?))
}

/// The JPEG without what does not change its pixels: comments, colour profile, EXIF. libjpeg warns
/// of faults in them as it warns of lost pixels, and tells the last warning only. `None` if the
/// head is not that of a JPEG.
pub(super) fn without_metadata(bytes: &[u8]) -> Option<Vec<u8>> {
    const START_OF_SCAN: u8 = 0xda;
    const COMMENT: u8 = 0xfe;
    const ADOBE: u8 = 0xee; // tells how colours are stored
    let (start, mut rest) = bytes.split_at_checked(2)?;
    let mut out = start.to_vec();
    loop {
        let &[0xff, marker, high, low, ..] = rest else {
            return None;
        };
        if marker == START_OF_SCAN {
            out.extend_from_slice(rest);
            return Some(out);
        }
        let length = 2 + usize::from(u16::from_be_bytes([high, low]));
        let (segment, after) = rest.split_at_checked(length)?;
        if !matches!(marker, 0xe0..=0xef | COMMENT) || marker == ADOBE {
            out.extend_from_slice(segment);
        }
        rest = after;
    }
}

pub(super) fn orientation(bytes: &[u8]) -> Orientation {
    // The reader copies what it is given and the EXIF block stands near the beginning, so the
    // beginning is tried first.
    exif_orientation(bytes.get(..EXIF_WITHIN).unwrap_or(bytes))
        .or_else(|_| exif_orientation(bytes))
        .unwrap_or(Orientation::NoTransforms)
}

/// Bytes within which the headers of an ordinary photo end.
pub(super) const EXIF_WITHIN: usize = 256 << 10;

fn exif_orientation(bytes: &[u8]) -> image::ImageResult<Orientation> {
    image::codecs::jpeg::JpegDecoder::new(Cursor::new(bytes))?.orientation()
}

/// More scans than any camera or editor writes; a crafted progressive file may hold thousands.
const MAX_SCANS: u32 = 500;

/// Bytes of padding before the end marker that some writers leave.
const MAX_PADDING: usize = 64;

pub(super) fn decode(
    bytes: &[u8],
    stored_size: (u32, u32),
    wanted: Option<(u32, u32)>,
) -> Result<RgbImage, PhotoError> {
    if !is_complete(bytes) {
        return Err(damaged("some of its scans are missing"));
    }
    let said = match decode_sound(bytes, stored_size, wanted) {
        Ok(pixels) => return Ok(pixels),
        Err(said) => said,
    };
    // libjpeg tells its last warning only. Padding is harmless, but what it said of it may hide a
    // worse one, so the file is decoded again without the padding and must then be without fault.
    let sound = padding(&said).and_then(|n| without_padding(bytes, n));
    match sound {
        Some(bytes) => decode_sound(&bytes, stored_size, wanted).map_err(damaged),
        None => Err(damaged(said)),
    }
}

/// Whether every coefficient of every component is there to its last bit (ITU-T T.81, B.2.3 and
/// G.1.1.1). libjpeg shows what a cut progressive file has as if it were all, without a word.
/// What it cannot read itself is left to it.
fn is_complete(bytes: &[u8]) -> bool {
    // of each component, by its identifier, a bit for each coefficient
    let mut missing: Vec<(u8, u64)> = Vec::new();
    let mut rest = bytes.get(2..).unwrap_or_default();
    while let Some(at) = rest
        .windows(2)
        .position(|w| w[0] == 0xff && !matches!(w[1], 0 | 0xff | 0xd0..=0xd7))
    {
        let marker = rest[at + 1];
        let Some((&[high, low], _)) = rest[at + 2..].split_first_chunk() else {
            break;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let Some(segment) = rest.get(at + 4..at + 2 + length) else {
            break;
        };
        match (marker, segment) {
            (0xd9, _) => break,
            // a frame's head: precision, height, width, then the components
            (0xc0..=0xc2, [_, _, _, _, _, _, components @ ..]) => {
                missing = components
                    .chunks_exact(3)
                    .map(|c| (c[0], u64::MAX))
                    .collect();
            }
            (0xda, [count, body @ ..]) => {
                let Some((of, &[first, last, approximation])) = body
                    .split_at_checked(2 * usize::from(*count))
                    .filter(|(_, tail)| tail.len() == 3)
                    .and_then(|(of, tail)| Some((of, tail.first_chunk::<3>()?)))
                else {
                    break;
                };
                if approximation & 0x0f == 0 && first <= last && last < 64 {
                    let sent = (u64::MAX >> (63 - (last - first))) << first;
                    for (id, left) in &mut missing {
                        if of.chunks_exact(2).any(|c| c[0] == *id) {
                            *left &= !sent;
                        }
                    }
                }
                // an ordinary photo has one scan; its megabytes need not be searched for more
                if missing.iter().all(|(_, left)| *left == 0) {
                    return true;
                }
            }
            _ => {}
        }
        rest = &rest[at + 2 + length..];
    }
    missing.iter().all(|(_, left)| *left == 0)
}

/// How many bytes of padding libjpeg's warning (its `jerror.h`) tells of, if it is that one.
fn padding(warning: &str) -> Option<usize> {
    let (before, _) = warning.split_once(" extraneous bytes before marker 0xd9")?;
    let count = before.rsplit(' ').next()?.parse().ok()?;
    (count <= MAX_PADDING).then_some(count)
}

/// The JPEG without `n` bytes before its end marker.
fn without_padding(bytes: &[u8], n: usize) -> Option<Vec<u8>> {
    let scan = bytes.windows(2).position(|w| w == [0xff, 0xda])?;
    let end = scan + bytes[scan..].windows(2).position(|w| w == [0xff, 0xd9])?;
    let mut out = bytes.get(..end.checked_sub(n)?)?.to_vec();
    out.extend_from_slice(&bytes[end..]);
    Some(out)
}

/// Decodes what libjpeg has nothing to say about; else what it said.
fn decode_sound(
    bytes: &[u8],
    stored_size: (u32, u32),
    wanted: Option<(u32, u32)>,
) -> Result<RgbImage, String> {
    let text = |e: turbojpeg::Error| e.to_string();
    let mut jpeg = Decompressor::new().map_err(text)?;
    let header = jpeg.read_header(bytes).map_err(text)?;
    let factor = match wanted {
        Some(wanted) if !header.is_lossless => reduction(stored_size, wanted),
        _ => ScalingFactor::ONE,
    };
    jpeg.set_scaling_factor(factor).map_err(text)?;
    jpeg.set_scan_limit(MAX_SCANS).map_err(text)?;
    let scaled = header.scaled(factor);
    let cmyk = matches!(header.colorspace, Colorspace::CMYK | Colorspace::YCCK);
    let format = if cmyk {
        PixelFormat::CMYK
    } else {
        PixelFormat::RGB
    };
    let pitch = scaled.width * format.size();
    let mut pixels = vec![0; pitch * scaled.height];
    let image = turbojpeg::Image {
        pixels: pixels.as_mut_slice(),
        width: scaled.width,
        pitch,
        height: scaled.height,
        format,
    };
    jpeg.decompress(bytes, image).map_err(text)?;
    if cmyk {
        pixels = rgb_of_adobe_cmyk(&pixels);
    }
    RgbImage::from_raw(scaled.width as u32, scaled.height as u32, pixels)
        .ok_or_else(|| "the decoder gave too few pixels".to_owned())
}

/// CMYK in a JPEG is stored inverted (255 is no ink), as Adobe's programs write it.
fn rgb_of_adobe_cmyk(cmyk: &[u8]) -> Vec<u8> {
    let mut rgb = Vec::with_capacity(cmyk.len() / 4 * 3);
    for p in cmyk.chunks_exact(4) {
        let key = u16::from(p[3]);
        rgb.extend((0..3).map(|c| (u16::from(p[c]) * key / 255) as u8));
    }
    rgb
}

/// The largest reduction by 2, 4 or 8 that leaves at least the wanted size.
fn reduction((width, height): (u32, u32), (min_w, min_h): (u32, u32)) -> ScalingFactor {
    [
        ScalingFactor::ONE_EIGHTH,
        ScalingFactor::ONE_QUARTER,
        ScalingFactor::ONE_HALF,
    ]
    .into_iter()
    .find(|f| {
        f.scale(width as usize) >= min_w as usize && f.scale(height as usize) >= min_h as usize
    })
    .unwrap_or(ScalingFactor::ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A progressive JPEG of noise, by the same library.
    fn progressive() -> Vec<u8> {
        let pixels: Vec<u8> = (0..64 * 64 * 3u32).map(|i| (i * i % 251) as u8).collect();
        let mut jpeg = turbojpeg::Compressor::new().unwrap();
        jpeg.set_progressive(true).unwrap();
        let image = turbojpeg::Image {
            pixels: pixels.as_slice(),
            width: 64,
            pitch: 64 * 3,
            height: 64,
            format: PixelFormat::RGB,
        };
        jpeg.compress_to_vec(image).unwrap()
    }

    #[test]
    fn a_progressive_file_that_lacks_its_last_scans_is_damaged_though_it_has_an_end() {
        let whole = progressive();
        assert!(decode(&whole, (64, 64), None).is_ok());
        let scans: Vec<usize> = whole
            .windows(2)
            .enumerate()
            .filter_map(|(at, w)| (w == [0xff, 0xda]).then_some(at))
            .collect();
        assert!(scans.len() > 3, "{scans:?}");
        for end in &scans[1..] {
            let mut cut = whole[..*end].to_vec();
            // tables of the next scan may stand before it; they do no harm
            cut.extend([0xff, 0xd9]);
            let error = decode(&cut, (64, 64), None).unwrap_err();
            assert!(error.to_string().contains("scans are missing"), "{error}");
        }
    }
}
