//! Whose similarity counts: one vote for each photo or reviewed finding, and no other site nor owner of sites may
//! decide alone.

use std::collections::{BTreeMap, BTreeSet};

use super::owners::Owners;
use crate::id::Id;

/// One sample, as near as it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Voter<'a> {
    pub(super) similarity: f32,
    pub(super) photo: &'a str,
    /// The finding that it is from, if it was decided on.
    pub(super) case: Option<Id>,
    pub(super) site: &'a str,
}

/// How votes are counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Poll<'a> {
    /// Votes that decide.
    pub(super) needed: usize,
    /// The site of the picture in question: its own samples count in full.
    pub(super) own_site: &'a str,
    /// Who stands behind the sites.
    pub(super) owners: &'a Owners,
    /// Most votes of one other site of the same owner, and of one other owner with all their sites.
    pub(super) others_most: usize,
    /// Whether a site counts in full when no other has a sample.
    pub(super) lone_site_counts: bool,
}

/// The similarities of the votes that count, best first, at most `needed`. The order of the voters
/// decides nothing. Where they are the nearest of many, `only` knows whether all are of the one site.
pub(super) fn count<'a>(
    voters: impl Iterator<Item = Voter<'a>>,
    poll: &Poll<'_>,
    only: impl Fn(&str) -> bool,
) -> Vec<f32> {
    let mut all: Vec<Voter<'_>> = voters.collect();
    all.sort_by(|a, b| {
        let own = |v: &Voter<'_>| v.site == poll.own_site;
        let by_likeness = b.similarity.total_cmp(&a.similarity);
        by_likeness
            .then(own(b).cmp(&own(a)))
            .then(a.site.cmp(b.site))
            .then(a.photo.cmp(b.photo))
            .then(a.case.cmp(&b.case))
    });
    let mut sites = all.iter().map(|v| v.site);
    let lone = poll.lone_site_counts
        && sites
            .next()
            .is_some_and(|site| sites.all(|s| s == site) && only(site));
    let own_owner = poll.owners.of(poll.own_site);
    let (mut photos, mut cases) = (BTreeSet::new(), BTreeSet::new());
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    let mut votes = Vec::new();
    for v in all {
        if votes.len() == poll.needed {
            break;
        }
        // the best of each photo, and of each decision, has its vote
        if photos.contains(v.photo) || v.case.is_some_and(|case| cases.contains(&case)) {
            continue;
        }
        if !lone && v.site != poll.own_site {
            let owner = poll.owners.of(v.site);
            let whose = if owner == own_owner { v.site } else { owner };
            let used = used.entry(whose).or_default();
            if *used == poll.others_most {
                continue;
            }
            *used += 1;
        }
        photos.insert(v.photo);
        cases.extend(v.case);
        votes.push(v.similarity);
    }
    votes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(voters: &[(&str, &str, f32)], own_site: &str, lone_site_counts: bool) -> Vec<f32> {
        let owners = Owners::new(
            [("e-1", "e"), ("e-2", "e"), ("e-3", "e")]
                .map(|(site, owner)| (site.to_owned(), owner.to_owned())),
        );
        let poll = Poll {
            needed: 3,
            own_site,
            owners: &owners,
            others_most: 1,
            lone_site_counts,
        };
        let voters = voters.iter().map(|(site, photo, similarity)| Voter {
            similarity: *similarity,
            photo,
            case: None,
            site,
        });
        count(voters, &poll, |_| true)
    }

    #[test]
    fn another_site_has_its_share_and_the_own_site_all() {
        let voters = [
            ("evil", "1", 0.99),
            ("evil", "2", 0.98),
            ("evil", "3", 0.97),
            ("good", "4", 0.5),
            ("own", "5", 0.4),
            ("own", "6", 0.3),
        ];
        assert_eq!(counted(&voters, "own", true), [0.99, 0.5, 0.4]);
        assert_eq!(counted(&voters, "evil", true), [0.99, 0.98, 0.97]);
        assert_eq!(counted(&voters[..3], "own", true), [0.99, 0.98, 0.97]);
        assert_eq!(counted(&voters[..3], "own", false), [0.99]);
    }

    #[test]
    fn a_photo_has_one_vote_however_often_it_is_there() {
        let voters = [("", "1", 0.9), ("", "1", 0.95), ("", "2", 0.1)];
        assert_eq!(counted(&voters, "", false), [0.95, 0.1]);
        // nor is it more if it is said to be of several sites
        let voters = [("a", "1", 0.9), ("b", "1", 0.9), ("c", "1", 0.9)];
        assert_eq!(counted(&voters, "own", false), [0.9]);
        assert_eq!(counted(&voters, "c", false), [0.9]);
        // nor does a nearer copy elsewhere take the own one's vote away
        let voters = [("e-1", "2", 0.99), ("e-1", "1", 0.95), ("own", "1", 0.9)];
        assert_eq!(counted(&voters, "own", false), [0.99, 0.9]);
    }

    #[test]
    fn the_sites_of_one_owner_have_one_share_elsewhere() {
        let voters = [("e-1", "1", 0.9), ("e-2", "2", 0.8), ("e-3", "3", 0.7)];
        assert_eq!(counted(&voters, "own", true), [0.9]);
        assert_eq!(counted(&voters, "e-1", true), [0.9, 0.8, 0.7]);
        // so have those of an office that lent its bank
        let lent = [("n/1", "1", 0.9), ("n/2", "2", 0.8), ("own", "3", 0.1)];
        assert_eq!(counted(&lent, "own", true), [0.9, 0.1]);
    }
}
