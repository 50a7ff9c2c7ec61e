//! What `watch` writes.

use std::io::Write;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{severity_name, table};
use crate::hazard::Lang;
use crate::pipeline::camera::Told;
use crate::pipeline::clip::{EventKind, FindingEvent, KindAnswer};
use crate::pipeline::evidence::Written;
use crate::source::camera::{Address, Place, Status};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    /// A line for each event (schema: `sitewarden schema watch`)
    Jsonl,
}

/// One line of output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "sitewarden watch")]
pub(in crate::cli) struct Line {
    /// The source as given, without user name, password and query.
    path: String,
    /// Wall time of the event (RFC 3339, UTC), for live sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(flatten)]
    what: What,
}

/// What a line is about, told by `event`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum What {
    Finding(FindingEvent),
    Evidence {
        event: Evidence,
        #[serde(flatten)]
        written: Written,
    },
    Source {
        event: Source,
        #[serde(flatten)]
        status: Status,
    },
    Summary {
        event: Summary,
        /// Of each kind of hazard that single frames can judge, for all that was watched.
        answers: Vec<KindAnswer>,
    },
}

/// The files of a finding are written.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Evidence {
    Evidence,
}

/// A live source is in another state.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Source {
    Source,
}

/// A video file was watched to its end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Summary {
    Summary,
}

pub(super) struct Output {
    format: Format,
    lang: Lang,
}

impl Output {
    pub(super) fn new(format: Format, lang: Lang) -> Self {
        Self { format, lang }
    }

    pub(super) fn told(&self, source: &Address, told: Told) -> anyhow::Result<()> {
        let what = match told {
            Told::Finding(event) => What::Finding(event),
            Told::Evidence(written) => What::Evidence {
                event: Evidence::Evidence,
                written,
            },
            Told::Status(status) => What::Source {
                event: Source::Source,
                status,
            },
        };
        self.print(source, what)
    }

    pub(super) fn summary(&self, source: &Address, answers: Vec<KindAnswer>) -> anyhow::Result<()> {
        let event = Summary::Summary;
        self.print(source, What::Summary { event, answers })
    }

    fn print(&self, source: &Address, what: What) -> anyhow::Result<()> {
        let line = Line {
            path: source.to_string(),
            at: (!matches!(source.place, Place::File(_)))
                .then(|| jiff::Timestamp::now().to_string()),
            what,
        };
        let text = match self.format {
            Format::Jsonl => serde_json::to_string(&line)? + "\n",
            Format::Table => self.row(&line),
        };
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        // somebody waits for it
        out.flush()?;
        Ok(())
    }

    fn row(&self, line: &Line) -> String {
        let path = table::plain(&line.path);
        match &line.what {
            What::Finding(event) => self.finding(&path, event),
            What::Evidence { written, .. } => {
                let files = [&written.picture, &written.clip];
                let files: Vec<&str> = files.into_iter().flatten().map(String::as_str).collect();
                let error = written.error.as_deref().unwrap_or_default();
                format!(
                    "{path}  #{} evidence: {} {}\n",
                    written.finding,
                    files.join(", "),
                    table::plain(error)
                )
            }
            What::Source { status, .. } => {
                let idle = if status.idle { ", key frames only" } else { "" };
                format!(
                    "{path}  {}{idle}  {}\n",
                    status.state.as_str(),
                    table::plain(&status.reason)
                )
            }
            What::Summary { answers, .. } => answers
                .iter()
                .map(|a| {
                    let (code, answer) =
                        (table::pad(&a.code, 6), table::pad(a.answer.as_str(), 16));
                    format!("{path}  {code}  {answer}  {}\n", table::plain(&a.reason))
                })
                .collect(),
        }
    }

    fn finding(&self, path: &str, e: &FindingEvent) -> String {
        let what = match e.event {
            EventKind::Opened => "opened",
            EventKind::Seen => "seen",
            EventKind::Cleared => "cleared",
            EventKind::Ended => "ended",
        };
        let zone = e
            .zone
            .as_deref()
            .map(|z| format!("  in `{}`", table::plain(z)));
        let [x, y, w, h] = e.bbox.map(|v| v.round() as i64);
        format!(
            "{path}  {:7.1} s  #{} {}  {}  {}  {}{}  {:.2}  best at {:.1} s, {x},{y} ({w} x {h})\n          {}\n",
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
