//! Matrix products of small and skinny shapes, where setting up a blocked GEMM costs more than the
//! product. All matrices are column-major slices with a leading dimension.
//!
//! Both kernels add in an order that depends on the summed index alone, never on how rows and
//! columns are tiled: an entry has the same bits whatever the batch.

use crate::num::{Kernel, Real, dispatch};

/// A column-major matrix inside a slice: entry (i, j) is `data[i + j·ld]`.
#[derive(Clone, Copy)]
pub(super) struct Mat<'a, T> {
    pub data: &'a [T],
    pub ld: usize,
}

/// `c[:, j]` ← `start(j)` + Σₚ `a[:, p]` · `b(p, j)` for j < n, vectorised along the rows of `c`.
///
/// `b(p, j)` is `b.data[p·b_step.0 + j·b_step.1]`, which covers B and Bᵀ. With `init` the sum starts
/// from that column; without, from what `c` holds.
#[inline(always)]
pub(super) fn columns<T: Real>(
    [m, n, k]: [usize; 3],
    a: Mat<'_, T>,
    (b, b_step): (&[T], (usize, usize)),
    init: Option<&[T]>,
    (c, ldc): (&mut [T], usize),
) {
    let mut row = 0;
    let full = m - m % 16;
    while row < full {
        column_strip::<T, 16>(row, [n, k], a, (b, b_step), init, (c, ldc));
        row += 16;
    }
    while row + 4 <= m {
        column_strip::<T, 4>(row, [n, k], a, (b, b_step), init, (c, ldc));
        row += 4;
    }
    while row + 2 <= m {
        column_strip::<T, 2>(row, [n, k], a, (b, b_step), init, (c, ldc));
        row += 2;
    }
    while row < m {
        column_strip::<T, 1>(row, [n, k], a, (b, b_step), init, (c, ldc));
        row += 1;
    }
}

/// `R` rows of [`columns`], four columns at a time (then two: a gradient of a layer with two inputs
/// has no more, and sums over the batch one behind the other wait for each other).
#[inline(always)]
fn column_strip<T: Real, const R: usize>(
    row: usize,
    [n, k]: [usize; 2],
    a: Mat<'_, T>,
    b: (&[T], (usize, usize)),
    init: Option<&[T]>,
    (c, ldc): (&mut [T], usize),
) {
    let mut j = 0;
    while j + 4 <= n {
        column_tile::<T, R, 4>([row, j, k], a, b, init, (c, ldc));
        j += 4;
    }
    while j + 2 <= n {
        column_tile::<T, R, 2>([row, j, k], a, b, init, (c, ldc));
        j += 2;
    }
    while j < n {
        column_tile::<T, R, 1>([row, j, k], a, b, init, (c, ldc));
        j += 1;
    }
}

#[inline(always)]
fn column_tile<T: Real, const R: usize, const C: usize>(
    [row, col, k]: [usize; 3],
    a: Mat<'_, T>,
    (b, (b_row, b_col)): (&[T], (usize, usize)),
    init: Option<&[T]>,
    (c, ldc): (&mut [T], usize),
) {
    let mut sums = [[T::of(0.0); R]; C];
    for (q, sum) in sums.iter_mut().enumerate() {
        match init {
            Some(init) => sum.copy_from_slice(&init[row..row + R]),
            None => {
                let at = row + (col + q) * ldc;
                sum.copy_from_slice(&c[at..at + R]);
            }
        }
    }
    for p in 0..k {
        let at = row + p * a.ld;
        let left: &[T] = &a.data[at..at + R];
        for (q, sum) in sums.iter_mut().enumerate() {
            let x = b[p * b_row + (col + q) * b_col];
            for (s, &l) in sum.iter_mut().zip(left) {
                *s = l.mul_add(x, *s);
            }
        }
    }
    for (q, sum) in sums.iter().enumerate() {
        let at = row + (col + q) * ldc;
        c[at..at + R].copy_from_slice(sum);
    }
}

/// `c[i, j]` ← `start(i, j)` + `a[:, i]`ᵀ `b[:, j]` over `l` rows, for i < s, j < n.
///
/// Each product is eight partial sums, added pairwise. With `init` the result starts from
/// `init[i]`; without, from what `c` holds.
#[inline(always)]
pub(super) fn dots<T: Real>(
    [s, n, l]: [usize; 3],
    a: Mat<'_, T>,
    b: Mat<'_, T>,
    init: Option<&[T]>,
    (c, ldc): (&mut [T], usize),
) {
    let mut i = 0;
    while i + 2 <= s {
        dot_strip::<T, 2>(i, [n, l], a, b, init, (c, ldc));
        i += 2;
    }
    if i < s {
        dot_strip::<T, 1>(i, [n, l], a, b, init, (c, ldc));
    }
}

#[inline(always)]
fn dot_strip<T: Real, const S: usize>(
    i: usize,
    [n, l]: [usize; 2],
    a: Mat<'_, T>,
    b: Mat<'_, T>,
    init: Option<&[T]>,
    (c, ldc): (&mut [T], usize),
) {
    let mut j = 0;
    while j + 4 <= n {
        dot_tile::<T, S, 4>([i, j, l], a, b, init, (c, ldc));
        j += 4;
    }
    while j < n {
        dot_tile::<T, S, 1>([i, j, l], a, b, init, (c, ldc));
        j += 1;
    }
}

#[inline(always)]
fn dot_tile<T: Real, const S: usize, const C: usize>(
    [i, j, l]: [usize; 3],
    a: Mat<'_, T>,
    b: Mat<'_, T>,
    init: Option<&[T]>,
    (c, ldc): (&mut [T], usize),
) {
    let left: [_; S] = std::array::from_fn(|q| a.data[(i + q) * a.ld..][..l].as_chunks::<8>());
    let right: [_; C] = std::array::from_fn(|r| b.data[(j + r) * b.ld..][..l].as_chunks::<8>());
    let mut sums = [[[T::of(0.0); 8]; C]; S];
    for p in 0..l / 8 {
        let y: [[T; 8]; C] = std::array::from_fn(|r| right[r].0[p]);
        for q in 0..S {
            let x = left[q].0[p];
            for r in 0..C {
                for lane in 0..8 {
                    sums[q][r][lane] = x[lane].mul_add(y[r][lane], sums[q][r][lane]);
                }
            }
        }
    }
    for q in 0..S {
        for r in 0..C {
            let mut tail = T::of(0.0);
            for (&x, &y) in left[q].1.iter().zip(right[r].1) {
                tail = x.mul_add(y, tail);
            }
            let [s0, s1, s2, s3, s4, s5, s6, s7] = sums[q][r];
            let body = ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7));
            let at = i + q + (j + r) * ldc;
            let start = init.map_or_else(|| c[at], |init| init[i + q]);
            c[at] = start + (body + tail);
        }
    }
}

/// `out` (n × m, leading dimension `ld`) ← transpose of `a` (m × n).
#[inline(always)]
pub(super) fn transpose<T: Real>([m, n]: [usize; 2], a: Mat<'_, T>, out: &mut [T], ld: usize) {
    for i in 0..m {
        let row = &mut out[i * ld..i * ld + n];
        for (j, o) in row.iter_mut().enumerate() {
            *o = a.data[i + j * a.ld];
        }
    }
}

/// `z` += `shift` in every column.
pub(super) fn add_rows<T: Real>(z: &mut [T], shift: &[T]) {
    dispatch(AddRows { z, shift });
}

struct AddRows<'a, T> {
    z: &'a mut [T],
    shift: &'a [T],
}

impl<T: Real> Kernel for AddRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for column in self.z.chunks_exact_mut(self.shift.len()) {
            for (z, &s) in column.iter_mut().zip(self.shift) {
                *z += s;
            }
        }
    }
}
