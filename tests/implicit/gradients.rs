//! The discrete adjoint through implicit steps against tangents pushed forward through the same frozen
//! steps (1e-10) and finite differences of the replayed solve (1e-7), with Newton iterated to rounding.

use crate::common::{Failed, Method, Twist, additive, every, implicit};
use odeon::adjoint::{DiscreteAdjoint, Memory, Weighted};
use odeon::dynamics::compose::{Split, WithMass};
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::dynamics::{Dynamics, Mass, Part, Point, Tangent};
use odeon::integrate::{
    ErrorEstimate, Heuristic, Observer, Options, Penalty, Problem, Save, Silent, Solution, StepCotangent,
    StepView, Stiffness,
};
use odeon::num::{ErrorNorm, Scalar};
use odeon::ode::radau::{RadauIia5, RadauStepper};
use odeon::ode::sdirk::SdirkStepper;
use odeon::ode::{ImplicitOptions, NewtonOptions, Solver};

pub fn wave(n: usize, seed: f64) -> Vec<f64> {
    (0..n).map(|i| (1.7 * i as f64 + seed).sin()).collect()
}

/// L = Σ w·y + |y|²/2 over all saved states.
pub fn loss(solution: &Solution<f64>) -> f64 {
    let w = wave(solution.y.len(), 0.4);
    w.iter().zip(&solution.y).map(|(w, y)| w * y + 0.5 * y * y).sum()
}

pub fn cotangents(solution: &Solution<f64>) -> Vec<f64> {
    let w = wave(solution.y.len(), 0.4);
    w.iter().zip(&solution.y).map(|(w, y)| w + y).collect()
}

/// Σ of a heuristic over the steps.
struct Total<H> {
    heuristic: H,
    sum: f64,
}

impl<H: Heuristic<f64>> Penalty<f64> for Total<H> {
    fn start(&mut self) {
        self.sum = 0.0;
    }
    fn observe(&mut self, step: &StepView<'_, f64>, scratch: &mut [f64]) {
        self.sum += self.heuristic.value(step, scratch);
    }
    fn value(&self) -> f64 {
        self.sum
    }
    fn pullback(&mut self, step: &StepView<'_, f64>, seed: f64, bar: &mut StepCotangent<'_, f64>) {
        self.heuristic.pullback(step, seed, bar);
    }
}

/// What is differentiated: the loss, and penalties.
type Penalties = Vec<Box<dyn Penalty<f64>>>;

fn heuristics() -> Penalties {
    let norm = Some(ErrorNorm::new(1e-2, 1e-2));
    let error = ErrorEstimate { norm, ..ErrorEstimate::default() };
    let stiffness = Stiffness { epsilon: 1e-5, ..Stiffness::default() };
    vec![Box::new(Total { heuristic: error, sum: 0.0 }), Box::new(Total { heuristic: stiffness, sum: 0.0 })]
}

pub struct Setup<'a, D> {
    pub dynamics: &'a D,
    pub method: Method,
    pub y0: Vec<f64>,
    pub theta: Vec<f64>,
    pub span: [f64; 2],
    pub options: Options<f64>,
    pub penalised: bool,
}

fn tight() -> ImplicitOptions {
    ImplicitOptions { newton: NewtonOptions::tight(), ..ImplicitOptions::default() }
}

/// Runs `$body` with `$stepper` bound to a stepper of the method.
macro_rules! with_stepper {
    ($setup:expr, |$stepper:ident| $body:expr) => {{
        let setup = $setup;
        let batch = setup.batch();
        match setup.method {
            Method::Sdirk(table) => {
                let $stepper = SdirkStepper::new(setup.dynamics, table, batch, &tight());
                $body
            }
            Method::Radau => {
                let $stepper = RadauStepper::new(setup.dynamics, batch, &tight());
                $body
            }
        }
    }};
}

impl<D: Dynamics<f64>> Setup<'_, D> {
    fn problem(&self) -> Problem<'_, f64> {
        Problem { y0: &self.y0, span: self.span, theta: &self.theta }
    }

    fn batch(&self) -> usize {
        self.y0.len() / Dynamics::<f64>::dim(self.dynamics)
    }

    /// Gradient (y0, then θ), and the solution.
    pub fn adjoint(&self, memory: Memory) -> Result<(Vec<f64>, Solution<f64>), Failed> {
        let mut boxed = if self.penalised { heuristics() } else { Vec::new() };
        let mut penalties: Vec<Weighted<'_, f64>> =
            boxed.iter_mut().map(|p| Weighted { weight: 0.3, penalty: p.as_mut() }).collect();
        with_stepper!(self, |stepper| {
            let mut adjoint = DiscreteAdjoint::new(stepper, memory);
            let bar = cotangents(adjoint.forward(&self.problem(), &self.options, &mut penalties)?);
            adjoint.reverse(&bar, &[], &mut penalties)?;
            let gradient = [adjoint.y0_gradient(), adjoint.theta_gradient()].concat();
            Ok((gradient, adjoint.solution().clone()))
        })
    }

    /// Loss and penalties of a replay at (y0, θ).
    fn replayed(&self, recorded: &Solution<f64>, y0: &[f64], theta: &[f64]) -> Result<f64, Failed> {
        let mut boxed = if self.penalised { heuristics() } else { Vec::new() };
        let mut penalties: Vec<Weighted<'_, f64>> =
            boxed.iter_mut().map(|p| Weighted { weight: 0.3, penalty: p.as_mut() }).collect();
        let problem = Problem { y0, span: self.span, theta };
        let data = with_stepper!(self, |stepper| {
            let mut adjoint = DiscreteAdjoint::new(stepper, Memory::Unlimited);
            loss(adjoint.replay(&problem, recorded, &self.options, &mut penalties)?)
        });
        Ok(data + penalties.iter().map(|p| p.weight * p.penalty.value()).sum::<f64>())
    }

    /// d/d(direction e) by central differences of fourth order of the replayed solve.
    fn difference(&self, recorded: &Solution<f64>, e: usize) -> Result<f64, Failed> {
        let step = 1e-3;
        let moved = |by: f64| {
            let (mut y0, mut theta) = (self.y0.clone(), self.theta.clone());
            match e < y0.len() {
                true => y0[e] += by,
                false => theta[e - self.y0.len()] += by,
            }
            self.replayed(recorded, &y0, &theta)
        };
        let (near, far) = (moved(step)? - moved(-step)?, moved(2.0 * step)? - moved(-2.0 * step)?);
        Ok((8.0 * near - far) / (12.0 * step))
    }

    fn place(&self) -> String {
        let Self { method, span, options, penalised, .. } = self;
        format!(
            "{} {span:?} {:?} stops {:?} penalised {penalised}",
            method.name(),
            options.save,
            options.tstops
        )
    }

    pub fn check(&self, tangents: bool, differences: f64) -> Result<(), Failed> {
        let (gradient, recorded) = self.adjoint(Memory::Unlimited)?;
        let size = gradient.iter().fold(0.0f64, |a, g| a.max(g.abs()));
        for (e, g) in gradient.iter().enumerate() {
            if tangents {
                let forward = self.tangent(&recorded, e)?;
                let off = (g - forward).abs() / size;
                assert!(off < 1e-10, "{} entry {e}: tangent off by {off:e}", self.place());
            }
            let off = (g - self.difference(&recorded, e)?).abs() / size;
            assert!(off < differences, "{} entry {e}: difference off by {off:e}", self.place());
        }
        Ok(())
    }

    /// dL along direction `e` by tangents through the recorded steps: K̇ = J (ẏ + h A K̇) + f_θ θ̇ solved
    /// for all derivatives of a step together.
    fn tangent(&self, recorded: &Solution<f64>, e: usize) -> Result<f64, Failed> {
        let n = self.y0.len();
        let mut y_dot = vec![0.0; n];
        let mut theta_dot = vec![0.0; self.theta.len()];
        match e < n {
            true => y_dot[e] = 1.0,
            false => theta_dot[e - n] = 1.0,
        }
        let table = Table::of(self.method, D::SPLIT);
        let steps = self.stages(recorded)?;
        let bar = cotangents(recorded);
        let (mut saved, mut total) = (0, 0.0);
        for (j, (step, (y, k))) in recorded.steps.iter().zip(&steps).enumerate() {
            let k_dot = self.stage_tangents(&table, (step.t, step.h), y, k, &y_dot, &theta_dot);
            while let Some(l) = recorded.located.get(saved).filter(|l| l.step == j) {
                let cotangent = &bar[saved * n..(saved + 1) * n];
                for i in 0..n {
                    let inside = |w: &dyn Fn(usize) -> f64| {
                        y_dot[i] + step.h * (0..k_dot.len()).map(|m| w(m) * k_dot[m][i]).sum::<f64>()
                    };
                    let dot = match l.theta {
                        0.0 => y_dot[i],
                        1.0 => inside(&|m| table.b[m]),
                        theta => inside(&|m| table.dense[m].iter().rev().fold(0.0, |a, w| (a + w) * theta)),
                    };
                    total += cotangent[i] * dot;
                }
                saved += 1;
            }
            let moved: Vec<f64> = (0..n)
                .map(|i| y_dot[i] + step.h * (0..k_dot.len()).map(|m| table.b[m] * k_dot[m][i]).sum::<f64>())
                .collect();
            y_dot = moved;
        }
        assert_eq!(saved, recorded.t.len());
        Ok(total)
    }

    /// The start and the derivatives of every recorded step.
    fn stages(&self, recorded: &Solution<f64>) -> Result<Vec<(Vec<f64>, Vec<f64>)>, Failed> {
        struct Keep(Vec<(Vec<f64>, Vec<f64>)>);
        impl Observer<f64> for Keep {
            fn accepted(&mut self, step: &StepView<'_, f64>) {
                self.0.push((step.y0.to_vec(), step.stages.to_vec()));
            }
        }
        let mut keep = Keep(Vec::new());
        with_stepper!(self, |stepper| {
            let mut solver = Solver::with(stepper);
            solver.replay(&self.problem(), recorded, &self.options, &mut keep)?;
        });
        Ok(keep.0)
    }

    fn stage_tangents(
        &self,
        table: &Table,
        (t, h): (f64, f64),
        y: &[f64],
        record: &[f64],
        y_dot: &[f64],
        theta_dot: &[f64],
    ) -> Vec<Vec<f64>> {
        let (n, count) = (y.len(), table.rows.len());
        let batch = n / self.dynamics.dim();
        let mut scratch = self.dynamics.scratch(batch);
        // Unknown derivatives from the record: an additive one holds sums and explicit parts.
        let k = table.unknowns(record, n);
        let product = |scratch: &mut D::Scratch, m: usize, g: &[f64], dot: &[f64], theta_dot: &[f64]| {
            let at = Point { t: t + table.c[m] * h, y: g, theta: &self.theta };
            let dot = Tangent { t: 0.0, y: dot, theta: theta_dot };
            let mut all = vec![0.0; n];
            self.dynamics.jvp(at, dot, &mut all, scratch);
            let mut implicit = vec![0.0; n];
            self.dynamics.jvp_implicit(at, dot, &mut implicit, scratch);
            match table.parts[m] {
                _ if !D::SPLIT && table.parts[m] == Some(Part::Explicit) => vec![0.0; n],
                Some(Part::Explicit) => all.iter().zip(&implicit).map(|(a, b)| a - b).collect(),
                Some(Part::Implicit) => implicit,
                None => all,
            }
        };
        // (I − h J_m row_m) K̇ = J_m ẏ + f_θ θ̇, all m together.
        let size = count * n;
        let mut matrix = vec![vec![0.0; size + 1]; size];
        let zeros = vec![0.0; theta_dot.len()];
        for m in 0..count {
            let g: Vec<f64> = (0..n)
                .map(|i| y[i] + h * (0..count).map(|l| table.rows[m][l] * k[l][i]).sum::<f64>())
                .collect();
            let right = product(&mut scratch, m, &g, y_dot, theta_dot);
            for i in 0..n {
                matrix[m * n + i][size] = right[i];
                matrix[m * n + i][m * n + i] += 1.0;
            }
            for j in 0..n {
                let mut unit = vec![0.0; n];
                unit[j] = 1.0;
                let column = product(&mut scratch, m, &g, &unit, &zeros);
                for l in 0..count {
                    for i in 0..n {
                        matrix[m * n + i][l * n + j] -= h * table.rows[m][l] * column[i];
                    }
                }
            }
        }
        solve_dense(matrix).chunks(n).map(<[f64]>::to_vec).collect()
    }
}

fn solve_dense(mut m: Vec<Vec<f64>>) -> Vec<f64> {
    let n = m.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|&a, &b| m[a][k].abs().total_cmp(&m[b][k].abs())).unwrap();
        m.swap(k, pivot);
        for i in k + 1..n {
            let factor = m[i][k] / m[k][k];
            if factor != 0.0 {
                for j in k..=n {
                    m[i][j] -= factor * m[k][j];
                }
            }
        }
    }
    for i in (0..n).rev() {
        let sum: f64 = (i + 1..n).map(|j| m[i][j] * m[j][n]).sum();
        m[i][n] = (m[i][n] - sum) / m[i][i];
    }
    m.into_iter().map(|row| row[n]).collect()
}

/// A method as one table over its unknown derivatives.
struct Table {
    c: Vec<f64>,
    rows: Vec<Vec<f64>>,
    b: Vec<f64>,
    dense: Vec<Vec<f64>>,
    parts: Vec<Option<Part>>,
    additive: bool,
}

impl Table {
    fn of(method: Method, split: bool) -> Self {
        let Method::Sdirk(t) = method else {
            return Self::radau();
        };
        let s = t.stages();
        let wide = |row: &[f64], at: usize, count: usize| {
            let mut wide = vec![0.0; count];
            wide[at..at + row.len()].copy_from_slice(row);
            wide
        };
        let dense: Vec<Vec<f64>> = t.dense.iter().map(|row| row.to_vec()).collect();
        if !(t.is_additive() && split) {
            let rows = (0..s).map(|i| wide(&t.full_row(i), 0, s)).collect();
            let parts = vec![None; s];
            return Self { c: t.c.to_vec(), rows, b: t.weights(), dense, parts, additive: false };
        }
        let rows = (0..2 * s).map(|m| {
            let mut row = wide(&t.full_row(m % s), 0, 2 * s);
            row[s..s + t.explicit[m % s].len()].copy_from_slice(&t.explicit[m % s]);
            row
        });
        let part = |m: usize| Some(if m < s { Part::Implicit } else { Part::Explicit });
        Self {
            c: [&t.c[..], &t.c[..]].concat(),
            rows: rows.collect(),
            b: [t.weights(), t.weights()].concat(),
            dense: [dense.clone(), dense].concat(),
            parts: (0..2 * s).map(part).collect(),
            additive: true,
        }
    }

    fn radau() -> Self {
        let six = 6f64.sqrt();
        let a = [
            [(88.0 - 7.0 * six) / 360.0, (296.0 - 169.0 * six) / 1800.0, (3.0 * six - 2.0) / 225.0],
            [(296.0 + 169.0 * six) / 1800.0, (88.0 + 7.0 * six) / 360.0, (-2.0 - 3.0 * six) / 225.0],
            [(16.0 - six) / 36.0, (16.0 + six) / 36.0, 1.0 / 9.0],
        ];
        let c = [(4.0 - six) / 10.0, (4.0 + six) / 10.0, 1.0];
        // Lagrange polynomials of the abscissae, integrated.
        let dense = (0..3).map(|i| {
            let (p, q) = (c[(i + 1) % 3], c[(i + 2) % 3]);
            let d = (c[i] - p) * (c[i] - q);
            vec![p * q / d, -0.5 * (p + q) / d, 1.0 / (3.0 * d)]
        });
        Self {
            c: c.to_vec(),
            rows: a.iter().map(|row| row.to_vec()).collect(),
            b: a[2].to_vec(),
            dense: dense.collect(),
            parts: vec![None; 3],
            additive: false,
        }
    }

    /// The unknown derivatives in a step's record.
    fn unknowns(&self, record: &[f64], n: usize) -> Vec<Vec<f64>> {
        let count = self.rows.len();
        let column = |m: usize| record[m * n..(m + 1) * n].to_vec();
        if self.additive {
            let s = count / 2;
            let implicit = (0..s).map(|m| column(m).iter().zip(column(s + m)).map(|(k, e)| k - e).collect());
            return implicit.chain((s..count).map(column)).collect();
        }
        // Radau's record has the derivative at the start first.
        let skip = record.len() / n - count;
        let skip = if skip > 0 { 1 } else { 0 };
        (0..count).map(|m| column(m + skip)).collect()
    }
}

fn saves([a, b]: [f64; 2]) -> [Save<f64>; 3] {
    let inside = |w: f64| a + (b - a) * w;
    let times = vec![a, inside(0.13), inside(0.5), inside(0.81), b, b];
    [Save::End, Save::EveryStep, Save::At(times)]
}

fn twist<D>(dynamics: &D, method: Method, batch: usize, span: [f64; 2], save: Save<f64>) -> Setup<'_, D> {
    Setup {
        dynamics,
        method,
        y0: wave(2 * batch, 0.9),
        theta: vec![1.1, 0.7, 1.3],
        span,
        options: Options::tol(1e-2, 1e-2).save(save),
        penalised: false,
    }
}

const SPANS: [[f64; 2]; 2] = [[0.2, 2.3], [1.9, 0.1]];

#[test]
fn adjoint_tangent_and_differences_agree() -> Result<(), Failed> {
    for method in every() {
        for span in SPANS {
            for save in saves(span) {
                twist(&Generic(Twist), method, 1, span, save.clone()).check(true, 1e-7)?;
            }
            let mut setup = twist(&Generic(Twist), method, 2, span, Save::End);
            setup.options.tstops = vec![0.613, 1.2];
            setup.check(false, 1e-7)?;
        }
    }
    Ok(())
}

/// −p₀ y₁ + sin t, p₁ y₁ y₂: the explicit part.
struct Slow;

impl VectorField for Slow {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        2
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = t.sin() - p[0] * y[0] * y[1];
        dy[1] = p[1] * y[0] * y[1];
    }
}

#[test]
fn both_parts_of_a_split_system_have_gradients() -> Result<(), Failed> {
    let f = Split::new(Generic(Slow), Generic(Twist));
    for method in additive() {
        for span in SPANS {
            for save in saves(span) {
                let mut setup = twist(&f, method, 1, span, save);
                setup.theta = vec![0.4, 0.8, 1.1, 0.7, 1.3];
                setup.check(true, 1e-7)?;
            }
        }
    }
    Ok(())
}

#[test]
fn heuristics_have_exact_gradients() -> Result<(), Failed> {
    for method in every() {
        for span in SPANS {
            let mut setup = twist(&Generic(Twist), method, 1, span, Save::End);
            setup.penalised = true;
            setup.check(false, 1e-7)?;
        }
    }
    for method in additive() {
        let f = Split::new(Generic(Slow), Generic(Twist));
        let mut setup = twist(&f, method, 1, SPANS[0], Save::End);
        setup.theta = vec![0.4, 0.8, 1.1, 0.7, 1.3];
        setup.penalised = true;
        setup.check(false, 1e-7)?;
    }
    Ok(())
}

#[test]
fn every_memory_mode_gives_the_gradient() -> Result<(), Failed> {
    for method in every() {
        let span = SPANS[0];
        let setup = twist(&Generic(Twist), method, 1, span, saves(span)[2].clone());
        let (gradient, recorded) = setup.adjoint(Memory::Unlimited)?;
        let steps = recorded.steps.len();
        let work = with_stepper!(&setup, |stepper| {
            let mut adjoint = DiscreteAdjoint::new(stepper, Memory::Unlimited);
            adjoint.forward(&setup.problem(), &setup.options, &mut [])?;
            adjoint.statistics().work_bytes
        });
        for states in [steps, 2, 1] {
            let (other, _) = setup.adjoint(Memory::Bytes(work + 16 * states + 2000))?;
            for (a, b) in gradient.iter().zip(&other) {
                assert!((a - b).abs() < 1e-12, "{} {states}: {a} {b}", method.name());
            }
        }
    }
    Ok(())
}

/// A system with as many rows as the refinement's path takes, mildly stiff.
struct Chain;

impl VectorField for Chain {
    fn dim(&self) -> usize {
        9
    }
    fn num_params(&self) -> usize {
        2
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        for i in 0..9 {
            let left = if i > 0 { y[i - 1] } else { t.cos() };
            let right = if i < 8 { y[i + 1] } else { S::zero() };
            dy[i] = p[0] * (left - y[i] - y[i] + right) + p[1] * y[i] * (S::one() - y[i] * y[i]);
        }
    }
}

#[test]
fn the_refinement_of_larger_systems_is_exact() -> Result<(), Failed> {
    for method in implicit() {
        let setup = Setup {
            dynamics: &Generic(Chain),
            method,
            y0: wave(9, 0.3),
            theta: vec![40.0, 2.0],
            span: [0.0, 1.0],
            options: Options::tol(1e-2, 1e-2).save(Save::At(vec![0.33, 1.0])),
            penalised: false,
        };
        setup.check(true, 1e-7)?;
    }
    Ok(())
}

/// A differential-algebraic system: y₁' = −p₀ y₁ + y₂, 2 y₂' = −y₂³ + y₃, 0 = y₃ + y₃³/2 − p₁ y₁ y₂ − cos t.
struct Algebraic;

impl VectorField for Algebraic {
    fn dim(&self) -> usize {
        3
    }
    fn num_params(&self) -> usize {
        2
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = y[1] - p[0] * y[0];
        dy[1] = y[2] - y[1].powi(3);
        dy[2] = y[2] + S::of(0.5) * y[2].powi(3) - p[1] * y[0] * y[1] - t.cos();
    }
}

#[test]
fn differential_algebraic_systems_have_gradients() -> Result<(), Failed> {
    let f = WithMass { inner: Generic(Algebraic), mass: Mass::Diagonal(vec![1.0, 2.0, 0.0]) };
    for method in implicit() {
        for penalised in [false, true] {
            let setup = Setup {
                dynamics: &f,
                method,
                y0: vec![0.8, 0.5, 1.0],
                theta: vec![1.2, 0.6],
                span: [0.1, 1.7],
                options: Options::tol(1e-2, 1e-2).save(Save::At(vec![0.1, 0.4, 1.3, 1.7])),
                penalised,
            };
            setup.check(false, 1e-7)?;
        }
    }
    Ok(())
}

/// The documented limit: with Newton's default tolerance the gradient (here of other steps, at a tolerance
/// of 1e-2) is near the tight one, and not equal to it.
#[test]
fn a_loose_newton_limits_the_agreement_as_documented() -> Result<(), Failed> {
    let setup = twist(&Generic(Twist), Method::Radau, 1, SPANS[0], Save::End);
    let (tight, _) = setup.adjoint(Memory::Unlimited)?;
    let loose = ImplicitOptions { newton: NewtonOptions::default(), ..ImplicitOptions::default() };
    let mut adjoint = DiscreteAdjoint::new(RadauStepper::new(setup.dynamics, 1, &loose), Memory::Unlimited);
    let bar = cotangents(adjoint.forward(&setup.problem(), &setup.options, &mut [])?);
    adjoint.reverse(&bar, &[], &mut [])?;
    let gradient = [adjoint.y0_gradient(), adjoint.theta_gradient()].concat();
    let size = tight.iter().fold(0.0f64, |a, g| a.max(g.abs()));
    let off = tight.iter().zip(&gradient).fold(0.0f64, |w, (a, b)| w.max((a - b).abs() / size));
    assert!(off < 0.1 && off > 0.0, "{off:e}");
    let mut solver = Solver::new(setup.dynamics, &RadauIia5.with(tight_options()), 1);
    solver.observe(&setup.problem(), &setup.options, &mut Silent)?;
    Ok(())
}

fn tight_options() -> ImplicitOptions {
    tight()
}
