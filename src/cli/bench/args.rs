//! The arguments of `sitewarden bench`.

use std::num::NonZero;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::cli::scan::parse_jobs;
use crate::hazard::Lang;
use crate::tiling::Tiles;

/// Measures detectors on labelled photos.
///
/// Writes predictions.json (COCO results), report.json and report.html into DIR; with several
/// datasets or models, each into a folder of its own below it. A run that was interrupted goes on
/// where it stopped.
///
/// Exit codes: 0 done; 1 a photo was missing or could not be read, the figures rest on the others;
/// 2 wrong usage; 3 --fail-below was met; 4 nothing was done.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Name or path of a manifest (datasets/NAME.toml), or the path of a COCO JSON, a YOLO
    /// data.yaml or a Pascal VOC folder; or hazards that people annotated (JSON): in photos, for
    /// which the findings of `scan` are judged, or in clips (datasets/episodes/*.json), for which
    /// those of `watch` are
    #[arg(required = true, value_name = "DATASET")]
    pub(super) datasets: Vec<String>,
    /// Folder of photos or clips, where it is not where the format has it
    #[arg(long, value_name = "DIR")]
    pub(super) images: Option<PathBuf>,
    /// Model names (see `sitewarden models list`) or folders
    #[arg(long, value_name = "NAME|DIR", num_args = 1.., value_delimiter = ',')]
    pub(super) model: Vec<String>,
    /// Judge these predictions (COCO results) instead of running a model: as they are, but for the
    /// surest 100 of a class in a photo, as pycocotools does
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    pub(super) predictions: Option<PathBuf>,
    /// Where the results go
    #[arg(long, value_name = "DIR", required_unless_present = "compare")]
    pub(super) out: Option<PathBuf>,
    /// Compare two files of predictions, or folders of results: the difference of each figure with
    /// its confidence interval, by a bootstrap over the photos
    #[arg(long, value_names = ["A", "B"], num_args = 2, conflicts_with_all = ["model", "predictions", "baseline", "fail_below"])]
    pub(super) compare: Option<Vec<PathBuf>>,
    /// A report.json of the same set to be held to
    #[arg(long, value_name = "FILE", requires = "fail_below")]
    pub(super) baseline: Option<PathBuf>,
    /// Exit with code 3 when AP is below X; with --baseline, when AP, over all classes or of one
    /// class, is more than X below the baseline's
    #[arg(long, value_name = "X", value_parser = parse_share)]
    pub(super) fail_below: Option<f64>,
    /// Which class of the set (right) is which of ours (left), for example helmet=Hardhat
    #[arg(long, value_name = "OURS=THEIRS", value_delimiter = ',', value_parser = parse_pair)]
    pub(super) map: Vec<(String, String)>,
    /// Split of the set [default: val, else test, else what there is]
    #[arg(long, value_name = "NAME")]
    pub(super) split: Option<String>,
    /// Folder that the paths in manifests start from [default: that of the manifest]
    #[arg(long, value_name = "DIR", env = "SITEWARDEN_DATA")]
    pub(super) data: Option<PathBuf>,
    /// What is written to standard output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
    /// Look at no more than the first N photos, on trial: copies in other splits are not looked for
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<NonZero<usize>>,
    /// Begin anew, even where an interrupted run could go on
    #[arg(long)]
    pub(super) restart: bool,
    /// Photos worked on at once [default: the number of cores]
    #[arg(long, value_name = "N", value_parser = parse_jobs)]
    pub(super) jobs: Option<usize>,
    /// Look at large photos in overlapping tiles too
    #[arg(long, value_enum)]
    pub(super) tiles: Option<Tiles>,
    /// Language of the HTML report
    #[arg(long, value_enum)]
    pub(super) lang: Option<Lang>,
    /// Configuration file [default: sitewarden.toml in the current folder, if there]
    #[arg(long, value_name = "FILE", env = "SITEWARDEN_CONFIG")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    /// The reports, one on a line (schema: `sitewarden schema bench`)
    Json,
    /// For a README
    Markdown,
}

fn parse_share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "give a number from 0 to 1".to_owned())
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((ours, theirs)) if !ours.trim().is_empty() && !theirs.trim().is_empty() => {
            Ok((ours.trim().to_owned(), theirs.trim().to_owned()))
        }
        _ => Err("give OURS=THEIRS, for example helmet=Hardhat".to_owned()),
    }
}
