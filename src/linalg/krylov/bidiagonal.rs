//! What LSQR and LSMR share: the Golub–Kahan process and the loop around it.

use super::{LinearOperator, Preconditioner};
use super::{Monitor, Outcome, Report, Settings, check_new, require_linear, true_residual};
use crate::error::{Error, Result};
use crate::linalg::vector::{axpy, norm2, scale};
use crate::num::Real;

/// How often a claimed least-squares solution may be contradicted before the solve has stagnated.
const CONTRADICTIONS: usize = 4;

/// One step's coefficients: β_{k+1} and α_{k+1}.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coefficients {
    pub(super) beta: f64,
    pub(super) alpha: f64,
}

/// Norms after a step: of the residual, and of Âᵀr for Â = A M⁻¹.
#[derive(Clone, Copy, Debug)]
pub(super) struct Norms {
    pub(super) residual: f64,
    pub(super) normal: f64,
}

/// What distinguishes the two methods: how y and its norms follow from the coefficients.
pub(super) trait Recurrence<T: Real> {
    /// Starts from β₁, α₁ and v₁, y = 0.
    fn begin(&mut self, beta: f64, alpha: f64, v: &[T]);
    /// Takes the step to k + 1; `v` is v_{k+1}.
    fn step(&mut self, k: Coefficients, v: &[T], y: &mut [T]) -> Norms;
}

/// Âv_k = u_k α_k + u_{k+1} β_{k+1}, Âᵀu_{k+1} = v_k β_{k+1} + v_{k+1} α_{k+1} with Â = A M⁻¹ (Golub and
/// Kahan 1965), and the iterate x + M⁻¹ y.
#[derive(Clone, Debug)]
pub(super) struct Bidiagonal<T> {
    shape: [usize; 2],
    settings: Settings,
    u: Vec<T>,
    v: Vec<T>,
    /// The residual of a checked iterate, and room for the next u.
    tall: Vec<T>,
    /// A checked iterate.
    wide: Vec<T>,
    product: Vec<T>,
    /// Room for the next v.
    scratch: Vec<T>,
    y: Vec<T>,
    alpha: f64,
    /// Σ α² + β², up to ‖Â‖_F².
    frobenius: f64,
}

impl<T: Real> Bidiagonal<T> {
    pub(super) fn new([rows, cols]: [usize; 2], settings: Settings) -> Result<Self> {
        check_new(rows.min(cols), &settings)?;
        let zeros = |length| vec![T::zero(); length];
        Ok(Self {
            shape: [rows, cols],
            settings,
            u: zeros(rows),
            v: zeros(cols),
            tall: zeros(rows),
            wide: zeros(cols),
            product: zeros(cols),
            scratch: zeros(cols),
            y: zeros(cols),
            alpha: 0.0,
            frobenius: 0.0,
        })
    }

    /// The solve, with the residual in `tall` at the start of each cycle.
    pub(super) fn solve<A, M>(
        &mut self,
        recurrence: &mut impl Recurrence<T>,
        a: &A,
        m: &mut M,
        b: &[T],
        x: &mut [T],
    ) -> Result<Report>
    where
        A: LinearOperator<T> + ?Sized,
        M: Preconditioner<T> + ?Sized,
    {
        let [rows, cols] = self.shape;
        if [a.rows(), a.cols()] != self.shape {
            let given = format!("{} × {}", a.rows(), a.cols());
            let needed = format!("this method was built for {rows} × {cols}");
            return Err(Error::invalid("the operator", given, needed));
        }
        Error::check_len("the preconditioner", m.len(), cols, "the columns of the operator")?;
        require_linear("least squares", m)?;
        let mut monitor = Monitor::begin_rectangular(&self.settings, self.shape, b, x)?;
        if monitor.is_finished() {
            return Ok(monitor.finish());
        }
        let truth = true_residual(a, [b, x], &mut self.tall, &mut monitor);
        let mut ended = monitor.verify(truth);
        let mut contradictions = 0;
        while !ended {
            ended = self.cycle(recurrence, a, m, b, x, &mut contradictions, &mut monitor)?;
        }
        Ok(monitor.finish())
    }

    /// Iterates from the residual in `tall` to the end (true) or to where the recurrence has to start
    /// anew (false).
    #[allow(clippy::too_many_arguments, reason = "the parts of one recurrence, borrowed apart")]
    fn cycle<A, M>(
        &mut self,
        recurrence: &mut impl Recurrence<T>,
        a: &A,
        m: &mut M,
        b: &[T],
        x: &mut [T],
        contradictions: &mut usize,
        monitor: &mut Monitor,
    ) -> Result<bool>
    where
        A: LinearOperator<T> + ?Sized,
        M: Preconditioner<T> + ?Sized,
    {
        self.begin(recurrence, a, m, monitor)?;
        loop {
            let k = self.advance(a, m, monitor)?;
            let norms = recurrence.step(k, &self.v, &mut self.y);
            let claims = self.optimality(norms) <= self.tolerance() || norms.residual <= monitor.target();
            if !(monitor.observe_merit(norms.residual, norms.normal) || claims) {
                continue;
            }
            // x + M⁻¹ y and its residual.
            if m.is_identity() {
                self.wide.copy_from_slice(&self.y);
            } else {
                m.apply(&self.y, &mut self.wide);
                monitor.preconditioned(1);
            }
            axpy(1.0, x, &mut self.wide);
            let truth = true_residual(a, [b, &self.wide], &mut self.tall, monitor);
            if truth.is_finite() {
                let normal = self.normal(a, m, monitor)?;
                let optimality = self.optimality(Norms { residual: truth, normal });
                if optimality <= self.tolerance() {
                    monitor.stop(Outcome::LeastSquares { optimality });
                } else if claims && truth > monitor.target() {
                    *contradictions += 1;
                    if *contradictions >= CONTRADICTIONS {
                        monitor.stop(Outcome::Stagnated);
                    }
                }
            }
            let ended = monitor.verify(truth);
            let exhausted = claims || k.alpha == 0.0 || k.beta == 0.0;
            if (ended || exhausted) && truth.is_finite() {
                x.copy_from_slice(&self.wide);
            }
            if ended || exhausted {
                return Ok(ended);
            }
        }
    }

    fn tolerance(&self) -> f64 {
        self.settings.rtol.max(T::EPSILON.f64())
    }

    /// ‖Âᵀr‖/(‖Â‖_F ‖r‖).
    fn optimality(&self, Norms { residual, normal }: Norms) -> f64 {
        if normal == 0.0 { 0.0 } else { normal / (self.frobenius.sqrt() * residual) }
    }

    /// ‖Âᵀr‖ of the residual in `tall`; overwrites `product`.
    fn normal<A, M>(&mut self, a: &A, m: &mut M, monitor: &mut Monitor) -> Result<f64>
    where
        A: LinearOperator<T> + ?Sized,
        M: Preconditioner<T> + ?Sized,
    {
        a.apply_transpose(&self.tall, &mut self.product);
        monitor.applied(1);
        if m.is_identity() {
            return Ok(norm2(&self.product));
        }
        m.apply_transpose(&self.product, &mut self.scratch)?;
        monitor.preconditioned(1);
        Ok(norm2(&self.scratch))
    }

    /// u₁, v₁ from the residual in `tall`; y = 0.
    fn begin<A, M>(
        &mut self,
        recurrence: &mut impl Recurrence<T>,
        a: &A,
        m: &mut M,
        monitor: &mut Monitor,
    ) -> Result<()>
    where
        A: LinearOperator<T> + ?Sized,
        M: Preconditioner<T> + ?Sized,
    {
        self.u.copy_from_slice(&self.tall);
        self.v.fill(T::zero());
        self.y.fill(T::zero());
        let beta = unit(&mut self.u);
        self.alpha = self.next_v(a, m, 0.0, monitor)?;
        self.frobenius = self.frobenius.max(self.alpha * self.alpha);
        recurrence.begin(beta, self.alpha, &self.v);
        Ok(())
    }

    /// The next u and v.
    fn advance<A, M>(&mut self, a: &A, m: &mut M, monitor: &mut Monitor) -> Result<Coefficients>
    where
        A: LinearOperator<T> + ?Sized,
        M: Preconditioner<T> + ?Sized,
    {
        let alpha_before = self.alpha;
        if m.is_identity() {
            a.apply(&self.v, &mut self.tall);
        } else {
            m.apply(&self.v, &mut self.product);
            monitor.preconditioned(1);
            a.apply(&self.product, &mut self.tall);
        }
        monitor.applied(1);
        axpy(-alpha_before, &self.u, &mut self.tall);
        std::mem::swap(&mut self.u, &mut self.tall);
        let beta = unit(&mut self.u);
        self.alpha = self.next_v(a, m, beta, monitor)?;
        self.frobenius += beta * beta + self.alpha * self.alpha;
        Ok(Coefficients { beta, alpha: self.alpha })
    }

    /// v ← (Âᵀu − β v)/α; returns α.
    fn next_v<A, M>(&mut self, a: &A, m: &mut M, beta: f64, monitor: &mut Monitor) -> Result<f64>
    where
        A: LinearOperator<T> + ?Sized,
        M: Preconditioner<T> + ?Sized,
    {
        if m.is_identity() {
            a.apply_transpose(&self.u, &mut self.scratch);
        } else {
            a.apply_transpose(&self.u, &mut self.product);
            m.apply_transpose(&self.product, &mut self.scratch)?;
            monitor.preconditioned(1);
        }
        monitor.applied(1);
        axpy(-beta, &self.v, &mut self.scratch);
        std::mem::swap(&mut self.v, &mut self.scratch);
        Ok(unit(&mut self.v))
    }
}

/// Scales `v` to unit length (unless it is 0); returns its length before.
fn unit<T: Real>(v: &mut [T]) -> f64 {
    let norm = norm2(v);
    if norm > 0.0 {
        scale(1.0 / norm, v);
    }
    norm
}
