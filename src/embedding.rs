//! What an embedder says about pictures: points on a sphere, near each other where pictures are alike.

use serde::{Deserialize, Serialize};

use crate::geometry::BBox;

/// How far from 1 the length of a vector that calls itself unit may be: what `f32` and half precision
/// lose, and no more.
const LENGTH_TOLERANCE: f64 = 1e-3;

/// Context on each side of a box, in shares of its longer side.
const CONTEXT: f32 = 0.10;
/// The shorter side of what is cut, at least, in shares of the longer one.
const NARROWEST: f32 = 0.5;

/// What to cut out of a `width` x `height` picture to embed what is in a box: some context, not too
/// narrow, within the picture. What an embedder of ours was trained on; samples and probes must be cut alike.
pub fn look_region(bbox: BBox, width: f32, height: f32) -> BBox {
    let context = 2.0 * CONTEXT * bbox.width().max(bbox.height());
    let (w, h) = (bbox.width() + context, bbox.height() + context);
    let least = NARROWEST * w.max(h);
    let (w, h) = (w.max(least) / 2.0, h.max(least) / 2.0);
    let (cx, cy) = bbox.center();
    BBox::new(cx - w, cy - h, cx + w, cy + h).clip(width, height)
}

/// A picture, or a patch of one, as a vector of length 1.
///
/// Only embeddings of one embedder in one version mean anything to each other; whoever keeps them keeps
/// the version beside them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f32>", into = "Vec<f32>")]
pub struct Embedding(Box<[f32]>);

/// Why a vector is no embedding, or two cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum EmbeddingError {
    /// No values at all.
    #[error("an embedding needs at least one value")]
    Empty,
    /// Not a number, or infinite.
    #[error("value {index} of the embedding is {value}, no finite number")]
    NotFinite {
        /// Where.
        index: usize,
        /// What stands there.
        value: f32,
    },
    /// Of another length than 1.
    #[error("the embedding has length {length}, must have length 1; was it normalised?")]
    NotUnit {
        /// The length.
        length: f64,
    },
    /// All zero: it points nowhere.
    #[error("a vector of zeros has no direction")]
    Zero,
    /// Two of different size.
    #[error(
        "embeddings of {left} and of {right} values cannot be compared: they are of different \
         embedders; embed the pictures again with one of them"
    )]
    Dimensions {
        /// Of the one.
        left: usize,
        /// Of the other.
        right: usize,
    },
    /// Not a whole number of `f32`.
    #[error("{bytes} bytes are no list of 4-byte numbers; the record is damaged")]
    Bytes {
        /// How many there are.
        bytes: usize,
    },
}

impl Embedding {
    /// Takes a vector that has length 1 already. Its bits stay as they are.
    ///
    /// # Errors
    /// Empty, not finite, or of another length.
    pub fn new(values: Vec<f32>) -> Result<Self, EmbeddingError> {
        let length = length(&values)?;
        if (length - 1.0).abs() > LENGTH_TOLERANCE {
            return Err(EmbeddingError::NotUnit { length });
        }
        Ok(Self(values.into()))
    }

    /// Brings a vector to length 1.
    ///
    /// # Errors
    /// Empty, not finite, or all zero.
    pub fn normalised(mut values: Vec<f32>) -> Result<Self, EmbeddingError> {
        let length = length(&values)?;
        if length == 0.0 {
            return Err(EmbeddingError::Zero);
        }
        for value in &mut values {
            *value = (f64::from(*value) / length) as f32;
        }
        Ok(Self(values.into()))
    }

    /// The values.
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    /// How many values there are.
    pub fn dimensions(&self) -> usize {
        self.0.len()
    }

    /// Cosine of the angle between two, `-1..=1`; 1 is the same direction. The same for both orders, bit
    /// for bit.
    ///
    /// # Errors
    /// They have not equally many values.
    pub fn cosine(&self, other: &Self) -> Result<f32, EmbeddingError> {
        if self.dimensions() != other.dimensions() {
            return Err(EmbeddingError::Dimensions {
                left: self.dimensions(),
                right: other.dimensions(),
            });
        }
        Ok(dot(&self.0, &other.0).clamp(-1.0, 1.0))
    }

    /// The values as little-endian bytes, for keeping.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    /// Back from [`Self::to_le_bytes`], bit for bit.
    ///
    /// # Errors
    /// Damaged: not a multiple of 4 bytes, or no unit vector.
    pub fn from_le_bytes(bytes: &[u8]) -> Result<Self, EmbeddingError> {
        let (values, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(EmbeddingError::Bytes { bytes: bytes.len() });
        }
        Self::new(values.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }
}

impl TryFrom<Vec<f32>> for Embedding {
    type Error = EmbeddingError;

    fn try_from(values: Vec<f32>) -> Result<Self, EmbeddingError> {
        Self::new(values)
    }
}

impl From<Embedding> for Vec<f32> {
    fn from(embedding: Embedding) -> Self {
        embedding.0.into()
    }
}

/// Dot product of two slices of one length. Eight sums side by side, which the compiler turns into SIMD.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a8, a_rest), (b8, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0f32; 8];
    for (x, y) in a8.iter().zip(b8) {
        for i in 0..8 {
            sums[i] += x[i] * y[i];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

/// In double precision: squares of large values do not overflow.
fn length(values: &[f32]) -> Result<f64, EmbeddingError> {
    if values.is_empty() {
        return Err(EmbeddingError::Empty);
    }
    if let Some(index) = values.iter().position(|v| !v.is_finite()) {
        let value = values[index];
        return Err(EmbeddingError::NotFinite { index, value });
    }
    Ok(values
        .iter()
        .map(|v| f64::from(*v).powi(2))
        .sum::<f64>()
        .sqrt())
}

/// The patches of one picture, row by row from the top left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PatchParts", into = "PatchParts")]
pub struct PatchGrid {
    columns: usize,
    rows: usize,
    patches: Vec<Embedding>,
}

/// Why patches are no grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatchGridError {
    /// More or fewer patches than places.
    #[error("{columns} x {rows} places and {patches} patches")]
    Count {
        /// Places in a row.
        columns: usize,
        /// Rows.
        rows: usize,
        /// Patches given.
        patches: usize,
    },
    /// Patches of different size.
    #[error("the patches of a grid must all have equally many values")]
    Dimensions,
}

impl PatchGrid {
    /// Patches row by row.
    ///
    /// # Errors
    /// Their number is not `columns * rows` (and some), or they are not of one size.
    pub fn new(
        columns: usize,
        rows: usize,
        patches: Vec<Embedding>,
    ) -> Result<Self, PatchGridError> {
        if patches.is_empty() || columns.checked_mul(rows) != Some(patches.len()) {
            return Err(PatchGridError::Count {
                columns,
                rows,
                patches: patches.len(),
            });
        }
        if patches
            .iter()
            .any(|p| p.dimensions() != patches[0].dimensions())
        {
            return Err(PatchGridError::Dimensions);
        }
        Ok(Self {
            columns,
            rows,
            patches,
        })
    }

    /// Patches in a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// All patches, row by row.
    pub fn patches(&self) -> &[Embedding] {
        &self.patches
    }

    /// The centre of a patch, in shares of the picture's width and height.
    pub fn centre(&self, patch: usize) -> (f32, f32) {
        let at = |n: usize, of: usize| (n as f32 + 0.5) / of as f32;
        (
            at(patch % self.columns, self.columns),
            at(patch / self.columns, self.rows),
        )
    }
}

/// A grid as it is written.
#[derive(Serialize, Deserialize)]
struct PatchParts {
    columns: usize,
    rows: usize,
    patches: Vec<Embedding>,
}

impl TryFrom<PatchParts> for PatchGrid {
    type Error = PatchGridError;

    fn try_from(parts: PatchParts) -> Result<Self, PatchGridError> {
        Self::new(parts.columns, parts.rows, parts.patches)
    }
}

impl From<PatchGrid> for PatchParts {
    fn from(grid: PatchGrid) -> Self {
        Self {
            columns: grid.columns,
            rows: grid.rows,
            patches: grid.patches,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vector(n: usize) -> impl Strategy<Value = Vec<f32>> {
        proptest::collection::vec(-1e3f32..1e3, n)
            .prop_filter("a direction", |v| v.iter().any(|x| x.abs() > 1e-3))
    }

    proptest! {
        #[test]
        fn normalised_is_unit_and_keeps_the_direction(v in vector(37), scale in 1e-3f32..1e3) {
            let e = Embedding::normalised(v.clone()).unwrap();
            prop_assert_eq!(Embedding::new(e.values().to_vec()).unwrap(), e.clone());
            let scaled = v.iter().map(|x| x * scale).collect();
            let same = Embedding::normalised(scaled).unwrap().cosine(&e).unwrap();
            prop_assert!(same > 0.9999, "{}", same);
        }

        #[test]
        fn cosine_is_symmetric_and_within_bounds(a in vector(21), b in vector(21)) {
            let (a, b) = (Embedding::normalised(a).unwrap(), Embedding::normalised(b).unwrap());
            let c = a.cosine(&b).unwrap();
            prop_assert_eq!(c.to_bits(), b.cosine(&a).unwrap().to_bits());
            prop_assert!((-1.0..=1.0).contains(&c));
            let plain: f64 = a.values().iter().zip(b.values())
                .map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            prop_assert!((f64::from(c) - plain).abs() < 1e-5, "{} {}", c, plain);
        }

        #[test]
        fn bytes_and_json_give_the_same_bits(v in vector(9)) {
            let e = Embedding::normalised(v).unwrap();
            prop_assert_eq!(&Embedding::from_le_bytes(&e.to_le_bytes()).unwrap(), &e);
            let json = serde_json::to_string(&e).unwrap();
            prop_assert_eq!(serde_json::from_str::<Embedding>(&json).unwrap(), e);
        }
    }

    #[test]
    fn what_is_no_embedding_is_refused() {
        assert_eq!(Embedding::new(vec![]), Err(EmbeddingError::Empty));
        assert_eq!(
            Embedding::new(vec![0.6, 0.9]),
            Err(EmbeddingError::NotUnit {
                length: (f64::from(0.6f32).powi(2) + f64::from(0.9f32).powi(2)).sqrt()
            })
        );
        assert_eq!(
            Embedding::normalised(vec![0.0; 4]),
            Err(EmbeddingError::Zero)
        );
        for bad in [f32::NAN, f32::INFINITY] {
            let refused = Embedding::normalised(vec![1.0, bad]);
            assert!(matches!(
                refused,
                Err(EmbeddingError::NotFinite { index: 1, .. })
            ));
        }
        assert_eq!(
            Embedding::from_le_bytes(&[0; 6]),
            Err(EmbeddingError::Bytes { bytes: 6 })
        );
        assert!(serde_json::from_str::<Embedding>("[3.0, 4.0]").is_err());
    }

    #[test]
    fn other_sizes_are_not_compared() {
        let a = Embedding::new(vec![1.0, 0.0]).unwrap();
        let b = Embedding::new(vec![1.0, 0.0, 0.0]).unwrap();
        let error = a.cosine(&b).unwrap_err();
        assert_eq!(error, EmbeddingError::Dimensions { left: 2, right: 3 });
        assert!(
            PatchGrid::new(2, 1, vec![a.clone(), b])
                .unwrap_err()
                .to_string()
                .contains("equally many")
        );
        assert!(PatchGrid::new(2, 2, vec![a; 3]).is_err());
        assert!(PatchGrid::new(0, 0, vec![]).is_err());
    }

    #[test]
    fn a_box_is_cut_with_context_and_not_too_narrow() {
        let cut = |x1, y1, x2, y2| look_region(BBox::new(x1, y1, x2, y2), 1000.0, 800.0);
        assert_eq!(
            cut(400.0, 300.0, 500.0, 400.0),
            BBox::new(390.0, 290.0, 510.0, 410.0)
        );
        // 20 x 200 becomes 60 x 240, and then half as wide as high
        assert_eq!(
            cut(500.0, 300.0, 520.0, 500.0),
            BBox::new(450.0, 280.0, 570.0, 520.0)
        );
        assert_eq!(
            cut(0.0, 0.0, 1000.0, 800.0),
            BBox::new(0.0, 0.0, 1000.0, 800.0)
        );
    }

    #[test]
    fn places_in_a_grid() {
        let e = Embedding::new(vec![1.0]).unwrap();
        let grid = PatchGrid::new(4, 2, vec![e; 8]).unwrap();
        assert_eq!(grid.centre(0), (0.125, 0.25));
        assert_eq!(grid.centre(7), (0.875, 0.75));
    }
}
