//! `sitewarden bank export` and `import`: one office lends its bank to another.

use std::fs::File;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Desk;
use crate::cli::files::write_with;
use crate::cli::{eprintln_line, exit, hazards, table};
use crate::jobs::lending::{self, Offer};
use crate::jobs::samples::embedder_id;

/// Writes the bank into one signed file
#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// File to write
    file: PathBuf,
    /// File that holds the key of at least 32 bytes (`openssl rand -hex 32`)
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Name of this office: the borrower's samples say where they are from
    #[arg(long, value_name = "NAME")]
    office: String,
    /// Embeddings only: the photos stay here
    #[arg(long)]
    no_pictures: bool,
}

/// Takes over the samples of a file of another office
#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// File that `export` wrote
    file: PathBuf,
    /// File that holds the key it was signed with
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

fn read_key(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut key =
        std::fs::read(path).with_context(|| format!("cannot read the key {}", path.display()))?;
    while key.last().is_some_and(u8::is_ascii_whitespace) {
        key.pop();
    }
    Ok(key)
}

pub(super) async fn export(desk: &Desk, args: ExportArgs) -> anyhow::Result<u8> {
    let key = read_key(&args.key)?;
    let office = lending::office(&args.office)?;
    let embedder = desk.known_embedder().await?;
    let bank = desk.bank(&embedder, None).await?;
    let store = (!args.no_pictures).then_some(&*desk.store);
    lending::check_key(&key)?;
    // written down first: a file that nobody knows of must not leave
    let mut tx = desk.ledger.begin(&desk.actor).await?;
    lending::note_export(&mut tx, office, &bank, store.is_some()).await?;
    tx.commit().await?;
    let mut done = None;
    write_with(&args.file, |out| {
        let exported = lending::export(out, &key, office, &bank, store);
        let failed = exported.is_err();
        done = Some(exported);
        if failed {
            return Err(std::io::Error::other("not written"));
        }
        Ok(())
    })
    .map_err(|e| match done.take() {
        Some(Err(why)) => why.into(),
        _ => anyhow::Error::from(e),
    })
    .with_context(|| format!("cannot write {}", args.file.display()))?;
    let Some(Ok(exported)) = done else {
        anyhow::bail!("cannot write {}", args.file.display());
    };
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} of version {} written to {}",
        table::count(exported.samples, "sample"),
        bank.version(),
        args.file.display()
    )?;
    if exported.without_photo > 0 {
        writeln!(
            out,
            "{} not here, or too large: their samples go with embeddings only",
            table::count(exported.without_photo, "photo")
        )?;
        return Ok(exit::INCOMPLETE);
    }
    Ok(exit::OK)
}

pub(super) async fn import(desk: &Desk, args: ImportArgs) -> anyhow::Result<u8> {
    let key = read_key(&args.key)?;
    let what = || format!("cannot import {}", args.file.display());
    let file = File::open(&args.file).with_context(what)?;
    // what is lent may be of an embedder that is not here
    let known = desk.embedder().ok().map(|embedder| embedder_id(&*embedder));
    let input = BufReader::with_capacity(1 << 20, file);
    let offer = Offer::read(
        input,
        &key,
        &desk.store,
        &desk.config.limits,
        known.as_ref(),
    )
    .with_context(what)?;
    let mut tx = desk.ledger.begin(&desk.actor).await?;
    let change = offer.take(&mut tx).await.with_context(what)?;
    tx.commit().await?;
    writeln!(
        std::io::stdout(),
        "from {}, version {} of its bank, by {}",
        table::plain(&offer.head.office),
        offer.head.version,
        table::plain(&offer.head.embedder.version)
    )?;
    let catalogue = hazards::catalogue(&desk.config)?;
    let unknown = offer.unknown_kinds(|code| catalogue.kinds().iter().any(|k| k.code == code));
    if !unknown.is_empty() {
        eprintln_line(&format!(
            "sitewarden: the catalogue here has no {}: a search finds these samples, but no photo becomes a \
             candidate by them; add the kinds to the file of hazards.catalogue",
            table::plain(&unknown.join(", "))
        ));
    }
    if let Some(known) = known.filter(|known| *known != offer.head.embedder) {
        eprintln_line(&format!(
            "sitewarden: these embeddings are of {}, the embedder here is {}: samples that came with their \
             photos are embedded again when the bank is asked, the others say nothing",
            table::plain(&offer.head.embedder.version),
            table::plain(&known.version)
        ));
    }
    desk.say(&change)
}
