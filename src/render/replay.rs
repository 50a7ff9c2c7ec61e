//! The page of a replay: each photo whose decisions would change, both sides next to each other.

use std::io::{self, Write};

use askama::Template;
use base64::display::Base64Display;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD};

use super::words::answer_name;
use crate::eval::changes::{AnswerChange, PhotoChanges, ReplayDocument, Side};
use crate::hazard::{Answer, Lang};
use crate::record::{CandidateRecord, SettingsRecord};

/// The annotated pictures of both sides as JPEG, where they could be drawn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplayPhoto {
    /// As it was decided in the run.
    pub was: Option<Vec<u8>>,
    /// As it would be decided.
    pub now: Option<Vec<u8>>,
}

/// What the page says by itself.
struct Words {
    code: &'static str,
    title: &'static str,
    was: &'static str,
    now: &'static str,
    model: &'static str,
    rules: &'static str,
    thresholds: &'static str,
    compared: &'static str,
    otherwise: &'static str,
    not_compared: &'static str,
    changes: &'static str,
    kind: &'static str,
    photos: &'static str,
    appeared: &'static str,
    gone: &'static str,
    nothing: &'static str,
    not_asked: &'static str,
}

const EN: Words = Words {
    code: "en",
    title: "Replay: what would be decided otherwise",
    was: "in the run",
    now: "now",
    model: "Model",
    rules: "Hazard catalogue",
    thresholds: "Thresholds that differ",
    compared: "photos compared",
    otherwise: "would be decided otherwise",
    not_compared: "not compared",
    changes: "Changed answers",
    kind: "Hazard",
    photos: "Photos",
    appeared: "there would be",
    gone: "there would not be any more",
    nothing: "Every decision stands.",
    not_asked: "not asked",
};

const ZH: Words = Words {
    code: "zh",
    title: "回放：哪些判定会改变",
    was: "原记录",
    now: "现在",
    model: "模型",
    rules: "隐患目录",
    thresholds: "不同的阈值",
    compared: "张照片已比较",
    otherwise: "张判定会改变",
    not_compared: "张未比较",
    changes: "改变的判定",
    kind: "隐患",
    photos: "照片数",
    appeared: "将新增",
    gone: "将不再出现",
    nothing: "所有判定均不变。",
    not_asked: "未查",
};

fn words(lang: Lang) -> &'static Words {
    match lang {
        Lang::En => &EN,
        Lang::Zh => &ZH,
    }
}

#[derive(Template)]
#[template(path = "replay/head.html")]
struct HeadPage<'a> {
    w: &'static Words,
    document: &'a ReplayDocument,
    sides: [&'a Side; 2],
    /// Class, threshold in the run, threshold now.
    thresholds: Vec<(&'a str, String, String)>,
    changes: Vec<(&'a str, &'static str, &'static str, usize)>,
}

#[derive(Template)]
#[template(path = "replay/photo.html")]
struct PhotoPage<'a> {
    w: &'static Words,
    number: usize,
    photo: &'a PhotoChanges,
    was: Option<Base64Display<'a, 'static, GeneralPurpose>>,
    now: Option<Base64Display<'a, 'static, GeneralPurpose>>,
    answers: Vec<(&'a str, &'static str, &'static str)>,
    appeared: Vec<CandidateLine<'a>>,
    gone: Vec<CandidateLine<'a>>,
}

struct CandidateLine<'a> {
    code: &'a str,
    name: &'a str,
    score: String,
    why: &'a str,
}

/// Writes what comes before the photos.
///
/// # Errors
/// When `out` takes no more.
pub fn write_replay_head(
    out: &mut impl Write,
    document: &ReplayDocument,
    lang: Lang,
) -> io::Result<()> {
    let page = HeadPage {
        w: words(lang),
        document,
        sides: [&document.was, &document.now],
        thresholds: thresholds(&document.was.settings, &document.now.settings),
        changes: document
            .summary
            .iter()
            .map(|c| {
                let (code, was, now) = names(&c.change, lang);
                (code, was, now, c.photos)
            })
            .collect(),
    };
    page.write_into(out)?;
    out.write_all(b"\n")
}

/// Thresholds that differ: class, in the run, now.
pub(super) fn thresholds<'a>(
    was: &'a SettingsRecord,
    now: &'a SettingsRecord,
) -> Vec<(&'a str, String, String)> {
    let mut labels: Vec<&str> = was.thresholds.keys().map(String::as_str).collect();
    labels.extend(now.thresholds.keys().map(String::as_str));
    labels.sort_unstable();
    labels.dedup();
    let shown = |score: Option<&f32>| score.map_or("–".to_owned(), |s| format!("{s:.3}"));
    labels
        .into_iter()
        .map(|l| (l, was.thresholds.get(l), now.thresholds.get(l)))
        .filter(|(_, a, b)| a != b)
        .map(|(l, a, b)| (l, shown(a), shown(b)))
        .collect()
}

/// Writes one photo; `number` counts from 1.
///
/// # Errors
/// When `out` takes no more.
pub fn write_replay_photo(
    out: &mut impl Write,
    number: usize,
    photo: &PhotoChanges,
    pictures: &ReplayPhoto,
    lang: Lang,
) -> io::Result<()> {
    let page = PhotoPage {
        w: words(lang),
        number,
        photo,
        was: pictures
            .was
            .as_deref()
            .map(|b| Base64Display::new(b, &STANDARD)),
        now: pictures
            .now
            .as_deref()
            .map(|b| Base64Display::new(b, &STANDARD)),
        answers: photo.answers.iter().map(|c| names(c, lang)).collect(),
        appeared: lines(&photo.appeared, lang),
        gone: lines(&photo.gone, lang),
    };
    page.write_into(out)?;
    out.write_all(b"\n")
}

/// Writes what comes after the photos.
///
/// # Errors
/// When `out` takes no more.
pub fn write_replay_tail(out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"</main>\n</body>\n</html>\n")
}

fn names(change: &AnswerChange, lang: Lang) -> (&str, &'static str, &'static str) {
    let name = |a: Option<Answer>| a.map_or(words(lang).not_asked, |a| answer_name(a, lang));
    (&change.code, name(change.was), name(change.now))
}

fn lines(candidates: &[CandidateRecord], lang: Lang) -> Vec<CandidateLine<'_>> {
    candidates
        .iter()
        .map(|c| CandidateLine {
            code: &c.code,
            name: c.name.get(lang),
            score: format!("{:.2}", c.score),
            why: &c.why.text,
        })
        .collect()
}
