//! What a detector says about a picture.

use std::sync::Arc;

use crate::geometry::BBox;

/// One detected object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// Index into the model's [`LabelMap`].
    pub class: usize,
    /// Confidence, `0..=1`, as the model gives it.
    pub score: f32,
    /// Pixels of the original upright image.
    pub bbox: BBox,
}

/// The class names of one model, in the order of its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelMap(Arc<[String]>);

impl LabelMap {
    /// Names in class order.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// Name of a class; `"?"` for an index that the model does not have.
    pub fn name(&self, class: usize) -> &str {
        self.0.get(class).map_or("?", String::as_str)
    }

    /// Index of a name.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|n| n == name)
    }

    /// Number of classes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no class at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names in class order.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}
