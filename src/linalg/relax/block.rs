//! [`BlockJacobi`] and [`BlockGaussSeidel`]: contiguous blocks of unknowns, solved exactly.

use super::{Sweep, gauss_seidel::subtract, setup};
use crate::error::{Error, Result};
use crate::linalg::{Claims, Csr, LinearOperator, Preconditioner, Relaxation};
use crate::num::{Kernel, Real, dispatch};
use std::ops::Range;

/// The inverses of the diagonal blocks A_II; the last block may be smaller.
#[derive(Clone, Debug, PartialEq)]
struct Blocks<T> {
    n: usize,
    size: usize,
    /// Row-major, one block after the other.
    inverses: Vec<T>,
    /// Every block is symmetric positive definite.
    positive: bool,
}

impl<T: Real> Blocks<T> {
    fn new(a: &Csr<T>, size: usize) -> Result<Self> {
        let n = a.square()?;
        if size == 0 || size > n {
            return Err(Error::invalid("the block size", size, format!("it must lie in 1..={n}")));
        }
        let mut blocks = Self { n, size, inverses: Vec::new(), positive: true };
        for block in 0..blocks.count() {
            let rows = blocks.rows(block);
            let m = rows.len();
            let mut dense = vec![T::zero(); m * m];
            for i in rows.clone() {
                let (columns, values) = a.row(i);
                for (&j, &v) in columns.iter().zip(values).filter(|(j, _)| rows.contains(&(**j as usize))) {
                    dense[(i - rows.start) * m + j as usize - rows.start] = v;
                }
            }
            blocks.positive &= is_spd(&dense, m);
            let Some(inverse) = invert(dense, m) else {
                let given = format!("rows {}..{}", rows.start, rows.end);
                let needed = "every diagonal block must be invertible: take another block size, or reorder";
                return Err(Error::invalid("a singular diagonal block", given, needed));
            };
            blocks.inverses.extend(inverse);
        }
        Ok(blocks)
    }

    fn count(&self) -> usize {
        self.n.div_ceil(self.size)
    }

    #[inline(always)]
    fn rows(&self, block: usize) -> Range<usize> {
        block * self.size..((block + 1) * self.size).min(self.n)
    }

    #[inline(always)]
    fn inverse(&self, block: usize) -> &[T] {
        let m = self.rows(block).len();
        let start = block * self.size * self.size;
        &self.inverses[start..start + m * m]
    }

    /// out ← beta out + weight A_II⁻¹ r for one block.
    #[inline(always)]
    fn add_solution(&self, block: usize, weight: T, r: &[T], beta: T, out: &mut [T]) {
        for (out, row) in out.iter_mut().zip(self.inverse(block).chunks_exact(r.len())) {
            let sum = row.iter().zip(r).fold(T::zero(), |sum, (&m, &r)| m.mul_add(r, sum));
            *out = weight.mul_add(sum, if beta == T::zero() { beta } else { *out });
        }
    }

    /// r ← weight A_II⁻ᵀ r for one block, through `buffer`.
    fn solve_transpose(&self, block: usize, weight: T, r: &mut [T], buffer: &mut [T]) {
        let buffer = &mut buffer[..r.len()];
        buffer.fill(T::zero());
        for (row, &r) in self.inverse(block).chunks_exact(r.len()).zip(&*r) {
            buffer.iter_mut().zip(row).for_each(|(sum, &m)| *sum = m.mul_add(weight * r, *sum));
        }
        r.copy_from_slice(buffer);
    }
}

/// The inverse by Gauss–Jordan elimination with partial pivoting; `None` for a singular matrix.
fn invert<T: Real>(mut a: Vec<T>, m: usize) -> Option<Vec<T>> {
    let largest = a.iter().fold(T::zero(), |largest, v| largest.max(v.abs()));
    let mut inverse = vec![T::zero(); m * m];
    (0..m).for_each(|i| inverse[i * m + i] = T::one());
    for k in 0..m {
        let size = |a: &[T], i: usize| a[i * m + k].abs();
        let pivot = (k..m).fold(k, |best, i| if size(&a, i) > size(&a, best) { i } else { best });
        let value = a[pivot * m + k];
        if value.abs() <= T::of(m as f64) * T::EPSILON * largest {
            return None;
        }
        for j in 0..m {
            a.swap(k * m + j, pivot * m + j);
            inverse.swap(k * m + j, pivot * m + j);
        }
        for j in 0..m {
            a[k * m + j] /= value;
            inverse[k * m + j] /= value;
        }
        for i in (0..m).filter(|&i| i != k) {
            let factor = a[i * m + k];
            for j in 0..m {
                let (above, above_inverse) = (a[k * m + j], inverse[k * m + j]);
                a[i * m + j] = (-factor).mul_add(above, a[i * m + j]);
                inverse[i * m + j] = (-factor).mul_add(above_inverse, inverse[i * m + j]);
            }
        }
    }
    Some(inverse)
}

/// Symmetric with positive pivots.
fn is_spd<T: Real>(a: &[T], m: usize) -> bool {
    if (0..m).any(|i| (0..i).any(|j| a[i * m + j] != a[j * m + i])) {
        return false;
    }
    let mut a = a.to_vec();
    for k in 0..m {
        let pivot = a[k * m + k];
        if !pivot.is_finite() || pivot <= T::zero() {
            return false;
        }
        for i in k + 1..m {
            let factor = a[i * m + k] / pivot;
            for j in k + 1..m {
                let above = a[k * m + j];
                a[i * m + j] = (-factor).mul_add(above, a[i * m + j]);
            }
        }
    }
    true
}

/// Block Jacobi, M = blockdiag(A_II)/ω for contiguous blocks of one size: for systems with several unknowns
/// a point, numbered point by point. A relaxation and a preconditioner.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockJacobi<T> {
    omega: T,
    blocks: Blocks<T>,
    residual: Vec<T>,
}

impl<T: Real> BlockJacobi<T> {
    /// With blocks of `size` rows (the last may be smaller) and weight ω.
    ///
    /// # Errors
    /// A matrix that is not square or is empty; a size outside 1..=n; a singular block (its rows are
    /// named); ω outside (0, 2).
    pub fn new(a: &Csr<T>, size: usize, omega: f64) -> Result<Self> {
        setup::check_omega(omega)?;
        let blocks = Blocks::new(a, size)?;
        Ok(Self { omega: T::of(omega), residual: vec![T::zero(); blocks.n], blocks })
    }
}

/// x ← beta x + ω blockdiag(A_II)⁻¹ r.
struct AllBlocks<'a, T> {
    blocks: &'a Blocks<T>,
    omega: T,
    r: &'a [T],
    beta: T,
    x: &'a mut [T],
}

impl<T: Real> Kernel for AllBlocks<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for block in 0..self.blocks.count() {
            let rows = self.blocks.rows(block);
            let (r, x) = (&self.r[rows.clone()], &mut self.x[rows]);
            self.blocks.add_solution(block, self.omega, r, self.beta, x);
        }
    }
}

impl<T: Real> Preconditioner<T> for BlockJacobi<T> {
    fn len(&self) -> usize {
        self.blocks.n
    }

    fn claims(&self) -> Claims {
        if self.blocks.positive { Claims::SPD } else { Claims::LINEAR }
    }

    fn apply(&mut self, r: &[T], z: &mut [T]) {
        dispatch(AllBlocks { blocks: &self.blocks, omega: self.omega, r, beta: T::zero(), x: z });
    }

    fn apply_transpose(&mut self, r: &[T], z: &mut [T]) -> Result<()> {
        z.copy_from_slice(r);
        for block in 0..self.blocks.count() {
            let rows = self.blocks.rows(block);
            self.blocks.solve_transpose(block, self.omega, &mut z[rows], &mut self.residual);
        }
        Ok(())
    }
}

impl<T: Real> Relaxation<T, Csr<T>> for BlockJacobi<T> {
    fn sweep(&mut self, a: &Csr<T>, b: &[T], x: &mut [T]) {
        a.residual(b, x, &mut self.residual);
        let (omega, r) = (self.omega, &self.residual);
        dispatch(AllBlocks { blocks: &self.blocks, omega, r, beta: T::one(), x });
    }

    fn sweep_adjoint(&mut self, a: &Csr<T>, b: &[T], x: &mut [T]) {
        self.sweep(a, b, x);
    }

    fn sweep_from_zero(&mut self, _: &Csr<T>, b: &[T], x: &mut [T]) {
        self.apply(b, x);
    }

    fn transpose_from_zero(&mut self, _: &Csr<T>, b: &[T], x: &mut [T]) -> Result<()> {
        self.apply_transpose(b, x)
    }

    fn is_spd(&self) -> bool {
        self.blocks.positive
    }
}

/// Block Gauss–Seidel and its over-relaxations: block by block, x_I ← x_I + ω A_II⁻¹ (b − A x)_I with
/// the newest x.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockGaussSeidel<T> {
    omega: T,
    order: Sweep,
    blocks: Blocks<T>,
    /// Room for one block.
    buffer: Vec<T>,
    symmetric: bool,
}

impl<T: Real> BlockGaussSeidel<T> {
    /// With blocks of `size` rows (the last may be smaller) and over-relaxation ω (1: none).
    ///
    /// # Errors
    /// As [`BlockJacobi::new`].
    pub fn new(a: &Csr<T>, size: usize, omega: f64, order: Sweep) -> Result<Self> {
        setup::check_omega(omega)?;
        let blocks = Blocks::new(a, size)?;
        let symmetric = order == Sweep::Symmetric && blocks.positive && setup::is_symmetric(a);
        Ok(Self { omega: T::of(omega), order, buffer: vec![T::zero(); size], blocks, symmetric })
    }

    fn sweep_in(&mut self, order: Sweep, a: &Csr<T>, b: &[T], x: &mut [T]) {
        let Self { omega, blocks, buffer, .. } = self;
        let omega = *omega;
        if order != Sweep::Reverse {
            dispatch(BlockPass { reverse: false, blocks, omega, a, b, x: &mut *x, buffer });
        }
        if order != Sweep::Natural {
            dispatch(BlockPass { reverse: true, blocks, omega, a, b, x, buffer });
        }
    }

    /// `x` ← (B/ω + Lᵀ)⁻¹ `x` with B = blockdiag(A_II) and L left of the blocks, or with Uᵀ.
    fn scatter(&mut self, lower: bool, a: &Csr<T>, x: &mut [T]) {
        let count = self.blocks.count();
        for step in 0..count {
            let block = if lower { count - 1 - step } else { step };
            let rows = self.blocks.rows(block);
            self.blocks.solve_transpose(block, self.omega, &mut x[rows.clone()], &mut self.buffer);
            for i in rows.clone() {
                let (columns, values) = a.row(i);
                for (&j, &v) in columns.iter().zip(values) {
                    let j = j as usize;
                    if (lower && j < rows.start) || (!lower && j >= rows.end) {
                        x[j] = (-v).mul_add(x[i], x[j]);
                    }
                }
            }
        }
    }

    /// `x` ← weight Bᵀ `x`.
    fn multiply_transposed_blocks(&mut self, a: &Csr<T>, weight: T, x: &mut [T]) {
        for block in 0..self.blocks.count() {
            let rows = self.blocks.rows(block);
            let sums = &mut self.buffer[..rows.len()];
            sums.fill(T::zero());
            for i in rows.clone() {
                let (columns, values) = a.row(i);
                for (&j, &v) in columns.iter().zip(values).filter(|(j, _)| rows.contains(&(**j as usize))) {
                    let sum = &mut sums[j as usize - rows.start];
                    *sum = (weight * v).mul_add(x[i], *sum);
                }
            }
            x[rows].copy_from_slice(sums);
        }
    }
}

impl<T: Real> Relaxation<T, Csr<T>> for BlockGaussSeidel<T> {
    fn sweep(&mut self, a: &Csr<T>, b: &[T], x: &mut [T]) {
        self.sweep_in(self.order, a, b, x);
    }

    fn sweep_adjoint(&mut self, a: &Csr<T>, b: &[T], x: &mut [T]) {
        self.sweep_in(self.order.adjoint(), a, b, x);
    }

    fn transpose_from_zero(&mut self, a: &Csr<T>, b: &[T], x: &mut [T]) -> Result<()> {
        x.copy_from_slice(b);
        match self.order {
            Sweep::Natural => self.scatter(true, a, x),
            Sweep::Reverse => self.scatter(false, a, x),
            Sweep::Symmetric => {
                self.scatter(false, a, x);
                let weight = (T::of(2.0) - self.omega) / self.omega;
                self.multiply_transposed_blocks(a, weight, x);
                self.scatter(true, a, x);
            }
        }
        Ok(())
    }

    fn is_spd(&self) -> bool {
        self.symmetric
    }

    /// As for [`GaussSeidel`](super::GaussSeidel), with blocks for entries.
    fn sweeps_are_spd(&self, sweeps: usize) -> bool {
        self.symmetric && sweeps > 0
    }
}

struct BlockPass<'a, T> {
    reverse: bool,
    blocks: &'a Blocks<T>,
    omega: T,
    a: &'a Csr<T>,
    b: &'a [T],
    x: &'a mut [T],
    buffer: &'a mut [T],
}

impl<T: Real> Kernel for BlockPass<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { reverse, blocks, omega, a, b, x, buffer } = self;
        for step in 0..blocks.count() {
            let block = if reverse { blocks.count() - 1 - step } else { step };
            let rows = blocks.rows(block);
            let r = &mut buffer[..rows.len()];
            for (r, i) in r.iter_mut().zip(rows.clone()) {
                let (columns, values) = a.row(i);
                *r = subtract(b[i], columns, values, x);
            }
            blocks.add_solution(block, omega, r, T::one(), &mut x[rows]);
        }
    }
}
