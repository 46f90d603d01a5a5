//! LU of matrices of a size known at compile time: everything is unrolled and stays in registers.
// Indices into several arrays at once.
#![allow(clippy::needless_range_loop, reason = "several arrays are indexed alike")]

use crate::num::Real;

/// Factors `a` (column-major `N × N`) with partial pivoting: `lu` ← L and U, `inverse` ← 1/u_kk,
/// `rows[i]` ← the row of `a` that became row i. Returns the first column whose pivot is 0, infinite
/// or NaN, with the pivot.
#[inline(always)]
pub(super) fn factor<T: Real, const N: usize>(
    a: &[T],
    lu: &mut [T],
    inverse: &mut [T],
    rows: &mut [u32],
) -> Option<(usize, T)> {
    let (a, lu) = (&a[..N * N], &mut lu[..N * N]);
    // m[i][j]: by rows, so that an exchange moves whole rows.
    let mut m = [[T::zero(); N]; N];
    for i in 0..N {
        for j in 0..N {
            m[i][j] = a[j * N + i];
        }
    }
    let mut order = [0u32; N];
    for i in 0..N {
        order[i] = i as u32;
    }
    let mut reciprocal = [T::zero(); N];
    let mut bad = None;
    for k in 0..N {
        let (mut at, mut largest) = (k, m[k][k].abs());
        for i in k + 1..N {
            let size = m[i][k].abs();
            if size > largest {
                (at, largest) = (i, size);
            }
        }
        // Constant indices on both sides keep `m` in registers.
        for i in k + 1..N {
            if at == i {
                m.swap(k, i);
                order.swap(k, i);
            }
        }
        let pivot = m[k][k];
        if bad.is_none() && !(largest > T::zero() && largest.is_finite()) {
            bad = Some((k, pivot));
        }
        reciprocal[k] = T::one() / pivot;
        for i in k + 1..N {
            let l = m[i][k] * reciprocal[k];
            m[i][k] = l;
            for j in k + 1..N {
                m[i][j] = (-l).mul_add(m[k][j], m[i][j]);
            }
        }
    }
    for i in 0..N {
        for j in 0..N {
            lu[j * N + i] = m[i][j];
        }
    }
    inverse[..N].copy_from_slice(&reciprocal);
    rows[..N].copy_from_slice(&order);
    bad
}

/// `x` ← A⁻¹ `x`.
#[inline(always)]
pub(super) fn solve<T: Real, const N: usize>(lu: &[T], inverse: &[T], rows: &[u32], x: &mut [T]) {
    let (lu, inverse, rows, x) = (&lu[..N * N], &inverse[..N], &rows[..N], &mut x[..N]);
    let mut y = [T::zero(); N];
    for i in 0..N {
        // `% N` changes nothing and spares the check of a bound.
        y[i] = x[rows[i] as usize % N];
    }
    for k in 0..N {
        for i in k + 1..N {
            y[i] = (-lu[k * N + i]).mul_add(y[k], y[i]);
        }
    }
    for k in (0..N).rev() {
        y[k] *= inverse[k];
        for i in 0..k {
            y[i] = (-lu[k * N + i]).mul_add(y[k], y[i]);
        }
    }
    x.copy_from_slice(&y);
}

/// `x` ← A⁻ᵀ `x`.
#[inline(always)]
pub(super) fn solve_transpose<T: Real, const N: usize>(lu: &[T], inverse: &[T], rows: &[u32], x: &mut [T]) {
    let (lu, inverse, rows, x) = (&lu[..N * N], &inverse[..N], &rows[..N], &mut x[..N]);
    let mut y = [T::zero(); N];
    y.copy_from_slice(x);
    for k in 0..N {
        y[k] *= inverse[k];
        for i in k + 1..N {
            y[i] = (-lu[i * N + k]).mul_add(y[k], y[i]);
        }
    }
    for k in (0..N).rev() {
        for i in 0..k {
            y[i] = (-lu[i * N + k]).mul_add(y[k], y[i]);
        }
    }
    for i in 0..N {
        x[rows[i] as usize % N] = y[i];
    }
}
