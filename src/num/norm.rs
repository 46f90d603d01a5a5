//! The scaled error norm and its reverse rule.
//!
//! With r_i = u_i / (atol_i + rtol · max(|y0_i|, |y1_i|)),
//!
//! E = √(mean r²)  over the whole batch, or  E = max_j √(mean_i r_ij²)  over its trajectories j
//! (Hairer, Nørsett & Wanner I, II.4, eq. 4.11).
//!
//! Sums run over sixteen partial sums in a fixed order, so that their bits depend neither on the
//! instruction set nor on whether a trajectory is alone or in a SIMD lane.

use super::{Kernel, Real, Scalar, dispatch};
use crate::error::{Error, Result};

/// Absolute tolerance: one for all components, or one for each row of the state.
#[derive(Clone, Debug, PartialEq)]
pub enum Atol<T> {
    /// The same for every component.
    Scalar(T),
    /// One for each row (component) of the state, the same for every trajectory.
    PerRow(Vec<T>),
}

impl<T> From<T> for Atol<T> {
    fn from(atol: T) -> Self {
        Self::Scalar(atol)
    }
}

/// What the RMS is taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Over {
    /// State × batch together.
    #[default]
    Batch,
    /// Each trajectory (column) by itself; the norm is the largest.
    Trajectory,
}

/// The scaled RMS norm of an error vector.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorNorm<T> {
    /// Relative tolerance.
    pub rtol: T,
    /// Absolute tolerance.
    pub atol: Atol<T>,
    /// What the mean is taken over.
    pub over: Over,
}

const PARTIALS: usize = 16;
const BLOCK: usize = 2048;

/// The terms of a sum. A trait and not a closure: closures cannot be `#[inline(always)]`, and one
/// that is not inlined is compiled without the CPU's instructions.
trait Terms<E> {
    fn len(&self) -> usize;
    fn term(&self, i: usize) -> E;
}

/// Σ term(i) in sixteen partial sums a block.
#[inline(always)]
fn sum<E: Scalar>(terms: impl Terms<E>) -> E {
    let n = terms.len();
    let mut total = E::zero();
    if n < PARTIALS {
        for i in 0..n {
            total += terms.term(i);
        }
        return total;
    }
    let mut start = 0;
    while start < n {
        let end = (start + BLOCK).min(n);
        let mut partial = [E::zero(); PARTIALS];
        let mut i = start;
        while i + PARTIALS <= end {
            for (l, p) in partial.iter_mut().enumerate() {
                *p += terms.term(i + l);
            }
            i += PARTIALS;
        }
        for (l, p) in partial.iter_mut().enumerate().take(end - i) {
            *p += terms.term(i + l);
        }
        for p in partial {
            total += p;
        }
        start = end;
    }
    total
}

/// u_i over its scale; NaN when y1 is infinite or NaN, whatever the scale.
#[inline(always)]
fn scaled<E: Scalar>(u: E, y0: E, y1: E, rtol: E, atol: E) -> E {
    y1.mul_add(E::zero(), u / rtol.mul_add(y0.abs().max(y1.abs()), atol))
}

/// Squares of scaled entries with one absolute tolerance, or one each.
#[derive(Clone, Copy)]
struct Scaled<'a, E> {
    u: &'a [E],
    y0: &'a [E],
    y1: &'a [E],
    rtol: E,
    atol: &'a [E],
}

impl<E: Scalar> Terms<E> for Scaled<'_, E> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.u.len()
    }
    #[inline(always)]
    fn term(&self, i: usize) -> E {
        let atol = if self.atol.len() == 1 { self.atol[0] } else { self.atol[i] };
        let r = scaled(self.u[i], self.y0[i], self.y1[i], self.rtol, atol);
        r * r
    }
}

/// The same with the tolerances of another scalar type (lanes share one set).
struct ScaledRows<'a, E, T> {
    u: &'a [E],
    y0: &'a [E],
    y1: &'a [E],
    rtol: E,
    atol: &'a [T],
}

impl<E: Scalar, T: Real> Terms<E> for ScaledRows<'_, E, T> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.u.len()
    }
    #[inline(always)]
    fn term(&self, i: usize) -> E {
        let r = scaled(self.u[i], self.y0[i], self.y1[i], self.rtol, E::of(self.atol[i].f64()));
        r * r
    }
}

/// Mean of squares of the scaled entries.
#[inline(always)]
fn mean_square<E: Scalar>(entries: Scaled<'_, E>) -> E {
    let n = entries.u.len();
    let Scaled { u, y0, y1, rtol, atol } = entries;
    let (y0, y1) = (&y0[..n], &y1[..n]);
    // One bound check for all, and a loop for each kind of tolerance.
    let total = match atol.len() {
        1 => sum(Scaled { u, y0, y1, rtol, atol: &atol[..1] }),
        _ => sum(Scaled { u, y0, y1, rtol, atol: &atol[..n] }),
    };
    total * E::of(1.0 / n as f64)
}

struct MeanSquare<'a, E>(Scaled<'a, E>);

impl<E: Scalar> Kernel for MeanSquare<'_, E> {
    type Output = E;
    #[inline(always)]
    fn run(self) -> E {
        mean_square(self.0)
    }
}

impl<T: Real> ErrorNorm<T> {
    /// This norm for a state of `rows` rows and `extra` further ones that do not count: their absolute tolerance is
    /// so large that they add nothing, and the others' tolerances are reduced by √(rows/(rows + extra)), so that E is
    /// that of the first rows alone.
    pub fn ignoring(&self, rows: usize, extra: usize) -> Self {
        if extra == 0 {
            return self.clone();
        }
        let scale = T::of((rows as f64 / (rows + extra) as f64).sqrt());
        let own: Vec<T> = match &self.atol {
            Atol::Scalar(a) => vec![*a * scale; rows],
            Atol::PerRow(given) => given.iter().map(|a| *a * scale).collect(),
        };
        let far = std::iter::repeat_n(T::MAX.sqrt(), extra);
        Self {
            rtol: self.rtol * scale,
            atol: Atol::PerRow(own.into_iter().chain(far).collect()),
            over: self.over,
        }
    }

    /// A norm over the whole batch.
    pub fn new(rtol: T, atol: impl Into<Atol<T>>) -> Self {
        Self { rtol, atol: atol.into(), over: Over::Batch }
    }

    /// Checks that tolerances are positive (one of rtol and atol may be zero) and of the right shape.
    ///
    /// # Errors
    /// A negative, non-finite or vanishing tolerance, or `atol` of a length other than `dim`.
    pub fn check(&self, dim: usize) -> Result<()> {
        let bad = |x: T| !x.is_finite() || x < T::zero();
        if bad(self.rtol) {
            return Err(Error::invalid("rtol", self.rtol, "it must be finite and not negative"));
        }
        let atol = self.atol_slice();
        if let Atol::PerRow(rows) = &self.atol {
            Error::check_len("atol", rows.len(), dim, "one tolerance for each row of the state")?;
        }
        for &a in atol {
            if bad(a) {
                return Err(Error::invalid("atol", a, "it must be finite and not negative"));
            }
            if a == T::zero() && self.rtol == T::zero() {
                return Err(Error::invalid("rtol and atol", "0 and 0", "at least one must be positive"));
            }
        }
        Ok(())
    }

    /// The norm of the first `judged` of `total` numbers, rows of tolerances repeating every `dim`: the others
    /// are left out by an absolute tolerance beyond all numbers, though one that is not finite still makes the
    /// norm NaN. The mean runs over all, so tolerances are scaled by √(judged/total) to make it that over the
    /// judged ones.
    pub(crate) fn leading(&self, judged: usize, total: usize, dim: usize) -> Self {
        let scale = T::of((judged as f64 / total as f64).sqrt());
        let rows = self.atol_slice();
        let atol = |i: usize| if i < judged { scale * rows[i % dim % rows.len()] } else { T::MAX };
        Self {
            rtol: scale * self.rtol,
            atol: Atol::PerRow((0..total).map(atol).collect()),
            over: Over::Batch,
        }
    }

    /// The absolute tolerances: one entry, or one for each row.
    #[inline(always)]
    pub(crate) fn atol_slice(&self) -> &[T] {
        match &self.atol {
            Atol::Scalar(a) => std::slice::from_ref(a),
            Atol::PerRow(rows) => rows,
        }
    }

    /// Mean square of the scaled entries of columns `u` (each of `dim` rows), already the largest
    /// over trajectories where the norm is per trajectory.
    pub fn mean_square(&self, u: &[T], y0: &[T], y1: &[T], dim: usize) -> T {
        let atol = self.atol_slice();
        let columns = |rows: usize| {
            let parts = u.chunks_exact(rows).zip(y0.chunks_exact(rows)).zip(y1.chunks_exact(rows));
            parts.map(|((u, y0), y1)| dispatch(MeanSquare(Scaled { u, y0, y1, rtol: self.rtol, atol })))
        };
        match (self.over, &self.atol) {
            (Over::Batch, Atol::Scalar(_)) => columns(u.len()).fold(T::zero(), |a, x| a + x),
            (Over::Batch, Atol::PerRow(_)) => {
                columns(dim).fold(T::zero(), |a, x| a + x) / T::of((u.len() / dim) as f64)
            }
            // NaN must win: it is never smaller.
            (Over::Trajectory, _) => {
                columns(dim).fold(T::zero(), |a, x| if a >= x || a.f64().is_nan() { a } else { x })
            }
        }
    }

    /// The norm E of `u`.
    pub fn value(&self, u: &[T], y0: &[T], y1: &[T], dim: usize) -> T {
        self.mean_square(u, y0, y1, dim).sqrt()
    }

    /// The same in a SIMD lane or a small system: one trajectory, arithmetic inlined.
    #[inline(always)]
    pub(crate) fn mean_square_inline<E: Scalar>(&self, u: &[E], y0: &[E], y1: &[E]) -> E {
        let rtol = E::of(self.rtol.f64());
        match &self.atol {
            Atol::Scalar(a) => mean_square(Scaled { u, y0, y1, rtol, atol: &[E::of(a.f64())] }),
            Atol::PerRow(rows) => {
                let n = u.len();
                let (y0, y1, atol) = (&y0[..n], &y1[..n], &rows[..n]);
                sum(ScaledRows { u, y0, y1, rtol, atol }) * E::of(1.0 / n as f64)
            }
        }
    }

    /// Replaces `u` by `seed` · ∂(mean square)/∂u and ACCUMULATES `seed` · ∂(mean square)/∂(y0, y1),
    /// the scale's derivative included.
    pub fn mean_square_pullback(&self, u: &mut [T], y: [&[T]; 2], seed: T, y_bar: [&mut [T]; 2], dim: usize) {
        let [y0, y1] = y;
        let (mut first, mut last, mut count) = (0, u.len(), u.len());
        if self.over == Over::Trajectory {
            let single = Self { over: Over::Batch, ..self.clone() };
            let column = |j: usize| j * dim..(j + 1) * dim;
            let worst = |j: usize| single.mean_square(&u[column(j)], &y0[column(j)], &y1[column(j)], dim);
            let mut best = T::zero() - T::one();
            for j in 0..u.len() / dim {
                let m = worst(j);
                if m > best {
                    best = m;
                    first = j * dim;
                }
            }
            last = first + dim;
            count = dim;
            u[..first].fill(T::zero());
            u[last..].fill(T::zero());
        }
        let two = T::of(2.0) * seed / T::of(count as f64);
        let atol = self.atol_slice();
        let [y0_bar, y1_bar] = y_bar;
        for i in first..last {
            let a = atol[i % atol.len().min(dim)];
            let (a0, a1) = (y0[i].abs(), y1[i].abs());
            let scale = self.rtol.mul_add(Scalar::max(a0, a1), a);
            let r = u[i] / scale;
            // r = u/s:  ∂r/∂u = 1/s,  ∂r/∂s = −r/s,  ∂s/∂|y| = rtol for the larger one.
            let scale_bar = -two * r * r / scale * self.rtol;
            if a1 > a0 {
                y1_bar[i] += scale_bar.copysign(scale_bar * y1[i]);
            } else if a0 > T::zero() {
                y0_bar[i] += scale_bar.copysign(scale_bar * y0[i]);
            }
            u[i] = two * r / scale;
        }
    }
}

struct Squares<'a, T>(&'a [T]);

impl<T: Real> Terms<T> for &Squares<'_, T> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.0.len()
    }
    #[inline(always)]
    fn term(&self, i: usize) -> T {
        self.0[i] * self.0[i]
    }
}

impl<T: Real> Kernel for Squares<'_, T> {
    type Output = T;
    #[inline(always)]
    fn run(self) -> T {
        sum(&self)
    }
}

/// Root mean square of a slice.
pub fn rms<T: Real>(x: &[T]) -> T {
    (dispatch(Squares(x)) / T::of(x.len().max(1) as f64)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors() -> [Vec<f64>; 3] {
        let make = |p: f64| (0..12).map(|i| ((i as f64 + 1.0) * p).sin() + 0.1).collect();
        [make(0.7), make(1.3), make(2.1)]
    }

    #[test]
    fn value_is_the_formula() {
        let [u, y0, y1] = vectors();
        let r = |i: usize, atol: f64| u[i] / (atol + 0.1 * y0[i].abs().max(y1[i].abs()));
        let norm = ErrorNorm::new(0.1, 0.01);
        let want = ((0..12).map(|i| r(i, 0.01).powi(2)).sum::<f64>() / 12.0).sqrt();
        assert!((norm.value(&u, &y0, &y1, 3) - want).abs() < 1e-14 * want);
        let per_row = ErrorNorm { atol: Atol::PerRow(vec![0.01, 0.2, 3.0]), ..norm.clone() };
        let want = ((0..12).map(|i| r(i, [0.01, 0.2, 3.0][i % 3]).powi(2)).sum::<f64>() / 12.0).sqrt();
        assert!((per_row.value(&u, &y0, &y1, 3) - want).abs() < 1e-14 * want);
        let worst = ErrorNorm { over: Over::Trajectory, ..norm };
        let column = |j: usize| ((0..3).map(|i| r(3 * j + i, 0.01).powi(2)).sum::<f64>() / 3.0).sqrt();
        let want = (0..4).map(column).fold(0.0, f64::max);
        assert!((worst.value(&u, &y0, &y1, 3) - want).abs() < 1e-14 * want);
    }

    #[test]
    fn leading_norm_is_that_of_the_judged_numbers() {
        let [mut u, y0, y1] = vectors();
        for atol in [Atol::Scalar(0.01), Atol::PerRow(vec![0.01, 0.2, 3.0])] {
            let norm = ErrorNorm { atol, ..ErrorNorm::new(0.1, 0.01) };
            let want = norm.value(&u[..9], &y0[..9], &y1[..9], 3);
            let leading = norm.leading(9, 12, 3);
            assert!((leading.value(&u, &y0, &y1, 12) - want).abs() < 1e-14 * want);
        }
        u[11] = f64::NAN;
        assert!(ErrorNorm::new(0.1, 0.01).leading(9, 12, 3).value(&u, &y0, &y1, 12).is_nan());
    }

    #[test]
    fn pullback_matches_differences() {
        let [u, y0, y1] = vectors();
        for over in [Over::Batch, Over::Trajectory] {
            for atol in [Atol::Scalar(0.01), Atol::PerRow(vec![0.01, 0.2, 0.3])] {
                let norm = ErrorNorm { rtol: 0.1, atol, over };
                let (mut ub, mut b0, mut b1) = (u.clone(), vec![0.0; 12], vec![0.0; 12]);
                norm.mean_square_pullback(&mut ub, [&y0, &y1], 1.5, [&mut b0, &mut b1], 3);
                let value = |u: &[f64], y0: &[f64], y1: &[f64]| 1.5 * norm.mean_square(u, y0, y1, 3);
                for i in 0..12 {
                    let step = 1e-6;
                    let moved = |x: &[f64], s: f64| {
                        let mut x = x.to_vec();
                        x[i] += s;
                        x
                    };
                    let du = value(&moved(&u, step), &y0, &y1) - value(&moved(&u, -step), &y0, &y1);
                    let d0 = value(&u, &moved(&y0, step), &y1) - value(&u, &moved(&y0, -step), &y1);
                    let d1 = value(&u, &y0, &moved(&y1, step)) - value(&u, &y0, &moved(&y1, -step));
                    for (got, want) in [(ub[i], du), (b0[i], d0), (b1[i], d1)] {
                        let want = want / (2.0 * step);
                        assert!((got - want).abs() < 1e-7 * (1.0 + want.abs()), "{over:?} {i}: {got} {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn infinite_state_is_never_accepted() {
        let norm = ErrorNorm::new(1e-3, 1e-3);
        assert!(norm.value(&[0.0], &[1.0], &[f64::INFINITY], 1).is_nan());
        assert!(norm.value(&[0.0], &[1.0], &[f64::NAN], 1).is_nan());
        let per = ErrorNorm { over: Over::Trajectory, ..norm };
        assert!(per.value(&[0.0, 0.0], &[1.0, 1.0], &[f64::NAN, 1.0], 1).is_nan());
    }
}
