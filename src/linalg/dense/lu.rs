//! [`DenseLu`]: P A = L U with partial pivoting.

use super::small;
use crate::error::{Error, Result};
use crate::linalg::budget::Budget;
use crate::linalg::direct::{Factors, singular};
use crate::num::{Kernel, Real, dispatch};
use faer::Par;
use faer::dyn_stack::MemStack;
use faer::linalg::lu::partial_pivoting::factor::{lu_in_place, lu_in_place_scratch};
use std::mem::MaybeUninit;

/// The size from which faer's recursive factorisation is faster than the one here.
const LARGE: usize = 128;

/// P A = L U of a dense `n × n` matrix with partial pivoting (LAPACK's `getrf`).
///
/// Memory is allocated in [`new`](Self::new) only; [`factor`](Self::factor) may be called again and
/// again. Up to n = 8 every method is inlined, for steps compiled under [`dispatch`]. Only a pivot of
/// exactly 0 counts as singular (as in LAPACK): a nearly singular matrix shows in the residual.
/// Source: Golub & Van Loan, *Matrix Computations* (4th ed., 2013), §3.4.
///
/// ```
/// use odeon::linalg::DenseLu;
///
/// let mut lu = DenseLu::new(2);
/// lu.factor(&[1.0, 3.0, 2.0, 4.0])?; // the columns (1, 3) and (2, 4)
/// let mut x = [5.0, 11.0];
/// lu.solve(&mut x);
/// assert_eq!(x, [1.0, 2.0]);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DenseLu<T> {
    n: usize,
    lu: Vec<T>,
    inverse: Vec<T>,
    /// Up to n = 8: the row each place was filled from. Above: the row exchanged in step k.
    pivots: Vec<u32>,
    permutation: Vec<u32>,
    scratch: Vec<MaybeUninit<u8>>,
}

impl<T: Real> DenseLu<T> {
    /// Memory for n unknowns.
    pub fn new(n: usize) -> Self {
        let (zeros, indices) = (vec![T::zero(); n], vec![0; n]);
        let (permutation, bytes) =
            if n >= LARGE { (vec![0; 3 * n], scratch_bytes::<T>(n)) } else { (vec![], 0) };
        let scratch = vec![MaybeUninit::uninit(); bytes];
        Self { n, lu: vec![T::zero(); n * n], inverse: zeros, pivots: indices, permutation, scratch }
    }

    /// Memory for n unknowns, if that keeps the budget.
    ///
    /// # Errors
    /// n = 0, and an n² that exceeds the budget (nothing is allocated then).
    pub fn within(n: usize, budget: Budget) -> Result<Self> {
        if n == 0 {
            return Err(Error::invalid("the size of a dense LU", 0, "it must be at least 1"));
        }
        let bytes = (n as u128 * n as u128).saturating_mul(size_of::<T>() as u128);
        budget.check(&format!("a dense LU of {n} unknowns"), bytes)?;
        Ok(Self::new(n))
    }

    /// n.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether n = 0.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Factors `a`, column-major, of length n².
    ///
    /// # Errors
    /// A wrong length; a pivot that is 0, infinite or NaN (so every NaN or infinity in `a` is found),
    /// with its column. The factors are then useless until the next success.
    #[inline(always)]
    pub fn factor(&mut self, a: &[T]) -> Result<()> {
        if a.len() != self.lu.len() {
            return wrong_length(a.len(), self.n);
        }
        let Self { lu, inverse, pivots, .. } = self;
        let bad = match self.n {
            1 => small::factor::<T, 1>(a, lu, inverse, pivots),
            2 => small::factor::<T, 2>(a, lu, inverse, pivots),
            3 => small::factor::<T, 3>(a, lu, inverse, pivots),
            4 => small::factor::<T, 4>(a, lu, inverse, pivots),
            5 => small::factor::<T, 5>(a, lu, inverse, pivots),
            6 => small::factor::<T, 6>(a, lu, inverse, pivots),
            7 => small::factor::<T, 7>(a, lu, inverse, pivots),
            8 => small::factor::<T, 8>(a, lu, inverse, pivots),
            _ => self.factor_any(a),
        };
        match bad {
            None => Ok(()),
            Some((column, pivot)) => Err(singular("the dense LU", column, pivot.f64())),
        }
    }

    #[inline(never)]
    fn factor_any(&mut self, a: &[T]) -> Option<(usize, T)> {
        self.lu.copy_from_slice(a);
        let Self { n, lu, inverse, pivots, permutation, scratch } = self;
        if *n >= LARGE {
            factor_large(*n, lu, [permutation, pivots], scratch)
        } else {
            dispatch(Factor(*n, lu, pivots))
        };
        for (k, inverse) in inverse.iter_mut().enumerate() {
            let pivot = lu[k * (*n + 1)];
            if pivot == T::zero() || !pivot.is_finite() {
                return Some((k, pivot));
            }
            *inverse = T::one() / pivot;
        }
        None
    }

    /// `x` ← A⁻¹ `x`.
    #[inline(always)]
    pub fn solve(&self, x: &mut [T]) {
        let (lu, inverse, pivots) = (&self.lu, &self.inverse, &self.pivots);
        match self.n {
            1 => small::solve::<T, 1>(lu, inverse, pivots, x),
            2 => small::solve::<T, 2>(lu, inverse, pivots, x),
            3 => small::solve::<T, 3>(lu, inverse, pivots, x),
            4 => small::solve::<T, 4>(lu, inverse, pivots, x),
            5 => small::solve::<T, 5>(lu, inverse, pivots, x),
            6 => small::solve::<T, 6>(lu, inverse, pivots, x),
            7 => small::solve::<T, 7>(lu, inverse, pivots, x),
            8 => small::solve::<T, 8>(lu, inverse, pivots, x),
            _ => self.solve_any(x),
        }
    }

    #[inline(never)]
    fn solve_any(&self, x: &mut [T]) {
        for (k, &p) in self.pivots.iter().enumerate() {
            x.swap(k, p as usize);
        }
        dispatch(Solve(self.n, &self.lu, &self.inverse, x));
    }

    /// `x` ← A⁻ᵀ `x`.
    #[inline(always)]
    pub fn solve_transpose(&self, x: &mut [T]) {
        let (lu, inverse, pivots) = (&self.lu, &self.inverse, &self.pivots);
        match self.n {
            1 => small::solve_transpose::<T, 1>(lu, inverse, pivots, x),
            2 => small::solve_transpose::<T, 2>(lu, inverse, pivots, x),
            3 => small::solve_transpose::<T, 3>(lu, inverse, pivots, x),
            4 => small::solve_transpose::<T, 4>(lu, inverse, pivots, x),
            5 => small::solve_transpose::<T, 5>(lu, inverse, pivots, x),
            6 => small::solve_transpose::<T, 6>(lu, inverse, pivots, x),
            7 => small::solve_transpose::<T, 7>(lu, inverse, pivots, x),
            8 => small::solve_transpose::<T, 8>(lu, inverse, pivots, x),
            _ => self.solve_transpose_any(x),
        }
    }

    #[inline(never)]
    fn solve_transpose_any(&self, x: &mut [T]) {
        dispatch(SolveTranspose(self.n, &self.lu, &self.inverse, x));
        for (k, &p) in self.pivots.iter().enumerate().rev() {
            x.swap(k, p as usize);
        }
    }
}

#[cold]
fn wrong_length(given: usize, n: usize) -> Result<()> {
    let needed = format!("{} (n² with n = {n})", n * n);
    Err(Error::Length { what: "the matrix of a dense LU", given, needed })
}

impl<T: Real> Factors<T> for DenseLu<T> {
    fn len(&self) -> usize {
        self.n
    }
    fn solve(&mut self, x: &mut [T]) {
        Self::solve(self, x);
    }
    fn solve_transpose(&mut self, x: &mut [T]) {
        Self::solve_transpose(self, x);
    }
}

/// How many columns of L are subtracted in one pass over a column.
const PANEL: usize = 4;

/// Left-looking LU in place: column j takes all eliminations of the columns before it, four at a time,
/// so that it is loaded and stored once for four of them.
struct Factor<'a, T>(usize, &'a mut [T], &'a mut [u32]);

impl<T: Real> Kernel for Factor<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self(n, lu, pivots) = self;
        for j in 0..n {
            let (left, column) = lu.split_at_mut(j * n);
            let column = &mut column[..n];
            for (k, &p) in pivots[..j].iter().enumerate() {
                column.swap(k, p as usize);
            }
            eliminate(n, left, j, column);
            let (mut at, mut largest) = (j, column[j].abs());
            for (i, v) in column.iter().enumerate().skip(j + 1) {
                if v.abs() > largest {
                    (at, largest) = (i, v.abs());
                }
            }
            pivots[j] = at as u32;
            if at != j {
                column.swap(j, at);
                for k in 0..j {
                    left.swap(k * n + j, k * n + at);
                }
            }
            let reciprocal = T::one() / column[j];
            for v in &mut column[j + 1..] {
                *v *= reciprocal;
            }
        }
    }
}

/// `column` ← L⁻¹ `column` for the first `j` columns of L, the rows below them included.
#[inline(always)]
fn eliminate<T: Real>(n: usize, l: &[T], j: usize, column: &mut [T]) {
    let whole = j - j % PANEL;
    for k in (0..whole).step_by(PANEL) {
        for s in 0..PANEL {
            let (x, panel) = (column[k + s], &l[(k + s) * n..][..n]);
            for i in k + s + 1..k + PANEL {
                column[i] = (-panel[i]).mul_add(x, column[i]);
            }
        }
        let x: [T; PANEL] = std::array::from_fn(|s| -column[k + s]);
        let from = k + PANEL;
        let of = |s: usize| &l[(k + s) * n + from..(k + s + 1) * n];
        let (a, b, c, d) = (of(0), of(1), of(2), of(3));
        let rest = &mut column[from..];
        for ((((v, a), b), c), d) in rest.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *v = d.mul_add(x[3], c.mul_add(x[2], b.mul_add(x[1], a.mul_add(x[0], *v))));
        }
    }
    for k in whole..j {
        let x = -column[k];
        for (v, l) in column[k + 1..].iter_mut().zip(&l[k * n + k + 1..(k + 1) * n]) {
            *v = l.mul_add(x, *v);
        }
    }
}

/// L U x = b, after the exchanges.
struct Solve<'a, T>(usize, &'a [T], &'a [T], &'a mut [T]);

impl<T: Real> Kernel for Solve<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self(n, lu, inverse, x) = self;
        eliminate(n, lu, n, x);
        for k in (0..n).rev() {
            let xk = x[k] * inverse[k];
            x[k] = xk;
            for (v, u) in x[..k].iter_mut().zip(&lu[k * n..k * n + k]) {
                *v = (-*u).mul_add(xk, *v);
            }
        }
    }
}

/// Uᵀ Lᵀ x = b, before the exchanges.
struct SolveTranspose<'a, T>(usize, &'a [T], &'a [T], &'a mut [T]);

impl<T: Real> Kernel for SolveTranspose<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self(n, lu, inverse, x) = self;
        for k in 0..n {
            x[k] = (x[k] - dot(&lu[k * n..k * n + k], &x[..k])) * inverse[k];
        }
        for k in (0..n).rev() {
            x[k] -= dot(&lu[k * n + k + 1..(k + 1) * n], &x[k + 1..]);
        }
    }
}

/// `y` ← y + a x.
#[inline(always)]
pub(in crate::linalg) fn axpy<T: Real>(a: T, x: &[T], y: &mut [T]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = a.mul_add(*x, *y);
    }
}

/// Σ aᵢ bᵢ in eight partial sums.
#[inline(always)]
pub(in crate::linalg) fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    const WAYS: usize = 8;
    let mut sums = [T::zero(); WAYS];
    let (a_heads, b_heads) = (a.chunks_exact(WAYS), b.chunks_exact(WAYS));
    let rest = a_heads.remainder().iter().zip(b_heads.remainder());
    let rest = rest.fold(T::zero(), |sum, (&a, &b)| a.mul_add(b, sum));
    for (a, b) in a_heads.zip(b_heads) {
        for s in 0..WAYS {
            sums[s] = a[s].mul_add(b[s], sums[s]);
        }
    }
    let fold = |s: &[T; WAYS], i: usize| (s[i] + s[i + 4], s[i + 2] + s[i + 6]);
    let ((a, b), (c, d)) = (fold(&sums, 0), fold(&sums, 1));
    ((a + b) + (c + d)) + rest
}

/// Bytes that faer needs.
fn scratch_bytes<T: Real>(n: usize) -> usize {
    lu_in_place_scratch::<u32, T::Field>(n, n, Par::Seq, Default::default()).unaligned_bytes_required()
}

/// LU in place by faer (recursive, its products blocked), one thread; `pivots` as LAPACK's.
fn factor_large<T: Real>(
    n: usize,
    lu: &mut [T],
    [memory, pivots]: [&mut [u32]; 2],
    scratch: &mut [MaybeUninit<u8>],
) {
    let (forward, rest) = memory.split_at_mut(n);
    let (backward, place) = rest.split_at_mut(n);
    let a = faer::MatMut::from_column_major_slice_mut(T::field_mut(lu), n, n);
    lu_in_place(a, forward, backward, Par::Seq, MemStack::new(scratch), Default::default());
    // The permutation as exchanges: place[i] is where original row i stands now, backward[·] its inverse.
    for (i, (p, b)) in place.iter_mut().zip(backward.iter_mut()).enumerate() {
        (*p, *b) = (i as u32, i as u32);
    }
    for k in 0..n {
        let at = place[forward[k] as usize];
        pivots[k] = at;
        let (first, second) = (backward[k], forward[k]);
        backward.swap(k, at as usize);
        place.swap(first as usize, second as usize);
    }
}
