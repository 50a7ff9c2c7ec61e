//! `sitewarden models`: what is installed, and whether it may be trusted.

use std::io::Write;

use super::{exit, table};
use crate::inference::{self, Kind, LoadOptions, Outcome, Runtime};

/// Lists and verifies models.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Lists the models in the search path
    List,
    /// Runs every check on a model, as loading it does, and says how each came out
    ///
    /// Exit codes: 0 all checks passed; 4 one failed.
    Verify {
        /// Model name or folder; all models of the search path when absent
        model: Option<String>,
    },
    /// Prints a model's card: what it is for, its figures and its limits
    Card {
        /// Model name or folder
        model: String,
    },
    /// Records the golden run of a model that you trust, so that later loads are held to it
    Golden {
        /// Model name or folder
        model: String,
    },
}

pub(super) fn run(args: Args) -> anyhow::Result<u8> {
    match args.action {
        Action::List => list(),
        Action::Verify { model } => verify(model.as_deref()),
        Action::Card { model } => card(&model),
        Action::Golden { model } => golden(&model),
    }
}

fn list() -> anyhow::Result<u8> {
    let path = inference::search_path();
    let models = inference::list(&path);
    let mut out = std::io::stdout().lock();
    if models.is_empty() {
        writeln!(out, "no model found; these folders were searched:")?;
        for place in path {
            writeln!(out, "  {}", place.display())?;
        }
        return Ok(exit::INCOMPLETE);
    }
    for model in models {
        let name = table::pad(&model.name, 20);
        match model.manifest {
            Ok(m) => {
                let gives = match m.kind {
                    Kind::Detector => m.labels.join(", "),
                    Kind::Embedder => format!("embedding of {} values, patches", m.dimensions),
                };
                writeln!(
                    out,
                    "{name}  {}  {} x {}  {}  {}\n{}{gives}",
                    m.version,
                    m.input.0,
                    m.input.1,
                    m.license,
                    model.dir.display(),
                    " ".repeat(22),
                )?;
            }
            Err(reason) => writeln!(out, "{name}  REFUSED: {reason}")?,
        }
    }
    Ok(exit::OK)
}

fn verify(model: Option<&str>) -> anyhow::Result<u8> {
    let path = inference::search_path();
    let dirs = match model {
        Some(name) => vec![inference::locate(name, &path)?],
        None => inference::list(&path).into_iter().map(|m| m.dir).collect(),
    };
    anyhow::ensure!(
        !dirs.is_empty(),
        "no model found to verify; see `sitewarden models list`"
    );
    let runtime = Runtime::load(None)?;
    let mut out = std::io::stdout().lock();
    let mut all_ok = true;
    for dir in dirs {
        let report = inference::verify(&runtime, &dir, LoadOptions::default());
        writeln!(out, "{}", report.dir.display())?;
        for check in &report.checks {
            let step = format!("{:?}", check.step).to_lowercase();
            let (mark, detail) = match &check.outcome {
                Outcome::Passed(detail) => ("ok", detail),
                Outcome::Failed(detail) => ("FAILED", detail),
                Outcome::Skipped(detail) => ("skipped", detail),
            };
            writeln!(
                out,
                "  {}  {}  {detail}",
                table::pad(&step, 8),
                table::pad(mark, 7)
            )?;
        }
        all_ok &= report.ok();
    }
    Ok(if all_ok { exit::OK } else { exit::REFUSED })
}

fn card(model: &str) -> anyhow::Result<u8> {
    let dir = inference::locate(model, &inference::search_path())?;
    let card = inference::card(&dir)?;
    write!(std::io::stdout().lock(), "{card}")?;
    Ok(exit::OK)
}

fn golden(model: &str) -> anyhow::Result<u8> {
    let dir = inference::locate(model, &inference::search_path())?;
    let (path, add) = inference::make_golden(&Runtime::load(None)?, &dir)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "wrote {}", path.display())?;
    if let Some(lines) = add {
        writeln!(out, "add this to the manifest:\n\n{lines}")?;
    }
    Ok(exit::OK)
}
