//! What a scan writes while it runs: standard output, the report, the progress bar, the counts.

use std::io::{BufWriter, IsTerminal, Write};

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};

use super::report::Report;
use super::{Args, Done, FailOn, Format, photos};
use crate::cli::{eprintln_line, exit, is_broken_pipe, table};
use crate::hazard::{Answer, Lang, Severity};
use crate::pipeline::photo::PhotoPipeline;
use crate::record::{BankRecord, ScanDocument};
use crate::render::{KindName, severity_name};
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
    /// The kinds that a photo can settle, or that were asked for by code; whether one did.
    judged: Vec<(String, bool)>,
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
        bank: Option<BankRecord>,
    ) -> anyhow::Result<Self> {
        let mut document = pipeline.document();
        document.settings.bank = bank;
        let report = args
            .report
            .as_ref()
            .map(|path| Report::new(path, args, pipeline, rules, &document))
            .transpose()?;
        let progress = if many && std::io::stderr().is_terminal() {
            let total = photos(args).count() as u64;
            let template = match pipeline.settings().lang {
                Lang::En => "{bar:30} {pos}/{len} photos, {eta} left",
                Lang::Zh => "{bar:30} {pos}/{len} 张照片，剩余 {eta}",
            };
            ProgressBar::new(total).with_style(ProgressStyle::with_template(template)?)
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
            judged: rules
                .kinds()
                .iter()
                .filter(|kind| rules.only().is_some() || !kind.rules.is_empty())
                .map(|kind| (kind.code.clone(), false))
                .collect(),
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
                &done.samples,
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
        if let Some(problem) = &done.unasked {
            self.not_written(problem);
        }
        self.photos += 1;
        self.unreadable += usize::from(done.record.error.is_some());
        for a in &done.record.answers {
            if let Some((_, judged)) = self.judged.iter_mut().find(|(code, _)| *code == a.code) {
                *judged |= a.answer != Answer::CannotDetermine;
            }
        }
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
                let open: Vec<&str> = done
                    .record
                    .answers
                    .iter()
                    .filter(|a| a.answer == Answer::CannotDetermine)
                    .map(|a| a.code.as_str())
                    .filter(|code| self.judged.iter().any(|(judged, _)| judged == code))
                    .collect();
                let text = photo_rows(&done, &open, self.lang, self.width);
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
            return Err(e.context("cannot write to standard output; make room where it goes, or see whether its reader still runs"));
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
        let (photos, unreadable) = (self.photos, self.unreadable);
        let total: usize = self.by_kind.iter().map(|(.., n)| n).sum();
        let mut text = match self.lang {
            Lang::En => format!(
                "{}, {} for a person to decide, {unreadable} not readable\n",
                table::count(photos, "photo"),
                table::count(total, "candidate"),
            ),
            Lang::Zh => {
                format!("共{photos}张照片，{total}处候选隐患待人工确认，{unreadable}张无法读取\n")
            }
        };
        // alarms first
        self.by_kind
            .sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.code.cmp(&b.0.code)));
        for (kind, severity, count) in &self.by_kind {
            text += &format!(
                "  {count:>5} x {}  {}  {}\n",
                kind.code,
                table::pad(severity_name(*severity, self.lang), 8),
                table::plain(kind.name.get(self.lang))
            );
        }
        let never: Vec<&str> = self
            .judged
            .iter()
            .filter(|(_, judged)| !judged)
            .map(|(code, _)| code.as_str())
            .collect();
        if photos > unreadable && !never.is_empty() {
            let codes = never.join(", ");
            text += &match self.lang {
                Lang::En => format!("  could not be judged in any photo: {codes}\n"),
                Lang::Zh => format!("  所有照片均无法判定：{codes}\n"),
            };
        }
        if photos > unreadable {
            text += match self.lang {
                Lang::En => {
                    "  \"no candidate\" is no proof that all is in order; reasons: --report FILE.html or --format json\n"
                }
                Lang::Zh => {
                    "  “无候选隐患”不代表没有问题；各项理由见 --report 文件.html 或 --format json\n"
                }
            };
        }
        text
    }
}

/// One photo's rows: its path, then a row and a reason for each candidate, then what is `open`.
fn photo_rows(done: &Done, open: &[&str], lang: Lang, width: usize) -> String {
    let record = &done.record;
    let en = lang == Lang::En;
    let mut text = table::plain(&record.path);
    if let (Some(w), Some(h)) = (record.width, record.height) {
        text += &format!("  {w} x {h}");
    }
    if let Some(error) = &record.error {
        text += "\n";
        let what = if en { "NOT READ" } else { "未能读取" };
        for line in table::wrap(&format!("{what}: {}", table::plain(error)), width - 4) {
            text += &format!("    {line}\n");
        }
        return text;
    }
    text += &match (record.candidates.len(), en) {
        (0, true) => "  no candidate\n".to_owned(),
        (0, false) => "  无候选隐患\n".to_owned(),
        (n, true) => format!("  {}\n", table::count(n, "candidate")),
        (n, false) => format!("  {n}处候选隐患\n"),
    };
    if let Some(note) = &record.note {
        for line in table::wrap(note, width - 2) {
            text += &format!("  {line}\n");
        }
    }
    for c in &record.candidates {
        let [x, y, w, h] = c.bbox.map(|v| v.round() as i64);
        let at = if en { "at" } else { "位置" };
        text += &format!(
            "  {}  {}  {:.2}  {}  {at} {x},{y} ({w} x {h})\n",
            table::pad(&c.code, 6),
            table::pad(severity_name(c.severity, lang), 7),
            c.score,
            table::plain(c.name.get(lang)),
        );
        for line in table::wrap(&table::plain(&c.why.text), width - 10) {
            text += &format!("          {line}\n");
        }
    }
    for c in &record.suppressed {
        let what = if en { "suppressed" } else { "已抑制" };
        let line = format!("{what}: {} {}", c.code, table::plain(&c.why.text));
        for line in table::wrap(&line, width - 4) {
            text += &format!("    {line}\n");
        }
    }
    if !open.is_empty() {
        let what = if en { "not judged" } else { "无法判定" };
        for line in table::wrap(&format!("{what}: {}", open.join(", ")), width - 4) {
            text += &format!("    {line}\n");
        }
    }
    text
}
