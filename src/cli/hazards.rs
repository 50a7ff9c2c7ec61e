//! `sitewarden hazards`: the catalogue.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;

use super::{exit, table};
use crate::config::Config;
use crate::hazard::Lang;
use crate::rules::Catalogue;

/// Lists the hazard kinds that are looked for.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Language
    #[arg(long, value_enum)]
    lang: Option<Lang>,
    /// Configuration file [default: sitewarden.toml in the current folder, if there]
    #[arg(long, value_name = "FILE", env = "SITEWARDEN_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// The built-in catalogue file itself: copy entries from it to extend or override them
    Toml,
}

pub(super) fn run(args: Args) -> anyhow::Result<u8> {
    let mut out = std::io::stdout().lock();
    if args.format == Format::Toml {
        out.write_all(Catalogue::builtin_toml().as_bytes())?;
        return Ok(exit::OK);
    }
    let config = Config::load(args.config.as_deref())?;
    let catalogue = catalogue(&config)?;
    let lang = args.lang.unwrap_or(config.scan.lang);
    for kind in catalogue.kinds() {
        // what a photo alone can lead to
        let on_photos = match kind.rules.first() {
            Some(rule) => rule.primitive(),
            None => "cannot_determine",
        };
        writeln!(
            out,
            "{}  {}  {}  {}",
            table::pad(&kind.code, 6),
            table::pad(super::severity_name(kind.severity), 7),
            table::pad(on_photos, 16),
            kind.name.get(lang)
        )?;
    }
    writeln!(
        out,
        "{} kinds, version {}, sha256 {}",
        catalogue.kinds().len(),
        catalogue.version(),
        catalogue.digest()
    )?;
    Ok(exit::OK)
}

/// The built-in catalogue with the configured file laid over it.
pub(super) fn catalogue(config: &Config) -> anyhow::Result<Catalogue> {
    match &config.hazards.catalogue {
        Some(path) => overlaid(path),
        None => Ok(Catalogue::builtin()),
    }
}

/// The built-in catalogue with this file laid over it.
pub(super) fn overlaid(path: &Path) -> anyhow::Result<Catalogue> {
    let load = || -> anyhow::Result<Catalogue> {
        let text = std::fs::read_to_string(path)
            .context("check hazards.catalogue: the file must be there, readable, text in UTF-8")?;
        let overlay = Catalogue::parse(&text)?;
        Ok(Catalogue::builtin().merged_with(&overlay)?)
    };
    load().with_context(|| format!("the hazard catalogue {} is refused", path.display()))
}
