//! The discrete adjoint against tangents pushed forward through the same frozen steps (1e-10) and
//! finite differences of the replayed solve (1e-7): every method, save mode, memory mode, direction
//! and stop, single and batched, generic systems and networks.

use odeon::adjoint::{DiscreteAdjoint, Memory};
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::dynamics::{Dynamics, Point, Tangent};
use odeon::integrate::{Controller, Options, Problem, Save, Silent, Solution};
use odeon::model::NeuralOde;
use odeon::nn::{Activation, Network};
use odeon::num::Scalar;
use odeon::ode::tableau::Tableau;
use odeon::ode::tableaux::{self, Tsit5};
use odeon::ode::{ExplicitStepper, Solver};
use odeon::{Error, Result};

/// y₁' = p₀ sin y₂ − p₁ y₁ cos t, y₂' = −p₂ y₁ + p₀ y₂/(1 + y₁²) − t y₂/4.
struct Twist;

impl VectorField for Twist {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        3
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = p[0] * y[1].sin() - p[1] * y[0] * t.cos();
        let spread = S::one() + y[0] * y[0];
        dy[1] = p[0] * y[1] / spread - p[2] * y[0] - S::of(0.25) * t * y[1];
    }
}

fn wave(n: usize, seed: f64) -> Vec<f64> {
    (0..n).map(|i| (1.7 * i as f64 + seed).sin()).collect()
}

/// The adjoint under test.
type Adjoint<'a, D> = DiscreteAdjoint<f64, ExplicitStepper<'a, f64, D>>;

struct Setup<'a, D> {
    dynamics: &'a D,
    method: &'a Tableau,
    y0: Vec<f64>,
    theta: Vec<f64>,
    span: [f64; 2],
    options: Options<f64>,
}

/// Cotangents of L = Σ w·y + |y|²/2 over all saved states.
fn cotangents(solution: &Solution<f64>) -> Vec<f64> {
    let w = wave(solution.y.len(), 0.4);
    w.iter().zip(&solution.y).map(|(w, y)| w + y).collect()
}

fn loss(solution: &Solution<f64>) -> f64 {
    let w = wave(solution.y.len(), 0.4);
    let terms = w.iter().zip(&solution.y);
    terms.map(|(w, y)| w * y + 0.5 * y * y).sum()
}

impl<D: Dynamics<f64>> Setup<'_, D> {
    fn problem(&self) -> Problem<'_, f64> {
        Problem { y0: &self.y0, span: self.span, theta: &self.theta }
    }

    fn batch(&self) -> usize {
        self.y0.len() / self.dynamics.dim()
    }

    /// Gradient (y0, then θ) by the adjoint, with the solution.
    fn adjoint(&self, memory: Memory) -> Result<(Vec<f64>, Adjoint<'_, D>)> {
        let stepper = ExplicitStepper::new(self.dynamics, self.method, self.batch());
        let mut adjoint = DiscreteAdjoint::new(stepper, memory);
        let bar = cotangents(adjoint.forward(&self.problem(), &self.options, &mut [])?);
        adjoint.reverse(&bar, &[], &mut [])?;
        let gradient = [adjoint.y0_gradient(), adjoint.theta_gradient()].concat();
        Ok((gradient, adjoint))
    }

    /// dL along (y0, θ) direction `e`, by tangents through the recorded steps.
    fn tangent(&self, recorded: &Solution<f64>, e: usize) -> f64 {
        let (n, m) = (self.y0.len(), self.method);
        let (mut y, mut y_dot) = (self.y0.clone(), vec![0.0; n]);
        let mut theta_dot = vec![0.0; self.theta.len()];
        match e < n {
            true => y_dot[e] = 1.0,
            false => theta_dot[e - n] = 1.0,
        }
        let mut scratch = self.dynamics.scratch(self.batch());
        let bar = cotangents(recorded);
        let rows: Vec<_> = m.a.iter().chain(m.dense.extra_a.iter()).collect();
        let c: Vec<_> = m.c.iter().chain(m.dense.extra_c.iter()).collect();
        let (mut saved, mut total) = (0, 0.0);
        for (j, step) in recorded.steps.iter().enumerate() {
            let h = step.h;
            let (mut k, mut k_dot): (Vec<Vec<f64>>, Vec<Vec<f64>>) = Default::default();
            let sum = |base: &[f64], w: &dyn Fn(usize) -> f64, k: &[Vec<f64>]| -> Vec<f64> {
                let term = |i: usize| (0..k.len()).map(|l| w(l) * k[l][i]).sum::<f64>();
                (0..n).map(|i| base[i] + h * term(i)).collect()
            };
            for i in 0..rows.len() {
                let a = |l: usize| rows[i][l];
                let (g, g_dot) = (sum(&y, &a, &k), sum(&y_dot, &a, &k_dot));
                let (mut f, mut f_dot) = (vec![0.0; n], vec![0.0; n]);
                let at = Point { t: step.t + c[i] * h, y: &g, theta: &self.theta };
                let dot = Tangent { t: 0.0, y: &g_dot, theta: &theta_dot };
                self.dynamics.eval(at, &mut f, &mut scratch);
                self.dynamics.jvp(at, dot, &mut f_dot, &mut scratch);
                k.push(f);
                k_dot.push(f_dot);
            }
            while let Some(l) = recorded.located.get(saved).filter(|l| l.step == j) {
                let weight = |i: usize| match l.theta {
                    1.0 => m.b.get(i).copied().unwrap_or(0.0),
                    theta => {
                        let w = m.dense.weights[i].iter().rev();
                        w.fold(0.0, |acc, w| (acc + w) * theta)
                    }
                };
                let s_dot = match l.theta {
                    0.0 => y_dot.clone(),
                    _ => sum(&y_dot, &weight, &k_dot),
                };
                let cotangent = &bar[saved * n..(saved + 1) * n];
                total += s_dot.iter().zip(cotangent).map(|(a, b)| a * b).sum::<f64>();
                saved += 1;
            }
            let b = |i: usize| m.b.get(i).copied().unwrap_or(0.0);
            (y, y_dot) = (sum(&y, &b, &k), sum(&y_dot, &b, &k_dot));
        }
        assert_eq!(saved, recorded.t.len());
        total
    }

    /// dL along direction `e` by central differences of the replayed solve.
    fn difference(&self, recorded: &Solution<f64>, e: usize) -> Result<f64> {
        let step = 1e-4;
        let mut solver = Solver::new(self.dynamics, self.method, self.batch());
        let mut moved = |by: f64| -> Result<f64> {
            let (mut y0, mut theta) = (self.y0.clone(), self.theta.clone());
            match e < y0.len() {
                true => y0[e] += by,
                false => theta[e - self.y0.len()] += by,
            }
            let problem = Problem { y0: &y0, span: self.span, theta: &theta };
            Ok(loss(solver.replay(&problem, recorded, &self.options, &mut Silent)?))
        };
        // Fourth order.
        let near = moved(step)? - moved(-step)?;
        let far = moved(2.0 * step)? - moved(-2.0 * step)?;
        Ok((8.0 * near - far) / (12.0 * step))
    }

    fn place(&self) -> String {
        let Self { method, span, options, .. } = self;
        format!("{} {span:?} batch {} {:?}", method.name, self.batch(), options.save)
    }

    /// Largest deviations from tangents and differences, relative to the gradient.
    fn deviations(&self, differences: bool) -> Result<[f64; 2]> {
        let (gradient, adjoint) = self.adjoint(Memory::Unlimited)?;
        let size = gradient.iter().fold(0.0f64, |a, g| a.max(g.abs()));
        let mut worst = [0.0f64; 2];
        for (e, g) in gradient.iter().enumerate() {
            let forward = self.tangent(adjoint.solution(), e);
            worst[0] = worst[0].max((g - forward).abs() / size);
            if differences {
                let d = self.difference(adjoint.solution(), e)?;
                worst[1] = worst[1].max((g - d).abs() / size);
            }
        }
        Ok(worst)
    }

    /// The gradient under every memory mode, with what each may cost.
    fn memory_modes(&self) -> Result<()> {
        let (gradient, free) = self.adjoint(Memory::Unlimited)?;
        let stats = free.statistics();
        let (steps, state) = (free.solution().steps.len(), self.y0.len() * 8);
        assert_eq!(stats.replayed, 0);
        let (work, size) = (stats.work_bytes, gradient.iter().fold(0.0f64, |a, g| a.max(g.abs())));
        for states in [steps, steps / 2, 3, 1] {
            let budget = work + states.max(1) * state;
            let (other, adjoint) = self.adjoint(Memory::Bytes(budget))?;
            let stats = adjoint.statistics();
            let place = format!("{} {states} of {steps}", self.place());
            assert!(stats.work_bytes + stats.checkpoint_bytes <= budget, "{place}");
            assert!(stats.replayed >= steps, "{place}");
            assert!(states < steps || stats.replayed == steps, "{place}");
            for (a, b) in gradient.iter().zip(&other) {
                assert!((a - b).abs() <= 1e-12 * size, "{place}: {a} {b}");
            }
        }
        let refused = self.adjoint(Memory::Bytes(work + state - 1)).map(|_| ());
        let message = refused.expect_err("too small a budget").to_string();
        assert!(message.contains(&format!("at least {}", work + state)), "{message}");
        Ok(())
    }
}

fn saves([a, b]: [f64; 2]) -> [Save<f64>; 4] {
    let inside = |w: f64| a + (b - a) * w;
    let times = vec![a, inside(0.13), inside(0.5), inside(0.5), inside(0.81), b, b];
    [Save::End, Save::EveryStep, Save::Dense, Save::At(times)]
}

fn options(method: &Tableau, save: Save<f64>) -> Options<f64> {
    let options = match method.error.is_empty() {
        true => Options::default().controller(Controller::Fixed { h: 0.11 }),
        false => Options::tol(1e-3, 1e-3).controller(Controller::integral()),
    };
    options.save(save)
}

fn twist<'a>(
    method: &'a Tableau,
    batch: usize,
    span: [f64; 2],
    save: Save<f64>,
) -> Setup<'a, Generic<Twist>> {
    Setup {
        dynamics: &Generic(Twist),
        method,
        y0: wave(2 * batch, 0.9),
        theta: vec![1.1, 0.7, 1.3],
        span,
        options: options(method, save),
    }
}

const SPANS: [[f64; 2]; 2] = [[0.2, 2.3], [1.9, 0.1]];

#[test]
fn adjoint_tangent_and_differences_agree_for_every_method_and_save() -> Result<()> {
    for method in tableaux::all() {
        for span in SPANS {
            for save in saves(span) {
                for batch in [1, 3] {
                    let mut setup = twist(method, batch, span, save.clone());
                    for stops in [vec![], vec![0.613, 1.2]] {
                        setup.options.tstops = stops;
                        let [forward, difference] = setup.deviations(true)?;
                        assert!(forward < 1e-10, "{}: tangent {forward:e}", setup.place());
                        assert!(difference < 1e-7, "{}: FD {difference:e}", setup.place());
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn every_memory_mode_gives_the_gradient_within_its_budget() -> Result<()> {
    for method in tableaux::all() {
        for span in SPANS {
            for save in saves(span) {
                for batch in [1, 3] {
                    let mut setup = twist(method, batch, span, save.clone());
                    setup.options.dt_max = Some(0.2);
                    setup.options.tstops = vec![0.613, 1.2];
                    setup.memory_modes()?;
                }
            }
        }
    }
    Ok(())
}

#[test]
fn networks_have_the_same_gradients_three_ways() -> Result<()> {
    let tanh = Activation::Tanh;
    let network = Network::builder(2).concat_time().dense(5).activation(tanh).dense(2);
    let model = NeuralOde::new(network.build()?)?;
    for name in ["Tsit5", "Vern6", "Vern7", "BS3", "DOP853"] {
        let method = tableaux::by_name(name)?;
        for span in SPANS {
            for save in saves(span) {
                let setup = Setup {
                    dynamics: &model,
                    method,
                    y0: wave(6, 0.9),
                    theta: wave(model.network().layout().len(), 0.2),
                    span,
                    options: options(method, save),
                };
                let [forward, difference] = setup.deviations(true)?;
                assert!(forward < 1e-10, "{}: tangent {forward:e}", setup.place());
                assert!(difference < 1e-7, "{}: FD {difference:e}", setup.place());
                setup.memory_modes()?;
            }
        }
    }
    Ok(())
}

/// A right-hand side whose vjp misses 1e-4 of one parameter's cotangent.
struct Broken(Generic<Twist>);

impl Dynamics<f64> for Broken {
    type Scratch = <Generic<Twist> as Dynamics<f64>>::Scratch;
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        3
    }
    fn scratch(&self, batch: usize) -> Self::Scratch {
        Dynamics::<f64>::scratch(&self.0, batch)
    }
    fn eval(&self, at: Point<'_, f64>, dy: &mut [f64], s: &mut Self::Scratch) {
        self.0.eval(at, dy, s);
    }
    fn vjp(
        &self,
        at: Point<'_, f64>,
        dy_bar: &[f64],
        y_bar: &mut [f64],
        theta_bar: &mut [f64],
        s: &mut Self::Scratch,
    ) -> f64 {
        let mut own = [0.0; 3];
        let t_bar = self.0.vjp(at, dy_bar, y_bar, &mut own, s);
        own[1] *= 1.0 - 1e-4;
        theta_bar.iter_mut().zip(own).for_each(|(a, b)| *a += b);
        t_bar
    }
    fn jvp(&self, at: Point<'_, f64>, dot: Tangent<'_, f64>, out: &mut [f64], s: &mut Self::Scratch) {
        self.0.jvp(at, dot, out, s);
    }
}

#[test]
fn a_broken_pullback_is_seen() -> Result<()> {
    let good = twist(tableaux::all()[7], 1, SPANS[0], Save::End);
    let broken = Setup {
        dynamics: &Broken(Generic(Twist)),
        method: good.method,
        y0: good.y0.clone(),
        theta: good.theta.clone(),
        span: good.span,
        options: good.options.clone(),
    };
    let [forward, difference] = broken.deviations(true)?;
    assert!(forward > 1e-6 && difference > 1e-6, "{forward:e} {difference:e}");
    Ok(())
}

#[test]
fn misuse_is_refused() -> Result<()> {
    let field = Generic(Twist);
    let mut adjoint = DiscreteAdjoint::new(ExplicitStepper::new(&field, &Tsit5, 1), Memory::Unlimited);
    let error = adjoint.reverse(&[], &[], &mut []).expect_err("nothing to reverse");
    assert!(error.to_string().contains("forward"), "{error}");
    let setup = twist(tableaux::all()[7], 1, SPANS[0], Save::End);
    adjoint.forward(&setup.problem(), &setup.options, &mut [])?;
    let error = adjoint.reverse(&[1.0], &[], &mut []).expect_err("length");
    assert!(matches!(error, Error::Length { given: 1, .. }), "{error}");
    let bar = [1.0, 1.0];
    let far = odeon::adjoint::Injection { step: 10_000, theta: 0.0, y_bar: &bar };
    let error = adjoint.reverse(&bar, &[far], &mut []).expect_err("no such step");
    assert!(error.to_string().contains("10000"), "{error}");
    adjoint.reverse(&bar, &[], &mut [])?;
    let error = adjoint.reverse(&bar, &[], &mut []).expect_err("consumed");
    assert!(error.to_string().contains("already reversed"), "{error}");
    // An injection at step 0 adds to the cotangent of y0.
    adjoint.forward(&setup.problem(), &setup.options, &mut [])?;
    adjoint.reverse(&bar, &[], &mut [])?;
    let plain = adjoint.y0_gradient().to_vec();
    let injection = odeon::adjoint::Injection { step: 0, theta: 0.0, y_bar: &bar };
    adjoint.forward(&setup.problem(), &setup.options, &mut [])?;
    adjoint.reverse(&bar, &[injection], &mut [])?;
    for (a, b) in adjoint.y0_gradient().iter().zip(plain) {
        assert!((a - b - 1.0).abs() < 1e-14);
    }
    Ok(())
}
