//! The one font of annotated pictures: measuring, wrapping and drawing text.
//!
//! Sizes are in pixels of the em square, as in CSS; `ab_glyph` counts from ascender to
//! descender, which in this font is 1.448 times as much.

use std::sync::LazyLock;

use ab_glyph::{Font as _, FontRef, PxScale};
use image::{Rgb, RgbImage};

/// A subset of Noto Sans CJK SC under the SIL Open Font License: `font/OFL.txt`.
const BYTES: &[u8] = include_bytes!("font/sitewarden-sans-sc.otf");

#[expect(
    clippy::expect_used,
    reason = "the font is part of the program; every test of this module reads it"
)]
static FACE: LazyLock<FontRef<'static>> =
    LazyLock::new(|| FontRef::try_from_slice(BYTES).expect("embedded font"));

/// Height of a line in em: ideographs with a little air.
pub(super) const LINE: f32 = 1.4;

/// From the top of a line to its baseline in em.
const BASELINE: f32 = 1.06;

fn units_per_em() -> f32 {
    FACE.units_per_em().unwrap_or(1000.0)
}

/// Whether the font draws this character; otherwise a crossed box stands for it.
#[cfg(test)]
pub(super) fn has_glyph(c: char) -> bool {
    FACE.glyph_id(c).0 != 0
}

fn advance(c: char, em_px: f32) -> f32 {
    FACE.h_advance_unscaled(FACE.glyph_id(c)) * em_px / units_per_em()
}

/// Width of one line of text, pixels.
pub(super) fn width_px(text: &str, em_px: f32) -> f32 {
    text.chars().map(|c| advance(c, em_px)).sum()
}

/// Draws one line; `y` is the top of the line of height [`LINE`].
pub(super) fn draw(image: &mut RgbImage, color: Rgb<u8>, (x, y): (i32, i32), em_px: f32, s: &str) {
    let scale = PxScale::from(em_px * FACE.height_unscaled() / units_per_em());
    let ascent = FACE.ascent_unscaled() * em_px / units_per_em();
    let top = y as f32 + BASELINE * em_px - ascent;
    imageproc::drawing::draw_text_mut(image, color, x, top.round() as i32, scale, &*FACE, s);
}

/// One line out of any text: no line breaks, no control or invisible characters.
pub(super) fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The text cut to a width, with an ellipsis where something is missing.
pub(super) fn fit(text: &str, em_px: f32, max_px: f32) -> String {
    if width_px(text, em_px) <= max_px {
        return text.to_owned();
    }
    let room = max_px - advance('…', em_px);
    let mut used = 0.0;
    let mut kept: String = text
        .chars()
        .take_while(|&c| {
            used += advance(c, em_px);
            used <= room
        })
        .collect();
    kept.truncate(kept.trim_end().len());
    kept.push('…');
    kept
}

/// Breaks a text into lines no wider than `max_px`: at spaces, between ideographs, and
/// inside a word only where the word alone is too wide. Closing punctuation does not
/// begin a line and opening punctuation does not end one.
pub(super) fn wrap(text: &str, em_px: f32, max_px: f32) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0.0;
    for piece in pieces(&clean(text)) {
        let visible = width_px(piece.trim_end(), em_px);
        if used + visible > max_px && !line.is_empty() {
            lines.push(take_line(&mut line));
            used = 0.0;
        }
        if visible > max_px {
            for c in piece.chars() {
                let step = advance(c, em_px);
                if used + step > max_px && !line.is_empty() {
                    lines.push(take_line(&mut line));
                    used = 0.0;
                }
                line.push(c);
                used += step;
            }
        } else {
            line.push_str(&piece);
            used += width_px(&piece, em_px);
        }
    }
    if !line.trim().is_empty() {
        lines.push(take_line(&mut line));
    }
    lines
}

fn take_line(line: &mut String) -> String {
    let taken = line.trim_end().to_owned();
    line.clear();
    taken
}

/// The smallest parts that stay together on a line, each with its trailing spaces.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut previous: Option<char> = None;
    for c in text.chars() {
        let may_break = match previous {
            None => true,
            Some(p) => c != ' ' && !closes(c) && !opens(p) && (p == ' ' || wide(p) || wide(c)),
        };
        if may_break {
            pieces.push(String::new());
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
        previous = Some(c);
    }
    pieces
}

/// Ideographs, kana and full-width forms: a line may break on either side.
fn wide(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}'
        | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3fffd}')
}

fn closes(c: char) -> bool {
    "、。，．；：！？）】》〉」』〕…—％%·～’”,.;:!?)]}".contains(c)
}

fn opens(c: char) -> bool {
    "（【《〈「『〔‘“([{".contains(c)
}
