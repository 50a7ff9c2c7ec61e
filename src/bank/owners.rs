//! Who stands behind a site: several sites of one owner must not outvote others.

use std::collections::BTreeMap;

/// Owners by their sites. A site that is not among them is its own, or that of the office that lent its
/// samples: `OFFICE/SITE`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owners(BTreeMap<String, String>);

impl Owners {
    /// Pairs of a site and its owner.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    pub(super) fn of<'a>(&'a self, site: &'a str) -> &'a str {
        match (self.0.get(site), site.split_once('/')) {
            (Some(owner), _) => owner,
            (None, Some((office, _))) => office,
            (None, None) => site,
        }
    }
}
