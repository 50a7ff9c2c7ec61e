//! What an enterprise's file says is there or is not, and which kinds of hazard that rules out.

use std::collections::{BTreeMap, BTreeSet};

use super::Catalogue;

/// The facts that a catalogue knows: the code of each kind, and the names that kinds share.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts(BTreeMap<String, Vec<String>>);

impl Facts {
    pub(super) fn of(catalogue: &Catalogue) -> Self {
        let mut codes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for kind in catalogue.kinds() {
            for name in [Some(&kind.code), kind.fact.as_ref()].into_iter().flatten() {
                let of_name = codes.entry(name.clone()).or_default();
                of_name.push(kind.code.clone());
            }
        }
        Self(codes)
    }

    /// Of these facts one that no kind is about: nobody would ever ask for it.
    pub fn unknown<'a>(&self, facts: &'a BTreeMap<String, bool>) -> Option<&'a str> {
        let unknown = |name: &&String| !self.0.contains_key(*name);
        facts.keys().find(unknown).map(String::as_str)
    }

    /// The names that are no codes.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let shared = |(name, codes): &(&String, &Vec<String>)| codes.first() != Some(*name);
        self.0.iter().filter(shared).map(|(name, _)| name.as_str())
    }

    /// Codes of the kinds that cannot occur where these are the facts. What the file is silent about
    /// can.
    pub fn not_here(&self, facts: &BTreeMap<String, bool>) -> BTreeSet<String> {
        facts
            .iter()
            .filter(|(_, is_there)| !**is_there)
            .filter_map(|(name, _)| self.0.get(name))
            .flatten()
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_rules_out_the_kinds_that_it_is_about() {
        let known = Facts::of(&Catalogue::builtin());
        let facts = |all: &[(&str, bool)]| {
            all.iter()
                .map(|(name, is_there)| ((*name).to_owned(), *is_there))
                .collect::<BTreeMap<_, _>>()
        };
        let out = |all| known.not_here(&facts(all)).into_iter().collect::<Vec<_>>();
        assert_eq!(out(&[("combustible_dust", false)]), ["ENV-01"]);
        assert_eq!(
            out(&[("PPE-01", false), ("gas_cylinders", false)]),
            ["PPE-01", "STO-05"]
        );
        assert!(out(&[("combustible_dust", true), ("PPE-01", true)]).is_empty());
        assert!(out(&[]).is_empty());

        assert!(known.names().any(|name| name == "combustible_dust"));
        assert!(known.names().all(|name| !name.contains('-')), "no codes");
        assert_eq!(known.unknown(&facts(&[("combustible_dust", true)])), None);
        assert_eq!(known.unknown(&facts(&[("ENV-01", true)])), None);
        for wrong in ["combustible_dusts", "env-01", ""] {
            assert_eq!(known.unknown(&facts(&[(wrong, true)])), Some(wrong));
        }
    }
}
