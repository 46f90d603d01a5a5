//! The functions over slices, under dispatch.

use super::super::{Kernel, Real, dispatch};
use super::function::{
    Cos, Cube, Elementwise, Exp, Function, Gelu, Ln, Relu, Sigmoid, Silu, Sin, Softplus, Tanh,
};
use crate::error::{Error, Result};
use std::marker::PhantomData;

/// How many elements are looked at before choosing the branch-free loop.
const CHUNK: usize = 64;

/// Calls `$run::<F, T>($args)` with the type of `$function`.
macro_rules! each_function {
    ($function:expr, $run:ident($($arg:expr),*)) => {
        match $function {
            Function::Tanh => $run::<Tanh, T>($($arg),*),
            Function::Relu => $run::<Relu, T>($($arg),*),
            Function::Gelu => $run::<Gelu, T>($($arg),*),
            Function::Silu => $run::<Silu, T>($($arg),*),
            Function::Softplus => $run::<Softplus, T>($($arg),*),
            Function::Sigmoid => $run::<Sigmoid, T>($($arg),*),
            Function::Sin => $run::<Sin, T>($($arg),*),
            Function::Cos => $run::<Cos, T>($($arg),*),
            Function::Cube => $run::<Cube, T>($($arg),*),
            Function::Exp => $run::<Exp, T>($($arg),*),
            Function::Ln => $run::<Ln, T>($($arg),*),
        }
    };
}

/// x ← f(x), in place.
pub fn apply<T: Real>(function: Function, x: &mut [T]) {
    each_function!(function, apply_one(x));
}

/// y ← f(x).
///
/// # Errors
/// [`Error::Length`] when the lengths differ; nothing is written then.
pub fn map<T: Real>(function: Function, x: &[T], y: &mut [T]) -> Result<()> {
    Error::check_len("y", y.len(), x.len(), "one value per entry of x")?;
    each_function!(function, map_one(x, y));
    Ok(())
}

/// x̄ ← ȳ·f′ in one pass; `saved` is x or y = f(x), as [`Function::saved`] says.
///
/// # Errors
/// [`Error::Length`] when the lengths differ; nothing is written then.
pub fn pullback<T: Real>(function: Function, saved: &[T], y_bar: &[T], x_bar: &mut [T]) -> Result<()> {
    Error::check_len("y_bar", y_bar.len(), saved.len(), "one per saved value")?;
    Error::check_len("x_bar", x_bar.len(), saved.len(), "one per saved value")?;
    each_function!(function, pullback_one(saved, y_bar, x_bar));
    Ok(())
}

/// [`pullback`] in place: on entry `bar` is ȳ, on return x̄.
///
/// # Errors
/// [`Error::Length`] when the lengths differ; nothing is written then.
pub fn pullback_in_place<T: Real>(function: Function, saved: &[T], bar: &mut [T]) -> Result<()> {
    Error::check_len("bar", bar.len(), saved.len(), "one per saved value")?;
    each_function!(function, pullback_in_place_one(saved, bar));
    Ok(())
}

/// The reverse of (y, ẏ_i) = (f(x), f′(x)ẋ_i) in place, for one direction or several, one block after the other in
/// `x_dot` and in the second of `bars`: on entry `bars` are ȳ and the cotangents u_i of ẏ_i; on return
/// x̄ = f′ȳ + f″ Σ ẋ_i u_i and the cotangents f′u_i of ẋ_i.
///
/// # Errors
/// [`Error::Length`] when the lengths differ, or are no multiple of those of `saved` for the directions; nothing is
/// written then.
pub fn pullback_tangent<T: Real>(
    function: Function,
    saved: &[T],
    x_dot: &[T],
    bars: [&mut [T]; 2],
) -> Result<()> {
    let needed = "one per saved value";
    if saved.is_empty() || !x_dot.len().is_multiple_of(saved.len()) {
        Error::check_len(
            "x_dot",
            x_dot.len(),
            saved.len(),
            "a multiple of it: one per saved value and direction",
        )?;
    }
    Error::check_len("a cotangent", bars[0].len(), saved.len(), needed)?;
    Error::check_len("a cotangent", bars[1].len(), x_dot.len(), "one per tangent")?;
    each_function!(function, pullback_tangent_one(saved, x_dot, bars));
    Ok(())
}

fn apply_one<F: Elementwise, T: Real>(x: &mut [T]) {
    dispatch(Apply::<F, T>(x, PhantomData));
}

fn map_one<F: Elementwise, T: Real>(x: &[T], y: &mut [T]) {
    dispatch(Map::<F, T>(x, y, PhantomData));
}

fn pullback_one<F: Elementwise, T: Real>(saved: &[T], y_bar: &[T], x_bar: &mut [T]) {
    dispatch(Pullback::<F, T>(saved, y_bar, x_bar, PhantomData));
}

fn pullback_in_place_one<F: Elementwise, T: Real>(saved: &[T], bar: &mut [T]) {
    dispatch(PullbackInPlace::<F, T>(saved, bar, PhantomData));
}

fn pullback_tangent_one<F: Elementwise, T: Real>(saved: &[T], x_dot: &[T], bars: [&mut [T]; 2]) {
    dispatch(PullbackTangent::<F, T>(saved, x_dot, bars, PhantomData));
}

/// Whether the branch-free code serves the whole chunk.
#[inline(always)]
fn all_moderate<F: Elementwise, T: Real>(x: &[T]) -> bool {
    let mut all = true;
    for &x in x {
        all &= F::moderate(x);
    }
    all
}

struct Apply<'a, F, T>(&'a mut [T], PhantomData<F>);

impl<F: Elementwise, T: Real> Kernel for Apply<'_, F, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for chunk in self.0.chunks_mut(CHUNK) {
            if all_moderate::<F, T>(chunk) {
                for x in chunk {
                    *x = F::value(*x);
                }
            } else {
                for x in chunk {
                    *x = F::any(*x);
                }
            }
        }
    }
}

struct Map<'a, F, T>(&'a [T], &'a mut [T], PhantomData<F>);

impl<F: Elementwise, T: Real> Kernel for Map<'_, F, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (x, y) in self.0.chunks(CHUNK).zip(self.1.chunks_mut(CHUNK)) {
            if all_moderate::<F, T>(x) {
                for (x, y) in x.iter().zip(y) {
                    *y = F::value(*x);
                }
            } else {
                for (x, y) in x.iter().zip(y) {
                    *y = F::any(*x);
                }
            }
        }
    }
}

struct Pullback<'a, F, T>(&'a [T], &'a [T], &'a mut [T], PhantomData<F>);

impl<F: Elementwise, T: Real> Kernel for Pullback<'_, F, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let chunks = self.0.chunks(CHUNK).zip(self.1.chunks(CHUNK));
        for ((saved, y_bar), x_bar) in chunks.zip(self.2.chunks_mut(CHUNK)) {
            let entries = saved.iter().zip(y_bar).zip(x_bar);
            if all_moderate::<F, T>(saved) {
                for ((saved, y_bar), x_bar) in entries {
                    *x_bar = *y_bar * F::slope(*saved);
                }
            } else {
                for ((saved, y_bar), x_bar) in entries {
                    *x_bar = *y_bar * F::any_slope(*saved);
                }
            }
        }
    }
}

struct PullbackInPlace<'a, F, T>(&'a [T], &'a mut [T], PhantomData<F>);

impl<F: Elementwise, T: Real> Kernel for PullbackInPlace<'_, F, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (saved, bar) in self.0.chunks(CHUNK).zip(self.1.chunks_mut(CHUNK)) {
            if all_moderate::<F, T>(saved) {
                for (saved, bar) in saved.iter().zip(bar) {
                    *bar *= F::slope(*saved);
                }
            } else {
                for (saved, bar) in saved.iter().zip(bar) {
                    *bar *= F::any_slope(*saved);
                }
            }
        }
    }
}

struct PullbackTangent<'a, F, T>(&'a [T], &'a [T], [&'a mut [T]; 2], PhantomData<F>);

impl<F: Elementwise, T: Real> Kernel for PullbackTangent<'_, F, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self(saved, x_dot, [bars, dot_bars], _) = self;
        let n = saved.len();
        let chunks = saved.chunks(CHUNK).zip(bars.chunks_mut(CHUNK));
        for (start, (saved, bar)) in (0..).step_by(CHUNK).zip(chunks) {
            let [mut slope, mut bend] = [[T::of(0.0); CHUNK]; 2];
            let shapes = saved.iter().zip(slope.iter_mut().zip(&mut bend));
            if all_moderate::<F, T>(saved) {
                shapes.for_each(|(x, (s, c))| (*s, *c) = (F::slope(*x), F::curvature(*x)));
            } else {
                shapes.for_each(|(x, (s, c))| (*s, *c) = (F::any_slope(*x), F::any_curvature(*x)));
            }
            let mut sums = [T::of(0.0); CHUNK];
            let directions = x_dot.chunks_exact(n).zip(dot_bars.chunks_exact_mut(n));
            for (x_dot, dot_bar) in directions {
                let here = start..start + saved.len();
                let entries = x_dot[here.clone()].iter().zip(&mut dot_bar[here]);
                for ((sum, slope), (x_dot, u)) in sums.iter_mut().zip(&slope).zip(entries) {
                    *sum = x_dot.mul_add(*u, *sum);
                    *u *= *slope;
                }
            }
            for ((bar, slope), (bend, sum)) in bar.iter_mut().zip(&slope).zip(bend.iter().zip(&sums)) {
                *bar = slope.mul_add(*bar, *bend * *sum);
            }
        }
    }
}
