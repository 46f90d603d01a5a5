//! Taylor coefficients through the layers: of N(t + s, x(s)) in s, of the solution of x' = N(t, x) and their reverse.
//!
//! A value is a truncated series u(s) = Σ u_k sᵏ. With (ab)_k = Σ_i a_i b_{k−i} a dense layer gives
//! z_k = W x_k + \[k = 0\](b + w_t t) + \[k = 1\] w_t, and an activation v = a(u), since v' = a′(u) u',
//!
//! v_k = (1/k) Σ_{j=1..k} j u_j d_{k−j},   d = a′(u),
//!
//! with d by what a′ is: 1 − v² (tanh), v − v² (sigmoid), 3u² (cube), cos u with (cos u)' = −v u' (sin), σ(u) with
//! σ' = (σ − σ²) u' (softplus, silu), Φ + uφ with φ' = −uφ u' (gelu), a constant (relu). See Griewank & Walther, *Evaluating
//! Derivatives*, ch. 13, and Bettencourt, Johnson & Duvenaud, *Taylor-mode automatic differentiation for higher-order
//! derivatives in JAX* (2019). Coefficient k needs none beyond k, so that those of a solution follow one by one:
//! x_{k+1} = N_k/(k + 1).
//!
//! The reverse needs nothing new: moving u_j moves v by a′(u) sʲ, so that ū_j = Σ_{k≥j} d_{k−j} v̄_k. From the last coefficient
//! to the first, x̄_{k+1}/(k + 1) joins the cotangent of N_k.

use super::activation::Activation;
use super::dense::{Dense, Room};
use super::network::{Network, Op};
use super::run::{Input, add};
use crate::error::{Error, Result};
use crate::num::kernels::Saved;
use crate::num::{Kernel, Real, dispatch};
use std::ops::Range;

/// Largest K: K! is a number of every scalar type then, and the weights lie on the stack.
pub const MAX_ORDER: usize = 12;

/// An operation from one value to the next.
enum Line {
    Dense(Dense),
    /// And the place of its series.
    Activate(Activation, usize),
    /// Adds this value.
    Add(usize),
}

/// Memory of [`Network::solution_series`].
pub struct SeriesScratch<T> {
    order: usize,
    /// With the value that each takes; it gives the one after its number.
    lines: Vec<(Line, usize)>,
    /// Coefficients 0 to K − 1 of every value, one block after the other, and their cotangents.
    values: Vec<Vec<T>>,
    bars: Vec<Vec<T>>,
    /// d and what it is made of, of every activation.
    slopes: Vec<[Vec<T>; 4]>,
    weight: Vec<T>,
    grad: Vec<T>,
    rows: Vec<T>,
    spare: Vec<T>,
}

/// `out` += Σ_i w_i a_i ⊙ b_{k−i} for the coefficients i of `a` that have a weight.
struct Cauchy<'a, T> {
    out: &'a mut [T],
    a: &'a [T],
    b: &'a [T],
    weights: &'a [T],
    /// k; with `ascending` it is b_{i−k} instead.
    k: usize,
    ascending: bool,
}

impl<T: Real> Kernel for Cauchy<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { out, a, b, weights, k, ascending } = self;
        let n = out.len();
        for (i, &w) in weights.iter().enumerate() {
            if w == T::zero() {
                continue;
            }
            let j = if ascending { i - k } else { k - i };
            let pairs = a[i * n..(i + 1) * n].iter().zip(&b[j * n..(j + 1) * n]);
            for (out, (a, b)) in out.iter_mut().zip(pairs) {
                *out = (w * *a).mul_add(*b, *out);
            }
        }
    }
}

/// `out` += scale (ab)_k.
fn product<T: Real>(out: &mut [T], [a, b]: [&[T]; 2], k: usize, scale: f64) {
    let weights = [T::of(scale); MAX_ORDER + 1];
    dispatch(Cauchy { out, a, b, weights: &weights[..=k], k, ascending: false });
}

/// `out` += (scale/k) Σ_{j=1..k} j u_j d_{k−j}.
fn chain<T: Real>(out: &mut [T], [u, d]: [&[T]; 2], k: usize, scale: f64) {
    let weights: [T; MAX_ORDER + 1] = std::array::from_fn(|j| T::of(scale * j as f64 / k as f64));
    dispatch(Cauchy { out, a: u, b: d, weights: &weights[..=k], k, ascending: false });
}

/// Where coefficient `k` lies in a series of so many.
fn place<T>(series: &[T], order: usize, k: usize) -> Range<usize> {
    let n = series.len() / order;
    k * n..(k + 1) * n
}

/// The coefficient `k` of `n` numbers, zeroed.
fn cleared<T: Real>(series: &mut [T], k: usize, n: usize) -> &mut [T] {
    let block = &mut series[k * n..(k + 1) * n];
    block.fill(T::zero());
    block
}

/// Coefficient `k` of v = a(u) and of its slope d.
fn activate<T: Real>(a: Activation, u: &[T], v: &mut [T], slopes: &mut [Vec<T>; 4], k: usize, n: usize) {
    let [d, p, q, r] = slopes;
    if k == 0 {
        let function = a.function();
        for (i, (v, u)) in v[..n].iter_mut().zip(u).enumerate() {
            *v = function.value(*u);
            d[i] = function.slope(if function.saved() == Saved::Output { *v } else { *u });
            match a {
                Activation::Softplus => p[i] = d[i] - d[i] * d[i],
                Activation::Silu => {
                    p[i] = crate::num::kernels::sigmoid(*u);
                    q[i] = p[i] - p[i] * p[i];
                }
                Activation::Gelu => {
                    let half = T::of(-0.5) * *u * *u;
                    p[i] = T::of(0.5 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2)
                        * crate::num::kernels::exp(half);
                    q[i] = *u * p[i];
                    r[i] = d[i] - q[i];
                }
                _ => {}
            }
        }
        return;
    }
    chain(cleared(v, k, n), [u, d], k, 1.0);
    let v = &*v;
    let next = cleared(d, k, n);
    match a {
        Activation::Tanh => product(next, [v, v], k, -1.0),
        Activation::Sigmoid => {
            next.copy_from_slice(&v[k * n..(k + 1) * n]);
            product(next, [v, v], k, -1.0);
        }
        Activation::Relu => {}
        Activation::Cube => product(next, [u, u], k, 3.0),
        Activation::Sin => chain(next, [u, v], k, -1.0),
        Activation::Softplus => {
            chain(next, [u, p], k, 1.0);
            let e = cleared(p, k, n);
            e.copy_from_slice(&d[k * n..(k + 1) * n]);
            product(e, [d, d], k, -1.0);
        }
        Activation::Silu => {
            // p = σ, q = σ − σ².
            chain(cleared(p, k, n), [u, q], k, 1.0);
            let e = cleared(q, k, n);
            e.copy_from_slice(&p[k * n..(k + 1) * n]);
            product(e, [p, p], k, -1.0);
            next.copy_from_slice(&p[k * n..(k + 1) * n]);
            product(next, [u, q], k, 1.0);
        }
        Activation::Gelu => {
            // p = φ, q = uφ, r = Φ.
            chain(cleared(p, k, n), [u, q], k, -1.0);
            product(cleared(q, k, n), [u, p], k, 1.0);
            chain(cleared(r, k, n), [u, p], k, 1.0);
            next.copy_from_slice(&r[k * n..(k + 1) * n]);
            add(&q[k * n..(k + 1) * n], next);
        }
    }
}

/// Series beside d that an activation needs.
fn further(a: Activation) -> usize {
    match a {
        Activation::Softplus => 1,
        Activation::Silu => 2,
        Activation::Gelu => 3,
        _ => 0,
    }
}

impl Network {
    /// Refuses what [`solution_series`](Self::solution_series) does not serve.
    ///
    /// # Errors
    /// An order that is 0 or beyond [`MAX_ORDER`]; a network with layer normalisation.
    pub fn check_series(&self, order: usize) -> Result<()> {
        if !(1..=MAX_ORDER).contains(&order) {
            let needed = format!("1 to {MAX_ORDER} are served");
            return Err(Error::invalid("the order of a total derivative", order, needed));
        }
        match self.steps.iter().find(|step| matches!(step.op, Op::LayerNorm(_))) {
            Some(step) => {
                let needed = "Taylor coefficients pass dense layers, activations and residual blocks: leave the \
                              normalisation out";
                Err(Error::invalid("the network of a Taylor series", &step.label, needed))
            }
            None => Ok(()),
        }
    }

    /// Memory of [`solution_series`](Self::solution_series) for `batch` columns and K = `order`, which
    /// [`check_series`](Self::check_series) has passed.
    pub fn series_scratch<T: Real>(&self, batch: usize, order: usize) -> SeriesScratch<T> {
        let zeros = |n: usize| vec![T::zero(); n];
        let (mut lines, mut rows, mut open) = (Vec::new(), vec![self.inputs], Vec::new());
        let (mut activations, mut slopes) = (Vec::new(), Vec::new());
        let mut now = 0;
        for step in &self.steps {
            let own = match &step.op {
                Op::Dense(dense) => Some(Line::Dense(dense.clone())),
                Op::Activate(a) => {
                    activations.push((*a, step.outputs));
                    Some(Line::Activate(*a, activations.len() - 1))
                }
                Op::Open(_) => {
                    open.push(now);
                    None
                }
                Op::Close(..) => open.pop().map(Line::Add),
                Op::LayerNorm(_) => None,
            };
            let fused = step.activation.map(|a| {
                activations.push((a, step.outputs));
                Line::Activate(a, activations.len() - 1)
            });
            for line in own.into_iter().chain(fused) {
                lines.push((line, now));
                rows.push(step.outputs);
                now = rows.len() - 1;
            }
        }
        for (a, outputs) in activations {
            let wanted = 1 + further(a);
            let length = |i: usize| if i < wanted { outputs * batch * order } else { 0 };
            slopes.push(std::array::from_fn(|i| zeros(length(i))));
        }
        let inner = self.needs;
        SeriesScratch {
            order,
            lines,
            values: rows.iter().map(|rows| zeros(rows * batch * order)).collect(),
            bars: rows.iter().map(|rows| zeros(rows * batch * order)).collect(),
            slopes,
            weight: zeros(inner.weight),
            grad: zeros(inner.weight),
            rows: zeros(inner.units),
            spare: zeros(self.inputs * batch),
        }
    }

    /// Numbers that [`series_scratch`](Self::series_scratch) holds.
    pub fn series_scratch_len(&self, batch: usize, order: usize) -> usize {
        let further = |a: Activation, rows: usize| (1 + further(a)) * rows;
        let of = |step: &super::network::Step| {
            let own = if let Op::Activate(a) = step.op { further(a, step.outputs) } else { 0 };
            let fused = step.activation.map_or(0, |a| 2 * step.outputs + further(a, step.outputs));
            let value = if matches!(step.op, Op::Open(_)) { 0 } else { 2 * step.outputs };
            own + fused + value
        };
        let rows: usize = 2 * self.inputs + self.steps.iter().map(of).sum::<usize>();
        rows * batch * order + self.inputs * batch + 2 * self.needs.weight + self.needs.units
    }

    /// Coefficient `k` of every value, from those before it and the input's.
    fn push_series<T: Real>(&self, (t, theta): (T, &[T]), k: usize, s: &mut SeriesScratch<T>) {
        let SeriesScratch { order, lines, values, slopes, weight, grad, rows, .. } = s;
        for (number, (line, from)) in lines.iter().enumerate() {
            let (earlier, later) = values.split_at_mut(number + 1);
            let (x, z) = (&earlier[*from], &mut later[0]);
            let n = z.len() / *order;
            let block = |series: &[T]| place(series, *order, k);
            match line {
                Line::Dense(dense) => {
                    let mut room = Room { weight, grad, rows };
                    let (layer, t) = shifted(dense, t, k);
                    let here = block(z);
                    layer.forward((t, &x[block(x)]), theta, None, false, &mut z[here], &mut room);
                }
                Line::Activate(a, own) => activate(*a, x, z, &mut slopes[*own], k, n),
                Line::Add(other) => {
                    let here = block(z);
                    z[here.clone()].copy_from_slice(&x[here.clone()]);
                    add(&earlier[*other][here.clone()], &mut z[here]);
                }
            }
        }
    }

    /// For the solution of x' = N(t, x; θ) through x at t: `first` ← x' and `top` ← dᴷx/dtᴷ. Lengths are the caller's to
    /// check, see [`at`](Network::at).
    pub fn solution_series<T: Real>(
        &self,
        at: Input<'_, T>,
        [first, top]: [&mut [T]; 2],
        s: &mut SeriesScratch<T>,
    ) {
        let n = at.x.len();
        // Fewer columns than the memory was made for: blocks lie closer.
        s.resize(n / self.inputs, self.inputs);
        s.values[0][..n].copy_from_slice(at.x);
        let (mut factorial, last) = (1.0, s.values.len() - 1);
        for k in 0..s.order {
            self.push_series((at.t, at.theta), k, s);
            factorial *= (k + 1) as f64;
            let out = &s.values[last][k * n..(k + 1) * n];
            if k == 0 {
                first.copy_from_slice(out);
            }
            let (scale, whole) = (T::of(1.0 / (k + 1) as f64), T::of(factorial / (k + 1) as f64));
            if k + 1 < s.order {
                s.spare[..n].iter_mut().zip(out).for_each(|(x, z)| *x = scale * *z);
                s.values[0][(k + 1) * n..(k + 2) * n].copy_from_slice(&s.spare[..n]);
            } else {
                top.iter_mut().zip(out).for_each(|(x, z)| *x = whole * *z);
            }
        }
    }

    /// The reverse of [`solution_series`](Self::solution_series) from what it left in the memory, for the cotangents
    /// `bars` of `first` and `top`: ACCUMULATES x̄ and θ̄ and returns that of t.
    pub fn solution_series_vjp<T: Real>(
        &self,
        at: Input<'_, T>,
        [first_bar, top_bar]: [&[T]; 2],
        x_bar: &mut [T],
        theta_bar: &mut [T],
        s: &mut SeriesScratch<T>,
    ) -> T {
        let (n, order, last) = (at.x.len(), s.order, s.values.len() - 1);
        s.bars.iter_mut().for_each(|bar| bar.fill(T::zero()));
        // (K − 1)!, as N_{K−1} = K x_K and the derivative is K! x_K.
        let factorial: f64 = (1..order).map(|k| k as f64).product();
        let out = &mut s.bars[last];
        out[..n].copy_from_slice(first_bar);
        let top = out[(order - 1) * n..order * n].iter_mut().zip(top_bar);
        top.for_each(|(out, bar)| *out += T::of(factorial) * *bar);
        let mut t_bar = T::zero();
        for k in (0..order).rev() {
            t_bar += self.pull_series((at.t, at.theta), k, theta_bar, s);
            if k == 0 {
                add(&s.bars[0][..n], x_bar);
                break;
            }
            let scale = T::of(1.0 / k as f64);
            s.spare[..n].copy_from_slice(&s.bars[0][k * n..(k + 1) * n]);
            let before = s.bars[last][(k - 1) * n..k * n].iter_mut().zip(&s.spare[..n]);
            before.for_each(|(out, bar)| *out += scale * *bar);
        }
        t_bar
    }

    /// The cotangents of coefficient `k` of every value but the output, whose own are known as are all beyond `k`.
    fn pull_series<T: Real>(
        &self,
        (t, theta): (T, &[T]),
        k: usize,
        theta_bar: &mut [T],
        s: &mut SeriesScratch<T>,
    ) -> T {
        let SeriesScratch { order, lines, values, bars, slopes, weight, grad, rows, .. } = s;
        let mut t_bar = T::zero();
        for (number, (line, from)) in lines.iter().enumerate().rev() {
            let (earlier, later) = bars.split_at_mut(number + 1);
            let z_bar = &later[0];
            let block = |series: &[T]| place(series, *order, k);
            match line {
                Line::Dense(dense) => {
                    let mut room = Room { weight, grad, rows };
                    let (layer, t) = shifted(dense, t, k);
                    let x = &values[*from];
                    let here = block(x);
                    let x_bar = (&mut earlier[*from][here.clone()], true);
                    let theta = (theta, &mut *theta_bar);
                    let found = layer.reverse((t, &x[here]), theta, &z_bar[block(z_bar)], x_bar, &mut room);
                    if k == 0 {
                        t_bar += found;
                    }
                }
                Line::Activate(_, own) => {
                    let mut weights = [T::one(); MAX_ORDER];
                    weights[..k].fill(T::zero());
                    let (a, b) = (&z_bar[..], &slopes[*own][0][..]);
                    let out = &mut earlier[*from];
                    let here = block(out);
                    let weights = &weights[..*order];
                    dispatch(Cauchy { out: &mut out[here], a, b, weights, k, ascending: true });
                }
                Line::Add(other) => {
                    let here = block(z_bar);
                    add(&z_bar[here.clone()], &mut earlier[*from][here.clone()]);
                    add(&z_bar[here.clone()], &mut earlier[*other][here]);
                }
            }
        }
        t_bar
    }
}

/// What a layer is to coefficient `k` of its input, and coefficient `k` of t + s.
fn shifted<T: Real>(dense: &Dense, t: T, k: usize) -> (Dense, T) {
    match k {
        0 => (dense.clone(), t),
        _ => {
            let linear = Dense { bias: None, weight: dense.weight.clone(), ..*dense };
            (linear, if k == 1 { T::one() } else { T::zero() })
        }
    }
}

impl<T: Real> SeriesScratch<T> {
    /// Blocks for `batch` columns of a value of `inputs` rows in the first.
    fn resize(&mut self, batch: usize, inputs: usize) {
        let held = self.values[0].len() / (inputs * self.order);
        if held == batch {
            return;
        }
        let scale = |series: &mut Vec<T>| {
            let length = series.len() / held * batch;
            series.resize(length, T::zero());
        };
        self.values.iter_mut().for_each(scale);
        self.bars.iter_mut().for_each(scale);
        self.slopes.iter_mut().flatten().for_each(scale);
        scale(&mut self.spare);
    }
}
