//! The page of a replay of clips: each finding that would change, both sides next to each other at
//! the moment that shows it.

use std::io::{self, Write};

use askama::Template;
use base64::display::Base64Display;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD};

use super::ReplayPhoto;
use crate::eval::clip_changes::{ClipChanges, ClipReplayDocument, ClipSide};
use crate::eval::clip_findings::ClipFinding;
use crate::hazard::Lang;

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
    findings_was: &'static str,
    findings_now: &'static str,
    appeared: &'static str,
    gone: &'static str,
    moved: &'static str,
    appears: &'static str,
    goes: &'static str,
    moves: &'static str,
    cleared: &'static str,
    no_picture: &'static str,
    nothing: &'static str,
}

const EN: Words = Words {
    code: "en",
    title: "Replay of clips: what would be told otherwise",
    was: "in the run",
    now: "now",
    model: "Model",
    rules: "Hazard catalogue",
    thresholds: "Thresholds that differ",
    compared: "clips compared",
    otherwise: "would be told otherwise",
    not_compared: "not compared",
    changes: "Findings by kind",
    kind: "Hazard",
    findings_was: "In the run",
    findings_now: "Now",
    appeared: "New",
    gone: "Gone",
    moved: "Moved",
    appears: "there would be",
    goes: "there would not be any more",
    moves: "would be told at another time or end in another way",
    cleared: "cleared",
    no_picture: "no picture",
    nothing: "Every finding stands.",
};

const ZH: Words = Words {
    code: "zh",
    title: "视频回放：哪些发现会改变",
    was: "原记录",
    now: "现在",
    model: "模型",
    rules: "隐患目录",
    thresholds: "不同的阈值",
    compared: "个视频已比较",
    otherwise: "个视频的发现会改变",
    not_compared: "个未比较",
    changes: "按种类的发现",
    kind: "隐患",
    findings_was: "原记录",
    findings_now: "现在",
    appeared: "新增",
    gone: "消失",
    moved: "移动",
    appears: "将新增",
    goes: "将不再出现",
    moves: "将在另一时间告知或以另一方式结束",
    cleared: "已消除",
    no_picture: "无图片",
    nothing: "所有发现均不变。",
};

fn words(lang: Lang) -> &'static Words {
    match lang {
        Lang::En => &EN,
        Lang::Zh => &ZH,
    }
}

#[derive(Template)]
#[template(path = "replay/clips_head.html")]
struct HeadPage<'a> {
    w: &'static Words,
    document: &'a ClipReplayDocument,
    sides: [&'a ClipSide; 2],
    /// Class, threshold in the run, threshold now.
    thresholds: Vec<(&'a str, String, String)>,
}

#[derive(Template)]
#[template(path = "replay/clip.html")]
struct ClipPage<'a> {
    w: &'static Words,
    clip: &'a ClipChanges,
    changes: Vec<ChangeView<'a>>,
}

struct ChangeView<'a> {
    code: &'a str,
    name: &'a str,
    what: &'static str,
    lines: Vec<String>,
    reason: &'a str,
    was: Option<Base64Display<'a, 'static, GeneralPurpose>>,
    now: Option<Base64Display<'a, 'static, GeneralPurpose>>,
}

/// Writes what comes before the clips.
///
/// # Errors
/// When `out` takes no more.
pub fn write_replay_clips_head(
    out: &mut impl Write,
    document: &ClipReplayDocument,
    lang: Lang,
) -> io::Result<()> {
    let page = HeadPage {
        w: words(lang),
        document,
        sides: [&document.was, &document.now],
        thresholds: super::replay::thresholds(&document.was.settings, &document.now.settings),
    };
    page.write_into(out)?;
    out.write_all(b"\n")
}

/// Writes one clip; `pictures` are those of its new, its gone and its moved findings, one after the
/// other.
///
/// # Errors
/// When `out` takes no more.
pub fn write_replay_clip(
    out: &mut impl Write,
    clip: &ClipChanges,
    pictures: &[Option<ReplayPhoto>],
    lang: Lang,
) -> io::Result<()> {
    let w = words(lang);
    let appeared = clip.appeared.iter();
    let appeared = appeared.map(|f| (f, w.appears, vec![line(f, w)]));
    let gone = clip.gone.iter().map(|f| (f, w.goes, vec![line(f, w)]));
    let moved = clip.moved.iter().map(|m| {
        let was = format!("{}: {}", w.was, line(&m.was, w));
        let now = format!("{}: {}", w.now, line(&m.now, w));
        (&m.now, w.moves, vec![was, now])
    });
    let pictures = pictures.iter().chain(std::iter::repeat(&None));
    let changes = appeared.chain(gone).chain(moved).zip(pictures);
    let page = ClipPage {
        w,
        clip,
        changes: changes
            .map(|((finding, what, lines), picture)| ChangeView {
                code: &finding.code,
                name: finding.name.get(lang),
                what,
                lines,
                reason: &finding.reason,
                was: picture.as_ref().and_then(|p| encoded(&p.was)),
                now: picture.as_ref().and_then(|p| encoded(&p.now)),
            })
            .collect(),
    };
    page.write_into(out)?;
    out.write_all(b"\n")
}

fn encoded(jpeg: &Option<Vec<u8>>) -> Option<Base64Display<'_, 'static, GeneralPurpose>> {
    jpeg.as_deref().map(|b| Base64Display::new(b, &STANDARD))
}

fn line(f: &ClipFinding, w: &Words) -> String {
    let cleared = if f.cleared { w.cleared } else { "" };
    format!(
        "{:.1} – {:.1} s {cleared} ({:.2})",
        f.opened_s, f.until_s, f.score
    )
}
