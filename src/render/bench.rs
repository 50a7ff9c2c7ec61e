//! The report of a benchmark: one HTML file that needs nothing else.

mod charts;
mod faults;
mod view;
mod words;

use askama::Template;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use self::view::{BoxView, ClassRow, ConfusionRow, FindingRow, PictureView, figure, percent};
use self::words::{Words, words};
use crate::eval::findings::FindingMetrics;
use crate::eval::report::{BenchReport, Finding, Subject, Weight, Worst};
use crate::geometry::BBox;
use crate::hazard::Lang;

/// A piece of a photo for the gallery.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// The picture, upright.
    pub jpeg: Vec<u8>,
    /// What it shows, pixels of the photo.
    pub region: BBox,
}

/// The page. `misses` and `false_alarms` are the pictures of the report's lists of that name, in
/// their order; `None` where there is none.
///
/// # Errors
/// When the template fails.
pub fn bench_page(
    report: &BenchReport,
    misses: &[Option<Picture>],
    false_alarms: &[Option<Picture>],
    lang: Lang,
) -> Result<String, askama::Error> {
    let w = words(lang);
    BenchPage {
        w,
        lang,
        r: report,
        tiles: tiles(report, w),
        classes: report.per_class.iter().map(ClassRow::new).collect(),
        mean: ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR100"].map(|m| metric(report, m)),
        recalls: ["AR1", "AR10", "AR100", "ARs", "ARm", "ARl"].map(|m| (m, metric(report, m))),
        curves: charts::curves(&report.per_class, w),
        calibration: report
            .calibration
            .as_ref()
            .map(|c| charts::calibration(c, w)),
        errors: report.errors.as_ref().map(|e| charts::errors(e, w)),
        confusion: ConfusionRow::all(&report.confusion, w),
        findings: report.findings.iter().map(FindingRow::new).collect(),
        risk: charts::risk_coverage(&report.findings, w),
        misses: gallery(report, &report.misses, misses, w),
        false_alarms: gallery(report, &report.false_alarms, false_alarms, w),
        facts: facts(report, w),
    }
    .render()
}

#[derive(Template)]
#[template(path = "bench/page.html")]
struct BenchPage<'a> {
    w: &'static Words,
    lang: Lang,
    r: &'a BenchReport,
    tiles: Vec<(String, &'static str, bool)>,
    classes: Vec<ClassRow<'a>>,
    mean: [String; 7],
    recalls: [(&'static str, String); 6],
    /// SVG.
    curves: charts::Curves,
    calibration: Option<String>,
    errors: Option<String>,
    confusion: Vec<ConfusionRow<'a>>,
    findings: Vec<FindingRow<'a>>,
    risk: Option<charts::Curves>,
    misses: Vec<PictureView<'a>>,
    false_alarms: Vec<PictureView<'a>>,
    facts: Vec<(&'static str, String)>,
}

impl BenchPage<'_> {
    /// Whether boxes are judged, not findings alone.
    fn boxes(&self) -> bool {
        !self.r.per_class.is_empty()
    }

    /// How to read the page, then what to know of the findings, the misses and the false alarms.
    fn notes(&self) -> &'static [&'static str] {
        match self.boxes() {
            true => self.w.notes,
            false => self.w.stated_notes,
        }
    }

    fn subject(&self) -> String {
        match &self.r.subject {
            Subject::Model(m) => format!("{} {}", m.name, m.version),
            Subject::Predictions { file, .. } => file.clone(),
        }
    }

    fn fault<'f>(&self, finding: &'f Finding) -> &'f str {
        faults::text(finding, self.lang)
    }

    fn stage<'f>(&self, stage: &'f str) -> &'f str {
        faults::stage(stage, self.lang)
    }

    fn weight(&self, finding: &Finding) -> (&'static str, &'static str) {
        match finding.weight {
            Weight::Error => ("error", self.w.error),
            Weight::Warning => ("warning", self.w.warning),
            Weight::Note => ("note", self.w.note),
        }
    }
}

fn metric(report: &BenchReport, name: &str) -> String {
    figure(report.metrics.get(name).copied().flatten())
}

/// Number, what it is, whether to worry.
fn tiles(report: &BenchReport, w: &'static Words) -> Vec<(String, &'static str, bool)> {
    let count = |weight| report.health.iter().filter(|f| f.weight == weight).count();
    let faults = count(Weight::Error) + count(Weight::Warning);
    let sum = |of: fn(&FindingMetrics) -> usize| report.findings.iter().map(of).sum::<usize>();
    let mut tiles = if report.per_class.is_empty() {
        let (found, hazards) = (sum(|m| m.right), sum(|m| m.hazards));
        let wrong = sum(|m| m.wrong);
        vec![
            (format!("{found} / {hazards}"), w.found_hazards, false),
            (wrong.to_string(), w.false_alarms, wrong > 0),
        ]
    } else {
        vec![
            (metric(report, "AP"), w.ap, false),
            (metric(report, "AP50"), w.ap50, false),
            (report.dataset.judged_boxes.to_string(), w.boxes, false),
        ]
    };
    tiles.push((report.dataset.judged_photos.to_string(), w.photos, false));
    tiles.push((faults.to_string(), w.faults, faults > 0));
    if let Some(total) = report.latency.as_ref().and_then(|l| l.stages.last()) {
        tiles.push((format!("{:.0} ms", total.p50_ms), w.latency_p50, false));
    }
    tiles
}

fn facts(report: &BenchReport, w: &'static Words) -> Vec<(&'static str, String)> {
    let p = &report.parameters;
    let m = &report.machine;
    let set = &report.dataset;
    let thresholds = p.iou_thresholds.iter().map(|t| format!("{t:.2}"));
    let max: Vec<String> = p.max_detections.iter().map(ToString::to_string).collect();
    let mut facts = vec![
        (w.digest_subject, report.subject.sha256().to_owned()),
        (w.digest_labels, format!("{} ({})", set.sha256, set.format)),
        (w.license, set.license.clone().unwrap_or_else(|| "?".into())),
        (w.tiles, if p.tiles { "auto" } else { "off" }.to_owned()),
        (w.jobs, p.jobs.to_string()),
        (w.machine, super::machine_line(m, w.cores)),
    ];
    if let (Some(score), Some(most)) = (p.min_score, p.max_per_photo) {
        facts.push((w.min_score, format!("{score}, {most} {}", w.a_photo)));
    }
    if !report.per_class.is_empty() {
        facts.push(("IoU", thresholds.collect::<Vec<_>>().join(" ")));
        facts.push((w.max_detections, max.join(", ")));
    }
    if !p.map.is_empty() {
        facts.push((w.map, p.map.join(", ")));
    }
    if let Some(limit) = p.limit {
        facts.push((w.limit, limit.to_string()));
    }
    facts
}

fn gallery<'a>(
    report: &BenchReport,
    worst: &'a [Worst],
    pictures: &[Option<Picture>],
    w: &'static Words,
) -> Vec<PictureView<'a>> {
    let pairs = worst
        .iter()
        .zip(pictures.iter().chain(std::iter::repeat(&None)));
    pairs
        .map(|(one, picture)| {
            let boxes = !report.per_class.is_empty();
            picture_view(one, picture.as_ref(), boxes, w)
        })
        .collect()
}

fn picture_view<'a>(
    worst: &'a Worst,
    picture: Option<&Picture>,
    boxes: bool,
    w: &'static Words,
) -> PictureView<'a> {
    let missed = worst.score.is_none();
    let text = match &worst.nearest {
        // of findings nobody looked for it
        None if !boxes => String::new(),
        None => w.nothing_near.to_owned(),
        Some(n) => format!(
            "{} {}{}, IoU {:.2}",
            if missed { w.seen_as } else { w.labelled_as },
            n.class,
            n.score.map(|s| format!(" {s:.2}")).unwrap_or_default(),
            n.iou
        ),
    };
    let place = |b: [f64; 4], truth: bool, region: BBox| {
        let [x, y, width, height] = b.map(|v| v as f32);
        BoxView {
            x: x - region.x1,
            y: y - region.y1,
            width,
            height,
            class: if truth { "truth" } else { "claim" },
        }
    };
    PictureView {
        worst,
        score: worst.score.map(|s| format!("{s:.2}")),
        text,
        jpeg: picture.map(|p| STANDARD.encode(&p.jpeg)),
        size: picture.map_or((1.0, 1.0), |p| (p.region.width(), p.region.height())),
        boxes: picture
            .map(|p| {
                let own = place(worst.bbox, missed, p.region);
                let near = worst
                    .nearest
                    .as_ref()
                    .map(|n| place(n.bbox, !missed, p.region));
                near.into_iter().chain([own]).collect()
            })
            .unwrap_or_default(),
    }
}

fn share(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), percent)
}
