//! What is written into DIR.

use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;

use super::Setup;
use super::photos::photo_path;
use crate::cli::files::write_with;
use crate::dataset::LabelledSet;
use crate::eval::Prediction;
use crate::eval::report::{BenchReport, Worst};
use crate::geometry::BBox;
use crate::pipeline::picture::crop;
use crate::render::bench::{Picture, bench_page};
use crate::source::photo::read_file;

/// Longer side of a picture in the report, pixels.
const CROP_SIDE: u32 = 360;
/// Room around what a picture shows, as a share of its size.
const MARGIN: f32 = 0.6;
/// Least side of what a picture shows, pixels of the photo.
const LEAST_SIDE: f32 = 96.0;

/// Writes report.html, report.json and, of boxes, predictions.json.
pub(super) fn all(
    setup: &Setup<'_>,
    set: &LabelledSet,
    report: &BenchReport,
    predictions: &[Prediction],
    out: &Path,
) -> anyhow::Result<()> {
    let pictures = |worst: &[Worst]| -> Vec<Option<Picture>> {
        worst.iter().map(|w| picture(setup, set, w)).collect()
    };
    let (misses, alarms) = (pictures(&report.misses), pictures(&report.false_alarms));
    let page = bench_page(report, &misses, &alarms, setup.lang)?;
    write_file(&out.join("report.html"), |f| f.write_all(page.as_bytes()))?;
    // where findings alone are judged no boxes were kept
    if !report.per_class.is_empty() {
        write_file(&out.join("predictions.json"), |f| {
            // one on a line: a list of millions is still no single line
            f.write_all(b"[")?;
            for (i, p) in predictions.iter().enumerate() {
                f.write_all(if i > 0 { b",\n" } else { b"\n" })?;
                serde_json::to_writer(&mut *f, p)?;
            }
            f.write_all(b"\n]\n")
        })?;
    }
    write_file(&out.join("report.json"), |f| {
        serde_json::to_writer_pretty(&mut *f, report)?;
        f.write_all(b"\n")
    })
}

pub(super) fn write_file(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut std::fs::File>) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    write_with(path, write).with_context(|| {
        format!(
            "cannot write {}; check space and permissions",
            path.display()
        )
    })
}

/// The piece of the photo around a box; a picture that cannot be made costs the report its
/// picture, not its facts.
fn picture(setup: &Setup<'_>, set: &LabelledSet, worst: &Worst) -> Option<Picture> {
    let path = photo_path(&set.photos_dir, &worst.photo)?;
    let bytes = read_file(&path, &setup.limits).ok()?;
    let mut shown = BBox::from_xywh(worst.bbox.map(|v| v as f32));
    if let Some(nearest) = &worst.nearest {
        shown = shown.union(BBox::from_xywh(nearest.bbox.map(|v| v as f32)));
    }
    let photo = crate::source::photo::Photo::open(&bytes, &setup.limits).ok()?;
    let (width, height) = photo.upright_size();
    let side = |length: f32| (length * (1.0 + 2.0 * MARGIN)).max(LEAST_SIDE);
    let (cx, cy) = shown.center();
    let region = BBox::from_cxcywh([cx, cy, side(shown.width()), side(shown.height())])
        .clip(width as f32, height as f32);
    let jpeg = crop(&bytes, &setup.limits, region, CROP_SIDE).ok()?;
    Some(Picture { jpeg, region })
}
