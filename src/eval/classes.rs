//! Which classes are judged: those that both the set labels and the model has.
//!
//! Labels are partial: an object of a class that the set does not label may stand in its photos
//! all the same, so that predictions of such a class can be called neither right nor wrong.

use std::collections::HashMap;

use super::labels::{GroundTruth, LabelledClass, Prediction};

/// How the names of a set become ours.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClassMap {
    /// `(ours, theirs)`. Several of theirs may become one of ours.
    pub pairs: Vec<(String, String)>,
    /// Names of the set that have no counterpart among ours.
    pub unmapped: Vec<String>,
}

/// The classes of one evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassPlan {
    /// In the order of the set.
    pub judged: Vec<JudgedClass>,
    /// Names of the set that the model has no class for: left out.
    pub not_in_model: Vec<String>,
    /// Classes of the model that the set does not label: left out.
    pub not_labelled: Vec<String>,
    /// From a class id of the set to [`JudgedClass::id`].
    judged_id: HashMap<u64, u64>,
}

/// One class that is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedClass {
    /// The set's id; the first one where several of its classes become one of ours.
    pub id: u64,
    /// Our name.
    pub name: String,
    /// The set's names.
    pub theirs: Vec<String>,
}

/// Why classes cannot be matched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClassError {
    /// A map names a class that the set does not have.
    #[error("the set has no class {theirs:?}; it has {has:?}")]
    NotInSet {
        /// As given.
        theirs: String,
        /// The set's names.
        has: Vec<String>,
    },
    /// A map names a class that the model does not have.
    #[error("the model has no class {ours:?}; it has {has:?}")]
    NotInModel {
        /// As given.
        ours: String,
        /// The model's names.
        has: Vec<String>,
    },
    /// The set labels nothing.
    #[error(
        "the set names no class at all, so there is nothing to judge by; are these the right labels?"
    )]
    NoClasses,
    /// Nothing to judge.
    #[error(
        "no class of the set {set:?} is a class of the model {model:?}; say which is which, \
         for example --map helmet=Hardhat (ours=theirs)"
    )]
    Nothing {
        /// The set's names.
        set: Vec<String>,
        /// The model's names.
        model: Vec<String>,
    },
}

impl ClassPlan {
    /// Matches the classes of a set with those of a model; without `labels` (predictions of
    /// another program, made for this set) every class of the set is judged.
    ///
    /// Names that `map` does not mention match without regard to case, `-`, `_` and space.
    ///
    /// # Errors
    /// `required` pairs of the map that name nothing, or no class at all in common.
    pub fn new(
        classes: &[LabelledClass],
        map: &ClassMap,
        required: &[(String, String)],
        labels: Option<&[String]>,
    ) -> Result<Self, ClassError> {
        if classes.is_empty() {
            return Err(ClassError::NoClasses);
        }
        let names = || classes.iter().map(|c| c.name.clone()).collect::<Vec<_>>();
        for (ours, theirs) in required {
            if !classes.iter().any(|c| same(&c.name, theirs)) {
                return Err(ClassError::NotInSet {
                    theirs: theirs.clone(),
                    has: names(),
                });
            }
            if let Some(labels) = labels
                && !labels.iter().any(|l| same(l, ours))
            {
                return Err(ClassError::NotInModel {
                    ours: ours.clone(),
                    has: labels.to_vec(),
                });
            }
        }
        // what the command line says goes before what the manifest says
        let ours_of = |class: &LabelledClass| {
            let theirs = &class.name;
            let mut pairs = required.iter().chain(&map.pairs);
            match pairs.find(|(_, t)| same(t, theirs)) {
                Some((ours, _)) => Some(ours.clone()),
                None if map.unmapped.iter().any(|t| same(t, theirs)) => None,
                None => Some(theirs.clone()),
            }
        };
        let mut plan = Self::none();
        for class in classes {
            let ours = ours_of(class);
            let name = match labels {
                None => Some(ours.unwrap_or_else(|| class.name.clone())),
                Some(labels) => {
                    ours.and_then(|ours| labels.iter().find(|l| same(l, &ours)).cloned())
                }
            };
            match name {
                Some(name) => plan.add(&name, class),
                None => plan.not_in_model.push(class.name.clone()),
            }
        }
        plan.not_labelled = labels
            .unwrap_or_default()
            .iter()
            .filter(|l| !plan.judged.iter().any(|j| j.name == **l))
            .cloned()
            .collect();
        if plan.judged.is_empty() {
            return Err(ClassError::Nothing {
                set: names(),
                model: labels.unwrap_or_default().to_vec(),
            });
        }
        Ok(plan)
    }

    /// No class at all: findings are judged, no boxes.
    pub fn none() -> Self {
        Self {
            judged: Vec::new(),
            not_in_model: Vec::new(),
            not_labelled: Vec::new(),
            judged_id: HashMap::new(),
        }
    }

    fn add(&mut self, name: &str, class: &LabelledClass) {
        let at = match self.judged.iter().position(|j| j.name == name) {
            Some(at) => at,
            None => {
                self.judged.push(JudgedClass {
                    id: class.id,
                    name: name.to_owned(),
                    theirs: Vec::new(),
                });
                self.judged.len() - 1
            }
        };
        self.judged[at].theirs.push(class.name.clone());
        self.judged_id.insert(class.id, self.judged[at].id);
    }

    /// The judged class that a class of the set belongs to.
    pub fn judged_id(&self, class: u64) -> Option<u64> {
        self.judged_id.get(&class).copied()
    }

    /// The judged class of our name.
    pub fn by_name(&self, name: &str) -> Option<&JudgedClass> {
        self.judged.iter().find(|j| j.name == name)
    }

    /// Our name of a judged class.
    pub fn name(&self, id: u64) -> &str {
        let class = self.judged.iter().find(|j| j.id == id);
        class.map_or("?", |j| &j.name)
    }

    /// The plan for some of its judged classes.
    pub fn only(mut self, ids: &std::collections::HashSet<u64>) -> Self {
        self.judged.retain(|j| ids.contains(&j.id));
        self.judged_id.retain(|_, id| ids.contains(id));
        self
    }

    /// Boxes of judged classes only, under their judged ids.
    pub fn keep_judged(&self, truth: &mut GroundTruth) {
        truth.boxes.retain_mut(|b| match self.judged_id(b.class) {
            Some(id) => {
                b.class = id;
                true
            }
            None => false,
        });
        truth.classes = self
            .judged
            .iter()
            .map(|j| LabelledClass {
                id: j.id,
                name: j.name.clone(),
            })
            .collect();
    }

    /// Predictions of judged classes only, under their judged ids.
    pub fn keep_judged_predictions(&self, predictions: &mut Vec<Prediction>) {
        predictions.retain_mut(|p| match self.judged_id(p.class) {
            Some(id) => {
                p.class = id;
                true
            }
            None => false,
        });
    }
}

/// Spelling variants of one name: `NO-Hardhat` is `no_hardhat`.
fn same(a: &str, b: &str) -> bool {
    let key = |s: &str| {
        s.trim()
            .chars()
            .map(|c| if matches!(c, '-' | ' ') { '_' } else { c })
            .collect::<String>()
            .to_lowercase()
    };
    key(a) == key(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(names: &[&str]) -> Vec<LabelledClass> {
        let class = |(i, name): (usize, &&str)| LabelledClass {
            id: 10 + i as u64,
            name: (*name).to_owned(),
        };
        names.iter().enumerate().map(class).collect()
    }

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|&n| n.to_owned()).collect()
    }

    fn pair(ours: &str, theirs: &str) -> (String, String) {
        (ours.to_owned(), theirs.to_owned())
    }

    #[test]
    fn only_what_both_have_is_judged() {
        let plan = ClassPlan::new(
            &classes(&["Hardhat", "NO-Mask", "Safety Cone", "dog"]),
            &ClassMap {
                pairs: vec![pair("cone", "safety_cone")],
                unmapped: strings(&["dog"]),
            },
            &[pair("helmet", "Hardhat")],
            Some(&strings(&["person", "helmet", "no_mask", "cone", "dog"])),
        )
        .unwrap();
        let judged: Vec<(u64, &str)> = plan.judged.iter().map(|j| (j.id, &*j.name)).collect();
        assert_eq!(judged, [(10, "helmet"), (11, "no_mask"), (12, "cone")]);
        assert_eq!(plan.not_in_model, ["dog"]);
        assert_eq!(plan.not_labelled, ["person", "dog"]);
    }

    #[test]
    fn several_of_theirs_become_one_of_ours() {
        let set = classes(&["red helmet", "blue helmet", "none"]);
        let map = ClassMap {
            pairs: vec![pair("helmet", "red helmet"), pair("helmet", "blue helmet")],
            unmapped: Vec::new(),
        };
        let plan = ClassPlan::new(&set, &map, &[], Some(&strings(&["helmet"]))).unwrap();
        assert_eq!(
            (plan.judged_id(10), plan.judged_id(11)),
            (Some(10), Some(10))
        );
        assert_eq!(plan.judged_id(12), None);
        assert_eq!(plan.judged[0].theirs, ["red helmet", "blue helmet"]);
    }

    #[test]
    fn a_slip_of_the_pen_is_refused_with_what_there_is() {
        let set = classes(&["hat"]);
        let labels = strings(&["helmet"]);
        let plan = |required: &[(String, String)]| {
            ClassPlan::new(&set, &ClassMap::default(), required, Some(&labels))
        };
        let text = |required: &[(String, String)]| plan(required).unwrap_err().to_string();
        assert!(text(&[pair("helmet", "hut")]).contains("it has [\"hat\"]"));
        assert!(text(&[pair("helm", "hat")]).contains("it has [\"helmet\"]"));
        assert!(text(&[]).contains("--map helmet=Hardhat"));
        let none = ClassPlan::new(&[], &ClassMap::default(), &[], None).unwrap_err();
        assert!(none.to_string().contains("no class at all"));
        assert!(plan(&[pair("helmet", "hat")]).is_ok());
    }
}
