//! The report's figures made ready for the template.

use super::words::Words;
use crate::eval::Interval;
use crate::eval::findings::FindingMetrics;
use crate::eval::report::{ClassMetrics, Confusion, Worst};

/// Three decimals, or a dash.
pub(super) fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |v| format!("{v:.3}"))
}

/// `0.934` as `93 %`.
pub(super) fn percent(value: f64) -> String {
    format!("{:.0} %", value * 100.0)
}

pub(super) struct ClassRow<'a> {
    pub(super) c: &'a ClassMetrics,
    /// AP, AP50, AP75, small, medium, large, AR.
    pub(super) figures: [String; 7],
    pub(super) bar: u32,
    /// Threshold, precision, recall, F1, found, missed, false alarms.
    pub(super) operating: Option<[String; 7]>,
}

impl<'a> ClassRow<'a> {
    pub(super) fn new(c: &'a ClassMetrics) -> Self {
        let figures = [
            c.ap,
            c.ap50,
            c.ap75,
            c.ap_small,
            c.ap_medium,
            c.ap_large,
            c.ar,
        ];
        Self {
            c,
            figures: figures.map(figure),
            bar: (c.ap50.unwrap_or(0.0) * 100.0).round() as u32,
            operating: c.operating.as_ref().map(|o| {
                [
                    format!("{:.3}", o.threshold),
                    super::share(o.precision),
                    super::share(o.recall),
                    super::share(o.f1),
                    o.found.to_string(),
                    o.missed.to_string(),
                    o.false_alarms.to_string(),
                ]
            }),
        }
    }
}

pub(super) struct ConfusionRow<'a> {
    pub(super) name: &'a str,
    pub(super) cells: Vec<ConfusionCell>,
}

pub(super) struct ConfusionCell {
    pub(super) count: u64,
    /// Share of the row, percent.
    pub(super) percent: u32,
    /// `hit`, `swap`, `miss`, `alarm` or `none`.
    pub(super) class: &'static str,
}

impl<'a> ConfusionRow<'a> {
    pub(super) fn all(confusion: &'a Confusion, w: &'static Words) -> Vec<Self> {
        let classes = confusion.classes.len();
        let rows = confusion.cells.iter().enumerate();
        rows.map(|(row, counts)| {
            let total: u64 = counts.iter().sum();
            let cells = counts
                .iter()
                .enumerate()
                .map(|(column, &count)| ConfusionCell {
                    count,
                    percent: (100 * count).checked_div(total).unwrap_or(0) as u32,
                    class: match (row == classes, column == classes) {
                        (true, true) => "none",
                        (true, false) => "alarm",
                        (false, true) => "miss",
                        (false, false) if row == column => "hit",
                        (false, false) => "swap",
                    },
                });
            Self {
                name: confusion
                    .classes
                    .get(row)
                    .map_or(w.background, String::as_str),
                cells: cells.collect(),
            }
        })
        .collect()
    }
}

pub(super) struct PictureView<'a> {
    pub(super) worst: &'a Worst,
    pub(super) score: Option<String>,
    /// What the other side has there.
    pub(super) text: String,
    /// Base64.
    pub(super) jpeg: Option<String>,
    /// Of the region, pixels of the photo.
    pub(super) size: (f32, f32),
    pub(super) boxes: Vec<BoxView>,
}

/// A box in pixels of the region.
pub(super) struct BoxView {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) width: f32,
    pub(super) height: f32,
    pub(super) class: &'static str,
}

/// The findings of one kind of hazard.
pub(super) struct FindingRow<'a> {
    pub(super) m: &'a FindingMetrics,
    /// Precision, recall, F1, each with its interval.
    pub(super) figures: [(String, String); 3],
    pub(super) abstained: String,
    /// Rightly abstained, of the photos that do not allow to say.
    pub(super) rightly: String,
}

impl<'a> FindingRow<'a> {
    pub(super) fn new(m: &'a FindingMetrics) -> Self {
        let share = |v: f64| format!("{:.0} %", 100.0 * v);
        let figure = |i: &Interval| match (i.value, i.low, i.high) {
            (Some(v), Some(low), Some(high)) => {
                (format!("{v:.3}"), format!("[{low:.3}, {high:.3}]"))
            }
            _ => ("–".to_owned(), String::new()),
        };
        let undecidable = m.answers[3];
        Self {
            m,
            figures: [&m.precision, &m.recall, &m.f1].map(figure),
            abstained: share(m.abstained),
            rightly: match undecidable.iter().sum::<usize>() {
                0 => "–".to_owned(),
                photos => format!("{} / {photos}", undecidable[3]),
            },
        }
    }
}
