//! A hazard catalogue laid over the built-in one: refused or usable, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sitewarden::rules::{Catalogue, RuleSet};

fuzz_target!(|text: &str| {
    let Ok(overlay) = Catalogue::parse(text) else {
        return;
    };
    let Ok(merged) = Catalogue::builtin().merged_with(&overlay) else {
        return;
    };
    assert_eq!(merged.digest().len(), 64);
    let rules = RuleSet::new(&merged, None).expect("all kinds of a valid catalogue");
    assert!(rules.kinds().len() <= merged.kinds().len());
});
