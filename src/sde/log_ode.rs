//! The log-ODE method for noise that does not commute, with the expected Lévy area.
//!
//! Over a step the Stratonovich equation is driven along the ordinary one of its log-signature, here to level two in
//! the motions,
//!
//! dz/du = F(z) = f h + G ΔW + Σ_{i<j} A_ij [g_i, g_j],   u ∈ [0, 1],   [g_i, g_j] = (∂g_j/∂y) g_i − (∂g_i/∂y) g_j
//!
//! (Castell & Gaines, Ann. Inst. H. Poincaré 32, 1996; Lyons, Caruana & Lévy 2007, section 5), where the Lévy area
//! A_ij = ½∫(W_i dW_j − W_j dW_i) is replaced by its mean for the ΔW and the space–time area H that the source knows,
//!
//! E[A_ij | ΔW, H] = H_i ΔW_j − ΔW_i H_j
//!
//! (Foster, Lyons & Oberhauser, SIAM J. Numer. Anal. 58, 2020: the area that the parabola which fits ΔW and H
//! sweeps). The equation is integrated by one midpoint step, whose midpoint leaves out the brackets:
//!
//! y_½ = y + ½(h f(t, y) + G(t, y)ΔW),
//! y₁ = y + h f(t + h/2, y_½) + G ΔW + Σ_j (∂g_j/∂y) u_j,   u_j = (G H) ΔW_j − (G ΔW) H_j,   G at (t + h/2, y_½),
//!
//! one product with Jacobians as in Milstein's method. Where columns commute the brackets cancel and this is
//! [`Midpoint`](super::tableaux::Midpoint), of strong order 1; else the order stays ½, as for every method that knows no
//! more than (ΔW, H) of a step, with an error whose mean square is a third of the midpoint's where areas make it up
//! (the variance of A falls from h²/4 to h²/12). As the area is a function of the path alone, the steps may
//! depend on it (Foster & Jelinčič, arXiv 2311.14201: methods that need no more than E[A | ΔW, H] converge on adaptive steps).
//!
//! The error estimate is the difference to Euler's step, ½h(f(t + h, y₁) − f(t, y)) + c with
//! c = (G(t + h/2, y_½) − G(t, y))ΔW + Σ_j (∂g_j/∂y) u_j ([`companion`](super::companion)).

use super::bound::{Bound, reverse_methods, stepper_methods};
use super::companion::EulerDifference;
use super::diffusion::{Diffusion, NoiseClass, Shape};
use super::noise::Brownian;
use super::second_order::{SecondDerivatives, SecondOrderDiffusion, second_derivatives};
use super::solve::SdeMethod;
use super::srk::{Layout, accepts, product, product_pullback};
use super::system::{Calculus, System};
use crate::dynamics::Point;
use crate::error::{Error, Result};
use crate::integrate::{Backward, Reverse, StepInfo, Stepper, end_time};
use crate::num::{ErrorNorm, Real, accumulate, combine};

/// The log-ODE method by one midpoint step, for Stratonovich equations with any noise. General noise needs a
/// source that knows the space–time Lévy area; strong order 1 where the noise commutes, ½ elsewhere with a third of the
/// midpoint's mean square error from Lévy areas; weak order 1. Its gradients take second derivatives
/// of G ([`SecondOrderDiffusion`]).
///
/// ```
/// use odeon::dynamics::{gallery::CubicSpiral, generic::Generic};
/// use odeon::integrate::{Options, Problem};
/// use odeon::sde::noise::{IntervalTree, Levy};
/// use odeon::sde::{Constant, LogOde, Sde, solve};
///
/// let sde = Sde::stratonovich(Generic(CubicSpiral), Constant::diagonal(2));
/// let theta = [&CubicSpiral::THETA[..], &[0.1, 0.1]].concat();
/// let noise = IntervalTree::new(7, [0.0, 1.0], 2, 1)?.levy(Levy::SpaceTime);
/// let problem = Problem { y0: &[2.0, 0.0], span: [0.0, 1.0], theta: &theta };
/// let solution = solve(&sde, &LogOde, noise, &problem, &Options::tol(1e-2, 1e-2))?;
/// assert_eq!(solution.last().len(), 2);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogOde;

impl<T: Real, S: System<T>> SdeMethod<T, S> for LogOde {
    type Stepper<'a>
        = LogOdeStepper<'a, T, S>
    where
        S: 'a;

    fn stepper<'a>(&self, system: &'a S, noise: impl Brownian<T> + 'a) -> Result<LogOdeStepper<'a, T, S>> {
        LogOdeStepper::new(system, noise)
    }
}

/// Steps of [`LogOde`].
pub struct LogOdeStepper<'a, T: Real, S: System<T>> {
    bound: Bound<'a, T, S>,
    estimates: EulerDifference,
    /// y_½, and where the values there were taken.
    middle: Vec<T>,
    /// f, G at the midpoint.
    f: Vec<T>,
    g: Vec<T>,
    /// u, laid out as G; empty where the columns commute.
    u: Vec<T>,
    /// Σ_j (∂g_j/∂y) u_j, then the error estimate.
    sum: Vec<T>,
    /// G H and G ΔW of all paths, or their cotangents.
    products: [Vec<T>; 2],
    end: Vec<T>,
    work: Vec<T>,
    /// Cotangents of G at the start, G at the midpoint, u.
    bars: [Vec<T>; 3],
    /// Cotangents of f, y_½, the noise's part.
    states: [Vec<T>; 3],
    /// Made for the reverse, which alone needs second derivatives.
    second: Option<Box<dyn SecondDerivatives<T> + 'a>>,
}

impl<'a, T: Real, S: System<T>> LogOdeStepper<'a, T, S> {
    /// A stepper for `system` driven by `noise`.
    ///
    /// # Errors
    /// An Itô equation (unless its noise is additive), a source that does not fit, general noise from a source
    /// without areas, or general noise stored as a diagonal ([`Crossed`](super::Crossed)).
    pub fn new(system: &'a S, noise: impl Brownian<T> + 'a) -> Result<Self> {
        let class = system.diffusion().class();
        accepts(("LogOde", Some(Calculus::Stratonovich)), &NoiseClass::ALL, class, system.calculus())?;
        let mut bound = Bound::new(system, noise)?;
        let brackets = !class.commutes();
        if brackets {
            bound.take_area("LogOde on general noise")?;
            if bound.layout.shape == Shape::Diagonal {
                let needed = "LogOde differentiates columns along each other: give them one by one (General)";
                return Err(Error::invalid(
                    "the noise",
                    "a diagonal whose rows depend on each other",
                    needed,
                ));
            }
        }
        let (n, entries) = (bound.layout.len(), bound.layout.entries());
        let zeros = |n| vec![T::zero(); n];
        let only = |n| zeros(if brackets { n } else { 0 });
        Ok(Self {
            estimates: EulerDifference { correction: bound.blocks() - 1, steers: true, weights: &[0.5, 0.5] },
            middle: zeros(n),
            f: zeros(n),
            g: zeros(entries),
            u: only(entries),
            sum: zeros(n),
            products: [only(n), only(n)],
            end: zeros(n),
            work: only(n + entries),
            bars: [const { Vec::new() }; 3],
            states: [const { Vec::new() }; 3],
            second: None,
            bound,
        })
    }

    /// y_½, with f and G there.
    #[inline(always)]
    fn midpoint(&mut self, (t, h): (T, T), y: &[T]) -> T {
        let half = T::of(0.5);
        let Self { bound, middle, g, .. } = self;
        combine(middle, y, half * h, &[1.0], bound.drift(0));
        bound.add_noise(half, middle);
        let t = half.mul_add(h, t);
        bound.eval_diffusion(t, middle, g);
        t
    }

    /// u_j = (G H) ΔW_j − (G ΔW) H_j.
    #[inline(always)]
    fn brackets(&mut self) {
        let Self { bound, g, u, products: [along_h, along_w], .. } = self;
        let (layout, w, area) = (bound.layout, &bound.w[..], &bound.area[..]);
        for (out, xi) in [(&mut *along_h, area), (&mut *along_w, w)] {
            out.fill(T::zero());
            product(out, g, T::one(), xi, &layout);
        }
        for (j, (u, [v_h, v_w])) in columns(u, along_h, along_w, &layout).enumerate() {
            for ((u, h), w) in u.iter_mut().zip(v_h).zip(v_w) {
                *u = h.mul_add(bound.w[j], -(*w * bound.area[j]));
            }
        }
    }

    /// ACCUMULATES the reverse of [`brackets`](Self::brackets): ū in `bars[2]` into Ḡ in `bars[1]`.
    fn brackets_pullback(&mut self) {
        let Self { bound, bars: [_, g_bar, u_bar], products: [h_bar, w_bar], .. } = self;
        let layout = bound.layout;
        // G H has the cotangent Σ_j ū_j ΔW_j, and G ΔW −Σ_j ū_j H_j.
        for (out, xi, sign) in [(&mut *h_bar, &bound.w, T::one()), (&mut *w_bar, &bound.area, -T::one())] {
            out.fill(T::zero());
            product(out, u_bar, sign, xi, &layout);
        }
        product_pullback(h_bar, g_bar, T::one(), &bound.area, &layout);
        product_pullback(w_bar, g_bar, T::one(), &bound.w, &layout);
    }
}

/// The columns of `u`, over paths and then motions, with the path's parts of two states.
#[inline(always)]
fn columns<'u, T>(
    u: &'u mut [T],
    a: &'u [T],
    b: &'u [T],
    layout: &Layout,
) -> impl Iterator<Item = (&'u mut [T], [&'u [T]; 2])> {
    let (d, m) = (layout.dim, layout.components);
    u.chunks_exact_mut(d).enumerate().map(move |(j, u)| {
        let path = j / m * d..(j / m + 1) * d;
        (u, [&a[path.clone()], &b[path]])
    })
}

impl<T: Real, S: System<T>> Stepper<T> for LogOdeStepper<'_, T, S> {
    stepper_methods!();

    fn set_theta(&mut self, theta: &[T]) {
        self.bound.theta.copy_from_slice(theta);
    }

    fn bytes(&self) -> usize {
        let own = [&self.middle, &self.f, &self.g, &self.u, &self.sum, &self.end, &self.work];
        let own = own.into_iter().chain(&self.products).chain(&self.bars).chain(&self.states);
        self.bound.bytes(own.map(|v| v.len()).sum())
    }

    fn begin(&mut self, t: T, y: &[T]) {
        self.bound.begin(t, y);
    }

    #[inline(always)]
    fn attempt(&mut self, at: (T, T), to_stop: bool, y: &[T], y1: &mut [T], norm: &ErrorNorm<T>) -> T {
        self.bound.to_stop = to_stop;
        if !self.bound.draw(at) {
            return T::NAN;
        }
        let t = self.midpoint(at, y);
        self.sum.fill(T::zero());
        if !self.u.is_empty() {
            self.brackets();
            let Self { bound, middle, u, sum, work, .. } = self;
            let theta = &bound.theta[bound.system.diffusion_params()];
            let point = Point { t, y: middle, theta };
            bound.system.diffusion().contraction(point, u, sum, work, &mut bound.scratch.1);
        }
        let Self { bound, middle, f, g, sum, end, .. } = self;
        bound.evaluate(t, middle, f);
        product(sum, g, T::one(), &bound.w, &bound.layout);
        combine(y1, y, at.1, &[1.0], f);
        accumulate(y1, T::one(), &[1.0], sum);
        bound.add_noise(-T::one(), sum);
        bound.end_drift(at, y1);
        end.copy_from_slice(y1);
        bound.estimate(at.1, [y, y1], norm, sum)
    }

    fn accept(&mut self, t1: T, y1: &[T]) {
        self.bound.pass_drift();
        self.bound.start_diffusion(t1, y1);
    }

    fn locate_non_finite(&self, (t, h): (T, T), y: &[T]) -> Option<String> {
        let middle = (T::of(0.5).mul_add(h, t), &self.middle[..]);
        let end = (end_time(t, h, self.bound.to_stop), &self.end[..]);
        [middle, end].into_iter().find_map(|other| self.bound.locate_non_finite(y, other))
    }
}

impl<T: Real, S: System<T>> Reverse<T> for LogOdeStepper<'_, T, S>
where
    S::Diffusion: SecondOrderDiffusion<T>,
{
    reverse_methods!();

    fn keep_tape(&mut self) -> usize {
        let (n, entries) = (self.middle.len(), self.g.len());
        let sizes = [entries, entries, self.u.len()];
        self.bars.iter_mut().zip(sizes).for_each(|(bar, n)| bar.resize(n, T::zero()));
        self.states.iter_mut().for_each(|bar| bar.resize(n, T::zero()));
        self.bound.measure_scratch();
        self.second = Some(second_derivatives(self.bound.system.diffusion(), self.bound.layout.batch));
        0
    }

    fn pullback(
        &mut self,
        step: &StepInfo<T>,
        [y0, y1]: [&[T]; 2],
        _: bool,
        back: &mut Backward<T>,
        theta_bar: &mut [T],
    ) {
        let (h, half) = (step.h, T::of(0.5));
        let t = self.midpoint((step.t, h), y0);
        if !self.u.is_empty() {
            self.brackets();
        }
        let Self { bound, middle, u, bars, states, second, .. } = self;
        let ([start_bar, g_bar, u_bar], [f_bar, middle_bar, noise_bar]) = (&mut *bars, states);
        bound.end_drift_pullback(step, y1, back, theta_bar, f_bar);
        // c takes the noise's part less G(t, y)ΔW, y₁ takes it whole.
        bound.correction_seed(back, noise_bar);
        bound.diffusion_seed(back, start_bar);
        bound.add_noise_pullback(-T::one(), noise_bar, start_bar);
        accumulate(noise_bar, T::one(), &[1.0], &back.y);
        g_bar.fill(T::zero());
        bound.add_noise_pullback(T::one(), noise_bar, g_bar);
        middle_bar.fill(T::zero());
        if let (Some(second), false) = (second, u.is_empty()) {
            u_bar.fill(T::zero());
            let range = bound.system.diffusion_params();
            let at = Point { t, y: middle, theta: &bound.theta[range.clone()] };
            second.contraction_vjp(at, [u, noise_bar], [u_bar, middle_bar, &mut theta_bar[range]]);
            self.brackets_pullback();
        }
        let Self { bound, middle, bars: [start_bar, g_bar, _], states: [f_bar, middle_bar, _], .. } = self;
        bound.diffusion_pullback(t, middle, g_bar, [&mut *middle_bar, &mut *theta_bar]);
        f_bar.iter_mut().zip(&back.y).for_each(|(f_bar, y_bar)| *f_bar = h * *y_bar);
        bound.drift_pullback(t, middle, f_bar, [&mut *middle_bar, &mut *theta_bar]);
        // y_½ = y + ½(h f + GΔW).
        bound.add_noise_pullback(half, middle_bar, start_bar);
        bound.drift_seed(0, T::zero(), back, f_bar);
        accumulate(f_bar, half * h, &[1.0], middle_bar);
        let mut y_bar = std::mem::take(&mut back.y0);
        accumulate(&mut y_bar, T::one(), &[1.0], middle_bar);
        bound.diffusion_pullback(step.start(), y0, start_bar, [&mut y_bar, &mut *theta_bar]);
        bound.drift_pullback(step.start(), y0, f_bar, [&mut y_bar, theta_bar]);
        accumulate(&mut back.y, T::one(), &[1.0], &y_bar);
        back.y0 = y_bar;
    }
}
