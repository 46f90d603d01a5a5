//! [`GuardedCg`]: flexible CG with a proposer of directions that need not be trusted.

use super::{LinearOperator, Preconditioner};
use super::{Monitor, Outcome, Report, Settings, check_new, check_square, require_spd, true_residual};
use crate::error::{Error, Result};
use crate::linalg::vector::{axpby, dot, dot2, dots, norm_squared, norm2, step};
use crate::num::{Real, accumulate};

/// A direction counts as one of descent when its angle with r has at least this cosine.
const DESCENT: f64 = 1e-10;
/// Two directions count as one when the sine of their A-angle is below this.
const PARALLEL: f64 = 1e-7;
/// The residual must fall to this part of itself within the patience.
const PROGRESS: f64 = 0.5;

/// What became of a proposer's directions in one solve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guidance {
    /// Directions that were asked for.
    pub proposed: usize,
    /// Refused: NaN, infinite or zero.
    pub not_finite: usize,
    /// Refused: pᵀAp ≤ 0.
    pub curvature: usize,
    /// Refused: orthogonal to the residual.
    pub descent: usize,
    /// The iteration from which on the proposer was not asked any more, because the residual no
    /// longer halved within the patience.
    pub abandoned: Option<usize>,
}

impl Guidance {
    /// Directions that were refused.
    pub fn refused(&self) -> usize {
        self.not_finite + self.curvature + self.descent
    }

    /// One sentence on what was wrong with the proposer; none when nothing was.
    pub fn warning(&self) -> Option<String> {
        let abandoned = self.abandoned.map(|k| {
            format!("the proposer was abandoned after {k} iterations, since the residual no longer halved")
        });
        let refused = (self.refused() > 0).then(|| {
            format!(
                "{} of {} proposed directions were refused ({} not finite, {} without positive curvature, \
                 {} no descent)",
                self.refused(),
                self.proposed,
                self.not_finite,
                self.curvature,
                self.descent
            )
        });
        let parts: Vec<String> = refused.into_iter().chain(abandoned).collect();
        let advice = "the classical preconditioner took over; train the network on such systems";
        (!parts.is_empty()).then(|| format!("{}; {advice}", parts.join("; ")))
    }
}

/// Conjugate gradients for A symmetric positive definite whose directions a proposer makes (a network),
/// with a classical preconditioner behind it.
///
/// Each iteration A-orthogonalises the proposal against the last k directions and takes the exact line
/// search along it (Kaneda et al., ICML 2023, Algorithm 1, with k = 2; Notay, SIAM J. Sci. Comput. 22,
/// 2000), so that no step raises the A-norm of the error, whatever was proposed. Beyond that:
///
/// - a proposal that is not finite, without positive curvature or no descent is refused, and the
///   classical direction taken instead;
/// - with [`both`](Self::both) every step minimises the error over the span of the two directions, by
///   the 2 × 2 system of their A-products: never worse in the A-norm than either, for one more
///   application of A;
/// - when the residual has not halved within [`patience`](Self::patience) iterations, the proposer is
///   abandoned and the iteration restarts as classical PCG, so that a solve converges with any network.
///
/// What happened is in the [`Guidance`]. Stops on true residuals as every method here.
#[derive(Clone, Debug)]
pub struct GuardedCg<T> {
    n: usize,
    settings: Settings,
    window: usize,
    both: bool,
    patience: usize,
    r: Vec<T>,
    /// Proposal and its product, classical direction and its product.
    z: [Vec<T>; 2],
    c: [Vec<T>; 2],
    /// The last directions and their products, a ring.
    p: Vec<T>,
    q: Vec<T>,
    curvatures: Vec<f64>,
    coefficients: Vec<f64>,
    slot: usize,
    filled: usize,
}

/// Curvature dᵀAd and descent dᵀr of a direction.
#[derive(Clone, Copy)]
struct Quality {
    curvature: f64,
    descent: f64,
}

impl Quality {
    /// By how much its line search lowers half the square of the A-norm, twice.
    fn gain(self) -> f64 {
        self.descent * self.descent / self.curvature
    }
}

impl<T: Real> GuardedCg<T> {
    /// For `n` unknowns, orthogonal to the last `window` directions (2 as published; 0 is steepest
    /// descent along the proposals).
    ///
    /// # Errors
    /// n = 0, unusable settings.
    pub fn new(n: usize, settings: Settings, window: usize) -> Result<Self> {
        check_new(n, &settings)?;
        let slots = window.max(1);
        let zeros = |length| vec![T::zero(); length];
        Ok(Self {
            n,
            settings,
            window,
            both: false,
            patience: 20,
            r: zeros(n),
            z: [zeros(n), zeros(n)],
            c: [zeros(n), zeros(n)],
            p: zeros(n * slots),
            q: zeros(n * slots),
            curvatures: vec![0.0; slots],
            coefficients: vec![0.0; slots],
            slot: 0,
            filled: 0,
        })
    }

    /// With the two-direction line search in every step.
    pub fn both(self) -> Self {
        Self { both: true, ..self }
    }

    /// With another number of iterations within which the residual must halve (20).
    ///
    /// # Errors
    /// 0.
    pub fn patience(self, iterations: usize) -> Result<Self> {
        if iterations == 0 {
            return Err(Error::invalid("the patience", 0, "it must be at least 1 iteration"));
        }
        Ok(Self { patience: iterations, ..self })
    }

    /// Solves A x = `b` from the guess in `x` with the directions of `proposer`, `classical` behind it.
    ///
    /// # Errors
    /// Lengths that do not fit, entries that are not finite, a classical preconditioner that does not
    /// claim to be SPD.
    pub fn solve<A, P, M>(
        &mut self,
        a: &A,
        (proposer, classical): (&mut P, &mut M),
        b: &[T],
        x: &mut [T],
    ) -> Result<(Report, Guidance)>
    where
        A: LinearOperator<T> + ?Sized,
        P: Preconditioner<T> + ?Sized,
        M: Preconditioner<T> + ?Sized,
    {
        check_square(self.n, a, proposer)?;
        check_square(self.n, a, classical)?;
        require_spd("the safeguard", classical, "the proposer may be anything")?;
        let mut guidance = Guidance::default();
        let mut monitor = Monitor::begin(&self.settings, self.n, b, x)?;
        if monitor.is_finished() {
            return Ok((monitor.finish(), guidance));
        }
        let mut norm = true_residual(a, [b, x], &mut self.r, &mut monitor);
        let mut ended = monitor.verify(norm);
        let (mut milestone, mut since) = (norm, 0);
        self.filled = 0;
        while !ended {
            let next = self.iterate(a, (proposer, classical), x, &mut guidance, &mut monitor);
            match next {
                Ok(square) => {
                    norm = square.sqrt();
                    since += 1;
                    if guidance.abandoned.is_none() && since >= self.patience {
                        if norm > PROGRESS * milestone {
                            guidance.abandoned = Some(monitor.iterations() + 1);
                            self.filled = 0;
                        }
                        (milestone, since) = (norm, 0);
                    }
                    if !monitor.observe(norm) {
                        continue;
                    }
                }
                Err(outcome) => monitor.stop(outcome),
            }
            norm = true_residual(a, [b, x], &mut self.r, &mut monitor);
            ended = monitor.verify(norm);
        }
        Ok((monitor.finish(), guidance))
    }

    /// One iteration; the new ‖r‖².
    fn iterate<A, P, M>(
        &mut self,
        a: &A,
        (proposer, classical): (&mut P, &mut M),
        x: &mut [T],
        guidance: &mut Guidance,
        monitor: &mut Monitor,
    ) -> Result<f64, Outcome>
    where
        A: LinearOperator<T> + ?Sized,
        P: Preconditioner<T> + ?Sized,
        M: Preconditioner<T> + ?Sized,
    {
        let mut network = None;
        if guidance.abandoned.is_none() {
            guidance.proposed += 1;
            proposer.apply(&self.r, &mut self.z[0]);
            monitor.preconditioned(1);
            let window = self.window;
            network = self.examine(a, window, false, monitor, guidance);
        }
        let mut other = None;
        if network.is_none() || self.both {
            classical.apply(&self.r, &mut self.c[0]);
            monitor.preconditioned(1);
            // Without a proposer this is PCG, which needs one direction.
            let window = if guidance.abandoned.is_some() { self.window.max(1) } else { self.window };
            let mut classical = Guidance::default();
            other = self.examine(a, window, true, monitor, &mut classical);
            if other.is_none() && network.is_none() {
                return Err(self.why(classical));
            }
        }
        let (weights, curvature, alpha) = self.line_search(network, other);
        self.push(weights, curvature);
        let range = self.slot * self.n..(self.slot + 1) * self.n;
        let (p, q) = (&self.p[range.clone()], &self.q[range]);
        Ok(step(alpha, p, q, x, &mut self.r))
    }

    /// A-orthogonalises a direction against the window, applies A to it and judges it.
    fn examine<A>(
        &mut self,
        a: &A,
        window: usize,
        classical: bool,
        monitor: &mut Monitor,
        guidance: &mut Guidance,
    ) -> Option<Quality>
    where
        A: LinearOperator<T> + ?Sized,
    {
        let filled = self.filled.min(window);
        let [d, ad] = if classical { &mut self.c } else { &mut self.z };
        let size = norm2(d);
        if !size.is_finite() || size == 0.0 {
            guidance.not_finite += 1;
            return None;
        }
        if filled > 0 {
            let coefficients = &mut self.coefficients[..filled];
            dots(&self.q[..filled * self.n], d, coefficients);
            for (c, curvature) in coefficients.iter_mut().zip(&self.curvatures) {
                *c /= -curvature;
            }
            accumulate(d, T::one(), coefficients, &self.p[..filled * self.n]);
        }
        a.apply(d, ad);
        monitor.applied(1);
        let [curvature, descent] = dot2(d, ad, &self.r);
        let sizes = (norm_squared(d) * norm_squared(&self.r)).sqrt();
        if !(curvature.is_finite() && descent.is_finite()) {
            guidance.not_finite += 1;
        } else if curvature <= 0.0 {
            guidance.curvature += 1;
        } else if descent.abs() <= DESCENT * sizes {
            guidance.descent += 1;
        } else {
            return Some(Quality { curvature, descent });
        }
        None
    }

    /// Why the classical direction is no way on either.
    fn why(&self, classical: Guidance) -> Outcome {
        let [d, ad] = &self.c;
        match classical {
            Guidance { curvature: 1, .. } => {
                let square = norm_squared(d);
                match square > 0.0 {
                    true => Outcome::Indefinite { curvature: dot(d, ad) / square },
                    false => Outcome::Breakdown,
                }
            }
            Guidance { not_finite: 1, .. } => Outcome::NonFinite,
            _ => Outcome::Breakdown,
        }
    }

    /// The best step over the span of the directions there are: what of each makes up the new direction,
    /// its curvature, and how far to go along it.
    fn line_search(&self, network: Option<Quality>, classical: Option<Quality>) -> ([f64; 2], f64, f64) {
        let alone = |weights, q: Quality| (weights, q.curvature, q.descent / q.curvature);
        let (n, c) = match (network, classical) {
            (Some(n), Some(c)) => (n, c),
            (Some(n), None) => return alone([1.0, 0.0], n),
            (None, Some(c)) => return alone([0.0, 1.0], c),
            // `iterate` has ended the solve.
            (None, None) => return ([0.0, 0.0], 1.0, 0.0),
        };
        let mixed = dot(&self.z[0], &self.c[1]);
        let det = n.curvature * c.curvature - mixed * mixed;
        if det.is_nan() || det <= PARALLEL * PARALLEL * n.curvature * c.curvature {
            return if n.gain() >= c.gain() { alone([1.0, 0.0], n) } else { alone([0.0, 1.0], c) };
        }
        let weights = [
            (n.descent * c.curvature - c.descent * mixed) / det,
            (c.descent * n.curvature - n.descent * mixed) / det,
        ];
        // pᵀAp = pᵀr at the minimum.
        let curvature = weights[0] * n.descent + weights[1] * c.descent;
        (weights, curvature, 1.0)
    }

    /// The direction of these weights into the oldest slot.
    fn push(&mut self, weights: [f64; 2], curvature: f64) {
        let (n, slots) = (self.n, self.curvatures.len());
        self.slot = if self.filled < slots { self.filled } else { (self.slot + 1) % slots };
        self.filled = slots.min(self.filled + 1);
        let range = self.slot * n..(self.slot + 1) * n;
        let [u, v] = weights;
        for (to, i) in [(&mut self.p[range.clone()], 0), (&mut self.q[range], 1)] {
            match weights {
                [1.0, 0.0] => to.copy_from_slice(&self.z[i]),
                [0.0, 1.0] => to.copy_from_slice(&self.c[i]),
                _ => {
                    to.copy_from_slice(&self.c[i]);
                    axpby(u, &self.z[i], v, to);
                }
            }
        }
        self.curvatures[self.slot] = curvature;
    }
}
