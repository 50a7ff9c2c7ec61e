//! `--baseline` and `--fail-below`: a gate for CI.

use std::path::Path;

use anyhow::{Context, bail};

use crate::eval::report::BenchReport;

/// What falls short, in words. Without a baseline: AP below `limit`. With one: AP, over all classes
/// or of one class, more than `limit` below the baseline's.
///
/// # Errors
/// A baseline that cannot be read, or that was made on other labels.
pub(super) fn shortfalls(
    reports: &[BenchReport],
    baseline: Option<&Path>,
    limit: f64,
) -> anyhow::Result<Vec<String>> {
    let mut short = Vec::new();
    let Some(path) = baseline else {
        for report in reports {
            let ap = mean(report);
            if ap < limit {
                short.push(format!("{}: AP {ap:.4} is below {limit}", name(report)));
            }
        }
        return Ok(short);
    };
    let [report] = reports else {
        bail!("--baseline belongs to one dataset and one model");
    };
    let read =
        || -> anyhow::Result<BenchReport> { Ok(serde_json::from_slice(&std::fs::read(path)?)?) };
    let base = read().with_context(|| {
        format!(
            "cannot read the baseline {}; give a report.json of `sitewarden bench`",
            path.display()
        )
    })?;
    if base.dataset.sha256 != report.dataset.sha256
        || base.dataset.judged_photos != report.dataset.judged_photos
    {
        bail!(
            "the baseline {} was made on other labels ({}); make it again on these",
            path.display(),
            base.dataset.name
        );
    }
    let fallen = |what: &str, was: Option<f64>, is: Option<f64>| {
        let (was, is) = (was?, is.unwrap_or(0.0));
        (is < was - limit)
            .then(|| format!("{what}: AP {is:.4}, was {was:.4}; more than {limit} below"))
    };
    let not_in_model = &report.classes.not_in_model;
    short.extend(fallen("mean", Some(mean(&base)), Some(mean(report))));
    for class in &base.per_class {
        if let Some(was) = class.ap
            && not_in_model.contains(&class.name)
        {
            short.push(format!(
                "{}: the model does not have it; AP was {was:.4}",
                class.name
            ));
            continue;
        }
        let now = report.per_class.iter().find(|c| c.name == class.name);
        short.extend(fallen(&class.name, class.ap, now.and_then(|c| c.ap)));
    }
    Ok(short)
}

fn mean(report: &BenchReport) -> f64 {
    report.metrics.get("AP").copied().flatten().unwrap_or(0.0)
}

fn name(report: &BenchReport) -> String {
    format!("{} on {}", report.subject.name(), report.dataset.name)
}
