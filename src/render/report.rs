//! The report of a scan: one HTML file that needs nothing else, for a browser or paper.
//!
//! A folder may hold 100,000 photos, so nothing is kept but counts and a short list of
//! contents. The photos come first, each written to a body as it is scanned; the head
//! holds the summary and is written last. The file is head + body + tail.

use std::io::{self, Write};

use askama::Template;
use base64::display::Base64Display;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD};
use image::{ImageFormat, ImageReader};

use super::strip::object_counts;
use super::words::{ANSWERS, Words, answer_name, severity_name, words};
use crate::hazard::{Answer, Citation, Lang, RuleInput, Severity, Text};
use crate::record::{CandidateRecord, ModelRecord, PhotoRecord};

/// The contents list ends here; links from photo to photo go on.
const CONTENTS_MAX: usize = 500;

/// A hazard kind that was asked for, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindName {
    /// Hazard code.
    pub code: String,
    /// Name of the kind.
    pub name: Text,
}

/// What the report says about the scan as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportAbout {
    /// When it was made, ready to show.
    pub created: String,
    /// Where the photos came from, as the user gave it.
    pub source: String,
    /// Version of the program.
    pub program_version: String,
    /// The model that looked.
    pub model: ModelRecord,
    /// The kinds asked for, in the catalogue's order; also names those never seen.
    pub kinds: Vec<KindName>,
}

/// Writes a report photo by photo.
#[derive(Debug)]
pub struct ReportWriter {
    lang: Lang,
    about: ReportAbout,
    sum: Summary,
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
        }
    }

    /// Appends one photo to the body and counts it.
    ///
    /// `picture_jpeg` is the annotated picture, already brought down to the size it is to
    /// have in the report; pass `None` to leave it out, for example for an unreadable file.
    pub fn write_photo(
        &mut self,
        body: &mut impl Write,
        photo: &PhotoRecord,
        picture_jpeg: Option<&[u8]>,
    ) -> io::Result<()> {
        let candidates = self.sum.add(photo);
        let page = PhotoPage {
            w: words(self.lang),
            number: self.sum.photos,
            ordinal: self.sum.with_candidates,
            photo,
            picture: picture_jpeg.map(|bytes| Base64Display::new(bytes, &STANDARD)),
            picture_size: picture_jpeg.and_then(size_px),
            objects: object_counts(photo, self.lang),
            other_lang: words(other(self.lang)).code,
            groups: group(candidates, self.lang),
            undetermined: self.answer_rows(photo, |a| a == Answer::CannotDetermine),
            others: self.answer_rows(photo, |a| {
                matches!(a, Answer::Compliant | Answer::NotApplicable)
            }),
        };
        page.write_into(body)?;
        body.write_all(b"\n")
    }

    /// The answers that `want` picks, in the photo's order.
    fn answer_rows<'a>(
        &'a self,
        photo: &'a PhotoRecord,
        want: impl Fn(Answer) -> bool,
    ) -> Vec<AnswerRow<'a>> {
        let mut rows: Vec<AnswerRow<'a>> = Vec::new();
        for a in photo.answers.iter().filter(|a| want(a.answer)) {
            let kind = (a.code.as_str(), self.sum.name(&a.code, self.lang));
            let answer = answer_name(a.answer, self.lang);
            match rows
                .iter_mut()
                .find(|r| r.answer == answer && r.reason == a.reason)
            {
                Some(row) => row.kinds.push(kind),
                None => rows.push(AnswerRow {
                    answer,
                    reason: &a.reason,
                    kinds: vec![kind],
                }),
            }
        }
        rows
    }

    /// Writes what comes before the body: title, explanations and the summary of all
    /// photos written so far.
    pub fn write_head(&self, out: &mut impl Write) -> io::Result<()> {
        let mut kinds: Vec<KindRow<'_>> = self
            .sum
            .kinds
            .iter()
            .map(|k| KindRow::new(k, self.lang))
            .collect();
        // stable: the catalogue's order among equals
        kinds.sort_by_key(|k| std::cmp::Reverse(k.candidates));
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
    picture: Option<Base64Display<'a, 'static, GeneralPurpose>>,
    /// Width and height: the page keeps the room before a picture is decoded.
    picture_size: Option<(u32, u32)>,
    objects: String,
    other_lang: &'static str,
    groups: Vec<GroupView<'a>>,
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

/// All that is kept of the photos: bounded but for the number of kinds.
#[derive(Debug, Default)]
struct Summary {
    photos: usize,
    with_candidates: usize,
    unreadable: usize,
    candidates: usize,
    kinds: Vec<KindSum>,
    contents: Vec<ContentsEntry>,
}

#[derive(Debug)]
struct ContentsEntry {
    number: usize,
    path: String,
    codes: String,
}

#[derive(Debug)]
struct KindSum {
    code: String,
    slug: String,
    name: Option<Text>,
    severity: Option<Severity>,
    candidates: usize,
    /// Photos, in the order of [`ANSWERS`].
    answers: [usize; 4],
}

impl KindSum {
    fn new(code: &str, name: Option<&Text>) -> Self {
        Self {
            code: code.to_owned(),
            slug: slug(code),
            name: name.cloned(),
            severity: None,
            candidates: 0,
            answers: [0; 4],
        }
    }
}

impl Summary {
    fn without_candidates(&self) -> usize {
        self.photos - self.with_candidates - self.unreadable
    }

    fn name(&self, code: &str, lang: Lang) -> &str {
        let kind = self.kinds.iter().find(|k| k.code == code);
        kind.and_then(|k| k.name.as_ref())
            .map_or("", |n| n.get(lang))
    }

    fn kind(&mut self, code: &str) -> &mut KindSum {
        let at = self.kinds.iter().position(|k| k.code == code);
        let at = at.unwrap_or_else(|| {
            self.kinds.push(KindSum::new(code, None));
            self.kinds.len() - 1
        });
        &mut self.kinds[at]
    }

    /// Counts a photo; the views of its candidates, numbered within their kinds.
    fn add<'a>(&mut self, photo: &'a PhotoRecord) -> Vec<CandidateView<'a>> {
        self.photos += 1;
        self.unreadable += usize::from(photo.error.is_some() && photo.candidates.is_empty());
        for a in &photo.answers {
            if let Some(i) = ANSWERS.iter().position(|&x| x == a.answer) {
                self.kind(&a.code).answers[i] += 1;
            }
        }
        if photo.candidates.is_empty() {
            return Vec::new();
        }
        self.with_candidates += 1;
        self.candidates += photo.candidates.len();
        if self.contents.len() < CONTENTS_MAX {
            self.contents.push(ContentsEntry {
                number: self.photos,
                path: photo.path.clone(),
                codes: codes_with_counts(&photo.candidates),
            });
        }
        let view = |(i, c): (usize, &'a CandidateRecord)| {
            let kind = self.kind(&c.code);
            kind.candidates += 1;
            kind.severity = kind.severity.max(Some(c.severity));
            kind.name.get_or_insert_with(|| c.name.clone());
            CandidateView::new(c, i + 1, kind.slug.clone(), kind.candidates)
        };
        photo.candidates.iter().enumerate().map(view).collect()
    }
}

struct KindRow<'a> {
    code: &'a str,
    slug: &'a str,
    name: &'a str,
    other_name: &'a str,
    /// Style class and name.
    severity: Option<(&'static str, &'static str)>,
    candidates: usize,
    answers: [usize; 4],
}

impl<'a> KindRow<'a> {
    fn new(k: &'a KindSum, lang: Lang) -> Self {
        let name = |lang| k.name.as_ref().map_or("", |n| n.get(lang));
        Self {
            code: &k.code,
            slug: &k.slug,
            name: name(lang),
            other_name: name(other(lang)),
            severity: k
                .severity
                .map(|s| (severity_class(s), severity_name(s, lang))),
            candidates: k.candidates,
            answers: k.answers,
        }
    }
}

/// Candidates of one kind in one photo, so that name and clauses stand there once.
struct GroupView<'a> {
    first: &'a CandidateRecord,
    name: &'a str,
    other_name: &'a str,
    severity_class: &'static str,
    severity_name: &'static str,
    clauses: Vec<ClauseRow<'a>>,
    candidates: Vec<CandidateView<'a>>,
}

impl<'a> GroupView<'a> {
    fn new(first: &'a CandidateRecord, lang: Lang) -> Self {
        Self {
            first,
            name: first.name.get(lang),
            other_name: first.name.get(other(lang)),
            severity_class: severity_class(first.severity),
            severity_name: severity_name(first.severity, lang),
            clauses: first
                .references
                .iter()
                .map(|r| ClauseRow::new(r, lang))
                .collect(),
            candidates: Vec::new(),
        }
    }

    fn takes(&self, c: &CandidateRecord) -> bool {
        let f = self.first;
        f.code == c.code
            && f.severity == c.severity
            && f.name == c.name
            && f.references == c.references
    }
}

fn group(candidates: Vec<CandidateView<'_>>, lang: Lang) -> Vec<GroupView<'_>> {
    let mut groups: Vec<GroupView<'_>> = Vec::new();
    for c in candidates {
        let at = groups.iter().position(|g| g.takes(c.record));
        let at = at.unwrap_or_else(|| {
            groups.push(GroupView::new(c.record, lang));
            groups.len() - 1
        });
        groups[at].candidates.push(c);
    }
    groups
}

struct ClauseRow<'a> {
    jurisdiction: &'a str,
    text: &'a str,
    in_force: String,
}

impl<'a> ClauseRow<'a> {
    fn new(r: &'a Citation, lang: Lang) -> Self {
        let in_force = match (lang, r.valid_from.as_deref(), r.valid_to.as_deref()) {
            (_, None, None) => String::new(),
            (Lang::En, Some(from), None) => format!("in force from {from}"),
            (Lang::En, None, Some(to)) => format!("in force until {to}"),
            (Lang::En, Some(from), Some(to)) => format!("in force from {from} until {to}"),
            (Lang::Zh, Some(from), None) => format!("{from} 起施行"),
            (Lang::Zh, None, Some(to)) => format!("有效期至 {to}"),
            (Lang::Zh, Some(from), Some(to)) => format!("{from} 起施行，有效期至 {to}"),
        };
        Self {
            jurisdiction: &r.jurisdiction,
            text: &r.text,
            in_force,
        }
    }
}

struct CandidateView<'a> {
    record: &'a CandidateRecord,
    /// Number in the photo and on its picture, from 1.
    number: usize,
    slug: String,
    /// How many of this kind in the report so far, this one included.
    ordinal: usize,
    score: String,
    percent: u32,
    place: String,
    inputs: Vec<InputRow<'a>>,
}

impl<'a> CandidateView<'a> {
    fn new(record: &'a CandidateRecord, number: usize, slug: String, ordinal: usize) -> Self {
        Self {
            record,
            number,
            slug,
            ordinal,
            score: format!("{:.2}", record.score),
            percent: (record.score.clamp(0.0, 1.0) * 100.0).round() as u32,
            place: place(record.bbox),
            inputs: record.why.inputs.iter().map(InputRow::new).collect(),
        }
    }
}

struct InputRow<'a> {
    name: &'a str,
    value: String,
    limit: String,
    place: String,
}

impl<'a> InputRow<'a> {
    fn new(input: &'a RuleInput) -> Self {
        Self {
            name: &input.name,
            value: input.value.map(number).unwrap_or_default(),
            limit: input.limit.map(number).unwrap_or_default(),
            place: input.bbox.map(place).unwrap_or_default(),
        }
    }
}

/// Kinds with the same answer for the same reason.
struct AnswerRow<'a> {
    answer: &'static str,
    reason: &'a str,
    /// Code and name.
    kinds: Vec<(&'a str, &'a str)>,
}

fn size_px(jpeg: &[u8]) -> Option<(u32, u32)> {
    let reader = ImageReader::with_format(io::Cursor::new(jpeg), ImageFormat::Jpeg);
    reader.into_dimensions().ok()
}

/// `PPE-01 × 3, FIR-03`.
fn codes_with_counts(candidates: &[CandidateRecord]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for c in candidates {
        match counts.iter_mut().find(|(code, _)| *code == c.code) {
            Some((_, n)) => *n += 1,
            None => counts.push((&c.code, 1)),
        }
    }
    let text = |&(code, n): &(&str, usize)| match n {
        1 => code.to_owned(),
        n => format!("{code} × {n}"),
    };
    counts.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// A code as part of an `id`: letters, digits and hyphens only.
fn slug(code: &str) -> String {
    code.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect()
}

const fn other(lang: Lang) -> Lang {
    match lang {
        Lang::En => Lang::Zh,
        Lang::Zh => Lang::En,
    }
}

const fn severity_class(severity: Severity) -> &'static str {
    match severity {
        Severity::General => "general",
        Severity::Major => "major",
        Severity::Alarm => "alarm",
    }
}

/// A measured value without noise: three decimals at most, fewer for large ones.
fn number(v: f32) -> String {
    let decimals = if v.abs() >= 100.0 { 1 } else { 3 };
    let text = format!("{v:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn place([x, y, w, h]: [f32; 4]) -> String {
    format!("{x:.0}, {y:.0}, {w:.0}, {h:.0}")
}
