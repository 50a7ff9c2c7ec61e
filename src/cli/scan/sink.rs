//! What a scan writes while it runs: standard output, the report, the progress bar, the counts.

use std::io::{BufWriter, IsTerminal, Write};

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};

use super::report::Report;
use super::{Args, Done, FailOn, Format, photos};
use crate::cli::{eprintln_line, exit, is_broken_pipe, severity_name, table};
use crate::hazard::{Lang, Severity};
use crate::pipeline::photo::PhotoPipeline;
use crate::record::ScanDocument;
use crate::render::KindName;
use crate::rules::RuleSet;

/// Everything that is written while the scan runs.
pub(super) struct Sink<'a> {
    args: &'a Args,
    /// Until it cannot be written to.
    out: Option<BufWriter<std::io::Stdout>>,
    document: ScanDocument,
    report: Option<Report>,
    progress: ProgressBar,
    photos: usize,
    unreadable: usize,
    unwritten: usize,
    by_kind: Vec<(KindName, Severity, usize)>,
    worst: Option<Severity>,
    lang: Lang,
    /// Columns of the table.
    width: usize,
}

impl<'a> Sink<'a> {
    pub(super) fn new(
        args: &'a Args,
        pipeline: &PhotoPipeline<'_>,
        rules: &RuleSet,
        many: bool,
    ) -> anyhow::Result<Self> {
        let document = pipeline.document();
        let report = args
            .report
            .as_ref()
            .map(|path| Report::new(path, args, pipeline, rules, &document))
            .transpose()?;
        let progress = if many && std::io::stderr().is_terminal() {
            let total = photos(args).count() as u64;
            ProgressBar::new(total).with_style(ProgressStyle::with_template(
                "{bar:30} {pos}/{len} photos, {per_sec}, {eta} left",
            )?)
        } else {
            ProgressBar::hidden()
        };
        let mut out = BufWriter::new(std::io::stdout());
        if args.format == Format::Json {
            write!(
                out,
                "{{\"sitewarden\":{},\"model\":{},\"settings\":{},\"photos\":[",
                serde_json::to_string(&document.sitewarden)?,
                serde_json::to_string(&document.model)?,
                serde_json::to_string(&document.settings)?
            )?;
        }
        Ok(Self {
            args,
            out: Some(out),
            document,
            report,
            progress,
            photos: 0,
            unreadable: 0,
            unwritten: 0,
            by_kind: Vec::new(),
            worst: None,
            lang: pipeline.settings().lang,
            width: terminal_size::terminal_size_of(std::io::stdout())
                .map_or(100, |(width, _)| usize::from(width.0).clamp(60, 160)),
        })
    }

    pub(super) fn take(&mut self, done: Done) -> anyhow::Result<()> {
        if let Some(report) = &mut self.report
            && let Err(e) = report.writer.write_photo(
                &mut report.body,
                &done.record,
                done.report_picture.as_deref(),
            )
        {
            self.report = None;
            self.not_written(&format!(
                "no report: cannot write to the temporary folder {}; make room there, or set \
                 TMPDIR: {e}",
                std::env::temp_dir().display()
            ));
        }
        if let Some(Err(e)) = &done.annotated {
            self.not_written(&format!("{e:#}"));
        }
        self.photos += 1;
        self.unreadable += usize::from(done.record.error.is_some());
        for c in &done.record.candidates {
            self.worst = self.worst.max(Some(c.severity));
            match self.by_kind.iter_mut().find(|(k, ..)| k.code == c.code) {
                Some((.., count)) => *count += 1,
                None => self.by_kind.push((
                    KindName {
                        code: c.code.clone(),
                        name: c.name.clone(),
                    },
                    c.severity,
                    1,
                )),
            }
        }
        let printed = self.print(done);
        self.progress.inc(1);
        self.go_on_without_output(printed)
    }

    fn print(&mut self, done: Done) -> anyhow::Result<()> {
        let Some(out) = &mut self.out else {
            return Ok(());
        };
        match self.args.format {
            Format::Json => {
                out.write_all(if self.photos > 1 { b",\n" } else { b"\n" })?;
                serde_json::to_writer(out, &done.record)?;
            }
            Format::Jsonl => {
                self.document.photos = vec![done.record];
                serde_json::to_writer(&mut *out, &self.document)?;
                writeln!(out)?;
                // a reader at the other end of a pipe wants each line when it is ready
                out.flush()?;
            }
            Format::Table => {
                let text = photo_rows(&done, self.lang, self.width);
                self.progress.suspend(|| {
                    out.write_all(text.as_bytes())?;
                    out.flush()
                })?;
            }
        }
        Ok(())
    }

    /// What was asked for elsewhere is still made when standard output takes no more.
    fn go_on_without_output(&mut self, printed: anyhow::Result<()>) -> anyhow::Result<()> {
        let Err(e) = printed else { return Ok(()) };
        let args = self.args;
        if args.annotate.is_none() && self.report.is_none() && args.fail_on.is_none() {
            return Err(e.context("cannot write to standard output; make room where it goes"));
        }
        self.out = None;
        if !is_broken_pipe(&e) {
            self.not_written(&format!("cannot write to standard output: {e:#}"));
        }
        Ok(())
    }

    /// Says what could not be written, and counts it.
    fn not_written(&mut self, message: &str) {
        self.unwritten += 1;
        self.progress
            .suspend(|| eprintln_line(&format!("sitewarden: {message}")));
    }

    pub(super) fn finish(mut self) -> anyhow::Result<u8> {
        self.progress.finish_and_clear();
        let closed = self.close();
        self.go_on_without_output(closed)?;
        if let Some(Err(e)) = self.report.take().map(Report::finish) {
            self.not_written(&format!("{e:#}"));
        }
        if self.photos == 0 {
            bail!(
                "no photos found; name a photo or a folder that holds JPEG, PNG, WebP, BMP, TIFF, GIF or HEIC files"
            );
        }
        let found = match self.args.fail_on {
            Some(FailOn::General) => self.worst.is_some(),
            Some(FailOn::Major) => self.worst >= Some(Severity::Major),
            None => false,
        };
        Ok(if found {
            exit::FOUND
        } else if self.unreadable + self.unwritten > 0 {
            exit::INCOMPLETE
        } else {
            exit::OK
        })
    }

    /// The end of what goes to standard output.
    fn close(&mut self) -> anyhow::Result<()> {
        let end = match self.args.format {
            Format::Json => "\n]}\n".to_owned(),
            Format::Jsonl => String::new(),
            Format::Table => self.summary(),
        };
        if let Some(out) = &mut self.out {
            out.write_all(end.as_bytes())?;
            out.flush()?;
        }
        Ok(())
    }

    fn summary(&mut self) -> String {
        let total: usize = self.by_kind.iter().map(|(.., n)| n).sum();
        let mut text = format!(
            "{} photos, {} candidates for a person to decide, {} photos not readable\n",
            self.photos, total, self.unreadable
        );
        self.by_kind.sort_by(|a, b| a.0.code.cmp(&b.0.code));
        for (kind, severity, count) in &self.by_kind {
            text += &format!(
                "  {count:>5} x {}  {}  {}\n",
                kind.code,
                table::pad(severity_name(*severity), 8),
                kind.name.get(self.lang)
            );
        }
        text
    }
}

/// One photo's rows: its path, then a row and a reason for each candidate.
fn photo_rows(done: &Done, lang: Lang, width: usize) -> String {
    let record = &done.record;
    let mut text = table::plain(&record.path);
    if let (Some(w), Some(h)) = (record.width, record.height) {
        text += &format!("  {w} x {h}");
    }
    if let Some(error) = &record.error {
        text += "\n";
        for line in table::wrap(&format!("NOT READ: {}", table::plain(error)), width - 4) {
            text += &format!("    {line}\n");
        }
        return text;
    }
    text += &match record.candidates.len() {
        0 => "  no candidate\n".to_owned(),
        1 => "  1 candidate\n".to_owned(),
        n => format!("  {n} candidates\n"),
    };
    for c in &record.candidates {
        let [x, y, w, h] = c.bbox.map(|v| v.round() as i64);
        text += &format!(
            "  {}  {}  {:.2}  {}  at {x},{y} ({w} x {h})\n",
            table::pad(&c.code, 6),
            table::pad(severity_name(c.severity), 7),
            c.score,
            c.name.get(lang),
        );
        for line in table::wrap(&c.why.text, width - 10) {
            text += &format!("          {line}\n");
        }
    }
    text
}
