//! `sitewarden bank search`: what is like this picture, and what the bank says of it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;

use super::Desk;
use super::add::{mask_of, parse_box};
use super::list::Pictures;
use crate::bank::{Calibration, Matcher, Neighbour, Place, Policy, Ruling, Verdict};
use crate::cli::{exit, table};
use crate::evidence::Digest;
use crate::geometry::BBox;
use crate::hazard::Lang;
use crate::jobs::samples::embedder_id;
use crate::pipeline::bank::{Cutter, check_part, fractions, search};
use crate::source::photo::read_file;

/// Searches by a picture
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Photo
    photo: PathBuf,
    /// The part of it that is meant, in pixels; the whole when absent
    #[arg(long = "box", value_name = "X,Y,W,H", value_parser = parse_box)]
    bbox: Option<BBox>,
    /// Instead of a box the outline of what is meant, corner by corner in pixels; what lies outside it does not count
    #[arg(long, value_name = "X,Y,X,Y,…", conflicts_with = "bbox")]
    mask: Option<String>,
    /// How many of the nearest samples
    #[arg(short, long, value_name = "N", default_value_t = 10)]
    k: usize,
    /// Site of the photo
    #[arg(long, default_value = "")]
    site: String,
    /// Camera of the photo
    #[arg(long, default_value = "")]
    camera: String,
    /// Share of photos without the hazard that may be confirmed all the same
    #[arg(long, value_name = "RATE")]
    false_alarm_rate: Option<f64>,
    /// The bank as it was at this version
    #[arg(long, value_name = "VERSION")]
    at: Option<i64>,
    /// Also writes what the nearest samples show into this folder, as ID.jpg
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
    /// Language of the reasons
    #[arg(long, value_enum)]
    lang: Option<Lang>,
    /// What is written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// One document
    Json,
}

/// What is answered.
#[derive(Serialize)]
struct Answer<'a> {
    bank_version: i64,
    embedder: &'a str,
    samples: usize,
    photo_sha256: String,
    area: [f64; 4],
    neighbours: Vec<Neighbour>,
    verdicts: BTreeMap<&'a str, Of>,
}

#[derive(Serialize)]
struct Of {
    #[serde(flatten)]
    verdict: Verdict,
    text: String,
    calibration: Calibration,
}

pub(super) async fn run(desk: &Desk, args: Args) -> anyhow::Result<u8> {
    let mut policy = Policy::default();
    if let Some(rate) = args.false_alarm_rate {
        policy.false_alarm_rate = rate;
    }
    let embedder = desk.embedder()?;
    policy.one_photo = embedder.one_photo();
    let policy = policy.checked()?;
    if args.at.is_none() {
        desk.embed_missing(&embedder).await?;
    }
    let bank = desk.bank(&embedder_id(&*embedder), args.at).await?;
    let what = || args.photo.display().to_string();
    let bytes = read_file(&args.photo, &desk.config.limits).with_context(what)?;
    let cutter = Cutter::new(&bytes, &desk.config.limits).with_context(what)?;
    let (width, height) = (cutter.size().0 as f32, cutter.size().1 as f32);
    let whole = BBox::new(0.0, 0.0, width, height);
    let region = args.bbox.unwrap_or(whole).clip(width, height);
    anyhow::ensure!(
        region.is_valid(),
        "the box lies outside the photo of {width} x {height}"
    );
    let mask = args.mask.as_deref();
    let mask = mask.map(|text| mask_of(text, cutter.size())).transpose()?;
    let area = match &mask {
        Some(mask) => mask.area(),
        None => fractions(region, cutter.size()),
    };
    check_part(area, cutter.size())?;
    let place = Place {
        site: args.site,
        camera: args.camera,
    };
    let matcher = Matcher::new(&bank, place, policy);
    let searched = search(&matcher, &cutter, (area, mask.as_ref()), &*embedder)?;
    let lang = args.lang.unwrap_or(desk.config.scan.lang);
    let told = |(code, verdict, calibration): (_, Verdict, _)| {
        let text = verdict.reason.text().get(lang).to_owned();
        let of = Of {
            verdict,
            text,
            calibration,
        };
        (code, of)
    };
    let verdicts = searched.verdicts.into_iter().map(told).collect();
    let answer = Answer {
        bank_version: bank.version(),
        embedder: &bank.embedder().version,
        samples: bank.len(),
        photo_sha256: Digest::of(&bytes).to_string(),
        area,
        neighbours: bank.nearest(&searched.probe, args.k, None, |_| true)?,
        verdicts,
    };
    let mut done = exit::OK;
    if let Some(folder) = args.pictures {
        let mut pictures = Pictures::new(folder)?;
        for neighbour in &answer.neighbours {
            pictures.write(desk, &neighbour.sample)?;
        }
        done = pictures.done();
    }
    let mut out = std::io::stdout().lock();
    if args.format == Format::Json {
        serde_json::to_writer_pretty(&mut out, &answer)?;
        writeln!(out)?;
        return Ok(done);
    }
    for n in &answer.neighbours {
        let s = &n.sample;
        writeln!(
            out,
            "{:.4}  {}  {}  {}  {}",
            n.similarity,
            table::pad(s.role.as_str(), 9),
            table::pad(s.hazard.as_deref().unwrap_or("all"), 6),
            s.id,
            table::plain(&s.place.site)
        )?;
    }
    for (code, of) in &answer.verdicts {
        let ruling = match of.verdict.ruling {
            Ruling::Confirm => "confirm",
            Ruling::Suppress => "suppress",
            Ruling::Unknown => "unknown",
        };
        writeln!(
            out,
            "{}  {}  {}",
            table::pad(code, 6),
            table::pad(ruling, 8),
            of.text
        )?;
    }
    writeln!(
        out,
        "bank version {}, {}, {}",
        answer.bank_version,
        table::count(answer.samples, "sample"),
        answer.embedder
    )?;
    Ok(done)
}
