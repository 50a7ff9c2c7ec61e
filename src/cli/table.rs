//! Rows for a terminal: cells padded by display width, so that Chinese lines up too.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `text` padded with spaces to `width` columns.
pub(super) fn pad(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(missing))
}

/// Rows with their columns one below the other.
pub(super) fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths).map(|(c, w)| pad(c, *w));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect()
}

/// Rows as a Markdown table, the first one its head.
pub(super) fn markdown(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (i, row) in rows.iter().enumerate() {
        text += &format!("| {} |\n", row.join(" | "));
        if i == 0 {
            text += &format!("|{}\n", "---|".repeat(row.len()));
        }
    }
    text
}

/// `1 photo`, `2 photos`.
pub(super) fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// Replaces control characters, and those that turn the direction of writing: a file name must
/// not steer the terminal nor look like another.
pub(super) fn plain(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .map(|c| if steers(c) { '\u{fffd}' } else { c })
        .collect()
}

/// Breaks `text` into lines of at most `width` columns, at spaces where there are any.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(20);
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut columns = 0;
    let mut last_space = None;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if columns + w > width {
            let rest = match last_space {
                Some(at) => line.split_off(at + 1),
                None => String::new(),
            };
            lines.push(line.trim_end().to_owned());
            columns = rest.width();
            line = rest;
            last_space = None;
        }
        if c == ' ' {
            last_space = Some(line.len());
        }
        line.push(c);
        columns += w;
    }
    if !line.trim().is_empty() {
        lines.push(line.trim_end().to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_one_another() {
        let rows = [["种类", "n"], ["PPE-01", "12"]].map(|r| r.map(str::to_owned).to_vec());
        assert_eq!(aligned(&rows), ["种类    n", "PPE-01  12"]);
        assert_eq!(
            markdown(&rows),
            "| 种类 | n |\n|---|---|\n| PPE-01 | 12 |\n"
        );
    }

    #[test]
    fn chinese_takes_two_columns() {
        assert_eq!(pad("安全帽", 8), "安全帽  ");
    }

    #[test]
    fn lines_break_at_spaces_or_anywhere_in_chinese() {
        assert_eq!(
            wrap("a bare head is seen on this person", 20),
            ["a bare head is seen", "on this person"]
        );
        assert_eq!(
            wrap(&"未".repeat(11), 20),
            ["未".repeat(10), "未".to_owned()]
        );
    }

    #[test]
    fn escape_sequences_are_disarmed() {
        assert!(!plain("\u{1b}[31mred\n").contains(['\u{1b}', '\n']));
        assert_eq!(plain("\u{202e}gpj.exe"), "\u{fffd}gpj.exe");
    }
}
