//! The strip below a picture: the candidates with their reasons, and the footer.
//!
//! Laid out before the canvas exists, since its height decides the canvas's.

use image::{Rgb, RgbImage};

use super::font;
use super::options::AnnotateOptions;
use super::paint::{fill, ring};
use super::palette::{INK, MUTED_INK, PAPER, RULE, look};
use super::place::Area;
use super::words::{
    candidate_count, class_name, pending, severity_name, undetermined_count, words,
};
use crate::hazard::{Answer, Lang, Severity};
use crate::record::{AnswerRecord, CandidateRecord, PhotoRecord};

/// Space left and right of a plate's text, em.
pub(super) const PLATE_PAD: f32 = 0.35;

/// Gap between neighbours on a line, em.
const GAP: f32 = 0.6;

/// A reason longer than this is told in full by the report only.
const MAX_LINES: usize = 4;

#[derive(Debug)]
enum Op {
    Fill(Area, Rgb<u8>),
    Edge(Area, Rgb<u8>),
    Text((i32, i32), Rgb<u8>, String),
}

/// A strip that knows its height and how to draw itself.
#[derive(Debug)]
pub(super) struct Strip {
    pub(super) height_px: u32,
    em_px: f32,
    ops: Vec<Op>,
}

impl Strip {
    /// Draws the strip with its top edge at `top`, over the whole width.
    pub(super) fn draw(&self, canvas: &mut RgbImage, top: i32) {
        let ground = Area::new(0, top, canvas.width() as i32, self.height_px as i32);
        fill(canvas, ground, PAPER);
        let moved = |area: &Area| Area {
            y: area.y + top,
            ..*area
        };
        let edge_px = (self.em_px / 12.0).round().max(1.0) as i32;
        for op in &self.ops {
            match op {
                Op::Fill(area, color) => fill(canvas, moved(area), *color),
                Op::Edge(area, color) => ring(canvas, moved(area), edge_px, *color),
                Op::Text((x, y), color, text) => {
                    font::draw(canvas, *color, (*x, y + top), self.em_px, text);
                }
            }
        }
    }
}

/// Lays the strip out for a canvas of `width_px`; the list of candidates ends at
/// `max_legend_px` and says how many it left out.
pub(super) fn lay_out(
    record: &PhotoRecord,
    options: &AnnotateOptions<'_>,
    width_px: u32,
    em_px: f32,
    max_legend_px: i32,
) -> Strip {
    let mut sheet = Sheet::new(width_px as i32, em_px);
    if options.legend {
        let mut one = Sheet::new(width_px as i32, em_px);
        one.legend(record, options.lang, max_legend_px);
        let mut two = Sheet::new(width_px as i32 / 2, em_px);
        two.legend(record, options.lang, 2 * max_legend_px);
        two.fold();
        let much_shorter = two.y * 10 <= one.y * 7;
        let two_is_better = two.left_out < one.left_out || much_shorter;
        sheet = if two_is_better { two } else { one };
        sheet.width = width_px as i32;
    }
    if options.footer {
        sheet.footer(record, options);
    }
    sheet.finish()
}

/// Candidates of one kind that share their reason: `(reason, numbers from 0)`.
type Row<'a> = (&'a str, Vec<usize>);

/// Candidates of one kind, in the order of the best of each.
fn groups(candidates: &[CandidateRecord]) -> Vec<((&str, Severity), Vec<Row<'_>>)> {
    let mut groups: Vec<((&str, Severity), Vec<Row<'_>>)> = Vec::new();
    for (index, c) in candidates.iter().enumerate() {
        let key = (c.code.as_str(), c.severity);
        let at = groups.iter().position(|(k, _)| *k == key);
        let at = at.unwrap_or_else(|| {
            groups.push((key, Vec::new()));
            groups.len() - 1
        });
        let rows = &mut groups[at].1;
        match rows.iter_mut().find(|(text, _)| *text == c.why.text) {
            Some((_, numbers)) => numbers.push(index),
            None => rows.push((&c.why.text, vec![index])),
        }
    }
    groups
}

struct Sheet {
    width: i32,
    em: f32,
    pad: i32,
    line: i32,
    x: i32,
    y: i32,
    ops: Vec<Op>,
    /// Where the rows of the legend begin.
    rows: Vec<i32>,
    /// Candidates that the legend had no room for.
    left_out: usize,
}

impl Sheet {
    fn new(width: i32, em: f32) -> Self {
        let pad = (em * 0.8).round() as i32;
        Self {
            width,
            em,
            pad,
            line: (em * font::LINE).ceil() as i32,
            x: pad,
            y: 0,
            ops: Vec::new(),
            rows: Vec::new(),
            left_out: 0,
        }
    }

    /// Moves the lower half of the rows into a second column on the right.
    fn fold(&mut self) {
        let middle = self.y / 2;
        let Some(&cut) = self.rows.iter().find(|&&y| y >= middle) else {
            return;
        };
        let (dx, dy) = (self.width, self.rows.first().map_or(0, |first| cut - first));
        for op in &mut self.ops {
            match op {
                Op::Fill(Area { x, y, .. }, _)
                | Op::Edge(Area { x, y, .. }, _)
                | Op::Text((x, y), ..)
                    if *y >= cut =>
                {
                    *x += dx;
                    *y -= dy;
                }
                _ => {}
            }
        }
        self.y = cut.max(self.y - dy);
    }

    fn em(&self, n: f32) -> i32 {
        (self.em * n).round() as i32
    }

    fn room(&self) -> i32 {
        self.width - self.pad - self.x
    }

    fn new_line(&mut self, indent: i32) {
        self.x = self.pad + indent;
        self.y += self.line;
    }

    /// A word on the current line; what does not fit is cut.
    fn word(&mut self, text: &str, color: Rgb<u8>) {
        let text = font::fit(&font::clean(text), self.em, self.room() as f32);
        let width = font::width_px(&text, self.em).ceil() as i32;
        self.ops.push(Op::Text((self.x, self.y), color, text));
        self.x += width + self.em(GAP);
    }

    /// A plate with text, on a new line when the current one is full.
    fn plate(&mut self, text: &str, severity: Severity, indent: i32) {
        let look = look(severity);
        let text = font::clean(text);
        let inner = font::width_px(&text, self.em).ceil() as i32;
        let width = inner + 2 * self.em(PLATE_PAD);
        if width > self.room() && self.x > self.pad + indent {
            self.new_line(indent);
        }
        let width = width.min(self.room());
        let inset = (self.line / 14).max(1);
        let area = Area::new(self.x, self.y + inset, width, self.line - 2 * inset);
        self.ops.push(Op::Fill(area, look.plate));
        self.ops.push(Op::Edge(area, look.edge));
        let text = font::fit(&text, self.em, (width - 2 * self.em(PLATE_PAD)) as f32);
        let at = (self.x + self.em(PLATE_PAD), self.y);
        self.ops.push(Op::Text(at, look.text, text));
        self.x += width + self.em(GAP / 2.0);
    }

    /// Wrapped text that goes on below itself, cut after [`MAX_LINES`]; what follows stands
    /// after its last line.
    fn paragraph(&mut self, text: &str, color: Rgb<u8>) {
        let (indent, room) = (self.x - self.pad, self.room() as f32);
        let mut width = 0;
        let mut lines = font::wrap(text, self.em, room);
        if lines.len() > MAX_LINES {
            let rest = lines.split_off(MAX_LINES - 1).concat();
            lines.push(font::fit(&rest, self.em, room));
        }
        for (i, line) in lines.into_iter().enumerate() {
            if i > 0 {
                self.new_line(indent);
            }
            width = font::width_px(&line, self.em).ceil() as i32 + self.em(GAP);
            self.ops.push(Op::Text((self.x, self.y), color, line));
        }
        self.x += width;
    }

    fn legend(&mut self, record: &PhotoRecord, lang: Lang, max_px: i32) {
        self.y += self.em(0.5);
        if record.candidates.is_empty() {
            self.paragraph(words(lang).nothing_seen, INK);
            self.new_line(0);
        }
        let mut left = record.candidates.len();
        'all: for ((code, severity), rows) in groups(&record.candidates) {
            let (gap, total) = (self.em(0.25), rows.iter().map(|r| r.1.len()).sum());
            let name = rows
                .first()
                .and_then(|r| r.1.first())
                .map_or("", |&i| record.candidates[i].name.get(lang));
            if self.y + 2 * self.line > max_px {
                break;
            }
            self.rows.push(self.y);
            self.plate(code, severity, 0);
            self.x += self.em(GAP / 2.0);
            let indent = self.x - self.pad;
            self.paragraph(name, INK);
            let aside = format!(
                "{} · {}",
                severity_name(severity, lang),
                candidate_count(total, lang)
            );
            if font::width_px(&aside, self.em) > self.room() as f32 {
                self.new_line(indent);
            }
            self.word(&aside, MUTED_INK);
            self.new_line(0);
            for (text, numbers) in rows {
                if self.y + self.line > max_px {
                    break 'all;
                }
                self.rows.push(self.y);
                left -= self.row(text, &numbers, &record.candidates, max_px);
            }
            self.y += gap;
        }
        self.left_out = left;
        if left > 0 {
            self.rows.push(self.y);
            let more = format!("… {left} {}", words(lang).more_in_report);
            self.word(&more, MUTED_INK);
            self.new_line(0);
        }
        self.y += self.em(0.25);
    }

    /// Number and score of each candidate, then the reason they share; how many it took.
    fn row(
        &mut self,
        text: &str,
        numbers: &[usize],
        candidates: &[CandidateRecord],
        max_px: i32,
    ) -> usize {
        let mut taken = 0;
        for &i in numbers {
            let c = &candidates[i];
            // number and score stay together on a line
            if self.room() < self.em(5.0) {
                self.new_line(0);
            }
            if self.y + self.line > max_px {
                break;
            }
            self.plate(&(i + 1).to_string(), c.severity, 0);
            self.word(&format!("{:.2}", c.score), MUTED_INK);
            taken += 1;
        }
        if self.x > self.pad + self.width * 2 / 5 {
            self.new_line(0);
        }
        self.paragraph(text, INK);
        self.new_line(0);
        taken
    }

    fn footer(&mut self, record: &PhotoRecord, options: &AnnotateOptions<'_>) {
        let lang = options.lang;
        let hairline = (self.line / 20).max(1);
        self.ops
            .push(Op::Fill(Area::new(0, self.y, self.width, hairline), RULE));
        self.y += self.em(0.4);
        let mut parts = vec![pending(record.candidates.len(), lang)];
        let objects = object_counts(record, lang);
        if !objects.is_empty() {
            parts.push(objects);
        }
        let undetermined = |a: &&AnswerRecord| a.answer == Answer::CannotDetermine;
        let n = record.answers.iter().filter(undetermined).count();
        if n > 0 {
            parts.push(undetermined_count(n, record.answers.len(), lang));
        }
        self.paragraph(&parts.join(" · "), INK);
        self.new_line(0);
        if !options.signature.is_empty() {
            self.paragraph(options.signature, MUTED_INK);
            self.new_line(0);
        }
        self.y += self.em(0.3);
    }

    fn finish(self) -> Strip {
        Strip {
            height_px: self.y.max(0) as u32,
            em_px: self.em,
            ops: self.ops,
        }
    }
}

/// `helmet 9, head 3`, most frequent first.
pub(super) fn object_counts(record: &PhotoRecord, lang: Lang) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for d in &record.detections {
        match counts.iter_mut().find(|(label, _)| *label == d.label) {
            Some((_, n)) => *n += 1,
            None => counts.push((&d.label, 1)),
        }
    }
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let parts: Vec<String> = counts
        .iter()
        .map(|(label, n)| format!("{} {n}", class_name(label, lang)))
        .collect();
    parts.join(match lang {
        Lang::En => ", ",
        Lang::Zh => "、",
    })
}
