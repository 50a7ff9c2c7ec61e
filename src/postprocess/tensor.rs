//! A model's outputs as the decoders see them.

use super::DecodeError;

/// One output of a model run for one picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutputTensor<'a> {
    /// Name in the ONNX graph.
    pub name: &'a str,
    /// Shape, batch axis (of length 1) included.
    pub shape: &'a [usize],
    /// Row-major values; integer tensors are converted to `f32` on the way out of the runtime.
    pub data: &'a [f32],
}

impl<'a> OutputTensor<'a> {
    /// The tensor as rows of `cols` values, after dropping leading axes of length 1.
    ///
    /// `[1, N, cols]`, `[N, cols]` and `[1, 1, N, cols]` are all `N` rows.
    pub(crate) fn rows(&self, cols: usize) -> Result<Table<'a>, DecodeError> {
        let table = self.matrix()?;
        if table.cols == cols {
            Ok(table)
        } else {
            Err(self.unexpected(format!("[1, N, {cols}]")))
        }
    }

    /// The tensor as a matrix: at most two axes may be longer than 1, and they are the last.
    pub(crate) fn matrix(&self) -> Result<Table<'a>, DecodeError> {
        self.check_length()?;
        match self.shape {
            [lead @ .., rows, cols] if lead.iter().all(|&n| n == 1) => Ok(Table {
                data: self.data,
                rows: *rows,
                cols: *cols,
                row_stride: *cols,
                col_stride: 1,
            }),
            _ => Err(self.unexpected("[1, rows, columns]".into())),
        }
    }

    /// The tensor as a list of `len` values: `[1, N]`, `[N]`, `[1, N, 1]`, or a scalar.
    pub(crate) fn list_of(&self, len: usize) -> Result<&'a [f32], DecodeError> {
        self.check_length()?;
        if self.data.len() == len && self.shape.iter().filter(|&&n| n != 1).count() <= 1 {
            Ok(self.data)
        } else {
            Err(self.unexpected(format!("[1, {len}]")))
        }
    }

    fn check_length(&self) -> Result<(), DecodeError> {
        let expected = self
            .shape
            .iter()
            .try_fold(1usize, |n, &axis| n.checked_mul(axis));
        if expected == Some(self.data.len()) {
            Ok(())
        } else {
            Err(self.unexpected(format!("a shape of {} values", self.data.len())))
        }
    }

    pub(crate) fn unexpected(&self, expected: String) -> DecodeError {
        DecodeError::Shape {
            output: self.name.to_owned(),
            shape: self.shape.to_vec(),
            expected,
        }
    }
}

/// A matrix view with strides, so that a transposed layout needs no copy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table<'a> {
    data: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Table<'a> {
    /// Value at a row and a column; NaN outside, which no decoder takes for a score or a box.
    pub(crate) fn at(&self, row: usize, col: usize) -> f32 {
        self.data
            .get(row * self.row_stride + col * self.col_stride)
            .copied()
            .unwrap_or(f32::NAN)
    }

    /// Four values from a column on.
    pub(crate) fn quad(&self, row: usize, col: usize) -> [f32; 4] {
        std::array::from_fn(|i| self.at(row, col + i))
    }

    /// Rows as columns.
    pub(crate) fn transposed(self) -> Self {
        Self {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }
}

/// The output of that name, or the only one where no name is given.
pub(crate) fn pick<'a, 'b>(
    outputs: &'b [OutputTensor<'a>],
    name: Option<&str>,
) -> Result<&'b OutputTensor<'a>, DecodeError> {
    match (name, outputs) {
        (Some(name), _) => {
            outputs
                .iter()
                .find(|o| o.name == name)
                .ok_or_else(|| DecodeError::MissingOutput {
                    wanted: name.to_owned(),
                    found: names(outputs),
                })
        }
        (None, [only]) => Ok(only),
        (None, _) => Err(DecodeError::WhichOutput {
            found: names(outputs),
        }),
    }
}

fn names(outputs: &[OutputTensor<'_>]) -> Vec<String> {
    outputs.iter().map(|o| o.name.to_owned()).collect()
}
