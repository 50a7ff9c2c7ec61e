//! Hazards that people annotated, in clips or in photos: the findings are judged.

use std::collections::HashSet;
use std::path::PathBuf;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Setup, clips, done, model_folder, one_folder_each, set_folder, stated, table};
use crate::cli::stop;
use crate::eval::episodes::{ClipTruth, Judged};
use crate::eval::photo_truth::PhotoTruth;
use crate::rules::Catalogue;

/// Files of one sort, each with what it says.
pub(super) enum Annotated {
    /// Of one clip each.
    Clips(Vec<(PathBuf, ClipTruth)>),
    /// Of some photos each.
    Photos(Vec<(PathBuf, PhotoTruth)>),
}

#[derive(Deserialize)]
struct Heading {
    #[serde(rename = "truth")]
    _truth: IgnoredAny,
    clip: Option<IgnoredAny>,
    photos: Option<IgnoredAny>,
}

/// What the names lead to; `None` where they are labelled sets.
pub(super) fn read(names: &[String], catalogue: &Catalogue) -> anyhow::Result<Option<Annotated>> {
    let (mut clips, mut photos) = (Vec::new(), Vec::new());
    for name in names {
        let path = PathBuf::from(name);
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        // what cannot be read is told by who opens it as a set
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let text = text.trim_start_matches('\u{feff}');
        let Ok(heading) = serde_json::from_str::<Heading>(text) else {
            continue;
        };
        let refused = |e: String| anyhow::anyhow!("{} is refused: {e}", path.display());
        match (heading.clip, heading.photos) {
            (Some(_), None) => {
                let truth = ClipTruth::parse(text).map_err(refused)?;
                known(&truth.judged, catalogue).map_err(refused)?;
                clips.push((path, truth));
            }
            (None, Some(_)) => {
                let truth = PhotoTruth::parse(text).map_err(refused)?;
                known(&truth.judged, catalogue).map_err(refused)?;
                photos.push((path, truth));
            }
            _ => bail!(
                "{} is refused: annotated hazards are of one `clip` or of `photos`; give one of them \
                 (datasets/README.md tells the format)",
                path.display()
            ),
        }
    }
    match (clips.len(), photos.len()) {
        (0, 0) => Ok(None),
        (n, 0) if n == names.len() => Ok(Some(Annotated::Clips(clips))),
        (0, n) if n == names.len() => Ok(Some(Annotated::Photos(photos))),
        _ => bail!(
            "annotated clips, annotated photos and labelled sets are judged in different ways; name \
             them apart"
        ),
    }
}

/// Judges findings by hazards that people annotated.
pub(super) fn run(
    setup: &Setup<'_>,
    annotated: &Annotated,
    default_model: &String,
) -> anyhow::Result<u8> {
    let args = setup.args;
    if args.predictions.is_some() || args.fail_below.is_some() || args.compare.is_some() {
        bail!(
            "--predictions, --compare, --baseline and --fail-below are for labelled boxes; annotated \
             hazards are judged by what a model and the rules find: leave them out"
        );
    }
    if !args.map.is_empty() || args.split.is_some() {
        bail!("--map and --split are for labelled boxes; annotated hazards have neither");
    }
    let Some(results) = &args.out else {
        bail!("say with --out where the results go");
    };
    stop::on_signal().context("cannot listen to signals")?;
    let models = match args.model.as_slice() {
        [] => std::slice::from_ref(default_model),
        given => given,
    };
    one_folder_each(models)?;
    let photos = match annotated {
        Annotated::Clips(truths) => return clips::run(setup, truths, models, results),
        Annotated::Photos(photos) => photos,
    };
    let mut reports = Vec::new();
    let mut used = HashSet::new();
    for (path, truth) in photos {
        let set = stated::set(setup, path, truth)?;
        let out = set_folder(results, photos.len(), &set.name, &mut used)?;
        for model in models {
            let out = model_folder(&out, models, model);
            reports.push(stated::judge(setup, &set, truth, model, &out)?);
        }
    }
    table::print(args.format, &reports)?;
    Ok(done(&reports))
}

/// A code that no rule knows would be judged as never found.
fn known(judged: &[Judged], catalogue: &Catalogue) -> Result<(), String> {
    let unknown = judged.iter().find(|j| catalogue.kind(&j.code).is_none());
    unknown.map_or(Ok(()), |j| {
        Err(format!(
            "`judged`: there is no hazard {}; see `sitewarden hazards`",
            j.code
        ))
    })
}
