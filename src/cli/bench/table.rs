//! The figures on standard output: for a person, a program or a README.

use std::fmt::Write as _;
use std::io::Write as _;

use super::Format;
use crate::cli::table::{pad, plain, wrap};
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
        "{} on {}{split}: {} photos, {} boxes\n",
        plain(name),
        plain(&set.name),
        set.judged_photos,
        set.judged_boxes
    );
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
        set.judged_boxes
    );
    for name in ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR100"] {
        let _ = write!(text, "  {}", metric(name));
    }
    text.push('\n');
    if let Some(total) = report.latency.as_ref().and_then(|l| l.stages.last()) {
        let _ = writeln!(
            text,
            "  a photo takes {:.1} ms (p50), {:.1} ms (p95)",
            total.p50_ms, total.p95_ms
        );
    }
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

/// One table for all reports: a row for each class, after one for the mean where there are several.
pub(super) fn markdown(reports: &[BenchReport]) -> String {
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
