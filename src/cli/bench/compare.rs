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
use crate::eval::report::BenchReport;
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
    let known: HashSet<u64> = set.truth.photos.iter().map(|p| p.id).collect();
    let sides = [
        Side::read("A", a, &plan, &known)?,
        Side::read("B", b, &plan, &known)?,
    ];
    let mut notes = Vec::new();
    for side in &sides {
        if side.foreign > 0 && side.predictions.is_empty() {
            bail!(
                "no prediction of {} is of a photo of {}; give predictions of this set",
                side.name,
                set.name
            );
        }
        if side.foreign > 0 {
            notes.push(format!(
                "{} predictions of {} are of photos that {} does not have: not counted",
                side.foreign, side.name, set.name
            ));
        }
    }
    // a class that neither side claims to know would drag both means down alike, and one that a model
    // does not have says nothing about how well it finds the others
    let claimed: HashSet<u64> = sides
        .iter()
        .flat_map(|s| &s.predictions)
        .map(|p| p.class)
        .collect();
    let mut both = claimed.clone();
    for class in plan.judged.iter().filter(|c| claimed.contains(&c.id)) {
        for side in &sides {
            if class.theirs.iter().all(|name| side.lacks.contains(name)) {
                both.remove(&class.id);
                notes.push(format!(
                    "{}: left out, the model of {} does not have it",
                    class.name, side.name
                ));
            } else if side.predictions.iter().all(|p| p.class != class.id) {
                notes.push(format!(
                    "{}: {} has no prediction of it, which counts as AP 0",
                    class.name, side.name
                ));
            }
        }
    }
    let plan = plan.only(&both);
    if plan.judged.is_empty() {
        bail!(
            "the sides have no class of {} in common; are the files those of this set?",
            set.name
        );
    }
    let mut truth = set.truth.clone();
    plan.keep_judged(&mut truth);
    let evaluate = |side: Side| {
        let mut predictions = side.predictions;
        predictions.retain(|p| both.contains(&p.class));
        Evaluation::new(&truth, &plan, &predictions)
    };
    let [a_side, b_side] = sides;
    let mut comparison = compare(&evaluate(a_side)?, &evaluate(b_side)?);
    comparison.notes = notes;
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

/// One file of predictions.
struct Side {
    name: &'static str,
    /// Of judged classes and photos of the set.
    predictions: Vec<Prediction>,
    /// Classes of the set that the model does not have, as far as the report beside the file says.
    lacks: Vec<String>,
    /// Predictions of photos that the set does not have.
    foreign: usize,
}

impl Side {
    fn read(
        name: &'static str,
        given: &Path,
        plan: &ClassPlan,
        known: &HashSet<u64>,
    ) -> anyhow::Result<Self> {
        let path = file(given);
        let (mut predictions, _) = dataset::read_predictions(&path)?;
        let all = predictions.len();
        predictions.retain(|p| known.contains(&p.photo));
        let foreign = all - predictions.len();
        plan.keep_judged_predictions(&mut predictions);
        keep_counted(&mut predictions);
        // a file that no bench wrote has no report beside it
        let report = std::fs::read(path.with_file_name("report.json")).ok();
        let lacks = report
            .and_then(|text| serde_json::from_slice::<BenchReport>(&text).ok())
            .map_or(Vec::new(), |report| report.classes.not_in_model);
        Ok(Self {
            name,
            predictions,
            lacks,
            foreign,
        })
    }
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
    for note in &comparison.notes {
        let _ = writeln!(text, "  {}", plain(note));
    }
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
    for note in &comparison.notes {
        let _ = writeln!(text, "\n{}", plain(note));
    }
    text
}
