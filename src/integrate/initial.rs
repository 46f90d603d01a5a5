//! The automatic first step (Hairer, Nørsett & Wanner I, II.4).

use super::step::Stepper;
use crate::num::{ErrorNorm, Kernel, Over, Real, dispatch};

/// A first step size h > 0 for the derivative k_1 that `stepper` holds at (t, y).
///
/// d0 = ‖y‖, d1 = ‖f‖;  h0 = 0.01 d0/d1 (1e-6 when either is < 1e-5);  an Euler step to f(t + h0, y + h0 f)
/// gives d2 = ‖Δf‖/h0;  h1 = (0.01/max(d1, d2))^{1/(p+1)};  h = min(100 h0, h1, |span|).
/// The norms are scaled by atol + rtol|y|. Costs one evaluation. `work` holds two states.
pub fn initial_step<T: Real>(
    stepper: &mut impl Stepper<T>,
    at: (T, &[T]),
    span: T,
    norm: &ErrorNorm<T>,
    work: &mut [T],
) -> T {
    let norm = &ErrorNorm { over: Over::Batch, ..norm.clone() };
    dispatch(First { stepper, at, span, norm, work })
}

struct First<'a, T, S> {
    stepper: &'a mut S,
    at: (T, &'a [T]),
    span: T,
    norm: &'a ErrorNorm<T>,
    work: &'a mut [T],
}

impl<T: Real, S: Stepper<T>> Kernel for First<'_, T, S> {
    type Output = T;
    #[inline(always)]
    fn run(self) -> T {
        let Self { stepper, at, span, norm, work } = self;
        first_step(stepper, at, span, norm, work)
    }
}

#[inline(always)]
fn first_step<T: Real>(
    stepper: &mut impl Stepper<T>,
    at: (T, &[T]),
    span: T,
    norm: &ErrorNorm<T>,
    work: &mut [T],
) -> T {
    let (t, y) = at;
    let n = y.len();
    let dim = stepper.dim();
    let (y1, f1) = work.split_at_mut(n);
    let f1 = &mut f1[..n];
    let size = span.abs();
    let tiny = T::of(1e-5);
    let d0 = norm.value(y, y, y, dim);
    let d1 = norm.value(stepper.derivative(), y, y, dim);
    let ok = d0 >= tiny && d1 >= tiny && d0.is_finite() && d1.is_finite();
    let h0 = if ok { T::of(0.01) * d0 / d1 } else { T::of(1e-6) };
    let h0 = h0.min(size);
    let signed = h0.copysign(span);
    for ((y1, y), f) in y1.iter_mut().zip(y).zip(stepper.derivative()) {
        *y1 = signed.mul_add(*f, *y);
    }
    stepper.evaluate(t + signed, y1, f1);
    for (f1, f0) in f1.iter_mut().zip(stepper.derivative()) {
        *f1 -= *f0;
    }
    let d2 = norm.value(f1, y, y, dim) / h0;
    let worst = d1.max(d2);
    if !worst.is_finite() {
        return (h0 * T::of(1e-3)).min(size);
    }
    let h1 = if worst <= T::of(1e-15) {
        (h0 * T::of(1e-3)).max(T::of(1e-6))
    } else {
        let power = T::of(-1.0 / (stepper.order() as f64 + 1.0));
        ((worst / T::of(0.01)).log2() * power).exp2()
    };
    h1.min(T::of(100.0) * h0).min(size)
}
