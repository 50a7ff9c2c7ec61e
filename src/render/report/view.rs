//! Records made ready for the templates.

use super::samples::{SamplePictures, SampleView, samples};
use super::summary::{KindSum, Summary, slug};
use crate::hazard::{Answer, Citation, Lang, RuleInput, Severity};
use crate::record::{CandidateRecord, PhotoRecord};
use crate::render::words::{answer_name, severity_name};

pub(super) struct KindRow<'a> {
    pub(super) code: &'a str,
    pub(super) slug: &'a str,
    pub(super) name: &'a str,
    pub(super) other_name: &'a str,
    /// Style class and name.
    pub(super) severity: Option<(&'static str, &'static str)>,
    pub(super) candidates: usize,
    pub(super) answers: [usize; 4],
}

impl<'a> KindRow<'a> {
    pub(super) fn new(k: &'a KindSum, lang: Lang) -> Self {
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
pub(super) struct GroupView<'a> {
    pub(super) first: &'a CandidateRecord,
    pub(super) name: &'a str,
    pub(super) other_name: &'a str,
    pub(super) severity_class: &'static str,
    pub(super) severity_name: &'static str,
    pub(super) clauses: Vec<ClauseRow<'a>>,
    pub(super) candidates: Vec<CandidateView<'a>>,
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

/// The candidates of a photo by kind; `ordinals` as [`Summary::add`] gives them.
pub(super) fn groups<'a>(
    photo: &'a PhotoRecord,
    ordinals: &[usize],
    pictures: &'a SamplePictures,
    lang: Lang,
) -> Vec<GroupView<'a>> {
    let mut groups: Vec<GroupView<'_>> = Vec::new();
    for (i, (c, &ordinal)) in photo.candidates.iter().zip(ordinals).enumerate() {
        let at = groups.iter().position(|g| g.takes(c));
        let at = at.unwrap_or_else(|| {
            groups.push(GroupView::new(c, lang));
            groups.len() - 1
        });
        groups[at]
            .candidates
            .push(CandidateView::new(c, i + 1, ordinal, pictures, lang));
    }
    groups
}

pub(super) struct ClauseRow<'a> {
    pub(super) jurisdiction: &'a str,
    pub(super) text: &'a str,
    pub(super) in_force: String,
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
            text: r.text(lang),
            in_force,
        }
    }
}

pub(super) struct CandidateView<'a> {
    pub(super) record: &'a CandidateRecord,
    /// Number in the photo and on its picture, from 1.
    pub(super) number: usize,
    pub(super) slug: String,
    /// How many of this kind in the report so far, this one included.
    pub(super) ordinal: usize,
    pub(super) score: String,
    pub(super) percent: u32,
    pub(super) place: String,
    pub(super) inputs: Vec<InputRow<'a>>,
    pub(super) samples: Vec<SampleView<'a>>,
}

impl<'a> CandidateView<'a> {
    fn new(
        record: &'a CandidateRecord,
        number: usize,
        ordinal: usize,
        pictures: &'a SamplePictures,
        lang: Lang,
    ) -> Self {
        Self {
            record,
            number,
            slug: slug(&record.code),
            ordinal,
            score: format!("{:.2}", record.score),
            percent: (record.score.clamp(0.0, 1.0) * 100.0).round() as u32,
            place: place(record.bbox),
            inputs: record.why.inputs.iter().map(InputRow::new).collect(),
            samples: samples(&record.why.samples, pictures, lang),
        }
    }
}

pub(super) struct InputRow<'a> {
    pub(super) name: &'a str,
    pub(super) value: String,
    pub(super) limit: String,
    pub(super) place: String,
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
pub(super) struct AnswerRow<'a> {
    pub(super) answer: &'static str,
    pub(super) reason: &'a str,
    /// Code and name.
    pub(super) kinds: Vec<(&'a str, &'a str)>,
}

/// The answers that `want` picks, in the photo's order.
pub(super) fn answer_rows<'a>(
    photo: &'a PhotoRecord,
    summary: &'a Summary,
    lang: Lang,
    want: impl Fn(Answer) -> bool,
) -> Vec<AnswerRow<'a>> {
    let mut rows: Vec<AnswerRow<'a>> = Vec::new();
    for a in photo.answers.iter().filter(|a| want(a.answer)) {
        let kind = (a.code.as_str(), summary.name(&a.code, lang));
        let answer = answer_name(a.answer, lang);
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

pub(super) const fn other(lang: Lang) -> Lang {
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
