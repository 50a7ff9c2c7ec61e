//! `sitewarden bank add`: photos become samples.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};

use super::Desk;
use crate::bank::{Grid, Mask, Place, Role, Scope};
use crate::cli::{eprintln_line, exit, hazards};
use crate::dataset::{self, Open};
use crate::geometry::BBox;
use crate::inference::Embed;
use crate::jobs::samples::embedder_id;
use crate::ledger::bank::{self as rows, NewSample};
use crate::pipeline::bank::{Cutter, check_part, fractions};
use crate::rules::RuleSet;
use crate::source::discover::{Found, discover};
use crate::source::photo::{Photo, read_file};

/// Adds photos as samples: of a hazard, of what is taken for one, or of a place as it should be
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Photos, folders of them, or patterns
    #[arg(value_name = "PHOTO", required_unless_present = "dataset")]
    photos: Vec<PathBuf>,
    /// Hazard code (see `sitewarden hazards`); may be left out with --reference
    #[arg(long, value_name = "CODE", required_unless_present = "reference")]
    hazard: Option<String>,
    /// Looks like this hazard, and is none
    #[arg(long, conflicts_with = "reference")]
    negative: bool,
    /// The place is as it should be: what decisions are held against. Without --box each part of the
    /// photo that a scan looks at
    #[arg(long)]
    reference: bool,
    /// Where a look-alike counts, or a reference (everywhere or at its site)
    #[arg(long, value_enum, default_value_t)]
    scope: Scope,
    /// The part of each photo that is meant, the same of all of them, in pixels of the upright photo; the whole
    /// when absent
    #[arg(long = "box", value_name = "X,Y,W,H", value_parser = parse_box)]
    bbox: Option<BBox>,
    /// Instead of a box the outline of what is meant, corner by corner in pixels of the upright photo; what lies
    /// outside it does not count
    #[arg(long, value_name = "X,Y,X,Y,…", conflicts_with_all = ["bbox", "dataset"])]
    mask: Option<String>,
    /// Site of the photos: its id in the ledger, or a name
    #[arg(long, default_value = "")]
    site: String,
    /// Camera of the photos
    #[arg(long, default_value = "")]
    camera: String,
    /// Takes the boxes of a class out of a labelled set instead (as `sitewarden bench` names sets)
    #[arg(
        long,
        value_name = "SET",
        requires = "class",
        conflicts_with = "photos"
    )]
    dataset: Option<String>,
    /// The class of the set
    #[arg(long, value_name = "NAME", requires = "dataset")]
    class: Option<String>,
    /// Split of the set
    #[arg(long, requires = "dataset")]
    split: Option<String>,
    /// Folder that the set lies in
    #[arg(long, value_name = "DIR", requires = "dataset")]
    dataset_data: Option<PathBuf>,
    /// Most samples taken from the set
    #[arg(long, value_name = "N", default_value_t = 100, requires = "dataset")]
    limit: usize,
}

/// The outline, given in pixels of a photo of this size.
pub(super) fn mask_of(text: &str, (width, height): (u32, u32)) -> anyhow::Result<Mask> {
    Mask::parse(text, [width.into(), height.into()])
        .with_context(|| format!("--mask, in a photo of {width} x {height}"))
}

pub(super) fn parse_box(text: &str) -> Result<BBox, String> {
    let parts: Result<Vec<f32>, _> = text.split(',').map(|p| p.trim().parse()).collect();
    let Ok(&[x, y, w, h]) = parts.as_deref() else {
        return Err("give four numbers, for example 120,40,300,200".to_owned());
    };
    let bbox = BBox::from_xywh([x, y, w, h]);
    if !bbox.is_valid() || x < 0.0 || y < 0.0 {
        return Err("give a corner within the photo, and a width and height above 0".to_owned());
    }
    Ok(bbox)
}

/// The photos that are named: folders and patterns, too.
fn found(named: Vec<PathBuf>) -> anyhow::Result<Vec<PathBuf>> {
    let mut photos = Vec::new();
    for found in discover(named, None) {
        match found {
            Found::File(path) => photos.push(path),
            Found::Stdin => {
                bail!("a sample's photo is read from a file; write standard input into one")
            }
            Found::Missing { path, reason } => bail!("{}: {}", path.display(), reason.en),
        }
    }
    Ok(photos)
}

/// A photo and the part of it that is meant.
type Piece = (PathBuf, Option<BBox>);

pub(super) async fn run(desk: &Desk, args: Args) -> anyhow::Result<u8> {
    let hazard = args.hazard.as_ref().map(|code| code.trim().to_uppercase());
    if let Some(code) = &hazard {
        // one that there is not is named, with those that look like it
        RuleSet::new(
            &hazards::catalogue(&desk.config)?,
            Some(std::slice::from_ref(code)),
        )?;
    }
    let role = match (args.negative, args.reference) {
        (true, _) => Role::Negative,
        (_, true) => Role::Reference,
        _ => Role::Positive,
    };
    let origin = args
        .dataset
        .as_ref()
        .map_or("file".to_owned(), |set| format!("dataset:{set}"));
    let pieces: Vec<Piece> = match (&args.dataset, &args.class) {
        (Some(set), Some(class)) => labelled(desk, &args, set, class)?,
        _ => found(args.photos.clone())?
            .into_iter()
            .map(|path| (path, args.bbox))
            .collect(),
    };
    let embedder = desk.embedder()?;
    let template = NewSample {
        role,
        hazard,
        scope: args.scope,
        place: Place {
            site: args.site.clone(),
            camera: args.camera.clone(),
        },
        photo_sha256: String::new(),
        photo_kept: true,
        area: [0.0; 4],
        mask: None,
        origin,
        finding_id: None,
        embedding: None,
    };
    let (mut new, mut failed) = (Vec::new(), 0);
    for (path, bbox) in pieces {
        let mask = args.mask.as_deref();
        match samples(desk, &*embedder, &template, &path, bbox, mask) {
            Ok(samples) => new.extend(samples),
            Err(e) => {
                failed += 1;
                eprintln_line(&format!("sitewarden: {}: {e:#}", path.display()));
            }
        }
    }
    ensure!(!new.is_empty(), "no photo could be added");
    let mut tx = desk.ledger.begin(&desk.actor).await?;
    let change = rows::add(&mut tx, &new).await?;
    tx.commit().await?;
    desk.say(&change)?;
    Ok(if failed == 0 {
        exit::OK
    } else {
        exit::INCOMPLETE
    })
}

/// The samples of one photo. Its original is durable when this returns.
fn samples(
    desk: &Desk,
    embedder: &dyn Embed,
    template: &NewSample,
    path: &Path,
    bbox: Option<BBox>,
    mask: Option<&str>,
) -> anyhow::Result<Vec<NewSample>> {
    let bytes = read_file(path, &desk.config.limits)?;
    let cutter = Cutter::new(&bytes, &desk.config.limits)?;
    let size = cutter.size();
    let (width, height) = (size.0 as f32, size.1 as f32);
    let mask = mask.map(|text| mask_of(text, size)).transpose()?;
    let regions = match (bbox, template.role) {
        _ if mask.is_some() => Vec::new(),
        (Some(bbox), _) => {
            let inside = bbox.clip(width, height);
            // labels may reach out by the rounding of a pixel or two
            ensure!(
                bbox.x2 <= width + 2.0 && bbox.y2 <= height + 2.0,
                "the box reaches outside the photo of {width} x {height}"
            );
            ensure!(
                inside.is_valid(),
                "the box lies outside the photo of {width} x {height}"
            );
            vec![inside]
        }
        (None, Role::Reference) => Grid::default().regions(size),
        (None, _) => vec![BBox::new(0.0, 0.0, width, height)],
    };
    let areas: Vec<[f64; 4]> = match &mask {
        Some(mask) => vec![mask.area()],
        None => regions.into_iter().map(|r| fractions(r, size)).collect(),
    };
    for area in &areas {
        check_part(*area, size)?;
    }
    let parts: Vec<_> = areas.iter().map(|area| (*area, mask.as_ref())).collect();
    let embeddings = cutter.embed_samples(&parts, embedder)?;
    let stored = desk.store.put(&bytes)?;
    Ok(areas
        .iter()
        .zip(embeddings)
        .map(|(area, embedding)| NewSample {
            photo_sha256: stored.digest.to_string(),
            area: *area,
            mask: mask.clone(),
            embedding: Some((embedder_id(embedder), embedding)),
            ..template.clone()
        })
        .collect())
}

/// The boxes of a class in a labelled set, spread over its photos.
fn labelled(desk: &Desk, args: &Args, name: &str, class: &str) -> anyhow::Result<Vec<Piece>> {
    let limits = &desk.config.limits;
    let size_of = |path: &Path| {
        let bytes = read_file(path, limits).ok()?;
        Some(Photo::open(&bytes, limits).ok()?.upright_size())
    };
    let mut set = dataset::open(Open {
        name,
        photos: None,
        split: args.split.as_deref(),
        data: args.dataset_data.as_deref(),
        size_of: &size_of,
    })
    // a set's own words name the option of `bench`; here --data is the bank's folder
    .map_err(|e| {
        anyhow!(
            "{}",
            format!("{e:#}").replace("with --data", "with --dataset-data")
        )
    })?;
    dataset::check_labels(&mut set.truth);
    let classes = &set.truth.classes;
    let id = classes
        .iter()
        .find(|c| c.name == class)
        .with_context(|| {
            let names: Vec<&str> = classes.iter().map(|c| c.name.as_str()).collect();
            format!(
                "{name} has no class {class:?}; it has: {}",
                names.join(", ")
            )
        })?
        .id;
    let photos = set.truth.photos_by_id();
    let boxes: Vec<_> = set
        .truth
        .boxes
        .iter()
        .filter(|b| b.class == id && !b.crowd)
        .collect();
    let taken = args.limit.min(boxes.len());
    let spread = (0..taken).map(|i| boxes[i * boxes.len() / taken.max(1)]);
    Ok(spread
        .filter_map(|b| {
            let photo = photos.get(&b.photo)?;
            let bbox = BBox::from_xywh(b.bbox.map(|v| v as f32));
            Some((set.photos_dir.join(&photo.file), Some(bbox)))
        })
        .collect())
}
