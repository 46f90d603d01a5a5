//! [`Cg`]: conjugate gradients, plain, preconditioned and flexible, in one code.

use super::{LinearOperator, Preconditioner};
use super::{Monitor, Outcome, Report, Settings, check_new, check_square, require_spd, true_residual};
use crate::error::Result;
use crate::linalg::vector::{dot, dot2, dots, norm_squared, step, xpby};
use crate::num::{Real, accumulate};

/// How [`Cg`] makes the next search direction from z = M⁻¹ r.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directions {
    /// p ← z + p (rᵀz)/(rᵀz)₋₁ (Fletcher and Reeves): conjugate to all earlier directions when A and
    /// M are symmetric positive definite. The least work; M must claim to be SPD.
    FletcherReeves,
    /// p ← z − Σ p_j (zᵀA p_j)/(p_jᵀA p_j) over the last k directions (Notay, SIAM J. Sci. Comput.
    /// 22, 2000, Algorithm 2.1 with constant truncation), and the step length pᵀr/pᵀAp, so that no
    /// step raises the A-norm of the error, whatever proposed z. k = 1 is the Polak–Ribière form, k = 2
    /// with a network behind [`Normalised`](super::Normalised) the deep conjugate direction method
    /// (Kaneda et al., ICML 2023), k = 0 preconditioned steepest descent.
    Window(usize),
}

/// Conjugate gradients for A symmetric positive definite (Hestenes and Stiefel 1952; Saad, Iterative
/// Methods, Algorithm 9.1).
///
/// pᵀAp ≤ 0 ends a solve with [`Outcome::Indefinite`], rᵀM⁻¹r ≤ 0 with
/// [`Outcome::IndefinitePreconditioner`]; x is then the last iterate.
///
/// ```
/// use odeon::linalg::krylov::Cg;
/// use odeon::linalg::{Csr, Identity, Settings};
///
/// let a = Csr::from_triplets([2, 2], &[(0, 0, 4.0), (0, 1, 1.0), (1, 0, 1.0), (1, 1, 3.0)])?;
/// let mut x = [0.0; 2];
/// let report = Cg::new(2, Settings::tol(1e-12))?.solve(&a, &mut Identity(2), &[1.0, 2.0], &mut x)?;
/// assert!(report.converged() && report.iterations == 2);
/// assert!((x[0] - 1.0 / 11.0f64).abs() < 1e-12 && (x[1] - 7.0 / 11.0).abs() < 1e-12);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cg<T> {
    n: usize,
    settings: Settings,
    directions: Directions,
    r: Vec<T>,
    z: Vec<T>,
    /// The last directions p_j and A p_j, a ring; Fletcher–Reeves has one slot.
    p: Vec<T>,
    q: Vec<T>,
    /// p_jᵀA p_j, and room for the window's coefficients.
    curvatures: Vec<f64>,
    coefficients: Vec<f64>,
    /// Slot of the present direction, and how many slots hold one.
    slot: usize,
    filled: usize,
    /// rᵀz of the last iteration.
    rho: f64,
}

impl<T: Real> Cg<T> {
    /// Plain and preconditioned CG for `n` unknowns ([`Directions::FletcherReeves`]).
    ///
    /// # Errors
    /// n = 0, unusable settings.
    pub fn new(n: usize, settings: Settings) -> Result<Self> {
        Self::with_directions(n, settings, Directions::FletcherReeves)
    }

    /// Flexible CG: any preconditioner or proposer, A-orthogonalised against the last `window`
    /// directions.
    ///
    /// # Errors
    /// n = 0, unusable settings.
    pub fn flexible(n: usize, settings: Settings, window: usize) -> Result<Self> {
        Self::with_directions(n, settings, Directions::Window(window))
    }

    /// CG with this choice of directions.
    ///
    /// # Errors
    /// n = 0, unusable settings.
    pub fn with_directions(n: usize, settings: Settings, directions: Directions) -> Result<Self> {
        check_new(n, &settings)?;
        let slots = match directions {
            Directions::FletcherReeves => 1,
            Directions::Window(k) => k.max(1),
        };
        let zeros = |length| vec![T::zero(); length];
        Ok(Self {
            n,
            settings,
            directions,
            r: zeros(n),
            z: zeros(n),
            p: zeros(n * slots),
            q: zeros(n * slots),
            curvatures: vec![0.0; slots],
            coefficients: vec![0.0; slots],
            slot: 0,
            filled: 0,
            rho: 0.0,
        })
    }

    /// Other settings for the next solve; those in force must have been checked.
    pub(crate) fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Solves A x = `b` from the guess in `x`.
    ///
    /// # Errors
    /// Lengths that do not fit, entries that are not finite; with Fletcher–Reeves directions a
    /// preconditioner that does not claim to be SPD.
    pub fn solve<A, M>(&mut self, a: &A, m: &mut M, b: &[T], x: &mut [T]) -> Result<Report>
    where
        A: LinearOperator<T> + ?Sized,
        M: Preconditioner<T> + ?Sized,
    {
        check_square(self.n, a, m)?;
        if self.directions == Directions::FletcherReeves {
            require_spd("CG", m, "flexible CG (Cg::flexible) takes any")?;
        }
        let mut monitor = Monitor::begin(&self.settings, self.n, b, x)?;
        if monitor.is_finished() {
            return Ok(monitor.finish());
        }
        let mut norm = true_residual(a, [b, x], &mut self.r, &mut monitor);
        let mut ended = monitor.verify(norm);
        let mut square = norm * norm;
        self.filled = 0;
        while !ended {
            let next = self.direct(m, square, &mut monitor);
            match next.and_then(|()| self.advance(a, x, &mut monitor)) {
                Ok(next) => {
                    square = next;
                    if !monitor.observe(square.sqrt()) {
                        continue;
                    }
                }
                Err(outcome) => monitor.stop(outcome),
            }
            norm = true_residual(a, [b, x], &mut self.r, &mut monitor);
            square = norm * norm;
            ended = monitor.verify(norm);
        }
        Ok(monitor.finish())
    }

    /// The next search direction, into its slot; `square` is ‖r‖².
    fn direct<M>(&mut self, m: &mut M, square: f64, monitor: &mut Monitor) -> Result<(), Outcome>
    where
        M: Preconditioner<T> + ?Sized,
    {
        let plain = m.is_identity();
        if !plain {
            m.apply(&self.r, &mut self.z);
            monitor.preconditioned(1);
        }
        let z = if plain { &self.r } else { &self.z };
        let beta = match self.directions {
            Directions::FletcherReeves => {
                let rho = if plain { square } else { dot(&self.r, z) };
                if !rho.is_finite() {
                    return Err(Outcome::NonFinite);
                }
                if rho <= 0.0 {
                    return Err(Outcome::IndefinitePreconditioner);
                }
                let beta = rho / self.rho;
                self.rho = rho;
                beta
            }
            Directions::Window(0) => 0.0,
            Directions::Window(1) => -dot(z, &self.q) / self.curvatures[0],
            Directions::Window(_) => {
                self.orthogonalise(plain);
                return Ok(());
            }
        };
        if self.filled == 0 {
            self.p.copy_from_slice(z);
            self.filled = 1;
        } else {
            xpby(z, beta, &mut self.p);
        }
        Ok(())
    }

    /// z (or r) A-orthogonalised against the whole ring, into the oldest slot.
    fn orthogonalise(&mut self, plain: bool) {
        let (n, filled) = (self.n, self.filled);
        if plain {
            self.z.copy_from_slice(&self.r);
        }
        let coefficients = &mut self.coefficients[..filled];
        dots(&self.q[..filled * n], &self.z, coefficients);
        for (c, curvature) in coefficients.iter_mut().zip(&self.curvatures) {
            *c /= -curvature;
        }
        accumulate(&mut self.z, T::one(), coefficients, &self.p[..filled * n]);
        let slots = self.curvatures.len();
        self.slot = if filled < slots { filled } else { (self.slot + 1) % slots };
        self.filled = slots.min(filled + 1);
        self.p[self.slot * n..][..n].copy_from_slice(&self.z);
    }

    /// The step along the present direction; returns the new ‖r‖².
    fn advance<A>(&mut self, a: &A, x: &mut [T], monitor: &mut Monitor) -> Result<f64, Outcome>
    where
        A: LinearOperator<T> + ?Sized,
    {
        let range = self.slot * self.n..(self.slot + 1) * self.n;
        let (p, q) = (&self.p[range.clone()], &mut self.q[range]);
        monitor.applied(1);
        let (curvature, descent) = match self.directions {
            Directions::FletcherReeves => (a.apply_dot(p, q), self.rho),
            Directions::Window(_) => {
                a.apply(p, q);
                let [curvature, descent] = dot2(p, q, &self.r);
                (curvature, descent)
            }
        };
        let alpha = descent / curvature;
        if curvature <= 0.0 {
            let square = norm_squared(p);
            let zero = Outcome::Breakdown;
            return Err(if square > 0.0 {
                Outcome::Indefinite { curvature: curvature / square }
            } else {
                zero
            });
        }
        if !alpha.is_finite() || !curvature.is_finite() {
            return Err(Outcome::NonFinite);
        }
        self.curvatures[self.slot] = curvature;
        Ok(step(alpha, p, q, x, &mut self.r))
    }
}
