//! One picture, and how near it is to the samples of a kind and role.

use super::owners::Owners;
use super::policy::Policy;
use super::votes::{Poll, Voter, count};
use super::{Group, Neighbour, Sample};
use crate::bank::gallery::Hit;

impl Group {
    pub(super) fn photos(&self) -> impl Iterator<Item = &str> {
        self.samples.iter().map(|s| s.photo_sha256.as_str())
    }
}

/// So many are found at first; more when they do not decide.
const FIRST: usize = 16;
const MORE: usize = 8;

/// The samples of a group that are `wanted`, seen from one picture, nearest first.
pub(super) struct Near<'a, W> {
    group: &'a Group,
    owners: &'a Owners,
    probe: &'a [f32],
    wanted: W,
    first: Vec<Hit>,
}

impl<'a, W: Fn(&Sample) -> bool> Near<'a, W> {
    pub(super) fn new(
        (group, owners): (&'a Group, &'a Owners),
        probe: &'a [f32],
        wanted: W,
    ) -> Self {
        let mut near = Self {
            group,
            owners,
            probe,
            wanted,
            first: Vec::new(),
        };
        near.first = near.find(FIRST);
        near
    }

    /// At least `k` where there are so many; fewer are all.
    fn find(&self, k: usize) -> Vec<Hit> {
        let wanted = |row: usize| (self.wanted)(&self.group.samples[row]);
        self.group.gallery.nearest_of_all(self.probe, k, wanted)
    }

    pub(super) fn score(&self, own_site: &str, policy: &Policy) -> Option<f32> {
        let votes = self.count(&policy.poll_to_confirm(own_site, self.owners));
        votes.last().copied()
    }

    pub(super) fn votes(&self, site: &str, policy: &Policy) -> Vec<f32> {
        self.count(&policy.poll_to_suppress(site, self.owners))
    }

    /// The votes of all, of which no more than the nearest are looked at that decide.
    fn count(&self, poll: &Poll<'_>) -> Vec<f32> {
        let votes = |hits: &[Hit]| {
            let voters = hits.iter().map(|hit| {
                let sample = &self.group.samples[hit.row];
                Voter {
                    similarity: hit.similarity,
                    photo: &sample.photo_sha256,
                    case: sample.case,
                    site: &sample.place.site,
                }
            });
            count(voters, poll, |site| self.only(site))
        };
        let mut counted = votes(&self.first);
        let (mut k, mut found) = (FIRST, self.first.len());
        while counted.len() < poll.needed && found >= k {
            k *= MORE;
            let hits = self.find(k);
            (counted, found) = (votes(&hits), hits.len());
        }
        counted
    }

    /// Whether all are of this site.
    fn only(&self, site: &str) -> bool {
        let mut wanted = self.group.samples.iter().filter(|s| (self.wanted)(s));
        wanted.all(|s| s.place.site == site)
    }

    /// The nearest sample; of equals, that of the least id.
    pub(super) fn nearest(&self) -> Option<Neighbour> {
        let best = self.first.first()?.similarity;
        let equals = self.first.iter().take_while(|hit| hit.similarity == best);
        equals
            .map(|hit| &self.group.samples[hit.row])
            .min_by_key(|sample| sample.id)
            .map(|sample| Neighbour {
                sample: sample.clone(),
                similarity: best,
            })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bank::tests::{embedder, look, sample};
    use crate::bank::{Bank, Role};

    proptest! {
        #[test]
        fn the_nearest_decide_as_all_would(
            samples in proptest::collection::vec((0u64..4, 0u64..3, 0u64..60, 0u64..40), 1..400),
            own in 0u64..4,
            votes in 1usize..6,
        ) {
            let mut bank = Bank::new(1, embedder());
            for (n, (site, towards, number, photo)) in (0..).zip(samples) {
                let mut sample = sample(n, Role::Positive, "EQP-02", &format!("s{}", site.min(photo)));
                sample.photo_sha256 = format!("{photo:064x}");
                sample.case = (photo > 25).then(|| crate::bank::tests::id(photo % 5));
                // few looks: many are equally near
                bank.insert(sample, &look(towards, 0.5, number)).unwrap();
            }
            let group = bank.group(Some("EQP-02"), Role::Positive).unwrap();
            let probe = look(0, 0.3, 1);
            let policy = Policy { votes, quorum: votes, ..Policy::default() };
            let own = format!("s{own}");
            let wanted = |s: &Sample| s.photo_sha256.ends_with(['1', '2', '3']) || s.place.site == "s3";
            let owners = Owners::new([("s1", "e"), ("s2", "e")].map(|(site, owner)| {
                (site.to_owned(), owner.to_owned())
            }));
            let near = Near::new((group, &owners), probe.values(), wanted);
            let all = || {
                let samples = group.samples.iter().zip(group.gallery.similarities(probe.values()));
                samples.filter(|(s, _)| wanted(s)).map(|(sample, similarity)| Voter {
                    similarity,
                    photo: &sample.photo_sha256,
                    case: sample.case,
                    site: &sample.place.site,
                })
            };
            for poll in [policy.poll_to_confirm(&own, &owners), policy.poll_to_suppress(&own, &owners)] {
                prop_assert_eq!(near.count(&poll), count(all(), &poll, |_| true));
            }
            let best = all().map(|v| v.similarity).max_by(f32::total_cmp);
            prop_assert_eq!(near.nearest().map(|n| n.similarity), best);
        }
    }
}
