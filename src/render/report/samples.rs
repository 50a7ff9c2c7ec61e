//! Samples of the bank that a candidate looks like, made ready for the templates.

use std::collections::BTreeMap;

use base64::display::Base64Display;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD};

use super::size_px;
use crate::bank::Role;
use crate::hazard::Lang;
use crate::record::{CandidateRecord, PhotoRecord, SampleRecord};
use crate::render::words::words;

/// Pictures of samples as JPEG, by the samples' ids.
pub type SamplePictures = BTreeMap<String, Vec<u8>>;

pub(super) struct SampleView<'a> {
    /// What it says, for a person.
    pub(super) role: &'static str,
    /// Style class.
    pub(super) class: &'static str,
    pub(super) similarity: String,
    pub(super) site: &'a str,
    pub(super) picture: Option<Base64Display<'a, 'static, GeneralPurpose>>,
    pub(super) picture_size: Option<(u32, u32)>,
}

/// The samples of a candidate, nearest confirmed one first.
pub(super) fn samples<'a>(
    samples: &'a [SampleRecord],
    pictures: &'a SamplePictures,
    lang: Lang,
) -> Vec<SampleView<'a>> {
    let w = words(lang);
    samples
        .iter()
        .map(|sample| {
            let confirmed = sample.role == Role::Positive.as_str();
            let picture = pictures.get(&sample.id);
            SampleView {
                role: if confirmed {
                    w.nearest_positive
                } else {
                    w.nearest_negative
                },
                class: if confirmed { "yes" } else { "no" },
                similarity: format!("{:.2}", sample.similarity),
                site: &sample.site,
                picture: picture.map(|jpeg| Base64Display::new(jpeg, &STANDARD)),
                picture_size: picture.and_then(|jpeg| size_px(jpeg)),
            }
        })
        .collect()
}

/// What was kept out because people have dismissed the like.
pub(super) struct SuppressedView<'a> {
    pub(super) record: &'a CandidateRecord,
    pub(super) name: &'a str,
    pub(super) samples: Vec<SampleView<'a>>,
}

pub(super) fn suppressed<'a>(
    photo: &'a PhotoRecord,
    pictures: &'a SamplePictures,
    lang: Lang,
) -> Vec<SuppressedView<'a>> {
    photo
        .suppressed
        .iter()
        .map(|record| SuppressedView {
            record,
            name: record.name.get(lang),
            samples: samples(&record.why.samples, pictures, lang),
        })
        .collect()
}
