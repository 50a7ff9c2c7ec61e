//! The lines of time of a clip as SVG: a row for each annotated episode, then one for each finding
//! that belongs to none. Numbers and our own words only.

use std::fmt::Write;

use super::words::Words;
use crate::eval::clips::{ClipReport, JudgedFinding};
use crate::eval::episodes::{EpisodeResult, Verdict};
use crate::hazard::Answer;

/// The plot's place in its picture, pixels.
const LEFT: f64 = 170.0;
const WIDTH: f64 = 760.0;
const RIGHT: f64 = 150.0;
const ROW: f64 = 20.0;
const AXIS: f64 = 26.0;
/// Most marks on the axis.
const TICKS: f64 = 10.0;

pub(super) fn svg(clip: &ClipReport, code: &str, w: &Words) -> String {
    let episodes: Vec<&EpisodeResult> = clip.episodes.iter().filter(|e| e.code == code).collect();
    let of_code = |f: &&JudgedFinding| f.finding.code == code;
    let findings: Vec<&JudgedFinding> = clip.findings.iter().filter(of_code).collect();
    let alone: Vec<&JudgedFinding> = findings
        .iter()
        .copied()
        .filter(|f| episode_of(&f.verdict).is_none())
        .collect();
    let rows = episodes.len() + alone.len();
    let height = ROW * rows as f64 + AXIS + 4.0;
    let (total, bottom) = (LEFT + WIDTH + RIGHT, ROW * rows as f64 + 2.0);
    let mut svg =
        format!("<svg class=\"chart timeline\" viewBox=\"0 0 {total} {height}\" role=\"img\">");
    let length_s = clip.duration_s.max(0.1);
    let x = |time_s: f64| LEFT + (time_s / length_s).clamp(0.0, 1.0) * WIDTH;
    let step = step_s(length_s);
    let mut tick = 0.0;
    while tick <= length_s + 1e-9 {
        let at = x(tick);
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{at:.1} 2V{bottom}\"/>\
             <text class=\"tick x\" x=\"{at:.1}\" y=\"{:.1}\">{tick} s</text>",
            bottom + 16.0
        );
        tick += step;
    }
    for (row, episode) in episodes.iter().enumerate() {
        let y = ROW * row as f64 + 2.0;
        let (from, to) = (x(episode.start_s), x(episode.end_s));
        let missed = episode.answer == Answer::NonCompliant && episode.found_after_s.is_none();
        let class = match episode.answer {
            Answer::NonCompliant => "bad",
            Answer::Compliant | Answer::NotApplicable => "good",
            Answer::CannotDetermine => "unknown",
        };
        label(&mut svg, y, &w.episode(episode), missed);
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"14\"/>",
            y + 3.0,
            (to - from).max(2.0)
        );
        let mine = findings
            .iter()
            .filter(|f| episode_of(&f.verdict) == Some(episode.episode));
        for finding in mine {
            bar(&mut svg, y, finding, &x);
        }
        let said = match (episode.answer, episode.found_after_s) {
            (Answer::NonCompliant, Some(after)) => format!("+{after:.1} s"),
            (Answer::NonCompliant, None) if episode.large_enough => w.missed.to_owned(),
            (Answer::NonCompliant, None) => format!("{}{}", w.missed, w.too_small),
            (Answer::CannotDetermine, _) => w.undecidable.to_owned(),
            _ => w.in_order.to_owned(),
        };
        said_right(&mut svg, y, &said, missed);
    }
    for (row, finding) in alone.iter().enumerate() {
        let y = ROW * (episodes.len() + row) as f64 + 2.0;
        let (said, wrong) = match finding.verdict {
            Verdict::Ignored => (w.ignored, false),
            Verdict::NotJudged => (w.not_judged, false),
            _ => (w.false_alarm, true),
        };
        label(&mut svg, y, &w.finding(finding.finding.finding), wrong);
        bar(&mut svg, y, finding, &x);
        said_right(&mut svg, y, said, wrong);
    }
    svg + "</svg>"
}

fn episode_of(verdict: &Verdict) -> Option<u32> {
    match verdict {
        Verdict::Found { episode }
        | Verdict::Fragment { episode }
        | Verdict::Overclaimed { episode } => Some(*episode),
        Verdict::FalseAlarm { episode, .. } => *episode,
        Verdict::Ignored | Verdict::NotJudged => None,
    }
}

fn label(svg: &mut String, y: f64, text: &str, warn: bool) {
    let class = if warn { "name warn" } else { "name" };
    let _ = write!(
        svg,
        "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>",
        LEFT - 8.0,
        y + 14.0
    );
}

fn said_right(svg: &mut String, y: f64, text: &str, warn: bool) {
    let class = if warn { "said warn" } else { "said" };
    let _ = write!(
        svg,
        "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\">{text}</text>",
        LEFT + WIDTH + 8.0,
        y + 14.0
    );
}

/// A finding from its opening to its end, over the row of its episode.
fn bar(svg: &mut String, y: f64, finding: &JudgedFinding, x: &impl Fn(f64) -> f64) {
    let class = match finding.verdict {
        Verdict::Found { .. } => "told",
        Verdict::Fragment { .. } => "told again",
        Verdict::Overclaimed { .. } | Verdict::FalseAlarm { .. } => "told wrong",
        Verdict::Ignored | Verdict::NotJudged => "told aside",
    };
    let f = &finding.finding;
    let (from, to) = (x(f.opened_s), x(f.until_s));
    let _ = write!(
        svg,
        "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"6\"/>\
         <circle class=\"{class}\" cx=\"{from:.1}\" cy=\"{:.1}\" r=\"4\"/>",
        y + 7.0,
        (to - from).max(1.0),
        y + 10.0
    );
}

/// A round step of time with at most [`TICKS`] marks.
fn step_s(length_s: f64) -> f64 {
    const STEPS: [f64; 11] = [
        0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 300.0, 600.0, 1800.0,
    ];
    let fits = |step: &&f64| length_s / **step <= TICKS;
    let coarse = (length_s / TICKS / 3600.0).ceil() * 3600.0;
    STEPS.iter().find(fits).copied().unwrap_or(coarse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_has_few_round_marks_at_any_length() {
        for length_s in [0.3, 1.9, 4.7, 79.5, 139.4, 3600.0, 86_400.0, 1e6] {
            let marks = length_s / step_s(length_s);
            assert!(marks <= TICKS, "{length_s} s: {marks}");
        }
        assert_eq!((step_s(79.5), step_s(1.9)), (10.0, 0.5));
    }
}
