//! The figures on standard output: for a person, a program or a README.

use std::fmt::Write as _;
use std::io::Write as _;

use super::Format;
use crate::cli::table::{self, aligned, count, pad, plain, wrap};
use crate::eval::Interval;
use crate::eval::findings::FindingMetrics;
use crate::eval::report::{BenchReport, Finding, Subject, Weight};

/// Columns of text.
const WIDTH: usize = 100;

pub(super) fn print(format: Format, reports: &[BenchReport]) -> anyhow::Result<()> {
    let text = match format {
        Format::Table => {
            let names = names(reports);
            let texts = reports.iter().zip(&names);
            texts.map(|(r, name)| for_people(r, name)).collect()
        }
        Format::Markdown => markdown(reports),
        Format::Json => {
            let lines: Result<Vec<String>, _> = reports.iter().map(serde_json::to_string).collect();
            lines?.iter().map(|line| format!("{line}\n")).collect()
        }
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// What to call each model: by its name, and by version and digest too where another one has the
/// same name.
fn names(reports: &[BenchReport]) -> Vec<String> {
    let name = |report: &BenchReport| {
        let subject = &report.subject;
        let same = |other: &BenchReport| {
            other.subject.name() == subject.name() && other.subject.sha256() != subject.sha256()
        };
        match subject {
            Subject::Model(m) if reports.iter().any(same) => {
                format!(
                    "{} {} ({})",
                    m.name,
                    m.version,
                    m.sha256.get(..8).unwrap_or("?")
                )
            }
            _ => subject.name().to_owned(),
        }
    };
    reports.iter().map(name).collect()
}

fn for_people(report: &BenchReport, name: &str) -> String {
    let set = &report.dataset;
    let split = set
        .split
        .as_ref()
        .map(|s| format!(" ({s})"))
        .unwrap_or_default();
    let mut text = format!(
        "{} on {}{split}: {}",
        plain(name),
        plain(&set.name),
        count(set.judged_photos, "photo")
    );
    if !report.per_class.is_empty() {
        let _ = write!(text, ", {} boxes", set.judged_boxes);
    }
    text.push('\n');
    for finding in report.health.iter().filter(|f| f.weight < Weight::Note) {
        text += &finding_lines(finding);
    }
    if !report.classes.not_labelled.is_empty() {
        let names = report.classes.not_labelled.join(", ");
        for line in wrap(
            &format!("not labelled here, so not judged: {names}"),
            WIDTH - 2,
        ) {
            let _ = writeln!(text, "  {line}");
        }
    }
    if !report.per_class.is_empty() {
        text += &classes(report);
    }
    let rows: Vec<Vec<String>> = report.findings.iter().map(finding_row).collect();
    if !rows.is_empty() {
        let head = FINDINGS.map(str::to_owned).to_vec();
        let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
        for line in aligned(&rows) {
            let _ = writeln!(text, "  {line}");
        }
    }
    if let Some(total) = report.latency.as_ref().and_then(|l| l.stages.last()) {
        let _ = writeln!(
            text,
            "  a photo takes {:.1} ms (p50), {:.1} ms (p95)",
            total.p50_ms, total.p95_ms
        );
    }
    text
}

const FINDINGS: [&str; 9] = [
    "findings",
    "photos",
    "hazards",
    "found",
    "false",
    "precision [95 %]",
    "recall [95 %]",
    "F1 [95 %]",
    "abstained",
];

fn finding_row(m: &FindingMetrics) -> Vec<String> {
    vec![
        plain(&m.code),
        m.photos.to_string(),
        m.hazards.to_string(),
        m.right.to_string(),
        m.wrong.to_string(),
        interval(&m.precision, 2),
        interval(&m.recall, 2),
        interval(&m.f1, 2),
        format!("{:.0} %", 100.0 * m.abstained),
    ]
}

/// A figure with its interval.
pub(super) fn interval(of: &Interval, decimals: usize) -> String {
    match (of.value, of.low, of.high) {
        (Some(v), Some(low), Some(high)) => {
            format!("{v:.decimals$} [{low:.decimals$}, {high:.decimals$}]")
        }
        _ => "–".to_owned(),
    }
}

/// A row for each class, and one for the mean.
fn classes(report: &BenchReport) -> String {
    let mut text = String::new();
    let name_width = report
        .per_class
        .iter()
        .map(|c| c.name.len())
        .max()
        .unwrap_or(0)
        .max(12);
    let _ = writeln!(
        text,
        "  {}  boxes     AP   AP50   AP75    APs    APm    APl     AR |  score  prec.  recall",
        pad("class", name_width)
    );
    for c in &report.per_class {
        let figures = [
            c.ap,
            c.ap50,
            c.ap75,
            c.ap_small,
            c.ap_medium,
            c.ap_large,
            c.ar,
        ];
        let _ = write!(
            text,
            "  {}  {:>5}",
            pad(&plain(&c.name), name_width),
            c.boxes
        );
        text.extend(figures.map(|v| format!("  {}", figure(v))));
        if let Some(o) = &c.operating {
            let _ = write!(
                text,
                " |  {:.3}  {}   {}",
                o.threshold,
                figure(o.precision),
                figure(o.recall)
            );
        }
        text.push('\n');
    }
    let metric = |name: &str| figure(report.metrics.get(name).copied().flatten());
    let _ = write!(
        text,
        "  {}  {:>5}",
        pad("mean", name_width),
        report.dataset.judged_boxes
    );
    for name in ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR100"] {
        let _ = write!(text, "  {}", metric(name));
    }
    text.push('\n');
    text
}

fn finding_lines(finding: &Finding) -> String {
    let mark = match finding.weight {
        Weight::Error => "ERROR",
        Weight::Warning => "warning",
        Weight::Note => "note",
    };
    let examples: Vec<String> = finding.examples.iter().map(|e| plain(e)).collect();
    let mut text = String::new();
    let mut all = format!("{mark}: {} {}", finding.count, finding.text);
    if !examples.is_empty() {
        let _ = write!(all, ": {}", examples.join("; "));
    }
    for line in wrap(&all, WIDTH - 2) {
        let _ = writeln!(text, "  {line}");
    }
    text
}

/// A table of the boxes, and one of the findings, for all reports that have some.
fn markdown(reports: &[BenchReport]) -> String {
    let mut tables = Vec::new();
    if reports.iter().any(|r| !r.per_class.is_empty()) {
        tables.push(boxes(reports));
    }
    if reports.iter().any(|r| !r.findings.is_empty()) {
        tables.push(findings(reports));
    }
    tables.join("\n")
}

/// A row for each kind of hazard.
fn findings(reports: &[BenchReport]) -> String {
    let mut head = vec!["set".to_owned(), "model".to_owned()];
    head.extend(FINDINGS.map(str::to_owned));
    let mut rows = vec![head];
    for (report, model) in reports.iter().zip(names(reports)) {
        for m in &report.findings {
            let mut row = vec![cell(&report.dataset.name), cell(&model)];
            row.extend(finding_row(m));
            rows.push(row);
        }
    }
    table::markdown(&rows)
}

/// A row for each class, after one for the mean where there are several.
fn boxes(reports: &[BenchReport]) -> String {
    let models = names(reports);
    let several = models.iter().any(|m| *m != models[0]);
    let model_head = if several { " model |" } else { "" };
    let mut text = format!(
        "| set |{model_head} class | boxes | AP50 | AP50-95 | recall at the alarm's threshold | its precision |\n\
         |---|{}---|--:|--:|--:|--:|--:|\n",
        if several { "---|" } else { "" }
    );
    for (report, model) in reports.iter().zip(&models) {
        let mut first = [report.dataset.name.as_str(), model.as_str()];
        let mut row = |text: &mut String, class: &str, cells: [String; 5]| {
            let [set, model] = first.map(cell);
            let model = if several {
                format!(" {model} |")
            } else {
                String::new()
            };
            let _ = writeln!(
                text,
                "| {set} |{model} {} | {} |",
                cell(class),
                cells.join(" | ")
            );
            first = ["", ""];
        };
        let bold = |v: Option<Option<f64>>| match v.flatten() {
            Some(v) => format!("**{v:.3}**"),
            None => "–".to_owned(),
        };
        if report.per_class.len() > 1 {
            let metric = |name: &str| bold(report.metrics.get(name).copied());
            let boxes = report.dataset.judged_boxes.to_string();
            row(
                &mut text,
                "mean",
                [
                    boxes,
                    metric("AP50"),
                    metric("AP"),
                    String::new(),
                    String::new(),
                ],
            );
        }
        for c in &report.per_class {
            let operating = c.operating.as_ref();
            row(
                &mut text,
                &c.name,
                [
                    c.boxes.to_string(),
                    short(c.ap50),
                    short(c.ap),
                    short(operating.and_then(|o| o.recall)),
                    short(operating.and_then(|o| o.precision)),
                ],
            );
        }
    }
    text
}

/// A name in a table's cell.
fn cell(text: &str) -> String {
    plain(text).replace('|', "\\|")
}

fn short(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |v| format!("{v:.3}"))
}

/// Five columns.
fn figure(value: Option<f64>) -> String {
    value.map_or("    –".to_owned(), |v| format!("{v:.3}"))
}
