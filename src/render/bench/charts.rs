//! The report's charts as SVG. Numbers and class names only; names are escaped.

use std::fmt::Write;

use super::words::Words;
use crate::eval::findings::FindingMetrics;
use crate::eval::report::{Calibration, ClassMetrics, ErrorTypes};

/// Colours that the colour-blind tell apart (Okabe, Ito 2008); then again with dashes.
const COLORS: [&str; 8] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a6a00", "#6b6f76",
];
const DASHES: [&str; 3] = ["", "7 4", "2 4"];

/// The plot's place in its picture, pixels.
const LEFT: f64 = 46.0;
const TOP: f64 = 12.0;
const SIDE: f64 = 360.0;

pub(super) struct Curves {
    pub(super) svg: String,
    /// Colour, dashes, name, figure.
    pub(super) legend: Vec<(&'static str, &'static str, String, String)>,
}

/// Precision by recall at IoU 0.50, a line for each class with boxes.
pub(super) fn curves(classes: &[ClassMetrics], w: &Words) -> Curves {
    let mut svg = frame(w.recall, w.precision);
    let mut legend = Vec::new();
    let shown = classes.iter().filter(|c| c.ap50.is_some());
    for (i, class) in shown.enumerate() {
        let color = COLORS[i % COLORS.len()];
        let dash = DASHES[(i / COLORS.len()) % DASHES.len()];
        let reached = class.curve.iter().take_while(|p| p.precision > 0.0);
        let points: Vec<String> = reached.map(|p| at(p.recall, p.precision)).collect();
        let _ = write!(
            svg,
            "<polyline class=\"line\" stroke=\"{color}\" stroke-dasharray=\"{dash}\" points=\"{}\"/>",
            points.join(" ")
        );
        // where an alarm is raised
        if let Some((r, p)) = class
            .operating
            .as_ref()
            .and_then(|o| Some((o.recall?, o.precision?)))
        {
            let (x, y) = place(r, p);
            let _ = write!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\" fill=\"{color}\" class=\"dot\"/>"
            );
        }
        let ap50 = class.ap50.map(|v| format!("{v:.3}")).unwrap_or_default();
        legend.push((color, dash, class.name.clone(), ap50));
    }
    svg += "</svg>";
    Curves { svg, legend }
}

/// Risk by coverage, a line for each kind of hazard of which something was answered. The dot is at
/// the model's thresholds; to the left of it the model must be surer.
pub(super) fn risk_coverage(findings: &[FindingMetrics], w: &Words) -> Option<Curves> {
    let mut svg = frame(w.coverage, w.risk);
    let mut legend = Vec::new();
    for m in findings {
        let reached = m.risk_coverage.iter();
        let reached: Vec<(f64, f64)> = reached
            .filter_map(|p| Some((p.coverage, p.risk?)))
            .collect();
        let Some(&(coverage, risk)) = reached.first() else {
            continue;
        };
        let color = COLORS[legend.len() % COLORS.len()];
        let dash = DASHES[(legend.len() / COLORS.len()) % DASHES.len()];
        let points: Vec<String> = reached.iter().map(|(c, r)| at(*c, *r)).collect();
        let (x, y) = place(coverage, risk);
        let _ = write!(
            svg,
            "<polyline class=\"line\" stroke=\"{color}\" stroke-dasharray=\"{dash}\" points=\"{}\"/>\
             <circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4.5\" fill=\"{color}\" class=\"dot\"/>",
            points.join(" ")
        );
        let share = |v: f64| format!("{:.0} %", 100.0 * v);
        let figures = format!("{} → {}", share(coverage), share(risk));
        legend.push((color, dash, m.code.clone(), figures));
    }
    svg += "</svg>";
    (!legend.is_empty()).then_some(Curves { svg, legend })
}

/// Share of right ones by confidence; the diagonal is what confidence promises.
pub(super) fn calibration(calibration: &Calibration, w: &Words) -> String {
    let mut svg = frame(w.confidence, w.share_right);
    let (x0, y0) = place(0.0, 0.0);
    let (x1, y1) = place(1.0, 1.0);
    for bin in calibration.bins.iter().filter(|b| b.count > 0) {
        let (left, top) = place(bin.from, bin.right);
        let (right, _) = place(bin.to, 0.0);
        let _ = write!(
            svg,
            "<rect class=\"bin\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\
             <text class=\"count\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            left + 2.0,
            right - left - 4.0,
            y0 - top,
            (left + right) / 2.0,
            (top - 4.0).max(TOP + 9.0),
            bin.count
        );
        let (x, y) = place(bin.confidence, bin.right);
        let _ = write!(
            svg,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" class=\"mean\"/>"
        );
    }
    let _ = write!(
        svg,
        "<line class=\"diagonal\" x1=\"{x0}\" y1=\"{y0}\" x2=\"{x1}\" y2=\"{y1}\"/></svg>"
    );
    svg
}

/// What AP50 would gain without each kind of error.
pub(super) fn errors(errors: &ErrorTypes, w: &Words) -> String {
    const ROW: f64 = 30.0;
    const NAME: f64 = 190.0;
    const BAR: f64 = 300.0;
    let most = w
        .error_types
        .iter()
        .filter_map(|(key, _)| errors.cost.get(*key));
    let most = most.copied().fold(0.02, f64::max);
    let height = ROW * w.error_types.len() as f64 + 8.0;
    let mut svg = format!("<svg class=\"chart bars\" viewBox=\"0 0 640 {height}\" role=\"img\">");
    for (i, (key, name)) in w.error_types.iter().enumerate() {
        let cost = errors.cost.get(*key).copied().unwrap_or(0.0);
        let y = ROW * i as f64 + 4.0;
        let length = (cost / most * BAR).max(0.0);
        let count = errors
            .counts
            .get(*key)
            .map(|n| format!(" ({n})"))
            .unwrap_or_default();
        let _ = write!(
            svg,
            "<text class=\"name\" x=\"{:.1}\" y=\"{:.1}\">{name}</text>\
             <rect class=\"cost\" x=\"{NAME}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"20\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">+{cost:.3}{count}</text>",
            NAME - 8.0,
            y + 15.0,
            NAME + length + 6.0,
            y + 15.0
        );
    }
    svg + "</svg>"
}

/// Axes from 0 to 1 with their names; the caller closes the picture.
fn frame(x_name: &str, y_name: &str) -> String {
    let (width, height) = (LEFT + SIDE + 14.0, TOP + SIDE + 44.0);
    let mut svg = format!("<svg class=\"chart\" viewBox=\"0 0 {width} {height}\" role=\"img\">");
    for i in 0..=5 {
        let v = f64::from(i) / 5.0;
        let (x, y) = place(v, v);
        let (right, bottom) = (LEFT + SIDE, TOP + SIDE);
        let _ = write!(
            svg,
            "<path class=\"grid\" d=\"M{x} {TOP}V{bottom}M{LEFT} {y}H{right}\"/>\
             <text class=\"tick x\" x=\"{x}\" y=\"{}\">{v:.1}</text>\
             <text class=\"tick y\" x=\"{}\" y=\"{}\">{v:.1}</text>",
            bottom + 17.0,
            LEFT - 7.0,
            y + 4.0
        );
    }
    let middle = SIDE / 2.0;
    let _ = write!(
        svg,
        "<text class=\"axis\" x=\"{}\" y=\"{}\">{x_name}</text>\
         <text class=\"axis\" transform=\"translate(12 {}) rotate(-90)\">{y_name}</text>",
        LEFT + middle,
        TOP + SIDE + 38.0,
        TOP + middle
    );
    svg
}

/// Pixels of a point in the unit square.
fn place(x: f64, y: f64) -> (f64, f64) {
    (LEFT + x * SIDE, TOP + (1.0 - y) * SIDE)
}

fn at(x: f64, y: f64) -> String {
    let (x, y) = place(x, y);
    format!("{x:.1},{y:.1}")
}
