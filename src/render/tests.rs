//! What must hold of every picture and every report.

mod annotate;
mod place;
mod report;
mod text;

use crate::hazard::{Answer, Severity, Text};
use crate::record::{AnswerRecord, CandidateRecord, DetectionRecord, PhotoRecord, Why};

/// A readable photo with nothing in it.
fn photo(width: u32, height: u32) -> PhotoRecord {
    PhotoRecord {
        path: "site/a.jpg".into(),
        sha256: Some("ab".repeat(32)),
        width: Some(width),
        height: Some(height),
        detections: Vec::new(),
        answers: Vec::new(),
        candidates: Vec::new(),
        suppressed: Vec::new(),
        error: None,
        note: None,
    }
}

fn candidate(bbox: [f32; 4]) -> CandidateRecord {
    CandidateRecord {
        code: "PPE-01".into(),
        name: Text::new("No safety helmet", "未佩戴安全帽"),
        severity: Severity::General,
        score: 0.87,
        bbox,
        why: Why {
            rule: "person_item".into(),
            samples: Vec::new(),
            inputs: Vec::new(),
            text: "A bare head was found.".into(),
        },
        references: Vec::new(),
    }
}

fn detection(label: &str, bbox: [f32; 4]) -> DetectionRecord {
    DetectionRecord {
        label: label.into(),
        score: 0.5,
        bbox,
    }
}

fn answer(code: &str, answer: Answer, reason: &str) -> AnswerRecord {
    AnswerRecord {
        code: code.into(),
        answer,
        reason: reason.into(),
    }
}

/// Numbers in `0..1` that are the same in every run.
fn numbers(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    }
}
