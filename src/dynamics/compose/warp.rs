//! [`Warp`]: f on a time axis that can be moved and stretched, for derivatives with respect to the
//! times at which a piece of a solve starts and ends.

use crate::dynamics::jacobian::Jacobian;
use crate::dynamics::{Dynamics, Mass, Part, Point, SecondOrder, Tangent};
use crate::error::{Error, Result};
use crate::linalg::Pattern;
use crate::num::Real;

/// f̃(s, y; θ, a, b, δ_a, δ_b) = ρ f(s + δ(s), y; θ), the right-hand side of y in a time s whose window
/// \[a, b\] is laid on \[a + δ_a, b + δ_b\]:
///
/// δ(s) = δ_a + (δ_b − δ_a)(s − a)/(b − a),  ρ = 1 + δ′ inside the window, δ = 0 and ρ = 1 beyond b.
///
/// θ̃ is θ and the four numbers ([`WINDOW`](Self::WINDOW)). At δ_a = δ_b = 0 the solve is that of f, bit for
/// bit, and the cotangents of δ_a and δ_b are the exact derivatives of a solve with steps frozen as
/// fractions of the window: what events need, whose times depend on the state. A mass matrix stays as it
/// is (M y′ = ρ f). Derivatives with respect to a and b themselves are not given (they are 0 at δ = 0).
#[derive(Clone, Copy, Debug)]
pub struct Warp<'d, D> {
    inner: &'d D,
}

/// Where a time lies in the window.
struct Place<T> {
    /// t = s + δ(s).
    t: T,
    /// ρ = dt/ds.
    rate: T,
    /// ∂t/∂δ_a, ∂t/∂δ_b.
    shift: [T; 2],
    /// ∂ρ/∂δ_b = −∂ρ/∂δ_a.
    stretch: T,
}

/// Memory of [`Warp`].
#[derive(Debug)]
pub struct Scratch<S, T> {
    inner: S,
    /// f, or a scaled cotangent.
    value: Vec<T>,
    bar: Vec<T>,
}

/// Memory of second-order products.
#[derive(Debug)]
pub struct Memory<M, S, T> {
    inner: M,
    scratch: Scratch<S, T>,
}

impl<'d, D> Warp<'d, D> {
    /// Numbers that follow θ in θ̃: a, b, δ_a, δ_b.
    pub const WINDOW: usize = 4;

    /// f on a movable time axis.
    pub fn new(inner: &'d D) -> Self {
        Self { inner }
    }

    fn place<T: Real>(&self, s: T, theta: &[T]) -> (Place<T>, usize) {
        let n = theta.len() - Self::WINDOW;
        let [a, b, first, last] = [0, 1, 2, 3].map(|k| theta[n + k]);
        let width = b - a;
        // Stages at the end of a step that ends at b may lie a unit in the last place beyond it; just
        // after a stop at b they lie two or more.
        let beyond = (s - b) * T::one().copysign(width) > T::of(1.25) * T::EPSILON * b.abs();
        if beyond {
            let none = [T::zero(); 2];
            return (Place { t: s, rate: T::one(), shift: none, stretch: T::zero() }, n);
        }
        let x = (s - a) / width;
        let slope = (last - first) / width;
        let t = s + x.mul_add(last - first, first);
        let shift = [T::one() - x, x];
        (Place { t, rate: T::one() + slope, shift, stretch: T::one() / width }, n)
    }
}

impl<T: Real> Place<T> {
    /// ACCUMULATES the cotangents of δ_a and δ_b from those of t and ρ.
    fn pull(&self, t_bar: T, rate_bar: T, window: &mut [T]) {
        window[2] += self.shift[0] * t_bar - self.stretch * rate_bar;
        window[3] += self.shift[1] * t_bar + self.stretch * rate_bar;
    }
}

fn scale<T: Real>(x: &mut [T], by: T) {
    if by != T::one() {
        x.iter_mut().for_each(|x| *x *= by);
    }
}

fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    a.iter().zip(b).fold(T::zero(), |sum, (a, b)| a.mul_add(*b, sum))
}

impl<T: Real, D: Dynamics<T>> Dynamics<T> for Warp<'_, D> {
    type Scratch = Scratch<D::Scratch, T>;
    const TAPED: bool = D::TAPED;
    const SPLIT: bool = D::SPLIT;

    fn dim(&self) -> usize {
        self.inner.dim()
    }
    fn num_params(&self) -> usize {
        self.inner.num_params() + Self::WINDOW
    }
    fn scratch(&self, batch: usize) -> Self::Scratch {
        let zeros = vec![T::zero(); self.inner.dim() * batch];
        Scratch { inner: self.inner.scratch(batch), value: zeros.clone(), bar: zeros }
    }
    fn scratch_bytes(&self, batch: usize) -> usize {
        self.inner.scratch_bytes(batch) + 2 * self.inner.dim() * batch * size_of::<T>()
    }

    #[inline(always)]
    fn eval(&self, at: Point<'_, T>, dy: &mut [T], scratch: &mut Self::Scratch) {
        let (place, n) = self.place(at.t, at.theta);
        self.inner.eval(Point { t: place.t, theta: &at.theta[..n], ..at }, dy, &mut scratch.inner);
        scale(dy, place.rate);
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut Self::Scratch,
    ) -> T {
        let (place, n) = self.place(at.t, at.theta);
        let inner_at = Point { t: place.t, theta: &at.theta[..n], ..at };
        let Scratch { inner, value, bar } = scratch;
        let (value, bar) = (&mut value[..dy_bar.len()], &mut bar[..dy_bar.len()]);
        self.inner.eval(inner_at, value, inner);
        let rate_bar = dot(value, dy_bar);
        bar.copy_from_slice(dy_bar);
        scale(bar, place.rate);
        let (theta_bar, window) = theta_bar.split_at_mut(n);
        let t_bar = self.inner.vjp(inner_at, bar, y_bar, theta_bar, inner);
        place.pull(t_bar, rate_bar, window);
        place.rate * t_bar
    }

    fn tape_len(&self, batch: usize) -> usize {
        self.inner.tape_len(batch)
    }

    fn eval_taped(&self, at: Point<'_, T>, dy: &mut [T], tape: &mut [T], scratch: &mut Self::Scratch) {
        let (place, n) = self.place(at.t, at.theta);
        let at = Point { t: place.t, theta: &at.theta[..n], ..at };
        self.inner.eval_taped(at, dy, tape, &mut scratch.inner);
        scale(dy, place.rate);
    }

    fn vjp_taped(
        &self,
        at: Point<'_, T>,
        (dy, tape): (&[T], &[T]),
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut Self::Scratch,
    ) -> T {
        let (place, n) = self.place(at.t, at.theta);
        let inner_at = Point { t: place.t, theta: &at.theta[..n], ..at };
        let Scratch { inner, value, bar } = scratch;
        let (value, bar) = (&mut value[..dy_bar.len()], &mut bar[..dy_bar.len()]);
        value.copy_from_slice(dy);
        scale(value, T::one() / place.rate);
        let rate_bar = dot(value, dy_bar);
        bar.copy_from_slice(dy_bar);
        scale(bar, place.rate);
        let (theta_bar, window) = theta_bar.split_at_mut(n);
        let t_bar = self.inner.vjp_taped(inner_at, (value, tape), bar, y_bar, theta_bar, inner);
        place.pull(t_bar, rate_bar, window);
        place.rate * t_bar
    }

    fn jvp(&self, at: Point<'_, T>, along: Tangent<'_, T>, dy_dot: &mut [T], scratch: &mut Self::Scratch) {
        let (place, n) = self.place(at.t, at.theta);
        let inner_at = Point { t: place.t, theta: &at.theta[..n], ..at };
        let Scratch { inner, value, .. } = scratch;
        let (theta, window) = match along.theta {
            [] => (&[][..], &[][..]),
            all => all.split_at(n),
        };
        let moved = |k: usize| window.get(k).copied().unwrap_or(T::zero());
        let t = place.rate * along.t + place.shift[0] * moved(2) + place.shift[1] * moved(3);
        self.inner.jvp(inner_at, Tangent { t, theta, ..along }, dy_dot, inner);
        scale(dy_dot, place.rate);
        let rate_dot = place.stretch * (moved(3) - moved(2));
        if rate_dot != T::zero() {
            let value = &mut value[..dy_dot.len()];
            self.inner.eval(inner_at, value, inner);
            dy_dot.iter_mut().zip(&*value).for_each(|(out, f)| *out = rate_dot.mul_add(*f, *out));
        }
    }

    fn sparsity(&self) -> Option<Pattern> {
        self.inner.sparsity()
    }

    fn jacobian(&self, at: Point<'_, T>, j: &mut Jacobian<T>, scratch: &mut Self::Scratch) {
        let (place, n) = self.place(at.t, at.theta);
        if place.rate != T::one() {
            j.by_products(self, at, scratch);
            return;
        }
        self.inner.jacobian(Point { t: place.t, theta: &at.theta[..n], ..at }, j, &mut scratch.inner);
    }

    fn mass(&self) -> Option<&Mass<T>> {
        self.inner.mass()
    }

    fn eval_part(&self, part: Part, at: Point<'_, T>, dy: &mut [T], scratch: &mut Self::Scratch) {
        let (place, n) = self.place(at.t, at.theta);
        let at = Point { t: place.t, theta: &at.theta[..n], ..at };
        self.inner.eval_part(part, at, dy, &mut scratch.inner);
        scale(dy, place.rate);
    }

    fn vjp_part(
        &self,
        part: Part,
        at: Point<'_, T>,
        dy_bar: &[T],
        [y_bar, theta_bar]: [&mut [T]; 2],
        scratch: &mut Self::Scratch,
    ) -> T {
        let (place, n) = self.place(at.t, at.theta);
        let inner_at = Point { t: place.t, theta: &at.theta[..n], ..at };
        let Scratch { inner, value, bar } = scratch;
        let (value, bar) = (&mut value[..dy_bar.len()], &mut bar[..dy_bar.len()]);
        self.inner.eval_part(part, inner_at, value, inner);
        let rate_bar = dot(value, dy_bar);
        bar.copy_from_slice(dy_bar);
        scale(bar, place.rate);
        let (theta_bar, window) = theta_bar.split_at_mut(n);
        let t_bar = self.inner.vjp_part(part, inner_at, bar, [y_bar, theta_bar], inner);
        place.pull(t_bar, rate_bar, window);
        place.rate * t_bar
    }

    fn jvp_implicit(
        &self,
        at: Point<'_, T>,
        along: Tangent<'_, T>,
        dy_dot: &mut [T],
        scratch: &mut Self::Scratch,
    ) {
        let (place, n) = self.place(at.t, at.theta);
        let inner_at = Point { t: place.t, theta: &at.theta[..n], ..at };
        let along = Tangent { t: place.rate * along.t, y: along.y, theta: &[] };
        self.inner.jvp_implicit(inner_at, along, dy_dot, &mut scratch.inner);
        scale(dy_dot, place.rate);
    }

    fn validate(&self) -> Result<()> {
        self.inner.validate()
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        let (place, n) = self.place(at.t, at.theta);
        self.inner.locate_non_finite(Point { t: place.t, theta: &at.theta[..n], ..at })
    }
}

/// φ̃ = ρ barᵀ (f_t ρ ṫ + f_y ẏ + f_θ θ̇), whose ∂/∂ρ is barᵀ (2ρ f_t ṫ + f_y ẏ + f_θ θ̇). Directions that move the window are
/// refused.
impl<T: Real, D: SecondOrder<T>> SecondOrder<T> for Warp<'_, D> {
    type Memory = Memory<D::Memory, D::Scratch, T>;

    fn memory(&self, batch: usize) -> Self::Memory {
        Memory { inner: self.inner.memory(batch), scratch: self.scratch(batch) }
    }

    fn check_direction(&self, theta_dot: &[T]) -> Result<()> {
        let n = self.inner.num_params().min(theta_dot.len());
        let (inner, window) = theta_dot.split_at(n);
        if let Some(moved) = window.iter().find(|d| **d != T::zero()) {
            let needed = "second-order products of a warped right-hand side are along its inner parameters: 0 is needed \
                          for the window's";
            return Err(Error::invalid("a direction of theta that moves the window", *moved, needed));
        }
        self.inner.check_direction(inner)
    }

    fn tangent_vjp(
        &self,
        at: Point<'_, T>,
        dot: Tangent<'_, T>,
        bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        memory: &mut Self::Memory,
    ) -> T {
        let (place, n) = self.place(at.t, at.theta);
        let inner_at = Point { t: place.t, theta: &at.theta[..n], ..at };
        let Memory { inner, scratch: Scratch { inner: scratch, value, bar: scaled } } = memory;
        let (value, scaled) = (&mut value[..bar.len()], &mut scaled[..bar.len()]);
        let theta = &dot.theta[..n.min(dot.theta.len())];
        let along = Tangent { t: T::of(2.0) * place.rate * dot.t, theta, ..dot };
        self.inner.jvp(inner_at, along, value, scratch);
        let rate_bar = self::dot(value, bar);
        scaled.copy_from_slice(bar);
        scale(scaled, place.rate);
        let (theta_bar, window) = theta_bar.split_at_mut(n);
        let dot = Tangent { t: place.rate * dot.t, theta, ..dot };
        let t_bar = self.inner.tangent_vjp(inner_at, dot, scaled, y_bar, theta_bar, inner);
        place.pull(t_bar, rate_bar, window);
        place.rate * t_bar
    }
}
