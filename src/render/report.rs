//! The report of a scan: one HTML file that needs nothing else, for a browser or paper.
//!
//! A folder may hold 100,000 photos, so nothing is kept but counts and a short list of
//! contents. The photos come first, each written to a body as it is scanned; the head
//! holds the summary and is written last. The file is head + body + tail.

mod samples;
mod summary;
mod view;

use std::io::{self, Write};

use askama::Template;
use base64::display::Base64Display;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD};
use image::{ImageFormat, ImageReader};

pub use self::samples::SamplePictures;
use self::samples::{SuppressedView, suppressed};
use self::summary::{KindSum, Summary};
use self::view::{AnswerRow, GroupView, KindRow, answer_rows, groups, other};
use super::strip::object_counts;
use super::words::{ANSWERS, Words, answer_name, words};
use crate::hazard::{Answer, Lang, Text};
use crate::record::{BankRecord, ModelRecord, PhotoRecord};

/// A hazard kind that was asked for, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindName {
    /// Hazard code.
    pub code: String,
    /// Name of the kind.
    pub name: Text,
}

/// Most bytes of pictures in one report, before base64: a browser must still open the page.
const MAX_PICTURE_BYTES: usize = 150 << 20;

/// What the report says about the scan as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportAbout {
    /// When it was made, ready to show.
    pub created: String,
    /// Where the photos came from, as the user gave it.
    pub source: String,
    /// Version of the program.
    pub program_version: String,
    /// The model that looked.
    pub model: ModelRecord,
    /// The sample bank that was asked.
    pub bank: Option<BankRecord>,
    /// The kinds asked for, in the catalogue's order; also names those never seen.
    pub kinds: Vec<KindName>,
}

/// Writes a report photo by photo.
#[derive(Debug)]
pub struct ReportWriter {
    lang: Lang,
    about: ReportAbout,
    sum: Summary,
    /// Bytes of pictures so far.
    picture_bytes: usize,
}

impl ReportWriter {
    /// A report without photos so far.
    pub fn new(about: ReportAbout, lang: Lang) -> Self {
        let kinds = about
            .kinds
            .iter()
            .map(|k| KindSum::new(&k.code, Some(&k.name)))
            .collect();
        Self {
            lang,
            about,
            sum: Summary {
                kinds,
                ..Summary::default()
            },
            picture_bytes: 0,
        }
    }

    /// Appends one photo to the body and counts it.
    ///
    /// `picture_jpeg` is the annotated picture, already brought down to the size it is to
    /// have in the report; pass `None` to leave it out, for example for an unreadable file. `samples`
    /// holds small pictures of the samples that the photo's record names.
    pub fn write_photo(
        &mut self,
        body: &mut impl Write,
        photo: &PhotoRecord,
        picture_jpeg: Option<&[u8]>,
        samples: &SamplePictures,
    ) -> io::Result<()> {
        let ordinals = self.sum.add(photo);
        let room = MAX_PICTURE_BYTES.saturating_sub(self.picture_bytes);
        let pictures_full = picture_jpeg.is_some_and(|jpeg| jpeg.len() > room);
        let picture_jpeg = picture_jpeg.filter(|_| !pictures_full);
        self.picture_bytes += picture_jpeg.map_or(0, <[u8]>::len);
        let none = SamplePictures::new();
        let samples_bytes: usize = samples.values().map(Vec::len).sum();
        let fits = self.picture_bytes + samples_bytes <= MAX_PICTURE_BYTES;
        let samples = if fits { samples } else { &none };
        self.picture_bytes += if fits { samples_bytes } else { 0 };
        let page = PhotoPage {
            w: words(self.lang),
            number: self.sum.photos,
            ordinal: self.sum.with_candidates,
            photo,
            pictures_full,
            picture: picture_jpeg.map(|bytes| Base64Display::new(bytes, &STANDARD)),
            picture_size: picture_jpeg.and_then(size_px),
            objects: object_counts(photo, self.lang),
            other_lang: words(other(self.lang)).code,
            groups: groups(photo, &ordinals, samples, self.lang),
            suppressed: suppressed(photo, samples, self.lang),
            undetermined: answer_rows(photo, &self.sum, self.lang, |a| {
                a == Answer::CannotDetermine
            }),
            others: answer_rows(photo, &self.sum, self.lang, |a| {
                matches!(a, Answer::Compliant | Answer::NotApplicable)
            }),
        };
        page.write_into(body)?;
        body.write_all(b"\n")
    }

    /// Writes what comes before the body: title, explanations and the summary of all
    /// photos written so far.
    pub fn write_head(&self, out: &mut impl Write) -> io::Result<()> {
        let mut kinds: Vec<&KindSum> = self.sum.kinds.iter().collect();
        // alarms first; stable: the catalogue's order among equals
        kinds.sort_by_key(|k| std::cmp::Reverse((k.severity, k.candidates)));
        let kinds = kinds
            .into_iter()
            .map(|k| KindRow::new(k, self.lang))
            .collect();
        let page = HeadPage {
            w: words(self.lang),
            other_lang: words(other(self.lang)).code,
            about: &self.about,
            sum: &self.sum,
            kinds,
            answer_names: ANSWERS.map(|a| answer_name(a, self.lang)),
        };
        page.write_into(out)?;
        out.write_all(b"\n")
    }

    /// Writes what comes after the body.
    pub fn write_tail(&self, out: &mut impl Write) -> io::Result<()> {
        let page = TailPage {
            w: words(self.lang),
            about: &self.about,
            sum: &self.sum,
        };
        page.write_into(out)?;
        out.write_all(b"\n")
    }
}

#[derive(Template)]
#[template(path = "report/head.html")]
struct HeadPage<'a> {
    w: &'static Words,
    other_lang: &'static str,
    about: &'a ReportAbout,
    sum: &'a Summary,
    kinds: Vec<KindRow<'a>>,
    answer_names: [&'static str; 4],
}

#[derive(Template)]
#[template(path = "report/photo.html")]
struct PhotoPage<'a> {
    w: &'static Words,
    /// Place in the scan, from 1.
    number: usize,
    /// How many photos with candidates so far, this one included.
    ordinal: usize,
    photo: &'a PhotoRecord,
    /// The picture was left out so that the page can still be opened.
    pictures_full: bool,
    picture: Option<Base64Display<'a, 'static, GeneralPurpose>>,
    /// Width and height: the page keeps the room before a picture is decoded.
    picture_size: Option<(u32, u32)>,
    objects: String,
    other_lang: &'static str,
    groups: Vec<GroupView<'a>>,
    suppressed: Vec<SuppressedView<'a>>,
    undetermined: Vec<AnswerRow<'a>>,
    others: Vec<AnswerRow<'a>>,
}

#[derive(Template)]
#[template(path = "report/tail.html")]
struct TailPage<'a> {
    w: &'static Words,
    about: &'a ReportAbout,
    sum: &'a Summary,
}

fn size_px(jpeg: &[u8]) -> Option<(u32, u32)> {
    let reader = ImageReader::with_format(io::Cursor::new(jpeg), ImageFormat::Jpeg);
    reader.into_dimensions().ok()
}
