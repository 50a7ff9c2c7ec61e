//! Why an output could not be read.

/// The manifest's `[head]` or `labels` do not fit the model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// A tensor has another shape than the family and the label count ask for.
    #[error(
        "output `{output}` has shape {shape:?}, expected {expected}; check `labels` and [head]"
    )]
    Shape {
        /// Output tensor.
        output: String,
        /// Its shape.
        shape: Vec<usize>,
        /// What was expected.
        expected: String,
    },
    /// A named output does not exist.
    #[error("the model has no output `{wanted}`, it has {found:?}; correct the name in [head]")]
    MissingOutput {
        /// Name that `[head]` asks for.
        wanted: String,
        /// Names that the model has.
        found: Vec<String>,
    },
    /// Several outputs, and `[head]` names none.
    #[error("the model has the outputs {found:?}; name the one to read as `output` in [head]")]
    WhichOutput {
        /// Names that the model has.
        found: Vec<String>,
    },
    /// A score outside `0..=1`.
    #[error(
        "output `{output}` holds the score {score}, outside 0..=1; \
         if the model gives logits, say so in [head] (`logits` or `activation`)"
    )]
    Score {
        /// Output tensor.
        output: String,
        /// The score.
        score: f32,
    },
    /// A score that is no number.
    #[error(
        "output `{output}` holds scores that are no numbers: the model's arithmetic broke down on \
         this picture; half precision is the usual reason, try the float32 export"
    )]
    NotANumber {
        /// Output tensor.
        output: String,
    },
    /// A class number beyond the labels.
    #[error(
        "output `{output}` holds the class number {class}, but there are {labels} labels; \
         check `labels` and `background`"
    )]
    Class {
        /// Output tensor.
        output: String,
        /// The number.
        class: f32,
        /// How many labels there are.
        labels: usize,
    },
    /// Thresholds and labels differ in number.
    #[error("{thresholds} thresholds for {classes} classes")]
    Thresholds {
        /// Thresholds given.
        thresholds: usize,
        /// Classes of the model.
        classes: usize,
    },
    /// A value in `[head]` cannot be used.
    #[error("[head] {0}")]
    Head(String),
}
