//! The product of a layer's matrix with a large batch, in tiles that stay in registers: C = start + A B
//! with A (m × k) packed in strips of [`STRIP`] rows, B and C column-major.
//!
//! Each entry is one chain of fused multiply-adds over the summed index, whatever the tiles, the
//! registers or the batch: the same bits as [`columns`](super::products::columns). The last rows,
//! when at most [`FEW`], are dot products instead, since a strip of their own would cost as much as
//! a full one (100 = 6 · 16 + 4 rows).
//!
//! What it gains over [`Real::gemm`] is that the caller takes the batch in blocks of columns: sums
//! start from the bias, and the activation follows while the block is in cache. Packing transposes A
//! by single numbers, which is what a smaller batch does not pay for; see [`serves`].

use super::products::{Mat, dots};
use crate::num::{Kernel, Real, dispatch, register_bytes};

/// Rows of a strip: one AVX-512 register of f32, two of f64.
pub(super) const STRIP: usize = 16;
/// As many last rows as are cheaper as dot products.
const FEW: usize = 4;

/// Strips and columns of a tile: 24 accumulators in 32 registers (f32, AVX-512).
const TILE: [usize; 2] = [2, 12];
/// From this many columns on packing pays: 784 → 100 without activation took 1.6 times as long as
/// faer's product on 32 columns, 1.1 times on 256 and 0.97 to 1.05 times on 512.
const BATCH: usize = 512;
/// Largest k: twelve columns of B of that length are the first-level cache.
const INNER: usize = 1024;
/// Largest m·k: the strips stay in the second-level cache. 2048 → 512 took 1.4 times as long.
const ENTRIES: usize = 1 << 17;

/// Where this product is used and not [`Real::gemm`]: f32 on AVX-512, where 785 → 100 → 784 with tanh
/// on 512 columns takes 0.87 of the time with faer's product. In f64 784 → 100 took 1.1 times as long
/// (256 → 256: 0.94), and the tile is too large for the registers of AVX2 and NEON.
pub(super) fn serves<T>([m, n, k]: [usize; 3]) -> bool {
    let fits = (1..=INNER).contains(&k) && m * k <= ENTRIES;
    size_of::<T>() == 4 && m >= STRIP && n >= BATCH && fits && register_bytes() == 64
}

/// Numbers that a packed m × k matrix takes.
pub(super) fn packed_len(m: usize, k: usize) -> usize {
    m.next_multiple_of(STRIP) * k
}

/// A matrix in strips, and the same matrix as it was, row-major, for the last rows.
pub(super) struct Packed<'a, T> {
    rows: usize,
    inner: usize,
    strips: &'a [T],
    matrix: Mat<'a, T>,
}

impl<'a, T: Real> Packed<'a, T> {
    /// Packs A from Aᵀ (k × m, as a layer's weight is stored) into `room`.
    pub fn of_rows([m, k]: [usize; 2], matrix: Mat<'a, T>, room: &'a mut [T]) -> Self {
        dispatch(PackRows { m, k, matrix, room });
        Self { rows: m, inner: k, strips: room, matrix }
    }

    /// `c` ← `init` + A `b` for every column, or `c` + A `b` without `init`.
    pub fn multiply(&self, b: &[T], init: Option<&[T]>, c: &mut [T]) {
        dispatch(Multiply { a: self, b, init, c });
    }
}

/// Rows of A that are in strips, and the last ones that are not.
fn split(m: usize) -> (usize, usize) {
    let rest = m % STRIP;
    if rest <= FEW { (m - rest, rest) } else { (m, 0) }
}

struct PackRows<'a, T> {
    m: usize,
    k: usize,
    matrix: Mat<'a, T>,
    room: &'a mut [T],
}

impl<T: Real> Kernel for PackRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (m, k) = (self.m, self.k);
        let Mat { data, ld } = self.matrix;
        let strips = self.room[..packed_len(split(m).0, k)].chunks_exact_mut(STRIP * k);
        for (s, strip) in strips.enumerate() {
            // Beyond the last row it is repeated; what that gives is not stored.
            let row = |i: usize| (s * STRIP + i).min(m - 1);
            let rows: [&[T]; STRIP] = std::array::from_fn(|i| &data[row(i) * ld..][..k]);
            for (p, to) in strip.as_chunks_mut::<STRIP>().0.iter_mut().enumerate() {
                for i in 0..STRIP {
                    to[i] = rows[i][p];
                }
            }
        }
    }
}

struct Multiply<'a, T> {
    a: &'a Packed<'a, T>,
    b: &'a [T],
    init: Option<&'a [T]>,
    c: &'a mut [T],
}

impl<T: Real> Kernel for Multiply<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { a, b, init, c } = self;
        strips::<T, { TILE[0] }, { TILE[1] }>(a, b, init, c);
        let (start, few) = split(a.rows);
        if few > 0 {
            let (m, k) = (a.rows, a.inner);
            let last = Mat { data: &a.matrix.data[start * a.matrix.ld..], ..a.matrix };
            let init = init.map(|init| &init[start..]);
            dots([few, b.len() / k, k], last, Mat { data: b, ld: k }, init, (&mut c[start..], m));
        }
    }
}

/// The rows in strips, `V` strips and `C` columns at a time.
#[inline(always)]
fn strips<T: Real, const V: usize, const C: usize>(
    a: &Packed<'_, T>,
    b: &[T],
    init: Option<&[T]>,
    c: &mut [T],
) {
    let (m, k) = (a.rows, a.inner);
    let (rows, _) = split(m);
    let full = rows - rows % STRIP;
    let mut row = 0;
    while row + V * STRIP <= full {
        across::<T, V, C>(row, a, b, init, c);
        row += V * STRIP;
    }
    while row < full {
        across::<T, 1, C>(row, a, b, init, c);
        row += STRIP;
    }
    if row < rows {
        // A strip that is not full: its tile is taken to a place of its own.
        let here = rows - row;
        let strip = [a.strip(row)];
        for (b, c) in b.chunks_exact(k).zip(c.chunks_exact_mut(m)) {
            let mut place = [T::of(0.0); STRIP];
            let c = &mut c[row..rows];
            place[..here].copy_from_slice(init.map_or(&*c, |init| &init[row..rows]));
            tile::<T, 1, 1>(strip, (b, k), None, (&mut place, STRIP));
            c.copy_from_slice(&place[..here]);
        }
    }
}

impl<T> Packed<'_, T> {
    /// The strip that begins at `row`.
    #[inline(always)]
    fn strip(&self, row: usize) -> &[[T; STRIP]] {
        self.strips[row * self.inner..][..STRIP * self.inner].as_chunks().0
    }
}

/// `V` strips from `row` on, for every column.
#[inline(always)]
fn across<T: Real, const V: usize, const C: usize>(
    row: usize,
    a: &Packed<'_, T>,
    b: &[T],
    init: Option<&[T]>,
    c: &mut [T],
) {
    let (m, k) = (a.rows, a.inner);
    let n = b.len() / k;
    let strips: [&[[T; STRIP]]; V] = std::array::from_fn(|v| a.strip(row + v * STRIP));
    let init = init.map(|init| &init[row..row + V * STRIP]);
    let mut j = 0;
    while j + C <= n {
        tile::<T, V, C>(strips, (&b[j * k..], k), init, (&mut c[j * m + row..], m));
        j += C;
    }
    while j + 4 <= n {
        tile::<T, V, 4>(strips, (&b[j * k..], k), init, (&mut c[j * m + row..], m));
        j += 4;
    }
    while j < n {
        tile::<T, V, 1>(strips, (&b[j * k..], k), init, (&mut c[j * m + row..], m));
        j += 1;
    }
}

/// One tile: `V` strips times `C` columns.
#[inline(always)]
fn tile<T: Real, const V: usize, const C: usize>(
    strips: [&[[T; STRIP]]; V],
    (b, k): (&[T], usize),
    init: Option<&[T]>,
    (c, ldc): (&mut [T], usize),
) {
    // Loops, not `array::from_fn`, which may stay a call: the lengths must be seen to be k, or every
    // column is checked for each p.
    let mut columns: [&[T]; C] = [&[]; C];
    for (q, column) in columns.iter_mut().enumerate() {
        *column = &b[q * k..][..k];
    }
    let mut lefts: [&[[T; STRIP]]; V] = [&[]; V];
    for (left, strip) in lefts.iter_mut().zip(strips) {
        *left = &strip[..k];
    }
    let mut sums = [[[T::of(0.0); STRIP]; V]; C];
    for (q, sum) in sums.iter_mut().enumerate() {
        let start = init.unwrap_or_else(|| &c[q * ldc..]);
        for (v, sum) in sum.iter_mut().enumerate() {
            sum.copy_from_slice(&start[v * STRIP..][..STRIP]);
        }
    }
    for p in 0..k {
        let mut left = [[T::of(0.0); STRIP]; V];
        for (left, strip) in left.iter_mut().zip(lefts) {
            *left = strip[p];
        }
        for q in 0..C {
            let x = columns[q][p];
            for v in 0..V {
                for l in 0..STRIP {
                    sums[q][v][l] = left[v][l].mul_add(x, sums[q][v][l]);
                }
            }
        }
    }
    for (q, sum) in sums.iter().enumerate() {
        for (v, sum) in sum.iter().enumerate() {
            c[q * ldc + v * STRIP..][..STRIP].copy_from_slice(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::Scalar;

    fn wave<T: Real>(n: usize, seed: f64) -> Vec<T> {
        (0..n).map(|i| T::of((1.7 * i as f64 + seed + (i as f64).sqrt()).sin())).collect()
    }

    type Strips<T> = fn(&Packed<'_, T>, &[T], Option<&[T]>, &mut [T]);

    /// Tiles of any shape, and the whole product: bits of the plain chain of sums.
    fn check<T: Real>(tiles: &[Strips<T>]) {
        for (m, k) in [(16, 1), (32, 7), (47, 5), (53, 3), (84, 9), (96, 2)] {
            let ld = k + 1;
            let data = wave::<T>(m * ld, 0.4);
            let matrix = Mat { data: &data, ld };
            // What an earlier matrix left must not be read.
            let mut room = vec![T::NAN; packed_len(m, k) + 3];
            let a = Packed::of_rows([m, k], matrix, &mut room);
            let init = wave::<T>(m, 0.9);
            let (rows, _) = split(m);
            for n in 1..=40 {
                let b = wave::<T>(k * n, 0.1);
                for init in [Some(&*init), None] {
                    let before = wave::<T>(m * n, 0.7);
                    let mut want = before.clone();
                    for (j, column) in want.chunks_exact_mut(m).enumerate() {
                        for (i, sum) in column[..rows].iter_mut().enumerate() {
                            *sum = init.map_or(*sum, |init| init[i]);
                            for p in 0..k {
                                *sum = Scalar::mul_add(data[i * ld + p], b[p + j * k], *sum);
                            }
                        }
                    }
                    for strips in tiles {
                        let mut c = before.clone();
                        strips(&a, &b, init, &mut c);
                        assert_eq!(c, want, "{} {m} x {k} x {n}", T::NAME);
                    }
                    let mut c = before.clone();
                    a.multiply(&b, init, &mut c);
                    for (i, (&got, &want)) in c.iter().zip(&want).enumerate() {
                        if i % m < rows {
                            assert_eq!(got, want, "{} {m} x {k} x {n}, entry {i}", T::NAME);
                        } else {
                            let column = i / m * k;
                            let mut sum = init.map_or(before[i], |init| init[i % m]).f64();
                            for p in 0..k {
                                sum += data[i % m * ld + p].f64() * b[column + p].f64();
                            }
                            let error = (got.f64() - sum).abs();
                            assert!(error <= 8.0 * T::EPSILON.f64(), "{m} x {k} x {n}, entry {i}: {error:e}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn every_tile_gives_the_bits_of_the_plain_sums() {
        check::<f32>(&[strips::<f32, 2, 12>, strips::<f32, 3, 5>]);
        check::<f64>(&[strips::<f64, 2, 12>, strips::<f64, 1, 3>]);
    }

    #[test]
    fn rows_are_split_where_dot_products_are_cheaper() {
        assert_eq!([16, 36, 37, 100, 784].map(split), [(16, 0), (32, 4), (37, 0), (96, 4), (784, 0)]);
    }
}
