//! The model in service: loading, verified, or refused with the reason.

use std::sync::{Arc, RwLock};

use crate::evidence::Digest;
use crate::inference::Detect;
use crate::ledger::events::Context;
use crate::ledger::queue::ClaimedPhoto;
use crate::pipeline::photo::{PhotoPipeline, PhotoSettings};
use crate::record::{BankRecord, ScanDocument};
use crate::rules::RuleSet;

/// A verified model with the rules and settings it judges by.
pub struct Judge {
    model: Box<dyn Detect>,
    rules: Arc<RuleSet>,
    settings: PhotoSettings,
}

impl Judge {
    /// From a model that passed its checks.
    pub fn new(model: Box<dyn Detect>, rules: Arc<RuleSet>, settings: PhotoSettings) -> Self {
        Self {
            model,
            rules,
            settings,
        }
    }

    /// What carries a photo through all stages. Cheap to make.
    pub fn pipeline(&self) -> PhotoPipeline<'_> {
        PhotoPipeline::new(&*self.model, &self.rules, self.settings.clone())
    }

    /// As [`Self::pipeline`], with the clauses in force on the day of a photo, and without the kinds
    /// that cannot occur where it was taken.
    pub fn pipeline_for(&self, claim: &ClaimedPhoto) -> PhotoPipeline<'_> {
        let mut settings = self.settings.clone();
        settings.on = Some(claim.day.clone());
        settings.not_here = self.rules.facts().not_here(&claim.facts);
        PhotoPipeline::new(&*self.model, &self.rules, settings)
    }

    /// Photos that may usefully be judged at once.
    pub fn parallelism(&self) -> usize {
        self.model.parallelism().get()
    }

    /// As the ledger keeps it; with the sample bank that was asked.
    pub fn context(&self, bank: Option<BankRecord>) -> Context {
        let mut document = self.document();
        document.settings.bank = bank;
        context(&document)
    }

    /// What every decision rests on: program, model, rules, thresholds.
    pub fn document(&self) -> ScanDocument {
        self.pipeline().document()
    }
}

/// What decisions rest on, as the ledger keeps it.
pub(super) fn context(document: &ScanDocument) -> Context {
    let settings = serde_json::to_vec(&document.settings).unwrap_or_default();
    Context {
        model: Some(document.model.clone()),
        rules_sha256: document.settings.catalogue_sha256.clone(),
        config_sha256: Digest::of(&settings).to_string(),
        thresholds: document.settings.thresholds.clone(),
        bank: document.settings.bank.clone(),
    }
}

/// Whether photos can be judged.
#[derive(Clone, Default)]
pub enum Readiness {
    /// The model is being checked.
    #[default]
    Loading,
    /// It passed.
    Ready(Arc<Judge>),
    /// It did not; why, for whoever runs the service.
    Refused(Arc<str>),
}

/// One [`Readiness`], shared.
#[derive(Clone, Default)]
pub struct Bench(Arc<RwLock<Readiness>>);

impl Bench {
    /// As it is now.
    pub fn now(&self) -> Readiness {
        self.0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// The judge, once there is one.
    pub fn judge(&self) -> Option<Arc<Judge>> {
        match self.now() {
            Readiness::Ready(judge) => Some(judge),
            Readiness::Loading | Readiness::Refused(_) => None,
        }
    }

    pub(super) fn set(&self, readiness: Readiness) {
        *self
            .0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = readiness;
    }
}
