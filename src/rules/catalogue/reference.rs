//! Legal references and the only door through which they leave.

use serde::{Deserialize, Serialize};

use crate::hazard::Citation;

/// How far a reference was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// Wording, or title and dates, seen in a public source.
    Verified,
    /// From general knowledge, not read again.
    Recalled,
    /// A person must check it.
    Unsure,
}

/// One reference as the catalogue holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reference {
    pub(super) jurisdiction: String,
    pub(super) text: String,
    /// The same in Chinese, where the document has a Chinese name.
    pub(super) zh: Option<String>,
    pub(super) status: Status,
    pub(super) valid_from: Option<String>,
    pub(super) valid_to: Option<String>,
}

impl Reference {
    pub(super) fn is_verified(&self) -> bool {
        self.status == Status::Verified
    }

    /// The citation, if it was checked and is in force on the day; see
    /// [`super::HazardKind::citations`].
    pub(super) fn citation(&self, on: Option<&str>) -> Option<Citation> {
        // ISO dates compare as text.
        let in_force = match on.and_then(day) {
            Some(day) => {
                self.valid_from.as_deref().is_none_or(|from| from <= day)
                    && self.valid_to.as_deref().is_none_or(|to| day <= to)
            }
            None => self.valid_to.is_none(),
        };
        (self.is_verified() && in_force).then(|| Citation {
            jurisdiction: self.jurisdiction.clone(),
            text: self.text.clone(),
            zh: self.zh.clone(),
            valid_from: self.valid_from.clone(),
            valid_to: self.valid_to.clone(),
        })
    }

    pub(super) fn check(&self, field: &str) -> Result<(), (String, String)> {
        if !matches!(self.jurisdiction.as_str(), "cn" | "us") {
            return Err((
                format!("{field}.jurisdiction"),
                format!("is `{}`; write `cn` or `us`", self.jurisdiction),
            ));
        }
        for (name, text) in [("text", Some(&self.text)), ("zh", self.zh.as_ref())] {
            if text.is_some_and(|text| text.trim().is_empty()) {
                return Err((
                    format!("{field}.{name}"),
                    "must not be empty; name the document and its clause".into(),
                ));
            }
        }
        for (name, date) in [
            ("valid_from", &self.valid_from),
            ("valid_to", &self.valid_to),
        ] {
            if let Some(date) = date
                && day(date) != Some(date)
            {
                return Err((
                    format!("{field}.{name}"),
                    format!("`{date}` is no date; write it as YYYY-MM-DD"),
                ));
            }
        }
        if let (Some(from), Some(to)) = (&self.valid_from, &self.valid_to)
            && from > to
        {
            return Err((
                format!("{field}.valid_to"),
                "lies before valid_from; correct one of the two".into(),
            ));
        }
        Ok(())
    }
}

/// The day at the beginning of an ISO 8601 date or date-time.
fn day(text: &str) -> Option<&str> {
    let day = text.get(..10)?;
    let shape = day.bytes().enumerate().all(|(i, b)| match i {
        4 | 7 => b == b'-',
        _ => b.is_ascii_digit(),
    });
    // A longer number is no day; a `T` or a space begins the time.
    let ends = matches!(text.as_bytes().get(10), None | Some(b'T' | b' '));
    let month: u8 = day.get(5..7)?.parse().ok()?;
    let date: u8 = day.get(8..10)?.parse().ok()?;
    (shape && ends && (1..=12).contains(&month) && (1..=31).contains(&date)).then_some(day)
}
