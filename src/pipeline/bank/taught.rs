//! A bank with all that it takes to ask it.

use std::sync::Arc;

use super::BankPass;
use crate::bank::{Bank, BankError, Calibrations, Matcher, Place, Policy};
use crate::inference::Embed;
use crate::pipeline::photo::PhotoSettings;
use crate::record::BankRecord;
use crate::rules::RuleSet;

/// The bank at a version, ready to be asked.
pub struct Taught {
    bank: Bank,
    calibrations: Calibrations,
    embedder: Arc<dyn Embed>,
}

impl Taught {
    /// Finds out what decisions are held against. `embedder` has to be the bank's.
    pub fn new(bank: Bank, embedder: Arc<dyn Embed>) -> Self {
        let policy = Policy {
            one_photo: embedder.one_photo(),
            ..Policy::default()
        };
        Self {
            calibrations: Calibrations::of(&bank, policy),
            bank,
            embedder,
        }
    }

    /// The same embedder with the bank as it became by changes since.
    pub fn after(&self, bank: Bank) -> Self {
        Self {
            calibrations: self.calibrations.after(&bank),
            bank,
            embedder: self.embedder.clone(),
        }
    }

    /// The bank.
    pub fn bank(&self) -> &Bank {
        &self.bank
    }

    /// What its pictures are embedded by.
    pub fn embedder(&self) -> &dyn Embed {
        &*self.embedder
    }

    /// For pictures of this place.
    pub fn matcher(&self, place: Place) -> Matcher<'_> {
        Matcher::with(&self.bank, &self.calibrations, place)
    }

    /// Which bank it is, for pictures of this place.
    pub fn record(&self, place: Place) -> BankRecord {
        asked(&self.matcher(place))
    }

    /// To judge photos of this place.
    ///
    /// # Errors
    /// None that can happen: bank and embedder go together.
    pub fn pass<'a>(
        &'a self,
        place: Place,
        rules: &'a RuleSet,
        settings: &'a PhotoSettings,
    ) -> Result<BankPass<'a>, BankError> {
        BankPass::new(self.matcher(place), &*self.embedder, rules, settings)
    }
}

/// What a record says of the bank that was asked.
pub(in crate::pipeline) fn asked(matcher: &Matcher<'_>) -> BankRecord {
    let (bank, policy) = (matcher.bank(), matcher.policy());
    BankRecord {
        version: bank.version(),
        embedder: bank.embedder().version.clone(),
        samples: bank.len(),
        false_alarm_rate: policy.false_alarm_rate,
        miss_rate: policy.miss_rate,
        site: matcher.place().site.clone(),
        camera: matcher.place().camera.clone(),
    }
}
