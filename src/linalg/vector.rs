//! Vectors as slices: sums, updates and the fused passes that Krylov iterations are made of.
//!
//! Every function is one pass over memory. Sums are taken in `f64` for `f32` vectors too (products
//! of two `f32` are exact there, and squares cannot overflow), over sixteen partial sums in blocks
//! of 2048 entries that are added in order, so that their bits depend neither on the instruction
//! set nor on the number of threads. Slices of one call have equal lengths; what the shortest
//! leaves over is not touched.

use crate::num::{Kernel, Real, dispatch};

const PARTIALS: usize = 16;
/// Chunks of [`PARTIALS`] entries in a block.
const CHUNKS: usize = 128;

/// What a pass does at one entry: from IN read-only and OUT updated values, to K sums. A trait and
/// not a closure, so that it is inlined into [`dispatch`].
trait Pass<T, const IN: usize, const OUT: usize, const K: usize> {
    fn at(&self, x: [T; IN], y: &mut [T; OUT], sums: &mut [f64; K]);
}

struct Run<'a, T, P, const IN: usize, const OUT: usize> {
    pass: P,
    x: [&'a [T]; IN],
    y: [&'a mut [T]; OUT],
}

/// Runs `pass` over whole vectors.
#[inline(always)]
fn run<T: Real, P: Pass<T, IN, OUT, K>, const IN: usize, const OUT: usize, const K: usize>(
    pass: P,
    x: [&[T]; IN],
    y: [&mut [T]; OUT],
) -> [f64; K] {
    dispatch(Sums(Run { pass, x, y }))
}

/// The kernel; a wrapper, because K must appear in the type.
struct Sums<R, const K: usize>(R);

impl<T: Real, P: Pass<T, IN, OUT, K>, const IN: usize, const OUT: usize, const K: usize> Kernel
    for Sums<Run<'_, T, P, IN, OUT>, K>
{
    type Output = [f64; K];
    #[inline(always)]
    fn run(self) -> [f64; K] {
        let Run { pass, x, mut y } = self.0;
        let lengths = x.iter().map(|x| x.len()).chain(y.iter().map(|y| y.len()));
        let n = lengths.min().unwrap_or(0);
        let mut total = [0.0; K];
        let mut start = 0;
        while start < n {
            let end = (start + PARTIALS * CHUNKS).min(n);
            let mut partial = [[0.0; K]; PARTIALS];
            let whole = start + (end - start) / PARTIALS * PARTIALS;
            let xs: [&[[T; PARTIALS]]; IN] = std::array::from_fn(|j| x[j][start..whole].as_chunks().0);
            #[allow(clippy::needless_range_loop)] // Several slices are indexed alike.
            for c in 0..(whole - start) / PARTIALS {
                // Loaded, computed and stored as local arrays, so that possible overlaps of the
                // slices do not keep the compiler from vectorising.
                let x: [[T; PARTIALS]; IN] = std::array::from_fn(|j| xs[j][c]);
                let at = start + c * PARTIALS;
                let mut local = [[T::zero(); PARTIALS]; OUT];
                for (local, y) in local.iter_mut().zip(&y) {
                    local.copy_from_slice(&y[at..at + PARTIALS]);
                }
                for l in 0..PARTIALS {
                    let mut out = std::array::from_fn(|j| local[j][l]);
                    pass.at(std::array::from_fn(|j| x[j][l]), &mut out, &mut partial[l]);
                    for j in 0..OUT {
                        local[j][l] = out[j];
                    }
                }
                for (local, y) in local.iter().zip(&mut y) {
                    y[at..at + PARTIALS].copy_from_slice(local);
                }
            }
            for i in whole..end {
                let mut out = std::array::from_fn(|j| y[j][i]);
                pass.at(std::array::from_fn(|j| x[j][i]), &mut out, &mut partial[i - whole]);
                for j in 0..OUT {
                    y[j][i] = out[j];
                }
            }
            for k in 0..K {
                total[k] += partial.iter().map(|p| p[k]).sum::<f64>();
            }
            start = end;
        }
        total
    }
}

struct Dot;
impl<T: Real> Pass<T, 2, 0, 1> for Dot {
    #[inline(always)]
    fn at(&self, [x, y]: [T; 2], _: &mut [T; 0], [sum]: &mut [f64; 1]) {
        *sum = x.f64().mul_add(y.f64(), *sum);
    }
}

/// x·y = Σ xᵢ yᵢ.
pub fn dot<T: Real>(x: &[T], y: &[T]) -> f64 {
    run(Dot, [x, y], [])[0]
}

struct Dots<const K: usize>;
impl<T: Real, const K: usize, const IN: usize> Pass<T, IN, 0, K> for Dots<K> {
    #[inline(always)]
    fn at(&self, x: [T; IN], _: &mut [T; 0], sums: &mut [f64; K]) {
        for k in 0..K {
            sums[k] = x[k + 1].f64().mul_add(x[0].f64(), sums[k]);
        }
    }
}

/// (x·y, x·z) in one pass.
pub fn dot2<T: Real>(x: &[T], y: &[T], z: &[T]) -> [f64; 2] {
    run::<_, _, 3, 0, 2>(Dots::<2>, [x, y, z], [])
}

/// `out`ⱼ ← vⱼ·`w` for the vectors v₀, v₁, … of w's length that stand one after the other in
/// `vectors`; four to a pass.
pub fn dots<T: Real>(vectors: &[T], w: &[T], out: &mut [f64]) {
    let n = w.len();
    let vector = |j: usize| &vectors[j * n..(j + 1) * n];
    for (block, out) in out.chunks_mut(4).enumerate() {
        let j = 4 * block;
        match out.len() {
            1 => out[0] = dot(w, vector(j)),
            2 => out.copy_from_slice(&dot2(w, vector(j), vector(j + 1))),
            3 => {
                let x = [w, vector(j), vector(j + 1), vector(j + 2)];
                out.copy_from_slice(&run::<_, _, 4, 0, 3>(Dots::<3>, x, []));
            }
            _ => {
                let x = [w, vector(j), vector(j + 1), vector(j + 2), vector(j + 3)];
                out.copy_from_slice(&run::<_, _, 5, 0, 4>(Dots::<4>, x, []));
            }
        }
    }
}

struct Squares(f64);
impl<T: Real> Pass<T, 1, 0, 1> for Squares {
    #[inline(always)]
    fn at(&self, [x]: [T; 1], _: &mut [T; 0], [sum]: &mut [f64; 1]) {
        let x = self.0 * x.f64();
        *sum = x.mul_add(x, *sum);
    }
}

/// ‖x‖² = Σ xᵢ².
pub fn norm_squared<T: Real>(x: &[T]) -> f64 {
    dot(x, x)
}

/// ‖x‖₂, also where the squares overflow or vanish (then in a second, scaled pass). NaN when an
/// entry is NaN.
pub fn norm2<T: Real>(x: &[T]) -> f64 {
    let square = dot(x, x);
    if square.is_nan() || (square < f64::INFINITY && square > 1e-280) {
        return square.sqrt();
    }
    let largest = x.iter().fold(0.0, |m: f64, x| m.max(x.f64().abs()));
    // A power of two leaves every digit; two factors, because 1/largest may itself overflow.
    let scale = if largest > 1.0 { 2f64.powi(-1000) } else { 2f64.powi(1000) };
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    run(Squares(scale), [x], [])[0].sqrt() / scale
}

/// A·x + B·y for each entry, to y.
struct Axpby<T>(T, T);
impl<T: Real> Pass<T, 1, 1, 0> for Axpby<T> {
    #[inline(always)]
    fn at(&self, [x]: [T; 1], [y]: &mut [T; 1], _: &mut [f64; 0]) {
        *y = self.0.mul_add(x, self.1 * *y);
    }
}

struct Axpy<T>(T);
impl<T: Real> Pass<T, 1, 1, 0> for Axpy<T> {
    #[inline(always)]
    fn at(&self, [x]: [T; 1], [y]: &mut [T; 1], _: &mut [f64; 0]) {
        *y = self.0.mul_add(x, *y);
    }
}
impl<T: Real> Pass<T, 1, 1, 1> for Axpy<T> {
    #[inline(always)]
    fn at(&self, [x]: [T; 1], [y]: &mut [T; 1], [sum]: &mut [f64; 1]) {
        *y = self.0.mul_add(x, *y);
        *sum = y.f64().mul_add(y.f64(), *sum);
    }
}

/// `y` += a `x`.
pub fn axpy<T: Real>(a: f64, x: &[T], y: &mut [T]) {
    run::<_, _, 1, 1, 0>(Axpy(T::of(a)), [x], [y]);
}

/// `y` += a `x`; returns ‖y‖² of the result.
pub fn axpy_norm_squared<T: Real>(a: f64, x: &[T], y: &mut [T]) -> f64 {
    run::<_, _, 1, 1, 1>(Axpy(T::of(a)), [x], [y])[0]
}

/// `y` ← a `x` + b `y`. What y held does not matter for b = 0 unless it is NaN or infinite.
pub fn axpby<T: Real>(a: f64, x: &[T], b: f64, y: &mut [T]) {
    run(Axpby(T::of(a), T::of(b)), [x], [y]);
}

impl<T: Real> Pass<T, 2, 1, 2> for Axpy<T> {
    #[inline(always)]
    fn at(&self, [x, w]: [T; 2], [y]: &mut [T; 1], [square, product]: &mut [f64; 2]) {
        *y = self.0.mul_add(x, *y);
        *square = y.f64().mul_add(y.f64(), *square);
        *product = y.f64().mul_add(w.f64(), *product);
    }
}

/// `y` += a `x`; returns (‖y‖², y·w) of the result.
pub fn axpy_dots<T: Real>(a: f64, x: &[T], y: &mut [T], w: &[T]) -> [f64; 2] {
    run::<_, _, 2, 1, 2>(Axpy(T::of(a)), [x, w], [y])
}

struct Combine<T>([T; 3]);
impl<T: Real> Pass<T, 2, 1, 0> for Combine<T> {
    #[inline(always)]
    fn at(&self, [x, y]: [T; 2], [z]: &mut [T; 1], _: &mut [f64; 0]) {
        let [a, b, c] = self.0;
        *z = a.mul_add(x, b.mul_add(y, c * *z));
    }
}

/// `z` ← a `x` + b `y` + c `z`.
pub fn combine<T: Real>(a: f64, x: &[T], b: f64, y: &[T], c: f64, z: &mut [T]) {
    run(Combine([a, b, c].map(T::of)), [x, y], [z]);
}

struct Xpby<T>(T);
impl<T: Real> Pass<T, 1, 1, 0> for Xpby<T> {
    #[inline(always)]
    fn at(&self, [x]: [T; 1], [y]: &mut [T; 1], _: &mut [f64; 0]) {
        *y = self.0.mul_add(*y, x);
    }
}

/// `y` ← `x` + b `y`.
pub fn xpby<T: Real>(x: &[T], b: f64, y: &mut [T]) {
    run(Xpby(T::of(b)), [x], [y]);
}

struct Scale<T>(T);
impl<T: Real> Pass<T, 0, 1, 0> for Scale<T> {
    #[inline(always)]
    fn at(&self, _: [T; 0], [y]: &mut [T; 1], _: &mut [f64; 0]) {
        *y *= self.0;
    }
}
impl<T: Real> Pass<T, 1, 1, 0> for Scale<T> {
    #[inline(always)]
    fn at(&self, [x]: [T; 1], [y]: &mut [T; 1], _: &mut [f64; 0]) {
        *y = self.0 * x;
    }
}

/// `y` ← a `y`.
pub fn scale<T: Real>(a: f64, y: &mut [T]) {
    run::<_, _, 0, 1, 0>(Scale(T::of(a)), [], [y]);
}

/// `y` ← a `x`.
pub fn scaled<T: Real>(a: f64, x: &[T], y: &mut [T]) {
    run::<_, _, 1, 1, 0>(Scale(T::of(a)), [x], [y]);
}

struct Difference;
impl<T: Real> Pass<T, 1, 1, 1> for Difference {
    #[inline(always)]
    fn at(&self, [b]: [T; 1], [r]: &mut [T; 1], [sum]: &mut [f64; 1]) {
        *r = b - *r;
        *sum = r.f64().mul_add(r.f64(), *sum);
    }
}

/// `r` ← `b` − `r`; returns ‖r‖² of the result.
pub fn subtract_from<T: Real>(b: &[T], r: &mut [T]) -> f64 {
    run(Difference, [b], [r])[0]
}

struct Step<T>(T);
impl<T: Real> Pass<T, 2, 2, 1> for Step<T> {
    #[inline(always)]
    fn at(&self, [p, q]: [T; 2], [x, r]: &mut [T; 2], [sum]: &mut [f64; 1]) {
        *x = self.0.mul_add(p, *x);
        *r = (-self.0).mul_add(q, *r);
        *sum = r.f64().mul_add(r.f64(), *sum);
    }
}

/// `x` += α `p` and `r` −= α `q` in one pass; returns ‖r‖² of the result: the step of CG with q = A p.
pub fn step<T: Real>(alpha: f64, p: &[T], q: &[T], x: &mut [T], r: &mut [T]) -> f64 {
    run(Step(T::of(alpha)), [p, q], [x, r])[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors<T: Real>(n: usize) -> [Vec<T>; 4] {
        let at = |i: usize, k: f64| T::of((k * i as f64 + k).sin());
        [1.3, 0.7, 2.9, 0.1].map(|k| (0..n).map(|i| at(i, k)).collect())
    }

    /// Every length around the boundaries of chunks and blocks, against plain loops.
    #[test]
    fn passes_are_the_formulae() {
        for n in [0, 1, 15, 16, 17, 2047, 2048, 2049, 5000] {
            let [x, y, p, q] = vectors::<f64>(n);
            let sum = |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(x, y)| x * y).sum() };
            let near = |a: f64, b: f64| assert!((a - b).abs() <= 1e-12 * (1.0 + b.abs()), "{n}: {a} {b}");
            near(dot(&x, &y), sum(&x, &y));
            near(norm2(&x), sum(&x, &x).sqrt());
            let both = dot2(&x, &y, &p);
            near(both[0], sum(&x, &y));
            near(both[1], sum(&x, &p));
            let all = [&y[..], &p, &q, &x, &y, &q, &p].concat();
            for count in 0..=7 {
                let mut out = vec![f64::NAN; count];
                dots(&all, &x, &mut out);
                for (v, &out) in [&y, &p, &q, &x, &y, &q, &p].into_iter().zip(&out) {
                    near(out, sum(v, &x));
                }
            }
            let check = |out: &[f64], f: &dyn Fn(usize) -> f64| {
                out.iter().enumerate().for_each(|(i, &o)| near(o, f(i)));
            };
            let mut out = y.clone();
            axpy(0.3, &x, &mut out);
            check(&out, &|i| y[i] + 0.3 * x[i]);
            near(axpy_norm_squared(0.2, &x, &mut out), sum(&out, &out));
            check(&out, &|i| y[i] + 0.5 * x[i]);
            axpby(0.5, &p, -2.0, &mut out);
            check(&out, &|i| 0.5 * p[i] - 2.0 * y[i] - x[i]);
            xpby(&q, 0.5, &mut out);
            check(&out, &|i| q[i] + 0.25 * p[i] - y[i] - 0.5 * x[i]);
            combine(2.0, &x, -3.0, &p, 0.5, &mut out);
            check(&out, &|i| 2.0 * x[i] - 3.0 * p[i] + 0.5 * (q[i] + 0.25 * p[i] - y[i] - 0.5 * x[i]));
            let both = axpy_dots(-0.7, &y, &mut out, &q);
            near(both[0], sum(&out, &out));
            near(both[1], sum(&out, &q));
            scaled(3.0, &x, &mut out);
            scale(-0.5, &mut out);
            check(&out, &|i| -1.5 * x[i]);
            near(subtract_from(&y, &mut out), sum(&out, &out));
            check(&out, &|i| y[i] + 1.5 * x[i]);
            let (mut a, mut r) = (x.clone(), y.clone());
            near(step(0.7, &p, &q, &mut a, &mut r), sum(&r, &r));
            check(&a, &|i| x[i] + 0.7 * p[i]);
            check(&r, &|i| y[i] - 0.7 * q[i]);
        }
    }

    #[test]
    fn norms_neither_overflow_nor_vanish() {
        assert!((norm2(&[3e200, 4e200]) / 5e200 - 1.0).abs() < 1e-15);
        assert!((norm2(&[3e-200, 4e-200]) / 5e-200 - 1.0).abs() < 1e-15);
        assert!((norm2(&[3e30f32, 4e30]) / 5e30 - 1.0).abs() < 1e-6);
        assert_eq!(norm2::<f64>(&[]), 0.0);
        assert_eq!(norm2(&[0.0; 5]), 0.0);
        assert_eq!(norm2(&[1.0, f64::INFINITY]), f64::INFINITY);
        assert!(norm2(&[1.0, f64::NAN]).is_nan());
    }

    /// Sums of f32 carry the digits of f64: a loop in f32 loses four here.
    #[test]
    fn sums_of_f32_are_taken_in_f64() {
        let n = 100_000;
        let [x, y, ..] = vectors::<f32>(n);
        let exact: f64 = x.iter().zip(&y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
        assert!((dot(&x, &y) - exact).abs() < 1e-9);
    }
}
