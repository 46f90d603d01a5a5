//! [`Resample`]: means over 2ᵈ points, and back.

use crate::error::{Error, Result};
use crate::num::Real;

/// Between a field and one of half its extents (rounded up): coarse point i stands for the fine points
/// 2i and 2i + 1 along each axis; where an odd extent ends, what is missing counts as 0.
///
/// Pooling by means is P = Uᵀ/2ᵈ, with U the nearest upsampling; each is the other's adjoint but for
/// the factor, so both passes of both are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resample {
    fine: [usize; 3],
    coarse: [usize; 3],
    dim: usize,
}

impl Resample {
    /// For fine fields of these extents (1 beyond `dim`).
    ///
    /// # Errors
    /// Not 1 to 3 axes, an empty one, further ones.
    pub fn new(dim: usize, fine: [usize; 3]) -> Result<Self> {
        let fits = (1..=3).contains(&dim) && (0..3).all(|a| fine[a] > 0 && (a < dim || fine[a] == 1));
        if !fits {
            let given = format!("{dim} axes, {fine:?}");
            return Err(Error::invalid("the field to resample", given, "1 to 3 axes of at least one point"));
        }
        let coarse = std::array::from_fn(|a| if a < dim { fine[a].div_ceil(2) } else { 1 });
        Ok(Self { fine, coarse, dim })
    }

    /// Extents of the coarse field.
    pub fn coarse(&self) -> [usize; 3] {
        self.coarse
    }

    /// 2ᵈ.
    pub fn ratio(&self) -> f64 {
        f64::from(1u32 << self.dim)
    }

    /// `coarse` ← `factor` times the sums over 2ᵈ points of every field of `fine`: pooling by means with
    /// factor 2⁻ᵈ, the adjoint of upsampling with 1.
    pub fn sums<T: Real>(&self, factor: T, fine: &[T], coarse: &mut [T]) {
        let (rows, columns) = (self.rows(&self.fine), self.rows(&self.coarse));
        let fields = fine.chunks_exact(rows * self.fine[0]);
        for (fine, coarse) in fields.zip(coarse.chunks_exact_mut(columns * self.coarse[0])) {
            coarse.fill(T::zero());
            for (r, row) in fine.chunks_exact(self.fine[0]).enumerate() {
                let to = &mut coarse[self.coarse_row(r) * self.coarse[0]..][..self.coarse[0]];
                for (to, pair) in to.iter_mut().zip(row.chunks(2)) {
                    let sum = if let [a, b] = pair { *a + *b } else { pair[0] };
                    *to = factor.mul_add(sum, *to);
                }
            }
        }
    }

    /// ACCUMULATES: `fine` += `factor` times the coarse point of every fine one: upsampling with 1, the
    /// adjoint of pooling by means with 2⁻ᵈ.
    pub fn spread_add<T: Real>(&self, factor: T, coarse: &[T], fine: &mut [T]) {
        let (rows, columns) = (self.rows(&self.fine), self.rows(&self.coarse));
        let fields = fine.chunks_exact_mut(rows * self.fine[0]);
        for (fine, coarse) in fields.zip(coarse.chunks_exact(columns * self.coarse[0])) {
            for (r, row) in fine.chunks_exact_mut(self.fine[0]).enumerate() {
                let from = &coarse[self.coarse_row(r) * self.coarse[0]..][..self.coarse[0]];
                for (from, pair) in from.iter().zip(row.chunks_mut(2)) {
                    let v = factor * *from;
                    pair.iter_mut().for_each(|x| *x += v);
                }
            }
        }
    }

    fn rows(&self, extents: &[usize; 3]) -> usize {
        extents[1] * extents[2]
    }

    /// The coarse row that a fine row belongs to.
    fn coarse_row(&self, row: usize) -> usize {
        let (y, z) = (row % self.fine[1], row / self.fine[1]);
        let half = |at: usize, axis: usize| if axis < self.dim { at / 2 } else { at };
        half(y, 1) + self.coarse[1] * half(z, 2)
    }
}
