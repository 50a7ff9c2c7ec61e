//! Whose similarity counts: one vote for each photo, and no other site may decide alone.

use std::collections::BTreeMap;

/// One sample, as near as it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Voter<'a> {
    pub(super) similarity: f32,
    pub(super) photo: &'a str,
    pub(super) site: &'a str,
}

/// How votes are counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Poll<'a> {
    /// Votes that decide.
    pub(super) needed: usize,
    /// The site of the picture in question: its own samples count in full.
    pub(super) own_site: &'a str,
    /// Most votes of one other site.
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
    // the best of each photo
    let mut photos: BTreeMap<(&str, &str), f32> = BTreeMap::new();
    for v in voters {
        photos
            .entry((v.site, v.photo))
            .and_modify(|best| *best = best.max(v.similarity))
            .or_insert(v.similarity);
    }
    let mut sites = photos.keys().map(|(site, _)| *site);
    let lone = poll.lone_site_counts
        && sites
            .next()
            .is_some_and(|site| sites.all(|s| s == site) && only(site));
    let mut all: Vec<(&str, f32)> = photos
        .into_iter()
        .map(|((site, _), similarity)| (site, similarity))
        .collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    all.into_iter()
        .filter(|(site, _)| {
            let used = used.entry(site).or_default();
            *used += 1;
            lone || *site == poll.own_site || *used <= poll.others_most
        })
        .map(|(_, similarity)| similarity)
        .take(poll.needed)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(voters: &[(&str, &str, f32)], own_site: &str, lone_site_counts: bool) -> Vec<f32> {
        let poll = Poll {
            needed: 3,
            own_site,
            others_most: 1,
            lone_site_counts,
        };
        let voters = voters.iter().map(|(site, photo, similarity)| Voter {
            similarity: *similarity,
            photo,
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
    }
}
