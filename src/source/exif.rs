//! When a camera says that it took a photo: EXIF's DateTimeOriginal and OffsetTimeOriginal (EXIF
//! 3.0, 4.6.6). Nothing else of the metadata is read here, least of all where.

use image::{ImageDecoder, ImageFormat};
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::Offset;

use super::jpeg::EXIF_WITHIN;
use super::photo::decoder;

/// A time as the camera's clock showed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CameraTime {
    /// On its display.
    pub local: DateTime,
    /// Of the time zone that it was set to, where it says.
    pub offset: Option<Offset>,
}

/// What a JPEG, PNG or WebP says; nothing of other formats.
pub fn camera_time(bytes: &[u8]) -> Option<CameraTime> {
    let format = image::guess_format(bytes).ok()?;
    let read = |bytes| decoder(bytes, format).ok()?.exif_metadata().ok()?;
    let exif = match format {
        // the reader copies what it is given, and the block stands near the beginning
        ImageFormat::Jpeg => read(bytes.get(..EXIF_WITHIN).unwrap_or(bytes))?,
        ImageFormat::Png | ImageFormat::WebP => read(bytes)?,
        _ => return None,
    };
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(&exif);
    in_tiff(exif)
}

fn in_tiff(bytes: &[u8]) -> Option<CameraTime> {
    const EXIF_DIRECTORY: u16 = 0x8769;
    const DATE_TIME_ORIGINAL: u16 = 0x9003;
    const OFFSET_TIME_ORIGINAL: u16 = 0x9011;
    let big_endian = match bytes.get(..4)? {
        b"II*\0" => false,
        b"MM\0*" => true,
        _ => return None,
    };
    let tiff = Tiff { bytes, big_endian };
    let first = tiff.long(4)?;
    let exif = tiff.long(tiff.entry(first, EXIF_DIRECTORY)? + 8)?;
    let local = tiff.text(exif, DATE_TIME_ORIGINAL)?;
    let offset = tiff.text(exif, OFFSET_TIME_ORIGINAL);
    Some(CameraTime {
        local: DateTime::strptime("%Y:%m:%d %H:%M:%S", local).ok()?,
        offset: offset.and_then(|text| strtime::parse("%:z", text).ok()?.offset()),
    })
}

/// Every read is checked against the length: the file may say anything.
struct Tiff<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl<'a> Tiff<'a> {
    fn short(&self, at: usize) -> Option<u16> {
        let two = self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian {
            u16::from_be_bytes(*two)
        } else {
            u16::from_le_bytes(*two)
        })
    }

    fn long(&self, at: usize) -> Option<usize> {
        let four = self.bytes.get(at..)?.first_chunk()?;
        let value = if self.big_endian {
            u32::from_be_bytes(*four)
        } else {
            u32::from_le_bytes(*four)
        };
        usize::try_from(value).ok()
    }

    /// Where a directory has the entry of a tag.
    fn entry(&self, directory: usize, tag: u16) -> Option<usize> {
        let count = usize::from(self.short(directory)?);
        (0..count)
            .map(|n| directory + 2 + 12 * n)
            .find(|at| self.short(*at) == Some(tag))
    }

    fn text(&self, directory: usize, tag: u16) -> Option<&'a str> {
        const ASCII: u16 = 2;
        let at = self.entry(directory, tag)?;
        if self.short(at + 2)? != ASCII {
            return None;
        }
        let length = self.long(at + 4)?;
        let start = if length <= 4 {
            at + 8
        } else {
            self.long(at + 8)?
        };
        let text = self.bytes.get(start..start.checked_add(length)?)?;
        Some(str::from_utf8(text).ok()?.trim_matches(['\0', ' ']))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A TIFF header, a directory that leads to EXIF's, and there the two tags.
    fn block(time: &str, offset: Option<&str>) -> Vec<u8> {
        let mut out = b"MM\0*\0\0\0\x08".to_vec();
        out.extend(b"\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x1a\0\0\0\0");
        let entries = 1 + u16::from(offset.is_some());
        out.extend(entries.to_be_bytes());
        let mut data = 26 + 2 + 12 * usize::from(entries) + 4;
        let mut texts = Vec::new();
        for (tag, text) in [(0x9003u16, Some(time)), (0x9011, offset)] {
            let Some(text) = text else { continue };
            out.extend(tag.to_be_bytes());
            out.extend(b"\0\x02");
            out.extend((text.len() as u32 + 1).to_be_bytes());
            out.extend((data as u32).to_be_bytes());
            data += text.len() + 1;
            texts.extend(text.bytes().chain([0]));
        }
        out.extend([0; 4]);
        out.extend(texts);
        out
    }

    #[test]
    fn a_camera_says_when_and_perhaps_in_which_zone() {
        let said = in_tiff(&block("2026:05:31 09:30:00", Some("+08:00"))).unwrap();
        assert_eq!(said.local.to_string(), "2026-05-31T09:30:00");
        assert_eq!(said.offset.unwrap().seconds(), 8 * 3600);
        let said = in_tiff(&block("2026:05:31 09:30:00", None)).unwrap();
        assert_eq!(said.offset, None);
        // a clock that was never set
        assert_eq!(in_tiff(&block("0000:00:00 00:00:00", None)), None);
        assert_eq!(in_tiff(&block("    :  :     :  :  ", None)), None);
    }

    #[test]
    fn a_block_cut_short_anywhere_says_nothing_wrong() {
        let whole = block("2026:05:31 09:30:00", Some("+08:00"));
        let right = in_tiff(&whole);
        for end in 0..whole.len() {
            let said = in_tiff(&whole[..end]);
            assert!(said.is_none() || said.map(|s| s.local) == right.map(|s| s.local));
        }
        for at in 0..whole.len() {
            let mut broken = whole.clone();
            broken[at] = 0xff;
            in_tiff(&broken);
        }
    }
}
