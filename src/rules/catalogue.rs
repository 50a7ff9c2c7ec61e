//! The hazard catalogue: kinds as data, embedded and extendable.

mod parse;
mod reference;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::person_item::PersonItem;
use super::presence::Presence;
use super::proximity::Proximity;
use super::stack::Stack;
use super::watch::WatchRule;
use crate::confirm::ConfirmConfig;
use crate::hazard::{Aspect, Citation, Severity, Text};
use reference::Reference;

const BUILTIN: &str = include_str!("hazards.toml");

/// What is wrong with a catalogue, or with a code asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// The text is no TOML, or not in the catalogue's outline.
    #[error("the hazard catalogue cannot be read: {0}")]
    Outline(String),
    /// One field of one kind is wrong.
    #[error("hazard {code}, field `{field}`: {problem}")]
    Field {
        /// Code of the kind, or its place in the file where it has none.
        code: String,
        /// Path of the field inside the kind.
        field: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A code appears twice in one file.
    #[error(
        "hazard {code}, field `code`: listed twice in one catalogue; keep one of the two entries"
    )]
    Duplicate {
        /// The code.
        code: String,
    },
    /// A code that the catalogue does not have.
    #[error(
        "hazard {code}: there is no such code in the catalogue; {}",
        did_you_mean(close)
    )]
    Unknown {
        /// The code asked for.
        code: String,
        /// Codes that look like it, closest first.
        close: Vec<String>,
    },
}

fn did_you_mean(close: &[String]) -> String {
    if close.is_empty() {
        "list the known ones and choose from them".into()
    } else {
        format!("did you mean {}?", close.join(", "))
    }
}

/// A rule that can judge one photo.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "primitive", rename_all = "snake_case")]
pub enum PhotoRule {
    /// Item on a body part.
    PersonItem(Box<PersonItem>),
    /// The object is the hazard.
    Presence(Presence),
    /// People near vehicles.
    Proximity(Proximity),
    /// Geometry of a stack.
    Stack(Stack),
}

impl PhotoRule {
    /// Name of the primitive as the catalogue spells it.
    pub fn primitive(&self) -> &'static str {
        match self {
            PhotoRule::PersonItem(_) => "person_item",
            PhotoRule::Presence(_) => "presence",
            PhotoRule::Proximity(_) => "proximity",
            PhotoRule::Stack(_) => "stack",
        }
    }
}

/// A primitive that needs video, a drawn zone or samples; named here, built later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Later {
    /// Object in a drawn zone.
    Zone,
    /// Expected object absent.
    Absent,
    /// Distance of a patch from its clean reference.
    Reference,
    /// State of a fixed scene (open, closed).
    State,
    /// Match with confirmed samples.
    Bank,
    /// Distance in metres through a calibrated view.
    Distance,
    /// Lasting for a time.
    Dwell,
}

/// One kind of hazard.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HazardKind {
    /// Code, for example `PPE-01`.
    pub code: String,
    /// Where in an inspection it belongs.
    pub aspect: Aspect,
    /// Suggested severity.
    pub severity: Severity,
    /// What it is called.
    pub name: Text,
    /// When it may be a major hazard in law; for a person to decide.
    pub major_if: Option<Text>,
    /// To which places it applies at all.
    pub applies_when: Option<Text>,
    /// Name of what it is about in an enterprise's file (`combustible_dust`); kinds may share one.
    /// Where the file says that there is none, the kind cannot occur.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fact: Option<String>,
    /// Why one photo cannot settle it; present exactly when there are no `rules`.
    pub photo_reason: Option<Text>,
    /// Rules for one photo.
    pub rules: Vec<PhotoRule>,
    /// Rules for video.
    pub watch: Vec<WatchRule>,
    /// When what single frames show of it counts on video, where that is not as usual: an alarm
    /// must be faster.
    pub confirm: Option<ConfirmConfig>,
    /// Primitives for later, by name.
    pub later: Vec<Later>,
    /// Private: they leave through [`HazardKind::citations`] only, the checked ones.
    references: Vec<Reference>,
}

impl HazardKind {
    /// The same kind where its item is known to be required.
    pub(super) fn required_here(&self) -> Self {
        let mut kind = self.clone();
        for rule in &mut kind.rules {
            if let PhotoRule::PersonItem(rule) = rule {
                rule.depends = None;
            }
        }
        kind
    }

    /// The checked references in force on a day (`YYYY-MM-DD`; a time after it is ignored).
    ///
    /// Without a day, or with one that is none, those without a known end.
    pub fn citations(&self, on: Option<&str>) -> Vec<Citation> {
        self.references
            .iter()
            .filter_map(|r| r.citation(on))
            .collect()
    }

    /// Number of references that are held back because nobody has checked them yet.
    pub fn unchecked_references(&self) -> usize {
        self.references.iter().filter(|r| !r.is_verified()).count()
    }
}

/// All kinds, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    version: String,
    kinds: Vec<HazardKind>,
    /// Codes switched off, of no effect here but on the catalogue that this one is laid over.
    off: Vec<String>,
}

impl Catalogue {
    /// The catalogue that comes with the program.
    pub fn builtin() -> Self {
        #[expect(
            clippy::expect_used,
            reason = "embedded text, parsed by a test of this module"
        )]
        Self::parse(BUILTIN).expect("the embedded catalogue is valid")
    }

    /// The text of [`Catalogue::builtin`], with its comments: a starting point for an overlay.
    pub fn builtin_toml() -> &'static str {
        BUILTIN
    }

    /// Reads a catalogue or an overlay.
    ///
    /// # Errors
    /// When the text is no TOML, a key is unknown, a field is missing or out of range, or a code
    /// appears twice. The message names the code and the field and says what to do.
    pub fn parse(toml: &str) -> Result<Self, CatalogueError> {
        parse::parse(toml)
    }

    /// This catalogue with another one laid over it: the same code replaces the whole entry in
    /// its place, a new code is added at the end, `enabled = false` takes an entry out.
    ///
    /// # Errors
    /// When a code to be switched off does not exist here.
    pub fn merged_with(&self, overlay: &Self) -> Result<Self, CatalogueError> {
        let mut merged = self.clone();
        merged.version = format!("{}+{}", self.version, overlay.version);
        for code in &overlay.off {
            // Off here already (an overlay applied twice) is no mistake.
            if self.kind(code).is_none() && !self.off.contains(code) {
                return Err(self.unknown(code));
            }
            merged.kinds.retain(|k| k.code != *code);
            merged.off.push(code.clone());
        }
        for kind in &overlay.kinds {
            match merged.kinds.iter_mut().find(|k| k.code == kind.code) {
                Some(old) => *old = kind.clone(),
                None => merged.kinds.push(kind.clone()),
            }
            merged.off.retain(|code| *code != kind.code);
        }
        Ok(merged)
    }

    /// Version as the file states it; of a merged one, both joined by `+`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// SHA-256 of everything in effect (version, kinds, rules, limits, wording, references) in a
    /// canonical form: comments, layout and the order of keys do not change it. Lower-case
    /// hexadecimal.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.version.as_bytes());
        for kind in &self.kinds {
            hash.update(b"\n");
            // Serialising plain data into memory cannot fail; numbers are finite by parsing.
            hash.update(serde_json::to_vec(kind).unwrap_or_default());
        }
        hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The kinds in effect, in the catalogue's order.
    pub fn kinds(&self) -> &[HazardKind] {
        &self.kinds
    }

    /// The kind of a code; upper and lower case are the same.
    pub fn kind(&self, code: &str) -> Option<&HazardKind> {
        self.kinds
            .iter()
            .find(|k| k.code.eq_ignore_ascii_case(code.trim()))
    }

    /// The error for a code that is not here, with the ones that look like it.
    pub(super) fn unknown(&self, code: &str) -> CatalogueError {
        let asked = code.trim().to_ascii_uppercase();
        let mut close: Vec<(usize, &str)> = self
            .kinds
            .iter()
            .map(|k| (edit_distance(&asked, &k.code), k.code.as_str()))
            .filter(|(d, _)| *d <= 2)
            .collect();
        close.sort_unstable();
        CatalogueError::Unknown {
            code: code.trim().to_owned(),
            close: close
                .into_iter()
                .take(5)
                .map(|(_, c)| c.to_owned())
                .collect(),
        }
    }
}

/// Levenshtein distance: insertions, deletions and replacements from `a` to `b`.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
