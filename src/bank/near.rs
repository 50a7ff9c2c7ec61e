//! One picture, and how near it is to the samples of a kind and role.

use super::policy::Policy;
use super::votes::{Voter, count};
use super::{Group, Neighbour, Place, Sample};

impl Group {
    pub(super) fn photos(&self) -> impl Iterator<Item = &str> {
        self.samples.iter().map(|s| s.photo_sha256.as_str())
    }
}

/// A group, seen from one picture.
pub(super) struct Near<'a> {
    group: &'a Group,
    similarities: Vec<f32>,
}

impl<'a> Near<'a> {
    pub(super) fn new(group: &'a Group, probe: &[f32]) -> Self {
        Self {
            group,
            similarities: group.gallery.similarities(probe),
        }
    }

    fn voters(&self, wanted: impl Fn(&Sample) -> bool) -> impl Iterator<Item = Voter<'a>> {
        self.group
            .samples
            .iter()
            .zip(&self.similarities)
            .filter(move |(sample, _)| wanted(sample))
            .map(|(sample, similarity)| Voter {
                similarity: *similarity,
                photo: &sample.photo_sha256,
                site: &sample.place.site,
            })
    }

    pub(super) fn score(
        &self,
        own_site: &str,
        policy: &Policy,
        wanted: impl Fn(&Sample) -> bool,
    ) -> Option<f32> {
        count(self.voters(wanted), &policy.poll_to_confirm(own_site))
            .last()
            .copied()
    }

    pub(super) fn votes(&self, place: &Place, policy: &Policy) -> Vec<f32> {
        count(
            self.voters(|s| s.counts_at(place)),
            &policy.poll_to_suppress(&place.site),
        )
    }

    /// The nearest sample; of equals, that of the least id.
    pub(super) fn nearest(&self, wanted: impl Fn(&Sample) -> bool) -> Option<Neighbour> {
        let samples = self.group.samples.iter().zip(&self.similarities);
        samples
            .filter(|(sample, _)| wanted(sample))
            .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.id.cmp(&a.0.id)))
            .map(|(sample, similarity)| Neighbour {
                sample: sample.clone(),
                similarity: *similarity,
            })
    }
}
