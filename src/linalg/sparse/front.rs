//! Dense elimination in a front, compiled for the CPU.

use super::symbolic::Supernode;
use crate::num::Real;

/// A pivot must have this fraction of the largest entry of its column, or elimination stops: L then
/// stays below its reciprocal.
const THRESHOLD: f64 = 1e-3;

/// Why elimination in a front stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SmallPivot;

/// Eliminates the first `k` columns of the `f × f` front, pivots being sought in its first k rows.
/// After it the front holds L (unit diagonal not stored) and U, its last (f − k)² the update of the
/// parent; `inverse` the reciprocal pivots and `swaps` the row exchanged in each step.
#[inline(always)]
pub(super) fn eliminate<T: Real>(
    f: usize,
    k: usize,
    front: &mut [T],
    inverse: &mut [T],
    swaps: &mut [u32],
) -> Result<(), SmallPivot> {
    let threshold = T::of(THRESHOLD);
    for j in 0..k {
        let (left, column) = front.split_at_mut(j * f);
        let column = &mut column[..f];
        subtract_one(f, left, 0, j, column);
        let (mut at, mut largest) = (j, T::zero());
        for (i, v) in column[..k].iter().enumerate().skip(j) {
            if v.abs() > largest {
                (at, largest) = (i, v.abs());
            }
        }
        // The diagonal where it serves: no exchange, the same order for the next values.
        let mut below = T::zero();
        for v in &column[k..] {
            below = below.max(v.abs());
        }
        if column[j].abs() >= T::of(0.1) * largest.max(below) {
            at = j;
        }
        let pivot = column[at];
        if !(pivot.abs() >= threshold * below && pivot.abs() > T::zero() && pivot.is_finite()) {
            return Err(SmallPivot);
        }
        swaps[j] = at as u32;
        if at != j {
            for c in 0..f {
                front.swap(c * f + j, c * f + at);
            }
        }
        let reciprocal = T::one() / pivot;
        inverse[j] = reciprocal;
        for v in &mut front[j * f + j + 1..(j + 1) * f] {
            *v *= reciprocal;
        }
    }
    let (left, right) = front.split_at_mut(k * f);
    let mut blocks = right.chunks_exact_mut(4 * f);
    for block in &mut blocks {
        subtract_four(f, left, k, block);
    }
    for column in blocks.into_remainder().chunks_exact_mut(f.max(1)) {
        subtract_one(f, left, 0, k, column);
    }
    Ok(())
}

/// `column` ← column − L·u for the pivots `from..k`, where u = L₁₁⁻¹ of its first k entries; four
/// pivots in one pass over the column.
#[inline(always)]
fn subtract_one<T: Real>(f: usize, l: &[T], from: usize, k: usize, column: &mut [T]) {
    let mut p = from;
    while p + 4 <= k {
        let of = |s: usize| &l[(p + s) * f..(p + s + 1) * f];
        let (a, b, c, d) = (of(0), of(1), of(2), of(3));
        let x0 = column[p];
        let x1 = (-a[p + 1]).mul_add(x0, column[p + 1]);
        let x2 = (-b[p + 2]).mul_add(x1, (-a[p + 2]).mul_add(x0, column[p + 2]));
        let x3 = (-a[p + 3]).mul_add(x0, column[p + 3]);
        let x3 = (-c[p + 3]).mul_add(x2, (-b[p + 3]).mul_add(x1, x3));
        (column[p + 1], column[p + 2], column[p + 3]) = (x1, x2, x3);
        let at = p + 4;
        let rest = &mut column[at..f];
        let lower = a[at..].iter().zip(&b[at..]).zip(&c[at..]).zip(&d[at..]);
        for (v, (((a, b), c), d)) in rest.iter_mut().zip(lower) {
            *v = (-*d).mul_add(x3, (-*c).mul_add(x2, (-*b).mul_add(x1, (-*a).mul_add(x0, *v))));
        }
        p += 4;
    }
    for p in p..k {
        let (x, l) = (column[p], &l[p * f..(p + 1) * f]);
        for (v, l) in column[p + 1..f].iter_mut().zip(&l[p + 1..]) {
            *v = (-*l).mul_add(x, *v);
        }
    }
}

/// [`subtract_one`] for four columns at once, two pivots in one pass.
#[inline(always)]
fn subtract_four<T: Real>(f: usize, l: &[T], k: usize, block: &mut [T]) {
    let (w, rest) = block.split_at_mut(f);
    let (x, rest) = rest.split_at_mut(f);
    let (y, z) = rest.split_at_mut(f);
    let z = &mut z[..f];
    let mut p = 0;
    while p + 2 <= k {
        let (a, b) = (&l[p * f..(p + 1) * f], &l[(p + 1) * f..(p + 2) * f]);
        let under = a[p + 1];
        let first = |column: &mut [T]| {
            column[p + 1] = (-under).mul_add(column[p], column[p + 1]);
            (-column[p], -column[p + 1])
        };
        let ((w0, w1), (x0, x1), (y0, y1), (z0, z1)) = (first(w), first(x), first(y), first(z));
        let at = p + 2;
        let n = f - at;
        let (a, b) = (&a[at..][..n], &b[at..][..n]);
        let (w, x, y, z) = (&mut w[at..][..n], &mut x[at..][..n], &mut y[at..][..n], &mut z[at..][..n]);
        for i in 0..n {
            w[i] = b[i].mul_add(w1, a[i].mul_add(w0, w[i]));
            x[i] = b[i].mul_add(x1, a[i].mul_add(x0, x[i]));
            y[i] = b[i].mul_add(y1, a[i].mul_add(y0, y[i]));
            z[i] = b[i].mul_add(z1, a[i].mul_add(z0, z[i]));
        }
        p += 2;
    }
    if p < k {
        for column in [w, x, y, z] {
            subtract_one(f, l, p, k, column);
        }
    }
}

/// ACCUMULATES a child's update (`m × m`, column-major) into the front of its parent.
#[inline(always)]
pub(super) fn extend_add<T: Real>(child: &Supernode, update: &[T], f: usize, front: &mut [T]) {
    let m = child.places.len();
    for (column, &place) in update.chunks_exact(m.max(1)).zip(&child.places) {
        let target = &mut front[place as usize * f..][..f];
        for (&v, &i) in column.iter().zip(&child.places) {
            target[i as usize] += v;
        }
    }
}
