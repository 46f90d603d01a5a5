//! M = L D U with unit triangles, and its solves.
//!
//! A triangular solve is a chain: every unknown waits for the one before it. The entry next to the
//! diagonal, which is what it waits for in a matrix from a grid, is kept in an array of its own and
//! enters last with the unknown still in a register: the chain is one fused multiply-add an unknown,
//! and everything else overlaps. That is also why the triangles have unit diagonals (no division or
//! multiplication by 1/lᵢᵢ on the chain) and why the upper one is stored by rows as well.

use crate::linalg::Csr;
use crate::num::{Kernel, Real, dispatch};

/// The strict part of a unit triangle by rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Triangle<T> {
    /// The entry (i, i − 1) of a lower, (i, i + 1) of an upper triangle; 0 where there is none.
    pub(crate) near: Vec<T>,
    /// The other entries, compressed by rows.
    pub(crate) starts: Vec<u32>,
    pub(crate) columns: Vec<u32>,
    pub(crate) values: Vec<T>,
}

impl<T: Real> Triangle<T> {
    /// From rows in order; entries on the other side of the diagonal are skipped. `lower`: the
    /// neighbour next to the diagonal is i − 1, else i + 1.
    pub(crate) fn new(n: usize, lower: bool, entry: impl FnMut(usize, &mut dyn FnMut(usize, T))) -> Self {
        let mut triangle = Self {
            near: vec![T::zero(); n],
            starts: Vec::with_capacity(n + 1),
            columns: Vec::new(),
            values: Vec::new(),
        };
        triangle.fill(lower, entry);
        triangle
    }

    /// The same with other entries; a pattern that is not larger allocates nothing.
    pub(crate) fn fill(&mut self, lower: bool, mut entry: impl FnMut(usize, &mut dyn FnMut(usize, T))) {
        let Self { near, starts, columns, values } = self;
        near.fill(T::zero());
        starts.clear();
        columns.clear();
        values.clear();
        starts.push(0);
        for (i, near) in near.iter_mut().enumerate() {
            entry(i, &mut |j, v| {
                if (lower && j + 1 == i) || (!lower && j == i + 1) {
                    *near = v;
                } else if lower == (j < i) && j != i {
                    columns.push(j as u32);
                    values.push(v);
                }
            });
            starts.push(columns.len() as u32);
        }
    }

    /// From a matrix that holds one strict triangle.
    pub(super) fn from_strict(a: &Csr<T>, lower: bool) -> Self {
        Self::new(a.rows(), lower, |i, put| {
            let (columns, values) = a.row(i);
            columns.iter().zip(values).for_each(|(&j, &v)| put(j as usize, v));
        })
    }
}

/// z = (weight · (I + s U)⁻¹ D⁻¹ (I + s L)⁻¹) r.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Factors<T> {
    pub(super) lower: Triangle<T>,
    pub(super) upper: Triangle<T>,
    /// D⁻¹.
    pub(super) inverse: Vec<T>,
    /// s.
    pub(super) scale: T,
    /// The scalar in front.
    pub(super) weight: T,
}

impl<T: Real> Factors<T> {
    pub(super) fn solve(&self, r: &[T], z: &mut [T]) {
        dispatch(Gather::<_, true> { factors: self, r, z });
        dispatch(Gather::<_, false> { factors: self, r, z });
    }

    /// The transpose: (I + s L)⁻ᵀ D⁻¹ (I + s U)⁻ᵀ.
    pub(super) fn solve_transpose(&self, r: &[T], z: &mut [T]) {
        z.copy_from_slice(r);
        dispatch(Scatter::<_, false> { factors: self, z });
        for (z, &inverse) in z.iter_mut().zip(&self.inverse) {
            *z *= self.weight * inverse;
        }
        dispatch(Scatter::<_, true> { factors: self, z });
    }
}

/// One triangle, every unknown as the sum of its row: LOWER z ← (I + sL)⁻¹ r, else
/// z ← weight (I + sU)⁻¹ D⁻¹ z.
struct Gather<'a, T, const LOWER: bool> {
    factors: &'a Factors<T>,
    r: &'a [T],
    z: &'a mut [T],
}

impl<T: Real, const LOWER: bool> Kernel for Gather<'_, T, LOWER> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { factors, r, z } = self;
        let triangle = if LOWER { &factors.lower } else { &factors.upper };
        let n = triangle.near.len();
        let (near, starts, inverse) = (&triangle.near[..n], &triangle.starts[..=n], &factors.inverse[..n]);
        let (r, z) = (&r[..n], &mut z[..n]);
        let (scale, weight) = (factors.scale, factors.weight);
        let mut last = T::zero();
        for step in 0..n {
            let i = if LOWER { step } else { n - 1 - step };
            let row = starts[i] as usize..starts[i + 1] as usize;
            let mut sum = T::zero();
            for (&j, &v) in triangle.columns[row.clone()].iter().zip(&triangle.values[row]) {
                sum = v.mul_add(z[j as usize], sum);
            }
            let right = if LOWER { r[i] } else { weight * inverse[i] * z[i] };
            let start = (-scale).mul_add(sum, right);
            last = (-(scale * near[i])).mul_add(last, start);
            z[i] = last;
        }
    }
}

/// One transposed triangle, every unknown sent to the entries of its row.
struct Scatter<'a, T, const LOWER: bool> {
    factors: &'a Factors<T>,
    z: &'a mut [T],
}

impl<T: Real, const LOWER: bool> Kernel for Scatter<'_, T, LOWER> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { factors, z } = self;
        let triangle = if LOWER { &factors.lower } else { &factors.upper };
        let n = triangle.near.len();
        for step in 0..n {
            let i = if LOWER { n - 1 - step } else { step };
            let row = triangle.starts[i] as usize..triangle.starts[i + 1] as usize;
            let zi = factors.scale * z[i];
            for (&j, &v) in triangle.columns[row.clone()].iter().zip(&triangle.values[row]) {
                z[j as usize] = (-v).mul_add(zi, z[j as usize]);
            }
            let next = if LOWER { i.wrapping_sub(1) } else { i + 1 };
            if next < n {
                z[next] = (-triangle.near[i]).mul_add(zi, z[next]);
            }
        }
    }
}
