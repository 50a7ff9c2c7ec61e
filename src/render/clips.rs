//! The report of a benchmark of clips: one HTML file that needs nothing else.

mod timeline;
mod words;

use std::collections::BTreeMap;

use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use self::words::{Words, words};
use super::bench::Picture;
use crate::eval::Interval;
use crate::eval::clips::{ClipReport, ClipsReport, KindTotal};
use crate::eval::episodes::Verdict;
use crate::geometry::BBox;
use crate::hazard::{Answer, Lang};

/// The pictures of a clip.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClipPictures {
    /// Of missed episodes, by their place in the list.
    pub missed: BTreeMap<usize, Picture>,
    /// Of false alarms and of findings beyond what can be said, by their place in the list.
    pub wrong: BTreeMap<usize, Picture>,
}

/// The page; `pictures` are those of the report's clips, in their order.
///
/// # Errors
/// When the template fails.
pub fn clips_page(
    report: &ClipsReport,
    pictures: &[ClipPictures],
    lang: Lang,
) -> Result<String, askama::Error> {
    let w = words(lang);
    let none = ClipPictures::default();
    let clips: Vec<ClipView<'_>> = report
        .clips
        .iter()
        .zip(pictures.iter().chain(std::iter::repeat(&none)))
        .map(|(clip, pictures)| ClipView::new(clip, pictures, w))
        .collect();
    ClipsPage {
        w,
        r: report,
        tiles: tiles(report, w),
        kinds: report.total.iter().map(KindRow::new).collect(),
        clips,
        facts: facts(report, w),
    }
    .render()
}

#[derive(Template)]
#[template(path = "clips/page.html")]
struct ClipsPage<'a> {
    w: &'static Words,
    r: &'a ClipsReport,
    tiles: Vec<(String, &'static str, bool)>,
    kinds: Vec<KindRow<'a>>,
    clips: Vec<ClipView<'a>>,
    facts: Vec<(&'static str, String)>,
}

struct KindRow<'a> {
    code: &'a str,
    /// Episodes, found, recall, large enough, of those found, their recall; with intervals.
    found: [(String, String); 6],
    /// Fragments, false alarms, a camera-hour, overclaimed, median and longest delay; likewise.
    told: [(String, String); 6],
}

impl<'a> KindRow<'a> {
    fn new(total: &'a KindTotal) -> Self {
        let m = &total.counts;
        let seconds = |v: Option<f64>| {
            let text = v.map_or("–".to_owned(), |v| format!("{v:.1} s"));
            (text, String::new())
        };
        let plain = |count: usize| (count.to_string(), String::new());
        Self {
            code: &m.code,
            found: [
                plain(m.episodes),
                plain(m.found),
                shares(&total.recall),
                plain(m.large_enough),
                plain(m.found_large_enough),
                shares(&total.recall_large_enough),
            ],
            told: [
                plain(m.fragments),
                plain(m.false_alarms),
                rate(&total.false_alarms_per_hour),
                plain(m.overclaimed),
                seconds(total.median_delay_s),
                seconds(m.time_to_detect_s.last().copied()),
            ],
        }
    }
}

struct ClipView<'a> {
    clip: &'a ClipReport,
    counts: String,
    /// Code, SVG.
    timelines: Vec<(&'a str, String)>,
    missed: Vec<PictureView<'a>>,
    wrong: Vec<PictureView<'a>>,
}

struct PictureView<'a> {
    code: &'a str,
    title: String,
    note: &'a str,
    /// Base64.
    jpeg: Option<String>,
    /// Of the region, pixels of the frame.
    side: (f32, f32),
    /// In pixels of the region.
    bbox: [f32; 4],
    class: &'static str,
}

impl<'a> ClipView<'a> {
    fn new(clip: &'a ClipReport, pictures: &ClipPictures, w: &'static Words) -> Self {
        let sum = |of: fn(&crate::eval::episodes::EpisodeMetrics) -> usize| {
            clip.kinds.iter().map(of).sum::<usize>()
        };
        // kinds of which there is neither truth nor finding have no line of time
        let codes = clip.kinds.iter().map(|k| k.code.as_str());
        let told = |code: &&str| {
            clip.episodes.iter().any(|e| e.code == **code)
                || clip.findings.iter().any(|f| f.finding.code == **code)
        };
        let missed = clip
            .episodes
            .iter()
            .enumerate()
            .filter(|(_, e)| e.answer == Answer::NonCompliant && e.found_after_s.is_none());
        let wrong = clip.findings.iter().enumerate().filter(|(_, f)| {
            matches!(
                f.verdict,
                Verdict::FalseAlarm { .. } | Verdict::Overclaimed { .. }
            )
        });
        Self {
            clip,
            counts: format!(
                "{:.1} s · {} {} · {} {} · {} {}",
                clip.duration_s,
                sum(|k| k.found),
                w.found_of(sum(|k| k.episodes)),
                sum(|k| k.false_alarms),
                w.false_alarms,
                sum(|k| k.fragments),
                w.fragments
            ),
            timelines: codes
                .filter(told)
                .map(|code| (code, timeline::svg(clip, code, w)))
                .collect(),
            missed: missed
                .map(|(i, e)| {
                    let small = if e.large_enough { "" } else { w.too_small };
                    PictureView::new(
                        &e.code,
                        format!("{} · {:.1} s{small}", w.episode(e), e.largest.time_s),
                        &e.note,
                        pictures.missed.get(&i),
                        e.largest.bbox,
                        "truth",
                    )
                })
                .collect(),
            wrong: wrong
                .map(|(i, f)| {
                    let what = match &f.verdict {
                        Verdict::Overclaimed { .. } => w.overclaimed,
                        _ => w.false_alarm,
                    };
                    let like = match &f.verdict {
                        Verdict::FalseAlarm {
                            looks_like: Some(what),
                            ..
                        } => format!(" ({what})"),
                        _ => String::new(),
                    };
                    PictureView::new(
                        &f.finding.code,
                        format!(
                            "#{} · {what}{like} · {:.1} s · {:.2}",
                            f.finding.finding, f.finding.best_time_s, f.finding.score
                        ),
                        &f.finding.reason,
                        pictures.wrong.get(&i),
                        f.finding.bbox,
                        "claim",
                    )
                })
                .collect(),
        }
    }
}

impl<'a> PictureView<'a> {
    fn new(
        code: &'a str,
        title: String,
        note: &'a str,
        picture: Option<&Picture>,
        bbox: [f32; 4],
        class: &'static str,
    ) -> Self {
        let region = picture.map_or(BBox::new(0.0, 0.0, 1.0, 1.0), |p| p.region);
        let [x, y, width, height] = bbox;
        Self {
            code,
            title,
            note,
            jpeg: picture.map(|p| STANDARD.encode(&p.jpeg)),
            side: (region.width(), region.height()),
            bbox: [x - region.x1, y - region.y1, width, height],
            class,
        }
    }
}

/// Number, what it is, whether to worry.
fn tiles(report: &ClipsReport, w: &'static Words) -> Vec<(String, &'static str, bool)> {
    let sum = |of: fn(&KindTotal) -> usize| report.total.iter().map(of).sum::<usize>();
    let (episodes, found) = (sum(|t| t.counts.episodes), sum(|t| t.counts.found));
    let alarms = sum(|t| t.counts.false_alarms);
    let hours = report.camera_hours();
    let delays = report.total.iter().flat_map(|t| &t.counts.time_to_detect_s);
    let mut delays: Vec<f64> = delays.copied().collect();
    delays.sort_by(f64::total_cmp);
    let median = delays.get(delays.len() / 2);
    vec![
        (format!("{found} / {episodes}"), w.found_episodes, false),
        (
            share((episodes > 0).then(|| found as f64 / episodes as f64)),
            w.recall,
            false,
        ),
        (alarms.to_string(), w.false_alarms, alarms > 0),
        (
            if hours > 0.0 {
                format!("{:.1}", alarms as f64 / hours)
            } else {
                "–".to_owned()
            },
            w.per_hour,
            false,
        ),
        (
            median.map_or("–".to_owned(), |s| format!("{s:.1} s")),
            w.median_delay,
            false,
        ),
        (format!("{:.1}", 60.0 * hours), w.minutes, false),
    ]
}

fn facts(report: &ClipsReport, w: &'static Words) -> Vec<(&'static str, String)> {
    let side = &report.subject;
    let (t, c, m) = (&side.tracker, &side.confirm, &report.machine);
    let thresholds = side.settings.thresholds.iter();
    let thresholds: Vec<String> = thresholds.map(|(l, s)| format!("{l} {s:.3}")).collect();
    let mut facts = vec![
        (w.digest_model, side.model.sha256.clone()),
        (
            w.catalogue,
            format!(
                "{} ({})",
                side.settings.catalogue_version, side.settings.catalogue_sha256
            ),
        ),
        (w.frames, format!("{} /s", side.fps)),
        (w.tiles, side.settings.tiles.clone()),
        (w.thresholds, thresholds.join(", ")),
        (
            w.tracker,
            match w.lang {
                Lang::En => format!(
                    "sure {}, start {}, doubtful {}, lost {} s, found anew within {} s, reach {}, confirm {}",
                    t.sure, t.start, t.doubtful, t.lost_s, t.relink_s, t.reach, t.confirm
                ),
                Lang::Zh => format!(
                    "可靠 {}，新建 {}，存疑 {}，丢失 {} s，{} s 内重新关联，移动 {}，确认 {}",
                    t.sure, t.start, t.doubtful, t.lost_s, t.relink_s, t.reach, t.confirm
                ),
            },
        ),
        (
            w.confirm,
            match w.lang {
                Lang::En => format!(
                    "window {} s, at least {} frames over {} s, enter {}, leave {}, score {}",
                    c.window_s, c.min_frames, c.min_s, c.enter, c.leave, c.threshold
                ),
                Lang::Zh => format!(
                    "窗口 {} s，至少 {} 帧且历时 {} s，进入 {}，离开 {}，分数 {}",
                    c.window_s, c.min_frames, c.min_s, c.enter, c.leave, c.threshold
                ),
            },
        ),
        (w.machine, super::machine_line(m, w.cores)),
    ];
    for clip in &report.clips {
        facts.push((w.digest_clip, format!("{} {}", clip.file, clip.sha256)));
        let zones = clip.zones.zones.iter().map(|z| z.name.as_str());
        let zones: Vec<&str> = zones.collect();
        if !zones.is_empty() {
            facts.push((w.zones, zones.join(", ")));
        }
    }
    facts
}

/// A share with its interval.
fn shares(of: &Interval) -> (String, String) {
    match (of.value, of.low, of.high) {
        (Some(v), Some(low), Some(high)) => {
            let [v, low, high] = [v, low, high].map(|v| 100.0 * v);
            (format!("{v:.0} %"), format!("[{low:.0}, {high:.0}]"))
        }
        _ => ("–".to_owned(), String::new()),
    }
}

/// A rate with its interval.
fn rate(of: &Interval) -> (String, String) {
    match (of.value, of.low, of.high) {
        (Some(v), Some(low), Some(high)) => (format!("{v:.1}"), format!("[{low:.1}, {high:.1}]")),
        _ => ("–".to_owned(), String::new()),
    }
}

fn share(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |v| format!("{:.0} %", 100.0 * v))
}
