//! What `watch` writes.

use std::io::Write;

use clap::ValueEnum;
use jiff::Timestamp;

use super::line::{Filed, Line, Origin, SourceState, Watched};
use crate::cli::{severity_name, table};
use crate::hazard::Lang;
use crate::pipeline::camera::Told;
use crate::pipeline::clip::{EventKind, FindingEvent, KindAnswer};
use crate::source::camera::{Address, Place};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    /// A line for each event (schema: `sitewarden schema watch`); what `sitewarden replay` takes,
    /// as far as it is about files
    Jsonl,
}

pub(super) struct Output {
    format: Format,
    lang: Lang,
    /// Kinds were asked for by their codes: each gets its row.
    asked: bool,
}

/// Local time of an event of a live source.
fn clock(from: &Origin) -> String {
    let at = from
        .at
        .as_deref()
        .and_then(|at| at.parse::<Timestamp>().ok());
    at.map_or_else(String::new, |at| {
        let local = at.to_zoned(jiff::tz::TimeZone::system());
        format!("{}  ", local.strftime("%H:%M:%S"))
    })
}

impl Output {
    pub(super) fn new(format: Format, lang: Lang, asked: bool) -> Self {
        Self {
            format,
            lang,
            asked,
        }
    }

    /// Whether a file's heading is wanted.
    pub(super) fn has_headings(&self) -> bool {
        self.format == Format::Jsonl
    }

    pub(super) fn told(&self, source: &Address, told: Told) -> anyhow::Result<()> {
        let live = !matches!(source.place, Place::File(_));
        let origin = Origin {
            path: source.to_string(),
            at: live.then(|| jiff::Timestamp::now().to_string()),
        };
        match Line::told(origin, told) {
            Some(line) => self.print(&line),
            None => Ok(()),
        }
    }

    pub(super) fn print(&self, line: &Line) -> anyhow::Result<()> {
        let text = match self.format {
            Format::Jsonl => serde_json::to_string(line)? + "\n",
            Format::Table => self.row(line),
        };
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        // somebody waits for it
        out.flush()?;
        Ok(())
    }

    fn row(&self, line: &Line) -> String {
        match line {
            Line::Watching(_) => String::new(),
            Line::Finding(turn) => {
                let path = table::plain(&turn.from.path);
                self.finding(&format!("{path}  {}", clock(&turn.from)), &turn.event)
            }
            Line::Evidence(Filed { from, written, .. }) => {
                let files = [&written.picture, &written.clip];
                let files: Vec<&str> = files.into_iter().flatten().map(String::as_str).collect();
                let error = written.error.as_deref().unwrap_or_default();
                format!(
                    "{}  #{} evidence: {} {}\n",
                    table::plain(&from.path),
                    written.finding,
                    files.join(", "),
                    table::plain(error)
                )
            }
            Line::Source(SourceState { from, status, .. }) => {
                let idle = if status.idle { ", key frames only" } else { "" };
                let counts = match status.frames {
                    0 => String::new(),
                    n => format!(
                        "  {n} frames, {} dropped, {} damaged",
                        status.dropped, status.damaged
                    ),
                };
                format!(
                    "{}  {}{}{idle}{counts}  {}\n",
                    table::plain(&from.path),
                    clock(from),
                    status.state.as_str(),
                    table::plain(&status.reason)
                )
            }
            Line::Watched(Watched { path, answers, .. }) => {
                let path = table::plain(path);
                let row = |a: &KindAnswer| {
                    let code = table::pad(&a.code, 6);
                    let answer = table::pad(a.answer.as_str(), 16);
                    format!("{path}  {code}  {answer}  {}\n", table::plain(&a.reason))
                };
                let told = |a: &&KindAnswer| a.judged || self.asked;
                let rows: String = answers.iter().filter(told).map(row).collect();
                let silent = answers.iter().filter(|a| !told(a));
                let silent: Vec<&str> = silent.map(|a| a.code.as_str()).collect();
                if silent.is_empty() {
                    return rows;
                }
                let codes = silent.join(", ");
                let text = match self.lang {
                    Lang::En => {
                        format!("not judged: {codes} (why: --hazards CODE, or --format jsonl)")
                    }
                    Lang::Zh => format!("未判断：{codes}（原因见--hazards CODE或--format jsonl）"),
                };
                format!("{rows}{path}  {text}\n")
            }
        }
    }

    fn finding(&self, path: &str, e: &FindingEvent) -> String {
        let what = match e.event {
            EventKind::Opened => "opened",
            EventKind::Seen => "seen",
            EventKind::Cleared => "cleared",
            EventKind::Ended => "ended",
            EventKind::Suppressed => "suppressed",
        };
        let zone = e
            .zone
            .as_deref()
            .map(|z| format!("  in `{}`", table::plain(z)));
        let [x, y, w, h] = e.bbox.map(|v| v.round() as i64);
        format!(
            "{path}{:7.1} s  #{} {}  {}  {}  {}{}  {:.2}  best at {:.1} s, {x},{y} ({w} x {h})\n          {}\n",
            e.time_s,
            e.finding,
            table::pad(what, 7),
            table::pad(&e.code, 6),
            table::pad(severity_name(e.severity), 7),
            e.name.get(self.lang),
            zone.unwrap_or_default(),
            e.score,
            e.best_time_s,
            table::plain(&e.reason)
        )
    }
}
