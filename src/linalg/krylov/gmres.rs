//! [`Gmres`]: restarted GMRES, preconditioned from the left, the right or both, and flexible GMRES.

use super::hessenberg::Hessenberg;
use super::{LinearOperator, Preconditioner};
use super::{Monitor, Outcome, Report, Settings, check_new, check_square, require_linear, true_residual};
use crate::error::{Error, Result};
use crate::linalg::op::Identity;
use crate::linalg::report::Side;
use crate::linalg::vector::{axpy, dots, norm_squared, norm2, scaled};
use crate::num::{Real, accumulate};

/// GMRES(m) for any square A (Saad and Schultz, SIAM J. Sci. Stat. Comput. 7, 1986): x minimises the
/// residual over x₀ + K_k, and the search starts anew every m iterations. Preconditioned from the right
/// (the residual that is minimised stays the true one), from the left (it is that of M⁻¹A x = M⁻¹b) or
/// from both sides ([`solve_split`](Self::solve_split)). Made [`flexible`](Self::flexible) (Saad, SIAM
/// J. Sci. Comput. 14, 1993) it takes any preconditioner, at the price of m more vectors.
///
/// The basis is orthogonalised by classical Gram–Schmidt, a second time where the first cancelled
/// (Daniel, Gragg, Kaufman and Stewart 1976). Preconditioned from the left, the history holds the norm
/// of M⁻¹ r scaled to agree with ‖r‖₂ where that was computed last.
#[derive(Clone, Debug)]
pub struct Gmres<T> {
    n: usize,
    restart: usize,
    settings: Settings,
    side: Side,
    flexible: bool,
    /// v_0 … v_m, and M⁻¹ v_j when flexible.
    basis: Vec<T>,
    proposals: Vec<T>,
    hessenberg: Hessenberg,
    r: Vec<T>,
    w: Vec<T>,
    trial: Vec<T>,
    /// Coefficients of one Gram–Schmidt pass.
    products: Vec<f64>,
}

impl<T: Real> Gmres<T> {
    /// GMRES with a preconditioner from the right for `n` unknowns, started anew every `restart`
    /// iterations.
    ///
    /// # Errors
    /// n = 0, a restart of 0, unusable settings.
    pub fn new(n: usize, restart: usize, settings: Settings) -> Result<Self> {
        check_new(n, &settings)?;
        if restart == 0 {
            return Err(Error::invalid("the restart length", restart, "it must be at least 1"));
        }
        let restart = restart.min(n);
        let zeros = |length| vec![T::zero(); length];
        Ok(Self {
            n,
            restart,
            settings,
            side: Side::Right,
            flexible: false,
            basis: zeros(n * (restart + 1)),
            proposals: Vec::new(),
            hessenberg: Hessenberg::new(restart),
            r: zeros(n),
            w: zeros(n),
            trial: zeros(n),
            products: vec![0.0; restart],
        })
    }

    /// Flexible GMRES: any preconditioner, from the right.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn flexible(n: usize, restart: usize, settings: Settings) -> Result<Self> {
        let mut this = Self::new(n, restart, settings)?;
        this.flexible = true;
        this.proposals = vec![T::zero(); n * this.restart];
        Ok(this)
    }

    /// With the preconditioner on this side.
    ///
    /// # Errors
    /// The left side with flexible GMRES.
    pub fn side(self, side: Side) -> Result<Self> {
        if self.flexible && side == Side::Left {
            return Err(Error::invalid("the side", "Left", "flexible GMRES preconditions from the right"));
        }
        Ok(Self { side, ..self })
    }

    /// Takes another relative tolerance, for sequences of solves that need one each (forcing terms).
    pub(crate) fn set_tolerance(&mut self, rtol: f64) {
        self.settings.rtol = rtol;
    }

    /// Vectors held.
    pub(crate) fn vectors(&self) -> usize {
        self.restart + 4 + if self.flexible { self.restart } else { 0 }
    }

    /// Solves A x = `b` from the guess in `x`.
    ///
    /// # Errors
    /// Lengths that do not fit, entries that are not finite; a preconditioner that is not linear, unless
    /// flexible.
    pub fn solve<A, M>(&mut self, a: &A, m: &mut M, b: &[T], x: &mut [T]) -> Result<Report>
    where
        A: LinearOperator<T> + ?Sized,
        M: Preconditioner<T> + ?Sized,
    {
        let mut none = Identity(self.n);
        match self.side {
            Side::Right => self.solve_split(a, &mut none, m, b, x),
            Side::Left => self.solve_split(a, m, &mut none, b, x),
        }
    }

    /// Solves L⁻¹ A R⁻¹ u = L⁻¹ `b`, x = R⁻¹ u, from the guess in `x`.
    ///
    /// # Errors
    /// As [`solve`](Self::solve); L must be linear also when flexible.
    pub fn solve_split<A, L, R>(
        &mut self,
        a: &A,
        left: &mut L,
        right: &mut R,
        b: &[T],
        x: &mut [T],
    ) -> Result<Report>
    where
        A: LinearOperator<T> + ?Sized,
        L: Preconditioner<T> + ?Sized,
        R: Preconditioner<T> + ?Sized,
    {
        check_square(self.n, a, left)?;
        check_square(self.n, a, right)?;
        require_linear("GMRES", left)?;
        if !self.flexible {
            require_linear("GMRES", right)?;
        }
        let mut monitor = Monitor::begin(&self.settings, self.n, b, x)?;
        if monitor.is_finished() {
            return Ok(monitor.finish());
        }
        let mut truth = true_residual(a, [b, x], &mut self.r, &mut monitor);
        let mut ended = monitor.verify(truth);
        while !ended {
            (truth, ended) = self.cycle(a, left, right, b, x, truth, &mut monitor);
        }
        Ok(monitor.finish())
    }

    /// From the residual in `r`, of norm `truth`, to the next restart or the end; x and r are then those
    /// of the last iterate. Returns its residual norm and whether the solve has ended.
    #[allow(clippy::too_many_arguments, reason = "the parts of one iteration, borrowed apart")]
    fn cycle<A, L, R>(
        &mut self,
        a: &A,
        left: &mut L,
        right: &mut R,
        b: &[T],
        x: &mut [T],
        truth: f64,
        monitor: &mut Monitor,
    ) -> (f64, bool)
    where
        A: LinearOperator<T> + ?Sized,
        L: Preconditioner<T> + ?Sized,
        R: Preconditioner<T> + ?Sized,
    {
        self.w.copy_from_slice(&self.r);
        self.precondition(left, monitor);
        let beta = norm2(&self.w);
        if !(beta.is_finite() && beta > 0.0) {
            monitor.stop(if beta == 0.0 { Outcome::Breakdown } else { Outcome::NonFinite });
            return (truth, monitor.verify(truth));
        }
        scaled(1.0 / beta, &self.w, &mut self.basis[..self.n]);
        self.hessenberg.begin(beta);
        let mut factor = truth / beta;
        loop {
            let whole = self.hessenberg.columns() + 1 == self.restart;
            let (check, last) = match self.iterate(a, left, right, monitor) {
                Ok(lucky) => (monitor.observe(factor * self.hessenberg.residual()), whole || lucky),
                Err(outcome) => {
                    monitor.stop(outcome);
                    (true, true)
                }
            };
            if !(check || last) {
                continue;
            }
            let truth = self.try_solution(a, right, b, x, monitor);
            let ended = monitor.verify(truth);
            if ended || last {
                if truth.is_finite() {
                    x.copy_from_slice(&self.trial);
                    self.r.copy_from_slice(&self.w);
                }
                return (truth, ended);
            }
            factor = truth / self.hessenberg.residual();
        }
    }

    /// `w` ← L⁻¹ `w`.
    fn precondition<L: Preconditioner<T> + ?Sized>(&mut self, left: &mut L, monitor: &mut Monitor) {
        if !left.is_identity() {
            self.trial.copy_from_slice(&self.w);
            left.apply(&self.trial, &mut self.w);
            monitor.preconditioned(1);
        }
    }

    /// One Arnoldi step; whether the Krylov space is exhausted.
    fn iterate<A, L, R>(
        &mut self,
        a: &A,
        left: &mut L,
        right: &mut R,
        monitor: &mut Monitor,
    ) -> Result<bool, Outcome>
    where
        A: LinearOperator<T> + ?Sized,
        L: Preconditioner<T> + ?Sized,
        R: Preconditioner<T> + ?Sized,
    {
        let (n, j) = (self.n, self.hessenberg.columns());
        let v = &self.basis[j * n..(j + 1) * n];
        let proposal =
            if self.flexible { &mut self.proposals[j * n..(j + 1) * n] } else { &mut self.trial[..] };
        if right.is_identity() && !self.flexible {
            a.apply(v, &mut self.w);
        } else {
            right.apply(v, proposal);
            monitor.preconditioned(1);
            a.apply(proposal, &mut self.w);
        }
        monitor.applied(1);
        self.precondition(left, monitor);
        let before = norm2(&self.w);
        let after = self.orthogonalise(j + 1, before);
        if !(after.is_finite() && before.is_finite()) {
            return Err(Outcome::NonFinite);
        }
        // What is left after cancelling all digits is rounding, not a direction.
        let lucky = after <= 10.0 * T::EPSILON.f64() * before;
        let below = if lucky { 0.0 } else { after };
        if !lucky {
            scaled(1.0 / after, &self.w, &mut self.basis[(j + 1) * n..(j + 2) * n]);
        }
        if self.hessenberg.push(below) { Ok(lucky) } else { Err(Outcome::Breakdown) }
    }

    /// `w` orthogonalised against the first `count` vectors of the basis, its coefficients put into the
    /// Hessenberg matrix; returns ‖w‖.
    fn orthogonalise(&mut self, count: usize, before: f64) -> f64 {
        let basis = &self.basis[..count * self.n];
        let mut last = before * before;
        for pass in 0..2 {
            let products = &mut self.products[..count];
            dots(basis, &self.w, products);
            products.iter_mut().for_each(|h| *h = -*h);
            accumulate(&mut self.w, T::one(), products, basis);
            self.hessenberg.add(products, pass == 0);
            let square = norm_squared(&self.w);
            if square > 0.5 * last {
                return square.sqrt();
            }
            last = square;
        }
        last.sqrt()
    }

    /// `trial` ← the iterate that the present basis gives, `w` ← its residual; returns its norm.
    fn try_solution<A, R>(&mut self, a: &A, right: &mut R, b: &[T], x: &[T], monitor: &mut Monitor) -> f64
    where
        A: LinearOperator<T> + ?Sized,
        R: Preconditioner<T> + ?Sized,
    {
        let n = self.n;
        let y = self.hessenberg.solve();
        let vectors = if self.flexible { &self.proposals } else { &self.basis };
        self.w.fill(T::zero());
        accumulate(&mut self.w, T::one(), y, &vectors[..y.len() * n]);
        if right.is_identity() || self.flexible {
            self.trial.copy_from_slice(&self.w);
        } else {
            right.apply(&self.w, &mut self.trial);
            monitor.preconditioned(1);
        }
        axpy(1.0, x, &mut self.trial);
        true_residual(a, [b, &self.trial], &mut self.w, monitor)
    }
}
