//! What a candidate model, rule set or threshold would have decided otherwise: two records of one
//! photo held against each other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::geometry::BBox;
use crate::hazard::Answer;
use crate::record::{CandidateRecord, ModelRecord, PhotoRecord, SettingsRecord};

/// Candidates of one kind whose boxes overlap by this IoU are the same one.
const SAME_IOU: f32 = 0.5;

/// A replay as it is written and read: `sitewarden replay --format json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "sitewarden replay")]
pub struct ReplayDocument {
    /// Version of the program that replayed.
    pub sitewarden: String,
    /// The recorded run.
    pub was: Side,
    /// What was tried on the same photos.
    pub now: Side,
    /// Photos compared.
    pub compared: usize,
    /// Photos that could not be compared, with the reason.
    pub not_compared: Vec<NotCompared>,
    /// Photos with at least one decision that would change, in the order of the run.
    pub photos: Vec<PhotoChanges>,
    /// Changed answers, counted.
    pub summary: Vec<AnswerCount>,
}

/// What decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// The model.
    pub model: ModelRecord,
    /// The settings.
    pub settings: SettingsRecord,
}

/// A photo that could not be replayed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NotCompared {
    /// As in the run.
    pub path: String,
    /// Why, and what to do.
    pub reason: String,
}

/// The decisions of one photo that would change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhotoChanges {
    /// As in the run.
    pub path: String,
    /// Digest of the photo.
    pub sha256: String,
    /// Answers that would change, in the order of the kinds.
    pub answers: Vec<AnswerChange>,
    /// Candidates that there would be, and were not.
    pub appeared: Vec<CandidateRecord>,
    /// Candidates that there were, and would not be.
    pub gone: Vec<CandidateRecord>,
}

/// One answer that would change; null where a kind was not asked for on that side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AnswerChange {
    /// Hazard code.
    pub code: String,
    /// In the run.
    pub was: Option<Answer>,
    /// Now.
    pub now: Option<Answer>,
}

/// How often an answer would change in one way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AnswerCount {
    /// The change.
    #[serde(flatten)]
    pub change: AnswerChange,
    /// Number of photos.
    pub photos: usize,
}

/// The differences between two records of one photo; none when every decision stands. Scores and
/// boxes may move without a decision changing.
pub fn changes(was: &PhotoRecord, now: &PhotoRecord) -> Option<PhotoChanges> {
    let answer = |record: &PhotoRecord, code: &str| {
        let answers = &record.answers;
        answers.iter().find(|a| a.code == code).map(|a| a.answer)
    };
    let only_now = now
        .answers
        .iter()
        .filter(|a| answer(was, &a.code).is_none());
    let answers: Vec<AnswerChange> = was
        .answers
        .iter()
        .chain(only_now)
        .map(|a| AnswerChange {
            code: a.code.clone(),
            was: answer(was, &a.code),
            now: answer(now, &a.code),
        })
        .filter(|c| c.was != c.now)
        .collect();
    let (gone, appeared) = unpaired(&was.candidates, &now.candidates);
    if answers.is_empty() && gone.is_empty() && appeared.is_empty() {
        return None;
    }
    Some(PhotoChanges {
        path: was.path.clone(),
        sha256: now.sha256.clone().unwrap_or_default(),
        answers,
        appeared,
        gone,
    })
}

/// Those of each side without a partner on the other: best overlaps are paired first.
fn unpaired(
    was: &[CandidateRecord],
    now: &[CandidateRecord],
) -> (Vec<CandidateRecord>, Vec<CandidateRecord>) {
    let mut pairs: Vec<(f32, usize, usize)> = Vec::new();
    for (i, a) in was.iter().enumerate() {
        for (j, b) in now.iter().enumerate() {
            let iou = BBox::from_xywh(a.bbox).iou(BBox::from_xywh(b.bbox));
            if a.code == b.code && iou >= SAME_IOU {
                pairs.push((iou, i, j));
            }
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let (mut was_left, mut now_left) = (vec![true; was.len()], vec![true; now.len()]);
    for (_, i, j) in pairs {
        if was_left[i] && now_left[j] {
            (was_left[i], now_left[j]) = (false, false);
        }
    }
    let left = |of: &[CandidateRecord], left: &[bool]| {
        let kept = of.iter().zip(left).filter(|(_, left)| **left);
        kept.map(|(c, _)| c.clone()).collect()
    };
    (left(was, &was_left), left(now, &now_left))
}

/// Counts each way in which an answer would change, in order of first sight.
pub fn count(photos: &[PhotoChanges]) -> Vec<AnswerCount> {
    let mut counts: Vec<AnswerCount> = Vec::new();
    for change in photos.iter().flat_map(|p| &p.answers) {
        match counts.iter_mut().find(|c| c.change == *change) {
            Some(count) => count.photos += 1,
            None => counts.push(AnswerCount {
                change: change.clone(),
                photos: 1,
            }),
        }
    }
    counts.sort_by(|a, b| a.change.code.cmp(&b.change.code));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hazard::{Severity, Text};
    use crate::record::{AnswerRecord, Why};

    fn candidate(code: &str, x: f32) -> CandidateRecord {
        CandidateRecord {
            code: code.into(),
            name: Text::new(code, code),
            severity: Severity::General,
            score: 0.5,
            bbox: [x, 0.0, 10.0, 10.0],
            why: Why {
                rule: "presence".into(),
                samples: Vec::new(),
                inputs: Vec::new(),
                text: String::new(),
            },
            references: Vec::new(),
        }
    }

    fn record(answers: &[(&str, Answer)], candidates: Vec<CandidateRecord>) -> PhotoRecord {
        PhotoRecord {
            path: "a.jpg".into(),
            sha256: Some("00".into()),
            width: Some(100),
            height: Some(100),
            detections: Vec::new(),
            answers: answers
                .iter()
                .map(|(code, answer)| AnswerRecord {
                    code: (*code).into(),
                    answer: *answer,
                    reason: String::new(),
                })
                .collect(),
            candidates,
            suppressed: Vec::new(),
            error: None,
            note: None,
        }
    }

    #[test]
    fn a_box_that_moves_a_little_is_no_change() {
        let a = record(&[("X", Answer::NonCompliant)], vec![candidate("X", 0.0)]);
        let b = record(&[("X", Answer::NonCompliant)], vec![candidate("X", 2.0)]);
        assert_eq!(changes(&a, &b), None);
    }

    #[test]
    fn a_candidate_elsewhere_appears_and_the_old_one_is_gone() {
        let a = record(&[("X", Answer::NonCompliant)], vec![candidate("X", 0.0)]);
        let b = record(&[("X", Answer::NonCompliant)], vec![candidate("X", 50.0)]);
        let found = changes(&a, &b).unwrap();
        assert!(found.answers.is_empty());
        assert_eq!((found.appeared.len(), found.gone.len()), (1, 1));
        let other_kind = record(&[("X", Answer::NonCompliant)], vec![candidate("Y", 0.0)]);
        assert_eq!(changes(&a, &other_kind).unwrap().gone.len(), 1);
    }

    #[test]
    fn each_candidate_is_paired_once_with_the_one_nearest() {
        let a = record(&[], vec![candidate("X", 0.0)]);
        let b = record(&[], vec![candidate("X", 2.0), candidate("X", 0.5)]);
        let found = changes(&a, &b).unwrap();
        assert_eq!(found.appeared, [candidate("X", 2.0)]);
        assert!(found.gone.is_empty());
    }

    #[test]
    fn answers_are_compared_by_kind_and_counted() {
        let a = record(
            &[("X", Answer::Compliant), ("Y", Answer::Compliant)],
            vec![],
        );
        let b = record(
            &[("Y", Answer::CannotDetermine), ("Z", Answer::Compliant)],
            vec![],
        );
        let found = changes(&a, &b).unwrap();
        let said: Vec<_> = found
            .answers
            .iter()
            .map(|c| (c.code.as_str(), c.was, c.now))
            .collect();
        assert_eq!(
            said,
            [
                ("X", Some(Answer::Compliant), None),
                ("Y", Some(Answer::Compliant), Some(Answer::CannotDetermine)),
                ("Z", None, Some(Answer::Compliant)),
            ]
        );
        let counts = count(&[found.clone(), found]);
        assert_eq!(counts.len(), 3);
        assert!(counts.iter().all(|c| c.photos == 2));
    }
}
