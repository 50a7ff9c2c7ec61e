//! `sitewarden bank check`: doubles, doubtful labels, coverage, a smaller bank.

use std::io::Write;

use super::Desk;
use crate::bank::review;
use crate::cli::{exit, table};

/// Looks after the bank: doubles, doubtful labels, what is covered; changes nothing
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Samples this near to each other count as doubles, 0 to 1
    #[arg(long, value_name = "COSINE", default_value_t = 0.98)]
    double: f32,
    /// Also says which samples a bank of this size would keep, and what that costs in recall
    #[arg(long, value_name = "N")]
    coreset: Option<usize>,
    /// JSON instead of a table
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(desk: &Desk, args: Args) -> anyhow::Result<u8> {
    let embedder = desk.known_embedder().await?;
    let bank = desk.bank(&embedder, None).await?;
    let doubles = review::doubles(&bank, args.double);
    let doubts = review::doubts(&bank, review::NEIGHBOURS);
    let coverage = review::coverage(&bank);
    let coreset = args.coreset.map(|size| review::coreset(&bank, size));
    let mut out = std::io::stdout().lock();
    if args.json {
        let all = serde_json::json!({
            "bank_version": bank.version(), "embedder": embedder.version, "samples": bank.len(),
            "doubles": doubles, "doubts": doubts, "coverage": coverage, "coreset": coreset,
        });
        serde_json::to_writer_pretty(&mut out, &all)?;
        writeln!(out)?;
        return Ok(exit::OK);
    }
    for c in &coverage {
        let sites: Vec<String> = c
            .by_site
            .iter()
            .map(|(site, n)| format!("{} {n}", if site.is_empty() { "(no site)" } else { site }))
            .collect();
        writeln!(
            out,
            "{}  {} positive, {} negative, {} reference; by site: {}",
            table::pad(c.hazard.as_deref().unwrap_or("all"), 6),
            c.positives,
            c.negatives,
            c.references,
            table::plain(&sites.join(", "))
        )?;
    }
    for d in &doubles {
        let what = if d.contradict { "CONTRADICT" } else { "double" };
        writeln!(out, "{what}  {:.4}  {}  {}", d.similarity, d.a, d.b)?;
    }
    for d in &doubts {
        writeln!(
            out,
            "doubtful  {}  labelled {} {}, {} of {} neighbours are {} {}",
            d.id,
            d.hazard.as_deref().unwrap_or("no hazard:"),
            d.role.as_str(),
            d.votes,
            d.of,
            d.looks_like.as_deref().unwrap_or("no hazard:"),
            d.looks_like_role.as_str()
        )?;
    }
    if let Some(c) = &coreset {
        writeln!(
            out,
            "coreset of {}: recall {:.3} instead of {:.3} (nearest sample of another photo is of the same kind)",
            c.keep.len(),
            c.recall_after,
            c.recall_before
        )?;
    }
    writeln!(
        out,
        "{} at version {}: {}, {} doubtful",
        table::count(bank.len(), "sample"),
        bank.version(),
        table::count(doubles.len(), "double"),
        doubts.len()
    )?;
    Ok(exit::OK)
}
