//! `--compare A B`: is one better than the other?

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::{Format, Setup, make_folder, open};
use crate::cli::exit;
use crate::cli::files::write_with;
use crate::cli::table::{pad, plain};
use crate::dataset;
use crate::eval::{
    ClassPlan, Comparison, Difference, Evaluation, Prediction, Verdict, compare, keep_counted,
};

/// Compares two predictions files, or folders that hold one, on one set.
pub(super) fn run(setup: &Setup<'_>, a: &Path, b: &Path) -> anyhow::Result<u8> {
    let args = setup.args;
    let [name] = &args.datasets[..] else {
        bail!("--compare takes one dataset");
    };
    let (set, _) = open(setup, name)?;
    let plan = ClassPlan::new(&set.truth.classes, &set.map, &args.map, None)?;
    let mut sides = Vec::new();
    for given in [a, b] {
        let (mut predictions, _) = dataset::read_predictions(&file(given))?;
        plan.keep_judged_predictions(&mut predictions);
        keep_counted(&mut predictions);
        sides.push(predictions);
    }
    // a class that neither side claims to know would drag both means down alike
    let claimed: HashSet<u64> = sides.iter().flatten().map(|p| p.class).collect();
    let plan = plan.only(&claimed);
    if plan.judged.is_empty() {
        bail!(
            "neither side has a prediction for a class of {}; are the files those of this set?",
            set.name
        );
    }
    let mut truth = set.truth.clone();
    plan.keep_judged(&mut truth);
    let evaluate = |p: &Vec<Prediction>| Evaluation::new(&truth, &plan, p);
    let comparison = compare(&evaluate(&sides[0])?, &evaluate(&sides[1])?);
    if let Some(out) = &args.out {
        make_folder(out)?;
        let path = out.join("compare.json");
        write_with(&path, |f| {
            serde_json::to_writer_pretty(&mut *f, &comparison)?;
            f.write_all(b"\n")
        })
        .with_context(|| {
            format!(
                "cannot write {}; check space and permissions",
                path.display()
            )
        })?;
    }
    let text = match args.format {
        Format::Json => serde_json::to_string(&comparison)? + "\n",
        Format::Table => for_people(&comparison, a, b),
        Format::Markdown => markdown(&comparison),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(exit::OK)
}

fn file(given: &Path) -> PathBuf {
    if given.is_dir() {
        given.join("predictions.json")
    } else {
        given.to_owned()
    }
}

fn verdict(difference: &Difference) -> &'static str {
    match difference.verdict {
        Verdict::ABetter => "A is better",
        Verdict::BBetter => "B is better",
        Verdict::NoDifferenceShown if difference.interval.is_none() => "too few boxes to say",
        Verdict::NoDifferenceShown => "no difference shown",
    }
}

fn for_people(comparison: &Comparison, a: &Path, b: &Path) -> String {
    let mut text = format!(
        "A: {}\nB: {}\n{} photos; {:.0} % intervals of B - A from {} draws of photos\n",
        plain(&a.to_string_lossy()),
        plain(&b.to_string_lossy()),
        comparison.photos,
        comparison.confidence * 100.0,
        comparison.draws
    );
    let names = comparison
        .differences
        .iter()
        .filter_map(|d| d.class.as_deref());
    let width = names.map(str::len).max().unwrap_or(0).max(8);
    let _ = writeln!(
        text,
        "  {}  metric      A      B    B - A  interval",
        pad("class", width)
    );
    for d in &comparison.differences {
        let name = pad(&plain(d.class.as_deref().unwrap_or("mean")), width);
        let figure = |v: Option<f64>| v.map_or("    –".to_owned(), |v| format!("{v:.3}"));
        let difference = d
            .difference
            .map_or("     –".to_owned(), |v| format!("{v:+.3}"));
        let interval = d
            .interval
            .map_or(String::new(), |[l, h]| format!("{l:+.3} to {h:+.3}  "));
        let _ = writeln!(
            text,
            "  {name}  {:6}  {}  {}  {difference:>7}  {interval}{}",
            d.metric,
            figure(d.a),
            figure(d.b),
            verdict(d)
        );
    }
    text
}

fn markdown(comparison: &Comparison) -> String {
    let mut text =
        "| class | metric | A | B | B - A | 95 % interval | |\n|---|---|--:|--:|--:|---|---|\n"
            .to_owned();
    for d in &comparison.differences {
        let figure = |v: Option<f64>| v.map_or("–".to_owned(), |v| format!("{v:.3}"));
        let interval = d
            .interval
            .map_or(String::new(), |[l, h]| format!("{l:+.3} to {h:+.3}"));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {interval} | {} |",
            plain(d.class.as_deref().unwrap_or("mean")),
            d.metric,
            figure(d.a),
            figure(d.b),
            d.difference.map_or("–".to_owned(), |v| format!("{v:+.3}")),
            verdict(d)
        );
    }
    text
}
