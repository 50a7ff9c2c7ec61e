//! `sitewarden bank list`: the samples, and their pictures.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;

use super::Desk;
use crate::bank::Sample;
use crate::cli::{eprintln_line, exit, hazards, table};
use crate::evidence::Digest;
use crate::finding::Actor;
use crate::hazard::Lang;
use crate::ledger::Page;
use crate::ledger::bank::{self as rows, SampleFilter, SampleRow};
use crate::pipeline::bank::Cutter;
use crate::rules::Catalogue;

/// Lists the samples, newest first
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Of this kind only
    #[arg(long, value_name = "CODE")]
    hazard: Option<String>,
    /// Of this site only
    #[arg(long)]
    site: Option<String>,
    /// Also writes what each sample shows into this folder, as ID.jpg
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
    /// Language of the names of the kinds
    #[arg(long, value_enum)]
    lang: Option<Lang>,
    /// JSON Lines instead of a table
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(desk: &Desk, args: Args) -> anyhow::Result<u8> {
    let filter = SampleFilter {
        hazard: args.hazard.map(|code| code.trim().to_uppercase()),
        site: args.site,
        ..SampleFilter::default()
    };
    let catalogue = hazards::catalogue(&desk.config)?;
    let lang = args.lang.unwrap_or(desk.config.scan.lang);
    let mut pictures = args.pictures.map(Pictures::new).transpose()?;
    let mut db = desk.ledger.read().await?;
    let version = rows::version(&mut db).await?;
    let mut out = std::io::stdout().lock();
    let mut page = Page {
        limit: 200,
        cursor: None,
    };
    let mut n = 0;
    loop {
        let part = rows::list(&mut db, &filter, &page).await?;
        n += part.items.len();
        for row in part.items {
            if args.json {
                serde_json::to_writer(&mut out, &row)?;
                writeln!(out)?;
            } else {
                writeln!(out, "{}", line(&row, &catalogue, lang))?;
            }
            if let Some(pictures) = &mut pictures {
                pictures.write(desk, &row.sample)?;
            }
        }
        match part.next {
            Some(next) => page.cursor = Some(next),
            None => break,
        }
    }
    if !args.json {
        writeln!(out, "{} at version {version}", table::count(n, "sample"))?;
    }
    let unknown = |code: &&String| catalogue.kinds().iter().all(|kind| kind.code != **code);
    if let Some(code) = filter.hazard.as_ref().filter(|_| n == 0).filter(unknown) {
        eprintln_line(&format!(
            "sitewarden: the catalogue has no {}; see `sitewarden hazards`",
            table::plain(code)
        ));
    }
    Ok(pictures.map_or(exit::OK, Pictures::done))
}

fn by(actor: &Actor) -> String {
    match actor {
        Actor::Machine => "machine".to_owned(),
        Actor::Person(name) => name.clone(),
    }
}

fn line(row: &SampleRow, catalogue: &Catalogue, lang: Lang) -> String {
    let s = &row.sample;
    let code = s.hazard.as_deref();
    let kind = code.and_then(|code| catalogue.kinds().iter().find(|kind| kind.code == code));
    let name = match (code, kind) {
        (None, _) => "",
        (_, Some(kind)) => kind.name.get(lang),
        (_, None) => "(not in the catalogue)",
    };
    let place = match (s.place.site.as_str(), s.place.camera.as_str()) {
        ("", "") => "(no site)".to_owned(),
        (site, "") => site.to_owned(),
        (site, camera) => format!("{site} / {camera}"),
    };
    let part = if s.area == [0.0, 0.0, 1.0, 1.0] {
        "whole".to_owned()
    } else {
        s.area.map(|v| format!("{v:.2}")).join(",")
    };
    let photo = if row.photo_kept {
        ""
    } else {
        " (embedding only)"
    };
    let cells = [
        table::pad(s.role.as_str(), 9),
        table::pad(code.unwrap_or("all"), 6),
        table::pad(name, 24),
        table::pad(s.scope.as_str(), 10),
        table::plain(&place),
        format!("{} {part}{photo}", &s.photo_sha256[..12]),
        table::plain(&row.origin),
        table::plain(&by(&row.added_by)),
        row.added_at.strftime("%Y-%m-%d").to_string(),
    ];
    format!("{}  {}", s.id, cells.join("  "))
}

/// Writes the changes of the bank, newest first.
pub(super) async fn log(desk: &Desk, n: u32, json: bool) -> anyhow::Result<u8> {
    let mut db = desk.ledger.read().await?;
    let mut page = Page {
        limit: n.min(200),
        cursor: None,
    };
    let mut left = n as usize;
    let mut out = std::io::stdout().lock();
    while left > 0 {
        let part = rows::history(&mut db, &page).await?;
        for change in part.items.iter().take(left) {
            if json {
                serde_json::to_writer(&mut out, change)?;
                writeln!(out)?;
                continue;
            }
            let what = match change.undoes {
                Some(version) => format!("undo of {version}"),
                None => change.kind.clone(),
            };
            let undone = change.undone_by.map(|by| format!("  undone by {by}"));
            writeln!(
                out,
                "{:>5}  {}  {}  +{} -{}  {}{}",
                change.version,
                change.at.strftime("%Y-%m-%d %H:%M:%SZ"),
                table::pad(&what, 12),
                change.added,
                change.removed,
                table::plain(&by(&change.by)),
                undone.unwrap_or_default()
            )?;
        }
        left = left.saturating_sub(part.items.len());
        match part.next {
            Some(next) => page.cursor = Some(next),
            None => break,
        }
    }
    Ok(exit::OK)
}

/// A folder for what samples show.
pub(super) struct Pictures {
    folder: PathBuf,
    missing: usize,
}

/// Longer side of a sample's picture at most, pixels.
const SIDE: u32 = 512;

impl Pictures {
    pub(super) fn new(folder: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(Self { folder, missing: 0 })
    }

    /// Cuts a sample out of its photo, if that is here.
    pub(super) fn write(&mut self, desk: &Desk, sample: &Sample) -> anyhow::Result<()> {
        let digest = sample.photo_sha256.parse::<Digest>().ok();
        let Some(bytes) = digest.and_then(|digest| desk.store.read(&digest).ok()) else {
            self.missing += 1;
            return Ok(());
        };
        let cut = Cutter::new(&bytes, &desk.config.limits)
            .and_then(|cutter| cutter.shown(sample.area, sample.mask.as_ref(), SIDE));
        match cut {
            Ok(shown) => {
                let path = self.folder.join(format!("{}.jpg", sample.id));
                std::fs::write(&path, shown)
                    .with_context(|| format!("cannot write {}", path.display()))
            }
            Err(e) => {
                self.missing += 1;
                eprintln_line(&format!("sitewarden: sample {}: {e}", sample.id));
                Ok(())
            }
        }
    }

    /// Says what is missing; the exit code.
    pub(super) fn done(self) -> u8 {
        if self.missing == 0 {
            return exit::OK;
        }
        eprintln_line(&format!(
            "sitewarden: {} without a photo here (lent without pictures, or lost: `sitewarden ledger check` tells)",
            table::count(self.missing, "sample")
        ));
        exit::INCOMPLETE
    }
}
