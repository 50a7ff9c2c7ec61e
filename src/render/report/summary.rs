//! What is counted while the photos go by.

use crate::hazard::{Lang, Severity, Text};
use crate::record::{CandidateRecord, PhotoRecord};
use crate::render::words::ANSWERS;

/// The contents list ends here; links from photo to photo go on.
const CONTENTS_MAX: usize = 500;

/// All that is kept of the photos: bounded but for the number of kinds.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) photos: usize,
    pub(super) with_candidates: usize,
    pub(super) unreadable: usize,
    pub(super) candidates: usize,
    /// By the sample bank.
    pub(super) suppressed: usize,
    pub(super) kinds: Vec<KindSum>,
    pub(super) contents: Vec<ContentsEntry>,
}

#[derive(Debug)]
pub(super) struct ContentsEntry {
    pub(super) number: usize,
    pub(super) path: String,
    pub(super) codes: String,
}

#[derive(Debug)]
pub(super) struct KindSum {
    pub(super) code: String,
    pub(super) slug: String,
    pub(super) name: Option<Text>,
    pub(super) severity: Option<Severity>,
    pub(super) candidates: usize,
    /// Photos, in the order of [`ANSWERS`].
    pub(super) answers: [usize; 4],
}

impl KindSum {
    pub(super) fn new(code: &str, name: Option<&Text>) -> Self {
        Self {
            code: code.to_owned(),
            slug: slug(code),
            name: name.cloned(),
            severity: None,
            candidates: 0,
            answers: [0; 4],
        }
    }
}

impl Summary {
    pub(super) fn without_candidates(&self) -> usize {
        self.photos - self.with_candidates - self.unreadable
    }

    pub(super) fn name(&self, code: &str, lang: Lang) -> &str {
        let kind = self.kinds.iter().find(|k| k.code == code);
        kind.and_then(|k| k.name.as_ref())
            .map_or("", |n| n.get(lang))
    }

    pub(super) fn kind(&mut self, code: &str) -> &mut KindSum {
        let at = self.kinds.iter().position(|k| k.code == code);
        let at = at.unwrap_or_else(|| {
            self.kinds.push(KindSum::new(code, None));
            self.kinds.len() - 1
        });
        &mut self.kinds[at]
    }

    /// Counts a photo; for each of its candidates, how many of its kind there were so far.
    pub(super) fn add(&mut self, photo: &PhotoRecord) -> Vec<usize> {
        self.photos += 1;
        self.suppressed += photo.suppressed.len();
        self.unreadable += usize::from(photo.error.is_some() && photo.candidates.is_empty());
        for a in &photo.answers {
            if let Some(i) = ANSWERS.iter().position(|&x| x == a.answer) {
                self.kind(&a.code).answers[i] += 1;
            }
        }
        if photo.candidates.is_empty() {
            return Vec::new();
        }
        self.with_candidates += 1;
        self.candidates += photo.candidates.len();
        if self.contents.len() < CONTENTS_MAX {
            self.contents.push(ContentsEntry {
                number: self.photos,
                path: photo.path.clone(),
                codes: codes_with_counts(&photo.candidates),
            });
        }
        let count = |c: &CandidateRecord| {
            let kind = self.kind(&c.code);
            kind.candidates += 1;
            kind.severity = kind.severity.max(Some(c.severity));
            kind.name.get_or_insert_with(|| c.name.clone());
            kind.candidates
        };
        photo.candidates.iter().map(count).collect()
    }
}

/// `PPE-01 × 3, FIR-03`.
fn codes_with_counts(candidates: &[CandidateRecord]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for c in candidates {
        match counts.iter_mut().find(|(code, _)| *code == c.code) {
            Some((_, n)) => *n += 1,
            None => counts.push((&c.code, 1)),
        }
    }
    let text = |&(code, n): &(&str, usize)| match n {
        1 => code.to_owned(),
        n => format!("{code} × {n}"),
    };
    counts.iter().map(text).collect::<Vec<_>>().join(", ")
}

/// A code as part of an `id`: letters, digits and hyphens only.
pub(super) fn slug(code: &str) -> String {
    code.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect()
}
