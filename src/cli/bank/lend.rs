//! `sitewarden bank export` and `import`: one office lends its bank to another.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use super::Desk;
use crate::bank::portable::{self, Head, Line, PortableError, Writer};
use crate::cli::files::write_with;
use crate::cli::{exit, table};
use crate::embedding::Embedding;
use crate::evidence::Digest;
use crate::jobs::samples::embedder_id;
use crate::ledger::bank::{self as rows, NewSample};

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
    let office = args.office.trim();
    ensure!(
        !office.is_empty() && !office.contains('/'),
        "name the office, without a slash"
    );
    let key = read_key(&args.key)?;
    let embedder = desk.known_embedder().await?;
    let bank = desk.bank(&embedder, None).await?;
    let head = Head::new(
        office.to_owned(),
        bank.version(),
        embedder,
        !args.no_pictures,
    );
    let mut samples: Vec<_> = bank.samples().collect();
    samples.sort_by_key(|(sample, _)| sample.id);
    let mut written = BTreeSet::new();
    let mut missing = 0;
    let mut failed: Option<PortableError> = None;
    write_with(&args.file, |out| {
        let done = (|| {
            let mut writer = Writer::new(out, &key, &head)?;
            for (sample, row) in &samples {
                let digest = sample.photo_sha256.parse::<Digest>();
                if !args.no_pictures && written.insert(&sample.photo_sha256) {
                    match digest.ok().and_then(|d| desk.store.read(&d).ok()) {
                        Some(bytes) => writer.picture(&sample.photo_sha256, &bytes)?,
                        None => missing += 1,
                    }
                }
                let embedding = Embedding::new(row.to_vec()).map_err(std::io::Error::other)?;
                writer.sample(sample, &embedding)?;
            }
            writer.finish().map(drop)
        })();
        match done {
            Err(PortableError::Io(e)) => Err(e),
            Err(e) => {
                failed = Some(e);
                Err(std::io::Error::other("not signed"))
            }
            Ok(()) => Ok(()),
        }
    })
    .map_err(|e| failed.map_or_else(|| e.into(), anyhow::Error::from))
    .with_context(|| format!("cannot write {}", args.file.display()))?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} of version {} written to {}",
        table::count(samples.len(), "sample"),
        bank.version(),
        args.file.display()
    )?;
    if missing > 0 {
        writeln!(
            out,
            "{} not here: their samples go with embeddings only",
            table::count(missing, "photo")
        )?;
        return Ok(exit::INCOMPLETE);
    }
    Ok(exit::OK)
}

pub(super) async fn import(desk: &Desk, args: ImportArgs) -> anyhow::Result<u8> {
    let key = read_key(&args.key)?;
    let what = || format!("cannot import {}", args.file.display());
    let file = File::open(&args.file).with_context(what)?;
    let mut input = BufReader::with_capacity(1 << 20, file);
    let lines = portable::verify(&mut input, &key).with_context(what)?;
    input.rewind().with_context(what)?;
    let mut kept = BTreeSet::new();
    let mut new = Vec::new();
    let head = portable::read(&mut input, lines, |head, line| -> anyhow::Result<()> {
        match line {
            Line::Picture { sha256, data } => {
                let actual = Digest::of(&data).to_string();
                if actual != sha256 {
                    bail!("a photo in it is not the one that its name says ({sha256})");
                }
                desk.store.put(&data)?;
                kept.insert(sha256);
            }
            Line::Sample { sample, embedding } => {
                let mut place = sample.place;
                // sites of two offices are two sites, whatever they are called
                place.site = format!("{}/{}", head.office, place.site);
                new.push(NewSample {
                    role: sample.role,
                    hazard: sample.hazard,
                    scope: sample.scope,
                    place,
                    photo_kept: kept.contains(&sample.photo_sha256),
                    photo_sha256: sample.photo_sha256,
                    area: sample.area,
                    mask: sample.mask,
                    origin: format!("import:{}", head.office),
                    finding_id: None,
                    embedding: Some((head.embedder.clone(), embedding)),
                });
            }
        }
        Ok(())
    })
    .with_context(what)?;
    ensure!(!new.is_empty(), "{} holds no samples", args.file.display());
    let known = match desk.embedder() {
        Ok(embedder) => Some(embedder_id(&*embedder)),
        // what is lent may be of an embedder that is not here
        Err(_) => None,
    };
    if let Some(known) = known.filter(|k| k.version == head.embedder.version && *k != head.embedder)
    {
        bail!(
            "cannot import {}: its embeddings have {} values, those of {} have {}: whoever lent it did not make it \
             with that embedder; ask for another file",
            args.file.display(),
            head.embedder.dimensions,
            table::plain(&known.version),
            known.dimensions
        );
    }
    let mut tx = desk.ledger.begin(&desk.actor).await?;
    let change = rows::add(&mut tx, &new).await.with_context(what)?;
    tx.commit().await?;
    writeln!(
        std::io::stdout(),
        "from {}, version {} of its bank, by {}",
        table::plain(&head.office),
        head.version,
        table::plain(&head.embedder.version)
    )?;
    desk.say(&change)
}
